//! The model of the protocol: `cargo run --release -p tests --bin model`, or with a part of a guard's sentence, for the steps
//! to the stale answer that is found without it.
//!
//! Searches larger scenarios than the tests do, each of them whole, and then for a stale answer without each guard. Ends with
//! an error if the protocol breaks a rule, or if a guard is not needed.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::{process::ExitCode, time::Instant};

use tests::model::{Guard, Guards, Scenario, search};

fn main() -> ExitCode {
    let holds = match std::env::args().nth(1) {
        Some(part) => tell(&part),
        None => protocol_holds() && guards_are_needed(),
    };
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether a search of each scenario finds nothing.
fn protocol_holds() -> bool {
    println!("{:<34}{:<36}{:>12}{:>10}", "scenario", "", "states", "seconds");
    let mut total = 0;
    for scenario in Scenario::long() {
        let start = Instant::now();
        let found = search(&scenario, Guards::ALL);
        let seconds = start.elapsed().as_secs_f64();
        println!("{:<34}{:<36}{:>12}{seconds:>10.1}", scenario.name, scenario.bounds(), found.states);
        if let Some(counterexample) = found.counterexample {
            println!("{counterexample}");
            return false;
        }
        total += found.states;
    }
    println!("{:<70}{total:>12}", "all guards in place: no stale answer in");
    true
}

/// Whether a search finds something without each guard.
fn guards_are_needed() -> bool {
    println!("\n{:<90}{:>12}{:>8}", "without", "states", "steps");
    let mut all = true;
    for guard in Guard::ALL.iter().copied() {
        let found = search(&Scenario::without(guard), Guards::without(guard));
        let steps = found.counterexample.map_or_else(|| "none".to_owned(), |found| found.steps.len().to_string());
        all &= steps != "none";
        println!("{:<90}{:>12}{steps:>8}", guard.as_str(), found.states);
    }
    all
}

/// Tells the ways to a stale answer without the guards that have `part` in their sentence.
fn tell(part: &str) -> bool {
    let mut any = false;
    for guard in Guard::ALL.iter().copied().filter(|guard| guard.as_str().contains(part)) {
        let found = search(&Scenario::without(guard), Guards::without(guard));
        if let Some(counterexample) = found.counterexample {
            println!("without \"{}\":\n{counterexample}\n", guard.as_str());
            any = true;
        }
    }
    any
}
