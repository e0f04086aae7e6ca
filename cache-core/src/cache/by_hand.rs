//! The cache by hand: what the attributes do, as calls.

use std::{future::Future, sync::Arc, time::Duration};

use super::{
    Cache, Call, Rules,
    call::Place,
    load::Answer,
    write::{After, WritePlan},
};
use crate::{
    entry,
    error::TimedOut,
    key::Key,
    outcome::{Ack, Bypass, Outcome, Tier},
    policy::Overrides,
    token::Token,
    value::{CacheValue, ValueOps},
};

/// A value with what the cache knows of it: what calls by hand answer with, and functions under an attribute whose result
/// holds one (`Result<Option<Entry<Product>>, DbError>`).
#[derive(Clone, Debug)]
pub struct Entry<T> {
    value: T,
    outcome: Outcome,
    age: Duration,
    version: Option<u64>,
}

impl<T> Entry<T> {
    /// The value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The value alone.
    pub fn into_value(self) -> T {
        self.value
    }

    /// What the cache did to answer this call.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// How long ago the value was loaded, by the server's clock; nothing for one that was loaded just now.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// The version of the key that the value belongs to; `None` where it is not stored.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// The same of another value.
    pub fn map<U>(self, value: impl FnOnce(T) -> U) -> Entry<U> {
        let Self { value: old, outcome, age, version } = self;
        Entry { value: value(old), outcome, age, version }
    }

    /// The same after something else was done.
    pub(crate) fn with_outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }
}

/// A value that was loaded just now, of which the cache knows nothing: what the body of a function makes that returns an
/// [`Entry`].
impl<T> From<T> for Entry<T> {
    fn from(value: T) -> Self {
        Self { value, outcome: Outcome::Loaded, age: Duration::ZERO, version: None }
    }
}

/// A call by hand, with what is said about it. Made by [`Cache::entry`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked before `or_load`, `or_load_within`, `or_load_warm`, `or_load_inline`, `get`, `put` or `write`"]
pub struct Request<'c> {
    cache: &'c Cache,
    key: Key,
    tags: Vec<Key>,
    overrides: Overrides,
    at_least: Vec<Token>,
    row: Option<u64>,
    place: Place,
}

impl Cache {
    /// A call on `key`, to be said more about: `cache.entry(key!("product:{id}")).tag(key!("catalogue")).or_load(..)`.
    #[track_caller]
    pub fn entry(&self, key: Key) -> Request<'_> {
        let place = Place::of_caller("entry");
        Request {
            cache: self,
            key,
            tags: Vec::new(),
            overrides: Overrides::default(),
            at_least: Vec::new(),
            row: None,
            place,
        }
    }

    /// The cached value, or what `load` returns, which is then stored. Concurrent callers of one missing key cause one load.
    ///
    /// The load runs in a task of its own: a caller that goes away does nothing to it. For one that borrows there is
    /// [`Request::or_load_inline`].
    ///
    /// # Errors
    ///
    /// The load's own, untouched, to the caller whose load it was: those who waited for it load by themselves then, side by side.
    /// (Errors are shared by the attributes, where they are `Clone` or with `share_err`.) Faults of the cache are never errors
    /// here: the call then loads.
    ///
    /// # Panics
    ///
    /// When the load does; and for those who wait for it when it does so twice.
    #[track_caller]
    pub fn get_or_load<T, E, F, L>(
        &self,
        key: Key,
        load: L,
    ) -> impl Future<Output = Result<T, E>> + Send + use<'_, T, E, F, L>
    where
        T: CacheValue,
        E: Send + 'static,
        L: FnOnce() -> F + Send,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let request = self.entry(key);
        async move { request.or_load(load).await.map(Entry::into_value) }
    }

    /// The cached value, without loading: from L1, else from Redis. `None` too for a cached *nothing*.
    pub async fn get<T: CacheValue>(&self, key: &Key) -> Option<T> {
        self.get_many(std::slice::from_ref(key)).await.pop().flatten()
    }

    /// Stores a new truth: every node's next read sees it, or loads. [`Ack::Applied`] says that nobody is served the old value;
    /// where somebody else wrote meanwhile, or the new one cannot be stored, the old one was only evicted.
    ///
    /// A caller that goes away meanwhile leaves no old value behind: the key is evicted, in a task of its own.
    ///
    /// Tags, if the key's template has any, are given through [`Cache::entry`].
    #[track_caller]
    pub fn put<T: CacheValue>(&self, key: Key, value: T) -> impl Future<Output = Ack> + Send + use<'_, T> {
        self.entry(key).put(value)
    }
}

impl<'c> Request<'c> {
    /// A tag that the value depends on. Every place that stores under one key template gives the same tags.
    pub fn tag(mut self, tag: Key) -> Self {
        self.tags.push(tag);
        self
    }

    /// Sees at least what was put or evicted at the moment of this token, of this key or of a tag of it, on whatever node that
    /// was; a token of another record says nothing here. Without Redis, and on the node that wrote, every read does.
    pub fn at_least(mut self, token: Token) -> Self {
        self.at_least.push(token);
        self
    }

    /// How long the value is fresh, instead of what the scope's policy says; its caps still hold.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.overrides.ttl = Some(ttl);
        self
    }

    /// How long this process keeps the value, instead of what the scope's policy says.
    pub fn l1(mut self, l1: Duration) -> Self {
        self.overrides.l1 = Some(l1);
        self
    }

    /// How long *nothing* is kept, instead of what the scope's policy says.
    pub fn negative(mut self, negative: Duration) -> Self {
        self.overrides.negative = Some(negative);
        self
    }

    /// How long the value may be served after it has ended to be fresh, while a new one is loaded in the background, instead of
    /// what the scope's policy says ([`Policy::stale`](crate::Policy::stale)).
    pub fn stale(mut self, stale: Duration) -> Self {
        self.overrides.stale = Some(stale);
        self
    }

    /// How long the value may be served after it has ended to be fresh when a load fails or is late, instead of what the
    /// scope's policy says ([`Policy::fail_safe`](crate::Policy::fail_safe)).
    pub fn fail_safe(mut self, fail_safe: Duration) -> Self {
        self.overrides.fail_safe = Some(fail_safe);
        self
    }

    /// How long to wait for a load where there is an old value that may be served, instead of what the scope's policy says
    /// ([`Policy::soft`](crate::Policy::soft)).
    pub fn soft(mut self, soft: Duration) -> Self {
        self.overrides.soft = Some(soft);
        self
    }

    /// The version of the row that is put: a number that the database raises with each write of it. Of two writers the one with the newer
    /// row is kept, whoever puts last; without it both are evicted, and the next reader loads. Nothing to reads.
    ///
    /// It must grow with every write of the row, also after it was deleted and made anew: a sequence or a time of the database, not a
    /// counter that begins again.
    ///
    /// ```
    /// # use cache_core::{Cache, key};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let (cache, id) = (Cache::in_memory(), 7_u64);
    /// // Two writers, of which the one with the older row is late:
    /// let _ack = cache.entry(key!("price:{id}")).row_version(42).put(1_000_u64).await;
    /// let _ack = cache.entry(key!("price:{id}")).row_version(41).put(1_200_u64).await;
    /// assert_eq!(cache.get(&key!("price:{id}")).await, Some(1_000_u64));
    /// # }
    /// ```
    pub fn row_version(mut self, version: u64) -> Self {
        self.row = Some(version);
        self
    }

    /// The cached value, or what `load` returns, which runs in a task of its own.
    ///
    /// # Errors
    ///
    /// The load's own, untouched.
    ///
    /// # Panics
    ///
    /// When the load does; and for those who wait for it when it does so twice.
    pub async fn or_load<T, E, F, L>(self, load: L) -> Result<Entry<T>, E>
    where
        T: CacheValue,
        E: Send + 'static,
        L: FnOnce() -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        if let Some(hit) = self.probe::<T>() {
            return Ok(hit);
        }
        let load = load();
        let (cache, call) = self.call::<T, E>(false);
        let answer = cache.answer_owned(call, async move { load.await.map(Some) }).await;
        answered(cache, answer).map(some)
    }

    /// As [`or_load`](Self::or_load), and waits no longer than `hard` for a load. Beyond it the answer is an old value that may
    /// be served ([`Policy::fail_safe`](crate::Policy::fail_safe)), else an error made from [`TimedOut`]. The load goes on, and
    /// fills.
    ///
    /// # Errors
    ///
    /// The load's own, untouched; and that it is late.
    ///
    /// # Panics
    ///
    /// When the load does; and for those who wait for it when it does so twice.
    pub async fn or_load_within<T, E, F, L>(mut self, hard: Duration, load: L) -> Result<Entry<T>, E>
    where
        T: CacheValue,
        E: From<TimedOut> + Send + 'static,
        L: FnOnce() -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        if let Some(hit) = self.probe::<T>() {
            return Ok(hit);
        }
        self.overrides.hard = Some(hard);
        let load = load();
        let (cache, mut call) = self.call::<T, E>(false);
        call.rules.timed_out = Some(E::from);
        let answer = cache.answer_owned(call, async move { load.await.map(Some) }).await;
        answered(cache, answer).map(some)
    }

    /// As [`or_load`](Self::or_load), with a load that can be repeated: as long as the key is asked for in this way at least
    /// once from one load to the next, it is loaded again [`Policy::warm_up`](crate::Policy::warm_up) before the value ends to
    /// be fresh, and no reader waits. One node of all does it; the others take what it stored. What may be evicted meanwhile
    /// is as with every load: what was loaded before is not stored after it.
    ///
    /// At most 10,000 keys of a cache are kept warm in a process, 16 loads at once; one more key expires as any other does. A
    /// load that fails is tried again until the value has expired.
    ///
    /// # Errors
    ///
    /// The load's own, untouched; of a load ahead, nobody's.
    ///
    /// # Panics
    ///
    /// When the load does, if it was this call's.
    pub async fn or_load_warm<T, E, F, L>(self, load: L) -> Result<Entry<T>, E>
    where
        T: CacheValue,
        E: Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        if self.cache.0.is_kept_warm::<T>(&self.key)
            && let Some(hit) = self.probe::<T>()
        {
            return Ok(hit);
        }
        self.heed::<T>();
        let (cache, call) = self.call::<T, E>(false);
        let load = move || {
            let loaded = load();
            async move { loaded.await.map(Some) }
        };
        let answer = cache.answer_warm(call, load).await;
        answered(cache, answer).map(some)
    }

    /// As [`or_load`](Self::or_load), for loads that borrow: the load runs in the caller, and if the caller goes away the next
    /// waiter loads.
    ///
    /// # Errors
    ///
    /// The load's own, untouched.
    ///
    /// # Panics
    ///
    /// When the load does; and for those who wait for it when it does so twice.
    pub async fn or_load_inline<T, E, F, L>(self, load: L) -> Result<Entry<T>, E>
    where
        T: CacheValue,
        E: 'static,
        L: FnOnce() -> F,
        F: Future<Output = Result<T, E>>,
    {
        if let Some(hit) = self.probe::<T>() {
            return Ok(hit);
        }
        let load = load();
        let (cache, call) = self.call::<T, E>(false);
        let answer = cache.answer_inline(call, async move { load.await.map(Some) }).await;
        answered(cache, answer).map(some)
    }

    /// As [`or_load`](Self::or_load), for loads that may find *nothing*, which is then kept for `negative`. The value is the
    /// one inside the `Option`: what `put` stores, this reads.
    ///
    /// # Errors
    ///
    /// The load's own, untouched.
    ///
    /// # Panics
    ///
    /// When the load does; and for those who wait for it when it does so twice.
    pub async fn or_find<T, E, F, L>(self, load: L) -> Result<Entry<Option<T>>, E>
    where
        T: CacheValue,
        E: Send + 'static,
        L: FnOnce() -> F,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        self.heed::<T>();
        let load = load();
        let (cache, call) = self.call::<T, E>(true);
        let answer = cache.answer_owned(call, load).await;
        answered(cache, answer)
    }

    /// The cached value, without loading.
    pub async fn get<T: CacheValue>(self) -> Option<Entry<T>> {
        if let Some(hit) = self.probe::<T>() {
            return Some(hit);
        }
        let (value, entry) = self.cache.read_many::<T>(std::slice::from_ref(&self.key)).await.pop()??;
        Some(with_entry(self.cache, value?, Outcome::Hit(Tier::Remote), Some(&entry)))
    }

    /// Stores a new truth: every node's next read sees it, or loads.
    ///
    /// What is put is what this caller knows. Where two may change one row at the same time, the one who wrote the older row may
    /// be the one who puts last: say which [version](Self::row_version) the row has, or use [`write`](Self::write), which looks at the key
    /// before the row is written.
    pub async fn put<T: CacheValue>(self, value: T) -> Ack {
        let (cache, row) = (self.cache, self.row);
        let after = After { row, ..After::default() };
        cache.begin_write(self.plan()).await.put(ValueOps::<T>::of(), Some(value), after).await
    }

    /// Runs `body`, which writes the row and returns it, and puts what it returned: what `#[cache_put]` does. The key is looked
    /// at before, and the value is stored only if nobody else evicted or put it meanwhile; else it is evicted, and the next
    /// reader loads. So of two concurrent writers, on any nodes, neither leaves the older row behind.
    ///
    /// The entry's [`outcome`](Entry::outcome) is `put`, with what Redis said to it.
    ///
    /// A caller that goes away while the body runs, or a body that fails or panics, evicts: the row may have changed.
    ///
    /// # Errors
    ///
    /// The body's own, untouched.
    pub async fn write<T, E, F, B>(self, body: B) -> Result<Entry<T>, E>
    where
        T: CacheValue,
        B: FnOnce() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let row = self.row;
        self.write_versioned(body, |_| row).await
    }

    /// As [`write`](Self::write), of a row that has a version: what `#[cache_put(version = ..)]` does. Of two concurrent writers, on any
    /// nodes, the newer row is kept; see [`row_version`](Self::row_version).
    ///
    /// # Errors
    ///
    /// The body's own, untouched.
    pub async fn write_newest<T, E, F, B>(self, body: B, version: impl FnOnce(&T) -> u64) -> Result<Entry<T>, E>
    where
        T: CacheValue,
        B: FnOnce() -> F,
        F: Future<Output = Result<T, E>>,
    {
        self.write_versioned(body, |value| Some(version(value))).await
    }

    async fn write_versioned<T, E, F, B>(self, body: B, version: impl FnOnce(&T) -> Option<u64>) -> Result<Entry<T>, E>
    where
        T: CacheValue,
        B: FnOnce() -> F,
        F: Future<Output = Result<T, E>>,
    {
        let cache = self.cache;
        let write = cache.begin_write(self.plan()).await;
        let returned = body().await;
        let write = write.after_body();
        match returned {
            Ok(value) => {
                let after = After { row: version(&value), ..After::default() };
                let ack = write.put(ValueOps::<T>::of(), Some(value.clone()), after).await;
                Ok(with_entry(cache, value, Outcome::Put(ack), None))
            }
            Err(error) => {
                // What becomes of it is counted, and told to whoever observes.
                let _told = write.fail().await;
                Err(error)
            }
        }
    }

    fn plan(self) -> WritePlan {
        let mut plan = WritePlan::new(self.place);
        plan.shape_tags = shapes(&self.tags);
        plan.puts = vec![self.key];
        plan.put_tags = self.tags;
        plan.overrides = self.overrides;
        plan
    }

    fn probe<T: CacheValue>(&self) -> Option<Entry<T>> {
        self.heed::<T>();
        self.cache.0.hit(&self.key, |entry, value: &Option<T>| {
            Some(with_entry(self.cache, value.clone()?, Outcome::Hit(Tier::Local), Some(entry)))
        })
    }

    fn heed<T: CacheValue>(&self) {
        if !self.at_least.is_empty() {
            self.cache.0.heed::<T>(&self.key, &self.tags, &self.at_least);
        }
    }

    fn call<T: CacheValue, E: 'static>(self, none: bool) -> (&'c Cache, Box<Call<T, E>>) {
        let Self { cache, key, tags, overrides, place, .. } = self;
        (cache, Asked { key, tags, overrides, place }.call(none))
    }
}

/// What a request by hand says of its call.
pub(super) struct Asked {
    pub(super) key: Key,
    pub(super) tags: Vec<Key>,
    pub(super) overrides: Overrides,
    pub(super) place: Place,
}

impl Asked {
    pub(super) fn call<T: CacheValue, E: 'static>(self, none: bool) -> Box<Call<T, E>> {
        Box::new(Call {
            shape_tags: shapes(&self.tags),
            key: self.key,
            tags: self.tags,
            place: self.place,
            ops: ValueOps::of(),
            none,
            overrides: self.overrides,
            newer_than: 0,
            rev: 0,
            rules: Rules::default(),
        })
    }
}

fn shapes(tags: &[Key]) -> Vec<u64> {
    let mut shapes: Vec<u64> = tags.iter().map(Key::shape).collect();
    shapes.sort_unstable();
    shapes
}

fn answered<T, E>(cache: &Cache, answer: Answer<T, E>) -> Result<Entry<Option<T>>, E> {
    let Answer { result, outcome, entry } = answer;
    result.map(|value| with_entry(cache, value, outcome, entry.as_ref()))
}

pub(super) fn with_entry<T>(cache: &Cache, value: T, outcome: Outcome, entry: Option<&Arc<entry::Entry>>) -> Entry<T> {
    let stored = entry.filter(|_| !matches!(outcome, Outcome::Bypass(Bypass::Remote)));
    let now = cache.0.clock.remote_micros();
    Entry {
        value,
        outcome,
        age: stored.map_or(Duration::ZERO, |entry| Duration::from_micros(now.saturating_sub(entry.meta.created))),
        version: stored.map(|entry| entry.meta.version).filter(|version| *version > 0),
    }
}

/// The value of a call that cannot be told *nothing*, and whose load never returns it.
fn some<T>(entry: Entry<Option<T>>) -> Entry<T> {
    let Entry { value, outcome, age, version } = entry;
    Entry { value: value.expect("a call with `none: false` is answered with a value"), outcome, age, version }
}
