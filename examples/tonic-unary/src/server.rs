//! The server, with the layer in front of it and without.

use std::net::SocketAddr;

use cache_core::{Cache, Key, key, secs};
use cache_tower::grpc::{GrpcCacheLayer, GrpcCall, GrpcMethod};
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};

use crate::{Problem, messages::GetRequest, products::Shop, shop::products_server::ProductsServer};

/// The method that is cached.
pub(crate) const GET: &str = "/shop.v1.Products/Get";

/// The layer: what `Get` answers is kept for a minute, and under a tag that names the product.
pub(crate) fn layer(cache: &Cache) -> GrpcCacheLayer {
    GrpcCacheLayer::new(cache).method(GrpcMethod::new(GET).ttl(secs(60)).tags(tags))
}

fn tags(call: &GrpcCall<'_>) -> Vec<Key> {
    let request = call.message().and_then(|message| GetRequest::decode(message).ok());
    request.map(|request| tag(request.id)).into_iter().collect()
}

/// The tag of a product, which functions may have too.
pub(crate) fn tag(id: u64) -> Key {
    key!("product:{id}")
}

/// Serves a shop on a port of its own, for as long as the program runs.
pub(crate) async fn start(shop: Shop, layer: Option<GrpcCacheLayer>) -> Result<SocketAddr, Problem> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (incoming, products) = (TcpIncoming::from(listener), ProductsServer::new(shop));
    let Some(layer) = layer else {
        tokio::spawn(Server::builder().add_service(products).serve_with_incoming(incoming));
        return Ok(address);
    };
    tokio::spawn(Server::builder().layer(layer).add_service(products).serve_with_incoming(incoming));
    Ok(address)
}
