//! Whether a newer answer is about a stored one, and what it changes in them (RFC 9111 sections 3.2, 4.3.4 and 4.3.5).

use http::{
    HeaderMap, HeaderName,
    header::{
        AGE, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

use super::{Validators, validators::only};

/// What kind of answer changes a stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// A 304, or a 200 to a HEAD.
    Whole,
    /// A 206 that was combined with it: its `Content-Range` is of the part, not of what is stored.
    Part,
}

/// What a 200 to a HEAD says of a stored answer to a GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadEffect {
    /// It is the same: the fields of the HEAD are [merged](merge) into it.
    Update,
    /// It is another: the stored answer is stale from now on.
    Stale,
    /// It names no validator by which that could be told.
    Nothing,
}

/// Whether a 304 is about a stored answer that could have been chosen for the request, fresh or not (RFC 9111 section 4.3.4).
pub(crate) fn is_about(newer: &Validators, stored: &Validators) -> bool {
    if newer.is_empty() {
        return stored.is_empty();
    }
    // Another strong tag updates nothing, whatever else is equal.
    stored.shares_strong(newer) || (newer.strong_tag().is_none() && stored.shares_weak(newer))
}

/// The fields of a stored answer after a newer one about it (RFC 9111 section 3.2): each field of the newer one takes the place
/// of all lines of its name, but `Content-Length` and what is never stored. `Content-Type` and `Content-Encoding` are no
/// exceptions: what is stored is what was received.
pub(crate) fn merge(stored: &HeaderMap, newer: &HeaderMap, update: Update) -> HeaderMap {
    let mut merged = stored.clone();
    // The age is that of the newer answer, which is as good as new if it does not say otherwise (RFC 9111 section 4.2.3).
    merged.remove(AGE);
    let named: Vec<_> = names_of(newer).collect();
    for name in newer.keys().filter(|name| !is_excepted(name, &named, update)) {
        merged.remove(name);
        for value in newer.get_all(name) {
            merged.append(name, value.clone());
        }
    }
    merged
}

fn is_excepted(name: &HeaderName, named: &[&[u8]], update: Update) -> bool {
    const NEVER: [HeaderName; 8] =
        [CONNECTION, CONTENT_LENGTH, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    NEVER.contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-authentication-info" | "proxy-connection")
        || (update == Update::Part && *name == CONTENT_RANGE)
        || named.iter().any(|named| named.eq_ignore_ascii_case(name.as_str().as_bytes()))
}

/// The fields that `Connection` names.
fn names_of(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(CONNECTION).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
}

/// What a 200 to a HEAD does to a stored answer to a GET that could have been chosen for it (RFC 9111 section 4.3.5): `newer`
/// are the validators of the HEAD, `head` its fields, `length` that of the stored content.
pub(crate) fn head_effect(stored: &Validators, length: u64, newer: &Validators, head: &HeaderMap) -> HeadEffect {
    // The tag with its strength: a stored weak tag made strong would claim what nobody said of the stored content.
    let same_tag = newer.tag().is_none_or(|tag| stored.tag() == Some(tag));
    let same_date = newer.modified().is_none_or(|modified| stored.modified() == Some(modified));
    let same_length = !head.contains_key(CONTENT_LENGTH) || content_length(head) == Some(length);
    if !(same_tag && same_date && same_length) {
        HeadEffect::Stale
    } else if newer.is_empty() {
        HeadEffect::Nothing
    } else {
        HeadEffect::Update
    }
}

/// The length that an answer says it has, if it is one.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    let digits = only(headers, &CONTENT_LENGTH)?.to_str().ok()?;
    // `parse` alone would take a plus sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::{
        super::validators::testing::{dates, headers, text, validators},
        *,
    };

    type Fields = &'static [(&'static str, &'static str)];

    const A: (&str, &str) = ("etag", "\"a\"");
    const B: (&str, &str) = ("etag", "\"b\"");
    const WEAK_A: (&str, &str) = ("etag", "W/\"a\"");
    const LM: (&str, &str) = ("last-modified", "@9");
    const OLD: (&str, &str) = ("date", "@100");
    const NEW: (&str, &str) = ("date", "@200");

    #[test]
    fn a_304_is_about_what_has_its_validators() {
        let rows: &[(&str, Fields, Fields, bool)] = &[
            ("9111 4.3.4 the strong tag", &[A], &[A], true),
            ("9111 4.3.4 another strong tag", &[A], &[B], false),
            ("9111 4.3.4 another strong tag, same date", &[B, LM], &[A, LM, OLD], false),
            ("9111 4.3.4 a strong tag is not a weak one", &[A], &[WEAK_A], false),
            ("9111 4.3.4 a strong tag, the stored one has none", &[A], &[], false),
            ("9111 4.3.4 a strong tag, and by a strong date", &[A, LM], &[LM, OLD], true),
            ("9111 4.3.4 a strong tag, but a weak date", &[A, LM], &[LM], false),
            ("9111 4.3.4 the strong date", &[LM], &[LM, OLD], true),
            ("9111 4.3.4 a weak tag", &[WEAK_A], &[WEAK_A, NEW], true),
            ("9111 4.3.4 a weak tag is of a strong one too", &[WEAK_A], &[A], true),
            ("9111 4.3.4 another weak tag", &[("etag", "W/\"c\"")], &[A], false),
            ("9111 4.3.4 a weak tag, the stored one has nothing", &[WEAK_A], &[], false),
            ("9111 4.3.4 a weak date", &[LM], &[LM], true),
            ("9111 4.3.4 another date", &[LM], &[("last-modified", "@8"), OLD], false),
            ("9111 4.3.4 none, and stored without", &[NEW], &[OLD], true),
            ("9111 4.3.4 none, and stored with", &[], &[A], false),
        ];
        for (row, newer, stored, expected) in rows {
            assert_eq!(is_about(&validators(newer), &validators(stored)), *expected, "{row}");
        }
    }

    /// RFC, kind, fields stored, of the newer answer, the name of one, its lines after that.
    type Merged = (&'static str, Update, Fields, Fields, &'static str, Option<&'static str>);

    const MERGED: &[Merged] = &[
        ("9111 3.2 replaced", Update::Whole, &[("x", "1")], &[("x", "2")], "x", Some("2")),
        ("9111 3.2 added", Update::Whole, &[], &[("x", "2")], "x", Some("2")),
        ("9111 3.2 kept", Update::Whole, &[("x", "1")], &[], "x", Some("1")),
        (
            "9111 3.2 all lines for all lines",
            Update::Whole,
            &[("x", "1"), ("x", "2")],
            &[("x", "3"), ("x", "4")],
            "x",
            Some("3|4"),
        ),
        ("9111 3.2 fewer lines", Update::Whole, &[("x", "1"), ("x", "2")], &[("x", "3")], "x", Some("3")),
        (
            "9111 3.2 Content-Length",
            Update::Whole,
            &[("content-length", "9")],
            &[("content-length", "0")],
            "content-length",
            Some("9"),
        ),
        ("9111 3.2 no Content-Length from it", Update::Whole, &[], &[("content-length", "0")], "content-length", None),
        (
            "9111 3.2 Content-Type",
            Update::Whole,
            &[("content-type", "a/b")],
            &[("content-type", "a/c")],
            "content-type",
            Some("a/c"),
        ),
        (
            "9111 3.2 Content-Encoding",
            Update::Whole,
            &[("content-encoding", "x")],
            &[("content-encoding", "y")],
            "content-encoding",
            Some("y"),
        ),
        (
            "9111 3.2 Content-Foo",
            Update::Whole,
            &[("content-foo", "1")],
            &[("content-foo", "2")],
            "content-foo",
            Some("2"),
        ),
        ("9111 3.2 Content-Range of a 304", Update::Whole, &[], &[("content-range", "x")], "content-range", Some("x")),
        ("9111 3.2 Content-Range of a part", Update::Part, &[], &[("content-range", "x")], "content-range", None),
        (
            "9111 3.2 Set-Cookie",
            Update::Whole,
            &[("set-cookie", "a=1")],
            &[("set-cookie", "a=2")],
            "set-cookie",
            Some("a=2"),
        ),
        ("9111 3.1 Connection", Update::Whole, &[], &[("connection", "close")], "connection", None),
        ("9111 3.1 what it names", Update::Whole, &[("x", "1")], &[("connection", "a, X"), ("x", "2")], "x", Some("1")),
        (
            "9111 3.1 on its second line",
            Update::Whole,
            &[],
            &[("connection", "a"), ("connection", "x"), ("x", "2")],
            "x",
            None,
        ),
        ("9111 3.1 Keep-Alive", Update::Whole, &[], &[("keep-alive", "1")], "keep-alive", None),
        (
            "9111 3.1 Transfer-Encoding",
            Update::Whole,
            &[],
            &[("transfer-encoding", "chunked")],
            "transfer-encoding",
            None,
        ),
        ("9111 3.1 TE", Update::Whole, &[], &[("te", "x")], "te", None),
        ("9111 3.1 Upgrade", Update::Whole, &[], &[("upgrade", "x")], "upgrade", None),
        ("9111 3.1 Proxy-Connection", Update::Whole, &[], &[("proxy-connection", "x")], "proxy-connection", None),
        ("9111 3.1 Proxy-Authenticate", Update::Whole, &[], &[("proxy-authenticate", "x")], "proxy-authenticate", None),
        (
            "9111 3.1 Proxy-Authentication-Info",
            Update::Whole,
            &[],
            &[("proxy-authentication-info", "x")],
            "proxy-authentication-info",
            None,
        ),
        (
            "9111 3.1 Proxy-Authorization",
            Update::Whole,
            &[],
            &[("proxy-authorization", "x")],
            "proxy-authorization",
            None,
        ),
        ("9111 4.2.3 the old age is gone", Update::Whole, &[("age", "99")], &[], "age", None),
        ("9111 4.2.3 the new age counts", Update::Whole, &[("age", "99")], &[("age", "3")], "age", Some("3")),
    ];

    #[test]
    fn a_newer_answer_updates_every_field_but() {
        for (row, update, stored, newer, name, expected) in MERGED {
            let merged = merge(&headers(stored), &headers(newer), *update);
            assert_eq!(text(&merged, name).as_deref(), *expected, "{row}");
        }
    }

    #[test]
    fn a_head_updates_or_makes_stale() {
        use HeadEffect::{Nothing, Stale, Update};
        let rows: &[(&str, Fields, Fields, HeadEffect)] = &[
            ("9111 4.3.5 same tag", &[A], &[A], Update),
            ("9111 4.3.5 nothing but the length", &[], &[("content-length", "7")], Nothing),
            ("9111 4.3.5 nothing but another length", &[A], &[("content-length", "8")], Stale),
            ("9111 4.3.5 other tag", &[A], &[B], Stale),
            ("9111 4.3.5 a tag that the stored one lacks", &[], &[A], Stale),
            ("9111 4.3.5 a weak tag does not become strong", &[WEAK_A], &[A], Stale),
            ("9111 4.3.5 same date", &[LM], &[LM], Update),
            ("9111 4.3.5 other date", &[LM], &[("last-modified", "@8")], Stale),
            ("9111 4.3.5 same tag, other date", &[A, LM], &[A, ("last-modified", "@8")], Stale),
            ("9111 4.3.5 same tag, no date received", &[A, LM], &[A], Update),
            ("9111 4.3.5 same length", &[A], &[A, ("content-length", "7")], Update),
            ("9111 4.3.5 other length", &[A], &[A, ("content-length", "8")], Stale),
            ("9111 4.3.5 a length that is none", &[A], &[A, ("content-length", "+7")], Stale),
            ("9111 4.3.5 nothing received", &[A, LM], &[], Nothing),
        ];
        for (row, stored, head, expected) in rows {
            let effect = head_effect(&validators(stored), 7, &validators(head), &headers(head));
            assert_eq!(effect, *expected, "{row}");
        }
    }

    proptest! {
        #[test]
        fn merging_never_panics_and_keeps_the_length(
            lines in proptest::collection::vec(("[a-c]{1,2}", proptest::collection::vec(any::<u8>(), 0..20)), 0..12),
            connection in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let mut newer = headers(&[("content-length", "1"), ("transfer-encoding", "chunked")]);
            for (name, value) in lines.iter().map(|(name, value)| (name.as_str(), value)).chain([("connection", &connection)]) {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    newer.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
                }
            }
            let merged = merge(&headers(&[("content-length", "5")]), &newer, Update::Whole);
            prop_assert_eq!(content_length(&merged), Some(5));
            prop_assert!(!merged.contains_key(TRANSFER_ENCODING) && !merged.contains_key(CONNECTION));
            let newer = Validators::of(&newer, &dates);
            let _ = (is_about(&newer, &newer), is_about(&newer, &Validators::default()));
        }
    }
}
