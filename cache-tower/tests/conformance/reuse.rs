//! RFC 9111 section 4: when a stored answer is used.

use cache_tower::{CacheLayer, Query};

use crate::harness::{Row, may, must, run};

pub(crate) const REUSE: &[Row] = &[
    must(
        "9111 4",
        "the target of a request is part of the key",
        r#"
        > GET {v}
        < 200 | Cache-Control: max-age=60
        > GET /a
        < 200
        ? "body 2"
        "#,
    )
    .each(&["/", "/b", "/a/", "/a?", "/a?x", "/A", "//a", "/a/.", "/a;", "/a%20", "/%61", "/a/b"]),
    must(
        "9111 4",
        "the host is part of the key",
        r#"
        > GET / | Host: a.example
        < 200 | Cache-Control: max-age=60
        > GET / | Host: {v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["b.example", "a.example:8080", "x.a.example", "a.example.evil.example"]),
    may(
        "9110 4.2.3",
        "a host is one in any case, and with the port that is the default",
        r#"
        > GET / | Host: shop.example
        < 200 | Cache-Control: max-age=60
        > GET / | Host: {v}
        ? hit
        "#,
    )
    .each(&["SHOP.example", "Shop.Example", "shop.example:80", "shop.example:"]),
    must(
        "9110 7.2",
        "a target in absolute form counts, whatever Host says",
        r#"
        > GET http://a.example/ | Host: b.example
        < 200 | Cache-Control: max-age=60
        > GET / | Host: b.example
        < 200
        ? "body 2"
        > GET / | Host: a.example
        ? hit | "body 1"
        "#,
    ),
    must(
        "9112 3.2.2",
        "the origin sees no other host than the one that the key has",
        r#"
        > GET http://shop.example/ | Host: {v}
        < 200 | Cache-Control: max-age=60
        ? sent Host: shop.example
        > POST http://shop.example/ | Host: {v}
        < 200
        ? sent Host: shop.example
        "#,
    )
    .each(&["evil.example", "shop.example:8080", "shop.example"]),
    must(
        "9111 4",
        "the scheme is part of the key",
        r#"
        > GET http://shop.example/
        < 200 | Cache-Control: max-age=60
        > GET https://shop.example/
        < 200
        ? "body 2"
        "#,
    ),
    must(
        "9111 4",
        "the query is part of the key",
        r#"
        > GET /?a=1
        < 200 | Cache-Control: max-age=60
        > GET /?{v}
        < 200
        ? "body 2"
        > GET /?a=1
        ? hit | "body 1"
        "#,
    )
    .each(&["a=2", "a=1&b=2", "a=1&", "", "a=01", "A=1", "a=1&a=2", "a", "b=1"]),
    may(
        "9111 4",
        "an answer is used for many requests",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET /
        ? hit
        > GET /
        ? hit
        > GET / | Accept: text/html | User-Agent: x | Cookie: a=b
        ? hit
        "#,
    ),
    must(
        "9111 4",
        "an answer that is stale is not used without validation",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET /
        < 200 | Cache-Control: max-age=60
        ? "body 2"
        > GET /
        ? hit | "body 2"
        "#,
    ),
    must(
        "9111 4",
        "what a newer answer says replaces an older one, also if it may not be stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET /
        < 200 | Cache-Control: no-store
        ? "body 2"
        > GET /
        < 200
        ? "body 3"
        "#,
    ),
    must(
        "9111 4.2.4",
        "stale by must-revalidate is never used without validation",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, {v} | Age: 20 | ETag: "a"
        > GET / | Cache-Control: max-stale=1000
        < 304 | ETag: "a"
        ? asked | 200 | "body 1" | sent If-None-Match: "a"
        "#,
    )
    .each(&["must-revalidate", "proxy-revalidate", "Must-Revalidate", "s-maxage=10", "no-cache"]),
    may(
        "9111 5.2.2.2",
        "must-revalidate lets a fresh answer be used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60, {v}
        > GET /
        ? hit
        "#,
    )
    .each(&["must-revalidate", "proxy-revalidate"]),
    may(
        "9111 4",
        "Cookie of a request is no key by itself in the proxy",
        r#"
        > GET / | Cookie: a=b
        < 200 | Cache-Control: max-age=60
        > GET / | Cookie: c=d
        ? hit
        "#,
    ),
    must(
        "9110 15.3.7",
        "the answer 200 to a request without conditions is complete",
        r#"
        > GET / | If-None-Match: "b"
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "whole"
        > GET /
        ? hit | 200 | "whole"
        "#,
    ),
    must(
        "9111 3.1",
        "a 304 that answers a client's own condition is no answer to another's request",
        r#"
        > GET / | If-None-Match: "a"
        < 304 | Cache-Control: max-age=60 | ETag: "a"
        ? 304
        > GET /
        < 200 | "whole"
        ? 200 | "whole"
        "#,
    ),
];

pub(crate) const KEYS: &[Row] = &[
    may(
        "9111 4",
        "a sorted query is one in any order",
        r#"
        > GET /?a=1&b=2
        < 200 | Cache-Control: max-age=60
        > GET /?b=2&a=1
        ? hit
        > GET /?b=2&a=2
        < 200
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).query(Query::Sorted)),
    must(
        "9111 4",
        "the parts of one name keep their order when a query is sorted",
        r#"
        > GET /?a=1&a=2
        < 200 | Cache-Control: max-age=60
        > GET /?a=2&a=1
        < 200
        ? "body 2"
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).query(Query::Sorted)),
    may(
        "9111 4",
        "parts of a query that are left out tell nothing apart, and others do",
        r#"
        > GET /?id=1&utm_source=x
        < 200 | Cache-Control: max-age=60
        > GET /?utm_source=y&id=1
        ? hit
        > GET /?id=2&utm_source=x
        < 200
        ? "body 2"
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).query(Query::Without(vec!["utm_source".to_owned()]))),
    may(
        "9111 4",
        "only the named parts of a query tell answers apart",
        r#"
        > GET /?id=1&x=1
        < 200 | Cache-Control: max-age=60
        > GET /?id=1&x=2
        ? hit
        > GET /?id=2&x=1
        < 200
        ? "body 2"
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).query(Query::Only(vec!["id".to_owned()]))),
    must(
        "9111 7.1",
        "what a service may read as a part of the key is in it, however it is spelled",
        r#"
        > GET /?id=1
        < 200 | Cache-Control: max-age=60
        > GET /?id=1&{v}
        < 200
        ? "body 2"
        > GET /?id=1
        ? hit | "body 1"
        "#,
    )
    .each(&["%69d=9", "i%64=9", "ID=9", "x=1;id=9", "id[]=9", "id+=9", "id.x=9"])
    .by(|cache| CacheLayer::proxy(cache).query(Query::Only(vec!["id".to_owned()]))),
    must(
        "9111 7.1",
        "nothing is left out of a key that may have something else behind it",
        r#"
        > GET /?id=1
        < 200 | Cache-Control: max-age=60
        > GET /?id=1&{v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["utm_source=x;id=9", "utm%5fsource=x", "UTM_SOURCE=x"])
    .by(|cache| CacheLayer::proxy(cache).query(Query::Without(vec!["utm_source".to_owned()]))),
    must(
        "9111 7.1",
        "a cookie of the key is in it however it is spelled, and others are not",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET / | Cookie: {v}
        < 200
        ? "body 2"
        > GET / | Cookie: x=1; y=a%b; z
        ? hit | "body 1"
        "#,
    )
    .each(&["l%61ng=evil", "lang =evil", "\"lang\"=evil", "a=1; lang\t=evil", "lang", "lang=", "=evil"])
    .by(|cache| CacheLayer::proxy(cache).key_cookie("lang")),
    must(
        "9111 4",
        "a field or a cookie of the key tells answers apart",
        r#"
        > GET / | X-Tenant: a | Cookie: x=1; lang=de
        < 200 | Cache-Control: max-age=60
        > GET / | X-Tenant: b | Cookie: lang=de
        < 200 | Cache-Control: max-age=60
        ? "body 2"
        > GET / | X-Tenant: a | Cookie: lang=en
        < 200
        ? "body 3"
        > GET / | Cookie: lang=de
        < 200
        ? "body 4"
        > GET / | X-Tenant: a | Cookie: lang=de; x=2
        ? hit | "body 1"
        "#,
    )
    .by(|cache| CacheLayer::proxy(cache).key_header("x-tenant").key_cookie("lang")),
];

#[tokio::test]
async fn reuse() {
    run(REUSE).await;
}

#[tokio::test]
async fn reuse_by_key() {
    run(KEYS).await;
}
