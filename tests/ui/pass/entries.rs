//! Results that hold an `Entry`, told by type, on functions of every kind.

#![deny(warnings)]

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use cache_core::{Cache, CacheValue, Entry, TimedOut, cache_evict, cache_put, cacheable};

mod aliases {
    pub type Cached<T> = cache_core::Entry<T>;
    pub type Found<T> = Result<Option<Cached<T>>, super::Failed>;
}

#[derive(Clone, Debug, PartialEq)]
pub struct Failed;

impl From<TimedOut> for Failed {
    fn from(_: TimedOut) -> Self {
        Failed
    }
}

#[derive(Clone)]
struct Repo {
    cache: Cache,
}

impl Repo {
    #[cacheable(key = "a:{id}", tags = ["n:{it}"], stale = "1h", hard = "5s", ttl_with = |_| cache_core::mins(1))]
    async fn alias(&self, id: u64) -> aliases::Found<u64> {
        Ok(Some(id.into()))
    }

    #[cacheable(key = "b:{id}", cache_err = |_| true)]
    async fn failing(&self, id: u64) -> Result<Entry<u64>, String> {
        let id = u32::try_from(id).map_err(|error| error.to_string())?;
        Ok(u64::from(id).into())
    }

    #[cacheable(key = "c:{id}")]
    async fn boxed_error(&self, id: u64) -> Result<Entry<Option<u64>>, Box<dyn Error>> {
        Ok(Some(id).into())
    }

    #[cacheable]
    async fn shared(&self, id: u64) -> Entry<Arc<[u64]>> {
        Arc::<[u64]>::from([id]).into()
    }

    #[cacheable(key = "d:{T}:{value}")]
    async fn generic<T: CacheValue + cache_core::KeyPart>(&self, value: T) -> Option<Entry<T>> {
        Some(value.into())
    }

    #[cache_evict(tags = ["n:{it}"])]
    #[cache_put(key = "a:{id}", tags = ["n:{it}"])]
    async fn save(&self, id: u64, value: u64) -> aliases::Found<u64> {
        let _ = id;
        Ok(Some(value.into()))
    }
}

#[async_trait]
trait Store {
    async fn find(&self, id: u64) -> aliases::Found<u64>;
}

#[async_trait]
impl Store for Repo {
    #[cacheable(key = "a:{id}", tags = ["n:{it}"])]
    async fn find(&self, id: u64) -> aliases::Found<u64> {
        Ok(Some(id.into()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let repo = Repo { cache: Cache::in_memory() };
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        outcomes.push(repo.alias(7).await.unwrap().unwrap().map(drop));
        outcomes.push(repo.failing(7).await.unwrap().map(drop));
        outcomes.push(repo.boxed_error(7).await.unwrap().map(drop));
        outcomes.push(repo.shared(7).await.map(drop));
        outcomes.push(repo.generic(7_u8).await.unwrap().map(drop));
    }
    let hits: Vec<bool> = outcomes.iter().map(|entry| entry.outcome().is_hit()).collect();
    assert_eq!(hits, [[false; 5], [true; 5]].concat());
    assert_eq!(repo.save(7, 70).await.unwrap().unwrap().into_value(), 70);
    assert_eq!(repo.find(8).await.unwrap().unwrap().outcome().to_string(), "miss; load=own");
}
