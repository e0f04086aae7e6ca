//! What one client must not get of another's, and must not do to another: the security sections of the RFCs, and what caches in the
//! field have been broken by.

use std::collections::HashSet;

use cache_core::Cache;
use cache_tower::{CacheLayer, Query};
use http::{HeaderValue, Request};
use tower::{Layer, ServiceExt};

use crate::{
    flows::{Handmade, answer, body_of, get, request},
    harness::{Row, may, must, run},
};

pub(crate) const LEAKS: &[Row] = &[
    must(
        "9111 7.3",
        "a careful layer gives alice's answer to nobody else, whatever made it hers",
        r#"
        > GET /account | {v}
        < 200 | Cache-Control: max-age=60 | "alice"
        > GET /account | {w}
        < 200 | Cache-Control: max-age=60 | "bob"
        ? "bob"
        > GET /account
        < 200 | "nobody"
        ? "nobody"
        "#,
    )
    .each(&[
        "Authorization: Bearer alice => Authorization: Bearer bob",
        "Cookie: sid=alice => Cookie: sid=bob",
        "Cookie: sid=alice => Authorization: Bearer bob",
        "Authorization: alice | Cookie: sid=alice => Authorization: bob",
    ])
    .careful(),
    must(
        "9111 7.3",
        "a careful layer gives no answer that anybody got to one with credentials",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | "anybody"
        > GET / | {v}
        < 200 | Cache-Control: max-age=60 | "hello alice"
        ? "hello alice"
        > GET /
        ? hit | "anybody"
        "#,
    )
    .each(&["Authorization: Bearer alice", "Cookie: sid=alice"])
    .careful(),
    must(
        "9111 7.3",
        "a cookie that is set for alice is not set for bob",
        r#"
        > GET / | Cookie: sid=alice
        < 200 | Cache-Control: max-age=60 | Set-Cookie: sid=alice2 | "alice"
        > GET / | Cookie: sid=bob
        < 200 | Cache-Control: max-age=60 | Set-Cookie: sid=bob2 | "bob"
        ? "bob" | Set-Cookie: sid=bob2
        > GET /
        < 200 | "nobody"
        ? "nobody" | !Set-Cookie
        "#,
    )
    .careful(),
    must(
        "9111 5.2.2.7",
        "what is private is nobody else's, in any layer",
        r#"
        > GET / | Cookie: sid=alice
        < 200 | Cache-Control: private, max-age=60 | "alice"
        > GET / | Cookie: sid=bob
        < 200 | "bob"
        ? "bob"
        "#,
    ),
    must(
        "9111 7.3",
        "a page that a name makes look public is not (cache deception)",
        r#"
        > GET /account{v} | Cookie: sid=alice
        < 200 | Content-Type: text/html | "alice"
        > GET /account{v}
        < 200 | "nobody"
        ? "nobody"
        "#,
    )
    .each(&["/x.css", ".js", "/x.png?y", "%0Ax.css", ";x.css", "/..%2fx.css"]),
    must(
        "9111 7.3",
        "a cookie that comes with a 304 for alice is not given to bob",
        r#"
        > GET /
        < 200 | Cache-Control: public, max-age=10 | Age: 20 | ETag: "a" | "page"
        > GET / | Cookie: sid=alice
        < 304 | Cache-Control: public, max-age=60 | ETag: "a" | Set-Cookie: sid=alice2
        ? 200 | "page"
        > GET / | Cookie: sid=bob
        < 200 | Cache-Control: public, max-age=60 | ETag: "a" | "page"
        ? any | 200 | "page" | Set-Cookie !~ alice
        > GET /
        < 200 | Cache-Control: public, max-age=60 | ETag: "a" | "page"
        ? any | 200 | "page" | Set-Cookie !~ alice
        "#,
    )
    .careful(),
    must(
        "9111 7.3",
        "a cookie that comes with an answer to HEAD for alice is not given to bob",
        r#"
        > GET /
        < 200 | Cache-Control: public, max-age=10 | Age: 20 | ETag: "a" | Content-Length: 4 | "page"
        > HEAD / | Cookie: sid=alice
        < 200 | Cache-Control: public, max-age=60 | ETag: "a" | Content-Length: 4 | Set-Cookie: sid=alice2
        ? 200
        > GET / | Cookie: sid=bob
        < 200 | Cache-Control: public, max-age=60 | ETag: "a" | "page"
        ? any | 200 | "page" | Set-Cookie !~ alice
        "#,
    )
    .careful(),
    must(
        "9111 7.3",
        "answers that vary by Cookie are each their own, public or not",
        r#"
        > GET / | Cookie: sid=alice
        < 200 | Cache-Control: public, max-age=60 | Vary: Cookie | "alice"
        > GET / | Cookie: sid=bob
        < 200 | Cache-Control: public, max-age=60 | Vary: Cookie | "bob"
        ? "bob"
        > GET / | Cookie: sid=alice
        ? hit | "alice"
        "#,
    )
    .careful(),
    must(
        "9111 7.3",
        "a 304 for alice says nothing to bob",
        r#"
        > GET / | Authorization: alice | If-None-Match: "alice"
        < 304 | ETag: "alice" | Cache-Control: max-age=60
        ? 304
        > GET / | If-None-Match: "alice"
        < 200 | "whole"
        ? 200 | "whole"
        "#,
    ),
];

pub(crate) const POISON: &[Row] = &[
    must(
        "9111 7.1",
        "an answer that a field of the request may have shaped is not another's",
        r#"
        > GET / | {v}: evil.example
        < 200 | Cache-Control: max-age=60 | "evil"
        > GET /
        < 200 | "good"
        ? "good"
        "#,
    )
    .each(&[
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Scheme",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Server",
        "X-Original-URL",
        "X-Original-URI",
        "X-Forwarded-Uri",
        "X-Forwarded-Ssl",
        "X-Forwarded-Protocol",
        "X-Url-Scheme",
        "X-HTTP-Host-Override",
        "Front-End-Https",
        "X-Rewrite-URL",
        "X-Host",
        "Forwarded",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-Original-Host",
    ]),
    must(
        "9111 7.1",
        "an answer in the store is not given to who sends such a field and wants another",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | "good"
        > GET / | {v}: other
        < 200 | "other"
        ? "other"
        "#,
    )
    .each(&["X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Forwarded"]),
    must(
        "9111 7.1",
        "a request with two hosts neither reads nor writes the store",
        r#"
        > GET / | Host: shop.example | Host: evil.example
        < 200 | Cache-Control: max-age=60 | "evil"
        > GET / | Host: shop.example
        < 200 | Cache-Control: max-age=60 | "good"
        ? "good"
        > GET / | Host: evil.example
        < 200 | "other"
        ? "other"
        > GET / | Host: shop.example | Host: evil.example
        < 200 | "evil again"
        ? "evil again"
        "#,
    ),
    must(
        "9111 7.1",
        "a query that some read otherwise is a key of its own",
        r#"
        > GET /?{v}
        < 200 | Cache-Control: max-age=60 | "evil"
        > GET /?a=1
        < 200 | "good"
        ? "good"
        "#,
    )
    .each(&[
        "a=1;b=2",
        "a=1;utm=x&a=2",
        "a=1&a=2",
        "a=2&a=1",
        "a=%31",
        "%61=1",
        "a=1%26b=2",
        "a=1%00",
        "A=1",
        "a[]=1",
        "a=1+",
        "a=1%20",
        "?a=1",
        "&a=1",
        "a==1",
        "a=1&&",
    ]),
    must(
        "9111 7.1",
        "a path that some read otherwise is a key of its own",
        r#"
        > GET {v}
        < 200 | Cache-Control: max-age=60 | "evil"
        > GET /a/b
        < 200 | "good"
        ? "good"
        "#,
    )
    .each(&[
        "/a//b",
        "//a/b",
        "/a/./b",
        "/a/x/../b",
        "/a/%2e%2e/a/b",
        "/a%2fb",
        "/a%2Fb",
        "/A/b",
        "/a/B",
        "/a/b/",
        "/a/b;x",
        "/a/%62",
        "/a\\b",
        "/a/b%00",
        "/a/b%20",
        "/a/b.",
        "/a/b%3Fx",
    ]),
    must(
        "9111 7.1",
        "a sorted query keeps apart what is not the same",
        r#"
        > GET /?{v}
        < 200 | Cache-Control: max-age=60 | "evil"
        > GET /?a=1&b=2
        < 200 | "good"
        ? "good"
        "#,
    )
    .each(&["a=1;b=2", "a=1%26b=2", "b=1&a=2", "a=1&b=2&b=3", "a=1&b=%32"])
    .by(|cache| CacheLayer::proxy(cache).query(Query::Sorted)),
    must(
        "9111 7.1",
        "a GET with a body is not another's: the origin may have read it",
        r#"
        > GET / | {v}
        < 200 | Cache-Control: max-age=60 | "evil"
        > GET /
        < 200 | "good"
        ? "good"
        "#,
    )
    .each(&[
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Content-Type: application/x-www-form-urlencoded | Content-Length: 3",
    ]),
    may(
        "9110 9.3.1",
        "a GET that says that it has no body is as any",
        r#"
        > GET / | Content-Length: 0
        < 200 | Cache-Control: max-age=60
        > GET /
        ? hit
        "#,
    ),
    must(
        "9111 7.1",
        "bytes that are no ASCII tell variants apart",
        r#"
        > GET / | Foo: é
        < 200 | Cache-Control: max-age=60 | Vary: Foo | "evil"
        > GET / | Foo: è
        < 200 | "good"
        ? "good"
        "#,
    ),
    must(
        "9111 7.1",
        "a host that is no host neither reads nor writes another's answer",
        r#"
        > GET / | {v}
        < 200 | Cache-Control: max-age=60 | "evil"
        > GET /
        < 200 | "good"
        ? "good"
        "#,
    )
    .each(&[
        "Host: shop.example/",
        "Host: shop.example, evil",
        "Host: shop.example#",
        "Host: é",
        "Host:",
        "Host: shop.example:port",
        "no Host",
        "Host: evil@shop.example",
    ]),
    must(
        "9110 4.2.4",
        "a target with a user in it neither reads nor writes the answer of one without",
        r#"
        > GET http://alice:secret@shop.example/
        < 200 | Cache-Control: max-age=60 | "alice"
        > GET http://shop.example/
        < 200 | "good"
        ? "good"
        "#,
    ),
    must(
        "9111 7.1",
        "a request for an upgrade goes past the store",
        r#"
        > GET / | Connection: Upgrade | Upgrade: websocket
        < 200 | Cache-Control: max-age=60 | "socket"
        > GET /
        < 200 | "page"
        ? "page"
        "#,
    ),
    must(
        "9111 7.1",
        "an error that a client can make is not kept by heuristics for others",
        r#"
        > GET / | X-Huge: {v}
        < 400
        > GET /
        < 200
        ? 200
        "#,
    )
    .each(&["1"]),
    must(
        "9110 17.16",
        "a Range of many or overlapping parts costs no more than the whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET / | Range: bytes={v}
        ? hit | "0123456789"
        "#,
    )
    .each(&[
        "0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-",
        "0-9,0-9,0-9,0-9,0-9,0-9",
        "0-,-10,0-,-10,0-,-10,0-,-10",
        "0-0,0-1,0-2,0-3,0-4,0-5,0-6,0-7,0-8,0-9",
    ]),
    may(
        "9111 7.1",
        "clients that make no difference to the origin share an answer whatever else they send",
        r#"
        > GET / | X-Forwarded-For: 192.0.2.1 | User-Agent: a
        < 200 | Cache-Control: max-age=60
        > GET / | X-Forwarded-For: 192.0.2.2 | User-Agent: b | Referer: x
        ? hit
        "#,
    ),
];

#[tokio::test]
async fn security_leaks() {
    run(LEAKS).await;
}

#[tokio::test]
async fn security_poison() {
    run(POISON).await;
}

/// 9110 17.16: a thousand ranges do not make an answer of more than the whole and a little.
#[tokio::test]
async fn range_of_a_thousand_parts_is_bounded() {
    let origin = Handmade::answering(|_| answer(&[("cache-control", "max-age=60")], &"x".repeat(10_000)));
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    body_of(service.clone(), get("/")).await;
    let many: Vec<String> = (0..1000).map(|at| format!("{}-{}", at * 2, at * 2)).collect();
    for ranges in [many.join(","), vec!["0-9999"; 1000].join(","), vec!["0-"; 1000].join(",")] {
        let mut request = get("/");
        request.headers_mut().insert("range", HeaderValue::try_from(format!("bytes={ranges}")).unwrap());
        let (_, body) = body_of(service.clone(), request).await;
        assert!(body.len() <= 20_000, "{} bytes for a page of 10000", body.len());
    }
    assert_eq!(origin.asked(), 1, "all of it from the store");
}

/// 9111 7.1: a client that makes up variants fills no memory: old ones go, and what is served is always its own.
#[tokio::test]
async fn variants_without_end_are_bounded_and_never_mixed() {
    let origin = Handmade::answering(|request: &Request<String>| {
        let foo = request.headers()["foo"].to_str().unwrap().to_owned();
        answer(&[("cache-control", "max-age=60"), ("vary", "Foo")], &foo)
    });
    let cache = Cache::in_memory();
    let service = CacheLayer::proxy(cache.clone()).layer(origin.clone());
    for round in 0..2 {
        for number in 0..3000 {
            let mut request = get("/");
            request.headers_mut().insert("foo", HeaderValue::from(number));
            let (_, body) = body_of(service.clone(), request).await;
            assert_eq!(body, number.to_string().as_bytes(), "in round {round}");
        }
    }
    assert!(origin.asked() > 3000, "3000 variants of one URL are all kept");
}

/// 9110 5.4: fields without number or end neither break the layer nor what is stored.
#[tokio::test]
async fn fields_oversized_or_numerous_pass() {
    let big = "x".repeat(200_000);
    let origin = Handmade::answering(|request: &Request<String>| {
        let mut answer = answer(&[("cache-control", "max-age=60")], "body");
        if request.uri().path() == "/many" {
            for number in 0..5000 {
                answer.headers_mut().append("x-many", HeaderValue::from(number));
            }
        } else {
            answer.headers_mut().insert("x-big", HeaderValue::try_from("x".repeat(200_000)).unwrap());
        }
        answer
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    for path in ["/many", "/big", "/many", "/big"] {
        let mut request = get(path);
        request.headers_mut().insert("x-sent", HeaderValue::try_from(big.as_str()).unwrap());
        for field in ["cache-control", "if-none-match", "range", "accept-encoding", "cookie"] {
            let value = format!("{field}=\"{}\", ", "a, ".repeat(20_000));
            request.headers_mut().insert(field, HeaderValue::try_from(value.trim()).unwrap());
        }
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get_all("x-many").iter().count(), if path == "/many" { 5000 } else { 0 });
        assert_eq!(response.headers().contains_key("x-big"), path == "/big");
    }
}

/// 9110 5.5: a value out of the store has no line breaks, wherever it came from.
#[tokio::test]
async fn values_out_of_the_store_split_no_answers() {
    let origin = Handmade::answering(|_| {
        answer(&[("cache-control", "max-age=60"), ("etag", "\"a\""), ("x-a", "b%0d%0aSet-Cookie: evil")], "0123456789")
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin);
    body_of(service.clone(), get("/%0d%0aSet-Cookie:evil")).await;
    for (field, value) in [("range", "bytes=0-1,3-4"), ("if-none-match", "\"a\""), ("x-b", "c")] {
        let mut request = get("/%0d%0aSet-Cookie:evil");
        request.headers_mut().insert(field, HeaderValue::from_static(value));
        let response = service.clone().oneshot(request).await.unwrap();
        assert!(!response.headers().contains_key("set-cookie"));
        let has_break = |value: &HeaderValue| value.as_bytes().iter().any(|byte| [b'\r', b'\n'].contains(byte));
        assert!(!response.headers().values().any(has_break));
    }
}

/// 9111 7.1: names that are long are told apart to the last byte, in URLs and in variants.
#[tokio::test]
async fn long_keys_are_not_taken_for_one_another() {
    let origin = Handmade::answering(|request: &Request<String>| {
        let own = format!("{} {:?}", request.uri(), request.headers().get("foo"));
        answer(&[("cache-control", "max-age=60"), ("vary", "Foo")], &own)
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    let long = "x".repeat(5000);
    let mut own = Vec::new();
    for round in 0..2 {
        for (path, foo) in ["a", "b"].iter().flat_map(|path| ["1", "2"].map(|foo| (path, foo))) {
            let foo = format!("{long}{foo}");
            let request = request("GET", &format!("/{long}{path}?{long}{path}"), &[("foo", &foo)]);
            let (_, body) = body_of(service.clone(), request).await;
            own.push(body);
            assert!(round == 0 || own[own.len() - 5] == own[own.len() - 1], "the same again");
        }
    }
    let different: HashSet<_> = own.iter().collect();
    assert_eq!((different.len(), origin.asked()), (4, 4));
}
