//! A map of a function with `batch` that could say *nothing* of an id in two ways.

use std::collections::{BTreeMap, HashMap};

use cache_core::cacheable;

#[cacheable(batch(id in ids), key = "product:{id}")]
async fn options(ids: &[u64]) -> Result<HashMap<u64, Option<u64>>, std::io::Error> {
    Ok(ids.iter().map(|id| (*id, None)).collect())
}

type Maybe = Option<String>;
type Rows<T> = BTreeMap<u64, T>;

#[cacheable(batch(id in ids), key = "product:{id}", tags = ["named:{it.is_some()}"])]
async fn options_by_another_name(ids: &[u64]) -> Rows<Maybe> {
    ids.iter().map(|id| (*id, None)).collect()
}

fn main() {}
