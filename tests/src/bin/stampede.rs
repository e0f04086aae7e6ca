//! The stampede run: `cargo run --release -p tests --bin stampede -- [--only NUMBER] [--seconds 60] [--processes 10]
//! [--callers 1000] [--budget 50] [--counts]`.
//!
//! Real processes over a real Redis. Prints a table of what was measured and what was wanted, and a comparison of ways to keep
//! values; ends with an error when a figure is missed. `--counts` judges only what does not hang on how busy the machine is:
//! loads, errors and ages. `--budget` is what a call may wait for Redis, in milliseconds: on a machine where that is too
//! short, calls go past Redis and load.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::{process::ExitCode, time::Duration};

use tests::stampede::{POINTS, Settings, compare, live, print, rows};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("node", setup)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        live(setup).await;
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).and_then(|word| word.parse().ok()).unwrap_or(default);
    let settings = Settings {
        program: std::env::current_exe().expect("a program has a place"),
        processes: number("--processes", 10).max(1) as usize,
        callers: number("--callers", 1_000).max(2) as usize,
        budget: Duration::from_millis(number("--budget", 50).max(1)),
        lasts: Duration::from_secs(number("--seconds", 60).max(1)),
    };
    let (only, judges_times) = (number("--only", 0), !words.iter().any(|word| word == "--counts"));
    println!("a call may wait {} ms for Redis, over all of its trips\n", settings.budget.as_millis());
    let mut missed = 0;
    let mut head = true;
    for point in POINTS.filter(|point| only == 0 || only == *point) {
        let rows = rows(point, &settings).await;
        if !rows.is_empty() {
            print(&rows, std::mem::take(&mut head), judges_times);
        }
        missed += rows.iter().flat_map(|row| &row.figures).filter(|figure| figure.is_missed(judges_times)).count();
    }
    // Of the comparison nothing is judged.
    if judges_times && (only == 0 || only == *POINTS.end()) {
        println!("\n{}", compare(&settings).await);
    }
    println!("\nmissed: {missed}");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
