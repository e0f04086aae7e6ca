//! The request's message: read, so that it can be looked for, and given to the service as it came.

use std::{
    collections::VecDeque,
    fmt,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::sleep;

use super::frame::{Frames, Held};
use crate::record::as_bytes;

/// How long a request may take to be there with its end. One that takes longer may be waiting for an answer to what it has said.
const READING: Duration = Duration::from_secs(1);

pin_project! {
    /// The body of a request that went through a [`GrpcCacheLayer`](super::GrpcCacheLayer): the client's own, or one of which some
    /// has been read, which is in front of the rest.
    pub struct GrpcBody<B: Body> {
        #[pin]
        source: Source<B>,
    }
}

pin_project! {
    #[project = SourceProjection]
    enum Source<B: Body> {
        Passed { #[pin] body: B },
        Read { frames: VecDeque<Frame<Bytes>>, failed: Option<B::Error>, rest: Option<Pin<Box<B>>> },
    }
}

/// What a request turned out to be.
pub(super) enum Read<B: Body> {
    /// One message with its prefix, and no more.
    Message(Bytes, GrpcBody<B>),
    /// Something that is not looked for, and why.
    Other(GrpcBody<B>, &'static str),
}

/// Reads until it is clear which it is. No more than `limit` bytes are held, besides the last chunk.
pub(super) async fn read<B: Body>(body: B, limit: usize) -> Read<B> {
    let mut body = Box::pin(body);
    let (mut frames, mut counted) = (VecDeque::new(), Frames::default());
    let mut late = pin!(sleep(READING));
    loop {
        let frame = tokio::select! {
            biased;
            frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)) => frame,
            () = &mut late => return Read::Other(GrpcBody::read(frames, None, Some(body)), "request_late"),
        };
        let why = match frame.map(|frame| frame.map(as_bytes)) {
            Some(Ok(frame)) => {
                let why = match frame.data_ref() {
                    Some(chunk) => refusal(&mut counted, chunk, limit),
                    // They would be part of the metadata.
                    None => Some("request_trailers"),
                };
                frames.push_back(frame);
                why
            }
            Some(Err(error)) => return Read::Other(GrpcBody::read(frames, Some(error), None), "request_failed"),
            None if counted.held() == Held::One => {
                let chunks: Vec<&[u8]> = frames.iter().filter_map(Frame::data_ref).map(AsRef::as_ref).collect();
                let message = match frames.front().and_then(Frame::data_ref) {
                    Some(only) if chunks.len() == 1 => only.clone(),
                    _ => chunks.concat().into(),
                };
                return Read::Message(message, GrpcBody::read(frames, None, None));
            }
            None => return Read::Other(GrpcBody::read(frames, None, None), "request_messages"),
        };
        if let Some(why) = why {
            return Read::Other(GrpcBody::read(frames, None, Some(body)), why);
        }
    }
}

/// Why a request that goes on with this chunk is not looked for.
fn refusal(counted: &mut Frames, chunk: &Bytes, limit: usize) -> Option<&'static str> {
    if counted.read(chunk) == Held::Other {
        return Some("request_messages");
    }
    // No need to read what is said to be too long.
    counted.length().is_some_and(|length| length > limit as u64).then_some("request_size")
}

// === impl GrpcBody ===

impl<B: Body> GrpcBody<B> {
    pub(super) fn passed(body: B) -> Self {
        Self { source: Source::Passed { body } }
    }

    fn read(frames: VecDeque<Frame<Bytes>>, failed: Option<B::Error>, rest: Option<Pin<Box<B>>>) -> Self {
        Self { source: Source::Read { frames, failed, rest } }
    }
}

impl<B: Body> fmt::Debug for GrpcBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Passed { .. } => "passed",
            Source::Read { .. } => "read",
        };
        f.debug_struct("GrpcBody").field("source", &source).finish_non_exhaustive()
    }
}

impl<B: Body> Body for GrpcBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().source.project() {
            SourceProjection::Passed { body } => body.poll_frame(cx).map(|frame| frame.map(|it| it.map(as_bytes))),
            SourceProjection::Read { frames, failed, rest } => {
                if let Some(frame) = frames.pop_front() {
                    return Poll::Ready(Some(Ok(frame)));
                }
                if let Some(error) = failed.take() {
                    return Poll::Ready(Some(Err(error)));
                }
                match rest {
                    Some(body) => body.as_mut().poll_frame(cx).map(|frame| frame.map(|it| it.map(as_bytes))),
                    None => Poll::Ready(None),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Passed { body } => body.is_end_stream(),
            Source::Read { frames, failed, rest } => {
                frames.is_empty() && failed.is_none() && rest.as_ref().is_none_or(Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Passed { body } => body.size_hint(),
            Source::Read { frames, failed, rest } => {
                let read: u64 = frames.iter().filter_map(Frame::data_ref).map(|chunk| chunk.len() as u64).sum();
                let rest = match rest {
                    Some(body) => body.size_hint(),
                    None if failed.is_some() => SizeHint::default(),
                    None => SizeHint::with_exact(0),
                };
                let mut hint = SizeHint::new();
                hint.set_lower(read.saturating_add(rest.lower()));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(read.saturating_add(upper));
                }
                hint
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http::{HeaderMap, HeaderValue};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    type Item = Result<Frame<Bytes>, &'static str>;

    #[allow(clippy::unnecessary_wraps, reason = "as a body gives it")]
    fn data(bytes: &'static [u8]) -> Item {
        Ok(Frame::data(Bytes::from_static(bytes)))
    }

    #[allow(clippy::unnecessary_wraps, reason = "as a body gives it")]
    fn trailers() -> Item {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-late", HeaderValue::from_static("1"));
        Ok(Frame::trailers(trailers))
    }

    /// What a body is made of, in words.
    async fn words<B: Body<Data = Bytes, Error = &'static str>>(body: B) -> Vec<String> {
        let mut body = Box::pin(body);
        let mut words = Vec::new();
        while let Some(frame) = body.frame().await {
            words.push(match frame {
                Ok(frame) if frame.is_data() => format!("{:?}", frame.into_data().unwrap()),
                Ok(_) => "trailers".to_owned(),
                Err(error) => format!("error {error}"),
            });
        }
        words
    }

    #[tokio::test]
    async fn request_is_read_as_long_as_it_may_be_one_message_and_given_on_as_it_came() {
        let rows: Vec<(&str, Vec<Item>, &str)> = vec![
            ("one message", vec![data(b"\0\0\0\0\x02ab")], "message"),
            ("one message in pieces", vec![data(b"\0\0\0"), data(b"\0\x02"), data(b"a"), data(b"b")], "message"),
            ("an empty message", vec![data(b"\0\0\0\0\0")], "message"),
            ("a compressed message", vec![data(b"\x01\0\0\0\x01z")], "message"),
            ("as long as it may be", vec![data(b"\0\0\0\0\x04abcd")], "message"),
            ("nothing", vec![], "request_messages"),
            ("a part", vec![data(b"\0\0\0\0\x02a")], "request_messages"),
            ("two messages", vec![data(b"\0\0\0\0\x01a\0\0\0\0\x01b")], "request_messages"),
            ("two messages apart", vec![data(b"\0\0\0\0\x01a"), data(b"\0\0\0\0\x01b")], "request_messages"),
            ("two messages and more", vec![data(b"\0\0\0\0\0"), data(b"\0"), Err("not yet read")], "request_messages"),
            ("no message", vec![data(b"hello"), data(b"world")], "request_messages"),
            ("too long a one", vec![data(b"\0\0\0\0\x05abcde")], "request_size"),
            ("one said to be", vec![data(b"\0\xff\xff\xff\xff"), Err("not yet read")], "request_size"),
            ("a message with trailers", vec![data(b"\0\0\0\0\x01a"), trailers()], "request_trailers"),
            ("a message that fails", vec![data(b"\0\0\0\0\x01a"), Err("cut")], "request_failed"),
        ];
        for (says, items, expected) in rows {
            let came = words(StreamBody::new(stream::iter(items.clone_items()))).await;
            let (body, turned_out) = match read(StreamBody::new(stream::iter(items)), 9).await {
                Read::Message(message, body) => {
                    assert_eq!(body.size_hint().exact(), Some(message.len() as u64), "{says}");
                    (body, "message")
                }
                Read::Other(body, why) => (body, why),
            };
            assert_eq!(turned_out, expected, "{says}");
            assert_eq!(words(body).await, came, "{says}");
        }
    }

    /// Frames are not `Clone`.
    trait CloneItems {
        fn clone_items(&self) -> Vec<Item>;
    }

    impl CloneItems for Vec<Item> {
        fn clone_items(&self) -> Vec<Item> {
            let frame = |frame: &Frame<Bytes>| match (frame.data_ref(), frame.trailers_ref()) {
                (Some(data), _) => Frame::data(data.clone()),
                (_, trailers) => Frame::trailers(trailers.cloned().unwrap_or_default()),
            };
            self.iter().map(|item| item.as_ref().map(frame).map_err(|error| *error)).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn request_without_an_end_goes_on_after_a_second() {
        let open = stream::iter([data(b"\0\0\0\0\x01a")]).chain(stream::pending());
        let Read::Other(mut body, why) = read(StreamBody::new(open), 64).await else { panic!("it has no end") };
        assert_eq!(why, "request_late");
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "\0\0\0\0\x01a");
        assert!(!body.is_end_stream());
    }

    #[test]
    fn body_that_is_passed_says_what_the_client_said() {
        let body = GrpcBody::passed(http_body_util::Full::new(Bytes::from_static(b"abc")));
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(3), false));
        assert_eq!(format!("{body:?}"), "GrpcBody { source: \"passed\", .. }");
    }
}
