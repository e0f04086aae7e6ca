//! `quick_cache` 0.7: `quick_cache::sync::Cache`, with `get_or_insert_async` as in the crate's section on its guards,
//! `remove` and `clear`. It has no lifetimes to set.

use std::{convert::Infallible, sync::Arc};

use quick_cache::sync::Cache;

use super::lacks_in_process;
use crate::{
    case::{Case, Contender, Node, Setup, Step},
    source::{Row, Source},
};

/// The contender.
pub(crate) struct Quick;

struct One(Cache<u64, Row>);

// === impl Contender ===

impl Contender for Quick {
    fn name(&self) -> &'static str {
        "quick_cache"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["quick_cache"]
    }

    fn lacks(&self, case: Case) -> Option<&'static str> {
        lacks_in_process(case)
    }

    fn node<'a>(&'a self, _setup: Setup, _url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async { Arc::new(One(Cache::new(10_000))) as Arc<dyn Node> })
    }
}

impl Node for One {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move {
            let load = async { Ok::<_, Infallible>(source.read(id).await) };
            let Ok(row) = self.0.get_or_insert_async(&id, load).await;
            Ok(row.revision)
        })
    }

    fn evict(&self, id: u64) -> Step<'_, Result<(), String>> {
        Box::pin(async move {
            self.0.remove(&id);
            Ok(())
        })
    }

    fn evict_group(&self) -> Step<'_, Result<(), String>> {
        Box::pin(async {
            self.0.clear();
            Ok(())
        })
    }
}
