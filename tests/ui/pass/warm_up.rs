//! `warm_up` on every signature whose body can be repeated, whatever the body does with its arguments.

#![deny(warnings)]

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use cache_core::{Cache, Entry, KeyPart, cacheable, secs};

#[derive(Clone)]
struct Handle {
    cache: Cache,
}

/// Not `Clone`, so it is held in an `Arc`.
struct Pool {
    cache: Cache,
}

#[derive(Clone, KeyPart)]
struct Page {
    number: u32,
    size: u32,
}

#[async_trait]
trait Catalogue {
    async fn find(&self, id: u64) -> Result<Option<u64>, std::io::Error>;
    async fn page(&self, Page { number, size }: Page) -> Vec<u32>;
}

impl Handle {
    #[cacheable(key = "warm-handle:{id}", ttl = "1m", warm_up = "10s", stale = "1h", tags = ["warm-of:{it}"], unless = *it == 0)]
    async fn lent(&self, id: u64) -> Result<u64, std::io::Error> {
        Ok(id)
    }

    #[cacheable(key = "warm-moved:{id}", warm_up)]
    async fn moved(self, id: u64) -> Entry<u64> {
        drop(self.cache);
        id.into()
    }
}

impl Pool {
    #[cacheable(key = "warm-pool:{id}", warm_up = secs(1))]
    async fn arc(self: Arc<Self>, id: u64) -> Option<u64> {
        let pool = self;
        let _ = &pool.cache;
        Some(id)
    }

    #[cacheable(key = "warm-pool-lent:{id}", warm_up)]
    async fn lent(self: &Arc<Self>, id: u64) -> u64 {
        let _ = &self.cache;
        id
    }
}

#[async_trait]
impl Catalogue for Handle {
    #[cacheable(key = "warm-boxed:{id}", warm_up)]
    async fn find(&self, id: u64) -> Result<Option<u64>, std::io::Error> {
        let _ = &self.cache;
        Ok(Some(id))
    }

    #[cacheable(key = "warm-boxed-page:{number}:{size}", warm_up)]
    async fn page(&self, Page { number, size }: Page) -> Vec<u32> {
        vec![number, size]
    }
}

#[cacheable(key = "warm-free:{text}:{list}:{some}", warm_up, skip(pool, cache), cache = cache)]
async fn lent(cache: &Cache, text: &str, list: &[u64], some: Option<&str>, pool: &Arc<Pool>) -> usize {
    let _ = (cache, &pool.cache);
    text.len() + list.len() + some.map_or(0, str::len)
}

#[cacheable(key = "warm-free:{T}:{value}:{name}:{number}", warm_up, cache = cache, skip(cache))]
async fn given_away<T>(cache: Cache, mut value: T, name: String, Page { number, .. }: Page) -> String
where
    T: ToString + KeyPart + Clone + Send + Sync + 'static,
{
    drop(cache);
    value = value.clone();
    let mut name = name;
    name.push_str(&value.to_string());
    name + &number.to_string()
}

#[cacheable(warm_up, cache = cache, skip(cache))]
fn by_hand(cache: Cache, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        drop(cache);
        id
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cache = Cache::in_memory();
    let handle = Handle { cache: cache.clone() };
    let pool = Arc::new(Pool { cache: cache.clone() });
    for _ in 0..2 {
        assert_eq!(handle.lent(1).await.unwrap(), 1);
        assert_eq!(*handle.clone().moved(1).await.value(), 1);
        assert_eq!(Arc::clone(&pool).arc(1).await, Some(1));
        assert_eq!(pool.lent(1).await, 1);
        assert_eq!(handle.find(1).await.unwrap(), Some(1));
        assert_eq!(handle.page(Page { number: 1, size: 2 }).await, [1, 2]);
        assert_eq!(lent(&cache, "a", &[1], Some("b"), &pool).await, 3);
        assert_eq!(given_away(cache.clone(), 7_u8, "a".to_owned(), Page { number: 1, size: 2 }).await, "a71");
        assert_eq!(by_hand(cache.clone(), 7).await, 7);
    }
}
