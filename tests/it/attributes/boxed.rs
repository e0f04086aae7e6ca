//! Methods under `#[async_trait]`, and functions that return boxed futures: as cached as an `async fn`.

use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use cache_core::{Cache, KeyPart, Outcome, Tier, cache_evict, cache_put, cacheable, with_cache};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};
use tokio::sync::Semaphore;

use super::{Loads, SOON, alone, hit, told};
use crate::support::node;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Product {
    id: u64,
    category: String,
}

fn product(id: u64, category: &str) -> Product {
    Product { id, category: category.to_owned() }
}

#[derive(Clone, KeyPart)]
struct Page {
    number: u32,
    size: u32,
}

#[async_trait]
trait Catalogue: Send + Sync {
    async fn find(&self, id: u64) -> Result<Option<Product>, String>;
    async fn page(&self, Page { number, size }: Page) -> Vec<u64>;
    async fn save(&self, product: Product) -> Result<Product, String>;
    async fn forget(&self, category: &str);
}

/// Can be cloned: its bodies run in tasks of their own.
#[derive(Clone)]
struct Shop {
    cache: Cache,
    loads: Loads,
    /// A load waits for a permit.
    gate: Arc<Semaphore>,
}

impl Shop {
    fn over(cache: Cache) -> Self {
        Self { cache, loads: Loads::default(), gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) }
    }
}

#[async_trait]
impl Catalogue for Shop {
    #[cacheable(key = "boxed:{id}", tags = ["boxed-of:{it.category}"])]
    async fn find(&self, id: u64) -> Result<Option<Product>, String> {
        self.loads.one();
        self.gate.acquire().await.map_err(|error| error.to_string())?.forget();
        if id == 0 {
            return Err("there is no number 0".to_owned());
        }
        Ok((id < 100).then(|| product(id, "books")))
    }

    #[cacheable(key = "boxed-page:{number}:{size}")]
    async fn page(&self, Page { number, size }: Page) -> Vec<u64> {
        self.loads.one();
        (0..u64::from(size)).map(|n| n + u64::from(number * size)).collect()
    }

    #[cache_put(key = "boxed:{product.id}", tags = ["boxed-of:{it.category}"])]
    async fn save(&self, product: Product) -> Result<Product, String> {
        if product.id == 0 { Err("there is no number 0".to_owned()) } else { Ok(product) }
    }

    #[cache_evict(tags = ["boxed-of:{category}"])]
    async fn forget(&self, category: &str) {
        assert!(!category.is_empty());
    }
}

/// Cannot be cloned: its bodies run in their callers.
struct Single(Shop);

impl Single {
    #[cacheable(key = "boxed:{id}", tags = ["boxed-of:{it.category}"], cache = self.0.cache)]
    fn find(&self, id: u64) -> Pin<Box<dyn Future<Output = Result<Option<Product>, String>> + Send + '_>> {
        self.0.loads.one();
        Box::pin(async move { Ok((id < 100).then(|| product(id, "music"))) })
    }
}

#[cacheable(key = "boxed-free:{id}", skip(loads))]
fn free(loads: Loads, id: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move { id + loads.one() })
}

#[tokio::test]
async fn methods_under_async_trait_are_cached_put_and_evicted() {
    let redis = RedisServer::start().await;
    for (cache, other) in [(node(&redis).await, node(&redis).await), (alone().await, alone().await)] {
        let is_alone = other.redis_key(&cache_core::key!("boxed:{7}")).is_none();
        let shop = Shop::over(cache);
        let other = if is_alone { shop.clone() } else { Shop { cache: other, ..shop.clone() } };
        let (shop, other): (&dyn Catalogue, &dyn Catalogue) = (&shop, &other);
        assert_eq!(told(shop.find(7)).await, (Ok(Some(product(7, "books"))), Outcome::Loaded));
        assert_eq!(hit(|| shop.find(7)).await, Ok(Some(product(7, "books"))));
        assert_eq!(told(shop.find(200)).await, (Ok(None), Outcome::Loaded));
        assert_eq!(hit(|| shop.find(200)).await, Ok(None));
        assert_eq!(told(shop.find(0)).await.1, Outcome::Loaded);
        assert_eq!(told(shop.find(0)).await.1, Outcome::Loaded, "an error is not kept");

        shop.save(product(7, "films")).await.unwrap();
        assert_eq!(hit(|| shop.find(7)).await, Ok(Some(product(7, "films"))));
        eventually(SOON, || async { other.find(7).await == Ok(Some(product(7, "films"))) }).await;
        other.forget("films").await;
        eventually(SOON, || async { shop.find(7).await == Ok(Some(product(7, "books"))) }).await;
        shop.save(product(0, "films")).await.unwrap_err();
    }
}

#[tokio::test]
async fn arguments_that_are_taken_apart_are_keys() {
    let shop = Shop::over(alone().await);
    let page = |number, size| Page { number, size };
    assert_eq!(told(shop.page(page(1, 2))).await, (vec![2, 3], Outcome::Loaded));
    assert_eq!(told(shop.page(page(2, 1))).await, (vec![2], Outcome::Loaded));
    assert_eq!(told(shop.page(page(1, 2))).await, (vec![2, 3], Outcome::Hit(Tier::Local)));
    assert_eq!(shop.loads.count(), 2);
}

#[tokio::test]
async fn load_of_a_caller_that_goes_away_ends_where_all_can_be_owned() {
    let shop = Shop { gate: Arc::new(Semaphore::new(0)), ..Shop::over(alone().await) };
    let mut call = shop.find(7);
    eventually(SOON, async || {
        // Polled, so that it gets as far as the gate, and never awaited.
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        shop.loads.count() == 1
    })
    .await;
    drop(call);
    shop.gate.add_permits(1);
    assert_eq!(hit(|| shop.find(7)).await, Ok(Some(product(7, "books"))));
    assert_eq!(shop.loads.count(), 1);
}

#[tokio::test]
async fn callers_of_a_boxed_future_share_one_load() {
    let shop = Shop { gate: Arc::new(Semaphore::new(0)), ..Shop::over(alone().await) };
    let callers: Vec<_> =
        (0..20).map(|_| shop.clone()).map(|shop| tokio::spawn(async move { shop.find(7).await })).collect();
    eventually(SOON, || async { shop.loads.count() == 1 }).await;
    shop.gate.add_permits(1);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(Some(product(7, "books"))));
    }
    assert_eq!(shop.loads.count(), 1);
}

#[tokio::test]
async fn functions_by_hand_are_cached_and_their_first_part_runs_only_for_a_load() {
    let shop = Shop::over(alone().await);
    let single = Single(shop.clone());
    assert_eq!(told(single.find(7)).await, (Ok(Some(product(7, "music"))), Outcome::Loaded));
    assert_eq!(hit(|| single.find(7)).await, Ok(Some(product(7, "music"))));
    assert_eq!(shop.loads.count(), 1);
    assert_eq!(hit(|| shop.find(7)).await, Ok(Some(product(7, "music"))), "one template, one entry");

    let loads = Loads::default();
    with_cache(shop.cache.clone(), async {
        assert_eq!(told(free(loads.clone(), 7)).await, (8, Outcome::Loaded));
        assert_eq!(hit(|| free(loads.clone(), 7)).await, 8);
    })
    .await;
}

#[tokio::test]
async fn boxed_future_asks_when_it_is_polled() {
    let shop = Shop::over(alone().await);
    shop.find(7).await.unwrap();
    let made_before = shop.find(7);
    shop.save(product(7, "films")).await.unwrap();
    assert_eq!(made_before.await, Ok(Some(product(7, "films"))));

    let loads = Loads::default();
    // The call is made outside, and runs inside.
    let call = free(loads.clone(), 9);
    assert_eq!(told(with_cache(shop.cache.clone(), call)).await, (10, Outcome::Loaded));
}
