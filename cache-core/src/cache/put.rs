//! Puts: what is captured before the body of a writer, and what becomes of the value that it returned.

use std::{sync::Arc, time::Duration};

use super::{
    Inner,
    ask::{Captured, Watch},
    store::encode_value,
    templates,
    write::{After, Evicts, Targets, WritePlan},
};
use crate::{
    budget::Budget,
    entry::{Deadlines, Entry, EntryMeta, Held, PutRow, Stamp},
    error::{Error, ErrorKind},
    key::Key,
    outcome::{Ack, Bypass},
    policy::Resolved,
    stats::Count,
    tier::{Change, Op, Put, RAISE, Record, Reply, Row},
    value::ValueOps,
    wire::PayloadKind,
};

/// How often a put is given another version because the server is ahead of the one that it has.
const RAISES: u32 = 3;

/// What was captured for a put before its body.
pub(super) struct PutState {
    key: Key,
    watch: Watch,
    captured: Captured,
    policy: Resolved,
}

/// A put that is about to be made.
struct Ready {
    key: Key,
    watch: Watch,
    /// The version of the key before the body.
    captured: u64,
    version: u64,
    /// The version of the row.
    row: Option<u64>,
    entry: Arc<Entry>,
    kind: PayloadKind,
    life: Duration,
    max_bytes: usize,
    /// Whether there is anything to store, or only to evict.
    stores: bool,
}

/// A row that is put, beside one that was put when its writer looked, or later with nothing but puts of rows in between.
struct Compared<'e> {
    is_older: bool,
    is_newer: bool,
    /// The other, if nothing that they depend on was evicted in between.
    follows: Option<&'e PutRow>,
}

impl Ready {
    fn compare<'e>(&self, theirs: &'e EntryMeta, stripe: u64) -> Option<Compared<'e>> {
        let (ours, row) = (self.row?, theirs.row()?);
        if theirs.stamp().stripe != stripe && !row.follows(stripe) {
            return None;
        }
        let follows = Some(row).filter(|_| theirs.hash_of_tags() == self.entry.meta.hash_of_tags());
        Some(Compared { is_older: ours < row.version, is_newer: ours > row.version, follows })
    }
}

impl Inner {
    /// Captures, in one trip, what puts will belong to. One without a capture only evicts.
    pub(super) async fn begin_puts(&self, plan: &WritePlan, budget: &mut Budget) -> Vec<PutState> {
        let begin = |key: &Key| {
            let scope = self.scopes.state(key.scope(), &self.tags);
            if !templates::agrees(key.scope().name(), key.shape(), &plan.shape_tags, plan.place) {
                self.bypass(key.scope(), Bypass::TagsDiffer, budget.spent());
                return None;
            }
            let watch = self.watch(key, &scope, &plan.put_tags);
            Some((key.clone(), watch, scope.policy.with(plan.overrides)))
        };
        let begun: Vec<(Key, Watch, Resolved)> = plan.puts.iter().filter_map(begin).collect();
        let mut ops = Vec::new();
        let questions: Vec<_> = begun
            .iter()
            .map(|(key, watch, policy)| self.capture_question(key, watch, policy.longest_life(), Vec::new(), &mut ops))
            .collect();
        if questions.is_empty() {
            return Vec::new();
        }
        let Ok(replies) = self.ask(budget, ops).await else { return Vec::new() };
        let mut replies = replies.into_iter();
        let captured: Vec<_> = questions.into_iter().map(|question| question.captured(&mut replies).ok()).collect();
        let state = |((key, watch, policy), captured): (_, Option<(Captured, _)>)| {
            Some(PutState { key, watch, captured: captured?.0, policy })
        };
        begun.into_iter().zip(captured).filter_map(state).collect()
    }

    /// Puts the new value, if nobody else evicted or put since the capture; else evicts, and the next reader loads. Of rows with
    /// versions the newer one stays, whoever came first, unless somebody evicted.
    pub(super) async fn finish_puts<T: 'static>(
        &self,
        puts: Vec<PutState>,
        ops: &'static ValueOps<T>,
        value: Option<T>,
        after: &After,
        mut targets: Targets,
        budget: &mut Budget,
    ) -> Ack {
        let mut ready = Vec::with_capacity(puts.len());
        for put in puts {
            ready.push(self.ready(put, ops, value.as_ref().map(ops.clone), after, budget).await);
        }
        targets.keys.retain(|target| !ready.iter().any(|put| put.key == *target));
        let mut bumps = self.bumps(&targets);
        let others = bumps.len();
        for put in &mut ready {
            bumps.push(self.op_of(put, ops, after.rev));
        }
        let mut answer = budget.spend(&self.clock, self.remote.run(bumps)).await;
        if let Ok(replies) = &mut answer {
            for (put, reply) in ready.iter_mut().zip(replies.iter_mut().skip(others)) {
                self.raise(put, reply, ops, after.rev, budget).await;
            }
        }
        let is_stored = |index: usize| {
            let reply = answer.as_ref().ok().and_then(|replies| replies.get(others + index));
            matches!(reply, Some(Reply::Bumped { stored: true, .. }))
        };
        let stored: Vec<bool> = (0..ready.len()).map(is_stored).collect();
        let keys = ready.iter().map(|put| Record::Control(put.key.clone()));
        let said = answer.map_or_else(|error| (Vec::new(), Some(error)), |replies| (replies, None));
        let ack = self.acknowledge(targets.records().chain(keys), said, self.on_l2_error);
        for (put, stored) in ready.iter().zip(stored) {
            self.replace(put, stored);
        }
        self.hear_own(&targets, ack, budget).await;
        self.evict_locally(&targets, Evicts::ForGood);
        self.counters.add(Count::Puts);
        ack
    }

    /// The entry that a put is to leave behind.
    async fn ready<T: 'static>(
        &self,
        put: PutState,
        ops: &'static ValueOps<T>,
        value: Option<T>,
        after: &After,
        budget: &mut Budget,
    ) -> Ready {
        let PutState { key, watch, captured: Captured { version: captured, held, .. }, policy } = put;
        let ttl = if value.is_some() { policy.ttl } else { policy.negative };
        let ttl = policy.jittered(ttl, fastrand::f64());
        let now = self.clock.now();
        let created = self.clock.remote_micros_at(now);
        // Never one that was given before, even where the server's clock stepped back or lost what it gave.
        let version = if created > captured { created } else { captured + fastrand::u64(1..=RAISE) };
        let (kind, row) = if value.is_some() { (PayloadKind::Value, after.row) } else { (PayloadKind::Nothing, None) };
        let deadlines = Deadlines::of(created, ttl, &policy, value.is_some());
        let times = self.times(created, Duration::ZERO, deadlines, &policy);
        let slot = ValueOps::<T>::slot();
        let meta = EntryMeta::new(&key, slot, watch.spot.partition, version, times, watch.stamp);
        let entry = ops.entry(value, meta);
        let life = deadlines.life_left(created);
        let held =
            if ttl.is_zero() { None } else { self.hold_for_put(&after.put_tags, &watch, life, held, budget).await };
        let stores = held.is_some();
        if let Some(held) = held {
            entry.meta.hold(held);
        }
        Ready { key, watch, captured, version, row, entry, kind, life, max_bytes: policy.max_bytes, stores }
    }

    async fn hold_for_put(
        &self,
        result_tags: &[Key],
        watch: &Watch,
        life: Duration,
        mut held: Vec<Held>,
        budget: &mut Budget,
    ) -> Option<Vec<Held>> {
        let quiet = if self.remote.settles_doubts() {
            self.hold_asked(result_tags, watch, life, &mut held, budget).await.unwrap_or(false)
        } else {
            self.hold_known(result_tags, watch, &mut held)
        };
        quiet.then_some(held)
    }

    /// The operation that makes a put. One whose value cannot be stored evicts.
    fn op_of<T: 'static>(&self, put: &mut Ready, ops: &'static ValueOps<T>, rev: u32) -> Op {
        let sealed = if !put.stores {
            None
        } else if self.remote.stores() {
            let encode = encode_value(ops, rev);
            self.seal(&put.key, &put.entry, put.version, put.kind, encode, put.max_bytes).ok().map(Some)
        } else {
            Some(None)
        };
        put.stores = sealed.is_some();
        let row = put.row.map(|version| Row { version, tags: put.entry.meta.hash_of_tags() });
        let payload = sealed.map(|sealed| Put { captured: put.captured, sealed, life: put.life, row });
        Op::Bump { record: Record::Control(put.key.clone()), proposed: put.version, put: payload }
    }

    /// A put whose row is the newest, and whose version is not: it is made again, with a version above the server's.
    async fn raise<T: 'static>(
        &self,
        put: &mut Ready,
        reply: &mut Reply,
        ops: &'static ValueOps<T>,
        rev: u32,
        budget: &mut Budget,
    ) {
        let mut left = RAISES;
        while let Reply::Ahead(version) = *reply {
            put.version = version.saturating_add(fastrand::u64(1..=RAISE));
            // Whoever is ahead again and again has the next reader load.
            put.stores &= left > 0;
            left = left.saturating_sub(1);
            Arc::get_mut(&mut put.entry).expect("it is in no tier yet").meta.version = put.version;
            let op = self.op_of(put, ops, rev);
            let lost = || Error::new(ErrorKind::Remote, "put", "the server did not say whether it stored");
            let answer = budget.spend(&self.clock, self.remote.run(vec![op])).await;
            *reply =
                answer.map_or_else(Reply::Failed, |mut replies| replies.pop().unwrap_or_else(|| Reply::Failed(lost())));
        }
    }

    /// Moves the key's stripe and puts the entry where the old one was, under the key's own exclusion, if the server stored it. If
    /// something moved the stripe since the body began, the server has to confirm the entry at its first use; without a server, it is
    /// dropped, as a later writer may be done already, unless the rows say which of the two is newer.
    fn replace(&self, put: &Ready, is_stored: bool) {
        let Ready { key, watch: Watch { spot, stamp, .. }, entry, row, .. } = put;
        let (spot, stamp, has_server) = (*spot, *stamp, self.remote.settles_doubts());
        self.local.compute(spot.hash, &mut |present| {
            let theirs = present.filter(|_| !has_server).and_then(|present| present.of(key, entry.meta.slot));
            let theirs = theirs.and_then(|theirs| put.compare(&theirs.meta, stamp.stripe));
            if is_stored && matches!(theirs, Some(Compared { is_older: true, follows: Some(_), .. })) {
                return Change::Keep;
            }
            let before = self.coherence.move_stripe(spot.hash);
            let undisturbed = before == stamp.stripe && self.coherence.stamp(spot).epoch == stamp.epoch;
            let stands = match theirs {
                Some(Compared { is_newer, follows: Some(_), .. }) if is_newer => true,
                Some(Compared { is_older, .. }) => undisturbed && !is_older,
                None => undisturbed,
            };
            if !is_stored || !(stands || has_server) {
                return Change::Remove;
            }
            if stands {
                entry.meta.restamp(Stamp { stripe: before + 1, ..stamp });
            }
            if let Some(row) = row.filter(|_| !has_server) {
                entry.meta.put_row(PutRow::after(row, before, theirs.and_then(|theirs| theirs.follows)));
            }
            Change::Replace(Arc::clone(entry))
        });
    }
}
