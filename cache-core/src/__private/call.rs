//! What `#[cacheable]` expands to: probe, and hand the rest to the engine.

use std::{any::Any, future::Future, ops::ControlFlow, sync::Arc, time::Duration};

use super::{kind::Kind, site::Site};
use crate::{
    cache::{AsCache, Cache, Call, Judge, Rules, ShareOps, record_bypass},
    error::TimedOut,
    flight::SharedError,
    key::{Key, KeyBuilder, Segments},
    outcome::{Bypass, Outcome},
    policy::Overrides,
    value::ValueOps,
};

/// A call that the nearest tier could not answer.
pub struct Plan<K: Kind>
where
    K::Value: 'static,
    K::Error: 'static,
{
    cache: Cache,
    pub(super) call: Box<Call<K::Value, K::Error>>,
}

/// What is to be done with a cache, or why none was reached.
pub(super) type Reached<P> = Result<P, Bypass>;

/// The cache that an expression leads to.
#[inline]
pub fn reach(from: &(impl AsCache + ?Sized)) -> Reached<&Cache> {
    from.as_cache().ok_or_else(|| aside(None, Bypass::Disabled))
}

/// The installed cache.
#[inline]
pub fn reach_installed(from: &(impl AsCache + ?Sized)) -> Reached<&Cache> {
    from.as_cache().ok_or_else(|| aside(None, Bypass::NotInstalled))
}

/// `when` said no.
pub fn stand_aside(cache: &Cache) -> Bypass {
    aside(Some(cache), Bypass::When)
}

#[cold]
fn aside(cache: Option<&Cache>, reason: Bypass) -> Bypass {
    record_bypass(cache, reason);
    reason
}

/// The hit: nothing is allocated, spawned or moved. Without one, the key.
///
/// The key is finished here, where it is looked at.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the value moves once less: measured by the bench `hit`")]
pub fn probe<K: Kind, S: Segments>(
    cache: &Cache,
    key: KeyBuilder<'_, S>,
    ops: &'static ValueOps<K::Value>,
    kind: K,
) -> ControlFlow<K::Returned, Key>
where
    K::Value: 'static,
{
    let mut finished = key.begun();
    key.finish_in(&mut finished);
    match hit(cache, &finished, ops, kind) {
        Some(hit) => ControlFlow::Break(hit),
        None => ControlFlow::Continue(finished),
    }
}

/// As [`probe`], for a key that is to be kept warm: one that is not yet is no hit here.
pub fn probe_warm<K: Kind, S: Segments>(
    cache: &Cache,
    key: KeyBuilder<'_, S>,
    ops: &'static ValueOps<K::Value>,
    kind: K,
) -> ControlFlow<K::Returned, Key>
where
    K::Value: 'static,
{
    let key = key.finish();
    if !cache.0.is_kept_warm::<K::Value>(&key) {
        return ControlFlow::Continue(key);
    }
    match hit(cache, &key, ops, kind) {
        Some(hit) => ControlFlow::Break(hit),
        None => ControlFlow::Continue(key),
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "the value moves once less: measured by the bench `hit`")]
fn hit<K: Kind>(cache: &Cache, key: &Key, ops: &'static ValueOps<K::Value>, _: K) -> Option<K::Returned>
where
    K::Value: 'static,
{
    cache.0.hit(key, |entry, value: &Option<K::Value>| {
        if value.is_none() && !K::NONE {
            return None;
        }
        Some(K::join(Ok(value.as_ref().map(ops.clone)), || cache.told_of_hit(entry)))
    })
}

/// A copy of an error, with the function that copies it again for each who waited.
struct Copied<E> {
    error: E,
    copy: fn(&E) -> E,
}

/// A copy of `error` that more copies can be made of.
pub fn shared<E: Send + Sync + 'static>(error: &E, copy: fn(&E) -> E) -> SharedError {
    Arc::new(Copied { error: copy(error), copy })
}

fn copy_of<E: Send + Sync + 'static>(shared: &(dyn Any + Send + Sync)) -> Option<E> {
    shared.downcast_ref::<Copied<E>>().map(|copied| (copied.copy)(&copied.error))
}

// === impl Plan ===

impl<K: Kind> Plan<K>
where
    K::Value: 'static,
    K::Error: 'static,
{
    /// A call of `site` for `key`.
    pub fn new(site: &'static Site, cache: &Cache, key: Key, ops: &'static ValueOps<K::Value>, _: K) -> Self {
        let call = Box::new(Call {
            key,
            tags: Vec::new(),
            shape_tags: site.shape_tags(),
            place: site.place(),
            ops,
            none: K::NONE,
            overrides: Overrides::default(),
            newer_than: 0,
            rev: 0,
            rules: Rules::default(),
        });
        Self { cache: cache.clone(), call }
    }

    /// Tags known before the load.
    pub fn tags(mut self, tags: Vec<Key>) -> Self {
        self.call.tags = tags;
        self
    }

    /// Tags that only the value can name.
    pub fn result_tags(mut self, tags: impl Fn(&K::Value) -> Vec<Key> + Send + Sync + 'static) -> Self {
        self.call.rules.result_tags = Some(Arc::new(tags));
        self
    }

    /// How long a value is fresh.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.call.overrides.ttl = Some(ttl);
        self
    }

    /// How long L1 keeps it.
    pub fn l1(mut self, l1: Duration) -> Self {
        self.call.overrides.l1 = Some(l1);
        self
    }

    /// How long *nothing* is fresh.
    pub fn negative(mut self, negative: Duration) -> Self {
        self.call.overrides.negative = Some(negative);
        self
    }

    /// For how long after it was fresh a value is served while a new one loads.
    pub fn stale(mut self, stale: Duration) -> Self {
        self.call.overrides.stale = Some(stale);
        self
    }

    /// For how long after it was fresh a value is served when a load fails.
    pub fn fail_safe(mut self, fail_safe: Duration) -> Self {
        self.call.overrides.fail_safe = Some(fail_safe);
        self
    }

    /// How long a load is waited for where there is an old value.
    pub fn soft(mut self, soft: Duration) -> Self {
        self.call.overrides.soft = Some(soft);
        self
    }

    /// How long a load is waited for at all, and how its error says so.
    pub fn hard(mut self, hard: Duration, timed_out: fn(TimedOut) -> K::Error) -> Self {
        self.call.overrides.hard = Some(hard);
        self.call.rules.timed_out = Some(timed_out);
        self
    }

    /// How long before its end a value is loaded again.
    pub fn warm_up(mut self, ahead: Duration) -> Self {
        self.call.overrides.warm_up = Some(ahead);
        self
    }

    /// What is not stored.
    pub fn unless(mut self, judge: Judge<K::Value>) -> Self {
        self.call.rules.unless = Some(judge);
        self
    }

    /// How long this value is fresh; may only shorten.
    pub fn ttl_with(mut self, ttl: impl Fn(&K::Value) -> Duration + Send + Sync + 'static) -> Self {
        self.call.rules.ttl_with = Some(Arc::new(ttl));
        self
    }

    /// The revision of the value's layout.
    pub fn rev(mut self, rev: u32) -> Self {
        self.call.rev = rev;
        self
    }

    /// Which errors are cached.
    pub fn cache_err(mut self, chosen: fn(&K::Error) -> bool, ops: &'static ValueOps<K::Error>) -> Self {
        self.call.rules.cache_err = Some((chosen, ops));
        self
    }

    /// How an error reaches those who waited, by `share_err`: `share` makes a copy with [`shared`].
    pub fn share_err(mut self, share: fn(&K::Error) -> SharedError) -> Self
    where
        K::Error: Send + Sync + 'static,
    {
        self.call.rules.share_err = Some(ShareOps { share, take: copy_of::<K::Error> });
        self
    }

    /// How an error reaches those who waited, as its type can.
    pub fn share(mut self, share: Option<ShareOps<K::Error>>) -> Self {
        self.call.rules.share_err = share;
        self
    }
}

/// The body runs in the caller.
pub(super) async fn load_inline<K, F>(plan: Reached<Plan<K>>, body: F) -> K::Returned
where
    K: Kind,
    F: Future<Output = K::Returned>,
{
    match plan {
        Ok(Plan { cache, call }) => {
            let (result, told) = cache.load_inline(call, async { K::split(body.await) }).await;
            K::join(result, told)
        }
        Err(reason) => K::tell(body.await, Outcome::Bypass(reason)),
    }
}

/// The body runs in a task, if there is a cache.
pub(super) async fn load_owned<K, F>(plan: Reached<Plan<K>>, body: F) -> K::Returned
where
    K: Kind,
    K::Value: Send + Sync + 'static,
    K::Error: Send + 'static,
    F: Future<Output = K::Returned> + Send + 'static,
{
    match plan {
        Ok(Plan { cache, call }) => {
            let (result, told) = cache.load_owned(call, async { K::split(body.await) }).await;
            K::join(result, told)
        }
        Err(reason) => K::tell(body.await, Outcome::Bypass(reason)),
    }
}

/// The body runs in a task, if there is a cache, and again before what it returned ends to be fresh.
pub(super) async fn load_warm<K, F, L>(plan: Reached<Plan<K>>, body: L) -> K::Returned
where
    K: Kind,
    K::Value: Send + Sync + 'static,
    K::Error: Send + 'static,
    F: Future<Output = K::Returned> + Send + 'static,
    L: Fn() -> F + Send + Sync + 'static,
{
    match plan {
        Ok(Plan { cache, call }) => {
            let load = move || {
                let body = body();
                async { K::split(body.await) }
            };
            let (result, told) = cache.load_warm(call, load).await;
            K::join(result, told)
        }
        Err(reason) => K::tell(body().await, Outcome::Bypass(reason)),
    }
}
