//! Keys that are loaded again before they expire, ahead of their next reader.
//!
//! What drives it is the deadline of the entry, on each node that holds one: Redis says that something expired minutes later,
//! or never. All nodes come to it at the same time, since the deadline is in Redis time; one of them gets the lease and loads,
//! the others look again a little later and take what it stored. Should nothing be there when half of the time has passed,
//! the lease is to be had again.

use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    sync::{Notify, Semaphore},
    time::sleep,
};

use super::{Cache, Call, Inner, load::Answer, refresh::Refreshed};
use crate::{
    clock::Tick,
    entry::{Deadlines, Entry},
    key::{Hashing, Key, hashing},
    outcome::{Outcome, Tier},
    stats::Count,
    tier::BoxFuture,
    value::ValueOps,
};

/// Keys that are kept warm at once; one more expires as any other does.
const KEYS: usize = 10_000;
/// Loads ahead of readers at once.
const AT_ONCE: usize = 16;
/// From one look to the next there is this part of the time that is left.
const AGAIN: u32 = 4;
/// With less than this left, a key expires.
const LEAST_LEFT: Duration = Duration::from_millis(1);

/// The keys of one cache that are kept warm.
pub(super) struct WarmUps {
    state: Mutex<State>,
    /// Something is due earlier than it was.
    earlier: Notify,
    /// Somebody looks after them.
    kept: AtomicBool,
}

struct State {
    keys: HashMap<Id, Warm, Hashing>,
    due: BTreeMap<Due, Id>,
    number: u64,
}

/// A key, by the type that it is read as.
type Id = (Key, TypeId);

/// When, and a number that tells two of one moment apart.
type Due = (Tick, u64);

/// One key.
struct Warm {
    /// When somebody looks after it; nothing while somebody does.
    due: Option<Due>,
    /// When its value ends to be fresh.
    ends: Tick,
    /// How long before that it is due.
    ahead: Duration,
    /// Somebody asked for it since the last look.
    asked: bool,
    look: Look,
}

/// Looks after the key once; answers what is there then, if anything new is.
type Look = Arc<dyn Fn(Arc<Inner>) -> BoxFuture<'static, Option<Deadlines>> + Send + Sync>;

// === impl WarmUps ===

impl WarmUps {
    pub(super) fn new() -> Self {
        let state = State { keys: HashMap::with_hasher(hashing()), due: BTreeMap::new(), number: 0 };
        Self { state: Mutex::new(state), earlier: Notify::new(), kept: AtomicBool::new(false) }
    }

    /// Notes that somebody asked for a key; whether it is kept warm, or there is no room for it.
    fn asked(&self, id: &Id) -> bool {
        let mut state = self.lock();
        let is_full = state.keys.len() >= KEYS;
        state.keys.get_mut(id).map(|warm| warm.asked = true).is_some() || is_full
    }

    /// Keeps a key warm from now on, if there is room.
    fn keep(&self, id: Id, ends: Tick, ahead: Duration, look: Look) {
        let mut state = self.lock();
        if state.keys.len() < KEYS || state.keys.contains_key(&id) {
            let due = state.keys.get(&id).and_then(|before| before.due);
            state.keys.insert(id.clone(), Warm { due, ends, ahead, asked: true, look });
            self.schedule(state, id, ends.minus(ahead));
        }
    }

    /// Somebody has looked after a key, which is fresh until `ends` then; nothing if nothing came of it.
    fn looked_after(&self, id: Id, ends: Option<Tick>, now: Tick) {
        let mut state = self.lock();
        let Some(warm) = state.keys.get_mut(&id) else { return };
        if let Some(ends) = ends {
            warm.ends = ends;
            let due = ends.minus(warm.ahead);
            return self.schedule(state, id, due);
        }
        let left = warm.ends.since(now);
        if left < LEAST_LEFT {
            state.keys.remove(&id);
            return;
        }
        // It was asked for since the last value came, and none has come.
        warm.asked = true;
        self.schedule(state, id, now.plus(left / AGAIN));
    }

    fn schedule(&self, mut state: MutexGuard<'_, State>, id: Id, at: Tick) {
        state.number += 1;
        let due = (at, state.number);
        let before = state.keys.get_mut(&id).and_then(|warm| warm.due.replace(due));
        if let Some(before) = before {
            state.due.remove(&before);
        }
        state.due.insert(due, id);
        let is_first = state.due.first_key_value().is_some_and(|(first, _)| *first == due);
        drop(state);
        if is_first {
            self.earlier.notify_one();
        }
    }

    /// Keeps nothing warm any more: a load may hold the cache.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.keys.clear();
        state.due.clear();
    }

    fn first_due(&self) -> Option<Tick> {
        self.lock().due.first_key_value().map(|((due, _), _)| *due)
    }

    /// The next key that is due; one that nobody asked for since the last look is let go.
    fn take_due(&self, now: Tick) -> Option<(Id, Look)> {
        let mut state = self.lock();
        loop {
            let first = state.due.first_entry().filter(|first| first.key().0 <= now)?;
            let id = first.remove();
            let Some(warm) = state.keys.get_mut(&id) else { continue };
            warm.due = None;
            if std::mem::take(&mut warm.asked) {
                let look = Arc::clone(&warm.look);
                return Some((id, look));
            }
            state.keys.remove(&id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// Answers a call from the cache or by a load that can be repeated, and keeps its key warm from then on.
    pub(super) async fn answer_warm<T, E, F, L>(&self, call: Box<Call<T, E>>, load: L) -> Answer<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        let held = self.0.hit(&call.key, |entry, value: &Option<T>| {
            let is_answer = value.is_some() || call.none;
            is_answer.then(|| (value.as_ref().map(call.ops.clone), Arc::clone(entry)))
        });
        let answer = match held {
            Some((value, entry)) => {
                Answer { result: Ok(value), outcome: Outcome::Hit(Tier::Local), entry: Some(entry) }
            }
            None => self.answer_owned(call.clone(), load()).await,
        };
        if let Some(entry) = &answer.entry {
            self.0.keep_warm(call, load, entry);
        }
        answer
    }
}

impl Inner {
    /// Notes that somebody asked for a key in a way that can be repeated; whether nothing else is to be done to keep it warm.
    pub(crate) fn is_kept_warm<T: 'static>(&self, key: &Key) -> bool {
        self.warm_ups.asked(&(key.clone(), ValueOps::<T>::slot()))
    }

    /// Keeps a key warm, if its scope says so.
    pub(super) fn keep_warm<T, E, F, L>(self: &Arc<Self>, call: Box<Call<T, E>>, load: L, entry: &Arc<Entry>)
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        let Some(ahead) = self.ahead(&call) else { return };
        if entry.meta.is_provisional() {
            return;
        }
        let id = (call.key.clone(), ValueOps::<T>::slot());
        let load = Arc::new(load);
        let look: Look = Arc::new(move |inner| {
            let (call, load) = (call.clone(), Arc::clone(&load));
            Box::pin(async move { inner.look_after(call, load, ahead).await })
        });
        self.warm_ups.keep(id, self.fresh_until(entry.meta.deadlines), ahead, look);
        if !self.warm_ups.kept.swap(true, Ordering::AcqRel) {
            let kept = keep_all(Arc::downgrade(self), Arc::clone(&self.warm_ups));
            let closing = self.tasks.closing();
            self.tasks.serve(async move {
                closing.run_until_cancelled(kept).await;
            });
        }
    }

    /// How long before its end a value of this request is to be loaded again.
    fn ahead<T, E>(&self, call: &Call<T, E>) -> Option<Duration> {
        let scope = self.scopes.state(call.key.scope(), &self.tags);
        let ahead = scope.policy.with(call.overrides).warm_up;
        (!ahead.is_zero() && self.gate().is_none()).then_some(ahead)
    }

    fn fresh_until(&self, deadlines: Deadlines) -> Tick {
        let now = self.clock.now();
        now.plus(deadlines.fresh_left(self.clock.remote_micros_at(now)))
    }

    /// One look at a key that is about to expire: takes what another node has stored, or gets the lease and loads.
    async fn look_after<T, E, F, L>(
        self: Arc<Self>,
        call: Box<Call<T, E>>,
        load: Arc<L>,
        ahead: Duration,
    ) -> Option<Deadlines>
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        let held = self.local.get(call.key.local_hash());
        let held = held.as_ref().and_then(|held| held.of(&call.key, ValueOps::<T>::slot()));
        let than = held.map_or(0, |held| held.meta.created);
        let counters = Arc::clone(&self.counters);
        let load = async move {
            counters.add(Count::WarmUps);
            load().await
        };
        let again = AssertUnwindSafe(self.load_again(call, than, load, ahead / AGAIN)).catch_unwind().await;
        match again {
            Ok(Refreshed::New(entry)) => Some(entry.meta.deadlines),
            _ => None,
        }
    }
}

/// Looks after all keys of a cache, each when it is due.
async fn keep_all(inner: Weak<Inner>, warm_ups: Arc<WarmUps>) {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Some(clock) = inner.upgrade().map(|inner| inner.clock.clone()) else { return };
        let waits = async {
            match warm_ups.first_due() {
                Some(due) => sleep(due.since(clock.now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = warm_ups.earlier.notified() => continue,
            () = waits => {}
        }
        while let Some((id, look)) = warm_ups.take_due(clock.now()) {
            let Ok(permit) = Arc::clone(&at_once).acquire_owned().await else { return };
            let Some(inner) = inner.upgrade() else { return };
            let tasks = inner.tasks.clone();
            tasks.spawn(async move {
                let found = look(Arc::clone(&inner)).await;
                let ends = found.map(|deadlines| inner.fresh_until(deadlines));
                inner.warm_ups.looked_after(id, ends, inner.clock.now());
                drop(permit);
            });
        }
    }
}
