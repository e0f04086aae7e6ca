//! What writers hold: put, delete, increment, and how far behind the sink is.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{AckLevel, accepting::Accepting, append, shared::Shared};
use crate::{
    cache::Cache,
    error::Error,
    journal::{Ask, Change, Position, Said, envelope},
    key::Key,
    value::{CacheValue, ValueOps},
};

/// How often is looked whether all is flushed.
const LOOK: Duration = Duration::from_millis(20);
/// How long it may take to give up what is owned, when there is no time left.
const HAND_OVER: Duration = Duration::from_secs(1);

/// Writes that are answered when they are journaled. Cheap to clone; all clones are one.
///
/// Dropping it flushes nothing and loses nothing: the flusher goes on until the cache is closed, and another node, or this one when it
/// starts again, goes on where it ended.
pub struct WriteBehind<T> {
    pub(super) cache: Cache,
    pub(super) shared: Arc<Shared>,
    accepting: Arc<Accepting>,
    values: PhantomData<fn() -> T>,
}

/// A write that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journaled {
    /// Its version, which the sink compares; of one key they grow. Nothing where the write was only accepted.
    pub version: Option<u64>,
}

/// How far the sink is behind, and what this process has flushed since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// Changes in the journal that are not in the sink.
    pub changes: u64,
    /// How old the oldest of them is.
    pub oldest: Duration,
    /// Keys whose write was refused, and that are tried again.
    pub parked: u64,
    /// Writes that were given up.
    pub dead: u64,
    /// Partitions that this process flushes.
    pub owned: usize,
    /// Changes that this process has flushed.
    pub flushed: u64,
    /// Writes that it gave the sink for them: what came to one key in one batch is one write.
    pub writes: u64,
    /// Batches that it gave the sink.
    pub batches: u64,
    /// Times that the sink failed as a whole in this process.
    pub failures: u64,
}

impl<T> Clone for WriteBehind<T> {
    fn clone(&self) -> Self {
        let (cache, shared) = (self.cache.clone(), Arc::clone(&self.shared));
        Self { cache, shared, accepting: Arc::clone(&self.accepting), values: PhantomData }
    }
}

impl<T> fmt::Debug for WriteBehind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind").field("scope", &self.shared.scope).finish_non_exhaustive()
    }
}

impl<T> WriteBehind<T> {
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }
}

impl<T: CacheValue> WriteBehind<T> {
    pub(super) fn new(cache: Cache, shared: Arc<Shared>) -> Self {
        let accepting = Arc::new(Accepting::start(&cache, &shared));
        Self { cache, shared, accepting, values: PhantomData }
    }

    /// The row of `key` is `value`: readers on every node see it from when this returns, the sink when it is flushed.
    ///
    /// A caller that goes away before it is answered does not know whether it was journaled.
    ///
    /// # Errors
    ///
    /// Where it was not journaled, or nobody can say (a timeout): a key of another scope, a value that cannot be encoded, no room
    /// ([`ErrorKind::Full`](crate::ErrorKind::Full)), a Redis that does not answer or has no memory left. To put it again is harmless.
    /// Where it was journaled, and is not in time as safe as its level says, or not in the sink that it is written through to
    /// ([`ErrorKind::Unconfirmed`](crate::ErrorKind::Unconfirmed)): it is flushed all the same. Where that sink gave it up ([`ErrorKind::Refused`](crate::ErrorKind::Refused)).
    pub fn put(&self, key: Key, value: &T) -> impl Future<Output = Result<Journaled, Error>> + Send + use<'_, T> {
        let sealed = self.sealed(&key, value);
        async move { self.write(key, Change::Put(sealed?)).await }
    }

    /// The same for a future that outlives the caller.
    pub(crate) fn into_put(
        self,
        key: Key,
        value: &T,
    ) -> impl Future<Output = Result<Journaled, Error>> + Send + use<T> {
        let sealed = self.sealed(&key, value);
        async move { self.write(key, Change::Put(sealed?)).await }
    }

    fn sealed(&self, key: &Key, value: &T) -> Result<Vec<u8>, Error> {
        let max_bytes = self.cache.0.max_bytes(key.scope());
        envelope::seal(ValueOps::<T>::of(), key, self.cache.0.packing(), value, max_bytes)
    }

    /// There is no row of `key`.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub async fn delete(&self, key: Key) -> Result<Journaled, Error> {
        self.write(key, Change::Delete).await
    }

    /// Adds to the counter of `key`. Readers see it when it is flushed: a counter is as current as the sink.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put). After a timeout it may have been journaled, and to do it again may add it twice; an unconfirmed one is
    /// journaled, and so is a refused one, in a dead letter.
    pub async fn increment(&self, key: Key, by: i64) -> Result<Journaled, Error> {
        self.write(key, Change::Increment(by)).await
    }

    async fn write(&self, key: Key, change: Change) -> Result<Journaled, Error> {
        self.check(&key)?;
        if self.shared.tuning.ack != AckLevel::Accepted {
            let version = append::append(&self.cache, &self.shared, &key, &change).await?;
            return Ok(Journaled { version: Some(version) });
        }
        if self.accepting.take(self.cache.clone(), key, change).await {
            Ok(Journaled { version: None })
        } else {
            Err(append::closed())
        }
    }

    fn check(&self, key: &Key) -> Result<(), Error> {
        if *self.shared.draining.borrow() || self.cache.0.is_closed() {
            return Err(append::closed());
        }
        let (name, scope) = (key.scope().name(), &*self.shared.scope);
        if name == scope || name.strip_prefix(scope).is_some_and(|below| below.starts_with(':')) {
            return Ok(());
        }
        let detail = format!("a key of the scope `{name}` is not written by the journal of `{scope}`");
        Err(Error::config("write-behind", detail))
    }

    /// How far the sink is behind.
    ///
    /// # Errors
    ///
    /// Where the journal does not answer.
    pub async fn lag(&self) -> Result<Lag, Error> {
        let all: Vec<u16> = (0..self.shared.partitions).collect();
        self.lag_of(&all).await
    }

    async fn lag_of(&self, partitions: &[u16]) -> Result<Lag, Error> {
        let shared = &self.shared;
        let flushed = &shared.flushed;
        let mut lag = Lag {
            owned: shared.lock_owned().len(),
            flushed: flushed.changes.load(Ordering::Relaxed),
            writes: flushed.writes.load(Ordering::Relaxed),
            batches: flushed.batches.load(Ordering::Relaxed),
            failures: flushed.failures.load(Ordering::Relaxed),
            ..Lag::default()
        };
        let asks = partitions.iter().map(|partition| (*partition, Ask::Lag)).collect();
        let mut first: Option<Position> = None;
        for said in shared.ask_all(asks).await? {
            let Said::Lag { entries, oldest, parked, dead } = said? else { continue };
            lag.changes += entries;
            lag.parked += parked;
            lag.dead += dead;
            first = first.into_iter().chain(oldest).min();
        }
        if let Some(first) = first {
            let now = self.cache.0.remote_micros() / 1_000;
            lag.oldest = Duration::from_millis(now.saturating_sub(first.millis));
        }
        Ok(lag)
    }

    /// Takes no more writes, waits until what this process flushes is flushed, `within` at most, and gives up what it owns, which takes
    /// another second at most. The rest is flushed by another node, or when this one starts again. Afterwards every write is an error ([`ErrorKind::Closed`](crate::ErrorKind::Closed)).
    ///
    /// # Errors
    ///
    /// Where the journal does not answer; what it had is there.
    pub async fn close(&self, within: Duration) -> Result<Lag, Error> {
        let shared = &self.shared;
        shared.draining.send_replace(true);
        let deadline = shared.clock.now().plus(within);
        let left = || deadline.since(shared.clock.now());
        // What was accepted is journaled first.
        self.accepting.emptied(left()).await;
        // Before the flusher has asked, it owns nothing, and there would seem to be nothing to flush.
        said(&shared.asked, left()).await;
        let outcome = loop {
            let owned: Vec<u16> = shared.lock_owned().keys().copied().collect();
            let lag = self.lag_of(&owned).await;
            let is_over = match &lag {
                Ok(lag) => lag.changes == 0 && lag.parked == 0,
                Err(_) => false,
            };
            if is_over || shared.clock.now() >= deadline {
                break lag;
            }
            shared.wake.notify_one();
            sleep(LOOK).await;
        };
        shared.stop.cancel();
        said(&shared.ended, left().max(HAND_OVER)).await;
        outcome
    }
}

/// Waits until it is said, so long at most.
async fn said(sender: &watch::Sender<bool>, within: Duration) {
    let mut receiver = sender.subscribe();
    // Nothing of the answer is kept: it locks the sender out.
    let _in_time = timeout(within, receiver.wait_for(|said| *said)).await.is_ok();
}
