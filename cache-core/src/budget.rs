//! The time that one call may spend on Redis, over all of its trips.

use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{task::yield_now, time::timeout};

use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
};

/// How often a process that is late looks once more: its connections first, then what they wake.
const LAST_LOOKS: u32 = 4;

/// How long a call looks away from the time.
const SLICE: Duration = Duration::from_millis(10);

/// What the runtime's clock may be late by in a process that has nothing else to do: it goes by the millisecond.
const TICK: Duration = Duration::from_millis(2);

/// What one call has left.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Duration,
    spent: Duration,
}

impl Budget {
    pub(crate) fn new(budget: Duration) -> Self {
        Self { left: budget, spent: Duration::ZERO }
    }

    /// Starts it again: what the call waited for meanwhile was not Redis.
    pub(crate) fn renew(&mut self, budget: Duration) {
        self.left = budget;
    }

    /// Awaits a trip within what is left, and takes the time from it.
    ///
    /// What a process is late by that has a thousand other things to do, or no processor, is not Redis' time. So the time is told slice
    /// by slice, and what a slice ended late does not count, up to as much as was left: a trip takes no more than twice that. And
    /// since such a process may look at the time before it has looked at an answer that has long been there, an answer is looked for
    /// once more when the time is up; one that is seen too late has cost half of what was left: how long it lay there nobody can say.
    ///
    /// # Errors
    ///
    /// The trip's own error, or a timeout. Dropping a trip is safe for the connection; what it asked for may still happen.
    pub(crate) async fn spend<T>(
        &mut self,
        clock: &Clock,
        trip: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.left.is_zero() {
            return Err(Error::new(ErrorKind::Timeout, "redis", "the call's time for Redis is used up"));
        }
        let (start, before, mut trip) = (clock.now(), self.left, pin!(trip));
        let (mut slice_began, mut forgiven) = (start, Duration::ZERO);
        let answer = loop {
            let slice = self.left.min(SLICE);
            let answer = timeout(slice, &mut trip).await.ok();
            let now = clock.now();
            let took = now.since(slice_began);
            let late = took.saturating_sub(slice + TICK).min(before.saturating_sub(forgiven));
            forgiven += late;
            // A slice that has ended has taken its time, whatever the two clocks say.
            let counts = took.saturating_sub(late).max(if answer.is_none() { slice } else { Duration::ZERO });
            self.left = self.left.saturating_sub(counts);
            slice_began = now;
            if answer.is_some() || self.left.is_zero() {
                break answer;
            }
        };
        let found = match answer {
            Some(answer) => Some(answer),
            None => overlooked(trip).await,
        };
        let took = clock.now().since(start);
        self.spent += took;
        if found.is_some() && self.left.is_zero() {
            self.left = before / 2;
        }
        found.unwrap_or_else(|| Err(Error::new(ErrorKind::Timeout, "redis", format!("no answer within {took:?}"))))
    }

    /// The time spent so far.
    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }
}

/// An answer that was there when the time was up, and had not been seen.
async fn overlooked<T>(mut trip: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    for _ in 0..LAST_LOOKS {
        yield_now().await;
        if let Some(answer) = trip.as_mut().now_or_never() {
            return Some(answer);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    /// The answer is on its way through some tasks, and the process does something else for longer than the budget.
    #[allow(clippy::disallowed_methods, reason = "tasks of its own, and a process that is busy")]
    fn in_a_busy_process(tasks: usize) -> (Result<u8, Error>, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (ask, mut asked) = oneshot::channel();
            for _ in 0..tasks {
                let (pass, passed) = oneshot::channel();
                let before = std::mem::replace(&mut asked, passed);
                tokio::spawn(async move { pass.send(before.await.unwrap()) });
            }
            // So that all of them wait.
            for _ in 0..tasks {
                yield_now().await;
            }
            let mut budget = Budget::new(Duration::from_millis(10));
            let trip = async {
                ask.send(7_u8).unwrap();
                // Three times the budget: time itself.
                std::thread::sleep(Duration::from_millis(30));
                Ok::<_, Error>(asked.await.unwrap())
            };
            let answer = budget.spend(&Clock::over(quanta::Clock::new()), trip).await;
            (answer, budget.left)
        })
    }

    #[test]
    fn answer_that_a_busy_process_has_not_seen_yet_is_in_time() {
        for tasks in [0, 4, 100, 200] {
            let (answer, left) = in_a_busy_process(tasks);
            assert_eq!((answer.ok(), left), (Some(7), Duration::from_millis(5)), "{tasks}");
        }
        assert!(in_a_busy_process(2_000).0.unwrap_err().is_timeout(), "that is not for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn one_budget_for_all_trips() {
        let (monotonic, mock) = quanta::Clock::mock();
        let clock = Clock::over(monotonic);
        let mut budget = Budget::new(Duration::from_millis(50));
        for _ in 0..3 {
            let trip = async {
                mock.increment(Duration::from_millis(10));
                Ok::<_, Error>(())
            };
            budget.spend(&clock, trip).await.unwrap();
        }
        let stall = async {
            // Time itself, and it is paused: one millisecond more than is left.
            tokio::time::sleep(Duration::from_millis(21)).await;
            Ok::<_, Error>(())
        };
        assert!(budget.spend(&clock, stall).await.unwrap_err().is_timeout(), "20 ms were left");
    }

    /// The process does something else for so long, and the answer is there so long after it; both clocks go by hand.
    async fn in_a_late_process(late: u64, answers_after: u64) -> (Result<(), Error>, Duration) {
        let (monotonic, mock) = quanta::Clock::mock();
        let clock = Clock::over(monotonic);
        let mut budget = Budget::new(Duration::from_millis(50));
        let pass = async |millis| {
            mock.increment(Duration::from_millis(millis));
            tokio::time::advance(Duration::from_millis(millis)).await;
        };
        let trip = async {
            pass(late).await;
            for _ in 0..answers_after {
                pass(1).await;
            }
            Ok(())
        };
        let answer = budget.spend(&clock, trip).await;
        (answer, budget.left)
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_process_is_late_by_is_not_redis_time() {
        // Late by, the answer after; what is left of 50 ms, to the millisecond that the runtime's clock goes by.
        for (late, after, left) in
            [(0, 20, Some(30)), (0, 60, None), (40, 20, Some(18)), (60, 20, Some(18)), (60, 45, None), (120, 10, None)]
        {
            let (answer, has) = in_a_late_process(late, after).await;
            assert_eq!(answer.is_ok(), left.is_some(), "{late} {after}");
            assert!(has.as_millis().abs_diff(left.unwrap_or(0)) <= 1, "{late} {after}: {has:?}");
        }
    }
}
