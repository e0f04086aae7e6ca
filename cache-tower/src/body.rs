//! Bodies of answers: passed through, out of the store, or followed while they are recorded.

use std::{
    collections::VecDeque,
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of an answer that went through a [`CacheLayer`](crate::CacheLayer): the service's own, or one that was stored.
    pub struct CacheBody<B: Body> {
        #[pin]
        source: Source<B>,
    }
}

pin_project! {
    #[project = SourceProjection]
    enum Source<B: Body> {
        Passed { #[pin] body: B },
        Kept { next: Bytes, others: VecDeque<Bytes>, left: u64, trailers: Option<HeaderMap> },
        Followed { rest: Option<Pin<Box<B>>>, follower: Follower<B>, hint: SizeHint },
    }
}

// === impl CacheBody ===

impl<B: Body> CacheBody<B> {
    /// The service's own.
    pub(crate) fn passed(body: B) -> Self {
        Self { source: Source::Passed { body } }
    }

    /// One that was stored.
    pub(crate) fn kept(chunks: impl IntoIterator<Item = Bytes>, trailers: Option<HeaderMap>) -> Self {
        let mut chunks = chunks.into_iter().filter(|chunk| !chunk.is_empty());
        let next = chunks.next().unwrap_or_default();
        // Of one chunk, as nearly all have, nothing is allocated.
        let others: VecDeque<Bytes> = chunks.collect();
        let left = others.iter().fold(next.len(), |left, chunk| left + chunk.len()) as u64;
        Self { source: Source::Kept { next, others, left, trailers } }
    }

    /// A line of the layer's own.
    pub(crate) fn text(text: String) -> Self {
        Self::kept([Bytes::from(text)], None)
    }

    pub(crate) fn empty() -> Self {
        Self::kept([], None)
    }

    fn followed(follower: Follower<B>, hint: SizeHint) -> Self {
        Self { source: Source::Followed { rest: None, follower, hint } }
    }
}

impl<B: Body> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Passed { .. } => "passed",
            Source::Kept { .. } => "kept",
            Source::Followed { .. } => "followed",
        };
        f.debug_struct("CacheBody").field("source", &source).finish_non_exhaustive()
    }
}

impl<B: Body> Body for CacheBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().source.project() {
            SourceProjection::Passed { body } => body.poll_frame(cx).map(|frame| frame.map(|it| it.map(as_bytes))),
            SourceProjection::Kept { next, others, left, trailers } => {
                if !next.is_empty() {
                    let chunk = mem::replace(next, others.pop_front().unwrap_or_default());
                    *left -= chunk.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            SourceProjection::Followed { rest, follower, .. } => loop {
                if let Some(body) = rest {
                    return body.as_mut().poll_frame(cx).map(|frame| frame.map(|it| it.map(as_bytes)));
                }
                match ready!(follower.poll_next(cx)) {
                    Next::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
                    Next::Rest(body) => *rest = Some(body),
                    Next::Failed(error) => return Poll::Ready(Some(Err(error))),
                    Next::End => return Poll::Ready(None),
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Passed { body } => body.is_end_stream(),
            Source::Kept { next, trailers, .. } => next.is_empty() && trailers.is_none(),
            Source::Followed { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Passed { body } => body.size_hint(),
            // A length that is said is one after which nothing comes, in HTTP/1.1: no trailers either.
            Source::Kept { left, trailers: Some(_), .. } => {
                let mut hint = SizeHint::new();
                hint.set_lower(*left);
                hint
            }
            Source::Kept { left, trailers: None, .. } => SizeHint::with_exact(*left),
            Source::Followed { hint, .. } => *hint,
        }
    }
}

pub(crate) fn as_bytes<D: Buf>(frame: Frame<D>) -> Frame<Bytes> {
    frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
}

/// What a body turned out to be.
pub(crate) enum Recorded {
    /// All of it.
    Whole { chunks: Vec<Bytes>, trailers: Option<HeaderMap> },
    /// Larger than what is kept, or of another kind: the rest went on to the one who follows.
    Oversized,
    /// It failed: so did the one who follows.
    Failed,
}

/// Reads a body that is to be kept, while one client follows it. Reads as fast as the body gives, up to a limit of bytes: a
/// client that reads slowly holds up nobody who waits for the whole.
pub(crate) struct Recorder<B: Body> {
    shared: Arc<Shared<B>>,
    limit: usize,
}

/// The one who follows.
struct Follower<B: Body> {
    shared: Arc<Shared<B>>,
    at: usize,
}

struct Shared<B: Body>(Mutex<State<B>>);

struct State<B: Body> {
    chunks: Vec<Bytes>,
    end: End<B>,
    waker: Option<Waker>,
}

enum End<B: Body> {
    /// It is being read.
    Open,
    Whole(Option<HeaderMap>),
    Rest(Pin<Box<B>>),
    Failed(B::Error),
    /// It panicked while it was read.
    Lost,
    /// Its end has been told.
    Told,
}

enum Next<B: Body> {
    Frame(Frame<Bytes>),
    Rest(Pin<Box<B>>),
    Failed(B::Error),
    End,
}

// === impl Recorder ===

impl<B: Body> Recorder<B> {
    /// A recorder, and the body of the client that follows it; `hint` is the size of what will be recorded.
    pub(crate) fn new(limit: usize, hint: SizeHint) -> (Self, CacheBody<B>) {
        let state = State { chunks: Vec::new(), end: End::Open, waker: None };
        let shared = Arc::new(Shared(Mutex::new(state)));
        let follower = Follower { shared: Arc::clone(&shared), at: 0 };
        (Self { shared, limit }, CacheBody::followed(follower, hint))
    }

    /// Reads `body` to its end, or to the limit.
    pub(crate) async fn record(self, body: B) -> Recorded {
        self.record_while(body, |_| true).await
    }

    /// The same, or until a chunk is not `wanted`.
    pub(crate) async fn record_while(self, body: B, mut wanted: impl FnMut(&[u8]) -> bool) -> Recorded {
        let mut body = Box::pin(body);
        let (mut length, mut trailers) = (0, None);
        loop {
            let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            match frame {
                Some(Ok(frame)) => match as_bytes(frame).into_data() {
                    Ok(chunk) => {
                        length += chunk.len();
                        let is_wanted = wanted(&chunk);
                        self.shared.change(|state| state.chunks.push(chunk));
                        if length > self.limit || !is_wanted {
                            self.shared.change(|state| state.end = End::Rest(body));
                            return Recorded::Oversized;
                        }
                    }
                    Err(frame) => trailers = frame.into_trailers().ok().or(trailers),
                },
                Some(Err(error)) => {
                    self.shared.change(|state| state.end = End::Failed(error));
                    return Recorded::Failed;
                }
                None => {
                    let chunks = self.shared.change(|state| {
                        state.end = End::Whole(trailers.clone());
                        state.chunks.clone()
                    });
                    return Recorded::Whole { chunks, trailers };
                }
            }
        }
    }
}

impl<B: Body> Drop for Recorder<B> {
    fn drop(&mut self) {
        self.shared.change(|state| {
            if matches!(state.end, End::Open) {
                state.end = End::Lost;
            }
        });
    }
}

// === impl Follower ===

impl<B: Body> Follower<B> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next<B>> {
        let mut state = self.shared.lock();
        if let Some(chunk) = state.chunks.get(self.at) {
            self.at += 1;
            return Poll::Ready(Next::Frame(Frame::data(chunk.clone())));
        }
        match mem::replace(&mut state.end, End::Told) {
            End::Open => {
                state.end = End::Open;
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            End::Whole(Some(trailers)) => Poll::Ready(Next::Frame(Frame::trailers(trailers))),
            End::Whole(None) | End::Told => Poll::Ready(Next::End),
            End::Rest(body) => {
                state.chunks = Vec::new();
                Poll::Ready(Next::Rest(body))
            }
            // What was sent so far must not look whole, and there is no error to say so: the panic goes on where it would have
            // been without a cache.
            End::Lost => std::panic::resume_unwind(Box::new("the body of an answer panicked")),
            End::Failed(error) => Poll::Ready(Next::Failed(error)),
        }
    }
}

// === impl Shared ===

impl<B: Body> Shared<B> {
    fn lock(&self) -> MutexGuard<'_, State<B>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut State<B>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, time::Duration};

    use futures_util::{FutureExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    type Item = Result<Frame<Bytes>, &'static str>;

    #[allow(clippy::unnecessary_wraps, reason = "an item of a body, which may also be an error")]
    fn data(text: &'static str) -> Item {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    fn body(items: Vec<Item>) -> impl Body<Data = Bytes, Error = &'static str> {
        StreamBody::new(stream::iter(items))
    }

    fn trailers() -> HeaderMap {
        [(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("7"))].into_iter().collect()
    }

    /// What a client reads, and what is recorded.
    async fn recorded(items: Vec<Item>, limit: usize) -> (Result<(Bytes, Option<HeaderMap>), &'static str>, Recorded) {
        let (recorder, following) = Recorder::new(limit, SizeHint::default());
        let (read, recorded) = tokio::join!(following.collect(), recorder.record(body(items)));
        let read = read.map(|read| {
            let trailers = read.trailers().cloned();
            (read.to_bytes(), trailers)
        });
        (read, recorded)
    }

    #[tokio::test]
    async fn body_is_followed_and_kept_with_its_trailers() {
        let (read, recorded) = recorded(vec![data("ab"), data("cd"), Ok(Frame::trailers(trailers()))], 4).await;
        assert_eq!(read, Ok((Bytes::from_static(b"abcd"), Some(trailers()))));
        let Recorded::Whole { chunks, trailers: kept } = recorded else { panic!("not whole") };
        assert_eq!((chunks.concat(), kept), (b"abcd".to_vec(), Some(trailers())));
    }

    #[tokio::test]
    async fn rest_of_a_body_that_is_too_large_goes_on_to_its_client() {
        let (read, recorded) = recorded(vec![data("ab"), data("cd"), data("ef"), data("gh")], 3).await;
        assert_eq!(read.unwrap().0, "abcdefgh");
        assert!(matches!(recorded, Recorded::Oversized));
    }

    #[tokio::test]
    async fn failure_of_a_body_is_that_of_its_client_and_is_not_kept() {
        let (read, recorded) = recorded(vec![data("ab"), Err("cut")], 9).await;
        assert_eq!(read, Err("cut"));
        assert!(matches!(recorded, Recorded::Failed));
    }

    #[tokio::test]
    async fn client_that_goes_away_or_does_not_read_holds_nobody_up() {
        let (recorder, following) = Recorder::new(9, SizeHint::default());
        let kept = tokio::time::timeout(
            Duration::from_secs(60),
            recorder.record(body(vec![data("ab"), data("ab"), data("ab")])),
        )
        .await;
        assert!(matches!(kept, Ok(Recorded::Whole { .. })));
        assert_eq!(following.collect().await.unwrap().to_bytes(), "ababab");
        let (recorder, following) = Recorder::new(9, SizeHint::default());
        drop(following);
        assert!(matches!(
            recorder.record(body(vec![data("ab"), data("ab"), data("ab")])).await,
            Recorded::Whole { .. }
        ));
    }

    #[tokio::test]
    async fn body_whose_reading_panicked_does_not_look_whole() {
        let (recorder, following) = Recorder::<Full<Bytes>>::new(9, SizeHint::default());
        drop(recorder);
        let read = std::panic::AssertUnwindSafe(following.collect()).catch_unwind().await;
        assert!(read.is_err());
    }

    #[tokio::test]
    async fn kept_body_says_how_long_it_is() {
        let kept: CacheBody<Full<Bytes>> = CacheBody::kept([Bytes::from_static(b"ab"), Bytes::new()], None);
        assert_eq!((kept.size_hint().exact(), kept.is_end_stream()), (Some(2), false));
        let trailing: CacheBody<Full<Bytes>> = CacheBody::kept([Bytes::from_static(b"ab")], Some(trailers()));
        assert_eq!((trailing.size_hint().exact(), trailing.size_hint().lower()), (None, 2));
        assert!(CacheBody::<Full<Bytes>>::empty().is_end_stream());
        let read: Result<_, Infallible> = kept.collect().await;
        assert_eq!(read.unwrap().to_bytes(), "ab");
    }
}
