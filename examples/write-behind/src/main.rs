//! Page views and stock, answered from a journal in Redis and written to a database behind.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to the person who started it")]

mod database;
mod shop;

use std::{process::ExitCode, time::Duration};

use cache_core::Cache;
use clap::Parser;
use tokio::time::{interval, timeout};

use crate::{database::Database, shop::Shop};

/// What ends the program early, for a person to read.
type Problem = Box<dyn std::error::Error + Send + Sync>;

/// Page views and stock updates that are written behind.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The Redis that keeps the journal, such as redis://127.0.0.1/. It has to keep an append-only file (`--appendonly yes`).
    #[arg(long, value_name = "URL")]
    redis: String,
    /// Where the rows go: sqlite://FILE or postgres://USER@HOST/DATABASE.
    #[arg(long, value_name = "URL", default_value = "sqlite://write-behind.db")]
    database: String,
    /// How many pages and products there are.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    rows: u64,
    /// How many changes are under way at once.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    callers: usize,
    /// When to stop, in seconds. Without it: at Ctrl-C.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// How long the journal may take to drain at the end.
const DRAIN: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("write-behind: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), Problem> {
    let cache = Cache::builder("shop").redis(cli.redis.as_str()).partitions(16).ensure_notifications().build().await?;
    let database = Database::open(&cli.database).await?;
    let shop = Shop::open(&cache, &database).await?;
    println!("{}", shop.standing(&database).await?);

    let customers = shop.customers(cli.callers, cli.rows);
    let report = async {
        let mut second = interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            match shop.progress().await {
                Ok(line) => println!("{line}"),
                Err(problem) => println!("the journal does not answer: {problem}"),
            }
        }
    };
    let until = async {
        match cli.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => tokio::signal::ctrl_c().await.unwrap_or_else(|problem| eprintln!("Ctrl-C is not heard: {problem}")),
        }
    };
    tokio::select! {
        () = customers => {}
        () = report => {}
        () = until => {}
    }
    println!("draining");
    timeout(2 * DRAIN, shop.close(DRAIN)).await??;
    println!("{}", shop.progress().await?);
    println!("{}", shop.standing(&database).await?);
    cache.close().await;
    Ok(())
}
