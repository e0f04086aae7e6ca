//! `Request::write`: what `#[cache_put]` does, by hand.

use std::time::Duration;

use cache_core::{Cache, Outcome};
use tests::fixtures::{RedisServer, eventually};

use crate::{
    outage::{SOON, local},
    support::{Gate, Origin, Product, key, node, product, sees},
};

async fn both_kinds(redis: &RedisServer) -> [Cache; 2] {
    [node(redis).await, Cache::in_memory()]
}

#[tokio::test]
async fn what_was_written_is_read_everywhere_without_a_load() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    local(&b, &origin, 7).await;
    let loads = origin.loads();
    origin.write(2);
    let written = a.entry(key(7)).write(|| origin.clone().read(7)).await;
    let Ok(written) = written;
    assert_eq!(*written.value(), product(7, 2));
    assert!(matches!(written.outcome(), Outcome::Put(ack) if ack.is_applied()));
    assert_eq!(origin.through(&a, 7).await, 2);
    sees(&b, &origin, 7, 2).await;
    assert_eq!(origin.loads(), loads + 1, "the body's own");
}

#[tokio::test]
async fn the_writer_of_the_older_row_leaves_nothing_behind() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    for (slow, fast) in [(&a, &b), (&a, &a)] {
        let (origin, gate) = (Origin::default(), Gate::default());
        origin.write(1);
        let older = tokio::spawn({
            let (cache, gate, origin) = (slow.clone(), gate.clone(), origin.clone());
            async move { cache.entry(key(7)).write(move || gate.read(origin, 7)).await.map(cache_core::Entry::into_value) }
        });
        gate.reached().await;
        origin.write(2);
        let newer = fast.entry(key(7)).write(|| origin.clone().read(7)).await;
        let Ok(_newer) = newer;
        gate.open();
        assert_eq!(older.await.unwrap().unwrap().revision, 1, "the caller is given what it wrote");
        for cache in [slow, fast] {
            sees(cache, &origin, 7, 2).await;
        }
    }
}

#[tokio::test]
async fn a_body_that_fails_evicts() {
    let redis = RedisServer::start().await;
    for cache in both_kinds(&redis).await {
        let origin = Origin::default();
        origin.write(1);
        local(&cache, &origin, 7).await;
        origin.write(2);
        let failed = cache.entry(key(7)).write(|| async { Err::<Product, _>(std::io::Error::other("no")) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert_eq!(origin.through(&cache, 7).await, 2, "the row may have changed before it failed");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_evicts() {
    let redis = RedisServer::start().await;
    for cache in both_kinds(&redis).await {
        let (origin, gate) = (Origin::default(), Gate::default());
        origin.write(1);
        local(&cache, &origin, 7).await;
        let evictions = cache.stats().evictions;
        let caller = tokio::spawn({
            let (cache, gate, origin) = (cache.clone(), gate.clone(), origin.clone());
            async move { cache.entry(key(7)).write(move || gate.read(origin, 7)).await.map(|_| ()) }
        });
        gate.reached().await;
        origin.write(2);
        caller.abort();
        eventually(SOON, async || cache.stats().evictions > evictions).await;
        eventually(Duration::from_secs(10), async || origin.through(&cache, 7).await == 2).await;
    }
}
