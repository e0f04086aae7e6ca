//! What becomes of what a load returned: a value, nothing, an error; and what stands in for an error.

use std::{sync::Arc, time::Duration};

use super::{
    Inner,
    ask::{Captured, Watch, with_heads},
    claim::Lease,
    context::note,
    load::{Answer, Ticket, tags_unwatched},
    store::{Loaded, MAX_TAGS, encode_value},
};
use crate::{
    entry::{Deadlines, EntryMeta, Times},
    flight::{Landed, Landing, Lead, SharedError},
    key::Key,
    outcome::{Bypass, Outcome},
    policy::Resolved,
    stats::Count,
    value::ValueOps,
    wire::PayloadKind,
};

/// A load that runs, or has returned: whose it is, and what it belongs to.
pub(super) struct Returned<T: 'static, E: 'static> {
    pub(super) ticket: Box<Ticket<T, E>>,
    pub(super) captured: Option<Captured>,
    pub(super) lease: Option<Lease>,
    pub(super) why: Why,
}

impl<T, E> Returned<T, E> {
    /// Of a load that nothing is known to: what it returns is not stored.
    pub(super) fn unclaimed(ticket: Box<Ticket<T, E>>) -> Self {
        Self { ticket, captured: None, lease: None, why: Why::Miss }
    }
}

/// Why something is loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody asked, and there was nothing.
    Miss,
    /// Nobody waits. If it fails, nobody is to try again for as long.
    Refresh { hold: Duration },
}

impl Why {
    /// How long nobody is to try again after a failure.
    pub(super) fn hold(self) -> Duration {
        match self {
            Self::Miss => Duration::ZERO,
            Self::Refresh { hold } => hold,
        }
    }
}

impl Inner {
    /// A load returned a value, or *nothing*.
    pub(super) fn loaded<T: 'static, E: 'static>(
        self: &Arc<Self>,
        returned: Returned<T, E>,
        value: Option<T>,
        took: Duration,
    ) -> Answer<T, E> {
        let Returned { ticket, captured, lease, why } = returned;
        let Ticket { call, scope, watch, lead, budget, bypass, .. } = *ticket;
        self.failures.succeeded(&call.key, ValueOps::<T>::slot());
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
        if why == Why::Miss {
            self.count_load(&call.key, outcome, budget.spent());
        }
        let watch = watch.filter(|_| bypass.is_none() || is_provisional);
        let lease = match (lease, bypass) {
            // Whoever waits elsewhere will find nothing.
            (Some(lease), Some(_)) => {
                lease.failed(why.hold());
                None
            }
            (lease, _) => lease,
        };
        if bypass.is_some() && watch.is_none() && lead.as_ref().is_none_or(Lead::alone) {
            return Answer { result: Ok(value), outcome, entry: None };
        }
        let kept = value.as_ref().map(call.ops.clone);
        let kind = if kept.is_some() { PayloadKind::Value } else { PayloadKind::Nothing };
        let created = self.clock.remote_micros();
        let deadlines = Deadlines::of(created, ttl, &policy, kept.is_some());
        let times = self.times(created, took, deadlines, &policy);
        let meta = self.meta_of_load::<T>(&call.key, captured.as_ref(), watch.as_ref(), times);
        let entry = call.ops.entry(kept, meta);
        if let Some(lead) = &lead {
            let result_tags = with_heads(&result_tags).collect();
            lead.land(Landing::Value(Landed { entry: Arc::clone(&entry), result_tags, outcome: None }));
        }
        if let (true, Some(watch)) = (is_provisional, &watch) {
            self.install_provisionally(&entry, watch, &result_tags);
        }
        if let (Some(captured), Some(watch), None) = (captured, watch, bypass) {
            let encode = encode_value(call.ops, call.rev);
            let (key, entry, max_bytes) = (call.key, Arc::clone(&entry), policy.max_bytes);
            self.store(Loaded { key, entry, captured, watch, result_tags, kind, encode, max_bytes, lead, lease });
        }
        Answer { result: Ok(value), outcome, entry: Some(entry) }
    }

    /// A load returned an error.
    pub(super) fn failed<T: 'static, E: 'static>(
        self: &Arc<Self>,
        mut returned: Returned<T, E>,
        error: E,
        took: Duration,
    ) -> Answer<T, E> {
        if returned.ticket.call.rules.passes.is_some_and(|passes| passes(&error)) {
            return self.passed(returned, error);
        }
        self.counters.add(Count::LoadFailures);
        let is_cached = returned.ticket.call.rules.cache_err.is_some_and(|(chosen, _)| chosen(&error));
        if !is_cached && let Some(answer) = self.stand_in(&mut returned) {
            return answer;
        }
        if !is_cached {
            self.hold_off(&returned.ticket, || returned.ticket.call.rules.share(&error));
        }
        let Returned { ticket, captured, lease, why } = returned;
        let Ticket { call, scope, watch, lead, budget, bypass, .. } = *ticket;
        let outcome = bypass.map_or(Outcome::Loaded, Outcome::Bypass);
        if why == Why::Miss {
            self.count_load(&call.key, outcome, budget.spent());
        }
        let policy = scope.policy.with(call.overrides);
        let ttl = policy.jittered(policy.negative, fastrand::f64());
        let cacheable = call.rules.cache_err.filter(|(chosen, _)| chosen(&error) && !ttl.is_zero());
        if let (Some((_, errors)), Some(captured), Some(watch), None) = (cacheable, captured, watch, bypass) {
            let created = self.clock.remote_micros();
            let times = self.times(created, took, Deadlines::fresh_for(created, ttl), &policy);
            let meta = self.meta_of_load::<T>(&call.key, Some(&captured), Some(&watch), times);
            let (ops, rev) = (call.ops, call.rev);
            let entry = errors.failure_entry((errors.clone)(&error), meta);
            if let Some(lead) = &lead {
                let result_tags = Arc::default();
                lead.land(Landing::Value(Landed { entry: Arc::clone(&entry), result_tags, outcome: None }));
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
                lease,
            };
            self.store(loaded);
            return Answer { result: Err(error), outcome, entry: None };
        }
        land_failure(lead, lease, why, || call.rules.share(&error));
        Answer { result: Err(error), outcome, entry: None }
    }

    /// A load returned what is not to be stored: whoever waits for it, on whatever node, loads by itself.
    fn passed<T: 'static, E: 'static>(&self, returned: Returned<T, E>, error: E) -> Answer<T, E> {
        let Returned { ticket, lease, why, .. } = returned;
        let Ticket { call, lead, budget, bypass, .. } = *ticket;
        let outcome = Outcome::Bypass(bypass.unwrap_or(Bypass::Unless));
        if why == Why::Miss {
            self.count_load(&call.key, outcome, budget.spent());
        }
        land_failure(lead, lease, why, || None);
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

    pub(super) fn meta_of_load<T: 'static>(
        &self,
        key: &Key,
        captured: Option<&Captured>,
        watch: Option<&Watch>,
        mut times: Times,
    ) -> EntryMeta {
        let spot = watch.map_or_else(|| self.coherence.spot(key), |watch| watch.spot);
        let stamp = watch.map_or_else(|| self.coherence.stamp(spot), |watch| watch.stamp);
        let version = captured.map_or(0, |captured| captured.version);
        // Without a capture no server was asked: counted from before the load, since nobody will tell of what came after.
        if let (Some(watch), None) = (watch, captured) {
            times.expires = times.expires.min(watch.at.plus(self.outage_ttl));
            times.kept_until = times.expires;
        }
        EntryMeta::new(key, ValueOps::<T>::slot(), spot.partition, version, times, stamp)
    }

    /// Tells those who wait for one key of several that their load failed, and counts it.
    pub(super) fn land_failure<T: 'static, E: 'static>(&self, returned: Returned<T, E>, shared: Option<SharedError>) {
        let Returned { ticket, lease, why, .. } = returned;
        self.hold_off(&ticket, || shared.clone());
        let Ticket { call, lead, budget, bypass, .. } = *ticket;
        let outcome = bypass.map_or(Outcome::Loaded, Outcome::Bypass);
        self.count_load(&call.key, outcome, budget.spent());
        land_failure(lead, lease, why, || shared);
    }

    /// A load failed: what may be served instead of its error, if there is an old value. For a while no node loads again.
    pub(super) fn stand_in<T: 'static, E: 'static>(&self, returned: &mut Returned<T, E>) -> Option<Answer<T, E>> {
        let policy = returned.ticket.scope.policy.with(returned.ticket.call.overrides);
        let answer = self.serve_instead(&mut returned.ticket, &policy)?;
        let until = self.clock.now().plus(policy.throttle);
        self.refreshes.hold_off(&returned.ticket.call.key, ValueOps::<T>::slot(), until, self.clock.now());
        if let Some(lease) = returned.lease.take() {
            lease.failed(policy.throttle);
        }
        Some(answer)
    }

    /// A load failed, and nothing stood in for it.
    fn hold_off<T: 'static, E: 'static>(&self, ticket: &Ticket<T, E>, shared: impl FnOnce() -> Option<SharedError>) {
        let Ticket { call, scope, watch, .. } = ticket;
        let first = scope.policy.backoff;
        if let Some(error) = (!first.is_zero()).then(shared).flatten() {
            let stamp =
                watch.as_ref().map_or_else(|| self.coherence.stamp(self.coherence.spot(&call.key)), |it| it.stamp);
            self.failures.failed(&call.key, ValueOps::<T>::slot(), stamp, error, first, self.clock.now());
        }
    }

    /// The error of a load of this key that failed a short while ago, for all aboard.
    pub(super) fn answer_failed<T: 'static, E: 'static>(&self, ticket: &mut Ticket<T, E>) -> Option<Answer<T, E>> {
        let Ticket { call, scope, lead, budget, .. } = ticket;
        let ops = call.rules.share_err.filter(|_| !scope.policy.backoff.is_zero())?;
        let stamp = self.coherence.stamp(self.coherence.spot(&call.key));
        let shared = self.failures.recent(&call.key, ValueOps::<T>::slot(), stamp, self.clock.now())?;
        let error = (ops.take)(&*shared)?;
        if let Some(lead) = lead.take() {
            lead.land(Landing::Failed(Some(shared)));
        }
        Some(self.answer(call, Err(error), Outcome::HeldOff, None, budget))
    }

    /// Nobody is to load for as long, because a load has failed elsewhere: what is served instead.
    pub(super) fn held_off<T: 'static, E: 'static>(
        &self,
        ticket: &mut Ticket<T, E>,
        left: Duration,
    ) -> Option<Answer<T, E>> {
        let policy = ticket.scope.policy.with(ticket.call.overrides);
        let answer = self.serve_instead(ticket, &policy)?;
        let now = self.clock.now();
        self.refreshes.hold_off(&ticket.call.key, ValueOps::<T>::slot(), now.plus(left), now);
        Some(answer)
    }

    /// An old value in place of a load, for all aboard: if nothing moved since it was found.
    fn serve_instead<T: 'static, E: 'static>(
        &self,
        ticket: &mut Ticket<T, E>,
        policy: &Resolved,
    ) -> Option<Answer<T, E>> {
        let (entry, tier) = ticket.old.take()?;
        let outcome = Outcome::FailSafe(tier);
        let is_of_use = self.use_of(&entry, policy).is_some();
        if !is_of_use || !self.stands_for_want(&ticket.call.key, &entry, policy) {
            return None;
        }
        let answer = self.serve_old(&ticket.call, &entry, outcome, ticket.budget.spent())?;
        if let Some((lead, watch)) = ticket.lead.take().zip(ticket.watch.as_ref()) {
            let result_tags = tags_unwatched(&entry, watch);
            lead.land(Landing::Value(Landed { entry, result_tags, outcome: Some(outcome) }));
        }
        Some(answer)
    }
}

/// A load has failed, and nothing stands in for it.
fn land_failure(lead: Option<Lead>, lease: Option<Lease>, why: Why, shared: impl FnOnce() -> Option<SharedError>) {
    if let Some(lease) = lease {
        lease.failed(why.hold());
    }
    if let Some(lead) = lead {
        lead.land(Landing::Failed(shared()));
    }
}
