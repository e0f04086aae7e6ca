//! What the attributes promise about keys, results and caches, judged by what callers are told and how often is loaded.

mod backoff;
mod batch;
mod boxed;
mod caches;
mod entries;
mod keys;
mod lives;
mod old_values;
mod results;
mod shapes;
mod templates;
mod warm;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_core::{Cache, Observation, Outcome, Policy, hours, observe};
use tests::fixtures::eventually;

/// For what takes a moment: a notification, a fill, an entry that lives a second.
const SOON: Duration = Duration::from_secs(20);

/// A cache without Redis that draws no jitter.
async fn alone() -> Cache {
    Cache::builder("shop").policy(Policy::new().ttl(hours(1)).jitter(0.0)).build().await.unwrap()
}

/// How often something was loaded.
#[derive(Clone, Debug, Default)]
struct Loads(Arc<AtomicU64>);

impl Loads {
    /// One more. Answers how many there are with it.
    fn one(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The one thing that the cache did for a call.
#[track_caller]
fn only(seen: &[Observation]) -> Outcome {
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen[0].outcome
}

/// A call with the one thing that the cache did for it.
async fn told<F: Future>(call: F) -> (F::Output, Outcome) {
    let (output, seen) = observe(call).await;
    let outcome = only(&seen);
    (output, outcome)
}

/// What a call comes to, as soon as it is answered without a load: a fill takes a moment.
#[track_caller]
fn hit<F: Future>(call: impl Fn() -> F) -> impl Future<Output = F::Output> {
    eventually(SOON, async move || {
        let (output, outcome) = told(call()).await;
        if outcome.is_hit() { Ok(output) } else { Err(outcome) }
    })
}
