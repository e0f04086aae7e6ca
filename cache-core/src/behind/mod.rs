//! Write-behind: a put is journaled in Redis and answered; a flusher writes it to where it belongs, in batches.

mod sink;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod sql;

pub use self::sink::{Batch, Increment, Operation, Partition, Position, Sink, SinkError, Write, Written};
#[cfg(feature = "postgres")]
pub use self::sql::PostgresSink;
#[cfg(feature = "sqlite")]
pub use self::sql::SqliteSink;
