//! Unary gRPC calls, cached by method and message.
//!
//! You need it when a method answers the same for the same message, for some time, whoever asks: a product, a price list, a
//! configuration. Nothing in a gRPC call says that of itself, so each method is opted in by its path.
//!
//! ```
//! use cache_core::{Cache, secs};
//! use cache_tower::grpc::{GrpcCacheLayer, GrpcMethod};
//!
//! # #[tokio::main]
//! # async fn main() {
//! let cache = Cache::in_memory();
//! let layer = GrpcCacheLayer::new(&cache).method(GrpcMethod::new("/shop.v1.Products/Get").ttl(secs(30)));
//! // tonic::transport::Server::builder().layer(layer).add_service(ProductsServer::new(..))
//! # let _ = layer;
//! # }
//! ```
//!
//! With tags, failed calls that are kept too, and a field that answers depend on:
//!
//! ```
//! use cache_core::{Cache, Key, key, mins, secs};
//! use cache_tower::grpc::{GrpcCacheLayer, GrpcCall, GrpcMethod};
//!
//! # #[tokio::main]
//! # async fn main() {
//! // With prost it is `GetRequest::decode(call.message()?).ok()?.id`.
//! fn id_of(call: &GrpcCall<'_>) -> Option<u64> {
//!     call.message()?.last().map(|id| u64::from(*id))
//! }
//!
//! let tags = |call: &GrpcCall<'_>| -> Vec<Key> { id_of(call).into_iter().map(|id| key!("product:{id}")).collect() };
//! let cache = Cache::in_memory();
//! let layer = GrpcCacheLayer::new(&cache)
//!     .ttl(mins(5))
//!     .method("/shop.v1.Products/List")                                        // 5 minutes
//!     .method(GrpcMethod::new("/shop.v1.Products/Get").ttl(secs(30)).tags(tags))
//!     .store_status(5, secs(2))                                                // NOT_FOUND
//!     .key_metadata("x-tenant");
//!
//! // When product 7 has changed: what functions keep under that tag, and the answers.
//! let _ack = cache.evict_tag(key!("product:{7}")).await;
//! # let _ = layer;
//! # }
//! ```
//!
//! Calls of other methods pass: nothing is read of them, added to them, or boxed. So do calls whose request is no single message.
//!
//! What can go wrong: an answer that depends on what is not in its key. The key is the method, the message as it was sent, the
//! codec and the compressions (`content-type`, `grpc-encoding`, `grpc-accept-encoding`), and what
//! [`key_metadata`](GrpcCacheLayer::key_metadata) and [`private_by`](GrpcCacheLayer::private_by) name; not the authority, and not
//! who the client is by TLS. Calls with `authorization` or `cookie` go to the service unless you say what they are to the answer.

mod config;
mod flow;
mod frame;
mod future;
mod key;
mod layer;
mod load;
mod request;
mod service;
mod status;
mod stored;

pub use self::{
    config::{GrpcCall, GrpcMethod},
    future::GrpcFuture,
    layer::GrpcCacheLayer,
    request::GrpcBody,
    service::GrpcCacheService,
};
