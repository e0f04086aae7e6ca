//! RFC 9875 and tags: answers that are evicted together.

use crate::harness::{Row, may, must, run};

pub(crate) const GROUPS: &[Row] = &[
    may(
        "9875 3",
        "the answer to an unsafe request invalidates the groups that it names",
        r#"
        > GET /a
        < 200 | Cache-Control: max-age=60 | Cache-Groups: {v}
        > GET /b
        < 200 | Cache-Control: max-age=60 | Cache-Groups: "other"
        > POST /c
        < 200 | Cache-Group-Invalidation: {w}
        > GET /a
        < 200
        ? "body 4"
        > GET /b
        ? hit | "body 2"
        "#,
    )
    .each(&[
        "\"g\" => \"g\"",
        "\"x\", \"g\" => \"g\"",
        "\"g\" => \"x\", \"g\"",
        "\"x\" | Cache-Groups: \"g\" => \"g\"",
        "\"g\" => \"x\" | Cache-Group-Invalidation: \"g\"",
        "\"g\";foo=bar => \"g\";bar",
        "\"a b\" => \"a b\"",
    ]),
    must(
        "9875 2",
        "groups are equal if every character is",
        r#"
        > GET /a
        < 200 | Cache-Control: max-age=60 | Cache-Groups: "g"
        > POST /c
        < 200 | Cache-Group-Invalidation: {v}
        > GET /a
        ? hit | "body 1"
        "#,
    )
    .each(&["\"G\"", "\"g \"", "\"\"", "\"gg\"", "g", "\"g", "\"g\","]),
    must(
        "9875 3",
        "the field says nothing in the answer to a safe request",
        r#"
        > GET /a
        < 200 | Cache-Control: max-age=60 | Cache-Groups: "g"
        > {v} /c
        < 200 | Cache-Group-Invalidation: "g"
        > GET /a
        ? hit | "body 1"
        "#,
    )
    .each(&["GET", "HEAD", "OPTIONS"]),
    must(
        "9875 2.1",
        "a request that names no scheme is of either",
        r#"
        > GET https://shop.example/a
        < 200 | Cache-Control: max-age=60 | Cache-Groups: "g"
        > POST /c
        < 200 | Cache-Group-Invalidation: "g"
        > GET https://shop.example/a
        < 200
        ? "body 3"
        "#,
    ),
    must(
        "9875 2.1",
        "groups of another origin are others",
        r#"
        > GET {v}/a
        < 200 | Cache-Control: max-age=60 | Cache-Groups: "g"
        > POST http://shop.example/c
        < 200 | Cache-Group-Invalidation: "g"
        > GET {v}/a
        ? hit | "body 1"
        "#,
    )
    .each(&["http://other.example", "https://shop.example", "http://shop.example:8080"]),
    may(
        "9875 3",
        "all variants of a group go",
        r#"
        > GET /a | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo | Cache-Groups: "g"
        > GET /a | Foo: 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo | Cache-Groups: "g"
        > DELETE /c
        < 204 | Cache-Group-Invalidation: "g"
        > GET /a | Foo: 1
        < 200
        ? "body 4"
        > GET /a | Foo: 2
        < 200
        ? "body 5"
        "#,
    ),
    must(
        "9875 2",
        "a group that is named no more is left",
        r#"
        > GET /a
        < 200 | Cache-Control: max-age=10 | Age: 20 | Cache-Groups: "g"
        > GET /a
        < 200 | Cache-Control: max-age=60 | Cache-Groups: "h"
        > POST /c
        < 200 | Cache-Group-Invalidation: "g"
        > GET /a
        ? hit | "body 2"
        > POST /c
        < 200 | Cache-Group-Invalidation: "h"
        > GET /a
        < 200
        ? "body 5"
        "#,
    ),
];

pub(crate) const TAGS: &[Row] = &[
    may(
        "9111 4.4",
        "what names a tag is evicted by it, and nothing else is",
        r#"
        > GET /a
        < 200 | Cache-Control: max-age=60 | {v}
        > GET /b
        < 200 | Cache-Control: max-age=60 | Surrogate-Key: category:films | Cache-Tag: books
        ! evict category books
        > GET /a
        < 200
        ? "body 3"
        > GET /b
        ? hit | "body 2"
        "#,
    )
    .each(&[
        "Surrogate-Key: category:books",
        "Surrogate-Key: featured category:books other",
        "Cache-Tag: category:books",
        "Cache-Tag: featured, category:books",
        "Cache-Tag: featured,category:books,other",
        "Surrogate-Key: x | Surrogate-Key: category:books",
    ]),
    may(
        "9111 4.4",
        "the tags of a 304 count",
        r#"
        > GET /a
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /a
        < 304 | Cache-Control: max-age=60 | ETag: "a" | Surrogate-Key: category:books
        ? "body 1"
        ! evict category books
        > GET /a
        < 200
        ? "body 3"
        "#,
    ),
    may(
        "9111 4.4",
        "a careful layer has tags as well, for errors too",
        r#"
        > GET /a
        < 404 | Cache-Control: max-age=60 | Surrogate-Key: category:books
        > GET /a
        ? hit | 404
        ! evict category books
        > GET /a
        < 200
        ? "body 2"
        "#,
    )
    .careful(),
];

#[tokio::test]
async fn groups() {
    run(GROUPS).await;
}

#[tokio::test]
async fn tags() {
    run(TAGS).await;
}
