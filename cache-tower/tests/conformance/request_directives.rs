//! RFC 9111 section 5.2.1: what a request asks of a cache.

use crate::harness::{Row, may, must, run};

pub(crate) const REQUEST_DIRECTIVES: &[Row] = &[
    may(
        "9111 5.2.1.1",
        "max-age of a request: an older answer is not used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Age: 100
        > GET / | Cache-Control: {v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["max-age=10", "Max-Age=10", "max-age=0", "max-age=99", "foo, max-age=10", "max-age=\"10\""]),
    may(
        "9111 5.2.1.1",
        "max-age of a request: a younger answer is used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Age: 100
        > GET / | Cache-Control: {v}
        ? hit
        "#,
    )
    .each(&["max-age=300", "max-age=99999999999999999999", "foo=\"max-age=0\""]),
    must(
        "9111 5.2.1.1",
        "max-age of a request makes no stale answer fresh",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET / | Cache-Control: max-age=600
        < 200
        ? "body 2"
        "#,
    ),
    may(
        "9111 5.2.1.2",
        "max-stale: an answer no staler than that is used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET / | Cache-Control: {v}
        ? hit
        "#,
    )
    .each(&["max-stale=100", "max-stale", "Max-Stale=100", "max-stale=99999999999999999999"]),
    must(
        "9111 5.2.1.2",
        "max-stale: a staler answer is not used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 200
        > GET / | Cache-Control: {v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["max-stale=100", "max-stale=0", "max-stale=abc", "max-stale=-1", "foo=\"max-stale\""]),
    may(
        "9111 5.2.1.3",
        "min-fresh: an answer that is fresh for less is not used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=100 | Age: 50
        > GET / | Cache-Control: {v}
        < 200
        ? "body 2"
        "#,
    )
    .each(&["min-fresh=60", "min-fresh=99999999999999999999", "Min-Fresh=60"]),
    may(
        "9111 5.2.1.3",
        "min-fresh: an answer that is fresh for longer is used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=1000 | Age: 50
        > GET / | Cache-Control: min-fresh=60
        ? hit
        "#,
    ),
    may(
        "9111 5.2.1.4",
        "no-cache of a request: nothing is used without validation",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a"
        > GET / | Cache-Control: {v}
        < 200 | Cache-Control: max-age=60
        ? "body 2"
        > GET /
        ? hit | "body 2"
        "#,
    )
    .each(&["no-cache", "No-Cache", "max-age=60, no-cache", "no-cache, max-stale"]),
    may(
        "9111 5.2.1.4",
        "no-cache of a request: a stored answer is used once it is validated",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | ETag: "a"
        > GET / | Cache-Control: no-cache
        < 304 | ETag: "a"
        ? 200 | "body 1"
        "#,
    ),
    may(
        "9111 5.2.1.5",
        "no-store of a request: its answer is not stored",
        r#"
        > GET / | Cache-Control: {v}
        < 200 | Cache-Control: max-age=60
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["no-store", "No-Store", "foo, no-store"]),
    may(
        "9111 5.2.1.7",
        "only-if-cached: what is stored is used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET / | Cache-Control: only-if-cached
        ? hit
        "#,
    ),
    may(
        "9111 5.2.1.7",
        "only-if-cached: where nothing may be used the answer is 504",
        r#"
        > GET / | Cache-Control: {v}
        ? hit | 504
        "#,
    )
    .each(&["only-if-cached", "Only-If-Cached", "only-if-cached, max-age=60", "only-if-cached, no-store"]),
    may(
        "9111 5.2.1.7",
        "only-if-cached: a stale answer is not used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET / | Cache-Control: only-if-cached
        ? hit | 504
        "#,
    ),
    may(
        "9111 5.2.1.7",
        "only-if-cached with max-stale: a stale answer is used",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET / | Cache-Control: only-if-cached, max-stale=60
        ? hit | 200 | "body 1"
        "#,
    ),
    must(
        "9111 5.2.1.7",
        "the 504 is not stored",
        r#"
        > GET / | Cache-Control: only-if-cached
        ? hit | 504
        > GET /
        < 200
        "#,
    ),
    must(
        "9111 5.2.1",
        "an unknown directive of a request says nothing",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET / | Cache-Control: {v}
        ? hit
        "#,
    )
    .each(&["foo", "foo=\"no-cache\"", "private", "s-maxage=0", "must-revalidate"]),
    must(
        "9111 5.2.1.5",
        "no-store of a request leaves what is stored for others",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET / | Cache-Control: no-store
        < 200
        ? any
        > GET /
        ? hit | "body 1"
        "#,
    ),
    must(
        "9111 5.4",
        "Pragma of a request says nothing where there is a Cache-Control",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET / | Pragma: no-cache | Cache-Control: max-age=600
        ? hit
        "#,
    ),
    must(
        "9111 5.2.1",
        "the directives of a request that is forwarded go with it",
        r#"
        > GET / | Cache-Control: max-age=0, foo=bar
        < 200
        ? sent Cache-Control: max-age=0, foo=bar
        "#,
    ),
    may(
        "9111 5.2.1",
        "a careful layer does no work because a request asks for it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Age: 100
        > GET / | {v}
        ? hit | 200
        "#,
    )
    .each(&[
        "Cache-Control: no-cache",
        "Cache-Control: max-age=0",
        "Cache-Control: min-fresh=6000",
        "Cache-Control: no-store",
        "Pragma: no-cache",
    ])
    .careful(),
    may(
        "9111 5.2.1",
        "a careful layer makes no 504 because a request asks for it",
        r#"
        > GET / | Cache-Control: only-if-cached
        < 200
        ? 200
        "#,
    )
    .careful(),
    must(
        "9111 5.2.1.2",
        "a careful layer serves nothing stale because a request allows it",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Age: 20
        > GET / | Cache-Control: max-stale=100
        < 200
        ? "body 2"
        "#,
    )
    .careful(),
];

#[tokio::test]
async fn request_directives() {
    run(REQUEST_DIRECTIVES).await;
}
