//! RFC 9111 section 3: what is stored.

use std::time::Duration;

use cache_tower::CacheLayer;

use crate::harness::{Row, may, must, run};

pub(crate) const STORING: &[Row] = &[
    may(
        "9111 3",
        "an answer to GET with explicit freshness is reused",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Content-Type: text/plain
        > GET /
        ? hit | 200 | Content-Type: text/plain | "body 1"
        "#,
    ),
    may(
        "9111 3",
        "an answer of any final status with explicit freshness is reused, unknown ones too",
        r#"
        > GET /
        < {v} | Cache-Control: max-age=60
        > GET /
        ? hit | {v}
        "#,
    )
    .each(&[
        "200", "201", "202", "203", "204", "226", "299", "300", "301", "302", "303", "305", "307", "308", "399", "400",
        "402", "403", "404", "405", "406", "408", "410", "414", "418", "421", "429", "451", "499", "500", "501", "502",
        "503", "504", "505", "599",
    ]),
    may(
        "9111 3",
        "an answer of any final status with Expires is reused",
        r#"
        > GET /
        < {v} | Date: {date} | Expires: {date+60}
        > GET /
        ? hit | {v}
        "#,
    )
    .each(&["200", "302", "404", "500", "599"]),
    must(
        "9111 3",
        "a status that is not heuristically cacheable needs explicit freshness",
        r#"
        > GET /
        < {v} | Date: {date} | Last-Modified: {date-1000000}
        > GET /
        < {v}
        "#,
    )
    .each(&["201", "202", "302", "303", "307", "400", "403", "429", "500", "502", "503", "504", "599"]),
    must(
        "9111 5.2.2.5",
        "no-store forbids to store",
        r#"
        > GET /
        < 200 | Cache-Control: {v} | Expires: {date+60} | Date: {date}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "no-store",
        "No-Store",
        "NO-STORE",
        "max-age=60, no-store",
        "no-store, max-age=60",
        "s-maxage=60,no-store",
        "public, no-store, max-age=60",
        "foo=\"bar\", no-store, max-age=60",
        "max-age=60 , , no-store",
        "max-age=60,\\tno-store",
    ]),
    must(
        "9111 5.2.2.5",
        "no-store counts on a second line too",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Cache-Control: no-store
        > GET /
        < 200
        "#,
    ),
    must(
        "9111 5.2.2.5",
        "no-store forbids to store errors and redirects as well",
        r#"
        > GET /
        < {v} | Cache-Control: max-age=60, no-store
        > GET /
        < {v}
        "#,
    )
    .each(&["301", "404", "410", "503"]),
    must(
        "9111 5.2.2.7",
        "private forbids a shared cache to store",
        r#"
        > GET /
        < 200 | Cache-Control: {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "private",
        "private, max-age=60",
        "max-age=60, private",
        "Private, max-age=60",
        "max-age=60, private, public",
    ]),
    must(
        "9111 5.2.2.7",
        "s-maxage does not undo private",
        r#"
        > GET /
        < 200 | Cache-Control: private, s-maxage=60
        > GET /
        < 200
        "#,
    ),
    must(
        "9111 5.2.2.7",
        "the fields that a qualified private names are not stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60, private={v} | X-User: alice | X-Name: a
        > GET /
        < 200 | Cache-Control: max-age=60 | X-User: bob
        ? any | X-User !~ alice
        "#,
    )
    .each(&["\"X-User\"", "\"x-user\"", "\"X-Name, X-User\"", "\"X-Name,x-user\"", "X-User"]),
    must(
        "9111 5.2.2.4",
        "no-cache forbids to reuse without validation",
        r#"
        > GET /
        < 200 | Cache-Control: {v} | ETag: "a"
        > GET /
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&[
        "no-cache",
        "no-cache, max-age=60",
        "max-age=60, no-cache",
        "No-Cache, max-age=60",
        "s-maxage=60, no-cache",
    ]),
    may(
        "9111 5.2.2.4",
        "what has no-cache is stored, and validated",
        r#"
        > GET /
        < 200 | Cache-Control: no-cache, max-age=60 | ETag: "a"
        > GET /
        < 304 | ETag: "a"
        ? sent If-None-Match: "a" | 200 | "body 1"
        "#,
    ),
    must(
        "9111 5.2.2.4",
        "the fields that a qualified no-cache names are not reused without validation",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60, no-cache={v} | X-User: alice
        > GET /
        < 200 | Cache-Control: max-age=60 | X-User: bob
        ? any | X-User !~ alice
        "#,
    )
    .each(&["\"X-User\"", "\"x-user, X-Other\"", "X-User"]),
    must(
        "9111 5.2.2.3",
        "must-understand forbids to store a status that is not understood",
        r#"
        > GET /
        < {v} | Cache-Control: max-age=60, must-understand
        > GET /
        < {v}
        "#,
    )
    .each(&["299", "399", "499", "599"]),
    must(
        "9111 5.2.2.3",
        "must-understand with no-store is not stored where the status is not understood",
        r#"
        > GET /
        < 599 | Cache-Control: must-understand, no-store, max-age=60
        > GET /
        < 599
        "#,
    ),
    may(
        "9111 5.2.2.3",
        "must-understand overrides no-store where the status is understood",
        r#"
        > GET /
        < {v} | Cache-Control: must-understand, no-store, max-age=60
        > GET /
        ? hit | {v}
        "#,
    )
    .each(&["200", "404"]),
    must(
        "9111 3.1",
        "all fields are stored, unknown ones and all their lines too",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60, foo | X-A: 1 | X-A: 2 | Content-Language: de | Link: </x>; rel=next | Server: o
        > GET /
        ? hit | X-A: 1, 2 | Content-Language: de | Link: </x>; rel=next | Cache-Control: max-age=60, foo | Server: o
        "#,
    ),
    must(
        "9111 3.1",
        "Content-Encoding, Content-Range and validators stay as they were",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Content-Encoding: gzip | ETag: W/"a" | Last-Modified: {date-100} | "zipped"
        > GET /
        ? hit | Content-Encoding: gzip | ETag: W/"a" | Last-Modified: {date-100} | "zipped"
        "#,
    ),
    must(
        "9111 3",
        "an answer with neither freshness nor validator is not reused",
        r#"
        > GET /
        < 200 | Date: {date}
        > GET /
        < 200
        "#,
    ),
    must(
        "9111 5.2.3",
        "an unknown directive changes nothing of what forbids",
        r#"
        > GET /
        < 200 | Cache-Control: {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "foo, no-store",
        "no-store, foo=\"a, b\"",
        "foo=\"\\\"\", no-store, max-age=60",
        "foo=bar, private, max-age=60",
    ]),
    may(
        "9111 5.2.3",
        "an unknown directive is ignored",
        r#"
        > GET /
        < 200 | Cache-Control: {v}
        > GET /
        ? hit
        "#,
    )
    .each(&[
        "max-age=60, foo",
        "foo, max-age=60",
        "foo=bar, max-age=60",
        "foo=\"no-store, max-age=0\", max-age=60",
        "foo=\"a\\\"b, no-store\", max-age=60",
        "foo=0, bar=\"private\", max-age=60",
        "community=\"UCI\", max-age=60",
        "immutable, max-age=60",
        "no-transform, max-age=60",
    ]),
    must(
        "9111 5.2",
        "a directive in another one's quoted argument is none",
        r#"
        > GET /
        < 200 | Cache-Control: {v}
        > GET /
        < 200
        "#,
    )
    .each(&["foo=\"max-age=60\"", "foo=\"a, max-age=60\"", "foo=\"a, max-age=60, b\"", "foo=\"\\\", max-age=60\""]),
    may(
        "9111 5.4",
        "Pragma of an answer says nothing",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Pragma: no-cache
        > GET /
        ? hit
        "#,
    ),
    may(
        "9111 5.5",
        "Warning of an answer says nothing",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Warning: 110 - "Response is Stale"
        > GET /
        ? hit
        "#,
    ),
];

pub(crate) const METHODS: &[Row] = &[
    must(
        "9111 2",
        "a method whose answers are not cacheable is forwarded every time",
        r#"
        > {v} /
        < 200 | Cache-Control: max-age=60
        > {v} /
        < 200 | Cache-Control: max-age=60
        ? asked | "body 2"
        "#,
    )
    .each(&["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get", "QUERY"]),
    must(
        "9111 3",
        "an answer to another method is not one to GET",
        r#"
        > {v} /
        < 200 | Cache-Control: max-age=60
        > GET /
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "FOO", "get", "QUERY"]),
    must(
        "9111 4",
        "an unsafe request is written through to the origin though an answer is stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > {v} /
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&["POST", "PUT", "DELETE", "PATCH", "FOO"]),
    must(
        "9111 4",
        "a safe request of another method is not answered by what GET stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > {v} /
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&["OPTIONS", "TRACE", "PROPFIND", "QUERY"]),
    may(
        "9110 9.3.3",
        "the answer to a POST with explicit freshness and Content-Location of the same URL is reused for GET",
        r#"
        > POST /
        < 200 | Cache-Control: max-age=60 | Content-Location: {v}
        > GET /
        ? hit
        "#,
    )
    .each(&["/", "http://shop.example/"]),
    must(
        "9110 9.3.3",
        "the answer to a POST is not reused for GET where Content-Location is of another URL, or it is stale",
        r#"
        > POST /
        < 200 | Cache-Control: {v}
        > GET /
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&[
        "max-age=60 | Content-Location: /other",
        "max-age=60 | Content-Location: http://evil.example/",
        "max-age=60 | Content-Location: https://shop.example/",
        "no-store, max-age=60 | Content-Location: /",
        "private, max-age=60 | Content-Location: /",
        "max-age=10 | Content-Location: / | Age: 20",
    ]),
    must(
        "9110 9.3.3",
        "no answer is put by a POST at a URL that it was not sent to",
        r#"
        > POST /
        < 200 | Cache-Control: max-age=60 | Content-Location: {v}
        > GET /other
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&["/other", "http://shop.example/other"]),
];

pub(crate) const POLICY: &[Row] = &[
    may(
        "9111 7.3",
        "the proxy stores what sets cookies if its freshness is explicit",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Set-Cookie: a=b
        > GET /
        ? hit
        "#,
    ),
    must(
        "9111 7.3",
        "what sets cookies is not stored by heuristics",
        r#"
        > GET /
        < 200 | Date: {date} | Last-Modified: {date-1000000} | Set-Cookie: sid=alice
        > GET /
        < 200 | Date: {date} | Last-Modified: {date-1000000} | Set-Cookie: sid=bob
        ? Set-Cookie: sid=bob
        "#,
    ),
    must(
        "9111 7.3",
        "a careful layer never stores what sets cookies",
        r#"
        > GET /
        < 200 | Cache-Control: {v} | Set-Cookie: sid=alice
        > GET /
        < 200
        ? asked | !Set-Cookie
        "#,
    )
    .each(&["max-age=60", "public, max-age=60", "s-maxage=60"])
    .careful(),
    must(
        "9111 4.2.2",
        "a careful layer makes no heuristic",
        r#"
        > GET /
        < 200 | Date: {date} | Last-Modified: {date-1000000}
        > GET /
        < 200
        ? asked | "body 2"
        "#,
    )
    .careful(),
    may(
        "9111 3",
        "a careful layer stores what says how long it is fresh",
        r#"
        > GET /
        < 200 | Cache-Control: {v}
        > GET /
        ? hit
        "#,
    )
    .each(&["max-age=60", "s-maxage=60", "public, max-age=60", "max-age=60, must-revalidate"])
    .careful(),
    may(
        "9111 4.2.2",
        "a default makes fresh what says nothing",
        r#"
        > GET /
        < 200
        > GET /
        ? hit
        "#,
    )
    .by(|cache| CacheLayer::new(cache).default_ttl(Duration::from_secs(60))),
    must(
        "9111 4.2.2",
        "a default makes fresh nothing that forbids it, or says otherwise",
        r#"
        > GET /
        < 200 | {v}
        > GET /
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&[
        "Cache-Control: no-store",
        "Cache-Control: private",
        "Cache-Control: no-cache",
        "Cache-Control: max-age=0",
        "Expires: 0",
        "Set-Cookie: sid=alice",
        "Vary: *",
    ])
    .by(|cache| CacheLayer::new(cache).default_ttl(Duration::from_secs(60))),
    must(
        "9111 4.2.2",
        "a default does not make fresh an answer of a status that is no heuristically cacheable one",
        r#"
        > GET /
        < {v}
        > GET /
        < {v}
        "#,
    )
    .each(&["500", "503", "302"])
    .by(|cache| CacheLayer::new(cache).default_ttl(Duration::from_secs(60))),
    must(
        "9111 3",
        "a layer without a cache passes everything through",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET /
        < 200
        ? asked | "body 2"
        "#,
    )
    .by(|_| CacheLayer::new(None::<cache_core::Cache>)),
    must(
        "9111 3",
        "a bypassed request is neither answered from the store nor its answer stored",
        r#"
        > GET / | X-Admin: 1
        < 200 | Cache-Control: max-age=60
        > GET /
        < 200 | Cache-Control: max-age=60
        ? "body 2"
        > GET / | X-Admin: 1
        < 200
        ? "body 3"
        > GET /
        ? hit | "body 2"
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).bypass(|parts| parts.headers.contains_key("x-admin"))),
];

#[tokio::test]
async fn storing() {
    run(STORING).await;
}

#[tokio::test]
async fn storing_by_method() {
    run(METHODS).await;
}

#[tokio::test]
async fn storing_by_policy() {
    run(POLICY).await;
}
