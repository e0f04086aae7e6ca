//! Writers: `#[cache_evict]` and `#[cache_put]`, when they come to their end, when they do not, and when they meet.

mod by_hand;
mod dropped;
mod late_ears;
mod members;
mod options;
mod races;
mod several;
mod streams;
mod units;
mod versions;
