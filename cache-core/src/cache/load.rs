//! The load path: L1 again, the local flight, L2, the claim, the load; and old values where they may stand in.

use std::{any::TypeId, future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{
    Cache, Call, Inner,
    ask::Watch,
    claim::Claim,
    context::note,
    doubt::Settled,
    old::Use,
    panic_message,
    returned::{Returned, Why},
    scopes::ScopeState,
    store::MAX_TAGS,
    templates,
};
use crate::{
    budget::Budget,
    cell::Seen,
    entry::Entry,
    error::Error,
    flight::{Departure, Landed, Landing, Lead, Told, Turn},
    key::Key,
    outcome::{Bypass, Outcome, Tier},
    policy::Resolved,
    stats::Count,
    tag::TagId,
    value::ValueOps,
};

/// What a caller gets: the value, an error of the load, or that it is up to it.
enum Ready<T: 'static, E: 'static> {
    Answer(Answer<T, E>),
    /// An answer that is old, or about to be: the load is for the background.
    Old(Answer<T, E>, Box<Ticket<T, E>>),
    /// It leads a flight: L2 is to be asked, then the origin.
    Lead(Box<Ticket<T, E>>, Lead),
    /// It has to load.
    Load(Box<Ticket<T, E>>),
}

/// What the leader of a flight found before its load.
enum Looked<T: 'static, E: 'static> {
    Answer(Answer<T, E>),
    Old(Answer<T, E>, Box<Ticket<T, E>>),
    Load(Box<Ticket<T, E>>),
}

/// What there is in the tiers.
pub(super) enum Found<T, E> {
    Fresh(Arc<Entry>, Result<Option<T>, E>, Tier),
    Old(Arc<Entry>, Tier, Use),
    Nothing,
}

/// A value or an error, with the entry that it stands in, if it stands in one.
pub(super) struct Answer<T, E> {
    pub(super) result: Result<Option<T>, E>,
    pub(super) outcome: Outcome,
    pub(super) entry: Option<Arc<Entry>>,
}

/// Everything that is known when a load is about to begin.
pub(super) struct Ticket<T: 'static, E: 'static> {
    pub(super) call: Box<Call<T, E>>,
    pub(super) scope: Arc<ScopeState>,
    pub(super) watch: Option<Watch>,
    pub(super) lead: Option<Lead>,
    pub(super) budget: Budget,
    /// Why what is loaded will not be stored, if it will not.
    pub(super) bypass: Option<Bypass>,
    /// What may be served if the load fails.
    pub(super) old: Option<(Arc<Entry>, Tier)>,
    /// A value counts only if it was made later than this, in microseconds of Redis time.
    pub(super) newer_than: u64,
}

/// Whether a load can go on without its caller.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    InCaller,
    InTask,
}

impl<T: 'static, E: 'static> Ticket<T, E> {
    pub(super) fn new(call: Box<Call<T, E>>, scope: Arc<ScopeState>, budget: Budget) -> Self {
        let newer_than = call.newer_than;
        Self { call, scope, watch: None, lead: None, budget, bypass: None, old: None, newer_than }
    }
}

impl Cache {
    /// Answers a call from the cache or by `load`, which runs in the caller and may borrow. If the caller goes away, the next
    /// waiter loads.
    pub(super) async fn answer_inline<T, E, F>(&self, call: Box<Call<T, E>>, load: F) -> Answer<T, E>
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let ready = Box::pin(self.0.prepare(call, Runs::InCaller)).await;
        self.0.finish(ready, load, Runs::InCaller, |_, _, _, _| {}).await
    }

    /// Answers a call from the cache or by `load`, which runs in a task of its own: a caller that goes away does nothing
    /// to it.
    pub(super) async fn answer_owned<T, E, F>(&self, call: Box<Call<T, E>>, load: F) -> Answer<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let patience = self.0.patience(&call);
        // Boxed, so that a caller whose value is there carries none of it.
        let answer = Box::pin(self.answer_patiently(call, load));
        match patience {
            None => answer.await,
            Some(patience) => Box::pin(self.0.wait_for(patience, answer)).await,
        }
    }

    async fn answer_patiently<T, E, F>(&self, call: Box<Call<T, E>>, load: F) -> Answer<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        match self.0.prepare(call, Runs::InTask).await {
            Ready::Answer(answer) => answer,
            Ready::Old(answer, ticket) => {
                self.0.refresh(ticket.call, made(&answer), load);
                answer
            }
            // From here on in a task, the question to L2 included: a caller that is kept but no longer polled leads nobody astray.
            ready => {
                let inner = Arc::clone(&self.0);
                let refresh = |inner: &Arc<Inner>, old: &Answer<T, E>, ticket: Box<Ticket<T, E>>, load| {
                    inner.refresh(ticket.call, made(old), load);
                };
                // Boxed: each future around it would be as large again, and so would those of all who only wait.
                let work = Box::pin(async move { inner.finish(ready, load, Runs::InTask, refresh).await });
                self.run_owned(work).await
            }
        }
    }
}

impl Inner {
    /// Everything up to the load.
    async fn prepare<T: 'static, E: 'static>(&self, call: Box<Call<T, E>>, runs: Runs) -> Ready<T, E> {
        let scope = self.scopes.state(call.key.scope(), &self.tags);
        let budget = Budget::new(self.budget);
        if let Some(reason) = self.refusal(&call, &scope) {
            let mut ticket = Ticket::new(call, scope, budget);
            ticket.bypass = Some(reason);
            return Ready::Load(Box::new(ticket));
        }
        let slot = ValueOps::<T>::slot();
        let policy = scope.policy.with(call.overrides);
        let is_new = |entry: &Entry| entry.meta.created > call.newer_than;
        let kept = self.kept::<T>(&call.key, &policy, self.clock.now()).filter(|(entry, _)| is_new(entry));
        if let Some((entry, usage)) = &kept
            && self.may_serve_at_once(&call.key, slot, *usage, runs)
            && let Some(answer) = self.serve_old(&call, entry, usage.outcome(Tier::Local), budget.spent())
        {
            if *usage == Use::Hit {
                return Ready::Answer(answer);
            }
            return Ready::Old(answer, Box::new(Ticket::new(call, scope, budget)));
        }
        let mut generation = 0;
        loop {
            let boarded_at = self.tags.sequence();
            let seat = self.flights.board(&call.key, slot, generation, |departure| self.stands(departure));
            if let Some((entry, Use::Stale)) = &kept
                && !seat.leads()
                && let Some(answer) = self.serve_old(&call, entry, Outcome::Stale(Tier::Local), budget.spent())
            {
                // Its load stays in the caller; one of them is enough.
                return Ready::Answer(answer);
            }
            let hear = |told: Told, departed| {
                let stood = self.stood_until(boarded_at, departed, &told.result_tags);
                if let Some(hears) = call.rules.hears.as_ref().filter(|_| stood) {
                    hears(told.what);
                }
                stood
            };
            match seat.turn_hearing(hear).await {
                Turn::Lead(lead) => return Ready::Lead(Box::new(Ticket::new(call, scope, budget)), lead),
                Turn::Landed { landing: Landing::Value(landed), generation: flown, departed, at_once } => {
                    if !is_new(&landed.entry) || !self.stood_until(boarded_at, departed, &landed.result_tags) {
                        generation = flown + 1;
                        continue;
                    }
                    let serves = landed.outcome.is_none_or(|outcome| self.allows(&landed.entry, &policy, outcome));
                    let result = answer(&call, &landed.entry).filter(|_| serves);
                    let Some(result) = result else { return solo(call, scope, budget) };
                    // A load that had landed already left its value in this process.
                    let found = landed.outcome.or(at_once.then_some(Outcome::Hit(Tier::Local)));
                    let outcome = found.unwrap_or(Outcome::Joined);
                    return Ready::Answer(self.answer(&call, result, outcome, Some(landed.entry), &budget));
                }
                Turn::Overtaken { generation: flown } => generation = flown + 1,
                Turn::Landed { landing: Landing::Failed(shared), .. } => {
                    let Some(error) = call.rules.take(shared) else {
                        // Side by side with the other waiters, never one behind another.
                        return solo(call, scope, budget);
                    };
                    return Ready::Answer(self.answer(&call, Err(error), Outcome::Joined, None, &budget));
                }
                Turn::Landed { landing: Landing::Panicked(message), .. } => {
                    std::panic::resume_unwind(Box::new(message.to_string()));
                }
            }
        }
    }

    /// Whether an old value may be served before anything is loaded.
    fn may_serve_at_once(&self, key: &Key, slot: TypeId, usage: Use, runs: Runs) -> bool {
        match usage {
            Use::Hit | Use::Early => true,
            // Where nobody could load in the background, somebody has to do it who waits.
            Use::Stale => runs == Runs::InTask,
            Use::FailSafe => self.refreshes.is_held_off(key, slot, self.clock.now()),
        }
    }

    /// Whether a call of this policy is content with what another was served.
    fn allows(&self, entry: &Entry, policy: &Resolved, outcome: Outcome) -> bool {
        !outcome.is_stale() || self.use_of(entry, policy).is_some()
    }

    /// Why a call goes past the cache from the start.
    pub(super) fn refusal<T, E>(&self, call: &Call<T, E>, scope: &ScopeState) -> Option<Bypass> {
        if let Some(reason) = self.gate() {
            return Some(reason);
        }
        if call.tags.len() > MAX_TAGS {
            return Some(Bypass::Tags);
        }
        if scope.policy.with(call.overrides).ttl.is_zero() {
            return Some(Bypass::NoTtl);
        }
        let agrees = templates::agrees(call.key.scope().name(), call.key.shape(), &call.shape_tags, call.place);
        (!agrees).then_some(Bypass::TagsDiffer)
    }

    /// Whether nothing has changed for a flight since it departed. What cannot be heard, because a primary is silent, may have
    /// changed: then a flight is boarded no longer than a hit would be served.
    pub(super) fn stands(&self, departure: &Departure) -> bool {
        let cells = departure.watched.iter().map(|seen| seen.cell.partition());
        let heard = self.coherence.coherent_in(cells.chain([departure.spot.partition]))
            || self.clock.now() < departure.at.plus(self.coherence.bound());
        heard && departure.stamp == self.coherence.stamp(departure.spot) && departure.watched.iter().all(Seen::unhinted)
    }

    /// Whether no tag that only the value could name changed between the departure of a flight and the moment somebody
    /// boarded it.
    pub(super) fn stood_until(&self, boarded_at: u64, departed: Option<u64>, result_tags: &[TagId]) -> bool {
        departed.is_none_or(|departed| {
            departed == boarded_at || result_tags.iter().all(|tag| self.tags.quiet_since(tag, departed))
        })
    }

    /// The leader's part, and the load where it comes to that. `refresh` takes the load where an old value is the answer.
    async fn finish<T, E, F>(
        self: &Arc<Self>,
        ready: Ready<T, E>,
        load: F,
        runs: Runs,
        refresh: impl FnOnce(&Arc<Self>, &Answer<T, E>, Box<Ticket<T, E>>, F),
    ) -> Answer<T, E>
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let ticket = match ready {
            Ready::Answer(answer) => return answer,
            Ready::Old(answer, ticket) => {
                refresh(self, &answer, ticket, load);
                return answer;
            }
            Ready::Load(ticket) => ticket,
            Ready::Lead(ticket, lead) => match Box::pin(self.lead(ticket, lead, runs)).await {
                Looked::Answer(answer) => return answer,
                Looked::Old(answer, ticket) => {
                    refresh(self, &answer, ticket, load);
                    return answer;
                }
                Looked::Load(ticket) => ticket,
            },
        };
        self.fly(ticket, load).await
    }

    /// The leader's part before the load: an answer, or the ticket to load.
    async fn lead<T: 'static, E: 'static>(
        &self,
        mut ticket: Box<Ticket<T, E>>,
        lead: Lead,
        runs: Runs,
    ) -> Looked<T, E> {
        let Ticket { call, scope, budget, .. } = &mut *ticket;
        let watch = self.watch(&call.key, scope, &call.tags);
        lead.depart(watch.departure());
        let land = |entry: &Arc<Entry>, outcome| {
            let (entry, result_tags) = (Arc::clone(entry), tags_unwatched(entry, &watch));
            lead.land(Landing::Value(Landed { entry, result_tags, outcome: Some(outcome) }));
        };
        match self.look(call, scope, &watch, budget).await {
            Ok(Found::Fresh(entry, result, tier)) => {
                land(&entry, Outcome::Hit(tier));
                return Looked::Answer(self.answer(call, result, Outcome::Hit(tier), Some(entry), budget));
            }
            Ok(Found::Old(entry, tier, usage)) => {
                let outcome = usage.outcome(tier);
                if self.may_serve_at_once(&call.key, ValueOps::<T>::slot(), usage, runs)
                    && let Some(answer) = self.serve_old(call, &entry, outcome, budget.spent())
                {
                    land(&entry, outcome);
                    return Looked::Old(answer, ticket);
                }
                ticket.old = Some((entry, tier));
            }
            Ok(Found::Nothing) => {}
            Err(_) => {
                ticket.old = self.unverified(call, scope);
                ticket.bypass = Some(Bypass::Remote);
            }
        }
        ticket.watch = Some(watch);
        ticket.lead = Some(lead);
        Looked::Load(ticket)
    }

    /// L1 again, with the server's word where there is a doubt, then L2.
    pub(super) async fn look<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        scope: &ScopeState,
        watch: &Watch,
        budget: &mut Budget,
    ) -> Result<Found<T, E>, Error> {
        let policy = scope.policy.with(call.overrides);
        let held = self.local.get(call.key.local_hash());
        let entry = held.as_ref().and_then(|held| held.of(&call.key, ValueOps::<T>::slot()));
        let is_new = |entry: &Entry| entry.meta.created > call.newer_than;
        let entry = entry.filter(|entry| self.clock.now() < entry.meta.kept_until && is_new(entry));
        let mut settled = None;
        if let Some(entry) = entry
            && let Some(result) = answer(call, entry)
            && self.clock.now() < entry.meta.expires
        {
            if !self.may_serve(&call.key, entry, self.clock.now()) {
                settled = Some(self.settle(&call.key, entry, watch, budget).await?);
            }
            if matches!(settled, None | Some(Settled::Stands)) {
                return Ok(Found::Fresh(Arc::clone(entry), result, Tier::Local));
            }
        }
        if let Some(found) = self.read(call, scope, watch, budget).await?.filter(|found| is_new(found)) {
            let fresh = answer(call, &found).filter(|_| self.is_fresh_to(call, &found));
            if let Some(result) = fresh {
                self.install(watch.spot, &found, watch.stamp);
                return Ok(Found::Fresh(found, result, Tier::Remote));
            }
            if let Some(usage) = self.use_of(&found, &policy) {
                self.install(watch.spot, &found, watch.stamp);
                return Ok(Found::Old(found, Tier::Remote, usage));
            }
        }
        // What the server has no longer, or never had, may still be here, and no older than it says.
        let Some(entry) = entry else { return Ok(Found::Nothing) };
        let old = self.old_of(call, entry, settled, &policy, watch, budget).await?;
        Ok(old.map_or(Found::Nothing, |(old, usage)| Found::Old(old, Tier::Local, usage)))
    }

    pub(super) fn answer<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        result: Result<Option<T>, E>,
        outcome: Outcome,
        entry: Option<Arc<Entry>>,
        budget: &Budget,
    ) -> Answer<T, E> {
        match outcome {
            Outcome::Hit(Tier::Local) => self.counters.local_hit(),
            Outcome::Hit(Tier::Remote) => self.counters.add(Count::RemoteHits),
            Outcome::Stale(_) => self.counters.add(Count::Stale),
            Outcome::FailSafe(_) => self.counters.add(Count::FailSafe),
            Outcome::HeldOff => self.counters.add(Count::HeldOff),
            _ => self.counters.add(Count::Joined),
        }
        note(call.key.scope(), outcome, budget.spent());
        Answer { result, outcome, entry }
    }

    /// The claim, the load, and its end.
    async fn fly<T, E, F>(self: &Arc<Self>, mut ticket: Box<Ticket<T, E>>, load: F) -> Answer<T, E>
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        if let Some(answer) = self.answer_failed(&mut ticket) {
            return answer;
        }
        let (mut captured, mut lease) = (None, None);
        while ticket.bypass.is_none() {
            match Box::pin(self.claim(&mut ticket, true)).await {
                Ok(Claim::Load(capture, leased)) => {
                    (captured, lease) = (capture, leased);
                    break;
                }
                Ok(Claim::Found(entry)) => return self.land_found(&mut ticket, entry, Outcome::Joined),
                Ok(Claim::Elsewhere(left) | Claim::HeldOff(left)) => {
                    if let Some(answer) = self.held_off(&mut ticket, left) {
                        return answer;
                    }
                    // The old value is none any more; the next claim is of a call that has none.
                }
                Err(_) => ticket.bypass = Some(Bypass::Remote),
            }
        }
        self.load_now(Returned { ticket, captured, lease, why: Why::Miss }, load).await
    }

    /// There is a value: that is the answer to all aboard. Only for one that answers the call.
    pub(super) fn land_found<T: 'static, E: 'static>(
        &self,
        ticket: &mut Ticket<T, E>,
        entry: Arc<Entry>,
        outcome: Outcome,
    ) -> Answer<T, E> {
        if let Some((lead, watch)) = ticket.lead.take().zip(ticket.watch.as_ref()) {
            let (entry, result_tags) = (Arc::clone(&entry), tags_unwatched(&entry, watch));
            let outcome = Some(outcome).filter(|outcome| *outcome != Outcome::Joined);
            lead.land(Landing::Value(Landed { entry, result_tags, outcome }));
        }
        let result = answer(&ticket.call, &entry).expect("what was found answers the call");
        self.answer(&ticket.call, result, outcome, Some(entry), &ticket.budget)
    }

    /// A load and its end. A panic of it is this one's.
    pub(super) async fn load_now<T, E, F>(self: &Arc<Self>, mut returned: Returned<T, E>, load: F) -> Answer<T, E>
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        self.counters.add(Count::Loads);
        if let (Some(teller), Some(lead)) = (&returned.ticket.call.rules.teller, &returned.ticket.lead) {
            teller.begin(lead);
        }
        let load = AssertUnwindSafe(load).catch_unwind();
        let leases = returned.lease.iter().collect();
        let (result, took) = self.run_load(&returned.ticket.scope, leases, load).await;
        match result {
            Ok(Ok(value)) => {
                returned.ticket.scope.took(took);
                self.loaded(returned, value, took)
            }
            Ok(Err(error)) => self.failed(returned, error, took),
            Err(panic) => {
                self.counters.add(Count::LoadPanics);
                if let Some(lead) = returned.ticket.lead.take() {
                    lead.panicked(panic_message(&*panic));
                }
                if let (Some(lease), Why::Refresh { hold }) = (returned.lease, returned.why) {
                    lease.failed(hold);
                }
                std::panic::resume_unwind(panic)
            }
        }
    }
}

/// When what is served was made.
fn made<T, E>(answer: &Answer<T, E>) -> u64 {
    answer.entry.as_ref().map_or(0, |entry| entry.meta.created)
}

/// The tags of an entry that was found, but for those that whoever boards the flight looks at anyway.
pub(super) fn tags_unwatched(entry: &Entry, watch: &Watch) -> Arc<[TagId]> {
    let held = entry.meta.held().unwrap_or_default().iter().map(|(cell, _)| cell);
    let unwatched = held.filter(|cell| !watch.cells.iter().any(|seen| Arc::ptr_eq(&seen.cell, cell)));
    unwatched.map(|cell| cell.tag().clone()).collect()
}

/// A load by itself, beside those of other waiters.
fn solo<T: 'static, E: 'static>(call: Box<Call<T, E>>, scope: Arc<ScopeState>, budget: Budget) -> Ready<T, E> {
    Ready::Load(Box::new(Ticket::new(call, scope, budget)))
}

/// What `entry` says to this caller; nothing when it holds a *nothing* or an error that the caller cannot be told.
pub(super) fn answer<T: 'static, E: 'static>(call: &Call<T, E>, entry: &Entry) -> Option<Result<Option<T>, E>> {
    if let Some(value) = ValueOps::<T>::view(entry) {
        return match value {
            Some(value) => Some(Ok(Some((call.ops.clone)(value)))),
            None => call.none.then_some(Ok(None)),
        };
    }
    let (_, errors) = call.rules.cache_err?;
    ValueOps::<E>::view_failure(entry).map(|error| Err((errors.clone)(error)))
}
