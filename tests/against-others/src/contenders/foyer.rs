//! `foyer` 0.22: its in-memory `Cache`, as in the README's "Out-of-the-box Memory Cache", with `get_or_fetch`, which
//! deduplicates concurrent fetches, `remove` and `clear`. It has no lifetimes to set.

use std::{convert::Infallible, sync::Arc};

use foyer::{Cache, CacheBuilder};

use super::lacks_in_process;
use crate::{
    case::{Case, Contender, Node, Setup, Step},
    source::{Row, Source},
};

/// The contender.
pub(crate) struct Foyer;

struct One(Cache<u64, Row>);

// === impl Contender ===

impl Contender for Foyer {
    fn name(&self) -> &'static str {
        "foyer"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["foyer"]
    }

    fn lacks(&self, case: Case) -> Option<&'static str> {
        lacks_in_process(case)
    }

    fn node<'a>(&'a self, _setup: Setup, _url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async { Arc::new(One(CacheBuilder::new(10_000).build())) as Arc<dyn Node> })
    }
}

impl Node for One {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move {
            let source = source.clone();
            let fetch = || async move { Ok::<_, Infallible>(source.read(id).await) };
            let entry = self.0.get_or_fetch(&id, fetch).await.map_err(|error| error.to_string())?;
            Ok(entry.value().revision)
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
