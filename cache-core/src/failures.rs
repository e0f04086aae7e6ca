//! Keys whose last load failed, with the error that answers for a while instead of another load.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    clock::Tick,
    entry::Stamp,
    key::{Hashing, Key, hashing},
};

/// Keys that are remembered at once; the load of one more is tried again at once.
const KEYS: usize = 1 << 12;
/// How often the time doubles.
const DOUBLINGS: u32 = 5;

/// An error that many can be given.
type Shared = Arc<dyn Any + Send + Sync>;

/// The failures of one cache.
pub(crate) struct Failures {
    keys: Mutex<HashMap<(Key, TypeId), Failure, Hashing>>,
    /// While there are none, nobody takes the lock.
    count: AtomicUsize,
}

struct Failure {
    error: Shared,
    in_a_row: u32,
    until: Tick,
    /// When it is forgotten that there was one.
    forgotten: Tick,
    /// Where the key's marks were: if they moved, the key was changed.
    stamp: Stamp,
}

// === impl Failures ===

impl Failures {
    pub(crate) fn new() -> Self {
        Self { keys: Mutex::new(HashMap::with_hasher(hashing())), count: AtomicUsize::new(0) }
    }

    /// A load failed that began at `stamp`; it is not tried again for `first`, or longer if it was not the first in a row.
    pub(crate) fn failed(&self, key: &Key, slot: TypeId, stamp: Stamp, error: Shared, first: Duration, now: Tick) {
        let mut keys = self.lock();
        if keys.len() >= KEYS {
            keys.retain(|_, failure| now < failure.forgotten);
        }
        let id = (key.clone(), slot);
        let before = keys.get(&id).filter(|failure| now < failure.forgotten).map(|failure| failure.in_a_row);
        if keys.len() < KEYS || before.is_some() {
            let in_a_row = before.map_or(0, |before| (before + 1).min(DOUBLINGS));
            let time = first.saturating_mul(2_u32.pow(in_a_row));
            let (until, forgotten) = (now.plus(time), now.plus(time.saturating_mul(2)));
            keys.insert(id, Failure { error, in_a_row, until, forgotten, stamp });
        }
        self.count.store(keys.len(), Ordering::Release);
    }

    /// The error that answers for now, if nothing was heard of the key since.
    pub(crate) fn recent(&self, key: &Key, slot: TypeId, stamp: Stamp, now: Tick) -> Option<Shared> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let keys = self.lock();
        let failure = keys.get(&(key.clone(), slot))?;
        (now < failure.until && failure.stamp == stamp).then(|| Arc::clone(&failure.error))
    }

    /// A load succeeded.
    pub(crate) fn succeeded(&self, key: &Key, slot: TypeId) {
        if self.count.load(Ordering::Acquire) > 0 {
            let mut keys = self.lock();
            keys.remove(&(key.clone(), slot));
            self.count.store(keys.len(), Ordering::Release);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Key, TypeId), Failure, Hashing>> {
        // Nothing can panic while it is held.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: TypeId = TypeId::of::<u8>();
    const STAMP: Stamp = Stamp { stripe: 1, epoch: 1 };
    const FIRST: Duration = Duration::from_secs(1);

    fn key(id: u64) -> Key {
        Key::new("product").arg(id)
    }

    fn at(secs: u64) -> Tick {
        Tick::ZERO.plus(Duration::from_secs(secs))
    }

    fn is_held_off(failures: &Failures, secs: u64) -> bool {
        failures.recent(&key(7), SLOT, STAMP, at(secs)).is_some()
    }

    #[test]
    fn each_failure_in_a_row_doubles_the_time_up_to_a_bound() {
        let failures = Failures::new();
        let mut now = 0;
        for wait in [1, 2, 4, 8, 16, 32, 32] {
            failures.failed(&key(7), SLOT, STAMP, Arc::new(()), FIRST, at(now));
            assert!(is_held_off(&failures, now + wait - 1) && !is_held_off(&failures, now + wait), "{wait}");
            now += wait;
        }
        failures.failed(&key(7), SLOT, STAMP, Arc::new(()), FIRST, at(now + 100));
        assert!(!is_held_off(&failures, now + 101), "one that is long ago is none in a row");
    }

    #[test]
    fn the_longest_time_is_no_overflow() {
        let failures = Failures::new();
        for _ in 0..3 {
            failures.failed(&key(7), SLOT, STAMP, Arc::new(()), Duration::MAX, at(0));
        }
        assert!(is_held_off(&failures, 1_000_000));
    }

    #[test]
    fn success_and_a_change_of_the_key_end_it() {
        let failures = Failures::new();
        failures.failed(&key(7), SLOT, STAMP, Arc::new(()), FIRST, at(0));
        assert!(failures.recent(&key(7), SLOT, Stamp { stripe: 2, ..STAMP }, at(0)).is_none());
        failures.succeeded(&key(7), SLOT);
        assert!(!is_held_off(&failures, 0));
    }

    #[test]
    fn there_is_a_bound_to_the_keys() {
        let failures = Failures::new();
        for id in 0..2 * KEYS as u64 {
            failures.failed(&key(id), SLOT, STAMP, Arc::new(()), FIRST, at(0));
        }
        assert_eq!(failures.lock().len(), KEYS);
        failures.failed(&key(1 << 20), SLOT, STAMP, Arc::new(()), FIRST, at(2));
        assert!(failures.recent(&key(1 << 20), SLOT, STAMP, at(2)).is_some(), "what is over makes room");
    }
}
