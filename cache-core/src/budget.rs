//! The time that one call may spend on Redis, over all of its trips.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
};

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
        let start = clock.now();
        let answer = timeout(self.left, trip).await;
        let took = clock.now().since(start);
        self.left = self.left.saturating_sub(took);
        self.spent += took;
        answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "redis", format!("no answer within {took:?}"))))
    }

    /// The time spent so far.
    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_budget_for_all_trips() {
        let (monotonic, mock) = quanta::Clock::mock();
        let clock = Clock::over(monotonic);
        let mut budget = Budget::new(Duration::from_millis(50));
        let trip = async {
            mock.increment(Duration::from_millis(30));
            Ok::<_, Error>(())
        };
        budget.spend(&clock, trip).await.unwrap();
        let stall = async {
            // Time itself, and it is paused: one millisecond more than is left.
            tokio::time::sleep(Duration::from_millis(21)).await;
            Ok::<_, Error>(())
        };
        assert!(budget.spend(&clock, stall).await.unwrap_err().is_timeout(), "20 ms were left");
    }
}
