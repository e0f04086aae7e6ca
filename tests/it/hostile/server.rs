//! A server that forgets its scripts, or has no room.

use std::convert::Infallible;

use cache_core::{Cache, Key, millis, secs};
use tests::fixtures::{RedisServer, eventually};
use tokio::time::{Instant, sleep};

use super::{Hand, SOON, stored};
use crate::{
    outage::in_order,
    support::{Origin, Product, built, coherent, healed, key, node, product, sees, settings},
};

fn tagged(id: u64) -> Key {
    Key::new("flushed-scripts").arg(id)
}

fn tag() -> Key {
    Key::new("flushed-group").arg("books")
}

#[tokio::test]
async fn scripts_flushed_before_every_command_cost_nothing_but_a_trip() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let mut hand = Hand::on(&redis).await;
    for id in 0..30 {
        let origin = Origin::default();
        origin.write(1);
        hand.run::<()>(&["SCRIPT", "FLUSH"]).await;
        stored(&a, &mut hand, &origin, id).await;
        hand.run::<()>(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(origin.through(&b, id).await, 1);
        origin.write(2);
        hand.run::<()>(&["SCRIPT", "FLUSH"]).await;
        assert!(a.evict(&key(id)).await.is_applied());
        sees(&b, &origin, id, 2).await;
        origin.write(3);
        hand.run::<()>(&["SCRIPT", "FLUSH"]).await;
        assert!(b.put(key(id), product(id, 3)).await.is_applied());
        sees(&a, &origin, id, 3).await;
        assert_eq!(origin.loads(), 2, "the first and the one after the eviction");

        let read = origin.clone();
        a.entry(tagged(id)).tag(tag()).or_load(move || read.read(id)).await.unwrap();
        hand.run::<()>(&["SCRIPT", "FLUSH"]).await;
        assert!(b.evict_tag(tag()).await.is_applied());
        eventually(SOON, async || a.get::<Product>(&tagged(id)).await.is_none()).await;
    }
    assert_eq!([&a, &b].map(|cache| cache.stats().remote_errors), [0, 0]);
}

#[tokio::test]
async fn scripts_flushed_before_a_beat_fence_nothing() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let mut hand = Hand::on(&redis).await;
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    for _ in 0..8 {
        hand.run::<()>(&["SCRIPT", "FLUSH"]).await;
        // Nobody calls, so it is a beat that has them loaded again.
        eventually(SOON, async || {
            !hand.run::<String>(&["INFO", "memory"]).await.contains("number_of_cached_scripts:0")
        })
        .await;
    }
    // Time itself: a bound has four beats in it, and a lost one is told of by the next.
    sleep(secs(1)).await;
    let reports = [&a, &b].map(Cache::coherence);
    assert_eq!(reports.clone().map(|report| report.fences), fences, "a beat missed nothing: {reports:?}");
}

/// Full, and nothing may be thrown out.
async fn fill_up(redis: &RedisServer) {
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let refused = redis.try_cli(&["SET", "one", "more"]).await.unwrap_err();
    assert_eq!(refused.code(), Some("OOM"), "{refused}");
}

#[tokio::test]
async fn redis_that_is_full_still_evicts() {
    let bound = millis(200);
    let redis = RedisServer::start().await;
    let node = || settings(redis.url()).ensure_notifications().bound(bound);
    let (a, b) = (built(node()).await, built(node()).await);
    let (mut hand, origin) = (Hand::on(&redis).await, Origin::default());
    stored(&a, &mut hand, &origin, 7).await;
    origin.through(&b, 7).await;

    fill_up(&redis).await;
    // Time itself: several bounds of it, so that every beat in there is one against a full server.
    let end = Instant::now() + bound * 8;
    let mut revision = 0;
    while Instant::now() < end {
        revision += 1;
        origin.write(revision);
        let (evicts, reads) = if revision % 2 == 0 { (&a, &b) } else { (&b, &a) };
        assert!(evicts.evict(&key(7)).await.is_applied(), "eviction {revision}");
        assert_eq!(origin.through(evicts, 7).await, revision);
        sees(reads, &origin, 7, revision).await;
    }
    assert!(revision > 8, "{revision}");
    let tag = Key::new("full-group").arg("books");
    assert!(a.evict_tag(tag).await.is_applied());
    assert!(a.evict_scope("product").await.is_applied());
}

#[tokio::test]
async fn redis_that_is_full_takes_a_new_node_and_takes_one_back() {
    let redis = RedisServer::start().await;
    let first = node(&redis).await;
    fill_up(&redis).await;
    let late = node(&redis).await;
    in_order(&first, &late).await;
    let fences = [&first, &late].map(|cache| cache.coherence().fences);
    redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    for (cache, fences) in [&first, &late].into_iter().zip(fences) {
        healed(cache, fences).await;
    }
    in_order(&late, &first).await;
}

#[tokio::test]
async fn redis_that_is_full_fails_no_call_and_works_again_when_there_is_room() {
    let redis = RedisServer::start().await;
    let node = || settings(redis.url()).ensure_notifications().bound(millis(200));
    let (a, b) = (built(node()).await, built(node()).await);
    let origin = Origin::default();
    origin.write(1);
    fill_up(&redis).await;
    for id in 0..50 {
        assert_eq!(origin.through(&a, id).await, 1);
    }

    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    for cache in [&a, &b] {
        coherent(cache).await;
        eventually(SOON, async || cache.evict(&key(98)).await.is_applied()).await;
    }
    let mut hand = Hand::on(&redis).await;
    origin.write(2);
    assert!(a.evict(&key(99)).await.is_applied());
    stored(&a, &mut hand, &origin, 99).await;
    let load = || async { Ok::<_, Infallible>(product(99, 0)) };
    assert_eq!(b.get_or_load(key(99), load).await.unwrap().revision, 2, "found in Redis");
}
