//! What has been written, and so what a read may still show: the rule by which an answer is too old.

use std::sync::atomic::{AtomicU64, Ordering};

/// Nodes of a tour that keeps a ledger.
pub(crate) const NODES: usize = 2;

/// The products that are watched.
#[derive(Debug)]
pub(crate) struct Ledger(Vec<Entry>);

/// A product and its revisions.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The product.
    pub(crate) id: u64,
    /// The last revision that was written, on any node.
    newest: AtomicU64,
    /// The oldest revision that each node may still show.
    floors: [AtomicU64; NODES],
}

// === impl Ledger ===

impl Ledger {
    /// A ledger of products that nobody has written yet.
    pub(crate) fn new(ids: impl IntoIterator<Item = u64>) -> Self {
        let entry = |id| Entry { id, newest: AtomicU64::new(1), floors: [const { AtomicU64::new(1) }; NODES] };
        Self(ids.into_iter().map(entry).collect())
    }

    /// All products.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// From now on nobody may show anything but the newest: an update is acknowledged and heard, or an outage is over.
    pub(crate) fn settled(&self) {
        for entry in &self.0 {
            for floor in &entry.floors {
                floor.fetch_max(entry.newest.load(Ordering::SeqCst), Ordering::SeqCst);
            }
        }
    }
}

// === impl Entry ===

impl Entry {
    /// `node` wrote this revision, and must show it at once.
    pub(crate) fn wrote(&self, node: usize, revision: u64) {
        self.newest.fetch_max(revision, Ordering::SeqCst);
        self.floors[node].fetch_max(revision, Ordering::SeqCst);
    }

    /// The last revision written.
    pub(crate) fn newest(&self) -> u64 {
        self.newest.load(Ordering::SeqCst)
    }

    /// The oldest revision that `node` may show to a request that is sent now.
    pub(crate) fn floor(&self, node: usize) -> u64 {
        self.floors[node].load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_binds_its_own_node_at_once_and_the_other_when_settled() {
        let ledger = Ledger::new([7]);
        let entry = &ledger.entries()[0];
        entry.wrote(0, 3);
        assert_eq!((entry.floor(0), entry.floor(1), entry.newest()), (3, 1, 3));
        ledger.settled();
        assert_eq!(entry.floor(1), 3);
        entry.wrote(1, 2);
        assert_eq!(entry.floor(1), 3, "a floor never sinks");
    }
}
