//! The ports: what the machinery asks of a local tier, of a remote tier, and of whatever tells it about changes.
//!
//! A remote tier takes a batch of operations and answers it in one pipelined trip. "No Redis" is a tier too, [`NullRemote`],
//! so that there is one code path.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, Tick},
    entry::Entry,
    error::{Error, ErrorKind},
    journal::{JournalOp, Mark, Said},
    key::Key,
    schema::Fingerprint,
    tag::TagId,
    version::Versions,
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
    /// The records of the journals of a partition, which hold no version.
    Journal(u16),
}

/// A payload to store beside a bump, if the control record is what it was when the writer looked.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) captured: u64,
    /// The payload's type and bytes, for a tier that stores payloads.
    pub(crate) sealed: Option<(Fingerprint, Vec<u8>)>,
    pub(crate) life: Duration,
    /// The version of the row that the payload is: then the newer of two rows stays, if nothing but such puts came since the writer
    /// looked.
    pub(crate) row: Option<Row>,
}

/// A row that has a version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) version: u64,
    /// A hash of the tags that it was put under, and of their generations.
    pub(crate) tags: u64,
}

/// The most that a version is raised by where a newer one cannot be made from the time: some number of chance, so that what a
/// server gave and lost is not given again. A second's microseconds: hours of raises are far from where versions end.
pub(crate) const RAISE: u64 = 1 << 20;

/// One operation on the remote tier.
#[derive(Debug)]
pub(crate) enum Op {
    /// The version of a key and the payload of one of its types. Answered by [`Reply::Read`].
    Read { key: Key, fingerprint: Fingerprint },
    /// What a record says, if there is one. Answered by [`Reply::Version`].
    Version { record: Record },
    /// What a record says, created if there is none, its life renewed if it is shorter than `needs`; `None` is for ever.
    /// Silent: nobody is told. Answered by [`Reply::Version`].
    Acquire { record: Record, needs: Option<Duration> },
    /// Stores a payload iff the control record is at `version`, and ends the lease that its load had. Silent, but for those who
    /// wait for the lease. Answered by [`Reply::Yes`].
    Fill { key: Key, fingerprint: Fingerprint, version: u64, payload: Vec<u8>, life: Duration, leased: bool },
    /// Moves a record to a new version, `proposed` or above, and tells everybody. Answered by [`Reply::Bumped`], and where a row
    /// with a version is put also by [`Reply::Ahead`]. If a newer row is there, nothing is moved.
    Bump { record: Record, proposed: u64, put: Option<Put> },
    /// The same, and what was stored under the version that the record leaves is old, not gone. Answered by [`Reply::Bumped`].
    Leave { record: Record, proposed: u64 },
    /// Takes the lease of a key's load, or finds that this node has it; where another node has it, this one will be told of its end. It only saves
    /// work: what is stored is decided by the version alone. Answered by [`Reply::Lease`].
    Lease { key: Key, fingerprint: Fingerprint, life: Duration },
    /// Lengthens this node's lease, if it still has it. Answered by [`Reply::Lease`].
    Renew { key: Key, fingerprint: Fingerprint, life: Duration },
    /// Gives this node's lease up, and tells those who wait why; nobody gets it for `hold`. Answered by [`Reply::Yes`].
    Release { key: Key, fingerprint: Fingerprint, hold: Duration, word: LeaseEnd },
    /// Asks a journal. Answered by [`Reply::Journal`].
    Journal(JournalOp),
    /// Moves the generation of the namespace, unless somebody has done so for this incident. Answered by [`Reply::Bumped`].
    Heal { incident: u64, proposed: u64 },
}

impl Op {
    /// The record that it is about.
    pub(crate) fn record(&self) -> Record {
        match self {
            Self::Read { key, .. }
            | Self::Fill { key, .. }
            | Self::Lease { key, .. }
            | Self::Renew { key, .. }
            | Self::Release { key, .. } => Record::Control(key.clone()),
            Self::Version { record }
            | Self::Acquire { record, .. }
            | Self::Bump { record, .. }
            | Self::Leave { record, .. } => record.clone(),
            Self::Journal(op) => Record::Journal(op.partition),
            Self::Heal { .. } => Record::Tag(TagId::Namespace),
        }
    }
}

/// Whose the lease of a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leased {
    /// This node's.
    Ours,
    /// Another node's, for as long unless it is renewed.
    Theirs(Duration),
    /// Nobody's, and nobody gets it for as long: a load has failed.
    HeldOff(Duration),
}

/// How a lease ended, told to those who wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// There is a value.
    Filled,
    /// The load failed, or what it returned is not stored: whoever waits loads for himself.
    Failed,
    /// The load was given up: it is somebody else's turn.
    GivenUp,
}

/// The answer to an [`Op`].
#[derive(Debug)]
pub(crate) enum Reply {
    Read {
        versions: Option<Versions>,
        payload: Option<Vec<u8>>,
    },
    Version(Option<Versions>),
    /// The version of a key, and where a change of it is found that the origin does not have yet.
    Pending {
        versions: Versions,
        mark: Mark,
    },
    Journal(Said),
    Yes(bool),
    Lease(Leased),
    Bumped {
        version: u64,
        stored: bool,
    },
    /// The put is to be made again with a version above this one: nothing was done.
    Ahead(u64),
    /// The server refused this one operation.
    Failed(Error),
}

/// L2.
pub(crate) trait RemoteTier: Send + Sync + 'static {
    /// Answers each operation, in order, in one trip. Dropping the future is safe: the operations may still happen.
    fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>>;

    /// Proves that every change of these records that was made before this call has arrived at the [`ChangeListener`]. An error
    /// if it can't be proved, as where the server no longer tells.
    fn barrier(&self, records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>>;

    /// Lets what has been told about these records arrive. Cheaper, and no proof that anything is told.
    fn catch_up(&self, records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>>;

    /// Whether the tier can settle a doubt about an entry of L1. Without a server the check at the fill is the guard.
    fn settles_doubts(&self) -> bool;

    /// Whether payloads are worth encoding for it.
    fn stores(&self) -> bool {
        self.settles_doubts()
    }

    /// The name of the record in the store, for people; `None` where there is no store.
    fn record_name(&self, record: &Record) -> Option<String>;

    /// Whether what the tier says to these can be used: it cannot while a primary that was lost has not been compared.
    fn trusts(&self, ops: &[Op]) -> bool;

    /// Whether that is so of whatever is asked.
    fn trusts_all(&self) -> bool;

    /// Ends the tier's own tasks and connections.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// One of the primaries that own the partitions between them, by a number that this process gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PrimaryId(u16);

impl PrimaryId {
    /// The only one, where there is but one.
    pub(crate) const FIRST: Self = Self(0);

    /// The primary of this number; there are no more than 65,536 of them.
    pub(crate) fn of_index(index: usize) -> Option<Self> {
        u16::try_from(index).ok().map(Self)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Which primaries there are, and which may take a write to each partition: its owner, and both ends while it moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// By partition.
    pub(crate) guardians: Vec<Vec<PrimaryId>>,
    pub(crate) present: Vec<PrimaryId>,
}

/// How a server tells about changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// Keyspace notifications
    /// (<https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/>). They need `notify-keyspace-events` to contain
    /// `K$gxe`, and make every write on the server a little dearer, whoever's it is.
    Keyspace,
    /// `CLIENT TRACKING` in its broadcasting mode
    /// (<https://redis.io/docs/latest/develop/reference/client-side-caching/>). It needs no setting and costs other
    /// applications of the server nothing; some hosted servers and proxies do not offer it. Writes in other databases of the
    /// server are heard too, which costs a confirmation each.
    Tracking,
}

impl Mechanism {
    /// `keyspace notifications` or `client tracking`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keyspace => "keyspace notifications",
            Self::Tracking => "client tracking",
        }
    }
}

/// What a primary that is back has in common with the one that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continuity {
    /// It is the same, and has everything.
    Unbroken,
    /// It has everything that it acknowledged up to the last beat; what came after may be lost.
    Replaced,
    /// It came back with an older state, or with nothing.
    RolledBack { incident: u64 },
}

/// Who is told about changes: the machinery of coherence.
pub(crate) trait ChangeListener: Send + Sync + 'static {
    /// The control record of a key changed.
    fn key_changed(&self, key: &Key);
    /// The record of a tag changed.
    fn tag_changed(&self, tag: &TagId);
    /// Changes of what this primary owns may have been missed.
    fn gap(&self, primary: PrimaryId, why: &'static str);
    /// Every change that this primary acknowledged before `sent` has been told.
    fn heard_up_to(&self, primary: PrimaryId, sent: Tick);
    /// Whether this primary answers at all.
    fn reachable(&self, primary: PrimaryId, reachable: bool);
    /// A primary that was lost is back, or another is there in its place. To be told before anything that it holds is used.
    fn restored(&self, how: Continuity);
    /// Whose the partitions are now, and which primaries there are.
    fn assigned(&self, assignment: &Assignment);
    /// The lease of a load of the key that this node waited for has ended.
    fn lease_ended(&self, key: &Key, end: LeaseEnd);
    /// A payload of the key was removed because its time was over, by whatever the server takes for that.
    fn expired(&self, key: &Key, fingerprint: &str);
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
            Op::Read { .. } => Reply::Read { versions: None, payload: None },
            Op::Release { .. } => Reply::Yes(true),
            Op::Lease { .. } | Op::Renew { .. } => Reply::Lease(Leased::Ours),
            Op::Fill { .. } => Reply::Yes(false),
            Op::Version { .. } | Op::Acquire { .. } => Reply::Version(Some(Versions::at(self.next_version()))),
            Op::Bump { put, .. } => Reply::Bumped { version: self.next_version(), stored: put.is_some() },
            Op::Leave { .. } | Op::Heal { .. } => Reply::Bumped { version: self.next_version(), stored: false },
            Op::Journal(_) => Reply::Failed(Error::new(ErrorKind::Unsupported, "journal", "there is no Redis")),
        }
    }
}

impl RemoteTier for NullRemote {
    fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>> {
        Box::pin(std::future::ready(Ok(ops.iter().map(|op| self.answer(op)).collect())))
    }

    fn barrier(&self, _records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn catch_up(&self, _records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn settles_doubts(&self) -> bool {
        false
    }

    fn record_name(&self, _record: &Record) -> Option<String> {
        None
    }

    fn trusts(&self, _ops: &[Op]) -> bool {
        true
    }

    fn trusts_all(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A tier that is always trusted, and answers what it is told to.
    pub(crate) struct Answering<F>(pub(crate) F);

    impl<F, A> RemoteTier for Answering<F>
    where
        F: Fn(Vec<Op>) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Vec<Reply>, Error>> + Send + 'static,
    {
        fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>> {
            Box::pin((self.0)(ops))
        }

        fn barrier(&self, _: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn catch_up(&self, _: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn settles_doubts(&self) -> bool {
            true
        }

        fn record_name(&self, _: &Record) -> Option<String> {
            None
        }

        fn trusts(&self, _: &[Op]) -> bool {
            true
        }

        fn trusts_all(&self) -> bool {
            true
        }

        fn close(&self) -> BoxFuture<'_, ()> {
            Box::pin(std::future::ready(()))
        }
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
