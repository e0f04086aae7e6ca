//! Bodies of answers: passed through, out of the store, or read while they are recorded.

use std::{
    collections::VecDeque,
    error::Error,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::record::{Next, Reader, as_bytes};

/// Why a [`CacheBody`] ends before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError<E> {
    /// The error of the service's own body.
    Service(E),
    /// The answer was read on behalf of this request, or of another that it shared, and that came to nothing. What there was of it is
    /// not the whole.
    CutOff,
}

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
        Recorded { rest: Option<Pin<Box<B>>>, reader: Reader<B>, hint: SizeHint },
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

    /// One that is being recorded, and will have this size.
    pub(crate) fn recorded(reader: Reader<B>, hint: SizeHint) -> Self {
        Self { source: Source::Recorded { rest: None, reader, hint } }
    }
}

impl<B: Body> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Passed { .. } => "passed",
            Source::Kept { .. } => "kept",
            Source::Recorded { .. } => "recorded",
        };
        f.debug_struct("CacheBody").field("source", &source).finish_non_exhaustive()
    }
}

impl<B: Body> Body for CacheBody<B> {
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().source.project() {
            SourceProjection::Passed { body } => body.poll_frame(cx).map(told),
            SourceProjection::Kept { next, others, left, trailers } => {
                if !next.is_empty() {
                    let chunk = mem::replace(next, others.pop_front().unwrap_or_default());
                    *left -= chunk.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            SourceProjection::Recorded { rest, reader, hint } => loop {
                if let Some(body) = rest {
                    return body.as_mut().poll_frame(cx).map(told);
                }
                match ready!(reader.poll_next(cx)) {
                    Next::Frame(frame) => {
                        *hint = less(hint, frame.data_ref().map_or(0, |data| data.len() as u64));
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    Next::Rest(body) => *rest = Some(body),
                    Next::Failed(error) => return Poll::Ready(Some(Err(BodyError::Service(error)))),
                    Next::Cut => return Poll::Ready(Some(Err(BodyError::CutOff))),
                    Next::End => return Poll::Ready(None),
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Passed { body } => body.is_end_stream(),
            Source::Kept { next, trailers, .. } => next.is_empty() && trailers.is_none(),
            Source::Recorded { .. } => false,
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
            Source::Recorded { rest: Some(body), .. } => body.size_hint(),
            Source::Recorded { hint, .. } => *hint,
        }
    }
}

/// What is left to come after so many bytes.
fn less(hint: &SizeHint, bytes: u64) -> SizeHint {
    let mut left = SizeHint::new();
    left.set_lower(hint.lower().saturating_sub(bytes));
    if let Some(upper) = hint.upper() {
        left.set_upper(upper.saturating_sub(bytes));
    }
    left
}

/// A frame of the service's own body.
fn told<D: Buf, E>(frame: Option<Result<Frame<D>, E>>) -> Option<Result<Frame<Bytes>, BodyError<E>>> {
    frame.map(|frame| frame.map(as_bytes).map_err(BodyError::Service))
}

// === impl BodyError ===

impl<E: fmt::Display> fmt::Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(error) => error.fmt(f),
            Self::CutOff => f.write_str("the answer was cut off before its end"),
        }
    }
}

/// Whatever the service's error is: that of many bodies is a boxed one, which is no [`Error`] itself.
impl<E: fmt::Debug + fmt::Display> Error for BodyError<E> {}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;
    use crate::record::{Recorder, UNREAD};

    #[tokio::test]
    async fn recorded_body_says_what_is_left_of_it() {
        let (recorder, reader) = Recorder::new(9, UNREAD);
        let source = Full::new(Bytes::from_static(b"abcd"));
        let mut body = CacheBody::recorded(reader, source.size_hint());
        assert_eq!(body.size_hint().exact(), Some(4));
        recorder.record(source, || {}).await;
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abcd");
        assert_eq!(body.size_hint().exact(), Some(0));
    }

    #[tokio::test]
    async fn kept_body_says_how_long_it_is() {
        let trailers: HeaderMap =
            [(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("7"))].into_iter().collect();
        let kept: CacheBody<Full<Bytes>> = CacheBody::kept([Bytes::from_static(b"ab"), Bytes::new()], None);
        assert_eq!((kept.size_hint().exact(), kept.is_end_stream()), (Some(2), false));
        let trailing: CacheBody<Full<Bytes>> = CacheBody::kept([Bytes::from_static(b"ab")], Some(trailers));
        assert_eq!((trailing.size_hint().exact(), trailing.size_hint().lower()), (None, 2));
        assert!(CacheBody::<Full<Bytes>>::empty().is_end_stream());
        assert_eq!(kept.collect().await.unwrap().to_bytes(), "ab");
    }
}
