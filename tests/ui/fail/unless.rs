//! `unless` sees the result only: it goes with the load, which may outlive the call.

use cache_core::cacheable;

#[cacheable(key = "product:{id}", unless = *it < id)]
async fn over_an_argument(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", unless = it)]
async fn no_answer(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", ttl = 5.0)]
async fn no_duration(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", when = id)]
async fn no_condition(id: u64) -> u64 {
    id
}

fn main() {}
