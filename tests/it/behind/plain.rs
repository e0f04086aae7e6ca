//! What everybody sees while all is well.

use std::{convert::Infallible, time::Duration};

use cache_core::{Cache, behind::AckLevel};
use tests::fixtures::eventually;

use super::{counter, durable, flushed, node, starting, table::Table};
use crate::support::{Product, counted, key, product};

async fn read(cache: &Cache, table: &Table, id: u64) -> Option<Product> {
    let table = table.clone();
    let load = move || async move { Ok::<_, Infallible>(table.product(&key(id))) };
    cache.entry(key(id)).or_find(load).await.unwrap().into_value()
}

#[tokio::test]
async fn put_is_seen_on_every_node_before_it_is_flushed_and_ends_up_in_the_sink() {
    let redis = durable().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let table = Table::shut();
    let behind = starting(&a, &table).start().await.unwrap();
    assert_eq!(read(&b, &table, 1).await, None, "the old row, which both nodes have by now");
    assert_eq!(read(&a, &table, 1).await, None);

    behind.put(key(1), &product(1, 7)).await.unwrap();
    assert_eq!(read(&a, &table, 1).await, Some(product(1, 7)));
    eventually(Duration::from_secs(20), async || read(&b, &table, 1).await == Some(product(1, 7))).await;
    assert_eq!(table.product(&key(1)), None, "the table is shut");

    table.open();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 7)));
    assert_eq!(read(&b, &table, 1).await, Some(product(1, 7)));
}

#[tokio::test]
async fn evict_of_what_is_not_flushed_does_not_bring_the_old_row_back() {
    let redis = durable().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let table = Table::shut();
    let behind = starting(&a, &table).start().await.unwrap();
    behind.put(key(1), &product(1, 7)).await.unwrap();
    for cache in [&a, &b] {
        assert!(cache.evict(&key(1)).await.is_applied());
        assert_eq!(read(cache, &table, 1).await, Some(product(1, 7)));
    }
    behind.delete(key(1)).await.unwrap();
    assert_eq!(read(&a, &table, 1).await, None);
    table.open();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), None);
}

#[tokio::test]
async fn versions_stay_with_the_time_however_many_there_are() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).start().await.unwrap();
    let first = behind.put(key(1), &product(1, 1)).await.unwrap().version.unwrap();
    // As a node does whose clock is ahead.
    let states: Vec<String> = redis::from_redis_value(redis.cli(&["KEYS", "*:s:*:product"]).await).unwrap();
    let mut last = first + 1_000_000;
    for state in states {
        redis.cli(&["HSET", &state, "last", &last.to_string()]).await;
    }
    for revision in 2..1_000 {
        let version = behind.put(key(1), &product(1, revision)).await.unwrap().version.unwrap();
        assert!(version > last, "{version} after {last}");
        last = version;
    }
    let (secs, micros): (u64, u64) = redis::from_redis_value(redis.cli(&["TIME"]).await).unwrap();
    let now = secs * 1_000_000 + micros;
    assert!(last < now + 2_000_000, "{last} at {now}");
}

#[tokio::test]
async fn many_changes_of_a_key_are_few_writes_and_the_last_one_stays() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::shut();
    let behind = starting(&cache, &table).start().await.unwrap();
    for revision in 1..=20 {
        for id in 1..=10 {
            behind.put(key(id), &product(id, revision)).await.unwrap();
        }
    }
    table.open();
    flushed(&behind).await;
    for id in 1..=10 {
        assert_eq!(table.product(&key(id)), Some(product(id, 20)));
    }
    let lag = behind.lag().await.unwrap();
    assert_eq!(lag.flushed, 200);
    assert!(lag.writes <= 40, "{lag:?}");
    let grows = |key: &String| {
        table.with(|state| {
            let versions: Vec<u64> =
                state.log.iter().filter(|(of, _)| of == key).map(|(_, version)| *version).collect();
            versions.is_sorted_by(|a, b| a < b)
        })
    };
    assert!((1..=10).all(|id| grows(&key(id).wire())));
}

#[tokio::test]
async fn a_batchs_worth_in_one_partition_leaves_the_others_to_gather() {
    const WAVES: u64 = 5;
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).gather(Duration::from_secs(60)).batch(50).start().await.unwrap();
    eventually(Duration::from_secs(20), async || behind.lag().await.unwrap().owned == 4).await;
    for wave in 1..=WAVES {
        for id in 1..=32 {
            behind.put(key(id), &product(id, wave)).await.unwrap();
        }
        for revision in 0..50 {
            behind.put(key(0), &product(0, 100 * wave + revision)).await.unwrap();
        }
        // By then the batch is in the table, but for the last few changes.
        eventually(Duration::from_secs(20), async || {
            table.product(&key(0)).is_some_and(|it| it.revision >= 100 * wave)
        })
        .await;
    }
    let lag = behind.close(Duration::from_secs(20)).await.unwrap();
    assert_eq!((lag.changes, lag.flushed), (0, WAVES * 82));
    // Some of the 32 are in the partition of the one that changes so often.
    assert!(lag.writes < 32 * 3, "{lag:?}");
    assert!((1..=32).all(|id| table.product(&key(id)) == Some(product(id, WAVES))));
}

#[tokio::test]
async fn what_changes_again_while_it_gathers_is_written_once() {
    const GATHER: Duration = Duration::from_secs(2);
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).gather(GATHER).start().await.unwrap();
    eventually(Duration::from_secs(20), async || behind.lag().await.unwrap().owned == 4).await;
    // Time itself: so that the partition is about to be looked at when the change comes.
    tokio::time::sleep(GATHER.mul_f64(0.9)).await;
    let since = tokio::time::Instant::now();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    behind.put(key(1), &product(1, 2)).await.unwrap();
    eventually(Duration::from_secs(20), async || table.product(&key(1)).is_some()).await;
    assert!(since.elapsed() > GATHER / 2, "looked at, and left to gather: {:?}", since.elapsed());
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 2)));
    assert_eq!(behind.lag().await.unwrap().writes, 1);
}

#[tokio::test]
async fn a_journal_in_which_nothing_happens_is_not_read() {
    let redis = durable().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let table = Table::new();
    let behind = starting(&a, &table).start().await.unwrap();
    let elsewhere = starting(&b, &table).start().await.unwrap();
    for round in 1..=2 {
        for id in 0..8 {
            elsewhere.put(key(id), &product(id, round)).await.unwrap();
        }
        // What another process has journaled is found all the same.
        flushed(&behind).await;
        assert!((0..8).all(|id| table.product(&key(id)) == Some(product(id, round))));
        // A look that was under way ends.
        let lengths = counted(&redis, "xlen", "calls").await;
        eventually(Duration::from_secs(20), async || counted(&redis, "xlen", "calls").await > lengths + 16).await;
        let (reads, lengths) = (counted(&redis, "xrange", "calls").await, counted(&redis, "xlen", "calls").await);
        eventually(Duration::from_secs(20), async || counted(&redis, "xlen", "calls").await > lengths + 40).await;
        assert_eq!(
            counted(&redis, "xrange", "calls").await,
            reads,
            "whether there is anything is asked of all in one trip"
        );
    }
}

#[tokio::test]
async fn increments_add_up_and_follow_a_put() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).start().await.unwrap();
    for by in 1..=100 {
        behind.increment(counter(1), by).await.unwrap();
    }
    behind.increment(counter(2), 5).await.unwrap();
    behind.put(counter(2), &product(2, 1)).await.unwrap();
    behind.increment(counter(2), -3).await.unwrap();
    flushed(&behind).await;
    assert_eq!(table.row(&counter(1)).count, 5_050);
    assert_eq!((table.row(&counter(2)).count, table.product(&counter(2))), (-3, Some(product(2, 1))));
}

#[tokio::test]
async fn readers_see_a_counter_when_it_is_flushed() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).start().await.unwrap();
    let count = async || {
        let table = table.clone();
        let load = move || async move { Ok::<_, Infallible>(table.row(&counter(1)).count) };
        cache.get_or_load(counter(1), load).await.unwrap()
    };
    assert_eq!(count().await, 0);
    behind.increment(counter(1), 3).await.unwrap();
    eventually(Duration::from_secs(20), async || count().await == 3).await;
}

#[tokio::test]
async fn close_drains_and_takes_no_more() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind =
        starting(&cache, &table).gather(Duration::from_secs(60)).ack(AckLevel::Accepted).start().await.unwrap();
    for id in 1..=50 {
        behind.put(key(id), &product(id, 1)).await.unwrap();
    }
    let lag = behind.close(Duration::from_secs(20)).await.unwrap();
    assert_eq!(lag.changes, 0);
    assert!((1..=50).all(|id| table.product(&key(id)) == Some(product(id, 1))));
    let refused = behind.put(key(1), &product(1, 2)).await.unwrap_err();
    assert_eq!(refused.kind(), cache_core::ErrorKind::Closed);
}

#[tokio::test]
async fn a_process_without_redis_writes_behind_too_and_reads_what_it_wrote() {
    let cache = Cache::builder("shop").build().await.unwrap();
    let table = Table::shut();
    let behind = starting(&cache, &table).start_volatile().await.unwrap();
    assert_eq!(read(&cache, &table, 1).await, None);
    behind.put(key(1), &product(1, 7)).await.unwrap();
    assert_eq!(read(&cache, &table, 1).await, Some(product(1, 7)));
    assert!(cache.evict(&key(1)).await.is_applied());
    assert_eq!(read(&cache, &table, 1).await, Some(product(1, 7)));
    table.open();
    assert_eq!(behind.close(Duration::from_secs(20)).await.unwrap().changes, 0);
    assert_eq!(table.product(&key(1)), Some(product(1, 7)));
}

#[tokio::test]
async fn a_journal_of_the_process_that_is_started_again_is_the_one_that_is_read() {
    let cache = Cache::in_memory();
    for revision in 1..=2 {
        let table = Table::shut();
        let behind = starting(&cache, &table).start_volatile().await.unwrap();
        behind.put(key(1), &product(1, revision)).await.unwrap();
        assert!(cache.evict(&key(1)).await.is_applied());
        assert_eq!(read(&cache, &table, 1).await, Some(product(1, revision)));
        table.open();
        behind.close(Duration::from_secs(20)).await.unwrap();
    }
}

#[tokio::test]
async fn writes_that_are_only_accepted_keep_the_order_of_their_key() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).ack(AckLevel::Accepted).start().await.unwrap();
    for revision in 1..=200 {
        for id in 1..=5 {
            behind.put(key(id), &product(id, revision)).await.unwrap();
        }
    }
    assert_eq!(behind.close(Duration::from_secs(20)).await.unwrap().changes, 0);
    for id in 1..=5 {
        assert_eq!(table.product(&key(id)), Some(product(id, 200)));
    }
}
