//! The database of a case: one row whose revision counts up, with a gate at which a read or a write can be held.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::timeout};

/// Longer than anything that does not hang takes to reach a gate.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every contender caches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Which row.
    pub(crate) id: u64,
    /// What it said when it was read.
    pub(crate) revision: u64,
}

/// A handle on the database. Its clones share the rows; a gated one holds whoever reads or writes through it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    rows: Arc<Rows>,
    gate: Option<Gate>,
}

#[derive(Debug, Default)]
struct Rows {
    revision: AtomicU64,
    reads: AtomicU64,
}

/// Holds those who have read the row, or written it, and have not yet said so to the cache.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    reached: Arc<watch::Sender<u64>>,
    open: Arc<watch::Sender<bool>>,
}

// === impl Source ===

impl Source {
    /// A database whose rows are of this revision.
    pub(crate) fn at(revision: u64) -> Self {
        let source = Self::default();
        source.write(revision);
        source
    }

    /// Changes the rows.
    pub(crate) fn write(&self, revision: u64) {
        self.rows.revision.store(revision, Ordering::SeqCst);
    }

    /// How often a row was read so far.
    pub(crate) fn reads(&self) -> u64 {
        self.rows.reads.load(Ordering::SeqCst)
    }

    /// The same rows behind a gate, which is closed.
    pub(crate) fn gated(&self) -> (Self, Gate) {
        let gate = Gate { reached: Arc::new(watch::Sender::new(0)), open: Arc::new(watch::Sender::new(false)) };
        (Self { rows: Arc::clone(&self.rows), gate: Some(gate.clone()) }, gate)
    }

    /// A load: reads the row, then waits at the gate.
    pub(crate) async fn read(&self, id: u64) -> Row {
        self.rows.reads.fetch_add(1, Ordering::SeqCst);
        let row = Row { id, revision: self.rows.revision.load(Ordering::SeqCst) };
        self.pass().await;
        row
    }

    /// A write: changes the row, then waits at the gate.
    pub(crate) async fn commit(&self, id: u64, revision: u64) -> Row {
        self.write(revision);
        self.pass().await;
        Row { id, revision }
    }

    async fn pass(&self) {
        if let Some(gate) = &self.gate {
            gate.reached.send_modify(|reached| *reached += 1);
            let mut open = gate.open.subscribe();
            // The sender is in `gate`, so this ends with the gate open, or with the caller's drop.
            let _ = open.wait_for(|open| *open).await;
        }
    }
}

// === impl Gate ===

impl Gate {
    /// Waits until so many have come to the gate. An error if they do not.
    pub(crate) async fn reached(&self, count: u64) -> Result<(), String> {
        let mut reached = self.reached.subscribe();
        let waited = timeout(PATIENCE, reached.wait_for(|reached| *reached >= count)).await;
        waited.map_err(|_| "the function was never called".to_owned())?.map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Lets everybody through, now and from now on.
    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }
}
