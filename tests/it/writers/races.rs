//! Two at one row, in every order of what they do: when all is quiet, nothing older than the last commit is in L1 or L2 of any
//! node.
//!
//! Each of the two takes three steps. A writer begins (what it captures, it has captured), commits, and ends; a load begins,
//! reads the row, and ends. All twenty orders of their steps are gone through, with both on one node and on two.

use std::{sync::Arc, time::Duration};

use cache_core::{Cache, Key, cache_evict, cache_put, cacheable};
use tests::fixtures::{RedisServer, eventually};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::support::{Origin, Product, node, product};

const SOON: Duration = Duration::from_secs(20);

type Row = Result<Product, std::convert::Infallible>;

#[derive(Clone)]
struct Shop {
    cache: Cache,
    origin: Origin,
}

impl Shop {
    fn on(cache: Cache) -> Self {
        Self { cache, origin: Origin::default() }
    }
}

impl Shop {
    #[cacheable(key = "raced:{id}", tags = ["raced-category:{it.category}"], skip(steps))]
    async fn find(&self, id: u64, steps: Steps) -> Row {
        steps.next().await;
        let row = self.origin.clone().read(id).await;
        steps.next().await;
        row
    }

    #[cache_put(key = "raced:{id}", tags = ["raced-category:{it.category}"])]
    async fn save(&self, id: u64, revision: u64, steps: Steps) -> Row {
        self.commit(id, revision, steps).await
    }

    /// The row's version is that of its commit.
    #[cache_put(key = "raced:{id}", tags = ["raced-category:{it.category}"], version = it.revision)]
    async fn save_versioned(&self, id: u64, steps: Steps) -> Row {
        steps.next().await;
        let before = self.origin.revision.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        steps.next().await;
        Ok(product(id, before + 1))
    }

    #[cache_evict(key = "raced:{id}")]
    async fn delete(&self, id: u64, revision: u64, steps: Steps) -> Row {
        self.commit(id, revision, steps).await
    }

    #[cache_evict(tags = ["raced-category:{it.category}"])]
    async fn discount(&self, id: u64, revision: u64, steps: Steps) -> Row {
        self.commit(id, revision, steps).await
    }

    #[cache_evict(tags = ["raced-category:{category}"])]
    async fn discount_known(&self, category: &str, id: u64, revision: u64, steps: Steps) -> Row {
        assert_eq!(product(id, revision).category, category);
        self.commit(id, revision, steps).await
    }

    async fn commit(&self, id: u64, revision: u64, steps: Steps) -> Row {
        steps.next().await;
        self.origin.write(revision);
        steps.next().await;
        Ok(product(id, revision))
    }

    async fn cached(&self, id: u64) -> Option<u64> {
        self.cache.get::<Product>(&Key::new("raced").arg(id)).await.map(|found| found.revision)
    }

    async fn read(&self, id: u64) -> u64 {
        let Ok(row) = self.find(id, Steps::free()).await;
        row.revision
    }

    /// Nothing is on its way to Redis any more.
    async fn quiet(&self) {
        eventually(SOON, || async {
            let stats = self.cache.stats();
            let ended = stats.fills + stats.fills_refused + stats.fills_dropped + stats.bypassed();
            ended >= stats.loads || self.cache.redis_key(&Key::new("raced").arg(0_u64)).is_none()
        })
        .await;
    }
}

// === the steps ===

/// Lets somebody go on step by step.
#[derive(Clone)]
struct Steps {
    allowed: Arc<Semaphore>,
    reached: watch::Sender<usize>,
}

impl Steps {
    fn new() -> Self {
        Self { allowed: Arc::new(Semaphore::new(0)), reached: watch::Sender::new(0) }
    }

    fn free() -> Self {
        let steps = Self::new();
        steps.allowed.add_permits(2);
        steps
    }

    async fn next(&self) {
        self.reached.send_modify(|reached| *reached += 1);
        self.allowed.acquire().await.unwrap().forget();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Load,
    Put,
    /// With the version of its row.
    PutVersioned,
    Evict,
    /// Of the tag of the row, as it was returned.
    EvictTag,
    EvictKnownTag,
}

/// Somebody on a node.
struct Actor {
    act: Act,
    shop: Shop,
    steps: Steps,
    taken: usize,
    task: Option<JoinHandle<u64>>,
    /// What it returned.
    answer: Option<u64>,
}

impl Actor {
    fn new(act: Act, shop: &Shop) -> Self {
        Self { act, shop: shop.clone(), steps: Steps::new(), taken: 0, task: None, answer: None }
    }

    fn start(&mut self, id: u64, revision: u64) {
        let (act, shop, steps) = (self.act, self.shop.clone(), self.steps.clone());
        self.task = Some(tokio::spawn(async move {
            let Ok(row) = match act {
                Act::Load => shop.find(id, steps).await,
                Act::Put => shop.save(id, revision, steps).await,
                Act::PutVersioned => shop.save_versioned(id, steps).await,
                Act::Evict => shop.delete(id, revision, steps).await,
                Act::EvictTag => shop.discount(id, revision, steps).await,
                Act::EvictKnownTag => shop.discount_known("books", id, revision, steps).await,
            };
            row.revision
        }));
    }

    /// Takes the next step, and returns when it is taken. A load that finds something is at its end with the first.
    async fn step(&mut self, id: u64, revision: u64) {
        if self.taken == 0 {
            self.start(id, revision);
        } else {
            self.steps.allowed.add_permits(1);
        }
        self.taken += 1;
        let Some(task) = &mut self.task else { return };
        let mut reached = self.steps.reached.subscribe();
        let taken = self.taken;
        tokio::select! {
            biased;
            answer = &mut *task => {
                self.answer = Some(answer.unwrap());
                self.task = None;
            }
            _ = reached.wait_for(|reached| *reached >= taken), if taken < 3 => {}
        }
    }
}

/// Every order of three steps of each of two: which of them takes the next one.
fn orders() -> Vec<Vec<usize>> {
    let all = (0_u32..64).filter(|bits| bits.count_ones() == 3);
    all.map(|bits| (0..6).map(|at| (bits >> at & 1) as usize).collect()).collect()
}

#[test]
fn orders_are_all_there_are() {
    let orders = orders();
    assert_eq!(orders.len(), 20);
    assert!(orders.contains(&vec![0, 0, 0, 1, 1, 1]) && orders.contains(&vec![1, 0, 1, 0, 1, 0]));
}

// === the races ===

/// Where the two are, and who else looks.
struct Place {
    name: &'static str,
    first: Shop,
    second: Shop,
    all: Vec<Shop>,
}

async fn places(redis: &RedisServer) -> Vec<Place> {
    let origin = Origin::default();
    let shop = |cache| Shop { cache, origin: origin.clone() };
    // The third one looks on: of what is raced for it has nothing in L1.
    let [a, b, c, alone] = [node(redis).await, node(redis).await, node(redis).await, Cache::in_memory()].map(shop);
    let all = || vec![c.clone(), a.clone(), b.clone()];
    vec![
        Place { name: "two nodes", first: a.clone(), second: b.clone(), all: all() },
        Place { name: "one node", first: a.clone(), second: a.clone(), all: all() },
        Place { name: "without Redis", first: alone.clone(), second: alone.clone(), all: vec![alone] },
    ]
}

/// Goes through every order. Answers in how many of them the row was cached right after the last step.
async fn race(first: Act, second: Act) -> Vec<usize> {
    let redis = RedisServer::start().await;
    let mut kept = Vec::new();
    let mut id = 0;
    for place in places(&redis).await {
        let mut kept_here = 0;
        for order in orders() {
            id += 1;
            let what = format!("{first:?} against {second:?}, {}, {order:?}", place.name);
            kept_here += usize::from(run(&place, [first, second], &order, id, &what).await);
        }
        kept.push(kept_here);
    }
    kept
}

async fn run(place: &Place, acts: [Act; 2], order: &[usize], id: u64, what: &str) -> bool {
    let origin = &place.first.origin;
    let old = id * 3;
    origin.write(old);
    if !acts.contains(&Act::Load) {
        for shop in &place.all[place.all.len().saturating_sub(2)..] {
            assert_eq!(shop.read(id).await, old);
            shop.quiet().await;
        }
    }
    let mut actors = [Actor::new(acts[0], &place.first), Actor::new(acts[1], &place.second)];
    for &who in order {
        // It is the order of commits that says which row is the newer one.
        let revision = old + 1 + who as u64;
        actors[who].step(id, revision).await;
    }
    let newest = origin.revision.load(std::sync::atomic::Ordering::SeqCst);
    assert_ne!(newest, old, "somebody has written");
    check_answers(&actors, order, newest, place.name != "two nodes", what);

    for shop in &place.all {
        shop.quiet().await;
    }
    // The one that looks on has nothing in L1: this is L2, or L1 where there is no other. A tag's new generation takes a
    // moment to get there.
    let looker = &place.all[0];
    if acts.iter().any(|act| matches!(act, Act::EvictTag | Act::EvictKnownTag)) && place.all.len() > 1 {
        eventually(SOON, || async { looker.cached(id).await.is_none_or(|revision| revision == newest) }).await;
    }
    let kept = looker.cached(id).await;
    assert!(kept.is_none_or(|revision| revision == newest), "{what}: left {kept:?} behind, the row is {newest}");
    for shop in &place.all {
        eventually(SOON, || async { shop.read(id).await == newest }).await;
        shop.quiet().await;
    }
    for shop in &place.all {
        let cached = shop.cached(id).await;
        assert!(cached.is_none_or(|revision| revision == newest), "{what}: {cached:?} came back, the row is {newest}");
    }
    kept.is_some()
}

/// Who asks after the writer of this node has returned is told of what it wrote.
fn check_answers(actors: &[Actor; 2], order: &[usize], newest: u64, together: bool, what: &str) {
    for (who, actor) in actors.iter().enumerate() {
        assert!(actor.answer.is_some(), "{what}: {:?} has not come to its end", actor.act);
        let writer_first = order[..3].iter().all(|other| *other != who);
        if actor.act == Act::Load && writer_first && together {
            assert_eq!(actor.answer, Some(newest), "{what}");
        }
    }
}

#[tokio::test]
async fn put_against_put_leaves_only_the_newer_row() {
    let kept = race(Act::Put, Act::Put).await;
    // One after the other, either way: the later one is what is cached.
    assert!(kept.iter().all(|kept| *kept >= 2), "{kept:?}");
}

#[tokio::test]
async fn versioned_put_against_versioned_put_leaves_the_newer_row_in_every_order() {
    let kept = race(Act::PutVersioned, Act::PutVersioned).await;
    assert_eq!(kept, [orders().len(); 3]);
}

#[tokio::test]
async fn versioned_put_against_others_leaves_no_older_row() {
    for other in [Act::Put, Act::Evict, Act::EvictTag, Act::EvictKnownTag] {
        race(Act::PutVersioned, other).await;
    }
}

#[tokio::test]
async fn load_against_versioned_put_leaves_no_older_row() {
    let kept = race(Act::Load, Act::PutVersioned).await;
    assert!(kept.iter().all(|kept| *kept >= 1), "a put that nothing disturbs is cached: {kept:?}");
}

#[tokio::test]
async fn put_against_evict_leaves_no_older_row() {
    let kept = race(Act::Put, Act::Evict).await;
    assert!(kept.iter().all(|kept| *kept >= 1), "a put after the eviction is cached: {kept:?}");
}

#[tokio::test]
async fn put_against_evict_of_the_tag_of_its_result_leaves_no_older_row() {
    race(Act::Put, Act::EvictTag).await;
}

#[tokio::test]
async fn put_against_evict_of_its_tag_leaves_no_older_row() {
    race(Act::Put, Act::EvictKnownTag).await;
}

#[tokio::test]
async fn load_against_put_leaves_no_older_row() {
    let kept = race(Act::Load, Act::Put).await;
    assert!(kept.iter().all(|kept| *kept >= 1), "a put that nothing disturbs is cached: {kept:?}");
}

#[tokio::test]
async fn load_against_evict_leaves_no_older_row() {
    let kept = race(Act::Load, Act::Evict).await;
    assert!(kept.iter().all(|kept| *kept >= 1), "a load after the eviction is cached: {kept:?}");
}

#[tokio::test]
async fn load_against_evict_of_the_tag_of_its_result_leaves_no_older_row() {
    race(Act::Load, Act::EvictTag).await;
}

#[tokio::test]
async fn load_against_evict_of_its_tag_leaves_no_older_row() {
    race(Act::Load, Act::EvictKnownTag).await;
}

// === who comes after ===

/// How what is loaded at this moment is made older.
#[derive(Clone, Copy, Debug)]
enum Change {
    Act(Act),
    Tag,
    Scope,
    Clear,
    Put,
}

impl Change {
    const ALL: [Self; 8] = [
        Self::Act(Act::Put),
        Self::Act(Act::Evict),
        Self::Act(Act::EvictTag),
        Self::Act(Act::EvictKnownTag),
        Self::Tag,
        Self::Scope,
        Self::Clear,
        Self::Put,
    ];

    async fn make(self, shop: &Shop, id: u64, revision: u64) {
        let free = Steps::free();
        shop.origin.write(revision);
        match self {
            Self::Act(Act::Put) => drop(shop.save(id, revision, free).await),
            Self::Act(Act::Evict) => drop(shop.delete(id, revision, free).await),
            Self::Act(Act::EvictTag) => drop(shop.discount(id, revision, free).await),
            Self::Act(_) => drop(shop.discount_known("books", id, revision, free).await),
            Self::Tag => assert!(shop.cache.evict_tag(Key::new("raced-category").arg("books")).await.is_applied()),
            Self::Scope => assert!(shop.cache.evict_scope("raced").await.is_applied()),
            Self::Clear => assert!(shop.cache.clear().await.is_applied()),
            Self::Put => {
                let request = shop.cache.entry(cache_core::key!("raced:{id}"));
                let tag = Key::new("raced-category").arg("books");
                assert!(request.tag(tag).put(product(id, revision)).await.is_applied());
            }
        }
    }
}

/// A reader who comes when the writer of this node has returned is told of the new row, though a load of the old one is under
/// way that it could wait for.
#[tokio::test]
async fn reader_after_a_change_is_not_answered_by_a_load_from_before_it() {
    let redis = RedisServer::start().await;
    for shop in [Shop::on(node(&redis).await), Shop::on(Cache::in_memory())] {
        for (id, change) in (1..).zip(Change::ALL) {
            let (old, new) = (id * 2, id * 2 + 1);
            shop.origin.write(old);
            let mut load = Actor::new(Act::Load, &shop);
            load.step(id, old).await;
            load.step(id, old).await;
            change.make(&shop, id, new).await;
            let reader = tokio::spawn({
                let shop = shop.clone();
                async move { shop.read(id).await }
            });
            // It may wait for the load, which has read the old row, if only the result can say whether that counts.
            load.step(id, old).await;
            assert_eq!(load.answer, Some(old), "{change:?}: who asked before is told of what was read");
            assert_eq!(reader.await.unwrap(), new, "{change:?}");
            assert_eq!(shop.read(id).await, new, "{change:?}");
        }
    }
}
