//! What the tables of these modules are written with.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{Rules, Timestamp};

/// Thursday, 1 January 2026, 12:00:00, as `now` of most tables.
pub(crate) const NOON: u64 = 1_767_268_800;

/// `NOON` as an HTTP date.
pub(crate) const NOON_DATE: &str = "Thu, 01 Jan 2026 12:00:00 GMT";

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp(Duration::from_secs(seconds))
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Field lines in a row: `Cache-Control: a | Vary: b`. An empty text has none.
pub(crate) fn headers(lines: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines.split(" | ").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap();
        map.append(name.parse::<HeaderName>().unwrap(), value.trim_matches(' ').parse().unwrap());
    }
    map
}

/// Everything that may be switched on.
pub(crate) fn full() -> Rules {
    Rules {
        heuristic: true,
        stores_set_cookie: true,
        targets: vec![HeaderName::from_static("cdn-cache-control")],
        surrogate_control: true,
        stale_when_unreachable: true,
        obeys_requests: true,
        ..Rules::default()
    }
}

/// A field value of any bytes that one may have, often of those that mean something to a parser.
pub(crate) fn any_value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![
        3 => select(b"\",=\\ ;:/?#.-+()0123456789abcgmnorst*@".to_vec()),
        1 => any::<u8>().prop_map(|byte| if byte.is_ascii_control() { b'\t' } else { byte }),
    ];
    let word = select(vec![
        "max-age=3600",
        "s-maxage=",
        "no-store",
        "private=\"",
        "no-cache=\"a, b\"",
        "stale-if-error=9",
        "max-stale",
        "public",
        "must-understand",
        NOON_DATE,
        "Thursday, 01-Jan-26 12:00:00 GMT",
        "Thu Jan  1 12:00:00 2026",
        "99999999999999999999",
        "../..",
        "http://a",
        "//a:80/b",
        "\"g\"",
    ]);
    let piece = prop_oneof![vec(byte, 0..12), word.prop_map(|word| word.as_bytes().to_vec())];
    vec(piece, 0..8).prop_map(|pieces| HeaderValue::from_bytes(&pieces.concat()).unwrap())
}

/// Many lines of the fields that these modules read.
pub(crate) fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let name = select(vec![
        "age",
        "authorization",
        "cache-control",
        "cache-group-invalidation",
        "cache-groups",
        "cache-tag",
        "cdn-cache-control",
        "connection",
        "content-location",
        "date",
        "etag",
        "expires",
        "last-modified",
        "location",
        "pragma",
        "set-cookie",
        "surrogate-control",
        "surrogate-key",
        "te",
        "vary",
        "cache-status",
        "x-other",
    ]);
    vec((name, any_value()), 0..24).prop_map(|lines| {
        let lines = lines.into_iter().map(|(name, value)| (HeaderName::from_static(name), value));
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(name, value);
        }
        map
    })
}

/// Any time, up to the very last.
pub(crate) fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just(Timestamp(Duration::ZERO)),
        Just(Timestamp(Duration::MAX)),
        (0..4_000_000_000_u64, 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Timestamp(Duration::new(secs, nanos))),
    ]
}
