//! `#[cache_put(behind = ..)]`: the body builds the value, and the call is answered when the journal has it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use cache_core::{
    Ack, Cache, Entry, Error, ErrorKind, Outcome,
    behind::{AckLevel, WhenFull, WriteBehind},
    cache_put, key,
};
use tests::fixtures::eventually;

use super::{durable, flushed, node, starting, table::Table};
use crate::support::{Product, key as key_of, product};

#[derive(Debug)]
enum SaveError {
    Refused,
    NotJournaled(Error),
}

impl From<Error> for SaveError {
    fn from(error: Error) -> Self {
        Self::NotJournaled(error)
    }
}

#[derive(Clone)]
struct Shop {
    journal: WriteBehind<Product>,
}

impl Shop {
    #[cache_put(key = "product:{id}", behind = self.journal)]
    async fn save(&self, id: u64, revision: u64) -> Result<Product, SaveError> {
        if revision == 0 { Err(SaveError::Refused) } else { Ok(product(id, revision)) }
    }

    /// Whose key only the value has, and which tells what the journal said.
    #[cache_put(key = "product:{it.id}", behind = &self.journal, inline)]
    async fn build(&self, revision: u64) -> Result<Entry<Product>, SaveError> {
        Ok(product(revision % 10, revision).into())
    }
}

/// Without a `self`, and with a journal that is shared.
#[cache_put(key = "product:{id}", behind = journal)]
async fn save(journal: Arc<WriteBehind<Product>>, id: u64, revision: u64) -> Result<Product, SaveError> {
    Ok(product(id, revision))
}

async fn read(cache: &Cache, table: &Table, id: u64) -> Option<Product> {
    let table = table.clone();
    let load = move || async move { Ok::<_, Infallible>(table.product(&key!("product:{id}"))) };
    cache.entry(key_of(id)).or_find(load).await.unwrap().into_value()
}

#[tokio::test]
async fn what_the_body_builds_is_read_on_every_node_and_written_by_the_sink() {
    let redis = durable().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let table = Table::shut();
    let shop = Shop { journal: starting(&a, &table).start().await.unwrap() };
    assert_eq!(read(&b, &table, 7).await, None);
    assert_eq!(shop.save(7, 1).await.unwrap(), product(7, 1), "the caller is given what was built");
    assert_eq!(read(&a, &table, 7).await, Some(product(7, 1)));
    eventually(Duration::from_secs(20), async || read(&b, &table, 7).await == Some(product(7, 1))).await;
    let built = shop.build(8).await.unwrap();
    assert!(matches!(built.outcome(), Outcome::Put(Ack::Applied(version)) if version > 0), "{}", built.outcome());
    save(Arc::new(shop.journal.clone()), 9, 3).await.unwrap();
    assert_eq!(table.product(&key_of(7)), None, "the table is shut");
    table.open();
    flushed(&shop.journal).await;
    for (id, revision) in [(7, 1), (8, 8), (9, 3)] {
        assert_eq!(table.product(&key_of(id)), Some(product(id, revision)));
    }
}

#[tokio::test]
async fn body_that_fails_writes_and_evicts_nothing() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let shop = Shop { journal: starting(&cache, &table).start().await.unwrap() };
    shop.save(7, 1).await.unwrap();
    flushed(&shop.journal).await;
    read(&cache, &table, 7).await;
    let evictions = cache.stats().evictions;
    assert!(matches!(shop.save(7, 0).await, Err(SaveError::Refused)));
    assert_eq!((shop.journal.lag().await.unwrap().changes, cache.stats().evictions), (0, evictions));
    assert_eq!(read(&cache, &table, 7).await, Some(product(7, 1)));
}

#[tokio::test]
async fn write_that_is_not_journaled_is_an_error_of_the_function() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let journal = starting(&cache, &Table::shut()).room(1).when_full(WhenFull::Fail).start().await.unwrap();
    let shop = Shop { journal };
    shop.save(7, 1).await.unwrap();
    let full = shop.save(7, 2).await;
    assert!(matches!(&full, Err(SaveError::NotJournaled(error)) if error.kind() == ErrorKind::Full), "{full:?}");
}

#[tokio::test]
async fn accepted_write_says_that_it_is_not_journaled_yet() {
    let redis = durable().await;
    let cache = node(&redis).await;
    let table = Table::new();
    let shop = Shop { journal: starting(&cache, &table).ack(AckLevel::Accepted).start().await.unwrap() };
    let built = shop.build(8).await.unwrap();
    assert_eq!(built.outcome(), Outcome::Put(Ack::Queued));
    eventually(Duration::from_secs(20), async || table.product(&key_of(8)) == Some(product(8, 8))).await;
}

#[tokio::test]
async fn without_redis_what_the_body_builds_is_read_from_the_journal_of_the_process() {
    let cache = Cache::in_memory();
    let table = Table::shut();
    let shop = Shop { journal: starting(&cache, &table).start_volatile().await.unwrap() };
    shop.save(7, 1).await.unwrap();
    assert_eq!(read(&cache, &table, 7).await, Some(product(7, 1)));
    table.open();
    flushed(&shop.journal).await;
    assert_eq!(table.product(&key_of(7)), Some(product(7, 1)));
}
