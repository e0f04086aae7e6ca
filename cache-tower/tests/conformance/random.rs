//! Clients at random, in front of an origin that changes at random: whatever comes, no answer is a mixture, another's, or older than
//! what it may be. The seed is in the message: `SEED` below repeats one.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use cache_core::Cache;
use cache_tower::CacheLayer;
use fastrand::Rng;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

use crate::{
    flows::{Answer, Handmade, Piece, answer, request},
    harness::{BoxError, DEADLINE, settle},
};

/// To repeat one run.
const SEED: Option<u64> = None;
const RUNS: u64 = 40;
const ROUNDS: usize = 150;

/// What is at a path: of each variant, one body for each version.
#[derive(Default)]
struct Truth {
    versions: HashMap<String, u64>,
    /// The oldest version that may still be served: those before were invalidated.
    floors: HashMap<String, u64>,
}

const PATHS: [&str; 4] = ["/strong", "/weak", "/vary", "/none"];

fn body(path: &str, kind: &str, version: u64) -> String {
    let letter = char::from(b'a' + (version % 26) as u8);
    format!("{path} {kind} {version} ") + &letter.to_string().repeat(12 + (version % 5) as usize)
}

fn tag(path: &str, kind: &str, version: u64) -> Option<String> {
    match path {
        "/none" => None,
        "/weak" => Some(format!("W/\"{version}\"")),
        "/vary" => Some(format!("\"{kind}-{version}\"")),
        _ => Some(format!("\"{version}\"")),
    }
}

/// Only `/vary` differs by it.
fn variant<'a>(path: &str, headers: &'a HeaderMap) -> &'a str {
    let kind = headers.get("foo").and_then(|kind| kind.to_str().ok()).unwrap_or("-");
    if path == "/vary" { kind } else { "-" }
}

fn span(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some((length.saturating_sub(last.parse().ok()?), length - 1));
    }
    let first: usize = first.parse().ok()?;
    let last = if last.is_empty() { length - 1 } else { last.parse::<usize>().ok()?.min(length - 1) };
    (first <= last).then_some((first, last))
}

// === the origin ===

fn origin(truth: &Arc<Mutex<Truth>>, seed: u64) -> Handmade {
    let truth = Arc::clone(truth);
    let rng = Arc::new(Mutex::new(Rng::with_seed(seed)));
    Handmade::new(move |_, request| {
        let mut rng = rng.lock().expect("no panic");
        let answer = answered(&truth.lock().expect("no panic"), &mut rng, &request);
        let (is_slow, breaks) = (rng.bool(), rng.u8(..) < 12);
        async move {
            tokio::task::yield_now().await;
            let (head, body) = answer?.into_parts();
            let slow = Slow::new(&body.collect().await?.to_bytes(), if is_slow { NAPS } else { 0 }, breaks);
            Ok(Response::from_parts(head, slow.boxed_unsync()))
        }
    })
}

/// How often a slow body is looked at for each piece.
const NAPS: u8 = 5;

/// A body in pieces, each of which takes its time; it may break before the last.
struct Slow {
    pieces: VecDeque<Piece>,
    each: u8,
    naps: u8,
}

impl Slow {
    fn new(bytes: &Bytes, each: u8, breaks: bool) -> Self {
        let mut pieces: VecDeque<Piece> =
            bytes.chunks(7).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        if let Some(last) = pieces.back_mut().filter(|_| breaks) {
            *last = Err("it breaks".into());
        }
        Self { pieces, each, naps: each }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        if self.naps > 0 {
            self.naps -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.naps = self.each;
        Poll::Ready(self.pieces.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }
}

fn answered(truth: &Truth, rng: &mut Rng, request: &Request<String>) -> Result<Answer, BoxError> {
    if rng.u8(..) < 12 {
        return Err("the origin cannot be reached".into());
    }
    if request.method() == "POST" {
        return Ok(answer(&[], "changed"));
    }
    let (path, headers) = (request.uri().path(), request.headers());
    let kind = variant(path, headers);
    let version = truth.versions.get(path).copied().unwrap_or(0);
    let (body, tag) = (body(path, kind, version), tag(path, kind, version));
    let control = ["max-age=60", "max-age=60", "max-age=10", "no-cache", "no-store", "max-age=60, must-revalidate"];
    let control = *rng.choice(&control).expect("some");
    let mut fields = vec![("cache-control", control)];
    fields.extend((control == "max-age=10").then_some(("age", "20")));
    fields.extend(tag.as_deref().map(|tag| ("etag", tag)));
    fields.extend((path == "/vary").then_some(("vary", "Foo")));
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let knows = tag.as_deref().is_some_and(|tag| text("if-none-match").is_some_and(|tags| tags.contains(tag)));
    let is_whole = rng.u8(..) < 40;
    if knows && !is_whole {
        return Ok(with_status(answer(&fields, ""), StatusCode::NOT_MODIFIED));
    }
    let may_range = text("if-range").is_none_or(|held| Some(held) == tag.as_deref() && !held.starts_with('W'));
    let range = text("range").filter(|_| request.method() == "GET" && may_range && !is_whole);
    if let Some((first, last)) = range.and_then(|range| span(range, body.len())) {
        let content_range = format!("bytes {first}-{last}/{}", body.len());
        fields.push(("content-range", &content_range));
        return Ok(with_status(answer(&fields, &body[first..=last]), StatusCode::PARTIAL_CONTENT));
    }
    let length = body.len().to_string();
    fields.push(("content-length", &length));
    Ok(answer(&fields, if request.method() == "HEAD" { "" } else { &body }))
}

fn with_status(mut answer: Answer, status: StatusCode) -> Answer {
    *answer.status_mut() = status;
    answer
}

// === the clients ===

fn asked(rng: &mut Rng, truth: &Truth) -> Request<String> {
    let path = *rng.choice(&PATHS).expect("some");
    let kind = *rng.choice(&["1", "2", "3"]).expect("some");
    let method = if rng.u8(..) < 30 { "HEAD" } else { "GET" };
    let mut request = request(method, path, &[("foo", kind)]);
    let version = truth.versions.get(path).copied().unwrap_or(0);
    let some_tag = tag(path, variant(path, request.headers()), version.saturating_sub(rng.u64(0..3)));
    let mut put = |name: &'static str, value: &str| {
        request.headers_mut().insert(name, value.parse().expect("a value"));
    };
    let (first, more) = (rng.usize(0..25), rng.usize(0..12));
    match rng.u8(0..10) {
        0 | 1 => put("range", &format!("bytes={first}-{}", first + more)),
        2 => put("range", &format!("bytes={first}-")),
        3 => put("range", &format!("bytes=-{}", more + 1)),
        4 => put("range", &format!("bytes={first}-{},{}-{}", first + 2, first + 5, first + 8)),
        _ => {}
    }
    match (rng.u8(0..8), some_tag) {
        (0 | 1, Some(tag)) => put("if-none-match", &tag),
        (2, Some(tag)) => put("if-range", &tag),
        _ => {}
    }
    match rng.u8(0..12) {
        0 => put("cache-control", "no-cache"),
        1 => put("cache-control", "max-age=0"),
        2 => put("cache-control", "only-if-cached"),
        _ => {}
    }
    request
}

/// What is wrong with an answer.
fn wrong(truth: &Truth, request: &Request<()>, response: &Response<Bytes>) -> Option<String> {
    let (path, headers) = (request.uri().path(), response.headers());
    let kind = variant(path, request.headers());
    let current = truth.versions.get(path).copied().unwrap_or(0);
    let floor = truth.floors.get(path).copied().unwrap_or(0);
    let has = |name: &str, value: &str| headers.get(name).is_some_and(|own| own == value);
    let asks = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_of = |version: u64| {
        let body = body(path, kind, version);
        let says_which = response.status() != StatusCode::RANGE_NOT_SATISFIABLE;
        if says_which && tag(path, kind, version).is_some_and(|tag| !has("etag", &tag)) {
            return false;
        }
        let length = body.len().to_string();
        match response.status().as_u16() {
            200 if request.method() == "HEAD" => headers.get("content-length").is_none_or(|own| *own == *length),
            200 => *response.body() == body && headers.get("content-range").is_none(),
            206 => is_part(&body, headers, response.body()),
            304 => asks("if-none-match").is_some_and(|tags| tag(path, kind, version).is_some_and(|tag| tags == tag)),
            416 => has("content-range", &format!("bytes */{length}")),
            _ => false,
        }
    };
    if response.status() == 504 {
        return (asks("cache-control") != Some("only-if-cached")).then(|| "a 504 that nobody asked for".to_owned());
    }
    if response.status() == 502 {
        // What was to complete a part broke off: its client is told that there is no answer.
        return None;
    }
    if !(0..=current).any(is_of) {
        return Some("it is of no version".to_owned());
    }
    if !(floor..=current).any(is_of) {
        return Some(format!("it is older than {floor}, which is what was invalidated"));
    }
    // What is fresh may stand in for an origin that is gone.
    let stands_in =
        headers.get("cache-status").is_some_and(|status| status.to_str().is_ok_and(|it| it.contains("502")));
    let wants_new = !stands_in && asks("cache-control").is_some_and(|control| control != "only-if-cached");
    (wants_new && !is_of(current)).then(|| format!("it is not {current}, though a client asked for validation"))
}

fn is_part(body: &str, headers: &HeaderMap, part: &[u8]) -> bool {
    let Some(range) = headers.get("content-range").and_then(|range| range.to_str().ok()) else {
        // Of several parts: each stands in its frame, behind an empty line.
        let text = String::from_utf8_lossy(part);
        let frames: Vec<_> = text.split("\r\n\r\n").collect();
        return frames.windows(2).all(|pair| {
            let range = pair[0]
                .lines()
                .rev()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-range: ").map(str::to_owned));
            let data = pair[1].split("\r\n--").next().unwrap_or_default();
            range.is_some_and(|range| is_slice(body, &range, data.as_bytes()))
        });
    };
    is_slice(body, range, part)
}

fn is_slice(body: &str, range: &str, part: &[u8]) -> bool {
    let Some((span, length)) = range.strip_prefix("bytes ").and_then(|range| range.split_once('/')) else {
        return false;
    };
    let Some((first, last)) = span.split_once('-') else { return false };
    let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else { return false };
    length == body.len().to_string() && body.as_bytes().get(first..=last) == Some(part)
}

async fn run(seed: u64) -> Vec<String> {
    let found: Arc<Mutex<Vec<String>>> = Arc::default();
    let truth = Arc::new(Mutex::new(Truth::default()));
    let mut rng = Rng::with_seed(seed);
    let origin = origin(&truth, rng.u64(..));
    let layer = CacheLayer::proxy(Cache::in_memory()).stale_when_unreachable(false);
    let service = layer.layer(origin);
    for round in 0..ROUNDS {
        match rng.u8(0..10) {
            0 => {
                let path = *rng.choice(&PATHS).expect("some");
                let version = {
                    let mut truth = truth.lock().expect("no panic");
                    let version = truth.versions.entry(path.to_owned()).or_default();
                    *version += 1;
                    *version
                };
                // Some changes come through the cache, of some it is told, and of some it is not.
                let is_known = match rng.u8(0..4) {
                    0 => service.clone().oneshot(request("POST", path, &[])).await.is_ok(),
                    1 => layer
                        .soft_purge(&format!("http://shop.example{path}").parse().expect("a URL"))
                        .await
                        .is_applied(),
                    _ => false,
                };
                if is_known {
                    truth.lock().expect("no panic").floors.insert(path.to_owned(), version);
                }
            }
            _ => {
                let mut clients = JoinSet::new();
                // One after another, so that some come while a body does.
                for _ in 0..rng.usize(1..6) {
                    for _ in 0..rng.usize(0..8) {
                        tokio::task::yield_now().await;
                    }
                    let request = asked(&mut rng, &truth.lock().expect("no panic"));
                    let (service, truth, found) = (service.clone(), Arc::clone(&truth), Arc::clone(&found));
                    clients.spawn(async move {
                        let copy = Request::from_parts(request.clone().into_parts().0, ());
                        let Ok(response) = service.oneshot(request).await else { return };
                        let (parts, body) = response.into_parts();
                        // Whoever is told that it broke has no part for the whole.
                        let Ok(body) = body.collect().await else { return };
                        let body = body.to_bytes();
                        let response = Response::from_parts(parts, body);
                        let why = wrong(&truth.lock().expect("no panic"), &copy, &response);
                        if let Some(why) = why {
                            let what = format!("seed {seed}, round {round}: {why}\n      {copy:?}\n      {response:?}");
                            found.lock().expect("no panic").push(what);
                        }
                    });
                }
                tokio::time::timeout(DEADLINE, clients.join_all()).await.expect("a client hangs");
            }
        }
        settle().await;
        let found: Vec<String> = std::mem::take(&mut *found.lock().expect("no panic"));
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

#[tokio::test]
async fn random_clients_get_no_mixture_and_nothing_too_old() {
    let mut wrong = Vec::new();
    for _ in 0..if SEED.is_some() { 1 } else { RUNS } {
        wrong.extend(run(SEED.unwrap_or_else(|| fastrand::u64(..))).await);
    }
    assert!(wrong.is_empty(), "{} of {RUNS} runs go wrong:\n  - {}", wrong.len(), wrong.join("\n  - "));
}
