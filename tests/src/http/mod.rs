//! The run of the HTTP layer over sockets: a hit beside a constant and beside nginx, a crowd at a cold page, a body of a gigabyte.
//!
//! Servers are processes of their own: this program again, `cache-proxy`, nginx. What is compared takes turns within one run.
//! Throughput is judged by the processor time that a server takes for a request, on one core: on a machine that does other work
//! too, that is what stays. The requests that were answered in a second stand beside it.

#![allow(missing_docs, reason = "a tool of the tests: the names of its variants and fields say what they are")]

mod core;
mod crowd;
mod load;
mod nginx;
mod origin;
mod proxy;
mod serve;
mod server;
mod socket;
mod stream;

use std::{path::PathBuf, time::Duration};

pub use crate::stampede::{Row, print};
pub use serve::serve;

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This program: what it is called with after `serve`, [`serve`] has to be given.
    pub program: PathBuf,
    /// How often those that are compared take turns, and for how long each.
    pub rounds: usize,
    pub turn: Duration,
    /// Clients at once, of each server that is compared.
    pub clients: usize,
    /// Clients at once at a cold page.
    pub crowd: usize,
    /// How large the body is that is streamed.
    pub megabytes: u64,
}

/// The points that have figures, by their numbers.
pub const POINTS: std::ops::RangeInclusive<u64> = 1..=4;

/// The rows of one point.
pub async fn rows(point: u64, settings: &Settings) -> Vec<Row> {
    match point {
        1 => socket::rows(settings),
        2 => proxy::rows(settings),
        3 => crowd::rows(settings).await,
        _ => stream::rows(settings).await,
    }
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median of the ratios of two that took turns.
fn ratio(these: &[f64], those: &[f64]) -> f64 {
    median(these.iter().zip(those).map(|(this, that)| this / that).collect())
}
