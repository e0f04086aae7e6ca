//! For how long something is kept, and where.

use std::time::{Duration, Instant};

use cache_core::{
    Cache, KeyPart, Outcome, Policy, Tier, cache_put, cacheable, days, hours, key, millis, mins, observe,
};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};

use super::{Loads, SOON, alone, hit, told};
use crate::support::{built, node, settings};

#[derive(Clone)]
struct Shop {
    cache: Cache,
    loads: Loads,
}

impl Shop {
    fn over(cache: Cache) -> Self {
        Self { cache, loads: Loads::default() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    load: u64,
    lives: Duration,
}

impl Shop {
    #[cacheable(key = "ttl-long:{lives}", ttl = "1h", ttl_with = |token: &Token| token.lives)]
    async fn long(&self, lives: Millis) -> Token {
        Token { load: self.loads.one(), lives: millis(lives.0) }
    }

    #[cacheable(key = "ttl-short:{lives}", ttl = "1s", ttl_with = |token| token.lives)]
    async fn short_at_most(&self, lives: Millis) -> Result<Option<Token>, ()> {
        Ok(Some(Token { load: self.loads.one(), lives: millis(lives.0) }))
    }
}

#[derive(Clone, Copy, Debug, KeyPart)]
struct Millis(u64);

/// How long Redis keeps the records of a kind (`c`, `d`, `t`) whose names say `what`.
async fn lives_in_redis(redis: &RedisServer, kind: char, what: &str) -> Vec<Duration> {
    let pattern = format!("shop:{kind}:*:{what}*");
    let names: Vec<String> = redis::from_redis_value(redis.cli(&["KEYS", &pattern]).await).unwrap();
    let mut lives = Vec::new();
    for name in names {
        let left: u64 = redis::from_redis_value(redis.cli(&["PTTL", &name]).await).unwrap();
        lives.push(millis(left));
    }
    lives
}

#[tokio::test]
async fn ttl_with_shortens() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        let start = Instant::now();
        let first = shop.long(Millis(1_000)).await;
        let kept = hit(|| shop.long(Millis(1_000))).await;
        assert!(kept == first || start.elapsed() > millis(900), "it was kept");
        eventually(SOON, || async { shop.long(Millis(1_000)).await.load > first.load }).await;
        assert!(start.elapsed() >= millis(900), "kept for {:?} only", start.elapsed());
    }
}

#[tokio::test]
async fn ttl_with_never_lengthens() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        let day = Millis(86_400_000);
        let start = Instant::now();
        let first = shop.short_at_most(day).await.unwrap().unwrap();
        let kept = hit(|| shop.short_at_most(day)).await.unwrap();
        assert!(kept.as_ref() == Some(&first) || start.elapsed() > millis(900), "it was kept");
        eventually(SOON, || async { shop.short_at_most(day).await.unwrap().unwrap().load > first.load }).await;
    }
}

#[tokio::test]
async fn ttl_with_is_the_life_in_redis_too() {
    let redis = RedisServer::start().await;
    let shop = Shop::over(node(&redis).await);
    shop.long(Millis(86_400_000)).await;
    eventually(SOON, || async { shop.cache.stats().fills == 1 }).await;
    let lives = lives_in_redis(&redis, 'd', "ttl-long:").await;
    assert!(lives.len() == 1 && lives[0] <= hours(1) && lives[0] > mins(59), "{lives:?}");
    shop.long(Millis(60_000)).await;
    eventually(SOON, || async {
        let lives = lives_in_redis(&redis, 'd', "ttl-long:").await;
        if lives.len() == 2 && lives.iter().any(|life| *life <= Duration::from_secs(60)) { Ok(()) } else { Err(lives) }
    })
    .await;
}

// === ttl and l1 of a site ===

impl Shop {
    #[cacheable(key = "ttl-site:{id}", ttl = "1s")]
    async fn for_a_second(&self, id: u64) -> u64 {
        id + self.loads.one()
    }

    #[cache_put(key = "ttl-site:{id}", ttl = Duration::from_secs(1))]
    async fn put_for_a_second(&self, id: u64, value: u64) -> u64 {
        assert!(id > 0);
        value
    }

    #[cacheable(key = "ttl-local:{id}", l1 = "1s")]
    async fn locally_for_a_second(&self, id: u64) -> u64 {
        id + self.loads.one()
    }

    #[cacheable(key = "ttl-day-loaded:{id}", tags = ["ttl-day-tag:{id}", "ttl-day-of:{it}"], ttl = "1d")]
    async fn for_a_day(&self, id: u64) -> u64 {
        id
    }

    #[cache_put(key = "ttl-day-put:{id}", tags = ["ttl-day-put-tag:{id}", "ttl-day-put-of:{it}"], ttl = "1d")]
    async fn put_for_a_day(&self, id: u64) -> u64 {
        id
    }
}

#[tokio::test]
async fn ttl_of_a_site_is_the_life_of_what_it_loads_and_puts() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        let start = Instant::now();
        assert_eq!(shop.for_a_second(1).await, 2);
        eventually(SOON, || async { shop.for_a_second(1).await == 3 }).await;
        assert!(start.elapsed() >= millis(900), "kept for {:?} only", start.elapsed());
        let start = Instant::now();
        assert_eq!(shop.put_for_a_second(1, 70).await, 70);
        let kept = hit(|| shop.for_a_second(1)).await;
        assert!(kept == 70 || start.elapsed() > millis(900), "{kept}");
        eventually(SOON, || async { shop.for_a_second(1).await < 70 }).await;
        assert!(start.elapsed() >= millis(900), "kept for {:?} only", start.elapsed());
    }
}

#[tokio::test]
async fn l1_of_a_site_is_the_life_in_this_process_only() {
    let redis = RedisServer::start().await;
    let shop = Shop::over(node(&redis).await);
    let start = Instant::now();
    assert_eq!(shop.locally_for_a_second(1).await, 2);
    assert_eq!(hit(|| shop.locally_for_a_second(1)).await, 2);
    eventually(SOON, || async { told(shop.locally_for_a_second(1)).await.1 == Outcome::Hit(Tier::Remote) }).await;
    assert!(start.elapsed() >= millis(900), "kept for {:?} only", start.elapsed());
    assert_eq!(shop.loads.count(), 1, "Redis has kept it");
}

/// An entry is of use only while the record of its version and those of its tags are there.
#[tokio::test]
async fn records_of_what_is_stored_for_longer_than_the_policy_live_as_long() {
    let redis = RedisServer::start().await;
    let shop = Shop::over(node(&redis).await);
    shop.for_a_day(1).await;
    shop.put_for_a_day(1).await;
    let by_hand = shop.cache.entry(key!("ttl-day-hand:{1}")).tag(key!("ttl-day-hand-tag:{1}")).ttl(days(1));
    assert!(by_hand.put(1_u64).await.is_applied());
    eventually(SOON, || async { shop.cache.stats().fills == 1 }).await;
    let mut short = Vec::new();
    for (kind, what, count) in [
        ('d', "ttl-day-loaded:", 1),
        ('c', "ttl-day-loaded:", 1),
        ('t', "ttl-day-tag:", 1),
        ('t', "ttl-day-of:", 1),
        ('d', "ttl-day-put:", 1),
        ('c', "ttl-day-put:", 1),
        ('t', "ttl-day-put-tag:", 1),
        ('t', "ttl-day-put-of:", 1),
        ('d', "ttl-day-hand:", 1),
        ('c', "ttl-day-hand:", 1),
        ('t', "ttl-day-hand-tag:", 1),
    ] {
        let lives = lives_in_redis(&redis, kind, what).await;
        assert_eq!(lives.len(), count, "{kind} {what}");
        if lives[0] < hours(23) {
            short.push((kind, what, lives[0]));
        }
    }
    assert!(short.is_empty(), "gone long before the day is over: {short:?}");
}

#[tokio::test]
async fn l1_shortens_no_life_where_there_is_no_other_tier() {
    let policy = || Policy::new().ttl(mins(15)).jitter(0.0).l1(millis(20));
    let alone = Cache::builder("shop").policy(policy()).build().await.unwrap();
    let redis = RedisServer::start().await;
    let both = built(settings(redis.url()).ensure_notifications().policy(policy())).await;
    for cache in [&alone, &both] {
        assert!(cache.put(key!("l1-life:{7}"), 7_u64).await.is_applied());
    }
    // Time itself: that of L1.
    tokio::time::sleep(millis(60)).await;
    for (cache, tier) in [(&alone, Tier::Local), (&both, Tier::Remote)] {
        let found = cache.entry(key!("l1-life:{7}")).get::<u64>().await.expect("it is fresh");
        assert_eq!(found.outcome(), Outcome::Hit(tier));
    }
    assert_eq!((alone.explain("l1-life").l1(), both.explain("l1-life").l1()), (mins(15), millis(20)));
}

#[tokio::test]
async fn get_that_finds_nothing_is_a_miss_that_is_counted_and_seen() {
    let redis = RedisServer::start().await;
    for cache in [alone().await, node(&redis).await] {
        let ((), seen) = observe(async {
            assert_eq!(cache.get::<u64>(&key!("absent:{7}")).await, None);
            assert_eq!(cache.get_many::<u64>(&[key!("absent:{8}"), key!("absent:{9}")]).await, [None, None]);
        })
        .await;
        let outcomes: Vec<Outcome> = seen.iter().map(|seen| seen.outcome).collect();
        assert_eq!((outcomes, cache.stats().misses), (vec![Outcome::Absent; 3], 3));
    }
}
