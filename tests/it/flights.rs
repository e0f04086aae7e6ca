//! One load for many callers. Some of them go away, the leader first; loads fail and panic; nobody hangs, and the key can be
//! loaded afterwards.

mod any_moment;
mod callers_gone;
mod failing;
mod found;
mod leader_dropped;
mod panicking;

use std::{
    fmt::Debug,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cache_core::{Observation, Outcome, observe};
use tests::fixtures::eventually;
use tokio::{
    sync::{Semaphore, watch},
    task::{JoinError, JoinHandle},
    time::timeout,
};

const CALLERS: usize = 1_000;
/// After this something hangs: everything here takes far less.
const PATIENCE: Duration = Duration::from_secs(120);
/// What loads give.
const ANSWER: u64 = 42;

/// Nothing hangs.
async fn within<F: Future>(future: F) -> F::Output {
    timeout(PATIENCE, Box::pin(future)).await.expect("somebody hangs")
}

// === what is loaded ===

/// The origin. Each load says who made it, and waits until it is let.
#[derive(Clone)]
struct Source(Arc<Loads>);

struct Loads {
    /// The callers whose loads began, in order.
    begun: watch::Sender<Vec<usize>>,
    /// Loads at this moment.
    now: AtomicUsize,
    /// Loads at one moment, at most.
    most: AtomicUsize,
    gate: Semaphore,
}

/// A load under way; dropped when it ends, or is dropped itself.
struct Flying(Source);

impl Drop for Flying {
    fn drop(&mut self) {
        self.0.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Source {
    fn new() -> Self {
        Self(Arc::new(Loads {
            begun: watch::Sender::new(Vec::new()),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            gate: Semaphore::new(0),
        }))
    }

    /// A load begins. Answers how many began before it.
    fn begin(&self, caller: usize) -> (usize, Flying) {
        let now = self.0.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(now, Ordering::SeqCst);
        let flying = Flying(self.clone());
        let mut before = 0;
        self.0.begun.send_modify(|begun| {
            before = begun.len();
            begun.push(caller);
        });
        (before, flying)
    }

    /// Lets every load end, those to come too.
    fn open(&self) {
        self.0.gate.add_permits(CALLERS * 10);
    }

    async fn opened(&self) {
        let _open = self.0.gate.acquire().await.unwrap();
    }

    async fn load(self, caller: usize) -> u64 {
        let _flying = self.begin(caller);
        self.opened().await;
        ANSWER
    }

    /// The callers that have loaded.
    fn begun(&self) -> Vec<usize> {
        self.0.begun.borrow().clone()
    }

    /// Waits for the load with this number, from 0, and answers whose it is.
    async fn loader(&self, number: usize) -> usize {
        self.0.begun.subscribe().wait_for(|begun| begun.len() > number).await.unwrap()[number]
    }

    fn most_at_once(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }
}

// === who loads ===

type Told<T> = (T, Vec<Observation>);

/// Concurrent callers of one missing key, each observed. The first one leads: its load has begun before the others come.
struct Crowd<T> {
    callers: Vec<Option<JoinHandle<Told<T>>>>,
}

impl<T: Debug + Send + 'static> Crowd<T> {
    /// Waits until everybody is aboard.
    async fn gather<F>(source: &Source, call: impl Fn(usize) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let aboard = Arc::new(Semaphore::new(0));
        let mut callers = Vec::with_capacity(CALLERS);
        for caller in 0..CALLERS {
            callers.push(Some(tokio::spawn(after_first_poll(observe(call(caller)), Arc::clone(&aboard)))));
            if caller == 0 {
                assert_eq!(source.loader(0).await, 0);
            }
        }
        aboard.acquire_many(u32::try_from(CALLERS).unwrap()).await.unwrap().forget();
        Self { callers }
    }

    /// A caller goes away, and is gone when this returns.
    async fn cancel(&mut self, caller: usize) {
        let task = self.callers[caller].take().expect("it has not gone yet");
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled(), "it was still waiting");
    }

    fn is_gone(&self, caller: usize) -> bool {
        self.callers[caller].is_none()
    }

    /// What those who stayed were told, each with its number.
    async fn ends(self) -> Vec<(usize, Result<Told<T>, JoinError>)> {
        let mut ends = Vec::new();
        for (caller, task) in self.callers.into_iter().enumerate() {
            if let Some(task) = task {
                ends.push((caller, task.await));
            }
        }
        ends
    }

    async fn answers(self) -> Vec<(usize, T, Outcome)> {
        let answer = |(caller, end): (usize, Result<Told<T>, JoinError>)| {
            let (answer, seen) = end.unwrap_or_else(|error| panic!("caller {caller}: {error}"));
            (caller, answer, only(&seen))
        };
        self.ends().await.into_iter().map(answer).collect()
    }
}

/// The one thing that was observed.
#[track_caller]
fn only(seen: &[Observation]) -> Outcome {
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen[0].outcome
}

/// Says when the first poll has returned: a caller that waits is aboard then.
async fn after_first_poll<F: Future>(future: F, aboard: Arc<Semaphore>) -> F::Output {
    let mut future = pin!(future);
    let mut polled = false;
    poll_fn(move |context| {
        let poll = future.as_mut().poll(context);
        if !std::mem::replace(&mut polled, true) {
            aboard.add_permits(1);
        }
        poll
    })
    .await
}

/// The key can be loaded as if nothing had been: once by the next caller, and then it is there.
async fn loads_normally<F, E>(source: &Source, call: impl Fn(usize) -> F)
where
    F: Future<Output = Result<u64, E>>,
    E: Debug,
{
    source.open();
    let before = source.begun().len();
    let (answer, seen) = observe(call(CALLERS)).await;
    assert_eq!((answer.unwrap(), only(&seen)), (ANSWER, Outcome::Loaded));
    assert_eq!(source.begun()[before..], [CALLERS]);
    // The echo of an eviction of our own may have kept it out of L1; then it comes from L2, as soon as it is there.
    let hit = eventually(PATIENCE, || async {
        let (answer, seen) = observe(call(CALLERS + 1)).await;
        only(&seen).is_hit().then_some(answer)
    });
    assert_eq!(hit.await.unwrap(), ANSWER);
}
