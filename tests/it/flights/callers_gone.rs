//! Half of the callers go away, the leader first.

use std::{convert::Infallible, sync::Arc};

use cache_core::{Cache, Key, Outcome, cacheable};
use tests::fixtures::RedisServer;

use super::{ANSWER, CALLERS, Crowd, Source, loads_normally, within};
use crate::support::node;

/// Leaders that go away one after the other, where the load goes with its caller.
const LEADERS_GONE: usize = 50;

type Answer = Result<u64, Infallible>;

#[cacheable(key = "gone-free:{id}", skip(cache, source, caller), cache = cache)]
async fn free(cache: Cache, source: Source, id: u64, caller: usize) -> Answer {
    Ok(source.load(caller).await)
}

#[cacheable(key = "gone-lent:{name}", skip(cache, source, caller), cache = cache)]
async fn lent(cache: &Cache, source: &Source, name: &str, caller: usize) -> Answer {
    assert_eq!(name, "seven");
    Ok(source.clone().load(caller).await)
}

/// A repository that can be cloned, so that a load runs on without its caller.
#[derive(Clone)]
struct Cloned {
    cache: Cache,
    source: Source,
}

impl Cloned {
    #[cacheable(key = "gone-cloned:{id}", skip(caller))]
    async fn find(&self, id: u64, caller: usize) -> Answer {
        Ok(self.source.clone().load(caller).await)
    }

    #[cacheable(key = "gone-inline:{id}", skip(caller), inline)]
    async fn find_inline(&self, id: u64, caller: usize) -> Answer {
        Ok(self.source.clone().load(caller).await)
    }
}

/// One that cannot: its load borrows, unless it is shared.
struct Unique {
    cache: Cache,
    source: Source,
}

impl Unique {
    #[cacheable(key = "gone-shared:{id}", skip(caller))]
    async fn find_shared(self: Arc<Self>, id: u64, caller: usize) -> Answer {
        Ok(self.source.clone().load(caller).await)
    }

    #[cacheable(key = "gone-borrowed:{id}", skip(caller))]
    async fn find(&self, id: u64, caller: usize) -> Answer {
        Ok(self.source.clone().load(caller).await)
    }
}

async fn by_hand_owned(cache: Cache, source: Source, caller: usize) -> Answer {
    cache.get_or_load(Key::new("gone-hand").arg(7_u64), move || async move { Ok(source.load(caller).await) }).await
}

async fn by_hand_inline(cache: Cache, source: Source, caller: usize) -> Answer {
    // The load borrows from its caller.
    let borrowed = &source;
    let request = cache.entry(Key::new("gone-hand-inline").arg(7_u64));
    let load = || async move { Ok(borrowed.clone().load(caller).await) };
    request.or_load_inline(load).await.map(cache_core::Entry::into_value)
}

/// Every load runs on when its caller has gone: there is one.
async fn one_load<F>(cache: &Cache, key: Key, source: &Source, call: impl Fn(usize) -> F)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut crowd = Crowd::gather(source, &call).await;
    for caller in (0..CALLERS).step_by(2) {
        crowd.cancel(caller).await;
    }
    source.open();
    let answers = crowd.answers().await;
    assert_eq!(answers.len(), CALLERS / 2);
    for (caller, answer, outcome) in answers {
        assert_eq!((answer, outcome), (Ok(ANSWER), Outcome::Joined), "caller {caller}");
    }
    assert_eq!(source.begun(), [0], "one load, by the caller that went away first");
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.joined), (1, CALLERS as u64 / 2));
    let _ack = cache.evict(&key).await;
    loads_normally(source, call).await;
}

/// Every load goes with its caller: the next waiter is elected. Never two at once, and no more than one that is not in vain.
async fn one_load_at_a_time<F>(cache: &Cache, key: Key, source: &Source, call: impl Fn(usize) -> F)
where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut crowd = Crowd::gather(source, &call).await;
    for number in 0..LEADERS_GONE {
        let leader = source.loader(number).await;
        crowd.cancel(leader).await;
    }
    // Waiters, and now and then whoever leads at that moment.
    let stay: Vec<usize> = (0..CALLERS).filter(|caller| !crowd.is_gone(*caller)).collect();
    for caller in stay.into_iter().take(CALLERS / 2 - LEADERS_GONE) {
        crowd.cancel(caller).await;
    }
    let gone: Vec<bool> = (0..CALLERS).map(|caller| crowd.is_gone(caller)).collect();
    source.open();
    let answers = crowd.answers().await;
    assert_eq!(answers.len(), CALLERS / 2);
    let mut leaders = Vec::new();
    for (caller, answer, outcome) in answers {
        assert_eq!(answer, Ok(ANSWER), "caller {caller}");
        match outcome {
            Outcome::Loaded => leaders.push(caller),
            outcome => assert_eq!(outcome, Outcome::Joined, "caller {caller}"),
        }
    }
    assert_eq!(source.most_at_once(), 1, "never two at once");
    let begun = source.begun();
    let in_vain = begun.iter().filter(|caller| gone[**caller]).count();
    assert!(begun.len() > LEADERS_GONE, "each leader that went away was followed by another: {begun:?}");
    assert_eq!(begun.len(), 1 + in_vain, "one load besides those of leaders that went away: {begun:?}");
    assert_eq!(leaders, begun[in_vain..], "it was the last one's");
    let _ack = cache.evict(&key).await;
    loads_normally(source, call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn get_or_load_whose_leader_goes_first_loads_once() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let call = |caller| by_hand_owned(cache.clone(), source.clone(), caller);
        within(one_load(&cache, Key::new("gone-hand").arg(7_u64), &source, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn free_function_with_owned_arguments_whose_leader_goes_first_loads_once() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let call = |caller| free(cache.clone(), source.clone(), 7, caller);
        within(one_load(&cache, Key::new("gone-free").arg(7_u64), &source, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn free_function_with_lent_arguments_that_can_be_owned_loads_once() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let call = |caller| {
            let (cache, source) = (cache.clone(), source.clone());
            async move { lent(&cache, &source, &String::from("seven"), caller).await }
        };
        within(one_load(&cache, Key::new("gone-lent").arg("seven"), &source, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn arc_self_whose_leader_goes_first_loads_once() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let repository = Arc::new(Unique { cache: cache.clone(), source: source.clone() });
        let call = |caller| Arc::clone(&repository).find_shared(7, caller);
        within(one_load(&cache, Key::new("gone-shared").arg(7_u64), &source, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn self_that_is_clone_whose_leader_goes_first_loads_once() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let repository = Cloned { cache: cache.clone(), source: source.clone() };
        let call = |caller| {
            let repository = repository.clone();
            async move { repository.find(7, caller).await }
        };
        within(one_load(&cache, Key::new("gone-cloned").arg(7_u64), &source, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn self_that_is_not_clone_whose_leaders_go_first_loads_one_at_a_time() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let repository = Arc::new(Unique { cache: cache.clone(), source: source.clone() });
        let call = |caller| {
            let repository = Arc::clone(&repository);
            async move { repository.find(7, caller).await }
        };
        within(one_load_at_a_time(&cache, Key::new("gone-borrowed").arg(7_u64), &source, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attribute_with_inline_whose_leaders_go_first_loads_one_at_a_time() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let repository = Cloned { cache: cache.clone(), source: source.clone() };
        let call = |caller| {
            let repository = repository.clone();
            async move { repository.find_inline(7, caller).await }
        };
        within(one_load_at_a_time(&cache, Key::new("gone-inline").arg(7_u64), &source, call)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn or_load_inline_whose_leaders_go_first_loads_one_at_a_time() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let call = |caller| by_hand_inline(cache.clone(), source.clone(), caller);
        within(one_load_at_a_time(&cache, Key::new("gone-hand-inline").arg(7_u64), &source, call)).await;
    }
}

/// Everybody goes: an owned load ends and is stored all the same, a borrowed one is gone, and nothing is left behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn key_that_all_callers_have_left_is_loaded_by_the_next() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let source = Source::new();
        let call = |caller| by_hand_inline(cache.clone(), source.clone(), caller);
        let mut crowd = Crowd::gather(&source, call).await;
        for caller in (0..CALLERS).rev() {
            crowd.cancel(caller).await;
        }
        assert_eq!(source.begun(), [0], "the leader went last");
        within(loads_normally(&source, call)).await;

        let source = Source::new();
        let call = |caller| by_hand_owned(cache.clone(), source.clone(), caller);
        let mut crowd = Crowd::gather(&source, call).await;
        for caller in 0..CALLERS {
            crowd.cancel(caller).await;
        }
        source.open();
        let (answer, seen) = within(cache_core::observe(call(CALLERS))).await;
        assert_eq!(answer, Ok(ANSWER));
        let outcome = super::only(&seen);
        assert!(outcome.is_hit() || outcome == Outcome::Joined, "{outcome}");
        assert_eq!(source.begun(), [0], "the load ran on");
    }
}
