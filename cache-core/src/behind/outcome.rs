//! What becomes of each key of a batch.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    Tuning,
    sink::{Operation, Written},
};
use crate::{
    journal::{Parked, Position},
    key::Key,
};

/// The pause before a refused write is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// What a batch came to. By the texts of keys.
pub(super) struct Outcome {
    /// Redis time.
    millis: u64,
    pub(super) cursor: Position,
    pub(super) flushed: HashMap<String, (Key, Position)>,
    pub(super) parked: BTreeMap<String, (Key, Parked)>,
    pub(super) evict: HashMap<String, Key>,
    pub(super) dead: BTreeMap<String, (Key, Parked)>,
}

impl Outcome {
    pub(super) fn new(cursor: Position, later: BTreeMap<String, (Key, Parked)>, millis: u64) -> Self {
        let (flushed, evict, dead) = (HashMap::new(), HashMap::new(), BTreeMap::new());
        Self { millis, cursor, flushed, parked: later, evict, dead }
    }

    /// What became of the first part of a key's changes; the rest of them is for the next batch.
    pub(super) fn add(
        &mut self,
        key: &Key,
        parked: &Parked,
        operation: &impl IsIncrement,
        written: Written,
        last: u64,
        tuning: &Tuning,
    ) {
        match written {
            Written::Applied => self.written(key, parked, operation.is_increment()),
            Written::Newer(row) if row <= last => self.written(key, parked, operation.is_increment()),
            Written::Newer(row) => {
                let reason = format!("the row has the version {row}, which is newer than anything that was journaled");
                self.give_up(key, Parked { reason, ..parked.clone() });
            }
            Written::Refused(reason) => self.refuse(key, parked.clone(), reason, tuning),
        }
    }

    fn written(&mut self, key: &Key, parked: &Parked, is_increment: bool) {
        let wire = key.wire();
        if let Some((_, position, _)) = &parked.replaced {
            self.flushed.insert(wire.clone(), (key.clone(), *position));
            if !parked.increments.is_empty() {
                let rest = Parked { increments: parked.increments.clone(), ..Parked::default() };
                self.parked.insert(wire.clone(), (key.clone(), rest));
            }
        }
        if is_increment {
            self.evict.insert(wire, key.clone());
        }
    }

    pub(super) fn refuse(&mut self, key: &Key, parked: Parked, reason: String, tuning: &Tuning) {
        let attempts = parked.attempts + 1;
        let pause = (FIRST_PAUSE * 2_u32.saturating_pow(attempts.min(16))).min(LAST_PAUSE);
        let retry_at = self.millis + pause.as_millis() as u64;
        let parked = Parked { attempts, retry_at, reason, ..parked };
        if parked.attempts >= tuning.attempts {
            return self.give_up(key, parked);
        }
        self.parked.insert(key.wire(), (key.clone(), parked));
    }

    fn give_up(&mut self, key: &Key, parked: Parked) {
        let wire = key.wire();
        if let Some((_, position, _)) = &parked.replaced {
            self.flushed.insert(wire.clone(), (key.clone(), *position));
        }
        self.evict.insert(wire.clone(), key.clone());
        self.dead.insert(wire, (key.clone(), parked));
    }
}

/// Whether an operation adds to what is there.
pub(super) trait IsIncrement {
    fn is_increment(&self) -> bool;
}

impl<T> IsIncrement for Operation<T> {
    fn is_increment(&self) -> bool {
        matches!(self, Self::Increment(_))
    }
}
