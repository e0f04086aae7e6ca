//! A writer that never comes back: dropped at every point where it waits, or lost to a panic. What its body has committed is
//! not served in its old form: the eviction happens all the same, on this node and on the other.

use std::{future::poll_fn, sync::atomic::Ordering, task::Poll, time::Duration};

use cache_core::{Cache, Outcome, Tier, cache_evict, cache_put, cacheable, observe};
use tests::fixtures::{RedisServer, eventually};
use tokio::task::yield_now;

use crate::support::{Origin, Product, node, product};

const SOON: Duration = Duration::from_secs(20);
const ID: u64 = 7;
/// Where the body of a writer waits.
const AWAITS: usize = 6;
const BOOM: &str = "the connection was lost after the commit";

/// How a body ends after its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Returns,
    Panics,
}

#[derive(Debug)]
struct Refused;

#[derive(Clone)]
struct Shop {
    cache: Cache,
    origin: Origin,
}

impl Shop {
    fn on(cache: Cache, origin: &Origin) -> Self {
        Self { cache, origin: origin.clone() }
    }

    #[cacheable(key = "dropped:{id}", tags = ["dropped-category:{it.category}"])]
    async fn find(&self, id: u64) -> Result<Product, Refused> {
        let Ok(row) = self.origin.clone().read(id).await;
        Ok(row)
    }

    /// The body of every writer: it waits before its commit and after it.
    async fn commit(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        for _ in 0..AWAITS / 2 {
            yield_now().await;
        }
        self.origin.write(revision);
        assert!(end != End::Panics, "{BOOM}");
        for _ in 0..AWAITS / 2 {
            yield_now().await;
        }
        Ok(product(id, revision))
    }

    #[cache_evict(key = "dropped:{id}")]
    async fn evict(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_evict(key = "dropped:{id}", inline)]
    async fn evict_inline(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_evict(key = "dropped:{it.id}", inline)]
    async fn evict_of_the_result(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_evict(tags = ["dropped-category:{it.category}"])]
    async fn evict_tag(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_evict(tags = ["dropped-category:{it.category}"], inline)]
    async fn evict_tag_inline(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_evict(scope = "dropped", inline)]
    async fn evict_scope_inline(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_evict(key = "dropped:{id}", phase = both, inline)]
    async fn evict_both_inline(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    /// What it keeps is for errors that are returned.
    #[cache_evict(key = "dropped:{id}", on_error = keep, inline)]
    async fn evict_keep_inline(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_put(key = "dropped:{id}", tags = ["dropped-category:{it.category}"])]
    async fn put(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_put(key = "dropped:{id}", tags = ["dropped-category:{it.category}"], inline)]
    async fn put_inline(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    /// An insert: only the row says what its key is.
    #[cache_put(key = "dropped:{it.id}", tags = ["dropped-category:{it.category}"], inline)]
    async fn insert_inline(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    #[cache_evict(tags = ["dropped-listing:{it.category}"], inline)]
    #[cache_put(key = "dropped:{id}", tags = ["dropped-category:{it.category}"], inline)]
    async fn put_and_evict_inline(&self, id: u64, revision: u64, end: End) -> Result<Product, Refused> {
        self.commit(id, revision, end).await
    }

    /// What the cache has, if it has it in this process.
    async fn local(&self) -> Option<u64> {
        let (found, seen) = observe(self.find(ID)).await;
        let is_local = seen.last().unwrap().outcome == Outcome::Hit(Tier::Local);
        is_local.then_some(found.unwrap().revision)
    }

    /// `revision` is the row, and every one of `nodes` serves it without asking.
    async fn warm(nodes: &[Self], revision: u64) {
        let first = &nodes[0];
        first.origin.write(revision);
        let _ack = first.cache.clear().await;
        for shop in nodes {
            eventually(SOON, || async { shop.local().await == Some(revision) }).await;
        }
    }

    async fn serves(nodes: &[Self], revision: u64) {
        for shop in nodes {
            eventually(SOON, || async { shop.find(ID).await.unwrap().revision == revision }).await;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    Evict,
    EvictInline,
    EvictOfTheResult,
    EvictTag,
    EvictTagInline,
    EvictScopeInline,
    EvictBothInline,
    EvictKeepInline,
    Put,
    PutInline,
    InsertInline,
    PutAndEvictInline,
}

impl Writer {
    async fn write(self, shop: Shop, revision: u64, end: End) -> Result<Product, Refused> {
        match self {
            Self::Evict => shop.evict(ID, revision, end).await,
            Self::EvictInline => shop.evict_inline(ID, revision, end).await,
            Self::EvictOfTheResult => shop.evict_of_the_result(ID, revision, end).await,
            Self::EvictTag => shop.evict_tag(ID, revision, end).await,
            Self::EvictTagInline => shop.evict_tag_inline(ID, revision, end).await,
            Self::EvictScopeInline => shop.evict_scope_inline(ID, revision, end).await,
            Self::EvictBothInline => shop.evict_both_inline(ID, revision, end).await,
            Self::EvictKeepInline => shop.evict_keep_inline(ID, revision, end).await,
            Self::Put => shop.put(ID, revision, end).await,
            Self::PutInline => shop.put_inline(ID, revision, end).await,
            Self::InsertInline => shop.insert_inline(ID, revision, end).await,
            Self::PutAndEvictInline => shop.put_and_evict_inline(ID, revision, end).await,
        }
    }

    /// Whether the body runs in a task of its own.
    fn is_owned(self) -> bool {
        matches!(self, Self::Evict | Self::EvictTag | Self::Put)
    }
}

/// Polls `future` as often as it asks for it, but `polls` times at most; then drops it.
async fn poll_at_most<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// The nodes of a test: two on one Redis, or one without.
async fn clusters(redis: &RedisServer) -> [Vec<Shop>; 2] {
    let (one, two) = (Origin::default(), Origin::default());
    [
        vec![Shop::on(node(redis).await, &one), Shop::on(node(redis).await, &one)],
        vec![Shop::on(Cache::in_memory(), &two)],
    ]
}

async fn dropped_at_every_await(writer: Writer) {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let (shop, origin) = (&nodes[0], &nodes[0].origin);
        let (mut committed, mut polls) = (0, 0);
        loop {
            let (old, new) = (polls as u64 * 2 + 1, polls as u64 * 2 + 2);
            Shop::warm(&nodes, old).await;
            let done = poll_at_most(writer.write(shop.clone(), new, End::Returns), polls).await.is_some();
            let is_new = || origin.revision.load(Ordering::SeqCst) == new;
            if writer.is_owned() && polls > 0 {
                // Its caller is gone, and it runs on.
                eventually(SOON, || async { is_new() }).await;
            }
            if done {
                assert_eq!(shop.find(ID).await.unwrap().revision, new, "at once, when the writer has returned");
            }
            if is_new() {
                committed += 1;
                Shop::serves(&nodes, new).await;
            } else {
                assert_eq!(shop.find(ID).await.unwrap().revision, old, "nothing was written");
            }
            if done {
                break;
            }
            polls += 1;
        }
        let awaits = if writer.is_owned() { 1 } else { AWAITS };
        assert!(polls > awaits, "{writer:?} was dropped {polls} times");
        assert!(committed > awaits / 2, "{writer:?} was dropped after its commit too");
    }
}

async fn panics_after_its_commit(writer: Writer) {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        Shop::warm(&nodes, 1).await;
        let caller = tokio::spawn(writer.write(nodes[0].clone(), 2, End::Panics));
        let panic = caller.await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some(BOOM), "its caller has the panic");
        Shop::serves(&nodes, 2).await;
    }
}

#[tokio::test]
async fn evict_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::Evict).await;
}

#[tokio::test]
async fn evict_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::EvictInline).await;
}

#[tokio::test]
async fn evict_of_the_result_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::EvictOfTheResult).await;
}

#[tokio::test]
async fn evict_of_a_tag_of_the_result_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::EvictTag).await;
}

#[tokio::test]
async fn evict_of_a_tag_of_the_result_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::EvictTagInline).await;
}

#[tokio::test]
async fn evict_of_a_scope_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::EvictScopeInline).await;
}

#[tokio::test]
async fn evict_in_both_phases_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::EvictBothInline).await;
}

#[tokio::test]
async fn evict_that_keeps_on_errors_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::EvictKeepInline).await;
}

#[tokio::test]
async fn put_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::Put).await;
}

#[tokio::test]
async fn put_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::PutInline).await;
}

#[tokio::test]
async fn insert_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::InsertInline).await;
}

#[tokio::test]
async fn put_and_evict_inline_dropped_at_every_await_evicts_what_it_committed() {
    dropped_at_every_await(Writer::PutAndEvictInline).await;
}

#[tokio::test]
async fn evict_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::Evict).await;
}

#[tokio::test]
async fn evict_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::EvictInline).await;
}

#[tokio::test]
async fn evict_of_the_result_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::EvictOfTheResult).await;
}

#[tokio::test]
async fn evict_of_a_tag_of_the_result_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::EvictTag).await;
}

#[tokio::test]
async fn evict_of_a_tag_of_the_result_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::EvictTagInline).await;
}

#[tokio::test]
async fn evict_of_a_scope_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::EvictScopeInline).await;
}

#[tokio::test]
async fn evict_in_both_phases_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::EvictBothInline).await;
}

#[tokio::test]
async fn evict_that_keeps_on_errors_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::EvictKeepInline).await;
}

#[tokio::test]
async fn put_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::Put).await;
}

#[tokio::test]
async fn put_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::PutInline).await;
}

#[tokio::test]
async fn insert_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::InsertInline).await;
}

#[tokio::test]
async fn put_and_evict_inline_whose_body_panics_after_its_commit_evicts() {
    panics_after_its_commit(Writer::PutAndEvictInline).await;
}

/// Where there is no runtime, the cache's own does the work.
#[tokio::test]
async fn writer_dropped_on_a_foreign_thread_evicts() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let mut old = 1;
        for writer in [Writer::EvictInline, Writer::PutInline, Writer::EvictOfTheResult, Writer::EvictTagInline] {
            Shop::warm(&nodes, old).await;
            let mut writing = Box::pin(writer.write(nodes[0].clone(), old + 1, End::Returns));
            while nodes[0].origin.revision.load(Ordering::SeqCst) == old {
                let poll = poll_fn(|context| Poll::Ready(writing.as_mut().poll(context))).await;
                assert!(poll.is_pending(), "{writer:?} has more to wait for after its commit");
                yield_now().await;
            }
            std::thread::spawn(move || drop(writing)).join().unwrap();
            Shop::serves(&nodes, old + 1).await;
            old += 2;
        }
    }
}
