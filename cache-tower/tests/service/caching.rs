//! What requests and answers say in extensions, over the layer and over the fields.

use std::time::Duration;

use axum::{Extension, Router, http::HeaderMap, response::IntoResponse, routing::get};
use cache_core::{Cache, Key, hours, mins, secs};
use cache_tower::{CacheLayer, Caching};
use http::{Request, StatusCode};

use crate::site::{Asked, Counter, ask, ask_with, say};

/// What the second of two requests is given: `hit` with the time that the answer is still fresh, or why it is no hit.
async fn second(router: &Router, request: &Asked) -> String {
    say(ask_with(router, request).await);
    say(ask_with(router, request).await).1
}

fn site(layer: CacheLayer, by_answer: Option<Caching>, fields: &'static str, status: u16) -> Router {
    let counter = Counter::default();
    let handler = move || {
        let headers: HeaderMap = fields
            .split('|')
            .filter_map(|line| line.trim().split_once(": "))
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let mut response = (StatusCode::from_u16(status).unwrap(), headers, counter.next()).into_response();
        if let Some(caching) = by_answer.clone() {
            response.extensions_mut().insert(caching);
        }
        async move { response }
    };
    Router::new().route("/x", get(handler)).layer(layer)
}

fn is_hit_of(word: &str, ttl: u64) -> bool {
    // The second may have turned meanwhile.
    word == format!("cache;hit;ttl={ttl}") || word == format!("cache;hit;ttl={}", ttl - 1)
}

#[tokio::test]
async fn what_is_said_nearer_to_the_answer_goes_before_the_rest() {
    let new = Caching::new;
    // Of the layer, the request, the answer; the fields; how long the answer is fresh.
    type Row = (Option<u64>, Option<Caching>, Option<Caching>, &'static str, Option<u64>);
    let rows: Vec<Row> = vec![
        (None, None, None, "", None),
        (Some(500), None, None, "", Some(500)),
        (Some(500), None, None, "cache-control: max-age=60", Some(60)),
        (Some(500), Some(new().default_ttl(mins(5))), None, "", Some(300)),
        (Some(500), Some(new().default_ttl(mins(5))), None, "cache-control: max-age=60", Some(60)),
        (None, Some(new().default_ttl(mins(5))), Some(new().default_ttl(mins(6))), "", Some(360)),
        (None, Some(new().ttl(mins(5))), None, "cache-control: max-age=60", Some(300)),
        (None, Some(new().ttl(mins(5))), None, "cache-control: s-maxage=60", Some(300)),
        (None, Some(new().ttl(mins(5))), None, "expires: Thu, 01 Jan 1970 00:00:00 GMT", Some(300)),
        (None, Some(new().ttl(mins(5))), None, "cache-control: no-cache", Some(300)),
        (None, Some(new().ttl(mins(5))), Some(new().ttl(mins(6))), "", Some(360)),
        (None, Some(new().ttl(mins(5))), Some(new().default_ttl(mins(6))), "", Some(300)),
        (None, None, Some(new().ttl(mins(6))), "cache-control: max-age=60", Some(360)),
        // Older than that when it came, and fresh for as long as is said from then on.
        (None, None, Some(new().ttl(mins(6))), "age: 1000", Some(360)),
        (None, None, Some(new().ttl(Duration::ZERO)), "cache-control: max-age=60", None),
        (None, None, Some(new()), "cache-control: max-age=60", Some(60)),
        (None, None, Some(new().no_store()), "cache-control: max-age=60", None),
        (None, Some(new().no_store()), None, "cache-control: max-age=60", None),
        (None, Some(new().no_store().ttl(hours(1))), None, "", None),
        (None, Some(new().max_body(0)), None, "cache-control: max-age=60", None),
        (None, Some(new().max_body(0)), Some(new().max_body(9)), "cache-control: max-age=60", Some(60)),
    ];
    for (at_row, (layer, by_request, by_answer, fields, expected)) in rows.into_iter().enumerate() {
        let mut cached = CacheLayer::new(Cache::in_memory());
        if let Some(ttl) = layer {
            cached = cached.default_ttl(secs(ttl));
        }
        let router = site(cached, by_answer, fields, 200);
        let word = second(&router, &Asked { caching: by_request, ..Asked::to("/x") }).await;
        match expected {
            Some(ttl) => assert!(is_hit_of(&word, ttl), "row {at_row}: {word}"),
            None => assert!(!word.contains("hit"), "row {at_row}: {word}"),
        }
    }
}

#[tokio::test]
async fn nothing_makes_public_what_is_not_but_the_word_for_it() {
    let long = || Caching::new().ttl(hours(1)).default_ttl(hours(1));
    let cookie = ("cookie", "sid=alice");
    let authorization = ("authorization", "Bearer alice");
    type Row = (Caching, &'static str, Option<(&'static str, &'static str)>, bool);
    let rows: Vec<Row> = vec![
        (long(), "cache-control: private, max-age=60", None, false),
        (long().public(), "cache-control: private, max-age=60", None, false),
        (long(), "cache-control: no-store", None, false),
        (long().public(), "cache-control: no-store", None, false),
        (long(), "set-cookie: sid=alice", None, false),
        (long().public(), "set-cookie: sid=alice", None, false),
        (long().public(), "set-cookie: sid=alice | cache-control: public, max-age=60", None, false),
        (long(), "vary: *", None, false),
        (long(), "", Some(cookie), false),
        (long(), "cache-control: max-age=60", Some(authorization), false),
        (long().public(), "", Some(cookie), true),
        (long().public(), "", Some(authorization), true),
        (long().public(), "cache-control: private", Some(authorization), false),
    ];
    for (at_row, (caching, fields, field, expected)) in rows.into_iter().enumerate() {
        for by_request in [true, false] {
            let (request, answer) =
                if by_request { (Some(caching.clone()), None) } else { (None, Some(caching.clone())) };
            let router = site(CacheLayer::new(Cache::in_memory()), answer, fields, 200);
            let word = second(&router, &Asked { caching: request, field, ..Asked::to("/x") }).await;
            assert_eq!(word.contains("hit"), expected, "row {at_row}, {by_request}: {word}");
        }
    }
    // A proxy stores what sets cookies if the origin says for how long: that it does not is not changed by who asks for it.
    let router = site(CacheLayer::proxy(Cache::in_memory()), None, "set-cookie: sid=alice", 200);
    let word = second(&router, &Asked { caching: Some(long()), ..Asked::to("/x") }).await;
    assert!(!word.contains("hit"), "{word}");
}

#[tokio::test]
async fn failure_is_kept_only_if_its_own_answer_says_so() {
    for (status, by_request, by_answer) in
        [(200, true, true), (404, true, true), (500, false, true), (503, false, true)]
    {
        let caching = || Some(Caching::new().ttl(mins(5)));
        let asked = |caching| Asked { caching, ..Asked::to("/x") };
        let told = second(&site(CacheLayer::new(Cache::in_memory()), None, "", status), &asked(caching())).await;
        assert_eq!(told.contains("hit"), by_request, "{status}: {told}");
        let tells = second(&site(CacheLayer::new(Cache::in_memory()), caching(), "", status), &asked(None)).await;
        assert_eq!(tells.contains("hit"), by_answer, "{status}: {tells}");
    }
}

#[tokio::test]
async fn handler_says_it_beside_its_answer_and_nobody_hears_it_behind_the_layer() {
    let counter = Counter::default();
    let handler = move || {
        let text = counter.next();
        async move { (Extension(Caching::new().ttl(mins(5)).tags([Key::new("shelf").arg(7_u32)])), text) }
    };
    let cache = Cache::in_memory();
    let router = Router::new().route("/x", get(handler)).layer(CacheLayer::new(&cache));
    for tag in [None, Some(8_u32), Some(7)] {
        if let Some(tag) = tag {
            assert!(cache.evict_tag(Key::new("shelf").arg(tag)).await.is_applied());
        }
        let response = ask(&router, "/x").await;
        assert!(response.extensions().get::<Caching>().is_none());
        let expected = if tag == Some(7) { "2" } else { "1" };
        assert_eq!(say(response).0, expected);
    }
}

#[tokio::test]
async fn tags_add_up_and_are_kept_by_an_answer_that_only_says_that_it_holds() {
    let counter = Counter::default();
    let handler = move |headers: HeaderMap| {
        let text = counter.next();
        async move {
            let fields = [("etag", "\"a\""), ("cache-control", "max-age=0"), ("surrogate-key", "by-field")];
            if headers.contains_key("if-none-match") {
                return (StatusCode::NOT_MODIFIED, [("etag", "\"a\"")]).into_response();
            }
            (Extension(Caching::new().tags([Key::new("by-answer")])), fields, text).into_response()
        }
    };
    let by_request = || Asked { caching: Some(Caching::new().tags([Key::new("by-request")])), ..Asked::to("/x") };
    let cache = Cache::in_memory();
    let router = Router::new().route("/x", get(handler)).layer(CacheLayer::new(&cache));
    let mut last = say(ask_with(&router, &by_request()).await).0;
    for tag in [Key::new("by-answer"), Key::new("by-request"), Key::new("by-field")] {
        // A 304 says so, by which the fields are new and the tags are what they were.
        for _ in 0..2 {
            assert_eq!(say(ask(&router, "/x").await).0, last);
        }
        assert!(cache.evict_tag(tag.clone()).await.is_applied());
        let next = say(ask_with(&router, &by_request()).await).0;
        assert_ne!(next, last, "{tag:?}");
        last = next;
    }
}

#[tokio::test]
async fn what_was_said_of_an_answer_is_kept_by_one_that_only_says_that_it_holds() {
    let handler = |headers: HeaderMap| async move {
        if headers.contains_key("if-none-match") {
            return (StatusCode::NOT_MODIFIED, [("etag", "\"a\"")]).into_response();
        }
        (Extension(Caching::new().public()), [("etag", "\"a\""), ("cache-control", "max-age=0")], "page")
            .into_response()
    };
    let router = Router::new().route("/x", get(handler)).layer(CacheLayer::new(Cache::in_memory()));
    let with_cookie = Asked { field: Some(("cookie", "sid=alice")), ..Asked::to("/x") };
    say(ask_with(&router, &with_cookie).await);
    for _ in 0..3 {
        let (text, word) = say(ask_with(&router, &with_cookie).await);
        assert_eq!(text, "page");
        // How long ago it ended to be fresh is the next second's, perhaps.
        let (before, after) = ("cache;fwd=stale;fwd-status=304;ttl=", ";stored;detail=stale");
        assert!(word.starts_with(before) && word.ends_with(after), "{word}");
    }
}

#[tokio::test]
async fn body_may_be_larger_than_the_layer_lets_it_be_by_what_is_said_of_it() {
    for (said, expected) in [(None, false), (Some(Caching::new().max_body(9)), true)] {
        for by_request in [true, false] {
            let (request, answer) = if by_request { (said.clone(), None) } else { (None, said.clone()) };
            let layer = CacheLayer::new(Cache::in_memory()).max_body(0);
            let router = site(layer, answer, "cache-control: max-age=60", 200);
            let word = second(&router, &Asked { caching: request, ..Asked::to("/x") }).await;
            assert_eq!(word.contains("hit"), expected, "{by_request}: {word}");
        }
    }
}

#[tokio::test]
async fn answer_with_more_tags_than_can_be_kept_is_not() {
    let tags = |count: u32| Caching::new().ttl(mins(5)).tags((0..count).map(|number| Key::new("t").arg(number)));
    for (count, field, prefixes, expected) in [
        (15, "", 0, true),
        (16, "", 0, false),
        (14, "surrogate-key: a", 0, true),
        (15, "surrogate-key: a", 0, false),
        (13, "", 2, true),
        (14, "", 2, false),
    ] {
        let layer = CacheLayer::new(Cache::in_memory()).purge_prefixes(["/", "/x"].into_iter().take(prefixes));
        let word = second(&site(layer, Some(tags(count)), field, 200), &Asked::to("/x")).await;
        let expected = if expected { "cache;hit" } else { "cache;fwd=uri-miss;detail=tags" };
        assert!(word.starts_with(expected), "{count}: {word}");
    }
}

#[tokio::test]
async fn request_that_is_to_go_past_the_cache_leaves_what_is_stored_as_it_is() {
    let router = site(CacheLayer::new(Cache::in_memory()), None, "cache-control: max-age=60", 200);
    assert_eq!(say(ask(&router, "/x").await).0, "1");
    let past = Asked { caching: Some(Caching::new().no_store()), ..Asked::to("/x") };
    let (text, word) = say(ask_with(&router, &past).await);
    assert_eq!((&*text, &*word), ("2", "cache;fwd=bypass;detail=no_store"));
    assert_eq!(say(ask(&router, "/x").await).0, "1");
}

#[tokio::test]
async fn answer_to_a_post_is_kept_by_what_its_fields_say_and_not_by_its_route() {
    let counter = Counter::default();
    let post = move |headers: HeaderMap| {
        let text = counter.next();
        let fresh = if headers.contains_key("x-fresh") { "max-age=60" } else { "public" };
        async move { ([("content-location", "http://shop.example/x"), ("cache-control", fresh)], text) }
    };
    let router = Router::new().route("/x", axum::routing::any(post)).layer(CacheLayer::new(Cache::in_memory()));
    for (field, caching, kept) in [
        (None, Some(Caching::new().ttl(mins(5))), false),
        (Some(("x-fresh", "1")), None, true),
        (Some(("x-fresh", "1")), Some(Caching::new().no_store()), false),
        (Some(("x-fresh", "1")), Some(Caching::new().tags((0..16_u32).map(|tag| Key::new("t").arg(tag)))), false),
    ] {
        let posted = say(ask_with(&router, &Asked { method: "POST", caching, field, ..Asked::to("/x") }).await);
        let got = say(ask(&router, "/x").await);
        assert_eq!(got.0 == posted.0, kept, "{posted:?} {got:?}");
    }
}

#[tokio::test]
async fn extension_outside_of_a_layer_reaches_it_and_one_inside_does_not() {
    let route = |outside: bool| {
        let (caching, counter) = (Extension(Caching::new().ttl(mins(5))), Counter::default());
        let handler = get(move || std::future::ready(counter.next()));
        let router = Router::new().route("/x", handler);
        let layer = CacheLayer::new(Cache::in_memory());
        if outside { router.layer(layer).layer(caching) } else { router.layer(caching).layer(layer) }
    };
    for outside in [true, false] {
        let word = second(&route(outside), &Asked::to("/x")).await;
        assert_eq!(word.contains("hit"), outside, "{word}");
    }
    // It is no more than this: `Extension` puts what it has into the request.
    let mut request = Request::new(());
    request.extensions_mut().insert(Caching::new());
    assert!(request.extensions().get::<Caching>().is_some());
}
