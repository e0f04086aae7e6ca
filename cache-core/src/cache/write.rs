//! Puts and evictions: what is done before the body of a writer, after it, and when it never comes back.

use std::sync::Arc;

use super::{Cache, Inner, Place, context::note, put::PutState};
use crate::{
    budget::Budget,
    entry::Entry,
    error::Error,
    key::{Key, ScopeId},
    outcome::{Ack, Bypass, OnL2Error, Outcome},
    policy::Overrides,
    stats::Count,
    tag::TagId,
    tier::{Change, Op, Record, Reply},
    value::ValueOps,
};

/// Evictions that go in one trip.
const BATCH: usize = 256;

/// What Redis said to evictions, in their order; it may be less than it was told, with the reason.
pub(super) type Said = (Vec<Reply>, Option<Error>);

/// When a writer evicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// After the body: nothing older than what the body wrote can be stored.
    #[default]
    After,
    /// Before the body.
    Before,
    /// Both.
    Both,
}

/// What becomes of what is evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Evicts {
    /// It is gone, and never served again.
    #[default]
    ForGood,
    /// It is old: it may be served while a new one loads, or when a load fails, as if it had ended to be fresh by itself.
    Softly,
}

/// What a writer is going to change, as far as it is known before the body.
#[derive(Clone, Debug)]
pub(crate) struct WritePlan {
    /// The keys whose new value the body returns.
    pub(crate) puts: Vec<Key>,
    /// The tags of that value, as far as they are known.
    pub(crate) put_tags: Vec<Key>,
    /// The shapes of all tag templates that the put declares, sorted.
    pub(crate) shape_tags: Vec<u64>,
    /// Keys to evict.
    pub(crate) evict: Vec<Key>,
    /// Tags to evict.
    pub(crate) evict_tags: Vec<Key>,
    /// Scopes to evict.
    pub(crate) evict_scopes: Vec<ScopeId>,
    /// The heads of templates that only the result can fill: evicted whole if there is no result.
    pub(crate) heads_of_unknown: Vec<ScopeId>,
    /// When to evict.
    pub(crate) phase: Phase,
    /// What becomes of what is evicted.
    pub(crate) evicts: Evicts,
    /// What the site says about lives.
    pub(crate) overrides: Overrides,
    /// Where the writer stands.
    pub(crate) place: Place,
}

impl WritePlan {
    /// A plan of the writer at `place` that changes nothing yet.
    #[must_use]
    pub(crate) fn new(place: Place) -> Self {
        Self {
            puts: Vec::new(),
            put_tags: Vec::new(),
            shape_tags: Vec::new(),
            evict: Vec::new(),
            evict_tags: Vec::new(),
            evict_scopes: Vec::new(),
            heads_of_unknown: Vec::new(),
            phase: Phase::After,
            evicts: Evicts::ForGood,
            overrides: Overrides::default(),
            place,
        }
    }
}

/// What a writer knows when its body has returned.
#[derive(Clone, Debug, Default)]
pub(crate) struct After {
    /// Tags of the put value that only the value could name.
    pub(crate) put_tags: Vec<Key>,
    /// Keys to evict that only the result could name.
    pub(crate) evict: Vec<Key>,
    /// Tags to evict that only the result could name.
    pub(crate) evict_tags: Vec<Key>,
    /// The site's revision of the value's layout.
    pub(crate) rev: u32,
    /// The version of the row that was written.
    pub(crate) row: Option<u64>,
}

/// Records to move, and the marks of this process that go with them.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets {
    pub(super) keys: Vec<Key>,
    tags: Vec<TagId>,
    evicts: Evicts,
}

impl Targets {
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let keys = self.keys.iter().cloned().map(Record::Control);
        keys.chain(self.tags.iter().cloned().map(Record::Tag))
    }
}

/// A writer between the beginning of its body and its end. Dropped before the end, it evicts what is known, in a task of its
/// own: the body may have changed the row.
#[must_use = "dropping it evicts"]
pub(crate) struct Write {
    inner: Arc<Inner>,
    /// What the writer changes, as far as it is known.
    targets: Targets,
    /// What it may have changed besides, while there is no result to say so.
    unknown: Vec<TagId>,
    puts: Vec<PutState>,
    budget: Budget,
    scope: ScopeId,
    /// What became of it, if there is nothing left to do.
    ended: Option<Ack>,
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write").field("scope", &self.scope.name()).finish_non_exhaustive()
    }
}

impl Cache {
    /// Before the body of a writer.
    pub(crate) async fn begin_write(&self, plan: WritePlan) -> Write {
        let inner = &self.0;
        let evicted = plan.evict.iter().chain(&plan.puts);
        let scope =
            evicted.clone().chain(&plan.evict_tags).map(Key::scope).chain(plan.evict_scopes.iter().copied()).next();
        let scopes = plan.evict_scopes.iter().copied().map(TagId::of_scope);
        let mut write = Write {
            targets: Targets {
                keys: evicted.cloned().collect(),
                tags: plan.evict_tags.iter().cloned().map(TagId::Tag).chain(scopes).collect(),
                evicts: plan.evicts,
            },
            unknown: Vec::new(),
            puts: Vec::new(),
            budget: Budget::new(inner.budget),
            scope: scope.or_else(|| plan.heads_of_unknown.first().copied()).unwrap_or(ScopeId::ROOT),
            ended: None,
            inner: Arc::clone(inner),
        };
        if let Some(reason) = inner.gate() {
            inner.bypass(write.scope, reason, write.budget.spent());
            write.ended = Some(passed_by(reason));
            return write;
        }
        if plan.phase != Phase::After {
            let targets = write.targets.clone();
            let ack = inner.evict_all(&targets, &mut write.budget, inner.on_l2_error).await;
            if plan.phase == Phase::Before {
                write.finished(ack, Outcome::Evict);
                return write;
            }
        }
        write.unknown = plan.heads_of_unknown.iter().copied().map(TagId::of_scope).collect();
        if !plan.puts.is_empty() {
            // Boxed: the caller's own future carries it otherwise, and so on up.
            write.puts = Box::pin(inner.begin_puts(&plan, &mut write.budget)).await;
        }
        write
    }

    /// A writer that knows all that it changes. Dropped, it evicts that.
    pub(super) fn writing(&self, keys: Vec<Key>, tags: Vec<TagId>, evicts: Evicts) -> Write {
        let scope = keys.first().map(Key::scope).or_else(|| tags.first().map(TagId::scope)).unwrap_or(ScopeId::ROOT);
        Write {
            inner: Arc::clone(&self.0),
            targets: Targets { keys, tags, evicts },
            unknown: Vec::new(),
            puts: Vec::new(),
            budget: Budget::new(self.0.budget),
            scope,
            ended: None,
        }
    }

    pub(crate) async fn evict_now(&self, keys: Vec<Key>, tags: Vec<TagId>, evicts: Evicts) -> Ack {
        self.evict_or(keys, tags, evicts, self.0.on_l2_error).await
    }

    /// The same where nobody hears of it: what Redis does not confirm waits, whatever callers are to be told.
    pub(crate) async fn evict_unheard(&self, keys: Vec<Key>) {
        let _queued = self.evict_or(keys, Vec::new(), Evicts::ForGood, OnL2Error::Queue).await;
    }

    async fn evict_or(&self, keys: Vec<Key>, tags: Vec<TagId>, evicts: Evicts, on_l2_error: OnL2Error) -> Ack {
        let mut write = self.writing(keys, tags, evicts);
        if let Some(reason) = self.0.gate() {
            let ack = passed_by(reason);
            write.ended = Some(ack);
            self.0.bypass(write.scope, reason, write.budget.spent());
            return ack;
        }
        let targets = write.targets.clone();
        let ack = self.0.evict_all(&targets, &mut write.budget, on_l2_error).await;
        write.finished(ack, Outcome::Evict);
        ack
    }
}

/// What becomes of an eviction of a cache that is passed by: one that keeps nothing has nothing to evict, and one that is closed
/// does nothing any more.
fn passed_by(reason: Bypass) -> Ack {
    if reason == Bypass::Disabled { Ack::Applied(0) } else { Ack::Failed }
}

impl Write {
    /// The body has returned, or failed: what comes now is not to go without because something before it took its time.
    pub(crate) fn after_body(mut self) -> Self {
        self.budget.renew(self.inner.budget);
        self
    }

    /// The body returned the new value of the key to put, or *nothing*.
    pub(crate) async fn put<T: 'static>(mut self, ops: &'static ValueOps<T>, value: Option<T>, after: After) -> Ack {
        self.learned(&after);
        if let Some(ack) = self.ended {
            return ack;
        }
        let (puts, targets) = (std::mem::take(&mut self.puts), self.targets.clone());
        let ack = if puts.is_empty() {
            self.inner.evict_all(&targets, &mut self.budget, self.inner.on_l2_error).await
        } else {
            let inner = Arc::clone(&self.inner);
            Box::pin(inner.finish_puts(puts, ops, value, &after, targets, &mut self.budget)).await
        };
        self.finished(ack, Outcome::Put);
        ack
    }

    /// The body returned; what was known, and what only the result could name, is evicted.
    pub(crate) async fn evict(mut self, after: After) -> Ack {
        self.learned(&after);
        if let Some(ack) = self.ended {
            return ack;
        }
        let ack = self.inner.evict_all(&self.targets.clone(), &mut self.budget, self.inner.on_l2_error).await;
        self.finished(ack, Outcome::Evict);
        ack
    }

    /// The body failed: there is no result, and the row may have changed. Its caller gets the error and not the acknowledgement.
    pub(crate) async fn fail(mut self) -> Ack {
        if let Some(ack) = self.ended {
            return ack;
        }
        let targets = self.everything();
        let ack = self.inner.evict_all(&targets, &mut self.budget, OnL2Error::Queue).await;
        self.finished(ack, Outcome::Evict);
        ack
    }

    /// What it evicts is old then, and not gone.
    pub(crate) fn softly(mut self) -> Self {
        self.targets.evicts = Evicts::Softly;
        self
    }

    /// Nothing changed: nothing is put or evicted.
    pub(crate) fn keep(mut self) {
        self.ended = Some(Ack::Applied(0));
    }

    /// There is a result: templates over it no longer stand for all that they might have named.
    fn learned(&mut self, after: &After) {
        let known = &mut self.targets;
        known.keys.extend(after.evict.iter().cloned());
        known.tags.extend(after.evict_tags.iter().cloned().map(TagId::Tag));
    }

    /// What is known to have changed, and what may have.
    fn everything(&self) -> Targets {
        let mut targets = self.targets.clone();
        targets.tags.extend(self.unknown.iter().cloned());
        targets
    }

    fn finished(&mut self, ack: Ack, outcome: fn(Ack) -> Outcome) {
        self.ended = Some(ack);
        note(self.scope, outcome(ack), self.budget.spent());
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        let targets = self.everything();
        let inner = Arc::clone(&self.inner);
        let queued: Vec<Record> = targets.records().collect();
        // This process at once, so that even without a runtime no reader here sees the old value.
        inner.evict_locally(&targets, targets.evicts);
        let evict = {
            let (inner, targets) = (Arc::clone(&inner), targets.clone());
            async move {
                let mut budget = Budget::new(inner.budget);
                // Nobody is left to be told: what is not confirmed waits.
                let _queued = inner.evict_all(&targets, &mut budget, OnL2Error::Queue).await;
            }
        };
        if !inner.tasks.spawn(evict) {
            // It waits, and what waits is put in force for good.
            inner.evict_locally(&targets, Evicts::ForGood);
            inner.recovery.queue(queued);
        }
    }
}

impl Inner {
    /// Moves every record, then every mark of this process: whatever Redis answered, no reader here sees the old values once
    /// this has returned.
    async fn evict_all(&self, targets: &Targets, budget: &mut Budget, on_l2_error: OnL2Error) -> Ack {
        let ops = self.bumps(targets);
        if ops.is_empty() {
            return Ack::Applied(0);
        }
        let said = self.bump_all(ops, budget).await;
        // First: whoever reads from here on asks Redis, and must not believe it about what it has not confirmed.
        let ack = self.acknowledge(targets.records(), said, on_l2_error);
        self.hear_own(targets, ack, budget).await;
        // What Redis did not confirm is put in force there for good, and so it is here.
        let evicts = if ack.is_applied() { targets.evicts } else { Evicts::ForGood };
        self.evict_locally(targets, evicts);
        self.counters.add(Count::Evictions);
        ack
    }

    /// Moves the records in as many trips as it takes, each with the time that a call has.
    async fn bump_all(&self, ops: Vec<Op>, budget: &mut Budget) -> Said {
        let mut replies = Vec::with_capacity(ops.len());
        let mut ops = ops.into_iter().peekable();
        while ops.peek().is_some() {
            if !replies.is_empty() {
                budget.renew(self.budget);
            }
            match budget.spend(&self.clock, self.remote.run(ops.by_ref().take(BATCH).collect())).await {
                Ok(said) => replies.extend(said),
                // The rest is not tried: it would take the same time, trip by trip.
                Err(error) => return (replies, Some(error)),
            }
        }
        (replies, None)
    }

    /// Lets the echo of an eviction of tags arrive before it returns. A load that began after the eviction, and whose result
    /// names such a tag, would else take the echo for another eviction, and not be stored; and a value that was softly evicted,
    /// which stands in for a load that fails, would be taken for one that was evicted meanwhile.
    pub(super) async fn hear_own(&self, targets: &Targets, ack: Ack, budget: &mut Budget) {
        let records: Vec<Record> = match targets.evicts {
            Evicts::ForGood => targets.tags.iter().cloned().map(Record::Tag).collect(),
            Evicts::Softly => targets.records().collect(),
        };
        if ack.is_applied() && !records.is_empty() {
            // Without it the eviction is as good; a load may be made twice.
            let _heard = budget.spend(&self.clock, self.remote.catch_up(records)).await;
        }
    }

    pub(super) fn bumps(&self, targets: &Targets) -> Vec<Op> {
        let proposed = self.clock.remote_micros();
        let moves = targets.records().map(|record| match targets.evicts {
            Evicts::ForGood => Op::Bump { record, proposed, put: None },
            Evicts::Softly => Op::Leave { record, proposed },
        });
        moves.collect()
    }

    pub(super) fn evict_locally(&self, targets: &Targets, evicts: Evicts) {
        let at = self.clock.remote_micros();
        for key in &targets.keys {
            let hash = key.local_hash();
            self.local.compute(hash, &mut |present| {
                self.coherence.move_stripe(hash);
                if evicts == Evicts::ForGood {
                    return Change::Remove;
                }
                // The next look at it asks the server, which says so; where there is none, the entry has to know.
                if !self.remote.settles_doubts() {
                    present.into_iter().flat_map(Entry::each).for_each(|entry| entry.meta.leave(at));
                }
                Change::Keep
            });
        }
        for tag in &targets.tags {
            match evicts {
                Evicts::ForGood => self.tags.hint(tag),
                Evicts::Softly => self.tags.leave(tag, at),
            }
        }
    }

    /// What the server confirmed. What it did not is queued; what it did is remembered, in case the server loses it.
    pub(super) fn acknowledge(
        &self,
        records: impl Iterator<Item = Record>,
        (replies, error): Said,
        on_l2_error: OnL2Error,
    ) -> Ack {
        let mut replies = replies.into_iter();
        let (mut confirmed, mut queued, mut version, mut refusal) = (Vec::new(), Vec::new(), 0, error);
        for record in records {
            match replies.next() {
                Some(Reply::Bumped { version: moved, .. }) => {
                    version = version.max(moved);
                    confirmed.push(record);
                }
                Some(Reply::Failed(error)) => {
                    refusal = Some(error);
                    queued.push(record);
                }
                _ => queued.push(record),
            }
        }
        if self.remote.settles_doubts() && !confirmed.is_empty() {
            self.recovery.confirmed(confirmed, self.clock.now());
        }
        if queued.is_empty() {
            return Ack::Applied(version);
        }
        if let Some(error) = refusal {
            self.counters.add(Count::RemoteErrors);
            tracing::warn!(%error, "an eviction was not confirmed");
        }
        match on_l2_error {
            OnL2Error::Queue => {
                self.counters.add(Count::Queued);
                self.recovery.queue(queued);
                Ack::Queued
            }
            OnL2Error::Fail => Ack::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Mutex, PoisonError},
        time::Duration,
    };

    use super::*;
    use crate::{error::ErrorKind, tier::testing::Answering};

    const EACH: Duration = Duration::from_micros(100);

    #[tokio::test(start_paused = true)]
    async fn evictions_have_the_time_of_a_call_for_each_trip() {
        let (mut cache, trips) = (Cache::in_memory(), Arc::new(Mutex::new(Vec::new())));
        let count = Arc::clone(&trips);
        Arc::get_mut(&mut cache.0).unwrap().remote = Arc::new(Answering(move |ops: Vec<Op>| {
            count.lock().unwrap_or_else(PoisonError::into_inner).push(ops.len());
            async move {
                // Time itself, and it is paused: what so many operations take.
                tokio::time::sleep(EACH * u32::try_from(ops.len()).unwrap()).await;
                Ok(ops.iter().map(|_| Reply::Bumped { version: 1, stored: false }).collect())
            }
        }));
        let keys = (0..2_000_u64).map(|id| Key::new("product").arg(id)).collect();
        assert!(cache.evict_now(keys, Vec::new(), Evicts::ForGood).await.is_applied());
        let trips = std::mem::take(&mut *trips.lock().unwrap());
        assert_eq!((trips.iter().sum::<usize>(), trips.iter().max()), (2_000, Some(&BATCH)));
    }

    #[tokio::test]
    async fn what_nobody_hears_of_waits_though_callers_are_told() {
        let mut cache = Cache::in_memory();
        let inner = Arc::get_mut(&mut cache.0).unwrap();
        inner.on_l2_error = OnL2Error::Fail;
        inner.remote =
            Arc::new(Answering(|_| std::future::ready(Err(Error::new(ErrorKind::Unreachable, "test", "away")))));
        let key = Key::new("product").arg(7_u64);
        assert_eq!(cache.evict(&key).await, Ack::Failed);
        assert_eq!(cache.0.recovery.waiting(), 0);
        cache.evict_unheard(vec![key]).await;
        assert_eq!(cache.0.recovery.waiting(), 1);
    }
}
