//! What is not cached passes as it is.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cache_core::{Cache, millis};
use cache_tower::{
    CacheLayer,
    grpc::{GrpcCacheLayer, GrpcMethod},
};
use http::Request;
use http_body::Frame;
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};

use crate::service::*;

/// Answers before its request has ended, as soon as it has read so many chunks.
fn eager(chunks: usize) -> Handmade {
    Handmade::new(move |number, asked| async move {
        let mut body = asked.body;
        let mut read = Vec::new();
        for _ in 0..chunks {
            read.push(body.frame().await.unwrap()?.into_data().unwrap());
        }
        Ok(answer(&[("x-call", &number.to_string())], &read, &[("grpc-status", "0")]))
    })
}

#[tokio::test]
async fn call_of_another_kind_is_neither_read_nor_stored() {
    let layer = layer(&Cache::in_memory());
    let open = || open(vec![]);
    let get = |path| {
        let mut request = request(path, &[], open());
        *request.method_mut() = http::Method::GET;
        request
    };
    type Made<'a> = Box<dyn Fn() -> Request<AnyBody> + 'a>;
    let rows: Vec<(&str, Made<'_>)> = vec![
        ("another method", Box::new(move || request("/shop.v1.Products/Watch", &[], open()))),
        ("another service", Box::new(move || request("/shop.v1.Product/Get", &[], open()))),
        ("a method of another spelling", Box::new(move || request("/shop.v1.Products/get", &[], open()))),
        ("a query", Box::new(move || request("/shop.v1.Products/Get?a=1", &[], open()))),
        ("JSON", Box::new(move || request(GET, &[("content-type", "application/json")], open()))),
        ("gRPC-Web", Box::new(move || request(GET, &[("content-type", "application/grpc-web+proto")], open()))),
        ("a GET", Box::new(move || get(GET))),
    ];
    for (says, made) in rows {
        // It is answered before anything of the request was there.
        let service = eager(0);
        for number in ["1", "2"] {
            let got = ask(&layer, &service, made()).await;
            assert_eq!((got.headers["x-call"].to_str().unwrap(), got.cache), (number, None), "{says}");
        }
    }
}

#[tokio::test]
async fn request_that_is_no_single_message_goes_on_as_it_came() {
    let long = "x".repeat(100);
    let trailers = || Ok(Frame::trailers(fields(&[("x-late", "1")])));
    let rows = [
        ("two messages", vec![chunk(message("a")), chunk(message("b"))], "request_messages"),
        ("two in one", vec![chunk([message("a"), message("b")].concat())], "request_messages"),
        ("a part", vec![chunk(message("abc").slice(..6))], "request_messages"),
        ("nothing", vec![], "request_messages"),
        ("a long one", vec![chunk(message(&long).slice(..50)), chunk(message(&long).slice(50..))], "request_size"),
        ("trailers", vec![chunk(message("a")), trailers()], "request_trailers"),
    ];
    for (says, frames, why) in rows {
        let (service, layer) = (Handmade::counting(), layer(&Cache::in_memory()).max_request(64));
        let bytes: Vec<Bytes> = frames.iter().filter_map(|frame| frame.as_ref().unwrap().data_ref().cloned()).collect();
        let has_trailers = frames.iter().any(|frame| frame.as_ref().unwrap().is_trailers());
        let got = ask(&layer, &service, request(GET, &[], body(frames))).await;
        assert_eq!(got.word(), format!("cache;fwd=bypass;detail={why}"), "{says}");
        let trailers = has_trailers.then(|| fields(&[("x-late", "1")]));
        assert_eq!(service.sent(), [Sent { bytes: bytes.concat().into(), trailers }], "{says}");
        assert_eq!(got.text(), "1");
    }
}

#[tokio::test]
async fn request_that_streams_reaches_the_service_before_its_end() {
    let layer = layer(&Cache::in_memory());
    let two = || open(vec![chunk(message("a")), chunk(message("b"))]);
    let got = ask(&layer, &eager(2), request(GET, &[], two())).await;
    assert_eq!(got.bytes, [message("a"), message("b")].concat());
    // One that waits for an answer to its first message, which might have been its only one.
    tokio::time::pause();
    let one = open(vec![chunk(message("a"))]);
    let got = ask(&layer, &eager(1), request(GET, &[], one)).await;
    assert_eq!(
        (got.bytes.as_ref(), got.word().as_str()),
        (message("a").as_ref(), "cache;fwd=bypass;detail=request_late")
    );
}

#[tokio::test]
async fn request_that_fails_fails_in_the_service() {
    let (service, layer) = (Handmade::counting(), layer(&Cache::in_memory()));
    let cut = body(vec![chunk(message("a")), Err(Cut)]);
    let error = layer.layer(service).oneshot(request(GET, &[], cut)).await.unwrap_err();
    assert_eq!(error.to_string(), "the body is cut");
}

#[tokio::test]
async fn error_of_the_service_is_untouched_and_not_kept() {
    #[derive(Debug, PartialEq)]
    struct Down(u64);
    impl std::fmt::Display for Down {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("down")
        }
    }
    impl std::error::Error for Down {}
    let service = Handmade::new(|number, _| async move { Err(Down(number).into()) });
    let layer = layer(&Cache::in_memory());
    for number in 1..3 {
        let error = layer.layer(service.clone()).oneshot(call(&[], "a")).await.unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Down(number)));
    }
}

#[tokio::test]
async fn cache_that_is_not_there_or_not_well_is_a_bypass() {
    let gone = Cache::in_memory();
    gone.close().await;
    let away = Cache::builder("shop").redis("redis://127.0.0.1:1/").budget(millis(20)).start_unreachable();
    let away = away.connect_timeout(millis(20)).build().await.unwrap();
    let layers = [
        ("none", GrpcCacheLayer::new(None::<Cache>)),
        ("disabled", GrpcCacheLayer::new(Cache::disabled())),
        ("closed", GrpcCacheLayer::new(gone)),
        ("away", GrpcCacheLayer::new(away)),
    ];
    for (says, layer) in layers {
        let layer = layer.method(GrpcMethod::new(GET));
        let service = Handmade::counting();
        let first = ask(&layer, &service, call(&[], "a")).await;
        assert_eq!((first.text(), first.status), ("1", 200), "{says}");
        let second = ask(&layer, &service, call(&[], "a")).await;
        assert_eq!(second.trailers.unwrap()["grpc-status"], "0", "{says}");
        // Where nothing is ever kept there is nothing to purge.
        assert_eq!(layer.purge(GET).await.is_applied(), says == "disabled", "{says}");
    }
}

#[tokio::test]
async fn http_layer_lets_calls_pass_and_evicts_nothing_for_them() {
    let layer = CacheLayer::proxy(Cache::in_memory());
    let answered = Arc::new(Mutex::new("application/grpc".to_owned()));
    let kinds = Arc::clone(&answered);
    let service = Handmade::new(move |number, asked| {
        let kind = kinds.lock().unwrap().clone();
        async move {
            let is_call = asked.parts.method == http::Method::POST;
            let read = asked.body.collect().await?.to_bytes();
            let headers = [("cache-control", "max-age=60"), ("content-type", if is_call { &kind } else { "a/b" })];
            let number = Bytes::from(number.to_string());
            Ok(answer(&headers, &[if is_call { read } else { number }], &[("grpc-status", "0")]))
        }
    });
    let page = async || {
        let request = Request::get("/shop.v1.Products/Get").header("host", "shop").body(nothing()).unwrap();
        read(layer.layer(service.clone()).oneshot(request).await.unwrap()).await
    };
    let posted = async |kind| {
        let request = request(GET, &[("host", "shop"), ("content-type", kind)], body(vec![chunk(message("a"))]));
        read(layer.layer(service.clone()).oneshot(request).await.unwrap()).await
    };
    page().await;
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc-web"] {
        let got = posted(kind).await;
        assert_eq!(
            (got.bytes.as_ref(), got.trailers.unwrap()["grpc-status"].to_str().unwrap()),
            (&message("a")[..], "0")
        );
        assert_eq!(got.cache.as_deref(), Some("cache;fwd=method"));
        assert_eq!(page().await.bytes, "1", "{kind} evicts what is stored");
    }
    // What is no call does, and what only says that it is one.
    for (answers_as, kind) in
        [("application/grpc", "application/x-www-form-urlencoded"), ("text/html", "application/grpc")]
    {
        let before = page().await.bytes;
        answered.lock().unwrap().replace_range(.., answers_as);
        posted(kind).await;
        assert_ne!(page().await.bytes, before, "{kind} answered by {answers_as}");
    }
}

#[test]
#[should_panic(expected = "is no path of a method")]
fn path_that_is_none_is_refused() {
    let _method = GrpcMethod::new("shop.v1.Products/Get");
}

#[test]
fn paths_are_of_a_service_and_a_method() {
    for path in ["", "/", "/a", "/a/", "//a", "/a/b/c", "a/b"] {
        assert!(std::panic::catch_unwind(|| GrpcMethod::new(path)).is_err(), "{path}");
    }
    let _method = GrpcMethod::new("/a/b");
}
