//! The cache: two tiers, one load path, and what people call.
//!
//! Data flows one way: a call probes L1 (`probe`); the slow path (`load`) boards a flight, asks L2 (`ask`), loads, and hands
//! what was loaded to `store`; writers go through `write`. Nothing below knows who is above.

mod ask;
mod batch;
mod behind;
mod by_hand;
mod call;
mod claim;
mod context;
mod doubt;
mod evictions;
mod exchange;
mod expired;
mod intents;
mod load;
mod many;
mod old;
mod pending;
mod probe;
mod put;
mod refresh;
mod requests;
mod returned;
mod scopes;
mod store;
mod templates;
mod told;
mod unit;
mod warm;
mod write;

use std::{any::Any, fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::sync::{Semaphore, oneshot};

pub use self::{
    by_hand::{Entry, Request},
    call::{Hears, Judge, ShareOps, Teller},
    context::observe,
    exchange::{Change, Exchange, Met, Says, Talk},
    expired::Expired,
    requests::Requests,
    unit::{AsUnit, Unit},
};
pub(crate) use self::{
    call::{Call, Place, Rules},
    context::{Context, stand_in, with_stand_in},
    unit::Member,
    write::{After, Evicts, Phase, Write, WritePlan},
};
use self::{scopes::Scopes, warm::WarmUps};
use crate::{
    clock::Clock,
    codec::Codec,
    coherence::{Coherence, CoherenceReport},
    error::Error,
    failures::Failures,
    flight::Flights,
    hearing::ExpiredSender,
    journal::Journals,
    key::{Key, ScopeId},
    lease::Waiting,
    outcome::{Bypass, OnL2Error, Outcome},
    policy::{Explanation, Policy, PolicyTree, check_scope},
    recovery::Recovery,
    refresh::Refreshes,
    stats::{Counters, Stats},
    tags::Tags,
    tasks::Tasks,
    tier::{LocalTier, Record, RemoteTier},
    token::Heeded,
    wire::Packing,
};

/// Values that may be on their way to Redis at once; what comes on top is not stored there, and counted.
const FILLS_UNDER_WAY: usize = 1_024;

/// What a cache is put together from. The builder is the only one who knows the adapters.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) local: Arc<dyn LocalTier>,
    pub(crate) remote: Arc<dyn RemoteTier>,
    pub(crate) coherence: Arc<Coherence>,
    pub(crate) tags: Arc<Tags>,
    pub(crate) recovery: Arc<Recovery>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) tasks: Tasks,
    pub(crate) policies: PolicyTree,
    pub(crate) codec: Codec,
    pub(crate) packing: Packing,
    pub(crate) budget: Duration,
    pub(crate) on_l2_error: OnL2Error,
    pub(crate) outage_ttl: Duration,
    /// Tells what expired, if somebody asked for that.
    pub(crate) expired: Option<ExpiredSender>,
    /// Why every call goes past this cache, if it does.
    pub(crate) gate: Option<Bypass>,
    pub(crate) namespace: Arc<str>,
    pub(crate) partitions: u16,
}

pub(crate) struct Inner {
    clock: Clock,
    local: Arc<dyn LocalTier>,
    remote: Arc<dyn RemoteTier>,
    coherence: Arc<Coherence>,
    tags: Arc<Tags>,
    recovery: Arc<Recovery>,
    waiting: Arc<Waiting>,
    counters: Arc<Counters>,
    tasks: Tasks,
    scopes: Scopes,
    flights: Arc<Flights>,
    fills: Arc<Semaphore>,
    refreshes: Arc<Refreshes>,
    failures: Failures,
    heeded: Heeded,
    warm_ups: Arc<WarmUps>,
    codec: Codec,
    packing: Packing,
    budget: Duration,
    on_l2_error: OnL2Error,
    outage_ttl: Duration,
    expired: Option<ExpiredSender>,
    gate: Option<Bypass>,
    pub(crate) namespace: Arc<str>,
    /// Over how many hash tags the keys are spread.
    pub(crate) partitions: u16,
    /// Journals that are kept in this process.
    pub(crate) journals: Journals,
}

/// A cache of two tiers. Cheap to clone; all clones are one cache.
///
/// Built by [`Cache::builder`], [`Cache::in_memory`] or [`Cache::disabled`].
#[derive(Clone)]
pub struct Cache(pub(crate) Arc<Inner>);

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("coherence", &self.coherence().state.as_str()).finish_non_exhaustive()
    }
}

/// Anything that leads to a cache: what an attribute's `cache = ..` may be.
///
/// `None` bypasses.
pub trait AsCache {
    /// The cache, if there is one.
    fn as_cache(&self) -> Option<&Cache>;
}

impl AsCache for Cache {
    fn as_cache(&self) -> Option<&Cache> {
        Some(self)
    }
}

impl<T: AsCache + ?Sized> AsCache for &T {
    fn as_cache(&self) -> Option<&Cache> {
        (**self).as_cache()
    }
}

impl<T: AsCache + ?Sized> AsCache for Arc<T> {
    fn as_cache(&self) -> Option<&Cache> {
        (**self).as_cache()
    }
}

impl<T: AsCache + ?Sized> AsCache for Box<T> {
    fn as_cache(&self) -> Option<&Cache> {
        (**self).as_cache()
    }
}

impl<T: AsCache> AsCache for Option<T> {
    fn as_cache(&self) -> Option<&Cache> {
        self.as_ref().and_then(AsCache::as_cache)
    }
}

impl Cache {
    pub(crate) fn assemble(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            clock: parts.clock,
            local: parts.local,
            remote: parts.remote,
            coherence: parts.coherence,
            tags: parts.tags,
            recovery: parts.recovery,
            waiting: parts.waiting,
            counters: parts.counters,
            tasks: parts.tasks,
            scopes: Scopes::new(parts.policies),
            flights: Arc::new(Flights::new()),
            fills: Arc::new(Semaphore::new(FILLS_UNDER_WAY)),
            refreshes: Arc::new(Refreshes::new()),
            failures: Failures::new(),
            heeded: Heeded::new(),
            warm_ups: Arc::new(WarmUps::new()),
            codec: parts.codec,
            packing: parts.packing,
            budget: parts.budget,
            on_l2_error: parts.on_l2_error,
            outage_ttl: parts.outage_ttl,
            expired: parts.expired,
            gate: parts.gate,
            namespace: parts.namespace,
            partitions: parts.partitions,
            journals: Journals::default(),
        }))
    }

    /// What the cache has done since it was built.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot(self.0.local.len())
    }

    /// How current L1 is, and why.
    #[must_use]
    pub fn coherence(&self) -> CoherenceReport {
        let waiting = self.0.recovery.waiting();
        self.0.coherence.report(waiting, waiting == 0 && self.0.remote.trusts_all())
    }

    /// The policy of a scope, each field with where it came from.
    #[must_use]
    pub fn explain(&self, scope: &str) -> Explanation {
        let explained = self.0.scopes.explain(scope);
        if self.0.remote.stores() { explained } else { explained.with_one_tier() }
    }

    /// Replaces the policy of a scope, all of it: what the new one does not say is inherited from the levels above, not from the
    /// policy that it had. It holds for what is stored from now on; what is stored already keeps its deadlines.
    ///
    /// # Errors
    ///
    /// When the policy contradicts itself, or `scope` is no scope's name (`[a-z0-9._-]{1,64}` segments joined by `:`).
    pub fn retune(&self, scope: &str, policy: Policy) -> Result<(), Error> {
        check_scope(scope)?;
        self.0.scopes.retune(Some(scope), policy)
    }

    /// Replaces the policy of the whole cache, which every scope inherits.
    ///
    /// # Errors
    ///
    /// When the policy contradicts itself.
    pub fn retune_all(&self, policy: Policy) -> Result<(), Error> {
        self.0.scopes.retune(None, policy)
    }

    /// What to type into `redis-cli` for the record that holds the version of `key`; `None` without Redis.
    #[must_use]
    pub fn redis_key(&self, key: &Key) -> Option<String> {
        self.0.remote.record_name(&Record::Control(key.clone()))
    }

    /// Ends the cache: from now on nothing is loaded into it, work under way (fills, evictions of callers that went away) is
    /// waited for, then connections are closed, and every call is `bypass(closed)`.
    ///
    /// Waits for as long as the loads under way take; wrap it in a timeout to bound it. Dropping the future is safe.
    pub async fn close(&self) {
        self.0.tasks.close();
        self.0.warm_ups.clear();
        self.0.tasks.finished().await;
        self.0.recovery.flush(&*self.0.remote, &self.0.clock).await;
        self.0.remote.close().await;
        self.0.tasks.services_ended().await;
        self.0.coherence.end();
    }

    /// Runs `work` in a task of its own, in the context of this one, and waits for it. A caller that goes away does nothing
    /// to it. A panic in `work` is a panic here.
    pub(crate) async fn run_owned<R: Send + 'static>(&self, work: impl Future<Output = R> + Send + 'static) -> R {
        let (done, result) = oneshot::channel();
        let context = Context::current();
        let span = tracing::Span::current();
        let task = async move {
            // The receiver is gone when the caller is: nobody is left to tell.
            let _gone = done.send(AssertUnwindSafe(work).catch_unwind().await);
        };
        let started = self.0.tasks.spawn(tracing::Instrument::instrument(context.run(task), span));
        debug_assert!(started, "an async caller has a runtime");
        match result.await {
            Ok(Ok(output)) => output,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // The runtime is shutting down and dropped the task: this task is next.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Inner {
    /// The last handle is gone: the services end.
    fn drop(&mut self) {
        self.tasks.close();
    }
}

impl Inner {
    /// Why calls go past the cache, if they do.
    fn gate(&self) -> Option<Bypass> {
        self.gate.or_else(|| self.tasks.is_closed().then_some(Bypass::Closed))
    }

    fn bypass(&self, scope: ScopeId, reason: Bypass, remote_time: Duration) {
        self.counters.bypass(reason);
        context::note(scope, Outcome::Bypass(reason), remote_time);
    }
}

/// Counts and tells that a call went past a cache, or past none.
pub(crate) fn record_bypass(cache: Option<&Cache>, reason: Bypass) {
    match cache {
        Some(cache) => cache.0.bypass(ScopeId::ROOT, reason, Duration::ZERO),
        None => context::note(ScopeId::ROOT, Outcome::Bypass(reason), Duration::ZERO),
    }
}

/// What a panic said.
fn panic_message(panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a load panicked").into()
}
