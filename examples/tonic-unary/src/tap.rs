//! What comes over the wire, beside what tonic makes of it.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use tonic::{body::Body, transport::Channel};
use tower_service::Service;

use crate::Problem;

/// A channel for unary calls that keeps what it has received last.
#[derive(Clone)]
pub(crate) struct Tap {
    channel: Channel,
    last: Arc<Mutex<Option<Received>>>,
}

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// All but `date`, which the server adds when it sends, and `cache-status`.
    pub(crate) headers: HeaderMap,
    pub(crate) cache: Option<String>,
    pub(crate) bytes: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

// === impl Tap ===

impl Tap {
    pub(crate) fn new(channel: Channel) -> Self {
        Self { channel, last: Arc::default() }
    }

    /// What came last.
    pub(crate) fn take(&self) -> Result<Received, Problem> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        last.ok_or_else(|| "nothing was received".into())
    }
}

impl Service<Request<Body>> for Tap {
    type Response = Response<Body>;
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Problem>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Problem>> {
        self.channel.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let clone = self.channel.clone();
        let mut channel = mem::replace(&mut self.channel, clone);
        let last = Arc::clone(&self.last);
        Box::pin(async move {
            let (head, body) = channel.call(request).await?.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            let bytes = body.to_bytes();
            let mut headers = head.headers.clone();
            headers.remove("date");
            let cache = headers.remove("cache-status").and_then(|word| Some(word.to_str().ok()?.to_owned()));
            let received = Received { headers, cache, bytes: bytes.clone(), trailers: trailers.clone() };
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(received);
            let body = Full::new(bytes).with_trailers(async move { trailers.map(Ok) });
            Ok(Response::from_parts(head, Body::new(body)))
        })
    }
}
