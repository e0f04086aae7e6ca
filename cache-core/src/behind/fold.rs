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

/// Folds entries, in their order, over what is kept to be tried again. At `millis`, some of that is due: no more than `retries` of it,
/// what is due the longest first.
pub(super) fn fold(
    entries: Vec<JournalEntry>,
    parked: &BTreeMap<String, (Key, Parked)>,
    millis: u64,
    retries: usize,
) -> Fold {
    let mut due: Vec<_> = parked.iter().filter(|(_, (_, parked))| parked.retry_at <= millis).collect();
    if due.len() > retries {
        due.sort_by_key(|(_, (_, parked))| parked.retry_at);
        due.truncate(retries);
    }
    let due = due.into_iter().map(|(wire, (key, parked))| (wire.clone(), (key.clone(), parked.clone())));
    let mut all: BTreeMap<String, (Key, Parked)> = due.collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_are_tried_again_at_once_and_those_first_that_are_due_the_longest() {
        let parked = |id: u64, retry_at| {
            let key = Key::new("product").arg(id);
            (key.wire(), (key, Parked { retry_at, ..Parked::default() }))
        };
        let all = BTreeMap::from([parked(1, 50), parked(2, 10), parked(3, 30), parked(4, 200)]);
        let now: Vec<u64> = fold(Vec::new(), &all, 100, 2).now.values().map(|(_, parked)| parked.retry_at).collect();
        assert_eq!(now, [10, 30]);
        assert_eq!(fold(Vec::new(), &all, 100, 9).now.len(), 3);
    }
}
