//! The proxy as a process, between a client and an upstream that are both played byte by byte.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod caching;
mod failing;
mod forwarding;
mod node;
mod streaming;
mod upstream;
mod wire;
