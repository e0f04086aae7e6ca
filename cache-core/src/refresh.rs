//! Which keys are being loaded again in the background, and which are left alone for a while because a load of them failed.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Tick,
    key::{Hashing, Key, hashing},
};

/// Refreshes at once; one more is put off until somebody asks for its key again.
const AT_ONCE: usize = 256;
/// Keys that are left alone at once; one more is not.
const HELD_OFF: usize = 1 << 14;

/// The refreshes of one cache.
pub(crate) struct Refreshes(Mutex<State>);

struct State {
    keys: HashMap<Id, Standing, Hashing>,
    under_way: usize,
}

/// A key, by the type that it is read as.
type Id = (Key, TypeId);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    UnderWay,
    HeldOff(Tick),
}

/// A refresh under way, until this is dropped.
pub(crate) struct Refresh {
    refreshes: Arc<Refreshes>,
    id: Id,
}

// === impl Refreshes ===

impl Refreshes {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { keys: HashMap::with_hasher(hashing()), under_way: 0 }))
    }

    /// Begins a refresh, unless one is under way, the key is held off, or there are too many.
    pub(crate) fn begin(self: &Arc<Self>, key: &Key, slot: TypeId, now: Tick) -> Option<Refresh> {
        let id = (key.clone(), slot);
        let mut state = self.lock();
        let is_free = match state.keys.get(&id) {
            None => true,
            Some(Standing::UnderWay) => false,
            Some(Standing::HeldOff(until)) => *until <= now,
        };
        if !is_free || state.under_way >= AT_ONCE {
            return None;
        }
        state.under_way += 1;
        state.keys.insert(id.clone(), Standing::UnderWay);
        drop(state);
        Some(Refresh { refreshes: Arc::clone(self), id })
    }

    /// Whether nobody is to load a key now for which there is an old value.
    pub(crate) fn is_held_off(&self, key: &Key, slot: TypeId, now: Tick) -> bool {
        let state = self.lock();
        matches!(state.keys.get(&(key.clone(), slot)), Some(Standing::HeldOff(until)) if now < *until)
    }

    /// Leaves a key alone until then.
    pub(crate) fn hold_off(&self, key: &Key, slot: TypeId, until: Tick, now: Tick) {
        let mut state = self.lock();
        if state.keys.len() >= HELD_OFF {
            state.keys.retain(|_, standing| !matches!(standing, Standing::HeldOff(until) if *until <= now));
        }
        let (id, has_room) = ((key.clone(), slot), state.keys.len() < HELD_OFF);
        match state.keys.get_mut(&id) {
            // Said when the refresh ends.
            Some(Standing::UnderWay) => {}
            Some(standing) => *standing = Standing::HeldOff(until),
            None if has_room => {
                state.keys.insert(id, Standing::HeldOff(until));
            }
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Refresh ===

impl Refresh {
    /// Ends it, and leaves the key alone until then.
    pub(crate) fn hold_off(self, until: Tick) {
        self.refreshes.lock().keys.insert(self.id.clone(), Standing::HeldOff(until));
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        let mut state = self.refreshes.lock();
        state.under_way -= 1;
        if state.keys.get(&self.id) == Some(&Standing::UnderWay) {
            state.keys.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SLOT: TypeId = TypeId::of::<u8>();

    fn key(id: u64) -> Key {
        Key::new("product").arg(id)
    }

    fn at(secs: u64) -> Tick {
        Tick::ZERO.plus(Duration::from_secs(secs))
    }

    #[test]
    fn one_refresh_of_a_key_at_a_time() {
        let refreshes = Arc::new(Refreshes::new());
        let first = refreshes.begin(&key(7), SLOT, at(0));
        assert!(first.is_some() && refreshes.begin(&key(7), SLOT, at(0)).is_none());
        assert!(refreshes.begin(&key(8), SLOT, at(0)).is_some());
        drop(first);
        assert!(refreshes.begin(&key(7), SLOT, at(0)).is_some());
    }

    #[test]
    fn a_key_that_is_held_off_is_left_alone_until_then() {
        let refreshes = Arc::new(Refreshes::new());
        refreshes.begin(&key(7), SLOT, at(0)).unwrap().hold_off(at(5));
        assert!(refreshes.begin(&key(7), SLOT, at(4)).is_none() && refreshes.is_held_off(&key(7), SLOT, at(4)));
        assert!(!refreshes.is_held_off(&key(7), SLOT, at(5)) && refreshes.begin(&key(7), SLOT, at(5)).is_some());
    }

    #[test]
    fn there_is_a_bound_to_all_of_it() {
        let refreshes = Arc::new(Refreshes::new());
        let begun: Vec<_> = (0..1_000).filter_map(|id| refreshes.begin(&key(id), SLOT, at(0))).collect();
        assert_eq!(begun.len(), AT_ONCE);
        drop(begun);
        for id in 0..2 * HELD_OFF as u64 {
            refreshes.hold_off(&key(id), SLOT, at(1), at(0));
        }
        assert_eq!(refreshes.lock().keys.len(), HELD_OFF);
        refreshes.hold_off(&key(1 << 20), SLOT, at(9), at(1));
        assert!(refreshes.is_held_off(&key(1 << 20), SLOT, at(1)), "what is over makes room");
        assert_eq!(refreshes.lock().under_way, 0);
    }
}
