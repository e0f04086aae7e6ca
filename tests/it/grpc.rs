//! Unary gRPC calls on several nodes: one call of the service for all, byte by byte the same everywhere, and one eviction.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use cache_core::{Cache, key};
use cache_tower::grpc::{GrpcBody, GrpcCacheLayer, GrpcMethod};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tests::fixtures::{RedisServer, eventually};
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceExt};

use crate::{
    outage::SOON,
    support::{coherent, node},
};

const GET: &str = "/shop.v1.Products/Get";
const MESSAGE: &[u8] = b"\0\0\0\0\x02\x08\x07";

/// A service, each call of which gets another answer.
#[derive(Clone, Default)]
struct Products {
    calls: Arc<AtomicU64>,
    /// While there is one, an answer waits for it.
    gate: Option<Arc<Notify>>,
}

/// An answer without the cache's word, and that.
type Got = ((HeaderMap, Bytes, Option<HeaderMap>), String);

impl Products {
    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// What a client of `node` gets.
    async fn get(&self, node: &Cache) -> Got {
        let layer = GrpcCacheLayer::new(node).method(GrpcMethod::new(GET).tags(|_| vec![key!("product:{7}")]));
        let request = Request::post(GET).header("content-type", "application/grpc");
        let request = request.body(Full::new(Bytes::from_static(MESSAGE))).unwrap();
        let (mut head, body) = layer.layer(self.clone()).oneshot(request).await.unwrap().into_parts();
        let word = head.headers.remove("cache-status").unwrap().to_str().unwrap().to_owned();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned();
        ((head.headers, body.to_bytes(), trailers), word)
    }
}

impl Service<Request<GrpcBody<Full<Bytes>>>> for Products {
    type Response = Response<http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<GrpcBody<Full<Bytes>>>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let number = u8::try_from(this.calls.fetch_add(1, Ordering::SeqCst) + 1).unwrap();
            if let Some(gate) = &this.gate {
                gate.notified().await;
            }
            assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), MESSAGE);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            trailers.insert("x-call", HeaderValue::from(u16::from(number)));
            let message = Full::new(Bytes::from(vec![0, 0, 0, 0, 1, number]));
            let body = message.with_trailers(async move { Some(Ok(trailers)) }).boxed_unsync();
            Ok(Response::builder()
                .header("content-type", "application/grpc")
                .header("x-a-bin", "AAEC")
                .body(body)
                .unwrap())
        })
    }
}

#[tokio::test]
async fn answer_of_a_call_is_that_of_all_nodes_until_it_is_evicted() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    coherent(&b).await;
    let products = Products::default();
    let (first, word) = products.get(&a).await;
    assert_eq!((word.as_str(), first.1.as_ref()), ("cache;fwd=miss", &[0, 0, 0, 0, 1, 1][..]));
    let hit = async |node, number: u8| {
        eventually(SOON, async || match products.get(node).await {
            (got, word) if word.contains(";hit") && got.1.last() == Some(&number) => Ok(got),
            (_, word) => Err(word),
        })
        .await
    };
    // Out of Redis it is what it was in the process that stored it.
    assert_eq!(hit(&b, 1).await, first);
    assert_eq!((hit(&a, 1).await, products.calls()), (first, 1));
    assert!(b.evict_tag(key!("product:{7}")).await.is_applied());
    assert_eq!(products.get(&b).await.0.1.last(), Some(&2));
    hit(&a, 2).await;
    assert_eq!(products.calls(), 2);
}

#[tokio::test]
async fn cold_call_on_several_nodes_is_one_call_of_the_service() {
    let redis = RedisServer::start().await;
    let nodes = [node(&redis).await, node(&redis).await];
    for node in &nodes {
        coherent(node).await;
    }
    let gate = Arc::new(Notify::new());
    let products = Products { gate: Some(Arc::clone(&gate)), ..Products::default() };
    let callers = (0..40).map(|number| products.get(&nodes[number % 2]));
    let opens = async {
        eventually(SOON, async || nodes.iter().map(|node| node.stats().leases_awaited).sum::<u64>() > 0).await;
        gate.notify_one();
    };
    let (all, ()) = tokio::join!(join_all(callers), opens);
    assert_eq!(products.calls(), 1);
    assert!(all.iter().all(|(got, _)| got == &all[0].0), "{all:?}");
}
