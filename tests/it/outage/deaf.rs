//! A server that no longer tells about changes, and answers everything else.

use cache_core::{Cache, CoherenceState, Outcome, Tier, millis, observe};
use tests::fixtures::{Proxy, RedisServer};

use super::{in_order, local, state};
use crate::support::{Origin, built, coherent, key, sees, settings};

async fn tell(redis: &RedisServer, flags: &str) {
    redis.cli(&["CONFIG", "SET", "notify-keyspace-events", flags]).await;
}

/// Each read is from L1, and Redis confirmed it.
async fn each_hit_is_revalidated(cache: &Cache, origin: &Origin) {
    for _ in 0..20 {
        let (before, loads) = (cache.stats(), origin.loads());
        let (_, seen) = observe(origin.through(cache, 7)).await;
        assert_eq!(seen[0].outcome, Outcome::Hit(Tier::Local));
        assert_eq!((cache.stats().revalidated, origin.loads()), (before.revalidated + 1, loads));
    }
}

#[tokio::test]
async fn notifications_switched_off_make_each_hit_ask_first() {
    let redis = RedisServer::options().notifications("K$gxe").start().await;
    let node = || settings(redis.url()).bound(millis(400));
    let (a, b) = (built(node()).await, built(node()).await);
    let origin = Origin::default();
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    for flags in ["", "Kgx", "E$gxe"] {
        tell(&redis, flags).await;
        for cache in [&a, &b] {
            state(cache, CoherenceState::Revalidating).await;
        }
        sees(&b, &origin, 7, origin.through(&a, 7).await).await;
        each_hit_is_revalidated(&b, &origin).await;
        for _ in 0..10 {
            let revision = origin.through(&a, 7).await + 1;
            origin.write(revision);
            assert!(a.evict(&key(7)).await.is_applied());
            assert_eq!(origin.through(&b, 7).await, revision, "the very next read");
            assert_eq!(origin.through(&a, 7).await, revision);
        }
        tell(&redis, "K$gxe").await;
        for cache in [&a, &b] {
            coherent(cache).await;
        }
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn a_server_that_takes_connections_and_no_beat_is_not_stormed() {
    let options = RedisServer::options().notifications("K$gxe").user("shop on >secret ~shop:* &* +@all");
    let redis = options.start().await;
    let proxy = Proxy::before(&redis).await;
    let cache = built(settings(proxy.url_with("shop", "secret", "")).bound(millis(400))).await;
    redis.cli(&["ACL", "SETUSER", "shop", "-eval"]).await;
    state(&cache, CoherenceState::Fenced).await;
    let before = proxy.counts().accepted;
    // Time itself: that of some attempts with pauses between them, and of hundreds without.
    tokio::time::sleep(millis(2_000)).await;
    let links = (proxy.counts().accepted - before) / 2;
    assert!(links <= 12, "{links}");
    redis.cli(&["ACL", "SETUSER", "shop", "+eval"]).await;
    coherent(&cache).await;
}

#[tokio::test]
async fn change_while_nobody_was_told_is_fenced_off() {
    let redis = RedisServer::options().notifications("K$gxe").start().await;
    let node = || settings(redis.url()).bound(millis(400));
    let (a, b) = (built(node()).await, built(node()).await);
    let origin = Origin::default();
    origin.write(1);
    local(&b, &origin, 7).await;
    tell(&redis, "").await;
    state(&b, CoherenceState::Revalidating).await;
    let fences = b.coherence().fences;
    origin.write(2);
    assert!(a.evict(&key(7)).await.is_applied());
    // Nobody reads while it is so; the entry is as it was when the server speaks again.
    tell(&redis, "K$gxe").await;
    coherent(&b).await;
    assert!(b.coherence().fences > fences, "{:?}", b.coherence());
    assert_eq!(origin.through(&b, 7).await, 2);
}

#[tokio::test]
async fn notifications_switched_off_come_back_by_themselves_where_they_are_ensured() {
    let redis = RedisServer::options().notifications("Ex").start().await;
    let node = || settings(redis.url()).ensure_notifications().bound(millis(400));
    let (a, b) = (built(node()).await, built(node()).await);
    let origin = Origin::default();
    for (revision, flags) in (1..).zip(["", "Ex", "Kgx"]) {
        origin.write(revision);
        assert!(a.evict(&key(7)).await.is_applied());
        sees(&b, &origin, 7, revision).await;
        let fences = b.coherence().fences;
        tell(&redis, flags).await;
        // It may be set again before anybody sees that it was gone; that it was gone is not missed.
        crate::support::healed(&b, fences).await;
        coherent(&a).await;
    }
    in_order(&a, &b).await;
    let pairs: Vec<String> =
        redis::from_redis_value(redis.cli(&["CONFIG", "GET", "notify-keyspace-events"]).await).unwrap();
    assert!("K$gx".chars().all(|class| pairs[1].contains(class)), "{pairs:?}");
}
