//! RFC 9111 section 3.1 and RFC 9110 section 7.6.1: fields of one connection.

use crate::harness::{Row, must, run};

pub(crate) const HOP_BY_HOP: &[Row] = &[
    must(
        "9111 3.1",
        "a field of one connection is not replayed",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | {v}: x | X-A: 1
        > GET /
        ? hit | !{v} | X-A: 1
        "#,
    )
    .each(&[
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Proxy-Connection", "TE",
        "Transfer-Encoding", "Upgrade",
    ]),
    must(
        "9110 7.6.1",
        "a field that Connection names is not replayed",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Connection: {v} | X-Hop: 1 | Y-Hop: 2 | X-A: 1
        > GET /
        ? hit | !Connection | !X-Hop | !Y-Hop | X-A: 1
        "#,
    )
    .each(&["X-Hop, Y-Hop", "x-hop,Y-HOP", "close, X-Hop, Y-Hop", "X-Hop | Connection: Y-Hop", "X-Hop,, ,Y-Hop", "\\tX-Hop , Y-Hop "]),
    must(
        "9110 7.6.1",
        "the fields of one connection are not in a 304 or 206 out of the store either",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a" | Connection: X-Hop | X-Hop: 1 | Keep-Alive: timeout=5 | "0123456789"
        > GET / | {v}
        ? hit | {w} | !Connection | !X-Hop | !Keep-Alive
        "#,
    )
    .each(&["If-None-Match: \"a\" => 304", "Range: bytes=0-3 => 206"]),
    must(
        "9110 7.6.1",
        "what Connection names does not tell variants or freshness after it is gone",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20 | ETag: "a" | Connection: X-Hop | X-Hop: 1
        > GET /
        < 304 | ETag: "a" | Cache-Control: max-age=60
        ? 200 | "body 1" | !X-Hop | !Connection
        > GET /
        ? hit | !X-Hop | !Connection
        "#,
    ),
    must(
        "9111 3.1",
        "Proxy- fields that are not of one connection, and others that look alike, stay",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Proxy-Status: x | Trailer: X-T | Upgrade-Insecure: 1
        > GET /
        ? hit | Proxy-Status: x | Upgrade-Insecure: 1
        "#,
    ),
    must(
        "9110 7.6.1",
        "Connection does not take what is for everyone: what forbids still forbids",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | {v}
        > GET / | Foo: 2
        < 200
        ? "body 2"
        "#,
    )
    .each(&[
        "Cache-Control: no-store | Connection: Cache-Control",
        "Vary: Foo | Connection: Vary",
        "Vary: * | Connection: close, vary",
        "Age: 100 | Connection: Age",
    ]),
];

#[tokio::test]
async fn hop_by_hop() {
    run(HOP_BY_HOP).await;
}
