use futures_util::{poll, stream};
use http_body::SizeHint;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::sync::mpsc;

use super::*;
use crate::body::CacheBody;

type Item = Result<Frame<Bytes>, &'static str>;

#[allow(clippy::unnecessary_wraps, reason = "an item of a body, which may also be an error")]
fn data(text: &'static str) -> Item {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn body(items: Vec<Item>) -> impl Body<Data = Bytes, Error = &'static str> {
    StreamBody::new(stream::iter(items))
}

/// A body that gives what is sent, and ends with its sender.
fn sent() -> (mpsc::Sender<Item>, impl Body<Data = Bytes, Error = &'static str> + Unpin) {
    let (send, mut receive) = mpsc::channel(16);
    (send, StreamBody::new(stream::poll_fn(move |cx| receive.poll_recv(cx))))
}

fn trailers() -> HeaderMap {
    [(http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("7"))].into_iter().collect()
}

/// What a reader gets to the end: its text and its trailers, or its error.
async fn read<B: Body<Error = &'static str>>(reader: Reader<B>) -> Result<(Bytes, Option<HeaderMap>), String> {
    let read = CacheBody::recorded(reader, SizeHint::default()).collect().await.map_err(|error| error.to_string())?;
    let trailers = read.trailers().cloned();
    Ok((read.to_bytes(), trailers))
}

#[allow(clippy::unnecessary_wraps, reason = "what a reader gets, which may also be an error")]
fn whole(text: &'static str, trailers: Option<HeaderMap>) -> Result<(Bytes, Option<HeaderMap>), String> {
    Ok((Bytes::from_static(text.as_bytes()), trailers))
}

fn is_cut(read: &Result<(Bytes, Option<HeaderMap>), String>) -> bool {
    read.as_ref().is_err_and(|error| error.contains("cut off"))
}

#[tokio::test]
async fn body_is_read_along_and_kept_with_its_trailers() {
    let (recorder, first) = Recorder::new(4, UNREAD);
    let followers: Vec<_> = (0..3).map(|_| recorder.recording(Some(4)).unwrap().follow(UNREAD).unwrap()).collect();
    let items = vec![data("ab"), data("cd"), Ok(Frame::trailers(trailers()))];
    let followers = futures_util::future::join_all(followers.into_iter().map(read));
    let (first, followers, recorded) = tokio::join!(read(first), followers, recorder.record(body(items), || {}));
    assert_eq!(first, whole("abcd", Some(trailers())));
    assert!(followers.into_iter().all(|read| read == first));
    let Recorded::Whole { chunks, trailers: kept } = recorded else { panic!("not whole") };
    assert_eq!((chunks.concat(), kept), (b"abcd".to_vec(), Some(trailers())));
}

#[tokio::test]
async fn each_reads_at_its_own_pace_and_from_the_beginning() {
    let (recorder, first) = Recorder::new(9, UNREAD);
    let recording = recorder.recording(Some(6)).unwrap();
    let (send, body) = sent();
    let mut recorded = pin!(recorder.record(body, || {}));
    let (mut first, mut early) = (first, recording.follow(UNREAD).unwrap());
    let next = |reader: &mut Reader<_>| match reader.poll_next(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Next::Frame(frame)) => frame.into_data().ok(),
        Poll::Ready(_) => panic!("it is not at its end"),
        Poll::Pending => None,
    };
    for text in ["ab", "cd"] {
        send.send(data(text)).await.unwrap();
        assert!(poll!(&mut recorded).is_pending());
        assert_eq!(next(&mut first).unwrap(), text);
        assert!(next(&mut first).is_none());
    }
    let late = recording.follow(UNREAD).unwrap();
    assert_eq!(next(&mut early).unwrap(), "ab");
    send.send(data("ef")).await.unwrap();
    drop(send);
    assert!(matches!(recorded.await, Recorded::Whole { .. }));
    assert_eq!(read(late).await, whole("abcdef", None));
    assert_eq!(read(early).await, whole("cdef", None));
    assert_eq!(read(recording.follow(UNREAD).unwrap()).await, whole("abcdef", None), "it is there still");
}

#[tokio::test]
async fn rest_of_a_body_that_is_too_large_goes_on_to_its_client_and_is_cut_off_for_others() {
    let (recorder, first) = Recorder::new(3, UNREAD);
    assert!(recorder.recording(None).is_none() && recorder.recording(Some(4)).is_none());
    // It lies about its length.
    let recording = recorder.recording(Some(3)).unwrap();
    let followers = [recording.follow(UNREAD).unwrap(), recording.follow(UNREAD).unwrap()];
    let items = vec![data("ab"), data("cd"), data("ef"), data("gh")];
    let recorded = recorder.record(body(items), || {}).await;
    assert!(matches!(recorded, Recorded::Oversized));
    assert!(recording.follow(UNREAD).is_none());
    let [before, after] = followers;
    assert!(is_cut(&read(before).await));
    assert_eq!(read(first).await, whole("abcdefgh", None));
    assert!(is_cut(&read(after).await), "when its beginning is there no more either");
}

#[tokio::test]
async fn body_that_is_not_as_long_as_it_said_is_cut_off_for_others() {
    for (said, is_whole) in [(3, false), (4, true), (5, false), (0, false)] {
        let (recorder, first) = Recorder::new(9, UNREAD);
        let follower = recorder.recording(Some(said)).unwrap().follow(UNREAD).unwrap();
        let recorded = recorder.record(body(vec![data("ab"), data("cd")]), || {}).await;
        assert!(matches!(recorded, Recorded::Whole { .. }));
        assert_eq!(read(first).await, whole("abcd", None));
        let read = read(follower).await;
        assert_eq!((read.is_ok(), is_cut(&read)), (is_whole, !is_whole), "{said}");
    }
}

#[tokio::test]
async fn failure_of_a_body_is_that_of_its_client_cuts_off_others_and_is_not_kept() {
    let (recorder, first) = Recorder::new(9, UNREAD);
    let recording = recorder.recording(Some(4)).unwrap();
    let follower = recording.follow(UNREAD).unwrap();
    let recorded = recorder.record(body(vec![data("ab"), Err("failed")]), || {}).await;
    assert!(matches!(recorded, Recorded::Failed));
    assert_eq!(read(first).await, Err("failed".to_owned()));
    assert!(is_cut(&read(follower).await));
    assert!(recording.follow(UNREAD).is_none(), "nobody begins to read what has failed");
}

#[tokio::test]
async fn client_that_goes_away_or_does_not_read_holds_nobody_up() {
    let items = || vec![data("ab"), data("ab"), data("ab")];
    let (recorder, first) = Recorder::new(9, UNREAD);
    let follower = recorder.recording(Some(6)).unwrap().follow(UNREAD).unwrap();
    assert!(matches!(recorder.record(body(items()), || {}).await, Recorded::Whole { .. }));
    assert_eq!(read(first).await, whole("ababab", None));
    assert_eq!(read(follower).await, whole("ababab", None));
    let (recorder, first) = Recorder::new(9, UNREAD);
    let follower = recorder.recording(Some(6)).unwrap().follow(UNREAD).unwrap();
    drop(first);
    assert!(matches!(recorder.record(body(items()), || {}).await, Recorded::Whole { .. }));
    assert_eq!(read(follower).await, whole("ababab", None));
}

#[tokio::test(start_paused = true)]
async fn body_that_stalls_gets_no_more_readers() {
    let (send, slow) = sent();
    let (recorder, _first) = Recorder::new(9, UNREAD);
    let recording = recorder.recording(Some(6)).unwrap();
    let mut recorded = pin!(recorder.record(slow, || {}));
    assert!(timeout(UNREAD, &mut recorded).await.is_err());
    assert!(recording.follow(UNREAD).is_some());
    assert!(timeout(UNREAD, &mut recorded).await.is_err());
    assert!(recording.follow(UNREAD).is_none());
    send.send(data("ab")).await.unwrap();
    assert!(poll!(&mut recorded).is_pending());
    assert!(recording.follow(UNREAD).is_some(), "it goes on");
}

#[tokio::test(start_paused = true)]
async fn body_is_not_read_for_ever_for_nobody() {
    let (send, slow) = sent();
    let (recorder, first) = Recorder::new(9, UNREAD);
    let recording = recorder.recording(Some(6)).unwrap();
    let mut recorded = pin!(recorder.record(slow, || {}));
    // While somebody is there, whoever it is, it takes as long as it takes.
    assert!(timeout(UNREAD * 10, &mut recorded).await.is_err());
    let follower = recording.follow(UNREAD * 20).unwrap();
    drop(first);
    assert!(timeout(UNREAD * 10, &mut recorded).await.is_err());
    drop(follower);
    assert!(timeout(UNREAD / 2, &mut recorded).await.is_err());
    // Counted anew.
    let follower = recording.follow(UNREAD * 30).unwrap();
    assert!(timeout(UNREAD, &mut recorded).await.is_err());
    drop(follower);
    send.send(data("ab")).await.unwrap();
    assert!(timeout(UNREAD.mul_f32(0.9), &mut recorded).await.is_err());
    assert!(matches!(recorded.await, Recorded::Failed));
    assert!(recording.follow(UNREAD).is_none());
    drop(send);
}

#[tokio::test]
async fn that_it_is_slow_is_said_once_and_only_if_it_is() {
    let mut said = 0;
    let (recorder, first) = Recorder::new(9, UNREAD);
    recorder.record(body(vec![data("ab"), data("cd")]), || said += 1).await;
    drop(first);
    assert_eq!(said, 0);
    let (send, slow) = sent();
    let (recorder, first) = Recorder::new(9, UNREAD);
    let record = recorder.record(slow, || said += 1);
    let feed = async {
        for _ in 0..3 {
            send.send(data("ab")).await.unwrap();
            tokio::task::yield_now().await;
        }
        drop(send);
    };
    tokio::join!(record, feed);
    drop(first);
    assert_eq!(said, 1);
}

#[tokio::test]
async fn body_whose_reading_panicked_looks_whole_to_nobody() {
    let (recorder, first) = Recorder::<Full<Bytes>>::new(9, UNREAD);
    let follower = recorder.recording(Some(0)).unwrap().follow(UNREAD).unwrap();
    drop(recorder);
    for reader in [first, follower] {
        assert!(CacheBody::recorded(reader, SizeHint::default()).collect().await.is_err());
    }
}
