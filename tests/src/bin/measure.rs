//! Figures that people compare: `cargo run --release -p tests --bin measure -- latency | cost | records | outage`.
//!
//! `latency [evictions]`: how soon an eviction is in force on ten nodes. `cost [operations]`: each operation beside the plain
//! command. `records [ids]`: what control records take. `outage [seconds]`: Redis stopped under load.

#![allow(clippy::print_stdout, reason = "a program that prints tables")]

use std::{process::ExitCode, time::Duration};

use cache_core::Mechanism;
use tests::measure;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |default: usize| words.get(1).and_then(|word| word.parse().ok()).unwrap_or(default);
    match words.first().map(String::as_str) {
        Some("latency") => {
            println!("| told by | what | evictions | p50, ms | p99, ms | max, ms |\n|---|---|---|---|---|---|");
            for mechanism in [Mechanism::Keyspace, Mechanism::Tracking] {
                println!("{}", measure::latency(mechanism, number(10_000)).await.rows());
            }
        }
        Some("cost") => print!("{}", measure::cost(number(100_000)).await),
        Some("records") => {
            let measured = measure::records(number(1_000_000)).await;
            let (all, each) = (measured.grown as f64 / 1e6, measured.grown as f64 / measured.ids as f64);
            let (ids, one, seconds) = (measured.ids, measured.bytes_of_one, measured.seconds);
            println!("one control record: {one} bytes (MEMORY USAGE)");
            println!("{ids} ids asked for: {all:.1} MB in Redis, {each:.0} bytes each, in {seconds:.1} s");
        }
        Some("outage") => {
            let outage = measure::outage(Duration::from_secs(number(30) as u64)).await;
            println!("{}", outage.told());
            if outage.stale_after + outage.failed > 0 {
                return ExitCode::FAILURE;
            }
        }
        _ => {
            println!("usage: measure latency [evictions] | cost [operations] | records [ids] | outage [seconds]");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
