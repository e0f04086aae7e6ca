//! Several processes: who flushes, who takes over, and what a server that lost something means.

use std::time::Duration;

use tests::fixtures::{Direction, Proxy, eventually};

use super::{counter, durable, flushed, node, starting, table::Table};
use crate::support::{built, key, product, settings};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_partition_has_one_owner_and_another_when_that_one_ends() {
    let redis = durable().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let table = Table::new();
    let first = starting(&a, &table).start().await.unwrap();
    eventually(Duration::from_secs(20), async || first.lag().await.unwrap().owned == 4).await;
    let second = starting(&b, &table).start().await.unwrap();
    second.put(key(1), &product(1, 1)).await.unwrap();
    flushed(&second).await;
    assert_eq!(second.lag().await.unwrap().owned, 0);

    first.close(Duration::from_secs(20)).await.unwrap();
    second.put(key(1), &product(1, 2)).await.unwrap();
    flushed(&second).await;
    eventually(Duration::from_secs(20), async || second.lag().await.unwrap().owned == 4).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 2)));
}

/// Otherwise the next owner might have read before the last one did, and would put again what that one deletes.
#[tokio::test]
async fn who_takes_over_ends_what_the_owner_before_had_begun() {
    let redis = durable().await;
    let line = Proxy::before(&redis).await;
    let table = Table::shut();
    let owned = Duration::from_millis(300);
    let a = built(settings(line.url()).ensure_notifications().partitions(1)).await;
    let first = starting(&a, &table).owned_for(owned).start().await.unwrap();
    first.put(key(1), &product(1, 1)).await.unwrap();
    eventually(SOON, async || table.is_waited_for()).await;
    let before = table.fence();
    // It does not say any more that it is there, and its batch is on its way.
    line.stall(Direction::ToServer);
    let b = built(settings(redis.url()).ensure_notifications().partitions(1)).await;
    let second = starting(&b, &table).owned_for(owned).start().await.unwrap();
    eventually(SOON, async || table.fence() > before).await;
    table.open();
    flushed(&second).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 1)));
    assert_eq!(table.with(|state| state.written_under.clone()), [table.fence()].into());
}

#[tokio::test]
async fn what_a_process_left_behind_is_flushed_by_the_next_one() {
    let redis = durable().await;
    let table = Table::new();
    table.with(|state| state.is_down = true);
    let before = node(&redis).await;
    let behind = starting(&before, &table).start().await.unwrap();
    for by in 1..=10 {
        behind.put(key(by), &product(by, 1)).await.unwrap();
        behind.increment(counter(1), by as i64).await.unwrap();
    }
    // The cache ends, and the flusher with it; nothing was flushed.
    before.close().await;
    table.with(|state| state.is_down = false);

    let after = node(&redis).await;
    let behind = starting(&after, &table).start().await.unwrap();
    flushed(&behind).await;
    assert!((1..=10).all(|id| table.product(&key(id)) == Some(product(id, 1))));
    assert_eq!(table.row(&counter(1)).count, 55);
}

#[tokio::test]
async fn a_server_that_was_killed_has_what_it_acknowledged() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::shut();
    let behind = starting(&cache, &table).start().await.unwrap();
    for id in 1..=20 {
        behind.put(key(id), &product(id, 1)).await.unwrap();
    }
    redis.kill().await;
    redis.restart().await;
    table.open();
    eventually(Duration::from_secs(30), async || behind.lag().await.is_ok()).await;
    flushed(&behind).await;
    assert!((1..=20).all(|id| table.product(&key(id)) == Some(product(id, 1))));
}

#[tokio::test]
async fn a_fence_that_the_server_lost_is_not_given_again() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let mut fences = Vec::new();
    for _ in 0..2 {
        let behind = starting(&cache, &Table::new()).start().await.unwrap();
        behind.put(key(1), &product(1, 1)).await.unwrap();
        flushed(&behind).await;
        let states: Vec<String> = redis::from_redis_value(redis.cli(&["KEYS", "*:s:*:product"]).await).unwrap();
        for state in states {
            let fence: u64 = redis::from_redis_value(redis.cli(&["HGET", &state, "fence"]).await).unwrap();
            fences.push(fence);
        }
        behind.close(Duration::from_secs(20)).await.unwrap();
        redis.cli(&["FLUSHALL"]).await;
    }
    let (before, after) = fences.split_at(4);
    assert!(before.iter().max() < after.iter().min(), "{fences:?}");
}

#[tokio::test]
async fn fences_that_the_server_lost_are_raised_above_the_sinks() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    flushed(&behind).await;
    behind.close(Duration::from_secs(20)).await.unwrap();
    // As by an owner of a server whose clock was ahead.
    table.raise_fences(1 << 40);
    let mut connection = redis.connection().await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    let behind = starting(&cache, &table).start().await.unwrap();
    behind.put(key(1), &product(1, 3)).await.unwrap();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 3)));
}
