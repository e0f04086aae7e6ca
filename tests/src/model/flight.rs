//! Flights: who is answered with what a call lands, besides its own caller.

use super::{
    event::Event,
    guards::Guard,
    rules::Source,
    state::{Tagging, Value},
    step::Turn,
    worker::{Job, Stage},
};

impl Turn {
    /// The flight lands: its leader is answered, and whoever boarded it.
    pub(super) fn answer(&mut self, worker: usize, value: Value, from: Source) {
        let call = self.state.workers[worker];
        let node = self.node_of(worker);
        self.judge(node, value.row, call.owed, from);
        // Whoever boarded looks at the tags of what it is given, and flies again if they were hinted at since the departure.
        let looks = self.protocol.tagging == Tagging::ByResult && self.has(Guard::LandsWithItsTags);
        if !looks || call.watch.unhinted {
            self.judge(node, value.row, call.boarded, Source::Flight);
        }
        self.worker(worker).end();
    }

    /// Another call, which begins now, boards the flight that this worker leads.
    pub(super) fn board(&mut self, worker: usize) -> Option<()> {
        let call = self.state.workers[worker];
        let node = self.node_of(worker);
        let is_known = self.protocol.tagging == Tagging::Known;
        let stands = call.watch.stamp.stands() && (call.watch.unhinted || !is_known);
        if call.job != Job::Call || (!stands && self.has(Guard::BoardsOnlyWhatStands)) {
            return None;
        }
        let owed = self.owed(node);
        match call.stage {
            Stage::Idle | Stage::Filling => return None,
            // Landed, though not stored: a value whose tags are looked at.
            Stage::Holding | Stage::HoldAnswered | Stage::Waiting | Stage::Installing => {
                if is_known || call.watch.unhinted {
                    self.judge(node, call.value.row, owed, Source::Flight);
                }
                // Nothing is remembered of one who has got what it is owed.
                self.broken?;
            }
            _ if owed <= call.owed.max(call.boarded) => return None,
            _ => self.worker(worker).boarded = owed,
        }
        self.note(Event::Boarded);
        Some(())
    }
}
