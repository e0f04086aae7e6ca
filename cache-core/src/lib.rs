//! A two-tier cache for services: moka in the process, Redis behind it, coherent over every node.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use cache_core::{Cache, Policy, key, mins, secs};
//!
//! # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)] struct Product { id: u64 }
//! # async fn product_from_database(id: u64) -> Result<Product, std::io::Error> { Ok(Product { id }) }
//! let cache = Cache::builder("shop")                       // .redis("redis://127.0.0.1/") for a second tier
//!     .policy(Policy::new().ttl(mins(5)).l1(secs(30)))
//!     .scope("product", Policy::new().ttl(mins(15)).negative(secs(10)))
//!     .build()
//!     .await?;
//!
//! let id = 7_u64;
//! let product = cache.get_or_load(key!("product:{id}"), move || product_from_database(id)).await?;
//! assert_eq!(product, Product { id });
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

// So that the macros work inside this crate as they do outside.
#[allow(unused_extern_crates, reason = "named by what the macros write")]
extern crate self as cache_core;

pub mod behind;
mod breaker;
mod budget;
mod builder;
mod cache;
mod cell;
mod chance;
mod clock;
mod codec;
mod coherence;
pub mod duration;
mod entry;
mod epochs;
mod error;
mod failures;
mod flight;
mod hearing;
mod installed;
mod journal;
pub mod key;
mod lease;
mod local;
mod moves;
mod outcome;
mod policy;
mod recovery;
mod refresh;
mod remote;
mod schema;
mod stats;
mod sync;
mod tag;
mod tags;
mod tasks;
#[cfg(feature = "test-util")]
pub mod test_util;
mod tier;
mod token;
mod value;
mod version;
mod wire;

#[doc(hidden)]
pub mod __private;

#[cfg(feature = "aead")]
pub use crate::wire::Encryption;
pub use crate::{
    builder::Builder,
    cache::{AsCache, Cache, Entry, Expired, Request, Requests, Unit, observe},
    codec::Codec,
    coherence::{CoherenceReport, CoherenceState},
    duration::{days, hours, millis, mins, secs},
    error::{Error, ErrorKind, TimedOut},
    installed::{installed, with_cache},
    key::{Key, KeyPart},
    outcome::{Ack, Bypass, Observation, OnL2Error, Outcome, Tier},
    policy::{EarlyRefresh, Explanation, Overrides, Policy},
    remote::redis::Redis,
    stats::Stats,
    tier::Mechanism,
    token::Token,
    value::CacheValue,
};
#[cfg(feature = "macros")]
pub use cache_macros::{KeyPart, cache_evict, cache_put, cacheable, key};

// Their examples are compiled with those of the crate.
#[cfg(doctest)]
#[doc = include_str!("../../docs/loads.md")]
struct Loads;
#[cfg(doctest)]
#[doc = include_str!("../../docs/write-behind.md")]
struct WriteBehind;
#[cfg(all(doctest, feature = "postgres"))]
#[doc = include_str!("../../docs/writes.md")]
struct Writes;
