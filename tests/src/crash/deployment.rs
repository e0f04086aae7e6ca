//! What is run against what: a Redis that writes its file so or so, a database, and what may be killed.

use std::{fmt, time::Duration};

use super::{database::Database, orders::Writers};
use crate::fixtures::{RedisOptions, RedisServer};

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `appendfsync always`, PostgreSQL; everything is killed.
    Postgres,
    /// `appendfsync always`, SQLite; everything that is a process is killed.
    Sqlite,
    /// The same with writers that wait for the sink, through a journal that is always full.
    Through,
    /// `appendfsync everysec`, PostgreSQL; everything but Redis is killed.
    Everysec,
    /// The same with writers that wait for the disk by `WAITAOF`, and Redis is killed too.
    Fsynced,
    /// As `Everysec`, and Redis is killed too: what is lost is counted, and not judged.
    Loss,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `kill -9` of a process that writes; another one takes its place.
    Writer,
    /// The same, of the one that flushes most.
    Owner,
    /// `SIGSTOP` of the one that flushes most, for longer than it owns anything, then `SIGCONT`.
    Pause,
    /// `kill -9` of Redis, which starts again.
    Redis,
    /// `kill -9` of the database, which starts again.
    Database,
    /// What Redis answers is held up and then cut off, again and again: it has done what nobody knows that it did.
    RedisAnswers,
    /// The same, of the database.
    DatabaseAnswers,
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Self; 6] = [Self::Postgres, Self::Sqlite, Self::Through, Self::Everysec, Self::Fsynced, Self::Loss];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres-always",
            Self::Sqlite => "sqlite-always",
            Self::Through => "sqlite-through",
            Self::Everysec => "postgres-everysec",
            Self::Fsynced => "postgres-fsynced",
            Self::Loss => "everysec-redis-killed",
        }
    }

    /// Whether anything may be lost.
    pub fn is_judged(self) -> bool {
        self != Self::Loss
    }

    /// Why it cannot be run here, if it cannot.
    pub fn missing(self) -> Option<&'static str> {
        let is_missing = self == Self::Fsynced && RedisOptions::that_waits_for_its_disk().is_none();
        is_missing.then_some("WAITAOF_SERVER_BIN names no server that has WAITAOF")
    }

    pub(crate) fn writers(self) -> Writers {
        match self {
            Self::Fsynced => Writers::Fsynced,
            Self::Through => Writers::Through,
            Self::Postgres | Self::Sqlite | Self::Everysec | Self::Loss => Writers::Journaled,
        }
    }

    pub(crate) fn faults(self) -> &'static [Fault] {
        use Fault::{Database, DatabaseAnswers, Owner, Pause, Redis, RedisAnswers, Writer};
        match self {
            Self::Postgres | Self::Fsynced | Self::Loss => {
                &[Writer, Owner, Pause, Redis, Database, RedisAnswers, DatabaseAnswers]
            }
            Self::Sqlite | Self::Through => &[Writer, Owner, Pause, Redis, RedisAnswers],
            Self::Everysec => &[Writer, Owner, Pause, Database, RedisAnswers, DatabaseAnswers],
        }
    }

    pub(crate) async fn start(self) -> (RedisServer, Database) {
        let fsync = if matches!(self, Self::Postgres | Self::Sqlite | Self::Through) { "always" } else { "everysec" };
        let server = match self {
            Self::Fsynced => RedisOptions::that_waits_for_its_disk().expect("it is run only where there is one"),
            _ => RedisServer::options(),
        };
        let redis = server.append_only(fsync).start();
        match self {
            Self::Sqlite | Self::Through => tokio::join!(redis, Database::sqlite()),
            _ => tokio::join!(redis, Database::postgres()),
        }
    }
}

// === impl Fault ===

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::Writer,
        Self::Owner,
        Self::Pause,
        Self::Redis,
        Self::Database,
        Self::RedisAnswers,
        Self::DatabaseAnswers,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Owner => "owner",
            Self::Pause => "paused",
            Self::Redis => "redis",
            Self::Database => "database",
            Self::RedisAnswers => "redis answers",
            Self::DatabaseAnswers => "database answers",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A fault of a round: after so long, and for so long where it is one that ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    pub(crate) fault: Fault,
    pub(crate) after: Duration,
    pub(crate) lasts: Duration,
    /// Which of the processes, where it may be any.
    pub(crate) which: usize,
}
