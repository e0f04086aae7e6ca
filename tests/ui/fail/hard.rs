//! A load that took too long ends with an error, which must be there and be able to say so.

use cache_core::cacheable;

struct Failed;

type Answer<T> = Result<T, Failed>;

#[cacheable(key = "a:{id}", hard = "5s")]
async fn other_error(id: u64) -> Result<u64, Failed> {
    Ok(id)
}

#[cacheable(key = "b:{id}", ttl = "1m", hard = "5s")]
async fn other_error_by_alias(id: u64) -> Answer<Option<u64>> {
    Ok(Some(id))
}

#[cacheable(key = "c:{id}", hard = "5s")]
async fn value(id: u64) -> u64 {
    id
}

#[cacheable(key = "d:{id}", hard = "5s")]
async fn option(id: u64) -> Option<u64> {
    Some(id)
}

#[cacheable(key = "e:{id}", hard = 5)]
async fn no_duration(id: u64) -> std::io::Result<u64> {
    Ok(id)
}

fn main() {}
