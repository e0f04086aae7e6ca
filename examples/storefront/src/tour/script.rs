//! Takes one step after another, prints a row for each, and remembers what was not as expected.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::drive::{Answer, Ask, Driver};
use super::expect::{About, Expect};
use super::table::{Table, millis};
use crate::Problem;
use crate::process::Node;

/// How long a change may take to be seen before the tour gives up on it.
const SEEN_MAX: Duration = Duration::from_secs(10);

/// The course of a tour.
#[derive(Debug)]
pub(crate) struct Script {
    driver: Driver,
    table: Table,
    /// The most that a request may spend on Redis, if that is judged.
    remote_max: Option<Duration>,
    rows: usize,
    loads: BTreeMap<&'static str, u64>,
    differences: Vec<String>,
}

/// An answer that was waited for.
#[derive(Debug)]
pub(crate) struct Sighting {
    /// The last answer.
    pub(crate) answer: Answer,
    /// The node's loads before it.
    before: u64,
    /// Since the first request.
    pub(crate) took: Duration,
    tries: usize,
    /// Whether the answer shows what was waited for.
    pub(crate) seen: bool,
}

/// What a row of the table says.
struct Line<'a> {
    node: &'a Node,
    request: String,
    answer: &'a Answer,
    about: About,
    time: String,
}

/// A line of words between the rows.
pub(crate) fn heading(words: &str) {
    println!("\n{words}");
}

// === impl Script ===

impl Script {
    /// A script without steps. Prints the head of its table.
    pub(crate) fn start(table: Table, remote_max: Option<Duration>) -> Self {
        println!("{}", table.head());
        Self { driver: Driver::new(), table, remote_max, rows: 0, loads: BTreeMap::new(), differences: Vec::new() }
    }

    /// The client, for requests beside the steps.
    pub(crate) fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Makes one request, and judges its answer.
    pub(crate) async fn step(&mut self, node: &Node, ask: Ask, expect: Expect) -> Result<Answer, Problem> {
        let answer = self.driver.ask(node, &ask).await?;
        let before = self.loads.insert(node.name(), answer.loads).unwrap_or(0);
        let differences = expect.differences(&answer, before);
        let time = millis(answer.elapsed);
        self.report(
            &Line { node, request: ask.to_string(), answer: &answer, about: expect.about(), time },
            differences,
        );
        Ok(answer)
    }

    /// Repeats a request until its answer shows a change, then judges that answer. The row's time is that until then.
    pub(crate) async fn until(
        &mut self,
        node: &Node,
        ask: Ask,
        shows: impl Fn(&Answer) -> bool,
        expect: Expect,
    ) -> Result<(), Problem> {
        let Sighting { answer, before, took, tries, seen } = self.sight(node, &ask, shows).await?;
        let mut differences = expect.differences(&answer, before);
        if !seen {
            differences.push(format!("the change was not seen within {SEEN_MAX:?}"));
        }
        let tries = if tries == 1 { String::new() } else { format!(" (try {tries})") };
        let request = format!("{ask}{tries}");
        self.report(&Line { node, request, answer: &answer, about: expect.about(), time: millis(took) }, differences);
        Ok(())
    }

    /// Repeats a request until its answer shows a change, or it is clear that it never will.
    pub(crate) async fn sight(
        &mut self,
        node: &Node,
        ask: &Ask,
        shows: impl Fn(&Answer) -> bool,
    ) -> Result<Sighting, Problem> {
        let started = Instant::now();
        let mut tries = 0;
        loop {
            let answer = self.driver.ask(node, ask).await?;
            let before = self.loads.insert(node.name(), answer.loads).unwrap_or(0);
            tries += 1;
            let (took, seen) = (started.elapsed(), shows(&answer));
            if seen || took > SEEN_MAX {
                return Ok(Sighting { answer, before, took, tries, seen });
            }
            self.judge_remote(node, &ask.to_string(), &answer);
        }
    }

    /// Judges an answer that has no row.
    pub(crate) fn judge(&mut self, node: &Node, ask: &Ask, answer: &Answer, expect: &Expect) {
        let (name, differences) = (node.name(), expect.differences(answer, 0));
        self.differences.extend(differences.into_iter().map(|difference| format!("{name} {ask}: {difference}")));
        self.judge_remote(node, &ask.to_string(), answer);
    }

    /// Adds a finding that belongs to no single row.
    pub(crate) fn differs(&mut self, finding: String) {
        self.differences.push(finding);
    }

    /// The tour cannot go on; what was found so far is told all the same.
    pub(crate) fn gave_up(&mut self, problem: &Problem) {
        self.differences.push(format!("the tour could not go on: {problem}"));
    }

    /// What was not as expected, in order.
    pub(crate) fn finish(self) -> Vec<String> {
        self.differences
    }

    fn report(&mut self, line: &Line<'_>, differences: Vec<String>) {
        self.rows += 1;
        let known = self.differences.len();
        self.judge_remote(line.node, &line.request, line.answer);
        let (row, request) = (self.rows, &line.request);
        self.differences
            .extend(differences.into_iter().map(|difference| format!("row {row}, {request}: {difference}")));
        let good = self.differences.len() == known;
        self.print(line, good);
    }

    fn judge_remote(&mut self, node: &Node, request: &str, answer: &Answer) {
        if let Some(max) = self.remote_max
            && answer.remote > max
        {
            let spent = millis(answer.remote);
            self.differences.push(format!(
                "{} {request}: {spent} spent on Redis, more than {}",
                node.name(),
                millis(max)
            ));
        }
    }

    fn print(&self, line: &Line<'_>, good: bool) {
        let page = line.answer.page.iter().filter(|_| line.about == About::Page);
        let seen: Vec<String> = page.chain(&line.answer.seen).map(ToString::to_string).collect();
        let cell = |title: &str| match title {
            "#" => self.rows.to_string(),
            "node" => line.node.name().to_owned(),
            "request" => line.request.clone(),
            "x-cache" => seen.first().cloned().unwrap_or_else(|| "-".to_owned()),
            "state" => line.answer.state.clone(),
            "status" => line.answer.status.to_string(),
            "time" => line.time.clone(),
            "redis" => millis(line.answer.remote),
            "loads" => self.loads.values().sum::<u64>().to_string(),
            _ => (if good { "ok" } else { "DIFFERS" }).to_owned(),
        };
        let cells: Vec<String> = self.table.0.iter().map(|column| cell(column.0)).collect();
        println!("{}", self.table.row(&cells));
        // What does several things has several entries: each has its own line in the column.
        for entry in seen.iter().skip(1) {
            let cells: Vec<&str> =
                self.table.0.iter().map(|column| if column.0 == "x-cache" { entry.as_str() } else { "" }).collect();
            println!("{}", self.table.row(&cells));
        }
    }
}
