//! What a request costs through the layer, beside the bare service: `cargo bench -p cache-tower --bench service
//! [-- --only WAY]`.
//!
//! Each line is a way through the layer: nanoseconds a request, the ratio to the bare service that gives the same answer, what it
//! adds, and its allocations. The times are those of the processor, on the one thread that does all the work, and medians over
//! rounds that take turns, so that a busy machine disturbs all of them alike; read the ratios
//! and what is added. A bare service that does nothing is the hardest floor there is: over a socket, the server's own work stands
//! beside it.

#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark prints")]

use std::{
    alloc::System,
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    io::{Error, Write},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use cache_core::Cache;
use cache_tower::{CacheLayer, CacheService};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG, HOST, IF_NONE_MATCH,
        USER_AGENT, VARY,
    },
};
use http_body::Body;
use http_body_util::{Empty, Full};
use rustix::time::{ClockId, clock_gettime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Runtime;
use tower_layer::Layer;
use tower_service::Service;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 61;
const REQUESTS_PER_ROUND: u64 = 500;
const BODY_BYTES: usize = 256;
/// URLs asked for in turn, where they are stored.
const URLS: u64 = 100;
/// More than the misses of all rounds, so that nothing is pushed out.
const ENTRIES: u64 = 200_000;

/// A handler that answers from a constant.
#[derive(Clone)]
struct Constant {
    headers: HeaderMap,
    body: Bytes,
}

/// One way through the layer.
struct Way {
    name: &'static str,
    method: Method,
    /// What requests have besides the fields of a browser.
    condition: Option<HeaderValue>,
    status: StatusCode,
    answer: Constant,
    /// Whether each request is for a URL of its own, and not for one of a few.
    is_new: bool,
    tells: &'static str,
}

/// A way, with what is asked.
struct Case {
    way: Way,
    bare: Constant,
    cached: CacheService<Constant>,
    asked: u64,
}

/// What was measured of a case, with the layer and without it.
#[derive(Default)]
struct Measured {
    bare: Vec<f64>,
    cached: Vec<f64>,
}

// === impl Constant ===

impl Constant {
    fn new(fields: &[(HeaderName, &'static str)]) -> Self {
        let common = [
            (CONTENT_TYPE, "application/json"),
            (ETAG, "\"5f3c\""),
            (HeaderName::from_static("x-request-id"), "6d1a7c40"),
            // A server behind the layer adds it, as hyper does.
            (DATE, "Thu, 01 Jan 2026 00:00:00 GMT"),
        ];
        let fields = fields.iter().cloned().chain(common).map(|(name, value)| (name, HeaderValue::from_static(value)));
        Self { headers: fields.collect(), body: Bytes::from(vec![b'x'; BODY_BYTES]) }
    }
}

impl Service<Request<Empty<Bytes>>> for Constant {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        black_box(request);
        let mut response = Response::new(Full::new(self.body.clone()));
        response.headers_mut().clone_from(&self.headers);
        ready(Ok(response))
    }
}

// === impl Way ===

fn ways() -> Vec<Way> {
    // Every answer is a year old by its `Date`, and fresh for ten.
    let fresh = [(CACHE_CONTROL, "max-age=315360000")];
    let varied = [fresh[0].clone(), (VARY, "accept-encoding")];
    let hit = || Way {
        name: "hit",
        method: Method::GET,
        condition: None,
        status: StatusCode::OK,
        answer: Constant::new(&fresh),
        is_new: false,
        tells: "cache;hit;",
    };
    let unstored = || Constant::new(&[(CACHE_CONTROL, "no-store")]);
    vec![
        hit(),
        Way { name: "hit, Vary: accept-encoding", answer: Constant::new(&varied), ..hit() },
        Way {
            name: "hit, 304",
            condition: Some(HeaderValue::from_static("\"5f3c\"")),
            status: StatusCode::NOT_MODIFIED,
            ..hit()
        },
        Way { name: "miss", is_new: true, tells: "cache;fwd=uri-miss;stored", ..hit() },
        Way { name: "pass-through: known not to be stored", answer: unstored(), tells: "cache;fwd=uri-miss", ..hit() },
        Way { name: "bypass: OPTIONS", method: Method::OPTIONS, tells: "cache;fwd=method", ..hit() },
        Way { name: "bypass: POST, which evicts", method: Method::POST, tells: "cache;fwd=method", ..hit() },
    ]
}

// === impl Case ===

impl Case {
    fn new(way: Way, layer: &CacheLayer) -> Self {
        let bare = way.answer.clone();
        Self { cached: layer.layer(bare.clone()), bare, way, asked: 0 }
    }

    fn request(&mut self) -> Request<Empty<Bytes>> {
        self.asked += 1;
        let page = if self.way.is_new { self.asked } else { self.asked % URLS };
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = format!("/{}/{page}?sort=price", self.way.name.len()).parse().expect("it is a URI");
        request.method_mut().clone_from(&self.way.method);
        let fields = [
            (HOST, "shop.example"),
            (USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            (ACCEPT, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            (ACCEPT_LANGUAGE, "de,en-US;q=0.7,en;q=0.3"),
            (ACCEPT_ENCODING, "gzip, deflate, br, zstd"),
        ];
        request.headers_mut().extend(fields.map(|(name, value)| (name, HeaderValue::from_static(value))));
        if let Some(tags) = &self.way.condition {
            request.headers_mut().insert(IF_NONE_MATCH, tags.clone());
        }
        request
    }

    async fn ask_bare(&mut self) -> Response<Full<Bytes>> {
        let request = self.request();
        let Ok(response) = self.bare.call(request).await;
        response
    }

    async fn ask_cached(&mut self) -> Response<impl Body<Data = Bytes> + use<>> {
        let request = self.request();
        let Ok(response) = self.cached.call(request).await;
        response
    }

    /// Asks until all that is to be stored is, and looks whether it goes the way that it is meant to.
    async fn warm(&mut self) {
        for _ in 0..3 * URLS {
            read(self.ask_cached().await).await;
        }
        let response = self.ask_cached().await;
        let told = response.headers()["cache-status"].to_str().expect("it is ASCII").to_owned();
        assert!(told.starts_with(self.way.tells), "{}: {told}", self.way.name);
        assert_eq!(response.status(), self.way.status, "{}", self.way.name);
        read(response).await;
    }
}

/// Reads a body to its end, as a server does.
async fn read<B: Body<Data = Bytes>>(response: Response<B>) {
    let mut body = pin!(response.into_body());
    while !body.is_end_stream() {
        let frame = std::future::poll_fn(|cx| Pin::as_mut(&mut body).poll_frame(cx)).await;
        if frame.is_none() {
            return;
        }
        black_box(frame.is_some_and(|frame| frame.is_ok()));
    }
}

/// The processor time of this thread.
fn processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("it is not before its beginning")
}

/// Runs it `times`, and tells the nanoseconds and the allocations of one.
fn measure(runtime: &Runtime, times: u64, mut run: impl AsyncFnMut()) -> (f64, f64) {
    runtime.block_on(async {
        let region = Region::new(ALLOCATOR);
        let start = processor();
        for _ in 0..times {
            run().await;
        }
        let nanos = processor().saturating_sub(start).as_secs_f64() * 1e9;
        let allocations = region.change().allocations as f64;
        (nanos / times as f64, allocations / times as f64)
    })
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let cache = runtime.block_on(Cache::builder("bench").local_entries(ENTRIES).build()).map_err(Error::other)?;
    let words: Vec<String> = std::env::args().collect();
    let only = words.iter().position(|word| word == "--only").and_then(|at| words.get(at + 1));
    let mut cases: Vec<Case> = Vec::new();
    for way in ways().into_iter().filter(|way| only.is_none_or(|only| way.name == only)) {
        // A scope each: no way has anything to do with the answers of another.
        let layer = CacheLayer::new(&cache).scope(&format!("w{}", cases.len()));
        let mut case = Case::new(way, &layer);
        runtime.block_on(case.warm());
        cases.push(case);
    }

    let mut all: Vec<Measured> = cases.iter().map(|_| Measured::default()).collect();
    let mut requests = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        for (case, measured) in cases.iter_mut().zip(&mut all) {
            let bare = measure(&runtime, REQUESTS_PER_ROUND, async || read(case.ask_bare().await).await);
            measured.bare.push(bare.0);
            let cached = measure(&runtime, REQUESTS_PER_ROUND, async || read(case.ask_cached().await).await);
            measured.cached.push(cached.0);
        }
        let request = measure(&runtime, REQUESTS_PER_ROUND, async || drop(black_box(cases[0].request())));
        requests.push(request.0);
    }

    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "set-up: no Redis, one thread; {BODY_BYTES} bytes and 5 fields in an answer, 5 in a request; {URLS} URLs in turn, \
         {ROUNDS} rounds of {REQUESTS_PER_ROUND} requests; to make a request, {:.0} ns, is in all times\n",
        median(requests)
    )?;
    writeln!(out, "| way | bare, ns | with the layer, ns | ratio | adds, ns | allocations, bare | with the layer |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for (case, measured) in cases.iter_mut().zip(all) {
        let (bare, cached) = (median(measured.bare), median(measured.cached));
        let (_, of_bare) = measure(&runtime, REQUESTS_PER_ROUND, async || read(case.ask_bare().await).await);
        let (_, of_cached) = measure(&runtime, REQUESTS_PER_ROUND, async || read(case.ask_cached().await).await);
        let (name, ratio, adds) = (case.way.name, cached / bare, cached - bare);
        writeln!(out, "| {name} | {bare:.0} | {cached:.0} | {ratio:.2} | {adds:.0} | {of_bare:.1} | {of_cached:.1} |")?;
    }
    Ok(())
}

fn median(mut nanos: Vec<f64>) -> f64 {
    nanos.sort_unstable_by(f64::total_cmp);
    nanos[nanos.len() / 2]
}
