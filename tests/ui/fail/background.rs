//! Loads that have to go on without their caller, of bodies that are seen to need it.

use std::borrow::Cow;

use cache_core::{Cache, cacheable};

struct Filter<'a>(&'a str);

struct Page {
    number: u32,
}

struct Repo<'a> {
    cache: &'a Cache,
}

impl<'a> Repo<'a> {
    #[cacheable(key = "a:{id}", stale = "1h")]
    async fn named(&'a self, id: u64) -> u64 {
        id
    }

    #[cacheable(key = "a:{id}", soft = "1s")]
    async fn exclusive(&mut self, id: u64) -> u64 {
        id
    }
}

#[cacheable(key = "b:{id}", stale = "1h", inline)]
async fn inline(id: u64) -> u64 {
    id
}

#[cacheable(key = "b:{id}", warm_up, inline)]
async fn repeated(id: u64) -> u64 {
    id
}

#[cacheable(key = "c", skip(filter), stale = "1h")]
async fn lifetime_in_a_type(filter: Filter<'_>) -> usize {
    filter.0.len()
}

#[cacheable(key = "d:{text}", hard = "5s", soft = "1s")]
async fn named_lifetime<'a>(text: &'a str) -> Result<usize, std::io::Error> {
    Ok(text.len())
}

#[cacheable(key = "e", skip(all), soft = "1s")]
async fn references_inside(all: &[&str]) -> usize {
    all.len()
}

#[cacheable(key = "f:{number}", stale = "1h")]
async fn borrowed_pattern(Page { number }: &Page) -> u32 {
    *number
}

#[cacheable(key = "g", skip(into), stale = "1h")]
async fn unnamed(into: impl Into<String>) -> String {
    into.into()
}

#[cacheable(key = "h:{T}", skip(value), stale = "1h")]
async fn type_parameter<T: Clone + Send + Sync + Into<u64>>(value: T) -> u64 {
    value.into()
}

// One mistake is one error: what is returned is wrong whatever the options are.
#[cacheable(key = "i:{text}", stale = "1h")]
async fn returned(text: &str) -> Cow<'_, str> {
    text.into()
}

fn main() {}
