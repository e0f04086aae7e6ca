//! The load path: L1 again, the local flight, L2, the capture, the load, and what is done with what it returns.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::{
    Cache, Call, Inner,
    ask::{Captured, Watch, with_heads},
    context::note,
    panic_message,
    scopes::ScopeState,
    store::{Loaded, MAX_TAGS},
    templates,
};
use crate::{
    budget::Budget,
    cell::Seen,
    entry::{Deadlines, Entry, EntryMeta},
    error::Error,
    flight::{Departure, Landed, Landing, Lead, Turn},
    key::Key,
    outcome::{Bypass, Outcome, Tier},
    stats::Count,
    tag::TagId,
    tier::Change,
    value::ValueOps,
    wire::PayloadKind,
};

/// What a caller gets: the value, an error of the load, or that it is up to it.
enum Ready<T: 'static, E: 'static> {
    Answer(Answer<T, E>),
    /// It leads a flight: L2 is to be asked, then the origin.
    Lead(Box<Ticket<T, E>>, Lead),
    /// It has to load.
    Load(Box<Ticket<T, E>>),
}

/// A value or an error, with the entry that it stands in, if it stands in one.
pub(super) struct Answer<T, E> {
    pub(super) result: Result<Option<T>, E>,
    pub(super) outcome: Outcome,
    pub(super) entry: Option<Arc<Entry>>,
}

/// Everything that is known when a load is about to begin.
struct Ticket<T: 'static, E: 'static> {
    call: Call<T, E>,
    scope: Arc<ScopeState>,
    watch: Option<Watch>,
    lead: Option<Lead>,
    budget: Budget,
    /// Why what is loaded will not be stored, if it will not.
    bypass: Option<Bypass>,
}

impl Cache {
    /// Answers a call from the cache or by `load`, which runs in the caller and may borrow. If the caller goes away, the next
    /// waiter loads.
    pub(super) async fn answer_inline<T, E, F>(&self, call: Call<T, E>, load: F) -> Answer<T, E>
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let ready = Box::pin(self.0.prepare(call)).await;
        self.0.finish(ready, load).await
    }

    /// Answers a call from the cache or by `load`, which runs in a task of its own: a caller that goes away does nothing
    /// to it.
    pub(super) async fn answer_owned<T, E, F>(&self, call: Call<T, E>, load: F) -> Answer<T, E>
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let ready = Box::pin(self.0.prepare(call)).await;
        if let Ready::Answer(answer) = ready {
            return answer;
        }
        // From here on in a task, the question to L2 included: a caller that is kept but no longer polled leads nobody astray.
        let inner = Arc::clone(&self.0);
        self.run_owned(async move { inner.finish(ready, load).await }).await
    }
}

impl Inner {
    /// Loads a key although it is cached: what is loaded takes the place of what is there, if nothing moved meanwhile. Not if
    /// somebody loads it already.
    pub(super) async fn reload<T, E, F>(self: &Arc<Self>, call: Call<T, E>, load: F) -> Option<Arc<Entry>>
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let scope = self.scopes.state(call.key.scope(), &self.tags);
        let slot = ValueOps::<T>::slot();
        let seat = self.flights.board(&call.key, slot, 0, |departure| self.stands(departure));
        let Turn::Lead(lead) = seat.turn().await else { return None };
        let watch = self.watch(&call.key, &scope, &call.tags);
        lead.depart(watch.departure());
        let budget = Budget::new(self.budget);
        let ticket = Ticket { call, scope, watch: Some(watch), lead: Some(lead), budget, bypass: None };
        self.fly(Box::new(ticket), load).await.entry
    }

    /// Everything up to the load.
    async fn prepare<T: 'static, E: 'static>(&self, call: Call<T, E>) -> Ready<T, E> {
        let scope = self.scopes.state(call.key.scope(), &self.tags);
        let budget = Budget::new(self.budget);
        if let Some(reason) = self.refusal(&call, &scope) {
            let ticket = Ticket { call, scope, watch: None, lead: None, budget, bypass: Some(reason) };
            return Ready::Load(Box::new(ticket));
        }
        let mut generation = 0;
        loop {
            let boarded_at = self.tags.sequence();
            let slot = ValueOps::<T>::slot();
            let seat = self.flights.board(&call.key, slot, generation, |departure| self.stands(departure));
            match seat.turn().await {
                Turn::Lead(lead) => {
                    let ticket = Ticket { call, scope, watch: None, lead: None, budget, bypass: None };
                    return Ready::Lead(Box::new(ticket), lead);
                }
                Turn::Landed { landing: Landing::Value(landed), generation: flown, departed, at_once } => {
                    if !self.stood_until(boarded_at, departed, &landed.result_tags) {
                        generation = flown + 1;
                        continue;
                    }
                    let Some(result) = answer(&call, &landed.entry) else { return solo(call, scope, budget) };
                    // A load that had landed already left its value in this process.
                    let found = landed.found.or(at_once.then_some(Tier::Local));
                    let outcome = found.map_or(Outcome::Joined, Outcome::Hit);
                    return self.answered(&call, result, outcome, Some(landed.entry), &budget);
                }
                Turn::Landed { landing: Landing::Failed(shared), .. } => {
                    let shared = shared.zip(call.rules.share_err);
                    let Some(error) = shared.and_then(|(error, ops)| (ops.take)(&*error)) else {
                        // Side by side with the other waiters, never one behind another.
                        return solo(call, scope, budget);
                    };
                    return self.answered(&call, Err(error), Outcome::Joined, None, &budget);
                }
                Turn::Landed { landing: Landing::Panicked(message), .. } => {
                    std::panic::resume_unwind(Box::new(message.to_string()));
                }
            }
        }
    }

    /// Why a call goes past the cache from the start.
    fn refusal<T, E>(&self, call: &Call<T, E>, scope: &ScopeState) -> Option<Bypass> {
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
    fn stands(&self, departure: &Departure) -> bool {
        let cells = departure.watched.iter().map(|seen| seen.cell.partition());
        let heard = self.coherence.coherent_in(cells.chain([departure.spot.partition]))
            || self.clock.now() < departure.at.plus(self.coherence.bound());
        heard && departure.stamp == self.coherence.stamp(departure.spot) && departure.watched.iter().all(Seen::unhinted)
    }

    /// Whether no tag that only the value could name changed between the departure of a flight and the moment somebody
    /// boarded it.
    fn stood_until(&self, boarded_at: u64, departed: Option<u64>, result_tags: &[TagId]) -> bool {
        departed.is_none_or(|departed| {
            departed == boarded_at || result_tags.iter().all(|tag| self.tags.quiet_since(tag, departed))
        })
    }

    /// The leader's part, and the load where it comes to that.
    async fn finish<T, E, F>(self: &Arc<Self>, ready: Ready<T, E>, load: F) -> Answer<T, E>
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let ticket = match ready {
            Ready::Answer(answer) => return answer,
            Ready::Load(ticket) => ticket,
            Ready::Lead(ticket, lead) => match Box::pin(self.lead(ticket, lead)).await {
                Ok(answer) => return answer,
                Err(ticket) => ticket,
            },
        };
        self.fly(ticket, load).await
    }

    /// The leader's part before the load: an answer, or the ticket to load.
    async fn lead<T: 'static, E: 'static>(
        &self,
        mut ticket: Box<Ticket<T, E>>,
        lead: Lead,
    ) -> Result<Answer<T, E>, Box<Ticket<T, E>>> {
        let Ticket { call, scope, budget, .. } = &mut *ticket;
        let watch = self.watch(&call.key, scope, &call.tags);
        lead.depart(watch.departure());
        match self.look(call, scope, &watch, budget).await {
            Ok(Some((entry, result, tier))) => {
                let result_tags = tags_unwatched(&entry, &watch);
                lead.land(Landing::Value(Landed { entry: Arc::clone(&entry), result_tags, found: Some(tier) }));
                return Ok(self.answer(call, result, Outcome::Hit(tier), Some(entry), budget));
            }
            Ok(None) => {}
            Err(_) => ticket.bypass = Some(Bypass::Remote),
        }
        ticket.watch = Some(watch);
        ticket.lead = Some(lead);
        Err(ticket)
    }

    /// L1 again, with the server's word where there is a doubt, then L2.
    async fn look<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        scope: &ScopeState,
        watch: &Watch,
        budget: &mut Budget,
    ) -> Result<Option<(Arc<Entry>, Result<Option<T>, E>, Tier)>, Error> {
        let held = self.local.get(call.key.local_hash());
        let entry = held.as_ref().and_then(|held| held.of(&call.key, ValueOps::<T>::slot()));
        if let Some(entry) = entry
            && let Some(result) = answer(call, entry)
            && self.clock.now() < entry.meta.expires
        {
            let stands = self.may_serve(&call.key, entry, self.clock.now())
                || self.settle(&call.key, entry, watch, budget).await?;
            if stands {
                return Ok(Some((Arc::clone(entry), result, Tier::Local)));
            }
        }
        let Some(entry) = self.read(call, scope, watch, budget).await? else { return Ok(None) };
        let Some(result) = answer(call, &entry) else { return Ok(None) };
        self.install(watch.spot, &entry, watch.stamp);
        Ok(Some((entry, result, Tier::Remote)))
    }

    /// Settles a doubt about an entry of L1.
    async fn settle(&self, key: &Key, entry: &Arc<Entry>, watch: &Watch, budget: &mut Budget) -> Result<bool, Error> {
        if self.remote.settles_doubts() {
            return self.revalidate(key, entry, watch.stamp, budget).await;
        }
        // Without a server an entry that is still there was not evicted: another key of its stripe was. Under the key's own
        // exclusion: an eviction has moved the stripe already when it is about to remove the entry, which may not get the new
        // number by then, for whoever is reading it would bring it to the front for good.
        let mut stands = false;
        self.local.compute(key.local_hash(), &mut |present| {
            let held = present.and_then(|present| present.of(key, entry.meta.slot));
            stands = held.is_some_and(|held| Arc::ptr_eq(held, entry)) && entry.meta.tags_stand();
            if stands {
                entry.meta.restamp(watch.stamp);
            }
            Change::Keep
        });
        Ok(stands)
    }

    fn answered<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        result: Result<Option<T>, E>,
        outcome: Outcome,
        entry: Option<Arc<Entry>>,
        budget: &Budget,
    ) -> Ready<T, E> {
        Ready::Answer(self.answer(call, result, outcome, entry, budget))
    }

    fn answer<T: 'static, E: 'static>(
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
            _ => self.counters.add(Count::Joined),
        }
        note(call.key.scope(), outcome, budget.spent());
        Answer { result, outcome, entry }
    }

    /// The capture, the load, and its end.
    async fn fly<T, E, F>(self: &Arc<Self>, mut ticket: Box<Ticket<T, E>>, load: F) -> Answer<T, E>
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let mut captured = None;
        if let (Some(watch), None) = (&ticket.watch, ticket.bypass) {
            let life = ticket.scope.policy.with(ticket.call.overrides).longest_life();
            match Box::pin(self.capture(&ticket.call.key, watch, life, &mut ticket.budget)).await {
                Ok(capture) => captured = Some(capture),
                Err(_) => ticket.bypass = Some(Bypass::Remote),
            }
        }
        self.counters.add(Count::Loads);
        let begun = self.clock.now();
        let result = AssertUnwindSafe(load).catch_unwind().await;
        let took = self.clock.now().since(begun);
        match result {
            Ok(Ok(value)) => self.loaded(ticket, captured, value, took),
            Ok(Err(error)) => self.failed(ticket, captured, error, took),
            Err(panic) => {
                self.counters.add(Count::LoadPanics);
                if let Some(lead) = ticket.lead.take() {
                    lead.panicked(panic_message(&*panic));
                }
                std::panic::resume_unwind(panic)
            }
        }
    }

    /// A load returned a value, or *nothing*.
    fn loaded<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: Box<Ticket<T, E>>,
        captured: Option<Captured>,
        value: Option<T>,
        took: Duration,
    ) -> Answer<T, E> {
        let Ticket { call, scope, watch, lead, budget, bypass } = *ticket;
        let rules = &call.rules;
        let policy = scope.policy.with(call.overrides);
        let ttl = match &value {
            None => policy.negative,
            Some(value) => rules.ttl_with.as_ref().map_or(policy.ttl, |ttl_with| ttl_with(value).min(policy.ttl)),
        };
        let ttl = policy.jittered(ttl, fastrand::f64());
        let mut result_tags = Vec::new();
        if let (Some(tags_of), Some(value)) = (&rules.result_tags, &value) {
            result_tags = tags_of(value);
        }
        let refused = (rules.unless.as_ref().is_some_and(|unless| unless(value.as_ref())).then_some(Bypass::Unless))
            .or_else(|| ttl.is_zero().then_some(Bypass::NoTtl))
            .or_else(|| (call.tags.len() + result_tags.len() > MAX_TAGS).then_some(Bypass::Tags));
        let is_provisional = bypass == Some(Bypass::Remote) && refused.is_none();
        let bypass = bypass.or(refused);

        let outcome = bypass.map_or(Outcome::Loaded, Outcome::Bypass);
        self.count_load(&call.key, outcome, budget.spent());
        let watch = watch.filter(|_| bypass.is_none() || is_provisional);
        if bypass.is_some() && watch.is_none() && lead.as_ref().is_none_or(Lead::alone) {
            return Answer { result: Ok(value), outcome, entry: None };
        }
        let kept = value.as_ref().map(call.ops.clone);
        let kind = if kept.is_some() { PayloadKind::Value } else { PayloadKind::Nothing };
        let meta = self.meta_of_load::<T>(&call.key, captured.as_ref(), watch.as_ref(), took, ttl, policy.l1);
        let entry = call.ops.entry(kept, meta);
        if let Some(lead) = &lead {
            let result_tags = with_heads(&result_tags).collect();
            lead.land(Landing::Value(Landed { entry: Arc::clone(&entry), result_tags, found: None }));
        }
        if let (true, Some(watch)) = (is_provisional, &watch) {
            self.install_provisionally(&entry, watch, &result_tags);
        }
        if let (Some(captured), Some(watch), None) = (captured, watch, bypass) {
            let (ops, rev) = (call.ops, call.rev);
            let loaded = Loaded {
                key: call.key,
                entry: Arc::clone(&entry),
                captured,
                watch,
                result_tags,
                kind,
                encode: Box::new(move |entry, codec, max_bytes| {
                    let fingerprint = (ops.fingerprint)(codec, rev).map_err(|error| error.to_string())?;
                    let payload = match ValueOps::<T>::view(entry) {
                        Some(Some(value)) => {
                            (ops.encode)(value, codec, max_bytes).map_err(|error| error.to_string())?
                        }
                        _ => Vec::new(),
                    };
                    Ok((fingerprint, payload))
                }),
                max_bytes: policy.max_bytes,
                lead,
            };
            self.store(loaded);
        }
        Answer { result: Ok(value), outcome, entry: Some(entry) }
    }

    /// A load returned an error.
    fn failed<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: Box<Ticket<T, E>>,
        captured: Option<Captured>,
        error: E,
        took: Duration,
    ) -> Answer<T, E> {
        let Ticket { call, scope, watch, lead, budget, bypass } = *ticket;
        self.counters.add(Count::LoadFailures);
        let outcome = bypass.map_or(Outcome::Loaded, Outcome::Bypass);
        self.count_load(&call.key, outcome, budget.spent());
        let policy = scope.policy.with(call.overrides);
        let ttl = policy.jittered(policy.negative, fastrand::f64());
        let cacheable = call.rules.cache_err.filter(|(chosen, _)| chosen(&error) && !ttl.is_zero());
        if let (Some((_, errors)), Some(captured), Some(watch), None) = (cacheable, captured, watch, bypass) {
            let meta = self.meta_of_load::<T>(&call.key, Some(&captured), Some(&watch), took, ttl, policy.l1);
            let (ops, rev) = (call.ops, call.rev);
            let entry = errors.failure_entry((errors.clone)(&error), meta);
            if let Some(lead) = &lead {
                let result_tags = Arc::default();
                lead.land(Landing::Value(Landed { entry: Arc::clone(&entry), result_tags, found: None }));
            }
            let loaded = Loaded {
                key: call.key,
                entry,
                captured,
                watch,
                result_tags: Vec::new(),
                kind: PayloadKind::Failure,
                encode: Box::new(move |entry, codec, max_bytes| {
                    let fingerprint = (ops.fingerprint)(codec, rev).map_err(|error| error.to_string())?;
                    let error = ValueOps::<E>::view_failure(entry).ok_or("no error in the entry of an error")?;
                    // The payload stands under the value's type, so it says the error's own.
                    let errors_own = (errors.fingerprint)(codec, 0).map_err(|error| error.to_string())?;
                    let encoded = (errors.encode)(error, codec, max_bytes).map_err(|error| error.to_string())?;
                    Ok((fingerprint, [&errors_own.get().to_le_bytes()[..], &encoded].concat()))
                }),
                max_bytes: policy.max_bytes,
                lead,
            };
            self.store(loaded);
        } else if let Some(lead) = lead {
            lead.land(Landing::Failed(call.rules.share_err.map(|ops| (ops.share)(&error))));
        }
        Answer { result: Err(error), outcome, entry: None }
    }

    fn count_load(&self, key: &Key, outcome: Outcome, remote_time: Duration) {
        match outcome {
            Outcome::Bypass(reason) => self.bypass(key.scope(), reason, remote_time),
            _ => {
                self.counters.add(Count::Misses);
                note(key.scope(), outcome, remote_time);
            }
        }
    }

    fn meta_of_load<T: 'static>(
        &self,
        key: &Key,
        captured: Option<&Captured>,
        watch: Option<&Watch>,
        took: Duration,
        ttl: Duration,
        l1: Duration,
    ) -> EntryMeta {
        let now = self.clock.now();
        let created = self.clock.remote_micros_at(now);
        let spot = watch.map_or_else(|| self.coherence.spot(key), |watch| watch.spot);
        let stamp = watch.map_or_else(|| self.coherence.stamp(spot), |watch| watch.stamp);
        let version = captured.map_or(0, |captured| captured.version);
        let deadlines = Deadlines::fresh_for(created, ttl);
        let expires = now.plus(ttl.min(l1));
        // Without a capture no server was asked: counted from before the load, since nobody will tell of what came after.
        let expires = match watch {
            Some(watch) if captured.is_none() => expires.min(watch.at.plus(self.outage_ttl)),
            _ => expires,
        };
        let slot = ValueOps::<T>::slot();
        EntryMeta::new(key, slot, spot.partition, version, created, took, deadlines, expires, stamp)
    }
}

/// The tags of an entry that was found, but for those that whoever boards the flight looks at anyway.
fn tags_unwatched(entry: &Entry, watch: &Watch) -> Arc<[TagId]> {
    let held = entry.meta.held().unwrap_or_default().iter().map(|(cell, _)| cell);
    let unwatched = held.filter(|cell| !watch.cells.iter().any(|seen| Arc::ptr_eq(&seen.cell, cell)));
    unwatched.map(|cell| cell.tag().clone()).collect()
}

/// A load by itself, beside those of other waiters.
fn solo<T: 'static, E: 'static>(call: Call<T, E>, scope: Arc<ScopeState>, budget: Budget) -> Ready<T, E> {
    Ready::Load(Box::new(Ticket { call, scope, watch: None, lead: None, budget, bypass: None }))
}

/// What `entry` says to this caller; nothing when it holds a *nothing* or an error that the caller cannot be told.
fn answer<T: 'static, E: 'static>(call: &Call<T, E>, entry: &Entry) -> Option<Result<Option<T>, E>> {
    if let Some(value) = ValueOps::<T>::view(entry) {
        return match value {
            Some(value) => Some(Ok(Some((call.ops.clone)(value)))),
            None => call.none.then_some(Ok(None)),
        };
    }
    let (_, errors) = call.rules.cache_err?;
    ValueOps::<E>::view_failure(entry).map(|error| Err((errors.clone)(error)))
}
