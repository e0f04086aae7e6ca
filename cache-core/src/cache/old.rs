//! Values that have ended to be fresh, and what may still be done with them.
//!
//! What was evicted is never among them, unless softly: an old value is held against its version and its tags as every other
//! is.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Call, Inner,
    context::note,
    load::{Answer, answer},
    scopes::ScopeState,
};
use crate::{
    clock::Tick,
    entry::{Deadlines, Entry},
    error::TimedOut,
    key::{Key, ScopeId},
    outcome::{Outcome, Tier},
    policy::Resolved,
    stats::Count,
    value::ValueOps,
};

/// What may be done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It is a hit after all.
    Hit,
    /// It is fresh, and it is time to load it again.
    Early,
    /// It may be served while a new one loads.
    Stale,
    /// It may be served if a load fails, or is late.
    FailSafe,
}

impl Use {
    /// What a caller is told who is served such a value from `tier`.
    pub(super) fn outcome(self, tier: Tier) -> Outcome {
        match self {
            Self::Hit | Self::Early => Outcome::Hit(tier),
            Self::Stale => Outcome::Stale(tier),
            Self::FailSafe => Outcome::FailSafe(tier),
        }
    }
}

/// How long a caller waits, and what is known of its call without the call.
pub(super) struct Patience<T: 'static, E> {
    key: Key,
    ops: &'static ValueOps<T>,
    none: bool,
    policy: Resolved,
    timed_out: Option<fn(TimedOut) -> E>,
}

impl Deadlines {
    /// Those of what is stored now, and fresh for `ttl`: *nothing* is of no use after that.
    pub(super) fn of(created: u64, ttl: Duration, policy: &Resolved, is_value: bool) -> Self {
        let (stale, fail_safe) = if is_value { (policy.stale, policy.fail_safe) } else { Default::default() };
        Self::fresh_and_then(created, ttl, stale, fail_safe)
    }
}

impl Inner {
    /// What an entry is still good for, by its own deadlines and by what this call says, whose own may be shorter.
    pub(super) fn use_of(&self, entry: &Entry, policy: &Resolved) -> Option<Use> {
        let (deadlines, now) = (entry.meta.deadlines, self.clock.remote_micros());
        if deadlines.fresh_at(now) {
            return Some(if self.clock.now() < entry.meta.expires { Use::Hit } else { Use::Early });
        }
        let since = Duration::from_micros(now.saturating_sub(deadlines.fresh_until));
        if now < deadlines.stale_until && since < policy.stale {
            return Some(Use::Stale);
        }
        (now < deadlines.fail_safe_until && since < policy.fail_safe).then_some(Use::FailSafe)
    }

    /// What L1 has of a key that may be used without asking anybody.
    pub(super) fn kept<T: 'static>(&self, key: &Key, policy: &Resolved, now: Tick) -> Option<(Arc<Entry>, Use)> {
        let entry = self.held::<T>(key, now).filter(|entry| self.stands_now(key, entry, now))?;
        let usage = self.use_of(&entry, policy)?;
        Some((entry, usage))
    }

    fn held<T: 'static>(&self, key: &Key, now: Tick) -> Option<Arc<Entry>> {
        let held = self.local.get(key.local_hash())?;
        held.of(key, ValueOps::<T>::slot()).filter(|entry| now < entry.meta.kept_until).map(Arc::clone)
    }

    /// What L1 has of a key for a call that Redis did not answer, if its load fails.
    pub(super) fn unverified<T: 'static, E>(
        &self,
        call: &Call<T, E>,
        scope: &ScopeState,
    ) -> Option<(Arc<Entry>, Tier)> {
        let policy = scope.policy.with(call.overrides);
        let held = self.held::<T>(&call.key, self.clock.now()).filter(|_| policy.fail_safe_unverified)?;
        self.stands_for_want(&call.key, &held, &policy).then_some((held, Tier::Local))
    }

    /// Whether an old value may stand in for a load that failed or is late: it is known not to have been evicted, or nothing was
    /// heard of an eviction and that is enough.
    pub(super) fn stands_for_want(&self, key: &Key, entry: &Entry, policy: &Resolved) -> bool {
        self.stands_now(key, entry, self.clock.now()) || (policy.fail_safe_unverified && self.is_unhinted(key, entry))
    }

    fn is_unhinted(&self, key: &Key, entry: &Entry) -> bool {
        let stamp = self.coherence.stamp(self.coherence.spot(key));
        entry.meta.stamp().stripe == stamp.stripe && entry.meta.tags_unhinted()
    }

    /// What to serve of an old entry, if this caller can be told what it says.
    pub(super) fn serve_old<T: 'static, E: 'static>(
        &self,
        call: &Call<T, E>,
        entry: &Arc<Entry>,
        outcome: Outcome,
        remote_time: Duration,
    ) -> Option<Answer<T, E>> {
        let result = answer(call, entry)?;
        self.count_old(call.key.scope(), outcome, remote_time);
        Some(Answer { result, outcome, entry: Some(Arc::clone(entry)) })
    }

    fn count_old(&self, scope: ScopeId, outcome: Outcome, remote_time: Duration) {
        match outcome {
            Outcome::Stale(_) => self.counters.add(Count::Stale),
            Outcome::FailSafe(_) => self.counters.add(Count::FailSafe),
            Outcome::Hit(Tier::Remote) => self.counters.add(Count::RemoteHits),
            _ => self.counters.local_hit(),
        }
        note(scope, outcome, remote_time);
    }

    /// How long this call waits for a load, if not as long as that takes.
    pub(super) fn patience<T: 'static, E: 'static>(&self, call: &Call<T, E>) -> Option<Patience<T, E>> {
        let policy = self.scopes.state(call.key.scope(), &self.tags).policy.with(call.overrides);
        let timed_out = call.rules.timed_out;
        if policy.soft.is_none() && policy.hard.is_none() {
            return None;
        }
        Some(Patience { key: call.key.clone(), ops: call.ops, none: call.none, policy, timed_out })
    }

    /// Waits for an answer, and beyond a timeout for no longer than there is nothing else to say. Whatever is under way for it
    /// in a task goes on.
    pub(super) async fn wait_for<T: 'static, E: 'static>(
        &self,
        patience: Patience<T, E>,
        answer: impl Future<Output = Answer<T, E>>,
    ) -> Answer<T, E> {
        let mut answer = pin!(answer);
        let Resolved { soft, hard, .. } = patience.policy;
        let mut waited = Duration::ZERO;
        if let Some(soft) = soft {
            if let Ok(answer) = timeout(soft, &mut answer).await {
                return answer;
            }
            if let Some(old) = self.late(&patience) {
                self.counters.add(Count::SoftTimeouts);
                return old;
            }
            waited = soft;
        }
        if let Some(hard) = hard {
            if let Ok(answer) = timeout(hard.saturating_sub(waited), &mut answer).await {
                return answer;
            }
            let late = self.late(&patience).or_else(|| {
                let error = patience.timed_out?(TimedOut::new(hard));
                note(patience.key.scope(), Outcome::TimedOut, Duration::ZERO);
                Some(Answer { result: Err(error), outcome: Outcome::TimedOut, entry: None })
            });
            if let Some(late) = late {
                self.counters.add(Count::HardTimeouts);
                return late;
            }
        }
        answer.await
    }

    /// What to serve of a load that is late.
    fn late<T: 'static, E: 'static>(&self, patience: &Patience<T, E>) -> Option<Answer<T, E>> {
        let Patience { key, ops, none, policy, .. } = patience;
        let entry = self.held::<T>(key, self.clock.now())?;
        let usage = self.use_of(&entry, policy).filter(|_| self.stands_for_want(key, &entry, policy))?;
        let value = match ValueOps::<T>::view(&entry)? {
            Some(value) => Some((ops.clone)(value)),
            None if *none => None,
            None => return None,
        };
        let outcome = match usage {
            Use::Hit | Use::Early => Outcome::Hit(Tier::Local),
            Use::Stale | Use::FailSafe => Outcome::FailSafe(Tier::Local),
        };
        self.count_old(key.scope(), outcome, Duration::ZERO);
        Some(Answer { result: Ok(value), outcome, entry: Some(entry) })
    }
}
