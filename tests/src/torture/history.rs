//! What the nodes reported, and whether it was right.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    clock::Moment,
    database::Commit,
    faults::Fault,
    report::{Change, Read, Report, Status},
    shop::LOTS,
};

/// No call takes longer than this: some waits for others' loads and budgets.
const PROMPT: Duration = Duration::from_secs(2);

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A read reflects every change acknowledged longer ago than the bound.
    Bounded,
    /// A node's own reads reflect its own changes at once.
    OwnWrites,
    /// A row is never another's.
    Genuine,
    /// No call waits for long.
    Prompt,
    /// When all is quiet, every node gives the last version.
    Settled,
    /// Every node is in order again some time after each fault.
    Healed,
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub detail: String,
}

/// A stretch of time in which the servers may not have had what they had acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loss {
    /// From when on what was acknowledged was lost.
    pub(crate) from: Moment,
    /// When it was back without.
    pub(crate) at: Moment,
    /// When every node had noticed, and was in order again.
    pub(crate) healed: Option<Moment>,
}

/// A fault, from its beginning until every node was in order again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) fault: Fault,
    pub(crate) begun: Moment,
    /// When it was taken back.
    pub(crate) over: Moment,
    pub(crate) ended: Moment,
}

/// What is known of the reads that began under one kind of fault.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub injected: usize,
    /// Reads that were held against all changes.
    pub checks: usize,
    /// Of these, answered by the process itself.
    pub local: usize,
    pub violations: usize,
    /// The longest time by which a read missed an acknowledged change.
    pub stalest: Duration,
    /// The longest call.
    pub longest: Duration,
    /// From the end of each injection until every node was in order again.
    pub in_order_after: Vec<Duration>,
}

/// Everything that happened to one deployment.
#[derive(Debug, Default)]
pub(crate) struct History {
    reads: Vec<(u64, Read)>,
    changes: Vec<(u64, Change)>,
    status: HashMap<u64, Status>,
    pub(crate) losses: Vec<Loss>,
    pub(crate) windows: Vec<Window>,
    /// Nodes that were stopped, and until when.
    pub(crate) stopped: Vec<(u64, Moment, Moment)>,
    pub(crate) killed: Vec<u64>,
    pub(crate) violations: Vec<Violation>,
}

/// Changes in the order of the moments from which on they have to be reflected, with the highest version so far.
#[derive(Default)]
struct Wanted(Vec<(Moment, u64)>);

/// The changes by what they reach: a row, and entries of a lot; and the same of each node's own.
#[derive(Default)]
struct Reach {
    of_all: HashMap<(u64, u64), Wanted>,
    of_node: HashMap<(u64, u64, u64), Wanted>,
}

// === impl History ===

impl History {
    pub(crate) fn take(&mut self, node: u64, report: Report) {
        match report {
            Report::Read(read) => self.reads.push((node, read)),
            Report::Change(change) => self.changes.push((node, change)),
            Report::Status(status) => {
                self.status.insert(node, status);
            }
            Report::Wrong(what) => self.violate(Rule::Genuine, format!("node {node}: {what}")),
        }
    }

    pub(crate) fn violate(&mut self, rule: Rule, detail: String) {
        self.violations.push(Violation { rule, detail });
    }

    pub(crate) fn status(&self, node: u64) -> Option<Status> {
        self.status.get(&node).cloned()
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.len()
    }

    pub(crate) fn changes(&self) -> (usize, usize) {
        (self.changes.len(), self.changes.iter().filter(|(_, change)| change.applied).count())
    }

    /// Holds every read against every change; answers what there was of each kind of fault, and of none.
    pub(crate) fn check(&mut self, bound: Duration) -> BTreeMap<Option<Fault>, Tally> {
        let reach = self.reach();
        let mut tallies: BTreeMap<Option<Fault>, Tally> = BTreeMap::new();
        for window in &self.windows {
            let tally = tallies.entry(Some(window.fault)).or_default();
            tally.injected += 1;
            tally.in_order_after.push(window.ended.since(window.over));
        }
        let mut found = Vec::new();
        for (node, read) in &self.reads {
            let tally = tallies.entry(self.fault_at(read.begun)).or_default();
            tally.checks += 1;
            tally.local += usize::from(read.local);
            let took = read.ended.since(read.begun);
            if !self.was_stopped(*node, read) {
                tally.longest = tally.longest.max(took);
                if took > PROMPT {
                    found.push((Rule::Prompt, format!("node {node}, {read:?}: took {took:?}")));
                    tally.violations += 1;
                }
            }
            // Nothing was cached: nothing is said of the row.
            let Some(version) = read.version else { continue };
            let key = (read.id, version % LOTS);
            let missed = |wanted: &Wanted| wanted.missed(version, read.begun);
            if let Some(wanted) = reach.of_all.get(&key).and_then(missed) {
                let staleness = read.begun.since(wanted);
                tally.stalest = tally.stalest.max(staleness);
                if staleness >= bound {
                    found.push((Rule::Bounded, format!("node {node}, {read:?}: misses a change by {staleness:?}")));
                    tally.violations += 1;
                }
            }
            if let Some(wanted) = reach.of_node.get(&(*node, key.0, key.1)).and_then(missed) {
                let staleness = read.begun.since(wanted);
                found.push((Rule::OwnWrites, format!("node {node}, {read:?}: misses its own change by {staleness:?}")));
                tally.violations += 1;
            }
        }
        for (rule, detail) in found {
            self.violate(rule, detail);
        }
        tallies
    }

    fn reach(&self) -> Reach {
        let mut reach = Reach::default();
        for (node, change) in &self.changes {
            for (id, version) in &change.rows {
                for lot in (0..LOTS).filter(|lot| change.lot.is_none_or(|only| only == *lot)) {
                    reach.of_node.entry((*node, *id, lot)).or_default().0.push((change.ended, *version));
                    if let Some(in_force) = self.in_force(change) {
                        reach.of_all.entry((*id, lot)).or_default().0.push((in_force, *version));
                    }
                }
            }
        }
        reach.of_all.values_mut().for_each(Wanted::arrange);
        reach.of_node.values_mut().for_each(Wanted::arrange);
        reach
    }

    /// From when on a change counts as acknowledged: one that the servers lost, when the loss was healed.
    fn in_force(&self, change: &Change) -> Option<Moment> {
        if !change.applied {
            return None;
        }
        let lost = self.losses.iter().filter(|loss| loss.from <= change.ended && change.ended <= loss.at);
        lost.map(|loss| loss.healed).try_fold(change.ended, |latest, healed| Some(latest.max(healed?)))
    }

    /// Reads after `quiet` that do not give what every node has to have come to.
    pub(crate) fn settled(&mut self, quiet: Moment, commits: &[Commit]) -> usize {
        let is_lost =
            |change: &Change| self.losses.iter().any(|loss| loss.from <= change.ended && change.ended <= loss.at);
        let by_the_living = commits.iter().filter(|commit| !self.killed.contains(&commit.node));
        let by_the_living = by_the_living.map(|commit| (commit.id, commit.version, commit.lot));
        let acknowledged =
            self.changes.iter().map(|(_, change)| change).filter(|change| change.applied && !is_lost(change));
        let acknowledged =
            acknowledged.flat_map(|change| change.rows.iter().map(|(id, version)| (*id, *version, change.lot)));
        let mut wanted: HashMap<(u64, u64), u64> = HashMap::new();
        for (id, version, lot) in by_the_living.chain(acknowledged) {
            for lot in (0..LOTS).filter(|of| lot.is_none_or(|only| only == *of)) {
                let highest = wanted.entry((id, lot)).or_default();
                *highest = version.max(*highest);
            }
        }
        let mut checked = 0;
        let mut found = Vec::new();
        for (node, read) in self.reads.iter().filter(|(_, read)| read.begun > quiet) {
            let Some(version) = read.version else { continue };
            checked += 1;
            let highest = wanted.get(&(read.id, version % LOTS)).copied().unwrap_or(0);
            if version < highest {
                found.push(format!("node {node}, {read:?}: {highest} was committed"));
            }
        }
        for detail in found {
            self.violate(Rule::Settled, detail);
        }
        checked
    }

    fn fault_at(&self, moment: Moment) -> Option<Fault> {
        let after = self.windows.partition_point(|window| window.begun <= moment);
        let window = self.windows.get(after.checked_sub(1)?)?;
        (moment <= window.ended).then_some(window.fault)
    }

    fn was_stopped(&self, node: u64, read: &Read) -> bool {
        self.stopped.iter().any(|(stopped, from, to)| *stopped == node && read.begun <= *to && *from <= read.ended)
    }
}

// === impl Wanted ===

impl Wanted {
    fn arrange(&mut self) {
        self.0.sort_unstable();
        let mut highest = 0;
        for (_, version) in &mut self.0 {
            highest = highest.max(*version);
            *version = highest;
        }
    }

    /// Since when a read that began then should have given a newer version, if it should have.
    fn missed(&self, version: u64, begun: Moment) -> Option<Moment> {
        let first_newer = self.0.partition_point(|(_, highest)| *highest <= version);
        self.0.get(first_newer).map(|(wanted, _)| *wanted).filter(|wanted| *wanted < begun)
    }
}

// === impl Rule ===

impl Rule {
    /// What it is called in a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounded => "bounded staleness",
            Self::OwnWrites => "own writes",
            Self::Genuine => "genuine values",
            Self::Prompt => "prompt calls",
            Self::Settled => "settled",
            Self::Healed => "healed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(at: u64, version: u64) -> Read {
        Read { id: 7, begun: Moment(at), ended: Moment(at + 1), version: Some(version), local: true }
    }

    fn change(at: u64, version: u64) -> Change {
        Change { ended: Moment(at), applied: true, lot: None, rows: vec![(7, version)] }
    }

    fn broken(reads: &[(u64, Read)], changes: &[(u64, Change)], losses: &[Loss]) -> Vec<Rule> {
        let mut history = History { losses: losses.to_vec(), ..History::default() };
        for (node, read) in reads {
            history.take(*node, Report::Read(*read));
        }
        for (node, change) in changes {
            history.take(*node, Report::Change(change.clone()));
        }
        history.check(Duration::from_nanos(100));
        history.violations.iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_read_may_be_as_old_as_the_bound_and_no_older() {
        assert_eq!(broken(&[(1, read(199, 1))], &[(2, change(100, 2))], &[]), []);
        assert_eq!(broken(&[(1, read(200, 1))], &[(2, change(100, 2))], &[]), [Rule::Bounded]);
        assert_eq!(broken(&[(1, read(200, 2))], &[(2, change(100, 2))], &[]), []);
    }

    #[test]
    fn a_node_sees_its_own_changes_at_once() {
        assert_eq!(broken(&[(1, read(101, 1))], &[(1, change(100, 2))], &[]), [Rule::OwnWrites]);
        assert_eq!(broken(&[(1, read(100, 1))], &[(1, change(100, 2))], &[]), []);
    }

    #[test]
    fn what_was_not_acknowledged_binds_nobody_else() {
        let queued = Change { applied: false, ..change(100, 2) };
        assert_eq!(broken(&[(1, read(900, 1))], &[(2, queued.clone())], &[]), []);
        assert_eq!(broken(&[(2, read(900, 1))], &[(2, queued)], &[]), [Rule::OwnWrites]);
    }

    #[test]
    fn what_was_lost_binds_from_when_it_was_healed() {
        let loss = |healed| Loss { from: Moment(50), at: Moment(300), healed };
        let changes = [(2, change(100, 2))];
        assert_eq!(broken(&[(1, read(450, 1))], &changes, &[loss(Some(Moment(400)))]), []);
        assert_eq!(broken(&[(1, read(500, 1))], &changes, &[loss(Some(Moment(400)))]), [Rule::Bounded]);
        assert_eq!(broken(&[(1, read(900, 1))], &changes, &[loss(None)]), []);
    }

    #[test]
    fn a_change_of_a_lot_binds_only_what_is_of_it() {
        let of_odd = Change { lot: Some(1), ..change(100, 4) };
        assert_eq!(broken(&[(1, read(900, 2))], &[(2, of_odd.clone())], &[]), []);
        assert_eq!(broken(&[(1, read(900, 3))], &[(2, of_odd)], &[]), [Rule::Bounded]);
    }

    #[test]
    fn when_all_is_quiet_everybody_has_the_last_version() {
        let mut history = History::default();
        history.take(1, Report::Read(read(200, 1)));
        history.take(1, Report::Read(read(201, 2)));
        let commit = Commit { id: 7, version: 2, node: 3, lot: None };
        assert_eq!(history.settled(Moment(100), &[commit]), 2);
        assert_eq!(history.violations.len(), 1);
        history.killed.push(3);
        history.violations.clear();
        history.settled(Moment(100), &[commit]);
        assert!(history.violations.is_empty(), "who dies may take along what it had not said");
    }
}
