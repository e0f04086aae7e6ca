//! Functions of odd shapes: each is cached, with its own body and its own arguments.

use std::{borrow::Cow, fmt::Display, future::Future, marker::PhantomData, sync::Arc};

use cache_core::{Cache, CacheValue, KeyPart, Outcome, cache_evict, cache_put, cacheable, with_cache};
use serde::{Deserialize, Serialize};
use tests::fixtures::RedisServer;

use super::{Loads, hit, told};
use crate::support::node;

#[derive(Debug, PartialEq, Eq)]
struct Refused(String);

/// Loaded once, then found; answers what it was.
async fn cached<T: PartialEq + std::fmt::Debug, F: Future<Output = T>>(call: impl Fn() -> F) -> T {
    let (loaded, outcome) = told(call()).await;
    assert_eq!(outcome, Outcome::Loaded);
    assert_eq!(hit(call).await, loaded);
    loaded
}

// === arguments ===

struct Path<T>(T);

#[derive(Clone, KeyPart)]
struct Page {
    number: u32,
    size: u32,
}

#[derive(Clone, Copy, KeyPart)]
enum Order {
    Newest,
    Cheapest { first: bool },
}

#[cacheable(key = "shape-pattern:{id}")]
async fn pattern(Path(id): Path<u64>) -> u64 {
    id * 2
}

#[cacheable(key = "shape-fields:{number}:{size}")]
async fn fields(Page { number, size }: Page) -> u32 {
    number * 100 + size
}

#[cacheable(key = "shape-mutable:{text}:{list}")]
async fn mutable(mut text: String, mut list: Vec<u64>) -> String {
    list.push(3);
    text += &list.iter().map(u64::to_string).collect::<String>();
    text
}

#[cacheable(key = "shape-lent:{text}:{list}:{page}:{some}:{order}")]
async fn lent(text: &str, list: &[u64], page: &Page, some: Option<&str>, order: Order) -> String {
    let order = match order {
        Order::Newest => "newest".to_owned(),
        Order::Cheapest { first } => format!("cheapest {first}"),
    };
    format!("{text} {list:?} {} {some:?} {order}", page.number)
}

#[cacheable(key = "shape-borrowed:{text}:{all}")]
async fn borrowed<'a>(text: &'a str, all: Cow<'a, str>) -> Result<String, Refused>
where
    'a: 'a,
{
    if all.is_empty() { Err(Refused(text.to_owned())) } else { Ok(format!("{text}{all}")) }
}

#[cacheable(key = "shape-field-of:{page.number}", skip(page))]
async fn field_of(page: Page) -> u32 {
    page.number
}

#[tokio::test]
async fn arguments_of_every_shape_are_keys() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        with_cache(cache, async {
            assert_eq!(cached(|| pattern(Path(7))).await, 14);
            assert_eq!(cached(|| pattern(Path(8))).await, 16);
            assert_eq!(cached(|| fields(Page { number: 1, size: 2 })).await, 102);
            assert_eq!(cached(|| fields(Page { number: 2, size: 1 })).await, 201);
            assert_eq!(cached(|| mutable("a".to_owned(), vec![1])).await, "a13");
            assert_eq!(cached(|| mutable("a".to_owned(), vec![2])).await, "a23");
            let page = Page { number: 5, size: 10 };
            for (some, order, expected) in [
                (None, Order::Newest, "t [1] 5 None newest"),
                (Some("x"), Order::Newest, "t [1] 5 Some(\"x\") newest"),
                (None, Order::Cheapest { first: true }, "t [1] 5 None cheapest true"),
                (None, Order::Cheapest { first: false }, "t [1] 5 None cheapest false"),
            ] {
                let page = &page;
                assert_eq!(cached(|| lent("t", &[1], page, some, order)).await, expected);
            }
            assert_eq!(cached(|| field_of(Page { number: 9, size: 1 })).await, 9);
            assert_eq!(hit(|| field_of(Page { number: 9, size: 2 })).await, 9);
        })
        .await;
    }
}

// === bodies ===

#[cacheable(key = "shape-question:{id}")]
async fn question(id: u64) -> Result<u64, Refused> {
    let half: u64 = if id.is_multiple_of(2) { Ok(id / 2) } else { Err(Refused(format!("{id} is odd"))) }?;
    if half > 100 {
        return Ok(100);
    }
    Ok(half)
}

/// Where the prelude's names mean something else.
mod shadowing {
    #![allow(non_snake_case, non_upper_case_globals, dead_code, reason = "in the way of what is generated")]

    use cache_core::cacheable;

    struct Option;
    struct Result;
    struct Vec;
    mod core {}
    mod std {}

    fn Ok(n: u64) -> u64 {
        n + 1
    }

    fn Some(n: u64) -> u64 {
        n * 10
    }

    const None: u64 = 1_000;

    #[cacheable(key = "shape-shadowed:{id}", tags = ["shape-shadowed-tag:{id}:{it}"], unless = *it == None)]
    pub(super) async fn shadowed(id: u64) -> u64 {
        Some(Ok(id))
    }
}

#[cacheable(key = "shape-arc:{id}")]
async fn shared(id: u64) -> Result<Arc<[u64]>, Refused> {
    Ok((0..id).collect())
}

#[tokio::test]
async fn bodies_of_every_shape_are_cached() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        with_cache(cache, async {
            assert_eq!(cached(|| question(8)).await, Ok(4));
            assert_eq!(cached(|| question(1_000)).await, Ok(100));
            for _ in 0..2 {
                let refused = Refused("7 is odd".to_owned());
                assert_eq!(told(question(7)).await, (Err(refused), Outcome::Loaded));
            }
            assert_eq!(cached(|| shadowing::shadowed(4)).await, 50);
            assert_eq!(*cached(|| shared(3)).await.unwrap(), [0, 1, 2]);
        })
        .await;
    }
}

// === generics ===

trait Kind: Send + Sync + 'static {
    const NAME: &'static str;
}

#[derive(Clone, Copy)]
struct Book;
#[derive(Clone, Copy)]
struct Disc;

impl Kind for Book {
    const NAME: &'static str = "book";
}

impl Kind for Disc {
    const NAME: &'static str = "disc";
}

/// A value whose type is up to the caller.
#[cacheable(key = "shape-parsed:{T}:{text}")]
async fn parsed<T>(text: &str) -> Result<T, Refused>
where
    T: CacheValue + std::str::FromStr + PartialEq,
{
    text.parse().map_err(|_| Refused(text.to_owned()))
}

/// The argument tells which `T` it is, and is part of the key.
#[cacheable(key = "shape-shown:{value}")]
async fn shown<T: KeyPart + Display + Send + Sync + 'static>(value: T) -> String {
    format!("<{value}>")
}

#[cacheable(key = "shape-into:{text}", skip(loads))]
async fn into(text: impl AsRef<str> + KeyPart, loads: &Loads) -> u64 {
    text.as_ref().len() as u64 + loads.one()
}

#[cacheable(key = "shape-sized:{N}:{id}")]
async fn sized<const N: usize>(id: u64) -> Vec<u64> {
    vec![id; N]
}

struct Repository<K> {
    cache: Cache,
    tenant: String,
    loads: Loads,
    kind: PhantomData<K>,
}

impl<K: Kind> Repository<K> {
    #[cacheable(key = "shape-generic:{Self}:{self.tenant}:{id}")]
    async fn name(&self, id: u64) -> String {
        format!("{} {} {id} {}", self.tenant, K::NAME, self.loads.one())
    }

    #[cache_put(key = "shape-generic:{Self}:{self.tenant}:{id}")]
    async fn rename(&self, id: u64, name: &str) -> String {
        assert!(id > 0);
        name.to_owned()
    }

    #[cache_evict(key = "shape-generic:{Self}:{self.tenant}:{id}")]
    async fn forget(&self, id: u64) {
        assert!(id > 0);
    }
}

#[tokio::test]
async fn generic_functions_have_an_entry_for_each_type() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        with_cache(cache, async {
            assert_eq!(cached(|| parsed::<u64>("7")).await, Ok(7_u64));
            assert_eq!(cached(|| parsed::<String>("7")).await, Ok("7".to_owned()));
            assert_eq!(cached(|| parsed::<i32>("7")).await, Ok(7_i32));
            assert_eq!(told(parsed::<u64>("x")).await, (Err(Refused("x".to_owned())), Outcome::Loaded));
            assert_eq!(cached(|| shown(7_u64)).await, "<7>");
            assert_eq!(cached(|| shown("7".to_owned())).await, "<7>");
            assert_eq!(hit(|| shown(7_u8)).await, "<7>");
            let loads = Loads::default();
            assert_eq!(cached(|| into("text", &loads)).await, 5);
            assert_eq!(hit(|| into("text".to_owned(), &loads)).await, 5);
            assert_eq!(cached(|| sized::<2>(7)).await, [7, 7]);
            assert_eq!(cached(|| sized::<3>(7)).await, [7, 7, 7]);
        })
        .await;
    }
}

#[tokio::test]
async fn generic_repositories_have_entries_of_their_own() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        fn over<K>(cache: &Cache, tenant: &str) -> Repository<K> {
            let (cache, tenant, loads) = (cache.clone(), tenant.to_owned(), Loads::default());
            Repository { cache, tenant, loads, kind: PhantomData }
        }
        let (books, discs, others) =
            (over::<Book>(&cache, "acme"), over::<Disc>(&cache, "acme"), over::<Book>(&cache, "emca"));
        assert_eq!(cached(|| books.name(7)).await, "acme book 7 1");
        assert_eq!(cached(|| discs.name(7)).await, "acme disc 7 1");
        assert_eq!(cached(|| others.name(7)).await, "emca book 7 1");
        books.rename(7, "acme's own").await;
        assert_eq!(hit(|| books.name(7)).await, "acme's own");
        discs.forget(7).await;
        assert_eq!(cached(|| discs.name(7)).await, "acme disc 7 2");
        assert_eq!(hit(|| others.name(7)).await, "emca book 7 1");
    }
}

// === traits ===

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Item<T> {
    id: u64,
    of: T,
}

trait Store {
    type Item;
    type Error;

    fn find(&self, id: u64) -> impl Future<Output = Result<Option<Self::Item>, Self::Error>> + Send;

    async fn save(&self, item: Self::Item) -> Result<Self::Item, Self::Error>;

    async fn forget(self: Arc<Self>, id: u32);
}

struct Sql<T> {
    cache: Cache,
    loads: Loads,
    of: PhantomData<fn() -> T>,
}

impl<T: CacheValue + From<u8>> Store for Sql<T> {
    type Error = Refused;
    type Item = Item<T>;

    #[cacheable(key = "shape-store:{Self}:{id}", tags = ["shape-store-item:{it.id}"])]
    async fn find(&self, id: u64) -> Result<Option<Self::Item>, Self::Error> {
        self.loads.one();
        Ok((id != 0).then(|| Item { id, of: T::from(7) }))
    }

    #[cache_put(key = "shape-store:{Self}:{item.id}", tags = ["shape-store-item:{it.id}"])]
    async fn save(&self, item: Self::Item) -> Result<Self::Item, Self::Error> {
        if item.id == 0 { Err(Refused("nothing has the number 0".to_owned())) } else { Ok(item) }
    }

    #[cache_evict(key = "shape-store:{Self}:{id}")]
    async fn forget(self: Arc<Self>, id: u32) {
        assert!(id > 0);
    }
}

async fn behaves<T: CacheValue + From<u8> + PartialEq + std::fmt::Debug>(cache: &Cache) {
    let store = Arc::new(Sql::<T> { cache: cache.clone(), loads: Loads::default(), of: PhantomData });
    let item = |of: u8| Item { id: 7, of: T::from(of) };
    assert_eq!(cached(|| store.find(7)).await, Ok(Some(item(7))));
    assert_eq!(cached(|| store.find(0)).await, Ok(None));
    assert_eq!(store.save(item(9)).await, Ok(item(9)));
    assert_eq!(hit(|| store.find(7)).await, Ok(Some(item(9))));
    assert_eq!(store.loads.count(), 2);
    store.save(Item { id: 0, of: T::from(1) }).await.unwrap_err();
    assert_eq!(cached(|| store.find(0)).await, Ok(None));
    Arc::clone(&store).forget(7).await;
    assert_eq!(cached(|| store.find(7)).await, Ok(Some(item(7))));
    let _ack = cache.evict_tag(cache_core::key!("shape-store-item:{7}")).await;
    assert_eq!(cached(|| store.find(7)).await, Ok(Some(item(7))));
    assert_eq!(store.loads.count(), 5);
}

#[tokio::test]
async fn methods_of_a_trait_are_cached_for_each_type_that_has_it() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        behaves::<u16>(&cache).await;
        behaves::<u64>(&cache).await;
    }
}
