//! Evictions as text, for an outbox: a transaction writes them beside its rows, so that they survive the process that was to make them.

use std::fmt;

use super::{Cache, Evicts, Unit};
use crate::{
    key::{Key, ScopeId},
    outcome::Ack,
    tag::TagId,
};

const KEY: &str = "key ";
const TAG: &str = "tag ";
const SCOPE: &str = "scope ";
const ALL: &str = "all";

/// What is to be evicted.
#[derive(Debug, PartialEq)]
enum Intent {
    Key(Key),
    Tag(TagId),
}

impl Unit {
    /// What it has named so far, as texts for [`Cache::evict_intents`]: to be written into a table in the same transaction, so that
    /// what is committed is evicted whatever becomes of this process. `docs/writes.md` has the whole of it.
    ///
    /// The texts mean the same in every release. They name keys as Redis has them, with their arguments.
    #[must_use]
    pub fn intents(&self) -> Vec<String> {
        let (keys, tags) = self.named();
        let all = keys.into_iter().map(Intent::Key).chain(tags.into_iter().map(Intent::Tag));
        all.map(|intent| intent.to_string()).collect()
    }
}

impl Cache {
    /// Evicts what [`Unit::intents`] has named. Where it is [applied](Ack::is_applied), they may be forgotten; to evict them again is
    /// harmless.
    ///
    /// A text that is no intent (a row that is broken, or of a later release) evicts everything, as [`clear`](Self::clear) does, and
    /// the log says so: something was changed, nobody can say what, and a relay that met it again and again would get no further.
    pub async fn evict_intents<I>(&self, intents: I) -> Ack
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let (mut keys, mut tags) = (Vec::new(), Vec::new());
        for intent in intents {
            match Intent::parse(intent.as_ref()) {
                Some(Intent::Key(key)) => keys.push(key),
                Some(Intent::Tag(tag)) => tags.push(tag),
                None => {
                    tracing::error!(
                        namespace = &*self.0.namespace,
                        "an outbox has a text that `Unit::intents` did not give (it gives texts like `key product:7`): everything is evicted"
                    );
                    tags.push(TagId::Namespace);
                }
            }
        }
        self.evict_now(keys, tags, Evicts::ForGood).await
    }
}

// === impl Intent ===

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "{KEY}{}", key.wire()),
            Self::Tag(TagId::Tag(tag)) => write!(f, "{TAG}{}", tag.wire()),
            Self::Tag(TagId::Scope(scope)) => write!(f, "{SCOPE}{}", scope.name()),
            Self::Tag(TagId::Namespace) => f.write_str(ALL),
        }
    }
}

impl Intent {
    fn parse(text: &str) -> Option<Self> {
        if let Some(key) = text.strip_prefix(KEY) {
            return Key::parse(key).map(Self::Key);
        }
        if let Some(tag) = text.strip_prefix(TAG) {
            return Key::parse(tag).map(TagId::Tag).map(Self::Tag);
        }
        if let Some(scope) = text.strip_prefix(SCOPE) {
            let is_one = scope.is_empty() || ScopeId::is_valid(scope);
            return is_one.then(|| Self::Tag(TagId::of_scope(ScopeId::intern(scope))));
        }
        (text == ALL).then_some(Self::Tag(TagId::Namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intent_is_read_back_from_its_text() {
        let long = "a:b%c".to_owned() + &"x".repeat(300);
        let keys = [Key::new("product").arg(7_u64), Key::new("text").arg("7"), Key::new("long").arg(long.as_str())];
        let tags = [TagId::Tag(Key::new("@odd")), TagId::Scope(ScopeId::intern("product:stock")), TagId::Namespace];
        for intent in keys.into_iter().map(Intent::Key).chain(tags.into_iter().map(Intent::Tag)) {
            assert_eq!(Intent::parse(&intent.to_string()).map(|it| it.to_string()), Some(intent.to_string()));
        }
        assert_eq!(Intent::parse("key product:7"), Some(Intent::Key(Key::new("product").arg(7_u64))));
    }

    #[tokio::test]
    async fn unit_says_what_it_has_named() {
        let cache = Cache::in_memory();
        let mut unit = cache.unit();
        for key in [Key::new("product").arg(7_u64), Key::new("text").arg("7"), Key::new("product").arg(7_u64)] {
            assert!(unit.evict(&key).await.is_applied());
        }
        assert!(unit.evict_tag(Key::new("category").arg("books")).await.is_applied());
        assert!(unit.evict_scope("product:stock").await.is_applied());
        let intents = unit.intents();
        assert_eq!(intents, ["key product:7", "key text:'7", "tag category:books", "scope product:stock"]);
        unit.rolled_back();
    }

    #[tokio::test]
    async fn intents_evict_what_they_name_and_what_is_none_everything() {
        let cache = Cache::in_memory();
        let [named, other] = ["product", "order"].map(|head| Key::new(head).arg(7_u64));
        let both = async || (cache.get::<u64>(&named).await, cache.get::<u64>(&other).await);
        let put = async || {
            assert!(cache.put(named.clone(), 1_u64).await.is_applied());
            assert!(cache.put(other.clone(), 2_u64).await.is_applied());
        };
        for odd in ["", "product:7", "key ", "scope Product", "scope ", "All", "keys product:7"] {
            put().await;
            assert!(cache.evict_intents(["key product:7", odd]).await.is_applied(), "nothing holds a relay up");
            assert_eq!(both().await, (None, None), "{odd:?}");
        }
        put().await;
        assert!(cache.evict_intents(["key product:7"]).await.is_applied());
        assert_eq!(both().await, (None, Some(2)));
    }
}
