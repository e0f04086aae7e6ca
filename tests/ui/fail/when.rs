//! `when` decides before the body.

use cache_core::{cache_evict, cacheable};

#[cacheable(key = "product:{id}", when = it > 3)]
async fn over_the_result(id: u64) -> u64 {
    id
}

#[cache_evict(key = "product:{id}", when = it.is_some())]
async fn evict_over_the_result(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
