//! What becomes of a result: values, *nothing*, errors; and for how long.

use std::time::{Duration, Instant};

use cache_core::{Bypass, Cache, Key, Outcome, Tier, cache_evict, cache_put, cacheable, millis};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};

use super::{Loads, SOON, alone, hit, told};
use crate::support::{bypassed, node};

const LOCAL: Outcome = Outcome::Hit(Tier::Local);
const REMOTE: Outcome = Outcome::Hit(Tier::Remote);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum DbError {
    NotFound(String),
    Timeout,
}

/// Another error, of the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum OtherError {
    Missing(String),
}

#[derive(Clone)]
struct Shop {
    cache: Cache,
    loads: Loads,
}

impl Shop {
    fn over(cache: Cache) -> Self {
        Self { cache, loads: Loads::default() }
    }

    /// Two nodes of one origin.
    async fn two(redis: &RedisServer) -> (Self, Self) {
        let a = Self::over(node(redis).await);
        let b = Self { cache: node(redis).await, loads: a.loads.clone() };
        (a, b)
    }
}

// === nothing ===

impl Shop {
    /// There is nothing under an odd number.
    #[cacheable(key = "nothing:{id}")]
    async fn find(&self, id: u64) -> Result<Option<u64>, DbError> {
        self.loads.one();
        Ok((id.is_multiple_of(2)).then_some(id))
    }

    #[cacheable(key = "nothing:{id}")]
    async fn look_up(&self, id: u64) -> Option<u64> {
        self.loads.one();
        (id.is_multiple_of(2)).then_some(id)
    }

    /// Cannot say *nothing*.
    #[cacheable(key = "nothing:{id}")]
    async fn get(&self, id: u64) -> Result<u64, DbError> {
        self.loads.one();
        if id.is_multiple_of(2) { Ok(id) } else { Err(DbError::Timeout) }
    }

    #[cache_put(key = "nothing:{id}")]
    async fn save(&self, id: u64, value: Option<u64>) -> Option<u64> {
        let _ = id;
        value
    }

    #[cacheable(key = "nothing-short:{id}", negative = "1s")]
    async fn find_short(&self, id: u64) -> Option<u64> {
        self.loads.one();
        (id.is_multiple_of(2)).then_some(id)
    }

    #[cacheable(key = "nothing-never:{id}", negative = Duration::ZERO)]
    async fn find_never(&self, id: u64) -> Option<u64> {
        self.loads.one();
        (id.is_multiple_of(2)).then_some(id)
    }
}

#[tokio::test]
async fn nothing_is_kept_in_both_tiers_for_all_who_can_be_told() {
    let redis = RedisServer::start().await;
    let (a, b) = Shop::two(&redis).await;
    assert_eq!(told(a.find(7)).await, (Ok(None), Outcome::Loaded));
    assert_eq!(hit(|| a.find(7)).await, Ok(None));
    assert_eq!(hit(|| a.look_up(7)).await, None);
    eventually(SOON, || async { a.cache.stats().fills == 1 }).await;
    assert_eq!(told(b.find(7)).await, (Ok(None), REMOTE));
    assert_eq!(told(b.look_up(7)).await, (None, LOCAL));
    assert_eq!(a.loads.count(), 1);

    let alone = Shop::over(alone().await);
    assert_eq!(told(alone.look_up(7)).await, (None, Outcome::Loaded));
    assert_eq!(told(alone.find(7)).await, (Ok(None), LOCAL));
    assert_eq!(alone.loads.count(), 1);
}

#[tokio::test]
async fn nothing_is_not_told_to_who_cannot_say_it() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let shop = Shop::over(cache);
        shop.find(7).await.unwrap();
        hit(|| shop.find(7)).await.unwrap();
        assert_eq!(told(shop.get(7)).await, (Err(DbError::Timeout), Outcome::Loaded));
        assert_eq!(shop.loads.count(), 2);
        assert_eq!(hit(|| shop.find(7)).await, Ok(None), "and it is still there for the others");
    }
}

#[tokio::test]
async fn nothing_and_something_put_are_what_is_found() {
    let redis = RedisServer::start().await;
    let (a, b) = Shop::two(&redis).await;
    let alone = Shop::over(alone().await);
    for (writer, reader) in [(&a, &b), (&alone, &alone)] {
        assert_eq!(reader.find(7).await, Ok(None));
        writer.save(7, Some(70)).await;
        eventually(SOON, || async { reader.find(7).await == Ok(Some(70)) }).await;
        assert_eq!(writer.get(7).await, Ok(70));
        writer.save(7, None).await;
        eventually(SOON, || async { reader.find(7).await == Ok(None) }).await;
        assert_eq!(writer.look_up(7).await, None);
        assert_eq!(reader.loads.count(), 1, "what was put is not loaded");
    }
}

#[tokio::test]
async fn nothing_expires_after_its_negative_and_a_value_does_not() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        assert_eq!(shop.find_short(8).await, Some(8));
        let start = Instant::now();
        assert_eq!(shop.find_short(7).await, None);
        let kept = hit(|| shop.find_short(7)).await;
        assert!(kept.is_none() && (shop.loads.count() == 2 || start.elapsed() > millis(900)));
        eventually(SOON, || async { told(shop.find_short(7)).await == (None, Outcome::Loaded) }).await;
        assert!(start.elapsed() >= millis(900), "kept for {:?} only", start.elapsed());
        assert_eq!(hit(|| shop.find_short(8)).await, Some(8));
    }
}

#[tokio::test]
async fn nothing_without_a_negative_is_not_kept() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        for _ in 0..2 {
            assert_eq!(told(shop.find_never(7)).await, (None, Outcome::Bypass(Bypass::NoTtl)));
        }
        assert_eq!(shop.find_never(8).await, Some(8));
        assert_eq!(hit(|| shop.find_never(8)).await, Some(8));
    }
}

// === errors ===

fn not_found(id: u64) -> DbError {
    DbError::NotFound(format!("no {id}"))
}

impl Shop {
    fn fail(&self, id: u64) -> Result<u64, DbError> {
        self.loads.one();
        match id % 3 {
            0 => Ok(id),
            1 => Err(not_found(id)),
            _ => Err(DbError::Timeout),
        }
    }

    #[cacheable(key = "errors:{id}", cache_err = |error| matches!(error, DbError::NotFound(_)))]
    async fn choosy(&self, id: u64) -> Result<u64, DbError> {
        self.fail(id)
    }

    #[cacheable(key = "errors:{id}")]
    async fn plain(&self, id: u64) -> Result<u64, DbError> {
        self.fail(id)
    }

    #[cacheable(key = "errors:{id}", cache_err = |_| true)]
    async fn other(&self, id: u64) -> Result<u64, OtherError> {
        Err(OtherError::Missing(format!("{}", id + self.loads.one())))
    }

    #[cache_put(key = "errors:{id}")]
    async fn mend(&self, id: u64) -> Result<u64, DbError> {
        Ok(id * 10)
    }

    #[cache_evict(key = "errors:{id}")]
    async fn forget(&self, id: u64) {
        let _ = id;
    }

    #[cacheable(key = "errors-short:{id}", cache_err = is_not_found, negative = "1s")]
    async fn short(&self, id: u64) -> Result<Option<u64>, DbError> {
        self.fail(id).map(Some)
    }
}

fn is_not_found(error: &DbError) -> bool {
    matches!(error, DbError::NotFound(_))
}

#[tokio::test]
async fn error_that_is_chosen_is_kept_in_both_tiers_and_no_other() {
    let redis = RedisServer::start().await;
    let (a, b) = Shop::two(&redis).await;
    assert_eq!(told(a.choosy(1)).await, (Err(not_found(1)), Outcome::Loaded));
    assert_eq!(hit(|| a.choosy(1)).await, Err(not_found(1)));
    eventually(SOON, || async { a.cache.stats().fills == 1 }).await;
    assert_eq!(told(b.choosy(1)).await, (Err(not_found(1)), REMOTE));
    assert_eq!(told(b.choosy(1)).await, (Err(not_found(1)), LOCAL));
    assert_eq!(a.loads.count(), 1);
    let alone = Shop::over(alone().await);
    assert_eq!(told(alone.choosy(1)).await, (Err(not_found(1)), Outcome::Loaded));
    assert_eq!(told(alone.choosy(1)).await, (Err(not_found(1)), LOCAL));
    for shop in [&a, &b, &alone] {
        let before = shop.loads.count();
        for _ in 0..2 {
            assert_eq!(told(shop.choosy(2)).await, (Err(DbError::Timeout), Outcome::Loaded));
        }
        assert_eq!(shop.loads.count(), before + 2);
        shop.choosy(3).await.unwrap();
        assert_eq!(hit(|| shop.choosy(3)).await, Ok(3), "a value is kept as ever");
    }
}

#[tokio::test]
async fn error_that_is_kept_is_told_to_those_only_who_cache_it() {
    let redis = RedisServer::start().await;
    let (a, b) = Shop::two(&redis).await;
    let alone = Shop::over(alone().await);
    for (first, second) in [(&a, &b), (&alone, &alone)] {
        first.choosy(1).await.unwrap_err();
        hit(|| first.choosy(1)).await.unwrap_err();
        eventually(SOON, || async {
            first.cache.stats().fills == 1 || first.cache.redis_key(&Key::new("errors").arg(1_u64)).is_none()
        })
        .await;
        let before = first.loads.count();
        assert_eq!(told(second.plain(1)).await, (Err(not_found(1)), Outcome::Loaded), "it loads for itself");
        assert_eq!(second.cache.get::<u64>(&Key::new("errors").arg(1_u64)).await, None);
        let OtherError::Missing(text) = second.other(1).await.unwrap_err();
        assert_eq!(text, format!("{}", before + 3), "never another type's error");
    }
}

#[tokio::test]
async fn error_that_is_kept_goes_with_an_eviction_and_with_a_put() {
    let redis = RedisServer::start().await;
    let (a, b) = Shop::two(&redis).await;
    let alone = Shop::over(alone().await);
    for (writer, reader) in [(&a, &b), (&alone, &alone)] {
        let warm = || async {
            reader.choosy(1).await.unwrap_err();
            eventually(SOON, || async { told(reader.choosy(1)).await == (Err(not_found(1)), LOCAL) }).await;
        };
        warm().await;
        writer.forget(1).await;
        eventually(SOON, || async { told(reader.choosy(1)).await.1 == Outcome::Loaded }).await;
        warm().await;
        writer.mend(1).await.unwrap();
        eventually(SOON, || async { told(reader.choosy(1)).await.0 == Ok(10) }).await;
    }
}

#[tokio::test]
async fn error_that_is_kept_expires_after_the_negative() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        let start = Instant::now();
        assert_eq!(shop.short(1).await, Err(not_found(1)));
        assert_eq!(hit(|| shop.short(1)).await, Err(not_found(1)));
        eventually(SOON, || async { told(shop.short(1)).await == (Err(not_found(1)), Outcome::Loaded) }).await;
        assert!(start.elapsed() >= millis(900), "kept for {:?} only", start.elapsed());
    }
}

// === what is stored ===

impl Shop {
    #[cacheable(key = "unless-plain:{id}", unless = *it > 100)]
    async fn unless_plain(&self, id: u64) -> u64 {
        id + self.loads.one()
    }

    #[cacheable(key = "unless-result:{id}", unless = *it > 100)]
    async fn unless_result(&self, id: u64) -> Result<u64, DbError> {
        Ok(id + self.loads.one())
    }

    #[cacheable(key = "unless-option:{id}", unless = it.is_none_or(|it| *it > 100))]
    async fn unless_option(&self, id: u64) -> Option<u64> {
        let loads = self.loads.one();
        (id != 7).then_some(id + loads)
    }

    #[cacheable(key = "unless-both:{id}", unless = it.is_none())]
    async fn unless_both(&self, id: u64) -> Result<Option<u64>, DbError> {
        let loads = self.loads.one();
        Ok((id < 100).then_some(id + loads))
    }

    #[cacheable(key = "when:{id}", when = id < 100 && !is_admin, skip(is_admin))]
    async fn when(&self, id: u64, is_admin: bool) -> u64 {
        id + self.loads.one()
    }
}

const UNLESS: Outcome = Outcome::Bypass(Bypass::Unless);
const WHEN: Outcome = Outcome::Bypass(Bypass::When);

#[tokio::test]
async fn value_that_unless_refuses_is_loaded_each_time() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        for _ in 0..2 {
            assert_eq!(told(shop.unless_plain(200)).await.1, UNLESS);
            assert_eq!(told(shop.unless_result(200)).await.1, UNLESS);
            assert_eq!(told(shop.unless_option(200)).await.1, UNLESS);
            assert_eq!(told(shop.unless_option(7)).await, (None, UNLESS));
            assert_eq!(told(shop.unless_both(200)).await, (Ok(None), UNLESS));
        }
        assert_eq!((shop.loads.count(), bypassed(&shop.cache, Bypass::Unless)), (10, 10));
        assert_eq!(shop.unless_plain(1).await, hit(|| shop.unless_plain(1)).await);
        assert_eq!(shop.unless_result(1).await, hit(|| shop.unless_result(1)).await);
        assert_eq!(shop.unless_option(1).await, hit(|| shop.unless_option(1)).await);
        assert_eq!(shop.unless_both(1).await, hit(|| shop.unless_both(1)).await);
    }
}

#[tokio::test]
async fn call_that_when_refuses_goes_past_what_is_cached() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = Shop::over(cache);
        let kept = shop.when(1, false).await;
        assert_eq!(hit(|| shop.when(1, false)).await, kept);
        let (answer, outcome) = told(shop.when(1, true)).await;
        assert!(answer > kept && outcome == WHEN, "it neither reads {answer}");
        assert_eq!(hit(|| shop.when(1, false)).await, kept, "nor stores");
        assert_eq!(told(shop.when(200, false)).await.1, WHEN);
        assert_eq!(bypassed(&shop.cache, Bypass::When), 2);
    }
}

// === told by type ===

type Fallible<T> = Result<T, DbError>;
type Maybe<T> = Option<T>;
type Both<T> = Fallible<Maybe<T>>;

/// Neither of these is what its name says.
mod impostors {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub(super) struct Result<T>(pub(super) T);

    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub(super) enum Option<T> {
        Gone,
        Here(T),
    }
}

impl Shop {
    #[cacheable(key = "alias-fallible:{id}")]
    async fn fallible(&self, id: u64) -> Fallible<u64> {
        if self.loads.one() == 1 { Err(DbError::Timeout) } else { Ok(id) }
    }

    #[cacheable(key = "alias-io:{id}")]
    async fn io(&self, id: u64) -> std::io::Result<u64> {
        if self.loads.one() == 1 { Err(std::io::Error::other("no")) } else { Ok(id) }
    }

    #[cacheable(key = "alias-maybe:{id}", negative = Duration::ZERO)]
    async fn maybe(&self, id: u64) -> Maybe<u64> {
        (self.loads.one() > 1).then_some(id)
    }

    #[cacheable(key = "alias-both:{id}", negative = Duration::ZERO)]
    async fn both(&self, id: u64) -> Both<u64> {
        Ok((self.loads.one() > 1).then_some(id))
    }

    #[cacheable(key = "impostor-result:{id}")]
    async fn impostor_result(&self, id: u64) -> impostors::Result<u64> {
        impostors::Result(id + self.loads.one())
    }

    #[cacheable(key = "impostor-option:{id}", negative = Duration::ZERO)]
    async fn impostor_option(&self, id: u64) -> impostors::Option<u64> {
        if self.loads.one() == 1 && id == 1 { impostors::Option::Gone } else { impostors::Option::Here(id) }
    }
}

#[tokio::test]
async fn result_and_option_are_told_by_type() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, alone().await] {
        let shop = || Shop { cache: cache.clone(), loads: Loads::default() };
        let one = shop();
        one.fallible(1).await.unwrap_err();
        assert_eq!(told(one.fallible(1)).await, (Ok(1), Outcome::Loaded), "an error is not cached");
        assert_eq!(hit(|| one.fallible(1)).await, Ok(1));
        let one = shop();
        one.io(1).await.unwrap_err();
        assert_eq!(told(one.io(1)).await.1, Outcome::Loaded);
        assert_eq!(hit(|| one.io(1)).await.unwrap(), 1);
        let one = shop();
        assert_eq!(
            told(one.maybe(1)).await,
            (None, Outcome::Bypass(Bypass::NoTtl)),
            "*nothing* has the negative's life"
        );
        assert_eq!(told(one.maybe(1)).await, (Some(1), Outcome::Loaded));
        assert_eq!(hit(|| one.maybe(1)).await, Some(1));
        let one = shop();
        assert_eq!(told(one.both(1)).await, (Ok(None), Outcome::Bypass(Bypass::NoTtl)));
        assert_eq!(told(one.both(1)).await, (Ok(Some(1)), Outcome::Loaded));
        assert_eq!(hit(|| one.both(1)).await, Ok(Some(1)));
        let one = shop();
        assert_eq!(one.impostor_result(1).await, impostors::Result(2));
        assert_eq!(hit(|| one.impostor_result(1)).await, impostors::Result(2), "a value like any other");
        let one = shop();
        assert_eq!(one.impostor_option(1).await, impostors::Option::Gone);
        assert_eq!(hit(|| one.impostor_option(1)).await, impostors::Option::Gone);
        assert_eq!(one.loads.count(), 1);
    }
}
