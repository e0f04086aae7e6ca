//! What L1 holds under a key: decoded values with the marks by which a hit is judged.
//!
//! An entry never changes its value. It carries the stamp (stripe and epoch) read before the first command that led to it,
//! so a hint or a fence makes it stale by moving the number that it holds, without ever touching the entry.

use std::{
    any::{Any, TypeId},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use smallvec::SmallVec;

use crate::{cell::TagCell, clock::Tick, key::Key};

/// Until when a value may be used, in microseconds of Redis time. The three travel with the value from node to node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// Until then it is simply a hit.
    pub(crate) fresh_until: u64,
    /// Until then it may be served while a new one loads.
    pub(crate) stale_until: u64,
    /// Until then it may be served when a load fails.
    pub(crate) fail_safe_until: u64,
}

impl Deadlines {
    /// Deadlines of a value that is fresh for `ttl` from `now` and of no use after that.
    pub(crate) fn fresh_for(now_micros: u64, ttl: Duration) -> Self {
        let until = now_micros.saturating_add(u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX));
        Self { fresh_until: until, stale_until: until, fail_safe_until: until }
    }

    /// Whether a value is fresh at `now_micros`.
    pub(crate) fn fresh_at(self, now_micros: u64) -> bool {
        now_micros < self.fresh_until
    }

    /// How long the value stays fresh from `now_micros`.
    pub(crate) fn fresh_left(self, now_micros: u64) -> Duration {
        Duration::from_micros(self.fresh_until.saturating_sub(now_micros))
    }

    /// How long the value is of any use from `now_micros`.
    pub(crate) fn life_left(self, now_micros: u64) -> Duration {
        let last = self.fresh_until.max(self.stale_until).max(self.fail_safe_until);
        Duration::from_micros(last.saturating_sub(now_micros))
    }
}

/// What is read before the first command of a load: by it alone a hint or a fence since then is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Hints heard on the key's stripe so far.
    pub(crate) stripe: u64,
    /// Fences so far on the key's primary.
    pub(crate) epoch: u64,
}

/// A tag's cell and the generation that a value was loaded under.
pub(crate) type Held = (Arc<TagCell>, u64);

/// Everything about an entry but its value.
#[derive(Debug)]
pub(crate) struct EntryMeta {
    /// The key in words: compared at every hit, so that nothing hangs on the hash.
    pub(crate) words: SmallVec<[u64; 5]>,
    /// The value type that this entry answers for.
    pub(crate) slot: TypeId,
    /// The version of the control record that the value belongs to.
    pub(crate) version: u64,
    /// When the value was loaded, in microseconds of Redis time.
    pub(crate) created: u64,
    /// How long the load took.
    pub(crate) load_time: Duration,
    pub(crate) deadlines: Deadlines,
    /// The deadline in this process: the nearer of what the value still has and what L1 may keep.
    pub(crate) expires: Tick,
    /// The tags, scopes and namespace that the value depends on. Unset while the generations of tags that only the result
    /// could name are being asked for; such an entry is in no tier yet.
    held: OnceLock<Box<[Held]>>,
    stripe: AtomicU64,
    epoch: AtomicU64,
}

impl EntryMeta {
    #[allow(clippy::too_many_arguments, reason = "the one place where an entry is put together")]
    pub(crate) fn new(
        key: &Key,
        slot: TypeId,
        version: u64,
        created: u64,
        load_time: Duration,
        deadlines: Deadlines,
        expires: Tick,
        stamp: Stamp,
    ) -> Self {
        Self {
            words: SmallVec::from_slice(key.words()),
            slot,
            version,
            created,
            load_time,
            deadlines,
            expires,
            held: OnceLock::new(),
            stripe: AtomicU64::new(stamp.stripe),
            epoch: AtomicU64::new(stamp.epoch),
        }
    }

    /// The stamp that the entry was loaded or last revalidated under.
    #[inline]
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { stripe: self.stripe.load(Ordering::Acquire), epoch: self.epoch.load(Ordering::Acquire) }
    }

    /// The server confirmed the version to a question asked under `stamp`.
    ///
    /// Two writers may leave a mixture. Both numbers only grow, so a mixture that equals the present pair was confirmed by a
    /// question asked after the later of the two moved: a mixture can only cost a revalidation, never spare one.
    pub(crate) fn restamp(&self, stamp: Stamp) {
        self.stripe.store(stamp.stripe, Ordering::Release);
        self.epoch.store(stamp.epoch, Ordering::Release);
    }

    /// Says what the value depends on. Only the first word counts.
    pub(crate) fn hold(&self, held: Vec<Held>) {
        // Two words would come from two loads, and an entry has one.
        let _first = self.held.set(held.into_boxed_slice());
    }

    /// What the value depends on; nothing is known before [`hold`](Self::hold).
    #[inline]
    pub(crate) fn held(&self) -> Option<&[Held]> {
        self.held.get().map(AsRef::as_ref)
    }

    /// Whether each tag is known to be where it was.
    #[inline]
    pub(crate) fn tags_stand(&self, epoch: u64) -> bool {
        self.held().is_some_and(|held| held.iter().all(|(cell, generation)| cell.stands(*generation, epoch)))
    }
}

/// One decoded value of one key.
#[derive(Debug)]
pub(crate) struct Entry<V: ?Sized = dyn Any + Send + Sync> {
    pub(crate) meta: EntryMeta,
    pub(crate) value: V,
}

/// What L1 holds under one key: one entry for each type that the key was decoded as. Nearly always one.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    One(Arc<Entry>),
    Many(Arc<[Arc<Entry>]>),
}

/// More types than this under one key are not kept.
const TYPES_PER_KEY: usize = 8;

impl Place {
    /// The entry of `key` that answers for `slot`.
    #[inline]
    pub(crate) fn of(&self, key: &Key, slot: TypeId) -> Option<&Arc<Entry>> {
        let entry = match self {
            Self::One(entry) if entry.meta.slot == slot => entry,
            Self::One(_) => return None,
            Self::Many(entries) => entries.iter().find(|entry| entry.meta.slot == slot)?,
        };
        (entry.meta.words.as_slice() == key.words()).then_some(entry)
    }

    /// This place with `entry` in it, instead of what it held for the same type or for another key.
    pub(crate) fn with(present: Option<&Self>, entry: Arc<Entry>) -> Self {
        let others = match present {
            None => &[],
            Some(Self::One(other)) => std::slice::from_ref(other),
            Some(Self::Many(others)) => &others[..],
        };
        let kept =
            others.iter().filter(|other| other.meta.slot != entry.meta.slot && other.meta.words == entry.meta.words);
        let all: Vec<_> = [Arc::clone(&entry)].into_iter().chain(kept.cloned()).take(TYPES_PER_KEY).collect();
        if all.len() == 1 { Self::One(entry) } else { Self::Many(all.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_count_down() {
        let deadlines = Deadlines::fresh_for(1_000, Duration::from_micros(500));
        assert!(deadlines.fresh_at(1_499));
        assert!(!deadlines.fresh_at(1_500));
        assert_eq!(deadlines.fresh_left(1_200), Duration::from_micros(300));
        assert_eq!(deadlines.life_left(9_000), Duration::ZERO);
    }
}
