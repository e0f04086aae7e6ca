//! RFC 9110 section 6.5, RFC 9111 sections 3 and 3.3: trailers, bodies that are cut, too large, or never end.

use std::time::Duration;

use cache_core::Cache;
use cache_tower::CacheLayer;
use http_body_util::{BodyExt, Collected};
use tokio::{sync::mpsc, time::timeout};
use tower::{Layer, ServiceExt};

use crate::{
    flows::{Handmade, Piece, body_of, get, piece, streamed},
    harness::{DEADLINE, Row, may, must, run, settle},
};

pub(crate) const BODIES: &[Row] = &[
    must(
        "9110 6.5",
        "trailers are passed on, and are no headers",
        r#"
        > GET /
        < 200 | {v} | trailer X-Sum: 1 | trailer Grpc-Status: 0
        ? "body 1" | trailer X-Sum: 1 | trailer Grpc-Status: 0 | !X-Sum | !Grpc-Status
        "#,
    )
    .each(&["Cache-Control: no-store", "Cache-Control: max-age=60", "Trailer: X-Sum"]),
    may(
        "9111 3.1",
        "trailers are stored apart from the headers, and replayed",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | trailer X-Sum: 1 | trailer X-Sum: 2 | trailer Grpc-Status: 0
        > GET /
        ? hit | 200 | "body 1" | trailer X-Sum: 1, 2 | trailer Grpc-Status: 0 | !X-Sum | !Grpc-Status
        "#,
    ),
    must(
        "9111 3.1",
        "a trailer says nothing of what is stored",
        r#"
        > GET /
        < 200 | trailer Cache-Control: max-age=60
        > GET /
        < 200
        ? "body 2"
        "#,
    ),
    must(
        "9110 6.5.1",
        "a trailer neither forbids nor changes a header",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | X-A: head | trailer X-A: trailer | trailer Vary: *
        > GET /
        ? hit | X-A: head | !Vary
        "#,
    ),
    must(
        "9111 3.3",
        "a body that breaks off is not stored, and breaks off for the client",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | {v} | "half of" | breaks
        ? breaks
        > GET /
        < 200 | "whole"
        ? 200 | "whole"
        "#,
    )
    .each(&["X-A: b", "Content-Length: 14", "Transfer-Encoding: chunked", "ETag: \"a\""]),
    must(
        "9111 3.3",
        "a body that is not as long as Content-Length says is not stored as a whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Content-Length: {v} | "0123456789"
        > GET /
        < 200 | "whole"
        ? asked | 200 | "whole"
        "#,
    )
    .each(&["11", "1000", "5", "0"]),
    must(
        "9111 3.3",
        "a new body that breaks off leaves nothing half new",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | "old"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "b" | "half of" | breaks
        ? breaks
        > GET /
        < 200 | ETag: "c" | "whole"
        ? asked | 200 | "whole" | ETag: "c"
        "#,
    ),
    may(
        "9111 3",
        "an answer without a body is stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Content-Length: 0 | ""
        > GET /
        ? hit | 200 | ""
        "#,
    ),
    may(
        "9111 3",
        "a body of the largest size is stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | {v} | "0123456789"
        > GET /
        ? hit | 200 | "0123456789"
        "#,
    )
    .each(&["X-A: b", "Content-Length: 10"])
    .by(|cache| CacheLayer::proxy(cache).max_body(10)),
    must(
        "9111 3",
        "a larger body goes through as a whole, and is not stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | {v} | "0123456789a" | trailer X-Sum: 1
        ? 200 | "0123456789a" | trailer X-Sum: 1
        > GET /
        < 200 | Cache-Control: max-age=60 | {v} | "0123456789b"
        ? asked | 200 | "0123456789b"
        "#,
    )
    .each(&["X-A: b", "Content-Length: 11"])
    .by(|cache| CacheLayer::proxy(cache).max_body(10)),
    must(
        "9110 8.6",
        "an answer out of the store has the length of its body",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | "0123456789"
        > GET /
        ? hit | "0123456789" | Content-Length: 10
        "#,
    ),
    must(
        "9110 8.6",
        "a 204 out of the store has no length",
        r#"
        > GET /
        < 204 | Cache-Control: max-age=60
        > GET /
        ? hit | 204 | !Content-Length | ""
        "#,
    ),
];

#[tokio::test]
async fn trailers_and_bodies() {
    run(BODIES).await;
}

/// An origin whose answers are held by the test: each is streamed piece by piece.
pub(crate) fn held(
    headers: &'static [(&'static str, &'static str)],
) -> (Handmade, mpsc::Receiver<mpsc::Sender<Piece>>) {
    let (send, receive) = mpsc::channel(16);
    let origin = Handmade::new(move |_, _| {
        let (pieces, answer) = streamed(headers);
        send.try_send(pieces).expect("room");
        std::future::ready(Ok(answer))
    });
    (origin, receive)
}

/// 9111 3 and the HTML standard's event streams: each event comes at once, though the body never ends; of two clients none waits.
#[tokio::test]
async fn event_streams_pass_at_once() {
    for headers in [
        &[("content-type", "text/event-stream"), ("cache-control", "no-store")][..],
        &[("content-type", "text/event-stream")],
        &[("content-type", "text/event-stream"), ("cache-control", "max-age=60")],
    ] {
        let headers: &'static [(&str, &str)] = Box::leak(headers.to_vec().into_boxed_slice());
        let (origin, mut streams) = held(headers);
        let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
        let both = async {
            let mut first = service.clone().oneshot(get("/events")).await.unwrap().into_body();
            let to_first = streams.recv().await.unwrap();
            to_first.send(piece("event 1")).await.unwrap();
            assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "event 1");
            to_first.send(piece("event 2")).await.unwrap();
            assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "event 2");
            let mut second = service.clone().oneshot(get("/events")).await.unwrap().into_body();
            if let Ok(to_second) = streams.try_recv() {
                to_second.send(piece("event 1")).await.unwrap();
            }
            assert_eq!(second.frame().await.unwrap().unwrap().into_data().unwrap(), "event 1");
        };
        timeout(DEADLINE, both).await.unwrap_or_else(|_| panic!("an event does not come: {headers:?}"));
    }
}

/// 9111 3: storing delays no byte.
#[tokio::test]
async fn a_body_is_streamed_while_it_is_stored() {
    let (origin, mut streams) = held(&[("cache-control", "max-age=60")]);
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let reader = async {
        let mut first = service.clone().oneshot(get("/")).await.unwrap().into_body();
        let pieces = streams.recv().await.unwrap();
        pieces.send(piece("one ")).await.unwrap();
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "one ");
        pieces.send(piece("two")).await.unwrap();
        drop(pieces);
        assert_eq!(first.collect().await.unwrap().to_bytes(), "two");
    };
    timeout(DEADLINE, reader).await.expect("a byte does not come");
    settle().await;
    assert_eq!(body_of(service, get("/")).await.1, b"one two");
    assert_eq!(origin.asked(), 1);
}

/// 9111 3.3: the reader that brought the answer goes away in the middle; who reads with it gets the whole, and no half is stored.
#[tokio::test]
async fn a_reader_that_goes_breaks_no_other() {
    let (origin, mut streams) = held(&[("cache-control", "max-age=60")]);
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let readers = async {
        let mut first = service.clone().oneshot(get("/")).await.unwrap().into_body();
        let pieces = streams.recv().await.unwrap();
        pieces.send(piece("one ")).await.unwrap();
        first.frame().await.unwrap().unwrap();
        let second = tokio::spawn(body_of(service.clone(), get("/")));
        settle().await;
        drop(first);
        settle().await;
        // Whoever reads on reads from here, or from an answer of its own.
        let _ = pieces.send(piece("two")).await;
        drop(pieces);
        if let Ok(Some(own)) = timeout(Duration::from_millis(200), streams.recv()).await {
            own.send(piece("one two")).await.unwrap();
        }
        assert_eq!(second.await.unwrap().1, b"one two");
    };
    timeout(DEADLINE, readers).await.expect("the other reader hangs");
}

/// 9111 3.3: the only reader goes away in the middle: what is stored is the whole, or nothing.
#[tokio::test]
async fn a_half_read_body_is_not_stored_as_a_whole() {
    let (origin, mut streams) = held(&[("cache-control", "max-age=60")]);
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let mut first = service.clone().oneshot(get("/")).await.unwrap().into_body();
    let pieces = streams.recv().await.unwrap();
    pieces.send(piece("one ")).await.unwrap();
    first.frame().await.unwrap().unwrap();
    drop(first);
    settle().await;
    let _ = pieces.send(piece("two")).await;
    drop(pieces);
    settle().await;
    let again = tokio::spawn(body_of(service, get("/")));
    settle().await;
    if let Ok(own) = streams.try_recv() {
        own.send(piece("one two")).await.unwrap();
    }
    assert_eq!(timeout(DEADLINE, again).await.expect("no answer").unwrap().1, b"one two");
}

/// 9111 3.3: a follower of a body that turns out too large, or breaks, gets the whole, or an error; never a part that looks whole.
#[tokio::test]
async fn a_follower_never_takes_a_part_for_the_whole() {
    for breaks in [false, true] {
        let (origin, mut streams) = held(&[("cache-control", "max-age=60")]);
        let service = CacheLayer::proxy(Cache::in_memory()).max_body(8).layer(origin.clone());
        let run = async {
            let mut first = service.clone().oneshot(get("/")).await.unwrap().into_body();
            let pieces = streams.recv().await.unwrap();
            pieces.send(piece("01234")).await.unwrap();
            first.frame().await.unwrap().unwrap();
            let second = tokio::spawn({
                let service = service.clone();
                async move { service.oneshot(get("/")).await.unwrap().into_body().collect().await.map(Collected::to_bytes) }
            });
            let reader = tokio::spawn(async move { first.collect().await.map(Collected::to_bytes) });
            settle().await;
            pieces.send(if breaks { Err("gone".into()) } else { piece("56789") }).await.unwrap();
            drop(pieces);
            settle().await;
            while let Ok(own) = streams.try_recv() {
                own.send(piece("0123456789")).await.unwrap();
            }
            if breaks {
                assert!(reader.await.unwrap().is_err());
            } else {
                assert_eq!(reader.await.unwrap().unwrap(), "56789");
            }
            if let Ok(body) = second.await.unwrap() {
                assert_eq!(body, "0123456789", "breaks: {breaks}");
            }
        };
        timeout(DEADLINE, run).await.expect("a reader hangs");
    }
}

/// 9111 3: a body without end passes through a layer that keeps at most so much, and does so piece by piece.
#[tokio::test]
async fn a_body_without_end_passes() {
    let (origin, mut streams) = held(&[("cache-control", "max-age=60")]);
    let service = CacheLayer::proxy(Cache::in_memory()).max_body(1000).layer(origin);
    let mut body = service.oneshot(get("/")).await.unwrap().into_body();
    let pieces = streams.recv().await.unwrap();
    for _ in 0..1000 {
        pieces.send(piece("0123456789")).await.unwrap();
        let frame = timeout(DEADLINE, body.frame()).await.expect("a piece is held back").unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "0123456789");
    }
}
