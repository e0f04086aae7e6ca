//! What the changes of one batch come to, key by key: the last put or delete wins, increments add up behind it.

use std::collections::BTreeMap;

use crate::{
    journal::{JournalEntry, MAX_INCREMENTS, Parked},
    key::Key,
};

/// What is to be written now, and what is for later; by the texts of keys.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub(super) now: BTreeMap<String, (Key, Parked)>,
    /// Keys that wait, with what came for them.
    pub(super) later: BTreeMap<String, (Key, Parked)>,
}

/// Folds entries, in their order, over what is kept to be tried again. At `millis`, some of that is due.
pub(super) fn fold(entries: Vec<JournalEntry>, parked: &BTreeMap<String, (Key, Parked)>, millis: u64) -> Fold {
    let mut all: BTreeMap<String, (Key, Parked)> = BTreeMap::new();
    for (wire, (key, parked)) in parked {
        if parked.retry_at <= millis {
            all.insert(wire.clone(), (key.clone(), parked.clone()));
        }
    }
    for entry in entries {
        let wire = entry.key.wire();
        let (_, changes) = all.entry(wire).or_insert_with_key(|wire| {
            let before = parked.get(wire).map(|(_, parked)| parked.clone()).unwrap_or_default();
            (entry.key.clone(), before)
        });
        changes.add(entry);
    }
    let mut fold = Fold::default();
    for (wire, (key, changes)) in all {
        let waits = changes.retry_at > millis && changes.increments.len() < MAX_INCREMENTS;
        let to = if waits { &mut fold.later } else { &mut fold.now };
        to.insert(wire, (key, changes));
    }
    fold
}
