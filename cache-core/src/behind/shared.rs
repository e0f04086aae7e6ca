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

use super::{AckLevel, Tuning, sink::Partition};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
    journal::{Ask, Journal, JournalOp, Owner, Safety, Said},
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
    /// The name under which this one owns partitions.
    pub(crate) owner: Owner,
    pub(crate) partitions: u16,
    pub(crate) tuning: Tuning,
    /// Where a change has to be before its writer is answered, beyond the journal.
    pub(crate) safety: Option<Safety>,
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

    /// What the server of each partition says of itself, and of when it has its file written to the disk.
    ///
    /// # Errors
    ///
    /// A server that does not answer.
    pub(super) async fn servers(&self) -> Result<Vec<String>, Error> {
        let asks = (0..self.partitions).flat_map(|partition| [(partition, Ask::Server), (partition, Ask::Fsync)]);
        let mut servers = Vec::new();
        let mut answers = self.ask_all(asks.collect()).await?.into_iter();
        while let Some((server, fsync)) = answers.next().zip(answers.next()) {
            let fsync = match fsync {
                Ok(Said::Server(fsync)) => fsync,
                Err(error) if error.is_transient() => return Err(error),
                // What a user may not ask for is left out.
                _ => String::new(),
            };
            let Said::Server(server) = server? else {
                return Err(Error::new(ErrorKind::Remote, "write-behind", "the server does not say how it is set"));
            };
            servers.push(format!("{server}appendfsync:{fsync}\r\n"));
        }
        Ok(servers)
    }

    /// What the writers of a level wait for, as far as the servers can be asked for it: by a journal's append alone if not.
    ///
    /// # Errors
    ///
    /// A server that does not answer, or that does not let itself be asked for what nothing else can stand in for.
    pub(super) async fn safety_of(&self, ack: AckLevel) -> Result<Option<Safety>, Error> {
        let safety = match ack {
            AckLevel::Accepted | AckLevel::Journaled => return Ok(None),
            AckLevel::Fsynced => Safety::OnDisk,
            AckLevel::Replicated(replicas) => Safety::OnReplicas(replicas),
        };
        let asks = (0..self.partitions).map(|partition| (partition, Ask::CanSay(safety))).collect();
        for said in self.ask_all(asks).await? {
            match said {
                Ok(_) => {}
                // One of before Redis 7.2, or a user without the right.
                Err(error) if safety == Safety::OnDisk && !error.is_transient() => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Denied => {
                    let detail =
                        "`AckLevel::Replicated` needs the right to `WAIT`: allow it to the user in the ACL (`+wait`)";
                    return Err(Error::caused(ErrorKind::Denied, "write-behind", detail, error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Some(safety))
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
        Ask::Own { owner: self.owner, millis: self.tuning.owned.as_millis() as u64, above }
    }

    pub(super) fn disown_ask(&self, fence: u64) -> Ask {
        Ask::Disown { owner: self.owner, fence }
    }

    /// Says that this one flushes, for as long as a partition is owned.
    pub(super) fn present_ask(&self) -> Ask {
        Ask::Present { owner: self.owner, millis: self.tuning.owned.as_millis() as u64 }
    }

    pub(super) fn disowned(&self, number: u16) {
        self.lock_owned().remove(&number);
    }
}
