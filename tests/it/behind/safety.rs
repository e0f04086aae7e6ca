//! Writers that are answered when the replicas have it, or the disk.

use std::time::Duration;

use cache_core::{
    Cache, ErrorKind, Redis,
    behind::{AckLevel, WriteBehind},
};
use futures_util::future::join_all;
use tests::fixtures::{RedisCluster, RedisOptions, RedisServer, eventually};

use super::{flushed, node, starting, table::Table};
use crate::support::{Product, built, key, product, settings};

const SOON: Duration = Duration::from_secs(60);

/// Each primary with a replica, and a journal whose writers wait for it.
async fn replicated(table: &Table) -> (RedisCluster, Cache, WriteBehind<Product>) {
    let cluster = RedisCluster::start_with(3, 1, RedisServer::options().append_only("everysec")).await;
    let cache = built(settings(Redis::cluster(cluster.urls())).ensure_notifications().partitions(16)).await;
    let behind = starting(&cache, table).ack(AckLevel::Replicated(1)).start().await.unwrap();
    (cluster, cache, behind)
}

#[tokio::test]
async fn what_a_replica_had_when_it_was_answered_survives_its_primary() {
    let table = Table::shut();
    let (cluster, cache, behind) = replicated(&table).await;
    let put = |id: u64, revision| {
        let behind = &behind;
        async move { behind.put(key(id), &product(id, revision)).await.unwrap() }
    };
    for revision in 1..=5 {
        join_all((1..=40).map(|id| put(id, revision))).await;
    }
    let slot = cluster.slot_of(&cache.redis_key(&key(7)).unwrap()).await;
    let primary = cluster.owner_of(slot).await;
    let replica = cluster.replica_of(primary).await;
    primary.kill().await;
    cluster.promoted(replica).await;
    table.open();
    eventually(SOON, async || (1..=40).all(|id| table.product(&key(id)) == Some(product(id, 5)))).await;
}

#[tokio::test]
async fn what_no_replica_has_is_not_answered_and_is_journaled_all_the_same() {
    let table = Table::new();
    let (cluster, cache, behind) = replicated(&table).await;
    behind.put(key(7), &product(7, 1)).await.unwrap();
    let slot = cluster.slot_of(&cache.redis_key(&key(7)).unwrap()).await;
    let replica = cluster.replica_of(cluster.owner_of(slot).await).await;
    replica.pause().await;
    let unsafe_ = behind.put(key(7), &product(7, 2)).await.unwrap_err();
    assert_eq!(unsafe_.kind(), ErrorKind::Unconfirmed);
    assert!(unsafe_.to_string().contains("0 of 1 replicas"), "{unsafe_}");
    eventually(SOON, async || table.product(&key(7)) == Some(product(7, 2))).await;
    replica.resume();
    eventually(SOON, async || behind.put(key(7), &product(7, 3)).await).await;
    flushed(&behind).await;
    assert_eq!(table.product(&key(7)), Some(product(7, 3)));
}

#[tokio::test]
async fn scripts_that_a_server_forgets_are_given_to_it_again() {
    let table = Table::new();
    let (cluster, _cache, behind) = replicated(&table).await;
    for revision in 1..=3 {
        for node in cluster.nodes() {
            node.cli(&["SCRIPT", "FLUSH"]).await;
        }
        join_all((1..=20).map(|id| {
            let behind = &behind;
            async move { behind.put(key(id), &product(id, revision)).await.unwrap() }
        }))
        .await;
    }
    flushed(&behind).await;
    for id in 1..=20 {
        assert_eq!(table.product(&key(id)), Some(product(id, 3)));
    }
}

#[tokio::test]
async fn fewer_replicas_than_are_asked_for_are_refused_at_the_start() {
    let redis = RedisServer::options().append_only("everysec").start().await;
    for (replicas, says) in [(1, "needs as many replicas of each primary, and one has 0"), (0, "waits for nobody")] {
        let cache = node(&redis).await;
        let starting = starting(&cache, &Table::new()).ack(AckLevel::Replicated(replicas));
        let refused = starting.start().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.to_string().contains(says), "{refused}");
    }
}

#[tokio::test]
async fn a_user_who_may_not_wait_is_told_which_right_is_missing() {
    let redis = RedisServer::options().append_only("everysec").user("shop on >secret ~* &* +@all -wait").start().await;
    let cache = built(settings(redis.url_with("shop", "secret", "")).ensure_notifications().partitions(4)).await;
    let refused = starting(&cache, &Table::new()).ack(AckLevel::Replicated(1)).start().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(refused.to_string().contains("+wait"), "{refused}");
}

/// Where there is no server that can be asked for its disk, `tests/run` says so, and what is left to show is that such a one is refused.
async fn is_refused_without_waitaof() {
    let redis = RedisServer::options().append_only("everysec").start().await;
    let refused = starting(&node(&redis).await, &Table::new()).ack(AckLevel::Fsynced).start().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("WAITAOF"), "{refused}");
}

#[tokio::test]
async fn what_the_disk_had_is_answered_and_what_it_has_not_is_no_answer() {
    let Some(options) = RedisOptions::that_waits_for_its_disk() else { return is_refused_without_waitaof().await };
    let redis = options.append_only("everysec").start().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).ack(AckLevel::Fsynced).start().await.unwrap();
    let put = |id: u64| {
        let behind = &behind;
        async move { behind.put(key(id), &product(id, 1)).await }
    };
    for answer in join_all((1..=200).map(put)).await {
        answer.unwrap();
    }
    // Nobody has it written to the disk any more.
    redis.cli(&["CONFIG", "SET", "appendfsync", "no"]).await;
    let unsafe_ = put(201).await.unwrap_err();
    assert_eq!(unsafe_.kind(), ErrorKind::Unconfirmed);
    assert!(unsafe_.to_string().contains("0 of 1 disks"), "{unsafe_}");
    redis.cli(&["CONFIG", "SET", "appendfsync", "always"]).await;
    put(202).await.unwrap();
    flushed(&behind).await;
    for id in 1..=202 {
        assert_eq!(table.product(&key(id)), Some(product(id, 1)), "{id}");
    }
}

#[tokio::test]
async fn a_disk_that_nobody_writes_to_is_refused_at_the_start() {
    let Some(options) = RedisOptions::that_waits_for_its_disk() else { return is_refused_without_waitaof().await };
    let redis = options.append_only("no").start().await;
    let refused = starting(&node(&redis).await, &Table::new()).ack(AckLevel::Fsynced).start().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("appendfsync no"), "{refused}");
}
