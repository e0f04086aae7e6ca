//! A Tower layer that caches HTTP answers, as a shared cache by RFC 9111, over [`cache_core`].
//!
//! Around an axum [`Router`](https://docs.rs/axum), a hyper client or any other service of `http` requests. Answers live in the
//! process and in Redis, as results of functions do: one request for all who miss, on all nodes; one eviction for pages and for
//! the functions behind them.
//!
//! [`CacheLayer::new`] is careful. It stores what says how long it is fresh:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, http::header::CACHE_CONTROL, response::IntoResponse, routing::get};
//! use cache_core::Cache;
//! use cache_tower::CacheLayer;
//!
//! async fn books() -> impl IntoResponse {
//!     ([(CACHE_CONTROL, "s-maxage=60")], "all the books")
//! }
//!
//! let cache = Cache::builder("shop").build().await?;       // .redis("redis://127.0.0.1/") for all nodes together
//! let app: Router = Router::new().route("/books", get(books)).layer(CacheLayer::new(&cache));
//! # use tower::ServiceExt;
//! # let ask = axum::http::Request::get("/books").body(axum::body::Body::empty())?;
//! # assert_eq!(app.oneshot(ask).await?.headers()["cache-status"], "cache;fwd=uri-miss;stored");
//! # Ok(())
//! # }
//! ```
//!
//! Customised: lives for those who say nothing, tags that functions have too, and answers of one's own for whoever is logged in.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, extract::Path, response::IntoResponse, routing::get};
//! use cache_core::{Cache, Policy, key, mins, secs};
//! use cache_tower::{CacheLayer, Query};
//!
//! /// What a layer outside has found out of a session.
//! #[derive(Clone)]
//! struct User(String);
//!
//! async fn shelf(Path(shelf): Path<u32>) -> impl IntoResponse {
//!     ([("surrogate-key", format!("category:books shelf:{shelf}"))], "some books")
//! }
//!
//! let cache = Cache::builder("shop").scope("pages", Policy::new().l1(secs(30))).build().await?;
//! let layer = CacheLayer::new(&cache)
//!     .scope("pages")
//!     .default_ttl(mins(5))
//!     .query(Query::Only(vec!["page".to_owned()]))
//!     .private_by(|request| request.extensions.get::<User>().map(|user| user.0.clone()))
//!     .cache_status(Some("shop"));
//! let app: Router = Router::new().route("/shelves/{shelf}", get(shelf)).layer(layer.clone());
//!
//! let shelf = 7;
//! cache.evict_tag(key!("shelf:{shelf}")).await;                          // its pages, and what functions have under the tag
//! layer.purge(&"http://shop.example/shelves/7".parse()?).await;          // one URL
//! cache.evict_scope("pages").await;                                      // all of the layer
//! # use tower::ServiceExt;
//! # let ask = || axum::http::Request::get("/shelves/7").body(axum::body::Body::empty()).unwrap();
//! # let said = |answer: &axum::response::Response| answer.headers()["cache-status"].to_str().unwrap().to_owned();
//! # for evict in 0..3 {
//! #     let first = app.clone().oneshot(ask()).await?;
//! #     assert_eq!(said(&first), "shop;fwd=uri-miss;stored", "{evict}");
//! #     axum::body::to_bytes(first.into_body(), 100).await?;
//! #     while !said(&app.clone().oneshot(ask()).await?).starts_with("shop;hit") {}
//! #     if evict == 0 { cache.evict_tag(key!("shelf:{shelf}")).await; } else { cache.evict_scope("pages").await; }
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! What is stored, by which section, what is in the key, and what can go wrong stands in `docs/http.md`.

mod answer;
mod body;
mod caching;
mod clock;
mod config;
mod fetch;
mod flow;
mod future;
pub mod grpc;
mod invalidate;
mod keep;
mod key;
mod layer;
mod live;
mod part;
mod passes;
mod prefix;
mod purge;
mod query;
mod record;
mod rfc;
mod service;
mod shared;
mod slot;
mod stored;

pub use crate::{
    body::{BodyError, CacheBody},
    caching::Caching,
    future::ResponseFuture,
    layer::CacheLayer,
    prefix::UnknownPrefix,
    purge::{PurgeService, bearer},
    query::Query,
    service::CacheService,
};

// Its example is compiled with those of the crate.
#[cfg(doctest)]
#[doc = include_str!("../../docs/http.md")]
struct Http;

#[cfg(doctest)]
#[doc = include_str!("../../docs/grpc.md")]
struct Grpc;
