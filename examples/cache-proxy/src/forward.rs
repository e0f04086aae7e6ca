//! Behind the layer: takes a request to the upstream, and brings its answer back. Nothing is sent twice.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{CONNECTION, HOST, TE, TRANSFER_ENCODING},
    request,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower_service::Service;

use crate::{
    cli::{Cli, Host},
    failure::{Failure, Kind},
    fields::{self, Via},
};

/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses; less than most servers do, so that few are closed as they are taken.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The upstream, for the requests of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    upstream: Arc<Upstream>,
    peer: IpAddr,
}

/// The upstream, and the connections to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    authority: Authority,
    /// What replaces the client's `Host`, if anything does.
    host: Option<HeaderValue>,
    via: Via,
    patience: Duration,
    client: Client<HttpConnector, Body>,
}

// === impl Forward ===

impl Forward {
    pub(crate) fn new(upstream: Arc<Upstream>, peer: IpAddr) -> Self {
        Self { upstream, peer }
    }
}

impl Service<Request<Body>> for Forward {
    type Response = Response<Incoming>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Failure>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (upstream, peer) = (Arc::clone(&self.upstream), self.peer);
        Box::pin(async move {
            let was_conditional = fields::is_conditional(request.headers());
            upstream.ask(peer, request).await.map_err(|kind| Failure::new(kind, was_conditional))
        })
    }
}

// === impl Upstream ===

impl Upstream {
    pub(crate) fn new(options: &Cli) -> Result<Self, http::header::InvalidHeaderValue> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_MAX));
        // A request that was not begun on a connection that has just been closed is taken to another; the upstream sees it once.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .retry_canceled_requests(true)
            .build(connector);
        let host = match options.host {
            Host::Client => None,
            Host::Upstream => Some(HeaderValue::from_str(options.upstream.as_str())?),
        };
        let authority = options.upstream.clone();
        Ok(Self { authority, host, via: Via::new(&options.name)?, patience: options.timeout, client })
    }

    async fn ask(&self, peer: IpAddr, request: Request<Body>) -> Result<Response<Incoming>, Kind> {
        let (mut parts, body) = request.into_parts();
        self.prepare(&mut parts, peer)?;
        // An upload takes its time, and the answer comes after it.
        let is_limited = body.is_end_stream();
        if !is_limited && body.size_hint().exact().is_none() {
            // The client drops a body of unknown length from a GET that does not say that it has one.
            parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let asking = self.client.request(Request::from_parts(parts, body));
        let answered = if is_limited {
            tokio::time::timeout(self.patience, asking).await.map_err(|_| Kind::Late(self.patience))?
        } else {
            asking.await
        };
        let mut response = answered.map_err(Kind::Broken)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Kind::Switched);
        }
        let version = response.version();
        fields::add_via(response.headers_mut(), version, &self.via);
        Ok(response)
    }

    /// Makes of a request that was received the one that is sent. What is of the connection has been taken out before the layer.
    fn prepare(&self, parts: &mut request::Parts, peer: IpAddr) -> Result<(), Kind> {
        let uri = std::mem::take(&mut parts.uri).into_parts();
        if let Some(authority) = &uri.authority {
            // RFC 9112 section 3.2.2: whatever `Host` says.
            let authority = authority.as_str();
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            parts.headers.insert(HOST, HeaderValue::from_str(host).map_err(|error| Kind::Target(error.into()))?);
        }
        let proto = if uri.scheme == Some(Scheme::HTTPS) { "https" } else { "http" };
        let host = parts.headers.get(HOST).cloned();
        fields::add_forwarded(&mut parts.headers, peer, host.as_ref(), proto);
        fields::add_via(&mut parts.headers, parts.version, &self.via);
        fields::join_cookies(&mut parts.headers);
        if let Some(host) = &self.host {
            parts.headers.insert(HOST, host.clone());
        }
        if parts.headers.contains_key(TE) {
            // RFC 9110 section 10.1.4: whoever sends it says that it is of the connection.
            parts.headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        parts.uri = self.target(uri.path_and_query).map_err(Kind::Target)?;
        parts.version = Version::HTTP_11;
        Ok(())
    }

    fn target(&self, path: Option<PathAndQuery>) -> Result<Uri, http::Error> {
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone()).path_and_query(path).build()
    }
}
