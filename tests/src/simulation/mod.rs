//! The simulation: some nodes with real caches, a simulated Redis behind simulated lines, in a time that only goes on when
//! everybody waits. One seed is one run: the same number gives the same faults at the same moments.

#![allow(missing_docs, reason = "a tool of the tests: the names of its variants and fields say what they are")]

mod callers;
mod changes;
mod faults;
mod history;
pub mod resp;
pub mod server;
mod settings;
pub mod shop;
pub mod store;
mod world;

use tokio::time::{Duration, sleep};

pub use faults::{FAULTS, Fault};
pub use history::{History, Read, Rule, Violation};
pub use settings::Settings;
pub use world::{Run, VirtualTime, run};

/// Lets virtual time pass.
pub(crate) async fn elapse(time: Duration) {
    // Time itself, and nobody waits for it: it goes on at once when all are waiting.
    sleep(time).await;
}
