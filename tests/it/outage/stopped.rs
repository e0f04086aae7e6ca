//! Redis stopped (SIGSTOP) or slow: connections stay open, and nobody says that nothing will come.

use std::time::Duration;

use cache_core::{Ack, Bypass, Cache, CoherenceState, Key, Outcome, Tier, millis, secs};
use tests::fixtures::{Direction, Proxy, RedisServer, eventually};

use super::{SOON, in_order, local, state, timed};
use crate::support::{Origin, Product, built, coherent, key, node, product, sees, settings};

const BUDGET: Duration = Duration::from_secs(1);
/// What timers and a busy machine may add; less than a second budget would.
const MARGIN: Duration = Duration::from_millis(600);

/// Holds a call against its budget: it asked Redis until then, and not again after.
async fn within_budget<T>(what: &str, call: impl Future<Output = T>) -> (T, Outcome) {
    let (output, seen, took) = timed(call).await;
    let [one] = &seen[..] else { panic!("{what}: {seen:?}") };
    assert!(one.remote_time + millis(50) >= BUDGET, "{what} did not ask: {one:?}");
    assert!(one.remote_time < BUDGET + MARGIN, "{what}: {one:?}");
    assert!(took < BUDGET + MARGIN, "{what} took {took:?}");
    (output, one.outcome)
}

#[tokio::test]
async fn redis_stopped_costs_each_call_its_budget_once() {
    let redis = RedisServer::start().await;
    // A bound that does not pass: the beat notices nothing, and each call meets the silence by itself.
    let patient =
        settings(redis.url()).ensure_notifications().bound(secs(600)).budget(BUDGET).connect_timeout(secs(20));
    let cache = built(patient.outage_ttl(Duration::ZERO)).await;
    let origin = Origin::default();
    origin.write(1);
    local(&cache, &origin, 7).await;
    redis.pause().await;

    let (found, seen, _) = timed(origin.through(&cache, 7)).await;
    assert_eq!((found, seen[0].outcome, seen[0].remote_time), (1, Outcome::Hit(Tier::Local), Duration::ZERO));
    let (found, outcome) = within_budget("load", origin.through(&cache, 8)).await;
    assert_eq!((found, outcome), (1, Outcome::Bypass(Bypass::Remote)));
    let (found, _) = within_budget("get", cache.get::<Product>(&key(8))).await;
    assert_eq!(found, None);
    let (ack, outcome) = within_budget("put", cache.put(key(8), product(8, 2))).await;
    assert_eq!((ack, outcome), (Ack::Queued, Outcome::Put(Ack::Queued)));

    // Until that is confirmed, nobody asks what could not be believed; about other keys the server is asked.
    let (found, seen, _) = timed(origin.through(&cache, 8)).await;
    assert_eq!((found, seen[0].outcome, seen[0].remote_time), (1, Outcome::Bypass(Bypass::Remote), Duration::ZERO));
    let (found, outcome) = within_budget("load of another", origin.through(&cache, 9)).await;
    assert_eq!((found, outcome), (1, Outcome::Bypass(Bypass::Remote)));
    // But evictions are still tried, each within its own budget.
    for what in ["key", "tag", "scope", "all"] {
        let (ack, seen, took) = timed(async {
            match what {
                "key" => cache.evict(&key(7)).await,
                "tag" => cache.evict_tag(Key::new("stopped-group").arg("books")).await,
                "scope" => cache.evict_scope("product").await,
                _ => cache.clear().await,
            }
        })
        .await;
        assert_eq!((ack, seen[0].outcome), (Ack::Queued, Outcome::Evict(Ack::Queued)), "{what}");
        assert!(took < BUDGET + MARGIN && seen[0].remote_time < BUDGET + MARGIN, "{what} took {took:?}, {seen:?}");
    }
    redis.resume();
    coherent(&cache).await;
    in_order(&cache, &cache).await;
}

#[tokio::test]
async fn evict_of_redis_stopped_gives_up_after_its_budget() {
    let redis = RedisServer::start().await;
    let patient =
        settings(redis.url()).ensure_notifications().bound(secs(600)).budget(BUDGET).connect_timeout(secs(20));
    let (cache, origin) = (built(patient).await, Origin::default());
    origin.write(1);
    local(&cache, &origin, 7).await;
    redis.pause().await;
    origin.write(2);
    let (ack, outcome) = within_budget("evict", cache.evict(&key(7))).await;
    assert_eq!((ack, outcome), (Ack::Queued, Outcome::Evict(Ack::Queued)));
    assert_eq!(origin.through(&cache, 7).await, 2, "in force here at once");
    redis.resume();
}

#[tokio::test]
async fn redis_slow_has_one_budget_for_all_trips_of_a_call() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let patient = settings(proxy.url()).ensure_notifications().bound(secs(600)).budget(BUDGET);
    let (cache, origin) = (built(patient).await, Origin::default());
    origin.write(1);
    proxy.delay(Direction::ToClient, millis(700));
    // The reading has 700 ms of it, the capture what is left.
    let (found, outcome) = within_budget("load", origin.through(&cache, 7)).await;
    assert_eq!((found, outcome), (1, Outcome::Bypass(Bypass::Remote)));
    // The capture has 700 ms of it, the put what is left.
    let (ack, outcome) = within_budget("put", cache.put(key(7), product(7, 2))).await;
    assert_eq!((ack, outcome), (Ack::Queued, Outcome::Put(Ack::Queued)));
    proxy.pass();
    eventually(SOON, async || cache.evict(&key(7)).await.is_applied()).await;
}

fn impatient(url: String) -> cache_core::Builder {
    settings(url).ensure_notifications().budget(millis(50)).bound(millis(400)).connect_timeout(millis(500))
}

#[tokio::test]
async fn redis_stopped_with_a_budget_of_50_ms_stalls_nobody() {
    let redis = RedisServer::start().await;
    let (cache, origin) = (built(impatient(redis.url()).outage_ttl(Duration::ZERO)).await, Origin::default());
    origin.write(1);
    local(&cache, &origin, 7).await;
    redis.pause().await;
    for id in 0..100 {
        let (found, seen, took) = timed(origin.through(&cache, id)).await;
        assert_eq!(found, 1);
        assert!(took < secs(2), "call {id} took {took:?}: {seen:?}");
        assert!(seen.iter().all(|one| one.remote_time < millis(500)), "{seen:?}");
    }
    state(&cache, CoherenceState::Fenced).await;
    // Nobody waits for what has not answered for a whole bound.
    origin.write(2);
    for id in 0..100 {
        let (found, seen, took) = timed(origin.through(&cache, id)).await;
        assert_eq!((found, seen[0].remote_time < millis(40)), (2, true), "{seen:?}");
        assert!(took < secs(2), "call {id} took {took:?}");
    }
    redis.resume();
    coherent(&cache).await;
}

/// Rows 7 and 8 in L1 of both nodes, and in Redis.
async fn on_both(a: &Cache, b: &Cache, origin: &Origin) {
    for id in [7, 8] {
        for cache in [a, b] {
            local(cache, origin, id).await;
        }
    }
}

#[tokio::test]
async fn evictions_queued_while_redis_was_stopped_are_in_force_on_every_node_after() {
    let redis = RedisServer::start().await;
    let (a, b) = (built(impatient(redis.url())).await, built(impatient(redis.url())).await);
    let origin = Origin::default();
    origin.write(1);
    on_both(&a, &b, &origin).await;

    redis.pause().await;
    origin.write(2);
    assert_eq!(a.evict(&key(7)).await, Ack::Queued, "on its way when it was given up");
    state(&a, CoherenceState::Fenced).await;
    assert_eq!(a.evict(&key(8)).await, Ack::Queued, "never sent");
    for id in [7, 8] {
        assert_eq!(origin.through(&a, id).await, 2, "in force here at once");
    }
    state(&b, CoherenceState::Fenced).await;
    redis.resume();
    coherent(&a).await;
    coherent(&b).await;
    eventually(SOON, async || a.coherence().remote_trusted && b.coherence().remote_trusted).await;
    let fresh = node(&redis).await;
    for id in [7, 8] {
        let found = fresh.get::<Product>(&key(id)).await;
        assert!(found.as_ref().is_none_or(|product| product.revision == 2), "Redis still gives {found:?}");
        for cache in [&a, &b, &fresh] {
            sees(cache, &origin, id, 2).await;
            assert_eq!(origin.through(cache, id).await, 2);
        }
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn redis_stopped_for_less_than_a_bound_loses_nothing() {
    let redis = RedisServer::start().await;
    let patient = || settings(redis.url()).ensure_notifications().bound(secs(600)).connect_timeout(secs(20));
    let (a, b) = (built(patient()).await, built(patient()).await);
    let origin = Origin::default();
    origin.write(1);
    on_both(&a, &b, &origin).await;
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    redis.pause().await;
    origin.write(2);
    let seven = key(7);
    let (ack, ()) = tokio::join!(a.evict(&seven), async { redis.resume() });
    assert!(ack.is_applied(), "it waited for it, within its budget");
    assert_eq!(origin.through(&a, 7).await, 2);
    sees(&b, &origin, 7, 2).await;
    assert_eq!([&a, &b].map(|cache| cache.coherence().fences), fences, "no connection was lost over it");
}
