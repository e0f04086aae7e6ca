//! When each tag was hinted at last, in bounded memory and never too early.
//!
//! Tags share slots. A slot knows the tag that was hinted at last, by some bits of its hash, and of all the others only the
//! latest stamp. So a tag is taken for another only if the bits agree as well, or if two tags of one slot were hinted at
//! during one load: that costs a value that is not stored, and nothing else.

use super::index;
use crate::sync::{
    atomic::{AtomicU64, Ordering},
    scaled,
};

const SLOTS: usize = scaled(1 << 12);
/// The lower bits are the stamp, the others are of the tag's hash. At a million hints a second they last for eight years.
const STAMP_BITS: u32 = 48;
const STAMP: u64 = (1 << STAMP_BITS) - 1;

#[derive(Debug, Default)]
struct Slot {
    last: AtomicU64,
    /// The latest stamp of the tags that are not in `last` any more.
    others: AtomicU64,
}

/// The stamps of all tags of one cache.
#[derive(Debug)]
pub(super) struct Stamps(Box<[Slot]>);

impl Stamps {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| Slot::default()).collect())
    }

    /// The tag was hinted at, with this number.
    pub(super) fn raise(&self, hash: u64, stamp: u64) {
        let slot = self.slot(hash);
        let new = (hash & !STAMP) | (stamp & STAMP);
        let mut last = slot.last.load(Ordering::Acquire);
        loop {
            let is_same = (last ^ new) & !STAMP == 0;
            if last & STAMP >= stamp {
                // Somebody with a later number was faster.
                if !is_same {
                    slot.others.fetch_max(stamp, Ordering::AcqRel);
                }
                return;
            }
            if !is_same {
                // Before it is gone from `last`: a reader looks there first.
                slot.others.fetch_max(last & STAMP, Ordering::AcqRel);
            }
            match slot.last.compare_exchange(last, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => last = now,
            }
        }
    }

    /// The tag's last stamp, or a later one of another tag.
    pub(super) fn of(&self, hash: u64) -> u64 {
        let slot = self.slot(hash);
        let last = slot.last.load(Ordering::Acquire);
        let own = if (last ^ hash) & !STAMP == 0 { last & STAMP } else { 0 };
        own.max(slot.others.load(Ordering::Acquire))
    }

    fn slot(&self, hash: u64) -> &Slot {
        &self.0[index(hash, SLOTS)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `n`th hash of one slot, each with bits of its own.
    fn hash(n: u64) -> u64 {
        n << STAMP_BITS
    }

    #[test]
    fn a_tag_alone_in_the_window_disturbs_no_other_of_its_slot() {
        let stamps = Stamps::new();
        stamps.raise(hash(1), 7);
        assert_eq!((stamps.of(hash(1)), stamps.of(hash(2))), (7, 0));
    }

    #[test]
    fn no_stamp_is_forgotten() {
        let stamps = Stamps::new();
        for (tag, stamp) in [(1, 1), (2, 2), (3, 3), (1, 4)] {
            stamps.raise(hash(tag), stamp);
        }
        assert_eq!(stamps.of(hash(1)), 4);
        assert!(stamps.of(hash(2)) >= 2);
        assert!(stamps.of(hash(3)) >= 3);
    }

    #[test]
    fn a_stamp_that_comes_late_takes_nothing_back() {
        let stamps = Stamps::new();
        stamps.raise(hash(1), 9);
        stamps.raise(hash(1), 8);
        stamps.raise(hash(2), 5);
        assert_eq!(stamps.of(hash(1)), 9);
        assert_eq!(stamps.of(hash(2)), 5);
    }
}
