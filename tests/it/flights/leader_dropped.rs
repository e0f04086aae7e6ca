//! A leader that goes away at each point where it waits: while it asks Redis, while it loads, while it is answered. Whoever
//! waits behind it gets an answer.

use std::{
    convert::Infallible,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use cache_core::{Cache, Key, Outcome, cacheable, observe};
use tests::fixtures::{RedisServer, eventually};
use tokio::{sync::Semaphore, task::yield_now, time::timeout};

use super::{ANSWER, CALLERS, PATIENCE, Source, after_first_poll, only, within};
use crate::support::node;

/// Where a load waits.
const AWAITS: usize = 4;

#[derive(Clone)]
struct Origin {
    cache: Cache,
    source: Source,
    ended: Arc<AtomicU64>,
}

impl Origin {
    async fn load(&self, caller: usize) -> Result<u64, Infallible> {
        let (_, _flying) = self.source.begin(caller);
        for _ in 0..AWAITS {
            yield_now().await;
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(ANSWER)
    }

    #[cacheable(key = "leader-owned:{id}", skip(caller))]
    async fn owned(&self, id: usize, caller: usize) -> Result<u64, Infallible> {
        self.load(caller).await
    }

    #[cacheable(key = "leader-inline:{id}", skip(caller), inline)]
    async fn inline(&self, id: usize, caller: usize) -> Result<u64, Infallible> {
        self.load(caller).await
    }

    async fn call(self, is_owned: bool, id: usize, caller: usize) -> Result<u64, Infallible> {
        if is_owned { self.owned(id, caller).await } else { self.inline(id, caller).await }
    }
}

/// Polls as often as the future asks for it, but `polls` times at most. Whether it came to its end.
async fn poll_at_most<F: Future + Unpin>(future: &mut F, polls: usize) -> bool {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match std::pin::Pin::new(&mut *future).poll(context) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn dropped_at_every_await(is_owned: bool) {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        for polls in 0.. {
            // A key of its own for each.
            let origin = Origin { cache: cache.clone(), source: Source::new(), ended: Arc::default() };
            let mut leader = Box::pin(origin.clone().call(is_owned, polls, 0));
            let done = within(poll_at_most(&mut leader, polls)).await;
            let aboard = Arc::new(Semaphore::new(0));
            let waiter = observe(origin.clone().call(is_owned, polls, 1));
            let waiter = tokio::spawn(after_first_poll(waiter, Arc::clone(&aboard)));
            aboard.acquire().await.unwrap().forget();
            drop(leader);
            let (answer, seen) = within(waiter).await.unwrap();
            assert_eq!(answer, Ok(ANSWER), "dropped after {polls} polls");
            only(&seen);
            assert_eq!(origin.ended.load(Ordering::SeqCst), 1, "dropped after {polls} polls: loads that ended");
            assert_eq!(origin.source.most_at_once(), 1);
            let begun = origin.source.begun();
            if is_owned {
                assert_eq!(begun.len(), 1, "dropped after {polls} polls: {begun:?}");
            } else {
                assert!(begun == [0] || begun == [1] || begun == [0, 1], "dropped after {polls} polls: {begun:?}");
            }
            if done {
                assert!(polls > if is_owned { 1 } else { AWAITS }, "it was dropped {polls} times only");
                break;
            }
        }
    }
}

#[tokio::test]
async fn owned_leader_dropped_at_every_await_leaves_one_load() {
    dropped_at_every_await(true).await;
}

#[tokio::test]
async fn inline_leader_dropped_at_every_await_leaves_one_load_that_ends() {
    dropped_at_every_await(false).await;
}

/// A caller that is kept and no longer polled, as a branch of a `select!` is while another one runs: what others wait for
/// does not hang on it.
#[tokio::test]
async fn owned_leader_that_is_no_longer_polled_holds_nobody_up() {
    let redis = RedisServer::start().await;
    for cache in [Cache::in_memory(), node(&redis).await] {
        for polls in 1.. {
            let origin = Origin { cache: cache.clone(), source: Source::new(), ended: Arc::default() };
            let id = polls;
            let mut leader = Box::pin(origin.clone().call(true, id, 0));
            let done = within(poll_at_most(&mut leader, polls)).await;
            let waiter = timeout(Duration::from_secs(10), origin.clone().call(true, id, 1)).await;
            assert_eq!(waiter.expect("it waits for a caller that nobody polls"), Ok(ANSWER), "after {polls} polls");
            assert_eq!(origin.source.begun().len(), 1);
            if done {
                break;
            }
        }
    }
}

/// Those who wait for the one that asks Redis have found what is there: nobody has loaded, and nobody has missed.
#[tokio::test]
async fn callers_of_a_value_that_redis_has_all_hit() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let key = Key::new("leader-redis").arg(7_u64);
    a.get_or_load(key.clone(), || async { Ok::<_, Infallible>(ANSWER) }).await.unwrap();
    eventually(PATIENCE, || async { a.stats().fills == 1 }).await;
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (b, key) = (b.clone(), key.clone());
            let load = || async { Err(()) };
            tokio::spawn(async move { observe(b.get_or_load::<u64, (), _, _>(key, load)).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for caller in callers {
        let (answer, seen) = within(caller).await.unwrap();
        assert_eq!(answer, Ok(ANSWER));
        outcomes.push(only(&seen));
    }
    let missed = outcomes.iter().filter(|outcome| !outcome.is_hit()).count();
    let joined = outcomes.iter().filter(|outcome| **outcome == Outcome::Joined).count();
    let stats = b.stats();
    assert_eq!((missed, joined, stats.misses, stats.loads), (0, 0, 0, 0), "told of a miss where there was none");
}
