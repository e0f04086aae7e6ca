//! One state of everything: the database's row, Redis, the nodes, and whoever is in the middle of something.

use super::{
    guards::{Guard, Guards},
    worker::{Job, Worker},
};

pub(super) const NODES: usize = 2;
pub(super) const WORKERS: usize = 4;

/// No version and no generation: what a record has that is missing, and what a cell knows that knows nothing.
pub(super) const NONE: u8 = 0;
/// The first that there ever was, of rows, versions and generations.
pub(super) const FIRST: u8 = 1;

/// How the tag of a value becomes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// By the arguments: before the load.
    Known,
    /// By the result of the load.
    ByResult,
}

/// What is the same in all states of one search.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    pub guards: Guards,
    pub tagging: Tagging,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The revision of the row in the database.
    pub row: u8,
    /// The latest revision whose writer has returned.
    pub acknowledged: u8,
    pub redis: Redis,
    pub nodes: [Node; NODES],
    pub workers: [Worker; WORKERS],
    /// What Redis would come back with.
    pub saved: Option<Redis>,
    /// Whether somebody has moved the tag since Redis came back.
    pub healed: bool,
    /// What may still go wrong.
    pub left: Faults,
}

/// How much may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Connections that are lost.
    pub losses: u8,
    /// Records that Redis loses.
    pub reclaims: u8,
    /// Commands that are not answered.
    pub failures: u8,
    /// Servers that come back as they were at some earlier moment.
    pub rollbacks: u8,
}

/// A value, and what it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value {
    pub row: u8,
    pub version: u8,
    pub generation: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redis {
    pub control: u8,
    pub payload: Option<Value>,
    pub tag: u8,
    /// The last version and the last generation that were given: time, which goes on whatever is lost.
    pub last_version: u8,
    pub last_generation: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    pub held: Option<Held>,
    pub cell: Cell,
    /// What Redis has told this node and has not arrived.
    pub hints: Hints,
    pub line: Line,
    /// The latest revision whose writer has returned on this node.
    pub own: u8,
    pub waiting: Waiting,
    /// Whether the server was lost and has not been compared since.
    pub distrusts: bool,
}

/// Evictions that Redis has not confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    pub key: bool,
    pub tag: bool,
    /// Of everything that a server may lack that came back; whoever comes first does it for all.
    pub heal: bool,
    /// The latest revision that one of them is about.
    pub row: u8,
}

/// An entry of L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub value: Value,
    pub stamp: Stamp,
    /// Of a value that was loaded while Redis could not be asked: whether no hint on the tag has come since.
    pub provisional: Option<bool>,
}

/// Whether the stripe and the epoch are what they were when somebody read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    pub stripe: bool,
    pub epoch: bool,
}

/// What a node knows of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub generation: u8,
    /// Whether the epoch is what it was before the question.
    pub epoch: bool,
}

/// The connection that a node hears changes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Live,
    /// Lost, noticed or not.
    Deaf,
    /// The first half of a new connection is done: the subscription; the fence is the second.
    Halfway,
}

/// What a hint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    Key,
    Tag,
}

/// Hints in order, one bit each behind a leading one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hints(u8);

// === impl State ===

impl State {
    /// Nothing is cached anywhere; with what may happen.
    pub fn cold(workers: &[(usize, Job)], left: Faults) -> Self {
        let mut state = Self {
            row: FIRST,
            acknowledged: FIRST,
            redis: Redis::default(),
            nodes: [Node::COLD; NODES],
            workers: [Worker::default(); WORKERS],
            saved: None,
            healed: false,
            left,
        };
        for (worker, (node, job)) in state.workers.iter_mut().zip(workers) {
            *worker = Worker { node: *node as u8, job: *job, runs: 1, ..Worker::default() };
        }
        state
    }

    /// The row is cached on every node and in Redis.
    #[must_use]
    pub fn warm(mut self) -> Self {
        let value = Value { row: FIRST, version: FIRST, generation: FIRST };
        self.redis =
            Redis { control: FIRST, payload: Some(value), tag: FIRST, last_version: FIRST, last_generation: FIRST };
        for node in &mut self.nodes {
            node.held = Some(Held { value, stamp: Stamp::CURRENT, provisional: None });
            node.cell = Cell { generation: FIRST, epoch: true };
        }
        self
    }

    /// Except on this node.
    #[must_use]
    pub fn forgotten(mut self, node: usize) -> Self {
        self.nodes[node] = Node::COLD;
        self
    }

    /// The generation that a node believes the tag to have.
    pub fn known(&self, protocol: Protocol, node: usize) -> Option<u8> {
        let cell = self.nodes[node].cell;
        let is_current = cell.epoch || !protocol.guards.has(Guard::FenceReachesCells);
        (cell.generation != NONE && is_current).then_some(cell.generation)
    }

    /// What L1 may answer without asking anybody.
    pub fn hit(&self, protocol: Protocol, node: usize) -> Option<Value> {
        let held = self.nodes[node].held.filter(|held| held.stamp.stands())?;
        let stands = match held.provisional {
            Some(unhinted) => unhinted || !protocol.guards.has(Guard::ProvisionalIsHeldToHints),
            None => self.known(protocol, node) == Some(held.value.generation),
        };
        stands.then_some(held.value)
    }
}

// === impl Node ===

impl Node {
    const COLD: Self = Self {
        held: None,
        cell: Cell { generation: NONE, epoch: true },
        hints: Hints::EMPTY,
        line: Line::Live,
        own: FIRST,
        waiting: Waiting { key: false, tag: false, heal: false, row: NONE },
        distrusts: false,
    };
}

// === impl Stamp ===

impl Stamp {
    pub const CURRENT: Self = Self { stripe: true, epoch: true };

    pub const fn stands(self) -> bool {
        self.stripe && self.epoch
    }
}

// === impl Hints ===

impl Hints {
    pub const EMPTY: Self = Self(1);

    pub const fn len(self) -> u8 {
        7 - self.0.leading_zeros() as u8
    }

    pub const fn bits(self) -> u8 {
        self.0
    }

    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Puts a hint behind the others. There are never more than seven: so few changes does a scenario make.
    pub fn push(&mut self, hint: Hint) {
        assert!(self.len() < 7, "a scenario with more changes than fit");
        self.0 = self.0 << 1 | u8::from(hint == Hint::Tag);
    }

    /// Takes the oldest hint.
    pub fn pop(&mut self) -> Option<Hint> {
        let last = self.len().checked_sub(1)?;
        let hint = if self.0 >> last & 1 == 1 { Hint::Tag } else { Hint::Key };
        self.0 = self.0 & ((1 << last) - 1) | 1 << last;
        Some(hint)
    }
}
