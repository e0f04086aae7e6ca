//! RFC 9111 section 4.3: asking the origin whether a stored answer is still true.

use crate::harness::{Row, may, must, run};

pub(crate) const ASKING: &[Row] = &[
    may(
        "9111 4.3.1",
        "a stale answer with an ETag is validated by If-None-Match",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: {v}
        > GET /
        < 304 | ETag: {v}
        ? sent If-None-Match: {v} | 200 | "body 1" | ETag: {v}
        "#,
    )
    .each(&["\"a\"", "W/\"a\"", "\"\"", "\"a,b\"", "\"a\\b\""]),
    may(
        "9111 4.3.1",
        "a stale answer with a Last-Modified is validated by If-Modified-Since",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | Last-Modified: {date-1000}
        > GET /
        < 304
        ? sent If-Modified-Since: {date-1000} | sent !If-None-Match | 200 | "body 1"
        "#,
    ),
    may(
        "9111 4.3.1",
        "an answer with both is validated by both",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | Last-Modified: {date-1000}
        > GET /
        < 304 | ETag: "a"
        ? sent If-None-Match: "a" | sent If-Modified-Since: {date-1000} | 200 | "body 1"
        "#,
    ),
    must(
        "9111 4.3.1",
        "an answer without a validator is asked for without conditions",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET /
        < 200
        ? sent !If-None-Match | sent !If-Modified-Since | "body 2"
        "#,
    ),
    must(
        "9111 4.3.1",
        "the first request for something has no conditions of the cache's own",
        r#"
        > GET /
        < 200
        ? sent !If-None-Match | sent !If-Modified-Since | sent !If-Match | sent !Range
        "#,
    ),
    must(
        "9110 8.8.3",
        "what is no entity tag is not sent as one, or sent as it is",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: {v}
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["abc", "'abc'", "\"abc", "w/\"abc\""]),
    must(
        "9111 4.3.1",
        "the fields of the request go with its validation",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET / | Accept: text/html | X-Trace: 1 | Cookie: a=b
        < 304 | ETag: "a"
        ? sent Accept: text/html | sent X-Trace: 1 | sent Cookie: a=b | method GET
        "#,
    ),
];

pub(crate) const ANSWERS: &[Row] = &[
    must(
        "9111 4.3.3",
        "a full answer to a validation is used and replaces the stored one",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | X-A: 1
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "b"
        ? 200 | "body 2" | ETag: "b" | !X-A
        > GET /
        ? hit | "body 2" | ETag: "b" | !X-A
        "#,
    ),
    must(
        "9111 4.3.3",
        "an answer of another status to a validation is used, and replaces if it may",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /
        < {v} | Cache-Control: max-age=60
        ? {v} | "body 2"
        > GET /
        ? hit | {v} | "body 2"
        "#,
    )
    .each(&["203", "301", "404", "410"]),
    must(
        "9111 4.3.3",
        "a server error to a validation is passed on where stale-if-error does not say otherwise",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /
        < {v}
        ? {v} | "body 2"
        "#,
    )
    .each(&["500", "502", "503", "504", "599"]),
    may(
        "9111 4.3.3",
        "a stored answer outlives a server error to its validation",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /
        < 503
        ? 503
        > GET /
        < 304 | ETag: "a"
        ? sent If-None-Match: "a" | 200 | "body 1"
        "#,
    ),
    may(
        "9111 4.3.4",
        "a 304 makes a stored answer fresh",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Age: 100 | ETag: "a"
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "a"
        ? 200 | "body 1"
        > GET /
        ? hit | 200 | "body 1"
        "#,
    ),
    must(
        "9111 3.2",
        "a 304 updates the stored fields, and adds new ones",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | X-A: 1 | X-B: 1 | X-B: 2 | Content-Type: text/plain
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "a" | X-A: 2 | X-B: 3 | X-C: 4
        ? 200 | "body 1" | X-A: 2 | X-B: 3 | X-C: 4 | Content-Type: text/plain | Cache-Control: max-age=60
        > GET /
        ? hit | "body 1" | X-A: 2 | X-B: 3 | X-C: 4 | Content-Type: text/plain | Cache-Control: max-age=60
        "#,
    ),
    must(
        "9111 3.2",
        "a 304 updates every field, whatever its name",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | {v}: old
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "a" | {v}: new
        ? 200 | "body 1" | {v}: new
        > GET /
        ? hit | "body 1" | {v}: new
        "#,
    )
    .each(&[
        "X-Frame-Options",
        "Content-Foo",
        "X-Content-Foo",
        "Content-Security-Policy",
        "Content-Language",
        "Link",
        "Set-Cookie",
        "Clear-Site-Data",
        "Public-Key-Pins",
        "Content-Disposition",
        "Server",
        "Allow",
        "Content-MD5",
        "Content-Location",
        "X-XSS-Protection",
    ]),
    must(
        "9111 3.2",
        "a 304 does not update Content-Length",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | Content-Length: 4 | "four"
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "a" | Content-Length: {v}
        ? 200 | "four" | Content-Length: 4
        > GET /
        ? hit | "four" | Content-Length: 4
        "#,
    )
    .each(&["0", "3", "100"]),
    must(
        "9111 3.1",
        "a 304 brings no hop-by-hop field into the store",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "a" | Connection: X-Hop | X-Hop: 1 | Keep-Alive: timeout=5 | Proxy-Authenticate: Basic
        ? 200 | "body 1"
        > GET /
        ? hit | !Connection | !X-Hop | !Keep-Alive | !Proxy-Authenticate
        "#,
    ),
    must(
        "9111 4.3.4",
        "a 304 with another validator updates nothing, and what it holds for is not kept",
        r#"
        > GET /
        < 200 | Cache-Control: {v} | Age: 20 | {w} | X-A: 1
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "b" | X-A: 2
        ? asked | 200 | "body 1" | {w} | X-A: 1 | Cache-Status ~ detail=mismatched
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "b" | "new"
        ? asked | sent !If-None-Match | 200 | "new"
        "#,
    )
    .each(&[
        "max-age=10 => ETag: \"a\"",
        "max-age=10 => ETag: \"b-gzip\"",
        "max-age=10 => ETag: W/\"a\"",
        "max-age=10, must-revalidate => ETag: \"a\"",
        "no-cache => ETag: \"a\"",
    ]),
    must(
        "9111 4.3.4",
        "a 304 to a date alone that names another, or a tag, updates nothing, and what it holds for is not kept",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | Last-Modified: {date-1000}
        > GET /
        < 304 | Cache-Control: max-age=60 | {v}
        ? asked | sent If-Modified-Since: {date-1000} | 200 | "body 1" | Cache-Status ~ detail=mismatched
        > GET /
        < 200 | Cache-Control: max-age=60 | "new"
        ? asked | sent !If-Modified-Since | 200 | "new"
        "#,
    )
    .each(&["Last-Modified: {date-2000}", "Last-Modified: {date-10}", "ETag: \"a\"", "ETag: W/\"a\""]),
    must(
        "9111 4.3.4",
        "the client's own condition is judged by what comes back, so a 304 is about what is stored, whatever it names",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET / | If-None-Match: {v}
        < 304 | {w}
        ? asked | sent If-None-Match: "a" | 200 | "body 1" | ETag: "a"
        "#,
    )
    .each(&["\"c\" => ETag: \"b\"", "\"c\" => X-A: 1", "\"b\" => ETag: \"b\"", "\"b\", \"c\" => ETag: \"a\""]),
    must(
        "9111 3.2",
        "an older freshness does not come back by a 304 that says none",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /
        < 304 | ETag: "a" | Cache-Control: max-age=0
        ? 200 | "body 1"
        > GET /
        < 304 | ETag: "a"
        ? 200 | "body 1"
        "#,
    ),
    must(
        "9111 5.2.2.5",
        "a 304 with no-store or private: the answer is not kept as fresh",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /
        < 304 | ETag: "a" | Cache-Control: {v}
        ? 200 | "body 1"
        > GET /
        < 200 | "new"
        ? 200 | "new"
        "#,
    )
    .each(&["no-store", "private, max-age=60", "no-cache, max-age=60"]),
    must(
        "9111 4.3.4",
        "what a 304 says goes to whom it was said, though it may not be stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | X-A: 1
        > GET /
        < 304 | ETag: "a" | X-A: 2 | {v} | Connection: X-B | X-B: 1
        ? 200 | "body 1" | X-A: 2 | {v} | !X-B | Cache-Status !~ stored
        > GET /
        < 200 | "new"
        ? asked | "new"
        "#,
    )
    .each(&["Cache-Control: no-store", "Cache-Control: private"]),
    may(
        "9111 4.3.3",
        "an answer that is about the client leaves what is stored as it is",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET / | If-None-Match: "x"
        < {v} | Cache-Control: no-store
        ? {v} | "body 2"
        > GET /
        < 304 | ETag: "a" | Cache-Control: max-age=60
        ? sent If-None-Match: "a" | 200 | "body 1"
        > GET /
        ? hit | "body 1"
        "#,
    )
    .each(&["302", "303", "307", "400", "401", "403", "429", "451"]),
    must(
        "9111 4.3.4",
        "a 304 to a client without conditions is never passed on",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | {v}
        > GET /
        < 304
        ? 200 | "body 1"
        "#,
    )
    .each(&["ETag: \"a\"", "ETag: W/\"a\"", "Last-Modified: {date-100}"]),
    may(
        "9111 4.3.4",
        "a 304 with the same weak validator freshens",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: W/"a"
        > GET /
        < 304 | ETag: W/"a" | Cache-Control: max-age=60
        ? 200 | "body 1"
        > GET /
        ? hit | 200 | "body 1"
        "#,
    ),
    may(
        "9111 4.3.3",
        "a stored answer that a validation showed to be outdated is not used again, though the new one may not be stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a"
        > GET / | Cache-Control: no-cache
        < 200 | Cache-Control: no-store
        ? "body 2"
        > GET /
        < 200
        ? "body 3"
        "#,
    ),
    may(
        "9111 4.2.3",
        "a 304 that says nothing of freshness makes fresh by what is stored, from now on",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Age: 100 | ETag: "a" | Date: {date-100}
        > GET /
        < 304 | ETag: "a" | Date: {date}
        ? 200 | "body 1" | Date: {date}
        > GET /
        ? hit | "body 1" | Age <= 30
        "#,
    ),
    may(
        "9111 3.2",
        "a 304 with a new Expires makes fresh",
        r#"
        > GET /
        < 200 | Date: {date-100} | Expires: {date-10} | ETag: "a"
        > GET /
        < 304 | ETag: "a" | Date: {date} | Expires: {date+600}
        ? 200 | "body 1" | Expires: {date+600}
        > GET /
        ? hit | "body 1" | Expires: {date+600}
        "#,
    ),
    must(
        "9111 3.2",
        "a 304 with a Vary: the answer is for those whom it selects",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET / | Foo: 1
        < 304 | Cache-Control: max-age=60 | ETag: "a" | Vary: {v}
        ? 200 | "body 1"
        > GET / | Foo: 2
        < 200 | "other"
        ? asked | "other"
        "#,
    )
    .each(&["Foo", "*"]),
    may(
        "9111 4.3.4",
        "a stored error is validated too",
        r#"
        > GET /
        < 404 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET /
        < 304 | ETag: "a"
        ? 404 | "body 1"
        "#,
    ),
];

pub(crate) const CLIENTS_OWN: &[Row] = &[
    must(
        "9111 4.3.2",
        "a client's own condition and the cache's: the client gets 304 if its copy is the one that is true",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET / | If-None-Match: "a"
        < 304 | ETag: "a"
        ? 304 | ETag: "a" | ""
        "#,
    ),
    must(
        "9111 4.3.2",
        "a client whose copy is another one than is stored gets the whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET / | If-None-Match: "old"
        < 304 | ETag: "a"
        ? 200 | "body 1" | sent If-None-Match ~ "a"
        "#,
    ),
    must(
        "9111 4.3.2",
        "a 304 that says that the client's copy is true, and not the stored one, goes to the client and updates nothing",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET / | If-None-Match: "b"
        < 304 | ETag: "b" | Cache-Control: max-age=60
        ? any
        > GET /
        < 200 | ETag: "b" | "whole"
        ? 200 | "whole"
        "#,
    ),
    must(
        "9111 4.3.3",
        "a new answer to a client with conditions is stored as a whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a"
        > GET / | If-None-Match: "a"
        < 200 | Cache-Control: max-age=60 | ETag: "b"
        ? 200 | "body 2"
        > GET /
        ? hit | "body 2"
        "#,
    ),
    must(
        "9110 13.1.2",
        "a condition on what is not stored goes to the origin as it is",
        r#"
        > GET / | If-None-Match: "x", W/"y"
        < 304 | ETag: "x"
        ? 304 | sent If-None-Match: "x", W/"y"
        "#,
    ),
    must(
        "9110 13.1.3",
        "a date condition on what is not stored goes to the origin as it is",
        r#"
        > GET / | If-Modified-Since: {date-100}
        < 304
        ? 304 | sent If-Modified-Since: {date-100}
        "#,
    ),
];

#[tokio::test]
async fn validation_requests() {
    run(ASKING).await;
}

#[tokio::test]
async fn validation_answers() {
    run(ANSWERS).await;
}

#[tokio::test]
async fn validation_with_conditions_of_clients() {
    run(CLIENTS_OWN).await;
}
