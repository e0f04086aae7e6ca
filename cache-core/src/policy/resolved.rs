//! A policy with every question answered, and what it makes of a moment.

use std::time::Duration;

use super::{EarlyRefresh, Overrides};

const DEFAULT_NEGATIVE_CAP: Duration = Duration::from_secs(30);

/// A policy with every question answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) ttl: Duration,
    /// As long as a value is of use, if nobody said anything.
    pub(crate) l1: Option<Duration>,
    pub(crate) negative: Duration,
    /// Whether somebody said so; else it goes by the TTL.
    pub(crate) negative_is_said: bool,
    pub(crate) jitter: f64,
    pub(crate) stale: Duration,
    pub(crate) fail_safe: Duration,
    pub(crate) fail_safe_unverified: bool,
    pub(crate) throttle: Duration,
    pub(crate) backoff: Duration,
    pub(crate) soft: Option<Duration>,
    pub(crate) hard: Option<Duration>,
    pub(crate) early_refresh: EarlyRefresh,
    pub(crate) warm_up: Duration,
    pub(crate) max_loads: Option<usize>,
    pub(crate) max_ttl: Duration,
    pub(crate) max_bytes: usize,
}

/// How long *nothing* is kept where nobody says so.
pub(super) fn negative_of(ttl: Duration) -> Duration {
    (ttl / 10).min(DEFAULT_NEGATIVE_CAP)
}

impl Resolved {
    /// What a call site's own words make of it; the caps still hold.
    pub(crate) fn with(self, overrides: Overrides) -> Self {
        let ttl = overrides.ttl.unwrap_or(self.ttl).min(self.max_ttl);
        let negative = match (overrides.negative, overrides.ttl) {
            (Some(negative), _) => negative,
            (None, Some(_)) if !self.negative_is_said => negative_of(ttl),
            // Who wants a shorter life for values has not asked for a longer one for *nothing*.
            (None, Some(_)) => self.negative.min(ttl),
            (None, None) => self.negative,
        };
        Self {
            ttl,
            warm_up: overrides.warm_up.unwrap_or(self.warm_up).min(ttl / 2),
            l1: overrides.l1.or(self.l1),
            negative: negative.min(self.max_ttl),
            stale: overrides.stale.unwrap_or(self.stale).min(self.max_ttl),
            fail_safe: overrides.fail_safe.unwrap_or(self.fail_safe).min(self.max_ttl),
            soft: overrides.soft.or(self.soft),
            hard: overrides.hard.or(self.hard),
            ..self
        }
    }

    /// How long a value is of use after it has ended to be fresh.
    pub(crate) fn afterlife(&self) -> Duration {
        self.stale.max(self.fail_safe)
    }

    /// The longest that anything stored under this policy is of use.
    pub(crate) fn longest_life(&self) -> Duration {
        (self.ttl + self.afterlife()).max(self.negative)
    }

    /// `ttl` after jitter, with `draw` between 0 and 1.
    pub(crate) fn jittered(&self, ttl: Duration, draw: f64) -> Duration {
        ttl.mul_f64(1.0 - self.jitter * draw.clamp(0.0, 1.0))
    }

    /// How long before its end a value of this `ttl` is to be loaded again, with `draw` between 0 (not included) and 1.
    pub(crate) fn early(&self, ttl: Duration, load_time: Duration, draw: f64) -> Duration {
        match self.early_refresh {
            EarlyRefresh::Off => Duration::ZERO,
            EarlyRefresh::XFetch(beta) => load_time.mul_f64(beta * -draw.clamp(f64::MIN_POSITIVE, 1.0).ln()).min(ttl),
            EarlyRefresh::Fraction(share) => ttl.mul_f64(1.0 - share),
        }
    }
}
