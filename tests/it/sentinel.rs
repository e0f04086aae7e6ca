//! A primary that sentinels watch: whoever takes its place is followed, and what it lacks is evicted again.

use cache_core::{Cache, CoherenceState, Redis, millis, secs};
use tests::fixtures::{Direction, Proxy, RedisSentinel, RedisServer, eventually};

use crate::{
    outage::{SOON, in_order, local, state},
    support::{Origin, built, healed, key, node_at, sees, settings},
};

fn redis(watched: &RedisSentinel) -> Redis {
    Redis::sentinel(watched.urls(), RedisSentinel::SERVICE)
}

async fn node(watched: &RedisSentinel) -> Cache {
    built(settings(redis(watched)).ensure_notifications().bound(millis(1_000))).await
}

#[tokio::test]
async fn a_failover_in_good_order_is_followed() {
    let watched = RedisSentinel::start(1).await;
    let (a, b) = (node(&watched).await, node(&watched).await);
    let origin = Origin::default();
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    watched.fail_over().await;
    origin.write(2);
    eventually(SOON, async || a.evict(&key(7)).await.is_applied()).await;
    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
        sees(cache, &origin, 7, 2).await;
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn a_replica_that_lacks_the_last_evictions_takes_over_and_they_are_made_again() {
    let watched = RedisSentinel::start(1).await;
    let (a, b) = (node(&watched).await, node(&watched).await);
    let origin = Origin::default();
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    let [primary, replica] = watched.servers() else { panic!("there are two") };
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    // Stopped for less than the half second after which it would not be eligible.
    replica.pause().await;
    origin.write(2);
    assert!(a.evict(&key(7)).await.is_applied());
    primary.kill().await;
    replica.resume();
    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
        sees(cache, &origin, 7, 2).await;
    }
    assert_eq!(watched.primary().await.address(), replica.address());
    // Whoever comes new has only what Redis holds.
    assert_eq!(origin.through(&node(&watched).await, 7).await, 2);
    in_order(&a, &b).await;
}

/// As by a partition: the sentinels give the primary up, and it does not hear of that. Another takes its place.
async fn depose(watched: &RedisSentinel) {
    let [old, new] = watched.servers() else { panic!("there are two") };
    for sentinel in watched.sentinels() {
        sentinel.cli(&["SENTINEL", "REMOVE", RedisSentinel::SERVICE]).await;
    }
    new.cli(&["REPLICAOF", "NO", "ONE"]).await;
    for sentinel in watched.sentinels() {
        let port = new.address().port().to_string();
        sentinel.cli(&["SENTINEL", "MONITOR", RedisSentinel::SERVICE, "127.0.0.1", &port, "2"]).await;
    }
    assert!(old.id().is_some(), "it would answer");
}

#[tokio::test]
async fn an_old_primary_that_is_still_there_is_left() {
    let watched = RedisSentinel::start(1).await;
    left_when_deposed(&watched, &node(&watched).await).await;
}

#[tokio::test]
async fn a_sentinel_that_falls_silent_keeps_nobody_with_an_old_primary() {
    let watched = RedisSentinel::start(1).await;
    let silent = Proxy::before(&watched.sentinels()[0]).await;
    let urls = [silent.url(), watched.urls().remove(1)];
    let redis = Redis::sentinel(urls, RedisSentinel::SERVICE);
    // A step of connecting may take longer than the beat can be held up.
    let patient = settings(redis).ensure_notifications().bound(millis(1_000)).connect_timeout(secs(3_600));
    let cache = built(patient).await;
    assert!(silent.counts().accepted > 0, "it is the one that is asked first");
    silent.stall(Direction::ToServer);
    let fences = cache.coherence().fences;
    // Time itself: some bounds, in each of which the sentinels are asked.
    tokio::time::sleep(millis(4_000)).await;
    let report = cache.coherence();
    assert_eq!((report.fences, report.state), (fences, CoherenceState::Coherent), "{report:?}");
    left_when_deposed(&watched, &cache).await;
}

async fn left_when_deposed(watched: &RedisSentinel, cache: &Cache) {
    let origin = Origin::default();
    origin.write(1);
    local(cache, &origin, 7).await;
    let fences = cache.coherence().fences;
    depose(watched).await;
    healed(cache, fences).await;
    origin.write(2);
    let through_the_new_one = node_at(watched.servers()[1].url()).await;
    assert!(through_the_new_one.evict(&key(7)).await.is_applied());
    sees(cache, &origin, 7, 2).await;
    in_order(cache, &through_the_new_one).await;
}

/// A primary, and the replica that follows it.
async fn pair() -> (RedisServer, RedisServer) {
    let primary = RedisServer::start().await;
    let port = primary.address().port();
    let replica = RedisServer::options().line(format!("replicaof 127.0.0.1 {port}")).start().await;
    eventually(SOON, async || {
        let state: String = redis::from_redis_value(replica.cli(&["INFO", "replication"]).await).unwrap();
        if state.contains("master_link_status:up") { Ok(()) } else { Err(state) }
    })
    .await;
    (primary, replica)
}

#[tokio::test]
async fn a_primary_that_its_replica_has_left_does_not_keep_the_bound() {
    let (primary, replica) = pair().await;
    let careful = settings(Redis::server(primary.url()).min_replicas(1)).ensure_notifications().bound(millis(800));
    let (careful, other) = (built(careful).await, node_at(primary.url()).await);
    let origin = Origin::default();
    origin.write(1);
    local(&careful, &origin, 7).await;
    // Promoted elsewhere, by somebody whom the primary and this node do not hear.
    replica.cli(&["REPLICAOF", "NO", "ONE"]).await;
    state(&careful, CoherenceState::Revalidating).await;
    assert_eq!(other.coherence().state, CoherenceState::Coherent, "one that does not ask is deceived");
    let confirmed = careful.stats().revalidated;
    for _ in 0..50 {
        assert_eq!(origin.through(&careful, 7).await, 1);
    }
    assert_eq!(careful.stats().revalidated, confirmed + 50, "nothing is served without being confirmed");
    let port = primary.address().port().to_string();
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]).await;
    state(&careful, CoherenceState::Coherent).await;
}

#[tokio::test]
async fn a_start_without_the_replicas_that_it_needs_says_so() {
    let primary = RedisServer::start().await;
    let redis = Redis::server(primary.url()).min_replicas(1);
    let error = settings(redis).ensure_notifications().build().await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("`min_replicas`"), "{error}");
}

#[tokio::test]
async fn a_start_names_a_service_that_nobody_knows_and_a_sentinel_that_is_taken_for_a_server() {
    let watched = RedisSentinel::start(0).await;
    let error = settings(Redis::sentinel(watched.urls(), "other")).build().await.unwrap_err();
    assert!(error.to_string().contains("does not know the service `other`"), "{error}");
    let error = settings(watched.urls()[0].clone()).build().await.unwrap_err();
    assert!(error.to_string().contains("`Redis::sentinel`"), "{error}");
    let error = settings(Redis::sentinel([watched.servers()[0].url()], "shop")).build().await.unwrap_err();
    assert!(error.to_string().contains("no sentinel"), "{error}");
}

#[tokio::test]
async fn one_sentinel_that_is_there_is_enough() {
    let watched = RedisSentinel::start(0).await;
    let nowhere = "redis://127.0.0.1:1/".to_owned();
    let urls = [nowhere, watched.urls().remove(2)];
    let cache = built(settings(Redis::sentinel(urls, RedisSentinel::SERVICE)).ensure_notifications()).await;
    in_order(&cache, &node(&watched).await).await;
}
