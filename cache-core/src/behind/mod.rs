//! Write-behind: a put is journaled in Redis and answered; a flusher writes it to where it belongs, in batches.
//!
//! You need it where a database cannot take every write as it comes: counters, carts, last positions, stock. Where it can, write
//! the row and let `#[cache_put]` say so: that is simpler.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use cache_core::{
//!     Cache,
//!     behind::{Batch, Sink, SinkError, Written},
//!     key,
//! };
//!
//! # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)] struct Stock { pieces: u32 }
//! /// Writes nowhere; a real one is a table, `PostgresSink` or `SqliteSink`.
//! struct Nowhere;
//!
//! impl Sink<Stock> for Nowhere {
//!     async fn write(&self, batch: &Batch<Stock>) -> Result<Vec<Written>, SinkError> {
//!         Ok(vec![Written::Applied; batch.writes.len()])
//!     }
//! }
//!
//! // Over Redis: `Cache::builder("shop").redis(..)`, and `start()`.
//! let cache = Cache::builder("shop").build().await?;
//! let stock = cache.write_behind("stock", Nowhere).start_volatile().await?;
//! let id = 7_u64;
//! stock.put(key!("stock:{id}"), &Stock { pieces: 3 }).await?;
//! stock.close(std::time::Duration::from_secs(5)).await?;
//! # Ok::<_, cache_core::Error>(()) }).unwrap();
//! ```
//!
//! What is promised at each level, and what is not, stands in `docs/write-behind.md`.

mod accepting;
mod append;
mod flusher;
mod fold;
mod handle;
mod letters;
mod outcome;
mod remote;
mod server;
mod shared;
mod sink;
mod slots;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod sql;
mod starting;

use std::time::Duration;

#[cfg(feature = "postgres")]
pub use self::sql::PostgresSink;
#[cfg(feature = "sqlite")]
pub use self::sql::SqliteSink;
pub use self::{
    handle::{Journaled, Lag, WriteBehind},
    letters::DeadLetter,
    sink::{Batch, Increment, Operation, Partition, Sink, SinkError, Write, Written},
    starting::Starting,
};
pub use crate::journal::Position;

/// When a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckLevel {
    /// When this process has it in its queue, of 4,096 at most. A process that dies takes with it what was not journaled yet,
    /// milliseconds usually. While Redis is away puts and deletes are tried until it is back; an increment that may have been
    /// journaled is not.
    Accepted,
    /// When Redis has it in its journal. It survives every process of ours, and Redis if that writes its file at once
    /// (`appendfsync always`).
    #[default]
    Journaled,
    /// When Redis has it on its disk. The server is asked by `WAITAOF` (Redis 7.2), so with `appendfsync everysec` an answer takes up
    /// to two seconds, however many writers wait for it together; one without that command needs `appendfsync always`. Refused at the
    /// start where neither is so. An error after 4 s where the disk does not come round: the write is journaled all the same.
    Fsynced,
    /// When so many replicas of its Redis have it in memory, by `WAIT`: a failover to one of them loses nothing. Refused at the start
    /// where a primary has fewer replicas. An error after 4 s where too few answer: the write is journaled all the same.
    Replicated(u32),
}

/// What a writer gets when a partition of the journal has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It waits for room so long, then an error.
    Wait(Duration),
    /// It is written through: it waits for room, and is answered when the sink has it. So long altogether, and then an error:
    /// [`ErrorKind::Full`](crate::ErrorKind::Full) where it was not journaled, and
    /// [`ErrorKind::Unconfirmed`](crate::ErrorKind::Unconfirmed) where it was, and is flushed all the same.
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) where the sink gave it up: it is a dead letter.
    WriteThrough(Duration),
    /// An error at once ([`ErrorKind::Full`](crate::ErrorKind::Full)).
    Fail,
}

/// How a journal is flushed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// Changes in a batch.
    pub(crate) batch: usize,
    pub(crate) batch_bytes: usize,
    /// How long changes are gathered.
    pub(crate) age: Duration,
    /// How long a process owns a partition of which it is not heard.
    pub(crate) owned: Duration,
    /// How often a row may refuse a write.
    pub(crate) attempts: u32,
    /// Changes that a partition may have.
    pub(crate) room: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) ack: AckLevel,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            batch: 500,
            batch_bytes: 1 << 20,
            age: Duration::from_millis(200),
            owned: Duration::from_secs(10),
            attempts: 8,
            room: 100_000,
            when_full: WhenFull::Wait(Duration::from_secs(5)),
            ack: AckLevel::Journaled,
        }
    }
}
