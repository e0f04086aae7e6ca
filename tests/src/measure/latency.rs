//! How soon an eviction on one node is in force on all of them.

use std::time::Duration;

use cache_core::{Cache, Key, Mechanism};
use tokio::time::Instant;

use super::{node, quantile};
use crate::fixtures::RedisServer;

const NODES: usize = 10;

/// What was measured by one mechanism, sorted.
#[derive(Debug)]
pub struct Latencies {
    pub mechanism: Mechanism,
    /// From the call until it returned.
    pub returned: Vec<Duration>,
    /// From the call until the last node had heard.
    pub everywhere: Vec<Duration>,
}

/// Evicts one key after another on one of ten nodes, and waits until each of the ten has heard of it.
///
/// All nodes share one thread, which does nothing else: what is measured is the way through Redis, and all that the thread
/// has to do for ten nodes.
pub async fn latency(mechanism: Mechanism, evictions: usize) -> Latencies {
    let redis = RedisServer::start().await;
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        nodes.push(node(&redis, mechanism).await);
    }
    let mut latencies = Latencies { mechanism, returned: Vec::new(), everywhere: Vec::new() };
    for id in 0..evictions as u64 {
        let before: Vec<u64> = nodes.iter().map(hints).collect();
        let start = Instant::now();
        let ack = nodes[0].evict(&Key::new("product").arg(id)).await;
        let returned = start.elapsed();
        assert!(ack.is_applied(), "Redis is there");
        while !nodes.iter().map(hints).zip(&before).all(|(now, before)| now > *before) {
            tokio::task::yield_now().await;
        }
        latencies.returned.push(returned);
        latencies.everywhere.push(start.elapsed());
    }
    latencies.returned.sort_unstable();
    latencies.everywhere.sort_unstable();
    latencies
}

fn hints(cache: &Cache) -> u64 {
    cache.stats().hints
}

impl Latencies {
    /// Two rows of a table.
    pub fn rows(&self) -> String {
        let row = |what: &str, sorted: &[Duration]| {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(sorted, share).as_secs_f64() * 1e3);
            format!("| {} | {what} | {} | {p50:.3} | {p99:.3} | {max:.3} |", self.mechanism.as_str(), sorted.len())
        };
        let everywhere = format!("seen on all {NODES} nodes");
        format!("{}\n{}", row("returned", &self.returned), row(&everywhere, &self.everywhere))
    }
}
