//! L1 on moka, used as a bounded map and nothing more.
//!
//! None of moka's loaders (they store unconditionally, so that an eviction during a load is undone), none of its predicates,
//! and no expiry as truth (its clock is its own): whether an entry may be served is judged by the entry's own marks.

use std::hash::{BuildHasherDefault, Hasher};

use moka::{ops::compute::Op, sync::Cache};

use crate::{
    entry::Place,
    tier::{Change, LocalTier},
};

/// The key is a hash already, seeded for this process.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u128` is ever called; folding keeps this total.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "either half of the hash is a hash")]
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// L1 on moka.
pub(crate) struct MokaTier {
    entries: Cache<u128, Place, BuildHasherDefault<Identity>>,
}

impl MokaTier {
    /// A tier that keeps `capacity` keys at most, the ones used most.
    pub(crate) fn new(capacity: u64) -> Self {
        Self { entries: Cache::builder().max_capacity(capacity).build_with_hasher(BuildHasherDefault::default()) }
    }
}

impl LocalTier for MokaTier {
    #[inline]
    fn get(&self, hash: u128) -> Option<Place> {
        self.entries.get(&hash)
    }

    fn compute(&self, hash: u128, change: &mut dyn FnMut(Option<&Place>) -> Change) {
        self.entries.entry(hash).and_compute_with(|present| {
            match change(present.map(moka::Entry::into_value).as_ref()) {
                Change::Keep => Op::Nop,
                Change::Remove => Op::Remove,
                Change::Replace(place) => Op::Put(place),
            }
        });
    }

    fn len(&self) -> u64 {
        // The count is kept by maintenance, which otherwise waits for traffic.
        self.entries.run_pending_tasks();
        self.entries.entry_count()
    }
}
