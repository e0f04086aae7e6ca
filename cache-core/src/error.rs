//! The one error of the crate: what failed, in which operation, and why.
//!
//! A cache that is already running never turns its own faults into errors of the application; errors come from building a
//! cache and from the few operations that say so. The error of a loader is never wrapped: it passes through as it is.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration cannot work as it is written: a bad URL, a bad name, limits that contradict each other.
    Config,
    /// The server could not be reached, or the connection to it was lost.
    Unreachable,
    /// The server refused the user, the password or a right that is needed.
    Denied,
    /// The server answered, but cannot do what is needed, or is not set up for it.
    Unsupported,
    /// No answer within the time allowed.
    Timeout,
    /// The server answered a command with an error.
    Remote,
    /// What Redis holds cannot be relied on yet: an eviction is still unconfirmed.
    Untrusted,
    /// A value or a type cannot be encoded or decoded.
    Codec,
    /// A journal has no room: what it is to be flushed to is behind.
    Full,
    /// A change is journaled, and not in time as safe as was asked for: on the disk, at replicas, or in what it is flushed to. It is
    /// flushed all the same.
    Unconfirmed,
    /// What a journal is flushed to refused a change too often, and it was given up: a dead letter.
    Refused,
    /// The cache has been closed.
    Closed,
}

impl ErrorKind {
    /// One word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Unsupported => "unsupported",
            Self::Timeout => "timeout",
            Self::Remote => "remote",
            Self::Untrusted => "untrusted",
            Self::Codec => "codec",
            Self::Full => "full",
            Self::Unconfirmed => "unconfirmed",
            Self::Refused => "refused",
            Self::Closed => "closed",
        }
    }
}

/// An error of the cache itself.
///
/// Cheap to clone, since one failure may have to be told to many. `Display` is one line that names what was wrong and what
/// to do; it never contains argument values or payloads.
#[derive(Clone)]
pub struct Error(Arc<Repr>);

struct Repr {
    kind: ErrorKind,
    op: &'static str,
    detail: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// A load took longer than its hard timeout.
///
/// The error type of a function with `hard = ..` is made from it:
///
/// ```
/// use cache_core::TimedOut;
///
/// enum LoadError {
///     Slow,
/// }
///
/// impl From<TimedOut> for LoadError {
///     fn from(_: TimedOut) -> Self {
///         LoadError::Slow
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    after: Duration,
}

impl TimedOut {
    pub(crate) fn new(after: Duration) -> Self {
        Self { after }
    }

    /// The hard timeout: how long was waited.
    #[must_use]
    pub fn after(&self) -> Duration {
        self.after
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the load took longer than its hard timeout")
    }
}

impl StdError for TimedOut {}

impl Error {
    pub(crate) fn new(kind: ErrorKind, op: &'static str, detail: impl Into<String>) -> Self {
        Self(Arc::new(Repr { kind, op, detail: detail.into(), source: None }))
    }

    pub(crate) fn caused(
        kind: ErrorKind,
        op: &'static str,
        detail: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Repr { kind, op, detail: detail.into(), source: Some(Box::new(source)) }))
    }

    pub(crate) fn config(op: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, op, detail)
    }

    /// What kind of thing went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, one or two words.
    #[must_use]
    pub fn op(&self) -> &'static str {
        self.0.op
    }

    /// Whether the time allowed ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Whether trying again later may succeed without anything being changed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Timeout | ErrorKind::Unreachable | ErrorKind::Untrusted)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.op, self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("op", &self.0.op)
            .field("detail", &self.0.detail)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
