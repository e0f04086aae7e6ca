//! A unit of work: what a transaction changes is evicted when it is named, and once more when it is committed.

use std::fmt;

use super::{Cache, Evicts};
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
/// others yet, and may never be.
///
/// A process that is killed between the commit and [`committed`](Self::committed) leaves what was loaded in between until it ends by
/// itself. Where that is too long, write the intent to evict into a table in the same transaction, and have a task evict what stands there and
/// delete it.
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
    cache: Cache,
    keys: Vec<Key>,
    tags: Vec<TagId>,
}

impl Cache {
    /// A unit of work, for what a transaction changes.
    pub fn unit(&self) -> Unit {
        Unit { cache: self.clone(), keys: Vec::new(), tags: Vec::new() }
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit").field("keys", &self.keys.len()).field("tags", &self.tags.len()).finish_non_exhaustive()
    }
}

impl Unit {
    /// Evicts a key now, and again at the end.
    pub async fn evict(&mut self, key: &Key) -> Ack {
        if self.keys.len() < NAMED {
            self.keys.push(key.clone());
        } else {
            self.remember(TagId::Scope(key.scope()));
        }
        self.cache.evict_now(vec![key.clone()], Vec::new(), Evicts::ForGood).await
    }

    /// Evicts everything under a tag now, and again at the end.
    pub async fn evict_tag(&mut self, tag: impl Into<Key>) -> Ack {
        let tag = TagId::Tag(tag.into());
        self.remember(tag.clone());
        self.cache.evict_now(Vec::new(), vec![tag], Evicts::ForGood).await
    }

    /// Evicts everything in a scope and below it now, and again at the end.
    pub async fn evict_scope(&mut self, scope: &str) -> Ack {
        let scope = TagId::Scope(ScopeId::intern(scope));
        self.remember(scope.clone());
        self.cache.evict_now(Vec::new(), vec![scope], Evicts::ForGood).await
    }

    /// The transaction was committed: evicts all that was named once more, since the old rows may have been loaded meanwhile.
    ///
    /// A caller that goes away meanwhile loses nothing: what was named is evicted in a task of its own.
    pub async fn committed(mut self) -> Ack {
        let ack = self.cache.evict_now(self.keys.clone(), self.tags.clone(), Evicts::ForGood).await;
        self.forget();
        ack
    }

    /// The transaction was rolled back: what was named is true as it was, and nothing more is evicted.
    pub fn rolled_back(mut self) {
        self.forget();
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

    fn forget(&mut self) {
        self.keys.clear();
        self.tags.clear();
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        if !self.keys.is_empty() || !self.tags.is_empty() {
            let (keys, tags) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.tags));
            drop(self.cache.writing(keys, tags, Evicts::ForGood));
        }
    }
}
