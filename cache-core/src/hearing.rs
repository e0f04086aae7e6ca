//! What is done about a change that somebody tells of: the one listener of a cache.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::{
    clock::{Clock, Tick},
    coherence::Coherence,
    key::Key,
    lease::{Waiting, Word},
    recovery::Recovery,
    stats::{Count, Counters},
    tag::TagId,
    tags::Tags,
    tier::{Assignment, ChangeListener, Continuity, LeaseEnd, PrimaryId},
};

/// Turns what a remote tier tells into moves of stripes, cells and epochs.
pub(crate) struct Hearing {
    coherence: Arc<Coherence>,
    tags: Arc<Tags>,
    recovery: Arc<Recovery>,
    waiting: Arc<Waiting>,
    counters: Arc<Counters>,
    clock: Clock,
    /// Where somebody may want to know what expired.
    expired: Option<ExpiredSender>,
}

/// Hands on what expired, by key and type.
pub(crate) type ExpiredSender = broadcast::Sender<(Key, Arc<str>)>;

/// What expired and was not taken yet; those who are slower than that miss some.
const EXPIRED: usize = 1_024;

impl Hearing {
    pub(crate) fn new(
        coherence: Arc<Coherence>,
        tags: Arc<Tags>,
        recovery: Arc<Recovery>,
        waiting: Arc<Waiting>,
        counters: Arc<Counters>,
        clock: Clock,
    ) -> Self {
        Self { coherence, tags, recovery, waiting, counters, clock, expired: None }
    }

    /// Hands on what expired, from now on.
    pub(crate) fn tell_expired(&mut self) -> ExpiredSender {
        self.expired.insert(broadcast::Sender::new(EXPIRED)).clone()
    }
}

impl ChangeListener for Hearing {
    fn key_changed(&self, key: &Key) {
        self.counters.add(Count::Hints);
        self.coherence.move_stripe(key.local_hash());
        self.waiting.tell(key, Word::Changed);
    }

    fn tag_changed(&self, tag: &TagId) {
        self.counters.add(Count::Hints);
        self.tags.hint(tag);
    }

    fn gap(&self, primary: PrimaryId, why: &'static str) {
        self.counters.add(Count::Fences);
        self.coherence.fence(primary, why);
    }

    fn heard_up_to(&self, primary: PrimaryId, sent: Tick) {
        self.coherence.heard_up_to(primary, sent);
    }

    fn reachable(&self, primary: PrimaryId, reachable: bool) {
        self.coherence.set_reachable(primary, reachable);
    }

    fn restored(&self, how: Continuity) {
        self.recovery.restored(how, self.clock.now());
    }

    fn assigned(&self, assignment: &Assignment) {
        self.coherence.assign(assignment);
    }

    fn lease_ended(&self, key: &Key, end: LeaseEnd) {
        self.waiting.tell(key, Word::Ended(end));
    }

    fn expired(&self, key: &Key, fingerprint: &str) {
        if let Some(expired) = &self.expired {
            // Nobody listens just now: then nobody wants to know.
            let _unheard = expired.send((key.clone(), fingerprint.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hearing() -> (Hearing, Arc<Coherence>, Arc<Tags>) {
        let clock = Clock::new();
        let coherence = Arc::new(Coherence::with_primaries(clock.clone(), std::time::Duration::from_secs(1), 1));
        let tags = Arc::new(Tags::remote(coherence.epochs()));
        let recovery = Arc::new(Recovery::new());
        let hearing =
            Hearing::new(Arc::clone(&coherence), Arc::clone(&tags), recovery, Arc::default(), Arc::default(), clock);
        (hearing, coherence, tags)
    }

    #[test]
    fn a_hint_moves_what_a_load_under_way_has_noted() {
        let (hearing, coherence, tags) = hearing();
        let key = Key::new("product").arg(7_u64);
        let tag = TagId::Tag(Key::new("category").arg("books"));
        let spot = coherence.spot(&key);
        let (stamp, sequence) = (coherence.stamp(spot), tags.sequence());

        hearing.key_changed(&Key::parse("product:7").unwrap());
        hearing.tag_changed(&tag);

        assert_ne!(coherence.stamp(spot), stamp);
        assert!(!tags.quiet_since(&tag, sequence));
    }

    #[test]
    fn a_gap_fences() {
        let (hearing, coherence, _) = hearing();
        let epoch = coherence.epochs().of(0);
        hearing.gap(PrimaryId::FIRST, "test");
        assert_ne!(coherence.epochs().of(0), epoch);
        assert_eq!(coherence.report(0, true).fences, 1);
    }
}
