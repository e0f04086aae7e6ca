//! `warm_up` of an attribute: the body runs again ahead of the next caller, with arguments of its own, and by the rules of its
//! site.

use std::time::Duration;

use cache_core::{Cache, Entry, Key, Outcome, Policy, Tier, cacheable, millis};
use tests::fixtures::{RedisServer, eventually};

use super::{Loads, SOON, told};
use crate::support::{built, settings};

const TTL: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Shop {
    cache: Cache,
    loads: Loads,
}

impl Shop {
    fn over(cache: Cache) -> Self {
        Self { cache, loads: Loads::default() }
    }

    #[cacheable(key = "attr-warm:{name}:{names}", ttl = TTL, warm_up = millis(800), tags = ["attr-warm-load:{it.0}"])]
    async fn warm(&self, name: &str, names: Vec<String>) -> Result<Entry<(String, u64)>, std::io::Error> {
        assert_eq!(names.concat(), name);
        let given_away = names;
        drop(given_away);
        Ok((name.to_owned(), self.loads.one()).into())
    }

    #[cacheable(key = "attr-warm-by-policy:{id}", ttl = TTL, warm_up)]
    async fn by_policy(&self, id: u64) -> Entry<u64> {
        (self.loads.one() + id - id).into()
    }

    #[cacheable(key = "attr-warm-nothing:{id}", negative = TTL, ttl = TTL, warm_up = millis(800))]
    async fn nothing(&self, id: u64) -> Entry<Option<u64>> {
        self.loads.one();
        None.filter(|found| *found == id).into()
    }
}

/// What is asked again and again for three lives: as a service is.
async fn asked_for<F: Future<Output = Outcome>>(call: impl Fn() -> F) -> usize {
    let end = tokio::time::Instant::now() + TTL * 3;
    let mut waited = 0;
    while tokio::time::Instant::now() < end {
        waited += usize::from(call().await != Outcome::Hit(Tier::Local));
        // Time itself: as a service is called again and again.
        tokio::time::sleep(millis(10)).await;
    }
    waited
}

async fn both_kinds(redis: &RedisServer, policy: Policy) -> [Cache; 2] {
    let with_redis = settings(redis.url()).ensure_notifications().policy(policy.clone());
    [built(with_redis).await, Cache::builder("shop").policy(policy).build().await.unwrap()]
}

#[tokio::test]
async fn a_function_that_is_called_is_never_cold_and_what_is_loaded_ahead_has_its_tags() {
    let redis = RedisServer::start().await;
    for cache in both_kinds(&redis, Policy::new().jitter(0.0)).await {
        let shop = Shop::over(cache.clone());
        let warm = async || shop.warm("lamp", vec!["la".to_owned(), "mp".to_owned()]).await.unwrap();
        let waited = asked_for(async || warm().await.outcome()).await;
        assert!(waited <= 1, "{waited} callers had to wait");
        let warm_ups = cache.stats().warm_ups;
        assert!((3..=6).contains(&warm_ups), "once in a life less the time ahead: {warm_ups}");
        assert_eq!(shop.loads.count(), 1 + warm_ups);
        assert!(cache.evict_tag(Key::new("attr-warm-load").arg("lamp")).await.is_applied());
        let (loads, after) = (shop.loads.count(), warm().await);
        assert!(after.value().1 > loads, "what was loaded ahead has its tag, which was evicted: {after:?}");
    }
}

#[tokio::test]
async fn how_long_ahead_may_be_what_the_policy_says() {
    let cache = Cache::builder("shop").policy(Policy::new().jitter(0.0).warm_up(millis(800))).build().await.unwrap();
    let shop = Shop::over(cache.clone());
    let waited = asked_for(async || shop.by_policy(7).await.outcome()).await;
    assert!(waited <= 1, "{waited} callers had to wait");
    assert!(cache.stats().warm_ups >= 3);
}

#[tokio::test]
async fn nothing_is_kept_warm_where_no_time_is_said() {
    let cache = Cache::builder("shop").policy(Policy::new().jitter(0.0)).build().await.unwrap();
    let shop = Shop::over(cache.clone());
    let waited = asked_for(async || shop.by_policy(7).await.outcome()).await;
    assert!(waited >= 3, "each life ends: {waited}");
    assert_eq!(cache.stats().warm_ups, 0);
}

#[tokio::test]
async fn that_there_is_nothing_is_kept_warm_as_well() {
    let cache = Cache::builder("shop").policy(Policy::new().jitter(0.0)).build().await.unwrap();
    let shop = Shop::over(cache.clone());
    let waited = asked_for(async || shop.nothing(7).await.outcome()).await;
    assert!(waited <= 1, "{waited} callers had to wait");
    assert!(cache.stats().warm_ups >= 3);
}

#[tokio::test]
async fn a_value_that_another_site_stored_is_kept_warm_from_the_first_call_on() {
    let cache =
        Cache::builder("shop").policy(Policy::new().jitter(0.0).ttl(TTL).warm_up(millis(800))).build().await.unwrap();
    let shop = Shop::over(cache.clone());
    let by_hand = cache.entry(Key::new("attr-warm-by-policy").arg(8_u64)).or_load(|| async { Ok::<_, ()>(100_u64) });
    assert_eq!(*by_hand.await.unwrap().value(), 100);
    let first = told(shop.by_policy(8)).await;
    assert_eq!((*first.0.value(), first.1), (100, Outcome::Hit(Tier::Local)), "counted once, and not loaded");
    eventually(SOON, async || cache.stats().warm_ups == 1).await;
    assert_eq!(shop.loads.count(), 1);
}
