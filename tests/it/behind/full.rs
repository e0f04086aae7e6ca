//! What writers get when a partition of the journal has no room.

use std::time::Duration;

use cache_core::{
    Cache, Error, ErrorKind,
    behind::{AckLevel, Journaled, Starting, WhenFull, WriteBehind},
};
use tests::fixtures::eventually;
use tokio::task::JoinHandle;

use super::{counter, durable, flushed, node, starting, table::Table};
use crate::support::{Product, built, key, product, settings};

/// A journal with room for one, whose writers are patient beyond it.
fn through(cache: &Cache, table: &Table, longest: Duration) -> Starting<Product, Table> {
    starting(cache, table).room(1).when_full(WhenFull::WriteThrough(longest))
}

const A_MINUTE: Duration = Duration::from_secs(60);

/// Puts a revision of product 1 when there is no room, and what the table had as soon as that was answered.
fn put_beyond(
    behind: &WriteBehind<Product>,
    table: &Table,
    revision: u64,
) -> JoinHandle<(Result<Journaled, Error>, Option<Product>)> {
    let (behind, table) = (behind.clone(), table.clone());
    tokio::spawn(async move {
        let answer = behind.put(key(1), &product(1, revision)).await;
        (answer, table.product(&key(1)))
    })
}

async fn a_batch_came(table: &Table, number: usize) {
    eventually(Duration::from_secs(20), async || table.batches_that_came() >= number).await;
}

#[tokio::test]
async fn a_sink_that_is_behind_holds_writers_back_as_they_wish() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::shut();
    let behind = starting(&cache, &table).room(3).when_full(WhenFull::Fail).start().await.unwrap();
    let mut full = None;
    for _ in 0..10 {
        full = full.or(behind.put(key(1), &product(1, 1)).await.err());
    }
    assert_eq!(full.unwrap().kind(), ErrorKind::Full);
    assert_eq!(behind.lag().await.unwrap().changes, 3);

    let patient = starting(&cache, &table).room(3).when_full(WhenFull::Wait(A_MINUTE)).start().await.unwrap();
    let waiting = tokio::spawn(async move { patient.put(key(1), &product(1, 2)).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    table.open();
    waiting.await.unwrap().unwrap();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 2)));
}

#[tokio::test]
async fn write_through_is_answered_when_the_sink_has_it_whoever_flushes() {
    let redis = durable().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let table = Table::shut();
    let owner = through(&a, &table, A_MINUTE).start().await.unwrap();
    owner.put(key(1), &product(1, 1)).await.unwrap();
    a_batch_came(&table, 1).await;
    let writer = through(&b, &Table::new(), A_MINUTE).start().await.unwrap();
    let waiting = put_beyond(&writer, &table, 2);

    // The first one makes room for the second, which is flushed behind it, and the table is shut again.
    table.open_for_one();
    a_batch_came(&table, 2).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 1)));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "the sink does not have it");
    table.open();
    let (answer, row) = waiting.await.unwrap();
    assert!(answer.unwrap().version.is_some());
    assert_eq!(row, Some(product(1, 2)), "it is there as soon as that is said");
}

#[tokio::test]
async fn write_through_waits_for_no_one_while_there_is_room() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::shut();
    let behind = through(&cache, &table, A_MINUTE).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    assert_eq!(table.product(&key(1)), None, "journaled");
}

#[tokio::test]
async fn write_through_that_comes_too_late_says_that_it_is_journaled() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::shut();
    let behind = through(&cache, &table, Duration::from_secs(3)).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    table.open_for_one();
    let late = behind.put(key(1), &product(1, 2)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Unconfirmed, "{late}");
    assert!(late.to_string().contains("is journaled"), "{late}");
    // No room at all is told apart.
    let full = behind.put(key(1), &product(1, 3)).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full, "{full}");

    table.open();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 2)));
}

#[tokio::test]
async fn write_through_that_a_row_refuses_waits_until_it_does_not() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::shut();
    table.with(|state| state.refused.insert(key(1).wire()));
    let behind = through(&cache, &table, A_MINUTE).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    let waiting = put_beyond(&behind, &table, 2);
    table.open();
    // Both are kept to be tried again: no entry is left.
    eventually(Duration::from_secs(20), async || {
        let lag = behind.lag().await.unwrap();
        lag.changes == 0 && lag.parked == 1
    })
    .await;
    assert!(!waiting.is_finished());
    table.with(|state| state.refused.clear());
    let (answer, row) = waiting.await.unwrap();
    answer.unwrap();
    assert_eq!(row, Some(product(1, 2)));
}

#[tokio::test]
async fn write_through_that_is_given_up_is_an_error_with_the_reason() {
    let redis = durable().await;
    for volatile in [false, true] {
        let cache = if volatile { Cache::in_memory() } else { node(&redis).await };
        let table = Table::shut();
        table.with(|state| state.refused.insert(key(1).wire()));
        let starting = through(&cache, &table, A_MINUTE).attempts(1);
        let behind = if volatile { starting.start_volatile().await } else { starting.start().await }.unwrap();
        behind.put(key(1), &product(1, 1)).await.unwrap();
        let waiting = put_beyond(&behind, &table, 2);
        table.open();
        let refused = waiting.await.unwrap().0.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
        let letters = behind.dead_letters(10).await.unwrap();
        assert!(letters[0].reason.contains("a row that nothing fits"), "{letters:?}");
        // What comes later is not meant by its letters.
        table.with(|state| state.refused.clear());
        behind.put(key(1), &product(1, 3)).await.unwrap();
        behind.put(key(1), &product(1, 4)).await.unwrap();
        assert_eq!(behind.dead_letters(10).await.unwrap().len(), letters.len());
        behind.close(Duration::from_secs(20)).await.unwrap();
    }
}

#[tokio::test]
async fn write_throughs_of_one_key_that_are_given_up_one_after_the_other_are_errors_each() {
    let redis = durable().await;
    for volatile in [false, true] {
        let cache = if volatile { Cache::in_memory() } else { node(&redis).await };
        let table = Table::shut();
        table.with(|state| state.refused.insert(counter(1).wire()));
        let starting = through(&cache, &table, A_MINUTE).attempts(1);
        let behind = if volatile { starting.start_volatile().await } else { starting.start().await }.unwrap();
        behind.increment(counter(1), 1).await.unwrap();
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let behind = behind.clone();
                tokio::spawn(async move { behind.increment(counter(1), 1).await })
            })
            .collect();
        table.open();
        let mut refused = 0;
        for waiting in waiting {
            // Who finds room at once waits for nothing.
            let Err(error) = waiting.await.unwrap() else { continue };
            assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
            refused += 1;
        }
        assert!(refused > 0);
        behind.close(Duration::from_secs(20)).await.unwrap();
    }
}

#[tokio::test]
async fn write_through_that_the_server_loses_is_no_success() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::shut();
    let behind = through(&cache, &table, Duration::from_secs(20)).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    a_batch_came(&table, 1).await;
    let waiting = put_beyond(&behind, &table, 2);
    table.open_for_one();
    a_batch_came(&table, 2).await;
    let _emptied: () = redis::from_redis_value(redis.cli(&["FLUSHALL"]).await).unwrap();
    let lost = waiting.await.unwrap().0.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Remote, "{lost}");
    table.open();
}

#[tokio::test]
async fn whoever_waits_for_room_in_a_journal_that_is_closed_is_told_so() {
    let cache = Cache::in_memory();
    for when_full in [WhenFull::WriteThrough(A_MINUTE), WhenFull::Wait(A_MINUTE)] {
        let table = Table::shut();
        let behind = starting(&cache, &table).room(1).when_full(when_full).start_volatile().await.unwrap();
        behind.put(key(1), &product(1, 1)).await.unwrap();
        let waiting = put_beyond(&behind, &table, 2);
        a_batch_came(&table, 1).await;
        let closing = tokio::spawn({
            let behind = behind.clone();
            async move { behind.close(Duration::from_secs(20)).await }
        });
        let closed = waiting.await.unwrap().0.unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::Closed, "{closed}");
        table.open();
        assert_eq!(closing.await.unwrap().unwrap().changes, 0);
    }
}

/// What a writer was answered for is not dropped because the sink is behind.
#[tokio::test]
async fn what_was_accepted_waits_for_room() {
    let redis = durable().await;
    let cache = built(settings(redis.url()).ensure_notifications().partitions(1)).await;
    let table = Table::shut();
    let starting = starting(&cache, &table).ack(AckLevel::Accepted).room(2).when_full(WhenFull::Fail);
    let behind = starting.start().await.unwrap();
    for id in 1..=10 {
        behind.put(key(id), &product(id, 1)).await.unwrap();
        behind.increment(counter(id), 1).await.unwrap();
    }
    eventually(Duration::from_secs(20), async || behind.lag().await.unwrap().changes == 2).await;
    table.open();
    eventually(Duration::from_secs(30), async || {
        (1..=10).all(|id| table.product(&key(id)) == Some(product(id, 1)) && table.row(&counter(id)).count == 1)
    })
    .await;
}

#[tokio::test]
async fn what_was_accepted_is_journaled_when_the_last_handle_is_gone() {
    let redis = durable().await;
    let cache = built(settings(redis.url()).ensure_notifications().partitions(1)).await;
    let behind = starting(&cache, &Table::shut()).ack(AckLevel::Accepted).start().await.unwrap();
    for id in 1..=100 {
        behind.put(key(id), &product(id, 1)).await.unwrap();
    }
    drop((behind, cache));
    let cache = built(settings(redis.url()).ensure_notifications().partitions(1)).await;
    let table = Table::new();
    let _behind = starting(&cache, &table).start().await.unwrap();
    eventually(Duration::from_secs(30), async || (1..=100).all(|id| table.product(&key(id)) == Some(product(id, 1))))
        .await;
}

#[tokio::test]
async fn a_letter_that_is_replayed_waits_for_room_and_not_for_the_sink() {
    let cache = Cache::in_memory();
    let table = Table::shut();
    table.with(|state| state.refused.insert(key(1).wire()));
    let behind = through(&cache, &table, A_MINUTE).attempts(1).start_volatile().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    table.open_for_one();
    eventually(Duration::from_secs(20), async || behind.lag().await.unwrap().dead == 1).await;
    let letters = behind.dead_letters(10).await.unwrap();
    table.with(|state| state.refused.clear());

    behind.put(key(2), &product(2, 1)).await.unwrap();
    let replaying = tokio::spawn({
        let behind = behind.clone();
        async move { behind.replay(&letters[0]).await }
    });
    a_batch_came(&table, 2).await;
    table.open_for_one();
    replaying.await.unwrap().unwrap();
    assert_eq!(table.product(&key(1)), None, "the table is shut");
    assert!(behind.dead_letters(10).await.unwrap().is_empty());
    table.open();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 1)));
}

#[tokio::test]
async fn deletes_and_increments_are_written_through_in_their_order() {
    let redis = durable().await;
    for volatile in [false, true] {
        let cache = if volatile { Cache::in_memory() } else { node(&redis).await };
        let table = Table::shut();
        let starting = through(&cache, &table, A_MINUTE);
        let behind = if volatile { starting.start_volatile().await } else { starting.start().await }.unwrap();
        behind.put(key(1), &product(1, 1)).await.unwrap();
        table.open();
        for _ in 0..5 {
            behind.increment(counter(1), 2).await.unwrap();
        }
        behind.delete(key(1)).await.unwrap();
        flushed(&behind).await;
        assert_eq!((table.row(&counter(1)).count, table.product(&key(1))), (10, None));
        behind.close(Duration::from_secs(20)).await.unwrap();
    }
}
