//! What is done about a change that somebody tells of: the one listener of a cache.

use std::sync::Arc;

use crate::{
    clock::Tick,
    coherence::Coherence,
    key::Key,
    stats::{Count, Counters},
    tag::TagId,
    tags::Tags,
    tier::ChangeListener,
};

/// Turns what a remote tier tells into moves of stripes, cells and epochs.
pub(crate) struct Hearing {
    coherence: Arc<Coherence>,
    tags: Arc<Tags>,
    counters: Arc<Counters>,
}

impl Hearing {
    pub(crate) fn new(coherence: Arc<Coherence>, tags: Arc<Tags>, counters: Arc<Counters>) -> Self {
        Self { coherence, tags, counters }
    }
}

impl ChangeListener for Hearing {
    fn key_changed(&self, key: &Key) {
        self.counters.add(Count::Hints);
        self.coherence.move_stripe(key.local_hash());
    }

    fn tag_changed(&self, tag: &TagId) {
        self.counters.add(Count::Hints);
        self.tags.hint(tag);
    }

    fn gap(&self, why: &'static str) {
        self.counters.add(Count::Fences);
        self.coherence.fence(why);
    }

    fn heard_up_to(&self, sent: Tick) {
        self.coherence.heard_up_to(sent);
    }

    fn reachable(&self, reachable: bool) {
        self.coherence.set_reachable(reachable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_hint_moves_what_a_load_under_way_has_noted() {
        let coherence = Arc::new(Coherence::with_server(Clock::new(), std::time::Duration::from_secs(1)));
        let tags = Arc::new(Tags::remote(coherence.moves()));
        let hearing = Hearing::new(Arc::clone(&coherence), Arc::clone(&tags), Arc::default());
        let key = Key::new("product").arg(7_u64);
        let tag = TagId::Tag(Key::new("category").arg("books"));
        let (stamp, sequence) = (coherence.stamp(key.local_hash()), tags.sequence());

        hearing.key_changed(&Key::parse("product:7").unwrap());
        hearing.tag_changed(&tag);

        assert_ne!(coherence.stamp(key.local_hash()), stamp);
        assert!(!tags.quiet_since(&tag, sequence));
    }

    #[test]
    fn a_gap_fences() {
        let coherence = Arc::new(Coherence::with_server(Clock::new(), std::time::Duration::from_secs(1)));
        let hearing = Hearing::new(Arc::clone(&coherence), Arc::new(Tags::remote(coherence.moves())), Arc::default());
        let epoch = coherence.epoch();
        hearing.gap("test");
        assert_ne!(coherence.epoch(), epoch);
        assert_eq!(coherence.report(true).last_fence, Some("test"));
    }
}
