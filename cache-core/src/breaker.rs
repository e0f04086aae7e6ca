//! A breaker: when most of the last calls to a server failed, the next ones fail at once, and one in a while finds out whether
//! it is back.
//!
//! The window is over the last 32 calls, of which at least 16 must have been made. Open, it lets nobody through for a while,
//! 100 ms at first and twice as long after each probe that failed, 3 s at most. Then one call is the probe: if it succeeds, the
//! window begins anew.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::clock::{Clock, Tick};

const WINDOW: u32 = u32::BITS;
const LEAST_CALLS: u32 = 16;
const OPEN_FIRST: Duration = Duration::from_millis(100);
const OPEN_LAST: Duration = Duration::from_secs(3);

/// The breaker of one server.
#[derive(Debug)]
pub(crate) struct Breaker {
    clock: Clock,
    /// A call that its caller gave up counts as failed if it had waited this long.
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The last calls, one bit each: failed or not. `calls` is how many there were, 32 at most.
    Closed { failed: u32, calls: u32 },
    /// Nobody is let through before `until`.
    Open { until: Tick, wait: Duration },
    /// One call is finding out.
    HalfOpen { wait: Duration },
}

/// A call that was let through. Dropped without a word on how it ended, it counts by how long it waited.
#[must_use]
pub(crate) struct Pass {
    breaker: Arc<Breaker>,
    since: Tick,
    is_probe: bool,
    judged: bool,
}

// === impl Breaker ===

impl Breaker {
    pub(crate) fn new(clock: Clock, patience: Duration) -> Self {
        Self { clock, patience, state: Mutex::new(State::CLOSED) }
    }

    /// Lets a call through, or not.
    pub(crate) fn pass(self: &Arc<Self>) -> Option<Pass> {
        let now = self.clock.now();
        let mut state = self.lock();
        let is_probe = match *state {
            State::Closed { .. } => false,
            State::Open { until, wait } if now >= until => {
                *state = State::HalfOpen { wait };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => return None,
        };
        Some(Pass { breaker: Arc::clone(self), since: now, is_probe, judged: false })
    }

    /// The server is another, or has been proved to answer: what was before counts no more.
    pub(crate) fn reset(&self) {
        *self.lock() = State::CLOSED;
    }

    fn judge(&self, failed: bool, is_probe: bool) {
        let now = self.clock.now();
        let mut state = self.lock();
        *state = match *state {
            State::HalfOpen { wait } if is_probe => {
                if failed {
                    let wait = (wait * 2).min(OPEN_LAST);
                    State::Open { until: now.plus(wait), wait }
                } else {
                    State::CLOSED
                }
            }
            State::Closed { failed: before, calls } => {
                let (failures, calls) = ((before << 1) | u32::from(failed), (calls + 1).min(WINDOW));
                if calls >= LEAST_CALLS && failures.count_ones() * 2 >= calls {
                    tracing::warn!("most of the last calls to Redis failed: it is left alone for a while");
                    State::Open { until: now.plus(OPEN_FIRST), wait: OPEN_FIRST }
                } else {
                    State::Closed { failed: failures, calls }
                }
            }
            // A call from before it opened.
            state => state,
        };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const CLOSED: Self = Self::Closed { failed: 0, calls: 0 };
}

// === impl Pass ===

impl Pass {
    /// The call ended.
    pub(crate) fn ended(mut self, failed: bool) {
        self.judged = true;
        self.breaker.judge(failed, self.is_probe);
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.judged {
            return;
        }
        let waited = self.breaker.clock.now().since(self.since);
        // A caller that merely went away says nothing about the server; but a probe has to say something, or nobody would
        // ever be let through again.
        if waited >= self.breaker.patience || self.is_probe {
            self.breaker.judge(true, self.is_probe);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Arc<Breaker>, Arc<quanta::Mock>) {
        let (monotonic, mock) = quanta::Clock::mock();
        (Arc::new(Breaker::new(Clock::over(monotonic), Duration::from_millis(25))), mock)
    }

    fn fail(breaker: &Arc<Breaker>, times: u32) {
        (0..times).for_each(|_| breaker.pass().unwrap().ended(true));
    }

    #[test]
    fn opens_when_half_of_the_window_failed_and_not_before() {
        let (breaker, _) = breaker();
        (0..32).for_each(|_| breaker.pass().unwrap().ended(false));
        fail(&breaker, 15);
        assert!(breaker.pass().is_some());
        fail(&breaker, 1);
        assert!(breaker.pass().is_none());
    }

    #[test]
    fn a_few_calls_are_not_enough_to_open() {
        let (breaker, _) = breaker();
        fail(&breaker, LEAST_CALLS - 1);
        assert!(breaker.pass().is_some());
    }

    #[test]
    fn half_open_lets_one_through() {
        let (breaker, mock) = breaker();
        fail(&breaker, LEAST_CALLS);
        mock.increment(OPEN_FIRST);
        let probe = breaker.pass().unwrap();
        assert!(breaker.pass().is_none(), "one is enough to find out");
        probe.ended(false);
        assert!(breaker.pass().is_some());
    }

    #[test]
    fn a_failed_probe_waits_twice_as_long() {
        let (breaker, mock) = breaker();
        fail(&breaker, LEAST_CALLS);
        mock.increment(OPEN_FIRST);
        breaker.pass().unwrap().ended(true);
        mock.increment(OPEN_FIRST);
        assert!(breaker.pass().is_none());
        mock.increment(OPEN_FIRST);
        drop(breaker.pass().unwrap());
        assert!(breaker.pass().is_none(), "a probe that was given up has failed");
    }

    #[test]
    fn a_caller_that_goes_away_counts_only_if_it_had_waited() {
        let (breaker, mock) = breaker();
        (0..100).for_each(|_| drop(breaker.pass().unwrap()));
        assert!(breaker.pass().is_some());
        for _ in 0..LEAST_CALLS {
            let pass = breaker.pass().unwrap();
            mock.increment(Duration::from_millis(30));
            drop(pass);
        }
        assert!(breaker.pass().is_none());
    }
}
