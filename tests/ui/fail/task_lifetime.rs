//! A `self` that is `Clone` and holds a lifetime: it is told by type that it can be cloned, not that it would not live long
//! enough for a task. `inline` says so.

use cache_core::{Cache, cacheable};

#[derive(Clone)]
struct Repo<'a> {
    cache: &'a Cache,
}

impl<'a> Repo<'a> {
    #[cacheable(key = "a:{id}")]
    async fn read(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
