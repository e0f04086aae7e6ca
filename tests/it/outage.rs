//! A Redis that is dead, stopped, slow, cut off or silent: no call fails or waits beyond its budget, nothing older than the
//! bound is served, and afterwards everything that was evicted is gone everywhere.

mod deaf;
mod half_open;
mod killed;
mod stopped;

use std::time::Duration;

use cache_core::{Cache, CoherenceState, Observation, observe};
use tests::fixtures::eventually;
use tokio::time::Instant;

use crate::support::{Origin, key, sees};

pub(crate) const SOON: Duration = Duration::from_secs(30);

/// What one call gave, what the cache says of it, and how long it took.
async fn timed<T>(call: impl Future<Output = T>) -> (T, Vec<Observation>, Duration) {
    let start = Instant::now();
    let (output, seen) = observe(call).await;
    (output, seen, start.elapsed())
}

/// Waits until the row is in L1, however often the budget is too short for a busy machine.
pub(crate) async fn local(cache: &Cache, origin: &Origin, id: u64) {
    eventually(SOON, async || {
        let before = cache.stats().local_hits;
        origin.through(cache, id).await;
        cache.stats().local_hits > before
    })
    .await;
}

pub(crate) async fn state(cache: &Cache, wanted: CoherenceState) {
    eventually(SOON, async || {
        let report = cache.coherence();
        if report.state == wanted { Ok(()) } else { Err(report) }
    })
    .await;
}

/// Evictions of each reach the other, in force and acknowledged.
pub(crate) async fn in_order(a: &Cache, b: &Cache) {
    let origin = Origin::default();
    // What an earlier origin wrote.
    eventually(SOON, async || a.evict(&key(1_000)).await.is_applied()).await;
    for (revision, (evicts, reads)) in (1..).zip([(a, b), (b, a)]) {
        sees(reads, &origin, 1_000, origin.revision.load(std::sync::atomic::Ordering::SeqCst)).await;
        origin.write(revision);
        eventually(SOON, async || evicts.evict(&key(1_000)).await.is_applied()).await;
        assert_eq!(origin.through(evicts, 1_000).await, revision);
        sees(reads, &origin, 1_000, revision).await;
    }
}
