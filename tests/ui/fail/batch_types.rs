//! Functions with `batch` whose types do not fit.

use std::collections::{BTreeSet, HashMap};

use cache_core::{Entry, cacheable};

#[derive(Clone)]
struct Uncacheable;

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn list(ids: &[u64]) -> Result<Vec<u64>, std::io::Error> {
    Ok(ids.to_vec())
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn maybe(ids: &[u64]) -> Option<HashMap<u64, u64>> {
    Some(ids.iter().map(|id| (*id, 1)).collect())
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn entry(ids: &[u64]) -> Entry<HashMap<u64, u64>> {
    ids.iter().map(|id| (*id, 1)).collect::<HashMap<_, _>>().into()
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn ordered(ids: &[u64]) -> Result<BTreeSet<u64>, std::io::Error> {
    Ok(ids.iter().copied().collect())
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn value(ids: &[u64]) -> HashMap<u64, Uncacheable> {
    ids.iter().map(|id| (*id, Uncacheable)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn one(ids: u64) -> HashMap<u64, u64> {
    HashMap::from([(ids, 1)])
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn other_ids(ids: &[u32]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (u64::from(*id), 1)).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn float(ids: &[Price]) -> HashMap<Price, u64> {
    ids.iter().map(|id| (id.clone(), 1)).collect()
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Price;

#[cacheable(batch(id in ids), key = "product:{name}:{id}")]
async fn given_away(ids: &[u64], name: String) -> HashMap<u64, String> {
    let mine = name;
    ids.iter().map(|id| (*id, mine.clone())).collect()
}

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn tail(ids: &[u64]) -> HashMap<u64, u64> {
    ids.len()
}

fn main() {}
