//! Rows with versions, and several keys.

use cache_core::{cache_put, cacheable};

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Product {
    id: u64,
    version: i64,
}

#[cache_put(key = "product:{it.id}", version = it.version)]
async fn nothing_is_stored(product: Product) -> Product {
    product
}

#[cache_put(key = "product:{product.id}", version = product.version)]
async fn of_an_argument(product: Product) -> Product {
    product
}

#[cache_put(key = "product:{product.id}", version = it.version)]
async fn of_another_type(product: Product) -> Product {
    product
}

#[cacheable(key = ["product:{id}", "product_by_id:{id}"])]
async fn read_from_several(id: u64) -> u64 {
    id
}

#[cache_put(key = [])]
async fn put_under_none(id: u64) -> u64 {
    id
}

#[cache_put(key = ["product:{id}", "product:{id}"])]
async fn put_twice(id: u64) -> u64 {
    id
}

#[cache_put(key = ["product:{id}", id])]
async fn no_text(id: u64) -> u64 {
    id
}

fn main() {}
