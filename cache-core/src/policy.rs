//! The TTL hierarchy: one policy for the cache, one for each scope that differs, inherited field by field.
//!
//! A scope is the literal head of a key (`product:stock`). Its policy is put together from the built-in defaults, the
//! cache's own policy, and the policies of each level of the scope, the nearest one winning; then what a call site says;
//! then the caps, which nothing overrides. [`Cache::explain`](crate::Cache::explain) prints where each field came from.
//!
//! ```
//! use cache_core::{Policy, mins, secs};
//!
//! let policy = Policy::new().ttl(mins(5)).l1(secs(30)).negative(secs(10)).jitter(0.1).max_ttl(mins(30));
//! ```

mod resolved;
mod tree;

use std::time::Duration;

pub use self::tree::Explanation;
pub(crate) use self::{resolved::Resolved, tree::PolicyTree};
use crate::{duration, error::Error, key::ScopeId};

/// How long values of a scope live. A field that is not set is inherited.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    ttl: Option<Duration>,
    l1: Option<Duration>,
    negative: Option<Duration>,
    jitter: Option<f64>,
    stale: Option<Duration>,
    fail_safe: Option<Duration>,
    fail_safe_unverified: Option<bool>,
    throttle: Option<Duration>,
    backoff: Option<Duration>,
    soft: Option<Duration>,
    hard: Option<Duration>,
    early_refresh: Option<EarlyRefresh>,
    warm_up: Option<Duration>,
    max_loads: Option<usize>,
    max_ttl: Option<Duration>,
    max_bytes: Option<usize>,
}

/// When a value that is still fresh is loaded again, so that no reader finds it expired. Decided once for each value and
/// process, when it comes in; whoever asks first after that is answered from the cache all the same.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum EarlyRefresh {
    /// Not before it has expired.
    Off,
    /// By chance, the likelier the nearer the end is and the longer the value took to load: `load time x beta x -ln(u)` before
    /// it, with a draw `u` (Vattani et al., *Optimal Probabilistic Cache Stampede Prevention*, VLDB 2015). 1.0 is what the paper
    /// calls optimal; more is earlier. Between 0.1 and 100.
    XFetch(f64),
    /// After this share of the TTL, between 0.1 and 0.99.
    Fraction(f64),
}

impl Policy {
    /// A policy that inherits everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long a value is fresh, in every tier. Default: 5 minutes.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long this process may keep a value that Redis has, too; the times of [`stale`](Self::stale) and
    /// [`fail_safe`](Self::fail_safe) are in it. Zero: each call asks Redis. Without Redis it is not looked at: what this process
    /// lets go of would be nowhere then. Default: as long as the value is of use.
    #[must_use]
    pub fn l1(mut self, l1: Duration) -> Self {
        self.l1 = Some(l1);
        self
    }

    /// How long *nothing* (`None`) and errors chosen by `cache_err` are kept; by a call with a TTL of its own no longer than
    /// that. Default: a tenth of the TTL, at most 30 s. Zero: not at all.
    #[must_use]
    pub fn negative(mut self, negative: Duration) -> Self {
        self.negative = Some(negative);
        self
    }

    /// Spreads expiry: each TTL is shortened by a share drawn once from `0..=jitter`, so that values stored together do not
    /// expire together. Between 0 and 0.5. Default: 0.1.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = Some(jitter);
        self
    }

    /// How long after it has ended to be fresh a value may still be served while a new one is loaded in the background
    /// (stale-while-revalidate). One load for all nodes; what was evicted is never served, unless
    /// [softly](crate::Cache::soft_evict). Of calls whose load must stay in the
    /// caller, one loads and the others are served. Default: zero, not at all.
    #[must_use]
    pub fn stale(mut self, stale: Duration) -> Self {
        self.stale = Some(stale);
        self
    }

    /// How long after it has ended to be fresh a value may still be served when a load fails or is late
    /// ([`soft`](Self::soft), [`hard`](Self::hard)); counted from the same moment as [`stale`](Self::stale). What was evicted is
    /// never served, unless [softly](crate::Cache::soft_evict). Default: zero, not at all.
    #[must_use]
    pub fn fail_safe(mut self, fail_safe: Duration) -> Self {
        self.fail_safe = Some(fail_safe);
        self
    }

    /// Whether [`fail_safe`](Self::fail_safe) also serves what this process keeps while Redis is away, so that nobody can say
    /// whether it was evicted meanwhile: as long as no eviction of it was heard. Default: no, the caller gets the load's error.
    #[must_use]
    pub fn fail_safe_unverified(mut self, serves: bool) -> Self {
        self.fail_safe_unverified = Some(serves);
        self
    }

    /// How long, after a load has failed and an old value was served instead, no node loads again. Default: 1 s.
    #[must_use]
    pub fn throttle(mut self, throttle: Duration) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// How long, after a load of a key has failed and nothing could be served instead, this process answers calls on that key
    /// with the same error, without another load. Twice as long after each further failure in a row, up to 32 times; a load
    /// that succeeds, and a change of the key that is heard of, end it. Only where errors can be shared (`Clone`, `share_err`);
    /// of 4,096 keys at once. Default: zero, every call loads.
    #[must_use]
    pub fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = Some(backoff);
        self
    }

    /// How long a caller waits for a load where there is an old value that it may be served ([`fail_safe`](Self::fail_safe)).
    /// The load goes on, and fills. Not of calls whose load must stay in the caller. Default: as long as it takes.
    #[must_use]
    pub fn soft(mut self, soft: Duration) -> Self {
        self.soft = Some(soft);
        self
    }

    /// How long a caller waits for a load at all. It is then served an old value if there is one, else the error that its
    /// place has for that (`hard = ..` of the attribute, [`Request::or_load_within`](crate::Request::or_load_within)); a place that
    /// has none waits on. Also the longest wait for another node's load. The load goes on, and fills. Default: as long as it
    /// takes, and 30 s for another node's.
    #[must_use]
    pub fn hard(mut self, hard: Duration) -> Self {
        self.hard = Some(hard);
        self
    }

    /// When a value that is still fresh is loaded again. Default: [`EarlyRefresh::Off`].
    #[must_use]
    pub fn early_refresh(mut self, early_refresh: EarlyRefresh) -> Self {
        self.early_refresh = Some(early_refresh);
        self
    }

    /// How many loads of the scope this process runs at once; one more waits for its turn. At least 1. Default: no limit.
    #[must_use]
    pub fn max_loads(mut self, max_loads: usize) -> Self {
        self.max_loads = Some(max_loads);
        self
    }

    /// How long before a value ends to be fresh it is loaded again, so that its next reader finds it warm; of those that are
    /// asked for with a load that can be repeated: [`Request::or_load_warm`](crate::Request::or_load_warm), and attributes that
    /// say `warm_up`. At most half of the TTL counts. Default: zero, not at all.
    #[must_use]
    pub fn warm_up(mut self, ahead: Duration) -> Self {
        self.warm_up = Some(ahead);
        self
    }

    /// A cap on every TTL and on every time after it at and below this scope, which no nearer policy, call site or `ttl_with` overrides. Of several caps
    /// the smallest counts. At most 36,500 days. Zero: nothing is stored. Default: 30 days.
    #[must_use]
    pub fn max_ttl(mut self, max_ttl: Duration) -> Self {
        self.max_ttl = Some(max_ttl);
        self
    }

    /// The largest encoded value, in bytes; a larger one is returned but not stored in Redis. A cap, as
    /// [`max_ttl`](Self::max_ttl) is. Default: 8 MiB.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = Some(max_bytes);
        self
    }

    /// Whether the numbers make sense, told with the name of the scope that carries them.
    pub(crate) fn validate(&self, scope: &str) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::config("policy", format!("scope `{scope}`: {what}")));
        if let Some(jitter) = self.jitter
            && !(0.0..=0.5).contains(&jitter)
        {
            return refuse(format!("jitter is {jitter}; it is a share of the TTL between 0 and 0.5"));
        }
        if self.ttl == Some(Duration::ZERO) {
            return refuse(
                "a ttl of zero stores nothing; leave the attribute away, or use `when`, to bypass the cache".into(),
            );
        }
        match self.early_refresh {
            Some(EarlyRefresh::XFetch(beta)) if !(0.1..=100.0).contains(&beta) => {
                return refuse(format!("the beta of an early refresh is {beta}; it is between 0.1 and 100"));
            }
            Some(EarlyRefresh::Fraction(share)) if !(0.1..=0.99).contains(&share) => {
                return refuse(format!(
                    "an early refresh after {share} of the TTL; it is a share between 0.1 and 0.99"
                ));
            }
            _ => {}
        }
        if self.max_loads == Some(0) {
            return refuse("max_loads is 0, so that nothing would ever be loaded".into());
        }
        if let (Some(soft), Some(hard)) = (self.soft, self.hard)
            && soft > hard
        {
            let (soft, hard) = (duration::display(soft), duration::display(hard));
            return refuse(format!("a soft timeout of {soft} is over its own hard timeout of {hard}"));
        }
        if self.max_bytes == Some(0) {
            return refuse("max_bytes is 0, so that nothing could be stored".into());
        }
        if let (Some(ttl), Some(cap)) = (self.ttl, self.max_ttl)
            && ttl > cap
        {
            let (ttl, cap) = (duration::display(ttl), duration::display(cap));
            return refuse(format!("ttl {ttl} is over its own max_ttl {cap}"));
        }
        Ok(())
    }
}

/// Refuses what is no scope's name.
pub(crate) fn check_scope(scope: &str) -> Result<(), Error> {
    if ScopeId::is_valid(scope) {
        return Ok(());
    }
    let detail = format!(
        "`{scope}` is no scope: it is the literal head of a key template, segments of 1 to 64 of a-z, 0-9, `.`, `_`, `-`, joined \
         by `:`"
    );
    Err(Error::config("scope", detail))
}

/// What a call site says about its own calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overrides {
    /// As [`Policy::ttl`].
    pub ttl: Option<Duration>,
    /// As [`Policy::l1`].
    pub l1: Option<Duration>,
    /// As [`Policy::negative`].
    pub negative: Option<Duration>,
    /// As [`Policy::stale`].
    pub stale: Option<Duration>,
    /// As [`Policy::fail_safe`].
    pub fail_safe: Option<Duration>,
    /// As [`Policy::soft`].
    pub soft: Option<Duration>,
    /// As [`Policy::hard`].
    pub hard: Option<Duration>,
    /// As [`Policy::warm_up`].
    pub warm_up: Option<Duration>,
}

#[cfg(test)]
mod tests;
