//! Which answers are stored, and that they come out as they went in.

use std::time::Duration;

use bytes::Bytes;
use cache_core::{Cache, millis, secs};
use cache_tower::grpc::{GrpcCacheLayer, GrpcMethod};
use http::Response;
use http_body::Frame;

use crate::service::*;

#[tokio::test]
async fn answer_is_stored_with_headers_bytes_and_trailers_as_they_are() {
    let service = Handmade::reading(|_| {
        let message = message("seven");
        let (head, rest) = (message.slice(..3), message.slice(3..));
        let headers = [("x-shop", "1"), ("x-shop", "2"), ("trace-bin", "AAEC"), ("grpc-encoding", "identity")];
        let trailers = [("grpc-status", "0"), ("grpc-message", "all%20well"), ("x-cost", "7")];
        answer(&headers, &[head, Bytes::new(), rest], &trailers)
    });
    let layer = layer(&Cache::in_memory());
    let first = ask(&layer, &service, call(&[], "a")).await;
    let second = ask(&layer, &service, call(&[], "a")).await;
    assert_eq!(service.calls(), 1);
    assert_eq!([first.word(), second.word()], ["cache;fwd=miss", "cache;hit"]);
    assert!(second.cache.as_deref().is_some_and(|word| word.contains(";ttl=")));
    assert_eq!(first.text(), "seven");
    assert_eq!(first.trailers.as_ref().unwrap()["x-cost"], "7");
    assert_eq!(Got { cache: None, ..first }, Got { cache: None, ..second });
}

#[tokio::test]
async fn answer_is_stored_only_if_the_call_succeeded_with_one_message() {
    type Made = fn() -> Response<AnyBody>;
    const DONE: &[(&str, &str)] = &[("grpc-status", "0")];
    let rows: Vec<(&str, Made, bool)> = vec![
        ("a success", || answer(&[], &[message("a")], DONE), true),
        ("of an empty message", || answer(&[], &[message("")], DONE), true),
        ("of a compressed message", || answer(&[("grpc-encoding", "gzip")], &[framed(1, "z")], DONE), true),
        ("whose headers say so", || answer(&[("grpc-status", "0")], &[message("a")], &[]), true),
        ("of no message", || answer(&[], &[], DONE), false),
        ("of a part of one", || answer(&[], &[message("a").slice(..5)], DONE), false),
        ("of two", || answer(&[], &[message("a"), message("b")], DONE), false),
        ("of two in one", || answer(&[], &[[message("a"), message("b")].concat().into()], DONE), false),
        ("of none that is one", || answer(&[], &[Bytes::from_static(b"hello, world")], DONE), false),
        ("with a cookie", || answer(&[("set-cookie", "a=b")], &[message("a")], DONE), false),
        ("of another kind", || answer(&[("content-type", "text/plain")], &[message("a")], DONE), false),
        ("that says nothing", || answer(&[], &[message("a")], &[]), false),
        ("that says it otherwise", || answer(&[], &[message("a")], &[("grpc-status", "OK")]), false),
        ("a failure in trailers", || answer(&[], &[], &[("grpc-status", "5")]), false),
        ("a failure after its message", || answer(&[], &[message("a")], &[("grpc-status", "13")]), false),
        ("a failure in headers", || trailers_only(&[("grpc-status", "5"), ("grpc-message", "none")]), false),
        ("a failure with a body in vain", || answer(&[("grpc-status", "5")], &[message("a")], &[]), false),
        ("a success that fails", || answer(&[("grpc-status", "0")], &[message("a")], &[("grpc-status", "2")]), false),
        ("a body that is cut", || with(&[], body(vec![chunk(message("a")), Err(Cut)])), false),
        (
            "an HTTP failure",
            || {
                let mut response = answer(&[], &[message("a")], DONE);
                *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                response
            },
            false,
        ),
    ];
    for (says, made, is_stored) in rows {
        let service = Handmade::reading(move |_| made());
        let layer = layer(&Cache::in_memory());
        let first = ask(&layer, &service, call(&[], "a")).await;
        let second = ask(&layer, &service, call(&[], "a")).await;
        assert_eq!(service.calls(), if is_stored { 1 } else { 2 }, "{says}");
        assert_eq!(second.word() == "cache;hit", is_stored, "{says}");
        let plain = read(made()).await;
        assert_eq!(plain.broke, first.broke, "{says}");
        for got in [first, second] {
            // How it looks on the way is the service's own, but for a hit, which has all of it.
            let ended_at_once = plain.ended_at_once;
            assert_eq!(Got { cache: None, ..got }, Got { ended_at_once, ..read(made()).await }, "{says}");
        }
    }
}

#[tokio::test]
async fn failure_is_stored_under_its_own_ttl_when_told_so() {
    for made in [
        || trailers_only(&[("grpc-status", "5"), ("grpc-message", "no such product")]),
        || answer(&[], &[], &[("grpc-status", "5"), ("grpc-message", "no such product")]),
    ] {
        let service = Handmade::reading(move |_| made());
        let told = layer(&Cache::in_memory()).store_status(5, secs(2));
        let first = ask(&told, &service, call(&[], "a")).await;
        let second = ask(&told, &service, call(&[], "a")).await;
        assert_eq!((service.calls(), second.word().as_str()), (1, "cache;hit"));
        assert!(matches!(second.cache.as_deref(), Some("cache;hit;ttl=1" | "cache;hit;ttl=2")), "{second:?}");
        assert_eq!(first.ended_at_once, second.ended_at_once, "headers that end a call are not headers before an end");
        assert_eq!(Got { cache: None, ..first }, Got { cache: None, ..second });
    }
    let service = Handmade::reading(|_| trailers_only(&[("grpc-status", "14")]));
    let told = layer(&Cache::in_memory()).store_status(5, secs(2));
    for word in ["cache;fwd=miss;detail=grpc_status", "cache;fwd=miss"] {
        assert_eq!(ask(&told, &service, call(&[], "a")).await.word(), word);
    }
    assert_eq!(service.calls(), 2);
}

#[tokio::test]
async fn answer_is_kept_for_the_time_of_its_method() {
    let service = Handmade::counting();
    let method = |ttl| GrpcCacheLayer::new(Cache::in_memory()).method(GrpcMethod::new(GET).ttl(ttl));
    let short = method(millis(20));
    let first = ask(&short, &service, call(&[], "a")).await;
    assert_eq!(first.text(), "1");
    let renewed = async {
        while ask(&short, &service, call(&[], "a")).await.text() == "1" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, renewed).await.expect("it is kept for ever");

    let (service, none) = (Handmade::counting(), method(Duration::ZERO));
    ask(&none, &service, call(&[], "a")).await;
    assert_eq!(ask(&none, &service, call(&[], "a")).await.text(), "2");

    // The time of the layer is that of methods that have none.
    let (service, unsaid) = (Handmade::counting(), GrpcCacheLayer::new(Cache::in_memory()).method(GET).ttl(secs(7)));
    ask(&unsaid, &service, call(&[], "a")).await;
    let word = ask(&unsaid, &service, call(&[], "a")).await.cache.unwrap();
    assert!(matches!(word.as_str(), "cache;hit;ttl=6" | "cache;hit;ttl=7"), "{word}");
}

#[tokio::test]
async fn answer_that_is_too_large_goes_through() {
    let large = "x".repeat(1_000);
    for (limit, calls) in [(1_005, 1), (1_004, 2)] {
        let text = large.clone();
        let service = Handmade::reading(move |_| {
            let message = message(&text);
            let chunks = [message.slice(..5), message.slice(5..700), message.slice(700..)];
            answer(&[], &chunks, &[("grpc-status", "0")])
        });
        let layer = layer(&Cache::in_memory()).max_answer(limit);
        for _ in 0..2 {
            let got = ask(&layer, &service, call(&[], "a")).await;
            assert_eq!(got.text(), large);
            assert_eq!(got.trailers.unwrap()["grpc-status"], "0");
        }
        assert_eq!(service.calls(), calls, "{limit}");
    }
}

#[tokio::test]
async fn method_that_streams_its_answer_streams_on() {
    let (more, wait) = tokio::sync::oneshot::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let service = Handmade::reading(move |number| {
        let wait = wait.lock().unwrap().take();
        let last = async move {
            if let Some(wait) = wait {
                let _asked = wait.await;
            }
            chunk(message("b"))
        };
        let frames = futures_util::StreamExt::chain(
            futures_util::stream::iter([chunk(message(&number.to_string()))]),
            futures_util::stream::once(last),
        );
        let end = futures_util::stream::iter([Ok(Frame::trailers(fields(&[("grpc-status", "0")])))]);
        let frames = futures_util::StreamExt::chain(frames, end);
        with(&[], http_body_util::BodyExt::boxed_unsync(http_body_util::StreamBody::new(frames)))
    });
    let layer = layer(&Cache::in_memory());
    let response =
        tower::ServiceExt::oneshot(tower::Layer::layer(&layer, service.clone()), call(&[], "a")).await.unwrap();
    let mut streamed = Box::pin(response.into_body());
    let first = tokio::time::timeout(DEADLINE, http_body_util::BodyExt::frame(&mut streamed)).await.unwrap();
    assert_eq!(first.unwrap().unwrap().into_data().unwrap(), message("1"), "it comes before the second is sent");
    more.send(()).unwrap();
    let rest = http_body_util::BodyExt::collect(streamed).await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(rest.to_bytes(), message("b"));
    let second = ask(&layer, &service, call(&[], "a")).await;
    assert_eq!((service.calls(), &second.bytes[..]), (2, &[message("2"), message("b")].concat()[..]));
}

#[tokio::test]
async fn what_cache_status_says_is_ones_own_choice() {
    let service = Handmade::counting();
    let named = layer(&Cache::in_memory()).cache_status(Some("shop"));
    assert_eq!(ask(&named, &service, call(&[], "a")).await.word(), "shop;fwd=miss");
    assert_eq!(ask(&named, &service, call(&[], "a")).await.word(), "shop;hit");
    let silent = layer(&Cache::in_memory()).cache_status(None);
    for _ in 0..2 {
        assert_eq!(ask(&silent, &service, call(&[], "a")).await.cache, None);
    }
    assert_eq!(service.calls(), 2);
}
