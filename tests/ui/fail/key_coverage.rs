//! Arguments that were forgotten in the key.

use cache_core::cacheable;

struct Filter {
    page: u32,
    #[allow(dead_code, reason = "it is the point that nobody looks at it")]
    term: String,
}

struct Path<T>(T);

#[cacheable(key = "product:{id}")]
async fn forgotten(id: u64, lang: &str) -> String {
    format!("{id}{lang}")
}

#[cacheable(key = "products")]
async fn two_forgotten(page: u32, size: u32) -> u32 {
    page * size
}

#[cacheable(key = "products:{filter.page}")]
async fn a_field_covers_itself(filter: Filter) -> u32 {
    filter.page
}

#[cacheable(key = "products:{term.len()}")]
async fn a_method_covers_itself(term: String) -> usize {
    term.len()
}

#[cacheable(key = "products")]
async fn a_binding_in_a_pattern(Path(id): Path<u64>) -> u64 {
    id
}

#[cacheable(key = "products:{page}")]
async fn fields_in_a_pattern(Filter { page, term }: Filter) -> String {
    format!("{page}{term}")
}

#[cacheable(key = "count:{id}")]
async fn a_type_that_nothing_tells<T: Default + Into<u64>>(id: u64) -> u64 {
    T::default().into() + id
}

#[cacheable(key = "count:{id}", skip(items))]
async fn a_type_of_a_skipped_argument<T: Clone>(id: u64, items: Vec<T>) -> u64 {
    id + items.len() as u64
}

#[cacheable(key = "count:{id}")]
async fn a_constant_that_nothing_tells<const N: u64>(id: u64) -> u64 {
    id + N
}

#[cacheable(key = "product:{id}", skip(id))]
async fn in_the_key_and_skipped(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", skip(now, now))]
async fn skipped_twice(id: u64, now: u64) -> u64 {
    id + now
}

#[cacheable(key = "product:{id}", skip(nwo))]
async fn skipped_but_not_there(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", skip())]
async fn skipped_nothing(id: u64) -> u64 {
    id
}

#[cacheable(key = "product:{id}", skip = now)]
async fn skipped_in_another_form(id: u64) -> u64 {
    id
}

#[cacheable(skip(T))]
async fn a_type_without_a_key<T: Default + Into<u64>>(id: u64) -> u64 {
    T::default().into() + id
}

struct Repo;

impl Repo {
    #[cacheable(key = "product:{id}", skip(self))]
    async fn skipped_self(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
