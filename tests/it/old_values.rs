//! Values that have ended to be fresh: served while a new one loads, or when a load fails or is late; never after an eviction.
//! In one process, and on a Redis.

use std::{collections::HashMap, io};

use cache_core::{
    Builder, Cache, CoherenceState, EarlyRefresh, Entry, Outcome, Policy, Request, Tier, TimedOut, hours, millis, secs,
};
use tests::fixtures::{RedisServer, eventually};

use crate::{
    outage::SOON,
    support::{Database, PATIENT, Product, built, key, product},
};

/// What callers see of it.
trait Seen {
    async fn entry(&self, cache: &Cache) -> Entry<Product>;

    /// The revision that a call gives, and how it came by it.
    async fn through(&self, cache: &Cache) -> (u64, Outcome);

    /// Waits until the value that is cached has ended to be fresh.
    async fn is_stale_in(&self, cache: &Cache);

    async fn sees(&self, cache: &Cache, revision: u64);
}

impl Seen for Database {
    async fn entry(&self, cache: &Cache) -> Entry<Product> {
        cache.entry(key(7)).or_load(|| self.load()).await.unwrap()
    }

    async fn through(&self, cache: &Cache) -> (u64, Outcome) {
        let entry = self.entry(cache).await;
        (entry.value().revision, entry.outcome())
    }

    async fn is_stale_in(&self, cache: &Cache) {
        eventually(SOON, async || cache.get::<Product>(&key(7)).await.is_none()).await;
    }

    async fn sees(&self, cache: &Cache, revision: u64) {
        eventually(SOON, async || match self.through(cache).await {
            (found, Outcome::Hit(_)) if found == revision => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

const SHORT: std::time::Duration = millis(60);

fn policy() -> Policy {
    Policy::new().ttl(SHORT).jitter(0.0)
}

/// The same on a node without Redis and on one with it.
async fn in_each(policy: Policy, test: impl AsyncFn(Cache)) {
    test(Cache::builder("shop").policy(policy.clone()).build().await.unwrap()).await;
    let redis = RedisServer::start().await;
    test(on(&redis, policy).await).await;
}

async fn on(redis: &RedisServer, policy: Policy) -> Cache {
    built(on_redis(redis, policy)).await
}

fn on_redis(redis: &RedisServer, policy: Policy) -> Builder {
    Cache::builder("shop").redis(redis.url()).ensure_notifications().policy(policy).budget(PATIENT)
}

#[tokio::test]
async fn stale_value_is_served_while_one_load_runs_for_it() {
    in_each(policy().stale(hours(1)), async |cache| {
        let database = Database::holds(1);
        assert_eq!(database.through(&cache).await, (1, Outcome::Loaded));
        database.is_stale_in(&cache).await;
        database.write(2);
        database.is_slow();
        for _ in 0..50 {
            let entry = database.entry(&cache).await;
            assert_eq!((entry.value().revision, entry.outcome()), (1, Outcome::Stale(Tier::Local)));
            assert!(entry.age() >= SHORT && entry.outcome().is_stale() && entry.version().is_some());
        }
        eventually(SOON, async || database.loads() == 2).await;
        assert_eq!((cache.stats().stale, cache.stats().refreshes), (50, 1));
        database.is_fast();
        database.sees(&cache, 2).await;
    })
    .await;
}

#[tokio::test]
async fn what_was_evicted_is_served_neither_stale_nor_when_a_load_fails() {
    in_each(policy().stale(hours(1)).fail_safe(hours(1)), async |cache| {
        let database = Database::holds(1);
        database.through(&cache).await;
        database.is_stale_in(&cache).await;
        let _evicted = cache.evict(&key(7)).await;
        database.is_away(true);
        assert!(cache.get_or_load(key(7), || database.load()).await.is_err());
        database.is_away(false);
        database.write(2);
        assert_eq!(database.through(&cache).await.0, 2);
        database.is_stale_in(&cache).await;
        let _cleared = cache.clear().await;
        database.write(3);
        assert_eq!(database.through(&cache).await, (3, Outcome::Loaded));
    })
    .await;
}

#[tokio::test]
async fn refresh_that_fails_or_panics_is_not_tried_again_for_a_while_and_then_is() {
    in_each(policy().stale(hours(1)).throttle(hours(1)), async |cache| {
        let database = Database::holds(1);
        database.through(&cache).await;
        database.is_stale_in(&cache).await;
        database.is_away(true);
        for _ in 0..20 {
            assert_eq!(database.through(&cache).await.0, 1);
        }
        eventually(SOON, async || cache.stats().refresh_failures == 1).await;
        for _ in 0..20 {
            assert_eq!(database.through(&cache).await.0, 1);
        }
        assert_eq!(database.loads(), 2, "one refresh, and then it is left alone");
    })
    .await;
    in_each(policy().stale(hours(1)).throttle(millis(20)), async |cache| {
        let database = Database::holds(1);
        database.through(&cache).await;
        database.is_stale_in(&cache).await;
        let panics = || async { panic!("a row that nobody can read") };
        for failures in 1..4 {
            eventually(SOON, async || {
                let stale = cache.entry(key(7)).or_load::<Product, io::Error, _, _>(panics).await.unwrap();
                assert_eq!(stale.value().revision, 1);
                cache.stats().refresh_failures == failures
            })
            .await;
        }
        database.write(2);
        eventually(SOON, async || database.through(&cache).await.0 == 2).await;
    })
    .await;
}

#[tokio::test]
async fn load_that_fails_gives_the_old_value_and_is_not_repeated_for_a_while() {
    in_each(policy().fail_safe(hours(1)).throttle(hours(1)), async |cache| {
        let database = Database::holds(1);
        database.is_away(true);
        assert!(cache.get_or_load(key(7), || database.load()).await.is_err(), "there is nothing to fall back to");
        database.is_away(false);
        database.through(&cache).await;
        database.is_stale_in(&cache).await;
        database.is_away(true);
        let loads = database.loads();
        for _ in 0..20 {
            let (revision, outcome) = database.through(&cache).await;
            assert!(revision == 1 && matches!(outcome, Outcome::FailSafe(_)), "{outcome}");
        }
        assert_eq!((database.loads() - loads, cache.stats().fail_safe), (1, 20));
    })
    .await;
}

#[tokio::test]
async fn origin_that_is_back_is_asked_after_the_throttle() {
    in_each(policy().fail_safe(hours(1)).throttle(millis(30)), async |cache| {
        let database = Database::holds(1);
        database.through(&cache).await;
        database.is_stale_in(&cache).await;
        database.is_away(true);
        for _ in 0..3 {
            assert_eq!(database.through(&cache).await.0, 1);
        }
        database.is_away(false);
        database.write(2);
        eventually(SOON, async || database.through(&cache).await.0 == 2).await;
    })
    .await;
}

#[tokio::test]
async fn old_value_has_an_end() {
    in_each(policy().stale(millis(30)).fail_safe(millis(60)), async |cache| {
        let database = Database::holds(1);
        database.through(&cache).await;
        // Time itself: until all of it is over.
        tokio::time::sleep(millis(200)).await;
        database.is_away(true);
        assert!(cache.get_or_load(key(7), || database.load()).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn nothing_has_no_afterlife() {
    let kept = policy().negative(SHORT).stale(hours(1)).fail_safe(hours(1));
    in_each(kept, async |cache| {
        let find = async |found: Option<Product>| {
            let entry = cache.entry(key(7)).or_find(|| async move { Ok::<_, io::Error>(found) }).await.unwrap();
            entry.into_value()
        };
        assert_eq!(find(None).await, None);
        eventually(SOON, async || find(Some(product(7, 1))).await == Some(product(7, 1))).await;
    })
    .await;
}

#[tokio::test]
async fn caller_waits_no_longer_than_the_soft_timeout_where_there_is_an_old_value() {
    in_each(policy().fail_safe(hours(1)).soft(millis(30)), async |cache| {
        let database = Database::holds(1);
        database.through(&cache).await;
        database.is_stale_in(&cache).await;
        database.write(2);
        database.is_slow();
        let callers = (0..10).map(|_| database.through(&cache));
        for (revision, outcome) in futures_util::future::join_all(callers).await {
            assert_eq!((revision, outcome), (1, Outcome::FailSafe(Tier::Local)));
        }
        assert_eq!((database.loads(), cache.stats().soft_timeouts), (2, 10));
        database.is_fast();
        // It has gone on, and what it loaded is there.
        eventually(SOON, async || database.through(&cache).await.0 == 2).await;
    })
    .await;
}

#[derive(Debug, PartialEq, Eq)]
enum LoadError {
    Away,
    Late,
}

impl From<TimedOut> for LoadError {
    fn from(late: TimedOut) -> Self {
        assert_eq!(late.after(), millis(30));
        Self::Late
    }
}

#[tokio::test]
async fn caller_waits_no_longer_than_the_hard_timeout_at_all() {
    in_each(Policy::new().ttl(hours(1)), async |cache| {
        let database = Database::holds(1);
        database.is_slow();
        let load = || {
            let load = database.load();
            async move { load.await.map_err(|_| LoadError::Away) }
        };
        let late = cache.entry(key(7)).or_load_within(millis(30), load).await.unwrap_err();
        assert_eq!((late, cache.stats().hard_timeouts), (LoadError::Late, 1));
        database.answers.notify_one();
        eventually(SOON, async || cache.get::<Product>(&key(7)).await == Some(product(7, 1))).await;
        assert_eq!(database.loads(), 1, "the load went on, and filled");
    })
    .await;
}

#[tokio::test]
async fn value_that_is_fresh_is_loaded_again_ahead_of_its_end() {
    // After two seconds, and long before its end.
    let early = policy().ttl(secs(20)).early_refresh(EarlyRefresh::Fraction(0.1));
    in_each(early, async |cache| {
        let database = Database::holds(1);
        database.through(&cache).await;
        database.write(2);
        let mut seen = Vec::new();
        eventually(SOON, async || {
            let (revision, outcome) = database.through(&cache).await;
            seen.push(outcome);
            revision == 2
        })
        .await;
        assert!(seen.iter().all(|outcome| outcome.is_hit()), "nobody waited: {seen:?}");
    })
    .await;
}

#[tokio::test]
async fn as_many_loads_run_at_once_as_the_scope_allows() {
    in_each(Policy::new().max_loads(2), async |cache| {
        let database = Database::holds(1);
        database.is_slow();
        let calls = (0..10_u64).map(|id| {
            let (cache, load) = (cache.clone(), database.load());
            tokio::spawn(async move { cache.get_or_load(key(id), || load).await.map(|row| row.revision) })
        });
        let calls: Vec<_> = calls.collect();
        for done in 0..5 {
            eventually(SOON, async || database.loads() == 2 * (done + 1)).await;
            assert_eq!(cache.stats().loads, 10, "the others are on their way, and wait for their turn");
            database.answers.notify_waiters();
        }
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn of_loads_that_stay_in_their_callers_one_runs_and_the_others_are_served() {
    in_each(policy().stale(hours(1)), async |cache| {
        let database = Database::holds(1);
        database.through(&cache).await;
        database.is_stale_in(&cache).await;
        database.write(2);
        database.is_slow();
        let inline = async || {
            let request: Request<'_> = cache.entry(key(7));
            request.or_load_inline(|| database.load()).await.unwrap().value().revision
        };
        let mut leads = Box::pin(inline());
        eventually(SOON, async || {
            assert!(futures_util::poll!(&mut leads).is_pending());
            database.loads() == 2
        })
        .await;
        for _ in 0..5 {
            assert_eq!(inline().await, 1);
        }
        database.is_fast();
        assert_eq!((leads.await, database.loads()), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn of_several_nodes_one_loads_again_and_the_others_take_it() {
    let redis = RedisServer::start().await;
    let kept = policy().ttl(millis(300)).stale(hours(1));
    let (a, b) = (on(&redis, kept.clone()).await, on(&redis, kept).await);
    let database = Database::holds(1);
    database.through(&a).await;
    eventually(SOON, async || b.get::<Product>(&key(7)).await.is_some()).await;
    for cache in [&a, &b] {
        database.is_stale_in(cache).await;
    }
    database.write(2);
    database.is_slow();
    for cache in [&a, &b] {
        assert_eq!(database.through(cache).await, (1, Outcome::Stale(Tier::Local)));
    }
    eventually(SOON, async || database.loads() == 2).await;
    for _ in 0..5 {
        assert_eq!((database.through(&a).await.0, database.through(&b).await.0), (1, 1));
    }
    assert_eq!(database.loads(), 2);
    database.is_fast();
    eventually(SOON, async || database.through(&a).await.0 == 2 && database.through(&b).await.0 == 2).await;
}

#[tokio::test]
async fn what_another_node_evicted_is_served_by_nobody() {
    let redis = RedisServer::start().await;
    let kept = policy().stale(hours(1)).fail_safe(hours(1)).throttle(hours(1));
    let (writer, reader) = (on(&redis, kept.clone()).await, on(&redis, kept).await);
    for round in 0..10 {
        let database = Database::holds(2 * round + 1);
        eventually(SOON, async || database.through(&reader).await.0 == 2 * round + 1).await;
        database.is_stale_in(&reader).await;
        let hints = reader.stats().hints;
        let _evicted = writer.evict(&key(7)).await;
        eventually(SOON, async || reader.stats().hints > hints).await;
        database.write(2 * round + 2);
        assert_eq!(database.through(&reader).await.0, 2 * round + 2);
        let _evicted = writer.evict(&key(7)).await;
    }
}

#[tokio::test]
async fn failure_on_one_node_is_known_to_the_others() {
    let redis = RedisServer::start().await;
    let kept = policy().fail_safe(hours(1)).throttle(hours(1));
    let nodes = [on(&redis, kept.clone()).await, on(&redis, kept.clone()).await, on(&redis, kept).await];
    let database = Database::holds(1);
    database.through(&nodes[0]).await;
    database.is_stale_in(&nodes[0]).await;
    database.is_away(true);
    let (revision, outcome) = database.through(&nodes[0]).await;
    assert!(revision == 1 && matches!(outcome, Outcome::FailSafe(_)));
    let throttled: Vec<String> = redis::from_redis_value(redis.cli(&["KEYS", "shop:l:*"]).await).unwrap();
    assert_eq!(throttled.len(), 1);
    for cache in &nodes[1..] {
        for _ in 0..5 {
            let (revision, outcome) = database.through(cache).await;
            assert!(revision == 1 && matches!(outcome, Outcome::FailSafe(_)), "{outcome}");
        }
    }
    assert_eq!(database.loads(), 2, "one load in vain, for all of them");
    // Whoever evicts ends it for all: the next reader loads.
    let _evicted = nodes[1].evict(&key(7)).await;
    database.is_away(false);
    database.write(2);
    assert_eq!(database.through(&nodes[2]).await, (2, Outcome::Loaded));
}

#[tokio::test]
async fn keys_that_are_held_off_elsewhere_hold_up_no_other() {
    let redis = RedisServer::start().await;
    let kept = policy().stale(hours(1)).throttle(hours(1));
    let (a, b) = (on(&redis, kept.clone()).await, on(&redis, kept).await);
    let database = Database::holds(1);
    let through = async |cache: &Cache, id: u64| {
        cache.entry(key(id)).or_load(|| database.load()).await.map(|entry| entry.outcome()).ok()
    };
    // As many as may be loaded again at once, and one more.
    for id in 0..=256 {
        let fills = a.stats().fills;
        through(&a, id).await;
        eventually(SOON, async || a.stats().fills > fills).await;
    }
    eventually(SOON, async || a.get::<Product>(&key(256)).await.is_none()).await;
    database.is_away(true);
    for id in 0..256 {
        let failures = a.stats().refresh_failures;
        assert!(matches!(through(&a, id).await, Some(Outcome::Stale(_))));
        eventually(SOON, async || a.stats().refresh_failures > failures).await;
    }
    for id in 0..256 {
        assert!(matches!(through(&b, id).await, Some(Outcome::Stale(_))));
    }
    database.is_away(false);
    eventually(SOON, async || {
        through(&b, 256).await;
        b.stats().refreshes > 0
    })
    .await;
}

#[tokio::test]
async fn without_a_word_from_redis_an_old_value_is_served_only_if_that_is_enough() {
    for serves in [false, true] {
        let redis = RedisServer::start().await;
        let kept = policy().fail_safe(hours(1)).throttle(SHORT).fail_safe_unverified(serves);
        let (cache, database) = (built(on_redis(&redis, kept).bound(millis(200))).await, Database::holds(1));
        database.through(&cache).await;
        database.is_stale_in(&cache).await;
        database.is_away(true);
        redis.kill().await;
        // Up to a bound after the last beat it can still be said that it was not evicted.
        eventually(SOON, async || cache.coherence().state != CoherenceState::Coherent).await;
        let found = cache.entry(key(7)).or_load(|| database.load()).await;
        assert_eq!(found.is_ok_and(|entry| entry.outcome() == Outcome::FailSafe(Tier::Local)), serves);
        let rows = database.clone();
        let load = move |_| {
            let row = rows.load();
            async move { row.await.map(|row| HashMap::from([(7_u64, row)])) }
        };
        assert_eq!(cache.get_or_load_many([7_u64], |id| key(*id), load).await.is_ok(), serves);
        // What is known to have been evicted is never served.
        let _queued = cache.evict(&key(7)).await;
        assert!(cache.get_or_load(key(7), || database.load()).await.is_err());
    }
}
