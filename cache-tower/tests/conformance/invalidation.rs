//! RFC 9111 section 4.4: what changes something makes stored answers untrue.

use cache_tower::{CacheLayer, Query};

use crate::harness::{Row, may, must, run};

pub(crate) const INVALIDATION: &[Row] = &[
    must(
        "9111 4.4",
        "an unsafe method, or one that is not known, invalidates its target",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > {v} /
        < 200
        > GET /
        < 200
        ? "body 3"
        "#,
    )
    .each(&["POST", "PUT", "DELETE", "PATCH", "FOO", "PURGE", "get", "LOCK"]),
    must(
        "9111 4.4",
        "every answer that is no error invalidates",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > POST /
        < {v}
        > GET /
        < 200
        ? "body 3"
        "#,
    )
    .each(&["200", "201", "202", "204", "205", "299", "301", "302", "303", "307", "308", "399"]),
    may(
        "9111 4.4",
        "an error does not invalidate",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > POST /
        < {v}
        > GET /
        ? hit | "body 1"
        "#,
    )
    .each(&["400", "401", "403", "404", "405", "409", "412", "429", "500", "502", "503", "599"]),
    may(
        "9111 4.4",
        "a request whose answer is lost may have been obeyed: it invalidates, and fails",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > POST /
        < fails
        ? error
        > GET /
        < 200
        ? "body 3"
        "#,
    ),
    must(
        "9111 4.4",
        "a request that names no scheme is of either",
        r#"
        > GET https://shop.example/a?b
        < 200 | Cache-Control: max-age=60
        > POST {v} | Host: shop.example
        < 201 | {w}
        > GET https://shop.example/a?b
        < 200
        ? "body 3"
        "#,
    )
    .each(&[
        "/a?b => X-A: 1",
        "/ => Location: https://shop.example/a?b",
        "/ => Location: /a?b",
        "/ => Content-Location: a?b",
    ]),
    must(
        "9111 4.4",
        "a request to one scheme is of the other too, by its own URL",
        r#"
        > GET {v}://shop.example/
        < 200 | Cache-Control: max-age=60
        > POST {w}://shop.example/
        < 200
        > GET {v}://shop.example/
        < 200
        ? "body 3"
        "#,
    )
    .each(&["http => https", "https => http"]),
    must(
        "9112 3.2",
        "a request that names several hosts is of each",
        r#"
        > GET / | Host: {v}
        < 200 | Cache-Control: max-age=60
        > POST / | Host: a.example | Host: b.example
        < 200
        > GET / | Host: {v}
        < 200
        ? "body 3"
        "#,
    )
    .each(&["a.example", "b.example"]),
    may(
        "9111 4.4",
        "a safe method does not invalidate",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > {v} /
        < 200
        > GET /
        ? hit | "body 1"
        "#,
    )
    .each(&["OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"]),
    may(
        "9111 4.4",
        "Location and Content-Location of the same origin are invalidated",
        r#"
        > GET /a/b?c
        < 200 | Cache-Control: max-age=60
        > POST /a/
        < 201 | {v}
        > GET /a/b?c
        < 200
        ? "body 3"
        "#,
    )
    .each(&[
        "Location: /a/b?c",
        "Location: b?c",
        "Location: ./b?c",
        "Location: ../a/b?c",
        "Location: http://shop.example/a/b?c",
        "Location: http://SHOP.example:80/a/b?c",
        "Location: //shop.example/a/b?c",
        "Location: /a/b?c#d",
        "Content-Location: /a/b?c",
        "Content-Location: b?c",
        "Content-Location: http://shop.example/a/b?c",
    ]),
    must(
        "9111 4.4",
        "Location and Content-Location of another origin are not invalidated",
        r#"
        > GET http://other.example/x
        < 200 | Cache-Control: max-age=60
        > POST http://shop.example/
        < 201 | {v}
        > GET http://other.example/x
        ? hit | "body 1"
        "#,
    )
    .each(&[
        "Location: http://other.example/x",
        "Content-Location: http://other.example/x",
        "Location: //other.example/x",
        "Location: http://shop.example@other.example/x",
        "Location: http://other.example:80/x",
    ]),
    must(
        "9111 4.4",
        "another scheme or port is another origin",
        r#"
        > GET {v}/x
        < 200 | Cache-Control: max-age=60
        > POST http://shop.example/
        < 201 | Location: {v}/x
        > GET {v}/x
        ? hit | "body 1"
        "#,
    )
    .each(&["https://shop.example", "http://shop.example:8080"]),
    may(
        "9111 4.4",
        "Location in the answer to a safe method, or in an error, does not invalidate",
        r#"
        > GET /x
        < 200 | Cache-Control: max-age=60
        > {v} /
        < {w} | Location: /x | Content-Location: /x
        > GET /x
        ? hit | "body 1"
        "#,
    )
    .each(&["GET => 302", "GET => 200", "HEAD => 200", "OPTIONS => 200", "POST => 404", "PUT => 500"]),
    may(
        "9111 4.4",
        "other URLs are not invalidated",
        r#"
        > GET {v}
        < 200 | Cache-Control: max-age=60
        > POST /a
        < 200
        > GET {v}
        ? hit | "body 1"
        "#,
    )
    .each(&["/", "/a/", "/a/b", "/a?x", "/A", "/b"]),
    must(
        "9111 4.4",
        "the same path of another host is not invalidated",
        r#"
        > GET / | Host: a.example
        < 200 | Cache-Control: max-age=60
        > POST / | Host: b.example
        < 200
        > GET / | Host: a.example
        ? hit | "body 1"
        "#,
    ),
    must(
        "9111 4.4",
        "the query belongs to the target that is invalidated",
        r#"
        > GET /?a=1
        < 200 | Cache-Control: max-age=60
        > DELETE /?a=1
        < 204
        > GET /?a=1
        < 200
        ? "body 3"
        "#,
    ),
    must(
        "9111 4.4",
        "all variants are invalidated",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET / | Foo: 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > POST / | Foo: 3
        < 200
        > GET / | Foo: 1
        < 200
        ? "body 4"
        > GET / | Foo: 2
        < 200
        ? "body 5"
        "#,
    ),
    must(
        "9111 4.4",
        "what is invalidated does not stand in for errors",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60, stale-if-error=600, stale-while-revalidate=600 | "old"
        > POST /
        < 200
        > GET /
        < 503 | "sorry"
        ? asked | not "old"
        "#,
    ),
    must(
        "9111 4.4",
        "a careful layer invalidates as well",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > POST / | Authorization: alice
        < 204
        > GET /
        < 200
        ? "body 3"
        "#,
    )
    .careful(),
    must(
        "9111 4.4",
        "what is purged is gone, with all its variants, and nothing else is",
        r#"
        > GET /a | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET /a | Foo: 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET /b
        < 200 | Cache-Control: max-age=60
        ! purge http://shop.example/a
        > GET /a | Foo: 1
        < 200
        ? "body 4"
        > GET /a | Foo: 2
        < 200
        ? "body 5"
        > GET /b
        ? hit | "body 3"
        "#,
    ),
    must(
        "9111 4.4",
        "a request that goes past the store invalidates as any other",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > POST / | X-Admin: 1
        < 200
        > GET /
        < 200
        ? "body 3"
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).bypass(|parts| parts.headers.contains_key("x-admin"))),
    must(
        "9111 4.4",
        "all that is stored of a target goes, whatever else is in its key",
        r#"
        > GET / | {v}
        < 200 | Cache-Control: max-age=60
        > POST / | {w}
        < 200
        > GET / | {v}
        < 200
        ? "body 3"
        "#,
    )
    .each(&[
        "X-A: b => X-Forwarded-Host: evil.example",
        "X-Forwarded-Host: a.example => X-A: b",
        "X-Forwarded-Proto: https => X-Forwarded-Proto: http",
        "X-Tenant: a => X-Tenant: b",
        "X-Tenant: a => X-A: b",
        "Cookie: lang=de => Cookie: lang=en",
        "X-A: b => X-HTTP-Method-Override: DELETE",
    ])
    .by(|cache| CacheLayer::proxy(cache).key_header("x-tenant").key_cookie("lang")),
    must(
        "9111 4.4",
        "a query that is normalised for the key is so for what is invalidated",
        r#"
        > GET /?a=1&b=2&utm=x
        < 200 | Cache-Control: max-age=60
        > POST /?b=2&a=1
        < 200
        > GET /?a=1&b=2&utm=x
        < 200
        ? "body 3"
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).query(Query::Without(vec!["utm".to_owned()]))),
];

#[tokio::test]
async fn invalidation() {
    run(INVALIDATION).await;
}
