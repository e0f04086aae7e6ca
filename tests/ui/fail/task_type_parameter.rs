//! A `self` whose type has a parameter that may stand for a borrow: rustc says which bound is missing. Or say `inline`.

use cache_core::{Cache, cacheable};

trait Store {
    fn load(&self, id: u64) -> u64;
}

#[derive(Clone)]
struct Repo<S> {
    cache: Cache,
    store: S,
}

impl<S: Store + Clone + Send + Sync> Repo<S> {
    #[cacheable(key = "a:{id}")]
    async fn read(&self, id: u64) -> u64 {
        self.store.load(id)
    }
}

fn main() {}
