//! Keys whose answers turned out not to be stored, or whose load hangs: their requests do not wait for one another.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::clock::instant;

/// Keys that are remembered at once; one more takes the place of another.
const KEYS: usize = 1 << 13;
/// No pass lasts longer.
const LONGEST: Duration = Duration::from_secs(86_400 * 365);

/// The keys of one layer.
#[derive(Debug, Default)]
pub(crate) struct Passes(Mutex<HashMap<u128, Pass>>);

#[derive(Debug)]
struct Pass {
    why: Why,
    until: Instant,
}

/// Why requests for a key do not wait for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Answers are not stored.
    NotStored,
    /// The load that they would wait for takes too long.
    Hangs,
}

impl Passes {
    /// Whether requests for a key go their own ways.
    pub(crate) fn holds(&self, key: u128) -> bool {
        let mut keys = self.lock();
        match keys.get(&key) {
            Some(pass) if instant() < pass.until => true,
            Some(_) => {
                keys.remove(&key);
                false
            }
            None => false,
        }
    }

    /// Requests for a key go their own ways for as long as that.
    pub(crate) fn add(&self, key: u128, why: Why, lasts: Duration) {
        let mut keys = self.lock();
        if keys.len() >= KEYS && !keys.contains_key(&key) {
            // Whichever: to look for what is over would take as long as all of them.
            let any = keys.keys().next().copied();
            any.and_then(|any| keys.remove(&any));
        }
        keys.insert(key, Pass { why, until: instant() + lasts.min(LONGEST) });
    }

    /// An answer could have been stored. That says nothing of a load that hangs.
    pub(crate) fn remove(&self, key: u128) {
        let mut keys = self.lock();
        if keys.get(&key).is_some_and(|pass| pass.why == Why::NotStored) {
            keys.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Pass>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn key_is_remembered_for_its_time() {
        let passes = Passes::default();
        passes.add(7, Why::NotStored, Duration::from_secs(10));
        assert!(passes.holds(7) && !passes.holds(8));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!passes.holds(7));
        passes.add(7, Why::NotStored, Duration::from_secs(10));
        passes.remove(7);
        assert!(!passes.holds(7));
        passes.add(7, Why::Hangs, Duration::from_secs(10));
        passes.remove(7);
        assert!(passes.holds(7), "an answer of another says nothing of a load that hangs");
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_bound_to_the_keys() {
        let passes = Passes::default();
        for key in 0..2 * KEYS as u128 {
            passes.add(key, Why::NotStored, Duration::from_secs(1));
        }
        assert_eq!(passes.lock().len(), KEYS);
        passes.add(u128::MAX, Why::NotStored, Duration::MAX);
        assert!(passes.holds(u128::MAX), "another makes room");
        assert_eq!(passes.lock().len(), KEYS);
    }
}
