//! A unit of work: what a transaction changes is evicted when it is named, and once more when it is committed.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Cache, Evicts, WritePlan, evictions::scope_named};
use crate::{
    key::{Key, ScopeId},
    outcome::Ack,
    tag::TagId,
};

/// Keys and tags that a unit names one by one; beyond, their scopes.
const NAMED: usize = 1_024;

/// Evictions that belong to a transaction, made by [`Cache::unit`].
///
/// Evicted before the commit alone, the old row is loaded and stored again by whoever reads in between. Evicted after it alone, a process
/// that dies between the commit and the eviction leaves the old value behind. So each eviction is made twice: at once, and again when
/// the unit is [`committed`](Self::committed), or dropped, which is taken for "nobody knows".
///
/// Read inside of a transaction with the transaction, not through the cache, and put nothing: what a transaction reads is not true for
/// others yet, and may never be. Functions under `#[cache_put]` and `#[cache_evict]` take part in it by `unit = ..`: a put evicts then.
///
/// A process that is killed between the commit and [`committed`](Self::committed) leaves what was loaded in between until it ends by
/// itself. Where that is too long, write the [`intents`](Self::intents) into a table in the same transaction, and have a task
/// [evict](Cache::evict_intents) what stands there and delete it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # struct Transaction; impl Transaction { async fn commit(self) -> Result<(), std::io::Error> { Ok(()) } }
/// # async fn begin() -> Result<Transaction, std::io::Error> { Ok(Transaction) }
/// use cache_core::{Cache, key};
///
/// let cache = Cache::builder("shop").build().await?;
/// let id = 7_u64;
///
/// let mut unit = cache.unit();
/// let transaction = begin().await?;
/// // .. update the row with the transaction ..
/// let _ack = unit.evict(&key!("product:{id}")).await;
/// transaction.commit().await?;
/// assert!(unit.committed().await.is_applied());
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[must_use = "dropping it evicts what it has named"]
pub struct Unit {
    member: Member,
}

/// What a unit has named so far.
#[derive(Debug, Default)]
struct Named {
    keys: Vec<Key>,
    tags: Vec<TagId>,
    /// The unit has ended: nobody evicts what is named from here on.
    is_over: bool,
}

/// A share in a unit: for a writer whose body has the unit for itself meanwhile.
#[derive(Clone)]
pub(crate) struct Member {
    cache: Cache,
    named: Arc<Mutex<Named>>,
}

/// A writer inside of a unit, between the beginning of its body and its end. Dropped before the end, it leaves to the unit what it may
/// have changed besides: the transaction is not committed yet, so until then nobody needs to know.
#[must_use = "dropping it names what may have changed"]
pub(crate) struct Within {
    member: Member,
    keys: Vec<Key>,
    tags: Vec<TagId>,
    /// What it may have changed besides, while there is no result to say so.
    unknown: Vec<TagId>,
    ack: Ack,
    armed: bool,
}

/// What `unit = ..` may name: a [`Unit`], a reference to one, or an `Option` of either; `None` is no transaction.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no unit of work",
    label = "expected a `Unit`, a reference to one, or an `Option` of it",
    note = "a transaction begins one with `cache.unit()`, and hands it to the functions that it calls as `&mut Unit`"
)]
pub trait AsUnit {
    /// The unit, if there is one.
    fn as_unit(&self) -> Option<&Unit>;
}

impl Cache {
    /// A unit of work, for what a transaction changes.
    pub fn unit(&self) -> Unit {
        Unit { member: Member { cache: self.clone(), named: Arc::default() } }
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.member.lock();
        let (keys, tags) = (named.keys.len(), named.tags.len());
        f.debug_struct("Unit").field("keys", &keys).field("tags", &tags).finish_non_exhaustive()
    }
}

impl Unit {
    /// Evicts a key now, and again at the end.
    pub async fn evict(&mut self, key: &Key) -> Ack {
        self.member.evict(vec![key.clone()], Vec::new()).await
    }

    /// Evicts everything under a tag now, and again at the end.
    pub async fn evict_tag(&mut self, tag: impl Into<Key>) -> Ack {
        self.member.evict(Vec::new(), vec![TagId::Tag(tag.into())]).await
    }

    /// Evicts everything in a scope and below it now, and again at the end. A name that is no scope's is [`Ack::Failed`], as with
    /// [`Cache::evict_scope`].
    pub async fn evict_scope(&mut self, scope: &str) -> Ack {
        match scope_named(scope) {
            Some(scope) => self.member.evict(Vec::new(), vec![scope]).await,
            None => Ack::Failed,
        }
    }

    /// The transaction was committed: evicts all that was named once more, since the old rows may have been loaded meanwhile.
    ///
    /// A caller that goes away meanwhile loses nothing: what was named is evicted in a task of its own.
    pub async fn committed(self) -> Ack {
        let (keys, tags) = self.member.lock().end();
        self.member.cache.evict_now(keys, tags, Evicts::ForGood).await
    }

    /// The transaction was rolled back: what was named is true as it was, and nothing more is evicted.
    pub fn rolled_back(self) {
        self.member.lock().end();
    }

    /// What it has named so far.
    pub(super) fn named(&self) -> (Vec<Key>, Vec<TagId>) {
        let named = self.member.lock();
        (named.keys.clone(), named.tags.clone())
    }

    /// A share in it.
    pub(crate) fn member(&self) -> Member {
        self.member.clone()
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let (keys, tags) = self.member.lock().end();
        if !keys.is_empty() || !tags.is_empty() {
            drop(self.member.cache.writing(keys, tags, Evicts::ForGood));
        }
    }
}

// === impl Named ===

impl Named {
    /// Notes what is to be evicted at the end. Whether there will be one.
    fn add(&mut self, keys: &[Key], tags: &[TagId]) -> bool {
        if self.is_over {
            return false;
        }
        for key in keys {
            if self.keys.contains(key) {
                continue;
            }
            if self.keys.len() < NAMED {
                self.keys.push(key.clone());
            } else {
                self.remember(TagId::of_scope(key.scope()));
            }
        }
        tags.iter().cloned().for_each(|tag| self.remember(tag));
        true
    }

    fn remember(&mut self, tag: TagId) {
        if self.tags.contains(&tag) {
            return;
        }
        if self.tags.len() >= NAMED {
            self.tags = vec![TagId::Namespace];
        } else {
            self.tags.push(tag);
        }
    }

    fn end(&mut self) -> (Vec<Key>, Vec<TagId>) {
        self.is_over = true;
        (std::mem::take(&mut self.keys), std::mem::take(&mut self.tags))
    }
}

// === impl Member ===

impl Member {
    fn lock(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evicts now, and again at the end.
    async fn evict(&self, keys: Vec<Key>, tags: Vec<TagId>) -> Ack {
        self.lock().add(&keys, &tags);
        self.cache.evict_now(keys, tags, Evicts::ForGood).await
    }

    /// Before the body of a writer inside of the unit: what it is going to change is evicted now, and again at the end.
    pub(crate) async fn begin(self, plan: WritePlan) -> Within {
        let scopes = |scopes: Vec<ScopeId>| scopes.into_iter().map(TagId::of_scope);
        let tags = plan.evict_tags.into_iter().map(TagId::Tag).chain(scopes(plan.evict_scopes));
        let mut within = Within {
            keys: plan.puts.into_iter().chain(plan.evict).collect(),
            tags: tags.collect(),
            unknown: scopes(plan.heads_of_unknown).collect(),
            ack: Ack::Applied(0),
            armed: true,
            member: self,
        };
        if !within.keys.is_empty() || !within.tags.is_empty() {
            within.ack = within.member.evict(within.keys.clone(), within.tags.clone()).await;
        }
        within
    }
}

// === impl Within ===

impl Within {
    /// The body returned; what only the result could name is evicted, too.
    pub(crate) async fn end(mut self, keys: Vec<Key>, tags: Vec<Key>) -> Ack {
        self.armed = false;
        let (mut keys, mut tags) = (keys, tags.into_iter().map(TagId::Tag).collect::<Vec<_>>());
        if !self.member.lock().add(&keys, &tags) {
            // The unit did not wait for its body: this is the end.
            keys.append(&mut self.keys);
            tags.append(&mut self.tags);
        }
        if keys.is_empty() && tags.is_empty() {
            return self.ack;
        }
        let ack = self.member.cache.evict_now(keys, tags, Evicts::ForGood).await;
        if self.ack.is_applied() { ack } else { self.ack }
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        if self.armed && !self.member.lock().add(&[], &self.unknown) {
            let (keys, mut tags) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.tags));
            tags.append(&mut self.unknown);
            drop(self.member.cache.writing(keys, tags, Evicts::ForGood));
        }
    }
}

// === impl AsUnit ===

impl AsUnit for Unit {
    fn as_unit(&self) -> Option<&Unit> {
        Some(self)
    }
}

impl<U: AsUnit> AsUnit for &U {
    fn as_unit(&self) -> Option<&Unit> {
        (**self).as_unit()
    }
}

impl<U: AsUnit> AsUnit for &mut U {
    fn as_unit(&self) -> Option<&Unit> {
        (**self).as_unit()
    }
}

impl<U: AsUnit> AsUnit for Option<U> {
    fn as_unit(&self) -> Option<&Unit> {
        self.as_ref()?.as_unit()
    }
}
