//! What writers get when a partition of the journal has no room.

use std::time::Duration;

use cache_core::{
    Cache, Error, ErrorKind,
    behind::{Journaled, Starting, WhenFull, WriteBehind},
};
use tests::fixtures::eventually;
use tokio::task::JoinHandle;

use super::{counter, durable, flushed, node, starting, table::Table};
use crate::support::{Product, key, product};

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
    assert_eq!(late.kind(), ErrorKind::Timeout, "{late}");
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
    let cache = node(&redis).await;
    for volatile in [false, true] {
        let table = Table::shut();
        table.with(|state| state.refused.insert(key(1).wire()));
        let starting = through(&cache, &table, A_MINUTE).attempts(1);
        let behind = if volatile { starting.start_volatile().await } else { starting.start().await }.unwrap();
        behind.put(key(1), &product(1, 1)).await.unwrap();
        let waiting = put_beyond(&behind, &table, 2);
        table.open();
        let refused = waiting.await.unwrap().0.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
        assert!(refused.to_string().contains("a row that nothing fits"), "{refused}");
        // Another key of another time is not meant by its letters.
        table.with(|state| state.refused.clear());
        let letters = behind.dead_letters(10).await.unwrap();
        behind.put(key(1), &product(1, 3)).await.unwrap();
        behind.put(key(1), &product(1, 4)).await.unwrap();
        assert_eq!(behind.dead_letters(10).await.unwrap().len(), letters.len());
        behind.close(Duration::from_secs(20)).await.unwrap();
    }
}

#[tokio::test]
async fn deletes_and_increments_are_written_through_in_their_order() {
    let redis = durable().await;
    let cache = node(&redis).await;
    for volatile in [false, true] {
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
