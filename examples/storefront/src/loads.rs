//! Counts what the cache did not answer.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often the database was read by a function that the cache stands in front of.
#[derive(Debug, Default)]
pub(crate) struct Loads(AtomicU64);

// === impl Loads ===

impl Loads {
    /// One more.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
