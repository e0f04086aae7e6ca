//! One number for all the marks by which entries of L1 are judged.
//!
//! A stripe, an epoch, the cell of a tag: each says for some entries that they may no longer be served as they are. Looking
//! at all of them takes a load from here and there for each hit. So whoever moves one of them adds to this number
//! afterwards, and an entry that was found to stand remembers what the number was before it was looked at: while it is the
//! same, nothing at all has moved, and there is nothing to look at again.

use crate::sync::atomic::{AtomicU64, Ordering};

/// How often any mark of one cache has moved.
#[derive(Debug, Default)]
pub(crate) struct Moves(AtomicU64);

impl Moves {
    /// No count is ever this.
    pub(crate) const NEVER: u64 = u64::MAX;

    /// To be read before the marks are looked at.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// To be called after a mark has moved: whoever reads the new count sees the mark where it is now.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
