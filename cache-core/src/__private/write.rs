//! What `#[cache_put]` and `#[cache_evict]` expand to: tell the engine before the body what is known, and after it the rest.

use std::{future::Future, pin::Pin, time::Duration};

use super::{call::Reached, kind::Kind, site::Site};
use crate::{
    cache::{After, AsUnit, Cache, Evicts, Judge, Member, Phase, Unit, Write, WritePlan},
    key::{Key, ScopeId},
    outcome::{Ack, Outcome},
    value::ValueOps,
};

/// Keys over a value.
type Later<T> = Box<dyn FnOnce(&T) -> Vec<Key> + Send>;

/// The version of the row that a value is.
type RowVersion<T> = Box<dyn FnOnce(&T) -> u64 + Send>;

/// Ends a write by a put. Erased where the type is known to be one that can be cached, so that the rest asks nothing of it.
type PutEnd<T> = Box<dyn FnOnce(Write, Option<&T>, After) -> Ending + Send>;

/// The end of a write: what Redis said.
type Ending = Pin<Box<dyn Future<Output = Ack> + Send>>;

/// What a write is about to do.
pub struct Writing<K: Kind> {
    cache: Cache,
    plan: WritePlan,
    after: AfterBody<K::Value>,
    keep_on_error: bool,
    unit: Option<Member>,
}

/// What is left to do when the body has returned.
struct AfterBody<T> {
    put: Option<PutEnd<T>>,
    unless: Option<Judge<T>>,
    rev: u32,
    row: Option<RowVersion<T>>,
    result_tags: Option<Later<T>>,
    evict: Vec<Later<T>>,
    evict_tags: Vec<Later<T>>,
}

// === impl Writing ===

impl<K: Kind> Writing<K> {
    /// A write of `site` that does nothing yet.
    pub fn new(site: &'static Site, cache: &Cache, _: K) -> Self {
        Self {
            cache: cache.clone(),
            plan: WritePlan::new(site.place()),
            after: AfterBody {
                put: None,
                unless: None,
                rev: 0,
                row: None,
                result_tags: None,
                evict: Vec::new(),
                evict_tags: Vec::new(),
            },
            keep_on_error: false,
            unit: None,
        }
    }

    /// Inside of a transaction, if there is one: nothing is stored, and what is evicted is evicted once more at the end of the unit.
    pub fn unit(mut self, unit: &impl AsUnit) -> Self {
        self.unit = unit.as_unit().map(Unit::member);
        self
    }

    /// What the body returns becomes the entry under `key`, whose template is the first of `site`.
    pub fn put(mut self, site: &'static Site, ops: &'static ValueOps<K::Value>, key: Key) -> Self
    where
        K::Value: Send + 'static,
    {
        self.plan.puts.push(key);
        self.plan.shape_tags = site.shape_tags();
        self.after.put = Some(Box::new(move |write, value, after| {
            let value = value.map(ops.clone);
            Box::pin(async move { write.put(ops, value, after).await })
        }));
        self
    }

    /// What the body returns has a key that only it can name: nothing can be captured before, so it is evicted, not stored.
    pub fn insert(
        self,
        _: &'static ValueOps<K::Value>,
        head: &'static str,
        key: impl FnOnce(&K::Value) -> Vec<Key> + Send + 'static,
    ) -> Self
    where
        K::Value: 'static,
    {
        self.evict_later(head, key)
    }

    /// Tags of the entry, known before the body.
    pub fn tags(mut self, tags: Vec<Key>) -> Self {
        self.plan.put_tags = tags;
        self
    }

    /// Tags of the entry that only the value can name.
    pub fn result_tags(mut self, tags: impl FnOnce(&K::Value) -> Vec<Key> + Send + 'static) -> Self {
        self.after.result_tags = Some(Box::new(tags));
        self
    }

    /// How long the value is fresh.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.plan.overrides.ttl = Some(ttl);
        self
    }

    /// How long L1 keeps it.
    pub fn l1(mut self, l1: Duration) -> Self {
        self.plan.overrides.l1 = Some(l1);
        self
    }

    /// How long *nothing* is fresh.
    pub fn negative(mut self, negative: Duration) -> Self {
        self.plan.overrides.negative = Some(negative);
        self
    }

    /// What is evicted instead of stored.
    pub fn unless(mut self, judge: Judge<K::Value>) -> Self {
        self.after.unless = Some(judge);
        self
    }

    /// The revision of the value's layout.
    pub fn rev(mut self, rev: u32) -> Self {
        self.after.rev = rev;
        self
    }

    /// The version of the row: of two, the newer one is kept.
    pub fn version(mut self, version: impl FnOnce(&K::Value) -> u64 + Send + 'static) -> Self {
        self.after.row = Some(Box::new(version));
        self
    }

    /// Evicts an entry.
    pub fn evict(mut self, key: Key) -> Self {
        self.plan.evict.push(key);
        self
    }

    /// Evicts an entry that only the value can name, under a template with this literal head.
    pub fn evict_later(mut self, head: &'static str, key: impl FnOnce(&K::Value) -> Vec<Key> + Send + 'static) -> Self {
        self.plan.heads_of_unknown.push(ScopeId::intern(head));
        self.after.evict.push(Box::new(key));
        self
    }

    /// Evicts what has a tag.
    pub fn evict_tag(mut self, tag: Key) -> Self {
        self.plan.evict_tags.push(tag);
        self
    }

    /// Evicts what has a tag that only the value can name, under a template with this literal head.
    pub fn evict_tag_later(
        mut self,
        head: &'static str,
        tag: impl FnOnce(&K::Value) -> Vec<Key> + Send + 'static,
    ) -> Self {
        self.plan.heads_of_unknown.push(ScopeId::intern(head));
        self.after.evict_tags.push(Box::new(tag));
        self
    }

    /// Evicts a scope and all below it.
    pub fn evict_scope(mut self, scope: &'static str) -> Self {
        self.plan.evict_scopes.push(ScopeId::intern(scope));
        self
    }

    /// Evicts before the body runs.
    pub fn before(mut self) -> Self {
        self.plan.phase = Phase::Before;
        self
    }

    /// Evicts before the body runs and after it.
    pub fn both(mut self) -> Self {
        self.plan.phase = Phase::Both;
        self
    }

    /// What it evicts is old, and not gone.
    pub fn softly(mut self) -> Self {
        self.plan.evicts = Evicts::Softly;
        self
    }

    /// A body that fails evicts nothing.
    pub fn keep_on_error(mut self) -> Self {
        self.keep_on_error = true;
        self
    }

    async fn around(self, body: impl Future<Output = K::Returned>) -> K::Returned {
        let Self { cache, plan, after, keep_on_error, unit } = self;
        if let Some(unit) = unit {
            return Self::inside(unit, plan, after, body).await;
        }
        // Dropped from here on, by a caller that goes away or by a panic, it evicts what is known.
        let write = cache.begin_write(plan).await;
        let returned = body.await;
        let write = write.after_body();
        // Nothing of the result is borrowed while Redis is waited for: it need not be `Sync`.
        let (end, outcome): (Ending, fn(Ack) -> Outcome) = match K::view(&returned) {
            Some(value) => after.end(write, value),
            None if keep_on_error => {
                write.keep();
                return returned;
            }
            None => (Box::pin(write.fail()), Outcome::Evict),
        };
        // Observers and statistics have the acknowledgement; most functions have no place for it.
        let ack = end.await;
        K::tell(returned, outcome(ack))
    }

    /// The same inside of a transaction. A body that fails, or that is dropped, has been named as far as it is known.
    async fn inside(
        unit: Member,
        plan: WritePlan,
        after: AfterBody<K::Value>,
        body: impl Future<Output = K::Returned>,
    ) -> K::Returned {
        let within = unit.begin(plan).await;
        let returned = body.await;
        let Some((evict, tags)) =
            K::view(&returned).map(|value| (named(after.evict, value), named(after.evict_tags, value)))
        else {
            return returned;
        };
        let ack = within.end(evict, tags).await;
        K::tell(returned, Outcome::Evict(ack))
    }
}

/// What is named over a value; of *nothing*, nothing is.
fn named<T>(later: Vec<Later<T>>, value: Option<&T>) -> Vec<Key> {
    let Some(value) = value else { return Vec::new() };
    later.into_iter().flat_map(|keys| keys(value)).collect()
}

impl<T> AfterBody<T> {
    fn end(self, write: Write, value: Option<&T>) -> (Ending, fn(Ack) -> Outcome) {
        let after = After {
            put_tags: named(self.result_tags.into_iter().collect(), value),
            evict: named(self.evict, value),
            evict_tags: named(self.evict_tags, value),
            rev: self.rev,
            row: value.and_then(|value| self.row.map(|row| row(value))),
        };
        match self.put.filter(|_| !self.unless.is_some_and(|unless| unless(value))) {
            Some(put) => (put(write, value, after), Outcome::Put),
            None => (Box::pin(write.evict(after)), Outcome::Evict),
        }
    }
}

/// The body runs in the caller; what is known is evicted even if the caller goes away.
pub(super) async fn write_inline<K, F>(plan: Reached<Writing<K>>, body: F) -> K::Returned
where
    K: Kind,
    F: Future<Output = K::Returned>,
{
    match plan {
        Ok(writing) => writing.around(body).await,
        Err(reason) => K::tell(body.await, Outcome::Bypass(reason)),
    }
}

/// The body runs in a task with everything around it, if there is a cache: a caller that goes away does nothing to it.
pub(super) async fn write_owned<K, F>(plan: Reached<Writing<K>>, body: F) -> K::Returned
where
    K: Kind + 'static,
    K::Returned: Send + 'static,
    F: Future<Output = K::Returned> + Send + 'static,
{
    match plan {
        Ok(writing) => {
            let cache = writing.cache.clone();
            cache.run_owned(writing.around(body)).await
        }
        Err(reason) => K::tell(body.await, Outcome::Bypass(reason)),
    }
}
