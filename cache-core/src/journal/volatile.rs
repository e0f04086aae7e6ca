//! A journal in this process: what is in it is lost with the process.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use super::{
    Advance, Answers, Appended, Ask, Change, Journal, JournalEntry, JournalOp, Known, Mark, Parked, Position, Said,
    Standing,
};
use crate::{clock::Clock, key::Key};

/// The journals that are kept in this process, for those who read.
#[derive(Default)]
pub(crate) struct Journals(RwLock<Vec<Arc<VolatileJournal>>>);

impl Journals {
    /// Adds one, in place of an older one of its name.
    pub(crate) fn add(&self, journal: Arc<VolatileJournal>) {
        let mut journals = self.0.write().unwrap_or_else(PoisonError::into_inner);
        journals.retain(|other| other.name != journal.name);
        journals.push(journal);
    }

    /// Where a change of the key is found that the sink does not have yet.
    pub(crate) fn mark(&self, key: &Key) -> Option<Mark> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).iter().find_map(|journal| journal.mark(key))
    }

    /// Asks the journal of that name, if it is one of these.
    pub(crate) fn ask(&self, op: &JournalOp) -> Option<Said> {
        let journals = self.0.read().unwrap_or_else(PoisonError::into_inner);
        journals.iter().find(|journal| journal.name == op.journal).map(|journal| journal.say(op.ask.clone()))
    }
}

/// One such journal, of one partition.
pub(crate) struct VolatileJournal {
    name: Arc<str>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Position, JournalEntry>,
    marks: HashMap<Key, Option<Position>>,
    parked: HashMap<Key, Parked>,
    dead: BTreeMap<Position, (Key, Parked)>,
    cursor: Position,
    last: u64,
    given: Position,
    fence: u64,
}

impl VolatileJournal {
    pub(crate) fn new(name: Arc<str>, clock: Clock) -> Self {
        // A fence that no earlier process had: the sink may keep it.
        let state = State { fence: clock.remote_micros(), ..State::default() };
        Self { name, clock, state: Mutex::new(state) }
    }

    fn mark(&self, key: &Key) -> Option<Mark> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.marks.get(key).map(|at| Mark { journal: Arc::clone(&self.name), at: *at })
    }

    pub(crate) fn say(&self, ask: Ask) -> Said {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.remote_micros();
        match ask {
            Ask::Append { key, change, room, .. } => Said::Appended(state.append(key, change, room, now)),
            Ask::Own { above, .. } => {
                state.fence = state.fence.max(above.saturating_add(1));
                Said::Owned(Some((state.fence, state.cursor)))
            }
            Ask::Disown { .. } => Said::Done(true),
            Ask::Standing { .. } => Said::Standing(Standing::Free),
            Ask::Present { .. } | Ask::Absent { .. } => Said::Present(1),
            Ask::Read { after, entries, .. } => {
                let behind = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
                let given: Vec<_> = state.entries.range(behind).take(entries).map(|(_, entry)| entry.clone()).collect();
                Said::Entries { last: state.last, is_full: given.len() >= entries, entries: given }
            }
            Ask::HasEntries => Said::Has(!state.entries.is_empty()),
            Ask::Parked => {
                Said::Parked(state.parked.iter().map(|(key, parked)| (key.clone(), parked.clone())).collect())
            }
            Ask::Advance { fence, advance, owner: _ } => {
                Said::Done(fence == state.fence && state.advance(advance, now))
            }
            Ask::Pending { key, at } => {
                let entry = at.and_then(|at| state.entries.get(&at)).map(|entry| entry.change.clone());
                let parked = || state.parked.get(&key)?.replaced.as_ref().map(|(_, _, change)| change.clone());
                Said::Pending(entry.or_else(parked))
            }
            Ask::Known { key, at, letters, witness: _ } => Said::Known(Some(state.known(&key, at, letters))),
            Ask::Lag => Said::Lag {
                entries: state.entries.len() as u64,
                oldest: state.entries.keys().next().copied(),
                parked: state.parked.len() as u64,
                dead: state.dead.len() as u64,
            },
            Ask::Dead { after, count } => {
                let behind = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
                let letters = state.dead.range(behind).take(count);
                Said::Dead(letters.map(|(at, (key, parked))| (*at, key.clone(), parked.clone())).collect())
            }
            Ask::Bury { letter } => Said::Done(state.dead.remove(&letter).is_some()),
            Ask::Server | Ask::Fsync => Said::Server(String::new()),
            Ask::CanSay(_) => Said::Done(false),
        }
    }
}

impl State {
    fn append(&mut self, key: Key, change: Change, room: u64, now: u64) -> Appended {
        if self.entries.len() as u64 >= room {
            return Appended::Full;
        }
        let (version, position) = (now.max(self.last + 1), self.place(now));
        self.last = version;
        if change.replaces() {
            self.marks.insert(key.clone(), Some(position));
        }
        self.entries.insert(position, JournalEntry { position, key, version, change });
        Appended::As { version, position }
    }

    fn known(&self, key: &Key, at: Position, after: Option<Position>) -> Known {
        // Entries and letters have places of one row.
        let after = after.unwrap_or(at);
        let behind = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        let (mut letters, mut last_letter) = (Vec::new(), after);
        for (place, (dead, letter)) in self.dead.range(behind) {
            last_letter = *place;
            letters.extend((dead == key).then(|| letter.clone()));
        }
        let (has_entry, parked) = (self.entries.contains_key(&at), self.parked.get(key).cloned());
        Known { has_entry, parked, letters, last_letter }
    }

    /// A place behind all that were given.
    fn place(&mut self, now: u64) -> Position {
        self.given = Position { millis: now / 1_000, number: 0 }.max(self.given.next());
        self.given
    }

    fn advance(&mut self, advance: Advance, now: u64) -> bool {
        let Advance { cursor, flushed, parked, unparked, dead } = advance;
        for (key, position) in flushed {
            if self.marks.get(&key).is_some_and(|mark| mark.is_none_or(|mark| mark == position)) {
                self.marks.remove(&key);
            }
        }
        for (key, parked) in parked {
            if let Some(mark) = self.marks.get_mut(&key)
                && mark.is_some_and(|mark| mark <= cursor)
            {
                *mark = None;
            }
            self.parked.insert(key, parked);
        }
        for key in unparked {
            self.parked.remove(&key);
        }
        for (key, parked) in dead {
            let place = self.place(now);
            self.dead.insert(place, (key, parked));
        }
        self.entries = self.entries.split_off(&cursor.next());
        self.cursor = cursor;
        true
    }
}

impl Journal for VolatileJournal {
    fn ask(&self, ops: Vec<JournalOp>) -> Answers<'_> {
        let said = ops.into_iter().map(|op| Ok(self.say(op.ask))).collect();
        Box::pin(std::future::ready(Ok(said)))
    }
}
