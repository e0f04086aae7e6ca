//! A state in a few words, to be looked up: twice as small, and compared at once.

use super::{
    state::{Faults, Held, NODES, Node, Redis, Stamp, State, Value, WORKERS},
    worker::{Seen, Stage, Worker},
};

/// A state, and no other's.
pub(super) type Packed = [u64; 2 + NODES + WORKERS];

/// A word that is filled from below.
#[derive(Default)]
struct Word {
    bits: u64,
    used: u32,
}

// === impl State ===

impl State {
    pub(super) fn packed(&self) -> Packed {
        let mut packed = Packed::default();
        let mut rest = Word::default();
        let Faults { losses, reclaims, failures, rollbacks } = self.left;
        for number in [self.row, self.acknowledged, losses, reclaims, failures, rollbacks] {
            rest.number(number);
        }
        rest.flag(self.healed);
        rest.flag(self.saved.is_some());
        rest.records(self.saved.unwrap_or_default());
        packed[0] = rest.bits;
        let mut redis = Word::default();
        redis.records(self.redis);
        packed[1] = redis.bits;
        for (word, node) in packed[2..].iter_mut().zip(&self.nodes) {
            *word = of_node(node);
        }
        for (word, worker) in packed[2 + NODES..].iter_mut().zip(&self.workers) {
            *word = of_worker(worker);
        }
        packed
    }
}

fn of_node(node: &Node) -> u64 {
    let mut word = Word::default();
    if let Some(Held { value, stamp, provisional }) = node.held {
        word.flag(true);
        word.value(value);
        word.stamp(stamp);
        word.flag(provisional.is_some());
        word.flag(provisional.unwrap_or_default());
    } else {
        word.skip(17);
    }
    word.number(node.cell.generation);
    word.flag(node.cell.epoch);
    word.push(node.hints.bits().into(), 8);
    word.number(node.line as u8);
    word.number(node.own);
    word.flag(node.waiting.key);
    word.flag(node.waiting.tag);
    word.flag(node.waiting.heal);
    word.flag(node.distrusts);
    word.number(node.waiting.row);
    word.bits
}

fn of_worker(worker: &Worker) -> u64 {
    let mut word = Word::default();
    word.number(worker.node);
    word.number(worker.job as u8);
    word.number(worker.runs);
    word.push(worker.stage as u64, 5);
    if worker.stage == Stage::Idle {
        // Of what is over nothing is remembered.
        return word.bits;
    }
    word.seen(worker.watch);
    word.flag(worker.asked.is_some());
    word.seen(worker.asked.unwrap_or_default());
    word.value(worker.value);
    word.number(worker.said);
    word.flag(worker.yes);
    word.flag(worker.overtaken);
    word.number(worker.barrier);
    word.number(worker.owed);
    word.number(worker.boarded);
    word.bits
}

// === impl Word ===

impl Word {
    fn push(&mut self, bits: u64, width: u32) {
        assert!(bits < 1 << width, "a scenario with larger numbers than fit");
        self.bits |= bits << self.used;
        self.skip(width);
    }

    fn skip(&mut self, width: u32) {
        self.used += width;
        assert!(self.used <= u64::BITS, "more than a word has room for");
    }

    fn number(&mut self, number: u8) {
        self.push(number.into(), 4);
    }

    fn flag(&mut self, flag: bool) {
        self.push(flag.into(), 1);
    }

    fn records(&mut self, redis: Redis) {
        for number in [redis.control, redis.tag, redis.last_version, redis.last_generation] {
            self.number(number);
        }
        self.flag(redis.payload.is_some());
        self.value(redis.payload.unwrap_or_default());
    }

    fn value(&mut self, value: Value) {
        let Value { row, version, generation } = value;
        assert!(row | version | generation < 16, "a scenario with larger numbers than fit");
        self.push(u64::from(row) | u64::from(version) << 4 | u64::from(generation) << 8, 12);
    }

    fn stamp(&mut self, stamp: Stamp) {
        self.push(u64::from(stamp.stripe) | u64::from(stamp.epoch) << 1, 2);
    }

    fn seen(&mut self, seen: Seen) {
        self.stamp(seen.stamp);
        self.flag(seen.unhinted);
    }
}
