//! After an outage: what Redis still holds is used, what was not confirmed is put in force, what was lost is noticed.

use std::time::Duration;

use cache_core::{Ack, Cache, CoherenceState, OnL2Error, Outcome, Tier, millis, secs};
use tests::fixtures::{Direction, Proxy, RedisServer, eventually};

use crate::{
    outage::{SOON, in_order, local, state},
    support::{Origin, Product, built, coherent, counted, healed, key, node, product, sees, settings},
};

async fn filled(cache: &Cache, origin: &Origin, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        let fills = cache.stats().fills;
        origin.through(cache, id).await;
        eventually(SOON, async || cache.stats().fills > fills).await;
    }
}

async fn trusted(cache: &Cache) {
    eventually(SOON, async || cache.coherence().remote_trusted).await;
}

#[tokio::test]
async fn after_a_cut_connection_what_redis_holds_is_used_as_before() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let cache = built(settings(proxy.url()).ensure_notifications()).await;
    let origin = Origin::default();
    filled(&cache, &origin, 0..10).await;
    let (loads, fences) = (origin.loads(), cache.coherence().fences);
    proxy.cut();
    healed(&cache, fences).await;
    trusted(&cache).await;
    for id in 0..10 {
        origin.through(&cache, id).await;
    }
    assert_eq!(origin.loads(), loads, "nothing was lost, so nothing is loaded again");
}

#[tokio::test]
async fn an_eviction_that_waited_is_in_force_everywhere_and_costs_no_other_key() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let far = built(settings(proxy.url()).ensure_notifications().budget(millis(100)).bound(millis(400))).await;
    let near = node(&redis).await;
    let origin = Origin::default();
    origin.write(1);
    filled(&near, &origin, 0..10).await;
    local(&far, &origin, 7).await;

    proxy.stall(Direction::ToServer);
    state(&far, CoherenceState::Fenced).await;
    origin.write(2);
    assert_eq!(far.evict(&key(7)).await, Ack::Queued);
    assert_eq!(far.coherence().queued, 1);
    assert_eq!(origin.through(&far, 7).await, 2, "here it is in force at once");
    proxy.pass();
    trusted(&far).await;
    assert_eq!(far.coherence().queued, 0);
    for cache in [&near, &far] {
        sees(cache, &origin, 7, 2).await;
    }
    let loads = origin.loads();
    for id in [0, 1, 2, 3] {
        let entry = far.entry(key(id)).get::<Product>().await.expect("the others are as they were");
        assert_eq!(entry.value().revision, 1);
    }
    assert_eq!(origin.loads(), loads);
    in_order(&far, &near).await;
}

#[tokio::test]
async fn what_redis_holds_of_a_key_is_not_believed_while_its_eviction_waits() {
    let redis = RedisServer::options().notifications("K$gxe").user("shop on >secret ~shop:* &* +@all").start().await;
    // Without a beat in between: it would notice what was taken away.
    let url = redis.url_with("shop", "secret", "");
    let cache = built(settings(url).bound(secs(3_600))).await;
    let origin = Origin::default();
    origin.write(1);
    filled(&cache, &origin, [7, 8]).await;
    redis.cli(&["ACL", "SETUSER", "shop", "-evalsha"]).await;
    origin.write(2);
    assert_eq!(cache.evict(&key(7)).await, Ack::Queued, "the server answers, and refuses");
    assert_eq!(cache.get::<Product>(&key(7)).await, None, "the server still has it");
    assert_eq!(origin.through(&cache, 7).await, 2);
    redis.cli(&["ACL", "SETUSER", "shop", "+evalsha"]).await;
    trusted(&cache).await;
    assert_eq!(origin.through(&node_of(&redis).await, 7).await, 2);
}

async fn node_of(redis: &RedisServer) -> Cache {
    built(settings(redis.url_with("shop", "secret", ""))).await
}

#[tokio::test]
async fn tags_and_scopes_that_waited_are_in_force_everywhere() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let far = built(settings(proxy.url()).ensure_notifications().budget(millis(100)).bound(millis(400))).await;
    let near = node(&redis).await;
    let origin = Origin::default();
    for revision in 1..4 {
        origin.write(revision);
        eventually(SOON, async || near.clear().await.is_applied()).await;
        local(&near, &origin, 7).await;
        proxy.stall(Direction::ToServer);
        state(&far, CoherenceState::Fenced).await;
        origin.write(100 + revision);
        let ack = if revision % 2 == 0 { far.evict_scope("product").await } else { far.clear().await };
        assert_eq!(ack, Ack::Queued);
        proxy.pass();
        sees(&near, &origin, 7, 100 + revision).await;
        coherent(&far).await;
        trusted(&far).await;
    }
}

#[tokio::test]
async fn a_restart_that_lost_nothing_costs_nothing() {
    let redis = RedisServer::options().append_only("always").start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    filled(&a, &origin, 0..10).await;
    origin.write(2);
    assert!(a.evict(&key(3)).await.is_applied());
    filled(&b, &origin, [3]).await;
    let (loads, fences) = (origin.loads(), [&a, &b].map(|cache| cache.coherence().fences));
    redis.restart().await;
    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
        trusted(cache).await;
    }
    for id in [0, 1, 2, 4, 5] {
        assert_eq!(origin.through(&b, id).await, 1);
    }
    assert_eq!(origin.loads(), loads, "what came back is what was there");
    // The server is another process, so evictions of the last minute are issued again: that costs a load.
    sees(&b, &origin, 3, 2).await;
    in_order(&a, &b).await;
}

#[tokio::test]
async fn an_eviction_that_the_server_lost_is_issued_again() {
    let redis = RedisServer::options().append_only("always").start().await;
    // Without a beat that the test has to race: the last one is in the snapshot, the eviction is not.
    let slow = || settings(redis.url()).ensure_notifications().bound(secs(3_600));
    let (a, b) = (built(slow()).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    filled(&a, &origin, [7]).await;
    let snapshot = redis.snapshot().await;
    origin.write(2);
    assert!(a.evict(&key(7)).await.is_applied());
    let fences = a.coherence().fences;
    // `b` is closed first: it would notice by its own beat, and this is about `a`.
    b.close().await;
    redis.restart_from(&snapshot).await;
    eventually(SOON, async || a.coherence().fences > fences || a.coherence().remote_trusted).await;
    trusted(&a).await;
    let fresh = node(&redis).await;
    sees(&fresh, &origin, 7, 2).await;
}

#[tokio::test]
async fn a_comparison_that_fails_half_way_makes_no_stranger_known() {
    let options = RedisServer::options().user("shop on >secret ~shop:* &* +@all").append_only("always");
    let redis = options.notifications("K$gxe").start().await;
    let (url, budget) = (redis.url_with("shop", "secret", ""), millis(100));
    let cache = built(settings(url).bound(millis(400)).budget(budget)).await;
    assert!(cache.evict(&key(7)).await.is_applied());
    let version = async || -> u64 {
        let control = cache.redis_key(&key(7)).unwrap();
        redis::from_redis_value(redis.cli(&["GET", &control]).await).unwrap()
    };
    let before = version().await;
    // Another process, which says who it is, and not yet which beats it holds.
    let all_but_beats = ["~shop:[^p]*", "%W~shop:p:*", "~shop:p:*:8", "~shop:p:*:9"];
    redis.cli(&[&["ACL", "SETUSER", "shop", "resetkeys"][..], &all_but_beats].concat()).await;
    redis.cli(&["ACL", "SAVE"]).await;
    let fences = cache.coherence().fences;
    redis.restart().await;
    eventually(SOON, async || counted(&redis, "mget", "rejected_calls").await >= 2).await;
    assert!(!cache.coherence().remote_trusted);
    redis.cli(&["ACL", "SETUSER", "shop", "~shop:*"]).await;
    healed(&cache, fences).await;
    eventually(SOON, async || {
        let now = version().await;
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
}

/// The records of beats on the server.
async fn probes(redis: &RedisServer) -> Vec<String> {
    redis::from_redis_value(redis.cli(&["KEYS", "shop:p:*"]).await).unwrap()
}

/// The latest beat on the server.
async fn latest_beat(redis: &RedisServer) -> u64 {
    let mut latest = 0;
    for probe in probes(redis).await {
        let number: Option<u64> = redis::from_redis_value(redis.cli(&["GET", &probe]).await).unwrap_or_default();
        // Beside the beats stands what a new link tried its rights on, for a second or two.
        latest = latest.max(number.filter(|number| *number < 1_000_000).unwrap_or_default());
    }
    latest
}

#[tokio::test]
async fn an_older_snapshot_is_healed_by_a_node_that_remembers_although_the_evicting_one_is_gone() {
    let redis = RedisServer::start().await;
    let (gone, witness) =
        (node(&redis).await, built(settings(redis.url()).ensure_notifications().bound(millis(200))).await);
    let origin = Origin::default();
    origin.write(1);
    filled(&gone, &origin, [7]).await;
    let snapshot = redis.snapshot().await;
    origin.write(2);
    assert!(gone.evict(&key(7)).await.is_applied());
    gone.close().await;
    let before = latest_beat(&redis).await;
    eventually(SOON, async || latest_beat(&redis).await > before + 1).await;

    let fences = witness.coherence().fences;
    redis.restart_from(&snapshot).await;
    healed(&witness, fences).await;
    for cache in [&witness, &node(&redis).await] {
        assert_eq!(origin.through(cache, 7).await, 2, "the snapshot holds the older row, and its version beside it");
    }
}

#[tokio::test]
async fn a_beat_that_is_gone_from_a_server_that_is_still_there_is_noticed() {
    let redis = RedisServer::start().await;
    let cache = built(settings(redis.url()).ensure_notifications().bound(millis(200))).await;
    let origin = Origin::default();
    origin.write(1);
    filled(&cache, &origin, [7]).await;
    // As after a replica took over another's data: all is there but the last few things.
    eventually(SOON, async || latest_beat(&redis).await > 8).await;
    let mut delete = vec!["DEL".to_owned()];
    delete.extend(probes(&redis).await);
    let words: Vec<&str> = delete.iter().map(String::as_str).collect();
    redis.cli(&words).await;
    let loads = origin.loads();
    eventually(SOON, async || {
        origin.through(&cache, 7).await;
        origin.loads() > loads
    })
    .await;
}

#[tokio::test]
async fn a_beat_that_was_reclaimed_is_no_loss() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let cache = built(settings(proxy.url()).ensure_notifications().bound(millis(800))).await;
    let origin = Origin::default();
    filled(&cache, &origin, [7]).await;
    eventually(SOON, async || latest_beat(&redis).await > 8).await;
    // One of eight, and not the last: its turn comes again in a bound.
    let reclaim = async || {
        let middle = latest_beat(&redis).await - 4;
        for probe in probes(&redis).await {
            let number: String = redis::from_redis_value(redis.cli(&["GET", &probe]).await).unwrap_or_default();
            if number == middle.to_string() {
                redis.cli(&["DEL", &probe]).await;
            }
        }
        middle
    };
    let fences = cache.coherence().fences;
    let of_before = reclaim().await;
    eventually(SOON, async || latest_beat(&redis).await > of_before + 12).await;
    reclaim().await;
    assert_eq!(cache.coherence().fences, fences);
    proxy.cut();
    healed(&cache, fences).await;
    let loads = origin.loads();
    origin.through(&cache, 7).await;
    assert_eq!(origin.loads(), loads, "nothing was lost, so nothing is loaded again");
}

#[tokio::test]
async fn a_server_that_lost_everything_while_connected_is_noticed() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    origin.write(2);
    // The control record goes with the rest, silently; the next beat misses the one before it.
    redis.cli(&["FLUSHALL"]).await;
    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
        sees(cache, &origin, 7, 2).await;
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn an_outage_of_redis_is_none_of_the_database() {
    let redis = RedisServer::start().await;
    let bound = secs(4);
    let cache = built(settings(redis.url()).ensure_notifications().budget(millis(50)).bound(bound)).await;
    let origin = Origin::default();
    origin.write(1);
    local(&cache, &origin, 7).await;
    redis.kill().await;
    // L1 serves within the bound; this one was never there.
    let start = std::time::Instant::now();
    let mut reads = 0;
    while start.elapsed() < bound * 2 {
        origin.through(&cache, 8).await;
        reads += 1;
        // Time itself: as a service is asked again and again.
        tokio::time::sleep(millis(5)).await;
    }
    let loads = origin.loads() - 1;
    assert!((2..=4).contains(&loads), "{loads} loads for {reads} reads over two bounds");

    origin.write(2);
    assert_eq!(cache.evict(&key(8)).await, Ack::Queued);
    assert_eq!(origin.through(&cache, 8).await, 2, "what is evicted here is not kept");
    origin.write(3);
    assert_eq!(cache.evict_scope("product").await, Ack::Queued);
    assert_eq!(origin.through(&cache, 8).await, 3);
    assert_eq!(origin.through(&cache, 8).await, 3);
    redis.restart().await;
    coherent(&cache).await;
    trusted(&cache).await;
    origin.write(4);
    assert!(cache.evict(&key(8)).await.is_applied());
    assert_eq!(origin.through(&cache, 8).await, 4);
}

#[tokio::test]
async fn an_outage_ttl_longer_than_the_bound_has_to_be_asked_for_by_name() {
    let settings = || settings("redis://127.0.0.1:1/").bound(millis(200));
    let error = settings().outage_ttl(secs(1)).build().await.unwrap_err();
    assert_eq!(error.kind(), cache_core::ErrorKind::Config);
    assert!(error.to_string().contains("outage_ttl_beyond_the_bound"), "{error}");
    let longer = settings().outage_ttl_beyond_the_bound(secs(1)).start_unreachable().build().await.unwrap();
    longer.close().await;
}

#[tokio::test]
async fn a_cache_told_to_fail_gives_the_eviction_back_and_keeps_nothing_waiting() {
    let redis = RedisServer::start().await;
    let strict = settings(redis.url()).ensure_notifications().budget(millis(100)).on_l2_error(OnL2Error::Fail);
    let cache = built(strict).await;
    let origin = Origin::default();
    origin.write(1);
    local(&cache, &origin, 7).await;
    redis.kill().await;
    origin.write(2);
    assert_eq!(cache.evict(&key(7)).await, Ack::Failed);
    assert_eq!(cache.put(key(8), product(8, 2)).await, Ack::Failed);
    assert_eq!(cache.coherence().queued, 0);
    assert_eq!(origin.through(&cache, 7).await, 2, "L1 does not serve what it was told is old");
}

#[tokio::test]
async fn a_cache_told_to_fail_keeps_waiting_what_nobody_is_left_to_be_told_of() {
    let redis = RedisServer::start().await;
    let strict = || settings(redis.url()).ensure_notifications().budget(millis(100)).on_l2_error(OnL2Error::Fail);
    let (cache, near) = (built(strict()).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    for id in 1..4 {
        local(&near, &origin, id).await;
    }
    redis.kill().await;
    origin.write(2);
    let failed = cache.entry(key(1)).write(|| async { Err::<Product, _>("after the commit") }).await;
    assert!(failed.is_err());
    let mut unit = cache.unit();
    assert_eq!(unit.evict(&key(2)).await, Ack::Failed);
    drop(unit);
    // Time itself: longer than the capture may take, so that it is the body that is dropped.
    let body = std::future::pending::<Result<Product, &str>>;
    assert!(tokio::time::timeout(millis(500), cache.entry(key(3)).write(body)).await.is_err());
    eventually(SOON, async || cache.coherence().queued == 3).await;
    redis.restart().await;
    trusted(&cache).await;
    for id in 1..4 {
        sees(&near, &origin, id, 2).await;
    }
}

#[tokio::test]
async fn a_slow_server_is_left_alone_after_a_while_and_asked_again() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let budget = millis(60);
    // A bound that does not pass: only the calls notice.
    let patient = settings(proxy.url()).ensure_notifications().bound(secs(600)).budget(budget);
    let cache = built(patient).await;
    let origin = Origin::default();
    filled(&cache, &origin, [1]).await;
    proxy.stall(Direction::ToClient);
    let mut waited = Duration::ZERO;
    for id in 100..200 {
        let start = std::time::Instant::now();
        origin.through(&cache, id).await;
        waited += start.elapsed();
    }
    // 16 calls to find out, and a probe now and then; without a breaker each of the 100 would have waited.
    assert!(waited < budget * 60, "{waited:?}");
    proxy.pass();
    eventually(SOON, async || {
        let entry = cache.entry(key(1)).get::<Product>().await;
        entry.is_some_and(|entry| matches!(entry.outcome(), Outcome::Hit(Tier::Local | Tier::Remote)))
    })
    .await;
    let fills = cache.stats().fills;
    for id in 1_000.. {
        origin.through(&cache, id).await;
        if cache.stats().fills > fills {
            break;
        }
    }
}
