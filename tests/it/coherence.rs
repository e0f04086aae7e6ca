//! Nothing stale is stored or served: evictions, puts and tags against loads, on one node, on two, and without Redis.

use std::time::Duration;

use cache_core::{Ack, Bypass, Cache, Key, Outcome, Tier};
use tests::fixtures::{RedisServer, eventually};

use crate::support::{Gate, Origin, Product, key, node, product};

/// A key of a template whose values have a tag, which those of `key` have not.
fn tagged(id: u64) -> Key {
    Key::new("tagged").arg(id)
}

async fn evicted_on(other: &Cache, origin: &Origin, revision: u64) {
    eventually(Duration::from_secs(10), || async { origin.through(other, 7).await == revision }).await;
}

#[tokio::test]
async fn evict_on_one_node_reaches_the_other() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    assert_eq!(origin.through(&a, 7).await, 1);
    eventually(Duration::from_secs(10), || async { a.stats().fills == 1 }).await;
    let found = b.entry(key(7)).get::<Product>().await.unwrap();
    assert_eq!((found.value().revision, found.outcome()), (1, Outcome::Hit(Tier::Remote)));
    assert_eq!(origin.through(&b, 7).await, 1);
    assert_eq!(b.stats().local_hits, 1, "the second read is local");
    assert_eq!(origin.loads(), 1);

    origin.write(2);
    assert!(a.evict(&key(7)).await.is_applied());
    assert_eq!(origin.through(&a, 7).await, 2, "whoever evicts sees it at once");
    evicted_on(&b, &origin, 2).await;
    assert_eq!(origin.loads(), 2, "the other node reads what the first one loaded");
}

#[tokio::test]
async fn evict_during_a_load_on_the_same_node_leaves_nothing_stale() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let (origin, gate) = (Origin::default(), Gate::default());
        origin.write(1);
        let load = tokio::spawn({
            let (cache, gate, origin) = (cache.clone(), gate.clone(), origin.clone());
            async move { cache.get_or_load(key(7), move || gate.read(origin, 7)).await }
        });
        gate.reached().await;
        origin.write(2);
        let _ack = cache.evict(&key(7)).await;
        assert_eq!(origin.through(&cache, 7).await, 2, "nobody joins a load that began before the eviction");
        gate.open();
        assert_eq!(load.await.unwrap().unwrap().revision, 1, "whoever asked before gets what was read");
        eventually(Duration::from_secs(10), || async {
            let stats = cache.stats();
            stats.fills + stats.fills_refused >= 2 || cache.redis_key(&key(7)).is_none()
        })
        .await;
        assert_eq!(origin.through(&cache, 7).await, 2);
        assert_eq!(origin.loads(), 2);
    }
}

#[tokio::test]
async fn evict_during_a_load_on_the_other_node_leaves_nothing_stale() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let (origin, gate) = (Origin::default(), Gate::default());
    origin.write(1);
    let load = tokio::spawn({
        let (b, gate, origin) = (b.clone(), gate.clone(), origin.clone());
        async move { b.get_or_load(key(7), move || gate.read(origin, 7)).await }
    });
    gate.reached().await;
    origin.write(2);
    assert!(a.evict(&key(7)).await.is_applied());
    gate.open();
    assert_eq!(load.await.unwrap().unwrap().revision, 1);
    eventually(Duration::from_secs(10), || async { b.stats().fills_refused == 1 }).await;
    evicted_on(&b, &origin, 2).await;
    assert_eq!(origin.through(&a, 7).await, 2, "nothing stale was left in Redis");
}

#[tokio::test]
async fn put_is_the_new_entry_on_every_node() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    assert_eq!(origin.through(&b, 7).await, 1);
    assert!(a.put(key(7), product(7, 2)).await.is_applied());
    assert_eq!(origin.through(&a, 7).await, 2);
    origin.write(2);
    evicted_on(&b, &origin, 2).await;
    assert_eq!(origin.loads(), 1, "nobody had to load what was put");
}

#[tokio::test]
async fn a_flight_that_loses_against_a_put_stores_nothing() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let (origin, gate) = (Origin::default(), Gate::default());
        origin.write(1);
        let load = tokio::spawn({
            let (cache, gate, origin) = (cache.clone(), gate.clone(), origin.clone());
            async move { cache.get_or_load(key(7), move || gate.read(origin, 7)).await }
        });
        gate.reached().await;
        origin.write(2);
        let _ack = cache.put(key(7), product(7, 2)).await;
        gate.open();
        load.await.unwrap().unwrap();
        assert_eq!(origin.through(&cache, 7).await, 2);
    }
}

#[tokio::test]
async fn evict_tag_reaches_every_entry_under_it_and_no_other() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let tag = |name: &str| Key::new("category").arg(name);
        for id in 0..20_u64 {
            let request = cache.entry(tagged(id)).tag(tag(if id % 2 == 0 { "even" } else { "odd" }));
            request.or_load(move || async move { Ok::<_, std::io::Error>(product(id, 1)) }).await.unwrap();
        }
        eventually(Duration::from_secs(10), || async {
            cache.redis_key(&tagged(0)).is_none() || cache.stats().fills == 20
        })
        .await;
        let ack = cache.evict_tag(tag("even")).await;
        assert!(ack.is_applied());
        let keys: Vec<Key> = (0..20).map(tagged).collect();
        let found = cache.get_many::<Product>(&keys).await;
        let ids: Vec<u64> = found.into_iter().flatten().map(|product| product.id).collect();
        assert_eq!(ids, (0..20).filter(|id| id % 2 == 1).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn evict_scope_reaches_what_is_below_and_clear_reaches_all() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let stock = Key::new("product:stock").arg(7_u64);
        let other = Key::new("user").arg(7_u64);
        let all = [key(7), stock, other];
        let fill = || async {
            for key in &all {
                let request = cache.entry(key.clone());
                request.or_load(|| async { Ok::<_, std::io::Error>(product(7, 1)) }).await.unwrap();
            }
        };
        let present =
            || async { cache.get_many::<Product>(&all).await.iter().map(Option::is_some).collect::<Vec<_>>() };
        fill().await;
        assert_eq!(present().await, [true, true, true]);
        let _ack = cache.evict_scope("product:stock").await;
        assert_eq!(present().await, [true, false, true]);
        fill().await;
        let _ack = cache.evict_scope("product").await;
        assert_eq!(present().await, [false, false, true]);
        fill().await;
        let _ack = cache.clear().await;
        assert_eq!(present().await, [false, false, false]);
    }
}

#[tokio::test]
async fn a_tag_evicted_during_a_load_leaves_nothing_stale() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let tag = Key::new("category").arg("books");
        let (origin, gate) = (Origin::default(), Gate::default());
        origin.write(1);
        let load = tokio::spawn({
            let (cache, gate, origin, tag) = (cache.clone(), gate.clone(), origin.clone(), tag.clone());
            async move { cache.entry(tagged(7)).tag(tag).or_load(move || gate.read(origin, 7)).await.unwrap().into_value() }
        });
        gate.reached().await;
        origin.write(2);
        let _ack = cache.evict_tag(tag.clone()).await;
        gate.open();
        assert_eq!(load.await.unwrap().revision, 1);
        let again = origin.clone();
        let found = cache.entry(tagged(7)).tag(tag).or_load(move || again.read(7)).await.unwrap();
        assert_eq!((found.value().revision, found.outcome()), (2, Outcome::Loaded), "a value that is stored");
    }
}

#[tokio::test]
async fn a_deleted_control_record_is_a_miss_everywhere() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    assert_eq!(origin.through(&a, 7).await, 1);
    eventually(Duration::from_secs(10), || async { a.stats().fills == 1 }).await;
    assert_eq!(origin.through(&b, 7).await, 1);
    origin.write(2);
    redis.cli(&["DEL", &a.redis_key(&key(7)).unwrap()]).await;
    evicted_on(&a, &origin, 2).await;
    evicted_on(&b, &origin, 2).await;
}

#[tokio::test]
async fn a_flush_that_tells_nobody_is_noticed() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    assert_eq!(origin.through(&a, 7).await, 1);
    assert_eq!(origin.through(&b, 7).await, 1);
    origin.write(2);
    redis.cli(&["FLUSHALL"]).await;
    evicted_on(&a, &origin, 2).await;
    evicted_on(&b, &origin, 2).await;
}

#[tokio::test]
async fn a_restart_from_an_older_snapshot_brings_nothing_back() {
    let redis = RedisServer::start().await;
    let cache = node(&redis).await;
    let origin = Origin::default();
    origin.write(1);
    assert_eq!(origin.through(&cache, 7).await, 1);
    eventually(Duration::from_secs(10), || async { cache.stats().fills == 1 }).await;
    let snapshot = redis.snapshot().await;
    origin.write(2);
    assert!(cache.evict(&key(7)).await.is_applied());
    assert_eq!(origin.through(&cache, 7).await, 2);
    let fences = cache.coherence().fences;
    redis.kill().await;
    assert_eq!(cache.evict(&Key::new("product").arg(8_u64)).await, Ack::Queued);
    redis.restart_from(&snapshot).await;
    // Not merely coherent: within the bound it still is, by the link that was lost.
    crate::support::healed(&cache, fences).await;
    for _ in 0..3 {
        assert_eq!(origin.through(&cache, 7).await, 2, "the snapshot has revision 1");
    }
}

#[tokio::test]
async fn an_unconfirmed_eviction_is_in_force_when_redis_is_back() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    assert_eq!(origin.through(&a, 7).await, 1);
    eventually(Duration::from_secs(10), || async { a.stats().fills == 1 }).await;
    assert_eq!(origin.through(&b, 7).await, 1);
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    redis.kill().await;
    origin.write(2);
    assert_eq!(a.evict(&key(7)).await, Ack::Queued);
    assert_eq!(origin.through(&a, 7).await, 2, "in force here at once");
    redis.restart().await;
    crate::support::healed(&a, fences[0]).await;
    crate::support::healed(&b, fences[1]).await;
    assert_eq!(origin.through(&a, 7).await, 2);
    evicted_on(&b, &origin, 2).await;
}

#[tokio::test]
async fn entry_with_as_many_tags_as_there_may_be_is_stored() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let deep = Key::new("a:b:c:d:e:f:g:h:i:j:k:l:m:n:o:p").arg(7_u64);
    let tags: Vec<Key> = (0..16_u64).map(|number| Key::new(&format!("tag-of-its-own-{number}")).arg(number)).collect();
    let request = tags.iter().cloned().fold(a.entry(deep.clone()), cache_core::Request::tag);
    request.or_load(|| async { Ok::<_, std::convert::Infallible>(product(7, 1)) }).await.unwrap();
    let found = eventually(Duration::from_secs(10), async || b.get::<Product>(&deep).await).await;
    assert_eq!(found, product(7, 1));
    assert!(a.evict_tag(tags[15].clone()).await.is_applied());
    eventually(Duration::from_secs(10), async || b.get::<Product>(&deep).await.is_none()).await;
}

#[tokio::test]
async fn close_waits_for_what_is_under_way_and_ends_the_cache() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let (origin, gate) = (Origin::default(), Gate::default());
        origin.write(1);
        let load = tokio::spawn({
            let (cache, gate, origin) = (cache.clone(), gate.clone(), origin.clone());
            async move { cache.get_or_load(key(7), move || gate.read(origin, 7)).await }
        });
        gate.reached().await;
        let closing = tokio::spawn({
            let cache = cache.clone();
            async move { cache.close().await }
        });
        gate.open();
        closing.await.unwrap();
        load.await.unwrap().unwrap();
        assert!(
            cache.redis_key(&key(7)).is_none() || cache.stats().fills == 1,
            "the load that was under way is stored"
        );
        let again = origin.clone();
        let entry = cache.entry(key(7)).or_load(move || again.read(7)).await.unwrap();
        assert_eq!(entry.outcome(), Outcome::Bypass(Bypass::Closed));
        assert_eq!(cache.evict(&key(7)).await, Ack::Failed, "nobody would carry it out");
    }
    eventually(Duration::from_secs(10), || async { connections(&redis).await <= 1 }).await;
}

/// The clients of the server, the one that asks included.
async fn connections(redis: &RedisServer) -> usize {
    match redis.cli(&["CLIENT", "LIST"]).await {
        redis::Value::BulkString(list) => list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(),
        redis::Value::VerbatimString { text, .. } => text.lines().count(),
        other => panic!("{other:?}"),
    }
}
