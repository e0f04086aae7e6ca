//! Time: a monotonic clock for this process, and an estimate of the server's clock.
//!
//! Freshness inside the process is judged by [`Tick`]s of a monotonic clock that is read for real each time: a coarse clock
//! fed by a ticker lies after a pause of the process, which is just when a bound matters. Deadlines that travel between
//! nodes are in *Redis time*, estimated from the beat, so that the clocks of the nodes need not agree.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Two clocks go apart by no more than one part in so many: NTP corrects a clock by 500 parts in a million at most (RFC 5905,
/// appendix A.1), and a quartz is off by less.
const DRIFT: i64 = 1_000;

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

    fn micros(self) -> i64 {
        i64::try_from(self.0 / 1_000).unwrap_or(i64::MAX)
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
    remote: Arc<Remote>,
}

/// What is known of the server's clock.
#[derive(Debug)]
struct Remote {
    /// Redis time minus monotonic time, in microseconds.
    offset: AtomicI64,
    /// Where it lies for certain, once a server was asked.
    told: Mutex<Option<Span>>,
}

/// Where the offset lay at a moment, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Span {
    at: Tick,
    least: i64,
    most: i64,
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
        Self { monotonic, remote: Remote::at(wall_micros()) }
    }

    /// A clock that goes with the runtime's time.
    #[cfg(feature = "test-util")]
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    pub(crate) fn of_the_runtime() -> Self {
        const SOME_MOMENT: i64 = 1_700_000_000_000_000;
        let monotonic = Monotonic::Runtime { origin: tokio::time::Instant::now() };
        Self { monotonic, remote: Remote::at(SOME_MOMENT) }
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
        let micros = self.remote.offset.load(Ordering::Relaxed).saturating_add(tick.micros());
        u64::try_from(micros).unwrap_or(0)
    }

    /// The server said `remote_micros` in answer to a command sent at `sent` and answered at `answered`: its clock showed that
    /// at some moment between the two. What earlier answers said holds too, as long as the two do not contradict each other, so
    /// an answer that took long makes nothing less certain. The error is half of what is left, and so at most half of this trip.
    pub(crate) fn learn_remote(&self, sent: Tick, answered: Tick, remote_micros: u64) {
        let remote = i64::try_from(remote_micros).unwrap_or(i64::MAX);
        let said = Span {
            at: answered,
            least: remote.saturating_sub(answered.micros()),
            most: remote.saturating_sub(sent.micros()),
        };
        let mut told = self.remote.told.lock().unwrap_or_else(PoisonError::into_inner);
        // A server whose clock was set, or another server: what was known is of no use.
        let span = told.and_then(|before| before.and(said)).unwrap_or(said);
        *told = Some(span);
        self.remote.offset.store(span.least.midpoint(span.most), Ordering::Relaxed);
    }
}

// === impl Remote ===

impl Remote {
    fn at(offset: i64) -> Arc<Self> {
        Arc::new(Self { offset: AtomicI64::new(offset), told: Mutex::default() })
    }
}

// === impl Span ===

impl Span {
    /// What both say, at the moment of the later one; nothing if they contradict each other.
    fn and(self, later: Self) -> Option<Self> {
        let drift = later.at.micros().saturating_sub(self.at.micros()).max(0) / DRIFT;
        let least = self.least.saturating_sub(drift).max(later.least);
        let most = self.most.saturating_add(drift).min(later.most);
        (least <= most).then_some(Self { at: later.at, least, most })
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
    fn an_answer_that_took_long_makes_nothing_less_certain() {
        let (monotonic, mock) = quanta::Clock::mock();
        let clock = Clock::over(monotonic);
        // The server is a second ahead of this clock: what it says after so many milliseconds of a trip of so many.
        let trip = |into: u64, of: u64| {
            let sent = clock.now();
            mock.increment(Duration::from_millis(of));
            let said = 1_000_000 + sent.nanos() / 1_000 + into * 1_000;
            clock.learn_remote(sent, clock.now(), said);
            clock.remote_micros().abs_diff(1_000_000 + clock.now().nanos() / 1_000)
        };
        assert_eq!(trip(0, 2), 1_000, "half of the only trip");
        assert!(trip(0, 400) <= 1_200, "half of the shortest one, and what the clocks may have gone apart since");
        assert!(trip(300, 300) <= 1_200);
        assert!(trip(2, 2) <= 500, "the two together say more than each of them");
        assert!(trip(1, 500) <= 500);
        mock.increment(Duration::from_secs(3_600));
        assert!(trip(400, 400) <= 200_000, "an hour later the clocks may have gone apart: half of this trip");
    }

    #[test]
    fn a_clock_that_was_set_is_followed_at_once() {
        let (monotonic, mock) = quanta::Clock::mock();
        let clock = Clock::over(monotonic);
        for said in [5_000_000, 9_000_000, 4_000_000] {
            let sent = clock.now();
            mock.increment(Duration::from_millis(2));
            clock.learn_remote(sent, clock.now(), said);
            assert_eq!(clock.remote_micros(), said + 1_000);
        }
    }

    #[test]
    fn ticks_saturate() {
        assert_eq!(Tick::NEVER.plus(Duration::from_secs(1)), Tick::NEVER);
        assert_eq!(Tick::ZERO.since(Tick::NEVER), Duration::ZERO);
    }
}
