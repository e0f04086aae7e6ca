//! The hit: an entry of L1 that may be served right now. Synchronous, without an allocation, a decode or a lock of ours.

use std::{sync::Arc, time::Duration};

use super::{Cache, Inner, context::note};
use crate::{
    clock::Tick,
    entry::{Entry, Stamp},
    key::Key,
    outcome::{Outcome, Tier},
    value::ValueOps,
};

impl Cache {
    /// The value that L1 has under `key`, if it may be served right now; `Some(None)` is a cached *nothing*, answered only to
    /// callers that can be told so.
    #[inline]
    pub(crate) fn probe<T: 'static>(&self, key: &Key, ops: &'static ValueOps<T>, none: bool) -> Option<Option<T>> {
        let place = self.0.local.get(key.local_hash())?;
        let entry = place.of(key, ValueOps::<T>::slot())?;
        let stamp = self.0.coherence.stamp(key.local_hash());
        if !self.0.may_serve(entry, stamp, self.0.clock.now()) {
            return None;
        }
        let value = ValueOps::<T>::view(entry)?.as_ref();
        if value.is_none() && !none {
            return None;
        }
        let value = value.map(ops.clone);
        self.0.counters.local_hit();
        note(key.scope(), Outcome::Hit(Tier::Local), Duration::ZERO);
        Some(value)
    }
}

impl Inner {
    /// Whether an entry may be served without asking anybody: not too old, nothing heard about it, nothing missed, its tags
    /// where they were, and everything up to a bound ago heard.
    #[inline]
    pub(super) fn may_serve(&self, entry: &Arc<Entry>, stamp: Stamp, now: Tick) -> bool {
        now < entry.meta.expires
            && entry.meta.stamp() == stamp
            && self.coherence.coherent_at(now)
            && entry.meta.tags_stand(stamp.epoch)
    }
}
