//! The coherence protocol as a finite model, searched exhaustively: one key with one tag, two nodes, one Redis, one database.
//!
//! Everybody who does anything is a machine of small steps, and the search takes them in every order there is: calls,
//! evictions, puts, the delivery of hints, lost connections, records that Redis reclaims or loses. A command leaves and is
//! executed in one step; its answer arrives in a later one. In every state that can be reached, whatever a node would answer
//! is held against what it owes (`rules`).
//!
//! Marks that only ever move on (stripes, epochs, counts of hints) are not numbers here: whoever would remember the number
//! remembers whether it still is the current one. That is all that the protocol asks, and it keeps the space small.
//!
//! Each guard of the protocol can be taken out ([`Guards::without`]); the search then gives the shortest way to a stale answer.
//!
//! Not modelled: time (a hit while nothing is heard is held only against the node's own changes), several primaries, a server
//! that loses less than what the last beat proves. The simulation has those.

#![allow(missing_docs, reason = "a tool of the tests: the names of its variants and fields say what they are")]

#[macro_use]
mod words;

mod call;
mod event;
mod flight;
mod guards;
mod hearing;
mod outage;
mod packed;
mod rules;
mod scenarios;
mod search;
mod server;
mod state;
mod step;
mod worker;
mod writer;

pub use event::{Event, Events};
pub use guards::{Guard, Guards};
pub use rules::Broken;
pub use scenarios::Scenario;
pub use search::{Counterexample, Found, search};
