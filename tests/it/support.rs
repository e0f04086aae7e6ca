//! What the tests of the cache share: values, caches on one Redis, and an origin that counts.

use std::{
    convert::Infallible,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_core::{Builder, Bypass, Cache, CoherenceState, Key, Policy, Redis, secs};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};
use tokio::sync::Notify;

/// A budget that a busy machine does not use up: these tests are about what is right, not about how fast.
pub(crate) const PATIENT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) id: u64,
    pub(crate) revision: u64,
    pub(crate) category: String,
}

pub(crate) fn product(id: u64, revision: u64) -> Product {
    Product { id, revision, category: "books".into() }
}

pub(crate) fn key(id: u64) -> Key {
    Key::new("product").arg(id)
}

/// A node: a cache on `redis` that does not forget by itself while a test runs.
pub(crate) async fn node(redis: &RedisServer) -> Cache {
    node_at(redis.url()).await
}

pub(crate) async fn node_at(redis: impl Into<Redis>) -> Cache {
    built(settings(redis).ensure_notifications()).await
}

/// What a node is built with, but for `ensure_notifications`.
pub(crate) fn settings(redis: impl Into<Redis>) -> Builder {
    let policy = Policy::new().ttl(secs(600)).jitter(0.0);
    Cache::builder("shop").redis(redis).policy(policy).budget(PATIENT)
}

/// What the server has counted of a command by now: its `calls`, its `rejected_calls`.
pub(crate) async fn counted(redis: &RedisServer, command: &str, what: &str) -> u64 {
    let said: String = redis::from_redis_value(redis.cli(&["INFO", "commandstats"]).await).unwrap();
    let counts = said.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let count =
        counts.and_then(|counts| counts.split(',').find_map(|count| count.strip_prefix(what)?.strip_prefix('=')));
    count.map_or(0, |count| count.parse().unwrap())
}

pub(crate) async fn built(builder: Builder) -> Cache {
    let cache = builder.build().await.unwrap();
    coherent(&cache).await;
    cache
}

pub(crate) async fn coherent(cache: &Cache) {
    eventually(Duration::from_secs(20), || async { cache.coherence().state == CoherenceState::Coherent }).await;
}

/// Waits until the link has been lost and made anew since `fences` were counted, and what Redis holds is used again.
pub(crate) async fn healed(cache: &Cache, fences: u64) {
    eventually(Duration::from_secs(30), || async {
        let report = cache.coherence();
        let well = report.fences > fences && report.state == CoherenceState::Coherent && report.remote_trusted;
        if well { Ok(()) } else { Err(report) }
    })
    .await;
}

/// Waits until a call on the node gives this revision of the row.
#[track_caller]
pub(crate) fn sees(cache: &Cache, origin: &Origin, id: u64, revision: u64) -> impl Future<Output = ()> {
    eventually(Duration::from_secs(20), async move || match origin.through(cache, id).await {
        found if found == revision => Ok(()),
        other => Err(other),
    })
}

/// How many calls went past the cache for this reason.
pub(crate) fn bypassed(cache: &Cache, reason: Bypass) -> u64 {
    cache.stats().bypasses.iter().find(|(other, _)| *other == reason).map_or(0, |(_, count)| *count)
}

/// A row in a database, with a count of its readers.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    pub(crate) revision: Arc<AtomicU64>,
    pub(crate) loads: Arc<AtomicU64>,
}

impl Origin {
    pub(crate) fn write(&self, revision: u64) {
        self.revision.store(revision, Ordering::SeqCst);
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    pub(crate) async fn read(self, id: u64) -> Result<Product, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        Ok(product(id, self.revision.load(Ordering::SeqCst)))
    }

    pub(crate) async fn through(&self, cache: &Cache, id: u64) -> u64 {
        let origin = self.clone();
        let Ok(product) = cache.get_or_load(key(id), move || origin.read(id)).await;
        product.revision
    }
}

/// A load that reads the row, says so, and returns only when it is let.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    reached: Arc<Notify>,
    open: Arc<Notify>,
}

impl Gate {
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    pub(crate) fn open(&self) {
        self.open.notify_one();
    }

    pub(crate) async fn read(self, origin: Origin, id: u64) -> Result<Product, Infallible> {
        let row = origin.read(id).await;
        self.reached.notify_one();
        self.open.notified().await;
        row
    }
}

/// A database whose answers can be held up, and that can be away.
#[derive(Clone, Default)]
pub(crate) struct Database {
    revision: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
    is_away: Arc<AtomicBool>,
    is_slow: Arc<AtomicBool>,
    pub(crate) answers: Arc<Notify>,
}

impl Database {
    pub(crate) fn holds(revision: u64) -> Self {
        let this = Self::default();
        this.write(revision);
        this
    }

    pub(crate) fn write(&self, revision: u64) {
        self.revision.store(revision, Ordering::SeqCst);
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    pub(crate) fn is_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    /// From now on a load takes until all are let go on.
    pub(crate) fn is_slow(&self) {
        self.is_slow.store(true, Ordering::SeqCst);
    }

    pub(crate) fn load(&self) -> impl Future<Output = io::Result<Product>> + Send + use<> {
        let this = self.clone();
        async move {
            this.loads.fetch_add(1, Ordering::SeqCst);
            let row = product(7, this.revision.load(Ordering::SeqCst));
            if this.is_slow.load(Ordering::SeqCst) {
                this.answers.notified().await;
            }
            if this.is_away.load(Ordering::SeqCst) { Err(io::Error::other("away")) } else { Ok(row) }
        }
    }

    /// Lets all loads go on.
    pub(crate) fn is_fast(&self) {
        self.is_slow.store(false, Ordering::SeqCst);
        self.answers.notify_waiters();
    }
}
