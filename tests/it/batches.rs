//! Many keys in one call: each with a flight and a lease of its own, one load for those that nobody else loads.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use cache_core::{Ack, Cache, Key, Outcome, Policy, Tier, hours, secs};
use tests::fixtures::{RedisServer, eventually};
use tokio::sync::Notify;

use crate::{
    outage::SOON,
    support::{Product, built, key, node, product, settings},
};

/// A table that remembers which ids it was asked for.
#[derive(Clone, Default)]
struct Table {
    asked: Arc<Mutex<Vec<Vec<u64>>>>,
    is_away: Arc<AtomicBool>,
    is_slow: Arc<AtomicBool>,
    answers: Arc<Notify>,
}

impl Table {
    /// Rows of ids below 1,000 exist.
    async fn load(self, ids: Vec<u64>) -> io::Result<HashMap<u64, Product>> {
        self.asked.lock().unwrap().push(ids.clone());
        if self.is_slow.load(Ordering::SeqCst) {
            self.answers.notified().await;
        }
        if self.is_away.load(Ordering::SeqCst) {
            return Err(io::Error::other("away"));
        }
        Ok(ids.into_iter().filter(|id| *id < 1_000).map(|id| (id, product(id, 1))).collect())
    }

    async fn find(&self, cache: &Cache, ids: impl IntoIterator<Item = u64>) -> io::Result<Vec<u64>> {
        let table = self.clone();
        let found = cache.get_or_load_many(ids, |id| key(*id), move |ids| table.clone().load(ids)).await?;
        assert!(found.iter().all(|(id, row)| row.id == *id));
        let mut found: Vec<u64> = found.into_keys().collect();
        found.sort_unstable();
        Ok(found)
    }

    fn finding(&self, cache: &Cache, ids: impl IntoIterator<Item = u64>) -> tokio::task::JoinHandle<Vec<u64>> {
        let (table, cache, ids) = (self.clone(), cache.clone(), ids.into_iter().collect::<Vec<_>>());
        tokio::spawn(async move { table.find(&cache, ids).await.unwrap() })
    }

    /// What it was asked for since the last time, in order.
    fn asked(&self) -> Vec<Vec<u64>> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        for ids in &mut asked {
            ids.sort_unstable();
        }
        asked
    }
}

/// On a node without Redis, and on one with it.
async fn in_each(test: impl AsyncFn(Cache)) {
    test(Cache::builder("shop").build().await.unwrap()).await;
    let redis = RedisServer::start().await;
    test(node(&redis).await).await;
}

#[tokio::test]
async fn only_what_is_missing_is_loaded_and_all_of_it_at_once() {
    in_each(async |cache| {
        let table = Table::default();
        assert_eq!(table.find(&cache, [1, 2, 3]).await.unwrap(), [1, 2, 3]);
        assert_eq!(table.asked(), [[1, 2, 3]]);
        eventually(SOON, async || cache.get::<Product>(&key(3)).await.is_some()).await;
        assert_eq!(table.find(&cache, [5, 1, 4, 2, 4]).await.unwrap(), [1, 2, 4, 5]);
        assert_eq!(table.asked(), [[4, 5]]);
        assert_eq!(
            cache.get_or_load(key(4), || async { Err(()) }).await,
            Ok(product(4, 1)),
            "each is a key of its own"
        );
        assert_eq!(table.find(&cache, []).await.unwrap(), [0_u64; 0]);
        assert_eq!(table.asked(), [[0; 0]; 0]);
    })
    .await;
}

#[tokio::test]
async fn ids_that_a_load_leaves_out_are_remembered_as_nothing() {
    in_each(async |cache| {
        let table = Table::default();
        assert_eq!(table.find(&cache, [7, 2_000, 3_000]).await.unwrap(), [7]);
        assert_eq!(table.asked(), [[7, 2_000, 3_000]]);
        assert_eq!(table.find(&cache, [2_000, 8]).await.unwrap(), [8]);
        assert_eq!(table.asked(), [[8]]);
    })
    .await;
}

#[tokio::test]
async fn batches_that_overlap_share_loads() {
    in_each(async |cache| {
        let table = Table::default();
        table.is_slow.store(true, Ordering::SeqCst);
        let first = table.finding(&cache, 1..5);
        eventually(SOON, async || table.asked.lock().unwrap().len() == 1).await;
        let (second, third) = (table.finding(&cache, 3..8), table.finding(&cache, 2..4));
        eventually(SOON, async || table.asked.lock().unwrap().len() == 2).await;
        table.is_slow.store(false, Ordering::SeqCst);
        table.answers.notify_waiters();
        assert_eq!(first.await.unwrap(), [1, 2, 3, 4]);
        assert_eq!(second.await.unwrap(), [3, 4, 5, 6, 7]);
        assert_eq!(third.await.unwrap(), [2, 3]);
        assert_eq!(table.asked(), [vec![1, 2, 3, 4], vec![5, 6, 7]]);
    })
    .await;
}

#[tokio::test]
async fn batches_of_several_nodes_share_loads_and_none_waits_for_ever() {
    let redis = RedisServer::start().await;
    let nodes = [node(&redis).await, node(&redis).await, node(&redis).await];
    let table = Table::default();
    for round in 0..20 {
        let first = round * 20;
        let batches: Vec<_> = nodes
            .iter()
            .enumerate()
            .map(|(number, cache)| {
                let ids: Vec<u64> = (first..first + 20).filter(|id| id % 4 != number as u64).collect();
                (ids.clone(), table.finding(cache, ids.into_iter().rev()))
            })
            .collect();
        for (ids, batch) in batches {
            assert_eq!(tokio::time::timeout(SOON, batch).await.expect("it ends").unwrap(), ids);
        }
        let mut loaded: Vec<u64> = table.asked().concat();
        loaded.sort_unstable();
        assert!(loaded.into_iter().eq(first..first + 20), "each once");
    }
}

#[tokio::test]
async fn a_batch_whose_turn_it_is_for_one_key_does_not_wait_for_another_first() {
    let redis = RedisServer::start().await;
    let (holder, other) = (node(&redis).await, node(&redis).await);
    let (table, began) = (Table::default(), Arc::new(Notify::new()));
    let held = [7, 8].map(|id| {
        let (holder, began) = (holder.clone(), Arc::clone(&began));
        tokio::spawn(async move {
            let never = async || {
                began.notify_one();
                std::future::pending::<io::Result<Product>>().await
            };
            holder.entry(key(id)).or_load_inline(never).await.map(drop)
        })
    });
    began.notified().await;
    eventually(SOON, async || holder.stats().loads == 2).await;
    let batch = table.finding(&other, [7, 8]);
    eventually(SOON, async || other.stats().leases_awaited == 2).await;
    held[0].abort();
    eventually(SOON, async || table.asked.lock().unwrap().concat() == [7]).await;
    assert!(!held[1].is_finished() && !batch.is_finished());
    held[1].abort();
    assert_eq!(batch.await.unwrap(), [7, 8]);
    assert_eq!(table.asked(), [[7], [8]]);
}

#[tokio::test]
async fn a_load_that_fails_is_the_error_of_its_batch_and_those_who_waited_load_for_themselves() {
    in_each(async |cache| {
        let table = Table::default();
        table.find(&cache, [1]).await.unwrap();
        let away = Table::default();
        away.is_slow.store(true, Ordering::SeqCst);
        away.is_away.store(true, Ordering::SeqCst);
        let failing = {
            let (away, cache) = (away.clone(), cache.clone());
            tokio::spawn(async move { away.find(&cache, [1, 2, 3]).await })
        };
        eventually(SOON, async || away.asked.lock().unwrap().len() == 1).await;
        let waits = table.finding(&cache, [3, 4]);
        eventually(SOON, async || table.asked.lock().unwrap().len() == 2).await;
        away.answers.notify_waiters();
        assert!(failing.await.unwrap().is_err());
        assert_eq!(waits.await.unwrap(), [3, 4]);
        assert_eq!(table.asked(), [[1], [4], [3]]);
    })
    .await;
}

#[tokio::test]
async fn what_is_evicted_during_a_load_is_not_kept() {
    in_each(async |cache| {
        let table = Table::default();
        table.is_slow.store(true, Ordering::SeqCst);
        let finding = table.finding(&cache, [1, 2]);
        eventually(SOON, async || table.asked.lock().unwrap().len() == 1).await;
        let _evicted = cache.evict(&key(2)).await;
        table.is_slow.store(false, Ordering::SeqCst);
        table.answers.notify_waiters();
        finding.await.unwrap();
        eventually(SOON, async || cache.get::<Product>(&key(1)).await.is_some()).await;
        table.asked();
        table.find(&cache, [1, 2]).await.unwrap();
        assert_eq!(table.asked(), [[2]]);
    })
    .await;
}

#[tokio::test]
async fn each_entry_says_how_it_came_and_tags_reach_it() {
    in_each(async |cache| {
        let table = Table::default();
        let find = async |ids: [u64; 2]| {
            let tags = |id: &u64| vec![Key::new("shelf").arg(id % 2)];
            let table = table.clone();
            // A template of its own: all places that store under one declare the same tags.
            let request = cache.entries(ids, |id| Key::new("shelved").arg(*id)).tags(tags);
            request.or_load(move |ids| table.clone().load(ids)).await.unwrap()
        };
        let found = find([1, 2]).await;
        assert!(found.values().all(|entry| entry.outcome() == Outcome::Loaded && entry.version().is_some()));
        assert!(find([1, 2]).await.values().all(|entry| entry.outcome() == Outcome::Hit(Tier::Local)));
        let _evicted = cache.evict_tag(Key::new("shelf").arg(1_u64)).await;
        let found = find([1, 2]).await;
        assert_eq!((found[&1].outcome(), found[&2].outcome()), (Outcome::Loaded, Outcome::Hit(Tier::Local)));
    })
    .await;
}

#[tokio::test]
async fn old_values_stand_in_for_a_batch_that_fails() {
    let kept = Policy::new().ttl(cache_core::millis(50)).jitter(0.0).fail_safe(hours(1)).throttle(secs(600));
    let redis = RedisServer::start().await;
    let cache = built(settings(redis.url()).ensure_notifications().policy(kept)).await;
    let table = Table::default();
    table.find(&cache, [1, 2]).await.unwrap();
    eventually(SOON, async || cache.get::<Product>(&key(1)).await.is_none()).await;
    eventually(SOON, async || cache.get::<Product>(&key(2)).await.is_none()).await;
    table.is_away.store(true, Ordering::SeqCst);
    assert_eq!(table.find(&cache, [1, 2]).await.unwrap(), [1, 2]);
    assert!(table.find(&cache, [1, 3]).await.is_err(), "there is none of 3");
    assert_eq!(table.asked(), [vec![1, 2], vec![1, 2], vec![3]]);
}

#[tokio::test]
async fn many_puts_are_each_in_force() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let rows = (0..600).map(|id| (key(id), product(id, 9)));
    let acks = a.put_many(rows).await;
    assert!(acks.len() == 600 && acks.into_iter().all(Ack::is_applied));
    let keys: Vec<Key> = (0..600).map(key).collect();
    let found = b.get_many::<Product>(&keys).await;
    assert_eq!(found, (0..600).map(|id| Some(product(id, 9))).collect::<Vec<_>>());
}
