//! What was written and acknowledged, and what the database may hold after it.

use std::collections::{BTreeMap, HashSet};

use super::work::{Doing, Found, doing};

/// A row of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) op: i64,
    pub(crate) pieces: i64,
    pub(crate) version: u64,
}

/// What the database noted of a change of a row, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub(crate) id: u32,
    pub(crate) version: u64,
}

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Something that was acknowledged is not there, or something older stands in its place.
    Lost,
    /// A version went back, or is another than the one that was acknowledged.
    Order,
    /// A deleted row is there.
    Resurrected,
    /// More was added than anybody can have added.
    Twice,
    /// A write was given up that nothing refused.
    Dead,
    /// The journal was not flushed in time.
    Stuck,
}

/// Something that is broken, for people.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub detail: String,
}

/// What one key went through.
#[derive(Debug, Default)]
struct Key {
    /// The number of its next write.
    next: u64,
    /// What the database had when all was flushed last.
    settled: Found,
    /// Writes since then; without a version, whether they were journaled is not known.
    tried: Vec<(u64, Option<u64>)>,
    /// The highest version that was acknowledged, and that the database noted.
    acknowledged: u64,
    noted: u64,
}

/// All keys.
#[derive(Debug)]
pub(crate) struct Ledger {
    seed: u64,
    keys: BTreeMap<u32, Key>,
    pub(crate) acknowledged: u64,
    pub(crate) uncertain: u64,
    /// Errors of writers, by their texts.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) violations: Vec<Violation>,
}

// === impl Rule ===

impl Rule {
    pub const ALL: [Self; 6] = [Self::Lost, Self::Order, Self::Resurrected, Self::Twice, Self::Dead, Self::Stuck];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Order => "out of order",
            Self::Resurrected => "resurrected",
            Self::Twice => "added twice",
            Self::Dead => "dead letters",
            Self::Stuck => "stuck",
        }
    }
}

// === impl Ledger ===

impl Ledger {
    pub(crate) fn new(seed: u64, keys: u32) -> Self {
        let keys = (0..keys).map(|id| (id, Key::default())).collect();
        let (errors, violations) = (BTreeMap::new(), Vec::new());
        Self { seed, keys, acknowledged: 0, uncertain: 0, errors, violations }
    }

    /// The number of each key's next write.
    pub(crate) fn next(&self, ids: std::ops::Range<u32>) -> Vec<(u32, u64)> {
        self.keys.range(ids).map(|(id, key)| (*id, key.next)).collect()
    }

    /// A writer said what became of a write.
    pub(crate) fn did(&mut self, id: u32, op: u64, said: Result<u64, String>) {
        let Some(key) = self.keys.get_mut(&id) else { return };
        match &said {
            Ok(version) => {
                self.acknowledged += 1;
                if *version <= key.acknowledged {
                    let detail = format!("key {id}, write {op}: {version} came after {}", key.acknowledged);
                    self.violations.push(Violation { rule: Rule::Order, detail });
                }
                key.acknowledged = key.acknowledged.max(*version);
            }
            Err(error) => {
                self.uncertain += 1;
                *self.errors.entry(error.clone()).or_default() += 1;
            }
        }
        key.tried.push((op, said.ok()));
        key.next = op + 1;
    }

    /// The writer of these keys was killed: of each, a write may have been under way.
    pub(crate) fn cut(&mut self, ids: std::ops::Range<u32>) {
        for (_, key) in self.keys.range_mut(ids) {
            self.uncertain += 1;
            key.tried.push((key.next, None));
            key.next += 1;
        }
    }

    pub(crate) fn violate(&mut self, rule: Rule, detail: String) {
        self.violations.push(Violation { rule, detail });
    }

    /// Holds what the database has, now that all is flushed, and what it noted since the last time, against what it may have.
    pub(crate) fn judge(&mut self, rows: &BTreeMap<u32, Row>, noted: &[Noted]) {
        for note in noted {
            let Some(key) = self.keys.get_mut(&note.id) else { continue };
            if note.version <= key.noted {
                let detail = format!("key {}: the row had {}, and {} after it", note.id, key.noted, note.version);
                self.violations.push(Violation { rule: Rule::Order, detail });
            }
            key.noted = key.noted.max(note.version);
        }
        for (id, key) in &mut self.keys {
            let row = rows.get(id).copied();
            let found = key.verdict(self.seed, *id, row);
            if let Err((rule, why)) = found {
                let detail = format!("key {id}: found {row:?}, {why}; since {:?}: {:?}", key.settled, key.tried);
                self.violations.push(Violation { rule, detail });
            }
            key.settled = row.map(|row| (row.op, row.pieces));
            key.tried.clear();
        }
    }
}

// === impl Key ===

impl Key {
    fn verdict(&self, seed: u64, id: u32, row: Option<Row>) -> Result<(), (Rule, String)> {
        let found: Found = row.map(|row| (row.op, row.pieces));
        let possible = self.possible(|op| doing(seed, id, op));
        if !possible.contains(&found) {
            return Err(Self::what_is_wrong(found, &possible));
        }
        // The last one that was acknowledged gave the row its version, unless something came after it.
        let last = self.tried.iter().rposition(|(_, version)| version.is_some());
        if let (Some(row), Some(at)) = (row, last)
            && let (_, Some(version)) = self.tried[at]
        {
            let is_last = at + 1 == self.tried.len();
            if row.version < version || (is_last && row.version != version) {
                return Err((Rule::Order, format!("and {version} was acknowledged")));
            }
        }
        Ok(())
    }

    /// What may be there: each uncertain write happened, or it did not.
    fn possible(&self, doing: impl Fn(u64) -> Doing) -> HashSet<Found> {
        let mut all = HashSet::from([self.settled]);
        for (op, version) in &self.tried {
            let after = all.iter().map(|found| doing(*op).after(*op, *found));
            all = if version.is_some() { after.collect() } else { all.iter().copied().chain(after).collect() };
        }
        all
    }

    fn what_is_wrong(found: Found, possible: &HashSet<Found>) -> (Rule, String) {
        let rows: Vec<(i64, i64)> = possible.iter().flatten().copied().collect();
        let Some((op, pieces)) = found else {
            return (Rule::Lost, format!("and there is a row: {rows:?}"));
        };
        if rows.is_empty() {
            return (Rule::Resurrected, "and the row was deleted".to_owned());
        }
        let same = rows.iter().filter(|(put, _)| *put == op).map(|(_, pieces)| *pieces);
        let rule = match same.max() {
            Some(most) if pieces > most => Rule::Twice,
            _ => Rule::Lost,
        };
        (rule, format!("and it is one of {rows:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 7;

    /// What a key came to whose writes were answered so, for a row with these pieces of the write before them.
    fn verdict(id: u32, answered: &[bool], change: impl Fn(Found) -> Found) -> Option<Rule> {
        let mut ledger = Ledger::new(SEED, 3);
        let mut found = None;
        for (op, is_answered) in answered.iter().enumerate() {
            let op = op as u64;
            ledger.did(id, op, if *is_answered { Ok(op + 1) } else { Err("late".to_owned()) });
            found = doing(SEED, id, op).after(op, found);
        }
        let row = change(found).map(|(op, pieces)| Row { op, pieces, version: answered.len() as u64 });
        ledger.judge(&row.map(|row| (id, row)).into_iter().collect(), &[]);
        ledger.violations.first().map(|violation| violation.rule)
    }

    #[test]
    fn a_counter_is_exact_but_for_what_nobody_knows() {
        let last = match doing(SEED, 1, 2) {
            Doing::Increment(by) => by,
            other => panic!("{other:?}"),
        };
        assert_eq!(verdict(1, &[true; 3], |found| found), None);
        assert_eq!(verdict(1, &[true; 3], |found| found.map(|(op, pieces)| (op, pieces + 1))), Some(Rule::Twice));
        assert_eq!(verdict(1, &[true; 3], |found| found.map(|(op, pieces)| (op, pieces - last))), Some(Rule::Lost));
        let is_uncertain = [true, true, false];
        assert_eq!(verdict(1, &is_uncertain, |found| found), None);
        assert_eq!(verdict(1, &is_uncertain, |found| found.map(|(op, pieces)| (op, pieces - last))), None);
        assert_eq!(verdict(1, &is_uncertain, |_| None), Some(Rule::Lost));
    }

    #[test]
    fn a_row_is_the_last_one_that_was_acknowledged() {
        let deletes: Vec<u64> = (0..50).filter(|op| doing(SEED, 0, *op) == Doing::Delete).collect();
        let deleted = deletes[0] as usize + 1;
        assert_eq!(verdict(0, &vec![true; deleted], |found| found), None);
        assert_eq!(verdict(0, &vec![true; deleted], |_| Some((0, 1))), Some(Rule::Resurrected));
        let put = (1..50).find(|op| matches!(doing(SEED, 0, *op), Doing::Put(_))).unwrap() as usize + 1;
        assert_eq!(verdict(0, &vec![true; put], |found| found), None);
        assert_eq!(verdict(0, &vec![true; put], |_| None), Some(Rule::Lost));
        assert_eq!(verdict(0, &vec![true; put], |found| found.map(|(op, pieces)| (op - 1, pieces))), Some(Rule::Lost));
    }

    #[test]
    fn versions_that_go_back_are_found_in_acknowledgements_and_in_the_database() {
        let mut ledger = Ledger::new(SEED, 1);
        ledger.did(0, 0, Ok(5));
        ledger.did(0, 1, Ok(5));
        assert_eq!(ledger.violations.len(), 1);
        let noted = [5, 7, 6].map(|version| Noted { id: 0, version });
        ledger.judge(&BTreeMap::new(), &noted);
        assert!(ledger.violations.iter().filter(|violation| violation.rule == Rule::Order).count() == 2);
    }
}
