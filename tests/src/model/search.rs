//! The search: breadth first, so that the first broken rule is found on one of the shortest ways to it.

use std::{collections::HashSet, fmt};

use super::{
    event::{Event, Events},
    guards::Guards,
    packed::Packed,
    rules::Broken,
    scenarios::Scenario,
    state::{NONE, Protocol, State, Value},
    step::{Step, Turn},
    worker::{Job, Stage, Worker},
};

/// What a search came to.
#[derive(Debug)]
pub struct Found {
    /// States that were reached.
    pub states: usize,
    /// What happened on the way to any of them.
    pub events: Events,
    pub counterexample: Option<Counterexample>,
}

/// The way to a broken rule, one line a step.
#[derive(Debug)]
pub struct Counterexample {
    pub steps: Vec<String>,
    pub broken: Broken,
}

/// A state that was reached, and from where.
struct Reached {
    state: State,
    from: u32,
    by: Step,
}

/// Takes all steps in all orders, until there is nothing new or a rule is broken.
#[must_use]
pub fn search(scenario: &Scenario, guards: Guards) -> Found {
    let protocol = Protocol { guards, tagging: scenario.tagging };
    let steps: Vec<Step> = Step::all().collect();
    let start = Reached { state: scenario.start, from: 0, by: Step::Work(0) };
    let mut seen: HashSet<Packed, foldhash::fast::FixedState> = HashSet::default();
    seen.insert(scenario.start.packed());
    let mut reached = vec![start];
    let mut events = Events::default();
    let mut at = 0;
    while at < reached.len() {
        let state = reached[at].state;
        for by in &steps {
            let Some(mut turn) = Turn::new(protocol, &state).take(*by) else { continue };
            events.add(turn.events);
            let is_new = seen.insert(turn.state.packed());
            if is_new {
                turn.judge_all();
                reached.push(Reached { state: turn.state, from: at as u32, by: *by });
            }
            if let Some(broken) = turn.broken {
                let steps = way_to(protocol, &reached, at, *by);
                return Found { states: reached.len(), events, counterexample: Some(Counterexample { steps, broken }) };
            }
        }
        at += 1;
    }
    Found { states: reached.len(), events, counterexample: None }
}

/// The steps to the state of this number, and one more.
fn way_to(protocol: Protocol, reached: &[Reached], mut at: usize, last: Step) -> Vec<String> {
    let mut way = vec![(at, last)];
    while at != 0 {
        let Reached { from, by, .. } = reached[at];
        at = from as usize;
        way.push((at, by));
    }
    way.reverse();
    way.into_iter().map(|(at, step)| in_words(protocol, &reached[at].state, step)).collect()
}

/// A step in words.
fn in_words(protocol: Protocol, before: &State, step: Step) -> String {
    let Some(Turn { state: after, events, .. }) = Turn::new(protocol, before).take(step) else { return String::new() };
    let did: Vec<&str> = events.iter().map(Event::as_str).collect();
    let did = did.join("; ");
    match step {
        Step::Work(number) | Step::Doubt(number) | Step::Fail(number) => {
            let worker = before.workers[number];
            let value =
                if after.workers[number].stage == Stage::Idle { worker.value } else { after.workers[number].value };
            format!("{} {did}{}", who_is(&worker, number), in_brackets(value))
        }
        Step::Board(number) => format!("{} {did}", who_is(&before.workers[number], number)),
        Step::Deliver(node) | Step::Lose(node) | Step::Relink(node) | Step::Replay(node) => {
            format!("node {node} {did}")
        }
        Step::Reclaim(_) | Step::Save | Step::RollBack => format!("Redis {did}"),
    }
}

/// What a value is, as far as it is anything yet.
fn in_brackets(value: Value) -> String {
    let Value { row, version, generation } = value;
    let parts = [("row", row), ("version", version), ("generation", generation)];
    let parts: Vec<String> =
        parts.iter().filter(|(_, number)| *number != NONE).map(|(what, number)| format!("{what} {number}")).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

fn who_is(worker: &Worker, number: usize) -> String {
    let job = match worker.job {
        Job::Nothing => "nobody",
        Job::Call => "call",
        Job::Evict => "eviction",
        Job::EvictTag => "eviction of the tag",
        Job::Put => "put",
    };
    format!("node {}, {job} [{number}]", worker.node)
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, number) in self.steps.iter().zip(1..) {
            writeln!(f, "  {number:>2}. {step}")?;
        }
        write!(f, "  so {}", self.broken)
    }
}
