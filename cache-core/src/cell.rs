//! A tag's cell: the generation that this node believes a tag to have, shared by every entry that depends on it.
//!
//! Checking an entry against a tag is two loads; evicting a tag is one store, whatever the number of entries. The cell says
//! *unknown* rather than something old: a hint makes it unknown, and so does a fence, because a generation counts only under
//! the epoch in which it was asked for.

use std::sync::{Arc, PoisonError};

use crate::{
    epochs::Epochs,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    tag::TagId,
    version::{Left, REMEMBERED, Verdict, Versions, verdict_of},
};

/// No record has this generation: versions are microseconds since 1970.
const UNKNOWN: u64 = 0;

/// What this node knows of one tag.
#[derive(Debug)]
pub(crate) struct TagCell {
    tag: TagId,
    /// The partition of the tag's record.
    partition: u16,
    epochs: Arc<Epochs>,
    generation: AtomicU64,
    epoch: AtomicU64,
    /// Up to when the record of the tag is known to live on the server, in microseconds of Redis time.
    lives_until: AtomicU64,
    /// Writers hold the lock; a hit never needs it.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Hints so far.
    hints: u64,
    /// The generations that the known one followed softly.
    left: Left,
}

/// A cell as it was before a question to the server: by it alone a hint or a fence since then is seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) cell: Arc<TagCell>,
    hints: u64,
    epoch: u64,
}

// === impl TagCell ===

impl TagCell {
    /// A cell that knows nothing yet.
    pub(crate) fn unknown(tag: TagId, epochs: &Arc<Epochs>) -> Self {
        Self::with_generation(tag, UNKNOWN, epochs)
    }

    /// A cell that is its own truth, where there is no server to ask.
    pub(crate) fn with_generation(tag: TagId, generation: u64, epochs: &Arc<Epochs>) -> Self {
        let partition = tag.partition(epochs.partitions());
        Self {
            partition,
            generation: AtomicU64::new(generation),
            epoch: AtomicU64::new(epochs.of(partition)),
            epochs: Arc::clone(epochs),
            tag,
            lives_until: AtomicU64::new(0),
            state: Mutex::new(State { hints: 0, left: Left::new() }),
        }
    }

    /// Whose cell it is.
    pub(crate) fn tag(&self) -> &TagId {
        &self.tag
    }

    /// The partition of the tag's record.
    pub(crate) fn partition(&self) -> u16 {
        self.partition
    }

    /// The generation, if it is known and nothing was missed since it was asked for.
    pub(crate) fn known(&self) -> Option<u64> {
        // The epoch first: whoever sees the new epoch sees a generation that is at least as new.
        let current = self.epoch.load(Ordering::Acquire) == self.epochs.of(self.partition);
        let generation = self.generation.load(Ordering::Acquire);
        (current && generation != UNKNOWN).then_some(generation)
    }

    /// Whether the tag is known to be at `generation` still.
    pub(crate) fn stands(&self, generation: u64) -> bool {
        self.known() == Some(generation)
    }

    /// What an entry of this generation is, and the generation that the tag is known to be at, if it is.
    pub(crate) fn verdict(&self, generation: u64) -> Option<(Verdict, u64)> {
        let known = self.known()?;
        if known == generation {
            return Some((Verdict::Current, known));
        }
        let state = self.lock();
        // Both under the lock, so that the list belongs to the generation.
        self.known().map(|known| {
            let is_current = known == generation;
            (if is_current { Verdict::Current } else { verdict_of(&state.left, generation) }, known)
        })
    }

    /// Whether no hint has come since the tag was known to be at `generation`, whatever was missed.
    pub(crate) fn unhinted_since(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Acquire) == generation
    }

    /// How it is now, for a question that is about to be asked.
    pub(crate) fn seen(self: &Arc<Self>) -> Seen {
        // The epoch first: a fence that comes in between is then seen, too early rather than too late.
        let epoch = self.epochs.of(self.partition);
        Seen { cell: Arc::clone(self), hints: self.lock().hints, epoch }
    }

    /// Somebody changed the tag: what is known no longer counts.
    pub(crate) fn hint(&self) {
        let mut state = self.lock();
        state.hints += 1;
        self.generation.store(UNKNOWN, Ordering::Release);
        self.epochs.moves().add();
    }

    /// Where there is no server, the cell itself moves on.
    pub(crate) fn advance(&self, generation: u64) {
        let mut state = self.lock();
        state.hints += 1;
        state.left.clear();
        self.generation.store(generation, Ordering::Release);
        self.epochs.moves().add();
    }

    /// The same, and what was stored under the generation that it leaves is old from `at` on, in microseconds, and not gone.
    pub(crate) fn leave(&self, generation: u64, at: u64) {
        let mut state = self.lock();
        state.hints += 1;
        let before = self.generation.swap(generation, Ordering::AcqRel);
        state.left.insert(0, (before, at));
        state.left.truncate(REMEMBERED);
        self.epochs.moves().add();
    }

    /// Whether the record on the server is known to live until `micros` of Redis time.
    pub(crate) fn lives_until(&self, micros: u64) -> bool {
        self.lives_until.load(Ordering::Relaxed) >= micros
    }

    /// The record on the server has been made to live until `micros` of Redis time.
    pub(crate) fn renewed(&self, micros: u64) {
        self.lives_until.store(micros, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while it is held, so what a poisoned lock guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seen ===

impl Seen {
    /// The server answered the question with this record. Kept only if no hint came meanwhile and nobody has learned under
    /// a later epoch.
    pub(crate) fn learn(&self, versions: &Versions) -> bool {
        let cell = &*self.cell;
        let mut state = cell.lock();
        if state.hints != self.hints || self.epoch < cell.epoch.load(Ordering::Relaxed) {
            return false;
        }
        let generation = versions.current();
        state.left.clone_from(versions.left());
        let known = cell.generation.swap(generation, Ordering::AcqRel);
        cell.epoch.store(self.epoch, Ordering::Release);
        if known != UNKNOWN && known != generation {
            cell.epochs.moves().add();
        }
        true
    }

    /// Whether no hint has come since.
    pub(crate) fn unhinted(&self) -> bool {
        self.cell.lock().hints == self.hints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> Arc<TagCell> {
        Arc::new(TagCell::unknown(TagId::Namespace, &Arc::new(Epochs::new(1))))
    }

    #[test]
    fn learn_after_a_hint_is_refused() {
        let cell = cell();
        let before = cell.seen();
        cell.hint();
        assert!(!before.learn(&Versions::at(7)), "the answer may be older than the hint");
        assert_eq!(cell.known(), None);
    }

    #[test]
    fn known_under_another_epoch_is_unknown() {
        let cell = cell();
        assert!(cell.seen().learn(&Versions::at(7)));
        assert!(cell.stands(7));
        cell.epochs.fence([0]);
        assert_eq!(cell.known(), None, "a fence reaches the cells");
    }

    #[test]
    fn learn_under_an_older_epoch_is_refused() {
        let cell = cell();
        let older = cell.seen();
        cell.epochs.fence([0]);
        assert!(cell.seen().learn(&Versions::at(8)));
        assert!(!older.learn(&Versions::at(7)));
        assert!(cell.stands(8));
    }

    #[test]
    fn learn_of_a_question_from_before_a_fence_counts_for_nothing() {
        let cell = cell();
        let before = cell.seen();
        cell.epochs.fence([0]);
        before.learn(&Versions::at(7));
        assert_eq!(cell.known(), None);
    }

    #[test]
    fn moves_are_counted_when_a_known_generation_is_left() {
        let cell = cell();
        let count = || cell.epochs.moves().count();
        assert!(cell.seen().learn(&Versions::at(7)));
        assert!(cell.seen().learn(&Versions::at(7)));
        assert_eq!(count(), 0, "nobody can have found the tag at another generation");
        assert!(cell.seen().learn(&Versions::at(8)));
        assert_eq!(count(), 1, "a change that was read before it was heard");
        cell.hint();
        assert_eq!(count(), 2);
        cell.advance(9);
        assert_eq!(count(), 3);
    }
    #[test]
    fn generation_that_was_left_softly_is_old_until_it_is_left_for_good() {
        let cell = cell();
        assert_eq!(cell.verdict(7), None, "nothing is known");
        assert!(cell.seen().learn(&Versions::parse(b"9 7").unwrap()));
        assert_eq!(cell.verdict(9), Some((Verdict::Current, 9)));
        assert_eq!(cell.verdict(7), Some((Verdict::Left(9), 9)));
        assert_eq!(cell.verdict(8), Some((Verdict::Gone, 9)));
        cell.hint();
        assert_eq!(cell.verdict(7), None, "it may be gone by now");
        assert!(cell.seen().learn(&Versions::at(10)));
        assert_eq!(cell.verdict(7), Some((Verdict::Gone, 10)));
    }

    #[test]
    fn generation_left_softly_alone_is_old_until_it_is_left_for_good() {
        let cell = cell();
        cell.advance(1);
        cell.leave(2, 50);
        cell.leave(3, 60);
        let verdicts = [3, 2, 1].map(|generation| cell.verdict(generation).map(|(verdict, _)| verdict));
        assert_eq!(verdicts, [Some(Verdict::Current), Some(Verdict::Left(60)), Some(Verdict::Left(50))]);
        cell.advance(4);
        assert_eq!(cell.verdict(2), Some((Verdict::Gone, 4)));
    }
}
