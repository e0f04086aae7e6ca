//! The port to where writes end up: a batch in, a result for each write out.

use std::{error::Error as StdError, fmt, future::Future, sync::Arc};

use crate::{journal::Position, key::Key};

/// Where the writes of a journal end up: a table, an index, another service.
///
/// It is called by one flusher at a time for each partition of a journal, and may be called again with what it has written
/// already, after a crash or a lost answer. So it has to be
///
/// - **idempotent and monotonic**: a write whose [`version`](Write::version) is not above the row's is answered
///   [`Written::Newer`], and changes nothing;
/// - **fenced**: a batch whose [`fence`](Batch::fence) is below the highest seen for its partition is answered
///   [`SinkError::Fenced`], and changes nothing. It comes from a process that was paused and no longer owns the partition; a
///   deleted row has no version that would refuse it.
///
/// All of a batch is one transaction, or what comes nearest. It has one write for a key. A write that takes longer than a minute is
/// dropped, and tried again.
pub trait Sink<T>: Send + Sync + 'static {
    /// Writes a batch, and answers one [`Written`] for each of its writes, in their order.
    ///
    /// # Errors
    ///
    /// Where nothing of the batch was written, or nobody can say: it is tried again, with the same versions, for as long as it takes.
    fn write(&self, batch: &Batch<T>) -> impl Future<Output = Result<Vec<Written>, SinkError>> + Send;

    /// The position of the last batch of this partition that was committed; `None` if there is none, or none is kept.
    ///
    /// A sink that commits [`Batch::position`] together with the rows lets whoever takes a partition over go on behind what was
    /// committed, whatever the journal knows of it.
    ///
    /// # Errors
    ///
    /// Where it cannot be found out now: it is asked again.
    fn position(&self, partition: &Partition) -> impl Future<Output = Result<Option<Position>, SinkError>> + Send {
        let _ = partition;
        async { Ok(None) }
    }

    /// A new owner comes, under this fence: from now on a batch of a lower one is [`SinkError::Fenced`]. Answers the
    /// [`position`](Self::position), which stays as it is.
    ///
    /// It is called before anything is read for the new owner. What it reads then is all that the owner before may have committed, so
    /// a row that this one had deleted already is not put again. Where it is left out, by default, such a row may be there for as long
    /// as it takes to delete it once more.
    ///
    /// # Errors
    ///
    /// [`SinkError::Fenced`] where a later owner has come. Otherwise it is called again.
    fn claim(
        &self,
        partition: &Partition,
        fence: u64,
    ) -> impl Future<Output = Result<Option<Position>, SinkError>> + Send {
        let _ = fence;
        self.position(partition)
    }
}

/// A part of a journal that one node flushes at a time. All writes of a key are in one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    /// `namespace:scope`.
    pub journal: Arc<str>,
    /// Its number, below that of the namespace's partitions.
    pub number: u16,
}

/// Writes of one partition, in one transaction.
#[derive(Clone, Debug)]
pub struct Batch<T> {
    /// Whose writes they are.
    pub partition: Partition,
    /// The number of this ownership of the partition. A later owner has a greater one.
    pub fence: u64,
    /// Everything of the partition up to here is written with this batch, or was before, or is kept elsewhere to be tried again.
    pub position: Position,
    /// The writes, at least one.
    pub writes: Vec<Write<T>>,
}

/// What has become of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Write<T> {
    /// The key that was given to `put`, `delete` or `increment`.
    pub key: Key,
    /// The version of the last operation in it. Of one key they grow, whichever node wrote.
    pub version: u64,
    /// What is to be done.
    pub operation: Operation<T>,
}

/// What is to be done with a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation<T> {
    /// The row is this. What was added to it before is gone, as with a delete: increments before a put that stand in one batch with it
    /// are not handed on.
    Put(T),
    /// There is no such row.
    Delete,
    /// Only those above the row's version are to be added, in a row that is created with 0 if there is none.
    Increment(Vec<Increment>),
}

/// One increment of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Increment {
    /// Its version.
    pub version: u64,
    /// What to add; may be negative.
    pub by: i64,
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The row is as the write says.
    Applied,
    /// The row has this version, which is not below the write's. Nothing was changed.
    Newer(u64),
    /// This row cannot take it, and the reason: a constraint, a value that does not fit. Nothing of this key was changed, and it is tried
    /// again later, with others flowing on.
    Refused(String),
}

/// Nothing of a batch was written, or nobody can say.
#[derive(Debug)]
#[non_exhaustive]
pub enum SinkError {
    /// A later owner of the partition has written: with this fence.
    Fenced(u64),
    /// The sink could not be reached, gave up, or its answer was lost.
    Unavailable(Box<dyn StdError + Send + Sync>),
}

// === impl Partition ===

impl Partition {
    pub(super) fn of(namespace: &str, scope: &str, number: u16) -> Self {
        Self { journal: format!("{namespace}:{scope}").into(), number }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.journal, self.number)
    }
}

// === impl SinkError ===

impl SinkError {
    /// The sink could not be reached, gave up, or its answer was lost.
    pub fn unavailable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced(fence) => write!(f, "another owner has written, with the fence {fence}"),
            Self::Unavailable(error) => write!(f, "the sink did not write: {error}"),
        }
    }
}

impl StdError for SinkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Fenced(_) => None,
            Self::Unavailable(error) => Some(&**error),
        }
    }
}
