//! What a task carries for the cache: who observes it, and which cache stands in for the installed one. Carried along into
//! the tasks that work for it; task-locals of the user are not.

use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tracing::level_filters::LevelFilter;

use super::Cache;
use crate::{
    key::ScopeId,
    outcome::{Observation, Outcome, Tier},
};

/// Where the events about outcomes come from, for filters.
const EVENTS: &str = "cache_core::outcome";

/// Observations beyond this number are not kept.
const OBSERVATIONS: usize = 1_024;

/// Where a future's observations go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observer(Arc<Mutex<Vec<Observation>>>);

tokio::task_local! {
    static OBSERVER: Observer;
    static STAND_IN: Cache;
}

/// Observers in the process: while there are none, a hit pays one load.
static WATCHING: AtomicUsize = AtomicUsize::new(0);

struct Watching;

impl Watching {
    fn begin() -> Self {
        WATCHING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        WATCHING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs `future` and tells what the caches of this process did inside it: one [`Observation`] for each call, in order, 1,024
/// at most. Loads and writes that run in tasks of their own are included as long as the future waits for them.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use cache_core::{Cache, key, observe};
///
/// let cache = Cache::in_memory();
/// let load = || async { Ok::<_, std::convert::Infallible>(42_u64) };
/// let (answer, seen) = observe(cache.get_or_load(key!("answer:{7}"), load)).await;
/// assert_eq!(answer, Ok(42));
/// assert_eq!(seen[0].outcome.to_string(), "miss; load=own");
/// # });
/// ```
pub async fn observe<F: Future>(future: F) -> (F::Output, Vec<Observation>) {
    let watching = Watching::begin();
    let observer = Observer::default();
    let output = OBSERVER.scope(observer.clone(), future).await;
    drop(watching);
    let seen = std::mem::take(&mut *observer.0.lock().unwrap_or_else(PoisonError::into_inner));
    (output, seen)
}

/// Tells the observer of this task, if there is one, and whoever reads the events of this process.
#[inline]
pub(crate) fn note(scope: ScopeId, outcome: Outcome, remote_time: Duration) {
    if WATCHING.load(Ordering::Relaxed) > 0 {
        note_observed(scope, outcome, remote_time);
    }
    if LevelFilter::current() >= LevelFilter::DEBUG {
        tell(scope, outcome, remote_time);
    }
}

/// An event for each outcome: at `TRACE` for hits of this process, of which there are many, at `DEBUG` for the others.
#[cold]
fn tell(scope: ScopeId, outcome: Outcome, remote_time: Duration) {
    let (scope, remote_us) = (scope.name(), u64::try_from(remote_time.as_micros()).unwrap_or(u64::MAX));
    match outcome {
        Outcome::Hit(Tier::Local) => tracing::trace!(target: EVENTS, scope, %outcome),
        _ => tracing::debug!(target: EVENTS, scope, %outcome, remote_us),
    }
}

#[cold]
fn note_observed(scope: ScopeId, outcome: Outcome, remote_time: Duration) {
    // No observer here is the ordinary case of another task.
    let _none = OBSERVER.try_with(|observer| {
        let mut seen = observer.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < OBSERVATIONS {
            seen.push(Observation { scope: scope.name().to_owned(), outcome, remote_time });
        }
    });
}

/// Runs `future` with `cache` standing in for the installed one.
pub(crate) fn with_stand_in<F: Future>(cache: Cache, future: F) -> impl Future<Output = F::Output> {
    STAND_IN.scope(cache, future)
}

/// The cache that stands in for the installed one in this task.
pub(crate) fn stand_in() -> Option<Cache> {
    STAND_IN.try_with(Cache::clone).ok()
}

/// What a task carries, to be taken into a task that works for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    observer: Option<Observer>,
    stand_in: Option<Cache>,
}

impl Context {
    /// The context of this task.
    pub(crate) fn current() -> Self {
        let observed = WATCHING.load(Ordering::Relaxed) > 0;
        let observer = if observed { OBSERVER.try_with(Observer::clone).ok() } else { None };
        Self { observer, stand_in: stand_in() }
    }

    /// The same for work that nobody waits for.
    pub(crate) fn unobserved(self) -> Self {
        Self { observer: None, ..self }
    }

    /// Runs `future` in it.
    pub(crate) async fn run<F: Future>(self, future: F) -> F::Output {
        match (self.observer, self.stand_in) {
            (None, None) => future.await,
            (Some(observer), None) => OBSERVER.scope(observer, future).await,
            (None, Some(cache)) => STAND_IN.scope(cache, future).await,
            (Some(observer), Some(cache)) => OBSERVER.scope(observer, STAND_IN.scope(cache, future)).await,
        }
    }
}
