//! What the director says to a process, and what a process says back: a line of JSON each.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What a process is told at its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Of all processes that were ever started.
    pub(crate) number: u64,
    pub(crate) seed: u64,
    pub(crate) director: SocketAddr,
    pub(crate) redis: String,
    pub(crate) database: Where,
    /// How long it owns a partition, in milliseconds.
    pub(crate) owned: u64,
    pub(crate) writers: Writers,
}

/// What writers wait for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Writers {
    /// The journal.
    Journaled,
    /// The disk of the journal's server.
    Fsynced,
    /// The sink: the journal has hardly any room, and is written through.
    Through,
}

/// Where the rows end up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Where {
    /// A URL.
    Postgres(String),
    /// A file.
    Sqlite(String),
}

/// What a process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Write these keys, each from the write of this number on, up to a moment of the machine's clock.
    Work { until: u64, next: Vec<(u32, u64)> },
    /// Say how far behind the sink is.
    Lag,
}

/// What a process tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The write of this number was answered, with its version or an error.
    Did {
        key: u32,
        op: u64,
        said: Result<u64, String>,
    },
    /// Nothing more is written of what was ordered.
    Rested,
    Lag(Result<Behind, String>),
}

/// How far behind the sink is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Behind {
    pub(crate) changes: u64,
    pub(crate) parked: u64,
    pub(crate) dead: u64,
    /// Partitions of the process that says it.
    pub(crate) owned: usize,
}
