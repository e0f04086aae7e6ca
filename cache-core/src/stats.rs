//! Counting what the cache does. A local hit is counted by the thread that makes it, without an atomic read-modify-write;
//! everything rarer is a plain atomic.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use thread_local::ThreadLocal;

use crate::outcome::Bypass;

/// The counters of one cache.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// One counter a thread; only its own thread ever writes it.
    local_hits: ThreadLocal<AtomicU64>,
    rare: [AtomicU64; Count::COUNT],
    bypasses: [AtomicU64; Bypass::ALL.len()],
}

/// What is counted, apart from local hits and bypasses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    RemoteHits,
    Joined,
    Misses,
    Loads,
    LoadFailures,
    LoadPanics,
    WarmUps,
    Stale,
    FailSafe,
    Refreshes,
    RefreshFailures,
    LeasesAwaited,
    SoftTimeouts,
    HardTimeouts,
    HeldOff,
    Revalidated,
    Fills,
    FillsRefused,
    FillsDropped,
    Undecodable,
    Puts,
    Evictions,
    Queued,
    Hints,
    Fences,
    RemoteErrors,
}

impl Count {
    const COUNT: usize = Self::RemoteErrors as usize + 1;
}

impl Counters {
    #[inline]
    pub(crate) fn local_hit(&self) {
        let mine = self.local_hits.get_or_default();
        // Load and store, not an addition: there is no second writer.
        mine.store(mine.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(crate) fn add(&self, count: Count) {
        self.rare[count as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn bypass(&self, reason: Bypass) {
        self.bypasses[reason.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, local_keys: u64) -> Stats {
        let of = |count: Count| self.rare[count as usize].load(Ordering::Relaxed);
        Stats {
            local_hits: self.local_hits.iter().map(|hits| hits.load(Ordering::Relaxed)).sum(),
            remote_hits: of(Count::RemoteHits),
            misses: of(Count::Misses) + of(Count::Joined) + of(Count::HeldOff),
            joined: of(Count::Joined),
            bypasses: Bypass::ALL
                .map(|reason| (reason, self.bypasses[reason.index()].load(Ordering::Relaxed)))
                .to_vec(),
            loads: of(Count::Loads),
            load_failures: of(Count::LoadFailures),
            load_panics: of(Count::LoadPanics),
            warm_ups: of(Count::WarmUps),
            stale: of(Count::Stale),
            fail_safe: of(Count::FailSafe),
            refreshes: of(Count::Refreshes),
            refresh_failures: of(Count::RefreshFailures),
            leases_awaited: of(Count::LeasesAwaited),
            soft_timeouts: of(Count::SoftTimeouts),
            hard_timeouts: of(Count::HardTimeouts),
            held_off: of(Count::HeldOff),
            revalidated: of(Count::Revalidated),
            fills: of(Count::Fills),
            fills_refused: of(Count::FillsRefused),
            fills_dropped: of(Count::FillsDropped),
            undecodable: of(Count::Undecodable),
            puts: of(Count::Puts),
            evictions: of(Count::Evictions),
            queued: of(Count::Queued),
            hints: of(Count::Hints),
            fences: of(Count::Fences),
            remote_errors: of(Count::RemoteErrors),
            local_keys,
        }
    }
}

/// What a cache has done since it was built. The numbers of different moments: each is exact, their sums may be off by the
/// calls under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Hits in this process.
    pub local_hits: u64,
    /// Hits in Redis.
    pub remote_hits: u64,
    /// Calls that found nothing, whether they loaded, joined a load, or were calls that do not load.
    pub misses: u64,
    /// Misses that were answered by a load already under way.
    pub joined: u64,
    /// Calls that went past the cache, by reason.
    pub bypasses: Vec<(Bypass, u64)>,
    /// Loads begun.
    pub loads: u64,
    /// Loads that returned an error.
    pub load_failures: u64,
    /// Loads that panicked.
    pub load_panics: u64,
    /// Loads ahead of a value's end ([`Policy::warm_up`](crate::Policy::warm_up)).
    pub warm_ups: u64,
    /// Calls that were given a value that has ended to be fresh, while a new one is loaded
    /// ([`Policy::stale`](crate::Policy::stale)).
    pub stale: u64,
    /// Calls that were given an old value because a load failed or was late ([`Policy::fail_safe`](crate::Policy::fail_safe)).
    pub fail_safe: u64,
    /// Loads in the background for a value that was stale, or about to be.
    pub refreshes: u64,
    /// Of these, those that failed or panicked.
    pub refresh_failures: u64,
    /// Misses for which another node was loading already, so that this one waited.
    pub leases_awaited: u64,
    /// Callers that did not wait for a load beyond its soft timeout.
    pub soft_timeouts: u64,
    /// Callers that did not wait for a load beyond its hard timeout.
    pub hard_timeouts: u64,
    /// Misses that were answered with the error of an earlier load ([`Policy::backoff`](crate::Policy::backoff)).
    pub held_off: u64,
    /// Local entries that Redis confirmed after a doubt (a hint on their stripe, a fence).
    pub revalidated: u64,
    /// Values stored in Redis after a load.
    pub fills: u64,
    /// Values not stored because something was evicted during the load.
    pub fills_refused: u64,
    /// Values not stored in Redis because the background queue was full, or Redis was not there.
    pub fills_dropped: u64,
    /// Payloads in Redis that could not be read: another type, damage, a hostile writer. Each was a miss.
    pub undecodable: u64,
    /// Values put.
    pub puts: u64,
    /// Evictions of keys, tags, scopes and everything.
    pub evictions: u64,
    /// Puts and evictions that Redis did not confirm.
    pub queued: u64,
    /// Changes heard from Redis.
    pub hints: u64,
    /// Times that changes may have been missed.
    pub fences: u64,
    /// Trips to Redis that failed or took too long.
    pub remote_errors: u64,
    /// Keys in this process, about.
    pub local_keys: u64,
}

impl Stats {
    /// Hits in either tier.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.local_hits + self.remote_hits
    }

    /// Calls that went past the cache.
    #[must_use]
    pub fn bypassed(&self) -> u64 {
        self.bypasses.iter().map(|(_, count)| count).sum()
    }

    /// The share of calls that waited for no load, of those that asked the cache: hits, and what was stale and served at once. 0
    /// before the first.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    pub fn hit_ratio(&self) -> f64 {
        let found = self.hits() + self.stale;
        let asked = found + self.fail_safe + self.misses;
        if asked == 0 { 0.0 } else { found as f64 / asked as f64 }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "hits {} (local {}, remote {}), misses {} (joined {}), hit ratio {:.3}",
            self.hits(),
            self.local_hits,
            self.remote_hits,
            self.misses,
            self.joined,
            self.hit_ratio()
        )?;
        writeln!(f, "loads {} (failed {}, panicked {})", self.loads, self.load_failures, self.load_panics)?;
        writeln!(
            f,
            "stale {}, fail-safe {}, refreshes {} (failed {})",
            self.stale, self.fail_safe, self.refreshes, self.refresh_failures
        )?;
        writeln!(f, "fills {} (refused {}, dropped {})", self.fills, self.fills_refused, self.fills_dropped)?;
        writeln!(f, "puts {}, evictions {}, of these queued {}", self.puts, self.evictions, self.queued)?;
        write!(f, "bypassed {}", self.bypassed())?;
        for (reason, count) in self.bypasses.iter().filter(|(_, count)| *count > 0) {
            write!(f, " {}={count}", reason.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_hits_of_all_threads_are_counted() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.local_hit()));
            }
        });
        assert_eq!(counters.snapshot(0).local_hits, 4_000);
    }

    #[test]
    fn hit_ratio_leaves_bypasses_out() {
        let counters = Counters::default();
        counters.local_hit();
        counters.add(Count::Misses);
        counters.bypass(Bypass::When);
        let stats = counters.snapshot(0);
        assert!((stats.hit_ratio() - 0.5).abs() < f64::EPSILON);
        assert_eq!(stats.bypassed(), 1);
    }

    #[test]
    fn hit_ratio_counts_what_is_stale_as_found_and_what_stood_in_for_a_load_as_not() {
        let counters = Counters::default();
        for count in [Count::RemoteHits, Count::Stale, Count::Stale, Count::FailSafe, Count::Misses] {
            counters.add(count);
        }
        assert!((counters.snapshot(0).hit_ratio() - 0.6).abs() < f64::EPSILON);
    }
}
