//! The steps of those who change the row: evictions of the key, evictions of the tag, puts.

use super::{
    event::Event,
    guards::Guard,
    state::{Held, NONE, Stamp, Tagging},
    step::Turn,
    worker::{Job, Seen, Stage},
};

impl Turn {
    pub(super) fn write(&mut self, worker: usize) -> Option<()> {
        let is_put = self.state.workers[worker].job == Job::Put;
        match self.state.workers[worker].stage {
            Stage::Idle if is_put => self.begin_put(worker),
            Stage::Watched if !self.trusts(self.node_of(worker)) => self.go_alone(worker),
            Stage::Watched => self.capture(worker),
            Stage::CaptureAnswered => self.hear_capture(worker),
            Stage::Idle => {
                self.worker(worker).runs -= 1;
                self.commit(worker);
            }
            Stage::Body => self.commit(worker),
            Stage::Holding => self.hold(worker),
            Stage::HoldAnswered => self.hear_hold(worker),
            Stage::Waiting => {
                if !self.may_hold(worker)? {
                    self.worker(worker).value.version = NONE;
                }
                self.worker(worker).stage = Stage::Bumping;
            }
            // There is no connection to say it on.
            Stage::Bumping if self.state.nodes[self.node_of(worker)].distrusts => self.queue(worker),
            Stage::Bumping => self.bump(worker),
            Stage::Bumped => self.finish(worker),
            _ => unreachable!("a writer looks for nothing"),
        }
        Some(())
    }

    fn begin_put(&mut self, worker: usize) {
        self.worker(worker).runs -= 1;
        self.worker(worker).watch = Seen::NOW;
        self.goes_on(worker, Event::Begins, Stage::Watched);
    }

    fn commit(&mut self, worker: usize) {
        self.state.row += 1;
        let row = self.state.row;
        self.worker(worker).value.row = row;
        let captured = self.state.workers[worker].value.version != NONE;
        let holds = captured && self.protocol.tagging == Tagging::ByResult;
        self.goes_on(worker, Event::Commits, if holds { Stage::Holding } else { Stage::Bumping });
        if !self.has(Guard::OwnMarksMoveAfterTheAnswer) {
            self.move_own_marks(worker);
        }
    }

    fn bump(&mut self, worker: usize) {
        let (job, value) = (self.state.workers[worker].job, self.state.workers[worker].value);
        let event = match job {
            Job::EvictTag => {
                self.bump_tag();
                Event::BumpsTheTag
            }
            Job::Put => {
                let (version, stored) = self.bump_control(Some(value));
                let put = self.worker(worker);
                put.value.version = version;
                put.yes = stored;
                if stored { Event::Stores } else { Event::StoresNot }
            }
            _ => {
                self.bump_control(None);
                Event::BumpsTheKey
            }
        };
        self.goes_on(worker, event, Stage::Bumped);
    }

    /// Redis has answered: the marks of this process move, and the writer returns.
    fn finish(&mut self, worker: usize) {
        self.move_marks_of_writer(worker);
        let row = self.state.workers[worker].value.row;
        self.state.acknowledged = row.max(self.state.acknowledged);
        self.note(Event::Returns);
        self.returns(worker);
    }

    pub(super) fn move_marks_of_writer(&mut self, worker: usize) {
        if self.state.workers[worker].job == Job::Put {
            self.replace(worker);
        } else if self.has(Guard::OwnMarksMoveAfterTheAnswer) {
            self.move_own_marks(worker);
        }
    }

    /// Confirmed or not, from here on this node owes what was written.
    pub(super) fn returns(&mut self, worker: usize) {
        let row = self.state.workers[worker].value.row;
        let own = &mut self.state.nodes[usize::from(self.state.workers[worker].node)].own;
        *own = row.max(*own);
        self.worker(worker).end();
    }

    fn move_own_marks(&mut self, worker: usize) {
        let node = self.node_of(worker);
        if self.state.workers[worker].job == Job::EvictTag {
            self.hint_tag(node);
        } else {
            self.move_stripe(node);
            self.state.nodes[node].held = None;
        }
        self.note(Event::MovesOwnMarks);
    }

    /// The new entry takes the old one's place. If something moved the marks since they were read, a later writer may be done
    /// already: Redis has to confirm the entry at its first use.
    fn replace(&mut self, worker: usize) {
        let node = self.node_of(worker);
        let put = self.state.workers[worker];
        let is_undisturbed = put.watch.stamp.stands() || !self.has(Guard::PutIsConfirmedIfDisturbed);
        self.move_stripe(node);
        let stamp = if is_undisturbed { Stamp::CURRENT } else { Stamp { stripe: false, epoch: put.watch.stamp.epoch } };
        self.state.nodes[node].held = put.yes.then_some(Held { value: put.value, stamp, provisional: None });
        if put.yes {
            self.note(if is_undisturbed { Event::ReplacesUndisturbed } else { Event::ReplacesDisturbed });
        }
    }
}
