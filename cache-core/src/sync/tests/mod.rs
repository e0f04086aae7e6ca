//! Tests of schedules: threads that race for one flight, one entry or one cell, in thousands of orders, each found again by
//! its seed.
//!
//! ```sh
//! RUSTFLAGS="--cfg shuttle" cargo test -p cache-core --lib --target-dir target/shuttle sync::
//! SEED=7 ITERATIONS=1 RUSTFLAGS="--cfg shuttle" cargo test ..    one schedule again
//! ```
//!
//! What is under the scheduler: every lock and every atomic of `crate::sync`, each of whose uses may be where the next thread
//! goes on. What is not, and happens in one step: moka, `ArcSwap`, tokio's `Notify` within, the counters, and whatever else has
//! primitives of its own; none of them calls back into ours while another thread could wait for it (moka's exclusion by key is
//! taken by a lock that the scheduler sees, see `node`). The scheduler knows one order of memory, the strictest: a wrong
//! `Ordering` is not found here.

mod cells;
mod coherence;
mod flight;
mod marks;
mod node;
mod tags;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use shuttle::{
    Config, FailurePersistence, Runner,
    rand::{Rng, thread_rng},
    scheduler::{Schedule, Scheduler, Task, TaskId},
    thread::{self, JoinHandle},
};

use crate::{key::ScopeId, sync::atomic as scheduled};

/// The scopes that tests name.
const SCOPES: [&str; 4] = ["product", "article", "review", "category"];

/// Schedules that each test tries, unless `ITERATIONS` says otherwise.
const ITERATIONS: u64 = 2_000;

/// Tries many orders of the steps that the threads of `scene` take. Panics with the first in which one of them does, or in
/// which all wait for ever, and says its seed.
fn explore(scene: impl Fn() + Send + Sync + 'static) {
    let first = from_environment("SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let iterations = from_environment("ITERATIONS").unwrap_or(ITERATIONS);
    let seed = Arc::new(AtomicU64::new(first));
    let (random, manner) = (fastrand::Rng::new(), Manner::Anybody { stays: 0 });
    let schedules = Schedules { first, tried: 0, iterations, seed: Arc::clone(&seed), random, manner };
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    // A whole call of the cache is on each stack, without optimisation.
    config.stack_size = 1 << 19;
    // In one order, whichever test comes first: what a key hashes to hangs on the number that its scope was given.
    assert_eq!(SCOPES.map(ScopeId::intern).map(ScopeId::name), SCOPES);
    // Timeouts are made on it, and nobody turns its clock.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _context = runtime.enter();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| Runner::new(schedules, config).run(scene))) {
        let seed = seed.load(Ordering::Relaxed);
        eprintln!("schedule {} of {iterations}: again with SEED={seed} ITERATIONS=1", seed.wrapping_sub(first) + 1);
        resume_unwind(panic);
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is configured, not the library")]
fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The dice of the scheduler instead of a thread's own, so that a seed is all that a schedule hangs on.
pub(crate) fn is_turn(_many: u64) -> bool {
    thread_rng().r#gen()
}

/// Tokio's, each of whose uses is one step; what it does within is not under the scheduler.
#[derive(Default)]
pub(crate) struct Notify(tokio::sync::Notify);

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        pause();
        self.0.notified()
    }

    pub(crate) fn notify_waiters(&self) {
        pause();
        self.0.notify_waiters();
    }
}

/// Orders by chance, each made of a seed alone: the first and those after it.
struct Schedules {
    first: u64,
    tried: u64,
    iterations: u64,
    /// The seed of the order that is being tried.
    seed: Arc<AtomicU64>,
    random: fastrand::Rng,
    manner: Manner,
}

/// Some races need many changes between threads; some need one thread to get far while another stands still.
enum Manner {
    /// Whoever has its turn goes on so often, in 256; then anybody does.
    Anybody { stays: u8 },
    /// Whoever has the first rank goes on, and one step in so many makes it the last.
    Ranked { falls: u16, ranks: Vec<u64> },
}

impl Scheduler for Schedules {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.tried == self.iterations {
            return None;
        }
        let seed = self.first.wrapping_add(self.tried);
        self.tried += 1;
        self.seed.store(seed, Ordering::Relaxed);
        fastrand::seed(seed);
        self.random = fastrand::Rng::with_seed(seed);
        self.manner = match self.random.u8(..6) {
            0 => Manner::Anybody { stays: 0 },
            1 => Manner::Anybody { stays: 128 },
            2 => Manner::Anybody { stays: 224 },
            more => Manner::Ranked { falls: 4 << more, ranks: Vec::new() },
        };
        Some(Schedule::new(seed))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let random = &mut self.random;
        let next = match &mut self.manner {
            Manner::Anybody { stays } => {
                let stays = !is_yielding && random.u8(..) < *stays;
                let staying = runnable.iter().find(|task| stays && Some(task.id()) == current);
                staying.or_else(|| runnable.get(random.usize(..runnable.len())))
            }
            Manner::Ranked { falls, ranks } => {
                let known = runnable.iter().map(|task| usize::from(task.id()) + 1).max().unwrap_or(0).max(ranks.len());
                ranks.resize_with(known, || random.u64(1 << 32..));
                if let Some(current) = current.filter(|_| is_yielding || random.u16(..*falls) == 0) {
                    // Below the ranks that are given, and below those who fell before.
                    ranks[usize::from(current)] = ranks.iter().min().map_or(0, |last| last.min(&(1 << 32)) - 1);
                }
                runnable.iter().max_by_key(|task| ranks[usize::from(task.id())])
            }
        };
        next.map(|task| task.id())
    }

    fn next_u64(&mut self) -> u64 {
        self.random.u64(..)
    }
}

/// What a database holds, and how much of that everybody has to know.
#[derive(Default)]
struct Origin {
    value: scheduled::AtomicU64,
    known: scheduled::AtomicU64,
}

impl Origin {
    fn load(&self) -> u64 {
        self.value.load(Ordering::SeqCst)
    }

    /// Changes the value.
    fn change(&self) -> u64 {
        self.value.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// From here on nobody may be answered with what is older than `value`.
    fn told(&self, value: u64) {
        self.known.fetch_max(value, Ordering::SeqCst);
    }

    /// Asks somebody who may know nothing older than what everybody has to know.
    fn ask(&self, answer: impl FnOnce() -> u64) {
        let known = self.known.load(Ordering::SeqCst);
        let answered = answer();
        assert!(answered >= known, "{answered} after everybody was told {known}");
    }
}

/// A step that does nothing: another thread may go on here.
fn pause() {
    scheduled::AtomicU64::default().load(Ordering::SeqCst);
}

/// Whether this happens in this schedule: by the scheduler's chance, so that a seed is all that it hangs on.
fn by_chance() -> bool {
    is_turn(2)
}

/// Waits for all of them; a panic of one is one here.
fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// A thread that does this once.
fn once(work: impl Fn() + Send + 'static) -> JoinHandle<()> {
    thread::spawn(work)
}

/// A thread that does this up to so many times, by chance: most races need few, and are found sooner among few.
fn some(most: usize, work: impl Fn() + Send + 'static) -> JoinHandle<()> {
    let times = thread_rng().gen_range(0..=most);
    thread::spawn(move || (0..times).for_each(|_| work()))
}
