//! For what no script can say: origins made by hand, whose answers wait for one another, and bodies that are sent piece by piece.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header::HOST, response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::sync::mpsc;
use tower::{Service, ServiceExt};

use crate::harness::BoxError;

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
type Call = Pin<Box<dyn Future<Output = Result<Answer, BoxError>> + Send>>;

/// An origin that is a function of the request and of how often it was asked before.
#[derive(Clone)]
pub(crate) struct Handmade {
    call: Arc<dyn Fn(usize, Request<String>) -> Call + Send + Sync>,
    asked: Arc<AtomicUsize>,
}

impl Handmade {
    pub(crate) fn new<F>(call: impl Fn(usize, Request<String>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Answer, BoxError>> + Send + 'static,
    {
        let call = move |number, request| Box::pin(call(number, request)) as Call;
        Self { call: Arc::new(call), asked: Arc::default() }
    }

    pub(crate) fn answering(answer: impl Fn(&Request<String>) -> Answer + Send + Sync + 'static) -> Self {
        Self::new(move |_, request| std::future::ready(Ok(answer(&request))))
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Service<Request<String>> for Handmade {
    type Response = Answer;
    type Error = BoxError;
    type Future = Call;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Call {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        (self.call)(number, request)
    }
}

pub(crate) fn get(target: &str) -> Request<String> {
    request("GET", target, &[])
}

pub(crate) fn request(method: &str, target: &str, headers: &[(&'static str, &str)]) -> Request<String> {
    let mut request = Request::builder().method(method).uri(target).body(String::new()).expect("a request");
    request.headers_mut().insert(HOST, HeaderValue::from_static("shop.example"));
    request.headers_mut().extend(fields(headers));
    request
}

pub(crate) fn answer(headers: &[(&'static str, &str)], body: &str) -> Answer {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes())).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    answer.headers_mut().extend(fields(headers));
    answer
}

/// An answer whose body is sent by hand, and ends when the sender is dropped.
pub(crate) fn streamed(headers: &[(&'static str, &str)]) -> (mpsc::Sender<Piece>, Answer) {
    let (sender, receiver) = mpsc::channel(16);
    let mut answer = Response::new(Pieces(receiver).boxed_unsync());
    answer.headers_mut().extend(fields(headers));
    (sender, answer)
}

fn fields(headers: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::try_from(*value).expect("a value"))
    };
    headers.iter().map(field).collect()
}

pub(crate) type Piece = Result<Frame<Bytes>, BoxError>;

#[expect(clippy::unnecessary_wraps, reason = "it is what is sent")]
pub(crate) fn piece(text: &'static str) -> Piece {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

struct Pieces(mpsc::Receiver<Piece>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}

/// What a service answers, to the end.
pub(crate) async fn body_of<S, B>(service: S, request: Request<String>) -> (response::Parts, Vec<u8>)
where
    S: Service<Request<String>, Response = Response<B>>,
    S::Error: std::fmt::Debug,
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let response = service.oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    (parts, body.collect().await.expect("a whole body").to_bytes().to_vec())
}
