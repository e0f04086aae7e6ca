//! RFC 9110 section 13 and RFC 9111 section 4.3.2: conditions of clients, judged by what is stored.

use crate::harness::{Row, may, must, run};

pub(crate) const CONDITIONS: &[Row] = &[
    may(
        "9110 13.1.2",
        "If-None-Match with the stored tag: 304, by weak comparison, in lists, or for any",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a"
        > GET / | If-None-Match: {v}
        ? hit | 304 | ETag: "a" | ""
        "#,
    )
    .each(&[
        "\"a\"",
        "W/\"a\"",
        "\"b\", \"a\"",
        "\"a\", \"b\"",
        "\"b\",\"a\",\"c\"",
        "*",
        "\"x,y\", \"a\"",
        " \"b\" , W/\"a\"",
        "\"b\" | If-None-Match: \"a\"",
        ", \"a\",",
    ]),
    may(
        "9110 13.1.2",
        "If-None-Match with a weak tag that is stored: 304",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: W/"a"
        > GET / | If-None-Match: {v}
        ? hit | 304 | ETag: W/"a"
        "#,
    )
    .each(&["\"a\"", "W/\"a\"", "*"]),
    must(
        "9110 13.1.2",
        "If-None-Match without the stored tag: the whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a"
        > GET / | If-None-Match: {v}
        ? hit | 200 | "body 1"
        "#,
    )
    .each(&["\"b\"", "\"A\"", "a", "\"\"", "\"aa\"", "\"a \"", "\"b\", \"c\"", "\"x, \"", "W/\"b\""]),
    must(
        "9110 13.1.2",
        "an answer without a tag matches no tag",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET / | If-None-Match: "a"
        < 200 | "whole"
        ? any | 200
        "#,
    ),
    may(
        "9110 13.1.3",
        "If-Modified-Since no older than Last-Modified: 304",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Last-Modified: {date-1000} | Date: {date}
        > GET / | If-Modified-Since: {v}
        ? hit | 304 | Last-Modified: {date-1000}
        "#,
    )
    .each(&["{date-1000}", "{date-500}", "{850-1000}", "{asctime-1000}", "{date}"]),
    must(
        "9110 13.1.3",
        "If-Modified-Since older than Last-Modified, or no date: the whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Last-Modified: {date-1000} | Date: {date}
        > GET / | If-Modified-Since: {v}
        < 200 | "body 1"
        ? any | 200 | "body 1"
        "#,
    )
    .each(&["{date-1001}", "{date-100000}", "garbage", "0", "{iso}", "{utc}", "{dots}"]),
    may(
        "9111 4.3.2",
        "If-Modified-Since is held against Date where there is no Last-Modified",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Date: {date-100}
        > GET / | If-Modified-Since: {date-50}
        ? hit | 304
        "#,
    ),
    must(
        "9110 13.2.2",
        "If-None-Match counts, and If-Modified-Since does not, where both are there",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Last-Modified: {date-1000}
        > GET / | If-None-Match: "b" | If-Modified-Since: {date}
        ? hit | 200 | "body 1"
        "#,
    ),
    may(
        "9110 13.2.2",
        "If-None-Match that matches is enough, whatever If-Modified-Since says",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Last-Modified: {date-1000}
        > GET / | If-None-Match: "a" | If-Modified-Since: {date-100000}
        ? hit | 304
        "#,
    ),
    must(
        "9110 15.4.5",
        "a 304 has the fields by which a copy is updated, and no body",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Vary: Accept | Expires: {date+60} | Date: {date} | Content-Location: /x
        > GET / | If-None-Match: "a"
        ? hit | 304 | Cache-Control: max-age=60 | ETag: "a" | Vary: Accept | Expires: {date+60} | Date: {date} | Content-Location: /x | Age | ""
        "#,
    ),
    must(
        "9110 13.2.1",
        "conditions do not apply to what is stored with another status than 2xx",
        r#"
        > GET /
        < {v} | Cache-Control: max-age=60 | ETag: "a"
        > GET / | If-None-Match: "a"
        ? hit | {v} | "body 1"
        "#,
    )
    .each(&["404", "301", "500"]),
    may(
        "9110 13.1.2",
        "HEAD with If-None-Match: 304",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a"
        > HEAD / | If-None-Match: "a"
        ? hit | 304
        "#,
    ),
    must(
        "9111 4.3.2",
        "in a proxy If-Match and If-Unmodified-Since are for the origin to judge",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Last-Modified: {date-1000}
        > GET / | {v}
        < 412
        ? asked | 412 | sent {v}
        "#,
    )
    .each(&[
        "If-Match: \"b\"",
        "If-Match: \"a\"",
        "If-Match: *",
        "If-Unmodified-Since: {date-2000}",
        "If-Unmodified-Since: {date}",
    ]),
    must(
        "9111 4.3.2",
        "the 412 that the origin gives is nobody else's answer",
        r#"
        > GET / | If-Match: "b"
        < 412 | Cache-Control: max-age=60
        ? 412
        > GET /
        < 200
        ? 200 | "body 2"
        "#,
    ),
    must(
        "9110 13.1.1",
        "in a server If-Match without the stored tag: 412, by strong comparison",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a"
        > GET / | If-Match: {v}
        ? hit | 412
        "#,
    )
    .each(&["\"b\"", "W/\"a\"", "\"b\", \"c\""])
    .careful(),
    must(
        "9110 13.1.1",
        "in a server If-Match with a weak stored tag: 412",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: W/"a"
        > GET / | If-Match: W/"a"
        ? hit | 412
        "#,
    )
    .careful(),
    must(
        "9110 13.1.1",
        "in a server If-Match with the stored tag: the whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a"
        > GET / | If-Match: {v}
        ? hit | 200 | "body 1"
        "#,
    )
    .each(&["\"a\"", "\"b\", \"a\"", "*"])
    .careful(),
    must(
        "9110 13.1.4",
        "in a server If-Unmodified-Since older than Last-Modified: 412, else the whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Last-Modified: {date-1000}
        > GET / | If-Unmodified-Since: {date-2000}
        ? hit | 412
        > GET / | If-Unmodified-Since: {date-500}
        ? hit | 200 | "body 1"
        > GET / | If-Unmodified-Since: garbage
        ? hit | 200 | "body 1"
        "#,
    )
    .careful(),
    must(
        "9110 13.2.2",
        "in a server If-Match counts before If-Unmodified-Since and If-None-Match",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Last-Modified: {date-1000}
        > GET / | If-Match: "a" | If-Unmodified-Since: {date-2000}
        ? hit | 200
        > GET / | If-Match: "b" | If-None-Match: "a"
        ? hit | 412
        > GET / | If-Match: "a" | If-None-Match: "a"
        ? hit | 304
        "#,
    )
    .careful(),
];

#[tokio::test]
async fn conditions_of_clients() {
    run(CONDITIONS).await;
}
