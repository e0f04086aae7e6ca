//! What every test of this workspace can stand on: a real Redis or PostgreSQL per test, a TCP proxy that misbehaves on request, and a
//! way to wait for a thing instead of for a time.
//!
//! ```ignore
//! let redis = RedisServer::start().await;
//! let proxy = Proxy::before(&redis).await;
//! let cache = Cache::builder("shop").redis(proxy.url()).build().await?;
//! proxy.stall(Direction::ToClient);
//! eventually(Duration::from_secs(2), || async { !cache.coherence().is_coherent() }).await;
//! ```
//!
//! The tests themselves stand beside this crate: `it/` (one integration binary), `ui/` (messages of the macros), `tidy/`
//! (the rules of the house). A fixture that cannot be set up fails its test; nothing is skipped.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be set up fails its test, which is what a panic does")]

pub mod crash;
pub mod fixtures;
pub mod http;
pub mod measure;
pub mod model;
pub mod simulation;
pub mod stampede;
pub mod torture;

pub use fixtures::{
    Counts, Direction, PostgresOptions, PostgresServer, Proxy, RedisCluster, RedisOptions, RedisSentinel, RedisServer,
    Settled, StartError, TlsAuthority, eventually,
};
