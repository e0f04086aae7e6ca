//! The crash run: write-behind with writers and flushers in several processes, a real Redis and a real database, all of which are
//! killed; and what the database holds after it, against what was acknowledged.
//!
//! The director holds the servers and the ledger. Each process writes keys of its own, one write of a key after another, says what
//! became of each, and flushes what anybody wrote. What is written follows from the seed, so that whoever takes the place of a
//! process that was killed goes on where it ended. A write that was cut off, or ended with an error, happened or it did not.

#![allow(missing_docs, reason = "a tool of the tests: the names of its variants and fields say what they are")]

mod database;
mod deployment;
mod director;
mod ledger;
mod node;
mod orders;
mod pace;
mod team;
mod work;

pub use deployment::{Fault, Kind};
pub use director::{Outcome, Settings, run};
pub use ledger::{Rule, Violation};
pub use node::live;
pub use pace::measure;
