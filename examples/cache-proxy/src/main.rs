//! A caching reverse proxy: forwards everything to one upstream, and answers from a shared cache what RFC 9111 lets it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to the person who started it")]

mod cli;
mod failure;
mod fields;
mod forward;
mod proxy;
mod serve;
mod stop;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;

/// What ends the program early, for a person to read.
type Problem = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match serve::run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cache-proxy: {problem}");
            ExitCode::FAILURE
        }
    }
}
