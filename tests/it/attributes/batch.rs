//! Many keys under one attribute: each an entry like that of the function that finds one, and one body for what is missing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Barrier, Mutex},
};

use async_trait::async_trait;
use cache_core::{Cache, KeyPart, Outcome, cache_evict, cache_put, cacheable, with_cache};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};
use tokio::{sync::Semaphore, time::timeout};

use super::{SOON, alone, told};
use crate::support::node;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Product {
    id: u64,
    category: String,
}

/// Odd ones are pens.
fn product(id: u64) -> Product {
    Product { id, category: if id.is_multiple_of(2) { "books" } else { "pens" }.to_owned() }
}

/// Rows of ids below 1,000 exist.
fn rows<M: FromIterator<(u64, Product)>>(ids: &[u64]) -> M {
    ids.iter().filter(|id| **id < 1_000).map(|id| (*id, product(*id))).collect()
}

/// Not `Clone`: nothing that a body borrows has to be owned.
struct Shop {
    cache: Cache,
    has_redis: bool,
    /// What each body was asked for.
    asked: Mutex<Vec<Vec<u64>>>,
    /// A body waits for a permit.
    gate: Semaphore,
}

#[derive(Debug, PartialEq)]
struct Away;

impl Shop {
    fn over(cache: Cache) -> Self {
        Self { cache, has_redis: false, asked: Mutex::default(), gate: Semaphore::new(Semaphore::MAX_PERMITS) }
    }

    async fn ask(&self, ids: &[u64]) {
        self.asked.lock().unwrap().push(ids.to_vec());
        self.gate.acquire().await.unwrap().forget();
    }

    /// What the bodies were asked for since the last time.
    fn asked(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// A fill of Redis takes a moment; what is in this process only is there at once.
    async fn filled(&self, count: u64) {
        if self.has_redis {
            eventually(SOON, async || self.cache.stats().fills == count).await;
        }
    }

    #[cacheable(key = "many:{id}", tags = ["many-of:{it.category}"])]
    async fn find(&self, id: u64) -> Result<Option<Product>, Away> {
        self.ask(&[id]).await;
        Ok(rows::<HashMap<_, _>>(&[id]).remove(&id))
    }

    #[cacheable(batch(id in ids), key = "many:{id}", tags = ["many-of:{it.category}"])]
    async fn find_many(&self, ids: &[u64]) -> Result<HashMap<u64, Product>, Away> {
        self.ask(ids).await;
        if ids.contains(&666) {
            return Err(Away);
        }
        Ok(rows(ids))
    }

    #[cache_put(key = "many:{product.id}", tags = ["many-of:{it.category}"])]
    async fn save(&self, product: Product) -> Result<Product, Away> {
        if product.id == 0 { Err(Away) } else { Ok(product) }
    }

    #[cache_evict(key = "many:{id}")]
    async fn forget(&self, id: u64) {
        assert!(id > 0);
    }

    #[cache_evict(tags = ["many-of:{category}"])]
    async fn forget_all(&self, category: &str) {
        assert!(!category.is_empty());
    }

    async fn many(&self, ids: &[u64]) -> Vec<u64> {
        let found = self.find_many(ids).await.unwrap();
        assert!(found.iter().all(|(id, row)| *row == product(*id)));
        let mut found: Vec<u64> = found.into_keys().collect();
        found.sort_unstable();
        found
    }
}

/// On a node without Redis, and on one with it.
async fn in_each(test: impl AsyncFn(Shop)) {
    test(Shop::over(alone().await)).await;
    let redis = RedisServer::start().await;
    test(Shop { has_redis: true, ..Shop::over(node(&redis).await) }).await;
}

const NONE: [Vec<u64>; 0] = [];

#[tokio::test]
async fn only_what_is_missing_reaches_the_body_once() {
    in_each(async |shop| {
        assert_eq!(shop.many(&[3, 1, 3, 2, 1]).await, [1, 2, 3]);
        assert_eq!(shop.asked(), [[3, 1, 2]], "each once, in their order");
        shop.filled(3).await;
        assert_eq!(shop.many(&[4, 2, 5, 1]).await, [1, 2, 4, 5]);
        assert_eq!(shop.asked(), [[4, 5]]);
        shop.filled(5).await;
        assert_eq!(shop.many(&[5, 4, 3, 2, 1]).await, [1, 2, 3, 4, 5]);
        assert_eq!(shop.many(&[]).await, [0; 0]);
        assert_eq!(shop.asked(), NONE);
    })
    .await;
}

#[tokio::test]
async fn ids_that_the_map_leaves_out_are_nothing() {
    in_each(async |shop| {
        assert_eq!(shop.many(&[7, 2_000, 3_000]).await, [7]);
        assert_eq!(shop.asked(), [[7, 2_000, 3_000]]);
        shop.filled(3).await;
        assert_eq!(shop.many(&[3_000, 8, 2_000]).await, [8]);
        assert_eq!(shop.asked(), [[8]]);
        assert_eq!(shop.find(2_000).await, Ok(None));
        assert_eq!(shop.asked(), NONE, "one that finds one knows it, too");
    })
    .await;
}

#[tokio::test]
async fn one_and_many_read_what_the_other_stored() {
    in_each(async |shop| {
        shop.find(1).await.unwrap();
        shop.find(5_000).await.unwrap();
        shop.save(product(2)).await.unwrap();
        shop.filled(2).await;
        shop.asked();
        assert_eq!(shop.many(&[1, 2, 3, 5_000]).await, [1, 2, 3]);
        assert_eq!(shop.asked(), [[3]]);
        shop.filled(3).await;
        let (found, outcome) = told(shop.find(3)).await;
        assert!(outcome.is_hit() && found == Ok(Some(product(3))), "{outcome:?}");
    })
    .await;
}

#[tokio::test]
async fn keys_and_tags_of_the_result_evict_elements() {
    in_each(async |shop| {
        shop.many(&[1, 2, 3, 4]).await;
        shop.filled(4).await;
        shop.asked();
        shop.forget(1).await;
        assert_eq!(shop.many(&[1, 2, 3, 4]).await, [1, 2, 3, 4]);
        assert_eq!(shop.asked(), [[1]]);
        shop.filled(5).await;
        shop.forget_all("books").await;
        assert_eq!(shop.many(&[1, 2, 3, 4]).await, [1, 2, 3, 4]);
        assert_eq!(shop.asked(), [[2, 4]]);
    })
    .await;
}

#[tokio::test]
async fn bodies_of_one_and_of_many_are_shared() {
    in_each(async |mut shop| {
        shop.gate = Semaphore::new(0);
        let opened = async {
            eventually(SOON, async || shop.asked.lock().unwrap().len() == 2).await;
            shop.gate.add_permits(Semaphore::MAX_PERMITS);
        };
        // In this order: each finds the body of the one before it under way.
        let (one, many, other, ()) = tokio::join!(shop.find(1), shop.many(&[1, 2]), shop.find(2), opened);
        assert_eq!((one, many, other), (Ok(Some(product(1))), vec![1, 2], Ok(Some(product(2)))));
        assert_eq!(shop.asked(), [[1], [2]]);
    })
    .await;
}

#[tokio::test]
async fn an_error_is_that_of_the_call_and_nothing_is_kept() {
    in_each(async |shop| {
        assert_eq!(shop.find_many(&[1, 666]).await, Err(Away));
        assert_eq!(shop.many(&[1]).await, [1]);
        assert_eq!(shop.asked(), [vec![1, 666], vec![1]]);
    })
    .await;
}

#[tokio::test]
async fn who_waits_takes_over_when_the_caller_goes_away() {
    in_each(async |mut shop| {
        shop.gate = Semaphore::new(0);
        let mut first = Box::pin(shop.find_many(&[1, 2]));
        let reached = eventually(SOON, async || shop.asked.lock().unwrap().len() == 1);
        tokio::select! {
            _ = &mut first => panic!("the gate is closed"),
            () = reached => {}
        }
        let second = async {
            let found = shop.many(&[2, 3]).await;
            assert_eq!(found, [2, 3]);
        };
        let gone = async {
            eventually(SOON, async || shop.asked.lock().unwrap().len() == 2).await;
            drop(first);
            shop.gate.add_permits(Semaphore::MAX_PERMITS);
        };
        tokio::join!(second, gone);
        assert_eq!(shop.asked(), [vec![1, 2], vec![3], vec![2]]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_that_take_over_from_another_node_do_not_wait_for_each_other() {
    let redis = RedisServer::start().await;
    let gone = Shop { gate: Semaphore::new(0), ..Shop::over(node(&redis).await) };
    let shop = Arc::new(Shop::over(node(&redis).await));
    for round in 10..30 {
        let ids: Vec<u64> = (round * 300..(round + 1) * 300).collect();
        let mut leads = Box::pin(gone.find_many(&ids));
        let reached = eventually(SOON, async || !gone.asked().is_empty());
        tokio::select! {
            _ = &mut leads => panic!("the gate is closed"),
            () = reached => {}
        }
        // From both ends at once: each leads ids that the other one waits for.
        let together = Arc::new(Barrier::new(2));
        let awaited = shop.cache.stats().leases_awaited;
        let batches = [ids.clone(), ids.iter().rev().copied().collect()].map(|ids| {
            let (shop, together) = (Arc::clone(&shop), Arc::clone(&together));
            tokio::spawn(async move {
                together.wait();
                shop.many(&ids).await
            })
        });
        eventually(SOON, async || shop.cache.stats().leases_awaited > awaited).await;
        drop(leads);
        for batch in batches {
            assert_eq!(timeout(SOON, batch).await.expect("neither stands still").unwrap(), [0; 0], "there are none");
        }
    }
}

// === other forms ===

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, KeyPart)]
struct Place {
    shelf: u8,
    name: String,
}

impl Shop {
    #[cacheable(
        batch(place in places),
        key = "place:{self.floor()}:{lang}:{place}",
        skip(trace),
        tags = ["shelf:{place.shelf}", "label:{lang}:{it.len()}:{place.shelf}"],
        unless = it.is_empty(),
        when = lang != "none",
        ttl = "10m",
        l1 = "1m",
        negative = "5s",
        fail_safe = "1h",
        ttl_with = |label| std::time::Duration::from_secs(label.len() as u64 + 100),
        rev = 2,
        cache = self.cache
    )]
    async fn labels(&self, lang: String, mut places: Vec<Place>, trace: &str) -> BTreeMap<Place, String> {
        assert_eq!(trace.len(), 1);
        self.ask(&places.iter().map(|place| u64::from(place.shelf)).collect::<Vec<_>>()).await;
        places.retain(|place| place.shelf < 10);
        let label =
            |place: &Place| if place.name.is_empty() { String::new() } else { format!("{lang}-{}", place.name) };
        places.into_iter().map(|place| (place.clone(), label(&place))).collect()
    }

    fn floor(&self) -> u8 {
        1
    }
}

fn place(shelf: u8) -> Place {
    Place { shelf, name: "x".repeat(usize::from(shelf)) }
}

#[tokio::test]
async fn options_hold_for_each_element() {
    in_each(async |shop| {
        let labels = async |lang: &str, shelves: &[u8], trace: &str| {
            let places = shelves.iter().copied().map(place).collect();
            let found = shop.labels(lang.to_owned(), places, trace).await;
            found.into_iter().map(|(place, label)| (place.shelf, label)).collect::<Vec<_>>()
        };
        let label = |shelf: u8| (shelf, format!("en-{}", "x".repeat(usize::from(shelf))));
        let all = [(0, String::new()), label(1), label(2)];
        assert_eq!(labels("en", &[2, 1, 0, 20], "a").await, all);
        shop.filled(3).await;
        assert_eq!(labels("en", &[0, 1, 2, 20], "b").await, all);
        assert_eq!(shop.asked(), [vec![2, 1, 0, 20], vec![0]], "an empty label is not kept");
        assert_eq!(labels("de", &[1], "a").await.len(), 1);
        assert_eq!(shop.asked(), [[1]]);
        shop.filled(4).await;
        let _evicted = shop.cache.evict_tag(cache_core::Key::new("shelf").arg(1_u64)).await;
        assert_eq!(labels("en", &[1, 2], "a").await, all[1..]);
        let _evicted = shop.cache.evict_tag(cache_core::Key::new("label").arg("en").arg(5_u64).arg(2_u64)).await;
        assert_eq!(labels("en", &[1, 2], "a").await, all[1..]);
        assert_eq!(shop.asked(), [[1], [2]]);
    })
    .await;
}

#[tokio::test]
async fn a_batch_without_a_cache_runs_the_body_with_all_ids() {
    let shop = Shop::over(alone().await);
    for _ in 0..2 {
        let places = vec![place(1), place(2), place(1)];
        assert_eq!(shop.labels("none".to_owned(), places, "a").await.len(), 2);
        assert_eq!(shop.asked(), [[1, 2, 1]], "`when` said no");
    }
    let asked = Mutex::default();
    for _ in 0..2 {
        let (found, outcome) = told(squares(&[2, 3], &asked)).await;
        assert_eq!(found, HashMap::from([(2, 4), (3, 9)]));
        assert_eq!(outcome, Outcome::Bypass(cache_core::Bypass::NotInstalled));
    }
    assert_eq!(*asked.lock().unwrap(), [[2, 3], [2, 3]]);
}

#[cacheable(batch(n in numbers), key = "square:{n}", skip(asked))]
async fn squares<'a>(numbers: &'a [u64], asked: &'a Mutex<Vec<Vec<u64>>>) -> HashMap<u64, u64> {
    asked.lock().unwrap().push(numbers.to_vec());
    numbers.iter().map(|n| (*n, n * n)).collect()
}

#[tokio::test]
async fn the_installed_cache_answers_a_function_of_its_own() {
    let (cache, asked) = (alone().await, Mutex::default());
    with_cache(cache.clone(), squares(&[2, 3], &asked)).await;
    assert_eq!(with_cache(cache, squares(&[3, 4], &asked)).await, HashMap::from([(3, 9), (4, 16)]));
    assert_eq!(*asked.lock().unwrap(), [vec![2, 3], vec![4]]);
}

trait Names {
    #[allow(clippy::ptr_arg, reason = "a form that people write")]
    fn names(&self, ids: &Vec<u64>) -> impl Future<Output = Result<BTreeMap<u64, String>, Away>> + Send;
}

impl Names for Shop {
    #[cacheable(batch(id in ids), key = "name:{id}")]
    async fn names(&self, ids: &Vec<u64>) -> Result<BTreeMap<u64, String>, Away> {
        self.ask(ids).await;
        Ok(ids.iter().map(|id| (*id, id.to_string())).collect())
    }
}

#[async_trait]
trait Boxed {
    async fn lines(&self, suffix: String, ids: Vec<u64>) -> HashMap<u64, String>;
}

#[async_trait]
impl Boxed for Shop {
    #[cacheable(batch(id in ids), key = "line:{suffix}:{id}")]
    async fn lines(&self, suffix: String, ids: Vec<u64>) -> HashMap<u64, String> {
        self.ask(&ids).await;
        ids.into_iter().map(|id| (id, format!("{id}{suffix}"))).collect()
    }
}

#[tokio::test]
async fn implementations_of_traits_are_cached_in_tasks() {
    let shop = Arc::new(Shop::over(alone().await));
    for ids in [vec![1, 2], vec![2, 3]] {
        let shop = Arc::clone(&shop);
        let calls = async move { (shop.names(&ids).await, shop.lines("!".to_owned(), ids).await) };
        let (names, lines) = tokio::spawn(calls).await.unwrap();
        assert_eq!((names.unwrap().len(), lines.len()), (2, 2));
        assert_eq!(lines[&2], "2!");
    }
    assert_eq!(shop.asked(), [vec![1, 2], vec![1, 2], vec![3], vec![3]]);
}

#[cacheable(batch(id in ids), key = "generic:{id}:{T}", skip(cache), cache = cache)]
async fn generic<I, T>(cache: &Cache, ids: &[I]) -> HashMap<I, T>
where
    I: Clone + Eq + std::hash::Hash + KeyPart,
    T: From<u8> + Clone + Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    ids.iter().map(|id| (id.clone(), T::from(1))).collect()
}

#[tokio::test]
async fn ids_and_values_may_be_parameters() {
    let cache = alone().await;
    assert_eq!(generic::<String, u64>(&cache, &["a".to_owned()]).await["a"], 1);
    assert_eq!(generic::<u8, u32>(&cache, &[7]).await[&7], 1);
}

// === a body that fails ===

/// An error that is `Clone`.
#[derive(Clone, Debug, PartialEq)]
struct Busy(Vec<u64>);

/// One that is not.
#[derive(Debug, PartialEq)]
struct Broken(Vec<u64>);

impl Shop {
    /// An error that says which ids it was asked for, if one of them fails.
    async fn try_ask(&self, ids: &[u64]) -> Result<HashMap<u64, Product>, Vec<u64>> {
        self.ask(ids).await;
        if ids.iter().any(|id| id % 10 == 6) { Err(ids.to_vec()) } else { Ok(rows(ids)) }
    }

    #[cacheable(key = "cloned:{id}", inline)]
    async fn cloned(&self, id: u64) -> Result<Option<Product>, Busy> {
        self.try_ask(&[id]).await.map(|mut found| found.remove(&id)).map_err(Busy)
    }

    #[cacheable(batch(id in ids), key = "cloned:{id}")]
    async fn cloned_many(&self, ids: &[u64]) -> Result<HashMap<u64, Product>, Busy> {
        self.try_ask(ids).await.map_err(Busy)
    }

    #[cacheable(key = "copied:{id}", share_err = |error| Broken(error.0.clone()))]
    async fn copied(&self, id: u64) -> Result<Option<Product>, Broken> {
        self.try_ask(&[id]).await.map(|mut found| found.remove(&id)).map_err(Broken)
    }

    #[cacheable(batch(id in ids), key = "copied:{id}", share_err = |error| Broken(error.0.clone()))]
    async fn copied_many(&self, ids: &[u64]) -> Result<HashMap<u64, Product>, Broken> {
        self.try_ask(ids).await.map_err(Broken)
    }

    #[cacheable(key = "single:{id}")]
    async fn single(&self, id: u64) -> Result<Option<Product>, Broken> {
        self.try_ask(&[id]).await.map(|mut found| found.remove(&id)).map_err(Broken)
    }

    #[cacheable(batch(id in ids), key = "single:{id}")]
    async fn single_many(&self, ids: &[u64]) -> Result<HashMap<u64, Product>, Broken> {
        self.try_ask(ids).await.map_err(Broken)
    }

    /// Lets so many bodies end, from when as many as that are under way.
    async fn open(&self, under_way: usize, ending: usize) {
        eventually(SOON, async || self.asked.lock().unwrap().len() == under_way).await;
        self.gate.add_permits(ending);
    }
}

/// A body too many waits at the gate for ever.
async fn within<F: Future>(calls: F) -> F::Output {
    timeout(SOON, calls).await.expect("no body is left at the gate")
}

/// Sorted, since bodies that run side by side begin in any order.
fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort_unstable();
    all
}

#[tokio::test]
async fn an_error_that_is_clone_is_shared_by_all_who_waited_for_one_of_the_ids() {
    in_each(async |mut shop| {
        shop.gate = Semaphore::new(0);
        let calls = async {
            tokio::join!(
                shop.cloned_many(&[1, 6]),
                told(shop.cloned(1)),
                told(shop.cloned_many(&[6, 1])),
                shop.cloned_many(&[2, 1]),
                shop.open(2, 2),
            )
        };
        let (many, one, other, rest, ()) = within(calls).await;
        let error = Busy(vec![1, 6]);
        assert_eq!(many, Err(error.clone()));
        assert_eq!(one, (Err(error.clone()), Outcome::Joined));
        assert_eq!(other, (Err(error.clone()), Outcome::Joined));
        assert_eq!(rest, Err(error));
        assert_eq!(sorted(shop.asked()), [vec![1, 6], vec![2]]);
        shop.gate.add_permits(1);
        assert_eq!(shop.cloned_many(&[1, 2]).await.unwrap().len(), 2);
        assert_eq!(shop.asked(), [[1]], "the error is not kept; what another body found is");
    })
    .await;
}

#[tokio::test]
async fn an_error_with_share_err_is_shared_by_all_who_waited_for_one_of_the_ids() {
    in_each(async |mut shop| {
        shop.gate = Semaphore::new(0);
        let calls = async {
            tokio::join!(
                shop.copied_many(&[1, 6]),
                told(shop.copied(1)),
                told(shop.copied_many(&[6, 1])),
                shop.open(1, 1),
            )
        };
        let (many, one, other, ()) = within(calls).await;
        let error = || Broken(vec![1, 6]);
        assert_eq!(many, Err(error()));
        assert_eq!(one, (Err(error()), Outcome::Joined));
        assert_eq!(other, (Err(error()), Outcome::Joined));
        assert_eq!(shop.asked(), [[1, 6]]);
    })
    .await;
}

#[tokio::test]
async fn an_error_of_one_reaches_the_batch_that_waits_at_once() {
    in_each(async |mut shop| {
        shop.gate = Semaphore::new(0);
        let (fails, ends) = (shop.cloned(6), shop.cloned(1));
        let batch = async {
            let found = within(shop.cloned_many(&[1, 6])).await;
            assert_eq!(found, Err(Busy(vec![6])));
            shop.gate.add_permits(1);
        };
        let (fails, ends, (), ()) = tokio::join!(fails, ends, batch, shop.open(2, 1));
        assert_eq!((fails, ends), (Err(Busy(vec![6])), Ok(Some(product(1)))));
        assert_eq!(sorted(shop.asked()), [[1], [6]]);
    })
    .await;
}

#[tokio::test]
async fn an_error_that_cannot_be_shared_lets_all_who_waited_load_side_by_side() {
    in_each(async |mut shop| {
        shop.gate = Semaphore::new(0);
        let opened = async {
            shop.open(2, 2).await;
            // None of those who waited ends before all of them have begun.
            shop.open(6, 4).await;
        };
        let calls = async {
            tokio::join!(
                shop.single_many(&[1, 6]),
                shop.single(1),
                shop.single_many(&[6, 1]),
                shop.single_many(&[6, 2]),
                shop.single_many(&[1]),
                opened
            )
        };
        let (many, one, first, second, third, ()) = within(calls).await;
        assert_eq!(many, Err(Broken(vec![1, 6])));
        assert_eq!(one, Ok(Some(product(1))));
        assert_eq!(first, Err(Broken(vec![6, 1])), "one body for all ids that it waited for");
        assert_eq!(second, Err(Broken(vec![6])));
        assert_eq!(third, Ok(rows(&[1])));
        let bodies = [vec![1], vec![1], vec![1, 6], vec![2], vec![6], vec![6, 1]];
        assert_eq!(sorted(shop.asked()), bodies);
    })
    .await;
}
