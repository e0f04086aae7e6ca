//! RFC 9110 section 14: parts of what is stored.

use cache_core::Cache;
use cache_tower::CacheLayer;
use http_body::Body;
use tower::{Layer, ServiceExt};

use crate::{
    flows::{Handmade, answer, body_of, get, request},
    harness::{Row, may, must, run, settle},
};

pub(crate) const FROM_WHOLE: &[Row] = &[
    may(
        "9110 14.2",
        "a stored whole serves its parts",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Content-Type: text/plain | Content-Length: 10 | "0123456789"
        > GET / | Range: {v}
        ? hit | 206 | {w} | ETag: "a" | Content-Type: text/plain | Age
        "#,
    )
    .each(&[
        "bytes=0-3 => Content-Range: bytes 0-3/10 | Content-Length: 4 | \"0123\"",
        "bytes=3-3 => Content-Range: bytes 3-3/10 | Content-Length: 1 | \"3\"",
        "bytes=5- => Content-Range: bytes 5-9/10 | Content-Length: 5 | \"56789\"",
        "bytes=-3 => Content-Range: bytes 7-9/10 | Content-Length: 3 | \"789\"",
        "bytes=-100 => Content-Range: bytes 0-9/10 | \"0123456789\"",
        "bytes=8-100 => Content-Range: bytes 8-9/10 | \"89\"",
        "bytes=0-99999999999999999999999 => Content-Range: bytes 0-9/10 | \"0123456789\"",
        "Bytes=0-3 => Content-Range: bytes 0-3/10 | \"0123\"",
        "bytes=0-0, 100-200 => \"0\"",
    ]),
    may(
        "9110 14.6",
        "several parts are a multipart answer, each with its Content-Range",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Content-Type: text/plain | "0123456789"
        > GET / | Range: {v}
        ? hit | 206 | Content-Type ~ multipart/byteranges; boundary= | !Content-Range
        ? has "bytes 0-1/10" | has "bytes 8-9/10" | has "text/plain" | has "01" | has "89" | not "0123456789"
        "#,
    )
    .each(&[
        "bytes=0-1,8-9",
        "bytes=0-1, -2",
        "bytes=0-1 , 8-",
        "bytes=8-9,0-1",
        "bytes=0-1,,8-9",
        "bytes=0-1,100-200,8-9",
    ]),
    must(
        "9110 14.2",
        "a Range that is none is ignored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET / | Range: {v}
        ? hit | 200 | "0123456789" | !Content-Range
        "#,
    )
    .each(&[
        "items=0-3",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=3-1",
        "bytes 0-3",
        "0-3",
        "bytes=0-3-5",
        "bytes=+1-3",
        "bytes=0x1-3",
        "bytes=1-2,x",
        "bytes=--1",
        "bytes=0 -3",
        "lines=0-3,bytes=0-3",
    ]),
    may(
        "9110 15.5.17",
        "a Range that has nothing of the stored whole: 416 with its length",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET / | Range: {v}
        ? hit | 416 | Content-Range: bytes */10 | not "0123456789"
        "#,
    )
    .each(&["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-", "bytes=10-,20-30"]),
    must(
        "9110 14.2",
        "a 416 out of the store does not harm what is stored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET / | Range: bytes=100-
        ? hit | 416
        > GET /
        ? hit | 200 | "0123456789"
        "#,
    ),
    must(
        "9110 14.2",
        "Range is for GET alone",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Content-Length: 10 | "0123456789"
        > HEAD / | Range: {v}
        ? hit | 200 | "" | !Content-Range | Content-Length: 10
        "#,
    )
    .each(&["bytes=0-3", "bytes=100-"]),
    must(
        "9110 14.2",
        "Range applies to 200 alone",
        r#"
        > GET /
        < {v} | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET / | Range: bytes=0-3
        ? hit | {v} | "0123456789" | !Content-Range
        "#,
    )
    .each(&["404", "301", "500", "203"]),
    may(
        "9110 13.1.5",
        "If-Range with the stored strong validator: the part",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Last-Modified: {date-100000} | Date: {date} | "0123456789"
        > GET / | Range: bytes=0-3 | If-Range: {v}
        ? hit | 206 | "0123"
        "#,
    )
    .each(&["\"a\"", "{date-100000}"]),
    must(
        "9110 13.1.5",
        "If-Range with anything else: the whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Last-Modified: {date-100000} | Date: {date} | "0123456789"
        > GET / | Range: bytes=0-3 | If-Range: {v}
        ? hit | 200 | "0123456789" | !Content-Range
        "#,
    )
    .each(&["\"b\"", "W/\"a\"", "{date-99999}", "{date-100001}", "{date}", "garbage", "\"a\", \"b\"", "*"]),
    must(
        "9110 13.1.5",
        "If-Range by a weak stored validator: the whole",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | {v} | Date: {date} | "0123456789"
        > GET / | Range: bytes=0-3 | If-Range: {w}
        ? hit | 200 | "0123456789"
        "#,
    )
    .each(&[
        "ETag: W/\"a\" => W/\"a\"",
        "ETag: W/\"a\" => \"a\"",
        "Last-Modified: {date} => {date}",
        "X-A: b => \"a\"",
    ]),
    must(
        "9110 13.1.5",
        "If-Range that does not match: no 416",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET / | Range: bytes=100- | If-Range: "b"
        ? hit | 200 | "0123456789"
        "#,
    ),
    must(
        "9110 13.1.5",
        "If-Range without Range says nothing",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET / | If-Range: "b"
        ? hit | 200 | "0123456789"
        "#,
    ),
    must(
        "9110 13.2.2",
        "conditions count before Range",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | "0123456789"
        > GET / | Range: {v} | If-None-Match: "a"
        ? hit | 304 | ""
        "#,
    )
    .each(&["bytes=0-3", "bytes=100-"]),
    may(
        "9111 4.3.4",
        "a stored whole that is validated for a part serves the part",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | "0123456789"
        > GET / | Range: bytes=0-3
        < 304 | ETag: "a" | Cache-Control: max-age=60
        ? 206 | "0123" | sent If-None-Match: "a"
        "#,
    ),
    may(
        "9110 14.3",
        "an answer with Accept-Ranges: none is served whole, or in parts",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Accept-Ranges: none | "0123456789"
        > GET / | Range: bytes=0-3
        ? hit | has "0123"
        "#,
    ),
];

#[tokio::test]
async fn ranges_of_wholes() {
    run(FROM_WHOLE).await;
}

/// RFC 9110 section 14.6 and RFC 2046 section 5.1: the parts can be taken apart by what the headers say.
#[tokio::test]
async fn several_parts_are_framed_as_multipart() {
    let headers = [("cache-control", "max-age=60"), ("etag", "\"a\""), ("content-type", "text/plain")];
    let origin = Handmade::answering(move |_| answer(&headers, "0123456789"));
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin);
    body_of(service.clone(), get("/")).await;
    settle().await;
    let (parts, body) = body_of(service, request("GET", "/", &[("range", "bytes=0-1,4-5,-2")])).await;
    let content_type = parts.headers["content-type"].to_str().unwrap();
    let boundary = content_type.split_once("boundary=").expect("a boundary").1.trim_matches('"');
    let text = String::from_utf8(body).unwrap();
    assert_eq!(parts.headers["content-length"], text.len().to_string().as_str());
    let (all, epilogue) = text.split_once(&format!("\r\n--{boundary}--")).expect("an end");
    assert_eq!(epilogue.trim(), "");
    let all = format!("\r\n{}", all.trim_start_matches("\r\n"));
    let parts: Vec<_> = all.split(&format!("\r\n--{boundary}\r\n")).skip(1).collect();
    let expected = [("bytes 0-1/10", "01"), ("bytes 4-5/10", "45"), ("bytes 8-9/10", "89")];
    assert_eq!(parts.len(), expected.len(), "{text}");
    for (part, (range, data)) in parts.iter().zip(expected) {
        let (head, body) = part.split_once("\r\n\r\n").expect("an empty line");
        let head: Vec<_> = head.split("\r\n").map(str::to_ascii_lowercase).collect();
        assert!(
            head.contains(&format!("content-range: {range}")) && head.contains(&"content-type: text/plain".to_owned())
        );
        assert_eq!(body, data);
    }
}

/// RFC 9110 section 8.6: the size that a body says beforehand, which a server sends as Content-Length, is its own.
#[tokio::test]
async fn bodies_out_of_the_store_know_their_size() {
    let origin = Handmade::answering(|_| answer(&[("cache-control", "max-age=60"), ("etag", "\"a\"")], "0123456789"));
    let service = CacheLayer::proxy(Cache::in_memory()).layer(origin);
    body_of(service.clone(), get("/")).await;
    settle().await;
    for (request, size) in [
        (get("/"), 10),
        (request("HEAD", "/", &[]), 0),
        (request("GET", "/", &[("range", "bytes=0-3")]), 4),
        (request("GET", "/", &[("if-none-match", "\"a\"")]), 0),
    ] {
        let body = service.clone().oneshot(request).await.unwrap().into_body();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(size), size == 0));
    }
}
