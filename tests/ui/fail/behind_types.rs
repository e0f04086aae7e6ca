//! A write that is not journaled ends with an error, which must be there and be able to say so.

use cache_core::{Error, behind::WriteBehind, cache_put};

struct Failed;

struct Told;

impl From<Error> for Told {
    fn from(_: Error) -> Self {
        Told
    }
}

#[cache_put(key = "product:{id}", behind = journal)]
async fn other_error(journal: WriteBehind<u64>, id: u64) -> Result<u64, Failed> {
    Ok(id)
}

#[cache_put(key = "product:{id}", behind = journal)]
async fn no_error(journal: WriteBehind<u64>, id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}", behind = journal)]
async fn of_nothing(journal: WriteBehind<u64>, id: u64) -> Result<Option<u64>, Told> {
    Ok(Some(id))
}

#[cache_put(key = "product:{id}", behind = journal)]
async fn of_another_type(journal: WriteBehind<u32>, id: u64) -> Result<u64, Told> {
    Ok(id)
}

#[cache_put(key = "product:{id}", behind = id)]
async fn no_journal(id: u64) -> Result<u64, Told> {
    Ok(id)
}

fn main() {}
