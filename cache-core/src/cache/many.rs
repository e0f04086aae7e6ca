//! Reading without loading, one key or many in one trip.

use std::{convert::Infallible, sync::Arc, time::Duration};

use super::{
    Cache, Call, Inner, Rules,
    ask::{Believed, generation_of, hear_all},
    call::Place,
    context::note,
};
use crate::{
    budget::Budget,
    entry::Entry,
    error::Error,
    key::Key,
    outcome::{Bypass, Outcome, Tier},
    policy::Overrides,
    stats::Count,
    value::{CacheValue, ValueOps},
};

/// Keys that one trip asks for; more make more trips.
const KEYS_PER_TRIP: usize = 256;

impl Cache {
    /// The values of `keys`, in their order, as far as they are cached; nothing is loaded. What L1 does not have is read from
    /// Redis in one trip for each 256 keys, within the budget of one call.
    ///
    /// A key whose cached value is *nothing* is `None` here, as one that is not cached; and so is every key that Redis was
    /// asked for and did not answer.
    pub async fn get_many<T: CacheValue>(&self, keys: &[Key]) -> Vec<Option<T>> {
        self.read_many(keys).await.into_iter().map(|found| found.and_then(|(value, _)| value)).collect()
    }

    pub(super) async fn read_many<T: CacheValue>(&self, keys: &[Key]) -> Vec<Option<(Option<T>, Arc<Entry>)>> {
        let inner = &self.0;
        let mut found: Vec<Option<(Option<T>, Arc<Entry>)>> = keys.iter().map(|_| None).collect();
        if let Some(reason) = inner.gate() {
            for key in keys {
                inner.bypass(key.scope(), reason, Duration::ZERO);
            }
            return found;
        }
        let mut missing = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            match inner.probe_entry::<T>(key) {
                Some(entry) => found[index] = Some(entry),
                None => missing.push(index),
            }
        }
        let mut budget = Budget::new(inner.budget);
        for chunk in missing.chunks(KEYS_PER_TRIP) {
            let calls: Vec<Call<T, Infallible>> = chunk.iter().map(|&index| call_of(&keys[index])).collect();
            let entries = inner.read_chunk(&calls, &mut budget).await;
            for ((&index, call), entry) in chunk.iter().zip(&calls).zip(entries) {
                let outcome = match entry {
                    Ok(Some((entry, tier))) => {
                        found[index] = ValueOps::<T>::view(&entry).map(|value| (value.clone(), Arc::clone(&entry)));
                        match tier {
                            Tier::Local => inner.counters.local_hit(),
                            Tier::Remote => inner.counters.add(Count::RemoteHits),
                        }
                        Outcome::Hit(tier)
                    }
                    Ok(None) => {
                        inner.counters.add(Count::Misses);
                        Outcome::Absent
                    }
                    Err(()) => {
                        inner.counters.bypass(Bypass::Remote);
                        Outcome::Bypass(Bypass::Remote)
                    }
                };
                note(call.key.scope(), outcome, budget.spent());
            }
        }
        found
    }
}

impl Inner {
    fn probe_entry<T: CacheValue>(&self, key: &Key) -> Option<(Option<T>, Arc<Entry>)> {
        self.hit(key, |entry, value: &Option<T>| Some((value.clone(), Arc::clone(entry))))
    }

    /// One trip for all of `calls`; a further one for each entry with tags that nobody here knows.
    async fn read_chunk<T: CacheValue>(
        &self,
        calls: &[Call<T, Infallible>],
        budget: &mut Budget,
    ) -> Vec<Result<Option<(Arc<Entry>, Tier)>, ()>> {
        let read = self.try_read_chunk(calls, budget).await;
        read.unwrap_or_else(|_| calls.iter().map(|_| Err(())).collect())
    }

    async fn try_read_chunk<T: CacheValue>(
        &self,
        calls: &[Call<T, Infallible>],
        budget: &mut Budget,
    ) -> Result<Vec<Result<Option<(Arc<Entry>, Tier)>, ()>>, Error> {
        let scopes: Vec<_> = calls.iter().map(|call| self.scopes.state(call.key.scope(), &self.tags)).collect();
        let watches: Vec<_> =
            calls.iter().zip(&scopes).map(|(call, scope)| self.watch(&call.key, scope, &[])).collect();
        let Some(mut ops) = calls.iter().map(|call| self.read_op(call)).collect::<Option<Vec<_>>>() else {
            return Ok(calls.iter().map(|_| Ok(None)).collect());
        };
        let mut believed = Believed::default();
        let mut cells: Vec<_> = watches.iter().flat_map(|watch| watch.cells.iter().map(|seen| &seen.cell)).collect();
        cells.sort_unstable_by_key(|cell| Arc::as_ptr(cell));
        cells.dedup_by_key(|cell| Arc::as_ptr(cell));
        let asked = self.unknown(cells.into_iter(), &believed);
        ops.extend(asked.iter().map(|seen| generation_of(&seen.cell)));
        let mut replies = self.ask(budget, ops).await?.into_iter();
        let reads: Vec<_> = replies.by_ref().take(calls.len()).collect();
        // What was not said is asked for once more, by those whom it concerns.
        let _all = hear_all(&mut believed, asked, replies);
        let mut entries = Vec::with_capacity(calls.len());
        for (((call, scope), watch), read) in calls.iter().zip(&scopes).zip(&watches).zip(reads) {
            let Ok(entry) = self.judge(call, scope, watch, &mut believed, Some(read), budget).await else {
                entries.push(Err(()));
                continue;
            };
            let entry = entry.filter(|entry| entry.meta.deadlines.fresh_at(self.clock.remote_micros()));
            if let Some(entry) = &entry {
                self.install(watch.spot, entry, watch.stamp);
            }
            entries.push(Ok(entry.map(|entry| (entry, Tier::Remote))));
        }
        Ok(entries)
    }
}

pub(super) fn call_of<T: CacheValue>(key: &Key) -> Call<T, Infallible> {
    Call {
        key: key.clone(),
        tags: Vec::new(),
        shape_tags: Vec::new(),
        place: Place::new("get", file!(), line!()),
        ops: ValueOps::of(),
        none: true,
        overrides: Overrides::default(),
        newer_than: 0,
        rev: 0,
        rules: Rules::default(),
    }
}
