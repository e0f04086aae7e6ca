//! `cached` 4.1.0. Redis: the README's "Redis and disk caches" and the example `redis-async-tokio` (`#[concurrent_cached]`
//! over an `AsyncRedisCache`). Where a node's own memory is the question, the example `redis-client-side-cache-tokio`, with
//! the auto-reconnecting `connection_manager(true)` of the builder's documentation. Where coalescing is, `#[cached]` in
//! memory with `sync_writes = "by_key"`, from "Common attributes": there is none for Redis.
//!
//! The attribute keeps one store a process, so two nodes in one process are made of the store itself, by what the attribute
//! expands to: get, else run the body and set. Two functions of one name are run by the attributes, in a process of their
//! own each: they take their Redis from the environment.

use std::{env, sync::Arc};

use cached::{
    AsyncRedisCache, ConcurrentCachedAsync,
    macros::{cached, concurrent_cached},
};
use clap::ValueEnum;
use serde::{Serialize, de::DeserializeOwned};
use tokio::process::Command;

use super::{Account, Accounts, TTL, connected, is_outage};
use crate::{
    case::{Case, Contender, Node, Quota, Release, Setup, Step},
    source::{Row, Source},
};

/// Where the attribute finds its Redis.
const CONNECTION: &str = "CACHED_REDIS_CONNECTION_STRING";

/// The contender.
pub(crate) struct Cached;

struct Stored<T>(AsyncRedisCache<u64, T>);

struct InMemory;

/// Whether the attributes of two functions say what tells them apart.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Prefix {
    /// A `cache_prefix_block` each.
    Own,
    /// Nothing.
    None,
}

// === impl Stored ===

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Stored<T> {
    async fn connect(url: &str, keeps_locally: bool) -> Self {
        let store = connected(|| {
            let builder = AsyncRedisCache::builder("product").ttl(TTL).connection_string(url);
            builder.client_side_caching(keeps_locally).connection_manager(keeps_locally).build()
        });
        Self(store.await)
    }

    async fn get(&self, id: u64, load: impl Future<Output = T>) -> Result<T, String> {
        if let Some(found) = self.0.async_cache_get(&id).await.map_err(|error| error.to_string())? {
            return Ok(found);
        }
        let loaded = load.await;
        self.0.async_cache_set(id, loaded.clone()).await.map_err(|error| error.to_string())?;
        Ok(loaded)
    }
}

#[cached(max_size = 10_000, ttl_secs = 600, sync_writes = "by_key", key = "u64", convert = { id })]
async fn in_memory(id: u64, source: Source) -> Row {
    source.read(id).await
}

// === impl Contender ===

impl Contender for Cached {
    fn name(&self) -> &'static str {
        "cached"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["cached"]
    }

    fn lacks(&self, _case: Case) -> Option<&'static str> {
        None
    }

    fn disclaims(&self, case: Case) -> Option<&'static str> {
        is_outage(case).then_some("an error of the store is the function's error")
    }

    fn option(&self, case: Case) -> Option<&'static str> {
        (case == Case::OneName).then_some("a `cache_prefix_block` for each, which its documentation recommends")
    }

    fn node<'a>(&'a self, setup: Setup, url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async move {
            match setup.case {
                Case::LeaderGone => Arc::new(InMemory) as Arc<dyn Node>,
                Case::Cut | Case::HalfOpen | Case::Restarted | Case::Flushed => {
                    Arc::new(Stored::<Row>::connect(url, true).await) as Arc<dyn Node>
                }
                _ => Arc::new(Stored::<Row>::connect(url, false).await) as Arc<dyn Node>,
            }
        })
    }

    fn account<'a>(
        &'a self,
        url: &'a str,
        release: Release,
        loads: (u64, u64),
    ) -> Step<'a, Result<(u64, u64), String>> {
        self.by_release(url, release, loads)
    }

    fn quota<'a>(&'a self, setup: Setup, url: &'a str) -> Step<'a, Result<Quota, String>> {
        Box::pin(async move {
            let own = env::current_exe().map_err(|error| error.to_string())?;
            let prefix = if setup.with_option { "own" } else { "none" };
            let command = Command::new(own).args(["--quota", prefix]).env(CONNECTION, url).output().await;
            let printed = command.map_err(|error| error.to_string())?.stdout;
            serde_json::from_slice::<Result<Quota, String>>(&printed).map_err(|error| error.to_string())?
        })
    }
}

impl Node for Stored<Row> {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move { Ok(self.get(id, source.read(id)).await?.revision) })
    }

    fn evict(&self, id: u64) -> Step<'_, Result<(), String>> {
        Box::pin(async move {
            self.0.async_cache_delete(&id).await.map_err(|error| error.to_string())?;
            Ok(())
        })
    }

    /// The smallest group that it knows is all of a function's entries.
    fn evict_group(&self) -> Step<'_, Result<(), String>> {
        Box::pin(async { self.0.async_cache_clear().await.map_err(|error| error.to_string()) })
    }

    fn save<'a>(&'a self, id: u64, revision: u64, source: &'a Source) -> Step<'a, Result<(), String>> {
        Box::pin(async move {
            let row = source.commit(id, revision).await;
            self.0.async_cache_set(id, row).await.map_err(|error| error.to_string())?;
            Ok(())
        })
    }
}

impl Node for InMemory {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move { Ok(in_memory(id, source.clone()).await.revision) })
    }
}

impl Accounts for Cached {
    fn through<'a, A: Account>(&'a self, url: &'a str, loads: A) -> Step<'a, Result<A, String>> {
        Box::pin(async move { Stored::connect(url, false).await.get(7, async { loads }).await })
    }
}

// === two functions of one name ===

/// Calls both and says, as JSON, what the second one gave.
pub(crate) async fn quota_in_this_process(prefix: Prefix) -> String {
    let found = match prefix {
        Prefix::Own => match users::apart::find(7).await {
            Ok(_) => quotas::apart::find(7).await,
            Err(error) => Err(error),
        },
        Prefix::None => match users::find(7).await {
            Ok(_) => quotas::find(7).await,
            Err(error) => Err(error),
        },
    };
    serde_json::to_string(&found).expect("it is plain data")
}

mod users {
    use serde::{Deserialize, Serialize};

    use super::concurrent_cached;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    pub(super) struct User {
        id: u64,
        admin: bool,
    }

    #[concurrent_cached(redis = true, ttl_secs = 600, map_error = |error| format!("{error}"))]
    pub(super) async fn find(id: u64) -> Result<User, String> {
        Ok(User { id, admin: false })
    }

    pub(super) mod apart {
        use super::{User, concurrent_cached};

        #[concurrent_cached(
            redis = true,
            ttl_secs = 600,
            cache_prefix_block = { "users::find" },
            map_error = |error| format!("{error}")
        )]
        pub(in super::super) async fn find(id: u64) -> Result<User, String> {
            Ok(User { id, admin: false })
        }
    }
}

mod quotas {
    use super::{Quota, concurrent_cached};
    use crate::cases::QUOTA;

    #[concurrent_cached(redis = true, ttl_secs = 600, map_error = |error| format!("{error}"))]
    pub(super) async fn find(id: u64) -> Result<Quota, String> {
        Ok(Quota { used: QUOTA.used + id - 7, unlimited: QUOTA.unlimited })
    }

    pub(super) mod apart {
        use super::{QUOTA, Quota, concurrent_cached};

        #[concurrent_cached(
            redis = true,
            ttl_secs = 600,
            cache_prefix_block = { "quotas::find" },
            map_error = |error| format!("{error}")
        )]
        pub(in super::super) async fn find(id: u64) -> Result<Quota, String> {
            Ok(Quota { used: QUOTA.used + id - 7, unlimited: QUOTA.unlimited })
        }
    }
}
