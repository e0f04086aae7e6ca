//! The steps that can be taken in a state, and what each leads to.

use super::{
    event::{Event, Events},
    guards::Guard,
    rules::Broken,
    state::{Line, NODES, NONE, Protocol, State, Value, WORKERS},
    worker::{Job, Stage, Worker},
};

/// Who takes the next step. What the step is, the state says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Work(usize),
    /// The same by a call that believes nothing its node knows: it is too long ago that anything was heard.
    Doubt(usize),
    /// Another call boards the flight that this worker leads.
    Board(usize),
    /// The next hint arrives at a node.
    Deliver(usize),
    Lose(usize),
    /// A command of a worker is not answered.
    Fail(usize),
    /// A node's evictions that waited are put in force.
    Replay(usize),
    /// The next half of a new connection.
    Relink(usize),
    Reclaim(Record),
    Save,
    RollBack,
}

/// What Redis may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    Control,
    Payload,
    Tag,
    All,
}

/// One step being taken.
pub(super) struct Turn {
    pub(super) state: State,
    pub(super) protocol: Protocol,
    /// Whether what the node knows is not believed.
    pub(super) doubts: bool,
    pub(super) events: Events,
    pub(super) broken: Option<Broken>,
}

// === impl Step ===

impl Step {
    /// Everybody who may have a step to take.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let workers = (0..WORKERS)
            .flat_map(|worker| [Self::Work(worker), Self::Doubt(worker), Self::Board(worker), Self::Fail(worker)]);
        let nodes =
            (0..NODES).flat_map(|node| [Self::Deliver(node), Self::Lose(node), Self::Relink(node), Self::Replay(node)]);
        let records = [Record::Control, Record::Payload, Record::Tag, Record::All].map(Self::Reclaim);
        workers.chain(nodes).chain(records).chain([Self::Save, Self::RollBack])
    }
}

// === impl Turn ===

impl Turn {
    pub(super) fn new(protocol: Protocol, state: &State) -> Self {
        Self { state: *state, protocol, doubts: false, events: Events::default(), broken: None }
    }

    /// Takes a step, if it can be taken.
    pub(super) fn take(mut self, step: Step) -> Option<Self> {
        match step {
            Step::Work(worker) => self.work(worker)?,
            Step::Doubt(worker) => self.doubt(worker)?,
            Step::Board(worker) => self.board(worker)?,
            Step::Deliver(node) => self.deliver(node)?,
            Step::Fail(worker) => self.fail(worker)?,
            Step::Replay(node) => self.replay(node)?,
            Step::Lose(node) => self.lose(node)?,
            Step::Relink(node) => self.relink(node)?,
            Step::Save => self.save()?,
            Step::RollBack => self.roll_back()?,
            Step::Reclaim(record) => self.reclaim(record)?,
        }
        Some(self)
    }

    pub(super) fn has(&self, guard: Guard) -> bool {
        self.protocol.guards.has(guard)
    }

    pub(super) fn note(&mut self, event: Event) {
        self.events.note(event);
    }

    pub(super) fn worker(&mut self, worker: usize) -> &mut Worker {
        &mut self.state.workers[worker]
    }

    /// What the worker does next, and what this step did.
    pub(super) fn goes_on(&mut self, worker: usize, event: Event, stage: Stage) {
        self.note(event);
        self.worker(worker).stage = stage;
    }

    fn work(&mut self, worker: usize) -> Option<()> {
        let Worker { job, stage, runs, .. } = self.state.workers[worker];
        if stage == Stage::Idle && runs == 0 {
            return None;
        }
        if self.is_left_alone(worker) {
            self.go_alone(worker);
            return Some(());
        }
        match job {
            Job::Nothing => return None,
            Job::Call => self.call(worker)?,
            Job::Evict | Job::EvictTag | Job::Put => self.write(worker)?,
        }
        Some(())
    }

    fn doubt(&mut self, worker: usize) -> Option<()> {
        let Worker { node, job, stage, .. } = self.state.workers[worker];
        let is_heard = self.state.nodes[usize::from(node)].line == Line::Live;
        let may_ask = matches!(stage, Stage::Idle | Stage::Watched | Stage::Reading | Stage::AskingTag);
        if is_heard || job != Job::Call || !may_ask {
            return None;
        }
        self.doubts = true;
        self.work(worker)
    }

    fn reclaim(&mut self, record: Record) -> Option<()> {
        let redis = &mut self.state.redis;
        let (has_control, has_tag, payload) = (redis.control != NONE, redis.tag != NONE, redis.payload);
        let event = match record {
            Record::Control if has_control => Event::ReclaimsControl,
            Record::Payload if payload.is_some() => Event::ReclaimsPayload,
            Record::Tag if has_tag => Event::ReclaimsTag,
            Record::All if has_control || has_tag || payload.is_some() => Event::Flushed,
            _ => return None,
        };
        self.state.left.reclaims = self.state.left.reclaims.checked_sub(1)?;
        if matches!(record, Record::Control | Record::All) {
            redis.control = NONE;
        }
        if matches!(record, Record::Payload | Record::All) {
            redis.payload = None::<Value>;
        }
        if matches!(record, Record::Tag | Record::All) {
            redis.tag = NONE;
        }
        self.note(event);
        Some(())
    }
}
