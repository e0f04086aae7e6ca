//! L1 on moka, used as a bounded map and nothing more.
//!
//! None of moka's loaders (they store unconditionally, so that an eviction during a load is undone), none of its predicates,
//! and no expiry as truth (its clock is its own): whether an entry may be served is judged by the entry's own marks.
//!
//! What says *nothing* has a small map of its own: keys that are made up, as by somebody who tries out ids, push out each other
//! and no value.

use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use moka::{ops::compute::Op, sync::Cache};

use super::front::{Found, Front};
use crate::{
    entry::Entry,
    tier::{Change, LocalTier},
};

/// The key is a hash already, seeded for this process.
#[derive(Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u128` is ever called; folding keeps this total.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "either half of the hash is a hash")]
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// Of so many keys that may be kept, one more may say *nothing*.
const VALUES_PER_NEGATIVE: u64 = 16;

type Map = Cache<u128, Arc<Entry>, BuildHasherDefault<Identity>>;

/// L1 on moka.
pub(crate) struct MokaTier {
    /// Whoever changes what is held under a hash does so within this one's exclusion.
    entries: Map,
    negatives: Map,
    front: Arc<Front>,
}

impl MokaTier {
    /// A tier that keeps `capacity` keys at most, the ones used most.
    pub(crate) fn new(capacity: u64) -> Self {
        let front = Arc::new(Front::new(capacity));
        let map = |capacity| {
            let behind = Arc::clone(&front);
            Cache::builder()
                .max_capacity(capacity)
                // So that the front keeps nothing alive that is gone here.
                .eviction_listener(move |hash: Arc<u128>, _, _| behind.clear(*hash))
                .build_with_hasher(BuildHasherDefault::default())
        };
        Self { entries: map(capacity), negatives: map(capacity.div_ceil(VALUES_PER_NEGATIVE)), front }
    }

    fn held(&self, hash: u128) -> Option<Arc<Entry>> {
        self.entries.get(&hash).or_else(|| self.negatives.get(&hash))
    }

    /// Moka hears of a hit in the front; what it no longer has, because it had no room, is not kept there either.
    fn tell(&self, hash: u128) {
        if self.held(hash).is_none() {
            self.front.clear(hash);
        }
    }
}

impl LocalTier for MokaTier {
    #[inline]
    fn peek(&self, hash: u128, look: &mut dyn FnMut(&Arc<Entry>) -> bool) -> bool {
        let found = self.front.peek(hash, look);
        if let Found::Taken { tell } = found {
            if tell {
                self.tell(hash);
            }
            return true;
        }
        let entry = self.held(hash).filter(look);
        match (&entry, found) {
            (Some(entry), Found::Useless(way)) => self.front.put(hash, way, entry),
            (Some(entry), _) => self.front.offer(hash, entry),
            (None, _) => {}
        }
        entry.is_some()
    }

    fn get(&self, hash: u128) -> Option<Arc<Entry>> {
        self.held(hash)
    }

    fn compute(&self, hash: u128, change: &mut dyn FnMut(Option<&Arc<Entry>>) -> Change) {
        self.entries.entry(hash).and_compute_with(|present| {
            let value = present.map(moka::Entry::into_value);
            let negative = if value.is_none() { self.negatives.get(&hash) } else { None };
            let (removed, was_negative) = (if value.is_some() { Op::Remove } else { Op::Nop }, negative.is_some());
            let (op, stays_negative) = match change(value.as_ref().or(negative.as_ref())) {
                Change::Keep => (Op::Nop, true),
                Change::Remove => (removed, false),
                Change::Replace(entry) if entry.meta.is_negative => {
                    self.negatives.insert(hash, entry);
                    (removed, true)
                }
                Change::Replace(entry) => (Op::Put(entry), false),
            };
            if was_negative && !stays_negative {
                self.negatives.invalidate(&hash);
            }
            op
        });
    }

    fn len(&self) -> u64 {
        // The count is kept by maintenance, which otherwise waits for traffic.
        self.entries.run_pending_tasks();
        self.negatives.run_pending_tasks();
        self.entries.entry_count() + self.negatives.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use std::{any::TypeId, time::Duration};

    use super::*;
    use crate::{
        clock::Tick,
        entry::{Deadlines, EntryMeta, Stamp, Times},
        key::Key,
    };

    fn key(number: u64) -> Key {
        Key::new("product").arg(number)
    }

    fn entry(number: u64) -> Arc<Entry> {
        let times = Times {
            created: 0,
            load_time: Duration::ZERO,
            deadlines: Deadlines::fresh_for(0, Duration::ZERO),
            expires: Tick::NEVER,
            kept_until: Tick::NEVER,
        };
        let stamp = Stamp { stripe: 0, epoch: 0 };
        let meta = EntryMeta::new(&key(number), TypeId::of::<u64>(), 0, 1, times, stamp);
        Arc::new(Entry { meta, value: Box::new(Some(number)) })
    }

    fn hold(tier: &MokaTier, number: u64) -> Arc<Entry> {
        let held = entry(number);
        tier.compute(key(number).local_hash(), &mut |_| Change::Replace(Arc::clone(&held)));
        held
    }

    fn seen(tier: &MokaTier, number: u64) -> Option<Arc<Entry>> {
        let mut seen = None;
        tier.peek(key(number).local_hash(), &mut |entry| {
            seen = entry.of(&key(number), TypeId::of::<u64>()).cloned();
            seen.is_some()
        });
        seen
    }

    fn in_front(tier: &MokaTier, number: u64) -> bool {
        matches!(tier.front.peek(key(number).local_hash(), &mut |_| true), Found::Taken { .. })
    }

    /// Reads until the front has it: by chance, one read in eight is an offer.
    fn bring_to_front(tier: &MokaTier, number: u64) {
        while !in_front(tier, number) {
            assert!(seen(tier, number).is_some());
        }
    }

    #[test]
    fn the_front_shows_what_moka_holds() {
        let tier = MokaTier::new(1_000);
        for number in 0..8 {
            let held = hold(&tier, number);
            bring_to_front(&tier, number);
            assert!(Arc::ptr_eq(&seen(&tier, number).unwrap(), &held));
        }
    }

    #[test]
    fn what_was_removed_or_replaced_is_shown_no_more() {
        let tier = MokaTier::new(1_000);
        hold(&tier, 7);
        bring_to_front(&tier, 7);
        let newer = hold(&tier, 7);
        assert!(Arc::ptr_eq(&seen(&tier, 7).unwrap(), &newer));
        bring_to_front(&tier, 7);
        tier.compute(key(7).local_hash(), &mut |_| Change::Remove);
        assert!(seen(&tier, 7).is_none());
        assert!(!in_front(&tier, 7), "the front lets go of it");
    }

    #[test]
    fn the_front_keeps_nothing_that_moka_had_no_room_for() {
        let tier = MokaTier::new(64);
        for number in 0..64 {
            hold(&tier, number);
            bring_to_front(&tier, number);
        }
        // Asked for more often than the first, so moka prefers them.
        for number in 64..1_000 {
            (0..20).for_each(|_| drop(tier.get(key(number).local_hash())));
            hold(&tier, number);
            tier.entries.run_pending_tasks();
        }
        let gone: Vec<_> = (0..64).filter(|number| tier.get(key(*number).local_hash()).is_none()).collect();
        assert!(!gone.is_empty(), "moka reclaims");
        for number in gone {
            assert!(!in_front(&tier, number), "{number} is kept alive");
        }
    }

    fn hold_nothing(tier: &MokaTier, number: u64) {
        let Some(Entry { meta, .. }) = Arc::into_inner(entry(number)) else { panic!("nobody else has it") };
        let nothing = Arc::new(Entry { meta: meta.negative(true), value: Box::new(None::<u64>) });
        tier.compute(key(number).local_hash(), &mut |_| Change::Replace(Arc::clone(&nothing)));
    }

    #[test]
    fn keys_that_are_made_up_push_no_value_out() {
        let tier = MokaTier::new(1_000);
        for number in 0..900 {
            hold(&tier, number);
        }
        tier.len();
        for number in 10_000..200_000 {
            hold_nothing(&tier, number);
            // As often as they like.
            (0..3).for_each(|_| drop(tier.get(key(number).local_hash())));
        }
        assert!(tier.len() <= 900 + 63 + 1, "{} keys", tier.len());
        let gone = (0..900).filter(|number| tier.get(key(*number).local_hash()).is_none()).count();
        assert_eq!(gone, 0);
    }

    #[test]
    fn a_key_has_a_value_or_nothing_and_never_both() {
        let tier = MokaTier::new(1_000);
        let is_nothing = || tier.get(key(7).local_hash()).is_some_and(|entry| entry.meta.is_negative);
        hold_nothing(&tier, 7);
        assert!(is_nothing() && tier.len() == 1);
        hold(&tier, 7);
        assert!(!is_nothing() && seen(&tier, 7).is_some() && tier.len() == 1);
        hold_nothing(&tier, 7);
        assert!(is_nothing() && tier.len() == 1, "the value is gone");
        tier.compute(key(7).local_hash(), &mut |present| {
            assert!(present.is_some());
            Change::Remove
        });
        assert!(tier.get(key(7).local_hash()).is_none() && tier.len() == 0);
    }

    #[test]
    fn an_entry_of_another_key_under_the_same_hash_is_of_no_use() {
        let tier = MokaTier::new(1_000);
        let hash = key(7).local_hash();
        tier.front.put(hash, 0, &entry(8));
        assert!(seen(&tier, 7).is_none());
        hold(&tier, 7);
        assert!(seen(&tier, 7).is_some(), "moka is asked then");
    }
}
