//! A site whose answers say how many there were, and what is asked of it.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use axum::{Router, body::Body};
use cache_tower::Caching;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// Counts answers.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(crate) fn next(&self) -> String {
        (self.0.fetch_add(1, Ordering::SeqCst) + 1).to_string()
    }
}

/// A request to the shop.
pub(crate) struct Asked {
    pub(crate) method: &'static str,
    pub(crate) uri: String,
    pub(crate) field: Option<(&'static str, &'static str)>,
    /// What something in front of the layer says.
    pub(crate) caching: Option<Caching>,
}

impl Asked {
    pub(crate) fn to(uri: &str) -> Self {
        Self { method: "GET", uri: uri.to_owned(), field: None, caching: None }
    }
}

pub(crate) async fn ask(router: &Router, uri: &str) -> Response<Body> {
    ask_with(router, &Asked::to(uri)).await
}

/// The answer, its body read to its end.
pub(crate) async fn ask_with(router: &Router, asked: &Asked) -> Response<Body> {
    let mut request = Request::builder().method(asked.method).uri(&asked.uri);
    if !asked.uri.starts_with("http") {
        request = request.header("host", "shop.example");
    }
    if let Some((name, value)) = asked.field {
        request = request.header(name, value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(caching) = asked.caching.clone() {
        request.extensions_mut().insert(caching);
    }
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, Body::from(body.collect().await.unwrap().to_bytes()))
}

/// Its text, and the cache's word.
pub(crate) fn say(response: Response<Body>) -> (String, String) {
    let word = response.headers().get("cache-status").map_or("", |word| word.to_str().unwrap()).to_owned();
    // It was read before, so there is nothing to wait for.
    let Poll::Ready(body) = pin!(response.into_body().collect()).poll(&mut Context::from_waker(Waker::noop())) else {
        unreachable!("it was read before");
    };
    (String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap(), word)
}
