//! What a partial answer of the origin says that it is (RFC 9110 section 14.4), and whether it may be stored
//! (RFC 9111 section 3.3).

use http::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE},
};

use super::{ByteRange, answer::OF_CONTENT, number};
use crate::rfc::conditional::{content_length, only};

/// `Content-Range`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// `bytes first-last/total`; the total may be unknown.
    Of(Piece),
    /// `bytes */total`, of a 416.
    Unsatisfied(u64),
}

/// Some of the bytes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) range: ByteRange,
    /// How many bytes the whole has, if that is known.
    pub(crate) total: Option<u64>,
}

/// Why an answer is no piece that can be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPiece {
    /// Not a GET.
    Method,
    /// Not a 206.
    Status,
    /// No `Content-Range`, which several parts do not have, or one that is not understood.
    ContentRange,
    /// Its length is not that of the range.
    Length,
}

// === impl ContentRange ===

impl ContentRange {
    /// What an answer says; none if it says nothing that is understood.
    pub(crate) fn of(answer: &HeaderMap) -> Option<Self> {
        let value = only(answer, &CONTENT_RANGE)?.as_bytes().trim_ascii();
        let space = value.iter().position(|byte| *byte == b' ')?;
        if !value[..space].eq_ignore_ascii_case(b"bytes") {
            return None;
        }
        let rest = value[space..].trim_ascii();
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        let (range, total) = (&rest[..slash], &rest[slash + 1..]);
        if range == b"*" {
            return number(total).map(Self::Unsatisfied);
        }
        let total = if total == b"*" { None } else { Some(number(total)?) };
        let dash = range.iter().position(|byte| *byte == b'-')?;
        let range = ByteRange::new(number(&range[..dash])?, number(&range[dash + 1..])?)?;
        // RFC 9110 section 14.4: the last byte is before the end, or it is all invalid.
        total.is_none_or(|total| range.last < total).then_some(Self::Of(Piece { range, total }))
    }
}

/// What an answer to a request with `method` is a piece of, if it may be stored as one.
///
/// `multipart/byteranges` is not taken apart: it goes to the client as it is.
pub(crate) fn piece(method: &Method, status: StatusCode, answer: &HeaderMap) -> Result<Piece, NoPiece> {
    if method != Method::GET {
        return Err(NoPiece::Method);
    }
    if status != StatusCode::PARTIAL_CONTENT {
        return Err(NoPiece::Status);
    }
    let Some(ContentRange::Of(piece)) = ContentRange::of(answer) else { return Err(NoPiece::ContentRange) };
    if answer.contains_key(CONTENT_LENGTH) && content_length(answer) != Some(piece.range.len()) {
        return Err(NoPiece::Length);
    }
    Ok(piece)
}

/// The fields of a partial answer as those of the whole, as which it is stored (RFC 9111 section 3.3), with the length of the whole
/// if that is known.
pub(crate) fn as_whole(answer: &HeaderMap, total: Option<u64>) -> HeaderMap {
    let mut headers = answer.clone();
    for name in OF_CONTENT.iter().chain(&[CONTENT_RANGE, CONTENT_LENGTH]) {
        headers.remove(name);
    }
    if let Some(total) = total {
        headers.insert(CONTENT_LENGTH, total.into());
    }
    headers
}

// === impl NoPiece ===

impl NoPiece {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Method => "partial-method",
            Self::Status => "partial-status",
            Self::ContentRange => "partial-content-range",
            Self::Length => "partial-length",
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::rfc::conditional::testing::{headers, text};

    fn of(first: u64, last: u64, total: Option<u64>) -> ContentRange {
        ContentRange::Of(Piece { range: ByteRange::new(first, last).unwrap(), total })
    }

    #[test]
    fn content_range_is_read() {
        let rows = [
            ("9110 14.4 with the length", "bytes 0-4/10", Some(of(0, 4, Some(10)))),
            ("9110 14.4 to the end", "bytes 5-9/10", Some(of(5, 9, Some(10)))),
            ("9110 14.4 length not known", "bytes 0-4/*", Some(of(0, 4, None))),
            ("9110 14.4 not satisfied", "bytes */10", Some(ContentRange::Unsatisfied(10))),
            ("9110 14.1 the unit's case", "BYTES 0-4/10", Some(of(0, 4, Some(10)))),
            ("9110 5.5 whitespace around", " bytes 0-4/10 ", Some(of(0, 4, Some(10)))),
            ("9110 14.4 backwards", "bytes 4-0/10", None),
            ("9110 14.4 beyond the end", "bytes 0-10/10", None),
            ("9110 14.4 of nothing", "bytes 0-0/0", None),
            ("9110 14.4 nothing known", "bytes */*", None),
            ("9110 14.4 another unit", "items 0-4/10", None),
            ("9110 14.4 an equals sign", "bytes=0-4/10", None),
            ("9110 14.4 no length", "bytes 0-4", None),
            ("9110 14.4 no end", "bytes 0-/10", None),
            ("9110 14.4 no start", "bytes -4/10", None),
            ("9110 14.4 whitespace within", "bytes 0 - 4/10", None),
            ("9110 14.4 whitespace at the slash", "bytes 0-4 / 10", None),
            ("9110 14.4 a sign", "bytes +0-4/10", None),
            ("9110 14.4 does not fit", "bytes 0-99999999999999999999/*", None),
            ("9110 14.4 length does not fit", "bytes 0-4/99999999999999999999", None),
            ("9110 14.4 the largest number", "bytes 0-18446744073709551615/*", None),
            ("9110 14.4 a list", "bytes 0-4/10, bytes 5-9/10", None),
            ("9110 14.4 empty", "", None),
        ];
        for (row, value, expected) in rows {
            assert_eq!(ContentRange::of(&headers(&[("content-range", value)])), expected, "{row}");
        }
        let two = headers(&[("content-range", "bytes 0-4/10"), ("content-range", "bytes 5-9/10")]);
        assert_eq!(ContentRange::of(&two), None, "9110 14.4 two lines");
    }

    #[test]
    fn a_piece_may_be_stored_or_not() {
        const RANGE: (&str, &str) = ("content-range", "bytes 0-4/10");
        type Fields = &'static [(&'static str, &'static str)];
        type Row = (&'static str, Method, u16, Fields, Result<(), NoPiece>);
        let rows: &[Row] = &[
            ("9111 3.3 a 206", Method::GET, 206, &[RANGE], Ok(())),
            ("9111 3.3 its length", Method::GET, 206, &[RANGE, ("content-length", "5")], Ok(())),
            ("9111 3.3 another length", Method::GET, 206, &[RANGE, ("content-length", "4")], Err(NoPiece::Length)),
            ("9111 3.3 no length", Method::GET, 206, &[RANGE, ("content-length", "x")], Err(NoPiece::Length)),
            ("9111 3.3 another method", Method::POST, 206, &[RANGE], Err(NoPiece::Method)),
            ("9111 3.3 a 200", Method::GET, 200, &[RANGE], Err(NoPiece::Status)),
            ("9111 3.3 no Content-Range", Method::GET, 206, &[], Err(NoPiece::ContentRange)),
            (
                "9111 3.3 a unit that is not understood",
                Method::GET,
                206,
                &[("content-range", "lines 0-4/10")],
                Err(NoPiece::ContentRange),
            ),
            (
                "9110 15.3.7.2 several parts",
                Method::GET,
                206,
                &[("content-type", "multipart/byteranges; boundary=x")],
                Err(NoPiece::ContentRange),
            ),
            (
                "9110 15.5.17 nothing in it",
                Method::GET,
                206,
                &[("content-range", "bytes */10")],
                Err(NoPiece::ContentRange),
            ),
        ];
        for (row, method, status, fields, expected) in rows {
            let status = StatusCode::from_u16(*status).unwrap();
            assert_eq!(piece(method, status, &headers(fields)).map(|_| ()), *expected, "{row}");
        }
    }

    #[test]
    fn a_piece_is_stored_as_the_whole() {
        let answer = headers(&[
            ("content-range", "bytes 0-4/10"),
            ("content-length", "5"),
            ("content-digest", "x"),
            ("content-type", "a/b"),
        ]);
        let rows = [("content-range", None), ("content-digest", None), ("content-type", Some("a/b"))];
        for (total, length) in [(Some(10), Some("10")), (None, None)] {
            let whole = as_whole(&answer, total);
            assert_eq!(text(&whole, "content-length").as_deref(), length, "9111 3.3: {total:?}");
            for (name, expected) in rows {
                assert_eq!(text(&whole, name).as_deref(), expected, "9111 3.3: {name}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(value in proptest::collection::vec(any::<u8>(), 0..40), odd in "bytes [0-9*/-]{0,24}") {
            for value in [&value[..], odd.as_bytes()] {
                if let Ok(value) = HeaderValue::from_bytes(value) {
                    let mut answer = HeaderMap::new();
                    answer.append(CONTENT_RANGE, value);
                    if let Ok(piece) = piece(&Method::GET, StatusCode::PARTIAL_CONTENT, &answer) {
                        prop_assert!(piece.total.is_none_or(|total| piece.range.last < total));
                    }
                }
            }
        }
    }
}
