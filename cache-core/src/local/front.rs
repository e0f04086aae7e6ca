//! The front: the entries that are asked for most, where one look finds them, before moka is asked at all.
//!
//! A copy of what moka holds, in sets of four ways; a set is one cache line. Finding an entry here takes no reference count,
//! no clock and no record of the read, which together are most of what moka's `get` costs. Nothing here is true by being
//! here: an entry is judged by its own marks and its own key, so a way that is late, or that two threads wrote at once, can
//! only cost a look at moka.

#[cfg(not(all(test, shuttle)))]
use std::cell::Cell;
use std::{array, sync::Arc};

use arc_swap::ArcSwapOption;

#[cfg(all(test, shuttle))]
use crate::sync::is_turn;
use crate::{
    entry::Entry,
    sync::atomic::{AtomicU64, Ordering},
};

const WAYS: usize = 4;
/// More sets than this are not worth their memory: 128 KiB.
const SETS_MAX: usize = 2_048;
/// The bits of a mark that say how well used its way is; the others are of the hash.
const CREDIT: u64 = 3;
/// One read in so many that were found in moka alone may bring its entry here.
const OFFERS: u64 = 8;
/// One hit in so many is made known to moka, whose choice of what to keep goes by its own reads.
const TOLD: u64 = 16;

/// The front of a local tier.
pub(super) struct Front {
    sets: Box<[Set]>,
}

#[repr(align(64))]
struct Set {
    /// What stands in each way, roughly: the hash of its key, and its credit. 0 is an empty way.
    marks: [AtomicU64; WAYS],
    entries: [ArcSwapOption<Entry>; WAYS],
}

/// What a look at the front came to.
pub(super) enum Found {
    /// The entry was taken. `tell` says that it is moka's turn to hear of it.
    Taken {
        tell: bool,
    },
    /// This way has one of the key, or of one that looks like it, which was of no use.
    Useless(usize),
    Nothing,
}

#[cfg(not(all(test, shuttle)))]
thread_local! {
    /// A sequence of numbers of this thread's own, to do some things for one read in so many.
    static DICE: Cell<u64> = const { Cell::new(0) };
}

/// Whether this is the one in `many`, a power of two. By chance: a program that reads its keys in turn would else let the same
/// ones in again and again.
#[cfg(not(all(test, shuttle)))]
#[inline]
fn is_turn(many: u64) -> bool {
    DICE.with(|dice| {
        // Knuth's MMIX generator, of whose state the upper bits are the random ones.
        let next = dice.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        dice.set(next);
        (next >> 40) & (many - 1) == 0
    })
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "half of the hash is a hash")]
fn mark_of(hash: u128) -> u64 {
    hash as u64 & !CREDIT
}

// === impl Front ===

impl Front {
    /// A front for `capacity` entries at most, and no more than are worth it.
    pub(super) fn new(capacity: u64) -> Self {
        let sets = usize::try_from(capacity / WAYS as u64).unwrap_or(SETS_MAX).clamp(1, SETS_MAX);
        let sets = if sets.is_power_of_two() { sets } else { sets.next_power_of_two() / 2 };
        Self { sets: (0..sets).map(|_| Set::empty()).collect() }
    }

    /// Shows `look` what stands here under the hash.
    #[inline]
    pub(super) fn peek(&self, hash: u128, look: &mut dyn FnMut(&Arc<Entry>) -> bool) -> Found {
        let (set, mark) = (self.set(hash), mark_of(hash));
        for (way, seen) in set.marks.iter().enumerate() {
            let found = seen.load(Ordering::Relaxed);
            if found & !CREDIT != mark {
                continue;
            }
            if !set.entries[way].load().as_ref().is_some_and(&mut *look) {
                return Found::Useless(way);
            }
            if found & CREDIT != CREDIT {
                seen.store(found | CREDIT, Ordering::Relaxed);
            }
            return Found::Taken { tell: is_turn(TOLD) };
        }
        Found::Nothing
    }

    /// Moka had an entry that was of use: it is taken in now and then, where a way has not been used for long.
    pub(super) fn offer(&self, hash: u128, entry: &Arc<Entry>) {
        if !is_turn(OFFERS) {
            return;
        }
        let set = self.set(hash);
        let credit = |way: usize| set.marks[way].load(Ordering::Relaxed) & CREDIT;
        match (0..WAYS).find(|way| credit(*way) == 0) {
            Some(way) => self.put(hash, way, entry),
            None => set.marks.iter().for_each(|seen| {
                let found = seen.load(Ordering::Relaxed);
                // Another thread may have let go of it meanwhile.
                if found & CREDIT != 0 {
                    seen.store(found - 1, Ordering::Relaxed);
                }
            }),
        }
    }

    /// Puts an entry where another stood.
    pub(super) fn put(&self, hash: u128, way: usize, entry: &Arc<Entry>) {
        let set = self.set(hash);
        set.entries[way].store(Some(Arc::clone(entry)));
        set.marks[way].store(mark_of(hash) | 1, Ordering::Relaxed);
    }

    /// Lets go of what stands here under the hash.
    pub(super) fn clear(&self, hash: u128) {
        let (set, mark) = (self.set(hash), mark_of(hash));
        for (seen, entry) in set.marks.iter().zip(&set.entries) {
            if seen.load(Ordering::Relaxed) & !CREDIT == mark {
                seen.store(0, Ordering::Relaxed);
                entry.store(None);
            }
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the remainder fits")]
    fn set(&self, hash: u128) -> &Set {
        // Bits that neither moka's map nor the marks nor the stripes are made of.
        &self.sets[(hash >> 96) as usize & (self.sets.len() - 1)]
    }
}

impl Set {
    fn empty() -> Self {
        Self { marks: array::from_fn(|_| AtomicU64::new(0)), entries: array::from_fn(|_| ArcSwapOption::empty()) }
    }
}
