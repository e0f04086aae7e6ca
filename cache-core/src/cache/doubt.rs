//! Doubts about entries of L1: a mark of theirs has moved, and somebody has to say whether they stand, are old, or are gone.

use std::sync::Arc;

use super::{
    Call, Inner,
    ask::{Believed, Watch, generation_of, hear_all},
    load::Ticket,
    old::Use,
};
use crate::{
    budget::Budget,
    entry::{Entry, EntryMeta, Held, Stamp},
    error::Error,
    key::Key,
    outcome::Tier,
    policy::Resolved,
    stats::Count,
    tier::{Change, Op, Record, Reply},
    value::ValueOps,
    version::Verdict,
};

/// What became of an entry of L1 that there was a doubt about.
pub(super) enum Settled {
    /// It is what it was.
    Stands,
    /// It was softly evicted.
    Left(Leaving),
    /// It was evicted.
    Gone,
}

/// What a value that was softly evicted belongs to now: to the same records as what is loaded after it, and as if it had ended
/// to be fresh when it was evicted. So whatever happens to these records from now on happens to it too.
pub(super) struct Leaving {
    pub(super) version: u64,
    pub(super) held: Vec<Held>,
    pub(super) at: u64,
}

impl Inner {
    /// Settles a doubt about an entry of L1.
    pub(super) async fn settle(
        &self,
        key: &Key,
        entry: &Arc<Entry>,
        watch: &Watch,
        budget: &mut Budget,
    ) -> Result<Settled, Error> {
        if self.remote.settles_doubts() {
            return self.revalidate(key, entry, watch.stamp, budget).await;
        }
        // Without a server an entry that is still there was not evicted for good: another key of its stripe was, or it softly.
        // Under the key's own exclusion: an eviction has moved the stripe already when it is about to remove the entry, which may
        // not get the new number by then, for whoever is reading it would bring it to the front for good.
        let mut settled = Settled::Gone;
        self.local.compute(key.local_hash(), &mut |present| {
            let held = present.and_then(|present| present.of(key, entry.meta.slot));
            if held.is_some_and(|held| Arc::ptr_eq(held, entry)) {
                settled = self.settle_alone(entry);
            }
            if matches!(settled, Settled::Stands) {
                entry.meta.restamp(watch.stamp);
            }
            Change::Keep
        });
        Ok(settled)
    }

    /// What this process alone knows of an entry.
    fn settle_alone(&self, entry: &Entry) -> Settled {
        if entry.meta.is_provisional() {
            return if entry.meta.tags_stand() { Settled::Stands } else { Settled::Gone };
        }
        let Some(held) = entry.meta.held() else { return Settled::Gone };
        let (of_tags, moved) = self.verdict_of_tags(&Believed::default(), held);
        match entry.meta.verdict_alone().and(of_tags) {
            Verdict::Current => Settled::Stands,
            Verdict::Left(at) => {
                let held = moved.unwrap_or_else(|| held.to_vec());
                Settled::Left(Leaving { version: entry.meta.version, held, at })
            }
            Verdict::Gone => Settled::Gone,
        }
    }

    /// Lets the server settle a doubt about an entry of L1 that something raised.
    async fn revalidate(&self, key: &Key, entry: &Entry, stamp: Stamp, budget: &mut Budget) -> Result<Settled, Error> {
        let held = entry.meta.held().unwrap_or_default();
        let mut believed = Believed::default();
        let unknown = self.unknown(held.iter().map(|(cell, _)| cell), &believed);
        let mut ops = vec![Op::Version { record: Record::Control(key.clone()) }];
        ops.extend(unknown.iter().map(|seen| generation_of(&seen.cell)));
        let mut replies = self.ask(budget, ops).await?.into_iter();
        let of_key = replies.next();
        hear_all(&mut believed, unknown, replies)?;
        let of_key = match of_key {
            Some(Reply::Version(Some(of_key))) => of_key,
            Some(Reply::Failed(error)) => return Err(error),
            _ => return Ok(Settled::Gone),
        };
        let (of_tags, moved) = self.verdict_of_tags(&believed, held);
        Ok(match of_key.verdict(entry.meta.version).and(of_tags) {
            Verdict::Current => {
                entry.meta.restamp(stamp);
                self.counters.add(Count::Revalidated);
                Settled::Stands
            }
            Verdict::Left(at) => {
                let held = moved.unwrap_or_else(|| held.to_vec());
                Settled::Left(Leaving { version: of_key.current(), held, at })
            }
            Verdict::Gone => Settled::Gone,
        })
    }

    /// What L1 has of a key that is of some use still: what the server has no longer, or never had, is no older than it says.
    /// `settled` is what is known of it already.
    pub(super) async fn old_of<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        entry: &Arc<Entry>,
        settled: Option<Settled>,
        policy: &Resolved,
        watch: &Watch,
        budget: &mut Budget,
    ) -> Result<Option<(Arc<Entry>, Use)>, Error> {
        if entry.meta.is_provisional() || self.use_of(entry, policy).is_none() {
            return Ok(None);
        }
        let settled = match settled {
            Some(settled) => settled,
            None if self.stands_now(&call.key, entry, self.clock.now()) => Settled::Stands,
            None => self.settle(&call.key, entry, watch, budget).await?,
        };
        let old = match settled {
            Settled::Stands => Some(Arc::clone(entry)),
            Settled::Left(leaving) => self.leave(call, entry, leaving, policy, watch),
            Settled::Gone => None,
        };
        Ok(old.and_then(|old| {
            let usage = self.use_of(&old, policy)?;
            Some((old, usage))
        }))
    }

    /// Keeps what L1 has of a key, if it is of some use, for the case that its load fails.
    pub(super) async fn keep_old_of_local<T: 'static, E: 'static>(&self, ticket: &mut Ticket<T, E>) {
        let Ticket { call, scope, watch: Some(watch), budget, old, .. } = ticket else { return };
        let held = self.local.get(call.key.local_hash());
        let entry = held.as_ref().and_then(|held| held.of(&call.key, ValueOps::<T>::slot()));
        if let Some(entry) = entry.filter(|entry| old.is_none() && self.clock.now() < entry.meta.kept_until) {
            let policy = scope.policy.with(call.overrides);
            // Without it, an error of the load reaches its caller.
            let found = self.old_of(call, entry, None, &policy, watch, budget).await.ok().flatten();
            *old = found.map(|(entry, _)| (entry, Tier::Local));
        }
    }

    /// What L1 holds from now on instead of a value that was softly evicted, and that no other tier has: the same, and old. Only
    /// values are of use then.
    fn leave<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        entry: &Entry,
        leaving: Leaving,
        policy: &Resolved,
        watch: &Watch,
    ) -> Option<Arc<Entry>> {
        let value = ValueOps::<T>::view(entry)?.as_ref()?;
        let was = &entry.meta;
        let deadlines = was.deadlines.left_to(call.rules.afterlife, leaving.at, self.clock.remote_micros());
        let mut times = self.times(was.created, was.load_time, deadlines, policy);
        times.kept_until = times.kept_until.min(was.kept_until);
        let meta = EntryMeta::new(&call.key, was.slot, was.partition, leaving.version, times, watch.stamp);
        meta.hold(leaving.held);
        let old = call.ops.entry(Some((call.ops.clone)(value)), meta);
        self.install(watch.spot, &old, watch.stamp);
        Some(old)
    }
}
