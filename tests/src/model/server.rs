//! Redis: what each script and each question makes of the records, and whom it tells.

use super::{
    guards::Guard,
    state::{FIRST, Hint, Line, NONE, Value},
    step::Turn,
};

impl Turn {
    /// Whether a record that is at `current` is at `expected`. A missing record equals nothing.
    pub(super) fn equals(&self, current: u8, expected: u8) -> bool {
        let is_missing = current == NONE;
        if is_missing { !self.has(Guard::MissingIsAMiss) } else { current == expected }
    }

    /// The version of the key, made if there is none. Silent.
    pub(super) fn acquire_control(&mut self) -> u8 {
        if self.state.redis.control == NONE {
            self.state.redis.control = self.new_version();
        }
        self.state.redis.control
    }

    /// The generation of the tag, made if there is none. Silent.
    pub(super) fn acquire_tag(&mut self) -> u8 {
        if self.state.redis.tag == NONE {
            self.state.redis.tag = self.new_generation();
        }
        self.state.redis.tag
    }

    /// The payload, if it counts.
    pub(super) fn payload(&self) -> Option<Value> {
        let redis = &self.state.redis;
        redis.payload.filter(|payload| self.equals(redis.control, payload.version))
    }

    /// Stores what was loaded; whether it did. Silent.
    pub(super) fn fill(&mut self, value: Value) -> bool {
        let redis = &mut self.state.redis;
        if redis.control == value.version {
            redis.payload = Some(value);
            return true;
        }
        if self.has(Guard::FillByVersion) {
            return false;
        }
        // Under whatever version there is now.
        let version = self.state.redis.control;
        self.state.redis.payload = Some(Value { version, ..value });
        true
    }

    /// Moves the key to a new version and tells everybody; stores the value of a put if the key was where the writer saw it.
    /// Answers the version and whether it stored.
    pub(super) fn bump_control(&mut self, put: Option<Value>) -> (u8, bool) {
        let before = self.state.redis.control;
        let version = self.new_version();
        self.state.redis.control = version;
        let compares = self.has(Guard::PutCompares);
        let put = put.filter(|put| put.version != NONE && (before == put.version || !compares));
        if let Some(put) = put {
            self.state.redis.payload = Some(Value { version, ..put });
        }
        self.tell(Hint::Key);
        (version, put.is_some())
    }

    /// Moves the tag to a new generation and tells everybody.
    pub(super) fn bump_tag(&mut self) {
        self.state.redis.tag = self.new_generation();
        self.tell(Hint::Tag);
    }

    /// Whether Redis has this node among those that it tells.
    pub(super) fn is_told(&self, node: usize) -> bool {
        match self.state.nodes[node].line {
            Line::Live => true,
            Line::Deaf => false,
            Line::Halfway => self.has(Guard::FenceAfterTheSubscription),
        }
    }

    fn tell(&mut self, hint: Hint) {
        for node in 0..self.state.nodes.len() {
            if self.is_told(node) {
                self.state.nodes[node].hints.push(hint);
            }
        }
    }

    fn new_version(&mut self) -> u8 {
        let restarts = self.state.redis.control == NONE && !self.has(Guard::MissingIsMadeAnew);
        next(&mut self.state.redis.last_version, restarts)
    }

    fn new_generation(&mut self) -> u8 {
        let restarts = self.state.redis.tag == NONE && !self.has(Guard::MissingIsMadeAnew);
        next(&mut self.state.redis.last_generation, restarts)
    }
}

/// One more than ever before; or, where a record that is missing begins again, the first.
fn next(last: &mut u8, restarts: bool) -> u8 {
    if restarts {
        *last = FIRST.max(*last);
        return FIRST;
    }
    *last += 1;
    *last
}
