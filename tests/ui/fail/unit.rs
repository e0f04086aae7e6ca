//! What goes with a unit of work, and what is none.

use cache_core::{Cache, Unit, cache_evict, cache_put};

#[cache_put(key = "product:{id}", phase = both, on_error = keep, autocommit, unit = unit)]
async fn settled(id: u64, unit: &mut Unit) -> u64 {
    let _ = unit;
    id
}

#[cache_evict(key = "product:{id}", soft, unit = unit)]
async fn softly(id: u64, unit: &mut Unit) -> u64 {
    let _ = unit;
    id
}

#[cache_evict(key = "product:{id}", unit = cache)]
async fn no_unit(id: u64, cache: &Cache) -> u64 {
    let _ = cache;
    id
}

fn main() {}
