//! Tags that are none, too many, or the same.

use cache_core::{cache_put, cacheable};

#[cacheable(key = "product:{id}", tags = [])]
async fn none(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", tags = "catalogue")]
async fn no_list(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", tags = ["{id}"])]
async fn no_head(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", tags = ["catalogue", "catalogue"])]
async fn the_same(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", tags = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"])]
async fn too_many(id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}", tags = ["category:{i}"])]
async fn misspelt(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", tags = [catalogue])]
async fn no_text(id: u64) -> u64 {
    id
}

fn main() {}
