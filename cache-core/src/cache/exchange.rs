//! What a layer over whole services asks: values that say themselves how long they live and what they depend on, and loads
//! that are told what is there already.

use std::{convert::Infallible, fmt, future::Future, sync::Arc, time::Duration};

use super::{
    Cache, Call, Inner, Rules, ShareOps,
    call::{Hears, Place, Teller},
    context::note,
    load::{Answer, Found},
    old::Use,
    write::{After, Write, WritePlan},
};
use crate::{
    budget::Budget,
    entry::{Afterlife, Entry},
    key::Key,
    outcome::{Ack, Bypass, Outcome, Tier},
    policy::Overrides,
    stats::Count,
    value::{CacheValue, ValueOps},
};

/// What values of a type say of themselves.
pub struct Says<T> {
    /// How long one is of use.
    pub life: fn(&T) -> Duration,
    /// The tags that it names.
    pub tags: fn(&T) -> Vec<Key>,
}

impl<T> Clone for Says<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Says<T> {}

/// A value, when it was made, and how it was come by.
#[derive(Clone, Debug)]
pub struct Met<T> {
    /// The value.
    pub value: T,
    /// When it was made, in microseconds of Redis time; 0 if that is not known.
    pub made: u64,
    /// What the cache did.
    pub outcome: Outcome,
    /// How long ago it was softly evicted, if it was.
    pub left: Option<Duration>,
}

/// What is said while loads run.
pub struct Talk {
    /// By what the load speaks, if this call comes to run it.
    pub teller: Teller,
    /// What hears the load that this call waits for otherwise; at most once.
    pub hears: Hears,
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talk").finish_non_exhaustive()
    }
}

/// One key of a layer, for one request.
pub struct Exchange<T: 'static> {
    cache: Cache,
    key: Key,
    tags: Vec<Key>,
    longest: Duration,
    /// Whose rules there are for what is old.
    old: Old,
    says: Says<T>,
}

/// Whose rules there are for what has ended to be fresh, or was softly evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Old {
    /// Those of the scope's policy.
    ByPolicy,
    /// The layer's: it is told what was softly evicted, and since when.
    ByLayer,
}

impl<T> fmt::Debug for Exchange<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("scope", &self.key.scope().name()).finish_non_exhaustive()
    }
}

impl<T: CacheValue> Exchange<T> {
    /// What is asked of `cache` about `key`; all of its values depend on `tags`, and none is of use for longer than `longest`.
    pub fn new(cache: Cache, key: Key, tags: Vec<Key>, longest: Duration, says: Says<T>) -> Self {
        Self { cache, key, tags, longest, old: Old::ByPolicy, says }
    }

    /// The same, for a layer that has rules of its own for what is old, whatever the scope's policy says. A value that was softly
    /// evicted is [found](Self::find) to the end of its life, and says since when it is old; no load is answered with it.
    #[must_use]
    pub fn judging_what_is_old(mut self) -> Self {
        self.old = Old::ByLayer;
        self
    }

    /// What this process has, if it may be served.
    pub fn hit(&self) -> Option<Met<T>> {
        Self::hit_of(&self.cache, &self.key)
    }

    /// The same, where nothing else is asked yet: it takes the key alone.
    pub fn hit_of(cache: &Cache, key: &Key) -> Option<Met<T>> {
        cache.0.hit(key, |entry, value: &Option<T>| {
            Some(Met {
                value: value.clone()?,
                made: entry.meta.created,
                outcome: Outcome::Hit(Tier::Local),
                left: None,
            })
        })
    }

    /// What any tier has that is fresh, or that this layer judges.
    pub async fn find(&self) -> Option<Met<T>> {
        if let Some(met) = self.hit() {
            return Some(met);
        }
        let mut call = self.call::<Infallible>(0, |_| false);
        if self.old == Old::ByLayer {
            // Its own end is what bounds it.
            call.overrides.stale = Some(Duration::MAX);
            call.rules.afterlife = Afterlife::ToItsEnd;
        }
        let inner = &self.cache.0;
        // Boxed: it is all but never there for whoever has a hit.
        let (entry, outcome) = Box::pin(inner.find(&call)).await?;
        let value = ValueOps::<T>::view(&entry)?.clone()?;
        let deadlines = entry.meta.deadlines;
        let left = Duration::from_micros(inner.clock.remote_micros().saturating_sub(deadlines.fresh_until));
        Some(Met { value, made: entry.meta.created, outcome, left: deadlines.is_left.then_some(left) })
    }

    /// What any tier has that was made later `than` this, else what `load` returns. It runs in a task of its own; who asks for
    /// the same meanwhile waits for it, on all nodes. An error that `passes` is an answer that is not to be stored: those who
    /// waited then load side by side. Others reach those who wait as `share` says.
    ///
    /// # Errors
    ///
    /// The load's.
    pub async fn load<E, F>(
        &self,
        than: u64,
        passes: fn(&E) -> bool,
        share: Option<ShareOps<E>>,
        load: F,
    ) -> Result<Met<T>, E>
    where
        E: Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut call = self.call(than, passes);
        call.rules.share_err = share;
        self.answered(call, load).await
    }

    /// The same; and the load speaks before it has returned to those who wait for it in this process.
    ///
    /// # Errors
    ///
    /// The load's.
    pub async fn load_talking<E, F>(
        &self,
        than: u64,
        passes: fn(&E) -> bool,
        share: Option<ShareOps<E>>,
        talk: Talk,
        load: F,
    ) -> Result<Met<T>, E>
    where
        E: Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut call = self.call(than, passes);
        (call.rules.share_err, call.rules.teller, call.rules.hears) = (share, Some(talk.teller), Some(talk.hears));
        self.answered(call, load).await
    }

    /// A call took what the load of another said for its answer: it joined that, and is counted so.
    pub fn overheard(&self) {
        self.cache.0.counters.add(Count::Joined);
        note(self.key.scope(), Outcome::Joined, Duration::ZERO);
    }

    async fn answered<E, F>(&self, call: Box<Call<T, E>>, load: F) -> Result<Met<T>, E>
    where
        E: Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let Answer { result, outcome, entry } =
            self.cache.answer_owned(call, async move { load.await.map(Some) }).await;
        let stored = entry.filter(|_| !matches!(outcome, Outcome::Bypass(Bypass::Remote)));
        let made = stored.as_ref().map_or(0, |entry: &Arc<Entry>| entry.meta.created);
        let value = result?.expect("a call with `none: false` is answered with a value");
        Ok(Met { value, made, outcome, left: None })
    }

    /// The same in the background, by one node of all; not if that is under way, or failed a short while ago.
    pub fn refresh<E, F>(&self, than: u64, passes: fn(&E) -> bool, teller: Teller, load: F)
    where
        E: Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut call = self.call(than, passes);
        call.rules.teller = Some(teller);
        self.cache.0.refresh(call, than, async move { load.await.map(Some) });
    }

    fn call<E: 'static>(&self, newer_than: u64, passes: fn(&E) -> bool) -> Box<Call<T, E>> {
        let Says { life, tags } = self.says;
        let by_layer = self.old == Old::ByLayer;
        let after = by_layer.then_some(Duration::ZERO);
        // What is fresh here may have ended to be so for the layer: it is no answer to a load that takes its time.
        let patience = by_layer.then_some(Duration::MAX);
        let rules = Rules {
            ttl_with: Some(Arc::new(life)),
            result_tags: Some(Arc::new(tags)),
            passes: Some(passes),
            ..Rules::default()
        };
        Box::new(Call {
            key: self.key.clone(),
            tags: self.tags.clone(),
            // A template of its own, whose values may name any tags.
            shape_tags: Vec::new(),
            place: Place::new("a layer", file!(), line!()),
            ops: ValueOps::of(),
            none: false,
            overrides: Overrides {
                ttl: Some(self.longest),
                stale: after,
                fail_safe: after,
                soft: patience,
                hard: patience,
                ..Overrides::default()
            },
            newer_than,
            rev: 0,
            rules,
        })
    }
}

impl Inner {
    /// What any tier has that is fresh, or was softly evicted and is of use to this call.
    async fn find<T: CacheValue>(&self, call: &Call<T, Infallible>) -> Option<(Arc<Entry>, Outcome)> {
        let scope_id = call.key.scope();
        if let Some(reason) = self.gate() {
            self.bypass(scope_id, reason, Duration::ZERO);
            return None;
        }
        let scope = self.scopes.state(scope_id, &self.tags);
        let policy = scope.policy.with(call.overrides);
        let mut budget = Budget::new(self.budget);
        let is_judged = |entry: &Entry| entry.meta.deadlines.is_left && call.rules.afterlife == Afterlife::ToItsEnd;
        let kept = self.kept::<T>(&call.key, &policy, self.clock.now());
        let found = match kept.filter(|(entry, usage)| *usage == Use::Stale && is_judged(entry)) {
            Some((entry, usage)) => Some((entry, usage.outcome(Tier::Local))),
            None => {
                let watch = self.watch(&call.key, &scope, &call.tags);
                match self.look(call, &scope, &watch, &mut budget).await {
                    Ok(Found::Fresh(entry, _, tier)) => Some((entry, Outcome::Hit(tier))),
                    Ok(Found::Old(entry, tier, usage)) if is_judged(&entry) => Some((entry, usage.outcome(tier))),
                    Ok(Found::Old(..) | Found::Nothing) => None,
                    Err(_) => {
                        self.bypass(scope_id, Bypass::Remote, budget.spent());
                        None
                    }
                }
            }
        };
        let (entry, outcome) = found?;
        match outcome {
            Outcome::Hit(Tier::Local) => self.counters.local_hit(),
            Outcome::Hit(_) => self.counters.add(Count::RemoteHits),
            _ => self.counters.add(Count::Stale),
        }
        note(scope_id, outcome, budget.spent());
        Some((entry, outcome))
    }
}

/// Something is about to change what has these tags. Dropped before it is told how that went, it evicts, in a task of its own.
#[derive(Debug)]
#[must_use = "dropping it evicts"]
pub struct Change(Write);

impl Change {
    /// Before the change.
    pub async fn begin(cache: &Cache, tags: Vec<Key>) -> Self {
        let mut plan = WritePlan::new(Place::new("a layer", file!(), line!()));
        plan.evict_tags = tags;
        Self(cache.begin_write(plan).await)
    }

    /// The same, and what has these tags is old then, and not gone.
    pub fn softly(self) -> Self {
        Self(self.0.softly())
    }

    /// It was made: evicts, and what has `more` tags too.
    pub async fn evict(self, more: Vec<Key>) -> Ack {
        self.0.after_body().evict(After { evict_tags: more, ..After::default() }).await
    }

    /// It was not made.
    pub fn keep(self) {
        self.0.keep();
    }
}
