//! RFC 9111 section 3.5: requests with credentials.

use crate::harness::{Row, may, must, run};

pub(crate) const AUTHORIZATION: &[Row] = &[
    must(
        "9111 3.5",
        "an answer to a request with Authorization is not stored without a word that allows it",
        r#"
        > GET / | Authorization: Basic YWxpY2U=
        < 200 | {v} | "alice"
        > GET / | Authorization: Basic Ym9i
        < 200 | {v} | "bob"
        ? "bob"
        > GET / | Authorization: Basic YWxpY2U=
        < 200 | "alice again"
        ? "alice again"
        > GET /
        < 401 | "who are you"
        ? 401
        "#,
    )
    .each(&[
        "Cache-Control: max-age=60",
        "Date: {date} | Expires: {date+60}",
        "Date: {date} | Last-Modified: {date-1000000}",
        "Cache-Control: max-age=60, proxy-revalidate",
        "Cache-Control: max-age=60, immutable",
        "Cache-Control: max-age=60, foo=\"public\"",
        "Cache-Control: max-age=60, stale-while-revalidate=60",
        "Cache-Control: max-age=60, no-transform",
        "Cache-Control: max-age=60, must-understand",
        "Cache-Control: public, private, max-age=60",
        "Cache-Control: public, no-store, max-age=60",
    ]),
    may(
        "9111 3.5",
        "public, s-maxage and must-revalidate allow it",
        r#"
        > GET / | Authorization: Basic YWxpY2U=
        < 200 | Cache-Control: {v}
        > GET / | Authorization: Basic Ym9i
        ? hit
        > GET /
        ? hit
        "#,
    )
    .each(&[
        "public, max-age=60",
        "s-maxage=60",
        "max-age=60, must-revalidate",
        "Public, max-age=60",
        "max-age=60 | Cache-Control: public",
    ]),
    may(
        "9111 3.5",
        "a careful layer does as these words say",
        r#"
        > GET / | Authorization: Basic YWxpY2U=
        < 200 | Cache-Control: {v}
        > GET / | Authorization: Basic Ym9i
        ? hit
        "#,
    )
    .each(&["public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"])
    .careful(),
    must(
        "9111 3.5",
        "an answer to a request with Authorization that may not be stored does not take the place of what is stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | "public"
        > GET / | Authorization: Basic YWxpY2U=
        < 200 | Cache-Control: max-age=60 | ETag: "b" | "alice"
        ? "alice"
        > GET /
        < 200 | "public"
        ? any | 200 | "public"
        "#,
    ),
    must(
        "9111 3.5",
        "a challenge is not kept unless it says so",
        r#"
        > GET /
        < 401 | WWW-Authenticate: Basic realm="x"
        ? 401 | WWW-Authenticate: Basic realm="x"
        > GET / | Authorization: Basic YWxpY2U=
        < 200 | "alice"
        ? "alice"
        "#,
    ),
    must(
        "9111 3.5",
        "a 304 to a request with Authorization does not bring private fields into a stored answer",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | "public"
        > GET / | Authorization: Basic YWxpY2U=
        < 304 | Cache-Control: max-age=60 | ETag: "a" | X-User: alice
        ? 200 | "public"
        > GET /
        < 304 | ETag: "a"
        ? any | "public" | X-User !~ alice
        "#,
    ),
    must(
        "9111 3.5",
        "what is fetched behind a request with Authorization is stored only by a word that allows it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10, stale-while-revalidate=600 | Age: 20 | "public"
        > GET / | Authorization: Basic YWxpY2U=
        < 200 | Cache-Control: max-age=60 | "alice"
        ? any
        > GET /
        < 200 | Cache-Control: max-age=60 | "public again"
        ? any | not "alice"
        > GET / | Authorization: Basic Ym9i
        < 200 | Cache-Control: max-age=60 | "bob"
        ? any | not "alice"
        "#,
    ),
    must(
        "9111 3.5",
        "a request with Authorization is validated for itself, and what it brings is nobody else's",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | "public"
        > GET / | Authorization: Basic YWxpY2U=
        < 200 | Cache-Control: max-age=60 | ETag: "b" | "alice"
        ? 200 | "alice"
        > GET / | Authorization: Basic Ym9i
        < 200 | Cache-Control: max-age=60 | ETag: "c" | "bob"
        ? 200 | "bob"
        "#,
    ),
];

#[tokio::test]
async fn authorization() {
    run(AUTHORIZATION).await;
}
