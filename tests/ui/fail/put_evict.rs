//! Writers that say too little, or speak too soon.

use cache_core::{cache_evict, cache_put};

struct Transaction;

#[cache_evict]
async fn evicts_nothing(id: u64) -> u64 {
    id
}

#[cache_evict(scope)]
async fn scope_of_no_key(id: u64) -> u64 {
    id
}

#[cache_evict(scope = "product:{id}")]
async fn scope_with_an_argument(id: u64) -> u64 {
    id
}

#[cache_evict(scope = product)]
async fn scope_without_quotes(id: u64) -> u64 {
    id
}

#[cache_put(ttl = "5m")]
async fn puts_nowhere(id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}", phase = before)]
async fn put_before(id: u64) -> u64 {
    id
}

#[cache_evict(key = "product:{id}", phase = befor)]
async fn misspelt_phase(id: u64) -> u64 {
    id
}

#[cache_evict(key = "product:{it}", phase = before)]
async fn result_before(id: u64) -> u64 {
    id
}

#[cache_evict(key = "product:{id}", on_error = skip)]
async fn misspelt_on_error(id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}")]
async fn put_in_a_transaction(transaction: &mut Transaction, id: u64) -> u64 {
    let _ = transaction;
    id
}

#[cache_evict(key = "product:{id}")]
async fn evict_in_a_transaction(transaction: Option<&mut Transaction>, id: u64) -> u64 {
    let _ = transaction;
    id
}

#[cache_evict(key = "product:{idd}")]
async fn misspelt(id: u64) -> u64 {
    id
}

#[cache_evict(key = "product:{id}", soft = "1m")]
async fn for_how_long(id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}", soft)]
async fn put_softly(id: u64) -> u64 {
    id
}

fn main() {}
