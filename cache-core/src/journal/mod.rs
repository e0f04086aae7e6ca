//! The journal of what is written behind, as the rest sees it: what is appended, owned, read and advanced, whoever keeps it.

pub(crate) mod envelope;
mod fate;
mod parked;
mod position;
mod volatile;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

pub use self::position::Position;
pub(crate) use self::{
    fate::{Fate, Known, Witness},
    parked::{MAX_INCREMENTS, Parked},
    volatile::{Journals, VolatileJournal},
};
use crate::{error::Error, key::Key};

/// What was said to each question, in order, in one trip.
pub(crate) type Answers<'a> = Pin<Box<dyn Future<Output = Result<Vec<Result<Said, Error>>, Error>> + Send + 'a>>;

/// A journal that can be asked.
pub(crate) trait Journal: Send + Sync + 'static {
    /// Answers each question, in order, in one trip.
    fn ask(&self, ops: Vec<JournalOp>) -> Answers<'_>;
}

/// What one writer did to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The value, in its envelope.
    Put(Vec<u8>),
    Delete,
    Increment(i64),
}

/// A change in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JournalEntry {
    pub(crate) position: Position,
    pub(crate) key: Key,
    pub(crate) version: u64,
    pub(crate) change: Change,
}

/// Where a change is found that the sink does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The scope whose journal it is.
    pub(crate) journal: Arc<str>,
    /// Its place there; without one it is kept to be tried again.
    pub(crate) at: Option<Position>,
}

/// One question to one partition of a journal.
#[derive(Clone, Debug)]
pub(crate) struct JournalOp {
    pub(crate) journal: Arc<str>,
    pub(crate) partition: u16,
    pub(crate) ask: Ask,
}

/// Where a change has to be before its writer is answered, beyond the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    /// On the disk of the journal's server.
    OnDisk,
    /// At so many of the server's replicas.
    OnReplicas(u32),
}

/// The name of one flusher. Two of one process are two: what the one has under way the other must not take for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u64);

/// Whose a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nobody's: it was given up, or never owned.
    Free,
    /// That of one which is not heard of any more.
    Ended,
    /// That of the one that asks.
    Own,
    /// Another's.
    Foreign,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// Journals a change under a new version, unless there are `room` entries already. Of a put or a delete
    /// everybody is told. Answered by [`Said::Appended`], when it is as safe as is asked for.
    Append { key: Key, change: Change, room: u64, safety: Option<Safety>, witness: Option<Witness> },
    /// Owns the partition for so many milliseconds, if nobody else does; under a fence above `above`. Answered by [`Said::Owned`].
    Own { owner: Owner, millis: u64, above: u64 },
    /// Ends an ownership. Answered by [`Said::Done`].
    Disown { owner: Owner, fence: u64 },
    /// Whose the partition is, as `owner` sees it. Answered by [`Said::Standing`].
    Standing { owner: Owner },
    /// That `owner` flushes the journal, for so many milliseconds; asked of one partition. Answered by [`Said::Present`].
    Present { owner: Owner, millis: u64 },
    /// That `owner` no longer does. Answered by [`Said::Present`].
    Absent { owner: Owner },
    /// Whether there is any entry. Answered by [`Said::Has`].
    HasEntries,
    /// Entries behind a place, in order: at least one if there is one, no more than so many, about so many bytes. Answered by
    /// [`Said::Entries`].
    Read { after: Position, entries: usize, bytes: usize },
    /// What is kept to be tried again. Answered by [`Said::Parked`].
    Parked,
    /// Notes what was flushed, if the partition is still owned under this fence. Answered by [`Said::Done`].
    Advance { owner: Owner, fence: u64, advance: Advance },
    /// The change that a mark stands for, if the sink does not have it by now. Answered by [`Said::Pending`].
    Pending { key: Key, at: Option<Position> },
    /// What became of a change since it was journaled with a witness; of dead letters those behind `letters`, if one was looked at
    /// before. Answered by [`Said::Known`].
    Known { key: Key, at: Position, witness: Witness, letters: Option<Position> },
    /// How much there is. Answered by [`Said::Lag`].
    Lag,
    /// Dead letters behind a place. Answered by [`Said::Dead`].
    Dead { after: Position, count: usize },
    /// Takes a dead letter away, if it is there. Answered by [`Said::Done`].
    Bury { letter: Position },
    /// What the server says of itself. Answered by [`Said::Server`].
    Server,
    /// When the server has its file written to the disk, as far as it may be asked. Answered by [`Said::Server`].
    Fsync,
    /// Whether the server can be asked for a safety. Answered by [`Said::Done`], or an error that says why not.
    CanSay(Safety),
}

/// What a flush came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Advance {
    /// Everything up to here is in the sink, kept to be tried again, or a dead letter.
    pub(crate) cursor: Position,
    /// Keys whose last put or delete stood there, and that the sink has now.
    pub(crate) flushed: Vec<(Key, Position)>,
    /// Keys to be tried again.
    pub(crate) parked: Vec<(Key, Parked)>,
    /// Keys that are no longer to be tried again.
    pub(crate) unparked: Vec<Key>,
    /// Keys that were given up.
    pub(crate) dead: Vec<(Key, Parked)>,
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub(crate) enum Said {
    Appended(Appended),
    /// Under this fence, flushed up to here; nothing if it is another's.
    Owned(Option<(u64, Position)>),
    Standing(Standing),
    /// So many flush the journal.
    Present(usize),
    Has(bool),
    Entries {
        /// The last version that was given in the partition.
        last: u64,
        entries: Vec<JournalEntry>,
        /// They are as many, or as many bytes, as was asked for: there may be more.
        is_full: bool,
    },
    Parked(Vec<(Key, Parked)>),
    Pending(Option<Change>),
    /// Nothing if the server has lost the change.
    Known(Option<Known>),
    Lag {
        entries: u64,
        /// The oldest entry.
        oldest: Option<Position>,
        parked: u64,
        dead: u64,
    },
    Dead(Vec<(Position, Key, Parked)>),
    Done(bool),
    Server(String),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    As {
        version: u64,
        position: Position,
    },
    /// There is no room.
    Full,
}

impl Owner {
    /// A name that nobody else has.
    pub(crate) fn new() -> Self {
        Self(fastrand::u64(..))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Mark {
    /// As it stands beside the key: `product|1790000000000-0`, `product|*`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (journal, at) = text.split_once('|')?;
        let at = if at == "*" { None } else { Some(Position::parse(at)?) };
        Some(Self { journal: journal.into(), at })
    }
}

impl Change {
    /// One letter, as it stands in the journal.
    pub(crate) const fn letter(&self) -> &'static str {
        match self {
            Self::Put(_) => "p",
            Self::Delete => "d",
            Self::Increment(_) => "i",
        }
    }

    /// What stands beside it.
    pub(crate) fn body(&self) -> Vec<u8> {
        match self {
            Self::Put(payload) => payload.clone(),
            Self::Delete => Vec::new(),
            Self::Increment(by) => by.to_string().into_bytes(),
        }
    }

    /// The change of a letter and what stands beside it.
    pub(crate) fn read(letter: &[u8], body: Vec<u8>) -> Option<Self> {
        match letter {
            b"p" => Some(Self::Put(body)),
            b"d" => Some(Self::Delete),
            b"i" => Some(Self::Increment(std::str::from_utf8(&body).ok()?.parse().ok()?)),
            _ => None,
        }
    }

    /// Whether readers are to see it before it is flushed.
    pub(crate) const fn replaces(&self) -> bool {
        !matches!(self, Self::Increment(_))
    }
}
