//! What keeps L1 right: stripes moved by hints, epochs moved by fences, and the moment up to which everything was heard.
//!
//! A hint is one addition on the stripe of its key. Nothing is looked up, marked or removed: entries hold the number that
//! their stripe had before their load, and a hit compares. So a check and an insertion cannot race a hint.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    clock::{Clock, Tick},
    entry::Stamp,
    moves::Moves,
};

/// Keys share stripes; another key's hint costs one revalidation.
const STRIPES: usize = 1 << 16;

/// How current L1 is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoherenceState {
    /// A local hit reflects every eviction that was acknowledged more than the bound ago.
    Coherent,
    /// Changes may be missing: each local hit is confirmed by Redis first.
    Revalidating,
    /// Redis cannot be reached: what is cached is not served once the bound has passed, and calls load for themselves.
    Disconnected,
}

impl CoherenceState {
    /// One word for logs, metrics and headers.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Coherent => "coherent",
            Self::Revalidating => "revalidating",
            Self::Disconnected => "disconnected",
        }
    }
}

/// How current L1 is, since when, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CoherenceReport {
    /// The state now.
    pub state: CoherenceState,
    /// How often changes may have been missed so far.
    pub fences: u64,
    /// Why they may have been missed the last time.
    pub last_fence: Option<&'static str>,
    /// Whether what Redis holds is used. It is not while an eviction is unconfirmed.
    pub remote_trusted: bool,
}

/// The coherence of one cache with its server.
pub(crate) struct Coherence {
    clock: Clock,
    bound: Duration,
    stripes: Box<[AtomicU64]>,
    epoch: AtomicU64,
    /// Nanoseconds of the monotonic clock.
    coherent_until: AtomicU64,
    moves: Arc<Moves>,
    reachable: AtomicBool,
    last_fence: RwLock<Option<&'static str>>,
}

impl Coherence {
    /// With a server: nothing is coherent before the first beat was heard.
    pub(crate) fn with_server(clock: Clock, bound: Duration) -> Self {
        Self::until(Tick::ZERO, clock, bound)
    }

    /// Without one: everything that happens is known here.
    pub(crate) fn alone(clock: Clock) -> Self {
        Self::until(Tick::NEVER, clock, Duration::MAX)
    }

    fn until(until: Tick, clock: Clock, bound: Duration) -> Self {
        Self {
            clock,
            bound,
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            epoch: AtomicU64::new(0),
            coherent_until: AtomicU64::new(until.nanos()),
            moves: Arc::default(),
            reachable: AtomicBool::new(until == Tick::NEVER),
            last_fence: RwLock::new(None),
        }
    }

    #[inline]
    fn stripe(&self, hash: u128) -> &AtomicU64 {
        // The upper half: moka uses the lower one.
        #[allow(clippy::cast_possible_truncation, reason = "the remainder fits")]
        let index = (hash >> 64) as usize % STRIPES;
        &self.stripes[index]
    }

    /// The numbers that an entry of the key has to carry to be a hit now.
    #[inline]
    pub(crate) fn stamp(&self, hash: u128) -> Stamp {
        Stamp { stripe: self.stripe(hash).load(Ordering::Acquire), epoch: self.epoch() }
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What counts the moves of stripes and epoch, for the tags' cells to count in too.
    pub(crate) fn moves(&self) -> Arc<Moves> {
        Arc::clone(&self.moves)
    }

    /// How often any mark has moved.
    #[inline]
    pub(crate) fn moved(&self) -> u64 {
        self.moves.count()
    }

    /// Moves the key's stripe; answers where it was.
    pub(crate) fn move_stripe(&self, hash: u128) -> u64 {
        let before = self.stripe(hash).fetch_add(1, Ordering::AcqRel);
        self.moves.add();
        before
    }

    /// Whether everything acknowledged more than the bound ago has been heard.
    #[inline]
    pub(crate) fn coherent_at(&self, now: Tick) -> bool {
        now.nanos() < self.coherent_until.load(Ordering::Acquire)
    }

    pub(crate) fn coherent(&self) -> bool {
        self.coherent_at(self.clock.now())
    }

    pub(crate) fn report(&self, remote_trusted: bool) -> CoherenceReport {
        let state = if self.coherent() {
            CoherenceState::Coherent
        } else if self.reachable.load(Ordering::Relaxed) {
            CoherenceState::Revalidating
        } else {
            CoherenceState::Disconnected
        };
        let last_fence = *self.last_fence.read().unwrap_or_else(PoisonError::into_inner);
        CoherenceReport { state, fences: self.epoch(), last_fence, remote_trusted }
    }

    /// Changes may have been missed: every entry older than now has to be revalidated at its next use. Nothing is flushed.
    pub(crate) fn fence(&self, why: &'static str) {
        *self.last_fence.write().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.moves.add();
        tracing::debug!(why, "fence");
    }

    /// Everything acknowledged before `sent` has been heard.
    pub(crate) fn heard_up_to(&self, sent: Tick) {
        self.coherent_until.fetch_max(sent.plus(self.bound).nanos(), Ordering::AcqRel);
    }

    /// Nothing will be heard any more: what is in L1 is not served again.
    pub(crate) fn end(&self) {
        self.coherent_until.store(Tick::ZERO.nanos(), Ordering::Release);
    }

    pub(crate) fn set_reachable(&self, reachable: bool) {
        self.reachable.store(reachable, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn coherence() -> (Coherence, Arc<quanta::Mock>) {
        let (monotonic, mock) = quanta::Clock::mock();
        (Coherence::with_server(Clock::over(monotonic), Duration::from_secs(1)), mock)
    }

    #[test]
    fn coherence_ends_a_bound_after_the_beat_was_sent() {
        let (coherence, mock) = coherence();
        assert!(!coherence.coherent());
        coherence.heard_up_to(coherence.clock.now());
        assert!(coherence.coherent());
        mock.increment(Duration::from_millis(999));
        assert!(coherence.coherent());
        mock.increment(Duration::from_millis(1));
        assert!(!coherence.coherent(), "the beat is too old");
    }

    #[test]
    fn an_older_echo_does_not_take_back_what_a_newer_proved() {
        let (coherence, mock) = coherence();
        let older = coherence.clock.now();
        mock.increment(Duration::from_millis(500));
        coherence.heard_up_to(coherence.clock.now());
        coherence.heard_up_to(older);
        mock.increment(Duration::from_millis(900));
        assert!(coherence.coherent());
    }
}
