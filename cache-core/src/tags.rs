//! The tags that this node has an opinion on.
//!
//! One cell a tag, shared by the entries that depend on it. A tag that only the result of a load can name is harder: between
//! the load and the look at the tag's generation somebody may have evicted it. So every hint on a tag leaves the number that
//! a node-wide sequence has then; a load notes the sequence before its first command, lets everything said meanwhile arrive,
//! and stores only if the tag's number is not above what it noted. No clocks are compared.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Arc, PoisonError},
};

use crate::{
    cell::TagCell,
    epochs::Epochs,
    key::{Hashing, hashing},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    tag::TagId,
};

mod stamps;

use stamps::Stamps;

const SHARDS: usize = 64;
/// A shard is swept when it has grown to this, or to twice what the last sweep left.
const FIRST_SWEEP: usize = 64;

struct Shard {
    cells: HashMap<TagId, Arc<TagCell>>,
    sweep_at: usize,
}

/// The cells of one cache.
pub(crate) struct Tags {
    shards: Box<[Mutex<Shard>]>,
    hasher: Hashing,
    /// The hints so far, on whatever tag.
    sequence: AtomicU64,
    epochs: Arc<Epochs>,
    stamps: Stamps,
    /// Without a server cells know from the start; with one they have to ask.
    alone: bool,
    next_generation: AtomicU64,
}

impl Tags {
    /// Cells of a cache without a server: each is its own truth.
    pub(crate) fn alone(epochs: Arc<Epochs>) -> Self {
        Self::new(true, epochs)
    }

    /// Cells that have to ask a server.
    pub(crate) fn remote(epochs: Arc<Epochs>) -> Self {
        Self::new(false, epochs)
    }

    fn new(alone: bool, epochs: Arc<Epochs>) -> Self {
        let shard = || Mutex::new(Shard { cells: HashMap::new(), sweep_at: FIRST_SWEEP });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: hashing(),
            sequence: AtomicU64::new(0),
            epochs,
            stamps: Stamps::new(),
            alone,
            next_generation: AtomicU64::new(1),
        }
    }

    /// The cell of a tag, made if nobody holds one.
    pub(crate) fn cell(&self, tag: &TagId) -> Arc<TagCell> {
        let mut shard = self.shard(tag);
        if let Some(cell) = shard.cells.get(tag) {
            return Arc::clone(cell);
        }
        if shard.cells.len() >= shard.sweep_at {
            // A cell that nobody holds has nothing to say: the next entry makes a new one.
            shard.cells.retain(|_, cell| Arc::strong_count(cell) > 1);
            shard.sweep_at = FIRST_SWEEP.max(shard.cells.len() * 2);
        }
        let cell = Arc::new(if self.alone {
            TagCell::with_generation(tag.clone(), self.new_generation(), &self.epochs)
        } else {
            TagCell::unknown(tag.clone(), &self.epochs)
        });
        shard.cells.insert(tag.clone(), Arc::clone(&cell));
        cell
    }

    /// Somebody changed the tag.
    pub(crate) fn hint(&self, tag: &TagId) {
        self.raise(tag);
        if let Some(cell) = self.shard(tag).cells.get(tag) {
            if self.alone { cell.advance(self.new_generation()) } else { cell.hint() }
        }
    }

    /// The same, and what was stored under it until now is old from `at` on, in microseconds, and not gone.
    pub(crate) fn leave(&self, tag: &TagId, at: u64) {
        if !self.alone {
            // The server knows.
            return self.hint(tag);
        }
        self.raise(tag);
        if let Some(cell) = self.shard(tag).cells.get(tag) {
            cell.leave(self.new_generation(), at);
        }
    }

    /// The hints on any tag so far: noted before the first command of a load.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Whether no hint on the tag has come since `sequence` was noted.
    pub(crate) fn quiet_since(&self, tag: &TagId, sequence: u64) -> bool {
        self.stamps.of(self.hasher.hash_one(tag)) <= sequence
    }

    fn raise(&self, tag: &TagId) {
        self.stamps.raise(self.hasher.hash_one(tag), self.sequence.fetch_add(1, Ordering::AcqRel) + 1);
    }

    fn new_generation(&self) -> u64 {
        self.next_generation.fetch_add(1, Ordering::Relaxed)
    }

    fn shard(&self, tag: &TagId) -> MutexGuard<'_, Shard> {
        let shard = index(self.hasher.hash_one(tag), SHARDS);
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a remainder fits")]
fn index(hash: u64, buckets: usize) -> usize {
    (hash % buckets as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    fn tag(name: &str) -> TagId {
        TagId::Tag(Key::new("category").arg(name))
    }

    #[test]
    fn a_tag_has_one_cell_while_somebody_holds_it() {
        let tags = Tags::remote(Arc::new(Epochs::new(1)));
        let held = tags.cell(&tag("books"));
        for i in 0..100_000_u64 {
            tags.cell(&TagId::Tag(Key::new("other").arg(i)));
        }
        assert!(Arc::ptr_eq(&held, &tags.cell(&tag("books"))));
        let cells: usize = tags.shards.iter().map(|shard| shard.lock().unwrap().cells.len()).sum();
        assert!(cells <= SHARDS * (FIRST_SWEEP + 1), "cells nobody holds are swept: {cells}");
    }

    #[test]
    fn a_hint_is_seen_by_loads_that_noted_the_sequence_before() {
        let tags = Tags::remote(Arc::new(Epochs::new(1)));
        let noted = tags.sequence();
        assert!(tags.quiet_since(&tag("books"), noted));
        tags.hint(&tag("books"));
        assert!(!tags.quiet_since(&tag("books"), noted));
        assert!(tags.quiet_since(&tag("books"), tags.sequence()));
    }

    #[test]
    fn alone_a_hint_is_a_new_generation() {
        let tags = Tags::alone(Arc::new(Epochs::new(1)));
        let cell = tags.cell(&tag("books"));
        let before = cell.known().unwrap();
        tags.hint(&tag("books"));
        assert!(cell.known().is_some_and(|now| now != before));
    }
}
