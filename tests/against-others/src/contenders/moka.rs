//! `moka` 0.12.16 alone: `moka::future::Cache`, sections "Example: Asynchronous Cache" and "Avoiding to clone the value";
//! loads by `get_with`, which its documentation recommends against concurrent ones, evictions by `invalidate` and
//! `invalidate_all`.

use std::sync::Arc;

use moka::future::Cache;

use super::{TTL, lacks_in_process};
use crate::{
    case::{Case, Contender, Node, Setup, Step},
    source::{Row, Source},
};

/// The contender.
pub(crate) struct Moka;

struct One(Cache<u64, Row>);

// === impl Contender ===

impl Contender for Moka {
    fn name(&self) -> &'static str {
        "moka"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["moka"]
    }

    fn lacks(&self, case: Case) -> Option<&'static str> {
        lacks_in_process(case)
    }

    fn node<'a>(&'a self, _setup: Setup, _url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async {
            let cache = Cache::builder().max_capacity(10_000).time_to_live(TTL).build();
            Arc::new(One(cache)) as Arc<dyn Node>
        })
    }
}

impl Node for One {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move { Ok(self.0.get_with(id, source.read(id)).await.revision) })
    }

    fn evict(&self, id: u64) -> Step<'_, Result<(), String>> {
        Box::pin(async move {
            self.0.invalidate(&id).await;
            Ok(())
        })
    }

    fn evict_group(&self) -> Step<'_, Result<(), String>> {
        Box::pin(async {
            self.0.invalidate_all();
            Ok(())
        })
    }
}
