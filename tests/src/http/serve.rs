//! The program as a server: `http serve bare|cached PORT`.

use std::net::{Ipv4Addr, SocketAddr};

use axum::{Router, serve::ListenerExt};
use cache_core::Cache;
use cache_tower::CacheLayer;
use tokio::net::TcpSocket;

use super::origin;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4_096;

/// Serves, with the layer or without it, until it is killed.
///
/// # Panics
///
/// If it cannot, or does not know what.
pub async fn serve(words: &[String]) {
    let [kind, port] = words else { panic!("serve bare|cached PORT") };
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, port.parse().unwrap()).into();
    let router = if kind == "cached" {
        let cache = Cache::builder("http").build().await.unwrap();
        let layer = CacheLayer::new(cache);
        let cached = |router: Router| router.layer(layer.clone());
        cached(origin::pages()).merge(origin::slow(cached))
    } else {
        origin::pages().merge(origin::slow(|router| router))
    };
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(BACKLOG).unwrap().tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}
