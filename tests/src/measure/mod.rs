//! Figures that people compare: how soon an eviction is seen, what coherence costs, what a record takes, what an outage costs.
//! Each is a ratio or stands beside its floor, within one run.

#![allow(missing_docs, reason = "a tool of the tests: the names of its fields say what they are")]

mod cost;
mod latency;
mod outage;
mod records;

pub use cost::cost;
pub use latency::latency;
pub use outage::outage;
pub use records::records;

use std::time::Duration;

use cache_core::{Cache, CoherenceState, Mechanism, Policy, secs};

use crate::fixtures::{RedisServer, eventually};

/// A node that hears by `mechanism`.
async fn node(redis: &RedisServer, mechanism: Mechanism) -> Cache {
    let builder = Cache::builder("shop").redis(redis.url()).ensure_notifications().mechanisms([mechanism]);
    let policy = Policy::new().ttl(secs(3_600)).l1(secs(3_600)).jitter(0.0);
    let cache = builder.policy(policy).build().await.unwrap();
    eventually(Duration::from_secs(20), async || cache.coherence().state == CoherenceState::Coherent).await;
    cache
}

/// The value below which this share of the sorted samples lies.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}
