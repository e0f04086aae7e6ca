//! Options that let a load go on without its caller, on every signature whose body can be in a task of its own.

#![deny(warnings)]

use std::{sync::Arc, time::Duration};

use cache_core::{Cache, TimedOut, cacheable, hours, millis, secs};

#[derive(Clone, Debug, PartialEq)]
enum Failed {
    Slow(Duration),
}

impl From<TimedOut> for Failed {
    fn from(timed_out: TimedOut) -> Self {
        Failed::Slow(timed_out.after())
    }
}

type Answer<T> = Result<T, Failed>;

#[derive(Clone)]
struct Handle {
    cache: Cache,
}

/// Not `Clone`, so it is held in an `Arc`.
struct Pool {
    cache: Cache,
}

impl Handle {
    #[cacheable(key = "handle:{id}", ttl = "1m", stale = "1h", fail_safe = "1d", soft = "100ms", hard = "5s")]
    async fn all(&self, id: u64) -> Answer<Option<u64>> {
        Ok(Some(id))
    }

    #[cacheable(key = "handle:moved:{id}", stale = hours(1), hard = secs(5))]
    async fn moved(self, id: u64) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        Ok(id)
    }
}

impl Pool {
    #[cacheable(key = "pool:{id}", stale = "1h")]
    async fn arc(self: Arc<Self>, id: u64) -> u64 {
        id
    }

    #[cacheable(key = "pool:lent:{id}", stale = "1h", soft = millis(100))]
    async fn lent(self: &Arc<Self>, id: u64) -> Option<u64> {
        Some(id)
    }

    /// Needs no task: the old value is served when the load has failed, by the caller that waited for it.
    #[cacheable(key = "pool:safe:{id}", fail_safe = "1d")]
    async fn safe(&self, id: u64) -> Result<u64, ()> {
        Ok(id)
    }

    #[cacheable(key = "pool:safe-inline:{id}", fail_safe = hours(24), inline)]
    async fn safe_inline(&self, id: u64) -> Result<u64, ()> {
        Ok(id)
    }
}

#[cacheable(key = "free:{text}:{list}:{some}", stale = "1h", skip(pool, cache), cache = cache)]
async fn lent(cache: &Cache, text: &str, list: &[u64], some: Option<&str>, pool: &Arc<Pool>) -> usize {
    let _ = &pool.cache;
    text.len() + list.len() + some.map_or(0, str::len)
}

#[cacheable(key = "free:{T}:{value}", stale = "1h", cache = cache, skip(cache))]
async fn generic<T>(cache: Cache, mut value: T) -> String
where
    T: ToString + cache_core::KeyPart + Clone + Send + Sync + 'static,
{
    value = value.clone();
    value.to_string()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cache = Cache::in_memory();
    let handle = Handle { cache: cache.clone() };
    let pool = Arc::new(Pool { cache: cache.clone() });
    for _ in 0..2 {
        assert_eq!(handle.all(1).await, Ok(Some(1)));
        assert_eq!(handle.clone().moved(1).await.unwrap(), 1);
        assert_eq!(Arc::clone(&pool).arc(1).await, 1);
        assert_eq!(pool.lent(1).await, Some(1));
        assert_eq!(pool.safe(1).await, Ok(1));
        assert_eq!(pool.safe_inline(1).await, Ok(1));
        assert_eq!(lent(&cache, "a", &[1], Some("b"), &pool).await, 3);
        assert_eq!(generic(cache.clone(), 7_u8).await, "7");
    }
}
