//! The HTTP layer over sockets: `cargo run --release -p tests --bin http -- [--only NUMBER] [--rounds 9] [--turn 1000]
//! [--clients 64] [--crowd 10000] [--megabytes 1024] [--counts]`.
//!
//! Prints a table of what was measured and what was wanted; ends with an error when a figure is missed. `--turn` is in
//! milliseconds. `--counts` judges only what does not hang on how busy the machine is: calls, answers, memory.

#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use std::{process::ExitCode, time::Duration};

use tests::http::{POINTS, Settings, print, rows, serve};

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("serve", setup)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        serve(setup).await;
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let number = |name: &str, default: u64| value(name).and_then(|word| word.parse().ok()).unwrap_or(default);
    let settings = Settings {
        program: std::env::current_exe().expect("a program has a place"),
        rounds: number("--rounds", 9).max(1) as usize,
        turn: Duration::from_millis(number("--turn", 1_000).max(10)),
        clients: number("--clients", 64).max(1) as usize,
        crowd: number("--crowd", 10_000).max(20) as usize,
        megabytes: number("--megabytes", 1_024).max(8),
    };
    let (only, judges_times) = (number("--only", 0), !words.iter().any(|word| word == "--counts"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} cores; in points 1 and 2 the server has one, its clients another; what is compared takes turns\n"
    );
    let (mut missed, mut head) = (0, true);
    for point in POINTS.filter(|point| only == 0 || only == *point) {
        let rows = rows(point, &settings).await;
        print(&rows, std::mem::take(&mut head), judges_times);
        missed += rows.iter().flat_map(|row| &row.figures).filter(|figure| figure.is_missed(judges_times)).count();
    }
    println!("\nmissed: {missed}");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
