use proptest::prelude::*;

use super::*;
use crate::rfc::fixtures::{NOON, any_headers, any_time, at, full, headers};

/// `get`, `head`, `range`, what is left out (`get -a,b`), or why it is not stored.
fn judge(method: &str, request: &str, status: u16, answer: &str, rules: &Rules) -> String {
    let (request, answer) = (headers(request), headers(answer));
    let status = StatusCode::from_u16(status).unwrap();
    let life = Life::new(status, &answer, at(NOON), at(NOON), rules);
    let exchange = Exchange {
        method: &method.parse().unwrap(),
        uri: &"http://a/b?c".parse().unwrap(),
        request: &request,
        status,
        answer: &answer,
        life: &life,
    };
    match may_store(&exchange, rules) {
        Err(why) => why.as_str().to_owned(),
        Ok(Storable { serves, part, omits }) => {
            let word = match (serves, part) {
                (Serves::Get, Part::Whole) => "get",
                (Serves::Head, Part::Whole) => "head",
                (_, Part::Range) => "range",
            };
            let omits: Vec<_> = omits.iter().map(HeaderName::as_str).collect();
            if omits.is_empty() { word.to_owned() } else { format!("{word} -{}", omits.join(",")) }
        }
    }
}

/// The section, method, request, status, answer, and what becomes of it under the careful rules and the full ones.
type Row = (&'static str, &'static str, &'static str, u16, &'static str, &'static str, &'static str);

const MODIFIED: &str = "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT";

const ROWS: &[Row] = &[
    ("9111-3 fresh", "GET", "", 200, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 Expires", "GET", "", 200, "Expires: Thu, 01 Jan 2026 13:00:00 GMT", "get", "get"),
    ("9110-9.3.2 HEAD", "HEAD", "", 200, "Cache-Control: max-age=5", "head", "head"),
    ("9111-3 PUT", "PUT", "", 200, "Cache-Control: max-age=5", "method", "method"),
    ("9110-9.3.7 OPTIONS", "OPTIONS", "", 200, "Cache-Control: max-age=5", "method", "method"),
    ("9110-9.3.6 CONNECT", "CONNECT", "", 200, "Cache-Control: max-age=5", "method", "method"),
    ("9110-9.1 methods have case", "get", "", 200, "Cache-Control: max-age=5", "method", "method"),
    ("9111-3 interim", "GET", "", 103, "Cache-Control: max-age=5", "interim", "interim"),
    ("9110-15.2.2 switching protocols", "GET", "", 101, "Cache-Control: max-age=5", "interim", "interim"),
    (
        "9111-3.4 206",
        "GET",
        "Range: bytes=0-1",
        206,
        "Cache-Control: max-age=5 | Content-Range: bytes 0-1/9",
        "range",
        "range",
    ),
    ("9111-3 206 with no-store", "GET", "Range: bytes=0-1", 206, "Cache-Control: no-store", "no_store", "no_store"),
    ("9111-4.3.4 304", "GET", "If-None-Match: \"x\"", 304, "Cache-Control: max-age=5", "not_modified", "not_modified"),
    ("9110-15.5.13 412", "GET", "If-Match: \"x\"", 412, "Cache-Control: max-age=5", "condition", "condition"),
    ("9110-15.5.17 416", "GET", "Range: bytes=9-", 416, "Cache-Control: max-age=5", "condition", "condition"),
    // Any final status with explicit freshness.
    ("9111-3 201", "GET", "", 201, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 299", "GET", "", 299, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 302", "GET", "", 302, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 303", "GET", "", 303, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 307", "GET", "", 307, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 400", "GET", "", 400, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 403", "GET", "", 403, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 499", "GET", "", 499, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 500", "GET", "", 500, "Cache-Control: s-maxage=5", "get", "get"),
    ("9111-3 503", "GET", "", 503, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 599", "GET", "", 599, "Cache-Control: max-age=5", "get", "get"),
    ("9111-3 999", "GET", "", 999, "Cache-Control: max-age=5", "get", "get"),
    // Without it.
    ("9110-15.1 200 with a validator", "GET", "", 200, "ETag: \"x\"", "get", "get"),
    ("9110-15.1 404 with a validator", "GET", "", 404, MODIFIED, "get", "get"),
    ("9110-15.1 201 is not stored by default", "GET", "", 201, "ETag: \"x\"", "status", "status"),
    ("9110-15.1 302 is not stored by default", "GET", "", 302, "ETag: \"x\"", "status", "status"),
    ("9110-15.1 500 is not stored by default", "GET", "", 500, MODIFIED, "status", "status"),
    ("9111-5.2.2.9 public allows any status", "GET", "", 599, "Cache-Control: public | ETag: \"x\"", "get", "get"),
    ("9111-3 neither freshness nor validator", "GET", "", 200, "", "worthless", "worthless"),
    ("9111-3 public alone gives none", "GET", "", 200, "Cache-Control: public", "worthless", "worthless"),
    ("9111-3 a date that is none is no validator", "GET", "", 200, "Last-Modified: x", "worthless", "worthless"),
    ("9111-3 stale on arrival", "GET", "", 200, "Cache-Control: max-age=5 | Age: 9", "worthless", "get"),
    ("9111-3 max-age=0", "GET", "", 200, "Cache-Control: max-age=0", "worthless", "get"),
    ("9111-3 max-age=0 with a validator", "GET", "", 200, "Cache-Control: max-age=0 | ETag: \"x\"", "get", "get"),
    (
        "9111-4.2.4 max-age=0, never stale",
        "GET",
        "",
        200,
        "Cache-Control: max-age=0, must-revalidate",
        "worthless",
        "worthless",
    ),
    (
        "5861-3 max-age=0 with a window",
        "GET",
        "",
        200,
        "Cache-Control: max-age=0, stale-while-revalidate=5",
        "get",
        "get",
    ),
    ("5861-4 max-age=0 with the other one", "GET", "", 200, "Cache-Control: max-age=0, stale-if-error=5", "get", "get"),
    ("5861-3 a window of no length", "GET", "", 200, "Cache-Control: max-age=0, stale-if-error=0", "worthless", "get"),
    (
        "5861-3 a window that is forbidden",
        "GET",
        "",
        200,
        "Cache-Control: s-maxage=0, stale-if-error=5",
        "worthless",
        "worthless",
    ),
    ("9111-5.2.2.4 no-cache with a validator", "GET", "", 200, "Cache-Control: no-cache | ETag: \"x\"", "get", "get"),
    (
        "9111-5.2.2.4 no-cache without one",
        "GET",
        "",
        200,
        "Cache-Control: no-cache, max-age=5",
        "worthless",
        "worthless",
    ),
    // What forbids it.
    ("9111-5.2.2.5 no-store", "GET", "", 200, "Cache-Control: no-store", "no_store", "no_store"),
    (
        "9111-5.2.2.5 no-store with freshness",
        "GET",
        "",
        200,
        "Cache-Control: max-age=5, no-store",
        "no_store",
        "no_store",
    ),
    (
        "9111-5.2.2.5 no-store with a validator",
        "GET",
        "",
        200,
        "Cache-Control: no-store | ETag: \"x\"",
        "no_store",
        "no_store",
    ),
    (
        "9111-5.2.1.5 no-store in the request",
        "GET",
        "Cache-Control: no-store",
        200,
        "Cache-Control: max-age=5",
        "get",
        "request_no_store",
    ),
    ("9111-5.2.2.7 private", "GET", "", 200, "Cache-Control: private, max-age=5", "private", "private"),
    ("9111-5.2.2.7 private of a field", "GET", "", 200, "Cache-Control: private=\"A\", max-age=5", "get -a", "get -a"),
    (
        "9111-5.2.2.4 no-cache of fields",
        "GET",
        "",
        200,
        "Cache-Control: no-cache=\"a, b\", max-age=5",
        "get -a,b",
        "get -a,b",
    ),
    (
        "9111-5.2.2.7 private of Vary",
        "GET",
        "",
        200,
        "Cache-Control: private=\"vary\", max-age=5",
        "private",
        "private",
    ),
    (
        "9111-5.4 Pragma in answers is ignored",
        "GET",
        "",
        200,
        "Pragma: no-cache | Cache-Control: max-age=5",
        "get",
        "get",
    ),
    (
        "9213-2.2 CDN-Cache-Control: no-store",
        "GET",
        "",
        200,
        "CDN-Cache-Control: no-store | Cache-Control: max-age=5",
        "get",
        "no_store",
    ),
    (
        "9213-2.2 CDN-Cache-Control: private",
        "GET",
        "",
        200,
        "CDN-Cache-Control: private | Cache-Control: max-age=5",
        "get",
        "private",
    ),
    (
        "9213-2.2 CDN-Cache-Control instead of no-store",
        "GET",
        "",
        200,
        "CDN-Cache-Control: max-age=5 | Cache-Control: no-store",
        "no_store",
        "get",
    ),
    // must-understand.
    ("9111-5.2.2.3 understood", "GET", "", 200, "Cache-Control: must-understand, max-age=5", "get", "get"),
    (
        "9111-5.2.2.3 understood, over no-store",
        "GET",
        "",
        200,
        "Cache-Control: must-understand, no-store, max-age=5",
        "get",
        "get",
    ),
    (
        "9111-5.2.2.3 unknown",
        "GET",
        "",
        599,
        "Cache-Control: must-understand, max-age=5",
        "must_understand",
        "must_understand",
    ),
    (
        "9111-5.2.2.3 unknown, with no-store",
        "GET",
        "",
        499,
        "Cache-Control: must-understand, no-store, max-age=5",
        "must_understand",
        "must_understand",
    ),
    (
        "9111-5.2.2.3 not over private",
        "GET",
        "",
        200,
        "Cache-Control: must-understand, no-store, private, max-age=5",
        "private",
        "private",
    ),
    // Authorization.
    (
        "9111-3.5 Authorization",
        "GET",
        "Authorization: x",
        200,
        "Cache-Control: max-age=5",
        "authorization",
        "authorization",
    ),
    (
        "9111-3.5 with Expires",
        "GET",
        "Authorization: x",
        200,
        "Expires: Thu, 01 Jan 2026 13:00:00 GMT",
        "authorization",
        "authorization",
    ),
    ("9111-3.5 with public", "GET", "Authorization: x", 200, "Cache-Control: max-age=5, public", "get", "get"),
    ("9111-3.5 with s-maxage", "GET", "Authorization: x", 200, "Cache-Control: s-maxage=5", "get", "get"),
    (
        "9111-3.5 with must-revalidate",
        "GET",
        "Authorization: x",
        200,
        "Cache-Control: max-age=5, must-revalidate",
        "get",
        "get",
    ),
    (
        "9111-3.5 proxy-revalidate is none of them",
        "GET",
        "Authorization: x",
        200,
        "Cache-Control: max-age=5, proxy-revalidate",
        "authorization",
        "authorization",
    ),
    (
        "9111-3.5 nor is a malformed public",
        "GET",
        "Authorization: x",
        200,
        "Cache-Control: max-age=5, public=x",
        "authorization",
        "authorization",
    ),
    (
        "9111-3.5 private over public",
        "GET",
        "Authorization: x",
        200,
        "Cache-Control: max-age=5, public, private",
        "private",
        "private",
    ),
    // Cookies.
    ("9111-7.3 Set-Cookie", "GET", "", 200, "Cache-Control: max-age=5 | Set-Cookie: a=b", "set_cookie", "get"),
    (
        "9111-7.3 Set-Cookie without explicit freshness",
        "GET",
        "",
        200,
        "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT | Set-Cookie: a=b",
        "set_cookie",
        "set_cookie",
    ),
    (
        "9111-5.2.2.4 Set-Cookie that is left out",
        "GET",
        "",
        200,
        "Cache-Control: max-age=5, no-cache=\"Set-Cookie\" | Set-Cookie: a=b",
        "get -set-cookie",
        "get -set-cookie",
    ),
    ("9111-3 Cookie in the request", "GET", "Cookie: a=b", 200, "Cache-Control: max-age=5", "get", "get"),
    // Vary.
    ("9111-4.1 Vary: *", "GET", "", 200, "Cache-Control: max-age=5 | Vary: *", "vary_star", "vary_star"),
    ("9111-4.1 among others", "GET", "", 200, "Cache-Control: max-age=5 | Vary: a,*", "vary_star", "vary_star"),
    (
        "9111-4.1 on another line",
        "GET",
        "",
        200,
        "Cache-Control: max-age=5 | Vary: a | Vary: b, * ",
        "vary_star",
        "vary_star",
    ),
    ("9111-4.1 a name with a star", "GET", "", 200, "Cache-Control: max-age=5 | Vary: a*", "get", "get"),
    // POST.
    ("9110-9.3.3 POST", "POST", "", 200, "Cache-Control: max-age=5 | Content-Location: /b?c", "get", "get"),
    (
        "9110-9.3.3 absolute",
        "POST",
        "",
        201,
        "Expires: Thu, 01 Jan 2026 13:00:00 GMT | Content-Location: HTTP://A:80/b?c",
        "get",
        "get",
    ),
    (
        "9110-9.3.3 empty is the URI itself",
        "POST",
        "",
        200,
        "Cache-Control: max-age=5 | Content-Location:",
        "get",
        "get",
    ),
    ("9110-9.3.3 no Content-Location", "POST", "", 200, "Cache-Control: max-age=5", "post", "post"),
    ("9110-9.3.3 another one", "POST", "", 200, "Cache-Control: max-age=5 | Content-Location: /b", "post", "post"),
    (
        "9110-9.3.3 another origin",
        "POST",
        "",
        200,
        "Cache-Control: max-age=5 | Content-Location: https://a/b?c",
        "post",
        "post",
    ),
    (
        "9110-9.3.3 two of them",
        "POST",
        "",
        200,
        "Cache-Control: max-age=5 | Content-Location: /b?c | Content-Location: /b?c",
        "post",
        "post",
    ),
    (
        "9110-9.3.3 no explicit freshness",
        "POST",
        "",
        200,
        "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT | Content-Location: /b?c",
        "post",
        "post",
    ),
    ("9110-9.3.3 it failed", "POST", "", 404, "Cache-Control: max-age=5 | Content-Location: /b?c", "post", "post"),
    (
        "9110-9.3.3 no-store",
        "POST",
        "",
        200,
        "Cache-Control: max-age=5, no-store | Content-Location: /b?c",
        "no_store",
        "no_store",
    ),
];

#[test]
fn answers_are_stored_where_all_allows_it() {
    for (says, method, request, status, answer, careful, with_all) in ROWS {
        for (rules, expected) in [(Rules::default(), careful), (full(), with_all)] {
            assert_eq!(judge(method, request, *status, answer, &rules), *expected, "{says}: {rules:?}");
        }
    }
}

#[test]
fn what_is_stale_is_kept_where_it_may_be_served() {
    let (careful, fast) = (Rules::default(), "Cache-Control: max-age=0");
    let rows = [
        ("9111-4.2.4 never", careful.clone(), fast, "worthless"),
        ("9111-4.2.4 when unreachable", Rules { stale_when_unreachable: true, ..careful.clone() }, fast, "get"),
        ("9111-5.2.1.2 for max-stale", Rules { obeys_requests: true, ..careful.clone() }, fast, "get"),
        ("9111-4.2.4 of those that say something", full(), "", "worthless"),
        (
            "9111-5.2.2.10 the window of a CDN",
            Rules { stale_beside_s_maxage: true, ..careful },
            "Cache-Control: s-maxage=0, stale-if-error=5",
            "get",
        ),
    ];
    for (says, rules, answer, expected) in rows {
        assert_eq!(judge("GET", "", 200, answer, &rules), expected, "{says}");
    }
}

#[test]
fn the_statuses_of_9110_and_6585_are_understood() {
    let known = [
        200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407,
        408, 409, 410, 411, 413, 414, 415, 417, 421, 422, 426, 428, 429, 431, 500, 501, 502, 503, 504, 505, 511,
    ];
    for status in (200..600).filter(|status| ![304, 412, 416].contains(status)) {
        let stored = judge("GET", "", status, "Cache-Control: must-understand, max-age=5", &full());
        assert_eq!(stored != "must_understand", known.contains(&status), "9111-5.2.2.3 {status}");
    }
}

proptest! {
    #[test]
    fn may_store_never_panics_and_keeps_no_store(
        request in any_headers(), answer in any_headers(), status in 100_u16..1_000, received in any_time(),
        method in proptest::sample::select(vec!["GET", "HEAD", "POST", "X"]),
    ) {
        let rules = full();
        let (method, status) = (method.parse().unwrap(), StatusCode::from_u16(status).unwrap());
        let life = Life::new(status, &answer, received, received, &rules);
        let uri = "http://a/b".parse().unwrap();
        let exchange = Exchange { method: &method, uri: &uri, request: &request, status, answer: &answer, life: &life };
        let stored = may_store(&exchange, &rules);
        let directives = &life.control.directives;
        if directives.private.is_whole() || (directives.no_store && !directives.must_understand) {
            prop_assert!(stored.is_err());
        }
    }
}
