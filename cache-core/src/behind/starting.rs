//! A write-behind that is being put together.

use std::{
    collections::HashMap,
    marker::PhantomData,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::{
    AckLevel, Tuning, WhenFull,
    flusher::Flusher,
    handle::WriteBehind,
    remote::RemoteJournal,
    server,
    shared::{Flushed, Shared},
    sink::Sink,
};
use crate::{
    cache::Cache,
    error::Error,
    journal::{Journal, Owner, VolatileJournal},
    policy::check_scope,
    value::CacheValue,
};

/// How long the journal may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Puts a [`WriteBehind`] together; made by [`Cache::write_behind`].
#[must_use = "nothing is flushed until it is started"]
pub struct Starting<T, S> {
    cache: Cache,
    scope: String,
    sink: S,
    tuning: Tuning,
    allows_loss: bool,
    values: PhantomData<fn() -> T>,
}

impl Cache {
    /// Writes of the keys of a scope (and below it) that are answered when they are journaled, and written to `sink` behind.
    ///
    /// Every process that writes, and every one that is to flush, says so; one of them flushes each partition at a time. Values are
    /// journaled as JSON, so that a journal outlives the program that wrote it.
    pub fn write_behind<T: CacheValue, S: Sink<T>>(&self, scope: &str, sink: S) -> Starting<T, S> {
        Starting {
            cache: self.clone(),
            scope: scope.to_owned(),
            sink,
            tuning: Tuning::default(),
            allows_loss: false,
            values: PhantomData,
        }
    }
}

impl<T: CacheValue, S: Sink<T>> Starting<T, S> {
    /// When a write is answered. Default: [`AckLevel::Journaled`].
    pub fn ack(mut self, level: AckLevel) -> Self {
        self.tuning.ack = level;
        self
    }

    /// The most changes that are read for one batch; a batch has a write for each key in them. Default: 500.
    pub fn batch(mut self, changes: usize) -> Self {
        self.tuning.batch = changes.max(1);
        self
    }

    /// About how many bytes of values are read for one batch. Default: 1 MiB.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.tuning.batch_bytes = bytes.max(1);
        self
    }

    /// How long changes are gathered before they are written, from the first of a batch on: what changes again meanwhile is written
    /// once. Default: 200 ms.
    pub fn gather(mut self, age: Duration) -> Self {
        self.tuning.age = age.max(Duration::from_millis(1));
        self
    }

    /// How long a partition stays that of a process which is not heard of any more; then another one flushes it. Whoever flushes says every
    /// third of it that it is there. At least 100 ms. Default: 10 s.
    ///
    /// Shorter, and what a killed process left behind is flushed sooner; too short, and a process that is only slow loses what it owns,
    /// which costs work and no writes.
    pub fn owned_for(mut self, ownership: Duration) -> Self {
        self.tuning.owned = ownership.max(Duration::from_millis(100));
        self
    }

    /// How often a row may refuse a write until it is a dead letter; between the attempts it waits 200 ms, doubling to 30 s. A sink that
    /// cannot be reached is tried for as long as it takes. Default: 8.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.tuning.attempts = attempts.max(1);
        self
    }

    /// How many changes each partition of the journal may have that are not flushed. Default: 100,000.
    pub fn room(mut self, changes: u64) -> Self {
        self.tuning.room = changes.max(1);
        self
    }

    /// What a writer gets when there is no room. Default: it waits up to 5 s.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.tuning.when_full = when_full;
        self
    }

    /// Starts on a Redis without an append-only file, where a restart of the server loses what was acknowledged.
    pub fn allow_loss_on_restart(mut self) -> Self {
        self.allows_loss = true;
        self
    }

    /// Starts, with the journal in Redis.
    ///
    /// # Errors
    ///
    /// Each names the setting and what to set: a cache without Redis, a bad scope, settings that contradict each other, a server that would lose writes, or that
    /// cannot be reached.
    pub async fn start(self) -> Result<WriteBehind<T>, Error> {
        let inner = &self.cache.0;
        if !inner.has_redis() {
            let detail = "the cache has no Redis to keep a journal in: build it with `redis(..)`, or use `start_volatile()`, which \
                          loses what is not flushed when the process ends";
            return Err(Error::config("write-behind", detail));
        }
        let journal = Arc::new(RemoteJournal { remote: inner.remote_tier(), patience: PATIENCE });
        let (partitions, ack, allows_loss) = (inner.partitions, self.tuning.ack, self.allows_loss);
        let mut started = self.with_journal(journal, partitions)?;
        let safety = started.shared.safety_of(ack).await?;
        for said in started.shared.servers().await? {
            server::check(&said, ack, safety, allows_loss)?;
        }
        started.shared.safety = safety;
        Ok(started.begin())
    }

    /// Starts, with the journal in this process: **what is not flushed when the process ends is lost**. For tests, and for what may be
    /// lost. Not beside Redis, where other processes would not see it. Started once more for a scope, it takes the place of the one
    /// before.
    ///
    /// # Errors
    ///
    /// A cache with Redis, a bad scope, or settings that contradict each other.
    pub async fn start_volatile(self) -> Result<WriteBehind<T>, Error> {
        if self.cache.0.has_redis() {
            let detail = "the cache has a Redis, and readers of other processes would not see what this one keeps: use `start()`";
            return Err(Error::config("write-behind", detail));
        }
        let clock = self.cache.0.clock_of_redis();
        let journal = Arc::new(VolatileJournal::new(self.scope.as_str().into(), clock));
        let cache = self.cache.clone();
        let started = self.with_journal(Arc::clone(&journal) as Arc<dyn Journal>, 1)?;
        cache.0.journals.add(journal);
        Ok(started.begin())
    }

    fn with_journal(self, journal: Arc<dyn Journal>, partitions: u16) -> Result<Started<T, S>, Error> {
        check_scope(&self.scope)?;
        if matches!(self.tuning.when_full, WhenFull::WriteThrough(_)) && self.tuning.ack == AckLevel::Accepted {
            let detail = "`WhenFull::WriteThrough` is for writers that wait for the journal: set `AckLevel::Journaled`, or \
                          `WhenFull::Wait`";
            return Err(Error::config("write-behind", detail));
        }
        // What is full is a whole batch: nothing gathers where nothing more has room.
        let batch = self.tuning.batch.min(usize::try_from(self.tuning.room).unwrap_or(usize::MAX));
        let shared = Shared {
            namespace: Arc::clone(&self.cache.0.namespace),
            scope: self.scope.as_str().into(),
            clock: self.cache.0.clock_of_redis(),
            journal,
            owner: Owner::new(),
            partitions,
            tuning: Tuning { batch, ..self.tuning },
            safety: None,
            flushed: Flushed::default(),
            wake: Notify::new(),
            fresh: (0..partitions).map(|_| AtomicU64::new(0)).collect(),
            draining: watch::Sender::new(false),
            asked: watch::Sender::new(false),
            stop: CancellationToken::new(),
            ended: watch::Sender::new(false),
            owned: Mutex::new(HashMap::new()),
        };
        Ok(Started { cache: self.cache, sink: self.sink, shared, values: PhantomData })
    }
}

/// All is known, and nothing runs yet.
struct Started<T, S> {
    cache: Cache,
    sink: S,
    shared: Shared,
    values: PhantomData<fn() -> T>,
}

impl<T: CacheValue, S: Sink<T>> Started<T, S> {
    fn begin(self) -> WriteBehind<T> {
        let shared = Arc::new(self.shared);
        let flusher: Flusher<T, S> = Flusher {
            shared: Arc::clone(&shared),
            sink: Arc::new(self.sink),
            cache: Arc::downgrade(&self.cache.0),
            packing: self.cache.0.packing().clone(),
            values: PhantomData,
        };
        // Work, which ends when the cache is closed: it is waited for before Redis is hung up on.
        let closing = self.cache.0.serve_until_closed();
        self.cache.0.spawn(flusher.run(closing));
        WriteBehind::new(self.cache, shared)
    }
}
