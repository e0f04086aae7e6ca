//! `batch` on odd signatures, with every option that it goes with.

#![deny(warnings)]
#![allow(dead_code, reason = "what shadows is not used")]

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    hash::{BuildHasherDefault, DefaultHasher, Hash},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use cache_core::{Cache, KeyPart, cache_evict, cacheable, observe, secs};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u64,
    category: String,
}

/// Not `Clone`.
#[derive(Debug, PartialEq)]
struct Failed(String);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, KeyPart)]
struct Place {
    shelf: u8,
    name: String,
}

struct Path<T>(T);

/// Not `Clone`: a body borrows it.
struct Shop {
    cache: Cache,
    tenant: u32,
}

fn product(id: u64) -> Product {
    Product { id, category: "books".to_owned() }
}

fn of_each<I: Clone, T, M: FromIterator<(I, T)>>(ids: &[I], value: impl Fn(&I) -> T) -> M {
    ids.iter().map(|id| (id.clone(), value(id))).collect()
}

impl Shop {
    #[cacheable(
        batch(id in ids),
        key = "product:{self.tenant}:{lang}:{shop}:{id}",
        skip(fresh),
        tags = ["category:{it.category}", "shop:{shop}:{id}:{it.category}", "product-of:{id}", "catalogue"],
        ttl = "1h30m",
        l1 = secs(30),
        negative = "5s",
        fail_safe = "1d",
        when = !fresh && !ids.is_empty(),
        unless = it.id == 0,
        ttl_with = |product| Duration::from_secs(product.id),
        share_err = |error| Failed(error.0.clone()),
        rev = 2,
        cache = self.cache,
    )]
    /// Documented, after the attribute.
    #[must_use]
    async fn options(
        &self,
        ids: &[u64],
        lang: &str,
        Path(shop): Path<u32>,
        fresh: bool,
    ) -> Result<HashMap<u64, Product>, Failed> {
        if lang.is_empty() || shop == 0 { Err(Failed(lang.to_owned())) } else { Ok(of_each(ids, |id| product(*id))) }
    }

    #[cacheable(batch(id in ids), key = "label:{prefix}:{id}")]
    async fn owned(&self, prefix: String, mut ids: Vec<u64>) -> BTreeMap<u64, String> {
        // What a body gives away it clones: it may run once more.
        let (given, kept) = (prefix.clone(), &prefix);
        ids.retain(|id| *id < 100);
        let label = move |id: &u64| format!("{given}{id}");
        assert!(!kept.is_empty());
        of_each(&ids, label)
    }

    #[allow(clippy::ptr_arg)]
    #[cacheable(batch(place in places), key = "place:{place}", tags = ["shelf:{place.shelf}"])]
    async fn lent<'a>(self: &'a Arc<Self>, places: &'a Vec<Place>) -> HashMap<Place, usize> {
        let sizes = places.iter().map(async |place| place.name.len() + Arc::strong_count(self) * 0);
        let mut found = HashMap::new();
        for (place, size) in places.iter().zip(sizes) {
            found.insert(place.clone(), size.await);
        }
        found
    }

    #[cacheable(batch(id in ids), key = "arc:{id}")]
    async fn arc(self: Arc<Self>, ids: Vec<u64>) -> HashMap<u64, u32> {
        of_each(&ids, |_| self.tenant)
    }

    #[cacheable(batch(id in ids), key = "moved:{id}", cache = cache, skip(cache))]
    async fn moved(self, cache: &Cache, ids: &[u64]) -> HashMap<u64, u32> {
        let Self { tenant, .. } = &self;
        of_each(ids, |_| *tenant)
    }

    #[cacheable(batch(id in ids), key = "pinned:{id}")]
    fn by_hand<'a>(&'a self, ids: &'a [u64]) -> Pin<Box<dyn Future<Output = HashMap<u64, u64>> + Send + 'a>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            of_each(ids, |id| id + u64::from(self.tenant))
        })
    }

    #[cacheable(batch(id in ids), key = "inline:{id}", inline)]
    async fn inline(&self, ids: &[u64]) -> HashMap<u64, u64> {
        of_each(ids, |id| id * 2)
    }

    #[cacheable(batch(id in ids), key = "returning:{id}")]
    async fn returning(&self, ids: &[u64]) -> Result<BTreeMap<u64, u64>, Failed> {
        let [first, ..] = ids else { return Ok(BTreeMap::new()) };
        let first = text(*first)?;
        Ok(of_each(ids, |id| id + first))
    }

    #[cache_evict(scope = "listing")]
    #[cacheable(batch(id in ids), key = "two:{id}")]
    async fn two_attributes(&self, ids: &[u64]) -> HashMap<u64, u64> {
        of_each(ids, |id| *id)
    }
}

fn text(id: u64) -> Result<u64, Failed> {
    if id == 13 { Err(Failed("13".to_owned())) } else { Ok(id * 0) }
}

#[async_trait]
trait Boxed {
    async fn of_trait(&self, prefix: String, ids: Vec<u64>) -> Result<HashMap<u64, String>, Failed>;
}

#[async_trait]
impl Boxed for Shop {
    #[cacheable(batch(id in ids), key = "trait:{prefix}:{id}")]
    async fn of_trait(&self, prefix: String, ids: Vec<u64>) -> Result<HashMap<u64, String>, Failed> {
        Ok(of_each(&ids, |id| format!("{prefix}{id}")))
    }
}

#[cacheable(batch(id in ids), key = "generic:{T}:{N}:{id}", cache = cache, skip(cache))]
async fn generic<I, T, const N: usize>(cache: &Cache, ids: &[I]) -> HashMap<I, T>
where
    I: Clone + Eq + Hash + KeyPart,
    T: From<u8> + Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    of_each(ids, |_| T::from(u8::try_from(N).unwrap()))
}

#[cacheable(batch(name in names), key = "anonymous:{suffix}:{name}", cache = cache, skip(cache))]
async fn anonymous<'a>(
    cache: &'a Cache,
    names: &'a [String],
    suffix: impl KeyPart + ToString,
) -> BTreeMap<String, String> {
    of_each(names, |name| format!("{name}{}", suffix.to_string()))
}

mod aliases {
    use super::*;

    pub type Found<I, T> = std::result::Result<HashMap<I, T, BuildHasherDefault<DefaultHasher>>, Failed>;
    pub type Ids = [u64];
}

#[cacheable(batch(r#type in r#types), key = "alias:{r#type}", cache = cache, skip(cache))]
async fn alias(cache: &Cache, r#types: &aliases::Ids) -> aliases::Found<u64, u64> {
    Ok(of_each(r#types, |id| *id))
}

mod shadowed {
    //! Everything that an expansion might name is something else here.

    use cache_core::{Cache, cacheable};

    mod core {}
    mod std {}
    struct Ok;
    struct Err;
    struct Some;
    struct None;
    struct Vec;
    struct Box;
    struct HashMap;
    trait Clone {}
    trait Fn {}
    trait Future {}
    type Result<A> = (A, A);

    #[cacheable(batch(id in ids), key = "shadowed:{id}", tags = ["a:{id}", "b:{it.0}"], when = ids.len() < 9, cache = cache, skip(cache))]
    pub async fn read(cache: &Cache, ids: &[u64]) -> ::std::collections::HashMap<u64, Result<u64>> {
        super::of_each(ids, |id| (*id, 1))
    }
}

mod facade {
    pub use cache_core as renamed;
}

#[facade::renamed::cacheable(batch(id in ids), key = "facade:{id}", cache = cache, skip(cache), crate = crate::facade::renamed)]
async fn through_a_facade(cache: &Cache, ids: &[u64]) -> Result<HashMap<u64, u64>, Failed> {
    Ok(of_each(ids, |id| *id))
}

/// The second call hits for every id, and both say the same.
macro_rules! hits {
    ($($call:expr),+ $(,)?) => {$(
        let first = is_send($call).await;
        let (second, seen) = observe($call).await;
        assert_eq!(first, second);
        assert_eq!(seen.len(), 2, "{} {seen:?}", stringify!($call));
        assert!(seen.iter().all(|one| one.outcome.is_hit()), "{} {seen:?}", stringify!($call));
    )+};
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cache = &Cache::in_memory();
    let shop = Arc::new(Shop { cache: cache.clone(), tenant: 3 });
    let one = || Shop { cache: cache.clone(), tenant: 3 };
    let places = vec![Place { shelf: 1, name: "a".to_owned() }, Place { shelf: 2, name: String::new() }];
    hits!(
        shop.options(&[7, 8], "en", Path(1), false),
        shop.owned("x".to_owned(), vec![7, 8]),
        shop.lent(&places),
        Arc::clone(&shop).arc(vec![7, 8]),
        one().moved(cache, &[7, 8]),
        shop.by_hand(&[7, 8]),
        shop.inline(&[7, 8]),
        shop.returning(&[7, 8]),
        shop.of_trait("x".to_owned(), vec![7, 8]),
        generic::<u64, u32, 2>(cache, &[7, 8]),
        generic::<String, Option<u8>, 2>(cache, &["7".to_owned(), "8".to_owned()]),
        anonymous(cache, &["7".to_owned(), "8".to_owned()], 1_u8),
        alias(cache, &[7, 8]),
        shadowed::read(cache, &[7, 8]),
        through_a_facade(cache, &[7, 8]),
    );
    assert_eq!(shop.options(&[7], "en", Path(1), false).await, Ok(HashMap::from([(7, product(7))])));
    assert_eq!(shop.options(&[9], "", Path(1), false).await, Err(Failed(String::new())));
    assert_eq!(shop.returning(&[13]).await, Err(Failed("13".to_owned())));
    assert_eq!(shop.owned("x".to_owned(), vec![8, 100]).await, BTreeMap::from([(8, "x8".to_owned())]));
    assert_eq!(shop.two_attributes(&[7]).await, HashMap::from([(7, 7)]));
}
