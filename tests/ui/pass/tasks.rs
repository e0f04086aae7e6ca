//! Bodies that run in tasks of their own stay `Send` with the borrows that a database driver makes, and outlive their callers.

#![deny(warnings)]

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Waker},
};

use cache_core::{Cache, cache_evict, cache_put, cacheable};

/// As sqlx has it: implemented for a reference of any lifetime.
trait Executor<'c>: Send + Sized {
    fn fetch<'e>(self, query: &str) -> Pin<Box<dyn Future<Output = u64> + Send + 'e>>
    where
        'c: 'e;
}

#[derive(Clone, Default)]
struct Pool(Arc<AtomicU64>);

impl<'c> Executor<'c> for &'c Pool {
    fn fetch<'e>(self, query: &str) -> Pin<Box<dyn Future<Output = u64> + Send + 'e>>
    where
        'c: 'e,
    {
        let length = query.len() as u64;
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.fetch_add(1, Ordering::Relaxed);
            length
        })
    }
}

struct Query<'q>(&'q str);

impl<'q> Query<'q> {
    async fn one<'e, 'c: 'e, E>(self, executor: E) -> Result<u64, Failed>
    where
        'q: 'e,
        E: 'e + Executor<'c>,
    {
        Ok(executor.fetch(self.0).await)
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Failed;

#[derive(Clone)]
struct Repo {
    cache: Cache,
    pool: Pool,
}

trait Lengths {
    fn length(&self, text: &str) -> impl Future<Output = Result<u64, Failed>> + Send;
}

impl Lengths for Repo {
    #[cacheable(key = "length:{text}")]
    async fn length(&self, text: &str) -> Result<u64, Failed> {
        let one = Query(text).one(&self.pool).await?;
        let two = Query(&format!("{text}{one}")).one(&self.pool).await?;
        Ok(one + two)
    }
}

impl Repo {
    #[cache_evict(key = "length:{text}", tags = ["lengths:{it}"])]
    #[cache_put(key = "put:{text}")]
    async fn put(&self, text: &str) -> Result<u64, Failed> {
        Query(text).one(&self.pool).await
    }
}

fn spawnable<F: Future<Output: Send> + Send>(future: F) -> F {
    future
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let repo = Repo { cache: Cache::in_memory(), pool: Pool::default() };
    assert_eq!(spawnable(repo.length("abc")).await, Ok(7));
    assert_eq!(spawnable(repo.put("abc")).await, Ok(3));
    assert_eq!(repo.pool.0.swap(0, Ordering::Relaxed), 3);

    // A caller that polls once and goes away: the load and the write end without it.
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        let mut load = Box::pin(repo.length("gone"));
        for _ in 0..2 {
            assert!(load.as_mut().poll(&mut context).is_pending());
        }
    }
    assert!(Box::pin(repo.put("gone")).as_mut().poll(&mut context).is_pending());
    repo.cache.close().await;
    assert_eq!(repo.pool.0.load(Ordering::Relaxed), 3, "two queries of one load, one of the put");
    let size = size_of_val(&repo.length("abc"));
    assert!(size <= 128, "the future of a hit is small: {size}");
}
