//! Functions that return an `Entry`: the value, with what the cache knows of it.

use std::time::{Duration, Instant};

use cache_core::{Ack, Bypass, Cache, Entry, Outcome, Tier, cache_put, cacheable, key, with_cache};
use tests::fixtures::{RedisServer, eventually};

use super::{Loads, SOON, alone, hit, told};
use crate::support::node;

type Answer<T> = Result<T, String>;

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

impl Shop {
    #[cacheable(key = "entry:{id}", tags = ["entry-of:{it}"])]
    async fn find(&self, id: u64) -> Answer<Option<Entry<u64>>> {
        self.loads.one();
        if id == 0 { Err("there is no number 0".to_owned()) } else { Ok((id < 100).then(|| Entry::from(id * 10))) }
    }

    #[cacheable(key = "entry:{id}", tags = ["entry-of:{it}"])]
    async fn plain(&self, id: u64) -> Answer<Option<u64>> {
        self.loads.one();
        Ok((id < 100).then_some(id * 10))
    }

    #[cacheable(key = "entry:{id}", tags = ["entry-of:{it}"])]
    async fn get(&self, id: u64) -> Answer<Entry<u64>> {
        self.loads.one();
        Ok((id * 10).into())
    }

    #[cacheable(key = "entry:{id}", tags = ["entry-of:{it}"])]
    async fn maybe(&self, id: u64) -> Option<Entry<u64>> {
        self.loads.one();
        (id < 100).then(|| (id * 10).into())
    }

    #[cacheable(key = "entry:{id}", tags = ["entry-of:{it}"], unless = it.is_some_and(|it| *it == 770))]
    async fn of_maybe(&self, id: u64) -> Entry<Option<u64>> {
        self.loads.one();
        (id < 100).then_some(id * 10).into()
    }

    #[cacheable(key = "entry:{id}", tags = ["entry-of:{it}"], when = id != 5, unless = *it == 770)]
    async fn sure(&self, id: u64) -> Entry<u64> {
        self.loads.one();
        (id * 10).into()
    }

    #[cache_put(key = "entry:{id}", tags = ["entry-of:{it}"])]
    async fn save(&self, id: u64, value: u64) -> u64 {
        assert!(id > 0);
        value
    }

    #[cache_put(key = "entry:{id}", tags = ["entry-of:{it}"], unless = *it == 770, when = id != 5)]
    async fn save_entry(&self, id: u64, value: u64) -> Answer<Entry<u64>> {
        if id == 0 { Err("there is no number 0".to_owned()) } else { Ok(value.into()) }
    }
}

const LOCAL: Outcome = Outcome::Hit(Tier::Local);
const REMOTE: Outcome = Outcome::Hit(Tier::Remote);

#[tokio::test]
async fn entry_says_what_the_observer_is_told() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        let (loaded, outcome) = told(shop.find(7)).await;
        let loaded = loaded.unwrap().unwrap();
        assert_eq!((loaded.outcome(), *loaded.value()), (outcome, 70));
        assert_eq!(outcome, Outcome::Loaded);
        let found = hit(|| shop.find(7)).await.unwrap().unwrap();
        assert_eq!((found.outcome(), *found.value()), (LOCAL, 70));
        assert_eq!(found.version(), loaded.version());
        assert!(found.age() >= loaded.age());
        assert_eq!(shop.loads.count(), 1);
        assert_eq!(shop.find(0).await.unwrap_err(), "there is no number 0");
    }
}

#[tokio::test]
async fn entry_is_what_calls_by_hand_are_given() {
    let redis = RedisServer::start().await;
    let (a, b) = (Shop::over(node(&redis).await), Shop::over(node(&redis).await));
    a.save(7, 77).await;
    let start = Instant::now();
    let by_hand = |shop: &Shop| {
        let cache = shop.cache.clone();
        async move { cache.entry(key!("entry:{7}")).tag(key!("entry-of:{77}")).get::<u64>().await.unwrap() }
    };
    let (found, hand) = (a.find(7).await.unwrap().unwrap(), by_hand(&a).await);
    assert_eq!((found.value(), found.outcome(), found.version()), (hand.value(), hand.outcome(), hand.version()));
    assert!(found.version().is_some() && found.age() <= hand.age());

    let (found, outcome) = told(b.find(7)).await;
    let found = found.unwrap().unwrap();
    assert_eq!((found.outcome(), outcome), (REMOTE, REMOTE));
    assert_eq!((*found.value(), found.version()), (77, hand.version()));
    eventually(SOON, || async { a.find(7).await.unwrap().unwrap().age() >= Duration::from_millis(20) }).await;
    let age = b.find(7).await.unwrap().unwrap().age();
    // The clocks of the two nodes are estimates.
    assert!(age <= start.elapsed() + Duration::from_secs(1), "{age:?}");
    assert_eq!(a.loads.count() + b.loads.count(), 0);
}

#[tokio::test]
async fn entries_and_plain_values_are_one_entry() {
    let shop = Shop::over(alone().await);
    assert_eq!(shop.plain(7).await, Ok(Some(70)));
    assert_eq!(shop.find(7).await.unwrap().unwrap().outcome(), LOCAL);
    assert_eq!(shop.get(7).await.unwrap().outcome(), LOCAL);
    assert_eq!(shop.maybe(7).await.unwrap().outcome(), LOCAL);
    assert_eq!(shop.of_maybe(7).await.outcome(), LOCAL);
    assert_eq!(shop.sure(7).await.outcome(), LOCAL);
    assert_eq!(shop.loads.count(), 1);

    assert!(shop.find(200).await.unwrap().is_none());
    let nothing = shop.of_maybe(200).await;
    assert_eq!((nothing.outcome(), nothing.into_value()), (LOCAL, None), "a hit of nothing");
    assert!(shop.maybe(200).await.is_none());
    assert_eq!(shop.loads.count(), 2);
    assert_eq!(shop.sure(200).await.outcome(), Outcome::Loaded, "it cannot say nothing");
}

#[tokio::test]
async fn entry_of_what_goes_past_the_cache_says_why() {
    let bypass = |reason| Outcome::Bypass(reason);
    let shop = Shop::over(alone().await);
    assert_eq!(shop.sure(77).await.outcome(), bypass(Bypass::Unless));
    assert_eq!(shop.of_maybe(77).await.outcome(), bypass(Bypass::Unless));
    let (entry, outcome) = told(shop.sure(5)).await;
    assert_eq!((entry.outcome(), outcome), (bypass(Bypass::When), bypass(Bypass::When)));
    assert_eq!(shop.save_entry(5, 1).await.unwrap().outcome(), bypass(Bypass::When));
    let disabled = Shop::over(Cache::disabled());
    let entry = disabled.find(7).await.unwrap().unwrap();
    assert_eq!((entry.outcome(), entry.version(), *entry.value()), (bypass(Bypass::Disabled), None, 70));

    #[cacheable(key = "entry-free:{id}")]
    async fn free(id: u64) -> Entry<u64> {
        id.into()
    }
    assert_eq!(free(7).await.outcome(), bypass(Bypass::NotInstalled));
    with_cache(shop.cache.clone(), async {
        assert_eq!(free(7).await.outcome(), Outcome::Loaded);
        assert_eq!(hit(|| free(7)).await.outcome(), LOCAL);
    })
    .await;
}

#[tokio::test]
async fn entry_of_a_put_has_its_acknowledgement() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        let (put, outcome) = told(shop.save_entry(7, 71)).await;
        let put = put.unwrap();
        assert_eq!((put.outcome(), *put.value()), (outcome, 71));
        assert!(matches!(outcome, Outcome::Put(Ack::Applied(_))), "{outcome}");
        assert_eq!(shop.find(7).await.unwrap().unwrap().into_value(), 71);
        let evicted = shop.save_entry(7, 770).await.unwrap();
        assert!(matches!(evicted.outcome(), Outcome::Evict(_)), "{}", evicted.outcome());
        assert_eq!(shop.find(7).await.unwrap().unwrap().into_value(), 70, "it was evicted");
        shop.save_entry(0, 1).await.unwrap_err();
    }
}
