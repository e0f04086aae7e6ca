//! Unary gRPC calls through the layer: what is cached, what passes untouched, and who waits for whom.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it unwraps, and its clients are tasks"
)]

mod answers;
mod callers;
mod passing;
mod service;
mod sharing;
