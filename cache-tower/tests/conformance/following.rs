//! RFC 9111 sections 3.3 and 4, for who waits for an answer whose body is still coming: he reads along, and gets the whole or an error.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use bytes::Bytes;
use cache_core::{Cache, Key};
use cache_tower::{CacheBody, CacheLayer, CacheService};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tower::{Layer, ServiceExt};

use crate::{
    flows::{Handmade, Piece, body_of, get, piece, request},
    harness::{DEADLINE, eventually, settle},
    trailers_and_streams::held,
};

type Fields = &'static [(&'static str, &'static str)];
type Service = CacheService<Handmade>;

const TEN: Fields = &[("cache-control", "max-age=60"), ("content-length", "10"), ("etag", "\"a\"")];

/// What a client got: the head, and the body to its end or to its error.
type Got = (response::Parts, Result<(Bytes, HeaderMap), String>);

/// A client that reads to the end.
fn client(service: &Service, request: Request<String>) -> JoinHandle<Got> {
    let service = service.clone();
    tokio::spawn(async move {
        let (head, body) = service.oneshot(request).await.unwrap().into_parts();
        let read = body.collect().await.map_err(|error| error.to_string());
        let read = read.map(|read| {
            let trailers = read.trailers().cloned().unwrap_or_default();
            (read.to_bytes(), trailers)
        });
        (head, read)
    })
}

async fn done<T>(client: JoinHandle<T>) -> T {
    timeout(DEADLINE, client).await.expect("a client hangs").unwrap()
}

fn text(got: &Got) -> &[u8] {
    &got.1.as_ref().expect("a whole body").0
}

fn word(head: &response::Parts) -> &str {
    head.headers["cache-status"].to_str().unwrap()
}

/// The next piece of a body.
async fn next<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Bytes
where
    B::Error: std::fmt::Debug,
{
    let frame = timeout(DEADLINE, body.frame()).await.expect("no piece comes").expect("it has ended");
    frame.unwrap().into_data().unwrap()
}

/// A page whose body is held by the test, and the client that was sent for it, which has its head.
async fn opened(
    layer: CacheLayer,
    headers: Fields,
) -> (Service, Handmade, mpsc::Sender<Piece>, Response<CacheBody<impl Body<Data = Bytes, Error: std::fmt::Debug>>>) {
    let (origin, mut streams) = held(headers);
    let service = layer.layer(origin.clone());
    let first = service.clone().oneshot(get("/")).await.unwrap();
    let pieces = streams.recv().await.unwrap();
    settle().await;
    // Whoever comes by himself is answered as whole.
    tokio::spawn(async move {
        while let Some(own) = streams.recv().await {
            own.send(piece("0123456789")).await.unwrap();
        }
    });
    (service, origin, pieces, first)
}

#[tokio::test]
async fn who_waits_has_the_head_at_once_and_each_piece_as_it_comes() {
    let cache = Cache::in_memory();
    let (service, origin, pieces, first) = opened(CacheLayer::proxy(cache.clone()), TEN).await;
    let follow = async || timeout(DEADLINE, service.clone().oneshot(get("/"))).await.expect("no head").unwrap();
    let second = follow().await;
    assert_eq!(
        (second.status().as_u16(), &second.headers()["etag"], &second.headers()["content-length"]),
        (200, &HeaderValue::from_static("\"a\""), &HeaderValue::from_static("10"))
    );
    let said = second.headers()["cache-status"].to_str().unwrap();
    assert!(said.starts_with("cache;fwd=uri-miss") && said.ends_with(";stored;collapsed"), "{said}");
    assert!(second.headers().contains_key("age"));
    assert_eq!(second.body().size_hint().exact(), Some(10));
    let (mut first, mut second) = (first.into_body(), second.into_body());
    for text in ["0123", "456"] {
        pieces.send(piece(text)).await.unwrap();
        assert_eq!(next(&mut second).await, text);
        assert_eq!(next(&mut first).await, text);
    }
    // From the beginning, however late.
    let mut third = follow().await.into_body();
    assert_eq!((next(&mut third).await, next(&mut third).await), (Bytes::from("0123"), Bytes::from("456")));
    pieces.send(piece("789")).await.unwrap();
    drop(pieces);
    assert_eq!(next(&mut third).await, "789");
    assert!(timeout(DEADLINE, third.frame()).await.expect("no end").is_none());
    assert_eq!(second.collect().await.unwrap().to_bytes(), "789");
    settle().await;
    let (head, body) = body_of(service, get("/")).await;
    assert!(word(&head).starts_with("cache;hit"), "{}", word(&head));
    assert_eq!((&body[..], origin.asked()), (&b"0123456789"[..], 1));
    assert_eq!(cache.stats().joined, 2, "two took what was told to another");
    drop(first);
}

#[tokio::test]
async fn a_thousand_read_along_and_the_origin_is_asked_once() {
    let (service, origin, pieces, first) = opened(CacheLayer::new(Cache::in_memory()), TEN).await;
    let clients: Vec<_> = (0..1_000).map(|_| client(&service, get("/"))).collect();
    settle().await;
    // One in ten goes away, and another in ten never reads.
    clients.iter().step_by(10).for_each(JoinHandle::abort);
    let mut unread = Vec::new();
    for _ in 0..100 {
        unread.push(service.clone().oneshot(get("/")).await.unwrap());
    }
    for text in ["01", "23", "45", "67", "89"] {
        pieces.send(piece(text)).await.unwrap();
        settle().await;
    }
    drop((pieces, first));
    for (number, client) in clients.into_iter().enumerate().filter(|(number, _)| number % 10 != 0) {
        assert_eq!(text(&done(client).await), b"0123456789", "{number}");
    }
    assert_eq!(origin.asked(), 1);
    assert_eq!(unread.pop().unwrap().into_body().collect().await.unwrap().to_bytes(), "0123456789");
}

/// 9111 3.3: a body that fails, or ends too early or too late, is an error for whoever reads along, and is not stored.
#[tokio::test]
async fn a_body_that_is_not_whole_is_an_error_for_all_and_is_not_stored() {
    for (says, sent) in [
        ("fails", vec![piece("01234"), Err("gone".into())]),
        ("fails at once", vec![Err("gone".into())]),
        ("fails at its end", vec![piece("0123456789"), Err("gone".into())]),
        ("is cut", vec![piece("01234")]),
        ("is empty", vec![]),
        ("is longer", vec![piece("0123456789"), piece("a")]),
        ("is longer at once", vec![piece("0123456789a")]),
    ] {
        for limit in [10, 1_000] {
            let layer = CacheLayer::proxy(Cache::in_memory()).max_body(limit);
            let (service, origin, pieces, first) = opened(layer, TEN).await;
            let clients: Vec<_> = (0..10).map(|_| client(&service, get("/"))).collect();
            settle().await;
            assert_eq!(origin.asked(), 1);
            for piece in &sent {
                let copy = match piece {
                    Ok(frame) => Ok(Frame::data(frame.data_ref().unwrap().clone())),
                    Err(error) => Err(error.to_string().into()),
                };
                pieces.send(copy).await.unwrap();
                settle().await;
            }
            drop((pieces, first));
            for client in clients {
                let (head, read) = done(client).await;
                assert_eq!(head.status, 200);
                assert!(read.is_err_and(|error| error.contains("cut off")), "{says}, {limit}");
            }
            settle().await;
            assert_eq!(body_of(service, get("/")).await.1, b"0123456789", "{says}, {limit}");
            assert_eq!(origin.asked(), 2, "{says}, {limit}: nothing was stored");
        }
    }
}

#[tokio::test]
async fn the_one_that_was_sent_goes_away_and_the_others_have_it_all() {
    let (service, origin, pieces, first) = opened(CacheLayer::proxy(Cache::in_memory()), TEN).await;
    let clients: Vec<_> = (0..10).map(|_| client(&service, get("/"))).collect();
    settle().await;
    pieces.send(piece("01234")).await.unwrap();
    settle().await;
    drop(first);
    settle().await;
    // And whoever comes now.
    let late = client(&service, get("/"));
    settle().await;
    pieces.send(piece("56789")).await.unwrap();
    drop(pieces);
    for client in clients.into_iter().chain([late]) {
        assert_eq!(text(&done(client).await), b"0123456789");
    }
    settle().await;
    assert!(word(&body_of(service, get("/")).await.0).starts_with("cache;hit"));
    assert_eq!(origin.asked(), 1);
}

/// 9110 6.5
#[tokio::test]
async fn trailers_are_for_all_who_read_along() {
    let (service, _, pieces, first) = opened(CacheLayer::proxy(Cache::in_memory()), TEN).await;
    let clients: Vec<_> = (0..10).map(|_| client(&service, get("/"))).collect();
    settle().await;
    pieces.send(piece("0123456789")).await.unwrap();
    let sum = [(HeaderName::from_static("x-sum"), HeaderValue::from_static("7"))];
    pieces.send(Ok(Frame::trailers(sum.into_iter().collect()))).await.unwrap();
    drop((pieces, first));
    for client in clients {
        let (bytes, trailers) = done(client).await.1.unwrap();
        assert_eq!((&bytes[..], &trailers["x-sum"]), (&b"0123456789"[..], &HeaderValue::from_static("7")));
    }
}

/// 9110 9.3.2, 13.1 and 14.2: who wants something else than the whole waits for what is stored, and gets just that.
#[tokio::test]
async fn who_asks_for_something_else_than_the_whole_waits_for_it() {
    let asks: &[(&str, Fields, u16, &[u8])] = &[
        ("GET", &[("range", "bytes=2-4")], 206, b"234"),
        ("GET", &[("range", "bytes=20-")], 416, b""),
        ("GET", &[("range", "bytes=2-4"), ("if-range", "\"a\"")], 206, b"234"),
        ("GET", &[("range", "bytes=2-4"), ("if-range", "\"b\"")], 200, b"0123456789"),
        ("GET", &[("if-none-match", "\"a\"")], 304, b""),
        ("GET", &[("if-none-match", "\"b\"")], 200, b"0123456789"),
    ];
    let (service, origin, pieces, first) = opened(CacheLayer::proxy(Cache::in_memory()), TEN).await;
    let clients: Vec<_> =
        asks.iter().map(|(method, fields, ..)| client(&service, request(method, "/", fields))).collect();
    settle().await;
    pieces.send(piece("01234")).await.unwrap();
    settle().await;
    assert!(clients.iter().all(|client| !client.is_finished()));
    pieces.send(piece("56789")).await.unwrap();
    drop((pieces, first));
    for (client, (_, fields, status, body)) in clients.into_iter().zip(asks) {
        let got = done(client).await;
        assert_eq!((got.0.status.as_u16(), text(&got)), (*status, *body), "{fields:?}");
    }
    assert_eq!(origin.asked(), 1);
}

/// What the origin has to be asked about for each, is for another, or is of a length that nobody knows is not read along.
#[tokio::test]
async fn nobody_reads_along_what_is_not_for_him() {
    const AND: [(&str, &str); 2] = [("content-length", "10"), ("etag", "\"a\"")];
    let rows: &[(Fields, Fields, bool)] = &[
        // The answer, what the other asks with, and whether he goes to the origin while its body is still coming.
        (&[("cache-control", "no-cache"), AND[0], AND[1]], &[], true),
        (&[("cache-control", "max-age=0"), AND[0], AND[1]], &[], true),
        (&[("cache-control", "max-age=10"), ("age", "20"), AND[0], AND[1]], &[], true),
        (&[("cache-control", "private, max-age=60"), AND[0], AND[1]], &[], true),
        (&[("cache-control", "no-store"), AND[0], AND[1]], &[], true),
        (&[("cache-control", "max-age=60"), AND[0], AND[1]], &[("cookie", "a=b")], true),
        (&[("cache-control", "max-age=60"), ("vary", "foo"), AND[0], AND[1]], &[("foo", "1")], true),
        (&[("cache-control", "max-age=60"), AND[1]], &[], false),
    ];
    for (headers, fields, at_once) in rows {
        let (service, origin, pieces, first) = opened(CacheLayer::new(Cache::in_memory()), headers).await;
        let other = client(&service, request("GET", "/", fields));
        settle().await;
        pieces.send(piece("01234")).await.unwrap();
        settle().await;
        assert_eq!((origin.asked() == 2, other.is_finished()), (*at_once, *at_once), "{headers:?} {fields:?}");
        pieces.send(piece("56789")).await.unwrap();
        drop((pieces, first));
        let got = done(other).await;
        assert_eq!(text(&got), b"0123456789", "{headers:?} {fields:?}");
    }
}

/// 9111 4.4: what was begun before a change is not for who comes after it.
#[tokio::test]
async fn nobody_reads_along_what_an_eviction_has_overtaken() {
    const TAGGED: Fields =
        &[("cache-control", "max-age=60"), ("content-length", "10"), ("surrogate-key", "category:books")];
    for way in ["purge", "soft purge", "tag", "soft tag", "scope", "post"] {
        let cache = Cache::in_memory();
        let layer = CacheLayer::proxy(cache.clone());
        let (service, origin, pieces, first) = opened(layer.clone(), TAGGED).await;
        let before = client(&service, get("/"));
        settle().await;
        pieces.send(piece("abcde")).await.unwrap();
        settle().await;
        let url = "http://shop.example/".parse().unwrap();
        let tag = Key::new("category").arg("books");
        match way {
            "purge" => drop(layer.purge(&url).await),
            "soft purge" => drop(layer.soft_purge(&url).await),
            "tag" => drop(cache.evict_tag(tag).await),
            "soft tag" => drop(cache.soft_evict_tag(tag).await),
            "scope" => drop(cache.evict_scope("http").await),
            _ => drop(body_of(service.clone(), request("POST", "/", &[])).await),
        }
        let asked = origin.asked();
        let after = body_of(service.clone(), get("/"));
        assert_eq!(timeout(DEADLINE, after).await.expect("it waits for what is over").1, b"0123456789", "{way}");
        assert_eq!(origin.asked(), asked + 1, "{way}");
        pieces.send(piece("fghij")).await.unwrap();
        drop((pieces, first));
        assert_eq!(text(&done(before).await), b"abcdefghij", "{way}: who was aboard has what he boarded");
        settle().await;
        assert_eq!(body_of(service, get("/")).await.1, b"0123456789", "{way}: and it is not kept");
    }
}

/// A validation that brings a new body is read along as well, also one that runs in the background.
#[tokio::test]
async fn what_replaces_a_stale_answer_is_read_along() {
    for window in ["max-age=60", "max-age=60, stale-while-revalidate=60"] {
        let (send, mut streams) = mpsc::channel(16);
        let origin = Handmade::new(move |number, _| {
            let (pieces, answer) = crate::flows::streamed(&[
                ("cache-control", window),
                ("content-length", if number == 0 { "3" } else { "10" }),
                ("etag", if number == 0 { "\"old\"" } else { "\"new\"" }),
            ]);
            send.try_send(pieces).expect("room");
            std::future::ready(Ok(answer))
        });
        let layer = CacheLayer::new(Cache::in_memory());
        let service = layer.layer(origin.clone());
        let first = client(&service, get("/"));
        streams.recv().await.unwrap().send(piece("old")).await.unwrap();
        assert_eq!(text(&done(first).await), b"old");
        settle().await;
        assert!(layer.soft_purge(&"http://shop.example/".parse().unwrap()).await.is_applied());
        let second = client(&service, get("/"));
        assert!(eventually(|| origin.asked() == 2).await);
        settle().await;
        let pieces = streams.recv().await.unwrap();
        pieces.send(piece("01234")).await.unwrap();
        settle().await;
        let third = client(&service, get("/"));
        settle().await;
        let is_stale = window.contains("stale");
        assert_eq!((second.is_finished(), third.is_finished()), (is_stale, is_stale), "{window}");
        pieces.send(piece("56789")).await.unwrap();
        drop(pieces);
        let expected = if is_stale { &b"old"[..] } else { b"0123456789" };
        for client in [second, third] {
            assert_eq!(text(&done(client).await), expected, "{window}");
        }
        settle().await;
        assert_eq!(body_of(service, get("/")).await.1, b"0123456789", "{window}");
        assert_eq!(origin.asked(), 2, "{window}");
    }
}

/// Who has the head is not bound by how long one waits for another's answer.
#[tokio::test(start_paused = true)]
async fn who_reads_along_does_so_for_as_long_as_it_takes() {
    let layer = CacheLayer::proxy(Cache::in_memory()).collapse(Duration::from_secs(1));
    let (service, origin, pieces, first) = opened(layer, TEN).await;
    let other = client(&service, get("/"));
    settle().await;
    // Time itself, and it is paused: longer than one may wait.
    tokio::time::sleep(Duration::from_secs(5)).await;
    pieces.send(piece("0123456789")).await.unwrap();
    drop((pieces, first));
    assert_eq!(text(&done(other).await), b"0123456789");
    assert_eq!(origin.asked(), 1);
}
