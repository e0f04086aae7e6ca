//! Sends requests to a node, and reads what the node says about them.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, Method, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::Problem;
use crate::header::{CACHE_STATUS, Seen, X_CACHE, X_CACHE_REMOTE_US, X_CACHE_STATE, X_LOADS, parse, parse_status};
use crate::process::Node;

/// How long a request may take before the tour gives up.
const REQUEST_MAX: Duration = Duration::from_secs(15);
/// The largest answer that is read.
const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A request to make.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
    /// What a browser sends: that it wants a page, and the tag of the one that it has.
    page: Option<Option<String>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// What the cache did.
    pub(crate) seen: Vec<Seen>,
    /// How long the request waited for Redis.
    pub(crate) remote: Duration,
    /// What the cache said of its own state.
    pub(crate) state: String,
    /// What the HTTP layer did; nothing where there is none.
    pub(crate) page: Option<Seen>,
    /// The page's tag, which a client shows when it asks again.
    pub(crate) etag: Option<String>,
    /// How often the node has read its database.
    pub(crate) loads: u64,
    /// The JSON; a string where the answer is plain text.
    pub(crate) body: Value,
    /// From sending to the last byte.
    pub(crate) elapsed: Duration,
}

/// An HTTP client that keeps its connections.
#[derive(Clone, Debug)]
pub(crate) struct Driver(Client<HttpConnector, Full<axum::body::Bytes>>);

// === impl Ask ===

impl Ask {
    /// A `GET`.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, page: None }
    }

    /// A `GET` by a browser; `etag` is that of the page that it has.
    pub(crate) fn page(path: impl Into<String>, etag: Option<&str>) -> Self {
        Self { page: Some(etag.map(str::to_owned)), ..Self::get(path) }
    }

    /// A `PUT` of JSON.
    pub(crate) fn put(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PUT, body: Some(body), ..Self::get(path) }
    }

    /// A `POST` of JSON.
    pub(crate) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }

    /// A `DELETE`.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { method: Method::DELETE, ..Self::get(path) }
    }
}

impl std::fmt::Display for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let page = match &self.page {
            None => "",
            Some(None) => " (page)",
            Some(Some(_)) => " (has page)",
        };
        write!(f, "{} {}{page}", self.method, self.path)
    }
}

// === impl Answer ===

impl Answer {
    /// The number at `field` of the JSON object.
    pub(crate) fn number(&self, field: &str) -> Option<u64> {
        self.body.get(field)?.as_u64()
    }
}

// === impl Driver ===

impl Driver {
    /// A client without connections.
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Makes the request, and reads the whole answer.
    pub(crate) async fn ask(&self, node: &Node, ask: &Ask) -> Result<Answer, Problem> {
        self.ask_at(node.base(), ask).await.map_err(|problem| format!("{} {ask}: {problem}", node.name()).into())
    }

    /// As [`ask`](Self::ask), at whatever listens there.
    pub(crate) async fn ask_at(&self, base: &str, ask: &Ask) -> Result<Answer, Problem> {
        let mut request = Request::builder().method(ask.method.clone()).uri(format!("{base}{}", ask.path));
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(etag) = &ask.page {
            request = request.header(header::ACCEPT, "text/html");
            if let Some(etag) = etag {
                request = request.header(header::IF_NONE_MATCH, etag);
            }
        }
        let body = ask.body.as_ref().map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::from(body))?;
        let started = Instant::now();
        let exchange = async {
            let (parts, body) = self.0.request(request).await?.into_parts();
            let body = Limited::new(body, BODY_MAX_BYTES).collect().await?.to_bytes();
            Ok::<_, Problem>((parts, body))
        };
        let (parts, body) = tokio::time::timeout(REQUEST_MAX, exchange)
            .await
            .map_err(|_| format!("no answer within {REQUEST_MAX:?}"))??;
        let elapsed = started.elapsed();
        let text = |name| text(&parts.headers, name);
        let number = |name| text(name).and_then(|text| text.parse().ok());
        Ok(Answer {
            status: parts.status.as_u16(),
            seen: text(X_CACHE).and_then(parse).ok_or("no readable x-cache header")?,
            remote: Duration::from_micros(number(X_CACHE_REMOTE_US).ok_or("no readable x-cache-remote-us header")?),
            state: text(X_CACHE_STATE).ok_or("no readable x-cache-state header")?.to_owned(),
            page: text(CACHE_STATUS).and_then(parse_status),
            etag: text(header::ETAG).map(str::to_owned),
            loads: number(X_LOADS).ok_or("no readable x-loads header")?,
            body: serde_json::from_slice(&body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned())),
            elapsed,
        })
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
