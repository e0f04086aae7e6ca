//! The layer inside what people build: routers in routers, clients that go away, sites without a name.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod caching;
mod purges;
mod site;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, body::Body, routing::get};
use cache_core::Cache;
use cache_tower::CacheLayer;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tower::{Layer, ServiceExt};

fn request(method: &str, uri: &str) -> Request<Body> {
    Request::builder().method(method).uri(uri).header("host", "shop.example").body(Body::empty()).unwrap()
}

async fn text(router: &Router, uri: &str) -> String {
    let response = router.clone().oneshot(request("GET", uri)).await.unwrap();
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

const KEPT: [(&str, &str); 1] = [("cache-control", "max-age=60")];

#[tokio::test]
async fn routers_that_are_nested_keep_their_answers_apart() {
    let layer = CacheLayer::new(Cache::in_memory());
    let nested =
        |text: &'static str| Router::new().route("/x", get(move || async move { (KEPT, text) })).layer(layer.clone());
    let router = Router::new().nest("/a", nested("of a")).nest("/b", nested("of b"));
    for _ in 0..2 {
        assert_eq!((text(&router, "/a/x").await, text(&router, "/b/x").await), ("of a".into(), "of b".into()));
    }
}

/// A layer between the router and this one that rewrites paths tells apart what the client's path does not.
#[tokio::test]
async fn paths_that_a_layer_in_between_rewrites_are_kept_apart() {
    let layer = CacheLayer::new(Cache::in_memory());
    let tenants = |mut request: axum::extract::Request| {
        let tenant = request.headers()["x-tenant"].to_str().unwrap();
        let uri = format!("/{tenant}{}", request.uri()).parse().unwrap();
        *request.uri_mut() = uri;
        request
    };
    let echo = |uri: http::Uri| async move { (KEPT, uri.to_string()) };
    let router: Router = Router::new().fallback(echo).layer(layer).layer(tower::util::MapRequestLayer::new(tenants));
    for _ in 0..2 {
        for tenant in ["a", "b"] {
            let request = Request::builder().uri("/x?y").header("x-tenant", tenant).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(bytes, format!("/{tenant}/x?y"));
        }
    }
}

#[tokio::test]
async fn client_that_goes_away_does_not_undo_the_eviction_that_it_asked_for() {
    let (calls, reached) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let origin = {
        let (calls, reached) = (Arc::clone(&calls), Arc::clone(&reached));
        tower::service_fn(move |request: Request<Body>| {
            let (calls, reached) = (Arc::clone(&calls), Arc::clone(&reached));
            async move {
                if request.method() != "GET" {
                    // The row has been changed, and the answer is still to be made.
                    reached.notify_one();
                    std::future::pending::<()>().await;
                }
                let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
                let answer =
                    Response::builder().header("cache-control", "max-age=60").body(Body::from(call.to_string()));
                Ok::<_, Infallible>(answer.unwrap())
            }
        })
    };
    let service = CacheLayer::new(Cache::in_memory()).layer(origin);
    let text = async || {
        let response = service.clone().oneshot(request("GET", "/x")).await.unwrap();
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    assert_eq!((text().await, text().await), ("1".into(), "1".into()));
    let put = service.clone().oneshot(request("PUT", "/x"));
    tokio::select! {
        _ = put => unreachable!("it has no end"),
        () = reached.notified() => {}
    }
    assert_eq!(text().await, "2");
}

#[tokio::test]
async fn url_is_purged_of_whatever_scheme_and_of_one_site_without_a_host() {
    let calls = Arc::new(AtomicU64::new(0));
    let handler = {
        let calls = Arc::clone(&calls);
        move || {
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            async move { (KEPT, call.to_string()) }
        }
    };
    let router = |layer: &CacheLayer| Router::new().route("/x", get(handler.clone())).layer(layer.clone());
    let named = CacheLayer::new(Cache::in_memory());
    let site = CacheLayer::new(Cache::in_memory()).one_site(true);
    for (layer, purged, wanted) in [
        (&named, "http://shop.example/x", true),
        (&named, "https://shop.example/x", true),
        (&named, "http://other.example/x", false),
        (&site, "/x", true),
        (&site, "https://any.example/x", true),
        (&site, "/y", false),
    ] {
        let router = router(layer);
        let before = text(&router, "/x").await;
        assert!(layer.purge(&purged.parse().unwrap()).await.is_applied());
        assert_eq!(text(&router, "/x").await != before, wanted, "{purged}");
    }
}

#[derive(Clone)]
struct User(&'static str);

#[tokio::test]
async fn answer_to_somebodys_post_is_nobody_elses() {
    let calls = Arc::new(AtomicU64::new(0));
    let origin = {
        let calls = Arc::clone(&calls);
        tower::service_fn(move |request: Request<Body>| {
            let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
            let user = request.extensions().get::<User>().map_or("nobody", |user| user.0);
            let answer = Response::builder()
                .header("cache-control", "private, max-age=60")
                .header("content-location", "http://shop.example/me")
                .body(Body::from(format!("{user} {call}")));
            std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
        })
    };
    let identity = |parts: &http::request::Parts| parts.extensions.get::<User>().map(|user| user.0.to_owned());
    let service = CacheLayer::new(Cache::in_memory()).private_by(identity).layer(origin);
    let ask = async |method: &str, user: Option<&'static str>| {
        let mut request = request(method, "/me");
        if let Some(user) = user {
            request.extensions_mut().insert(User(user));
        }
        let response = service.clone().oneshot(request).await.unwrap();
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    };
    assert_eq!(ask("POST", Some("alice")).await, "alice 1");
    assert_eq!(ask("GET", Some("bob")).await, "bob 2");
    assert_eq!(ask("GET", None).await, "nobody 3");
    let own = ask("GET", Some("alice")).await;
    assert!(own == "alice 1" || own == "alice 4", "{own}");
}
