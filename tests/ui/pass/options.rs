//! Every option, and attributes on top of each other.

#![deny(warnings)]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use cache_core::{Cache, cache_evict, cache_put, cacheable, mins, observe, secs, with_cache};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u64,
    category: String,
    lives: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Failed {
    Missing,
    Broken,
}

static LOADS: AtomicU64 = AtomicU64::new(0);

#[cacheable(
    key = "product:{id}",
    skip(fresh, shop),
    tags = ["category:{it.category}", "shop:{shop}:category:{it.category}:{shop}", "catalogue"],
    ttl = "1h30m",
    l1 = secs(30),
    negative = mins(1) / 2,
    when = !fresh && id != 0,
    unless = it.is_some_and(|product| product.lives == 0),
    ttl_with = |product| Duration::from_secs(product.lives),
    cache_err = |error| *error == Failed::Missing,
    share_err = |error| error.clone(),
    rev = 2
)]
/// Documented, after the attribute.
#[must_use]
async fn find(id: u64, fresh: bool, shop: u32) -> Result<Option<Product>, Failed> {
    LOADS.fetch_add(1, Ordering::Relaxed);
    match id {
        1 => Ok(None),
        2 => Err(Failed::Missing),
        3 => Err(Failed::Broken),
        _ => Ok(Some(Product { id, category: format!("c{shop}"), lives: id - 4 })),
    }
}

#[cache_evict(tags = ["top", "listing:{product.category}"], phase = both)]
#[cache_put(
    key = "product:{product.id}",
    tags = ["category:{it.category}", "shop:{shop}:category:{it.category}:{shop}", "catalogue"],
    ttl = "5m",
    l1 = "30s",
    negative = "1s",
    unless = it.lives == 0,
    on_error = keep,
    rev = 2
)]
#[cache_evict(scope = "listing", on_error = "evict")]
async fn save(product: Product, shop: u32) -> Result<Product, Failed> {
    if shop == 0 { Err(Failed::Broken) } else { Ok(product) }
}

#[cache_put(key = "order:{it.id}", tags = ["orders"])]
async fn insert(product: Product) -> Result<Product, Failed> {
    Ok(product)
}

#[cache_evict(key = "product:{id}", scope, phase = "before", when = id > 0)]
async fn clear(id: u64) -> Option<u64> {
    Some(id)
}

struct Transaction;

#[cache_evict(key = "product:{it.id}", tags = ["category:{it.category}:{note}"], autocommit)]
async fn commit(transaction: &mut Transaction, product: Product, note: &str) -> Result<Product, Failed> {
    let Transaction = transaction;
    let _ = note;
    Ok(product)
}

async fn outcome<F: Future>(call: F) -> String {
    observe(call).await.1.iter().map(|one| one.outcome.to_string()).collect::<Vec<_>>().join(", ")
}

async fn all() {
    let product = |id, lives| Product { id, category: "c1".to_owned(), lives };
    let loads = || LOADS.swap(0, Ordering::Relaxed);

    assert_eq!(find(9, false, 1).await, Ok(Some(product(9, 5))));
    assert_eq!(find(9, false, 1).await, Ok(Some(product(9, 5))));
    assert_eq!(loads(), 1);
    assert_eq!(outcome(find(9, true, 1)).await, "bypass; reason=when");
    assert_eq!(loads(), 1);
    assert_eq!(outcome(find(4, false, 1)).await, "bypass; reason=unless");
    assert_eq!(find(1, false, 1).await, Ok(None));
    assert_eq!(find(1, false, 1).await, Ok(None));
    assert_eq!(find(2, false, 1).await, Err(Failed::Missing));
    assert_eq!(find(2, false, 1).await, Err(Failed::Missing));
    assert_eq!(find(3, false, 1).await, Err(Failed::Broken));
    assert_eq!(find(3, false, 1).await, Err(Failed::Broken));
    assert_eq!(loads(), 5, "4, 1 and 2 once, 3 twice");

    assert_eq!(save(product(9, 7), 1).await, Ok(product(9, 7)));
    assert_eq!(find(9, false, 1).await, Ok(Some(product(9, 7))), "what was put");
    assert_eq!(loads(), 0);
    assert_eq!(save(product(9, 8), 0).await, Err(Failed::Broken));
    assert_eq!(insert(product(5, 5)).await, Ok(product(5, 5)));
    assert_eq!(commit(&mut Transaction, product(9, 9), "n").await, Ok(product(9, 9)));
    assert_eq!(outcome(find(9, false, 1)).await, "miss; load=own");
    assert_eq!(clear(1).await, Some(1));
    assert_eq!(outcome(find(9, false, 1)).await, "miss; load=own");
    assert_eq!(outcome(clear(0)).await, "bypass; reason=when");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    with_cache(Cache::in_memory(), all()).await;
    assert_eq!(outcome(find(9, false, 1)).await, "bypass; reason=not_installed");
    let none: Option<Cache> = None;
    assert_eq!(outcome(optional(&none, 1)).await, "bypass; reason=disabled");
}

#[cacheable(key = "optional:{id}", cache = cache, skip(cache))]
async fn optional(cache: &Option<Cache>, id: u64) -> u64 {
    id
}
