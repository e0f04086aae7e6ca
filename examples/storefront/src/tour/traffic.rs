//! Readers that never stop while Redis comes and goes, and judge every answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::drive::{Answer, Ask, Driver};
use super::ledger::{Ledger, NODES};
use super::table::millis;
use crate::Problem;
use crate::process::Node;

/// Pause between two requests of a reader: some hundred requests a second leave the machine room for the rest.
const PAUSE: Duration = Duration::from_millis(4);
/// Findings that are told in full.
const TOLD_MAX: usize = 5;

/// Readers in the background; they end when it is dropped.
#[derive(Debug)]
pub(crate) struct Traffic {
    readers: JoinSet<Tally>,
    enough: Arc<AtomicBool>,
}

/// What the readers saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    requests: u64,
    longest_remote: Duration,
    /// How often each outcome was seen in each state.
    outcomes: BTreeMap<String, u64>,
    findings: Vec<String>,
}

/// One reader: what it reads, and where.
struct Reader {
    driver: Driver,
    ledger: Arc<Ledger>,
    index: usize,
    name: &'static str,
    base: String,
    remote_max: Duration,
    /// What the node said of itself the last time.
    state: String,
    tally: Tally,
}

// === impl Traffic ===

impl Traffic {
    /// Starts a reader for each node.
    pub(crate) fn start(driver: &Driver, nodes: &[Node; NODES], ledger: &Arc<Ledger>, remote_max: Duration) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let mut readers = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let (driver, ledger) = (driver.clone(), Arc::clone(ledger));
            let (name, base, state, tally) = (node.name(), node.base().to_owned(), String::new(), Tally::default());
            let reader = Reader { driver, ledger, index, name, base, remote_max, state, tally };
            readers.spawn(reader.run(Arc::clone(&enough)));
        }
        Self { readers, enough }
    }

    /// Ends the readers, and gives what they saw together.
    pub(crate) async fn stop(mut self) -> Result<Tally, Problem> {
        self.enough.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        while let Some(tally) = self.readers.join_next().await {
            all.add(tally?);
        }
        Ok(all)
    }
}

// === impl Reader ===

impl Reader {
    async fn run(mut self, enough: Arc<AtomicBool>) -> Tally {
        let ledger = Arc::clone(&self.ledger);
        for entry in ledger.entries().iter().cycle() {
            if enough.load(Ordering::Relaxed) {
                break;
            }
            // Read before the request: what is written while it is under way it may, but need not show.
            let (floor, newest) = (entry.floor(self.index), entry.newest());
            let ask = Ask::get(format!("/products/{}", entry.id));
            match self.driver.ask_at(&self.base, &ask).await {
                Ok(answer) => self.judge(&ask, &answer, floor, newest),
                Err(problem) => self.tally.finds(format!("{} {ask}: {problem}", self.name)),
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.tally
    }

    fn judge(&mut self, ask: &Ask, answer: &Answer, floor: u64, newest: u64) {
        let outcome = answer.seen.first().map_or("nothing", |seen| seen.outcome.as_str());
        let before = std::mem::replace(&mut self.state, answer.state.clone());
        // The state may have changed under the request: it is judged where it was the same before and after.
        let cut_off = before == answer.state && answer.state.starts_with("fenced");
        let (floor, why) =
            if cut_off { (newest, "while it knew of no Redis") } else { (floor, "after it had to know better") };
        let revision = answer.number("revision").unwrap_or(0);
        let mut faults = Vec::new();
        if answer.status != 200 {
            faults.push(format!("status {}", answer.status));
        } else if revision < floor {
            faults.push(format!("revision {revision} {why}: it was {floor} ({outcome}; {})", answer.state));
        }
        if cut_off && outcome.starts_with("hit") {
            faults.push(format!("`{outcome}` {why}"));
        }
        if answer.remote > self.remote_max {
            faults.push(format!("{} spent on Redis, more than {}", millis(answer.remote), millis(self.remote_max)));
        }
        let name = self.name;
        for fault in faults {
            self.tally.finds(format!("reader of {name}, {ask}: {fault}"));
        }
        self.tally.requests += 1;
        self.tally.longest_remote = self.tally.longest_remote.max(answer.remote);
        *self.tally.outcomes.entry(format!("{}: {outcome}", answer.state)).or_default() += 1;
    }
}

// === impl Tally ===

impl Tally {
    fn finds(&mut self, finding: String) {
        self.findings.push(finding);
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.longest_remote = self.longest_remote.max(other.longest_remote);
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.findings.extend(other.findings);
    }

    /// What was not as it should be; the rest of many is counted.
    pub(crate) fn findings(self) -> Vec<String> {
        let rest = self.findings.len().saturating_sub(TOLD_MAX);
        let mut findings: Vec<String> = self.findings.into_iter().take(TOLD_MAX).collect();
        if rest > 0 {
            findings.push(format!("{rest} more findings of the readers"));
        }
        findings
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, longest) = (self.requests, millis(self.longest_remote));
        write!(f, "The readers beside made {requests} requests; the longest time that one spent on Redis: {longest}.")?;
        for (outcome, count) in &self.outcomes {
            write!(f, "\n  {count:>7}  {outcome}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::header::Seen;

    fn reader() -> Reader {
        Reader {
            driver: Driver::new(),
            ledger: Arc::new(Ledger::new([7])),
            index: 0,
            name: "A",
            base: String::new(),
            remote_max: Duration::from_millis(50),
            state: "coherent".into(),
            tally: Tally::default(),
        }
    }

    fn answer(state: &str, outcome: &str, revision: u64) -> Answer {
        Answer {
            status: 200,
            seen: vec![Seen::new("product", outcome)],
            remote: Duration::ZERO,
            state: state.into(),
            page: None,
            etag: None,
            loads: 0,
            body: json!({ "revision": revision }),
            elapsed: Duration::ZERO,
        }
    }

    #[tokio::test]
    async fn judge_finds_what_is_older_than_the_floor() {
        let (mut reader, ask) = (reader(), Ask::get("/products/7"));
        reader.judge(&ask, &answer("coherent", "hit; tier=local", 2), 2, 3);
        assert!(reader.tally.findings.is_empty());
        reader.judge(&ask, &answer("coherent", "hit; tier=local", 1), 2, 3);
        assert_eq!(reader.tally.findings.len(), 1, "{:?}", reader.tally.findings);
    }

    #[tokio::test]
    async fn judge_allows_no_hit_to_a_node_that_is_cut_off() {
        let (mut reader, ask) = (reader(), Ask::get("/products/7"));
        reader.judge(&ask, &answer("fenced", "hit; tier=local", 3), 2, 3);
        assert!(reader.tally.findings.is_empty(), "it may have been cut off under the request");
        reader.judge(&ask, &answer("fenced", "hit; tier=local", 3), 2, 3);
        reader.judge(&ask, &answer("fenced", "miss; load=own", 2), 2, 3);
        assert_eq!(reader.tally.findings.len(), 2, "{:?}", reader.tally.findings);
    }

    #[tokio::test]
    async fn judge_finds_failures_and_long_waits() {
        let (mut reader, ask) = (reader(), Ask::get("/products/7"));
        reader.judge(&ask, &Answer { status: 500, ..answer("coherent", "miss; load=own", 0) }, 1, 1);
        reader.judge(
            &ask,
            &Answer { remote: Duration::from_millis(51), ..answer("coherent", "miss; load=own", 1) },
            1,
            1,
        );
        assert_eq!(reader.tally.findings.len(), 2, "{:?}", reader.tally.findings);
    }
}
