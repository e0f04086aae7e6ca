//! `hitbox` 0.2.4 with `hitbox-fn` 0.2.1, `hitbox-moka` 0.2.0 and `hitbox-redis` 0.2.1: the README of `hitbox-fn`, "Quick
//! Start"; its backend is the "Multi-Tier Composition" of the README of `hitbox-redis`, with `RefillPolicy::Always` so that
//! L1 is used, and the `BroadcastConcurrencyManager` that its builder's documentation asks for in production.

use std::sync::Arc;

use hitbox::{
    concurrency::{BroadcastConcurrencyManager, ConcurrencyManager},
    offload::OffloadManager,
    policy::PolicyConfig,
};
use hitbox_backend::{
    CompositionBackend,
    composition::{Compose, CompositionPolicy, policy::RefillPolicy},
};
use hitbox_fn::{Cache, prelude::*};
use hitbox_moka::MokaBackend;
use hitbox_redis::{ConnectionMode, RedisBackend};
use serde::{Deserialize, Serialize};

use super::{IMPATIENT, TTL, is_outage};
use crate::{
    case::{Case, Contender, Node, Quota, Release, Setup, Step},
    cases::QUOTA,
    source::Source,
};

/// The contender.
pub(crate) struct Hitbox;

type Backend = CompositionBackend<MokaBackend, RedisBackend, OffloadManager>;
type Broadcast<T> = BroadcastConcurrencyManager<T>;

struct One(Cache<Backend, Broadcast<Found>>);

#[derive(Clone, Debug, Serialize, Deserialize, CacheableResponse)]
struct Found {
    id: u64,
    revision: u64,
}

#[cached(skip(source))]
async fn product(id: u64, source: Source) -> Found {
    let row = source.read(id).await;
    Found { id: row.id, revision: row.revision }
}

fn cache<T>(url: &str, impatient: bool) -> Cache<Backend, Broadcast<T>>
where
    T: hitbox_core::CacheableResponse + Send + 'static,
    Broadcast<T>: ConcurrencyManager<T>,
{
    let l1 = MokaBackend::builder().max_entries(10_000).build();
    let mut l2 = RedisBackend::builder().connection(ConnectionMode::single(url));
    if impatient {
        l2 = l2.connection_timeout(IMPATIENT).response_timeout(IMPATIENT).retries(1);
    }
    let l2 = l2.build().expect("a URL");
    let refilled = CompositionPolicy::new().refill(RefillPolicy::Always);
    let backend = l1.compose_with(l2, OffloadManager::with_defaults(), refilled);
    let one = 1.try_into().expect("1 is in 1..=255");
    let policy = PolicyConfig::builder().ttl(TTL).concurrency(one).build();
    Cache::builder().backend(backend).policy(policy).concurrency_manager(Broadcast::<T>::new()).build()
}

// === impl Contender ===

impl Contender for Hitbox {
    fn name(&self) -> &'static str {
        "hitbox"
    }

    fn crates(&self) -> &'static [&'static str] {
        &["hitbox"]
    }

    fn lacks(&self, case: Case) -> Option<&'static str> {
        match case {
            Case::Killed | Case::Stopped | Case::LeaderGone | Case::Retyped | Case::OneName => None,
            Case::Flushed => Some("nothing tells its L1 of a change"),
            _ => Some("its cached functions have no eviction"),
        }
    }

    fn option(&self, case: Case) -> Option<&'static str> {
        match case {
            Case::OneName => Some("a `prefix` for each"),
            other => is_outage(other).then_some("timeouts of 0.1 s and one retry in its `RedisBackendBuilder`"),
        }
    }

    fn node<'a>(&'a self, setup: Setup, url: &'a str) -> Step<'a, Arc<dyn Node>> {
        Box::pin(async move { Arc::new(One(cache(url, setup.with_option))) as Arc<dyn Node> })
    }

    fn account<'a>(
        &'a self,
        url: &'a str,
        release: Release,
        loads: (u64, u64),
    ) -> Step<'a, Result<(u64, u64), String>> {
        Box::pin(async move {
            let loads = Loads { balance: loads.0, limit: loads.1, currency: "EUR".to_owned() };
            Ok(match release {
                Release::First => {
                    let found = first::account(7, loads).cache(&cache(url, false)).await;
                    (found.balance, found.limit)
                }
                Release::Reordered => {
                    let found = reordered::account(7, loads).cache(&cache(url, false)).await;
                    (found.balance, found.limit)
                }
                Release::Grown => {
                    let found = grown::account(7, loads).cache(&cache(url, false)).await;
                    (found.balance, found.limit)
                }
            })
        })
    }

    fn quota<'a>(&'a self, setup: Setup, url: &'a str) -> Step<'a, Result<Quota, String>> {
        Box::pin(async move {
            let found = if setup.with_option {
                let _user = users::find_apart(7).cache(&cache(url, false)).await;
                quotas::find_apart(7).cache(&cache(url, false)).await
            } else {
                let _user = users::find(7).cache(&cache(url, false)).await;
                quotas::find(7).cache(&cache(url, false)).await
            };
            Ok(Quota { used: found.used, unlimited: found.unlimited })
        })
    }
}

impl Node for One {
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>> {
        Box::pin(async move { Ok(product(id, source.clone()).cache(&self.0).await.revision) })
    }
}

/// One release of the account: what differs is the order and the number of its fields.
macro_rules! release {
    ($name:ident { $($field:ident: $type:ty),* }) => {
        mod $name {
            use super::*;

            #[derive(Clone, Debug, Serialize, Deserialize, CacheableResponse)]
            pub(super) struct Account {
                $(pub(super) $field: $type,)*
            }

            #[cached(skip(loads))]
            pub(super) async fn account(id: u64, loads: Loads) -> Account {
                assert_eq!(id, 7, "there is one account");
                Account { $($field: loads.$field,)* }
            }
        }
    };
}

/// What the account's function would give, in whatever release.
#[derive(Clone)]
struct Loads {
    balance: u64,
    limit: u64,
    currency: String,
}

release!(first { balance: u64, limit: u64 });
release!(reordered { limit: u64, balance: u64 });
release!(grown { balance: u64, limit: u64, currency: String });

mod users {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize, CacheableResponse)]
    pub(super) struct User {
        id: u64,
        admin: bool,
    }

    #[cached]
    pub(super) async fn find(id: u64) -> User {
        User { id, admin: false }
    }

    #[cached(prefix = "users::find")]
    pub(super) async fn find_apart(id: u64) -> User {
        User { id, admin: false }
    }
}

mod quotas {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize, CacheableResponse)]
    pub(super) struct Used {
        pub(super) used: u64,
        pub(super) unlimited: bool,
    }

    #[cached]
    pub(super) async fn find(id: u64) -> Used {
        Used { used: QUOTA.used + id - 7, unlimited: QUOTA.unlimited }
    }

    #[cached(prefix = "quotas::find")]
    pub(super) async fn find_apart(id: u64) -> Used {
        Used { used: QUOTA.used + id - 7, unlimited: QUOTA.unlimited }
    }
}
