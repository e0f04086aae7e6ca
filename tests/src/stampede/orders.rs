//! What the parent says to a node, and what a node says back: a line of JSON each.

use std::{net::SocketAddr, time::Duration};

use cache_core::{EarlyRefresh, Policy, millis, secs};
use serde::{Deserialize, Serialize};

/// What a node is told at its start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) number: usize,
    pub(crate) parent: SocketAddr,
    pub(crate) redis: Option<String>,
    /// What a call may wait for Redis, in milliseconds.
    pub(crate) budget: u64,
    pub(crate) keeps: Keeps,
}

/// By what a node keeps its values. Times in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Keeps {
    /// Our cache.
    Cache { ttl: u64, l1: Option<u64>, stale: u64, fail_safe: u64, throttle: u64, beta: Option<f64> },
    /// What tutorials show.
    Recipe { ttl: u64 },
}

/// What a node is to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Crowd(Crowd),
    Pace(Pace),
}

/// Many callers at the same moment.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Crowd {
    /// A moment of the machine's clock.
    pub(crate) at: u64,
    pub(crate) callers: usize,
    pub(crate) keys: u64,
    /// The first of the keys; the others follow.
    pub(crate) first: u64,
    /// The share of callers that go away.
    pub(crate) leaving: f64,
    /// They do so up to this long after they came, in milliseconds.
    pub(crate) leaving_within: u64,
    /// The load runs in its caller, and the one who leads goes away when the load has begun.
    pub(crate) leader_leaves: bool,
}

/// Callers one after another, each at its moment, whatever becomes of those before it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Pace {
    /// A moment of the machine's clock.
    pub(crate) at: u64,
    /// Microseconds from one caller to the next.
    pub(crate) every: u64,
    /// Milliseconds.
    pub(crate) lasts: u64,
    /// Drawn by Zipf's law with the exponent 1.
    pub(crate) ids: u64,
}

/// What a node tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    Ready,
    Crowd(Crowded),
    Pace(Vec<Call>),
}

/// What became of a crowd.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Crowded {
    /// How long those waited who stayed, in microseconds from the moment that all came.
    pub(crate) waits: Vec<u64>,
    pub(crate) left: usize,
    pub(crate) failed: usize,
    /// Trips to Redis that failed, or took longer than the budget: such a call goes past Redis, and loads.
    pub(crate) trips_failed: u64,
}

/// What became of one caller of those who come one after another.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// When it was made, as a moment of the machine's clock.
    pub(crate) at: u64,
    /// How much later than it should have been, in microseconds.
    pub(crate) late: u64,
    /// How long it waited from then on, in microseconds.
    pub(crate) waited: u64,
    /// Whether it was answered without waiting for anything at all.
    pub(crate) at_once: bool,
    /// Whether it was told that what it was given is old.
    pub(crate) stale: bool,
    /// When what it was given had been loaded, as a moment of the machine's clock; nothing for an error.
    pub(crate) loaded: Option<u64>,
}

/// What is cached: a moment of the machine's clock, when its load returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) loaded: u64,
}

impl Keeps {
    /// Our cache, with this TTL and nothing else.
    pub(crate) fn ttl(ttl: Duration) -> Self {
        let ttl = ttl.as_millis() as u64;
        Self::Cache { ttl, l1: None, stale: 0, fail_safe: 0, throttle: 1_000, beta: None }
    }

    /// The policy, if it is of our cache. Without jitter: figures count TTLs.
    pub(crate) fn policy(&self) -> Option<Policy> {
        let Self::Cache { ttl, l1, stale, fail_safe, throttle, beta } = self else { return None };
        let mut policy = Policy::new().ttl(millis(*ttl)).jitter(0.0).stale(millis(*stale));
        policy = policy.fail_safe(millis(*fail_safe)).throttle(millis(*throttle)).max_ttl(secs(3_600));
        if let Some(l1) = l1 {
            policy = policy.l1(millis(*l1));
        }
        if let Some(beta) = beta {
            policy = policy.early_refresh(EarlyRefresh::XFetch(*beta));
        }
        Some(policy)
    }
}
