//! What is refused at the start, and what keys and values are.

use std::time::Duration;

use cache_core::{
    Cache, ErrorKind,
    behind::{AckLevel, WhenFull},
};
use tests::fixtures::RedisServer;

use super::{durable, node, starting, table::Table};
use crate::support::{built, product, settings};

#[tokio::test]
async fn a_server_that_would_lose_writes_is_refused_by_the_name_of_the_setting() {
    let lossy = RedisServer::start().await;
    let evicting = RedisServer::options().append_only("always").line("maxmemory-policy allkeys-lru").start().await;
    let lazy = RedisServer::options().append_only("everysec").start().await;
    let cases = [
        (&lossy, AckLevel::Journaled, "appendonly yes"),
        (&evicting, AckLevel::Journaled, "maxmemory-policy noeviction"),
        (&lazy, AckLevel::Fsynced, "appendfsync always"),
    ];
    for (redis, ack, setting) in cases {
        let cache = node(redis).await;
        let refused = starting(&cache, &Table::new()).ack(ack).start().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        assert!(refused.to_string().contains(setting), "{refused}");
        cache.close().await;
    }
    let cache = node(&lossy).await;
    starting(&cache, &Table::new()).allow_loss_on_restart().start().await.unwrap();
    let cache = node(&lazy).await;
    starting(&cache, &Table::new()).start().await.unwrap();
}

#[tokio::test]
async fn without_redis_it_says_what_there_is_instead() {
    let refused = starting(&Cache::in_memory(), &Table::new()).start().await.unwrap_err();
    assert!(refused.to_string().contains("start_volatile()"), "{refused}");
}

/// Readers of other processes would not see what this one keeps.
#[tokio::test]
async fn beside_redis_no_journal_is_kept_in_the_process() {
    let redis = durable().await;
    let refused = starting(&node(&redis).await, &Table::new()).start_volatile().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("`start()`"), "{refused}");
}

#[tokio::test]
async fn writers_that_do_not_wait_for_the_journal_do_not_wait_for_the_sink() {
    let through = WhenFull::WriteThrough(Duration::from_secs(5));
    let starting = starting(&Cache::in_memory(), &Table::new()).ack(AckLevel::Accepted).when_full(through);
    let refused = starting.start_volatile().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Config);
    assert!(refused.to_string().contains("`AckLevel::Journaled`"), "{refused}");
}

#[tokio::test]
async fn keys_of_other_scopes_and_values_that_are_too_large_are_refused() {
    let redis = durable().await;
    let policy = cache_core::Policy::new().max_bytes(1_000);
    let cache = built(settings(redis.url()).ensure_notifications().partitions(4).policy(policy)).await;
    let behind = starting(&cache, &Table::new()).start().await.unwrap();
    let other = behind.put(cache_core::Key::new("products").arg(1_u64), &product(1, 1)).await.unwrap_err();
    assert!(other.to_string().contains("`products`"), "{other}");
    let mut large = product(1, 1);
    large.category = "x".repeat(2_000);
    let refused = behind.put(crate::support::key(1), &large).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Codec);
}
