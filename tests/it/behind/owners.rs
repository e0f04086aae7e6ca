//! Several processes: who flushes, who takes over, and what a server that lost something means.

use std::time::Duration;

use cache_core::behind::WriteBehind;
use tests::fixtures::{Direction, Proxy, eventually};

use super::{counter, durable, flushed, node, starting, table::Table};
use crate::support::{Product, built, key, product, settings};

const SOON: Duration = Duration::from_secs(20);

/// What they own, once it is this.
async fn come_to_own(all: &[&WriteBehind<Product>], expected: &[usize]) {
    eventually(SOON, async || {
        let mut owned = Vec::new();
        for behind in all {
            owned.push(behind.lag().await.unwrap().owned);
        }
        owned.sort_unstable();
        if owned == expected { Ok(()) } else { Err(owned) }
    })
    .await;
}

#[tokio::test]
async fn partitions_are_shared_evenly_and_have_one_owner_each() {
    let redis = durable().await;
    let table = Table::new();
    let flusher = async || {
        let cache = built(settings(redis.url()).ensure_notifications().partitions(8)).await;
        starting(&cache, &table).owned_for(Duration::from_millis(500)).start().await.unwrap()
    };
    let first = flusher().await;
    come_to_own(&[&first], &[8]).await;
    let second = flusher().await;
    come_to_own(&[&first, &second], &[4, 4]).await;
    let third = flusher().await;
    come_to_own(&[&first, &second, &third], &[2, 3, 3]).await;
    for id in 1..=40 {
        second.put(key(id), &product(id, 1)).await.unwrap();
    }
    flushed(&second).await;
    first.close(SOON).await.unwrap();
    come_to_own(&[&second, &third], &[4, 4]).await;
    second.put(key(1), &product(1, 2)).await.unwrap();
    flushed(&second).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 2)));
    assert!((2..=40).all(|id| table.product(&key(id)) == Some(product(id, 1))));
}

/// It would take what others are about to take, and give it up again.
#[tokio::test]
async fn who_has_its_share_leaves_what_is_free_to_others() {
    let redis = durable().await;
    let cache = built(settings(redis.url()).ensure_notifications().partitions(8)).await;
    let owned = Duration::from_millis(300);
    let behind = starting(&cache, &Table::new()).owned_for(owned).start().await.unwrap();
    come_to_own(&[&behind], &[8]).await;
    let flushers: Vec<String> = redis::from_redis_value(redis.cli(&["KEYS", "*:n:*:product"]).await).unwrap();
    redis.cli(&["ZADD", &flushers[0], "9e15", "one that is slow to take its share"]).await;
    let free = async || {
        let mut free: Vec<(String, u64)> = Vec::new();
        let states: Vec<String> = redis::from_redis_value(redis.cli(&["KEYS", "*:s:*:product"]).await).unwrap();
        for state in states {
            let (owner, fence): (Option<String>, u64) =
                redis::from_redis_value(redis.cli(&["HMGET", &state, "owner", "fence"]).await).unwrap();
            free.extend(owner.is_none().then_some((state, fence)));
        }
        free.sort();
        free
    };
    eventually(SOON, async || free().await.len() == 4).await;
    let before = free().await;
    // Time itself: that of several looks at what is free.
    tokio::time::sleep(owned * 5).await;
    assert_eq!(free().await, before, "under a fence of its own it would have been somebody's");
    redis.cli(&["ZREM", &flushers[0], "one that is slow to take its share"]).await;
    come_to_own(&[&behind], &[8]).await;
}

/// What the one has under way the other must not take for its own.
#[tokio::test]
async fn two_flushers_of_one_process_are_two() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let start =
        async |table: &Table| starting(&cache, table).owned_for(Duration::from_millis(500)).start().await.unwrap();
    let (first, second) = (start(&Table::new()).await, start(&Table::new()).await);
    come_to_own(&[&first, &second], &[2, 2]).await;
}

/// An advance of which nothing was heard may still come: under the same fence it would be taken.
#[tokio::test]
async fn who_does_not_know_what_became_of_an_advance_goes_on_under_another_fence() {
    let redis = durable().await;
    let line = Proxy::before(&redis).await;
    let table = Table::shut();
    let cache = built(settings(line.url()).ensure_notifications().partitions(1)).await;
    let behind = starting(&cache, &table).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    eventually(SOON, async || table.is_waited_for()).await;
    let before = table.fence();
    line.stall(Direction::ToClient);
    table.open();
    eventually(SOON, async || table.product(&key(1)).is_some()).await;
    line.cut();
    line.pass();
    eventually(SOON, async || table.fence() > before).await;
    eventually(SOON, async || behind.lag().await.is_ok_and(|lag| lag.changes == 0)).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 1)));
}

/// What the sink has committed is not in the journal any more, and what is in it came later.
#[tokio::test]
async fn a_position_of_the_sink_that_the_journal_has_lost_holds_nothing_up() {
    let redis = durable().await;
    let table = Table::new();
    table.with(|state| state.keeps_positions = true);
    let cache = node(&redis).await;
    let behind = starting(&cache, &table).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    flushed(&behind).await;
    behind.close(SOON).await.unwrap();
    redis.cli(&["FLUSHALL"]).await;
    let away = Table::new();
    away.with(|state| state.is_down = true);
    let writer = node(&redis).await;
    let behind = starting(&writer, &away).start().await.unwrap();
    behind.put(key(1), &product(1, 2)).await.unwrap();
    writer.close().await;

    let behind = starting(&cache, &table).start().await.unwrap();
    flushed(&behind).await;
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
