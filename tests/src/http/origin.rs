//! What the servers of the run answer: a constant, a page that takes its time, a body without an end in sight.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use futures_util::stream;

/// The constant: a small page.
const PAGE: &[u8] = &[b'x'; 1_024];
/// How long the slow pages take.
pub(crate) const SLOW: Duration = Duration::from_secs(2);
/// How long `gap` has its second chunk come after its first.
pub(crate) const GAP: Duration = Duration::from_millis(50);
const CHUNK: &[u8] = &[b'y'; 64 << 10];

/// Calls of a slow page: those that began, and those under way, now and at most.
#[derive(Debug, Default)]
struct Calls {
    began: AtomicU64,
    now: AtomicU64,
    most: AtomicU64,
}

/// The pages; `kept` are those that may be stored.
pub(crate) fn pages() -> Router {
    Router::new()
        .route("/page", get(async || answer(Some("max-age=3600"), Body::from(Bytes::from_static(PAGE)))))
        .route("/gap/{kind}", get(async |Path(kind): Path<String>| answer(Some(control(&kind)), gapped())))
        .route("/body/{kind}/{megabytes}", get(body))
}

/// The slow pages, in `cached`, and in front of them what tells of their calls.
pub(crate) fn slow(cached: impl FnOnce(Router) -> Router) -> Router {
    let calls = Arc::new(Calls::default());
    let pages = Router::new().route("/slow/{kind}", get(slow_page)).with_state(Arc::clone(&calls));
    cached(pages).route("/calls", get(tell).with_state(calls))
}

fn control(kind: &str) -> &'static str {
    if kind == "kept" { "max-age=3600" } else { "no-store" }
}

fn answer(control: Option<&'static str>, body: Body) -> Response {
    let fields: [(HeaderName, &'static str); 2] = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (ETAG, "\"5f3c-1\"")];
    let mut response = body.into_response();
    let control = control.map(|control| (CACHE_CONTROL, control));
    let fields = fields.into_iter().chain(control).map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(fields);
    response
}

async fn slow_page(State(calls): State<Arc<Calls>>, Path(kind): Path<String>) -> Response {
    calls.began.fetch_add(1, Relaxed);
    let now = calls.now.fetch_add(1, Relaxed) + 1;
    calls.most.fetch_max(now, Relaxed);
    let ends = scopeguard(&calls);
    // What is slow takes time itself.
    tokio::time::sleep(SLOW).await;
    drop(ends);
    answer(Some(control(&kind)), Body::from(Bytes::from_static(PAGE)))
}

/// One call fewer is under way when it is dropped, by its end or by a client that left.
fn scopeguard(calls: &Calls) -> impl Drop {
    struct Ends<'a>(&'a Calls);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.now.fetch_sub(1, Relaxed);
        }
    }
    Ends(calls)
}

/// `began most`, and begins to count anew.
async fn tell(State(calls): State<Arc<Calls>>) -> String {
    format!("{} {}", calls.began.swap(0, Relaxed), calls.most.swap(0, Relaxed))
}

/// As large as the path says: with `length`, the answer says so too.
async fn body(Path((kind, megabytes)): Path<(String, u64)>) -> Response {
    let chunks = (megabytes << 20) / CHUNK.len() as u64;
    let chunks = stream::iter((0..chunks).map(|_| Ok::<_, Infallible>(Bytes::from_static(CHUNK))));
    // A pause for others after each chunk, as a body that comes from somewhere has.
    let chunks = futures_util::StreamExt::then(chunks, async |chunk| {
        tokio::task::yield_now().await;
        chunk
    });
    let (kind, has_length) = kind.strip_suffix("-length").map_or((&*kind, false), |kind| (kind, true));
    let mut response = answer(Some(control(kind)), Body::from_stream(chunks));
    if has_length {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(megabytes << 20));
    }
    response
}

fn gapped() -> Body {
    let chunks = stream::unfold(0, async |at| {
        match at {
            0 => {}
            // The gap is time itself.
            1 => tokio::time::sleep(GAP).await,
            _ => return None,
        }
        Some((Ok::<_, Infallible>(Bytes::from_static(PAGE)), at + 1))
    });
    Body::from_stream(chunks)
}
