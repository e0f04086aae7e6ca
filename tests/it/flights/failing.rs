//! A load that fails: shared with those who waited if its error can be, else everybody loads, side by side.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cache_core::{Cache, Key, Outcome, cacheable};
use tests::fixtures::RedisServer;
use tokio::sync::Barrier;

use super::{CALLERS, Crowd, Source, loads_normally, within};
use crate::support::node;

/// An error that is `Clone`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cloneable(u64);

/// An error that is not.
#[derive(Debug, PartialEq, Eq)]
struct Single(u64);

impl Single {
    fn again(&self) -> Self {
        Self(self.0)
    }
}

/// An origin whose loads fail.
#[derive(Clone)]
struct Failing {
    cache: Cache,
    source: Source,
    /// Loads that follow the first one end when all of them are under way.
    together: Arc<Barrier>,
    works: Arc<AtomicBool>,
}

impl Failing {
    fn over(cache: &Cache) -> Self {
        let together = Arc::new(Barrier::new(CALLERS - 1));
        Self { cache: cache.clone(), source: Source::new(), together, works: Arc::default() }
    }

    /// Gives the number of the load, from 0, as its error.
    async fn load(self, caller: usize) -> Result<u64, u64> {
        if self.works.load(Ordering::SeqCst) {
            return Ok(self.source.load(caller).await);
        }
        let (before, _flying) = self.source.begin(caller);
        if before == 0 {
            self.source.opened().await;
        } else {
            self.together.wait().await;
        }
        Err(before as u64)
    }

    fn mend(&self) {
        self.works.store(true, Ordering::SeqCst);
    }

    #[cacheable(key = "failing-clone:{id}", skip(caller))]
    async fn cloneable(&self, id: u64, caller: usize) -> Result<u64, Cloneable> {
        self.clone().load(caller).await.map_err(Cloneable)
    }

    #[cacheable(key = "failing-clone-inline:{id}", skip(caller), inline)]
    async fn cloneable_inline(&self, id: u64, caller: usize) -> Result<u64, Cloneable> {
        self.clone().load(caller).await.map_err(Cloneable)
    }

    #[cacheable(key = "failing-share:{id}", skip(caller), share_err = Single::again)]
    async fn shared(&self, id: u64, caller: usize) -> Result<u64, Single> {
        self.clone().load(caller).await.map_err(Single)
    }

    #[cacheable(key = "failing-share-inline:{id}", skip(caller), inline, share_err = |error| Single(error.0))]
    async fn shared_inline(&self, id: u64, caller: usize) -> Result<u64, Single> {
        self.clone().load(caller).await.map_err(Single)
    }

    #[cacheable(key = "failing-single:{id}", skip(caller))]
    async fn single(&self, id: u64, caller: usize) -> Result<u64, Single> {
        self.clone().load(caller).await.map_err(Single)
    }

    #[cacheable(key = "failing-single-inline:{id}", skip(caller), inline)]
    async fn single_inline(&self, id: u64, caller: usize) -> Result<u64, Single> {
        self.clone().load(caller).await.map_err(Single)
    }

    async fn by_hand(self, caller: usize) -> Result<u64, Single> {
        let cache = self.cache.clone();
        let load = move || async move { self.load(caller).await.map_err(Single) };
        cache.get_or_load(Key::new("failing-hand").arg(7_u64), load).await
    }

    async fn by_hand_inline(self, caller: usize) -> Result<u64, Single> {
        let this = &self;
        let load = || async move { this.clone().load(caller).await.map_err(Single) };
        let request = self.cache.entry(Key::new("failing-hand-inline").arg(7_u64));
        request.or_load_inline(load).await.map(cache_core::Entry::into_value)
    }
}

/// Everybody who waited gets the error of the one load.
async fn one_failure<E, F>(origin: &Failing, call: impl Fn(usize) -> F, error: impl Fn(u64) -> E)
where
    E: Debug + PartialEq + Send + 'static,
    F: Future<Output = Result<u64, E>> + Send + 'static,
{
    let crowd = Crowd::gather(&origin.source, &call).await;
    origin.source.open();
    for (caller, answer, outcome) in crowd.answers().await {
        let expected = if caller == 0 { Outcome::Loaded } else { Outcome::Joined };
        assert_eq!((answer, outcome), (Err(error(0)), expected), "caller {caller}");
    }
    assert_eq!(origin.source.begun(), [0]);
    assert_eq!(origin.cache.stats().load_failures, 1);
    origin.mend();
    loads_normally(&origin.source, call).await;
}

/// Everybody has an error of a load of their own, and those who waited loaded at one time.
async fn failures_side_by_side<F>(origin: &Failing, call: impl Fn(usize) -> F)
where
    F: Future<Output = Result<u64, Single>> + Send + 'static,
{
    let crowd = Crowd::gather(&origin.source, &call).await;
    origin.source.open();
    let mut errors: Vec<u64> = crowd.answers().await.into_iter().map(|(_, answer, _)| answer.unwrap_err().0).collect();
    errors.sort_unstable();
    assert!(errors.into_iter().eq(0..CALLERS as u64), "each caller has the error of a load of its own");
    let mut loaders = origin.source.begun();
    loaders.sort_unstable();
    assert!(loaders.into_iter().eq(0..CALLERS), "at most one load a caller");
    assert_eq!(origin.source.most_at_once(), CALLERS - 1, "all that waited loaded at one time");
    origin.mend();
    loads_normally(&origin.source, call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_that_is_clone_is_shared_by_all_who_waited() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Failing::over(&cache);
        let call = |caller| {
            let origin = origin.clone();
            async move { origin.cloneable(7, caller).await }
        };
        within(one_failure(&origin, call, Cloneable)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_that_is_clone_of_a_borrowed_load_is_shared_by_all_who_waited() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Failing::over(&cache);
        let call = |caller| {
            let origin = origin.clone();
            async move { origin.cloneable_inline(7, caller).await }
        };
        within(one_failure(&origin, call, Cloneable)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_with_share_err_is_shared_by_all_who_waited() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Failing::over(&cache);
        let call = |caller| {
            let origin = origin.clone();
            async move { origin.shared(7, caller).await }
        };
        within(one_failure(&origin, call, Single)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_with_share_err_of_a_borrowed_load_is_shared_by_all_who_waited() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Failing::over(&cache);
        let call = |caller| {
            let origin = origin.clone();
            async move { origin.shared_inline(7, caller).await }
        };
        within(one_failure(&origin, call, Single)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_that_cannot_be_shared_lets_all_who_waited_load_side_by_side() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Failing::over(&cache);
        let call = |caller| {
            let origin = origin.clone();
            async move { origin.single(7, caller).await }
        };
        within(failures_side_by_side(&origin, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_of_a_borrowed_load_that_cannot_be_shared_lets_all_who_waited_load_side_by_side() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Failing::over(&cache);
        let call = |caller| {
            let origin = origin.clone();
            async move { origin.single_inline(7, caller).await }
        };
        within(failures_side_by_side(&origin, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_of_get_or_load_lets_all_who_waited_load_side_by_side() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Failing::over(&cache);
        within(failures_side_by_side(&origin, |caller| origin.clone().by_hand(caller))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn error_of_or_load_inline_lets_all_who_waited_load_side_by_side() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Failing::over(&cache);
        within(failures_side_by_side(&origin, |caller| origin.clone().by_hand_inline(caller))).await;
    }
}
