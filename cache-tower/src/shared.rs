//! What the services of one layer share: the cache, what the layer was told, and what it remembers between requests.

use std::sync::Arc;

use cache_core::{
    __private::{Exchange, Met, Says},
    Cache, Key,
};
use http::{HeaderMap, Uri};

use crate::{
    clock,
    config::Config,
    key,
    passes::Passes,
    rfc::{Timestamp, invalidate},
    stored::{Found, LONGEST_LIFE, Seen, Stored},
};

/// What the services of one layer share.
pub(crate) struct Shared {
    pub(crate) cache: Option<Cache>,
    pub(crate) config: Config,
    pub(crate) passes: Passes,
}

// === impl Shared ===

impl Shared {
    pub(crate) fn new(cache: Option<Cache>, config: Config) -> Self {
        Self { cache, config, passes: Passes::default() }
    }

    /// What is asked of the cache about a key of a URL.
    pub(crate) fn exchange(&self, cache: &Cache, key: Key, tags: &[Key]) -> Exchange<Arc<Stored>> {
        let says = Says { life: |stored: &Arc<Stored>| stored.life(), tags: |stored| stored.keys_of_tags() };
        Exchange::new(cache.clone(), key, tags.to_vec(), LONGEST_LIFE, says).judging_what_is_old()
    }

    /// What any tier has. What was softly purged is stale since then, and kept for as long as what is stale is.
    pub(crate) async fn find(&self, exchange: &Exchange<Arc<Stored>>) -> Option<Found> {
        let met = exchange.find().await?;
        let Some(since) = met.left else { return Some(met) };
        // The cache counts in the time of Redis, which all nodes have in common; answers in that of whoever stored them.
        let now = clock::now();
        let value = met.value.purged(Timestamp(now.0.saturating_sub(since)));
        let is_of_use = |seen: &Seen| seen.life.staleness(now) < seen.life.afterlife(self.config.keep);
        value.seen(&self.config.rules).is_some_and(is_of_use).then(|| Met { value: Arc::clone(&value), ..met })
    }

    /// The tags that an answer is stored under besides those of its URL, `given` ones among them; nothing if they are more than can
    /// be kept.
    pub(crate) fn tags_of(
        &self,
        uri: &Uri,
        request: &HeaderMap,
        answer: &HeaderMap,
        given: &[Key],
    ) -> Option<Vec<Key>> {
        let (tags, groups) = (invalidate::tags(answer), invalidate::groups(answer));
        let origin = key::origin(uri, request).unwrap_or_default();
        let is_complete = !tags.incomplete && !groups.incomplete;
        let tags = tags.all.iter().map(|tag| tag_of(tag));
        let mut all: Vec<Key> = tags.chain(groups.all.iter().map(|group| self.group(&origin, group))).collect();
        let others: Vec<Key> = given.iter().filter(|tag| !all.contains(tag)).cloned().collect();
        all.extend(others);
        (is_complete && all.len() <= TAGS.saturating_sub(self.config.prefixes.tags())).then_some(all)
    }

    /// The tag of a group (RFC 9875): those of another origin are others.
    pub(crate) fn group(&self, origin: &str, group: &str) -> Key {
        self.config.url_head.clone().arg(origin).arg(Some("group")).arg(group)
    }

    /// The tags of a URL that names its host, of either scheme.
    pub(crate) fn url(&self, uri: &Uri) -> Vec<Key> {
        key::tags_of_url(&self.config, uri, &HeaderMap::new())
    }
}

/// An entry of the cache has 16 tags at most, and one is that of the URL. Those of prefixes go off too.
const TAGS: usize = 15;

/// The tag that a field names: `category:books` is the one that functions have by that template, and whatever else is a text.
pub(crate) fn tag_of(text: &str) -> Key {
    Key::parse(text).unwrap_or_else(|| Key::new("tag").arg(text))
}
