//! The crash run: `cargo run --release -p tests --bin crash -- [--rounds 100] [--seed N]
//! [--only postgres-always|sqlite-always|sqlite-through|postgres-everysec|postgres-fsynced|everysec-redis-killed]
//! [--throughput]`.
//!
//! Write-behind in several processes over a real Redis and a real database, side by side in five deployments, and everything is
//! killed. Prints a table of what was written and what was broken, and ends with an error where anything was, but for the row in
//! which a loss is counted and not judged. With `--throughput` nothing is killed: it measures instead. What happens is drawn by the seed; when exactly it happens is the machine's.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::process::ExitCode;

use tests::{
    crash::{Fault, Kind, Outcome, Rule, Settings, live, measure, run},
    stampede,
};

/// Violations of a rule that are printed of a row.
const PRINTED: usize = 10;

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("node", setup)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        if std::env::var_os("RUST_LOG").is_some() {
            tracing_subscriber::fmt()
                .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
                .with_ansi(false)
                .with_writer(std::io::stderr)
                .init();
        }
        live(setup).await;
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).and_then(|word| word.parse().ok()).unwrap_or(default);
    if words.iter().any(|word| word == "--throughput") {
        return paced().await;
    }
    let (rounds, seed) = (number("--rounds", 100), number("--seed", 1));
    let only = value("--only").cloned();
    let chosen = Kind::ALL.into_iter().filter(|kind| only.as_deref().is_none_or(|only| only == kind.as_str()));
    let (kinds, missing): (Vec<Kind>, Vec<Kind>) = chosen.partition(|kind| kind.missing().is_none());
    println!("crash: {rounds} rounds, seed {seed}");
    let running: Vec<_> = kinds
        .into_iter()
        .map(|kind| {
            let program = std::env::current_exe().expect("a program has a place");
            let settings = Settings { kind, seed, rounds, program };
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime can be had").block_on(run(settings))
            })
        })
        .collect();
    let ended: Vec<_> = running.into_iter().map(std::thread::JoinHandle::join).collect();
    let outcomes: Vec<&Outcome> = ended.iter().flatten().collect();
    print(&outcomes);
    for kind in missing {
        println!("\n{}: not run: {}", kind.as_str(), kind.missing().unwrap_or_default());
    }
    let broken = outcomes.iter().map(|outcome| judged(outcome)).sum::<usize>();
    println!("\nviolations: {broken}");
    if outcomes.len() < ended.len() {
        println!("runs that came to no end: {}", ended.len() - outcomes.len());
    }
    let all_is_well = broken == 0 && !outcomes.is_empty() && outcomes.len() == ended.len();
    if all_is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is measured, and not killed.
async fn paced() -> ExitCode {
    let rows = measure().await;
    stampede::print(&rows, true, true);
    let missed = rows.iter().flat_map(|row| &row.figures).filter(|figure| figure.is_missed(true)).count();
    println!("\nmissed: {missed}");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What may not be: where a loss is only counted, that nothing goes on.
fn judged(outcome: &Outcome) -> usize {
    let counts = |rule| outcome.kind.is_judged() || rule == Rule::Stuck;
    outcome.violations.iter().filter(|violation| counts(violation.rule)).count()
}

fn print(outcomes: &[&Outcome]) {
    let names = |names: Vec<&str>| names.join(" | ");
    let faults = names(Fault::ALL.map(Fault::as_str).to_vec());
    let rules = names(Rule::ALL.map(Rule::as_str).to_vec());
    println!("\n| deployment | rounds | acknowledged | uncertain | {faults} | {rules} | seconds | |");
    println!("|---|{}", "---|".repeat(5 + Fault::ALL.len() + Rule::ALL.len()));
    for outcome in outcomes {
        let Outcome { kind, rounds, acknowledged, uncertain, kills, violations, seconds, .. } = outcome;
        let kills = Fault::ALL.map(|fault| kills.get(&fault).copied().unwrap_or_default().to_string());
        let count = |rule| violations.iter().filter(|violation| violation.rule == rule).count();
        let broken = Rule::ALL.map(|rule| count(rule).to_string());
        let verdict = match (kind.is_judged(), judged(outcome)) {
            (false, 0) => "loss is counted, not judged",
            (true, 0) => "ok",
            _ => "BROKEN",
        };
        println!(
            "| {} | {rounds} | {acknowledged} | {uncertain} | {} | {} | {seconds:.0} | {verdict} |",
            kind.as_str(),
            kills.join(" | "),
            broken.join(" | "),
        );
    }
    for outcome in outcomes {
        for rule in Rule::ALL {
            for violation in outcome.violations.iter().filter(|violation| violation.rule == rule).take(PRINTED) {
                println!("\n{}: {}: {}", outcome.kind.as_str(), rule.as_str(), violation.detail);
            }
        }
        if std::env::var_os("RUST_LOG").is_some() {
            println!("\n{}: errors of writers: {:#?}", outcome.kind.as_str(), outcome.errors);
        }
    }
}
