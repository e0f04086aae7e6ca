//! Time: a monotonic clock for this process, and an estimate of the server's clock.
//!
//! Freshness inside the process is judged by [`Tick`]s of a monotonic clock that is read for real each time: a coarse clock
//! fed by a ticker lies after a pause of the process, which is just when a bound matters. Deadlines that travel between
//! nodes are in *Redis time*, estimated from the beat, so that the clocks of the nodes need not agree.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A moment of the monotonic clock: nanoseconds since the clock was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

impl Tick {
    pub(crate) const ZERO: Self = Self(0);
    /// Later than any moment that a process will see.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    pub(crate) fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(crate) fn minus(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; nothing when it is before.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Where ticks come from.
#[derive(Clone, Debug)]
enum Monotonic {
    Machine {
        clock: quanta::Clock,
        origin: u64,
    },
    /// The runtime's time, which may be paused.
    #[cfg(feature = "test-util")]
    Runtime {
        origin: tokio::time::Instant,
    },
}

/// The clocks of one cache.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    monotonic: Monotonic,
    /// Redis time minus monotonic time, in microseconds.
    remote_offset: Arc<AtomicI64>,
}

impl Clock {
    /// A clock whose Redis time is this machine's wall clock until a server has been asked.
    pub(crate) fn new() -> Self {
        Self::over(quanta::Clock::new())
    }

    /// A clock over `monotonic`, which a test may be turning by hand.
    pub(crate) fn over(monotonic: quanta::Clock) -> Self {
        let origin = monotonic.raw();
        let monotonic = Monotonic::Machine { clock: monotonic, origin };
        Self { monotonic, remote_offset: Arc::new(AtomicI64::new(wall_micros())) }
    }

    /// A clock that goes with the runtime's time.
    #[cfg(feature = "test-util")]
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn of_the_runtime() -> Self {
        const SOME_MOMENT: i64 = 1_700_000_000_000_000;
        let monotonic = Monotonic::Runtime { origin: tokio::time::Instant::now() };
        Self { monotonic, remote_offset: Arc::new(AtomicI64::new(SOME_MOMENT)) }
    }

    #[inline]
    #[cfg_attr(feature = "test-util", allow(clippy::disallowed_methods, reason = "this is the clock"))]
    pub(crate) fn now(&self) -> Tick {
        match &self.monotonic {
            Monotonic::Machine { clock, origin } => Tick(clock.delta_as_nanos(*origin, clock.raw())),
            #[cfg(feature = "test-util")]
            Monotonic::Runtime { origin } => Tick(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX)),
        }
    }

    /// The server's time as far as it is known, in microseconds since the Unix epoch.
    pub(crate) fn remote_micros(&self) -> u64 {
        self.remote_micros_at(self.now())
    }

    /// What the server's time was, or will be, at `tick`.
    pub(crate) fn remote_micros_at(&self, tick: Tick) -> u64 {
        let monotonic = i64::try_from(tick.0 / 1_000).unwrap_or(i64::MAX);
        let micros = self.remote_offset.load(Ordering::Relaxed).saturating_add(monotonic);
        u64::try_from(micros).unwrap_or(0)
    }

    /// The server said `remote_micros` in answer to a command sent at `sent` and answered at `answered`. The error of the
    /// estimate is at most half of the time between the two.
    pub(crate) fn learn_remote(&self, sent: Tick, answered: Tick, remote_micros: u64) {
        let middle = i64::try_from((sent.0 / 2 + answered.0 / 2) / 1_000).unwrap_or(i64::MAX);
        let remote = i64::try_from(remote_micros).unwrap_or(i64::MAX);
        self.remote_offset.store(remote.saturating_sub(middle), Ordering::Relaxed);
    }
}

/// The wall clock, read in this one place.
#[allow(clippy::disallowed_methods, reason = "the only reading of the wall clock: the seed of Redis time")]
fn wall_micros() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remote_time_is_the_middle_of_the_trip() {
        let (monotonic, mock) = quanta::Clock::mock();
        let clock = Clock::over(monotonic);
        let sent = clock.now();
        mock.increment(Duration::from_millis(10));
        clock.learn_remote(sent, clock.now(), 5_000_000);
        assert_eq!(clock.remote_micros(), 5_005_000);
        mock.increment(Duration::from_secs(1));
        assert_eq!(clock.remote_micros(), 6_005_000);
    }

    #[test]
    fn ticks_saturate() {
        assert_eq!(Tick::NEVER.plus(Duration::from_secs(1)), Tick::NEVER);
        assert_eq!(Tick::ZERO.since(Tick::NEVER), Duration::ZERO);
    }
}
