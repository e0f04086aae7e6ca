//! RFC 9211: what a cache says that it did.

use cache_tower::CacheLayer;

use crate::harness::{Row, may, must, run};

pub(crate) const CACHE_STATUS: &[Row] = &[
    may(
        "9211 2.1",
        "a hit says hit, and how long it is fresh",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Age: 100
        > GET /
        ? hit | Cache-Status ~ cache;hit | Cache-Status ~ ;ttl=
        "#,
    ),
    must(
        "9211 2.2",
        "hit and fwd exclude one another",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600
        ? Cache-Status !~ hit
        > GET /
        ? hit | Cache-Status !~ fwd
        "#,
    ),
    may(
        "9211 2.2",
        "a miss says fwd=uri-miss and the rest of what became of it",
        r#"
        > GET /
        < {v}
        ? Cache-Status ~ cache;fwd=uri-miss | {w}
        "#,
    )
    .each(&[
        "200 | Cache-Control: max-age=60 => Cache-Status ~ ;stored",
        "200 | Cache-Control: no-store => Cache-Status !~ ;stored",
        "200 | Cache-Control: private => Cache-Status !~ ;stored",
        "404 => Cache-Status !~ hit",
    ]),
    may(
        "9211 2.2",
        "another variant is fwd=vary-miss",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET / | Foo: 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        ? Cache-Status ~ cache;fwd=vary-miss
        "#,
    ),
    may(
        "9211 2.2",
        "a stale answer that is fetched anew is fwd=stale",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET /
        < 200 | Cache-Control: max-age=10
        ? Cache-Status ~ cache;fwd=stale | Cache-Status !~ uri-miss
        "#,
    ),
    may(
        "9211 2.3",
        "a validation says what the origin answered",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /
        < 304 | ETag: "a" | Cache-Control: max-age=60
        ? 200 | Cache-Status ~ fwd=stale | Cache-Status ~ fwd-status=304
        "#,
    ),
    may(
        "9211 2.2",
        "a request that wants no stored answer is fwd=request",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET / | Cache-Control: no-cache
        < 200 | Cache-Control: max-age=60
        ? Cache-Status ~ cache;fwd=request
        "#,
    ),
    may(
        "9211 2.2",
        "another method is fwd=method",
        r#"
        > {v} /
        < 200
        ? Cache-Status ~ cache;fwd=method
        "#,
    )
    .each(&["POST", "PUT", "DELETE", "OPTIONS", "FOO"]),
    may(
        "9211 2.2",
        "what goes past is fwd=bypass",
        r#"
        > GET / | X-Admin: 1
        < 200
        ? Cache-Status ~ cache;fwd=bypass
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).bypass(|parts| parts.headers.contains_key("x-admin"))),
    may(
        "9211 2.4",
        "a stale answer has a ttl below zero",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, {v} | Age: 30
        > GET /
        < {w}
        ? any | 200 | "body 1" | Cache-Status ~ ;ttl=-2
        "#,
    )
    .each(&["stale-while-revalidate=600 => 200", "stale-if-error=600 => 503", "foo => fails"]),
    must(
        "9211 2",
        "the member of a cache stands after those of the caches nearer to the origin",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Cache-Status: Inner;hit
        ? Cache-Status ~ Inner;hit, cache;fwd=uri-miss
        "#,
    ),
    must(
        "9211 2",
        "a stored member of a nearer cache does not come after that of the hit",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Cache-Status: Inner;fwd=uri-miss;stored
        > GET /
        ? hit | Cache-Status ~ cache;hit | Cache-Status !~ cache;fwd | Cache-Status !~ cache;hit, | Cache-Status !~ ,Inner
        "#,
    ),
    may(
        "9211 2",
        "an error of the origin has a member too",
        r#"
        > GET /
        < 500
        ? 500 | Cache-Status ~ cache;fwd=uri-miss
        "#,
    ),
    may(
        "9211 2",
        "304, 206, 416 and 504 have one too",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET {v}
        ? hit | {w} | Cache-Status ~ cache
        "#,
    )
    .each(&[
        "/ | If-None-Match: \"a\" => 304",
        "/ | Range: bytes=0-3 => 206",
        "/ | Range: bytes=10- => 416",
        "/other | Cache-Control: only-if-cached => 504",
    ]),
    may(
        "9211 2",
        "the name of the cache is one's own",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        ? Cache-Status ~ edge;fwd=uri-miss
        > GET /
        ? hit | Cache-Status ~ edge;hit
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).cache_status(Some("edge"))),
    must(
        "9211 2",
        "a name that is no token is written as a string",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        ? Cache-Status ~ "my \"edge\"";fwd=uri-miss
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).cache_status(Some("my \"edge\""))),
    may(
        "9211 2",
        "a cache may say nothing",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Cache-Status: Inner;hit
        ? Cache-Status: Inner;hit
        > POST /
        < 200
        ? !Cache-Status
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).cache_status(None)),
];

#[tokio::test]
async fn cache_status() {
    run(CACHE_STATUS).await;
}
