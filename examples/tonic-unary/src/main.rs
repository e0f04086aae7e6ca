//! A tonic server with one method that is cached and one that streams, and the client that shows it: calls are made, and a table
//! says what came of them. Ends with an error if something is not as promised.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to the person who started it")]

mod messages;
mod products;
mod server;
mod show;
mod table;
mod tap;

use std::process::ExitCode;

/// What ends the program early, for a person to read.
type Problem = Box<dyn std::error::Error + Send + Sync>;

/// What `build.rs` has written.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    missing_docs,
    unreachable_pub,
    reason = "it is tonic's"
)]
mod shop {
    include!(concat!(env!("OUT_DIR"), "/shop.v1.Products.rs"));
}

#[tokio::main]
async fn main() -> ExitCode {
    match show::run().await {
        Ok(table) => {
            print!("{table}");
            if table.is_as_promised() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            eprintln!("tonic-unary: {problem}");
            ExitCode::FAILURE
        }
    }
}
