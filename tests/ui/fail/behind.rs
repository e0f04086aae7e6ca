//! What a journal takes, and what has no meaning beside it.

use cache_core::{Cache, Error, behind::WriteBehind, cache_put};

struct Told;

impl From<Error> for Told {
    fn from(_: Error) -> Self {
        Told
    }
}

#[cache_put(
    key = "product:{id}",
    tags = ["catalogue"],
    ttl = "5m",
    l1 = "5s",
    negative = "1s",
    rev = 2,
    when = id > 0,
    unless = *it == 0,
    phase = both,
    on_error = keep,
    cache = cache,
    unit = cache.unit(),
    version = *it,
    behind = journal
)]
async fn without_meaning(cache: &Cache, journal: &WriteBehind<u64>, id: u64) -> Result<u64, Told> {
    Ok(id)
}

#[cache_put(behind = journal)]
async fn nowhere(journal: &WriteBehind<u64>, id: u64) -> Result<u64, Told> {
    Ok(id)
}

#[cache_put(key = ["product:{id}", "product_by_id:{id}"], behind = journal)]
async fn under_several_keys(journal: &WriteBehind<u64>, id: u64) -> Result<u64, Told> {
    Ok(id)
}

fn main() {}
