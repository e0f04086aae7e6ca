//! RFC 9111 sections 3.3 and 3.4: parts that are all there is, what is made of them, and what must not be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use cache_core::Cache;
use cache_tower::{CacheLayer, Caching};
use http::{Request, StatusCode};
use tower::Layer;

use crate::{
    flows::{Handmade, answer, body_of, request},
    harness::{Row, may, must, run},
};

pub(crate) const FROM_PARTS: &[Row] = &[
    must(
        "9111 3.3",
        "a part never serves the whole",
        r#"
        > GET / | Range: bytes=0-3
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-3/10 | Content-Length: 4 | "0123"
        ? 206 | "0123" | Content-Range: bytes 0-3/10
        > GET /
        < 200 | ETag: "a" | "0123456789"
        ? 200 | "0123456789"
        "#,
    ),
    must(
        "9111 3.3",
        "a part never serves another part that it has not",
        r#"
        > GET / | Range: bytes=0-3
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-3/10 | "0123"
        > GET / | Range: bytes={v}
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes {w}
        ? asked | 206
        "#,
    )
    .each(&[
        "4-6 => 4-6/10 | \"456\"",
        "2-5 => 2-5/10 | \"2345\"",
        "-2 => 8-9/10 | \"89\"",
        "2- => 2-9/10 | \"23456789\"",
    ]),
    must(
        "9111 3.3",
        "a part is no answer to a request without Range, though the origin gave it to one",
        r#"
        > GET /
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-3/10 | "0123"
        > GET /
        < 200 | "0123456789"
        ? 200 | "0123456789"
        "#,
    ),
    must(
        "9111 3.3",
        "a part without Content-Range is not used",
        r#"
        > GET / | Range: bytes=0-3
        < 206 | Cache-Control: max-age=60 | ETag: "a" | "0123"
        > GET / | Range: bytes=0-3
        < 206 | ETag: "a" | "0123"
        ? asked
        "#,
    ),
    must(
        "9111 3.3",
        "several parts in one answer never serve the whole",
        r#"
        > GET / | Range: bytes=0-1,8-9
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Type: multipart/byteranges; boundary=x | "--x\r\n\r\n01\r\n--x--"
        > GET /
        < 200 | "0123456789"
        ? 200 | "0123456789"
        "#,
    ),
    must(
        "9110 15.5.17",
        "a 416 of the origin is nobody else's answer",
        r#"
        > GET / | Range: bytes=100-
        < 416 | Cache-Control: max-age=60 | Content-Range: bytes */10
        ? 416
        > GET /
        < 200 | "0123456789"
        ? 200 | "0123456789"
        "#,
    ),
    may(
        "9110 14.2",
        "a whole that is the answer to a Range is stored as the whole",
        r#"
        > GET / | Range: bytes=0-3
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET /
        ? hit | 200 | "0123456789"
        "#,
    ),
    must(
        "9111 3.4",
        "a part of another representation does not change the stored whole to a mixture",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | "0123456789"
        > GET / | Range: bytes=0-3
        < 206 | Cache-Control: max-age=60 | ETag: "b" | Content-Range: bytes 0-3/10 | "abcd"
        ? 206 | "abcd" | ETag: "b"
        > GET /
        < 200 | ETag: "b" | "abcdefghij"
        ? 200 | "abcdefghij"
        "#,
    ),
    may(
        "9111 3.3",
        "a stored part serves the same part, and parts of it",
        r#"
        > GET / | Range: bytes=2-7
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 2-7/10 | Content-Length: 6 | "234567"
        > GET / | Range: bytes={v}
        ? hit | 206 | {w}
        "#,
    )
    .each(&["2-7 => Content-Range: bytes 2-7/10 | \"234567\"", "3-4 => Content-Range: bytes 3-4/10 | \"34\""]),
    may(
        "9111 3.4",
        "parts under one strong validator are combined to the whole",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET / | Range: bytes=5-9
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 5-9/10 | "56789"
        > GET /
        ? hit | 200 | "0123456789" | !Content-Range
        "#,
    ),
    must(
        "9111 3.4",
        "parts without one strong validator are not combined",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | {v} | Content-Range: bytes 0-4/10 | "01234"
        > GET / | Range: bytes=5-9
        < 206 | Cache-Control: max-age=60 | {w} | Content-Range: bytes 5-9/10 | "56789"
        > GET /
        < 200 | "whole"
        ? 200 | "whole"
        "#,
    )
    .each(&["ETag: \"a\" => ETag: \"b\"", "ETag: W/\"a\" => ETag: W/\"a\"", "X-A: b => X-A: b"]),
    may(
        "9111 3.3",
        "a stored part is completed by asking for the rest",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET /
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 5-9/10 | "56789"
        ? sent Range: bytes=5- | sent If-Range: "a" | 200 | "0123456789" | !Content-Range
        "#,
    ),
    must(
        "9110 14.2",
        "the Range of a request goes to the origin, or the part is cut out of the whole",
        r#"
        > GET / | Range: bytes=0-3
        < 206 | ETag: "a" | Content-Range: bytes 0-3/10 | "0123"
        ? 206 | "0123"
        "#,
    ),
];

pub(crate) const CARE_WITH_PARTS: &[Row] = &[
    must(
        "9111 3",
        "a part is stored by the same rules as a whole",
        r#"
        > GET / | Range: bytes=0-3 | X-A: b
        < 206 | {v} | ETag: "a" | Content-Range: bytes 0-3/10 | "0123"
        > GET / | Range: bytes=0-3 | X-A: c
        < 206 | ETag: "b" | Content-Range: bytes 0-3/10 | "abcd"
        ? asked | 206 | "abcd"
        > GET /
        < 200 | ETag: "b" | "abcdefghij"
        ? 200 | "abcdefghij"
        "#,
    )
    .each(&[
        "Cache-Control: no-store, max-age=60",
        "Cache-Control: private, max-age=60",
        "Cache-Control: max-age=60 | Vary: X-A",
        "Cache-Control: max-age=60 | Vary: *",
        "Cache-Control: max-age=10 | Age: 20",
        "Cache-Control: max-age=0",
        "Cache-Control: no-cache, max-age=60",
    ]),
    must(
        "9111 3.5",
        "a part for alice is nobody else's",
        r#"
        > GET / | Range: bytes=0-3 | Authorization: alice
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-3/10 | "alic"
        > GET / | {v}
        < 206 | Cache-Control: max-age=60 | ETag: "b" | Content-Range: bytes 0-3/10 | "bob1"
        ? asked | "bob1"
        "#,
    )
    .each(&["Range: bytes=0-3", "Range: bytes=0-3 | Authorization: bob"]),
    must(
        "9111 3.3",
        "a part that is not what its Content-Range says is not used",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | {v}
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        ? asked | "01234"
        "#,
    )
    .each(&[
        "Content-Range: bytes 0-4/10 | \"012\"",
        "Content-Range: bytes 0-4/10 | \"0123456789\"",
        "Content-Range: bytes 4-0/10 | \"0123x\"",
        "Content-Range: bytes 0-4/3 | \"0123x\"",
        "Content-Range: bytes a-b/10 | \"0123x\"",
        "Content-Range: items 0-4/10 | \"0123x\"",
        "Content-Range: bytes */10 | \"0123x\"",
        "Content-Range: bytes 0-4 | \"0123x\"",
        "Content-Range: bytes 99999999999999999999-99999999999999999999/99999999999999999999 | \"0123x\"",
        "Content-Range: bytes 0-4/10 | \"01\" | breaks",
    ]),
    must(
        "9111 3.3",
        "a part of a representation of unknown length never becomes a whole",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/* | "01234"
        > GET /
        < 200 | ETag: "a" | "0123456789"
        ? asked | 200 | "0123456789"
        "#,
    ),
    must(
        "9111 3.4",
        "parts that disagree on the length are not combined",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/12 | "01234"
        > GET / | Range: bytes=5-9
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 5-9/10 | "56789"
        > GET /
        < 200 | ETag: "b" | "whole"
        ? asked | 200 | "whole"
        "#,
    ),
    may(
        "9111 3.4",
        "parts are combined in any order, and where they overlap",
        r#"
        > GET / | Range: bytes=6-9
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 6-9/10 | "6789"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET / | Range: bytes=3-7
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 3-7/10 | "34567"
        > GET / | Range: bytes=2-8
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 2-8/10 | "2345678"
        ? any | 206 | "2345678"
        > GET /
        < 200 | "0123456789"
        ? any | 200 | "0123456789" | !Content-Range
        "#,
    ),
    must(
        "9111 3.3",
        "a rest that is another representation, or another part, is not put to what is stored",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET /
        < {v}
        ? any | not "01234abcde" | not "0123456789" | not "0123401234"
        > GET /
        < 200 | ETag: "c" | "new whole"
        ? any | 200 | {w}
        "#,
    )
    .each(&[
        "200 | Cache-Control: max-age=60 | ETag: \"b\" | \"abcdefghij\" => \"abcdefghij\"",
        "206 | ETag: \"b\" | Content-Range: bytes 5-9/10 | \"abcde\" => \"new whole\"",
        "206 | ETag: W/\"a\" | Content-Range: bytes 5-9/10 | \"abcde\" => \"new whole\"",
        "206 | Content-Range: bytes 5-9/10 | \"abcde\" => \"new whole\"",
        "206 | ETag: \"a\" | Content-Range: bytes 0-4/10 | \"01234\" => \"new whole\"",
        "206 | ETag: \"a\" | Content-Range: bytes 6-9/10 | \"6789\" => \"new whole\"",
        "206 | ETag: \"a\" | Content-Range: bytes 5-9/20 | \"abcde\" => \"new whole\"",
        "206 | ETag: \"a\" | \"abcde\" => \"new whole\"",
    ]),
    must(
        "9111 3.3",
        "a rest that cannot be had gives nobody a part for a whole, nor a status that nobody asked for",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET /
        < {v}
        ? any | {w}
        > GET /
        < 200 | ETag: "c" | "new whole"
        ? asked | 200 | "new whole"
        "#,
    )
    .each(&[
        "503 | \"sorry\" => 503",
        "404 | \"gone\" => 404",
        "416 | Content-Range: bytes */4 => 502",
        "206 | Cache-Control: no-store | ETag: \"a\" | Content-Range: bytes 5-9/10 | \"56789\" => 200 | \"0123456789\"",
        "fails => error",
    ]),
    must(
        "9111 3.3",
        "a stored part that is validated is a part still, also if it may not be kept",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET / | Range: bytes={v}
        < 304 | ETag: "a" | Cache-Control: {w}
        ? asked | 206
        > GET /
        < 200 | "0123456789"
        ? any | 200 | "0123456789"
        "#,
    )
    .each(&[
        "0-4 => max-age=60",
        "0-4 => no-store",
        "0-4 => no-cache",
        "0-4 => private",
        "1-2 => no-store",
        "1-2 => max-age=60",
    ]),
    must(
        "5861 4",
        "a part does not stand in where it is not what was asked for",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=10, stale-if-error=600 | Age: {v} | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET / | {w}
        < 503 | "sorry"
        ? asked | 503 | "sorry"
        "#,
    )
    .each(&["20 => X-A: b", "20 => Range: bytes=5-9", "0 => X-A: b", "0 => Range: bytes=3-7"]),
    must(
        "9111 5.2.1.7",
        "only-if-cached: a stored part is not completed, nor another part fetched",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET / | Cache-Control: only-if-cached | {v}
        ? hit | 504
        "#,
    )
    .each(&["X-A: b", "Range: bytes=5-9", "Range: bytes=0-9", "If-None-Match: \"b\""]),
    must(
        "9111 3.3",
        "with a rest that breaks off there is no whole, for nobody",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET /
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 5-9/10 | "56" | breaks
        ? asked | unfinished
        > GET /
        < 200 | ETag: "a" | "0123456789"
        ? asked | 200 | "0123456789"
        "#,
    ),
    must(
        "9111 4.4",
        "parts are invalidated as wholes are",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > POST /
        < 200
        > GET / | Range: bytes=0-4
        < 206 | ETag: "b" | Content-Range: bytes 0-4/10 | "abcde"
        ? asked | "abcde"
        > GET /
        < 200 | "abcdefghij"
        ? asked | 200 | "abcdefghij" | sent !Range
        "#,
    ),
    must(
        "9110 13.1.5",
        "If-Range with another validator than that of a stored part is not answered by the part",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET / | Range: bytes=0-4 | If-Range: {v}
        < 200 | ETag: "b" | "abcdefghij"
        ? asked | 200 | "abcdefghij"
        "#,
    )
    .each(&["\"b\"", "W/\"a\"", "{date}"]),
    must(
        "9110 9.3.2",
        "HEAD says nothing of parts",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Length: 5 | Content-Range: bytes 0-4/10 | "01234"
        > HEAD /
        < 200 | ETag: "a" | Content-Length: 10
        ? any | 200 | Content-Length: 10 | !Content-Range
        "#,
    ),
    must(
        "9110 14.2",
        "several parts are made of a stored part only if it has them all",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET / | Range: bytes=0-1,8-9
        < 200 | ETag: "a" | "0123456789"
        ? asked | 200 | "0123456789"
        "#,
    ),
    must(
        "9111 4",
        "a whole takes the place of older parts, and newer parts that of an older whole that differs",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=60 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "b" | "abcdefghij"
        ? 200 | "abcdefghij"
        > GET / | Range: bytes=0-4
        ? hit | 206 | "abcde" | ETag: "b"
        "#,
    ),
    must(
        "9111 3",
        "the part out of the store has no fields of one connection, and its age",
        r#"
        > GET / | Range: bytes=0-4
        < 206 | Cache-Control: max-age=600 | Age: 20 | ETag: "a" | Content-Range: bytes 0-4/10 | Connection: X-Hop | X-Hop: 1 | "01234"
        > GET / | Range: bytes=0-4
        < 206 | Age: 20 | ETag: "a" | Content-Range: bytes 0-4/10 | "01234"
        ? any | 206 | "01234" | !X-Hop | !Connection | Age >= 20
        "#,
    ),
];

#[tokio::test]
async fn parts_with_care() {
    run(CARE_WITH_PARTS).await;
}

#[tokio::test]
async fn parts() {
    run(FROM_PARTS).await;
}

/// RFC 9111 section 3.4: what is put together and is more than is kept goes to whom it was put together for.
#[tokio::test]
async fn parts_that_are_too_large_together_are_given_and_not_kept() {
    let origin = Handmade::answering(|request: &Request<String>| {
        let range = request.headers()["range"].to_str().unwrap().trim_start_matches("bytes=").to_owned();
        let (first, last) = range.split_once('-').unwrap();
        let bytes = &"0123456789"[first.parse().unwrap()..=last.parse().unwrap()];
        let content_range = format!("bytes {range}/10");
        let headers = [("cache-control", "max-age=60"), ("etag", "\"a\""), ("content-range", &content_range)];
        let mut part = answer(&headers, bytes);
        *part.status_mut() = StatusCode::PARTIAL_CONTENT;
        part.extensions_mut().insert(Caching::new().max_body(5));
        part
    });
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin.clone());
    for (range, bytes, asked) in [("0-3", "0123", 1), ("0-7", "01234567", 2), ("0-3", "0123", 3)] {
        let range = format!("bytes={range}");
        let (parts, body) = body_of(service.clone(), request("GET", "/", &[("range", &range)])).await;
        assert_eq!((parts.status.as_u16(), &body[..]), (206, bytes.as_bytes()), "{range}: {:?}", parts.headers);
        assert_eq!(origin.asked(), asked, "{range}");
    }
}
