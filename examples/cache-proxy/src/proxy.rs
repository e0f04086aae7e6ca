//! In front of the layer: what is no request for it is refused, what is of one connection stays there, and errors become answers.

use std::{
    convert::Infallible,
    future::{self, Future, Ready},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    response::Response,
    serve::{IncomingStream, Listener},
};
use cache_tower::{CacheLayer, CacheService};
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Version,
    header::{HOST, MAX_FORWARDS},
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    failure::text,
    fields,
    forward::{Forward, Upstream},
};

/// Makes a [`Proxy`] for each connection, which knows its peer.
#[derive(Clone, Debug)]
pub(crate) struct MakeProxy {
    layer: CacheLayer,
    upstream: Arc<Upstream>,
}

/// The proxy, for one connection.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    cached: CacheService<Forward>,
}

type Call = <CacheService<Forward> as Service<Request<Body>>>::Future;

pin_project! {
    /// An answer of the layer or of the proxy's own.
    #[project = AnsweringProjection]
    pub(crate) enum Answering {
        Refused { response: Option<Response> },
        Asked { #[pin] call: Call, was_conditional: bool },
    }
}

// === impl MakeProxy ===

impl MakeProxy {
    pub(crate) fn new(layer: CacheLayer, upstream: Upstream) -> Self {
        Self { layer, upstream: Arc::new(upstream) }
    }
}

impl<L: Listener<Addr = SocketAddr>> Service<IncomingStream<'_, L>> for MakeProxy {
    type Response = Proxy;
    type Error = Infallible;
    type Future = Ready<Result<Proxy, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        let forward = Forward::new(Arc::clone(&self.upstream), stream.remote_addr().ip());
        future::ready(Ok(Proxy { cached: self.layer.layer(forward) }))
    }
}

// === impl Proxy ===

impl Service<Request<Body>> for Proxy {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // It is always ready: the client makes connections as it needs them.
        self.cached.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering {
        if let Some(response) = refusal(&mut request) {
            return Answering::Refused { response: Some(response) };
        }
        // Before the layer: an answer is stored under what the upstream has seen of the request.
        fields::strip(request.headers_mut());
        let was_conditional = fields::is_conditional(request.headers());
        Answering::Asked { call: self.cached.call(request), was_conditional }
    }
}

/// The answer to a request that does not get as far as the layer.
fn refusal(request: &mut Request<Body>) -> Option<Response> {
    if let Err(why) = check_host(request.headers(), request.version()) {
        return Some(text(StatusCode::BAD_REQUEST, why));
    }
    match *request.method() {
        Method::CONNECT => Some(text(StatusCode::NOT_IMPLEMENTED, "this proxy makes no tunnels\n")),
        Method::OPTIONS | Method::TRACE => hop_limit(request),
        _ => None,
    }
}

/// RFC 9112 section 3.2: a request has one `Host`, and that is one.
fn check_host(headers: &HeaderMap, version: Version) -> Result<(), &'static str> {
    let mut hosts = headers.get_all(HOST).iter();
    let is_one = |host: &HeaderValue| {
        host.as_bytes().iter().all(|byte| byte.is_ascii_graphic() && !b"/?#@,\\\"<>".contains(byte))
    };
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_11 => Err("the request has no Host\n"),
        (Some(_), Some(_)) => Err("the request has more than one Host\n"),
        (Some(host), None) if !is_one(host) => Err("the Host of the request is none\n"),
        _ => Ok(()),
    }
}

/// RFC 9110 section 7.6.2: how many proxies the request may still pass.
fn hop_limit(request: &mut Request<Body>) -> Option<Response> {
    let left: u64 = request.headers().get(MAX_FORWARDS)?.to_str().ok()?.parse().ok()?;
    let Some(fewer) = left.checked_sub(1) else {
        let is_options = request.method() == Method::OPTIONS;
        let status = if is_options { StatusCode::NO_CONTENT } else { StatusCode::NOT_IMPLEMENTED };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        return Some(response);
    };
    request.headers_mut().insert(MAX_FORWARDS, HeaderValue::from(fewer));
    None
}

// === impl Answering ===

impl Future for Answering {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.project() {
            AnsweringProjection::Refused { response } => {
                response.take().expect("a future is not polled again after it is ready")
            }
            AnsweringProjection::Asked { call, was_conditional } => match ready!(call.poll(cx)) {
                Ok(mut response) => {
                    // After the layer, which has to see what `Connection` names: that may be `Cache-Control`.
                    fields::strip(response.headers_mut());
                    response.map(Body::new)
                }
                Err(failure) => failure.response(*was_conditional),
            },
        };
        Poll::Ready(Ok(response))
    }
}
