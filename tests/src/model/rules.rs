//! What a node owes whoever asks it, and whether it would keep that.

use std::fmt;

use super::{
    guards::Guard,
    state::{Line, NODES, State},
    step::Turn,
};

/// A row that somebody is answered with, or would be, older than the one owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    pub node: usize,
    pub row: u8,
    pub owed: u8,
    pub from: Source,
}

/// Where an answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Local,
    Confirmed,
    Remote,
    Load,
    Flight,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.from {
            Source::Local => "from L1",
            Source::Confirmed => "from L1, confirmed by Redis",
            Source::Remote => "from L2",
            Source::Load => "by a load",
            Source::Flight => "by a flight that was boarded",
        };
        write!(f, "node {} answers row {} {from}, and owes row {}", self.node, self.row, self.owed)
    }
}

// === impl State ===

impl State {
    /// Whether everything that Redis acknowledged has been heard on a node. This is what the echo of a beat proves.
    fn has_heard_all(&self, node: usize) -> bool {
        self.nodes[node].line == Line::Live && self.nodes[node].hints.is_empty()
    }
}

// === impl Turn ===

impl Turn {
    /// The oldest row that a call that begins now on a node may be answered with: of all changes that were acknowledged, if
    /// the node has heard all there is to hear; in any case of those that were made on this node.
    pub(super) fn owed(&self, node: usize) -> u8 {
        if self.state.has_heard_all(node) { self.state.acknowledged } else { self.state.nodes[node].own }
    }

    pub(super) fn judge(&mut self, node: usize, row: u8, owed: u8, from: Source) {
        if row < owed && self.broken.is_none() {
            self.broken = Some(Broken { node, row, owed, from });
        }
    }

    /// Holds against what is owed whatever each node would answer at once, were it asked now.
    pub(super) fn judge_all(&mut self) {
        for node in 0..NODES {
            let owed = self.owed(node);
            if let Some(value) = self.state.hit(self.protocol, node) {
                self.judge(node, value.row, owed, Source::Local);
            }
            if !self.trusts(node) {
                continue;
            }
            let redis = self.state.redis;
            let known = self.state.known(self.protocol, node);
            let tag_is_at = |turn: &Self, generation| {
                known.map_or_else(|| turn.equals(redis.tag, generation), |known| known == generation)
            };
            if let Some(held) = self.state.nodes[node].held {
                let passes_unread = !self.has(Guard::ConfirmationReadsCells) && known.is_none();
                let stands = self.equals(redis.control, held.value.version)
                    && (tag_is_at(self, held.value.generation) || passes_unread);
                if stands {
                    self.judge(node, held.value.row, owed, Source::Confirmed);
                }
            }
            if let Some(payload) = self.payload().filter(|payload| tag_is_at(self, payload.generation)) {
                self.judge(node, payload.row, owed, Source::Remote);
            }
        }
    }
}
