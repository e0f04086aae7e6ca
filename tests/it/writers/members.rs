//! `unit = ..`: functions that write inside of a transaction of their caller. Nothing of theirs is stored, and what they changed is evicted
//! again when the transaction has ended.

use std::future::poll_fn;

use cache_core::{Cache, Outcome, Tier, Unit, cache_evict, cache_put, observe};
use tests::fixtures::RedisServer;
use tokio::sync::Notify;

use crate::support::{Origin, Product, key, node, product, sees};

#[derive(Debug, PartialEq, Eq)]
struct Refused;

/// A transaction, with what is to be evicted when it is committed.
struct Transaction {
    row: u64,
    unit: Unit,
}

#[derive(Clone)]
struct Shop {
    cache: Cache,
    reader: Cache,
    origin: Origin,
}

impl Shop {
    #[cache_put(key = "product:{id}", unit = transaction.unit)]
    async fn save(&self, id: u64, revision: u64, transaction: &mut Transaction) -> Result<Product, Refused> {
        transaction.row = revision;
        Ok(product(id, revision))
    }

    #[cache_put(key = "product:{id}", ttl = "5m", unit = unit)]
    async fn save_anywhere(&self, id: u64, revision: u64, unit: Option<&mut Unit>) -> Result<Product, Refused> {
        if unit.is_none() {
            self.origin.write(revision);
        }
        Ok(product(id, revision))
    }

    #[cache_put(key = "product:{it.id}", unit = unit)]
    async fn insert(&self, id: u64, good: bool, unit: &mut Unit) -> Result<Product, Refused> {
        assert!(unit.evict(&key(99)).await.is_applied(), "the body has the unit for itself");
        if good { Ok(product(id, 2)) } else { Err(Refused) }
    }

    #[cache_evict(key = "product:{it.id}", tags = ["shelf:{id}"], unit = unit)]
    async fn forever(&self, id: u64, unit: &mut Unit, reached: &Notify) -> Result<Product, Refused> {
        assert!(unit.evict(&key(99)).await.is_applied());
        reached.notify_one();
        std::future::pending().await
    }

    #[cache_evict(key = "product:{it.id}", tags = ["shelf:{id}"], inline, unit = unit)]
    async fn outlives_its_unit(&self, id: u64, unit: Unit) -> Result<Product, Refused> {
        assert!(unit.committed().await.is_applied());
        sees(&self.reader, &self.origin, id, 1).await;
        self.origin.write(2);
        Ok(product(id, 2))
    }

    /// Whether the reader has the row in its own tier.
    async fn is_cached(&self, id: u64) -> bool {
        observe(self.origin.through(&self.reader, id)).await.1[0].outcome == Outcome::Hit(Tier::Local)
    }
}

/// Two nodes, and an origin whose row is old until the transaction is committed; the reader has it.
async fn scene() -> (RedisServer, Shop) {
    let redis = RedisServer::start().await;
    let shop = Shop { cache: node(&redis).await, reader: node(&redis).await, origin: Origin::default() };
    shop.origin.write(1);
    shop.read_on(7, 1).await;
    (redis, shop)
}

impl Shop {
    /// The reader serves this revision, and has it cached.
    async fn read_on(&self, id: u64, revision: u64) {
        sees(&self.reader, &self.origin, id, revision).await;
        tests::fixtures::eventually(std::time::Duration::from_secs(20), || self.is_cached(id)).await;
    }
}

#[tokio::test]
async fn put_in_a_unit_stores_nothing_and_evicts_at_once_and_again_after_the_commit() {
    let (_redis, shop) = scene().await;
    let loads = shop.origin.loads();
    let mut transaction = Transaction { row: 0, unit: shop.cache.unit() };
    let (saved, seen) = observe(shop.save(7, 2, &mut transaction)).await;
    assert_eq!((saved.unwrap().revision, transaction.row), (2, 2));
    assert!(
        matches!(seen[..], [ref one] if matches!(one.outcome, Outcome::Evict(ack) if ack.is_applied())),
        "{seen:?}"
    );
    assert_eq!(shop.origin.through(&shop.cache, 7).await, 1, "it is not committed, and nothing of it was stored");
    shop.read_on(7, 1).await;
    assert!(shop.origin.loads() > loads, "it was evicted at once");
    shop.origin.write(2);
    assert!(transaction.unit.committed().await.is_applied());
    assert_eq!(shop.origin.through(&shop.cache, 7).await, 2);
    sees(&shop.reader, &shop.origin, 7, 2).await;
}

#[tokio::test]
async fn put_without_a_unit_stores_and_with_one_does_not() {
    let (_redis, shop) = scene().await;
    let loads = shop.origin.loads();
    shop.save_anywhere(7, 2, None).await.unwrap();
    assert_eq!(shop.origin.through(&shop.cache, 7).await, 2);
    sees(&shop.reader, &shop.origin, 7, 2).await;
    assert_eq!(shop.origin.loads(), loads, "it was stored");
    let mut unit = shop.cache.unit();
    shop.save_anywhere(7, 3, Some(&mut unit)).await.unwrap();
    assert_eq!(shop.origin.through(&shop.cache, 7).await, 2);
    unit.rolled_back();
}

#[tokio::test]
async fn what_only_the_result_names_is_evicted_with_the_unit() {
    let (_redis, shop) = scene().await;
    let mut unit = shop.cache.unit();
    shop.insert(7, true, &mut unit).await.unwrap();
    shop.read_on(7, 1).await;
    shop.origin.write(2);
    drop(unit);
    sees(&shop.reader, &shop.origin, 7, 2).await;
}

#[tokio::test]
async fn body_that_fails_leaves_to_the_unit_whatever_it_may_have_changed() {
    let (_redis, shop) = scene().await;
    let mut unit = shop.cache.unit();
    shop.insert(7, false, &mut unit).await.unwrap_err();
    assert!(shop.is_cached(7).await, "until the commit nobody needs to know");
    shop.origin.write(2);
    assert!(unit.committed().await.is_applied());
    sees(&shop.reader, &shop.origin, 7, 2).await;

    shop.read_on(7, 2).await;
    let mut unit = shop.cache.unit();
    shop.insert(7, false, &mut unit).await.unwrap_err();
    unit.rolled_back();
    assert!(shop.is_cached(7).await, "a rollback changed nothing");
}

#[tokio::test]
async fn call_that_is_dropped_leaves_to_the_unit_whatever_it_may_have_changed() {
    let (_redis, shop) = scene().await;
    let (mut unit, reached) = (shop.cache.unit(), Notify::new());
    {
        let mut call = Box::pin(shop.forever(7, &mut unit, &reached));
        let mut reached = Box::pin(reached.notified());
        poll_fn(|context| {
            assert!(call.as_mut().poll(context).is_pending());
            reached.as_mut().poll(context)
        })
        .await;
    }
    shop.origin.write(2);
    assert!(shop.is_cached(7).await);
    assert!(unit.committed().await.is_applied());
    sees(&shop.reader, &shop.origin, 7, 2).await;
}

#[tokio::test]
async fn body_that_outlives_its_unit_evicts_by_itself() {
    let (_redis, shop) = scene().await;
    shop.outlives_its_unit(7, shop.cache.unit()).await.unwrap();
    sees(&shop.reader, &shop.origin, 7, 2).await;
}
