//! A shop's catalogue over SQLite, with a cache in front: an axum service that says what the cache did, and a tour through it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to the person who started it")]

mod caching;
mod catalogue;
mod cli;
mod header;
mod loads;
mod outcome;
mod process;
mod routes;
mod serve;
mod stop;
mod tour;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

/// What ends the program early, for a person to read.
type Problem = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { command, serve } = Cli::parse();
    let done = match command {
        Some(Command::Tour(options)) => tour::run(options).await,
        None => serve::run(serve).await.map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|problem| {
        eprintln!("storefront: {problem}");
        ExitCode::FAILURE
    })
}
