//! Soft purges: what they reach is stale from then on by RFC 9111 section 4.2, and RFC 5861 and section 4.3 say what becomes of it.

use std::time::Duration;

use cache_core::Cache;
use cache_tower::CacheLayer;

use crate::harness::{Row, may, must, run};

fn with_prefixes(cache: Cache) -> CacheLayer {
    CacheLayer::proxy(cache).purge_prefixes(["/a"])
}

pub(crate) const PURGED: &[Row] = &[
    must(
        "9111 4.2",
        "what was softly purged is never served as fresh, whatever reached it",
        r#"
        > GET /a/b
        < 200 | Cache-Control: max-age=600 | Surrogate-Key: category:books
        ! {v}
        > GET /a/b
        < 200
        ? asked | "body 2" | Cache-Status !~ hit
        "#,
    )
    .each(&[
        "soft purge http://shop.example/a/b",
        "soft purge https://shop.example/a/b",
        "soft prefix http://shop.example/a",
        "soft evict category books",
        "soft scope http",
    ])
    .by(with_prefixes),
    must(
        "9111 4.2",
        "what it does not reach stays fresh",
        r#"
        > GET /a/b
        < 200 | Cache-Control: max-age=600 | Surrogate-Key: category:books
        ! {v}
        > GET /a/b
        ? hit
        "#,
    )
    .each(&[
        "soft purge http://shop.example/a",
        "soft purge http://other.example/a/b",
        "soft prefix http://other.example/a",
        "soft evict category films",
        "soft scope other",
    ])
    .by(with_prefixes),
    may(
        "9111 4.3",
        "it is validated, and a 304 makes it fresh again without its body",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | ETag: "a" | Last-Modified: {date-100}
        ! soft purge http://shop.example/
        > GET /
        < 304 | Cache-Control: max-age=60 | {v}
        ? asked | 200 | "body 1" | sent If-None-Match: "a" | Cache-Control: max-age=60 | Cache-Status ~ fwd=stale | Cache-Status ~ detail=soft_purge
        > GET /
        ? hit | "body 1" | Cache-Status ~ cache;hit;ttl=
        "#,
    )
    .each(&["ETag: \"a\"", "X-A: b"]),
    may(
        "9111 4.3",
        "it is validated by a date where it has nothing better",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Last-Modified: {date-100}
        ! soft purge http://shop.example/
        > GET /
        < 304
        ? asked | 200 | "body 1" | sent If-Modified-Since: {date-100}
        > GET /
        ? hit | "body 1"
        "#,
    ),
    must(
        "9111 4.3.3",
        "what no longer holds is replaced",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600, {v} | ETag: "a"
        ! soft purge http://shop.example/
        > GET /
        < 200 | Cache-Control: max-age=600 | ETag: "b"
        ? asked | "body 2" | ETag: "b"
        > GET /
        ? hit | "body 2"
        "#,
    )
    .each(&["public", "must-revalidate", "stale-while-revalidate=0"]),
    may(
        "5861 3",
        "within stale-while-revalidate it is served stale, and validated once behind it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600, stale-while-revalidate=60 | ETag: "a"
        ! soft purge http://shop.example/
        > GET /
        < {v}
        ? behind | 200 | "body 1" | sent If-None-Match: "a" | Cache-Status ~ cache;hit;ttl={w} | Cache-Status ~ stale_while_revalidate
        > GET /
        ? hit | Cache-Status !~ stale_while_revalidate
        "#,
    )
    .each(&["304 | ETag: \"a\" => 0", "200 | Cache-Control: max-age=60 | ETag: \"b\" => 0"]),
    must(
        "5861 3",
        "the window is counted from when it became stale, by itself or by the purge",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=60 | Age: {v} | ETag: "a"
        ! soft purge http://shop.example/
        > GET /
        < 304 | ETag: "a"
        ? {w} | 200 | "body 1"
        "#,
    )
    .each(&["0 => behind", "9 => behind", "20 => behind", "200 => asked"]),
    must(
        "9111 5.2.2.2",
        "what must be validated is not served stale because it was purged softly",
        r#"
        > GET /
        < 200 | Cache-Control: {v}, stale-while-revalidate=600, stale-if-error=600
        ! soft purge http://shop.example/
        > GET /
        < 503
        ? asked | 503
        "#,
    )
    .each(&["max-age=60, must-revalidate", "max-age=60, proxy-revalidate", "s-maxage=60", "max-age=60, no-cache"]),
    may(
        "5861 4",
        "within stale-if-error it stands in for a failure",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600, stale-if-error=60
        ! soft purge http://shop.example/
        > GET /
        < {v}
        ? asked | 200 | "body 1" | Cache-Status ~ stale_if_error
        > GET /
        < 200
        ? asked | 200 | "body 3"
        "#,
    )
    .each(&["500", "503"]),
    may(
        "9111 4.2.4",
        "it stands in while the origin cannot be reached, where nothing forbids it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600{v}
        ! soft purge http://shop.example/
        > GET /
        < fails
        ? {w}
        "#,
    )
    .each(&[
        " => asked | 200 | \"body 1\"",
        ", must-revalidate => error",
        ", proxy-revalidate => error",
        ", stale-if-error=60 => asked | 200 | \"body 1\"",
    ]),
    must(
        "9111 4.2.4",
        "by a careful layer it does not",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600
        ! soft purge http://shop.example/
        > GET /
        < fails
        ? error
        "#,
    )
    .careful(),
    must(
        "5861 4",
        "without stale-if-error a failure is a failure",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600
        ! soft purge http://shop.example/
        > GET /
        < 503
        ? asked | 503
        "#,
    ),
    must(
        "9111 4.4",
        "what was purged for good after or before it stands in for nothing",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600, stale-if-error=600, stale-while-revalidate=600 | ETag: "a"
        ! {v}
        ! {w}
        > GET /
        < 503
        ? asked | 503 | sent !If-None-Match
        "#,
    )
    .each(&[
        "soft purge http://shop.example/ => purge http://shop.example/",
        "purge http://shop.example/ => soft purge http://shop.example/",
        "soft purge http://shop.example/ => scope http",
    ]),
    must(
        "9111 5.2.1.7",
        "a request that wants no other answer is told that there is none",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600
        ! soft purge http://shop.example/
        > GET / | Cache-Control: only-if-cached
        ? hit | 504
        "#,
    ),
    may(
        "9111 5.2.1.2",
        "a request that bears what is stale is given it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600
        ! soft purge http://shop.example/
        > GET / | Cache-Control: max-stale=60
        ? hit | 200 | "body 1" | Cache-Status ~ max_stale
        "#,
    ),
    may(
        "5861 3",
        "purged softly, it serves conditions, parts and HEAD as well",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600, stale-while-revalidate=600 | ETag: "a" | "0123456789"
        ! soft purge http://shop.example/
        > {v}
        < 304 | ETag: "a" | Cache-Control: max-age=60
        ? behind | {w}
        "#,
    )
    .each(&[
        "GET / | If-None-Match: \"a\" => 304 | \"\"",
        "GET / | Range: bytes=0-3 => 206 | \"0123\"",
        "HEAD / => 200 | \"\"",
    ]),
    must(
        "9111 4.1",
        "each variant is stale, and validated by itself",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=600 | Vary: Foo | ETag: "a"
        > GET / | Foo: 2
        < 200 | Cache-Control: max-age=600 | Vary: Foo | ETag: "b"
        ! soft purge http://shop.example/
        > GET / | Foo: 1
        < 304 | ETag: "a" | Vary: Foo
        ? asked | "body 1" | sent If-None-Match: "a"
        > GET / | Foo: 2
        < 304 | ETag: "b" | Vary: Foo
        ? asked | "body 2" | sent If-None-Match: "b"
        > GET / | Foo: 1
        ? hit | "body 1"
        "#,
    ),
    must(
        "9111 4.2",
        "part of an answer is as stale as a whole",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=600 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        ! soft purge http://shop.example/
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=600 | ETag: "b" | Content-Range: bytes 0-4/10 | "abcde"
        ? asked | 206 | "abcde"
        "#,
    ),
    must(
        "9111 4.2",
        "purged softly time and again it stays what it is",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | ETag: "a"
        ! soft purge http://shop.example/
        ! soft evict category books
        ! soft scope http
        ! soft purge http://shop.example/
        > GET /
        < 304 | ETag: "a"
        ? asked | "body 1" | sent If-None-Match: "a"
        > GET /
        ? hit | "body 1"
        ! soft purge http://shop.example/
        > GET /
        < 304 | ETag: "a"
        ? asked | "body 1"
        "#,
    ),
    must(
        "9111 4.2",
        "what is not kept once it is stale is gone",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | ETag: "a"
        ! soft purge http://shop.example/
        > GET /
        < 200
        ? asked | "body 2" | sent !If-None-Match
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).keep(Duration::ZERO)),
    must(
        "9111 4.2.3",
        "its age is what it was",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600, stale-while-revalidate=600 | Age: 100
        ! soft purge http://shop.example/
        > GET /
        < 200
        ? behind | Age >= 100 | Age <= 110
        "#,
    ),
];

#[tokio::test]
async fn softly_purged() {
    run(PURGED).await;
}
