//! RFC 9111 section 4.1: answers that depend on fields of the request.

use cache_tower::CacheLayer;

use crate::harness::{Row, may, must, run};

pub(crate) const VARY: &[Row] = &[
    may(
        "9111 4.1",
        "an answer that varies is used for a request with the same fields",
        r#"
        > GET / | Foo: 1 | Bar: x
        < 200 | Cache-Control: max-age=60 | Vary: {v}
        > GET / | Foo: 1 | Bar: x | Other: y
        ? hit | Vary: {v}
        "#,
    )
    .each(&["Foo", "foo", "FOO", "Foo, Bar", "Bar,Foo", "Foo, Absent", " Foo ,, Bar"]),
    must(
        "9111 4.1",
        "an answer that varies is not used for a request with another field",
        r#"
        > GET / | Foo: 1 | Bar: x
        < 200 | Cache-Control: max-age=60 | Vary: {v}
        > GET / | {w}
        < 200
        ? "body 2"
        "#,
    )
    .each(&[
        "Foo => Foo: 2 | Bar: x",
        "foo => FOO: 2 | Bar: x",
        "Foo, Bar => Foo: 1 | Bar: y",
        "Foo, Bar => Foo: 2 | Bar: x",
        "Foo | Vary: Bar => Foo: 1 | Bar: y",
        "Foo => Bar: x",
        "Foo => Foo: | Bar: x",
        "Foo => Foo: 1, 2 | Bar: x",
        "Foo => Foo: 1 | Foo: 2 | Bar: x",
        "Absent => Foo: 1 | Absent: 1",
        "Absent => Foo: 1 | Absent:",
        "Foo, Absent => Foo: 1 | Absent: 1",
    ]),
    must(
        "9111 4.1",
        "values of a field that is not known are not the same in another case or order",
        r#"
        > GET / | Foo: Abc, def
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET / | Foo: {v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["abc, def", "def, Abc", "Abc", "Abc; def", "Abc def"]),
    may(
        "9111 4.1",
        "white space and lines do not tell lists apart",
        r#"
        > GET / | Foo: 1, 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET / | Foo: {v}
        ? hit
        "#,
    )
    .each(&["1,2", "1 ,  2", "1 | Foo: 2", "1,\\t2"]),
    must(
        "9111 4.1",
        "Vary: * matches nothing, wherever it stands",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: {v}
        > GET / | Foo: 1
        < 200
        ? "body 2"
        "#,
    )
    .each(&["*", "Foo, *", "*, Foo", "*,Foo", "Foo | Vary: *", "* | Vary: Foo", " * "]),
    may(
        "9111 4.1",
        "several variants are kept side by side",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET / | Foo: 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        ? "body 2"
        > GET /
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        ? "body 3"
        > GET / | Foo: 1
        ? hit | "body 1"
        > GET / | Foo: 2
        ? hit | "body 2"
        > GET /
        ? hit | "body 3"
        "#,
    ),
    must(
        "9111 4.1",
        "variants of one URL are not taken for one another, whatever their Vary",
        r#"
        > GET / | Foo: 1 | Bar: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET / | Foo: 2 | Bar: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo, Bar
        ? "body 2"
        > GET / | Foo: 2 | Bar: 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo, Bar
        ? "body 3"
        > GET / | Foo: 2 | Bar: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo, Bar | "body 2"
        ? any | "body 2"
        "#,
    ),
    must(
        "9111 4.1",
        "an answer that varies, after one that did not",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        ? "body 2"
        > GET / | Foo: 2
        < 200
        ? "body 3"
        "#,
    ),
    must(
        "9111 4.1",
        "errors and redirects vary too",
        r#"
        > GET / | Foo: 1
        < {v} | Cache-Control: max-age=60 | Vary: Foo
        > GET / | Foo: 2
        < {v}
        ? "body 2"
        "#,
    )
    .each(&["404", "301"]),
    must(
        "9111 4.1",
        "an answer that varies by who asks is for nobody else",
        r#"
        > GET / | {w}: alice
        < 200 | Cache-Control: public, max-age=60 | Vary: {v} | "alice"
        > GET / | {w}: bob
        < 200 | "bob"
        ? "bob"
        > GET /
        < 200 | "nobody"
        ? "nobody"
        "#,
    )
    .each(&[
        "Cookie => Cookie",
        "Authorization => Authorization",
        "cookie => Cookie",
        "User-Agent => User-Agent",
        "Origin => Origin",
    ]),
    may(
        "9110 12.5.3",
        "Accept-Encoding is the same in another order, case or spelling of its weights",
        r#"
        > GET / | Accept-Encoding: gzip, br
        < 200 | Cache-Control: max-age=60 | Vary: Accept-Encoding
        > GET / | Accept-Encoding: {v}
        ? hit
        "#,
    )
    .each(&["br, gzip", "gzip,br", "GZIP, Br", "gzip;q=1, br", "gzip ; q=1.0, br;q=1.000"]),
    must(
        "9110 12.5.3",
        "Accept-Encoding is another with other codings or weights",
        r#"
        > GET / | Accept-Encoding: gzip, br
        < 200 | Cache-Control: max-age=60 | Vary: Accept-Encoding | Content-Encoding: br
        > GET / | Accept-Encoding: {v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["gzip", "gzip, br;q=0", "gzip;q=0, br", "identity", "*", "gzip, br, zstd", "", "br;q=0.5, gzip"]),
    may(
        "9110 12.5.4",
        "Accept-Language is the same in another case or spelling of its weights",
        r#"
        > GET / | Accept-Language: en-GB, de;q=0.5
        < 200 | Cache-Control: max-age=60 | Vary: Accept-Language
        > GET / | Accept-Language: {v}
        ? hit
        "#,
    )
    .each(&["EN-gb, DE;q=0.5", "en-GB,de;q=0.5", "en-GB, de ; q=0.500", "de;q=0.5, en-GB"]),
    must(
        "9110 12.5.4",
        "Accept-Language is another with other languages or weights",
        r#"
        > GET / | Accept-Language: en-GB, de;q=0.5
        < 200 | Cache-Control: max-age=60 | Vary: Accept-Language
        > GET / | Accept-Language: {v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["en, de;q=0.5", "en-GB", "de, en-GB;q=0.5", "en-GB, de;q=0", "en-GB, de", "fr", "en-GB, de;q=0.6"]),
    must(
        "9110 12.5.4",
        "of languages of one weight the first is wanted first",
        r#"
        > GET / | Accept-Language: de, fr
        < 200 | Cache-Control: max-age=60 | Vary: Accept-Language
        > GET / | Accept-Language: {v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["fr, de", "fr,de", "fr;q=1, de;q=1.0"]),
    must(
        "9111 4.3.1",
        "a variant that is not there is asked for without the tags of others, which may be the same",
        r#"
        > GET / | Accept-Encoding: gzip
        < 200 | Cache-Control: max-age=60 | Vary: Accept-Encoding | ETag: "a" | "zipped"
        > GET /
        < 200 | Cache-Control: max-age=60 | Vary: Accept-Encoding | ETag: "a" | "plain"
        ? sent !If-None-Match | 200 | "plain"
        > GET / | Accept-Encoding: br | If-None-Match: "b"
        < 304 | Vary: Accept-Encoding
        ? sent If-None-Match: "b" | 304
        > GET /
        ? hit | "plain"
        > GET / | Accept-Encoding: gzip
        ? hit | "zipped"
        "#,
    ),
    must(
        "9111 4.3.4",
        "the 304 of one variant leaves the others as they are",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo | ETag: "a" | X-V: 1
        > GET / | Foo: 2
        < 200 | Cache-Control: max-age=10 | Age: 20 | Vary: Foo | ETag: "b" | X-V: 2
        > GET / | Foo: 2
        < 304 | Cache-Control: max-age=60 | Vary: Foo | ETag: "b" | X-V: 3
        ? 200 | "body 2" | X-V: 3 | sent If-None-Match ~ "b"
        > GET / | Foo: 1
        ? hit | "body 1" | X-V: 1 | ETag: "a"
        > GET / | Foo: 2
        ? hit | "body 2" | X-V: 3 | ETag: "b"
        "#,
    ),
    must(
        "9111 4.3.2",
        "a condition with the tag of another variant is not judged by that variant",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo | ETag: "a"
        > GET / | Foo: 2 | If-None-Match: "a"
        < 200 | Cache-Control: max-age=60 | Vary: Foo | ETag: "b"
        ? asked | 200 | "body 2"
        > GET / | Foo: 2 | If-None-Match: "a"
        ? hit | 200 | "body 2"
        > GET / | Foo: 1 | If-None-Match: "a"
        ? hit | 304
        "#,
    ),
    must(
        "9111 4.1",
        "a part and HEAD are of the variant that is selected",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo | "0123456789"
        > GET / | Foo: 2
        < 200 | Cache-Control: max-age=60 | Vary: Foo | X-A: 2 | "abcdefghij"
        > GET / | Foo: 1 | Range: bytes=0-3
        ? hit | 206 | "0123"
        > GET / | Foo: 2 | Range: bytes=0-3
        ? hit | 206 | "abcd"
        > HEAD / | Foo: 2
        ? hit | 200 | X-A: 2
        > GET / | Foo: 3 | Range: bytes=0-3
        < 206 | Content-Range: bytes 0-3/10 | "ABCD"
        ? asked | 206 | "ABCD"
        "#,
    ),
    must(
        "9111 4.1",
        "one variant that is not stored leaves the others as they are",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: Foo
        > GET / | Foo: 2
        < 200 | Cache-Control: no-store | Vary: Foo
        ? "body 2"
        > GET / | Foo: 1
        ? hit | "body 1"
        > GET / | Foo: 2
        < 200
        ? "body 3"
        "#,
    ),
    may(
        "9111 4.1",
        "an answer that varies by what the layer does not allow is not stored",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: {v}
        > GET / | Foo: 1
        < 200
        ? "body 2"
        "#,
    )
    .each(&["User-Agent", "Accept, User-Agent", "*"])
    .by(|cache| CacheLayer::proxy(cache).vary_by(["accept", "foo"])),
    may(
        "9111 4.1",
        "an answer that varies by what the layer allows is stored",
        r#"
        > GET / | Foo: 1
        < 200 | Cache-Control: max-age=60 | Vary: {v}
        > GET / | Foo: 1
        ? hit
        "#,
    )
    .each(&["Foo", "Accept, FOO"])
    .by(|cache| CacheLayer::proxy(cache).vary_by(["accept", "foo"])),
];

#[tokio::test]
async fn vary() {
    run(VARY).await;
}
