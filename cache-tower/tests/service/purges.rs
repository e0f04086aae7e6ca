//! Purges of prefixes, from code and by requests.

use axum::{Router, extract::Request, routing::get};
use cache_core::Cache;
use cache_tower::{CacheLayer, bearer};
use http::{HeaderMap, StatusCode};

use crate::site::{Asked, Counter, ask, ask_with, say};

const TOKEN: &str = "token-of-a-shop";

fn site(layer: &CacheLayer) -> Router {
    let counter = Counter::default();
    let handler = move |headers: HeaderMap| {
        let by = headers.get("x-by").map_or("", |by| by.to_str().unwrap()).to_owned();
        let fields = [("cache-control", "max-age=60"), ("vary", "x-by"), ("surrogate-key", "featured category:books")];
        let text = format!("{} {by}", counter.next());
        async move { (fields, text) }
    };
    Router::new().fallback(get(handler)).layer(layer.clone())
}

/// Which of these are not what they were, after `purge`. Those before a `|` are asked with another variant too.
async fn gone_after<'a>(router: &Router, urls: &[&'a str], purge: impl AsyncFnOnce()) -> Vec<&'a str> {
    let variants = [None, Some(("x-by", "other"))];
    let texts = async || {
        let mut texts = Vec::new();
        for url in urls {
            for field in variants {
                texts.push(say(ask_with(router, &Asked { field, ..Asked::to(url) }).await).0);
            }
        }
        texts
    };
    let before = texts().await;
    assert_eq!(texts().await, before, "all of them are stored");
    purge().await;
    let after = texts().await;
    let is_gone = |at: usize| (0..variants.len()).all(|variant| after[2 * at + variant] != before[2 * at + variant]);
    let is_there = |at: usize| (0..variants.len()).all(|variant| after[2 * at + variant] == before[2 * at + variant]);
    let places: Vec<usize> = (0..urls.len()).collect();
    assert!(places.iter().all(|at| is_gone(*at) || is_there(*at)), "variants go together: {before:?} {after:?}");
    places.into_iter().filter(|at| is_gone(*at)).map(|at| urls[at]).collect()
}

#[tokio::test]
async fn all_under_a_prefix_goes_with_its_variants_and_nothing_else_does() {
    let below = [
        "/products",
        "/products/",
        "/products/7",
        "/products/7?page=2",
        "/Products/7",
        "/%70roducts/7/8/9",
        "https://shop.example/products/7",
        "http://shop.example:80/products/8",
        "//products/7",
        "/x/../products/7",
        "/x/%2e%2e/products/7",
        "/products%2f7",
    ];
    let beside =
        ["/", "/products-old/7", "/shops/7", "/x/products/7", "/x?y=/products/7", "http://other.example/products/7"];
    let all = [&below[..], &beside[..]].concat();
    for named in
        ["http://shop.example/products/", "https://SHOP.example/products", "http://shop.example:80/%70roducts/"]
    {
        let layer = CacheLayer::new(Cache::in_memory()).purge_prefixes(["/products", "/shops/{shop}"]);
        let purge = async || assert!(layer.purge_prefix(&named.parse().unwrap()).await.unwrap().is_applied());
        assert_eq!(gone_after(&site(&layer), &all, purge).await, below, "{named}");
    }
}

#[tokio::test]
async fn prefix_with_a_name_in_it_is_many_and_one_site_has_no_host() {
    let urls = ["/shops/7/shoes", "/shops/8/shoes", "http://other.example/shops/7", "/shops", "/"];
    let layer = CacheLayer::new(Cache::in_memory()).one_site(true).purge_prefixes(["/shops/{shop}", "/"]);
    let router = site(&layer);
    let purge = async |named: &str| assert!(layer.purge_prefix(&named.parse().unwrap()).await.unwrap().is_applied());
    assert_eq!(gone_after(&router, &urls, async || purge("/shops/7").await).await, [urls[0], urls[2]]);
    assert_eq!(gone_after(&router, &urls, async || purge("https://any.example/").await).await, urls);
    for unknown in ["/shops", "/shops/7/shoes", "/products"] {
        let none = async || {
            let refused = layer.purge_prefix(&unknown.parse().unwrap()).await.unwrap_err().to_string();
            assert!(refused.contains("`/shops/{shop}`, `/`"), "{refused}");
        };
        assert!(gone_after(&router, &urls, none).await.is_empty());
    }
}

#[tokio::test]
async fn what_was_stored_under_other_prefixes_is_not_used_where_a_purge_would_not_reach_it() {
    let cache = Cache::in_memory();
    let (older, newer) = (CacheLayer::new(&cache), CacheLayer::new(&cache).purge_prefixes(["/products"]));
    let (before, after) = (site(&older), site(&newer));
    let first = say(ask(&before, "/products/7").await).0;
    assert_eq!(say(ask(&before, "/products/7").await), (first, "cache;hit;ttl=60".to_owned()));
    assert!(!say(ask(&after, "/products/7").await).1.contains("hit"));
    assert!(
        gone_after(&after, &["/products/7"], async || {
            assert!(newer.purge_prefix(&"http://shop.example/products".parse().unwrap()).await.unwrap().is_applied());
        })
        .await
        .eq(&["/products/7"])
    );
}

/// A purge by request, and what it came to.
async fn purge(router: &Router, uri: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let request = Request::builder().method("PURGE").uri(uri);
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let response =
        tower::ServiceExt::oneshot(router.clone(), request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    assert!(!head.headers.contains_key("cache-status"));
    (head.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn purge_by_request_reaches_what_it_names() {
    let urls = ["/products/7", "/products/8", "/x", "http://other.example/products/7"];
    let many = (0..65).map(|number| format!("t{number}")).collect::<Vec<_>>().join(" ");
    let long = "t".repeat(1_025);
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str, &'a [&'a str]);
    let rows: &[Row<'_>] = &[
        ("/products/7", &[], 200, "applied", &urls[..1]),
        ("http://other.example/products/7", &[], 200, "applied", &urls[3..]),
        ("/products/*", &[], 200, "applied", &urls[..2]),
        ("https://other.example/products/*", &[], 200, "applied", &urls[3..]),
        ("/nothing", &[("surrogate-key", "no such")], 200, "applied", &[]),
        ("/nothing", &[("surrogate-key", "featured")], 200, "applied", &urls),
        ("/nothing", &[("cache-tag", "x, category:books")], 200, "applied", &urls),
        ("/nothing", &[("surrogate-key", &many)], 400, "64 tags", &[]),
        ("/nothing", &[("surrogate-key", &long)], 400, "1024 bytes", &[]),
        ("/orders/*", &[], 400, "`/orders/` is not one of the prefixes", &[]),
        ("/products/x/../*", &[], 400, "more than one way", &[]),
        ("/products*", &[], 400, "whole segments", &[]),
        ("/products/*?page=1", &[], 400, "no query", &[]),
        ("/products/7", &[("host", "other.example")], 400, "which host", &[]),
        ("*", &[], 200, "applied", &urls),
        ("/**", &[], 400, "whole segments", &[]),
    ];
    for (uri, fields, status, says, gone) in rows {
        let layer = CacheLayer::new(Cache::in_memory()).purge_prefixes(["/products"]).obey_purges(bearer(TOKEN));
        let (router, service) = (site(&layer), Router::new().fallback_service(layer.purge_service(bearer(TOKEN))));
        let authorization = format!("Bearer {TOKEN}");
        let common = [("host", "shop.example"), ("authorization", &*authorization)];
        let fields = [&common[..], fields].concat();
        // At the URL itself, and behind an address of its own.
        for at in [&router, &service] {
            let asks = async || {
                let (got, text) = purge(at, uri, &fields).await;
                assert_eq!(got, *status, "{uri}: {text}");
                assert!(text.contains(says) && text.ends_with('\n'), "{uri}: {text}");
            };
            assert_eq!(gone_after(&router, &urls, asks).await, *gone, "{uri}");
        }
    }
}

/// A site whose pages may be served while they are made anew, and what became of one after a purge: `stale` or `gone`; if
/// nothing did, it is `fresh`.
async fn became_of(router: &Router, url: &str, purge: impl AsyncFnOnce()) -> &'static str {
    let before = say(ask(router, url).await).0;
    assert!(say(ask(router, url).await).1.starts_with("cache;hit"));
    purge().await;
    let (text, word) = say(ask(router, url).await);
    match (text == before, word.contains("stale_while_revalidate")) {
        (true, true) => "stale",
        (true, false) => "fresh",
        (false, _) => "gone",
    }
}

#[tokio::test]
async fn soft_purge_by_request_leaves_stale_pages() {
    let one: &[(&str, &str)] = &[("soft-purge", "1")];
    let tagged = [("soft-purge", "1"), ("surrogate-key", "featured")];
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let rows: &[Row<'_>] = &[
        ("/products/7", one, 200, "stale"),
        ("/products/7", &[("fastly-soft-purge", "1")], 200, "stale"),
        ("/products/7", &[("soft-purge", "")], 200, "stale"),
        ("/products/7", &[("soft-purge", "0"), ("soft-purge", "1")], 200, "stale"),
        ("/products/7", &[("soft-purge", "0")], 200, "gone"),
        ("/products/7", &[], 200, "gone"),
        ("/products/8", one, 200, "fresh"),
        ("/products/*", one, 200, "stale"),
        ("*", one, 200, "stale"),
        ("*", &[], 200, "gone"),
        ("/nothing", &tagged, 200, "stale"),
        ("/nothing", &tagged[1..], 200, "gone"),
        ("/orders/*", one, 400, "fresh"),
        ("/products/7", &[("soft-purge", "1"), ("authorization", "Bearer another")], 403, "fresh"),
    ];
    for (uri, fields, status, became) in rows {
        let layer = CacheLayer::new(Cache::in_memory()).purge_prefixes(["/products"]).obey_purges(bearer(TOKEN));
        let counter = Counter::default();
        let handler = move || {
            let fields = [("cache-control", "max-age=60, stale-while-revalidate=600"), ("surrogate-key", "featured")];
            let text = counter.next();
            async move { (fields, text) }
        };
        let router = Router::new().fallback(get(handler)).layer(layer.clone());
        let service = Router::new().fallback_service(layer.purge_service(bearer(TOKEN)));
        let authorization = format!("Bearer {TOKEN}");
        let is_named = fields.iter().any(|(name, _)| *name == "authorization");
        let common = [("host", "shop.example"), ("authorization", &*authorization)];
        let fields = [&common[..common.len() - usize::from(is_named)], fields].concat();
        // At the URL itself, and behind an address of its own.
        for (at, page) in [(&router, "/products/7"), (&service, "/products/7?page=2")] {
            let uri = uri.replace("/products/7", page);
            let asks = async || assert_eq!(purge(at, &uri, &fields).await.0, *status, "{uri}");
            assert_eq!(became_of(&router, page, asks).await, *became, "{uri} {fields:?}");
        }
    }
}

#[tokio::test]
async fn who_is_not_let_in_purges_nothing() {
    let urls = ["/products/7"];
    let layer = CacheLayer::new(Cache::in_memory()).purge_prefixes(["/products"]).obey_purges(bearer(TOKEN));
    let (router, service) = (site(&layer), Router::new().fallback_service(layer.purge_service(bearer(TOKEN))));
    for at in [&router, &service] {
        for uri in ["/products/7", "/products/*", "/orders/*"] {
            for field in [("x-other", "x"), ("authorization", "Bearer another"), ("surrogate-key", "featured")] {
                let asks = async || {
                    let (status, text) = purge(at, uri, &[("host", "shop.example"), field]).await;
                    assert_eq!((status, &*text), (403, "this request may not purge\n"));
                };
                assert!(gone_after(&router, &urls, asks).await.is_empty());
            }
        }
    }
    // By another method nothing is purged either, whoever asks.
    for method in ["GET", "POST", "DELETE"] {
        let asked = Asked { method, field: Some(("surrogate-key", "featured")), ..Asked::to("/products/7") };
        let asks = async || {
            let response = ask_with(&service, &asked).await;
            assert_eq!(
                (response.status(), &response.headers()["allow"]),
                (StatusCode::METHOD_NOT_ALLOWED, &"PURGE".parse().unwrap())
            );
        };
        assert!(gone_after(&router, &urls, asks).await.is_empty());
    }
}

#[tokio::test]
async fn purge_is_the_services_where_the_layer_is_not_told_to_obey_it() {
    let layer = CacheLayer::new(Cache::in_memory());
    let router = site(&layer);
    let asks = async || {
        let asked = Asked { method: "PURGE", ..Asked::to("/products/7") };
        assert_eq!(ask_with(&router, &asked).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    };
    assert!(gone_after(&router, &["/products/7"], asks).await.is_empty());
}

#[tokio::test]
async fn purge_behind_a_path_of_its_own_names_the_rest_of_it_and_a_layer_without_a_cache_says_so() {
    let layer = CacheLayer::new(Cache::in_memory());
    let (pages, admin) = (site(&layer), Router::new().nest_service("/purge", layer.purge_service(|_| true)));
    let asks = async || assert_eq!(purge(&admin, "/purge/x", &[("host", "shop.example")]).await.0, 200);
    assert_eq!(gone_after(&pages, &["/x", "/purge/x", "/y"], asks).await, ["/x"]);
    let none = Router::new().fallback_service(CacheLayer::new(None::<Cache>).purge_service(|_| true));
    assert_eq!(purge(&none, "/x", &[("host", "shop.example")]).await, (503, "failed\n".to_owned()));
}
