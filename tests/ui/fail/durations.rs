//! Durations that can't be read.

use cache_core::cacheable;

#[cacheable(key = "product:{id}", ttl = "15x")]
async fn unknown_unit(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", l1 = "30")]
async fn text_without_a_unit(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", ttl = 60)]
async fn number_without_a_unit(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", negative = "0s")]
async fn no_time_at_all(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", stale = "1 hour")]
async fn words(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", soft = 0.1)]
async fn fraction(id: u64) -> u64 {
    id
}

fn main() {}
