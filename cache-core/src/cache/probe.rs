//! The hit: an entry of L1 that may be served right now. Synchronous, without an allocation, a decode or a lock of ours.

use std::{sync::Arc, time::Duration};

use super::{Inner, context::note};
use crate::{
    clock::Tick,
    entry::{Entry, Spot},
    key::Key,
    outcome::{Outcome, Tier},
    token::Token,
    value::ValueOps,
};

impl Inner {
    /// What `take` makes of the entry of `key` in L1, if that may be served right now and `take` has a use for it: some callers
    /// can't be told *nothing*.
    #[inline]
    pub(crate) fn hit<T: 'static, R>(
        &self,
        key: &Key,
        take: impl Fn(&Arc<Entry>, &Option<T>) -> Option<R>,
    ) -> Option<R> {
        let mut taken = None;
        self.local.peek(key.local_hash(), &mut |held| {
            let entry =
                held.of(key, ValueOps::<T>::slot()).filter(|entry| self.may_serve(key, entry, self.clock.now()));
            taken = entry.and_then(|entry| take(entry, ValueOps::<T>::view(entry)?));
            taken.is_some()
        });
        let taken = taken?;
        self.counters.local_hit();
        note(key.scope(), Outcome::Hit(Tier::Local), Duration::ZERO);
        Some(taken)
    }

    /// Whether an entry may be served without asking anybody: not too old, everything up to a bound ago heard, and nothing
    /// heard or missed that concerns it.
    ///
    /// In this order: what was heard before the beat that proves the bound is seen by whoever sees the bound proved.
    #[inline]
    pub(super) fn may_serve(&self, key: &Key, entry: &Entry, now: Tick) -> bool {
        now < entry.meta.expires && self.stands_now(key, entry, now)
    }

    /// Whether everything up to a bound ago was heard, and nothing heard or missed that concerns an entry.
    #[inline]
    pub(super) fn stands_now(&self, key: &Key, entry: &Entry, now: Tick) -> bool {
        let coherent = self.coherence.coherent_at(now);
        let moved = self.coherence.moved();
        (coherent && entry.meta.unmoved(moved)) || self.marks_stand(key, entry, moved)
    }

    /// Whether the primaries that an entry depends on are heard, and the marks that concern it are where they were: those of
    /// its key, and those of its tags.
    #[cold]
    fn marks_stand(&self, key: &Key, entry: &Entry, moved: u64) -> bool {
        // A provisional entry is short-lived instead: what it may have missed it has missed for less than the bound.
        if !entry.meta.is_provisional() && !self.coherence.coherent_in(entry.meta.partitions()) {
            return false;
        }
        let stamp = self.coherence.stamp(Spot { hash: key.local_hash(), partition: entry.meta.partition });
        let stands = entry.meta.stamp() == stamp && entry.meta.tags_stand();
        if stands {
            entry.meta.stood(moved);
        }
        stands
    }

    /// Takes tokens for hints that have not come yet: what is here of their records and may be older is doubted, and no flight
    /// that departed before is boarded. Once for each version: whatever comes after that was read after it.
    pub(super) fn heed<T: 'static>(&self, key: &Key, tags: &[Key], tokens: &[Token]) {
        if !self.remote.settles_doubts() {
            return;
        }
        let scope = self.scopes.state(key.scope(), &self.tags);
        let cells: Vec<_> = scope.cells.iter().cloned().chain(self.cells_of(tags)).collect();
        for token in tokens {
            if let Some(version) = token.version_of_key(key) {
                let held = self.local.get(key.local_hash());
                let entry = held.as_ref().and_then(|held| held.of(key, ValueOps::<T>::slot()));
                if entry.is_none_or(|entry| entry.meta.version < version) {
                    self.heeded.heed(*token, || {
                        let _stripe = self.coherence.move_stripe(key.local_hash());
                    });
                }
            }
            for cell in &cells {
                let wanted = token.generation_of(cell.tag());
                if wanted.is_some_and(|wanted| cell.known().is_none_or(|known| known < wanted)) {
                    self.heeded.heed(*token, || self.tags.hint(cell.tag()));
                }
            }
        }
    }
}
