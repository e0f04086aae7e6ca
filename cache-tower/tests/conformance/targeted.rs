//! RFC 9213: fields for caches of one kind, which count before `Cache-Control`.

use cache_tower::CacheLayer;

use crate::harness::{Row, may, must, run};

pub(crate) const TARGETED: &[Row] = &[
    may(
        "9213 2.2",
        "CDN-Cache-Control counts and Cache-Control and Expires do not: fresh by it is fresh",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: max-age=60 | {v}
        > GET /
        ? hit | CDN-Cache-Control: max-age=60
        "#,
    )
    .each(&[
        "X-A: b",
        "Cache-Control: no-store",
        "Cache-Control: private",
        "Cache-Control: no-cache",
        "Cache-Control: max-age=0",
        "Cache-Control: s-maxage=0",
        "Cache-Control: s-maxage=0, must-revalidate, private",
        "Expires: 0",
        "Date: {date} | Expires: {date-100}",
    ]),
    must(
        "9213 2.2",
        "CDN-Cache-Control counts and Cache-Control and Expires do not: what it forbids is forbidden",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: {v} | Cache-Control: public, max-age=600, s-maxage=600 | Age: 20 | Expires: {date+600}
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["no-store", "private", "no-cache", "max-age=10", "max-age=0", "s-maxage=10, max-age=600", "max-age=600, no-store", "no-store, foo=\"a, b\"", "no-cache, max-age=600"]),
    must(
        "9213 2.1",
        "an unknown member, or parameters of one, change nothing of what forbids",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: {v} | Cache-Control: max-age=600
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["foo, no-store", "no-store;foo=1", "no-store, foo=(a b);c=d", "foo=:YQ==:, private", "foo=?0, no-store"]),
    may(
        "9213 2.1",
        "an unknown member, or parameters of one, change nothing of what allows",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: {v} | Cache-Control: no-store
        > GET /
        ? hit
        "#,
    )
    .each(&["foo, max-age=60", "max-age=60;foo=1", "max-age=60, foo=(a b);c=d", "foo=:YQ==:, max-age=60", "max-age=60,\\tfoo", "foo=\"no-store\", max-age=60"]),
    must(
        "9213 2.1",
        "a field that is no dictionary, or is empty, is ignored: Cache-Control forbids",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: {v} | Cache-Control: no-store
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["max-age=60,", "max-age=60,,foo", "Max-Age=60", "max-age=60, Foo", "max-age=, foo", "max-age=60 foo", "max-age=60; , foo", "=60", "max-age='60'", "\"max-age=60\"", ""]),
    may(
        "9213 2.1",
        "a field that is no dictionary is ignored: Cache-Control allows",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: {v} | Cache-Control: max-age=60
        > GET /
        ? hit
        "#,
    )
    .each(&["no-store,", "no-store, &", "No-Store", ""]),
    may(
        "9213 2.1",
        "lines of the field are one dictionary, and the last member of a name counts",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: {v} | Cache-Control: no-store | Age: 20
        > GET /
        ? hit
        "#,
    )
    .each(&["foo | CDN-Cache-Control: max-age=60", "max-age=10, max-age=60"]),
    must(
        "9213 2.1",
        "max-age of another type than a number makes nothing fresh",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: max-age={v} | Age: 1
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["abc", "?1", "-60", ":YQ==:", "(60)"]),
    must(
        "9213 2.1",
        "the age of an answer counts as ever",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: max-age=10 | {v}
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["Age: 20", "Date: {date-20}"]),
    must(
        "9213 2.2",
        "the field goes on to the client as it is",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: max-age=60, foo | Cache-Control: no-store
        ? CDN-Cache-Control: max-age=60, foo | Cache-Control: no-store
        > GET /
        ? hit | CDN-Cache-Control: max-age=60, foo | Cache-Control: no-store
        "#,
    ),
    may(
        "9213 2.2",
        "stale-while-revalidate, must-revalidate and public of the field count",
        r#"
        > GET / | {v}
        < 200 | CDN-Cache-Control: {w} | Cache-Control: no-store
        > GET /
        ? any | "body 1"
        "#,
    )
    .each(&["X-A: b => max-age=60, must-revalidate", "Authorization: alice => max-age=60, public", "X-A: b => s-maxage=60"]),
    must(
        "9213 2.2",
        "a word of Cache-Control does not allow what the field does not: requests with Authorization",
        r#"
        > GET / | Authorization: alice
        < 200 | CDN-Cache-Control: max-age=60 | Cache-Control: public, max-age=60 | "alice"
        > GET /
        < 200 | "anyone"
        ? "anyone"
        "#,
    ),
    must(
        "9213 3.1",
        "a layer that is no CDN's ignores CDN-Cache-Control",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: max-age=60 | Cache-Control: {v}
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["no-store", "private", "max-age=0", "no-cache"])
    .careful(),
    may(
        "9213 3.1",
        "a layer that is no CDN's does not let CDN-Cache-Control forbid",
        r#"
        > GET /
        < 200 | CDN-Cache-Control: no-store | Cache-Control: max-age=60
        > GET /
        ? hit
        "#,
    )
    .careful(),
    may(
        "9213 2.2",
        "of several targets the first that is there counts",
        r#"
        > GET /
        < 200 | {v}
        > GET /
        ? hit
        "#,
    )
    .each(&[
        "Shop-Cache-Control: max-age=60 | CDN-Cache-Control: no-store | Cache-Control: no-store",
        "CDN-Cache-Control: max-age=60 | Cache-Control: no-store",
        "Shop-Cache-Control: &, | CDN-Cache-Control: max-age=60 | Cache-Control: no-store",
        "Cache-Control: max-age=60",
    ])
    .by(|cache| CacheLayer::new(cache).targeted(["shop-cache-control", "cdn-cache-control"])),
    must(
        "9213 2.2",
        "of several targets the first that is there forbids",
        r#"
        > GET /
        < 200 | {v}
        > GET /
        < 200
        ? "body 2"
        "#,
    )
    .each(&["Shop-Cache-Control: no-store | CDN-Cache-Control: max-age=60 | Cache-Control: max-age=60", "CDN-Cache-Control: no-store | Cache-Control: max-age=60"])
    .by(|cache| CacheLayer::new(cache).targeted(["shop-cache-control", "cdn-cache-control"])),
    may(
        "9213 3.1",
        "Surrogate-Control counts where the layer is told so, and only there",
        r#"
        > GET /
        < 200 | Surrogate-Control: max-age=60 | Cache-Control: no-store
        > GET /
        ? hit
        "#,
    )
    .by(|cache| CacheLayer::new(cache).surrogate_control(true)),
    must(
        "9213 3.1",
        "Surrogate-Control says nothing to a layer that is not told so",
        r#"
        > GET /
        < 200 | Surrogate-Control: max-age=60 | Cache-Control: no-store
        > GET /
        < 200
        ? "body 2"
        "#,
    ),
];

#[tokio::test]
async fn targeted() {
    run(TARGETED).await;
}
