//! What a client asks for by `Range` and `If-Range`, and what it gets of a whole answer (RFC 9110 sections 13.1.5 and 14.2).

use http::{
    HeaderMap, Method, StatusCode,
    header::{IF_RANGE, RANGE},
};

use super::{ByteRange, coalesce, number};
use crate::rfc::conditional::{Dates, EntityTag, Validators, only};

/// A field with more ranges than this is ignored.
const MAX_SPECS: usize = 128;
/// Of more parts than this those that are near each other are sent as one.
const FEW_PARTS: usize = 8;
/// More parts than this are not sent: the client gets the whole.
const MAX_PARTS: usize = 32;
/// About what a part costs besides its bytes.
const PART_BYTES: u64 = 128;

/// The ranges that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    specs: Vec<Spec>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spec {
    /// `first-last`, `first-`.
    From { first: u64, last: Option<u64> },
    /// `-length`: the last bytes.
    Suffix(u64),
}

/// What a request gets of an answer that is there as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// All of it, with its own status.
    Whole,
    /// A 206 with [`part`](super::part).
    One(ByteRange),
    /// A 206 with [`multipart`](super::multipart): at least two ranges, that do not overlap.
    Several(Vec<ByteRange>),
    /// A 416 with [`not_satisfiable`](super::not_satisfiable).
    NotSatisfiable,
}

/// What a request gets of a stored answer of `total` bytes. The other conditions come first, see
/// [`evaluate`](crate::rfc::conditional::evaluate).
pub(crate) fn serve(
    method: &Method,
    request: &HeaderMap,
    stored: StatusCode,
    validators: &Validators,
    total: u64,
    dates: Dates<'_>,
) -> Served {
    // RFC 9110 section 14.2: a range is of what would be a 200.
    if stored != StatusCode::OK {
        return Served::Whole;
    }
    asked(method, request, validators, dates).map_or(Served::Whole, |asked| asked.of_total(total))
}

/// The ranges that a request asks for, if it does and `If-Range` stands against the stored validators.
pub(crate) fn asked(method: &Method, request: &HeaderMap, validators: &Validators, dates: Dates<'_>) -> Option<Asked> {
    // RFC 9110 section 14.2: of all methods GET alone has ranges.
    if method != Method::GET || !is_same(request, validators, dates) {
        return None;
    }
    Asked::of(request)
}

/// Whether `If-Range`, if there is one, names what is stored.
fn is_same(request: &HeaderMap, validators: &Validators, dates: Dates<'_>) -> bool {
    if !request.contains_key(IF_RANGE) {
        return true;
    }
    let Some(value) = only(request, &IF_RANGE) else { return false };
    if let Some(tag) = EntityTag::parse(value).filter(|tag| tag.is_quoted()) {
        return validators.tag().is_some_and(|stored| stored.matches_strongly(tag));
    }
    // RFC 9110 section 13.1.5: exactly the date, not an earlier or later one, and only if it is a strong validator.
    dates(value).is_some_and(|date| validators.strong_modified() == Some(date))
}

// === impl Asked ===

impl Asked {
    /// What `Range` says; none if it is to be ignored: another unit, or anything in it that is no range (RFC 9110 section 14.2).
    pub(crate) fn of(request: &HeaderMap) -> Option<Self> {
        let value = only(request, &RANGE)?.as_bytes().trim_ascii();
        let equals = value.iter().position(|byte| *byte == b'=')?;
        if !value[..equals].eq_ignore_ascii_case(b"bytes") {
            return None;
        }
        let members = value[equals + 1..].split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let members = members.filter(|member| !member.is_empty());
        let specs: Option<Vec<Spec>> = members.take(MAX_SPECS + 1).map(Spec::parse).collect();
        specs.filter(|specs| !specs.is_empty() && specs.len() <= MAX_SPECS).map(|specs| Self { specs })
    }

    /// The only range that it asks for.
    pub(super) fn single(&self) -> Option<Spec> {
        match self.specs[..] {
            [spec] => Some(spec),
            _ => None,
        }
    }

    /// What it gets of `total` bytes.
    pub(crate) fn of_total(&self, total: u64) -> Served {
        let is_suffix = |spec: &Spec| matches!(spec, Spec::Suffix(1..));
        if total == 0 && self.specs.iter().any(is_suffix) {
            // RFC 9110 section 14.1.2: satisfiable, but no `Content-Range` can say so.
            return Served::Whole;
        }
        let ranges: Vec<_> = self.specs.iter().filter_map(|spec| spec.of_total(total)).collect();
        match apart(ranges) {
            None => Served::Whole,
            Some(ranges) => match ranges[..] {
                [] => Served::NotSatisfiable,
                [range] => Served::One(range),
                [..] => Served::Several(ranges),
            },
        }
    }
}

/// Ranges that do not overlap and are not too many: in the order asked for if that is what they are, else sorted. None if they are
/// too many still (RFC 9110 sections 14.2, 15.3.7.2 and 17.15).
fn apart(mut ranges: Vec<ByteRange>) -> Option<Vec<ByteRange>> {
    let mut sorted = ranges.clone();
    coalesce(&mut sorted, 0);
    if sorted.len() < ranges.len() {
        ranges = sorted;
    }
    if ranges.len() > FEW_PARTS {
        coalesce(&mut ranges, PART_BYTES);
    }
    (ranges.len() <= MAX_PARTS).then_some(ranges)
}

// === impl Spec ===

impl Spec {
    fn parse(text: &[u8]) -> Option<Self> {
        let dash = text.iter().position(|byte| *byte == b'-')?;
        let (first, last) = (&text[..dash], &text[dash + 1..]);
        match (first, last) {
            ([], last) => Some(Self::Suffix(position(last)?)),
            (first, []) => Some(Self::From { first: position(first)?, last: None }),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                // RFC 9110 section 14.1.1: backwards is invalid, not unsatisfiable.
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    fn of_total(self, total: u64) -> Option<ByteRange> {
        let end = total.checked_sub(1)?;
        match self {
            Self::From { first, last } => ByteRange::new(first, last.map_or(end, |last| last.min(end))),
            Self::Suffix(length) => ByteRange::new(total.saturating_sub(length), end),
        }
    }
}

/// A position as a client says it: what does not fit is beyond every end.
fn position(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| number(digits).unwrap_or(u64::MAX).min(u64::MAX - 1))
}

#[cfg(test)]
mod tests {
    use Served::{NotSatisfiable, One, Several, Whole};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::rfc::conditional::testing::{dates, headers, validators};

    fn range(first: u64, last: u64) -> ByteRange {
        ByteRange::new(first, last).unwrap()
    }

    fn one(first: u64, last: u64) -> Served {
        One(range(first, last))
    }

    fn several(ranges: &[(u64, u64)]) -> Served {
        Several(ranges.iter().map(|(first, last)| range(*first, *last)).collect())
    }

    fn served(request: &HeaderMap, total: u64) -> Served {
        serve(&Method::GET, request, StatusCode::OK, &Validators::default(), total, &dates)
    }

    #[test]
    fn one_range_of_a_hundred_bytes() {
        let rows = [
            ("9110 14.1.2 from and to", "bytes=0-9", one(0, 9)),
            ("9110 14.1.2 one byte", "bytes=5-5", one(5, 5)),
            ("9110 14.1.2 from", "bytes=90-", one(90, 99)),
            ("9110 14.1.2 from the start", "bytes=0-", one(0, 99)),
            ("9110 14.1.2 the last", "bytes=-10", one(90, 99)),
            ("9110 14.1.2 more than there is", "bytes=-1000", one(0, 99)),
            ("9110 14.1.2 to beyond the end", "bytes=90-1000", one(90, 99)),
            ("9110 14.1.2 to what does not fit", "bytes=90-99999999999999999999999", one(90, 99)),
            ("9110 14.1.2 the last of what does not fit", "bytes=-99999999999999999999999", one(0, 99)),
            ("9110 14.1.2 from the last byte", "bytes=99-", one(99, 99)),
            ("9110 15.5.17 from the end", "bytes=100-", NotSatisfiable),
            ("9110 15.5.17 beyond the end", "bytes=100-200", NotSatisfiable),
            ("9110 15.5.17 from what does not fit", "bytes=99999999999999999999999-", NotSatisfiable),
            ("9110 14.1.2 the last none", "bytes=-0", NotSatisfiable),
            ("9110 14.1 the unit's case", "Bytes=0-9", one(0, 9)),
            ("9110 14.2 another unit", "items=0-9", Whole),
            ("9110 14.2 no unit", "0-9", Whole),
            ("9110 14.1.1 no ranges", "bytes=", Whole),
            ("9110 14.1.1 only commas", "bytes=,,", Whole),
            ("9110 14.1.1 backwards", "bytes=9-0", Whole),
            ("9110 14.1.1 no dash", "bytes=9", Whole),
            ("9110 14.1.1 only a dash", "bytes=-", Whole),
            ("9110 14.1.1 two dashes", "bytes=0-1-2", Whole),
            ("9110 14.1.1 negative", "bytes=--1", Whole),
            ("9110 14.1.1 a sign", "bytes=+0-9", Whole),
            ("9110 14.1.1 hexadecimal", "bytes=0x0-9", Whole),
            ("9110 14.1.1 whitespace in a range", "bytes=0 - 9", Whole),
            ("9110 14.1.1 whitespace before the sign", "bytes =0-9", Whole),
            ("9110 5.5 whitespace around", " bytes=0-9\t", one(0, 9)),
            ("9110 5.6.1 empty members", "bytes=,0-9 ,,", one(0, 9)),
            ("9110 14.1.1 one of two is none", "bytes=0-9,x", Whole),
            ("9110 14.1.1 one of two is backwards", "bytes=0-9,9-0", Whole),
        ];
        for (row, value, expected) in rows {
            assert_eq!(served(&headers(&[("range", value)]), 100), expected, "{row}");
        }
    }

    #[test]
    fn several_ranges_of_a_hundred_bytes() {
        let rows = [
            ("9110 14.1.2 two", "bytes=0-1,4-5", several(&[(0, 1), (4, 5)])),
            ("9110 14.1.2 two, whitespace", "bytes=0-1 ,\t4-5", several(&[(0, 1), (4, 5)])),
            ("9110 15.3.7.2 in the order asked for", "bytes=4-5,0-1", several(&[(4, 5), (0, 1)])),
            ("9110 14.1.2 first and last", "bytes=0-0,-1", several(&[(0, 0), (99, 99)])),
            ("9110 15.3.7.2 only one satisfiable", "bytes=0-1,200-", one(0, 1)),
            ("9110 15.5.17 none satisfiable", "bytes=100-,200-300", NotSatisfiable),
            ("9110 15.3.7.2 those that touch", "bytes=0-1,2-3", several(&[(0, 1), (2, 3)])),
            ("9110 15.3.7.2 overlapping", "bytes=0-5,5-9", one(0, 9)),
            ("9110 15.3.7.2 one within another", "bytes=0-9,2-3", one(0, 9)),
            ("9110 17.15 many times the same", "bytes=0-,0-,0-,0-", one(0, 99)),
            ("9110 15.3.7.2 overlapping, and another", "bytes=50-60,0-5,4-9", several(&[(0, 9), (50, 60)])),
            (
                "9110 17.15 many that are near each other",
                "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16",
                one(0, 16),
            ),
        ];
        for (row, value, expected) in rows {
            assert_eq!(served(&headers(&[("range", value)]), 100), expected, "{row}");
        }
    }

    #[test]
    fn too_many_parts_are_the_whole() {
        let far = |count: u64| (0..count).map(|part| format!("{0}-{0}", part * 1_000)).collect::<Vec<_>>().join(",");
        let rows = [
            ("9110 17.15 as many as may be", far(MAX_PARTS as u64), Some(MAX_PARTS)),
            ("9110 17.15 one more", far(MAX_PARTS as u64 + 1), None),
            ("9110 17.15 too many to look at", format!("0-0{}", ",0-0".repeat(MAX_SPECS)), None),
        ];
        for (row, set, expected) in rows {
            let parts = match served(&headers(&[("range", &format!("bytes={set}"))]), 1_000_000) {
                Several(ranges) => Some(ranges.len()),
                Whole => None,
                other => panic!("{row}: {other:?}"),
            };
            assert_eq!(parts, expected, "{row}");
        }
    }

    #[test]
    fn ranges_of_nothing_and_of_what_has_none() {
        let request = headers(&[("range", "bytes=0-9")]);
        let two = headers(&[("range", "bytes=0-1"), ("range", "bytes=4-5")]);
        assert_eq!(served(&two, 100), Whole, "9110 14.2 no list: two lines are no field");
        assert_eq!(served(&request, 0), NotSatisfiable, "9110 14.1.2 of no bytes");
        assert_eq!(served(&headers(&[("range", "bytes=-5")]), 0), Whole, "9110 14.1.2 the last of no bytes");
        let rows = [
            ("9110 14.2 HEAD", Method::HEAD, 200, Whole),
            ("9110 14.2 POST", Method::POST, 200, Whole),
            ("9110 14.2 a stored 404", Method::GET, 404, Whole),
            ("9110 14.2 a stored 204", Method::GET, 204, Whole),
            ("9110 14.2 a stored 200", Method::GET, 200, one(0, 9)),
        ];
        for (row, method, status, expected) in rows {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(serve(&method, &request, status, &Validators::default(), 100, &dates), expected, "{row}");
        }
    }

    type Fields = &'static [(&'static str, &'static str)];

    #[test]
    fn a_range_stands_only_if_it_is_of_what_is_stored() {
        const LM: (&str, &str) = ("last-modified", "@50");
        const DATE: (&str, &str) = ("date", "@100");
        const TAG: (&str, &str) = ("etag", "\"x\"");
        let rows: &[(&str, Fields, Fields, bool)] = &[
            ("9110 13.1.5 same tag", &[("if-range", "\"x\"")], &[TAG], true),
            ("9110 13.1.5 another tag", &[("if-range", "\"y\"")], &[TAG], false),
            ("9110 13.1.5 a weak tag", &[("if-range", "W/\"x\"")], &[TAG], false),
            ("9110 13.1.5 stored weak", &[("if-range", "\"x\"")], &[("etag", "W/\"x\"")], false),
            ("9110 13.1.5 both weak", &[("if-range", "W/\"x\"")], &[("etag", "W/\"x\"")], false),
            ("9110 13.1.5 no tag stored", &[("if-range", "\"x\"")], &[LM, DATE], false),
            ("9110 13.1.5 without quotes", &[("if-range", "x")], &[("etag", "x")], false),
            ("9110 13.1.5 no list", &[("if-range", "\"x\", \"y\"")], &[TAG], false),
            ("9110 13.1.5 no star", &[("if-range", "*")], &[TAG], false),
            ("9110 13.1.5 two lines", &[("if-range", "\"x\""), ("if-range", "\"x\"")], &[TAG], false),
            ("9110 13.1.5 same date", &[("if-range", "@50")], &[LM, DATE], true),
            ("9110 13.1.5 a later date", &[("if-range", "@51")], &[LM, DATE], false),
            ("9110 13.1.5 an earlier date", &[("if-range", "@49")], &[LM, DATE], false),
            ("9110 8.8.2.2 same date, but weak", &[("if-range", "@100")], &[("last-modified", "@100"), DATE], false),
            ("9110 8.8.2.2 same date, no Date", &[("if-range", "@50")], &[LM], false),
            ("9110 13.1.5 no date stored", &[("if-range", "@50")], &[TAG, DATE], false),
            ("9110 13.1.5 none of both", &[("if-range", "\"x")], &[TAG, LM, DATE], false),
        ];
        for (row, condition, stored, expected) in rows {
            let mut request = headers(condition);
            request.insert(RANGE, HeaderValue::from_static("bytes=0-9"));
            let result = serve(&Method::GET, &request, StatusCode::OK, &validators(stored), 100, &dates);
            assert_eq!(result, if *expected { one(0, 9) } else { Whole }, "{row}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(value in proptest::collection::vec(any::<u8>(), 0..60), total: u64) {
            for prefix in [&b"bytes="[..], b""] {
                if let Ok(value) = HeaderValue::from_bytes(&[prefix, &value].concat()) {
                    let mut request = HeaderMap::new();
                    request.append(RANGE, value);
                    let _ = served(&request, total);
                }
            }
        }

        /// What is served are the bytes asked for, each once, or the whole; with those between only where there are many.
        #[test]
        fn what_is_served_is_what_was_asked_for(
            specs in proptest::collection::vec((any::<bool>(), 0..40_u64, proptest::option::of(0..40_u64)), 1..6),
            total in 0..40_u64,
        ) {
            let mut wanted = [false; 40];
            let mut texts = Vec::new();
            let mut is_empty_suffix = false;
            for (is_suffix, first, length) in specs {
                let range = if is_suffix {
                    texts.push(format!("-{first}"));
                    is_empty_suffix |= total == 0 && first > 0;
                    total.saturating_sub(first)..total
                } else {
                    let last = length.map(|length| first + length);
                    texts.push(format!("{first}-{}", last.map(|last| last.to_string()).unwrap_or_default()));
                    first..last.map_or(total, |last| total.min(last + 1))
                };
                for place in range {
                    wanted[place as usize] = true;
                }
            }
            let mut got = [false; 40];
            let value = format!("bytes={}", texts.join(", "));
            let ranges = match served(&headers(&[("range", &value)]), total) {
                Whole => {
                    prop_assert!(is_empty_suffix);
                    return Ok(());
                }
                NotSatisfiable => vec![],
                One(range) => vec![range],
                Several(ranges) => ranges,
            };
            for place in ranges.iter().flat_map(|range| range.first..=range.last) {
                prop_assert!(!std::mem::replace(&mut got[place as usize], true), "twice");
            }
            prop_assert_eq!(got, wanted);
        }
    }
}
