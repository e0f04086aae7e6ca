//! Which calls share an entry: those that mean one thing do, and no others.

use std::{borrow::Cow, fmt::Debug, future::Future, pin::Pin, sync::Arc};

use cache_core::{Cache, Key, Outcome, Tier, cache_evict, cache_put, cacheable, observe, with_cache};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};

use super::{Loads, SOON, hit, told};
use crate::support::{Product, node, product};

// === one thing by several names ===

#[derive(Debug, PartialEq, Eq)]
struct DbError;

type Answer<T> = Result<T, DbError>;

#[derive(Clone)]
struct Shop {
    cache: Cache,
    loads: Loads,
}

impl Shop {
    #[cacheable(key = "keys-product:{id}", tags = ["keys-category:{it.category}"])]
    async fn find(&self, id: u64) -> Answer<Option<Product>> {
        Ok(Some(product(id, self.loads.one())))
    }

    #[cacheable(key = "keys-product:{id}", tags = ["keys-category:{it.category}"])]
    async fn get(&self, id: u64) -> Answer<Product> {
        Ok(product(id, self.loads.one()))
    }

    #[cacheable(key = "keys-product:{id}", tags = ["keys-category:{it.category}"])]
    async fn look_up(&self, id: i32) -> Option<Product> {
        Some(product(u64::try_from(id).ok()?, self.loads.one()))
    }

    #[cacheable(key = "keys-product:{id}", tags = ["keys-category:{it.category}"])]
    async fn surely(&self, id: usize) -> Product {
        product(id as u64, self.loads.one())
    }

    #[cache_put(key = "keys-product:{p.id}", tags = ["keys-category:{it.category}"])]
    async fn save(&self, p: Product) -> Answer<Product> {
        // What is put is what is returned, not what was given.
        Ok(Product { revision: p.revision + 1_000, ..p })
    }

    #[cache_evict(key = "keys-product:{id}")]
    async fn delete(&self, id: u32) -> Answer<()> {
        assert!(id > 0);
        Ok(())
    }

    #[cacheable(key = "keys-named:{name}")]
    async fn by_name(&self, name: &str) -> Answer<u64> {
        assert!(!name.is_empty());
        Ok(self.loads.one())
    }

    #[cache_evict(key = "keys-named:{name}")]
    async fn forget(&self, name: String) {
        drop(name);
    }

    #[cache_evict(key = "keys-named:{name}")]
    async fn forget_cow(&self, name: Cow<'static, str>) {
        drop(name);
    }
}

#[tokio::test]
async fn what_save_puts_every_reader_of_the_key_reads() {
    let redis = RedisServer::start().await;
    let loads = Loads::default();
    let shop = |cache| Shop { cache, loads: loads.clone() };
    let (a, b) = (shop(node(&redis).await), shop(node(&redis).await));
    let alone = shop(Cache::in_memory());
    for (writer, reader, tier) in [(&a, &b, Tier::Remote), (&alone, &alone, Tier::Local)] {
        let saved = writer.save(product(7, 3)).await.unwrap();
        assert_eq!(saved.revision, 1_003);
        let found = told(reader.find(7)).await;
        assert_eq!(found, (Ok(Some(saved.clone())), Outcome::Hit(tier)));
        assert_eq!(hit(|| reader.get(7)).await, Ok(saved.clone()));
        assert_eq!(hit(|| reader.look_up(7)).await, Some(saved.clone()));
        assert_eq!(hit(|| reader.surely(7)).await, saved);
        assert_eq!(hit(|| writer.find(7)).await, Ok(Some(saved)));
    }
    assert_eq!(loads.count(), 0, "nobody had to load what was saved");
}

#[tokio::test]
async fn delete_by_a_narrow_integer_reaches_find_by_a_wide_one() {
    let redis = RedisServer::start().await;
    let loads = Loads::default();
    let shop = |cache| Shop { cache, loads: loads.clone() };
    let (a, b) = (shop(node(&redis).await), shop(node(&redis).await));
    let alone = shop(Cache::in_memory());
    for (writer, reader) in [(&a, &b), (&alone, &alone)] {
        for id in [7, 8] {
            reader.find(id).await.unwrap();
            hit(|| reader.find(id)).await.unwrap();
        }
        let before = loads.count();
        writer.delete(7).await.unwrap();
        eventually(SOON, || async { reader.find(7).await.unwrap().unwrap().revision > before }).await;
        assert!(writer.find(7).await.unwrap().unwrap().revision > before);
        assert!(hit(|| reader.find(8)).await.unwrap().unwrap().revision <= before, "and no other entry");
    }
}

#[tokio::test]
async fn text_is_one_key_whatever_owns_it() {
    for cache in [node(&RedisServer::start().await).await, Cache::in_memory()] {
        let shop = Shop { cache, loads: Loads::default() };
        for (round, forget) in ["string", "cow"].into_iter().enumerate() {
            let first = shop.by_name("a:b{c}").await.unwrap();
            assert_eq!(first, round as u64 + 1, "{forget}");
            assert_eq!(hit(|| shop.by_name("a:b{c}")).await, Ok(first));
            match forget {
                "string" => shop.forget("a:b{c}".to_owned()).await,
                _ => shop.forget_cow(Cow::Borrowed("a:b{c}")).await,
            }
        }
        assert_eq!(shop.by_name("a:b{c}").await, Ok(3));
    }
}

// === many things that look alike ===

mod users {
    use cache_core::cacheable;

    #[cacheable]
    pub(super) async fn get(id: u64) -> u64 {
        id * 100 + 1
    }
}

mod quotas {
    use cache_core::cacheable;

    #[cacheable]
    pub(super) async fn get(id: u64) -> u64 {
        id * 100 + 2
    }
}

struct Users;
struct Quotas;

impl Users {
    #[cacheable(cache = cache_core::installed())]
    async fn get(&self, id: u64) -> u64 {
        id * 100 + 3
    }
}

impl Quotas {
    #[cacheable(cache = cache_core::installed())]
    async fn get(&self, id: u64) -> u64 {
        id * 100 + 4
    }
}

trait Numbered: 'static {
    const NUMBER: u64;
}

impl Numbered for Users {
    const NUMBER: u64 = 10;
}

impl Numbered for Quotas {
    const NUMBER: u64 = 20;
}

#[cacheable]
async fn of_a_type<N: Numbered>(id: u64) -> u64 {
    id * 100 + N::NUMBER + 1
}

#[cacheable(key = "keys-of-a-type:{N}:{id}")]
async fn of_a_named_type<N: Numbered>(id: u64) -> u64 {
    id * 100 + N::NUMBER + 2
}

#[cacheable]
async fn of_a_number<const N: u64>(id: u64) -> u64 {
    id * 100 + N
}

struct Repository<N>(std::marker::PhantomData<fn() -> N>);

impl<N: Numbered> Repository<N> {
    #[cacheable(cache = cache_core::installed())]
    async fn get(&self, id: u64) -> u64 {
        id * 100 + N::NUMBER + 3
    }

    #[cacheable(cache = cache_core::installed())]
    async fn without_self(id: u64) -> u64 {
        id * 100 + N::NUMBER + 4
    }

    #[cacheable(key = "keys-of-self:{Self}:{id}", cache = cache_core::installed())]
    async fn of_self(&self, id: u64) -> u64 {
        id * 100 + N::NUMBER + 5
    }
}

trait LookUp: Sync {
    fn look_up(&self, id: u64) -> impl Future<Output = u64> + Send;

    fn by_default(&self, id: u64) -> impl Future<Output = u64> + Send;
}

impl LookUp for Users {
    #[cacheable(cache = cache_core::installed())]
    async fn look_up(&self, id: u64) -> u64 {
        id * 100 + 5
    }

    #[cacheable(cache = cache_core::installed())]
    async fn by_default(&self, id: u64) -> u64 {
        id * 100 + 6
    }
}

impl LookUp for Quotas {
    #[cacheable(cache = cache_core::installed())]
    async fn look_up(&self, id: u64) -> u64 {
        id * 100 + 7
    }

    #[cacheable(cache = cache_core::installed())]
    async fn by_default(&self, id: u64) -> u64 {
        id * 100 + 8
    }
}

impl<N: Numbered> LookUp for Repository<N> {
    #[cacheable(cache = cache_core::installed())]
    async fn look_up(&self, id: u64) -> u64 {
        id * 100 + N::NUMBER + 6
    }

    #[cacheable(cache = cache_core::installed())]
    async fn by_default(&self, id: u64) -> u64 {
        id * 100 + N::NUMBER + 7
    }
}

/// Methods that types have from their trait alone.
#[allow(async_fn_in_trait, reason = "nobody else implements it")]
trait Inherit: Sync {
    fn number(&self) -> u64;

    #[cacheable(cache = cache_core::installed(), inline)]
    async fn inherited(&self, id: u64) -> u64 {
        id * 100 + self.number()
    }
}

impl Inherit for Users {
    fn number(&self) -> u64 {
        51
    }
}

impl Inherit for Quotas {
    fn number(&self) -> u64 {
        52
    }
}

async fn one_inside(id: u64) -> u64 {
    #[cacheable]
    async fn inside(id: u64) -> u64 {
        id * 100 + 61
    }
    inside(id).await
}

async fn another_inside(id: u64) -> u64 {
    #[cacheable]
    async fn inside(id: u64) -> u64 {
        id * 100 + 62
    }
    inside(id).await
}

/// Two blocks of one function: nothing in their paths tells the functions in them apart.
async fn in_two_blocks(which: bool, id: u64) -> u64 {
    if which {
        #[cacheable]
        async fn inside(id: u64) -> u64 {
            id * 100 + 63
        }
        inside(id).await
    } else {
        #[cacheable]
        async fn inside(id: u64) -> u64 {
            id * 100 + 64
        }
        inside(id).await
    }
}

type Call = (&'static str, u64, Box<dyn Fn() -> Pin<Box<dyn Future<Output = u64>>>>);

macro_rules! calls {
    ($($expected:literal: $call:expr,)+) => {
        {
            let calls: Vec<Call> = vec![$((stringify!($call), 700 + $expected, Box::new(|| Box::pin($call)))),+];
            calls
        }
    };
}

/// Functions of one name, one argument and one type of result.
#[tokio::test]
async fn functions_with_the_default_key_never_meet() {
    use std::marker::PhantomData as P;
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let calls = calls![
            1: users::get(7),
            2: quotas::get(7),
            3: async { Users.get(7).await },
            4: async { Quotas.get(7).await },
            11: of_a_type::<Users>(7),
            21: of_a_type::<Quotas>(7),
            12: of_a_named_type::<Users>(7),
            22: of_a_named_type::<Quotas>(7),
            91: of_a_number::<91>(7),
            92: of_a_number::<92>(7),
            13: async { Repository::<Users>(P).get(7).await },
            23: async { Repository::<Quotas>(P).get(7).await },
            14: Repository::<Users>::without_self(7),
            24: Repository::<Quotas>::without_self(7),
            15: async { Repository::<Users>(P).of_self(7).await },
            25: async { Repository::<Quotas>(P).of_self(7).await },
            5: async { Users.look_up(7).await },
            6: async { Users.by_default(7).await },
            7: async { Quotas.look_up(7).await },
            8: async { Quotas.by_default(7).await },
            16: async { Repository::<Users>(P).look_up(7).await },
            26: async { Repository::<Quotas>(P).look_up(7).await },
            17: async { Repository::<Users>(P).by_default(7).await },
            27: async { Repository::<Quotas>(P).by_default(7).await },
            51: async { Users.inherited(7).await },
            52: async { Quotas.inherited(7).await },
            61: one_inside(7),
            62: another_inside(7),
            63: in_two_blocks(true, 7),
            64: in_two_blocks(false, 7),
        ];
        for (name, expected, call) in &calls {
            let found = told(with_cache(cache.clone(), call())).await;
            assert_eq!(found, (*expected, Outcome::Loaded), "{name}: somebody else's entry");
        }
        for (name, expected, call) in &calls {
            assert_eq!(hit(|| with_cache(cache.clone(), call())).await, *expected, "{name}");
        }
    }
}

/// A private key has no template, so it is evicted by its tags and by its scope.
mod private {
    use cache_core::cacheable;

    use super::Loads;

    #[cacheable(skip(loads), tags = ["keys-private:{id}"])]
    pub(super) async fn tagged(id: u64, loads: Loads) -> u64 {
        id + loads.one()
    }
}

#[tokio::test]
async fn private_key_is_evicted_by_tag_and_by_scope() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let loads = Loads::default();
        let call = |id| with_cache(cache.clone(), private::tagged(id, loads.clone()));
        let (_, seen) = observe(call(1)).await;
        let scope = &seen[0].scope;
        assert!(scope.contains("private.tagged"), "{scope}");
        assert_eq!(call(2).await, 4);
        for (evict, kept) in [("tag", true), ("scope", false), ("above", false)] {
            hit(|| call(1)).await;
            hit(|| call(2)).await;
            let ack = match evict {
                "tag" => cache.evict_tag(Key::new("keys-private").arg(1_u64)).await,
                "scope" => cache.evict_scope(scope).await,
                _ => cache.evict_scope("fn").await,
            };
            assert!(ack.is_applied());
            assert_eq!(told(call(1)).await.1, Outcome::Loaded, "{evict}");
            assert_eq!(told(call(2)).await.1.is_hit(), kept, "{evict}");
        }
    }
}

#[cacheable]
async fn of_two(one: &str, two: &str) -> String {
    format!("<{one}|{two}>")
}

#[cacheable(key = "keys-of-any:{one}:{two}")]
async fn of_any(one: Option<&str>, two: Vec<u64>) -> String {
    format!("<{one:?}|{two:?}>")
}

async fn each_its_own<A: Debug, F: Future<Output = String>>(arguments: &[A], call: impl Fn(&A) -> F) {
    let mut seen = Vec::new();
    for one in arguments {
        let (answer, outcome) = told(call(one)).await;
        assert_eq!(outcome, Outcome::Loaded, "{one:?} found the entry of another");
        seen.push(answer);
    }
    for (one, answer) in arguments.iter().zip(seen) {
        assert_eq!(told(call(one)).await, (answer, Outcome::Hit(Tier::Local)), "{one:?}");
    }
}

#[tokio::test]
async fn argument_lists_that_differ_never_meet() {
    let texts = ["", ":", "a", "a:b", "b:c", "c", "%3A", "{}", "*", "7", "'7", "true", "\0", "🦀", "null"];
    let pairs: Vec<_> = texts.iter().flat_map(|one| texts.iter().map(move |two| (*one, *two))).collect();
    let lists = [vec![], vec![7], vec![7, 8], vec![78]];
    let options: Vec<_> = [None, Some(""), Some("7"), Some("null")]
        .into_iter()
        .flat_map(|one| lists.iter().map(move |two| (one, two.clone())))
        .collect();
    with_cache(Cache::in_memory(), async {
        each_its_own(&pairs, |(one, two)| of_two(one, two)).await;
        each_its_own(&options, |(one, two)| of_any(*one, two.clone())).await;
    })
    .await;
}

// === one key, several types ===

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Price {
    id: u64,
    cents: u64,
}

/// As many bytes as a price, field by field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Weight {
    id: u64,
    grams: u64,
}

struct Two {
    cache: Cache,
}

impl Two {
    #[cacheable(key = "keys-two:{id}")]
    async fn price(&self, id: u64) -> Price {
        Price { id, cents: 1 }
    }

    #[cacheable(key = "keys-two:{id}")]
    async fn weight(&self, id: u64) -> Arc<Weight> {
        Arc::new(Weight { id, grams: 2 })
    }

    #[cacheable(key = "keys-two:{id}")]
    async fn pair(&self, id: u64) -> (u64, u64) {
        (id, 3)
    }
}

#[tokio::test]
async fn types_under_one_key_never_decode_each_other() {
    let redis = RedisServer::start().await;
    let nodes = [Two { cache: node(&redis).await }, Two { cache: node(&redis).await }];
    for two in nodes.iter().chain(&[Two { cache: Cache::in_memory() }]) {
        assert_eq!(two.price(7).await, Price { id: 7, cents: 1 });
        assert_eq!(*two.weight(7).await, Weight { id: 7, grams: 2 });
        assert_eq!(two.pair(7).await, (7, 3));
        assert_eq!(hit(|| two.price(7)).await.cents, 1);
        assert_eq!(hit(|| two.weight(7)).await.grams, 2);
        assert_eq!(hit(|| two.pair(7)).await, (7, 3));
        // One eviction reaches all of them.
        let _ack = two.cache.evict(&Key::new("keys-two").arg(7_u64)).await;
        assert_eq!(told(two.price(7)).await.1, Outcome::Loaded);
        assert_eq!(told(two.weight(7)).await.1, Outcome::Loaded);
        assert_eq!(told(two.pair(7)).await.1, Outcome::Loaded);
    }
}
