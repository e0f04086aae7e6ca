//! `cache-core` 0.1: the README's section "Functions", with its attributes, and the builder of "A hierarchy of lives".
//! Nothing but the TTL is set otherwise: the bound is 1 s and a call waits 50 ms for Redis.

use std::{convert::Infallible, sync::Arc};

use cache_core::{Cache, CoherenceState, Key, Policy, cache_put, cacheable, key, with_cache};

use super::{Account, Accounts, TTL, pause};
use crate::{
    case::{Case, Contender, Node, Quota, Release, Setup, Step},
    source::{Row, Source},
};

/// The contender.
pub(crate) struct Ours;

#[derive(Clone)]
struct Shop {
    cache: Cache,
}

// === impl Shop ===

impl Shop {
    #[cacheable(key = "product:{id}", tags = ["catalogue"], skip(source))]
    async fn find(&self, id: u64, source: Source) -> Result<Row, Infallible> {
        Ok(source.read(id).await)
    }

    #[cache_put(key = "product:{id}", tags = ["catalogue"])]
    async fn save(&self, id: u64, revision: u64, source: Source) -> Result<Row, Infallible> {
        Ok(source.commit(id, revision).await)
    }
}

async fn shop(url: &str) -> Shop {
    let policy = Policy::new().ttl(TTL);
    let builder = Cache::builder("shop").redis(url).ensure_notifications().policy(policy);
    let cache = builder.build().await.expect("its Redis is up");
    while cache.coherence().state != CoherenceState::Coherent {
        pause().await;
    }
    Shop { cache }
}

// === impl Contender ===

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["cache-core"]
    }

    fn lacks(&self, _case: Case) -> Option<&'static str> {
        None
    }

    fn node<'a>(&'a self, _setup: Setup, url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async move { Arc::new(shop(url).await) as Arc<dyn Node> })
    }

    fn account<'a>(
        &'a self,
        url: &'a str,
        release: Release,
        loads: (u64, u64),
    ) -> Step<'a, Result<(u64, u64), String>> {
        self.by_release(url, release, loads)
    }

    fn quota<'a>(&'a self, _setup: Setup, url: &'a str) -> Step<'a, Result<Quota, String>> {
        Box::pin(async move {
            let Shop { cache } = shop(url).await;
            with_cache(cache, async {
                let _user = users::find(7).await;
                Ok(quotas::find(7).await)
            })
            .await
        })
    }
}

impl Node for Shop {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move {
            let Ok(row) = Shop::find(self, id, source.clone()).await;
            Ok(row.revision)
        })
    }

    fn evict(&self, id: u64) -> Step<'_, Result<(), String>> {
        Box::pin(async move {
            let _ack = self.cache.evict(&key!("product:{id}")).await;
            Ok(())
        })
    }

    fn evict_group(&self) -> Step<'_, Result<(), String>> {
        Box::pin(async move {
            let _ack = self.cache.evict_tag(Key::new("catalogue")).await;
            Ok(())
        })
    }

    fn save<'a>(&'a self, id: u64, revision: u64, source: &'a Source) -> Step<'a, Result<(), String>> {
        Box::pin(async move {
            let Ok(_row) = Shop::save(self, id, revision, source.clone()).await;
            Ok(())
        })
    }
}

impl Accounts for Ours {
    fn through<'a, A: Account>(&'a self, url: &'a str, loads: A) -> Step<'a, Result<A, String>> {
        Box::pin(async move {
            let Shop { cache } = shop(url).await;
            let load = || async move { Ok::<_, Infallible>(loads) };
            let Ok(found) = cache.get_or_load(Key::new("account").arg(7_u64), load).await;
            Ok(found)
        })
    }
}

mod users {
    use serde::{Deserialize, Serialize};

    use super::cacheable;

    /// What the other function gives.
    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct User {
        id: u64,
        admin: bool,
    }

    #[cacheable]
    pub(super) async fn find(id: u64) -> User {
        User { id, admin: false }
    }
}

mod quotas {
    use super::cacheable;
    use crate::{case::Quota, cases::QUOTA};

    #[cacheable]
    pub(super) async fn find(id: u64) -> Quota {
        Quota { used: QUOTA.used + id - 7, unlimited: QUOTA.unlimited }
    }
}
