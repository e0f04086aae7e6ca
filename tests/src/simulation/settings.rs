//! What a run is like.

use cache_core::{EarlyRefresh, Mechanism, Policy, millis, secs};
use tokio::time::Duration;

use super::faults::{FAULTS, Fault};

/// What one run is like, all of it drawn from the seed.
#[derive(Clone, Debug)]
pub struct Settings {
    pub seed: u64,
    pub nodes: usize,
    pub bound: Duration,
    pub budget: Duration,
    pub mechanisms: Vec<Mechanism>,
    pub ensure: bool,
    pub lasts: Duration,
    pub latency: Duration,
    /// By how much longer what is said on one connection may be on the way than what is said on another.
    pub jitter: Duration,
    /// A writer changes something after up to this long.
    pub pace: Duration,
    /// The server's clock falls behind soon after the start: from then on no version can be made from the time.
    pub behind: bool,
    /// Values are of use after they have ended to be fresh.
    pub afterlife: bool,
    pub faults: Vec<Fault>,
}

// === impl Settings ===

impl Settings {
    /// What the seed says.
    pub(crate) fn draw(seed: u64) -> Self {
        fastrand::seed(seed);
        let mechanisms = match fastrand::u8(..3) {
            0 => vec![Mechanism::Keyspace],
            1 => vec![Mechanism::Tracking],
            _ => vec![Mechanism::Keyspace, Mechanism::Tracking],
        };
        let mut faults = FAULTS.to_vec();
        fastrand::shuffle(&mut faults);
        // Few kinds at a time make long stretches of one trouble, which all kinds at once do not.
        faults.truncate(fastrand::usize(1..=FAULTS.len()));
        let mut pace = [25, 100, 400, 2_000, 8_000][fastrand::usize(..5)];
        let behind = fastrand::u8(..4) == 0;
        if behind {
            // What is given again after a loss is of the same moment as what was lost: much has to happen, and be lost.
            faults.truncate(2);
            faults.push(Fault::FailOver);
            pace = 25;
        }
        let budget = Duration::from_millis(fastrand::u64(10..60));
        let latency = Duration::from_micros(fastrand::u64(50..4_000));
        Self {
            seed,
            nodes: fastrand::usize(1..=4),
            bound: if fastrand::bool() { millis(200) } else { secs(1) },
            budget,
            mechanisms,
            ensure: fastrand::bool(),
            lasts: secs(fastrand::u64(4..14)),
            latency,
            // Much overtakes much where it is half of what a call may take.
            jitter: if fastrand::u8(..3) == 0 { budget / 2 } else { latency * 2 },
            // While much is said everything is looked at again and again; little is another case.
            pace: millis(pace),
            behind,
            afterlife: fastrand::bool(),
            faults,
        }
    }

    /// How long the values of a node live.
    pub(crate) fn policy(&self) -> Policy {
        let policy = Policy::new().negative(secs(1));
        if !self.afterlife {
            return policy.ttl(secs(5)).l1(secs(3));
        }
        // Stale soon, and often about to be: what was evicted may not be served then either.
        let early = EarlyRefresh::Fraction(0.5);
        policy
            .ttl(secs(1))
            .stale(secs(2))
            .fail_safe(secs(5))
            .throttle(millis(200))
            .soft(millis(20))
            .early_refresh(early)
    }
}
