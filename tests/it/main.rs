//! The integration tests, in one binary: one module a subject. Each test that needs Redis starts its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attributes;
mod batches;
mod behind;
mod behind_sinks;
mod cluster;
mod codecs;
mod coherence;
mod connections;
mod crash;
mod events;
mod exchange;
mod fixtures;
mod flights;
mod grpc;
mod hostile;
mod http;
mod http_soft;
mod leases;
mod mechanisms;
mod model;
mod old_values;
mod outage;
mod outbox;
mod postgres;
mod recovery;
mod rolling_deploy;
mod sentinel;
mod simulation;
mod soft;
mod stampede;
mod start;
mod support;
mod tokens;
mod torture;
mod warm;
mod writers;
