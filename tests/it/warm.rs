//! Keys that are loaded again ahead of their next reader: once among all nodes, as long as somebody asks, and never in the way
//! of an eviction.

use std::time::Duration;

use cache_core::{Cache, Key, Outcome, Policy, Tier, millis, secs};
use tests::fixtures::{RedisServer, eventually};

use crate::{
    outage::SOON,
    support::{Origin, Product, key, settings},
};

const TTL: Duration = Duration::from_secs(2);
const AHEAD: Duration = Duration::from_millis(800);

fn policy() -> Policy {
    Policy::new().ttl(TTL).jitter(0.0).warm_up(AHEAD)
}

async fn node(redis: &RedisServer) -> Cache {
    settings(redis.url()).ensure_notifications().policy(policy()).build().await.unwrap()
}

async fn both_kinds(redis: &RedisServer) -> [Cache; 2] {
    [node(redis).await, Cache::builder("shop").policy(policy()).build().await.unwrap()]
}

/// A read that may be repeated ahead of the next one.
async fn warm(cache: &Cache, origin: &Origin, id: u64) -> (Product, Outcome) {
    let origin = origin.clone();
    let entry = cache.entry(key(id)).or_load_warm(move || origin.clone().read(id)).await;
    let Ok(entry) = entry;
    (entry.value().clone(), entry.outcome())
}

#[tokio::test]
async fn a_key_that_is_asked_for_is_never_cold() {
    let redis = RedisServer::start().await;
    for cache in both_kinds(&redis).await {
        let origin = Origin::default();
        warm(&cache, &origin, 7).await;
        let end = tokio::time::Instant::now() + TTL * 3;
        let mut waited = 0;
        while tokio::time::Instant::now() < end {
            waited += usize::from(warm(&cache, &origin, 7).await.1 != Outcome::Hit(Tier::Local));
            // Time itself: as a service is asked again and again.
            tokio::time::sleep(millis(10)).await;
        }
        assert!(waited <= 1, "{waited} readers had to wait");
        let stats = cache.stats();
        assert!((3..=6).contains(&stats.warm_ups), "once in a life less the time ahead: {stats:?}");
        assert_eq!(origin.loads(), 1 + stats.warm_ups);
    }
}

#[tokio::test]
async fn a_key_that_nobody_asks_for_expires() {
    let redis = RedisServer::start().await;
    for cache in both_kinds(&redis).await {
        let origin = Origin::default();
        warm(&cache, &origin, 7).await;
        // The load of the first call counts as asked for: one more, and then no more.
        eventually(SOON, async || origin.loads() == 2).await;
        // Time itself: two lives in which nothing may happen.
        tokio::time::sleep(TTL * 2).await;
        assert_eq!(origin.loads(), 2);
        assert_eq!(warm(&cache, &origin, 7).await.1, Outcome::Loaded);
    }
}

#[tokio::test]
async fn one_node_of_all_loads_and_the_others_take_it() {
    let redis = RedisServer::start().await;
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(node(&redis).await);
    }
    let origin = Origin::default();
    origin.write(1);
    for cache in &nodes {
        warm(cache, &origin, 7).await;
        eventually(SOON, async || nodes[0].stats().fills == 1).await;
    }
    assert_eq!(origin.loads(), 1);
    origin.write(2);
    for round in 2..=3 {
        for cache in &nodes {
            eventually(SOON, async || warm(cache, &origin, 7).await.0.revision == 2).await;
        }
        eventually(SOON, async || origin.loads() >= round).await;
        assert_eq!(origin.loads(), round, "once for all four");
    }
    let warm_ups: u64 = nodes.iter().map(|cache| cache.stats().warm_ups).sum();
    assert_eq!(warm_ups, 2);
}

#[tokio::test]
async fn a_load_ahead_that_an_eviction_overtakes_stores_nothing() {
    let redis = RedisServer::start().await;
    for cache in both_kinds(&redis).await {
        let (origin, gate) = (Origin::default(), crate::support::Gate::default());
        origin.write(1);
        let load = {
            let (origin, gate) = (origin.clone(), gate.clone());
            move || gate.clone().read(origin.clone(), 7)
        };
        let first = cache.entry(key(7)).or_load_warm(load);
        let (first, ()) = tokio::join!(first, async {
            gate.reached().await;
            gate.open();
        });
        assert_eq!(first.unwrap().into_value().revision, 1);
        // The second load is the one ahead; it has read its row when the change comes.
        gate.reached().await;
        origin.write(2);
        assert!(cache.evict(&key(7)).await.is_applied());
        gate.open();
        eventually(SOON, async || cache.stats().loads == 2).await;
        for _ in 0..20 {
            let found = cache.get::<Product>(&key(7)).await;
            assert!(found.as_ref().is_none_or(|found| found.revision == 2), "{found:?}");
            // Time itself: until whatever might still store has had its time.
            tokio::time::sleep(millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_load_ahead_that_fails_or_panics_is_tried_again_and_hurts_nobody() {
    let redis = RedisServer::start().await;
    for cache in both_kinds(&redis).await {
        let loads = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let load = {
            let loads = std::sync::Arc::clone(&loads);
            move || {
                let number = loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                async move {
                    assert_ne!(number, 1, "the first load ahead panics");
                    if number == 2 { Err(std::io::Error::other("the second fails")) } else { Ok(number) }
                }
            }
        };
        let slow = Key::new("slow").arg(7_u64);
        let request = || cache.entry(slow.clone()).ttl(secs(6));
        assert_eq!(request().or_load_warm(load.clone()).await.unwrap().into_value(), 0);
        let end = tokio::time::Instant::now() + secs(20);
        while request().or_load_warm(load.clone()).await.unwrap().into_value() < 3 {
            assert!(tokio::time::Instant::now() < end, "it is loaded at last");
            // Time itself: as a service is asked again and again.
            tokio::time::sleep(millis(20)).await;
        }
    }
}

#[tokio::test]
async fn nothing_is_loaded_ahead_unless_the_scope_says_so() {
    let cache = Cache::builder("shop").policy(Policy::new().ttl(millis(300)).jitter(0.0)).build().await.unwrap();
    let origin = Origin::default();
    warm(&cache, &origin, 7).await;
    // Time itself: three lives.
    tokio::time::sleep(millis(900)).await;
    assert_eq!((origin.loads(), cache.stats().warm_ups), (1, 0));
}

#[tokio::test]
async fn a_closed_cache_loads_nothing_ahead() {
    let redis = RedisServer::start().await;
    for cache in both_kinds(&redis).await {
        let origin = Origin::default();
        warm(&cache, &origin, 7).await;
        cache.close().await;
        // Time itself: longer than a life.
        tokio::time::sleep(TTL).await;
        assert_eq!(origin.loads(), 1);
    }
}

#[tokio::test]
async fn what_redis_says_expired_is_told_by_type() {
    let redis = RedisServer::start().await;
    let policy = Policy::new().ttl(millis(300)).jitter(0.0);
    let cache = settings(redis.url()).ensure_notifications().expired_events().policy(policy).build().await.unwrap();
    let mut products = cache.expired::<Product>().unwrap();
    let mut numbers = cache.expired::<u64>().unwrap();
    let origin = Origin::default();
    origin.through(&cache, 7).await;
    let number = Key::new("number").arg(8_u64);
    let Ok(_) = cache.get_or_load(number.clone(), || async { Ok::<_, std::convert::Infallible>(8_u64) }).await;
    let told = tokio::time::timeout(SOON, async { (products.next().await, numbers.next().await) }).await.unwrap();
    assert_eq!(told, (Some(key(7)), Some(number)));
    assert_eq!((products.missed(), numbers.missed()), (0, 0));
    // It is a word about payloads, and no doubt about anything else.
    assert_eq!(cache.coherence().state, cache_core::CoherenceState::Coherent);
    drop(cache);
    assert_eq!(tokio::time::timeout(SOON, products.next()).await.unwrap(), None, "nothing of the cache is left");
}

#[tokio::test]
async fn who_did_not_ask_to_be_told_what_expired_is_told_how() {
    let redis = RedisServer::start().await;
    let cache = settings(redis.url()).ensure_notifications().build().await.unwrap();
    assert!(cache.expired::<Product>().unwrap_err().to_string().contains("`expired_events`"));
    let error = Cache::builder("shop").expired_events().build().await.unwrap_err();
    assert!(error.to_string().contains("give `redis`"), "{error}");
    let tracking = settings(redis.url()).expired_events().mechanisms([cache_core::Mechanism::Tracking]);
    assert!(tracking.build().await.unwrap_err().to_string().contains("keyspace notifications"));
    // Where the setting lacks it, a start says so.
    let redis = RedisServer::options().notifications("K$gxe").start().await;
    let error = settings(redis.url()).expired_events().build().await.unwrap_err();
    assert!(error.to_string().contains("notify-keyspace-events"), "{error}");
    assert!(error.to_string().contains("contain `E`"), "{error}");
}
