//! `multi-tier-cache` 0.6.9: the README's "Cross-Instance Invalidation" (`CacheManager::new_with_invalidation`, moka before
//! Redis), loads by "Type-Safe Caching" (`get_or_compute_typed`), evictions by its strategies Remove and Pattern, puts by
//! Update.

use std::sync::Arc;

use multi_tier_cache::{Bytes, CacheManager, CacheStrategy, InvalidationConfig, L1Cache, L2Cache, MokaCacheConfig};

use super::{Account, Accounts, NO_FUNCTIONS, TTL, connected, pause};
use crate::{
    case::{Case, Contender, Node, Release, Setup, Step},
    source::{Row, Source},
};

/// The contender.
pub(crate) struct MultiTier;

struct Managed(CacheManager);

async fn connect(url: &str) -> CacheManager {
    let channel = InvalidationConfig::default().channel;
    let before = subscribers(url, &channel).await;
    let built = connected(|| async {
        let l1 = Arc::new(L1Cache::new(MokaCacheConfig::default())?);
        let l2 = Arc::new(L2Cache::with_url(url).await?);
        CacheManager::new_with_invalidation(l1, l2, url, InvalidationConfig::default()).await
    })
    .await;
    // It subscribes in a task of its own; a message before that is none that it promises to hear.
    while subscribers(url, &channel).await <= before {
        pause().await;
    }
    built
}

async fn subscribers(url: &str, channel: &str) -> u64 {
    let client = redis::Client::open(url).expect("a URL");
    let answer = connected(|| async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PUBSUB").arg("NUMSUB").arg(channel).query_async::<(String, u64)>(&mut connection).await
    });
    answer.await.1
}

fn key(id: u64) -> String {
    format!("product:{id}")
}

// === impl Contender ===

impl Contender for MultiTier {
    fn name(&self) -> &'static str {
        "multi-tier-cache"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["multi-tier-cache"]
    }

    fn lacks(&self, case: Case) -> Option<&'static str> {
        match case {
            Case::Flushed => Some("it listens to its own messages only"),
            Case::OneName => Some(NO_FUNCTIONS),
            _ => None,
        }
    }

    fn node<'a>(&'a self, _setup: Setup, url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async move { Arc::new(Managed(connect(url).await)) as Arc<dyn Node> })
    }

    fn account<'a>(
        &'a self,
        url: &'a str,
        release: Release,
        loads: (u64, u64),
    ) -> Step<'a, Result<(u64, u64), String>> {
        self.by_release(url, release, loads)
    }
}

impl Node for Managed {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move {
            let (key, load) = (key(id), || async { Ok(source.read(id).await) });
            let found = self.0.get_or_compute_typed::<Row, _, _>(&key, CacheStrategy::Custom(TTL), load).await;
            Ok(found.map_err(|error| error.to_string())?.revision)
        })
    }

    fn evict(&self, id: u64) -> Step<'_, Result<(), String>> {
        Box::pin(async move { self.0.invalidate(&key(id)).await.map_err(|error| error.to_string()) })
    }

    fn evict_group(&self) -> Step<'_, Result<(), String>> {
        Box::pin(async { self.0.invalidate_pattern("product:*").await.map_err(|error| error.to_string()) })
    }

    fn save<'a>(&'a self, id: u64, revision: u64, source: &'a Source) -> Step<'a, Result<(), String>> {
        Box::pin(async move {
            let row = source.commit(id, revision).await;
            let bytes = Bytes::from(serde_json::to_vec(&row).expect("it is plain data"));
            self.0.update_cache(&key(id), bytes, Some(TTL)).await.map_err(|error| error.to_string())
        })
    }
}

impl Accounts for MultiTier {
    fn through<'a, A: Account>(&'a self, url: &'a str, loads: A) -> Step<'a, Result<A, String>> {
        Box::pin(async move {
            let load = || async move { Ok(loads) };
            let strategy = CacheStrategy::Custom(TTL);
            connect(url)
                .await
                .get_or_compute_typed("account:7", strategy, load)
                .await
                .map_err(|error| error.to_string())
        })
    }
}
