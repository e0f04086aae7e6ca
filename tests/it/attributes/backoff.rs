//! After a load has failed, its error answers for a while, where the policy says so.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use cache_core::{Cache, Policy, cacheable, hours, millis, observe, with_cache};
use tests::fixtures::{RedisServer, eventually};

use super::SOON;
use crate::support::{built, settings};

#[derive(Debug, Clone, PartialEq)]
struct Away(u64);

/// One that nobody can be given who did not load.
#[derive(Debug)]
struct Unshared;

#[derive(Clone, Default)]
struct Rows(Arc<(AtomicU64, AtomicBool)>);

impl Rows {
    fn away() -> Self {
        let this = Self::default();
        this.is_away(true);
        this
    }

    fn is_away(&self, is_away: bool) {
        self.0.1.store(is_away, Ordering::SeqCst);
    }

    fn loads(&self) -> u64 {
        self.0.0.load(Ordering::SeqCst)
    }

    fn row(&self) -> Result<u64, Away> {
        let load = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        if self.0.1.load(Ordering::SeqCst) { Err(Away(load)) } else { Ok(load) }
    }
}

#[cacheable(key = "backoff", skip(rows))]
async fn find(rows: &Rows) -> Result<u64, Away> {
    rows.row()
}

#[cacheable(key = "backoff:unshared", skip(rows))]
async fn find_unshared(rows: &Rows) -> Result<u64, Unshared> {
    rows.row().map_err(|Away(_)| Unshared)
}

async fn outcome<F: Future>(call: F) -> String {
    observe(call).await.1[0].outcome.to_string()
}

async fn within(backoff: std::time::Duration) -> Cache {
    Cache::builder("shop").policy(Policy::new().backoff(backoff)).build().await.unwrap()
}

#[tokio::test]
async fn error_of_a_load_answers_for_a_while() {
    let (cache, rows) = (within(hours(1)).await, Rows::away());
    let test = async {
        assert_eq!(outcome(find(&rows)).await, "miss; load=own");
        for _ in 0..5 {
            assert_eq!(find(&rows).await, Err(Away(1)));
        }
        assert_eq!(outcome(find(&rows)).await, "miss; load=held_off");
    };
    with_cache(cache.clone(), test).await;
    assert_eq!((rows.loads(), cache.stats().held_off, cache.stats().misses), (1, 6, 7));
}

#[tokio::test]
async fn load_is_tried_again_when_the_time_is_over_and_success_ends_it() {
    let (cache, rows) = (within(millis(20)).await, Rows::away());
    let test = async {
        eventually(SOON, async || find(&rows).await != Err(Away(1))).await;
        rows.is_away(false);
        eventually(SOON, async || find(&rows).await.is_ok()).await;
    };
    with_cache(cache, test).await;
}

#[tokio::test]
async fn without_the_option_and_with_errors_of_one_caller_every_call_loads() {
    let rows = Rows::away();
    with_cache(within(millis(0)).await, async { assert_ne!(find(&rows).await, find(&rows).await) }).await;
    let rows = Rows::away();
    let test = async { assert!(find_unshared(&rows).await.is_err() && find_unshared(&rows).await.is_err()) };
    with_cache(within(hours(1)).await, test).await;
    assert_eq!(rows.loads(), 2);
}

#[tokio::test]
async fn change_of_the_key_ends_it_on_every_node() {
    let redis = RedisServer::start().await;
    let node =
        async || built(settings(redis.url()).ensure_notifications().policy(Policy::new().backoff(hours(1)))).await;
    let (a, b) = (node().await, node().await);
    let rows = Rows::away();
    for cache in [&a, &b] {
        with_cache(cache.clone(), async { assert!(find(&rows).await.is_err()) }).await;
    }
    rows.is_away(false);
    assert!(with_cache(a.clone(), find(&rows)).await.is_err());
    assert!(a.evict(&cache_core::key!("backoff")).await.is_applied());
    assert!(with_cache(a.clone(), find(&rows)).await.is_ok());
    eventually(SOON, async || with_cache(b.clone(), find(&rows)).await.is_ok()).await;
}
