//! Which cache a function uses, and that it runs without one.
//!
//! No test of this binary installs a cache: that there is none is tested here.

use std::sync::Arc;

use cache_core::{
    AsCache, Bypass, Cache, Key, Outcome, Tier, cache_evict, cache_put, cacheable, installed, key, observe, with_cache,
};
use tests::fixtures::RedisServer;

use super::{Loads, hit, told};
use crate::support::{bypassed, node};

const NOT_INSTALLED: Outcome = Outcome::Bypass(Bypass::NotInstalled);
const DISABLED: Outcome = Outcome::Bypass(Bypass::Disabled);
const CLOSED: Outcome = Outcome::Bypass(Bypass::Closed);

// === the installed one ===

#[cacheable(key = "installed:{id}", skip(loads))]
async fn read(id: u64, loads: Loads) -> u64 {
    id + loads.one()
}

#[cacheable(key = "installed:{id}", skip(loads), inline)]
async fn read_inline(id: u64, loads: &Loads) -> u64 {
    id + loads.one()
}

#[cacheable(skip(loads))]
async fn read_by_default(id: u64, loads: Loads) -> Result<Option<u64>, std::io::Error> {
    Ok(Some(id + loads.one()))
}

#[cache_put(key = "installed:{id}")]
async fn write(id: u64, value: u64) -> u64 {
    assert!(id > 0);
    value
}

#[cache_evict(key = "installed:{id}")]
async fn delete(id: u64) -> Result<(), std::io::Error> {
    assert!(id > 0);
    Ok(())
}

#[tokio::test]
async fn nothing_installed_is_a_bypass_and_never_a_panic() {
    assert!(installed().is_none(), "a test has installed a cache for the whole process");
    let loads = Loads::default();
    for load in [1, 4] {
        assert_eq!(told(read(7, loads.clone())).await, (7 + load, NOT_INSTALLED));
        assert_eq!(told(read_inline(7, &loads)).await, (7 + load + 1, NOT_INSTALLED));
        let (answer, outcome) = told(read_by_default(7, loads.clone())).await;
        assert_eq!((answer.unwrap(), outcome), (Some(7 + load + 2), NOT_INSTALLED));
    }
    assert_eq!(told(write(7, 70)).await, (70, NOT_INSTALLED));
    assert_eq!(told(delete(7)).await.1, NOT_INSTALLED);
    // Without anybody who looks, too.
    assert_eq!(read(7, loads).await, 14);
}

#[tokio::test]
async fn with_cache_stands_in_for_the_installed_one() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let loads = Loads::default();
        let within = with_cache(cache.clone(), async {
            assert!(installed().is_some());
            assert_eq!(told(read(7, loads.clone())).await, (8, Outcome::Loaded));
            assert_eq!(hit(|| read(7, loads.clone())).await, 8);
            assert_eq!(hit(|| read_inline(7, &loads)).await, 8);
            assert!(matches!(told(write(7, 70)).await, (70, Outcome::Put(ack)) if ack.is_applied()));
            assert_eq!(hit(|| read(7, loads.clone())).await, 70);
            assert!(matches!(told(delete(7)).await.1, Outcome::Evict(ack) if ack.is_applied()));
            assert_eq!(told(read(7, loads.clone())).await, (9, Outcome::Loaded));
        });
        within.await;
        assert_eq!(told(read(7, loads.clone())).await, (10, NOT_INSTALLED), "and no longer");
        assert_eq!(bypassed(&cache, Bypass::NotInstalled), 0, "that is not its business");
    }
}

#[tokio::test]
async fn with_cache_inside_with_cache_is_the_inner_one() {
    let loads = Loads::default();
    let (outer, inner) = (Cache::in_memory(), Cache::in_memory());
    let nested = with_cache(outer.clone(), async {
        assert_eq!(read(7, loads.clone()).await, 8);
        let found = with_cache(inner.clone(), async { told(read(7, loads.clone())).await });
        assert_eq!(found.await, (9, Outcome::Loaded), "the inner one has nothing yet");
        assert_eq!(told(read(7, loads.clone())).await, (8, Outcome::Hit(Tier::Local)), "the outer one is back");
        let found = with_cache(Cache::disabled(), async { told(read(7, loads.clone())).await });
        assert_eq!(found.await, (10, DISABLED));
    });
    nested.await;
    assert_eq!((outer.stats().loads, inner.stats().loads), (1, 1));
}

// === calls inside of calls ===

#[cacheable(key = "nested-inner:{id}", skip(loads))]
async fn inner(id: u64, loads: Loads) -> u64 {
    id + loads.one()
}

/// Runs in a task of its own.
#[cacheable(key = "nested-outer:{id}", skip(loads))]
async fn outer(id: u64, loads: Loads) -> u64 {
    inner(id, loads.clone()).await + inner(id, loads).await
}

#[cacheable(key = "nested-outermost:{id}", skip(loads))]
async fn outermost(id: u64, loads: Loads) -> u64 {
    outer(id, loads.clone()).await + inner(id, loads).await
}

#[cache_evict(key = "nested-outermost:{id}")]
async fn touch(id: u64, loads: Loads) -> u64 {
    inner(id, loads).await
}

#[cache_put(key = "nested-outer:{id}")]
async fn renew(id: u64, loads: Loads) -> u64 {
    inner(id, loads).await * 1_000
}

fn outcomes(seen: &[cache_core::Observation]) -> Vec<(&str, Outcome)> {
    seen.iter().map(|seen| (seen.scope.as_str(), seen.outcome)).collect()
}

#[tokio::test]
async fn cached_calls_inside_an_owned_load_use_the_same_cache_and_are_observed() {
    const HIT: Outcome = Outcome::Hit(Tier::Local);
    const LOADED: Outcome = Outcome::Loaded;
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let loads = Loads::default();
        with_cache(cache.clone(), async {
            let (answer, seen) = observe(outermost(7, loads.clone())).await;
            assert_eq!((answer, loads.count()), (24, 1));
            assert_eq!(
                outcomes(&seen),
                [
                    ("nested-inner", LOADED),
                    ("nested-inner", HIT),
                    ("nested-outer", LOADED),
                    ("nested-inner", HIT),
                    ("nested-outermost", LOADED)
                ]
            );
            assert_eq!(told(inner(7, loads.clone())).await, (8, HIT));
            assert_eq!(told(outer(7, loads.clone())).await, (16, HIT));
            let (_, seen) = observe(touch(7, loads.clone())).await;
            assert!(matches!(outcomes(&seen)[..], [("nested-inner", HIT), ("nested-outermost", Outcome::Evict(_))]));
            let (_, seen) = observe(renew(7, loads.clone())).await;
            assert!(matches!(outcomes(&seen)[..], [("nested-inner", HIT), ("nested-outer", Outcome::Put(_))]));
            assert_eq!(hit(|| outer(7, loads.clone())).await, 8_000);

            // By hand, inside and outside.
            let by_hand = {
                let (cache, loads) = (cache.clone(), loads.clone());
                let load = move || async move { Ok::<_, std::io::Error>(inner(7, loads).await) };
                async move { cache.get_or_load(key!("nested-by-hand:{7}"), load).await.unwrap() }
            };
            let (answer, seen) = observe(by_hand).await;
            assert_eq!(answer, 8);
            assert_eq!(outcomes(&seen), [("nested-inner", HIT), ("nested-by-hand", LOADED)]);
        })
        .await;
        assert_eq!(loads.count(), 1);
    }
}

// === named ones ===

#[cacheable(key = "named-none:{id}", cache = None::<Cache>, skip(loads))]
async fn none(id: u64, loads: Loads) -> u64 {
    id + loads.one()
}

#[cache_put(key = "named-none:{id}", cache = None::<&Cache>)]
async fn put_to_none(id: u64, value: u64) -> u64 {
    assert!(id > 0);
    value
}

#[cache_evict(key = "named-none:{id}", cache = None::<Arc<Cache>>)]
async fn evict_from_none(id: u64) {
    assert!(id > 0);
}

#[tokio::test]
async fn none_for_a_cache_is_a_bypass() {
    let loads = Loads::default();
    let cache = Cache::in_memory();
    // Not even that which is installed.
    with_cache(cache.clone(), async {
        for load in 1..=3 {
            assert_eq!(told(none(7, loads.clone())).await, (7 + load, DISABLED));
        }
        assert_eq!(told(put_to_none(7, 70)).await, (70, DISABLED));
        assert_eq!(told(evict_from_none(7)).await.1, DISABLED);
    })
    .await;
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.puts, stats.evictions), (0, 0, 0));
}

/// A repository with a cache of some type in its field.
#[derive(Clone)]
struct Holder<C> {
    cache: C,
    loads: Loads,
}

impl<C: AsCache + Clone + Send + Sync + 'static> Holder<C> {
    #[cacheable(key = "holder:{id}")]
    async fn read(&self, id: u64) -> u64 {
        id + self.loads.one()
    }

    #[cache_evict(key = "holder:{id}")]
    async fn delete(&self, id: u64) {
        assert!(id > 0);
    }
}

async fn reads(cache: impl AsCache + Clone + Send + Sync + 'static, bypass: Option<Outcome>) {
    let holder = Holder { cache, loads: Loads::default() };
    match bypass {
        None => {
            assert_eq!(told(holder.read(7)).await, (8, Outcome::Loaded));
            assert_eq!(told(holder.read(7)).await, (8, Outcome::Hit(Tier::Local)));
            assert!(matches!(told(holder.delete(7)).await.1, Outcome::Evict(_)));
            assert_eq!(told(holder.read(7)).await, (9, Outcome::Loaded));
        }
        Some(outcome) => {
            assert_eq!(told(holder.read(7)).await, (8, outcome));
            assert_eq!(told(holder.read(7)).await, (9, outcome));
            assert_eq!(told(holder.delete(7)).await.1, outcome);
        }
    }
}

#[tokio::test]
async fn anything_that_leads_to_a_cache_is_one() {
    reads(Cache::in_memory(), None).await;
    reads(Arc::new(Cache::in_memory()), None).await;
    reads(Some(Cache::in_memory()), None).await;
    reads(Some(Arc::new(Cache::in_memory())), None).await;
    reads(None::<Cache>, Some(DISABLED)).await;
    reads(Arc::new(None::<Cache>), Some(DISABLED)).await;
    reads(Cache::disabled(), Some(DISABLED)).await;
}

#[tokio::test]
async fn cache_that_is_closed_is_a_bypass() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let holder = Holder { cache: cache.clone(), loads: Loads::default() };
        assert_eq!(holder.read(7).await, 8);
        cache.close().await;
        assert_eq!(told(holder.read(8)).await, (10, CLOSED));
        assert_eq!(told(holder.read(8)).await, (11, CLOSED));
        assert_eq!(told(holder.delete(8)).await.1, CLOSED);
        assert_eq!(cache.get::<u64>(&Key::new("holder").arg(8_u64)).await, None);
    }
}

#[tokio::test]
async fn disabled_counts_what_goes_past_it() {
    let cache = Cache::disabled();
    reads(cache.clone(), Some(DISABLED)).await;
    assert_eq!((bypassed(&cache, Bypass::Disabled), cache.stats().hits()), (3, 0));
}
