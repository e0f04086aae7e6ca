//! The torture run: `cargo run --release -p tests --bin torture -- --seconds 60 --seed 1 [--only single|sentinel|cluster]`.
//!
//! Real Redis in three deployments side by side, each with several processes that have caches, and everything that can happen
//! to them. Prints a table of faults, checks and violations, and ends with an error on any violation.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use tests::torture::{Fault, Kind, Outcome, Rule, Settings, Tally, live, run};

const NODES: usize = 3;
const BOUND: Duration = Duration::from_millis(500);
/// Violations that are printed.
const PRINTED: usize = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("node", orders)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        if std::env::var_os("RUST_LOG").is_some() {
            tracing_subscriber::fmt()
                .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
                .with_ansi(false)
                .with_writer(std::io::stderr)
                .init();
        }
        live(orders).await;
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).and_then(|word| word.parse().ok()).unwrap_or(default);
    let (seconds, seed) = (number("--seconds", 60), number("--seed", 1));
    let only = value("--only").cloned();
    let kinds = Kind::ALL.into_iter().filter(|kind| only.as_deref().is_none_or(|only| only == kind.as_str()));
    println!("torture: {seconds} s, seed {seed}, bound {BOUND:?}, {NODES} nodes each");
    // A thread each: what is drawn by chance is drawn by the seed, of each thread.
    let running: Vec<_> = kinds
        .map(|kind| {
            let settings = Settings { kind, seed, lasts: Duration::from_secs(seconds), bound: BOUND, nodes: NODES };
            std::thread::spawn(move || {
                let program = std::env::current_exe().expect("a program has a place");
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime can be had").block_on(run(settings, program))
            })
        })
        .collect();
    let ended: Vec<_> = running.into_iter().map(std::thread::JoinHandle::join).collect();
    let outcomes: Vec<&Outcome> = ended.iter().flatten().collect();
    for outcome in &outcomes {
        print(outcome);
    }
    let broken = outcomes.iter().map(|outcome| outcome.violations.len()).sum::<usize>();
    println!("\nviolations: {broken}");
    if outcomes.len() < ended.len() {
        println!("runs that came to no end: {}", ended.len() - outcomes.len());
    }
    let all_is_well = broken == 0 && !outcomes.is_empty() && outcomes.len() == ended.len();
    if all_is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(outcome: &Outcome) {
    let Outcome { kind, reads, changes, applied, loads, settled, tallies, violations } = outcome;
    println!("\n{}: {reads} reads, {changes} changes ({applied} applied), {loads} loads", kind.as_str());
    println!(
        "{:<34} {:>8} {:>9} {:>9} {:>10} {:>10} {:>10} {:>17}",
        "fault", "injected", "checks", "in L1", "violations", "stalest", "longest", "in order after"
    );
    for (fault, tally) in tallies {
        print_row(fault.as_ref().map_or("(none)", |fault| fault.as_str()), tally);
    }
    let total = total(tallies);
    print_row("all", &total);
    println!("{settled} reads when all was quiet, held against the last versions");
    let mut by_rule: BTreeMap<Rule, usize> = BTreeMap::new();
    for violation in violations {
        *by_rule.entry(violation.rule).or_default() += 1;
    }
    for (rule, count) in by_rule {
        println!("broken: {} ({count})", rule.as_str());
    }
    for violation in violations.iter().take(PRINTED) {
        println!("  {}: {}", violation.rule.as_str(), violation.detail);
    }
}

fn print_row(name: &str, tally: &Tally) {
    let Tally { injected, checks, local, violations, stalest, longest, in_order_after } = tally;
    let mut after = in_order_after.clone();
    after.sort_unstable();
    let at =
        |part: f64| after.get((after.len().saturating_sub(1) as f64 * part) as usize).map_or(0, Duration::as_millis);
    println!(
        "{name:<34} {injected:>8} {checks:>9} {local:>9} {violations:>10} {:>7} ms {:>7} ms {:>7}/{:>6} ms",
        stalest.as_millis(),
        longest.as_millis(),
        at(0.5),
        at(1.0),
    );
}

fn total(tallies: &BTreeMap<Option<Fault>, Tally>) -> Tally {
    let mut total = Tally::default();
    for tally in tallies.values() {
        total.injected += tally.injected;
        total.checks += tally.checks;
        total.local += tally.local;
        total.violations += tally.violations;
        total.stalest = total.stalest.max(tally.stalest);
        total.longest = total.longest.max(tally.longest);
        total.in_order_after.extend(&tally.in_order_after);
    }
    total
}
