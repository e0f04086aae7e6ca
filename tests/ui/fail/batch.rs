//! What `batch` asks of a function, and which options it goes with.

use std::collections::HashMap;

use cache_core::{Cache, cache_evict, cache_put, cacheable};

struct Shop {
    cache: Cache,
}

impl Shop {
    #[cacheable(batch(id in ids), key = "product:{id}")]
    async fn exclusive(&mut self, ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, 1)).collect()
    }
}

#[cacheable(batch(id in ids), key = "product:{id}", stale = "1h")]
async fn stale(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}", warm_up)]
async fn warm(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}", soft = "1s", hard = "5s")]
async fn soft_and_hard(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}", cache_err = |_| true)]
async fn errors(ids: &[u64]) -> Result<HashMap<u64, u64>, String> {
    Ok(ids.iter().map(|id| (*id, 1)).collect())
}

#[cache_put(batch(id in ids), key = "product:{id}")]
async fn put(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cache_evict(batch(id in ids), key = "product:{id}")]
async fn evict(ids: &[u64]) -> usize {
    ids.len()
}

#[cacheable(batch(id in idz), key = "product:{id}")]
async fn misspelt(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{ids}")]
async fn all_in_the_key(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product")]
async fn not_in_the_key(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(pair in pairs), key = "product:{pair.0}")]
async fn in_part_in_the_key(pairs: &[(u64, u64)]) -> HashMap<(u64, u64), u64> {
    pairs.iter().map(|pair| (*pair, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product", skip(id))]
async fn skipped(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn another_not_in_the_key(ids: &[u64], lang: &str) -> HashMap<u64, usize> {
    ids.iter().map(|id| (*id, lang.len())).collect()
}

#[cacheable(batch(id in ids))]
async fn no_key(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(ids), key = "product:{id}")]
async fn no_element(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(lang in ids), key = "product:{lang}")]
async fn element_is_an_argument(ids: &[u64], lang: &str) -> HashMap<u64, usize> {
    ids.iter().map(|id| (*id, lang.len())).collect()
}

#[cacheable(batch(it in ids), key = "product:{it}")]
async fn element_named_it(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}", when = id > 7)]
async fn when_of_an_element(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}", unless = *it == id)]
async fn unless_of_an_element(ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}", skip(count))]
async fn transaction(ids: &[u64], count: &mut u64) -> HashMap<u64, u64> {
    *count += 1;
    ids.iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn unnamed(ids: impl AsRef<[u64]>) -> HashMap<u64, u64> {
    ids.as_ref().iter().map(|id| (*id, 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn in_a_pattern((ids, _): (Vec<u64>, u8)) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, 1)).collect()
}

fn main() {}
