//! Many keys by hand.

use std::{collections::HashMap, fmt, future::Future, hash::Hash, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{
    Cache, Call,
    batch::Found,
    by_hand::{Asked, Entry, with_entry},
    call::Place,
};
use crate::{key::Key, outcome::Ack, policy::Overrides, value::CacheValue};

/// Puts that are under way at once.
const PUTS_AT_ONCE: usize = 256;

/// The tags of one of several keys.
type TagsOf<Id> = Box<dyn Fn(&Id) -> Vec<Key> + Send + Sync>;

/// A call on many keys by hand, with what is said about it. Made by [`Cache::entries`].
#[must_use = "nothing is asked before `or_load`"]
pub struct Requests<'c, Id> {
    cache: &'c Cache,
    keys: Vec<(Id, Key)>,
    tags: Option<TagsOf<Id>>,
    overrides: Overrides,
    place: Place,
}

impl<Id> fmt::Debug for Requests<'_, Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Cache {
    /// A call on the keys of `ids`, to be said more about. An id that comes twice counts once.
    #[track_caller]
    pub fn entries<Id: Clone + Eq + Hash>(
        &self,
        ids: impl IntoIterator<Item = Id>,
        key: impl Fn(&Id) -> Key,
    ) -> Requests<'_, Id> {
        let place = Place::of_caller("entries");
        let mut seen = std::collections::HashSet::new();
        let ids = ids.into_iter().filter(|id| seen.insert(id.clone()));
        let keys = ids.map(|id| (id.clone(), key(&id))).collect();
        Requests { cache: self, keys, tags: None, overrides: Overrides::default(), place }
    }

    /// The values of `ids`: those that are cached, and for the others what `load` returns, which is then stored. An id that
    /// `load` leaves out is not in the answer, and is remembered as *nothing* for [`Policy::negative`](crate::Policy::negative).
    ///
    /// What L1 does not have is read from Redis in one trip for each 256 keys. Each key has a flight and a lease of its own:
    /// calls that overlap, in this process or on other nodes, share loads, and `load` is given only those ids that nobody
    /// else loads. It runs in a task of its own, mostly once; once more for ids whose load by somebody else came to nothing.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::collections::HashMap;
    ///
    /// use cache_core::{Cache, Key};
    ///
    /// let cache = Cache::in_memory();
    /// let squares = |ids: Vec<u64>| async move {
    ///     Ok::<_, std::convert::Infallible>(ids.into_iter().map(|id| (id, id * id)).collect::<HashMap<u64, u64>>())
    /// };
    /// let found = cache.get_or_load_many([2, 3], |id| Key::new("square").arg(*id), squares).await;
    /// assert_eq!(found, Ok(HashMap::from([(2, 4), (3, 9)])));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// That of a load, if it leaves an id without an answer. What else was loaded is cached all the same.
    ///
    /// # Panics
    ///
    /// When a load does.
    #[track_caller]
    pub fn get_or_load_many<Id, T, E, F, L>(
        &self,
        ids: impl IntoIterator<Item = Id>,
        key: impl Fn(&Id) -> Key,
        load: L,
    ) -> impl Future<Output = Result<HashMap<Id, T>, E>> + Send
    where
        Id: Clone + Eq + Hash + Send + Sync + 'static,
        T: CacheValue,
        E: Send + 'static,
        L: Fn(Vec<Id>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<Id, T>, E>> + Send + 'static,
    {
        let requests = self.entries(ids, key);
        async move {
            let found = requests.or_load(load).await?;
            Ok(found.into_iter().map(|(id, entry)| (id, entry.into_value())).collect())
        }
    }

    /// Stores new truths, 256 under way at once; what became of each, in their order. As [`put`](Self::put), each is in force or
    /// not by itself.
    #[track_caller]
    pub fn put_many<T: CacheValue>(
        &self,
        values: impl IntoIterator<Item = (Key, T)>,
    ) -> impl Future<Output = Vec<Ack>> + Send {
        let mut puts: Vec<_> = values.into_iter().map(|(key, value)| (self.entry(key), value)).collect();
        async move {
            let mut acks = Vec::with_capacity(puts.len());
            while !puts.is_empty() {
                let some = puts.drain(..puts.len().min(PUTS_AT_ONCE));
                acks.extend(join_all(some.map(|(request, value)| request.put(value))).await);
            }
            acks
        }
    }

    /// Answers calls from the cache, and by `load`, which runs in the caller and may borrow. If the caller goes away, whoever
    /// waits loads. A key of which there is nothing is not in the answer.
    pub(crate) async fn load_many_inline<Id, T, E, F>(
        &self,
        calls: Vec<(Id, Box<Call<T, E>>)>,
        load: impl Fn(Vec<Id>) -> F,
    ) -> Result<Vec<(Id, T)>, E>
    where
        Id: Clone + Eq + Hash,
        T: 'static,
        E: 'static,
        F: Future<Output = Result<HashMap<Id, T>, E>>,
    {
        let found: Found<Id, T> = self.0.answer_many(calls, load).await?;
        Ok(found.into_iter().filter_map(|(id, (value, ..))| Some((id, value?))).collect())
    }
}

impl<Id> Requests<'_, Id>
where
    Id: Clone + Eq + Hash + Send + Sync + 'static,
{
    /// The tags that each value depends on.
    pub fn tags(mut self, tags: impl Fn(&Id) -> Vec<Key> + Send + Sync + 'static) -> Self {
        self.tags = Some(Box::new(tags));
        self
    }

    /// How long the values are fresh, instead of what their scope's policy says; its caps still hold.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.overrides.ttl = Some(ttl);
        self
    }

    /// How long it is remembered that there is *nothing*, instead of what the scope's policy says.
    pub fn negative(mut self, negative: Duration) -> Self {
        self.overrides.negative = Some(negative);
        self
    }

    /// How long the values may be served after they have ended to be fresh when a load fails, instead of what the scope's
    /// policy says.
    pub fn fail_safe(mut self, fail_safe: Duration) -> Self {
        self.overrides.fail_safe = Some(fail_safe);
        self
    }

    /// As [`Cache::get_or_load_many`], with what the cache knows of each value.
    ///
    /// # Errors
    ///
    /// That of a load, if it leaves an id without an answer.
    ///
    /// # Panics
    ///
    /// When a load does.
    pub async fn or_load<T, E, F, L>(self, load: L) -> Result<HashMap<Id, Entry<T>>, E>
    where
        T: CacheValue,
        E: Send + 'static,
        L: Fn(Vec<Id>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<HashMap<Id, T>, E>> + Send + 'static,
    {
        let Self { cache, keys, tags, overrides, place } = self;
        let of_one = |(id, key): (Id, Key)| {
            let tags = tags.as_ref().map(|tags| tags(&id)).unwrap_or_default();
            (id, Asked { key, tags, overrides, place }.call(true))
        };
        let calls: Vec<(Id, Box<Call<T, E>>)> = keys.into_iter().map(of_one).collect();
        let inner = Arc::clone(&cache.0);
        let found: Found<Id, T> = cache.run_owned(async move { inner.answer_many(calls, load).await }).await?;
        let entry = |(id, (value, outcome, entry)): (Id, _)| {
            Some((id, with_entry(cache, value?, outcome, Option::as_ref(&entry))))
        };
        Ok(found.into_iter().filter_map(entry).collect())
    }
}
