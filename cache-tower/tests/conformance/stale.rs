//! RFC 5861 and RFC 9111 section 4.2.4: stale answers.

use cache_tower::CacheLayer;

use crate::harness::{Row, may, must, run};

pub(crate) const WHILE_REVALIDATE: &[Row] = &[
    may(
        "5861 3",
        "within stale-while-revalidate the stale answer is served, and a new one fetched behind it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, {v} | Age: 20 | ETag: "a"
        > GET /
        < 200 | Cache-Control: max-age=60 | "new"
        ? behind | 200 | "body 1" | Age >= 20 | sent If-None-Match: "a"
        > GET /
        ? hit | "new"
        "#,
    )
    .each(&[
        "stale-while-revalidate=60",
        "Stale-While-Revalidate=60",
        "stale-while-revalidate=\"60\"",
        "stale-while-revalidate=99999999999999999999",
    ]),
    may(
        "5861 3",
        "a 304 behind it makes the stale answer fresh",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=60 | Age: 20 | ETag: "a"
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "a"
        ? behind | 200 | "body 1"
        > GET /
        ? hit | "body 1" | Age <= 15
        "#,
    ),
    must(
        "5861 3",
        "beyond stale-while-revalidate nothing stale is served",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, {v} | Age: 200
        > GET /
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&[
        "stale-while-revalidate=60",
        "stale-while-revalidate=0",
        "stale-while-revalidate=abc",
        "stale-while-revalidate=-1",
        "stale-while-revalidate",
        "foo=\"stale-while-revalidate=6000\"",
        "stale-if-error=6000",
    ]),
    must(
        "9111 5.2.2.2",
        "what must be validated is not served stale, whatever stale-while-revalidate says",
        r#"
        > GET /
        < 200 | Cache-Control: {v}, stale-while-revalidate=600 | Age: 20
        > GET /
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&[
        "max-age=10, must-revalidate",
        "max-age=10, proxy-revalidate",
        "max-age=60, no-cache",
        "s-maxage=10, must-revalidate",
    ]),
    may(
        "5861 3",
        "an error behind it leaves the stale answer to be served",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=600 | Age: 20
        > GET /
        < {v}
        ? behind | 200 | "body 1"
        > GET /
        < 200 | "body 1"
        ? any | 200 | "body 1"
        "#,
    )
    .each(&["503", "500", "fails"]),
    may(
        "5861 3",
        "the stale answer serves conditions, parts and HEAD as well",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=600 | Age: 20 | ETag: "a" | "0123456789"
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
        "5861 3",
        "what a client's own fields select is fetched behind it as a whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=600 | Age: 20 | ETag: "a" | "0123456789"
        > GET / | Range: bytes=0-3
        < 200 | Cache-Control: max-age=60 | ETag: "b" | "abcdefghij"
        ? behind | has "0123"
        > GET /
        ? hit | 200 | "abcdefghij" | ETag: "b"
        "#,
    ),
    must(
        "9111 4.1",
        "a variant is fetched behind its own request, and the others stay",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=600 | Age: 20 | Vary: Foo | "one"
        > GET / | Foo: 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo | "two"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo | "one again"
        ? behind | "one" | sent Foo: 1
        > GET / | Foo: 1
        ? hit | "one again"
        > GET / | Foo: 2
        ? hit | "two"
        "#,
    ),
    may(
        "9111 5.2.1.4",
        "a request with no-cache is not served stale",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=600 | Age: 20
        > GET / | Cache-Control: {v}
        < 200
        ? asked | "body 2"
        "#,
    )
    .each(&["no-cache", "max-age=5", "min-fresh=5"]),
    may(
        "5861 3",
        "a careful layer does it too: the answer asks for it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=600 | Age: 20
        > GET /
        < 200 | Cache-Control: max-age=60 | "new"
        ? behind | 200 | "body 1"
        > GET /
        ? hit | "new"
        "#,
    )
    .careful(),
];

pub(crate) const IF_ERROR: &[Row] = &[
    may(
        "5861 4",
        "within stale-if-error the stale answer is served for an error of the server",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-if-error=600 | Age: 20 | ETag: "a"
        > GET /
        < {v}
        ? asked | 200 | "body 1" | Age >= 20
        "#,
    )
    .each(&["500", "502", "503", "504", "fails"]),
    must(
        "5861 4",
        "for other answers stale-if-error says nothing",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-if-error=600 | Age: 20
        > GET /
        < {v}
        ? asked | {v} | "body 2"
        "#,
    )
    .each(&["400", "401", "403", "404", "410", "429", "501", "505", "301"]),
    must(
        "5861 4",
        "beyond stale-if-error the error is passed on",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, {v} | Age: 200
        > GET /
        < 503
        ? asked | 503 | "body 2"
        "#,
    )
    .each(&[
        "stale-if-error=60",
        "stale-if-error=0",
        "stale-if-error=abc",
        "stale-if-error",
        "foo=\"stale-if-error=6000\"",
        "stale-while-revalidate=60",
    ]),
    must(
        "9111 5.2.2.2",
        "what must be validated does not stand in, whatever stale-if-error says",
        r#"
        > GET /
        < 200 | Cache-Control: {v}, stale-if-error=600 | Age: 20 | "old"
        > GET /
        < 503 | "sorry"
        ? asked | not "old"
        "#,
    )
    .each(&["max-age=10, must-revalidate", "max-age=10, proxy-revalidate", "max-age=60, no-cache"]),
    may(
        "5861 4",
        "what stands in for an error serves conditions, parts and HEAD",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-if-error=600 | Age: 20 | ETag: "a" | "0123456789"
        > {v}
        < 503
        ? asked | {w}
        "#,
    )
    .each(&[
        "GET / | If-None-Match: \"a\" => 304 | \"\"",
        "GET / | Range: bytes=0-3 => 206 | \"0123\"",
        "HEAD / => 200 | \"\"",
    ]),
    may(
        "5861 4",
        "a request may ask for it, and the answer need not",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET / | Cache-Control: stale-if-error=600
        < 503
        ? asked | 200 | "body 1"
        "#,
    ),
    may(
        "5861 4",
        "an error with freshness of its own does not take the place of what stands in",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-if-error=600 | Age: 20
        > GET /
        < 503 | Cache-Control: max-age=60
        ? 200 | "body 1"
        > GET /
        < 200 | Cache-Control: max-age=60 | "new"
        ? any | 200
        "#,
    ),
];

pub(crate) const UNREACHABLE: &[Row] = &[
    may(
        "9111 4.2.4",
        "a stale answer stands in while the origin cannot be reached",
        r#"
        > GET /
        < 200 | {v} | Age: 20 | ETag: "a"
        > GET /
        < fails
        ? asked | 200 | "body 1" | Age >= 20 | !Warning
        > GET /
        < 304 | ETag: "a"
        ? any | 200 | "body 1"
        "#,
    )
    .each(&["Cache-Control: max-age=10", "Date: {date} | Expires: {date+10}", "Cache-Control: public, max-age=10"]),
    must(
        "9111 4.2.4",
        "no stale answer stands in where that is forbidden",
        r#"
        > GET /
        < 200 | Cache-Control: {v} | Age: 20 | "old"
        > GET /
        < fails
        ? asked | error
        "#,
    )
    .each(&[
        "max-age=10, must-revalidate",
        "max-age=10, proxy-revalidate",
        "max-age=60, no-cache",
        "s-maxage=10",
        "s-maxage=10, max-age=60",
    ]),
    must(
        "9111 4.2.4",
        "an answer of the origin, be it an error, is not an origin that cannot be reached",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET /
        < {v}
        ? asked | {v} | "body 2"
        "#,
    )
    .each(&["500", "502", "503", "504"]),
    must(
        "9111 4.2.4",
        "where nothing is stored the error is the caller's",
        r#"
        > GET /
        < fails
        ? asked | error
        > GET /
        < 200
        ? 200
        "#,
    ),
    must(
        "9111 4.2.4",
        "a careful layer passes the error on",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET /
        < fails
        ? asked | error
        "#,
    )
    .careful(),
    may(
        "9111 5.2.2.10",
        "a layer that is told so lets them count beside s-maxage",
        r#"
        > GET /
        < 200 | Cache-Control: s-maxage=10, stale-if-error=600 | Age: 20
        > GET /
        < 503
        ? asked | 200 | "body 1"
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).stale_beside_s_maxage(true)),
    may(
        "5861 4",
        "a careful layer lets a stale answer stand in where stale-if-error asks for it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-if-error=600 | Age: 20
        > GET /
        < {v}
        ? asked | 200 | "body 1"
        "#,
    )
    .each(&["fails", "503"])
    .careful(),
    must(
        "9111 5.2.1.4",
        "what a client wants validated does not stand in for the origin",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | "old"
        > GET / | Cache-Control: no-cache
        < fails
        ? asked | error
        "#,
    ),
    must(
        "9111 4.2.4",
        "a fresh answer needs no origin",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET /
        < fails
        ? hit | 200 | "body 1"
        "#,
    ),
];

#[tokio::test]
async fn stale_while_revalidate() {
    run(WHILE_REVALIDATE).await;
}

#[tokio::test]
async fn stale_if_error() {
    run(IF_ERROR).await;
}

#[tokio::test]
async fn stale_while_unreachable() {
    run(UNREACHABLE).await;
}
