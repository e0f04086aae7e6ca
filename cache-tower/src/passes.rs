//! Keys whose answers turned out not to be stored: their requests do not wait for one another.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Keys that are remembered at once; requests for one more wait for the first of them.
const KEYS: usize = 1 << 13;

/// The keys of one layer.
#[derive(Debug, Default)]
pub(crate) struct Passes(Mutex<HashMap<u128, Instant>>);

impl Passes {
    /// Whether requests for a key go their own ways.
    pub(crate) fn holds(&self, key: u128) -> bool {
        let mut keys = self.lock();
        match keys.get(&key) {
            Some(until) if now() < *until => true,
            Some(_) => {
                keys.remove(&key);
                false
            }
            None => false,
        }
    }

    /// An answer was not stored, and the next ones will not be.
    pub(crate) fn add(&self, key: u128, lasts: Duration) {
        let mut keys = self.lock();
        if keys.len() >= KEYS {
            let now = now();
            keys.retain(|_, until| now < *until);
        }
        if keys.len() < KEYS {
            keys.insert(key, now() + lasts);
        }
    }

    /// An answer could have been stored.
    pub(crate) fn remove(&self, key: u128) {
        self.lock().remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Instant>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(clippy::disallowed_methods, reason = "the time of the runtime, for what is remembered for some seconds")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn key_is_remembered_for_its_time() {
        let passes = Passes::default();
        passes.add(7, Duration::from_secs(10));
        assert!(passes.holds(7) && !passes.holds(8));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!passes.holds(7));
        passes.add(7, Duration::from_secs(10));
        passes.remove(7);
        assert!(!passes.holds(7));
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_bound_to_the_keys() {
        let passes = Passes::default();
        for key in 0..2 * KEYS as u128 {
            passes.add(key, Duration::from_secs(1));
        }
        assert_eq!(passes.lock().len(), KEYS);
        tokio::time::advance(Duration::from_secs(1)).await;
        passes.add(u128::MAX, Duration::from_secs(1));
        assert!(passes.holds(u128::MAX), "what is over makes room");
    }
}
