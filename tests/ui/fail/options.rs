//! Options that are not there, not yet there, given twice, or given in another form.

use cache_core::{cache_evict, cache_put, cacheable};

#[cacheable(kye = "product:{id}")]
async fn misspelt(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", expiry = "5m")]
async fn unknown(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", phase = both)]
async fn of_another_attribute(id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}", skip(id))]
async fn skip_in_a_put(id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}", stale = "1h")]
async fn stale_in_a_put(id: u64) -> u64 {
    id
}

#[cache_evict(key = "product:{id}", version = *it)]
async fn version_of_nothing(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", unit = transaction)]
async fn unit_of_a_reader(id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}", unit)]
async fn unit_without_a_value(id: u64) -> u64 {
    id
}

#[cache_put(key = "product:{id}", behind)]
async fn behind_what(id: u64) -> u64 {
    id
}

#[cache_evict(key = "product:{id}", behind = journal)]
async fn evict_behind(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", ttl = "1m", ttl = "5m")]
async fn twice(id: u64) -> u64 {
    id
}

#[cacheable("product:{id}")]
async fn without_a_name(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}" ttl = "5m")]
async fn without_a_comma(id: u64) -> u64 {
    id
}

#[cacheable(key)]
async fn without_a_value(id: u64) -> u64 {
    id
}

#[cacheable(key: "product:{id}")]
async fn without_an_equals_sign(id: u64) -> u64 {
    id
}

#[cacheable(key = template())]
async fn key_that_is_no_text(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", inline = true)]
async fn flag_with_a_value(id: u64) -> u64 {
    id
}

fn main() {}
