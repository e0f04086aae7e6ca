//! The flusher: reads the partitions that are its own in order, and hands batches to the sink.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Tuning,
    fold::{self, Fold},
    outcome::Outcome,
    shared::Shared,
    sink::{Batch, Increment, Operation, Sink, SinkError, Write, Written},
    slots::{FIRST_PAUSE, Ours, RENEWALS, Slots},
};
use crate::{
    cache::{Cache, Inner},
    clock::Tick,
    error::Error,
    journal::{Advance, Ask, Change, JournalEntry, Parked, Said, envelope},
    key::Key,
    value::CacheValue,
    wire::Packing,
};

/// Partitions that are flushed at once.
const LANES: usize = 8;
/// How long a sink may take for a batch; then it is dropped, and tried again.
const SINK_PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause after the sink could not be reached.
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// How long a partition is left alone after a panic.
const AFTER_PANIC: Duration = Duration::from_secs(5);
/// Keys that one partition may have to be tried again. Beyond it, it waits: whatever refuses so many is broken.
const MAX_PARKED: usize = 10_000;

pub(crate) struct Flusher<T, S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sink: Arc<S>,
    pub(crate) cache: Weak<Inner>,
    pub(crate) packing: Packing,
    pub(crate) values: std::marker::PhantomData<fn() -> T>,
}

/// What one attempt to flush a partition came to.
enum Flush {
    /// A whole batch: there may be more.
    Whole,
    /// All there was.
    Rest,
    /// Nothing: what there is gathers for so long.
    Gathers(Duration),
}

/// How a look at a partition ended.
enum Looked {
    /// To be looked at again then.
    Again(Box<Ours>, Tick),
    /// It is another's by now, or nobody knows what became of what was asked under this fence. To be asked for after so long.
    Lost { number: u16, fence: u64, after: Duration },
    /// Of those that were idle it is known now whether there is something to read.
    #[expect(clippy::vec_box, reason = "they go back into their slots")]
    Asked(Vec<Box<Ours>>),
}

impl<T, S> Flusher<T, S>
where
    T: CacheValue,
    S: Sink<T>,
{
    /// Flushes until the cache is closed, or the journal is drained and closed.
    pub(crate) async fn run(self, closing: CancellationToken) {
        let me = Arc::new(self);
        let shared = Arc::clone(&me.shared);
        let mut draining = shared.draining.subscribe();
        let start = shared.clock.now();
        let mut slots = Slots::new(shared.partitions, start);
        let mut lanes = JoinSet::new();
        let mut renew_at = start;
        loop {
            let now = shared.clock.now();
            me.send_due(&mut slots, &mut lanes, now);
            let next = slots.due(lanes.len() < LANES).map_or(renew_at, |due| due.min(renew_at));
            tokio::select! {
                Some(looked) = lanes.join_next() => match looked {
                    // A lane does not panic: the runtime is going away.
                    Err(_) => break,
                    Ok(Looked::Again(mut ours, due)) => {
                        ours.due = due;
                        slots.put_back(ours);
                    }
                    Ok(Looked::Asked(all)) => {
                        let now = shared.clock.now();
                        for mut ours in all {
                            ours.due = if ours.has_entries { now } else { now.plus(shared.tuning.age) };
                            slots.put_back(ours);
                        }
                    }
                    Ok(Looked::Lost { number, fence, after }) => {
                        slots.lost(&shared, number, fence, shared.clock.now().plus(after));
                    }
                },
                () = sleep(next.since(now)) => {
                    let now = shared.clock.now();
                    if renew_at <= now {
                        slots.renew(&shared).await;
                        renew_at = shared.clock.now().plus(shared.tuning.owned / RENEWALS);
                    }
                    slots.ask_for_foreign(&shared).await;
                    shared.asked.send_replace(true);
                }
                () = shared.wake.notified() => slots.make_due(&shared),
                Ok(()) = draining.changed() => slots.make_due(&shared),
                () = closing.cancelled() => break,
                () = shared.stop.cancelled() => break,
            }
        }
        // What is under way is finished: its outcome is better known than guessed.
        while lanes.join_next().await.is_some() {}
        slots.give_up_all(&shared).await;
        shared.ended.send_replace(true);
    }

    /// Sends everything that is due into a lane, as long as there are lanes.
    fn send_due(self: &Arc<Self>, slots: &mut Slots, lanes: &mut JoinSet<Looked>, now: Tick) {
        let mut idle = Vec::new();
        while lanes.len() < LANES
            && let Some(ours) = slots.take_due(now)
        {
            if self.is_idle(&ours) {
                idle.push(ours);
            } else {
                lanes.spawn(Arc::clone(self).look_safely(ours));
            }
        }
        if !idle.is_empty() {
            lanes.spawn(Arc::clone(self).ask_idle(idle));
        }
    }

    /// Whether there is nothing to do for a partition unless somebody else has journaled a change.
    fn is_idle(&self, ours: &Ours) -> bool {
        let is_settled = !ours.is_new && !ours.has_entries && ours.committed.is_none() && ours.parked.is_empty();
        is_settled && self.shared.fresh[usize::from(ours.number)].load(Ordering::Relaxed) == 0
    }

    /// Asks in one trip whether there is something in partitions that were idle.
    #[expect(clippy::vec_box, reason = "they go back into their slots")]
    async fn ask_idle(self: Arc<Self>, mut all: Vec<Box<Ours>>) -> Looked {
        let asks = all.iter().map(|ours| (ours.number, Ask::HasEntries)).collect();
        let said = self.shared.ask_all(asks).await.unwrap_or_default();
        for (index, ours) in all.iter_mut().enumerate() {
            // Where nobody answers, the look finds out why.
            ours.has_entries = !matches!(said.get(index), Some(Ok(Said::Has(false))));
        }
        Looked::Asked(all)
    }

    /// The same, where a sink or a value's own code may panic: that is one more thing to be tried again.
    async fn look_safely(self: Arc<Self>, ours: Box<Ours>) -> Looked {
        let (shared, number, fence) = (Arc::clone(&self.shared), ours.number, ours.fence);
        let looked = AssertUnwindSafe(self.look(ours)).catch_unwind().await;
        looked.unwrap_or_else(|_| {
            shared.flushed.failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!(partition = %shared.partition(number), pause = ?AFTER_PANIC, "a sink panicked, and is tried again");
            Looked::Lost { number, fence, after: AFTER_PANIC }
        })
    }

    /// One look at one partition: reads, folds, writes, advances.
    async fn look(self: Arc<Self>, mut ours: Box<Ours>) -> Looked {
        let (number, fence, age) = (ours.number, ours.fence, self.shared.tuning.age);
        self.shared.fresh[usize::from(number)].store(0, Ordering::Relaxed);
        match self.flush(&mut ours).await {
            Ok(flush) => {
                ours.pause = FIRST_PAUSE;
                ours.gathers = matches!(flush, Flush::Gathers(_));
                ours.has_entries = !matches!(flush, Flush::Rest);
                let is_hurried = !ours.parked.is_empty();
                let now = self.shared.clock.now();
                let pause = match flush {
                    Flush::Whole => Duration::ZERO,
                    Flush::Gathers(left) => left,
                    Flush::Rest if is_hurried => age.min(FIRST_PAUSE),
                    Flush::Rest => age,
                };
                Looked::Again(ours, now.plus(pause))
            }
            Err(Stopped::Lost) => Looked::Lost { number, fence, after: age },
            Err(Stopped::Sink(error)) => {
                self.shared.flushed.failures.fetch_add(1, Ordering::Relaxed);
                let pause = ours.pause.mul_f64(0.75 + fastrand::f64() / 2.0);
                tracing::warn!(%error, partition = %self.shared.partition(number), ?pause, "a sink is tried again");
                ours.pause = (ours.pause * 2).min(LAST_PAUSE);
                Looked::Again(ours, self.shared.clock.now().plus(pause))
            }
            Err(Stopped::Fenced(above)) => self.raise_fence(ours, above).await,
            Err(Stopped::Journal(error)) => {
                if error.is_transient() {
                    tracing::debug!(%error, "a journal cannot be read now");
                } else {
                    tracing::warn!(%error, partition = %self.shared.partition(number), "a journal cannot be read");
                }
                // Whether the cursor advanced is not known: it is read again with the ownership.
                Looked::Lost { number, fence, after: age }
            }
        }
    }

    /// The sink has seen a later owner, or may still do what it was asked for under this fence. If the partition is still this one's, its
    /// fence is raised above that.
    async fn raise_fence(&self, ours: Box<Ours>, above: u64) -> Looked {
        let asked = self.shared.ask(ours.number, self.shared.own_ask(above)).await;
        match asked {
            Ok(Said::Owned(Some((fence, cursor)))) if fence > above => {
                self.shared.lock_owned().insert(ours.number, fence);
                let now = self.shared.clock.now();
                Looked::Again(Box::new(Ours::new(ours.number, fence, cursor, now)), now)
            }
            _ => Looked::Lost { number: ours.number, fence: above, after: self.shared.tuning.age },
        }
    }

    /// Flushes one batch, unless it is still to gather.
    async fn flush(&self, ours: &mut Ours) -> Result<Flush, Stopped> {
        let shared = &self.shared;
        if ours.is_new {
            self.learn(ours).await?;
        }
        // Whatever refuses so many is broken: nothing more is read, and writers will be told that there is no room.
        let is_choked = ours.parked.len() > MAX_PARKED;
        let (entries, last, is_full) = if is_choked { (Vec::new(), 0, false) } else { self.read(ours).await? };
        let cursor = entries.last().map_or(ours.cursor, |entry| entry.position);
        let changes = entries.len() as u64;
        let millis = shared.clock.remote_micros() / 1_000;
        if let Some(left) = self.gathers(ours, &entries, is_full, millis) {
            // It counts towards a batch's worth.
            shared.fresh[usize::from(ours.number)].fetch_add(changes, Ordering::Relaxed);
            return Ok(Flush::Gathers(left));
        }
        let flush = if is_full { Flush::Whole } else { Flush::Rest };
        let Fold { now, later } = fold::fold(entries, &ours.parked, millis, shared.tuning.batch);
        if now.is_empty() && later.is_empty() {
            return Ok(flush);
        }
        let (mut writes, mut refused) = (Vec::new(), Vec::new());
        for (key, parked) in now.values() {
            match self.write_of(key, parked) {
                Ok(write) => writes.push(write),
                Err(reason) => refused.push((key.clone(), parked.clone(), reason)),
            }
        }
        let mut outcome = Outcome::new(cursor, later, millis);
        if !writes.is_empty() {
            shared.flushed.batches.fetch_add(1, Ordering::Relaxed);
            shared.flushed.writes.fetch_add(writes.len() as u64, Ordering::Relaxed);
            // Not back behind what was committed, of which nothing was read.
            let position = ours.committed.filter(|_| is_choked).map_or(cursor, |committed| committed.max(cursor));
            let batch = Batch { partition: shared.partition(ours.number), fence: ours.fence, position, writes };
            let written = match timeout(SINK_PATIENCE, self.sink.write(&batch)).await {
                Ok(Ok(written)) => written,
                Ok(Err(SinkError::Fenced(fence))) => return Err(Stopped::Fenced(fence)),
                Ok(Err(error)) => return Err(Stopped::Sink(error)),
                Err(_) => {
                    shared.flushed.failures.fetch_add(1, Ordering::Relaxed);
                    let partition = shared.partition(ours.number);
                    tracing::warn!(%partition, "a sink did not answer within {SINK_PATIENCE:?}, and is tried again");
                    // It may still be at it.
                    return Err(Stopped::Fenced(ours.fence));
                }
            };
            if written.len() != batch.writes.len() {
                let detail = format!("{} answers to {} writes", written.len(), batch.writes.len());
                return Err(Stopped::Sink(SinkError::unavailable(detail)));
            }
            let last = self.last_of(ours, last, &written).await?;
            for (write, written) in batch.writes.into_iter().zip(written) {
                let parked = &now[&write.key.wire()].1;
                outcome.add(&write.key, parked, &write.operation, written, last, &shared.tuning);
            }
        }
        for (key, parked, reason) in refused {
            outcome.refuse(&key, parked, reason, &shared.tuning);
        }
        self.advance(ours, outcome).await?;
        if !is_choked {
            // All that the journal had of it was in this batch.
            ours.committed = None;
        }
        shared.flushed.changes.fetch_add(changes, Ordering::Relaxed);
        Ok(flush)
    }
}

impl<T, S> Flusher<T, S>
where
    T: CacheValue,
    S: Sink<T>,
{
    /// What a new owner has to know: what is kept to be tried again, and what the sink committed before the last owner could say so.
    async fn learn(&self, ours: &mut Ours) -> Result<(), Stopped> {
        let parked = match self.shared.ask(ours.number, Ask::Parked).await {
            Ok(Said::Parked(parked)) => parked,
            Ok(_) => return Err(Stopped::Lost),
            Err(error) => return Err(Stopped::Journal(error)),
        };
        ours.parked = parked.into_iter().map(|(key, parked)| (key.wire(), (key, parked))).collect();
        let partition = self.shared.partition(ours.number);
        // Before anything is read: what is read then is no less than what an owner before this one could commit.
        let claimed = match timeout(SINK_PATIENCE, self.sink.claim(&partition, ours.fence)).await {
            Ok(Ok(position)) => position,
            Ok(Err(SinkError::Fenced(fence))) => return Err(Stopped::Fenced(fence)),
            Ok(Err(error)) => return Err(Stopped::Sink(error)),
            Err(_) => return Err(Stopped::Sink(SinkError::unavailable("it did not answer"))),
        };
        ours.committed = claimed.filter(|at| *at > ours.cursor);
        ours.is_new = false;
        Ok(())
    }

    /// Entries for one batch, the last version that was given, and whether there may be more.
    ///
    /// What the sink had committed before this owner came is folded together again, whole: a row that was deleted in it is not put first.
    async fn read(&self, ours: &mut Ours) -> Result<(Vec<JournalEntry>, u64, bool), Stopped> {
        let Tuning { batch, batch_bytes, .. } = self.shared.tuning;
        let (mut entries, mut last, mut after) = (Vec::new(), 0, ours.cursor);
        loop {
            let ask = Ask::Read { after, entries: batch, bytes: batch_bytes };
            let (given, mut more, is_full) = match self.shared.ask(ours.number, ask).await {
                Ok(Said::Entries { last, entries, is_full }) => (last, entries, is_full),
                Ok(_) => return Err(Stopped::Lost),
                Err(error) => return Err(Stopped::Journal(error)),
            };
            last = last.max(given);
            let Some(committed) = ours.committed else {
                entries.append(&mut more);
                return Ok((entries, last, is_full));
            };
            let of_it = more.iter().take_while(|entry| entry.position <= committed).count();
            let goes_on = of_it == more.len() && is_full;
            after = more.last().map_or(after, |entry| entry.position);
            entries.extend(more.drain(..of_it));
            if goes_on {
                continue;
            }
            if entries.is_empty() {
                // The journal has none of it: it knows by now, or has lost it.
                ours.committed = None;
                return Ok((more, last, is_full));
            }
            return Ok((entries, last, true));
        }
    }

    /// For how long what there is gathers still: until its first change is as old as that may be. Once for each batch, for the clocks
    /// of two may disagree.
    fn gathers(&self, ours: &Ours, entries: &[JournalEntry], is_full: bool, millis: u64) -> Option<Duration> {
        let first = entries.first()?.position.millis;
        let is_due = is_full || ours.gathers || ours.committed.is_some() || !ours.parked.is_empty();
        if is_due || *self.shared.draining.borrow() {
            return None;
        }
        let age = self.shared.tuning.age;
        let left = age.checked_sub(Duration::from_millis(millis.saturating_sub(first)))?;
        // Where changes never stop, the first of a batch came right after the last look.
        (left > age / 4).then_some(left)
    }

    /// The write that a key's changes come to; the reason if they cannot be read.
    fn write_of(&self, key: &Key, parked: &Parked) -> Result<Write<T>, String> {
        let key = key.clone();
        if let Some((version, _, change)) = &parked.replaced {
            let operation = match change {
                Change::Put(envelope) => {
                    let read = catch_unwind(AssertUnwindSafe(|| envelope::read(&key, &self.packing, envelope)));
                    Operation::Put(read.unwrap_or_else(|_| Err("to read the value panics".to_owned()))?)
                }
                _ => Operation::Delete,
            };
            return Ok(Write { key, version: *version, operation });
        }
        let increments: Vec<Increment> =
            parked.increments.iter().map(|&(version, by)| Increment { version, by }).collect();
        let version = increments.last().map_or(0, |increment| increment.version);
        Ok(Write { key, version, operation: Operation::Increment(increments) })
    }

    /// The last version that the partition gave: asked for again where a row has one above what was known.
    async fn last_of(&self, ours: &Ours, last: u64, written: &[Written]) -> Result<u64, Stopped> {
        if !written.iter().any(|written| matches!(written, Written::Newer(row) if *row > last)) {
            return Ok(last);
        }
        let ask = Ask::Read { after: ours.cursor, entries: 1, bytes: 1 };
        match self.shared.ask(ours.number, ask).await {
            Ok(Said::Entries { last, .. }) => Ok(last),
            Ok(_) => Err(Stopped::Lost),
            Err(error) => Err(Stopped::Journal(error)),
        }
    }

    /// Has the journal know what became of a batch.
    async fn advance(&self, ours: &mut Ours, outcome: Outcome) -> Result<(), Stopped> {
        let Outcome { cursor, flushed, parked, evict, dead, .. } = outcome;
        let shared = &self.shared;
        let unparked: Vec<(String, Key)> = (ours.parked.iter())
            .filter(|(wire, _)| !parked.contains_key(*wire))
            .filter(|(wire, _)| flushed.contains_key(*wire) || dead.contains_key(*wire) || evict.contains_key(*wire))
            .map(|(wire, (key, _))| (wire.clone(), key.clone()))
            .collect();
        // While the journal has it: whoever takes over writes it again, and evicts it again.
        self.evict(evict.into_values().collect()).await;
        let advance = Advance {
            cursor,
            flushed: flushed.values().cloned().collect(),
            parked: parked.values().cloned().collect(),
            unparked: unparked.iter().map(|(_, key)| key.clone()).collect(),
            dead: dead.values().cloned().collect(),
        };
        let (owner, fence) = (shared.owner, ours.fence);
        match shared.ask(ours.number, Ask::Advance { owner, fence, advance }).await {
            Ok(Said::Done(true)) => {}
            Ok(_) => return Err(Stopped::Lost),
            Err(error) => return Err(Stopped::Journal(error)),
        }
        ours.cursor = cursor;
        for (wire, _) in unparked {
            ours.parked.remove(&wire);
        }
        ours.parked.extend(parked);
        for (key, parked) in dead.values() {
            tracing::error!(scope = key.scope().name(), reason = parked.reason, "a write was given up: a dead letter");
        }
        // The mark of what was given up is gone, by which readers got it.
        self.evict(dead.into_values().map(|(key, _)| key).collect()).await;
        Ok(())
    }

    /// What the cache has of these is not what the origin has now.
    async fn evict(&self, keys: Vec<Key>) {
        if let Some(inner) = self.cache.upgrade()
            && !keys.is_empty()
        {
            Cache(inner).evict_unheard(keys).await;
        }
    }
}

/// Why a batch was not flushed.
enum Stopped {
    /// The partition is another's by now.
    Lost,
    /// The sink has seen this fence, of a later owner.
    Fenced(u64),
    Sink(SinkError),
    Journal(Error),
}
