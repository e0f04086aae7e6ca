//! A tag's cell: the generation that this node believes a tag to have, shared by every entry that depends on it.
//!
//! Checking an entry against a tag is two loads; evicting a tag is one store, whatever the number of entries. The cell says
//! *unknown* rather than something old: a hint makes it unknown, and so does a fence, because a generation counts only under
//! the epoch in which it was read.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{moves::Moves, tag::TagId};

/// No record has this generation: versions are microseconds since 1970.
const UNKNOWN: u64 = 0;

/// What this node knows of one tag.
#[derive(Debug)]
pub(crate) struct TagCell {
    tag: TagId,
    moves: Arc<Moves>,
    generation: AtomicU64,
    epoch: AtomicU64,
    /// Up to when the record of the tag is known to live on the server, in microseconds of Redis time.
    lives_until: AtomicU64,
    /// Hints so far. Writers hold the lock; readers never need it.
    hints: Mutex<u64>,
}

impl TagCell {
    /// A cell that knows nothing yet.
    pub(crate) fn unknown(tag: TagId, moves: &Arc<Moves>) -> Self {
        Self::with_generation(tag, UNKNOWN, moves)
    }

    /// A cell that is its own truth, where there is no server to ask.
    pub(crate) fn with_generation(tag: TagId, generation: u64, moves: &Arc<Moves>) -> Self {
        Self {
            tag,
            moves: Arc::clone(moves),
            generation: AtomicU64::new(generation),
            epoch: AtomicU64::new(0),
            lives_until: AtomicU64::new(0),
            hints: Mutex::new(0),
        }
    }

    /// Whose cell it is.
    pub(crate) fn tag(&self) -> &TagId {
        &self.tag
    }

    /// The generation, if it is known under `epoch`.
    #[inline]
    pub(crate) fn known(&self, epoch: u64) -> Option<u64> {
        // The epoch first: whoever sees the new epoch sees a generation that is at least as new.
        let current = self.epoch.load(Ordering::Acquire) == epoch;
        let generation = self.generation.load(Ordering::Acquire);
        (current && generation != UNKNOWN).then_some(generation)
    }

    /// Whether the tag is known to be at `generation` still.
    #[inline]
    pub(crate) fn stands(&self, generation: u64, epoch: u64) -> bool {
        self.known(epoch) == Some(generation)
    }

    /// Hints so far: read before asking for the generation, and handed to [`learn`](Self::learn) with the answer.
    pub(crate) fn hints(&self) -> u64 {
        *self.lock()
    }

    /// Somebody changed the tag: what is known no longer counts.
    pub(crate) fn hint(&self) {
        let mut hints = self.lock();
        *hints += 1;
        self.generation.store(UNKNOWN, Ordering::Release);
        self.moves.add();
    }

    /// The server answered `generation` to a question asked under `epoch`, after `hints_before` hints. Kept only if no hint
    /// came meanwhile and nobody has learned under a later epoch.
    pub(crate) fn learn(&self, generation: u64, epoch: u64, hints_before: u64) -> bool {
        let hints = self.lock();
        if *hints != hints_before || epoch < self.epoch.load(Ordering::Relaxed) {
            return false;
        }
        let known = self.generation.swap(generation, Ordering::AcqRel);
        self.epoch.store(epoch, Ordering::Release);
        if known != UNKNOWN && known != generation {
            self.moves.add();
        }
        true
    }

    /// Where there is no server, the cell itself moves on.
    pub(crate) fn advance(&self, generation: u64) {
        let mut hints = self.lock();
        *hints += 1;
        self.generation.store(generation, Ordering::Release);
        self.moves.add();
    }

    /// Whether the record on the server is known to live until `micros` of Redis time.
    pub(crate) fn lives_until(&self, micros: u64) -> bool {
        self.lives_until.load(Ordering::Relaxed) >= micros
    }

    /// The record on the server has been made to live until `micros` of Redis time.
    pub(crate) fn renewed(&self, micros: u64) {
        self.lives_until.store(micros, Ordering::Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        // Nothing can panic while it is held, so a poisoned lock still guards a whole number.
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell() -> TagCell {
        TagCell::unknown(TagId::Namespace, &Arc::default())
    }

    #[test]
    fn learn_after_a_hint_is_refused() {
        let cell = cell();
        let before = cell.hints();
        cell.hint();
        assert!(!cell.learn(7, 0, before), "the answer may be older than the hint");
        assert_eq!(cell.known(0), None);
    }

    #[test]
    fn known_under_another_epoch_is_unknown() {
        let cell = cell();
        assert!(cell.learn(7, 1, cell.hints()));
        assert!(cell.stands(7, 1));
        assert_eq!(cell.known(2), None, "a fence reaches the cells");
    }

    #[test]
    fn learn_under_an_older_epoch_is_refused() {
        let cell = cell();
        assert!(cell.learn(8, 2, cell.hints()));
        assert!(!cell.learn(7, 1, cell.hints()));
        assert!(cell.stands(8, 2));
    }

    #[test]
    fn moves_are_counted_when_a_known_generation_is_left() {
        let cell = cell();
        let count = || cell.moves.count();
        assert!(cell.learn(7, 0, cell.hints()));
        assert!(cell.learn(7, 1, cell.hints()));
        assert_eq!(count(), 0, "nobody can have found the tag at another generation");
        assert!(cell.learn(8, 1, cell.hints()));
        assert_eq!(count(), 1, "a change that was read before it was heard");
        cell.hint();
        assert_eq!(count(), 2);
        cell.advance(9);
        assert_eq!(count(), 3);
    }
}
