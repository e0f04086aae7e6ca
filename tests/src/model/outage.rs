//! What becomes of commands that Redis does not answer, and of evictions that it has not confirmed.

use super::{
    event::Event,
    guards::Guard,
    state::{NODES, NONE, Redis, Value, Waiting},
    step::Turn,
    worker::{Job, Stage, Worker},
};

impl Turn {
    /// Whether a node believes what Redis says: not while an eviction waits that may be missing there. A tag that waits puts
    /// everything in doubt.
    pub(super) fn trusts(&self, node: usize) -> bool {
        let Waiting { key, tag, heal, .. } = self.state.nodes[node].waiting;
        let is_awaited = (key || tag || heal) && self.has(Guard::WaitingIsNotBelieved);
        !is_awaited && !self.state.nodes[node].distrusts
    }

    /// Whether the worker cannot use what Redis says: it is not to be asked, or an eviction went unconfirmed since it was. The
    /// latter is more careful than it has to be: the search finds nothing without it.
    pub(super) fn is_left_alone(&self, worker: usize) -> bool {
        let Worker { stage, overtaken, .. } = self.state.workers[worker];
        let node = self.node_of(worker);
        let is_refused = match stage {
            Stage::Reading | Stage::AskingTag | Stage::Capturing | Stage::Filling => !self.trusts(node),
            Stage::Holding => {
                let Waiting { key, tag, heal, .. } = self.state.nodes[node].waiting;
                let is_of_the_key = key && !(tag || heal || self.state.nodes[node].distrusts);
                !is_of_the_key && !self.trusts(node)
            }
            _ => false,
        };
        is_refused || (stage.hears() && overtaken)
    }

    /// Goes on without an answer: a call loads, and what is loaded is in no other tier; a put only evicts.
    pub(super) fn go_alone(&mut self, worker: usize) {
        let is_put = self.state.workers[worker].job == Job::Put;
        let stage = self.state.workers[worker].stage;
        let it = self.worker(worker);
        (it.asked, it.said, it.yes, it.overtaken) = (None, NONE, false, false);
        let next = match stage {
            Stage::Holding | Stage::HoldAnswered if is_put => {
                it.value.version = NONE;
                Stage::Bumping
            }
            Stage::Holding | Stage::HoldAnswered | Stage::Filling => {
                it.end();
                Stage::Idle
            }
            _ => {
                it.value = Value::default();
                Stage::Body
            }
        };
        self.goes_on(worker, Event::GoesAlone, next);
    }

    /// A command is not answered.
    pub(super) fn fail(&mut self, worker: usize) -> Option<()> {
        let stage = self.state.workers[worker].stage;
        self.state.left.failures = self.state.left.failures.checked_sub(1)?;
        match stage {
            // Whether or not Redis has executed it.
            Stage::Bumping | Stage::Bumped => self.queue(worker),
            _ if stage.hears() => {
                self.note(Event::Unanswered);
                self.go_alone(worker);
            }
            _ => return None,
        }
        Some(())
    }

    /// The eviction waits. Here it is in force at once, and whoever has asked Redis meanwhile knows.
    pub(super) fn queue(&mut self, worker: usize) {
        let (node, job, row) = {
            let writer = &self.state.workers[worker];
            (self.node_of(worker), writer.job, writer.value.row)
        };
        let waiting = &mut self.state.nodes[node].waiting;
        waiting.tag |= job == Job::EvictTag;
        waiting.key |= job != Job::EvictTag;
        waiting.row = row.max(waiting.row);
        for other in self.of_node(node).filter(|other| other.stage.hears()) {
            other.overtaken = true;
        }
        self.worker(worker).yes = false;
        self.note(Event::Waits);
        self.move_marks_of_writer(worker);
        self.returns(worker);
    }

    /// What waits on a node is put in force: now it counts as acknowledged.
    pub(super) fn replay(&mut self, node: usize) -> Option<()> {
        if self.state.nodes[node].distrusts {
            return None;
        }
        let Waiting { key, tag, heal, row } = std::mem::take(&mut self.state.nodes[node].waiting);
        if key {
            self.bump_control(None);
        }
        if tag || (heal && !self.state.healed) {
            self.bump_tag();
            self.state.healed |= heal;
        }
        self.state.acknowledged = row.max(self.state.acknowledged);
        self.note(Event::Replays);
        (key || tag || heal).then_some(())
    }

    /// Redis remembers what it holds at this moment, and no later.
    pub(super) fn save(&mut self) -> Option<()> {
        let can_save = self.state.left.rollbacks > 0 && self.state.saved.is_none();
        self.state.saved = can_save.then_some(self.state.redis);
        self.note(Event::Saves);
        can_save.then_some(())
    }

    /// Redis is gone, and comes back with what it remembers. All connections are lost; answers may still be on their way.
    pub(super) fn roll_back(&mut self) -> Option<()> {
        let saved = self.state.saved.take()?;
        self.state.left.rollbacks -= 1;
        let Redis { last_version, last_generation, .. } = self.state.redis;
        self.state.redis = saved;
        if self.has(Guard::NothingIsGivenTwice) {
            self.state.redis.last_version = last_version;
            self.state.redis.last_generation = last_generation;
        }
        for node in 0..NODES {
            self.state.nodes[node].distrusts = true;
            self.disconnect(node);
        }
        self.note(Event::ComesBackOlder);
        Some(())
    }

    /// A server that was lost is back. What it lacks has to be found out before it is believed; then everything older misses.
    pub(super) fn compare(&mut self, node: usize) {
        let marks = &mut self.state.nodes[node];
        let was_lost = std::mem::take(&mut marks.distrusts);
        if was_lost && self.protocol.guards.has(Guard::HealsWhatComesBack) {
            marks.waiting.heal = true;
            self.note(Event::Heals);
        }
    }
}
