//! Write-behind: a put is journaled in Redis and answered; a flusher writes it to where it belongs, in batches.

mod sink;

pub use self::sink::{Batch, Increment, Operation, Partition, Position, Sink, SinkError, Write, Written};
