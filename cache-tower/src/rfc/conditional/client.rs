//! Conditions of clients, against an answer that is stored (RFC 9110 section 13.2.2, RFC 9111 section 4.3.2).

use http::{
    HeaderMap, HeaderName, Method, StatusCode,
    header::{
        AGE, CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
        IF_UNMODIFIED_SINCE, LAST_MODIFIED, VARY,
    },
};

use super::{Dates, Listed, Validators, validators::only};
use crate::rfc::Timestamp;

/// Whose place the cache takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// It stands between the client and the origin: conditions that guard the origin's state are none of its business.
    Between,
    /// It is a part of the origin, which has nobody behind it that would look at conditions.
    Origin,
}

/// What a request with conditions gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The stored answer.
    Serve,
    /// A 304, with the fields of [`not_modified`].
    NotModified,
    /// A 412.
    PreconditionFailed,
    /// Whatever the origin answers: the request holds a condition that only it may judge.
    Forward,
}

/// The stored answer that was chosen for a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen<'a> {
    pub(crate) status: StatusCode,
    pub(crate) validators: &'a Validators,
    /// When it was received: it stands for a `Date` that is missing.
    pub(crate) received: Timestamp,
}

/// Judges the conditions of a request by the order of RFC 9110 section 13.2.2. `If-Range` comes after it, see
/// [`serve`](crate::rfc::range::serve).
pub(crate) fn evaluate(
    side: Side,
    method: &Method,
    request: &HeaderMap,
    chosen: Chosen<'_>,
    dates: Dates<'_>,
) -> Outcome {
    if method != Method::GET && method != Method::HEAD {
        return Outcome::Forward;
    }
    match guarded(request, chosen.validators, dates) {
        // RFC 9111 section 4.3.2: a cache must not judge these.
        Some(_) if side == Side::Between => return Outcome::Forward,
        // RFC 9110 section 13.2.1: conditions do not count where the answer without them is no success.
        Some(false) if chosen.status.is_success() => return Outcome::PreconditionFailed,
        _ => {}
    }
    if chosen.status.is_success() && is_known(request, chosen, dates) { Outcome::NotModified } else { Outcome::Serve }
}

/// Whether `If-Match`, or without it `If-Unmodified-Since`, is met; none if there is neither.
fn guarded(request: &HeaderMap, validators: &Validators, dates: Dates<'_>) -> Option<bool> {
    if let Some(listed) = Listed::of(request, &IF_MATCH) {
        return Some(listed.holds_strongly(validators.tag()));
    }
    // RFC 9110 section 13.1.4: what is no date is ignored, and the field with it where there is no time of modification.
    let since = only(request, &IF_UNMODIFIED_SINCE).and_then(dates)?;
    Some(validators.modified().is_none_or(|modified| modified <= since))
}

/// Whether the client has the answer already, by `If-None-Match`, or without it by `If-Modified-Since`.
fn is_known(request: &HeaderMap, chosen: Chosen<'_>, dates: Dates<'_>) -> bool {
    if let Some(listed) = Listed::of(request, &IF_NONE_MATCH) {
        return listed.holds_weakly(chosen.validators.tag());
    }
    let Some(since) = only(request, &IF_MODIFIED_SINCE).and_then(dates) else { return false };
    // RFC 9111 section 4.3.2: without `Last-Modified` by `Date`, without that by the time of receipt.
    let modified = chosen.validators.modified().or(chosen.validators.date()).unwrap_or(chosen.received);
    modified <= since
}

/// The fields of a 304 that is made from a stored answer, of which `stored` are the fields as they would be served.
///
/// RFC 9110 section 15.4.5 names those of representations that a 304 has. Besides, there are those that caches behind us go by,
/// and those that a browser looks for on this very answer, whatever it has stored: without them a script that sent its own
/// condition is refused its 304.
pub(crate) fn not_modified(stored: &HeaderMap) -> HeaderMap {
    let has_tag = stored.contains_key(ETAG);
    let kept = stored.iter().filter(|(name, _)| *name != LAST_MODIFIED || !has_tag).filter(|(name, _)| stays(name));
    let mut headers = HeaderMap::new();
    for (name, value) in kept {
        headers.append(name, value.clone());
    }
    headers
}

fn stays(name: &HeaderName) -> bool {
    const NAMED: [HeaderName; 8] = [AGE, CACHE_CONTROL, CONTENT_LOCATION, DATE, ETAG, EXPIRES, LAST_MODIFIED, VARY];
    let text = name.as_str();
    NAMED.contains(name)
        || text.ends_with("-cache-control")
        || text == "surrogate-control"
        || text.starts_with("access-control-")
        || matches!(text, "cross-origin-resource-policy" | "timing-allow-origin")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use Outcome::{Forward, NotModified, PreconditionFailed, Serve};
    use Side::{Between, Origin};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::{
        super::validators::testing::{dates, headers, text, validators},
        *,
    };

    type Fields = &'static [(&'static str, &'static str)];

    const TAG: (&str, &str) = ("etag", "\"x\"");
    const LM: (&str, &str) = ("last-modified", "@50");
    const DATE: (&str, &str) = ("date", "@100");
    const RECEIVED: Timestamp = Timestamp(Duration::from_secs(200));

    fn outcome(side: Side, method: &Method, request: Fields, status: u16, stored: Fields) -> Outcome {
        let validators = &validators(stored);
        let status = StatusCode::from_u16(status).unwrap();
        evaluate(side, method, &headers(request), Chosen { status, validators, received: RECEIVED }, &dates)
    }

    /// RFC, side, fields of the request, of the stored answer.
    type Get = (&'static str, Side, Fields, Fields, Outcome);

    const OF_A_GET: &[Get] = &[
        ("9110 13.2.2 no condition", Between, &[], &[TAG, LM, DATE], Serve),
        ("9110 13.1.2 same tag", Between, &[("if-none-match", "\"x\"")], &[TAG], NotModified),
        ("9110 13.1.2 weak comparison", Between, &[("if-none-match", "W/\"x\"")], &[TAG], NotModified),
        ("9110 13.1.2 stored weak", Between, &[("if-none-match", "\"x\"")], &[("etag", "W/\"x\"")], NotModified),
        ("9110 13.1.2 in a list", Between, &[("if-none-match", "\"a\", \"x\"")], &[TAG], NotModified),
        ("9110 13.1.2 any", Between, &[("if-none-match", "*")], &[], NotModified),
        ("9111 4.3.2 another tag gets the stored 200", Between, &[("if-none-match", "\"y\"")], &[TAG], Serve),
        ("9110 13.1.2 stored has no tag", Between, &[("if-none-match", "\"x\"")], &[LM], Serve),
        (
            "9110 13.2.2 If-None-Match before If-Modified-Since, not met",
            Between,
            &[("if-none-match", "\"y\""), ("if-modified-since", "@60")],
            &[TAG, LM, DATE],
            Serve,
        ),
        (
            "9110 13.2.2 If-None-Match before If-Modified-Since, met",
            Between,
            &[("if-none-match", "\"x\""), ("if-modified-since", "@40")],
            &[TAG, LM, DATE],
            NotModified,
        ),
        (
            "9110 13.1.3 a broken If-None-Match still hides If-Modified-Since",
            Between,
            &[("if-none-match", "w/\"y"), ("if-modified-since", "@60")],
            &[TAG, LM],
            Serve,
        ),
        ("9110 13.1.3 same date", Between, &[("if-modified-since", "@50")], &[LM], NotModified),
        ("9110 13.1.3 later date", Between, &[("if-modified-since", "@51")], &[LM], NotModified),
        ("9110 13.1.3 earlier date", Between, &[("if-modified-since", "@49")], &[LM], Serve),
        ("9110 13.1.3 not a date", Between, &[("if-modified-since", "50")], &[LM], Serve),
        ("9110 13.1.3 two dates", Between, &[("if-modified-since", "@60"), ("if-modified-since", "@60")], &[LM], Serve),
        ("9111 4.3.2 by Date, not before", Between, &[("if-modified-since", "@99")], &[DATE], Serve),
        ("9111 4.3.2 by Date", Between, &[("if-modified-since", "@100")], &[DATE], NotModified),
        ("9111 4.3.2 by receipt, not before", Between, &[("if-modified-since", "@199")], &[], Serve),
        ("9111 4.3.2 by receipt", Between, &[("if-modified-since", "@200")], &[], NotModified),
        ("9111 4.3.2 If-Match is the origin's", Between, &[("if-match", "\"x\"")], &[TAG], Forward),
        ("9111 4.3.2 If-Unmodified-Since is the origin's", Between, &[("if-unmodified-since", "@50")], &[LM], Forward),
        (
            "9111 4.3.2 the origin's before ours",
            Between,
            &[("if-match", "\"x\""), ("if-none-match", "\"x\"")],
            &[TAG],
            Forward,
        ),
        ("9110 13.1.4 not a date is no condition", Between, &[("if-unmodified-since", "50")], &[LM], Serve),
        ("9110 13.1.1 as origin, met", Origin, &[("if-match", "\"a\", \"x\"")], &[TAG], Serve),
        ("9110 13.1.1 as origin, any", Origin, &[("if-match", "*")], &[], Serve),
        ("9110 13.1.1 as origin, not met", Origin, &[("if-match", "\"y\"")], &[TAG], PreconditionFailed),
        ("9110 13.1.1 as origin, strong comparison", Origin, &[("if-match", "W/\"x\"")], &[TAG], PreconditionFailed),
        (
            "9110 13.2.2 as origin, If-Match hides If-Unmodified-Since",
            Origin,
            &[("if-match", "\"x\""), ("if-unmodified-since", "@40")],
            &[TAG, LM],
            Serve,
        ),
        ("9110 13.1.4 as origin, same date", Origin, &[("if-unmodified-since", "@50")], &[LM], Serve),
        ("9110 13.1.4 as origin, earlier", Origin, &[("if-unmodified-since", "@49")], &[LM], PreconditionFailed),
        ("9110 13.1.4 as origin, no date to compare", Origin, &[("if-unmodified-since", "@49")], &[TAG], Serve),
        (
            "9110 13.2.2 as origin, on to If-None-Match",
            Origin,
            &[("if-match", "\"x\""), ("if-none-match", "\"x\"")],
            &[TAG],
            NotModified,
        ),
    ];

    #[test]
    fn conditions_of_a_get_against_a_stored_200() {
        for (row, side, request, stored, expected) in OF_A_GET {
            assert_eq!(outcome(*side, &Method::GET, request, 200, stored), *expected, "{row}");
        }
    }

    #[test]
    fn conditions_count_by_method_and_status() {
        let known: Fields = &[("if-none-match", "\"x\"")];
        let rows: &[(&str, Side, Method, Fields, u16, Outcome)] = &[
            ("9110 13.2.2 HEAD", Between, Method::HEAD, known, 200, NotModified),
            ("9111 4.3.2 a stored 206", Between, Method::GET, known, 206, NotModified),
            ("9110 13.2.1 a stored 404", Between, Method::GET, known, 404, Serve),
            ("9110 13.2.1 a stored 301", Between, Method::GET, known, 301, Serve),
            ("9110 13.2.1 a stored 404, any", Between, Method::GET, &[("if-none-match", "*")], 404, Serve),
            ("9110 13.2.1 a stored 404, as origin", Origin, Method::GET, &[("if-match", "\"y\"")], 404, Serve),
            ("9111 4.3.2 other methods are the origin's", Between, Method::PUT, known, 200, Forward),
            ("9111 4.3.2 other methods are the handler's", Origin, Method::POST, known, 200, Forward),
        ];
        for (row, side, method, request, status, expected) in rows {
            assert_eq!(outcome(*side, method, request, *status, &[TAG]), *expected, "{row}");
        }
    }

    #[test]
    fn a_304_has_what_the_rfc_names() {
        // RFC, name, whether it stays if there is an entity tag, and if there is none.
        let rows = [
            ("9110 15.4.5", "cache-control", true, true),
            ("9110 15.4.5", "content-location", true, true),
            ("9110 15.4.5", "date", true, true),
            ("9110 15.4.5", "expires", true, true),
            ("9110 15.4.5", "vary", true, true),
            ("9110 15.4.5 only without a tag", "last-modified", false, true),
            ("9111 4", "age", true, true),
            ("9213 2.1", "cdn-cache-control", true, true),
            ("Fetch 4.9", "access-control-allow-origin", true, true),
            ("Fetch 3.8", "cross-origin-resource-policy", true, true),
            ("Resource Timing 3.5.2", "timing-allow-origin", true, true),
            ("Edge Architecture 2.3", "surrogate-control", true, true),
            ("9110 15.4.5", "content-type", false, false),
            ("9110 15.4.5", "content-length", false, false),
            ("9110 15.4.5", "content-encoding", false, false),
            ("9110 15.4.5", "content-range", false, false),
            ("9110 15.4.5", "set-cookie", false, false),
        ];
        for (row, name, with_tag, without) in rows {
            let tagged = not_modified(&headers(&[("etag", "\"x\""), (name, "a"), (name, "b")]));
            let joined = "a|b".to_owned();
            assert_eq!(text(&tagged, name), with_tag.then(|| joined.clone()), "{row}: {name}, with a tag");
            assert_eq!(text(&tagged, "etag").as_deref(), Some("\"x\""), "{row}");
            let untagged = not_modified(&headers(&[(name, "a"), (name, "b")]));
            assert_eq!(text(&untagged, name), without.then_some(joined), "{row}: {name}, without");
        }
    }

    proptest! {
        #[test]
        fn judging_never_panics(
            lines in proptest::collection::vec((0..6_usize, proptest::collection::vec(any::<u8>(), 0..30)), 0..12),
            status in 100..999_u16,
        ) {
            const NAMES: [HeaderName; 6] =
                [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, ETAG, LAST_MODIFIED];
            let mut both = HeaderMap::new();
            for (name, value) in &lines {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    both.append(&NAMES[*name], value);
                }
            }
            let validators = &Validators::of(&both, &dates);
            let status = StatusCode::from_u16(status).unwrap();
            let chosen = Chosen { status, validators, received: RECEIVED };
            for side in [Between, Origin] {
                let outcome = evaluate(side, &Method::GET, &both, chosen, &dates);
                prop_assert!(status.is_success() || matches!(outcome, Serve | Forward));
            }
            prop_assert!(!not_modified(&both).contains_key(IF_MATCH));
        }
    }
}
