//! Redis stopped for a while under load: what callers notice, and what becomes of what was evicted meanwhile.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cache_core::{Ack, Cache, CoherenceState, Key, Mechanism};
use tokio::{
    task::JoinSet,
    time::{Instant, interval},
};

use super::{node, quantile};
use crate::fixtures::{RedisServer, eventually};

const KEYS: u64 = 50;
const PER_SECOND: u32 = 200;
/// One request in so many changes something.
const WRITES: u64 = 20;
/// A caller that gave up would call it a failure.
const GIVES_UP: Duration = Duration::from_secs(5);
const SETTLES: Duration = Duration::from_secs(5);

/// What callers and nodes noticed.
#[derive(Debug, Default)]
pub struct Outage {
    pub stopped: Duration,
    pub requests: usize,
    /// Requests that gave an error, or nothing in time.
    pub failed: usize,
    /// What a request took beyond its load, sorted; of those while Redis was stopped.
    pub added: Vec<Duration>,
    pub queued: usize,
    pub applied: usize,
    /// By how much a read was behind the database at most, while Redis was stopped, and before.
    pub stalest: Duration,
    pub stalest_before: Duration,
    pub healed_in: Duration,
    /// Reads after it that did not give the last version.
    pub stale_after: usize,
}

/// The database: each version of a row, and when it came.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<HashMap<u64, Vec<Instant>>>>);

/// One request.
struct Done {
    begun: Instant,
    added: Duration,
    behind: Duration,
    ack: Option<Ack>,
    failed: bool,
}

impl Rows {
    fn commit(&self, id: u64) {
        self.lock().entry(id).or_default().push(Instant::now());
    }

    fn version(&self, id: u64) -> usize {
        self.lock().get(&id).map_or(0, Vec::len)
    }

    /// How long ago a version of a row ceased to be the last.
    fn behind(&self, id: u64, version: usize, then: Instant) -> Duration {
        let rows = self.lock();
        let next = rows.get(&id).and_then(|commits| commits.get(version).copied());
        next.map_or(Duration::ZERO, |next| then.saturating_duration_since(next))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Vec<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops Redis for as long as told, under 200 requests a second on two nodes.
pub async fn outage(stopped: Duration) -> Outage {
    let redis = RedisServer::start().await;
    let nodes = [node(&redis, Mechanism::Keyspace).await, node(&redis, Mechanism::Keyspace).await];
    let rows = Rows::default();
    let (from, to) = (SETTLES, SETTLES + stopped);
    let start = Instant::now();
    let load = load(nodes.clone(), rows.clone(), to + SETTLES);
    let pulling = async {
        // Time itself: Redis runs, then it is stopped, for as long as was asked.
        tokio::time::sleep(from).await;
        redis.pause().await;
        // Time itself, too.
        tokio::time::sleep(stopped).await;
        redis.resume();
        let resumed = Instant::now();
        for cache in &nodes {
            eventually(Duration::from_secs(60), async || {
                let report = cache.coherence();
                report.state == CoherenceState::Coherent && report.queued == 0 && report.remote_trusted
            })
            .await;
        }
        resumed.elapsed()
    };
    let (done, healed_in) = tokio::join!(load, pulling);
    let mut outage = Outage { stopped, healed_in, requests: done.len(), ..Outage::default() };
    for request in done {
        outage.failed += usize::from(request.failed);
        let at = request.begun.duration_since(start);
        if at < from {
            outage.stalest_before = outage.stalest_before.max(request.behind);
        } else if at < to {
            outage.added.push(request.added);
            outage.stalest = outage.stalest.max(request.behind);
            outage.queued += usize::from(request.ack == Some(Ack::Queued));
            outage.applied += usize::from(request.ack.is_some_and(Ack::is_applied));
        }
    }
    outage.added.sort_unstable();
    // Time itself: what was replayed last is in force a bound later.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for cache in &nodes {
        for id in 0..KEYS {
            let found = find(cache, &rows, id).await.0;
            outage.stale_after += usize::from(found.is_none_or(|version| version < rows.version(id)));
        }
    }
    outage
}

/// Requests at their rate, whatever becomes of those before.
async fn load(nodes: [Cache; 2], rows: Rows, lasts: Duration) -> Vec<Done> {
    let mut due = interval(Duration::from_secs(1) / PER_SECOND);
    let end = Instant::now() + lasts;
    let mut under_way = JoinSet::new();
    for number in 0.. {
        due.tick().await;
        if Instant::now() > end {
            break;
        }
        let cache = nodes[fastrand::usize(..nodes.len())].clone();
        under_way.spawn(request(cache, rows.clone(), number % WRITES == 0));
    }
    under_way.join_all().await
}

async fn request(cache: Cache, rows: Rows, is_write: bool) -> Done {
    let (id, begun) = (fastrand::u64(..KEYS), Instant::now());
    if is_write {
        rows.commit(id);
        let ack = cache.evict(&key(id)).await;
        return Done { begun, added: begun.elapsed(), behind: Duration::ZERO, ack: Some(ack), failed: false };
    }
    let (version, loading) = find(&cache, &rows, id).await;
    let added = begun.elapsed().saturating_sub(loading);
    let behind = version.map_or(Duration::ZERO, |version| rows.behind(id, version, begun));
    Done { begun, added, behind, ack: None, failed: version.is_none() }
}

/// The version that a node gives, if the call does not fail, and the time that its load took.
async fn find(cache: &Cache, rows: &Rows, id: u64) -> (Option<usize>, Duration) {
    let loading = Arc::new(Mutex::new(Duration::ZERO));
    let (rows, timed) = (rows.clone(), Arc::clone(&loading));
    let load = move || async move {
        let start = Instant::now();
        let version = rows.version(id);
        // Time itself: as a query takes it.
        tokio::time::sleep(Duration::from_millis(2)).await;
        *timed.lock().unwrap_or_else(PoisonError::into_inner) = start.elapsed();
        Ok::<_, std::io::Error>(version as u64)
    };
    let found = tokio::time::timeout(GIVES_UP, cache.get_or_load(key(id), load)).await;
    let loading = *loading.lock().unwrap_or_else(PoisonError::into_inner);
    (found.ok().and_then(Result::ok).map(|version: u64| version as usize), loading)
}

fn key(id: u64) -> Key {
    Key::new("product").arg(id)
}

impl Outage {
    /// What it came to, in lines.
    pub fn told(&self) -> String {
        let Self { stopped, requests, failed, queued, applied, .. } = self;
        let Self { stalest, stalest_before, healed_in, stale_after, .. } = self;
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(&self.added, share));
        format!(
            "Redis stopped for {stopped:?} under {PER_SECOND} requests/s on 2 nodes: {requests} requests, {failed} failed\n\
             added to a request meanwhile, beyond its load: p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}\n\
             evictions meanwhile: {queued} queued, {applied} applied\n\
             behind the database at most: {stalest_before:.1?} before, {stalest:.1?} meanwhile\n\
             in order {healed_in:.1?} after Redis went on; rows that any node gave in an old version then: {stale_after}"
        )
    }
}
