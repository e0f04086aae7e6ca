//! The integration tests, in one binary: one module a subject. Each test that needs Redis starts its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attributes;
mod cluster;
mod coherence;
mod connections;
mod fixtures;
mod flights;
mod hostile;
mod mechanisms;
mod model;
mod outage;
mod recovery;
mod sentinel;
mod simulation;
mod stampede;
mod start;
mod support;
mod torture;
mod warm;
mod writers;
