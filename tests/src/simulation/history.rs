//! What was done and seen, and whether it was right.

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant};

use super::shop::{Commit, LOTS};

/// A moment: in virtual time, and in the order in which things happened, since many happen at one time.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub at: Instant,
    pub order: u64,
}

/// A read of one row on one node.
#[derive(Clone, Debug)]
pub struct Read {
    pub node: usize,
    pub id: u64,
    pub begun: Moment,
    pub ended: Instant,
    /// The version that it gave; nothing when the load failed, or nothing was cached.
    pub version: Option<u64>,
    /// What the cache said it did.
    pub outcome: String,
}

/// A change of rows, followed by whatever says so to the cache.
#[derive(Clone, Debug)]
pub struct Change {
    pub node: usize,
    /// What it was: `evict`, `put`, `tag`..
    pub kind: &'static str,
    /// The rows and the versions that they had been given.
    pub rows: Vec<(u64, u64)>,
    /// Only entries of this lot are reached by it.
    pub lot: Option<u64>,
    /// What it reaches may be served on, as long as it is said to be old.
    pub softly: bool,
    /// When the call returned.
    pub ended: Moment,
    /// Whether Redis had confirmed it.
    pub applied: bool,
}

/// A stretch of time in which the server may not have had what it had acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// From when on it had lost everything.
    pub from: Instant,
    /// When it came back without.
    pub at: Instant,
    /// When every node was in order again.
    pub healed: Option<Instant>,
}

impl Read {
    fn says_that_it_is_old(&self) -> bool {
        self.outcome.starts_with("stale") || self.outcome.starts_with("fail_safe")
    }
}

impl Loss {
    /// Whether the server had lost what it had said of this change.
    fn took(&self, change: &Change) -> bool {
        self.from <= change.ended.at && change.ended.at <= self.at
    }
}

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub detail: String,
}

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// A read reflects every change acknowledged longer ago than the bound, or says that it is old, after a soft one.
    Bounded,
    /// A node's own reads reflect its own changes at once.
    OwnWrites,
    /// A row is never another's, nor one that never was.
    Genuine,
    /// No call waits for long, and none fails but by its load.
    Prompt,
    /// When all is quiet, every node gives the last version.
    Settled,
    /// Every node is in order again some time after the last fault.
    Healed,
}

impl Rule {
    pub const ALL: [Self; 6] =
        [Self::Bounded, Self::OwnWrites, Self::Genuine, Self::Prompt, Self::Settled, Self::Healed];

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

/// Everything that happened in one run.
#[derive(Debug, Default)]
pub struct History {
    pub reads: Vec<Read>,
    pub changes: Vec<Change>,
    pub losses: Vec<Loss>,
    /// When nodes were killed, by number.
    pub killed: Vec<(usize, Instant)>,
    moments: u64,
    /// What happened, in words, for whoever looks into one run.
    pub log: Vec<String>,
    pub violations: Vec<Violation>,
    /// Reads that gave what had been softly evicted, and said so.
    pub old: usize,
    pub started: Option<Instant>,
}

/// No call takes longer than this: some waits for others' loads and budgets, and the rest of a lease whose node was killed before.
const PROMPT: Duration = Duration::from_secs(2);
/// What a node that is killed while the call waits may cost it besides: the lease of the load that it led.
const LEASE: Duration = Duration::from_secs(1);

// === impl History ===

impl History {
    /// Now.
    pub fn moment(&mut self) -> Moment {
        self.moments += 1;
        Moment { at: Instant::now(), order: self.moments }
    }

    pub fn note(&mut self, what: &str) {
        let at = self.at(Instant::now());
        self.log.push(format!("{at:>10.3?} {what}"));
    }

    pub fn violate(&mut self, rule: Rule, detail: String) {
        self.violations.push(Violation { rule, detail });
    }

    /// Holds every read against every change.
    pub fn check(&mut self, bound: Duration, last_versions: &BTreeMap<u64, u64>) {
        let (mut found, mut old) = (Vec::new(), 0);
        for read in &self.reads {
            let Read { id, begun, ended, version, .. } = read;
            let killed = self.killed.iter().filter(|(_, at)| (begun.at..=*ended).contains(at)).count();
            if *ended - begun.at > PROMPT + LEASE * killed as u32 {
                found.push((Rule::Prompt, format!("{}: took {:?}", self.told(read), *ended - begun.at)));
            }
            let Some(version) = version else { continue };
            if *version > last_versions[id] {
                found.push((Rule::Genuine, format!("{}: no such version", self.told(read))));
            }
            for change in &self.changes {
                let Some((_, wanted)) = change.rows.iter().find(|(row, _)| row == id) else { continue };
                if version >= wanted || change.lot.is_some_and(|lot| version % LOTS != lot) {
                    continue;
                }
                if change.softly && read.says_that_it_is_old() {
                    old += usize::from(change.ended.order < begun.order);
                    continue;
                }
                if change.node == read.node && change.ended.order < begun.order {
                    found.push((Rule::OwnWrites, format!("{}, after {}", self.told(read), self.tell(change))));
                } else if change.applied && self.in_force(change) + bound <= begun.at {
                    found.push((Rule::Bounded, format!("{}, after {}", self.told(read), self.tell(change))));
                }
            }
        }
        self.old = old;
        for (rule, detail) in found {
            self.violate(rule, detail);
        }
    }

    /// From when on a change counts as acknowledged: one that the server lost, when the loss was healed.
    fn in_force(&self, change: &Change) -> Instant {
        let lost = self.losses.iter().filter(|loss| loss.took(change));
        let never = change.ended.at + Duration::from_secs(1 << 20);
        lost.map(|loss| loss.healed.unwrap_or(never)).fold(change.ended.at, Instant::max)
    }

    /// A version of the row that every node has to have come to, and that `found` is older than. Such are those of commits by
    /// nodes that lived to say so, and those that were acknowledged. Whoever is killed takes along what waited in it, and what
    /// it alone knew to be lost.
    pub fn missed(&self, commits: &[Commit], id: u64, found: u64) -> Option<u64> {
        let is_killed = |node: usize| self.killed.iter().any(|(killed, _)| *killed == node);
        let is_lost = |change: &Change| self.losses.iter().any(|loss| loss.took(change));
        let by_the_living = commits.iter().filter(|commit| !is_killed(commit.node));
        let by_the_living = by_the_living.map(|commit| (commit.id, commit.version, commit.lot));
        let acknowledged = self.changes.iter().filter(|change| change.applied && !is_lost(change));
        let acknowledged =
            acknowledged.flat_map(|change| change.rows.iter().map(|(id, version)| (*id, *version, change.lot)));
        let reaches = |lot: Option<u64>| lot.is_none_or(|lot| found % LOTS == lot);
        by_the_living
            .chain(acknowledged)
            .filter(|(row, version, lot)| *row == id && *version > found && reaches(*lot))
            .map(|(_, version, _)| version)
            .max()
    }

    fn at(&self, instant: Instant) -> Duration {
        self.started.map_or(Duration::ZERO, |started| instant - started)
    }

    /// A read in words.
    pub fn told(&self, read: &Read) -> String {
        let Read { node, id, begun, ended, version, outcome } = read;
        let (begun, ended) = (self.at(begun.at), self.at(*ended));
        format!("node {node} read row {id} at {begun:.3?} to {ended:.3?} and got version {version:?} ({outcome})")
    }

    fn tell(&self, change: &Change) -> String {
        let Change { node, kind, rows, ended, applied, .. } = change;
        let word = if *applied { "applied" } else { "queued" };
        format!("{kind} of {rows:?} by node {node} was {word} at {:.3?}", self.at(ended.at))
    }
}
