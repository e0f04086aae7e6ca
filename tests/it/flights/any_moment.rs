//! Callers who come at any moment of a load, its end too: between what the leader is told and what the next one finds there
//! is no gap in which somebody loads again.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cache_core::{Cache, cacheable};
use serde::{Deserialize, Serialize};
use tests::fixtures::RedisServer;
use tokio::task::yield_now;

use super::within;
use crate::support::node;

/// Keys, one after the other, each asked for by all tasks.
const KEYS: u64 = 1_500;
const TASKS: u64 = 8;
/// How often a task asks for a key.
const TIMES: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NotFound;

#[derive(Clone)]
struct Shop {
    cache: Cache,
    loads: Arc<AtomicU64>,
}

impl Shop {
    fn count(&self) {
        self.loads.fetch_add(1, Ordering::SeqCst);
    }

    #[cacheable(key = "moment-owned:{id}")]
    async fn owned(&self, id: u64) -> Result<u64, NotFound> {
        self.count();
        Ok(id)
    }

    #[cacheable(key = "moment-inline:{id}", inline)]
    async fn inline(&self, id: u64) -> Result<u64, NotFound> {
        self.count();
        Ok(id)
    }

    #[cacheable(key = "moment-tagged:{id}", tags = ["moment-tag:{it}"])]
    async fn tagged(&self, id: u64) -> Result<u64, NotFound> {
        self.count();
        Ok(id)
    }

    #[cacheable(key = "moment-nothing:{id}", tags = ["moment-tag:{it}"])]
    async fn nothing(&self, id: u64) -> Option<u64> {
        self.count();
        (id > KEYS).then_some(id)
    }

    #[cacheable(key = "moment-error:{id}", cache_err = |_| true)]
    async fn error(&self, id: u64) -> Result<u64, NotFound> {
        self.count();
        if id > KEYS { Ok(id) } else { Err(NotFound) }
    }
}

/// Every key is loaded once, in each of the tiers.
async fn loaded_once<F>(call: impl Fn(Shop, u64) -> F + Copy + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let redis = RedisServer::start().await;
    for (tiers, cache) in [("one tier", Cache::in_memory()), ("two tiers", node(&redis).await)] {
        let shop = Shop { cache, loads: Arc::default() };
        let task = |number: u64| {
            let shop = shop.clone();
            async move {
                for id in 0..KEYS {
                    for _ in 0..TIMES {
                        call(shop.clone(), id).await;
                        if number.is_multiple_of(2) {
                            yield_now().await;
                        }
                    }
                }
            }
        };
        let tasks: Vec<_> = (0..TASKS).map(|number| tokio::spawn(task(number))).collect();
        for task in tasks {
            within(task).await.unwrap();
        }
        assert_eq!(shop.loads.load(Ordering::SeqCst), KEYS, "{tiers}: loads of {KEYS} keys");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn value_asked_for_at_any_moment_is_loaded_once() {
    loaded_once(|shop, id| async move { assert_eq!(shop.owned(id).await, Ok(id)) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn value_of_a_borrowed_load_asked_for_at_any_moment_is_loaded_once() {
    loaded_once(|shop, id| async move { assert_eq!(shop.inline(id).await, Ok(id)) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn value_with_a_tag_of_the_result_asked_for_at_any_moment_is_loaded_once() {
    loaded_once(|shop, id| async move { assert_eq!(shop.tagged(id).await, Ok(id)) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_asked_for_at_any_moment_is_loaded_once() {
    loaded_once(|shop, id| async move { assert_eq!(shop.nothing(id).await, None) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_that_is_cached_asked_for_at_any_moment_is_loaded_once() {
    loaded_once(|shop, id| async move { assert_eq!(shop.error(id).await, Err(NotFound)) }).await;
}
