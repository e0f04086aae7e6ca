//! `cachet` 0.16: the in-memory cache of "Basic In-Memory Cache" with `stampede_protection`, as in "Cache Stampede
//! Protection". It ships no tier for Redis, so what is run is what it does in one process.

use std::sync::Arc;

use cachet::{Cache, CacheEntry};
use tick::Clock;

use super::{TTL, lacks_in_process};
use crate::{
    case::{Case, Contender, Node, Setup, Step},
    source::{Row, Source},
};

/// The contender.
pub(crate) struct Cachet;

struct One(Cache<u64, Row>);

// === impl Contender ===

impl Contender for Cachet {
    fn name(&self) -> &'static str {
        "cachet"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["cachet"]
    }

    fn lacks(&self, case: Case) -> Option<&'static str> {
        lacks_in_process(case)
    }

    fn node<'a>(&'a self, _setup: Setup, _url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async {
            let builder = Cache::builder::<u64, Row>(Clock::new_tokio()).memory().ttl(TTL);
            Arc::new(One(builder.stampede_protection().build())) as Arc<dyn Node>
        })
    }
}

impl Node for One {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move {
            let entry: Result<CacheEntry<Row>, _> = self.0.get_or_insert(&id, || source.read(id)).await;
            Ok(entry.map_err(|error| error.to_string())?.into_value().revision)
        })
    }

    fn evict(&self, id: u64) -> Step<'_, Result<(), String>> {
        Box::pin(async move { self.0.invalidate(&id).await.map_err(|error| error.to_string()) })
    }

    fn evict_group(&self) -> Step<'_, Result<(), String>> {
        Box::pin(async { self.0.clear().await.map_err(|error| error.to_string()) })
    }
}
