//! Functions that an attribute can't go on.

use std::future::Future;

use cache_core::{cache_evict, cache_put, cacheable};

#[cacheable(key = "product:{id}")]
fn not_async(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}")]
const fn constant(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}")]
fn of_another_type(id: u64) -> impl Future<Output = u64> {
    async move { id }
}

trait Products {
    #[cacheable(key = "product:{id}")]
    async fn declared(&self, id: u64) -> u64;
}

#[cacheable(key = "product")]
struct Product;

#[cacheable(key = "product:{id}")]
async fn no_result(id: u64) {
    let _ = id;
}

#[cache_put(key = "product:{id}")]
async fn put_of_nothing(id: u64) {
    let _ = id;
}

#[cacheable(key = "product:{id}")]
async fn unnamed_result(id: u64) -> impl Iterator<Item = u64> {
    std::iter::once(id)
}

#[cache_evict(key = "product:{id}")]
async fn unnamed_result_of_an_evict(id: u64) -> Result<impl Iterator<Item = u64>, ()> {
    Ok(std::iter::once(id))
}

#[cacheable(key = "product:{name}")]
async fn returned_reference(name: &str) -> &str {
    name
}

#[cacheable(key = "product:{name}")]
async fn returned_lifetime<'a>(name: &'a str) -> Result<std::borrow::Cow<'a, str>, ()> {
    Ok(name.into())
}

#[cacheable(key = "product:{it}")]
async fn an_argument_named_it(it: u64) -> u64 {
    it
}

fn main() {}
