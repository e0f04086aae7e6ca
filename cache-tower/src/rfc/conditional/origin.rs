//! Conditions to the origin, and whose a 304 to them is (RFC 9111 sections 4.3.1 to 4.3.3).

use http::{
    HeaderMap, HeaderValue,
    header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE},
};

use super::{EntityTag, Validators, select_for_update};

/// More entity tags of ours than this are not sent, and no more bytes of them: a request that is too large is refused.
const MAX_TAGS: usize = 32;
const MAX_TAG_BYTES: usize = 4_096;

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
    /// Those of stored answers alone.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// These of the stored answers are [updated](super::merge). The client is answered from what is stored after that, and its
    /// own conditions are [judged](super::evaluate) by it: if its list does not hold the tag, it gets a 200.
    Updated(Vec<usize>),
    /// It is about what the client has and we have not: it is the client's.
    Client,
    /// It is about the one that was named, and says so under another validator, as origins do that compress behind their tags: what
    /// is stored is the answer, is not updated (RFC 9111 section 4.3.4), and not kept.
    Holds,
    /// It is about nothing that anybody has, or nobody can say which: the request would have to be made again, without conditions.
    Again,
}

/// The fields of a request to the origin that validates `stored`, on behalf of a request with the fields `client`.
///
/// `stored` are the answers that could serve the request if they were valid, the most useful first; a partial one only if what it
/// holds would do (RFC 9111 section 4.3.2). Without any that has a validator, the client's own conditions stand.
pub(crate) fn validate(client: &HeaderMap, stored: &[Validators], wants: Wants) -> Validation {
    let mut headers = client.clone();
    if wants == Wants::Whole {
        headers.remove(RANGE);
        headers.remove(IF_RANGE);
    }
    if stored.iter().all(Validators::is_empty) {
        let is_conditional = client.contains_key(IF_NONE_MATCH) || client.contains_key(IF_MODIFIED_SINCE);
        return Validation { headers, whose: if is_conditional { Whose::Client } else { Whose::Nobody } };
    }
    // The client's conditions are judged by what comes back. RFC 9111 section 4.3.2 lets its entity tags go along; beside ours it could
    // not be told whose a 304 is that names none, or another.
    headers.remove(IF_MODIFIED_SINCE);
    headers.remove(IF_NONE_MATCH);
    if let Some(list) = list(tags_of(stored)) {
        headers.insert(IF_NONE_MATCH, list);
    }
    // RFC 9111 section 4.3.1: the date of a single answer, not of a range of it.
    if let ([one], false) = (stored, headers.contains_key(RANGE))
        && let Some(modified) = one.last_modified()
    {
        headers.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    let is_conditional = headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE);
    Validation { headers, whose: if is_conditional { Whose::Ours } else { Whose::Nobody } }
}

/// The entity tags of stored answers, each once.
fn tags_of(stored: &[Validators]) -> Vec<EntityTag<'_>> {
    let mut tags: Vec<EntityTag<'_>> = Vec::new();
    let mut bytes = 0;
    for tag in stored.iter().filter_map(|one| Some((one.tag()?, one.etag()?.len()))) {
        bytes += tag.1 + 2;
        if tags.len() == MAX_TAGS || bytes > MAX_TAG_BYTES {
            break;
        }
        if !tags.contains(&tag.0) {
            tags.push(tag.0);
        }
    }
    tags
}

fn list(tags: Vec<EntityTag<'_>>) -> Option<HeaderValue> {
    if tags.is_empty() {
        return None;
    }
    let mut text = Vec::new();
    for tag in tags {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        tag.write(&mut text);
    }
    HeaderValue::from_bytes(&text).ok()
}

impl Verdict {
    /// On a 304 with the validators `newer`, to a request with the conditions of `whose`; `stored` is what was given to [`validate`].
    pub(crate) fn of(whose: Whose, newer: &Validators, stored: &[Validators]) -> Self {
        let updated = select_for_update(newer, stored);
        if !updated.is_empty() {
            return Self::Updated(updated);
        }
        match whose {
            // Many origins send a 304 without validators, against RFC 9110 section 15.4.5. Where nobody else's were asked
            // about it can only mean this one.
            Whose::Ours if newer.is_empty() && stored.len() == 1 => Self::Updated(vec![0]),
            // RFC 9110 section 13.1.2: a condition of one tag says no of that one alone.
            Whose::Ours if matches!(stored, [one] if one.tag().is_some()) => Self::Holds,
            Whose::Client => Self::Client,
            Whose::Ours | Whose::Nobody => Self::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{
            Listed,
            validators::testing::{dates, headers, text, validators},
        },
        *,
    };

    type Fields = &'static [(&'static str, &'static str)];

    const A: (&str, &str) = ("etag", "\"a\"");
    const B: (&str, &str) = ("etag", "W/\"b\"");
    const LM: (&str, &str) = ("last-modified", "@9");

    struct Row {
        name: &'static str,
        client: Fields,
        stored: &'static [Fields],
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
        Row { name: "9111 4.3.1 the tag", stored: &[&[A]], none_match: Some("\"a\""), ..ROW },
        Row { name: "9111 4.3.1 a weak tag", stored: &[&[B]], none_match: Some("W/\"b\""), ..ROW },
        Row { name: "9111 4.3.1 the date", stored: &[&[LM]], modified_since: Some("@9"), ..ROW },
        Row {
            name: "9111 4.3.1 both of a single answer",
            stored: &[&[A, LM]],
            none_match: Some("\"a\""),
            modified_since: Some("@9"),
            ..ROW
        },
        Row {
            name: "9111 4.3.1 all tags, no date, of several",
            stored: &[&[A, LM], &[B, LM]],
            none_match: Some("\"a\", W/\"b\""),
            ..ROW
        },
        Row { name: "9111 4.3.1 each tag once", stored: &[&[A], &[A]], none_match: Some("\"a\""), ..ROW },
        Row {
            name: "9111 4.3.1 no date with a range",
            client: &[("range", "bytes=0-1")],
            stored: &[&[A, LM]],
            wants: Wants::AsAsked,
            none_match: Some("\"a\""),
            ..ROW
        },
        Row {
            name: "9111 4.3.1 only a date, with a range",
            client: &[("range", "bytes=0-1")],
            stored: &[&[LM]],
            wants: Wants::AsAsked,
            whose: Whose::Nobody,
            ..ROW
        },
        Row {
            name: "9111 4.3.2 the client's tags give way to ours",
            client: &[("if-none-match", "\"c\", W/\"a\"")],
            stored: &[&[A]],
            none_match: Some("\"a\""),
            ..ROW
        },
        Row {
            name: "9111 4.3.2 a star of the client's would hide ours",
            client: &[("if-none-match", "*")],
            stored: &[&[A]],
            none_match: Some("\"a\""),
            ..ROW
        },
        Row {
            name: "9110 13.1.3 a list of the client's would hide our date",
            client: &[("if-none-match", "\"c\"")],
            stored: &[&[LM]],
            modified_since: Some("@9"),
            ..ROW
        },
        Row {
            name: "9111 4.3.2 the client's date gives way to ours",
            client: &[("if-modified-since", "@5")],
            stored: &[&[LM]],
            modified_since: Some("@9"),
            ..ROW
        },
        Row {
            name: "9111 4.3.2 the client's date gives way to our tag",
            client: &[("if-modified-since", "@5")],
            stored: &[&[A]],
            none_match: Some("\"a\""),
            ..ROW
        },
        Row {
            name: "9111 4.3.2 nothing to validate, the client's stand",
            client: &[("if-none-match", "\"c\""), ("if-modified-since", "@5")],
            stored: &[&[]],
            none_match: Some("\"c\""),
            modified_since: Some("@5"),
            whose: Whose::Client,
            ..ROW
        },
        Row {
            name: "9110 8.8.3 what is no tag validates nothing",
            client: &[("if-modified-since", "@5")],
            stored: &[&[("etag", "w/\"a\"")]],
            modified_since: Some("@5"),
            whose: Whose::Client,
            ..ROW
        },
        Row { name: "9111 4.3.1 nothing to validate", stored: &[&[]], whose: Whose::Nobody, ..ROW },
    ];

    #[test]
    fn conditions_to_the_origin() {
        for row in ROWS {
            let stored: Vec<_> = row.stored.iter().map(|fields| validators(fields)).collect();
            let validation = validate(&headers(row.client), &stored, row.wants);
            assert_eq!(text(&validation.headers, "if-none-match").as_deref(), row.none_match, "tags: {}", row.name);
            let since = text(&validation.headers, "if-modified-since");
            assert_eq!(since.as_deref(), row.modified_since, "date: {}", row.name);
            assert_eq!(validation.whose, row.whose, "whose: {}", row.name);
        }
    }

    #[test]
    fn a_range_goes_along_only_where_it_is_wanted() {
        let client = headers(&[("range", "bytes=0-1"), ("if-range", "\"a\""), ("if-match", "\"z\""), ("x", "y")]);
        let stored = [validators(&[A])];
        for (wants, expected) in [(Wants::Whole, false), (Wants::AsAsked, true)] {
            let sent = validate(&client, &stored, wants).headers;
            assert_eq!((sent.contains_key("range"), sent.contains_key("if-range")), (expected, expected), "{wants:?}");
            assert_eq!(text(&sent, "if-match").as_deref(), Some("\"z\""), "the origin's conditions stay: {wants:?}");
            assert_eq!(text(&sent, "x").as_deref(), Some("y"), "{wants:?}");
        }
    }

    #[test]
    fn tags_that_are_sent_are_bounded() {
        let stored: Vec<_> =
            (0..1_000).map(|number| Validators::of(&headers(&[("etag", &format!("\"{number}\""))]), &dates)).collect();
        let sent = validate(&HeaderMap::new(), &stored, Wants::Whole).headers;
        assert_eq!(Listed::of(&sent, &IF_NONE_MATCH).unwrap().tags().count(), MAX_TAGS);
        let long = "x".repeat(3_000);
        let stored: Vec<_> = (0..3)
            .map(|number| Validators::of(&headers(&[("etag", &format!("\"{number}{long}\""))]), &dates))
            .collect();
        let sent = validate(&HeaderMap::new(), &stored, Wants::Whole).headers;
        assert_eq!(Listed::of(&sent, &IF_NONE_MATCH).unwrap().tags().count(), 1);
    }

    #[derive(Clone, Copy)]
    enum Expected {
        Updated,
        Client,
        Holds,
        Again,
    }

    /// RFC, fields of the 304, of what is stored.
    type Judged = (&'static str, Fields, &'static [Fields], Whose, Expected);

    const VERDICTS: &[Judged] = &[
        ("9111 4.3.4 ours", &[A], &[&[A]], Whose::Ours, Expected::Updated),
        ("9111 4.3.4 another tag than ours", &[("etag", "\"d\"")], &[&[A]], Whose::Ours, Expected::Holds),
        ("9111 4.3.4 another tag than two of ours", &[("etag", "\"d\"")], &[&[A], &[B]], Whose::Ours, Expected::Again),
        ("9110 13.1.3 an earlier date", &[("last-modified", "@5")], &[&[LM]], Whose::Ours, Expected::Again),
        ("9110 15.4.5 bare, and only one was named", &[], &[&[A]], Whose::Ours, Expected::Updated),
        ("9110 15.4.5 bare, and two were named", &[], &[&[A], &[B]], Whose::Ours, Expected::Again),
        ("9111 4.3.3 only the client's condition", &[LM], &[], Whose::Client, Expected::Client),
        ("9111 4.3.4 the client's, one stored without validators", &[], &[&[]], Whose::Client, Expected::Updated),
        ("9110 15.4.5 nobody asked", &[A], &[&[]], Whose::Nobody, Expected::Again),
    ];

    #[test]
    fn a_304_is_ours_or_the_clients() {
        for (row, newer, stored, whose, expected) in VERDICTS {
            let stored: Vec<_> = stored.iter().map(|fields| validators(fields)).collect();
            let verdict = Verdict::of(*whose, &validators(newer), &stored);
            let expected = match expected {
                Expected::Updated => Verdict::Updated(vec![0]),
                Expected::Client => Verdict::Client,
                Expected::Holds => Verdict::Holds,
                Expected::Again => Verdict::Again,
            };
            assert_eq!(verdict, expected, "{row}");
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
            let stored = [Validators::of(&client, &dates), validators(&[A, LM])];
            for wants in [Wants::AsAsked, Wants::Whole] {
                let Validation { headers, whose } = validate(&client, &stored, wants);
                prop_assert_eq!(whose, Whose::Ours);
                let listed = Listed::of(&headers, &IF_NONE_MATCH).unwrap();
                prop_assert!(listed.holds_strongly(stored[1].tag()));
            }
        }
    }
}
