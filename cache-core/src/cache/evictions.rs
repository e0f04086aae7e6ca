//! Evictions by hand.

use super::{Cache, write::Evicts};
use crate::{
    key::{Key, ScopeId},
    outcome::Ack,
    policy::check_scope,
    tag::TagId,
};

impl Cache {
    /// Says that what is cached under `key` is no longer true, for all of its types, on every node.
    ///
    /// No reader of this process sees the old value once it has returned, whatever the [`Ack`] says. On other nodes that is so at once
    /// as a rule, and after the [bound](crate::Builder::bound) in any case, if it is [applied](Ack::Applied). It waits for Redis no
    /// longer than the [budget](crate::Builder::budget).
    ///
    /// A caller that goes away meanwhile loses nothing: it is done in a task of its own. What survives the process is an outbox:
    /// [`Unit::intents`](crate::Unit::intents).
    pub async fn evict(&self, key: &Key) -> Ack {
        self.evict_now(vec![key.clone()], Vec::new(), Evicts::ForGood).await
    }

    /// Evicts everything under a tag, whatever its number: `cache.evict_tag(key!("category:{category}"))`. What is said of
    /// [`evict`](Self::evict) holds for it.
    pub async fn evict_tag(&self, tag: impl Into<Key>) -> Ack {
        self.evict_now(Vec::new(), vec![TagId::Tag(tag.into())], Evicts::ForGood).await
    }

    /// Evicts everything in a scope and below it, whatever its number. What is said of [`evict`](Self::evict) holds for it.
    ///
    /// A scope is the literal head of key templates: `product` for `product:{id}`; an entry of it is evicted by
    /// [`evict`](Self::evict). Of a name that is no scope's nothing is evicted, and the log says so: [`Ack::Failed`].
    pub async fn evict_scope(&self, scope: &str) -> Ack {
        self.evict_scope_now(scope, Evicts::ForGood).await
    }

    /// Evicts everything in the namespace, whatever its number. What is said of [`evict`](Self::evict) holds for it.
    pub async fn clear(&self) -> Ack {
        self.evict_now(Vec::new(), vec![TagId::Namespace], Evicts::ForGood).await
    }

    /// Says that what is cached under `key` is old: from now on it is as if it had ended to be fresh by itself, for all of its
    /// types, on every node. It is served while one load for all nodes replaces it ([`Policy::stale`](crate::Policy::stale)), and
    /// when that fails ([`Policy::fail_safe`](crate::Policy::fail_safe)), both counted from now and never longer than they would
    /// have been without. Where the policy gives neither, readers load, as after [`evict`](Self::evict).
    ///
    /// For what may be shown a while longer: a listing that a new row belongs in, a figure that is computed anew. What must not
    /// be seen again, a price, a right, a deleted row, is evicted for good; that reaches what was softly evicted before, too. A
    /// load that was under way is not stored, as after every eviction. A *nothing* and an error have no use after their
    /// freshness, so they are gone; so is what was softly evicted more than eight times and not loaded since.
    ///
    /// What comes back, when another node hears of it at the latest, and a caller that goes away, are as with
    /// [`evict`](Self::evict). [`Ack::Queued`] is put in force for good as soon as Redis answers: the value is then gone, here at
    /// once. So is what Redis confirmed less than a minute before another server took its place.
    ///
    /// ```
    /// # use cache_core::{Cache, Key, Outcome, Policy, secs};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::builder("shop").policy(Policy::new().stale(secs(30))).build().await?;
    /// let key = Key::new("listing").arg("books");
    /// let load = || async { Ok::<_, std::io::Error>(vec![1_u64, 2]) };
    /// cache.get_or_load(key.clone(), load).await?;
    /// assert!(cache.soft_evict(&key).await.is_applied());
    /// let old = cache.entry(key).or_load(load).await?;
    /// assert!(matches!(old.outcome(), Outcome::Stale(_)), "and a new one is being loaded");
    /// # Ok(()) }
    /// ```
    pub async fn soft_evict(&self, key: &Key) -> Ack {
        self.evict_now(vec![key.clone()], Vec::new(), Evicts::Softly).await
    }

    /// Says that everything under a tag is old, whatever its number, as [`soft_evict`](Self::soft_evict) does of one key.
    pub async fn soft_evict_tag(&self, tag: impl Into<Key>) -> Ack {
        self.evict_now(Vec::new(), vec![TagId::Tag(tag.into())], Evicts::Softly).await
    }

    /// Says that everything in a scope and below it is old, whatever its number, as [`soft_evict`](Self::soft_evict) does of one
    /// key.
    pub async fn soft_evict_scope(&self, scope: &str) -> Ack {
        self.evict_scope_now(scope, Evicts::Softly).await
    }

    /// Says that everything in the namespace is old, whatever its number, as [`soft_evict`](Self::soft_evict) does of one key.
    pub async fn soft_clear(&self) -> Ack {
        self.evict_now(Vec::new(), vec![TagId::Namespace], Evicts::Softly).await
    }

    async fn evict_scope_now(&self, scope: &str, evicts: Evicts) -> Ack {
        match scope_named(scope) {
            Some(scope) => self.evict_now(Vec::new(), vec![scope], evicts).await,
            None => Ack::Failed,
        }
    }
}

/// The scope of a name, to be evicted. Of a name that is no scope's nobody can say what it was to reach: `None`, and a word in the log.
pub(super) fn scope_named(name: &str) -> Option<TagId> {
    let checked = check_scope(name).inspect_err(|error| tracing::error!(%error, "nothing is evicted"));
    checked.is_ok().then(|| TagId::of_scope(ScopeId::intern(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn name_that_is_no_scope_evicts_nothing_and_says_so() {
        let cache = Cache::in_memory();
        let key = Key::new("product").arg(7_u64);
        assert!(cache.put(key.clone(), 1_u64).await.is_applied());
        let mut unit = cache.unit();
        for odd in ["", "Product", "product:", ":", "product:{id}", "product stock"] {
            assert_eq!(cache.evict_scope(odd).await, Ack::Failed, "{odd:?}");
            assert_eq!(cache.soft_evict_scope(odd).await, Ack::Failed, "{odd:?}");
            assert_eq!(unit.evict_scope(odd).await, Ack::Failed, "{odd:?}");
        }
        assert!(unit.intents().is_empty());
        assert!(unit.committed().await.is_applied());
        assert_eq!(cache.get::<u64>(&key).await, Some(1));
        assert!(cache.evict_scope("product").await.is_applied());
        assert_eq!(cache.get::<u64>(&key).await, None);
    }

    #[tokio::test]
    async fn cache_that_keeps_nothing_has_nothing_to_evict_and_one_that_is_closed_fails() {
        let (disabled, closed) = (Cache::disabled(), Cache::in_memory());
        closed.close().await;
        let key = Key::new("product").arg(7_u64);
        let intents = ["key product:7"];
        assert!(disabled.evict(&key).await.is_applied());
        assert!(disabled.evict_intents(intents).await.is_applied());
        assert!(disabled.put(key.clone(), 1_u64).await.is_applied());
        assert_eq!(closed.evict(&key).await, Ack::Failed);
        assert_eq!(closed.evict_intents(intents).await, Ack::Failed);
        assert_eq!(closed.put(key, 1_u64).await, Ack::Failed);
    }
}
