//! Evictions that are not where they should be: those that Redis did not confirm, which wait here until it does, and confirmed
//! ones of the last minute, which a primary may have lost when another took its place.
//!
//! What waits here is in force on this node; what Redis holds of it is not believed until it is in force there too. Everything
//! has a bound: too many keys of a scope become an eviction of the scope, too many scopes one of the namespace.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Clock, Tick},
    key::{Hashing, Key, hashing},
    tag::TagId,
    tier::{Continuity, Op, Record, RemoteTier, Reply},
};

/// Keys that may wait; one more, and those of its scope become one eviction of that scope.
const KEYS: usize = 1 << 14;
/// Tags and scopes that may wait; one more, and all become one eviction of the namespace.
const TAGS: usize = 1 << 10;
/// How long a confirmed eviction is remembered, in case the primary that confirmed it loses it.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Confirmed evictions that are remembered. If there were more in that time, losing them costs an eviction of the namespace.
const RECENT: usize = 1 << 15;
/// Evictions that one trip replays.
const BATCH: usize = 256;
/// What a trip of the replay may take.
const TRIP: Duration = Duration::from_secs(1);
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// The evictions of one cache that are still to be put in force.
pub(crate) struct Recovery {
    state: Mutex<State>,
    /// How many wait: while there are none, nobody takes the lock.
    waiting: AtomicUsize,
    /// How many were ever queued.
    queued: AtomicU64,
    /// Something waits, or a primary is back.
    wake: Notify,
}

struct State {
    /// What waits, each with the number of the last time that it was queued.
    keys: HashMap<Key, u64, Hashing>,
    tags: HashMap<TagId, Waiting, Hashing>,
    number: u64,
    recent: VecDeque<(Tick, Record)>,
    /// When the youngest was confirmed that had to be forgotten before its time.
    forgotten: Option<Tick>,
}

/// A tag that waits.
#[derive(Clone, Copy)]
struct Waiting {
    number: u64,
    /// For an eviction that heals: the incident, so that one node's is enough.
    incident: Option<u64>,
}

/// One record that waits, as it was when a trip took it along.
struct Taken {
    record: Record,
    waiting: Waiting,
}

// === impl Recovery ===

impl Recovery {
    pub(crate) fn new() -> Self {
        let state = State {
            keys: HashMap::with_hasher(hashing()),
            tags: HashMap::with_hasher(hashing()),
            number: 0,
            recent: VecDeque::new(),
            forgotten: None,
        };
        Self { state: Mutex::new(state), waiting: AtomicUsize::new(0), queued: AtomicU64::new(0), wake: Notify::new() }
    }

    /// How many evictions wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// How many have ever been queued: who asked Redis meanwhile may have been told what one of them takes back.
    pub(crate) fn queued_so_far(&self) -> u64 {
        self.queued.load(Ordering::Acquire)
    }

    /// Redis did not confirm that these records moved.
    pub(crate) fn queue(&self, records: impl IntoIterator<Item = Record>) {
        let mut state = self.lock();
        for record in records {
            state.queue(record, None);
        }
        self.publish(&state);
    }

    /// Redis confirmed that these records moved.
    pub(crate) fn confirmed(&self, records: impl IntoIterator<Item = Record>, now: Tick) {
        let mut state = self.lock();
        state.recent.extend(records.into_iter().map(|record| (now, record)));
        while let Some((confirmed, _)) = state.recent.front() {
            let confirmed = *confirmed;
            let old = now.since(confirmed) > REMEMBERED;
            if !old && state.recent.len() <= RECENT {
                break;
            }
            if !old {
                state.forgotten = Some(confirmed);
            }
            state.recent.pop_front();
        }
    }

    /// A primary is back: what waits can be tried, and what it may have lost is queued.
    pub(crate) fn restored(&self, how: Continuity, now: Tick) {
        let mut state = self.lock();
        if let Continuity::RolledBack { incident } = how {
            state.queue(Record::Tag(TagId::Namespace), Some(incident));
        }
        // Also where the namespace is healed: another node may have done that before a primary that was no longer one
        // confirmed these.
        if how != Continuity::Unbroken {
            state.queue_recent(now);
        }
        self.publish(&state);
        // A replay that was given up for a while is tried now, whether or not anything was added.
        self.wake.notify_one();
    }

    /// Whether nothing waits that what Redis says about these records would hide.
    pub(crate) fn trusts(&self, records: impl IntoIterator<Item = Record>) -> bool {
        if self.waiting() == 0 {
            return true;
        }
        let state = self.lock();
        state.tags.is_empty()
            && records.into_iter().all(|record| match record {
                Record::Control(key) => !state.keys.contains_key(&key),
                Record::Tag(_) | Record::Journal(_) => true,
            })
    }

    /// Replays what waits, whenever something does, until `closed`; and then for as long as that gets anywhere.
    pub(crate) async fn run(self: Arc<Self>, remote: Arc<dyn RemoteTier>, clock: Clock, closed: CancellationToken) {
        let replaying = async {
            let mut backoff = BACKOFF_FIRST;
            loop {
                if self.waiting() == 0 {
                    self.wake.notified().await;
                    backoff = BACKOFF_FIRST;
                    continue;
                }
                if self.replay(&*remote, &clock).await {
                    backoff = BACKOFF_FIRST;
                    continue;
                }
                let pause = sleep(backoff.mul_f64(0.5 + fastrand::f64()));
                tokio::select! {
                    biased;
                    () = self.wake.notified() => backoff = BACKOFF_FIRST,
                    () = pause => backoff = (backoff * 2).min(BACKOFF_LAST),
                }
            }
        };
        closed.run_until_cancelled(replaying).await;
        self.flush(&*remote, &clock).await;
    }

    /// Replays what waits for as long as that gets anywhere.
    pub(crate) async fn flush(&self, remote: &dyn RemoteTier, clock: &Clock) {
        while self.waiting() > 0 && self.replay(remote, clock).await {}
    }

    /// One trip for each part of what waits; whether that put anything in force. Where one primary of several does not answer,
    /// its share holds up nobody else's.
    async fn replay(&self, remote: &dyn RemoteTier, clock: &Clock) -> bool {
        let (mut after, mut any) = (0, false);
        loop {
            let taken = self.lock().take(after);
            let Some(last) = taken.iter().map(|taken| taken.waiting.number).max() else { return any };
            match self.replay_some(taken, remote, clock).await {
                Some(done) => any |= done,
                // Nobody answers at all.
                None => return any,
            }
            after = last;
        }
    }

    /// One trip; whether it put anything in force, and nothing if it was not answered.
    async fn replay_some(&self, taken: Vec<Taken>, remote: &dyn RemoteTier, clock: &Clock) -> Option<bool> {
        let proposed = clock.remote_micros();
        let ops = taken.iter().map(|taken| taken.op(proposed)).collect();
        let replies = match timeout(TRIP, remote.run(ops)).await {
            Ok(Ok(replies)) => replies,
            Ok(Err(error)) => {
                tracing::debug!(%error, waiting = taken.len(), "evictions still wait");
                return None;
            }
            Err(_) => return None,
        };
        let done = taken.iter().zip(replies).filter(|(_, reply)| matches!(reply, Reply::Bumped { .. }));
        let done: Vec<&Taken> = done.map(|(taken, _)| taken).collect();
        if done.is_empty() {
            return Some(false);
        }
        let mut state = self.lock();
        for taken in &done {
            state.done(taken);
        }
        self.publish(&state);
        drop(state);
        self.confirmed(done.iter().map(|taken| taken.record.clone()), clock.now());
        tracing::info!(replayed = done.len(), waiting = self.waiting(), "evictions are in force");
        Some(true)
    }

    fn publish(&self, state: &State) {
        self.queued.store(state.number, Ordering::Release);
        let waiting = state.keys.len() + state.tags.len();
        if self.waiting.swap(waiting, Ordering::AcqRel) == 0 && waiting > 0 {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// What was confirmed in the last minute may have been lost.
    fn queue_recent(&mut self, now: Tick) {
        let is_recent = |confirmed: &Tick| now.since(*confirmed) <= REMEMBERED;
        for (_, record) in std::mem::take(&mut self.recent).into_iter().filter(|(confirmed, _)| is_recent(confirmed)) {
            self.queue(record, None);
        }
        if self.forgotten.take().as_ref().is_some_and(is_recent) {
            self.queue(Record::Tag(TagId::Namespace), None);
        }
    }

    fn queue(&mut self, record: Record, incident: Option<u64>) {
        self.number += 1;
        let number = self.number;
        match record {
            Record::Control(key) if self.keys.len() < KEYS || self.keys.contains_key(&key) => {
                self.keys.insert(key, number);
            }
            Record::Control(key) => {
                let scope = key.scope();
                self.keys.retain(|key, _| key.scope() != scope);
                let whole = TagId::of_scope(scope);
                self.queue(Record::Tag(whole), None);
            }
            Record::Tag(tag) => {
                if self.tags.len() >= TAGS && !self.tags.contains_key(&tag) {
                    self.tags.clear();
                    self.keys.clear();
                    return self.queue(Record::Tag(TagId::Namespace), None);
                }
                // One that somebody asked for is not done by another node's.
                let incident = match self.tags.get(&tag) {
                    Some(waiting) if waiting.incident.is_none() => None,
                    _ => incident,
                };
                self.tags.insert(tag, Waiting { number, incident });
            }
            // Holds no version: nothing of it is ever issued again.
            Record::Journal(_) => {}
        }
    }

    /// The next of what waits, in the order in which it was queued.
    fn take(&self, after: u64) -> Vec<Taken> {
        let tags = self.tags.iter().map(|(tag, waiting)| Taken { record: Record::Tag(tag.clone()), waiting: *waiting });
        let keys = self.keys.iter().map(|(key, number)| Taken {
            record: Record::Control(key.clone()),
            waiting: Waiting { number: *number, incident: None },
        });
        let mut next: Vec<Taken> = tags.chain(keys).filter(|taken| taken.waiting.number > after).collect();
        if next.len() > BATCH {
            next.select_nth_unstable_by_key(BATCH, |taken| taken.waiting.number);
            next.truncate(BATCH);
        }
        next.sort_unstable_by_key(|taken| taken.waiting.number);
        next
    }

    /// What was queued again since it was taken along waits on.
    fn done(&mut self, taken: &Taken) {
        let number = taken.waiting.number;
        match &taken.record {
            Record::Control(key) if self.keys.get(key) == Some(&number) => {
                self.keys.remove(key);
            }
            Record::Tag(tag) if self.tags.get(tag).is_some_and(|waiting| waiting.number == number) => {
                self.tags.remove(tag);
            }
            _ => {}
        }
    }
}

impl Taken {
    fn op(&self, proposed: u64) -> Op {
        match self.waiting.incident {
            Some(incident) => Op::Heal { incident, proposed },
            None => Op::Bump { record: self.record.clone(), proposed, put: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::{Error, ErrorKind},
        tier::testing::Answering,
    };

    /// What waits after a primary is back in this way, an hour or a second after an eviction was confirmed.
    fn waiting(how: Continuity, after: Duration) -> Vec<Record> {
        let recovery = Recovery::new();
        recovery.confirmed([Record::Control(Key::new("product").arg(7_u64))], Tick::ZERO);
        recovery.restored(how, Tick::ZERO.plus(after));
        let waiting = recovery.lock().take(0);
        waiting.into_iter().map(|taken| taken.record).collect()
    }

    #[test]
    fn what_was_confirmed_in_the_last_minute_is_issued_again_wherever_it_may_be_lost() {
        let key = || Record::Control(Key::new("product").arg(7_u64));
        let second = Duration::from_secs(1);
        assert_eq!(waiting(Continuity::Unbroken, second), []);
        assert_eq!(waiting(Continuity::Replaced, second), [key()]);
        // Another node may have healed before a primary that was no longer one confirmed this.
        let healed = Continuity::RolledBack { incident: 1 };
        assert_eq!(waiting(healed, second), [Record::Tag(TagId::Namespace), key()]);
        assert_eq!(waiting(healed, Duration::from_secs(61)), [Record::Tag(TagId::Namespace)]);
    }

    /// Of which only one part answers.
    fn half(ops: Vec<Op>) -> std::future::Ready<Result<Vec<Reply>, Error>> {
        let answers = |op: Op| op.record() == Record::Control(Key::new("answers"));
        let away = || Reply::Failed(Error::new(ErrorKind::Unreachable, "test", "away"));
        let reply = |op| if answers(op) { Reply::Bumped { version: 1, stored: false } } else { away() };
        std::future::ready(Ok(ops.into_iter().map(reply).collect()))
    }

    #[tokio::test]
    async fn what_waits_for_a_primary_that_is_away_holds_up_nobody_elses() {
        let recovery = Recovery::new();
        let away = (0..3 * BATCH as u64).map(|id| Record::Control(Key::new("away").arg(id)));
        recovery.queue(away.chain([Record::Control(Key::new("answers"))]));
        let half = Answering(half);
        assert!(recovery.replay(&half, &Clock::new()).await);
        assert_eq!(recovery.waiting(), 3 * BATCH);
        assert!(!recovery.replay(&half, &Clock::new()).await, "nothing more comes of it");
    }

    #[test]
    fn more_than_can_be_remembered_is_an_eviction_of_all() {
        let recovery = Recovery::new();
        let keys = (0..=RECENT as u64).map(|id| Record::Control(Key::new("product").arg(id)));
        recovery.confirmed(keys, Tick::ZERO);
        recovery.restored(Continuity::Replaced, Tick::ZERO);
        let state = recovery.lock();
        let namespace = state.tags.get(&TagId::Namespace).expect("all is evicted");
        assert_eq!(namespace.incident, None, "another node's is not enough");
    }
}
