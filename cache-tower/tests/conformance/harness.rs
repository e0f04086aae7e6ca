//! Rows and what runs them: a scripted origin behind a layer, and a client in front of it.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use cache_core::{Cache, Key};
use cache_tower::{CacheLayer, CacheService};
use http::{HeaderMap, Method, Request, Response, StatusCode, request};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};

use crate::script::{Answer, Exchange, Expected, How, Is, Said, Step, Test, What, read};

/// What a row's section asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A cache that does otherwise breaks the RFC, or leaks.
    Must,
    /// The RFC allows it, and this cache does it.
    Optional,
}

/// One case, or one for each of its values.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    need: Need,
    section: &'static str,
    says: &'static str,
    script: &'static str,
    values: &'static [&'static str],
    layer: fn(Cache) -> CacheLayer,
}

pub(crate) const fn must(section: &'static str, says: &'static str, script: &'static str) -> Row {
    Row { need: Need::Must, section, says, script, values: &[], layer: CacheLayer::proxy }
}

pub(crate) const fn may(section: &'static str, says: &'static str, script: &'static str) -> Row {
    Row { need: Need::Optional, ..must(section, says, script) }
}

impl Row {
    /// One case for each value, which stands for `{v}` in the script; of a pair `a => b` the other is `{w}`.
    pub(crate) const fn each(self, values: &'static [&'static str]) -> Self {
        Self { values, ..self }
    }

    /// By a layer other than `CacheLayer::proxy`.
    pub(crate) const fn by(self, layer: fn(Cache) -> CacheLayer) -> Self {
        Self { layer, ..self }
    }

    /// By a careful layer.
    pub(crate) const fn careful(self) -> Self {
        self.by(CacheLayer::new)
    }

    pub(crate) const fn cases(&self) -> usize {
        if self.values.is_empty() { 1 } else { self.values.len() }
    }

    pub(crate) fn is_required(&self) -> bool {
        self.need == Need::Must
    }

    async fn failures(&self) -> Vec<String> {
        let values = if self.values.is_empty() { &[""] } else { self.values };
        let mut failures = Vec::new();
        for value in values {
            let world = World::new(self.layer);
            let (first, second) = value.split_once(" => ").unwrap_or((value, ""));
            let script = self.script.replace("{v}", first).replace("{w}", second);
            if let Err(why) = world.run(&script).await {
                let value = if value.is_empty() { String::new() } else { format!(" [{value}]") };
                failures.push(format!("{:?} §{} {}{value}\n      {why}", self.need, self.section, self.says));
            }
        }
        failures
    }
}

/// Runs all rows, and fails with all that fail.
pub(crate) async fn run(rows: &[Row]) {
    let mut failures = Vec::new();
    for row in rows {
        failures.extend(row.failures().await);
    }
    let cases: usize = rows.iter().map(Row::cases).sum();
    assert!(failures.is_empty(), "{} of {cases} cases fail:\n  - {}", failures.len(), failures.join("\n  - "));
}

// === World ===

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Sent = Request<String>;

/// An origin that answers as it is told and keeps what it was asked.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    next: Option<Answer>,
    asked: Vec<request::Parts>,
    last_body: String,
}

struct World {
    origin: Origin,
    cache: Cache,
    layer: CacheLayer,
    service: CacheService<Origin>,
}

/// What came back.
struct Got {
    head: Response<()>,
    body: Vec<u8>,
    trailers: HeaderMap,
    broke: bool,
}

/// Nothing here takes that long, whatever the machine does.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

impl World {
    fn new(layer: fn(Cache) -> CacheLayer) -> Self {
        let cache = Cache::in_memory();
        let layer = layer(cache.clone());
        let origin = Origin::default();
        let service = layer.layer(origin.clone());
        Self { origin, cache, layer, service }
    }

    async fn run(&self, script: &str) -> Result<(), String> {
        for step in read(script) {
            match step {
                Step::Exchange(exchange) => {
                    let checked = tokio::time::timeout(DEADLINE, self.exchange(&exchange)).await;
                    let checked = checked.unwrap_or_else(|_| Err("no answer comes".to_owned()));
                    checked.map_err(|why| format!("`{}`: {why}", exchange.line))?;
                }
                Step::Evict(what, how) => self.evict(what, how).await,
            }
            settle().await;
        }
        Ok(())
    }

    async fn evict(&self, what: What, how: How) {
        let uri = |target: String| target.parse().expect("a target");
        let is_soft = how == How::Softly;
        let acknowledged = match what {
            What::Tag(head, arg) if is_soft => self.cache.soft_evict_tag(Key::new(&head).arg(arg.as_str())).await,
            What::Tag(head, arg) => self.cache.evict_tag(Key::new(&head).arg(arg.as_str())).await,
            What::Url(target) if is_soft => self.layer.soft_purge(&uri(target)).await,
            What::Url(target) => self.layer.purge(&uri(target)).await,
            What::Prefix(target) if is_soft => self.layer.soft_purge_prefix(&uri(target)).await.expect("declared"),
            What::Prefix(target) => self.layer.purge_prefix(&uri(target)).await.expect("declared"),
            What::Scope(name) if is_soft => self.cache.soft_evict_scope(&name).await,
            What::Scope(name) => self.cache.evict_scope(&name).await,
        };
        assert!(acknowledged.is_applied(), "{acknowledged:?}");
    }

    async fn exchange(&self, exchange: &Exchange) -> Result<(), String> {
        let before = self.origin.asked();
        let last_body = {
            let mut state = self.origin.state();
            state.next.clone_from(&exchange.answer);
            state.last_body.clone()
        };
        let got = self.ask(exchange).await;
        let behind = exchange.expected.iter().any(|expected| matches!(expected, Expected::Behind));
        let asked_at_once = self.origin.asked() - before;
        if behind {
            eventually(|| self.origin.asked() > before).await;
        }
        settle().await;
        let sent = self.origin.state().asked.get(before).cloned();
        let seen = Seen { got, sent, asked: self.origin.asked() - before, asked_at_once };
        let wrong = seen.wrong(exchange, &last_body);
        if wrong.is_empty() { Ok(()) } else { Err(format!("{} ({})", wrong.join("; "), seen.describe())) }
    }

    async fn ask(&self, exchange: &Exchange) -> Result<Got, BoxError> {
        let mut request = Request::builder().method(exchange.method.clone()).uri(exchange.target.as_str());
        for (name, value) in &exchange.headers {
            request = request.header(name, value);
        }
        let response = self.service.clone().oneshot(request.body(String::new()).expect("a request")).await?;
        Ok(drain(response).await)
    }
}

async fn drain<B: Body<Data = Bytes>>(response: Response<B>) -> Got {
    let (parts, body) = response.into_parts();
    let mut body = std::pin::pin!(body);
    let mut got =
        Got { head: Response::from_parts(parts, ()), body: Vec::new(), trailers: HeaderMap::new(), broke: false };
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => got.body.extend_from_slice(&data),
            Ok(Err(frame)) => got.trailers.extend(frame.into_trailers().unwrap_or_default()),
            Err(_) => {
                got.broke = true;
                break;
            }
        }
    }
    got
}

/// Lets every task that can go on go on, until none can: the runtime has one thread.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

/// Waits until something is so; not for ever.
pub(crate) async fn eventually(is_so: impl Fn() -> bool) -> bool {
    let wait = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.is_ok()
}

// === what is expected ===

struct Seen {
    got: Result<Got, BoxError>,
    sent: Option<request::Parts>,
    asked: usize,
    asked_at_once: usize,
}

impl Seen {
    fn wrong(&self, exchange: &Exchange, last_body: &str) -> Vec<String> {
        let mut wrong: Vec<String> = exchange.expected.iter().filter_map(|expected| self.differs(expected)).collect();
        let says_who = |expected: &Expected| {
            matches!(expected, Expected::Asked | Expected::Hit | Expected::Behind | Expected::Any | Expected::Error)
        };
        if !exchange.expected.iter().any(says_who) {
            let implied = if exchange.answer.is_some() { Expected::Asked } else { Expected::Hit };
            wrong.extend(self.differs(&implied));
        }
        let says_what =
            |expected: &Expected| matches!(expected, Expected::Status(_) | Expected::Body(_) | Expected::BodyHas(_));
        if exchange.answer.is_none() && exchange.method == Method::GET && !exchange.expected.iter().any(says_what) {
            wrong.extend(self.differs(&Expected::Body(last_body.to_owned())));
        }
        wrong
    }

    fn differs(&self, expected: &Expected) -> Option<String> {
        let unless = |is: bool, why: &dyn Fn() -> String| (!is).then(why);
        match expected {
            Expected::Asked => unless(self.asked_at_once == 1, &|| {
                format!("the origin was asked {} times, not once", self.asked_at_once)
            }),
            Expected::Hit => unless(self.asked == 0, &|| "the origin was asked".to_owned()),
            Expected::Behind => {
                unless(self.asked == 1, &|| format!("the origin was asked {} times behind, not once", self.asked))
            }
            Expected::Any => None,
            Expected::Error => unless(self.got.is_err(), &|| "an answer, not the error".to_owned()),
            Expected::Sent(test) => match &self.sent {
                Some(sent) => test.differs(&sent.headers).map(|why| format!("sent to the origin: {why}")),
                None => Some("nothing was sent to the origin".to_owned()),
            },
            Expected::SentMethod(method) => {
                unless(self.sent.as_ref().is_some_and(|sent| sent.method == *method), &|| {
                    format!("the origin was not asked by {method}")
                })
            }
            _ => match &self.got {
                Ok(got) => got.differs(expected),
                Err(error) => Some(format!("an error: {error}")),
            },
        }
    }

    fn describe(&self) -> String {
        let mut out = format!("asked {}", self.asked);
        match &self.got {
            Ok(got) => {
                let _ =
                    write!(out, ", got {} {:?}", got.head.status().as_u16(), clip(&String::from_utf8_lossy(&got.body)));
                for (name, value) in got.head.headers() {
                    let _ = write!(out, ", {name}: {}", clip(&String::from_utf8_lossy(value.as_bytes())));
                }
            }
            Err(error) => {
                let _ = write!(out, ", got error {error}");
            }
        }
        out
    }
}

fn clip(text: &str) -> String {
    if text.len() > 120 { format!("{}..", text.chars().take(100).collect::<String>()) } else { text.to_owned() }
}

impl Got {
    fn differs(&self, expected: &Expected) -> Option<String> {
        let body = String::from_utf8_lossy(&self.body);
        let (is, why) = match expected {
            Expected::Status(status) => (self.head.status() == *status, format!("status not {}", status.as_u16())),
            Expected::Body(text) => (body == *text, format!("body not {:?}", clip(text))),
            Expected::OtherBody(text) => (body != *text, format!("body {text:?}")),
            Expected::BodyHas(text) => (body.contains(text.as_str()), format!("body without {text:?}")),
            Expected::Unfinished => (
                self.broke || self.head.status().is_server_error(),
                "neither an error nor does the body break".to_owned(),
            ),
            Expected::Breaks => (self.broke, "the body does not break".to_owned()),
            Expected::Header(test) => return test.differs(self.head.headers()),
            Expected::Trailer(test) => return test.differs(&self.trailers).map(|why| format!("trailer {why}")),
            _ => (true, String::new()),
        };
        (!is).then_some(why)
    }
}

impl Test {
    fn differs(&self, headers: &HeaderMap) -> Option<String> {
        let lines: Vec<_> = headers
            .get_all(&self.name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let value = lines.join(", ");
        let number = value.parse::<i64>().ok();
        let is = match &self.is {
            Is::Absent => lines.is_empty(),
            Is::Present => !lines.is_empty(),
            Is::Equal(text) => !lines.is_empty() && value == *text,
            Is::Containing(text) => value.contains(text.as_str()),
            Is::Without(text) => !value.contains(text.as_str()),
            Is::AtLeast(least) => number.is_some_and(|number| number >= *least),
            Is::AtMost(most) => number.is_some_and(|number| number <= *most),
        };
        (!is).then(|| {
            format!(
                "`{}` is {}, not {:?}",
                self.name,
                if lines.is_empty() { "absent".to_owned() } else { format!("`{}`", clip(&value)) },
                self.is
            )
        })
    }
}

// === Origin ===

impl Origin {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is held")
    }

    fn asked(&self) -> usize {
        self.state().asked.len()
    }

    fn answer(&self, request: Sent) -> Result<Response<Scripted>, BoxError> {
        let mut state = self.state();
        let method = request.method().clone();
        state.asked.push(request.into_parts().0);
        let said = match state.next.clone() {
            Some(Answer::Says(said)) => said,
            Some(Answer::Fails) => return Err("the origin cannot be reached".into()),
            None => Said { body: Some("nobody should ask".to_owned()), ..Said::default() },
        };
        let numbered = format!("body {}", state.asked.len());
        let is_bodiless =
            method == Method::HEAD || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&said.status);
        let body = if is_bodiless { String::new() } else { said.body.clone().unwrap_or(numbered) };
        if said.status != StatusCode::NOT_MODIFIED && method != Method::HEAD {
            state.last_body.clone_from(&body);
        }
        let mut response = Response::new(Scripted::new(&said, body));
        *response.status_mut() = said.status;
        for (name, value) in said.headers {
            response.headers_mut().append(name, value);
        }
        Ok(response)
    }
}

impl Service<Sent> for Origin {
    type Response = Response<Scripted>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Sent) -> Self::Future {
        let origin = self.clone();
        Box::pin(async move {
            // As any service over a socket: not at once.
            tokio::task::yield_now().await;
            origin.answer(request)
        })
    }
}

/// A body of several frames, which may break, and may have trailers.
pub(crate) struct Scripted {
    frames: VecDeque<Result<Frame<Bytes>, BoxError>>,
}

impl Scripted {
    fn new(said: &Said, body: String) -> Self {
        let mut frames = VecDeque::new();
        let bytes = Bytes::from(body);
        let middle = bytes.len() / 2;
        for part in [bytes.slice(..middle), bytes.slice(middle..)] {
            if !part.is_empty() {
                frames.push_back(Ok(Frame::data(part)));
            }
        }
        if said.breaks {
            frames.push_back(Err("the connection is gone".into()));
        } else if !said.trailers.is_empty() {
            frames.push_back(Ok(Frame::trailers(said.trailers.iter().cloned().collect())));
        }
        Self { frames }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.frames.pop_front())
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }
}
