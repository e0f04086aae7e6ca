//! A wrong end of the body is one error, at the user's own expression.

use cache_core::{cache_evict, cache_put, cacheable};

#[derive(Debug)]
struct DbError;

struct Repo {
    cache: cache_core::Cache,
}

impl Repo {
    #[cacheable(key = "a:{id}")]
    async fn read(&self, id: u64) -> Result<Option<u64>, DbError> {
        Ok(id)
    }

    #[cache_put(key = "a:{id}")]
    async fn put(&self, id: u64) -> Result<u64, DbError> {
        id
    }

    #[cache_evict(key = "a:{id}")]
    async fn evict(&self, id: &str) -> u32 {
        id
    }

    #[cacheable(key = "a:{id}")]
    async fn early(&self, id: u64) -> Result<u64, DbError> {
        if id == 0 {
            return Err("zero");
        }
        Ok(id)
    }

    #[cacheable(key = "a:{id}")]
    async fn semicolon(&self, id: u64) -> u64 {
        id;
    }

    #[cacheable(key = "a:{id}")]
    async fn empty(&self, id: u64) -> u64 {}

    #[cacheable(key = "a:{id}")]
    async fn unknown(&self, id: u64) -> u64 {
        idd
    }
}

fn main() {}
