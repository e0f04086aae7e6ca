//! What keeps L1 right: stripes moved by hints, epochs moved by fences, and the moment up to which everything was heard.
//!
//! A hint is one addition on the stripe of its key. Nothing is looked up, marked or removed: entries hold the number that
//! their stripe had before their load, and a hit compares. So a check and an insertion cannot race a hint.
//!
//! What was heard is known for each primary by itself. A hit in passing asks only whether all of them are heard; where one is
//! not, an entry is held against the primaries that it depends on.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use crate::{
    clock::{Clock, Tick},
    entry::{Spot, Stamp},
    epochs::Epochs,
    key::Key,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
        scaled,
    },
    tier::{Assignment, PrimaryId},
};

/// Keys share stripes; another key's hint costs one revalidation.
const STRIPES: usize = scaled(1 << 16);

/// How current L1 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CoherenceState {
    /// A local hit reflects every eviction that was acknowledged more than the bound ago.
    Coherent,
    /// Changes may be missing: each local hit is confirmed by Redis first.
    Revalidating,
    /// Redis cannot be reached: what is cached is not served once the bound has passed, and calls load for themselves.
    Fenced,
}

impl CoherenceState {
    /// One word for logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Coherent => "coherent",
            Self::Revalidating => "revalidating",
            Self::Fenced => "fenced",
        }
    }
}

/// How current L1 is, since when, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CoherenceReport {
    /// The state now: of several primaries, the worst.
    pub state: CoherenceState,
    /// How long it has been so.
    pub since: Duration,
    /// Why it is not coherent, or why changes may have been missed the last time.
    pub why: Option<&'static str>,
    /// How often changes may have been missed so far.
    pub fences: u64,
    /// Evictions and puts that Redis has not confirmed yet.
    pub queued: usize,
    /// Whether all that Redis holds is used. What is queued is not, nor what came back with a primary until it was compared.
    pub remote_trusted: bool,
}

/// The coherence of one cache with its primaries.
pub(crate) struct Coherence {
    clock: Clock,
    bound: Duration,
    stripes: Box<[AtomicU64]>,
    epochs: Arc<Epochs>,
    /// The earliest end of what was heard from any primary; nanoseconds of the monotonic clock.
    coherent_until: AtomicU64,
    primaries: Mutex<Primaries>,
}

/// What is known of the primaries, and which partition is whose.
struct Primaries {
    /// By partition.
    guardians: Vec<Vec<PrimaryId>>,
    states: Vec<PrimaryState>,
    /// When all of them were coherent for the first time since one was not.
    coherent_since: Tick,
    last_fence: Option<&'static str>,
    ended: bool,
}

#[derive(Clone, Debug)]
struct PrimaryState {
    /// Part of the deployment now.
    present: bool,
    coherent_until: Tick,
    reachable: bool,
    /// When `reachable` became what it is.
    changed: Tick,
}

impl PrimaryState {
    const UNHEARD: Self = Self { present: true, coherent_until: Tick::ZERO, reachable: false, changed: Tick::ZERO };
}

// === impl Coherence ===

impl Coherence {
    /// With primaries that own the partitions between them; nothing is coherent before each was heard. One that owns all may
    /// take them for one.
    pub(crate) fn with_primaries(clock: Clock, bound: Duration, partitions: u16) -> Self {
        Self::until(Tick::ZERO, clock, bound, partitions)
    }

    /// Without one: everything that happens is known here.
    pub(crate) fn alone(clock: Clock) -> Self {
        Self::until(Tick::NEVER, clock, Duration::MAX, 1)
    }

    fn until(until: Tick, clock: Clock, bound: Duration, partitions: u16) -> Self {
        let epochs = Arc::new(Epochs::new(partitions));
        let state = PrimaryState { coherent_until: until, reachable: until == Tick::NEVER, ..PrimaryState::UNHEARD };
        let primaries = Primaries {
            guardians: (0..epochs.partitions()).map(|_| vec![PrimaryId::FIRST]).collect(),
            states: vec![state],
            coherent_since: clock.now(),
            last_fence: None,
            ended: false,
        };
        Self {
            clock,
            bound,
            stripes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            epochs,
            coherent_until: AtomicU64::new(until.nanos()),
            primaries: Mutex::new(primaries),
        }
    }

    /// The epochs, for the tags' cells to be judged by.
    pub(crate) fn epochs(&self) -> Arc<Epochs> {
        Arc::clone(&self.epochs)
    }

    /// How long ago an eviction may have been acknowledged that a hit does not reflect.
    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    /// Where a key stands among the marks.
    pub(crate) fn spot(&self, key: &Key) -> Spot {
        Spot { hash: key.local_hash(), partition: key.partition(self.epochs.partitions()) }
    }

    fn stripe(&self, hash: u128) -> &AtomicU64 {
        // The upper half: moka uses the lower one.
        #[allow(clippy::cast_possible_truncation, reason = "the remainder fits")]
        let index = (hash >> 64) as usize % STRIPES;
        &self.stripes[index]
    }

    /// The numbers that an entry of the key has to carry to be a hit now.
    pub(crate) fn stamp(&self, spot: Spot) -> Stamp {
        Stamp { stripe: self.stripe(spot.hash).load(Ordering::Acquire), epoch: self.epochs.of(spot.partition) }
    }

    /// How often any mark has moved.
    #[inline]
    pub(crate) fn moved(&self) -> u64 {
        self.epochs.moves().count()
    }

    /// How often changes may have been missed, from whatever primary.
    pub(crate) fn fences(&self) -> u64 {
        self.epochs.fences()
    }

    /// Moves the key's stripe; answers where it was.
    pub(crate) fn move_stripe(&self, hash: u128) -> u64 {
        let before = self.stripe(hash).fetch_add(1, Ordering::AcqRel);
        self.epochs.moves().add();
        before
    }

    /// Whether everything acknowledged more than the bound ago has been heard, from every primary.
    #[inline]
    pub(crate) fn coherent_at(&self, now: Tick) -> bool {
        now.nanos() < self.coherent_until.load(Ordering::Acquire)
    }

    /// The same of the primaries that own these partitions.
    pub(crate) fn coherent_in(&self, partitions: impl IntoIterator<Item = u16>) -> bool {
        let now = self.clock.now();
        self.coherent_at(now) || {
            let primaries = self.lock();
            partitions.into_iter().all(|partition| primaries.are_heard(partition, now))
        }
    }

    /// Changes of partitions of this primary may have been missed: every entry in them that is older than now has to be
    /// revalidated at its next use. Nothing is flushed.
    pub(crate) fn fence(&self, primary: PrimaryId, why: &'static str) {
        let mut primaries = self.lock();
        primaries.last_fence = Some(why);
        self.epochs.fence(primaries.partitions_of(primary));
        tracing::debug!(why, "fence");
    }

    /// Everything that this primary acknowledged before `sent` has been heard.
    pub(crate) fn heard_up_to(&self, primary: PrimaryId, sent: Tick) {
        let mut primaries = self.lock();
        if primaries.ended {
            return;
        }
        let until = sent.plus(self.bound);
        let state = primaries.state_mut(primary);
        state.coherent_until = state.coherent_until.max(until);
        self.settle(&mut primaries);
    }

    /// Says whose the partitions are now, and which primaries there are. What has others now is fenced.
    pub(crate) fn assign(&self, assignment: &Assignment) {
        let Assignment { guardians, present } = assignment;
        let mut primaries = self.lock();
        let last = present.iter().map(|primary| primary.index()).max().unwrap_or(0);
        while primaries.states.len() <= last {
            primaries.states.push(PrimaryState::UNHEARD);
        }
        for (index, state) in primaries.states.iter_mut().enumerate() {
            state.present = present.iter().any(|primary| primary.index() == index);
        }
        let changed = primaries.guardians.iter().zip(guardians).zip(0..).filter(|((before, now), _)| before != now);
        let moved: Vec<u16> = changed.map(|(_, partition)| partition).collect();
        primaries.guardians.clone_from(guardians);
        // The ends first: whoever sees the new epochs must not see the old ends.
        self.settle(&mut primaries);
        if !moved.is_empty() {
            primaries.last_fence = Some("partitions have other owners");
            self.epochs.fence(moved);
        }
    }

    /// Nothing will be heard any more: what is in L1 is not served again.
    pub(crate) fn end(&self) {
        let mut primaries = self.lock();
        primaries.ended = true;
        for state in &mut primaries.states {
            state.coherent_until = Tick::ZERO;
        }
        self.settle(&mut primaries);
    }

    pub(crate) fn set_reachable(&self, primary: PrimaryId, reachable: bool) {
        let now = self.clock.now();
        let mut primaries = self.lock();
        let state = primaries.state_mut(primary);
        if state.reachable != reachable {
            state.reachable = reachable;
            state.changed = now;
        }
    }

    /// How things stand; `queued` and `remote_trusted` are known elsewhere.
    pub(crate) fn report(&self, queued: usize, remote_trusted: bool) -> CoherenceReport {
        let now = self.clock.now();
        let primaries = self.lock();
        let present = || primaries.states.iter().filter(|state| state.present);
        let unheard = present().filter(|state| now >= state.coherent_until);
        let is_anybodys = primaries.guardians.iter().all(|guardians| !guardians.is_empty());
        if !is_anybodys || present().next().is_none() {
            let (state, since) = (CoherenceState::Fenced, now.since(primaries.coherent_since));
            let why = Some("some partitions have no primary");
            return CoherenceReport { state, since, why, fences: self.fences(), queued, remote_trusted };
        }
        let (state, since, why) = match unheard.min_by_key(|state| (state.reachable, state.coherent_until)) {
            None => (CoherenceState::Coherent, primaries.coherent_since, primaries.last_fence),
            Some(worst) if worst.reachable => {
                (CoherenceState::Revalidating, worst.coherent_until, Some("Redis no longer tells about changes"))
            }
            Some(worst) => (CoherenceState::Fenced, worst.changed, Some("Redis cannot be reached")),
        };
        CoherenceReport { state, since: now.since(since), why, fences: self.fences(), queued, remote_trusted }
    }

    /// Puts down the earliest end of all primaries. Under the lock, so that none is put down after a later one.
    fn settle(&self, primaries: &mut Primaries) {
        let ends = primaries.states.iter().filter(|state| state.present).map(|state| state.coherent_until);
        let is_anybodys = primaries.guardians.iter().all(|guardians| !guardians.is_empty());
        let until = ends.min().filter(|_| is_anybodys).unwrap_or(Tick::ZERO);
        let now = self.clock.now();
        let was_coherent = self.coherent_at(now);
        if !was_coherent && now < until {
            primaries.coherent_since = now;
        }
        self.coherent_until.store(until.nanos(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Primaries> {
        // Nothing can panic while it is held.
        self.primaries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Primaries ===

impl Primaries {
    /// Whether every primary that may take a write to the partition is heard. One without any is nobody's, and not heard.
    fn are_heard(&self, partition: u16, now: Tick) -> bool {
        let guardians = &self.guardians[usize::from(partition)];
        let heard =
            |guardian: &PrimaryId| self.states.get(guardian.index()).is_some_and(|state| now < state.coherent_until);
        !guardians.is_empty() && guardians.iter().all(heard)
    }

    fn partitions_of(&self, primary: PrimaryId) -> impl Iterator<Item = u16> {
        let guarded = self.guardians.iter().zip(0..).filter(move |(guardians, _)| guardians.contains(&primary));
        guarded.map(|(_, partition)| partition)
    }

    fn state_mut(&mut self, primary: PrimaryId) -> &mut PrimaryState {
        while self.states.len() <= primary.index() {
            self.states.push(PrimaryState { present: false, ..PrimaryState::UNHEARD });
        }
        &mut self.states[primary.index()]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const A: PrimaryId = PrimaryId::FIRST;

    fn coherence(partitions: u16) -> (Coherence, Arc<quanta::Mock>) {
        let (monotonic, mock) = quanta::Clock::mock();
        (Coherence::with_primaries(Clock::over(monotonic), Duration::from_secs(1), partitions), mock)
    }

    fn b() -> PrimaryId {
        PrimaryId::of_index(1).unwrap()
    }

    fn assign(coherence: &Coherence, owners: &[PrimaryId], present: &[PrimaryId]) {
        let guardians = owners.iter().map(|owner| vec![*owner]).collect();
        coherence.assign(&Assignment { guardians, present: present.to_vec() });
    }

    fn now(coherence: &Coherence) -> Tick {
        coherence.clock.now()
    }

    fn is_coherent(coherence: &Coherence) -> bool {
        coherence.coherent_at(now(coherence))
    }

    #[test]
    fn coherence_ends_a_bound_after_the_beat_was_sent() {
        let (coherence, mock) = coherence(1);
        assert!(!is_coherent(&coherence));
        coherence.heard_up_to(A, now(&coherence));
        assert!(is_coherent(&coherence));
        mock.increment(Duration::from_millis(999));
        assert!(is_coherent(&coherence));
        mock.increment(Duration::from_millis(1));
        assert!(!is_coherent(&coherence), "the beat is too old");
    }

    #[test]
    fn an_older_echo_does_not_take_back_what_a_newer_proved() {
        let (coherence, mock) = coherence(1);
        let older = now(&coherence);
        mock.increment(Duration::from_millis(500));
        coherence.heard_up_to(A, now(&coherence));
        coherence.heard_up_to(A, older);
        mock.increment(Duration::from_millis(900));
        assert!(is_coherent(&coherence));
    }

    #[test]
    fn a_partition_is_as_coherent_as_its_owner() {
        let (coherence, mock) = coherence(2);
        assign(&coherence, &[A, b()], &[A, b()]);
        coherence.heard_up_to(A, now(&coherence));
        assert!(!is_coherent(&coherence), "nothing was heard of the other one");
        assert!(coherence.coherent_in([0]));
        assert!(!coherence.coherent_in([0, 1]));
        mock.increment(Duration::from_millis(600));
        coherence.heard_up_to(b(), now(&coherence));
        assert!(is_coherent(&coherence));
        mock.increment(Duration::from_millis(600));
        assert!(!coherence.coherent_in([0]));
        assert!(coherence.coherent_in([1]));
    }

    #[test]
    fn a_partition_that_moves_is_fenced_and_judged_by_its_new_owner() {
        let (coherence, _mock) = coherence(2);
        assign(&coherence, &[A, A], &[A]);
        coherence.heard_up_to(A, now(&coherence));
        let epochs = coherence.epochs();
        let before = [0, 1].map(|partition| epochs.of(partition));
        assign(&coherence, &[A, b()], &[A, b()]);
        assert_eq!(epochs.of(0), before[0]);
        assert_eq!(epochs.of(1), before[1] + 1);
        assert!(coherence.coherent_in([0]) && !coherence.coherent_in([1]));
    }

    #[test]
    fn a_partition_that_moves_is_as_coherent_as_both_ends() {
        let (coherence, _mock) = coherence(2);
        assign(&coherence, &[A, b()], &[A, b()]);
        coherence.heard_up_to(A, now(&coherence));
        assert!(coherence.coherent_in([0]));
        let guardians = vec![vec![A, b()], vec![b()]];
        coherence.assign(&Assignment { guardians, present: vec![A, b()] });
        assert!(!coherence.coherent_in([0]), "a write may go to the other end, and nobody would hear of it");
        coherence.heard_up_to(b(), now(&coherence));
        assert!(coherence.coherent_in([0, 1]));
    }

    #[test]
    fn a_partition_of_nobody_is_not_coherent() {
        let (coherence, _mock) = coherence(2);
        coherence.assign(&Assignment { guardians: vec![vec![A], vec![]], present: vec![A] });
        coherence.heard_up_to(A, now(&coherence));
        assert!(coherence.coherent_in([0]) && !coherence.coherent_in([1]) && !is_coherent(&coherence));
        assert_eq!(coherence.report(0, true).state, CoherenceState::Fenced);
        coherence.assign(&Assignment { guardians: vec![vec![], vec![]], present: vec![] });
        assert_eq!(coherence.report(0, true).state, CoherenceState::Fenced, "nobody is there, so nobody is heard");
    }

    #[test]
    fn a_primary_that_is_gone_holds_nobody_up() {
        let (coherence, _mock) = coherence(2);
        assign(&coherence, &[A, b()], &[A, b()]);
        coherence.heard_up_to(A, now(&coherence));
        assign(&coherence, &[A, A], &[A]);
        assert!(is_coherent(&coherence));
    }

    #[test]
    fn report_says_since_when_and_why() {
        let (coherence, mock) = coherence(1);
        assert_eq!(coherence.report(0, true).state, CoherenceState::Fenced);
        coherence.set_reachable(A, true);
        coherence.heard_up_to(A, now(&coherence));
        mock.increment(Duration::from_millis(700));
        let report = coherence.report(0, true);
        assert_eq!((report.state, report.since), (CoherenceState::Coherent, Duration::from_millis(700)));
        mock.increment(Duration::from_millis(700));
        let report = coherence.report(0, true);
        assert_eq!((report.state, report.since), (CoherenceState::Revalidating, Duration::from_millis(400)));
        coherence.set_reachable(A, false);
        mock.increment(Duration::from_millis(50));
        let report = coherence.report(0, true);
        assert_eq!((report.state, report.since), (CoherenceState::Fenced, Duration::from_millis(50)));
    }
}
