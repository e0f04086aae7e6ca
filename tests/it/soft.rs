//! Soft evictions: what was evicted softly is old and not gone, on every node and without Redis; what was evicted for good is
//! gone, whatever was said before and after it.

use std::{collections::HashMap, io};

use cache_core::{Ack, Cache, Entry, Key, Outcome, Policy, Tier, cache_evict, cacheable, hours, observe, secs};
use tests::fixtures::{RedisServer, eventually};

use crate::{
    outage::SOON,
    support::{Database, PATIENT, Product, built, healed, product},
};

/// What is evicted.
#[derive(Clone, Copy, Debug)]
enum What {
    Key,
    Tag,
    Scope,
    Namespace,
}

const EACH: [What; 4] = [What::Key, What::Tag, What::Scope, What::Namespace];

impl What {
    async fn softly(self, cache: &Cache) -> Ack {
        match self {
            Self::Key => cache.soft_evict(&key(7)).await,
            Self::Tag => cache.soft_evict_tag(tag()).await,
            Self::Scope => cache.soft_evict_scope("soft-shelf").await,
            Self::Namespace => cache.soft_clear().await,
        }
    }

    async fn for_good(self, cache: &Cache) -> Ack {
        match self {
            Self::Key => cache.evict(&key(7)).await,
            Self::Tag => cache.evict_tag(tag()).await,
            Self::Scope => cache.evict_scope("soft-shelf").await,
            Self::Namespace => cache.clear().await,
        }
    }
}

/// A template of its own, whose tags no other test leaves out.
fn key(id: u64) -> Key {
    Key::new("soft-shelf").arg(id)
}

fn tag() -> Key {
    Key::new("category").arg("books")
}

/// What callers of the shelf see.
trait Shelf {
    async fn entry(&self, cache: &Cache) -> io::Result<Entry<Product>>;

    /// The revision that a call gives, and how it came by it; nothing if it fails.
    async fn through(&self, cache: &Cache) -> Option<(u64, Outcome)>;

    /// Waits until a call gives this revision as a hit.
    async fn sees(&self, cache: &Cache, revision: u64);

    /// Waits until a call gives this revision, and says that it is old.
    async fn sees_old(&self, cache: &Cache, revision: u64);

    /// Waits until a call has nothing to give: the database is away, and nothing stands in for it.
    async fn sees_nothing(&self, cache: &Cache);
}

impl Shelf for Database {
    async fn entry(&self, cache: &Cache) -> io::Result<Entry<Product>> {
        cache.entry(key(7)).tag(tag()).or_load(|| self.load()).await
    }

    async fn through(&self, cache: &Cache) -> Option<(u64, Outcome)> {
        self.entry(cache).await.ok().map(|entry| (entry.value().revision, entry.outcome()))
    }

    async fn sees(&self, cache: &Cache, revision: u64) {
        eventually(SOON, async || match self.through(cache).await {
            Some((found, Outcome::Hit(_))) if found == revision => Ok(()),
            other => Err(other),
        })
        .await;
    }

    async fn sees_old(&self, cache: &Cache, revision: u64) {
        eventually(SOON, async || match self.through(cache).await {
            Some((found, outcome)) if found == revision && outcome.is_stale() => Ok(()),
            other => Err(other),
        })
        .await;
    }

    async fn sees_nothing(&self, cache: &Cache) {
        eventually(SOON, async || self.through(cache).await.map_or(Ok(()), Err)).await;
    }
}

fn fresh() -> Policy {
    Policy::new().ttl(secs(600)).jitter(0.0).throttle(hours(1))
}

fn serves_stale() -> Policy {
    fresh().stale(hours(1))
}

async fn on(redis: &RedisServer, policy: Policy) -> Cache {
    let builder = Cache::builder("shop").redis(redis.url()).ensure_notifications().policy(policy);
    built(builder.budget(PATIENT)).await
}

/// A node without Redis, and one with it, each with revision 1; by each way to evict.
async fn in_each(policy: Policy, test: impl AsyncFn(Cache, Database, What)) {
    for what in EACH {
        let redis = RedisServer::start().await;
        let alone = Cache::builder("shop").policy(policy.clone()).build().await.unwrap();
        for cache in [alone, on(&redis, policy.clone()).await] {
            let database = Database::holds(1);
            assert_eq!(database.through(&cache).await, Some((1, Outcome::Loaded)));
            let keeps = cache.redis_key(&key(7)).is_some();
            eventually(SOON, async || cache.stats().fills == u64::from(keeps)).await;
            test(cache, database, what).await;
        }
    }
}

/// Two nodes that hold revision 1 of a row, loaded once.
async fn two(redis: &RedisServer, policy: Policy) -> (Cache, Cache, Database) {
    let (a, b) = (on(redis, policy.clone()).await, on(redis, policy).await);
    let database = Database::holds(1);
    assert_eq!(database.through(&a).await, Some((1, Outcome::Loaded)));
    eventually(SOON, async || a.stats().fills == 1).await;
    assert_eq!(database.through(&b).await, Some((1, Outcome::Hit(Tier::Remote))));
    (a, b, database)
}

#[tokio::test]
async fn softly_evicted_is_served_stale_on_both_nodes_while_one_load_replaces_it() {
    for what in EACH {
        let redis = RedisServer::start().await;
        let (a, b, database) = two(&redis, serves_stale()).await;
        database.write(2);
        database.is_slow();
        assert!(what.softly(&a).await.is_applied());
        for _ in 0..20 {
            let entry = database.entry(&a).await.unwrap();
            assert_eq!(entry.value().revision, 1, "{what:?}");
            assert!(matches!(entry.outcome(), Outcome::Stale(_)), "{what:?}: {}", entry.outcome());
        }
        database.sees_old(&b, 1).await;
        for _ in 0..20 {
            let (found, outcome) = database.through(&b).await.unwrap();
            assert!(found == 1 && matches!(outcome, Outcome::Stale(_)), "{what:?}: never fresh again: {outcome}");
        }
        assert!(a.get::<Product>(&key(7)).await.is_none(), "{what:?}: only a call that loads is given what is old");
        eventually(SOON, async || database.loads() == 2).await;
        database.is_fast();
        database.sees(&a, 2).await;
        database.sees(&b, 2).await;
        assert_eq!(database.loads(), 2, "{what:?}: one load on both nodes");
    }
}

#[tokio::test]
async fn softly_evicted_is_served_from_l1_where_redis_no_longer_has_it() {
    for what in EACH {
        let redis = RedisServer::start().await;
        let (a, b, database) = two(&redis, serves_stale()).await;
        let payloads: Vec<String> = redis::from_redis_value(redis.cli(&["KEYS", "shop:d:*"]).await).unwrap();
        assert_eq!(payloads.len(), 1);
        redis.cli(&["DEL", &payloads[0]]).await;
        database.is_away(true);
        assert!(what.softly(&a).await.is_applied());
        for cache in [&a, &b] {
            database.sees_old(cache, 1).await;
            for _ in 0..20 {
                assert_eq!(database.through(cache).await, Some((1, Outcome::Stale(Tier::Local))), "{what:?}");
            }
        }
        assert!(what.for_good(&a).await.is_applied());
        database.sees_nothing(&a).await;
        database.sees_nothing(&b).await;
    }
}

#[tokio::test]
async fn evicted_for_good_after_softly_is_gone_on_both_nodes() {
    for (softly, for_good) in EACH.into_iter().flat_map(|softly| [(softly, softly), (softly, What::Tag)]) {
        let redis = RedisServer::start().await;
        let (a, b, database) = two(&redis, serves_stale().fail_safe(hours(1))).await;
        database.is_away(true);
        assert!(softly.softly(&a).await.is_applied());
        database.sees_old(&a, 1).await;
        database.sees_old(&b, 1).await;
        assert!(for_good.for_good(&a).await.is_applied());
        assert_eq!(database.through(&a).await, None, "{softly:?}, {for_good:?}: whoever evicts sees it at once");
        database.sees_nothing(&b).await;
        for cache in [&a, &b] {
            assert_eq!(database.through(cache).await, None, "{softly:?}, {for_good:?}");
        }
    }
}

#[tokio::test]
async fn evicted_softly_after_for_good_is_as_gone() {
    in_each(serves_stale().fail_safe(hours(1)), async |cache, database, what| {
        database.is_away(true);
        assert!(what.for_good(&cache).await.is_applied());
        assert!(what.softly(&cache).await.is_applied());
        assert_eq!(database.through(&cache).await, None, "{what:?}");
        database.is_away(false);
        assert_eq!(database.through(&cache).await, Some((1, Outcome::Loaded)), "{what:?}");
        database.sees(&cache, 1).await;
    })
    .await;
}

#[tokio::test]
async fn softly_evicted_again_is_as_old_and_more_often_than_is_remembered_is_gone() {
    in_each(serves_stale(), async |cache, database, what| {
        database.is_away(true);
        for _ in 0..8 {
            assert!(what.softly(&cache).await.is_applied());
        }
        assert_eq!(database.through(&cache).await.map(|(found, _)| found), Some(1), "{what:?}");
        assert!(what.softly(&cache).await.is_applied());
        let (found, outcome) = database.through(&cache).await.unwrap();
        assert!(found == 1 && matches!(outcome, Outcome::Stale(_)), "{what:?}: {outcome}: it was looked at in between");
    })
    .await;
    let redis = RedisServer::start().await;
    let (a, b, database) = two(&redis, serves_stale()).await;
    database.is_away(true);
    for _ in 0..9 {
        assert!(a.soft_evict_tag(tag()).await.is_applied());
    }
    database.sees_nothing(&a).await;
    database.sees_nothing(&b).await;
}

#[tokio::test]
async fn softly_evicted_without_stale_is_loaded_and_stands_in_when_that_fails() {
    in_each(fresh().fail_safe(hours(1)), async |cache, database, what| {
        database.is_away(true);
        assert!(what.softly(&cache).await.is_applied());
        assert!(matches!(database.through(&cache).await, Some((1, Outcome::FailSafe(_)))), "{what:?}");
        assert!(what.for_good(&cache).await.is_applied());
        assert_eq!(database.through(&cache).await, None, "{what:?}");
    })
    .await;
    in_each(fresh(), async |cache, database, what| {
        database.write(2);
        assert!(what.softly(&cache).await.is_applied());
        assert_eq!(database.through(&cache).await, Some((2, Outcome::Loaded)), "{what:?}");
        database.is_away(true);
        assert!(what.softly(&cache).await.is_applied());
        assert_eq!(database.through(&cache).await, None, "{what:?}: as one for good");
    })
    .await;
}

#[tokio::test]
async fn softly_evicted_in_one_process_is_served_stale_while_one_load_replaces_it() {
    in_each(serves_stale(), async |cache, database, what| {
        database.write(2);
        assert!(what.softly(&cache).await.is_applied());
        let (found, outcome) = database.through(&cache).await.unwrap();
        assert!(found == 1 && matches!(outcome, Outcome::Stale(_)), "{what:?}: {outcome}");
        database.sees(&cache, 2).await;
        assert_eq!(database.loads(), 2, "{what:?}");
        assert!(what.softly(&cache).await.is_applied());
        let (found, outcome) = database.through(&cache).await.unwrap();
        assert!(found == 2 && matches!(outcome, Outcome::Stale(_)), "{what:?}: {outcome}");
    })
    .await;
}

#[tokio::test]
async fn load_under_way_when_its_value_is_softly_evicted_is_not_stored() {
    in_each(fresh(), async |cache, database, what| {
        assert!(what.for_good(&cache).await.is_applied());
        database.is_slow();
        let load = tokio::spawn({
            let (cache, database) = (cache.clone(), database.clone());
            async move { database.through(&cache).await }
        });
        eventually(SOON, async || database.loads() == 2).await;
        database.write(2);
        assert!(what.softly(&cache).await.is_applied());
        database.is_fast();
        assert_eq!(load.await.unwrap(), Some((1, Outcome::Loaded)));
        assert_eq!(database.through(&cache).await, Some((2, Outcome::Loaded)), "{what:?}");
    })
    .await;
}

#[tokio::test]
async fn batch_that_fails_is_given_what_was_softly_evicted() {
    in_each(fresh().fail_safe(hours(1)), async |cache, database, what| {
        database.is_away(true);
        assert!(what.softly(&cache).await.is_applied());
        let read = |_| async { Err::<HashMap<u64, Product>, _>(io::Error::other("away")) };
        let found = cache.entries([7_u64], |id| key(*id)).tags(|_| vec![tag()]).or_load(read).await.unwrap();
        assert_eq!(found[&7].value().revision, 1, "{what:?}");
    })
    .await;
}

#[tokio::test]
async fn put_after_a_soft_eviction_is_the_new_entry_on_both_nodes() {
    let redis = RedisServer::start().await;
    let (a, b, database) = two(&redis, serves_stale()).await;
    database.is_away(true);
    assert!(a.soft_evict(&key(7)).await.is_applied());
    assert!(a.entry(key(7)).tag(tag()).put(product(7, 2)).await.is_applied());
    assert_eq!(database.through(&a).await, Some((2, Outcome::Hit(Tier::Local))));
    database.sees(&b, 2).await;
    assert_eq!(b.stats().loads, 0, "what was put is there");
}

#[tokio::test]
async fn soft_eviction_that_redis_does_not_confirm_is_one_for_good() {
    let redis = RedisServer::options().append_only("always").start().await;
    let (a, b, database) = two(&redis, serves_stale().fail_safe(hours(1))).await;
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    redis.kill().await;
    database.write(2);
    assert_eq!(a.soft_evict(&key(7)).await, Ack::Queued);
    assert_eq!(database.through(&a).await.map(|(found, _)| found), Some(2), "here at once");
    redis.restart().await;
    healed(&a, fences[0]).await;
    healed(&b, fences[1]).await;
    database.is_away(true);
    for cache in [&a, &b] {
        eventually(SOON, async || match database.through(cache).await {
            None | Some((2, _)) => Ok(()),
            other => Err(other),
        })
        .await;
        assert_ne!(database.through(cache).await.map(|(found, _)| found), Some(1));
    }
}

#[tokio::test]
async fn softly_evicted_before_a_restart_of_redis_is_never_fresh_after_it() {
    let redis = RedisServer::options().append_only("always").start().await;
    let (a, b, database) = two(&redis, serves_stale()).await;
    database.is_away(true);
    assert!(a.soft_evict(&key(7)).await.is_applied());
    database.sees_old(&b, 1).await;
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    redis.kill().await;
    redis.restart().await;
    healed(&a, fences[0]).await;
    healed(&b, fences[1]).await;
    for cache in [&a, &b] {
        // Who evicted it says so again to a server that is another, and then for good.
        database.sees_nothing(cache).await;
        assert_eq!(database.through(cache).await, None);
    }
}

/// A listing, and what a row that is added does to it.
#[derive(Clone)]
struct Listings {
    cache: Cache,
    database: Database,
}

impl Listings {
    #[cacheable(key = "soft-listing:{shelf}", tags = ["listings"], stale = "1h")]
    async fn list(&self, shelf: u64) -> io::Result<Product> {
        self.database.load().await
    }

    #[cache_evict(key = "soft-listing:{shelf}", soft)]
    async fn add(&self, shelf: u64, fails: bool) -> io::Result<()> {
        if fails { Err(io::Error::other("refused")) } else { Ok(()) }
    }

    #[cache_evict(tags = ["listings"], scope = "soft-shelf", soft, phase = both)]
    async fn add_many(&self) {}

    #[cache_evict(key = "soft-listing:{shelf}")]
    async fn delete(&self, shelf: u64) -> io::Result<()> {
        Ok(())
    }

    async fn shows(&self) -> Option<(u64, Outcome)> {
        let (found, seen) = observe(self.list(3)).await;
        found.ok().map(|row| (row.revision, seen[0].outcome))
    }
}

#[tokio::test]
async fn function_with_soft_leaves_what_it_evicts_to_be_served_stale() {
    let redis = RedisServer::start().await;
    for cache in [Cache::builder("shop").policy(fresh()).build().await.unwrap(), on(&redis, fresh()).await] {
        let listings = Listings { cache, database: Database::holds(1) };
        assert_eq!(listings.shows().await, Some((1, Outcome::Loaded)));
        let keeps = listings.cache.redis_key(&key(7)).is_some();
        eventually(SOON, async || listings.cache.stats().fills == u64::from(keeps)).await;
        listings.database.is_away(true);
        listings.add(3, false).await.unwrap();
        assert!(matches!(listings.shows().await, Some((1, Outcome::Stale(_)))));
        assert!(listings.add(3, true).await.is_err());
        assert!(matches!(listings.shows().await, Some((1, Outcome::Stale(_)))), "a body that fails evicts softly too");
        listings.add_many().await;
        assert!(matches!(listings.shows().await, Some((1, Outcome::Stale(_)))));
        listings.delete(3).await.unwrap();
        assert_eq!(listings.shows().await, None);
    }
}
