//! The torture run: real Redis in several deployments, real processes with caches, and everything that can happen to them.
//!
//! The *director* holds the servers, the database and the clock of faults; each *node* is a process of its own that reads and
//! changes rows through its cache and reports what it saw. The director judges: every read against every change that was
//! acknowledged before it. All of them have one monotonic clock, that of the machine.

#![allow(missing_docs, reason = "a tool of the tests: the names of its variants and fields say what they are")]

mod clock;
mod database;
mod deployment;
mod director;
mod faults;
mod history;
mod node;
mod report;
mod shop;

pub(crate) use clock::Moment;
pub use deployment::Kind;
pub use director::{Outcome, Settings, run};
pub use faults::Fault;
pub use history::{Rule, Tally, Violation};
pub use node::live;
