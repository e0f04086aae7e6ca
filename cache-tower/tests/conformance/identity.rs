//! Answers that are each person's own: by the letter of RFC 9111 a private cache for each, kept in one place (sections 3 and 7.3).

use cache_core::Cache;
use cache_tower::CacheLayer;

use crate::harness::{Row, may, must, run};

/// As if a layer outside of this one had looked up the session.
fn private(cache: Cache) -> CacheLayer {
    CacheLayer::new(cache).private_by(|parts| Some(parts.headers.get("x-user")?.to_str().ok()?.to_owned()))
}

pub(crate) const IDENTITY: &[Row] = &[
    may(
        "9111 5.2.2.7",
        "what is private is stored for the person that it is for, and reused for that one",
        r#"
        > GET / | X-User: alice | {v}
        < 200 | Cache-Control: private, max-age=60 | "alice"
        > GET / | X-User: bob | {v}
        < 200 | Cache-Control: private, max-age=60 | "bob"
        ? "bob"
        > GET / | X-User: alice | {v}
        ? hit | "alice"
        > GET / | X-User: bob | {v}
        ? hit | "bob"
        "#,
    )
    .each(&["X-A: b", "Authorization: x", "Cookie: sid=x"])
    .by(private),
    must(
        "9111 5.2.2.7",
        "what is private is not stored for nobody, nor somebody's given to nobody",
        r#"
        > GET / | X-User: alice
        < 200 | Cache-Control: {v} | "alice"
        > GET /
        < 200 | Cache-Control: private, max-age=60 | "nobody"
        ? "nobody"
        > GET /
        < 200 | Cache-Control: private, max-age=60 | "nobody again"
        ? "nobody again"
        "#,
    )
    .each(&["private, max-age=60", "max-age=60", "public, max-age=60", "s-maxage=60"])
    .by(private),
    must(
        "9111 7.3",
        "somebody does not get what is stored for nobody: it may be another page",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | "log in"
        > GET / | X-User: alice
        < 200 | Cache-Control: private, max-age=60 | "hello alice"
        ? "hello alice"
        > GET /
        ? hit | "log in"
        "#,
    )
    .by(private),
    must(
        "9111 5.2.2.5",
        "no-store and no-cache forbid as ever",
        r#"
        > GET / | X-User: alice
        < 200 | Cache-Control: {v}
        > GET / | X-User: alice
        < 200
        ? "body 2"
        "#,
    )
    .each(&[
        "no-store, private, max-age=60",
        "private, no-cache, max-age=60",
        "private, max-age=0",
        "private, max-age=10 | Age: 20",
    ])
    .by(private),
    must(
        "9111 4.4",
        "what one person changes is invalidated for all",
        r#"
        > GET / | X-User: alice
        < 200 | Cache-Control: private, max-age=60
        > GET / | X-User: bob
        < 200 | Cache-Control: private, max-age=60
        > {v}
        < 200
        > GET / | X-User: alice
        < 200
        ? "body 4"
        > GET / | X-User: bob
        < 200
        ? "body 5"
        "#,
    )
    .each(&["POST / | X-User: bob", "POST /", "DELETE / | X-User: carol"])
    .by(private),
    must(
        "9111 4.4",
        "tags and purges reach everybody's",
        r#"
        > GET / | X-User: alice
        < 200 | Cache-Control: private, max-age=60 | Surrogate-Key: category:books
        > GET / | X-User: bob
        < 200 | Cache-Control: private, max-age=60 | Surrogate-Key: category:books
        ! {v}
        > GET / | X-User: alice
        < 200
        ? "body 3"
        > GET / | X-User: bob
        < 200
        ? "body 4"
        "#,
    )
    .each(&["evict category books", "purge http://shop.example/"])
    .by(private),
    must(
        "9111 7.3",
        "no name reads as that of another",
        r#"
        > GET / | X-User: {v}
        < 200 | Cache-Control: private, max-age=60 | "evil"
        > GET / | {w}
        < 200 | Cache-Control: private, max-age=60 | "good"
        ? "good"
        "#,
    )
    .each(&[
        "Alice => X-User: alice",
        "alice\\tx => X-User: alice",
        "alice, bob => X-User: alice",
        "alice%0a => X-User: alice",
        "alice\\nx-forwarded-host=b => X-User: alice | X-Forwarded-Host: b",
        "* => X-User: alice",
        "1 => X-User: 01",
    ])
    .by(private),
    must(
        "9111 7.1",
        "a cookie of the key that is there twice is not taken for one",
        r#"
        > GET / | Cookie: {v}
        < 200 | Cache-Control: max-age=60 | "evil"
        > GET / | Cookie: lang=de
        < 200 | "good"
        ? "good"
        "#,
    )
    .each(&[
        "lang=de; lang=evil",
        "lang=evil; lang=de",
        "lang=de | Cookie: lang=evil",
        "lang=de, lang=evil",
        "Lang=de",
        "lang=\"de\"",
        "xlang=de",
    ])
    .by(|cache| CacheLayer::proxy(cache).key_cookie("lang")),
];

#[tokio::test]
async fn identity() {
    run(IDENTITY).await;
}
