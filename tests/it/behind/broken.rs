//! Sinks that fail: as a whole, for one row, too slowly.

use std::{convert::Infallible, time::Duration};

use cache_core::{Cache, behind::Operation};
use tests::fixtures::eventually;

use super::{counter, durable, flushed, node, starting, table::Table};
use crate::support::{key, product};

#[tokio::test]
async fn a_sink_that_is_down_is_tried_until_it_is_back_and_nothing_is_given_up() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    table.with(|state| state.is_down = true);
    let behind = starting(&cache, &table).attempts(2).start().await.unwrap();
    for id in 1..=20 {
        behind.put(key(id), &product(id, 1)).await.unwrap();
    }
    eventually(Duration::from_secs(20), async || behind.lag().await.unwrap().failures >= 6).await;
    table.with(|state| state.is_down = false);
    flushed(&behind).await;
    assert!((1..=20).all(|id| table.product(&key(id)) == Some(product(id, 1))));
    assert_eq!(behind.lag().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_sink_that_panics_is_tried_again() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    table.with(|state| state.panics = 1);
    let behind = starting(&cache, &table).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 1)));
    assert_eq!(behind.lag().await.unwrap().failures, 1);
}

/// What was asked of it may still be done: not under the fence of what is asked next.
#[tokio::test(start_paused = true)]
async fn a_sink_that_does_not_answer_is_asked_again_under_another_fence() {
    let cache = Cache::in_memory();
    let table = Table::shut();
    let behind = starting(&cache, &table).start_volatile().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    eventually(Duration::from_secs(300), async || table.is_waited_for()).await;
    let before = table.fence();
    eventually(Duration::from_secs(300), async || table.batches_that_came() == 2).await;
    assert!(table.fence() > before);
    table.open();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 1)));
}

/// Otherwise there is no way out: only what is flushed gives memory back.
#[tokio::test]
async fn a_journal_in_a_redis_that_is_full_is_read_and_flushed() {
    let redis = durable().await;
    let (cache, other) = (node(&redis).await, node(&redis).await);
    let table = Table::shut();
    let behind = starting(&cache, &table).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    behind.put(key(2), &product(2, 1)).await.unwrap_err();
    let seen = other.get_or_load(key(1), async || Ok::<_, Infallible>(product(1, 0))).await;
    assert_eq!(seen, Ok(product(1, 1)), "by its mark");
    table.open();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 1)));
}

#[tokio::test]
async fn an_answer_that_is_lost_adds_nothing_twice() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    table.with(|state| state.lost_answers = 3);
    let behind = starting(&cache, &table).start().await.unwrap();
    for by in 1..=10 {
        behind.increment(counter(1), by).await.unwrap();
    }
    flushed(&behind).await;
    assert_eq!(table.row(&counter(1)).count, 55);
}

#[tokio::test]
async fn a_key_that_is_refused_waits_with_what_follows_it_and_the_others_flow() {
    let redis = durable().await;
    let (cache, reader) = (node(&redis).await, node(&redis).await);
    let table = Table::new();
    table.with(|state| state.refused.insert(key(1).wire()));
    let behind = starting(&cache, &table).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    eventually(Duration::from_secs(20), async || behind.lag().await.unwrap().parked == 1).await;
    for id in 2..=10 {
        behind.put(key(id), &product(id, 1)).await.unwrap();
    }
    eventually(Duration::from_secs(20), async || (2..=10).all(|id| table.product(&key(id)).is_some())).await;
    // It left the journal, and is not in the table: it is where readers find it.
    let found = reader.entry(key(1)).or_load(async || Ok::<_, ()>(product(1, 0))).await.unwrap();
    assert_eq!(*found.value(), product(1, 1));
    behind.put(key(1), &product(1, 2)).await.unwrap();
    behind.increment(key(1), 4).await.unwrap();
    table.with(|state| state.refused.clear());
    flushed(&behind).await;
    assert_eq!((table.product(&key(1)), table.row(&key(1)).count), (Some(product(1, 2)), 4));
}

#[tokio::test]
async fn a_key_that_is_refused_too_often_is_a_dead_letter_that_can_be_replayed() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    table.with(|state| state.refused.insert(key(1).wire()));
    let behind = starting(&cache, &table).attempts(2).start().await.unwrap();
    behind.put(key(1), &product(1, 1)).await.unwrap();
    eventually(Duration::from_secs(20), async || behind.lag().await.unwrap().dead == 1).await;
    assert_eq!(behind.lag().await.unwrap().parked, 0);
    let letters = behind.dead_letters(10).await.unwrap();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!((&letter.key, letter.attempts), (&key(1), 2));
    assert_eq!(letter.operations, [Operation::Put(product(1, 1))]);
    assert!(letter.reason.contains("a row that nothing fits"));

    table.with(|state| state.refused.clear());
    behind.replay(letter).await.unwrap();
    flushed(&behind).await;
    assert_eq!(table.product(&key(1)), Some(product(1, 1)));
    assert!(behind.dead_letters(10).await.unwrap().is_empty());
    assert!(!behind.discard(letter).await.unwrap(), "it is gone");
}

#[tokio::test]
async fn a_row_that_is_newer_than_the_journal_is_a_dead_letter_and_no_silent_success() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let behind = starting(&cache, &table).start().await.unwrap();
    table.with(|state| state.rows.entry(key(1).wire()).or_default().version = 1 << 52);
    behind.put(key(1), &product(1, 1)).await.unwrap();
    eventually(Duration::from_secs(20), async || behind.lag().await.unwrap().dead == 1).await;
    let letters = behind.dead_letters(10).await.unwrap();
    assert!(letters[0].reason.contains("newer than anything"), "{letters:?}");
    assert!(behind.discard(&letters[0]).await.unwrap());
}
