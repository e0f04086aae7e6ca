//! The simulation: `cargo run --release -p tests --bin sim -- --seeds 1000`, or `--seed 7` for one run in detail.
//!
//! Each seed is a run of some virtual seconds: real caches against a simulated Redis, with faults, and a checker over
//! everything that was read. Ends with an error if any rule was broken.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::{collections::BTreeMap, process::ExitCode, time::Instant};

use tests::simulation::{FAULTS, Rule, Run, run};

/// Seeds whose violations are printed.
const PRINTED: usize = 10;

#[derive(Default)]
struct Totals {
    runs: u64,
    reads: usize,
    hits: usize,
    old: usize,
    changes: usize,
    loads: u64,
    faults: BTreeMap<tests::simulation::Fault, usize>,
    violations: BTreeMap<Rule, usize>,
    seeds: Vec<u64>,
    longest_heal: std::time::Duration,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1)?.parse::<u64>().ok()
    };
    let (first, count) = match (number("--seed"), number("--seeds")) {
        (Some(seed), None) => (seed, 1),
        (first, count) => (first.unwrap_or(0), count.unwrap_or(100)),
    };
    if count == 1 {
        let print = tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG);
        print.with_timer(tests::simulation::VirtualTime).with_target(false).with_ansi(false).init();
    }
    let stops_at_first = words.iter().any(|word| word == "--until-violation");
    let start = Instant::now();
    let mut totals = Totals::default();
    for seed in first..first + count {
        let run = run(seed);
        if count == 1 {
            run.log.iter().for_each(|line| println!("{line}"));
        }
        totals.add(&run);
        if stops_at_first && !totals.seeds.is_empty() {
            break;
        }
        if totals.runs.is_multiple_of(500) {
            println!("{:>6} of {count} runs, {} s", totals.runs, start.elapsed().as_secs());
        }
    }
    totals.print(start.elapsed().as_secs_f64());
    if totals.seeds.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Totals {
    fn add(&mut self, run: &Run) {
        self.runs += 1;
        self.reads += run.reads;
        self.hits += run.hits;
        self.old += run.old;
        self.changes += run.changes;
        self.loads += run.loads;
        for (fault, times) in &run.faults {
            *self.faults.entry(*fault).or_insert(0) += times;
        }
        self.longest_heal = run.healed_in.iter().copied().fold(self.longest_heal, std::time::Duration::max);
        if run.violations.is_empty() {
            return;
        }
        if self.seeds.len() < PRINTED {
            println!("seed {} ({:?})", run.settings.seed, run.settings);
            for violation in run.violations.iter().take(5) {
                println!("  {}: {}", violation.rule.as_str(), violation.detail);
            }
        }
        self.seeds.push(run.settings.seed);
        for violation in &run.violations {
            *self.violations.entry(violation.rule).or_insert(0) += 1;
        }
    }

    fn print(&self, secs: f64) {
        println!("\n{:<36}{:>12}", "runs", self.runs);
        println!("{:<36}{:>12}", "reads checked", self.reads);
        println!("{:<36}{:>12}", "  of these hits", self.hits);
        println!("{:<36}{:>12}", "changes", self.changes);
        println!("{:<36}{:>12}", "  soft ones that were read as old", self.old);
        println!("{:<36}{:>12}", "loads", self.loads);
        println!("{:<36}{:>12}", "longest from a loss to order", format!("{:.2?}", self.longest_heal));
        println!("{:<36}{:>12}", "took", format!("{secs:.1} s"));
        println!("\n{:<36}{:>12}", "fault", "injected");
        for fault in FAULTS {
            println!("{:<36}{:>12}", fault.as_str(), self.faults.get(&fault).copied().unwrap_or(0));
        }
        println!("\n{:<36}{:>12}", "rule", "violations");
        for rule in Rule::ALL {
            println!("{:<36}{:>12}", rule.as_str(), self.violations.get(&rule).copied().unwrap_or(0));
        }
        if !self.seeds.is_empty() {
            println!("\n{} seeds with violations: {:?}", self.seeds.len(), &self.seeds[..self.seeds.len().min(20)]);
        }
    }
}
