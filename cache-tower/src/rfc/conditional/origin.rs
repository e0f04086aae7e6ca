//! Conditions to the origin, and whose a 304 to them is (RFC 9111 sections 4.3.1 to 4.3.3).

use http::{
    HeaderMap,
    header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE},
};

use super::{Validators, is_about};

/// What of the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// What the client asked for, `Range` and `If-Range` included.
    AsAsked,
    /// All of it, to be stored; the client's range is served from that.
    Whole,
}

/// Whose conditions a request to the origin holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Nobody,
    /// Those of the stored answer alone.
    Ours,
    /// Those of the client alone.
    Client,
}

/// A request to the origin.
#[derive(Clone, Debug)]
pub(crate) struct Validation {
    /// The fields of the client's request, with the conditions exchanged.
    pub(crate) headers: HeaderMap,
    pub(crate) whose: Whose,
}

/// What to do with a 304.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The stored answer is [updated](super::merge). The client is answered from what is stored after that, and its own
    /// conditions are [judged](super::evaluate) by it: if its list does not hold the tag, it gets a 200.
    Updated,
    /// It is about what the client has and we have not: it is the client's.
    Client,
    /// It says that under another validator, as origins do that compress behind their tags: what is stored is the answer, is not
    /// updated (RFC 9111 section 4.3.4), and not kept.
    Holds,
}

/// The fields of a request to the origin that validates `stored`, on behalf of a request with the fields `client`.
///
/// `stored` is the answer that could serve the request if it were valid; a partial one only if what it holds would do (RFC 9111
/// section 4.3.2). Without one that has a validator, the client's own conditions stand.
pub(crate) fn validate(client: &HeaderMap, stored: Option<&Validators>, wants: Wants) -> Validation {
    let is_conditional =
        |headers: &HeaderMap| headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE);
    let mut headers = client.clone();
    if wants == Wants::Whole {
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
    }
    let Some(stored) = stored.filter(|stored| !stored.is_empty()) else {
        let whose = if is_conditional(client) { Whose::Client } else { Whose::Nobody };
        return Validation { headers, whose };
    };
    // The client's conditions are judged by what comes back. RFC 9111 section 4.3.2 lets its entity tags go along; beside ours it could
    // not be told whose a 304 is that names none, or another.
    headers.remove(IF_MODIFIED_SINCE);
    headers.remove(IF_NONE_MATCH);
    if let Some(tag) = stored.etag() {
        headers.insert(IF_NONE_MATCH, tag.clone());
    }
    // RFC 9111 section 4.3.1: not of a range of it.
    if let Some(modified) = stored.last_modified().filter(|_| !headers.contains_key(RANGE)) {
        headers.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    let whose = if is_conditional(&headers) { Whose::Ours } else { Whose::Nobody };
    Validation { headers, whose }
}

impl Verdict {
    /// On a 304 with the validators `newer`, to a request with the conditions of `whose`; `stored` is what was given to [`validate`].
    pub(crate) fn of(whose: Whose, newer: &Validators, stored: Option<&Validators>) -> Self {
        if stored.is_some_and(|stored| is_about(newer, stored)) {
            return Self::Updated;
        }
        match whose {
            // Many origins send a 304 without validators, against RFC 9110 section 15.4.5.
            Whose::Ours if newer.is_empty() => Self::Updated,
            // RFC 9110 sections 13.1.2 and 13.1.3: nobody else's were asked about, so it can only be about this one.
            Whose::Ours => Self::Holds,
            Whose::Client | Whose::Nobody => Self::Client,
        }
    }
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
    const B: (&str, &str) = ("etag", "W/\"b\"");
    const LM: (&str, &str) = ("last-modified", "@9");

    struct Row {
        name: &'static str,
        client: Fields,
        stored: Fields,
        wants: Wants,
        none_match: Option<&'static str>,
        modified_since: Option<&'static str>,
        whose: Whose,
    }

    const ROW: Row = Row {
        name: "",
        client: &[],
        stored: &[],
        wants: Wants::Whole,
        none_match: None,
        modified_since: None,
        whose: Whose::Ours,
    };

    const ROWS: &[Row] = &[
        Row { name: "9111 4.3.1 the tag", stored: &[A], none_match: Some("\"a\""), ..ROW },
        Row { name: "9111 4.3.1 a weak tag", stored: &[B], none_match: Some("W/\"b\""), ..ROW },
        Row { name: "9111 4.3.1 the date", stored: &[LM], modified_since: Some("@9"), ..ROW },
        Row { name: "9111 4.3.1 both", stored: &[A, LM], none_match: Some("\"a\""), modified_since: Some("@9"), ..ROW },
        Row {
            name: "9111 4.3.1 no date with a range",
            client: &[("range", "bytes=0-1")],
            stored: &[A, LM],
            wants: Wants::AsAsked,
            none_match: Some("\"a\""),
            ..ROW
        },
        Row {
            name: "9111 4.3.1 only a date, with a range",
            client: &[("range", "bytes=0-1")],
            stored: &[LM],
            wants: Wants::AsAsked,
            whose: Whose::Nobody,
            ..ROW
        },
        Row {
            name: "9111 4.3.2 the client's tags give way to ours",
            client: &[("if-none-match", "\"c\", W/\"a\"")],
            stored: &[A],
            none_match: Some("\"a\""),
            ..ROW
        },
        Row {
            name: "9111 4.3.2 a star of the client's would hide ours",
            client: &[("if-none-match", "*")],
            stored: &[A],
            none_match: Some("\"a\""),
            ..ROW
        },
        Row {
            name: "9110 13.1.3 a list of the client's would hide our date",
            client: &[("if-none-match", "\"c\"")],
            stored: &[LM],
            modified_since: Some("@9"),
            ..ROW
        },
        Row {
            name: "9111 4.3.2 the client's date gives way to ours",
            client: &[("if-modified-since", "@5")],
            stored: &[LM],
            modified_since: Some("@9"),
            ..ROW
        },
        Row {
            name: "9111 4.3.2 the client's date gives way to our tag",
            client: &[("if-modified-since", "@5")],
            stored: &[A],
            none_match: Some("\"a\""),
            ..ROW
        },
        Row {
            name: "9111 4.3.2 nothing to validate, the client's stand",
            client: &[("if-none-match", "\"c\""), ("if-modified-since", "@5")],
            stored: &[],
            none_match: Some("\"c\""),
            modified_since: Some("@5"),
            whose: Whose::Client,
            ..ROW
        },
        Row {
            name: "9110 8.8.3 what is no tag validates nothing",
            client: &[("if-modified-since", "@5")],
            stored: &[("etag", "w/\"a\"")],
            modified_since: Some("@5"),
            whose: Whose::Client,
            ..ROW
        },
        Row { name: "9111 4.3.1 nothing to validate", stored: &[], whose: Whose::Nobody, ..ROW },
    ];

    #[test]
    fn conditions_to_the_origin() {
        for row in ROWS {
            let validation = validate(&headers(row.client), Some(&validators(row.stored)), row.wants);
            assert_eq!(text(&validation.headers, "if-none-match").as_deref(), row.none_match, "tags: {}", row.name);
            let since = text(&validation.headers, "if-modified-since");
            assert_eq!(since.as_deref(), row.modified_since, "date: {}", row.name);
            assert_eq!(validation.whose, row.whose, "whose: {}", row.name);
        }
    }

    #[test]
    fn a_range_goes_along_only_where_it_is_wanted() {
        let client = headers(&[("range", "bytes=0-1"), ("if-range", "\"a\""), ("if-match", "\"z\""), ("x", "y")]);
        let stored = validators(&[A]);
        for (wants, expected) in [(Wants::Whole, false), (Wants::AsAsked, true)] {
            let sent = validate(&client, Some(&stored), wants).headers;
            assert_eq!((sent.contains_key("range"), sent.contains_key("if-range")), (expected, expected), "{wants:?}");
            assert_eq!(text(&sent, "if-match").as_deref(), Some("\"z\""), "the origin's conditions stay: {wants:?}");
            assert_eq!(text(&sent, "x").as_deref(), Some("y"), "{wants:?}");
        }
    }

    /// RFC, fields of the 304, of what is stored.
    type Judged = (&'static str, Fields, Option<Fields>, Whose, Verdict);

    const VERDICTS: &[Judged] = &[
        ("9111 4.3.4 ours", &[A], Some(&[A]), Whose::Ours, Verdict::Updated),
        ("9111 4.3.4 another tag than ours", &[("etag", "\"d\"")], Some(&[A]), Whose::Ours, Verdict::Holds),
        ("9110 13.1.3 an earlier date", &[("last-modified", "@5")], Some(&[LM]), Whose::Ours, Verdict::Holds),
        ("9110 13.1.3 a tag, and there was none", &[A], Some(&[LM]), Whose::Ours, Verdict::Holds),
        ("9110 15.4.5 bare", &[], Some(&[A]), Whose::Ours, Verdict::Updated),
        ("9111 4.3.3 only the client's condition", &[LM], None, Whose::Client, Verdict::Client),
        ("9111 4.3.4 the client's, one stored without validators", &[], Some(&[]), Whose::Client, Verdict::Updated),
    ];

    #[test]
    fn a_304_is_ours_or_the_clients() {
        for (row, newer, stored, whose, expected) in VERDICTS {
            let stored = stored.map(validators);
            assert_eq!(Verdict::of(*whose, &validators(newer), stored.as_ref()), *expected, "{row}");
        }
    }

    proptest! {
        #[test]
        fn asking_never_panics(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let mut client = HeaderMap::new();
            for line in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
                client.append(IF_NONE_MATCH, line.clone());
                client.append("etag", line.clone());
                client.append(IF_MODIFIED_SINCE, line);
            }
            for stored in [Validators::of(&client, &dates), validators(&[A, LM])] {
                for wants in [Wants::AsAsked, Wants::Whole] {
                    let sent = validate(&client, Some(&stored), wants);
                    prop_assert!(stored.etag().is_none_or(|tag| sent.headers.get(IF_NONE_MATCH) == Some(tag)));
                }
            }
        }
    }
}
