//! The stampede run: many callers of one key, in many processes, on a real Redis; and what its loads and waits come to.
//!
//! The parent process holds Redis, the *origin* that every load of every process goes to, and the judgement; each *node* is a
//! process of its own with a cache. All of them have one monotonic clock, that of the machine. A second row of each point is
//! one process without Redis.

#![allow(missing_docs, reason = "a tool of the tests: the names of its variants and fields say what they are")]

mod cold;
mod compare;
mod crowd;
mod failing;
mod killed;
mod node;
mod orders;
mod origin;
mod pace;
mod recipe;
mod stale;
mod table;
mod team;

use std::{path::PathBuf, time::Duration};

pub use node::live;
pub use table::{Figure, Row, print};

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This program: what it is called with after `node`, [`live`] has to be given.
    pub program: PathBuf,
    pub processes: usize,
    /// Callers at once, of each process.
    pub callers: usize,
    /// How long the origin fails in point 4. Point 3 takes half of it, each setting of the comparison a sixth.
    pub lasts: Duration,
    /// What a call may wait for Redis.
    pub budget: Duration,
}

/// The points that have figures, and the comparison, by their numbers.
pub const POINTS: std::ops::RangeInclusive<u64> = 1..=5;

/// The rows of one point, with a Redis and without one. Of the comparison there are none: it has a table of its own.
pub async fn rows(point: u64, settings: &Settings) -> Vec<Row> {
    match point {
        1 => cold::rows(settings).await,
        2 => killed::rows(settings).await,
        3 => stale::rows(settings).await,
        4 => failing::rows(settings).await,
        _ => Vec::new(),
    }
}

pub use compare::compare;

/// The value below which this share of the samples lies.
fn quantile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    samples.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}

/// When loads began, for people: from a moment on, and the first few of them.
fn began(loads: &[origin::Load], since: crate::torture::Moment) -> String {
    let began: Vec<String> = loads.iter().take(3).map(|load| ms(load.at.since(since))).collect();
    let more = if loads.len() > began.len() { ", .." } else { "" };
    format!("loads began after {}{more}", began.join(", "))
}

/// Milliseconds, for people.
fn ms(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.2} ms") } else { format!("{millis:.0} ms") }
}
