//! A load that panics: tried once more for those who waited, then they panic too. Nobody hangs.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cache_core::{Cache, Key, Outcome, cacheable};
use tests::fixtures::RedisServer;
use tokio::task::JoinError;

use super::{ANSWER, Crowd, Source, loads_normally, only, within};
use crate::support::node;

type Answer = Result<u64, Infallible>;

const BOOM: &str = "the origin is on fire";

/// An origin whose first loads panic.
#[derive(Clone)]
struct Panicking {
    cache: Cache,
    source: Source,
    /// How many.
    panics: Arc<AtomicUsize>,
    /// Whether those after the first one take their time.
    slow: bool,
}

/// One that can't be cloned, so that its load borrows.
struct Unique(Panicking);

impl Panicking {
    fn over(cache: &Cache, panics: usize, slow: bool) -> Self {
        Self { cache: cache.clone(), source: Source::new(), panics: Arc::new(AtomicUsize::new(panics)), slow }
    }

    async fn load(self, caller: usize) -> u64 {
        let (before, _flying) = self.source.begin(caller);
        if before == 0 {
            self.source.opened().await;
        } else if self.slow {
            tokio::task::yield_now().await;
        }
        assert!(before >= self.panics.load(Ordering::SeqCst), "{BOOM}");
        ANSWER
    }

    #[cacheable(key = "panicking-owned:{id}", skip(caller))]
    async fn owned(&self, id: u64, caller: usize) -> Answer {
        Ok(self.clone().load(caller).await)
    }

    async fn by_hand(self, caller: usize) -> Answer {
        let cache = self.cache.clone();
        let load = move || async move { Ok(self.load(caller).await) };
        cache.get_or_load(Key::new("panicking-hand").arg(7_u64), load).await
    }

    async fn by_hand_inline(self, caller: usize) -> Answer {
        let this = &self;
        let load = || async move { Ok(this.clone().load(caller).await) };
        let request = self.cache.entry(Key::new("panicking-hand-inline").arg(7_u64));
        request.or_load_inline(load).await.map(cache_core::Entry::into_value)
    }
}

impl Unique {
    #[cacheable(key = "panicking-borrowed:{id}", skip(caller), cache = self.0.cache)]
    async fn borrowed(&self, id: u64, caller: usize) -> Answer {
        Ok(self.0.clone().load(caller).await)
    }
}

/// How a caller is told; each form has a key of its own.
#[derive(Clone, Copy, Debug)]
enum Form {
    Owned,
    Borrowed,
    ByHand,
    ByHandInline,
}

const FORMS: [Form; 4] = [Form::Owned, Form::Borrowed, Form::ByHand, Form::ByHandInline];

impl Form {
    async fn call(self, origin: Panicking, caller: usize) -> Answer {
        match self {
            Form::Owned => origin.owned(7, caller).await,
            Form::Borrowed => Unique(origin).borrowed(7, caller).await,
            Form::ByHand => origin.by_hand(caller).await,
            Form::ByHandInline => origin.by_hand_inline(caller).await,
        }
    }
}

#[track_caller]
fn assert_boom(error: JoinError) {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    assert_eq!(text, Some(BOOM), "the panic of the load, in each of its callers");
}

/// Every caller panics. Answers how often was loaded.
async fn everybody_panics(cache: &Cache, form: Form, slow: bool) -> usize {
    let origin = Panicking::over(cache, usize::MAX, slow);
    let call = |caller| form.call(origin.clone(), caller);
    let crowd = Crowd::gather(&origin.source, call).await;
    origin.source.open();
    for (caller, end) in crowd.ends().await {
        match end {
            Err(error) => assert_boom(error),
            Ok(answer) => panic!("{form:?}: caller {caller} was told {answer:?}"),
        }
    }
    let loads = origin.source.begun().len();
    origin.panics.store(0, Ordering::SeqCst);
    loads_normally(&origin.source, call).await;
    loads
}

async fn everybody_panics_in_every_form(slow: bool) {
    let redis = RedisServer::start().await;
    let mut loads = Vec::new();
    for (tiers, cache) in [("two tiers", node(&redis).await), ("one tier", Cache::in_memory())] {
        for form in FORMS {
            loads.push((tiers, form, within(everybody_panics(&cache, form, slow)).await));
        }
    }
    assert!(loads.iter().all(|(_, _, loads)| *loads <= 2), "more than two loads panicked: {loads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn load_that_always_panics_is_tried_twice() {
    everybody_panics_in_every_form(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn load_that_always_panics_at_once_is_tried_twice() {
    everybody_panics_in_every_form(false).await;
}

#[tokio::test]
async fn load_that_always_panics_at_once_on_one_thread_is_tried_twice() {
    everybody_panics_in_every_form(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn load_that_panics_once_answers_all_who_waited() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        for form in FORMS {
            let origin = Panicking::over(&cache, 1, true);
            let call = |caller| form.call(origin.clone(), caller);
            let ends = within(async {
                let crowd = Crowd::gather(&origin.source, call).await;
                origin.source.open();
                crowd.ends().await
            });
            for (caller, end) in ends.await {
                match end {
                    Err(error) if caller == 0 => assert_boom(error),
                    Err(error) => panic!("{form:?}: caller {caller}: {error}"),
                    Ok((answer, seen)) => {
                        assert!(caller != 0, "{form:?}: the leader's own load panicked");
                        assert_eq!(answer, Ok(ANSWER), "{form:?}: caller {caller}");
                        assert!(matches!(only(&seen), Outcome::Loaded | Outcome::Joined | Outcome::Hit(_)), "{seen:?}");
                    }
                }
            }
            assert_eq!(origin.source.begun().len(), 2, "{form:?}");
        }
    }
}

fn judged(_: u64) -> bool {
    panic!("{BOOM}")
}

impl Panicking {
    #[cacheable(key = "panicking-judged:{id}", skip(caller), unless = judged(*it))]
    async fn judged(&self, id: u64, caller: usize) -> Answer {
        Ok(self.clone().load(caller).await)
    }
}

/// Not the load, but what its caller makes of the value.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_panics_over_a_loaded_value_is_tried_twice() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let origin = Panicking::over(&cache, 0, true);
        let ends = within(async {
            let call = |caller| {
                let origin = origin.clone();
                async move { origin.judged(7, caller).await }
            };
            let crowd = Crowd::gather(&origin.source, call).await;
            origin.source.open();
            crowd.ends().await
        });
        assert!(ends.await.into_iter().all(|(_, end)| end.is_err()));
        assert!(origin.source.begun().len() <= 2, "{:?}", origin.source.begun());
    }
}

/// The one whose load panics is not there any more; those who waited are not forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn load_that_panics_without_its_caller_leaves_nobody_waiting() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        for form in [Form::Owned, Form::ByHand] {
            let origin = Panicking::over(&cache, usize::MAX, true);
            let call = |caller| form.call(origin.clone(), caller);
            let ends = within(async {
                let mut crowd = Crowd::gather(&origin.source, call).await;
                crowd.cancel(0).await;
                origin.source.open();
                crowd.ends().await
            });
            for (caller, end) in ends.await {
                assert_boom(end.err().unwrap_or_else(|| panic!("caller {caller} was told something")));
            }
            assert!(origin.source.begun().len() <= 2, "{form:?}: {:?}", origin.source.begun());
        }
    }
}
