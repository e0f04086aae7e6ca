//! What a node hears, and what it misses: hints, beats, lost connections, fences; and the marks that they move.

use super::{
    event::Event,
    guards::Guard,
    state::{Hint, Hints, Line, NONE},
    step::Turn,
    worker::{Seen, Stage, Worker},
};

/// A beat that will never be heard.
const LOST: u8 = 15;

impl Turn {
    pub(super) fn of_node(&mut self, node: usize) -> impl Iterator<Item = &mut Worker> {
        self.state
            .workers
            .iter_mut()
            .filter(move |worker| usize::from(worker.node) == node && worker.stage != Stage::Idle)
    }

    pub(super) fn deliver(&mut self, node: usize) -> Option<()> {
        let hint = self.state.nodes[node].hints.pop()?;
        for worker in self.of_node(node) {
            if worker.barrier != LOST {
                worker.barrier = worker.barrier.saturating_sub(1);
            }
        }
        match hint {
            Hint::Key => {
                self.note(Event::HintOfTheKey);
                if self.has(Guard::HintMovesTheStripe) {
                    self.move_stripe(node);
                }
            }
            Hint::Tag => {
                self.note(Event::HintOfTheTag);
                if self.has(Guard::HintMakesTheCellUnknown) {
                    self.hint_tag(node);
                } else {
                    self.count_tag_hint(node);
                }
            }
        }
        Some(())
    }

    pub(super) fn lose(&mut self, node: usize) -> Option<()> {
        if self.state.left.losses == 0 || self.state.nodes[node].line != Line::Live {
            return None;
        }
        self.state.left.losses -= 1;
        self.disconnect(node);
        self.note(Event::LosesTheConnection);
        Some(())
    }

    pub(super) fn disconnect(&mut self, node: usize) {
        self.state.nodes[node].line = Line::Deaf;
        self.state.nodes[node].hints = Hints::EMPTY;
        for worker in self.of_node(node).filter(|worker| worker.barrier > 0) {
            worker.barrier = LOST;
        }
    }

    /// A new connection is subscribed, then fenced: in the other order what is said in between would be missed.
    pub(super) fn relink(&mut self, node: usize) -> Option<()> {
        let fences_last = self.has(Guard::FenceAfterTheSubscription);
        let (line, fences) = match self.state.nodes[node].line {
            Line::Live => return None,
            Line::Deaf => (Line::Halfway, !fences_last),
            Line::Halfway => (Line::Live, fences_last),
        };
        self.state.nodes[node].line = line;
        if line == Line::Live {
            self.compare(node);
        }
        if !fences {
            self.note(Event::Subscribes);
        } else if self.has(Guard::FenceOnReconnect) {
            self.note(Event::Fences);
            self.fence(node);
        }
        Some(())
    }

    fn fence(&mut self, node: usize) {
        let marks = &mut self.state.nodes[node];
        marks.cell.epoch = false;
        if let Some(held) = &mut marks.held {
            held.stamp.epoch = false;
        }
        for worker in self.of_node(node) {
            worker.watch.stamp.epoch = false;
            if let Some(asked) = &mut worker.asked {
                asked.stamp.epoch = false;
            }
        }
    }

    /// The key's stripe moves on a node: nobody who remembers it has the current one.
    pub(super) fn move_stripe(&mut self, node: usize) {
        if let Some(held) = &mut self.state.nodes[node].held {
            held.stamp.stripe = false;
        }
        for worker in self.of_node(node) {
            worker.watch.stamp.stripe = false;
        }
    }

    /// The tag is hinted at on a node: its cell is unknown, and whoever has asked knows that something came.
    pub(super) fn hint_tag(&mut self, node: usize) {
        self.state.nodes[node].cell.generation = NONE;
        self.count_tag_hint(node);
    }

    fn count_tag_hint(&mut self, node: usize) {
        if let Some(held) = &mut self.state.nodes[node].held {
            held.provisional = held.provisional.and(Some(false));
        }
        for worker in self.of_node(node) {
            worker.watch.unhinted = false;
            if let Some(asked) = &mut worker.asked {
                asked.unhinted = false;
            }
        }
    }

    /// An answer to a question about the tag reaches the node. Kept only if no hint came meanwhile and nobody has learned
    /// under a later epoch.
    pub(super) fn learn(&mut self, node: usize, asked: Seen, said: u8) {
        if said == NONE {
            return;
        }
        let keeps_epoch = self.has(Guard::CellKeepsTheEpochOfTheQuestion);
        let is_overtaken = !asked.unhinted && self.has(Guard::CellLearnsIfUnhinted);
        let cell = &mut self.state.nodes[node].cell;
        if is_overtaken || (keeps_epoch && !asked.stamp.epoch && cell.epoch) {
            return self.note(Event::CellRefuses);
        }
        cell.generation = said;
        cell.epoch = asked.stamp.epoch || !keeps_epoch;
        self.note(Event::CellLearns);
    }

    /// Sends a beat: it is heard when all that Redis has told this node so far has arrived.
    pub(super) fn send_beat(&mut self, worker: usize) {
        let node = self.state.nodes[usize::from(self.state.workers[worker].node)];
        self.worker(worker).barrier = if node.line == Line::Live { node.hints.len() } else { LOST };
    }

    /// Whether the beat was heard, or will never be.
    pub(super) fn beat_heard(&self, worker: usize) -> Option<bool> {
        match self.state.workers[worker].barrier {
            0 => Some(true),
            LOST => Some(false),
            _ => None,
        }
    }
}
