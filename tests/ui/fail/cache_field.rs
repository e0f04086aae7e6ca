//! A method finds its cache as `self.cache`.

use cache_core::cacheable;

struct Repo;

impl Repo {
    #[cacheable(key = "a:{id}")]
    async fn read(&self, id: u64) -> u64 {
        id
    }
}

#[cacheable(key = "b:{id}", cache = 7)]
async fn no_cache(id: u64) -> u64 {
    id
}

fn main() {}
