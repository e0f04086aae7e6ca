//! The ports: what the machinery asks of a local tier, of a remote tier, and of whatever tells it about changes.
//!
//! A remote tier takes a batch of operations and answers it in one pipelined trip. "No Redis" is a tier too, [`NullRemote`],
//! so that there is one code path.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, Tick},
    entry::Entry,
    error::Error,
    key::Key,
    schema::Fingerprint,
    tag::TagId,
};

/// A boxed future, so that tiers can be chosen at run time.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A record that carries a version or a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The control record of a key.
    Control(Key),
    /// The record of a tag.
    Tag(TagId),
}

/// A payload to store beside a bump, if the control record is what it was when the writer looked.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) captured: u64,
    /// The payload's type and bytes, for a tier that stores payloads.
    pub(crate) sealed: Option<(Fingerprint, Vec<u8>)>,
    pub(crate) life: Duration,
}

/// One operation on the remote tier.
#[derive(Debug)]
pub(crate) enum Op {
    /// The version of a key and the payload of one of its types. Answered by [`Reply::Read`].
    Read { key: Key, fingerprint: Fingerprint },
    /// Whether the record still is at this version. Answered by [`Reply::Yes`].
    Check { record: Record, version: u64 },
    /// The version of a record, if it has one. Answered by [`Reply::Version`].
    Version { record: Record },
    /// The version of a record, created if it has none, its life renewed if it is shorter than `needs`; `None` is for ever.
    /// Silent: nobody is told. Answered by [`Reply::Version`].
    Acquire { record: Record, needs: Option<Duration> },
    /// Stores a payload iff the control record is at `version`. Silent. Answered by [`Reply::Yes`].
    Fill { key: Key, fingerprint: Fingerprint, version: u64, payload: Vec<u8>, life: Duration },
    /// Moves a record to a new version, `proposed` or above, and tells everybody. Answered by [`Reply::Bumped`].
    Bump { record: Record, proposed: u64, put: Option<Put> },
}

/// The answer to an [`Op`].
#[derive(Debug)]
pub(crate) enum Reply {
    Read {
        version: Option<u64>,
        payload: Option<Vec<u8>>,
    },
    Version(Option<u64>),
    Yes(bool),
    Bumped {
        version: u64,
        stored: bool,
    },
    /// The server refused this one operation.
    Failed(Error),
}

/// L2.
pub(crate) trait RemoteTier: Send + Sync + 'static {
    /// Answers each operation, in order, in one trip. Dropping the future is safe: the operations may still happen.
    fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>>;

    /// Lets every change that was made before this call arrive at the [`ChangeListener`].
    fn barrier(&self) -> BoxFuture<'_, Result<(), Error>>;

    /// Whether the tier can settle a doubt about an entry of L1. Without a server the check at the fill is the guard.
    fn settles_doubts(&self) -> bool;

    /// Whether payloads are worth encoding for it.
    fn stores(&self) -> bool {
        self.settles_doubts()
    }

    /// The name of the record in the store, for people; `None` where there is no store.
    fn record_name(&self, record: &Record) -> Option<String>;

    /// Tells the tier that an eviction was not confirmed: what it holds is not to be trusted until all of it has been
    /// evicted once.
    fn distrust(&self);

    /// Whether what the tier says can be used.
    fn trusted(&self) -> bool;

    /// Ends the tier's own tasks and connections.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Who is told about changes: the machinery of coherence.
pub(crate) trait ChangeListener: Send + Sync + 'static {
    /// The control record of a key changed.
    fn key_changed(&self, key: &Key);
    /// The record of a tag changed.
    fn tag_changed(&self, tag: &TagId);
    /// Changes may have been missed.
    fn gap(&self, why: &'static str);
    /// Every change acknowledged before `sent` has been told.
    fn heard_up_to(&self, sent: Tick);
    /// Whether the server answers at all.
    fn reachable(&self, reachable: bool);
}

/// What to do with what L1 holds under a key.
pub(crate) enum Change {
    Keep,
    Remove,
    Replace(Arc<Entry>),
}

/// L1.
pub(crate) trait LocalTier: Send + Sync + 'static {
    /// Shows `look` what is held under the hash, or was a moment ago: it may be shown something that has been removed, and then
    /// something else. `look` says whether it was of use, and so does the answer.
    fn peek(&self, hash: u128, look: &mut dyn FnMut(&Arc<Entry>) -> bool) -> bool;

    /// What is held under the hash now.
    fn get(&self, hash: u128) -> Option<Arc<Entry>>;

    /// Changes what is held under a hash; calls for one hash exclude each other.
    fn compute(&self, hash: u128, change: &mut dyn FnMut(Option<&Arc<Entry>>) -> Change);

    /// How many keys there are, about.
    fn len(&self) -> u64;
}

/// The local tier of a cache that keeps nothing.
#[derive(Debug)]
pub(crate) struct NullLocal;

impl LocalTier for NullLocal {
    fn peek(&self, _hash: u128, _look: &mut dyn FnMut(&Arc<Entry>) -> bool) -> bool {
        false
    }

    fn get(&self, _hash: u128) -> Option<Arc<Entry>> {
        None
    }

    fn compute(&self, _hash: u128, change: &mut dyn FnMut(Option<&Arc<Entry>>) -> Change) {
        change(None);
    }

    fn len(&self) -> u64 {
        0
    }
}

/// The remote tier of a cache without a server.
#[derive(Debug)]
pub(crate) struct NullRemote {
    clock: Clock,
    last: std::sync::atomic::AtomicU64,
}

impl NullRemote {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, last: std::sync::atomic::AtomicU64::new(0) }
    }

    /// A version that was never given before.
    fn next_version(&self) -> u64 {
        use std::sync::atomic::Ordering;
        let now = self.clock.remote_micros();
        let previous = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        now.max(previous.unwrap_or_else(|last| last) + 1)
    }

    fn answer(&self, op: &Op) -> Reply {
        match op {
            Op::Read { .. } => Reply::Read { version: None, payload: None },
            Op::Check { .. } => Reply::Yes(true),
            Op::Fill { .. } => Reply::Yes(false),
            Op::Version { .. } | Op::Acquire { .. } => Reply::Version(Some(self.next_version())),
            Op::Bump { put, .. } => Reply::Bumped { version: self.next_version(), stored: put.is_some() },
        }
    }
}

impl RemoteTier for NullRemote {
    fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>> {
        Box::pin(std::future::ready(Ok(ops.iter().map(|op| self.answer(op)).collect())))
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn settles_doubts(&self) -> bool {
        false
    }

    fn record_name(&self, _record: &Record) -> Option<String> {
        None
    }

    fn distrust(&self) {}

    fn trusted(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_versions_never_repeat() {
        let remote = NullRemote::new(Clock::new());
        let versions: Vec<u64> = (0..1_000).map(|_| remote.next_version()).collect();
        assert!(versions.is_sorted_by(|a, b| a < b));
    }
}
