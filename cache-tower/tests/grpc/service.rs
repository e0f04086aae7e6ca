//! A service that is told what to answer, and its clients.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use cache_core::{Cache, secs};
use cache_tower::grpc::{GrpcCacheLayer, GrpcMethod};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, request};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use tower::{Layer, Service, ServiceExt};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, Cut>;
pub(crate) type Answered = Result<Response<AnyBody>, BoxError>;
type Handler = dyn Fn(u64, Asked) -> Pin<Box<dyn Future<Output = Answered> + Send>> + Send + Sync;

/// Nothing here takes that long, whatever the machine does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const GET: &str = "/shop.v1.Products/Get";

/// How a body fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the body is cut")
    }
}

impl std::error::Error for Cut {}

/// A request as the service sees it.
pub(crate) struct Asked {
    pub(crate) parts: request::Parts,
    pub(crate) body: AnyBody,
}

/// A service. It panics if it is called without having been asked whether it is ready.
pub(crate) struct Handmade {
    handler: Arc<Handler>,
    calls: Arc<AtomicU64>,
    /// What it was sent: bytes, and whether trailers followed.
    sent: Arc<Mutex<Vec<Sent>>>,
    is_ready: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) bytes: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// What a client got.
#[derive(Debug, PartialEq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    /// All but `cache-status`.
    pub(crate) headers: HeaderMap,
    pub(crate) cache: Option<String>,
    pub(crate) bytes: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    /// It had no body at all.
    pub(crate) ended_at_once: bool,
    pub(crate) broke: bool,
}

// === impl Handmade ===

impl Handmade {
    pub(crate) fn new<F>(handler: impl Fn(u64, Asked) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answered> + Send + 'static,
    {
        let handler: Arc<Handler> = Arc::new(move |number, asked| Box::pin(handler(number, asked)));
        Self { handler, calls: Arc::default(), sent: Arc::default(), is_ready: false }
    }

    /// Reads its request and answers the number of the call, with what a handler adds.
    pub(crate) fn counting() -> Self {
        Self::reading(|number| answer(&[], &[message(&number.to_string())], &[("grpc-status", "0")]))
    }

    /// Reads its request and answers by the number of the call.
    pub(crate) fn reading(answers: impl Fn(u64) -> Response<AnyBody> + Send + Sync + 'static) -> Self {
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let (kept, answers) = (Arc::clone(&sent), Arc::new(answers));
        let this = Self::new(move |number, asked| {
            let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
            async move {
                let body = asked.body.collect().await?;
                let trailers = body.trailers().cloned();
                kept.lock().unwrap().push(Sent { bytes: body.to_bytes(), trailers });
                Ok(answers(number))
            }
        });
        Self { sent, ..this }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

impl Clone for Handmade {
    fn clone(&self) -> Self {
        let (handler, calls, sent) = (Arc::clone(&self.handler), Arc::clone(&self.calls), Arc::clone(&self.sent));
        Self { handler, calls, sent, is_ready: false }
    }
}

impl<B> Service<Request<B>> for Handmade
where
    B: Body<Data = Bytes, Error = Cut> + Send + 'static,
{
    type Response = Response<AnyBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answered> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "called before it was ready");
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let (parts, body) = request.into_parts();
        (self.handler)(number, Asked { parts, body: body.boxed_unsync() })
    }
}

// === messages ===

/// A message with its prefix.
pub(crate) fn message(text: &str) -> Bytes {
    framed(0, text)
}

pub(crate) fn framed(flag: u8, text: &str) -> Bytes {
    let mut bytes = vec![flag];
    bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes.into()
}

pub(crate) fn fields(all: &[(&str, &str)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in all {
        fields.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    fields
}

#[allow(clippy::unnecessary_wraps, reason = "as a body gives it")]
pub(crate) fn chunk(bytes: impl Into<Bytes>) -> Result<Frame<Bytes>, Cut> {
    Ok(Frame::data(bytes.into()))
}

pub(crate) fn body(frames: Vec<Result<Frame<Bytes>, Cut>>) -> AnyBody {
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

/// A body that is at its end.
pub(crate) fn nothing() -> AnyBody {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Frames that are followed by nothing, not even an end.
pub(crate) fn open(frames: Vec<Result<Frame<Bytes>, Cut>>) -> AnyBody {
    StreamBody::new(stream::iter(frames).chain(stream::pending())).boxed_unsync()
}

/// An answer with these headers besides its content type, chunks and trailers.
pub(crate) fn answer(headers: &[(&str, &str)], chunks: &[Bytes], trailers: &[(&str, &str)]) -> Response<AnyBody> {
    let mut frames: Vec<_> = chunks.iter().cloned().map(chunk).collect();
    if !trailers.is_empty() {
        frames.push(Ok(Frame::trailers(fields(trailers))));
    }
    with(headers, body(frames))
}

/// An answer that ends with its headers.
pub(crate) fn trailers_only(headers: &[(&str, &str)]) -> Response<AnyBody> {
    with(headers, nothing())
}

pub(crate) fn with(headers: &[(&str, &str)], body: AnyBody) -> Response<AnyBody> {
    let mut response = Response::new(body);
    *response.headers_mut() = fields(headers);
    response.headers_mut().entry("content-type").or_insert(HeaderValue::from_static("application/grpc"));
    response
}

pub(crate) fn request(path: &str, metadata: &[(&str, &str)], body: AnyBody) -> Request<AnyBody> {
    let mut request = Request::builder().method("POST").uri(path).body(body).unwrap();
    *request.headers_mut() = fields(metadata);
    request.headers_mut().entry("content-type").or_insert(HeaderValue::from_static("application/grpc"));
    request
}

/// A call of [`GET`] with one message.
pub(crate) fn call(metadata: &[(&str, &str)], text: &str) -> Request<AnyBody> {
    request(GET, metadata, body(vec![chunk(message(text))]))
}

// === clients ===

/// A layer that caches [`GET`] for a minute.
pub(crate) fn layer(cache: &Cache) -> GrpcCacheLayer {
    GrpcCacheLayer::new(cache).method(GrpcMethod::new(GET).ttl(secs(60)))
}

/// What a client gets of `service` behind `layer`.
pub(crate) async fn ask(layer: &GrpcCacheLayer, service: &Handmade, request: Request<AnyBody>) -> Got {
    let asked = layer.layer(service.clone()).oneshot(request);
    let response = tokio::time::timeout(DEADLINE, asked).await.expect("a client hangs").unwrap();
    tokio::time::timeout(DEADLINE, read(response)).await.expect("a body hangs")
}

pub(crate) async fn read<B>(response: Response<B>) -> Got
where
    B: Body<Data = Bytes>,
{
    let (mut parts, body) = response.into_parts();
    let cache = parts.headers.remove("cache-status").map(|word| word.to_str().unwrap().to_owned());
    let ended_at_once = body.is_end_stream();
    let (mut bytes, mut trailers, mut broke) = (Vec::new(), None, false);
    let mut body = Box::pin(body);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) if frame.is_data() => bytes.extend(frame.into_data().unwrap_or_default()),
            Ok(frame) => trailers = frame.into_trailers().ok(),
            Err(_) => broke = true,
        }
    }
    let (status, headers) = (parts.status.as_u16(), parts.headers);
    Got { status, headers, cache, bytes: bytes.into(), trailers, ended_at_once, broke }
}

impl Got {
    /// The word of the cache, without what changes with time.
    pub(crate) fn word(&self) -> String {
        let parts = self.cache.as_deref().unwrap_or("none").split(';');
        parts.filter(|part| !part.starts_with("ttl=")).collect::<Vec<_>>().join(";")
    }

    /// The text of the message.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.bytes.get(5..).unwrap_or_default()).unwrap()
    }
}

/// Waits until something is so.
pub(crate) async fn eventually(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("it never was so");
}
