//! The flusher: owns partitions of a journal, reads them in order, and hands batches to the sink.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Tuning,
    fold::{self, Fold},
    outcome::Outcome,
    shared::Shared,
    sink::{Batch, Increment, Operation, Sink, SinkError, Write, Written},
};
use crate::{
    cache::{Cache, Evicts, Inner},
    clock::Tick,
    error::Error,
    journal::{Advance, Ask, Change, JournalEntry, Parked, Position, Said, envelope},
    key::Key,
    value::CacheValue,
    wire::Packing,
};

/// Partitions that are flushed at once.
const LANES: usize = 8;
/// How long a sink may take for a batch; then it is dropped, and tried again.
const SINK_PATIENCE: Duration = Duration::from_secs(60);
/// An ownership is lengthened when such a part of it is over.
const RENEWALS: u32 = 3;
/// The first pause after the sink could not be reached, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(30);
/// Keys that one partition may have to be tried again. Beyond it, it waits: whatever refuses so many is broken.
const MAX_PARKED: usize = 10_000;

pub(crate) struct Flusher<T, S> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sink: Arc<S>,
    pub(crate) cache: Weak<Inner>,
    pub(crate) packing: Packing,
    pub(crate) values: std::marker::PhantomData<fn() -> T>,
}

/// A partition of this process.
struct Ours {
    number: u16,
    fence: u64,
    cursor: Position,
    parked: BTreeMap<String, (Key, Parked)>,
    /// Nothing is known yet of what the sink has committed.
    is_new: bool,
    /// What the sink has committed, and the journal does not know.
    committed: Option<Position>,
    due: Tick,
    pause: Duration,
    /// What there is was left to gather at the last look.
    gathers: bool,
    /// There is something to read, or nobody knows.
    has_entries: bool,
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
    /// It is another's by now, or nobody knows.
    Lost(u16),
    /// Of those that were idle it is known now whether there is something to read.
    #[expect(clippy::vec_box, reason = "they go back into their slots")]
    Asked(Vec<Box<Ours>>),
}

enum Slot {
    /// Another's, as far as is known. To be asked for then.
    Foreign(Tick),
    Idle(Box<Ours>),
    /// In a lane.
    Busy,
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
        let mut slots: Vec<Slot> = (0..shared.partitions).map(|_| Slot::Foreign(start)).collect();
        let mut lanes = FuturesUnordered::new();
        let mut renew_at = start.plus(shared.tuning.owned / RENEWALS);
        loop {
            let now = shared.clock.now();
            me.send_due(&mut slots, &mut lanes, now);
            let next = slots.iter().filter_map(|slot| match slot {
                Slot::Foreign(at) => Some(*at),
                Slot::Idle(ours) if lanes.len() < LANES => Some(ours.due),
                _ => None,
            });
            let next = next.chain([renew_at]).min().unwrap_or(renew_at);
            tokio::select! {
                Some(looked) = lanes.next(), if !lanes.is_empty() => match looked {
                    Looked::Again(mut ours, due) => {
                        ours.due = due;
                        let number = usize::from(ours.number);
                        slots[number] = Slot::Idle(ours);
                    }
                    Looked::Asked(all) => {
                        let now = shared.clock.now();
                        for mut ours in all {
                            ours.due = if ours.has_entries { now } else { now.plus(shared.tuning.age) };
                            let number = usize::from(ours.number);
                            slots[number] = Slot::Idle(ours);
                        }
                    }
                    Looked::Lost(number) => {
                        shared.disowned(number);
                        slots[usize::from(number)] = Slot::Foreign(shared.clock.now().plus(shared.tuning.age));
                    }
                },
                () = sleep(next.since(now)) => {
                    let now = shared.clock.now();
                    if renew_at <= now {
                        me.renew(&mut slots).await;
                        renew_at = shared.clock.now().plus(shared.tuning.owned / RENEWALS);
                    }
                    me.ask_for_foreign(&mut slots).await;
                    shared.asked.send_replace(true);
                }
                () = shared.wake.notified() => make_due(&shared, &mut slots),
                Ok(()) = draining.changed() => make_due(&shared, &mut slots),
                () = closing.cancelled() => break,
                () = shared.stop.cancelled() => break,
            }
        }
        // What is under way is finished: its outcome is better known than guessed.
        while lanes.next().await.is_some() {}
        me.disown_all().await;
        shared.ended.send_replace(true);
    }

    /// Sends everything that is due into a lane, as long as there are lanes.
    fn send_due(
        self: &Arc<Self>,
        slots: &mut [Slot],
        lanes: &mut FuturesUnordered<BoxFuture<'static, Looked>>,
        now: Tick,
    ) {
        let mut idle = Vec::new();
        for slot in slots {
            if lanes.len() >= LANES {
                break;
            }
            if matches!(slot, Slot::Idle(ours) if ours.due <= now)
                && let Slot::Idle(ours) = std::mem::replace(slot, Slot::Busy)
            {
                if self.is_idle(&ours) {
                    idle.push(ours);
                } else {
                    lanes.push(Arc::clone(self).look(ours).boxed());
                }
            }
        }
        if !idle.is_empty() {
            lanes.push(Arc::clone(self).ask_idle(idle).boxed());
        }
    }

    /// Lengthens what is owned.
    async fn renew(&self, slots: &mut [Slot]) {
        let owned: Vec<(u16, u64)> = self.shared.lock_owned().iter().map(|(number, fence)| (*number, *fence)).collect();
        let asks = owned.iter().map(|(number, _)| (*number, self.shared.own_ask(0))).collect();
        let Ok(said) = self.shared.ask_all(asks).await else { return };
        for ((number, fence), said) in owned.into_iter().zip(said) {
            // Whoever is in a lane finds out when it advances.
            let is_kept = matches!(said, Ok(Said::Owned(Some((now, _)))) if now == fence);
            if !is_kept && !matches!(slots[usize::from(number)], Slot::Busy) {
                self.shared.disowned(number);
                slots[usize::from(number)] = Slot::Foreign(self.shared.clock.now());
            }
        }
    }

    /// Asks for partitions that were another's, or nobody's.
    async fn ask_for_foreign(&self, slots: &mut [Slot]) {
        let now = self.shared.clock.now();
        let due = |slot: &Slot| matches!(slot, Slot::Foreign(at) if *at <= now);
        let wanted: Vec<u16> = (0..self.shared.partitions).filter(|number| due(&slots[usize::from(*number)])).collect();
        if wanted.is_empty() {
            return;
        }
        let asks = wanted.iter().map(|number| (*number, self.shared.own_ask(0))).collect();
        let said = self.shared.ask_all(asks).await;
        let said: Vec<Result<Said, Error>> = match said {
            Ok(said) => said,
            Err(error) => {
                tracing::debug!(%error, "partitions of a journal cannot be asked for");
                wanted.iter().map(|_| Err(error.clone())).collect()
            }
        };
        for (number, said) in wanted.into_iter().zip(said) {
            slots[usize::from(number)] = match said {
                Ok(Said::Owned(Some((fence, cursor)))) => {
                    self.shared.lock_owned().insert(number, fence);
                    Slot::Idle(Box::new(Ours::new(number, fence, cursor)))
                }
                // Somebody else may be gone by then; not all nodes at once.
                _ => Slot::Foreign(
                    self.shared.clock.now().plus(self.shared.tuning.owned.mul_f64(0.2 + 0.2 * fastrand::f64())),
                ),
            };
        }
    }

    async fn disown_all(&self) {
        let owned: Vec<(u16, u64)> = std::mem::take(&mut *self.shared.lock_owned()).into_iter().collect();
        let asks = owned.into_iter().map(|(number, fence)| (number, Ask::Disown { fence })).collect();
        // What is not given up ends by itself.
        let _best_effort = self.shared.ask_all(asks).await;
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

    /// One look at one partition: reads, folds, writes, advances.
    async fn look(self: Arc<Self>, mut ours: Box<Ours>) -> Looked {
        let number = ours.number;
        self.shared.fresh[usize::from(number)].store(0, Ordering::Relaxed);
        match self.flush(&mut ours).await {
            Ok(flush) => {
                ours.pause = FIRST_PAUSE;
                ours.gathers = matches!(flush, Flush::Gathers(_));
                ours.has_entries = !matches!(flush, Flush::Rest);
                let is_hurried = !ours.parked.is_empty();
                let age = self.shared.tuning.age;
                let now = self.shared.clock.now();
                let pause = match flush {
                    Flush::Whole => Duration::ZERO,
                    Flush::Gathers(left) => left,
                    Flush::Rest if is_hurried => age.min(FIRST_PAUSE),
                    Flush::Rest => age,
                };
                Looked::Again(ours, now.plus(pause))
            }
            Err(Stopped::Lost) => Looked::Lost(number),
            Err(Stopped::Sink(error)) => {
                self.shared.flushed.failures.fetch_add(1, Ordering::Relaxed);
                let pause = ours.pause.mul_f64(0.75 + fastrand::f64() / 2.0);
                tracing::warn!(%error, partition = %self.shared.partition(number), ?pause, "a sink is tried again");
                ours.pause = (ours.pause * 2).min(LAST_PAUSE);
                Looked::Again(ours, self.shared.clock.now().plus(pause))
            }
            Err(Stopped::Fenced(fence)) => self.raise_fence(ours, fence).await,
            Err(Stopped::Journal(error)) => {
                if error.is_transient() {
                    tracing::debug!(%error, "a journal cannot be read now");
                } else {
                    tracing::warn!(%error, partition = %self.shared.partition(number), "a journal cannot be read");
                }
                // Whether the cursor advanced is not known: it is read again with the ownership.
                Looked::Lost(number)
            }
        }
    }

    /// The sink has seen a later owner. If this node still owns the partition, the journal has lost its fences, and this one is raised
    /// above the sink's.
    async fn raise_fence(&self, ours: Box<Ours>, above: u64) -> Looked {
        let asked = self.shared.ask(ours.number, self.shared.own_ask(above)).await;
        match asked {
            Ok(Said::Owned(Some((fence, cursor)))) if fence > above => {
                self.shared.lock_owned().insert(ours.number, fence);
                Looked::Again(Box::new(Ours::new(ours.number, fence, cursor)), self.shared.clock.now())
            }
            _ => Looked::Lost(ours.number),
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
        let Fold { now, later } = fold::fold(entries, &ours.parked, millis);
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
            let batch = Batch { partition: shared.partition(ours.number), fence: ours.fence, position: cursor, writes };
            let written = match timeout(SINK_PATIENCE, self.sink.write(&batch)).await {
                Ok(Ok(written)) => written,
                Ok(Err(SinkError::Fenced(fence))) => return Err(Stopped::Fenced(fence)),
                Ok(Err(error)) => return Err(Stopped::Sink(error)),
                Err(_) => {
                    let detail = format!("it did not answer within {SINK_PATIENCE:?}");
                    return Err(Stopped::Sink(SinkError::unavailable(detail)));
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
    async fn read(&self, ours: &mut Ours) -> Result<(Vec<JournalEntry>, u64, bool), Stopped> {
        let Tuning { batch, batch_bytes, .. } = self.shared.tuning;
        let (mut entries, mut last, mut after) = (Vec::new(), 0, ours.cursor);
        loop {
            let ask = Ask::Read { after, entries: batch, bytes: batch_bytes };
            let (given, mut more) = match self.shared.ask(ours.number, ask).await {
                Ok(Said::Entries { last, entries }) => (last, entries),
                Ok(_) => return Err(Stopped::Lost),
                Err(error) => return Err(Stopped::Journal(error)),
            };
            last = last.max(given);
            let is_full = more.len() >= batch || more.iter().map(JournalEntry::bytes).sum::<usize>() >= batch_bytes;
            let Some(committed) = ours.committed else {
                entries.append(&mut more);
                return Ok((entries, last, is_full));
            };
            // What was committed together is folded together again: a row that was deleted in it is not put first.
            let Some(end) = more.last().map(|entry| entry.position) else {
                // Trimmed: the journal knows by now.
                ours.committed = None;
                return Ok((entries, last, false));
            };
            entries.extend(more.into_iter().filter(|entry| entry.position <= committed));
            if end >= committed {
                return Ok((entries, last, true));
            }
            after = end;
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
                Change::Put(envelope) => Operation::Put(envelope::read(&key, &self.packing, envelope)?),
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
        let advance = Advance {
            cursor,
            flushed: flushed.values().cloned().collect(),
            parked: parked.values().cloned().collect(),
            unparked: unparked.iter().map(|(_, key)| key.clone()).collect(),
            dead: dead.values().cloned().collect(),
        };
        match shared.ask(ours.number, Ask::Advance { fence: ours.fence, advance }).await {
            Ok(Said::Done(true)) => {}
            Ok(_) => return Err(Stopped::Lost),
            Err(error) => return Err(Stopped::Journal(error)),
        }
        ours.cursor = cursor;
        ours.committed = ours.committed.filter(|committed| *committed > cursor);
        for (wire, _) in unparked {
            ours.parked.remove(&wire);
        }
        ours.parked.extend(parked);
        for (key, parked) in dead.values() {
            tracing::error!(scope = key.scope().name(), reason = parked.reason, "a write was given up: a dead letter");
        }
        // What the cache has of these is not what the origin has now.
        if let Some(inner) = self.cache.upgrade()
            && !evict.is_empty()
        {
            let keys = evict.into_values().collect();
            let _told = Cache(inner).evict_now(keys, Vec::new(), Evicts::ForGood).await;
        }
        Ok(())
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

// === impl Ours ===

impl Ours {
    fn new(number: u16, fence: u64, cursor: Position) -> Self {
        Self {
            number,
            fence,
            cursor,
            parked: BTreeMap::new(),
            is_new: true,
            committed: None,
            due: Tick::ZERO,
            pause: FIRST_PAUSE,
            gathers: false,
            has_entries: true,
        }
    }
}

/// Has those looked at that have a batch's worth, or all of them where nothing more comes. The others go on gathering: what is
/// flushed with few changes is written once more for the next ones.
fn make_due(shared: &Shared, slots: &mut [Slot]) {
    let (is_draining, batch) = (*shared.draining.borrow(), shared.tuning.batch as u64);
    for (slot, fresh) in slots.iter_mut().zip(&shared.fresh) {
        if let Slot::Idle(ours) = slot {
            // One that waits for the sink goes on waiting.
            if ours.pause == FIRST_PAUSE && (is_draining || fresh.load(Ordering::Relaxed) >= batch) {
                ours.due = Tick::ZERO;
            }
        }
    }
}
