//! RFC 9110 section 9.3.2 and RFC 9111 section 4.3.5: HEAD.

use crate::harness::{Row, may, must, run};

pub(crate) const HEAD: &[Row] = &[
    may(
        "9110 9.3.2",
        "HEAD is answered by what GET stored, without its body",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Content-Length: 5 | X-A: 1 | ETag: "a" | "whole"
        > HEAD /
        ? hit | 200 | "" | Content-Length: 5 | X-A: 1 | ETag: "a" | Age
        "#,
    ),
    may(
        "9110 9.3.2",
        "HEAD is answered by stored errors and redirects too",
        r#"
        > GET /
        < {v} | Cache-Control: max-age=60
        > HEAD /
        ? hit | {v} | ""
        "#,
    )
    .each(&["404", "301", "500"]),
    must(
        "9110 9.3.2",
        "what HEAD brings is no answer to GET",
        r#"
        > HEAD /
        < 200 | Cache-Control: max-age=60 | Content-Length: 5
        ? 200 | ""
        > GET /
        < 200 | "whole"
        ? "whole"
        "#,
    ),
    must(
        "9110 9.3.2",
        "HEAD is not answered by a stale answer",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > HEAD /
        < 200
        ? asked
        "#,
    ),
    must(
        "9110 9.3.2",
        "HEAD is not answered by another variant",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > HEAD / | Foo: 2
        < 200 | Vary: Foo
        ? asked
        > HEAD / | Foo: 1
        ? hit
        "#,
    ),
    may(
        "9111 4.3.5",
        "the answer 200 to HEAD with the same validator and length updates what is stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | Content-Length: 5 | X-A: 1 | "whole"
        > HEAD /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Content-Length: 5 | X-A: 2
        ? 200 | "" | X-A: 2
        > GET /
        ? hit | "whole" | X-A: 2
        "#,
    ),
    may(
        "9111 4.3.5",
        "the answer 200 to HEAD with another validator or length makes stale what is stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Last-Modified: {date-1000} | Content-Length: 5 | "whole"
        > HEAD / | Cache-Control: no-cache
        < 200 | Cache-Control: max-age=60 | {v}
        ? 200 | ""
        > GET /
        < 200 | "newer"
        ? asked | "newer"
        "#,
    )
    .each(&[
        "ETag: \"b\" | Content-Length: 5",
        "ETag: \"a\" | Content-Length: 6",
        "ETag: \"b\" | Content-Length: 6",
        "Last-Modified: {date-10} | Content-Length: 5",
    ]),
    may(
        "9111 4.3.5",
        "the answer 200 to HEAD that names no validator says nothing of what is stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | "whole"
        > HEAD /
        < 200 | Cache-Control: max-age=60 | X-A: 2
        ? 200 | ""
        > GET /
        < 304 | ETag: "a"
        ? asked | sent If-None-Match: "a" | 200 | "whole" | !X-A
        "#,
    ),
    must(
        "9111 4.3.5",
        "a HEAD that differs never gives the stored body other validators",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | Content-Length: 5 | "whole"
        > HEAD /
        < 200 | Cache-Control: max-age=60 | ETag: "b" | Content-Length: 7
        ? any | ""
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "b" | Content-Length: 7 | "another"
        ? asked | "another" | ETag: "b"
        "#,
    ),
    may(
        "9111 4.3.1",
        "HEAD validates a stale answer",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | Content-Length: 5 | "whole"
        > HEAD /
        < 304 | ETag: "a" | Cache-Control: max-age=60
        ? 200 | "" | Content-Length: 5 | sent If-None-Match: "a"
        > GET /
        ? hit | 200 | "whole"
        "#,
    ),
    must(
        "9110 9.3.2",
        "HEAD of what is not stored is passed on as HEAD, or as GET, and has no body",
        r#"
        > HEAD /
        < 200 | Content-Length: 5
        ? 200 | "" | Content-Length: 5
        "#,
    ),
    must(
        "9111 4.4",
        "HEAD does not invalidate",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | "whole"
        > HEAD / | Cache-Control: no-cache
        < 503
        ? any
        > GET /
        ? hit | "whole"
        "#,
    ),
    must(
        "9111 4.3.5",
        "a HEAD of no-store is not kept",
        r#"
        > HEAD /
        < 200 | Cache-Control: no-store | X-A: 1
        > HEAD /
        < 200 | X-A: 2
        ? asked | X-A: 2
        "#,
    ),
];

#[tokio::test]
async fn head() {
    run(HEAD).await;
}
