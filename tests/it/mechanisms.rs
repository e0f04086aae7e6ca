//! The ways in which a server tells about changes: each is enough, and where one cannot be had the next is tried.

use cache_core::{Cache, ErrorKind, Key, Mechanism, millis, secs};
use tests::fixtures::{RedisServer, eventually};

use crate::{
    outage::{SOON, in_order, local},
    support::{Origin, built, coherent, healed, key, sees, settings},
};

const BOTH: [Mechanism; 2] = [Mechanism::Keyspace, Mechanism::Tracking];

async fn tracking(redis: &RedisServer) -> Cache {
    built(settings(redis.url()).mechanisms([Mechanism::Tracking])).await
}

/// Connections that track, by what the server says.
async fn trackers(redis: &RedisServer) -> usize {
    let info: String = redis::from_redis_value(redis.cli(&["INFO", "clients"]).await).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("tracking_clients:")).unwrap();
    line.trim().parse().unwrap()
}

#[tokio::test]
async fn tracking_needs_no_setting_and_hears_every_kind_of_eviction() {
    let redis = RedisServer::options().notifications("").without_command("CONFIG").start().await;
    let (a, b) = (tracking(&redis).await, tracking(&redis).await);
    assert_eq!(trackers(&redis).await, 2);
    let origin = Origin::default();
    for revision in 1..=6_u64 {
        for cache in [&a, &b] {
            local(cache, &origin, 7).await;
        }
        origin.write(revision);
        let ack = match revision {
            1 => a.evict(&key(7)).await,
            2 => b.evict_scope("product").await,
            3 => a.clear().await,
            4 => b.put(key(7), crate::support::product(7, 4)).await,
            5 => {
                // Another application, which knows nothing of us but the name.
                redis.cli(&["DEL", &a.redis_key(&key(7)).unwrap()]).await;
                cache_core::Ack::Applied(0)
            }
            _ => {
                redis.cli(&["FLUSHALL"]).await;
                cache_core::Ack::Applied(0)
            }
        };
        assert!(ack.is_applied());
        for cache in [&a, &b] {
            sees(cache, &origin, 7, revision).await;
        }
    }
}

#[tokio::test]
async fn tracking_hears_of_tags() {
    let redis = RedisServer::start().await;
    let (a, b) = (tracking(&redis).await, tracking(&redis).await);
    let tag = || Key::new("tracked-group").arg("books");
    let read = async |cache: &Cache, revision: u64| {
        let load = move || async move { Ok::<_, std::convert::Infallible>(revision) };
        let Ok(entry) = cache.entry(Key::new("tracked").arg(7_u64)).tag(tag()).or_load(load).await;
        entry.into_value()
    };
    for cache in [&a, &b] {
        eventually(SOON, async || read(cache, 1).await == 1 && cache.stats().local_hits > 0).await;
    }
    assert!(a.evict_tag(tag()).await.is_applied());
    eventually(SOON, async || read(&b, 2).await == 2).await;
}

#[tokio::test]
async fn tracking_killed_is_fenced_and_healed() {
    let redis = RedisServer::start().await;
    let (a, b) = (tracking(&redis).await, tracking(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    origin.write(2);
    let control = a.redis_key(&key(7)).unwrap();
    let mut connection = redis.connection().await;
    let mut breath = redis::pipe();
    for kind in ["normal", "pubsub"] {
        breath.cmd("CLIENT").arg(&["KILL", "TYPE", kind]);
    }
    breath.cmd("SET").arg(&control).arg("1790000000000001").arg("KEEPTTL").ignore();
    let killed: Vec<i64> = breath.query_async(&mut connection).await.unwrap();
    assert_eq!(killed, [2, 2], "both connections of both nodes");
    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
        sees(cache, &origin, 7, 2).await;
    }
    assert_eq!(trackers(&redis).await, 2, "a new connection tracks again");
    in_order(&a, &b).await;
}

#[tokio::test]
async fn the_first_mechanism_that_the_server_can_is_used() {
    let with = RedisServer::options().notifications("K$gxe").start().await;
    let (a, b) = (built(settings(with.url()).mechanisms(BOTH)).await, built(settings(with.url())).await);
    assert_eq!(trackers(&with).await, 0);
    in_order(&a, &b).await;

    let without = RedisServer::options().notifications("").start().await;
    let (a, b) = (built(settings(without.url()).mechanisms(BOTH)).await, tracking(&without).await);
    assert_eq!(trackers(&without).await, 2);
    in_order(&a, &b).await;
}

#[tokio::test]
async fn nodes_of_different_mechanisms_hear_each_other() {
    let redis = RedisServer::options().notifications("K$gxe").start().await;
    let (a, b) = (built(settings(redis.url())).await, tracking(&redis).await);
    in_order(&a, &b).await;
    in_order(&b, &a).await;
}

#[tokio::test]
async fn a_mechanism_switched_off_while_running_is_replaced_by_the_next() {
    let redis = RedisServer::options().notifications("K$gxe").start().await;
    let node = || settings(redis.url()).mechanisms(BOTH).bound(millis(200));
    let (a, b) = (built(node()).await, built(node()).await);
    assert_eq!(trackers(&redis).await, 0);
    redis.cli(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    eventually(SOON, async || trackers(&redis).await == 2).await;
    for cache in [&a, &b] {
        coherent(cache).await;
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn a_user_who_may_not_track_is_told_so_or_falls_back() {
    let rule = "shop on >secret ~shop:* &* +@all -client|tracking";
    let redis = RedisServer::options().notifications("K$gxe").user(rule).start().await;
    let url = || redis.url_with("shop", "secret", "");
    let error = settings(url()).mechanisms([Mechanism::Tracking]).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    let order = [Mechanism::Tracking, Mechanism::Keyspace];
    let (a, b) = (built(settings(url()).mechanisms(order)).await, built(settings(url())).await);
    in_order(&a, &b).await;
}

#[tokio::test]
async fn no_mechanism_at_all_is_an_error() {
    let error = settings("redis://127.0.0.1:1/").mechanisms([]).bound(secs(1)).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("at least one mechanism"), "{error}");
}
