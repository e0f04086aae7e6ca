//! What the handle of a journal and its flusher share.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{Tuning, sink::Partition};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
    journal::{Ask, Journal, JournalOp, Said},
};

/// What the flusher of this process has done.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    /// Changes that left the journal.
    pub(crate) changes: AtomicU64,
    /// Writes that the sink was given for them.
    pub(crate) writes: AtomicU64,
    /// Batches.
    pub(crate) batches: AtomicU64,
    /// Times that the sink failed as a whole.
    pub(crate) failures: AtomicU64,
}

/// What the handle and the flusher share.
pub(crate) struct Shared {
    pub(crate) namespace: Arc<str>,
    pub(crate) scope: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) partitions: u16,
    pub(crate) tuning: Tuning,
    pub(crate) flushed: Flushed,
    /// Some partition has a batch's worth to flush.
    pub(crate) wake: Notify,
    /// What this process appended to each partition since that was last looked at.
    pub(crate) fresh: Box<[AtomicU64]>,
    /// Nothing new is taken; flush what there is without waiting for more.
    pub(crate) draining: watch::Sender<bool>,
    /// The flusher has asked for every partition once: what it owns is known.
    pub(crate) asked: watch::Sender<bool>,
    /// The flusher is to end.
    pub(crate) stop: CancellationToken,
    /// The flusher has ended.
    pub(crate) ended: watch::Sender<bool>,
    /// Partitions that this process owns, each with its fence.
    pub(crate) owned: std::sync::Mutex<HashMap<u16, u64>>,
}

// === impl Shared ===

impl Shared {
    pub(super) fn partition(&self, number: u16) -> Partition {
        Partition::of(&self.namespace, &self.scope, number)
    }

    /// Asks each of these partitions, in one trip.
    pub(crate) async fn ask_all(&self, asks: Vec<(u16, Ask)>) -> Result<Vec<Result<Said, Error>>, Error> {
        let op = |(partition, ask)| JournalOp { journal: Arc::clone(&self.scope), partition, ask };
        self.journal.ask(asks.into_iter().map(op).collect()).await
    }

    pub(crate) async fn ask(&self, partition: u16, ask: Ask) -> Result<Said, Error> {
        let mut said = self.ask_all(vec![(partition, ask)]).await?;
        said.pop().unwrap_or_else(|| Err(Error::new(ErrorKind::Remote, "journal", "no answer")))
    }

    pub(crate) fn lock_owned(&self) -> std::sync::MutexGuard<'_, HashMap<u16, u64>> {
        self.owned.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts a change that was appended to a partition.
    pub(crate) fn appended(&self, partition: u16) {
        let before = self.fresh[usize::from(partition)].fetch_add(1, Ordering::Relaxed);
        if before + 1 == self.tuning.batch as u64 {
            self.wake.notify_one();
        }
    }

    /// Asks for a partition for as long as one is owned.
    pub(super) fn own_ask(&self, above: u64) -> Ask {
        Ask::Own { millis: self.tuning.owned.as_millis() as u64, above }
    }

    pub(super) fn disowned(&self, number: u16) {
        self.lock_owned().remove(&number);
    }
}
