//! The answers that hold ranges, or say that there are none (RFC 9110 sections 14.4, 14.6, 15.3.7 and 15.5.17).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE},
};

use super::ByteRange;

/// Digests of what is sent, not of the whole: they do not hold for a part (RFC 9530 section 2).
pub(super) const OF_CONTENT: [HeaderName; 2] =
    [HeaderName::from_static("content-digest"), HeaderName::from_static("content-md5")];

/// What stands between the parts of an answer. Long and random, so that it stands in no body.
#[derive(Clone, Debug)]
pub(crate) struct Boundary(String);

/// An answer with several ranges: each part's head and then its bytes, and the end after the last.
#[derive(Clone, Debug)]
pub(crate) struct Multipart {
    pub(crate) headers: HeaderMap,
    pub(crate) parts: Vec<Part>,
    pub(crate) end: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) head: Vec<u8>,
    pub(crate) range: ByteRange,
}

/// The fields of a 206 with one range, of which `stored` are the fields of the whole.
///
/// All of them stay, with `If-Range` too, where RFC 9110 section 15.3.7 would rather have fewer: clients differ in what they keep.
pub(crate) fn part(stored: &HeaderMap, range: ByteRange, total: Option<u64>) -> HeaderMap {
    let mut headers = of_content(stored, range.len());
    headers.insert(CONTENT_RANGE, value(&content_range(range, total)));
    headers
}

/// The fields of a 416, of something that has `total` bytes.
pub(crate) fn not_satisfiable(total: u64) -> HeaderMap {
    let range = (CONTENT_RANGE, value(&format!("bytes */{total}")));
    [range, (CONTENT_LENGTH, HeaderValue::from(0_u64))].into_iter().collect()
}

/// A 206 with several ranges, of which `stored` are the fields of the whole.
pub(crate) fn multipart(
    stored: &HeaderMap,
    ranges: &[ByteRange],
    total: Option<u64>,
    boundary: &Boundary,
) -> Multipart {
    let boundary = &boundary.0;
    let mut parts = Vec::with_capacity(ranges.len());
    let end = format!("\r\n--{boundary}--\r\n").into_bytes();
    let mut length = end.len() as u64;
    for (index, range) in ranges.iter().enumerate() {
        let mut head = if index == 0 { Vec::new() } else { b"\r\n".to_vec() };
        head.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        if let Some(kind) = stored.get(CONTENT_TYPE) {
            head.extend_from_slice(b"Content-Type: ");
            head.extend_from_slice(kind.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(format!("Content-Range: {}\r\n\r\n", content_range(*range, total)).as_bytes());
        length = length.saturating_add(head.len() as u64).saturating_add(range.len());
        parts.push(Part { head, range: *range });
    }
    let mut headers = of_content(stored, length);
    // RFC 9110 section 15.3.7.2: the ranges stand in the parts alone.
    headers.remove(CONTENT_RANGE);
    headers.insert(CONTENT_TYPE, value(&format!("multipart/byteranges; boundary={boundary}")));
    Multipart { headers, parts, end }
}

fn of_content(stored: &HeaderMap, length: u64) -> HeaderMap {
    let mut headers = stored.clone();
    for name in &OF_CONTENT {
        headers.remove(name);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers
}

fn content_range(range: ByteRange, total: Option<u64>) -> String {
    let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
    format!("bytes {}-{}/{total}", range.first, range.last)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits, words and punctuation are a field's value")
}

// === impl Boundary ===

impl Boundary {
    /// Of 128 random bits.
    pub(crate) fn of(random: u128) -> Self {
        Self(format!("{random:032x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rfc::conditional::testing::{headers, text};

    fn range(first: u64, last: u64) -> ByteRange {
        ByteRange::new(first, last).unwrap()
    }

    #[test]
    fn a_part_has_the_fields_of_the_whole() {
        let stored = headers(&[
            ("content-length", "100"),
            ("content-type", "a/b"),
            ("content-range", "bytes 7-8/9"),
            ("content-digest", "x"),
            ("content-md5", "x"),
            ("repr-digest", "x"),
            ("etag", "\"x\""),
            ("vary", "a"),
            ("vary", "b"),
        ]);
        let rows = [
            ("9110 14.4", "content-range", Some("bytes 0-9/100")),
            ("9110 8.6 of the part", "content-length", Some("10")),
            ("9110 15.3.7 the whole's", "content-type", Some("a/b")),
            ("9110 15.3.7 the whole's", "etag", Some("\"x\"")),
            ("9110 15.3.7 all lines", "vary", Some("a|b")),
            ("9530 2 of the content", "content-digest", None),
            ("1864 2 of the content", "content-md5", None),
            ("9530 3 of the whole", "repr-digest", Some("x")),
        ];
        let part = part(&stored, range(0, 9), Some(100));
        for (row, name, expected) in rows {
            assert_eq!(text(&part, name).as_deref(), expected, "{row}: {name}");
        }
        let unknown = super::part(&stored, range(5, 5), None);
        assert_eq!(text(&unknown, "content-range").as_deref(), Some("bytes 5-5/*"), "9110 14.4 length not known");
    }

    #[test]
    fn a_416_says_how_long_it_is() {
        let fields = not_satisfiable(100);
        assert_eq!(text(&fields, "content-range").as_deref(), Some("bytes */100"), "9110 15.5.17");
        assert_eq!(text(&fields, "content-length").as_deref(), Some("0"), "9110 8.6");
        assert_eq!(text(&not_satisfiable(0), "content-range").as_deref(), Some("bytes */0"), "9110 15.5.17 of nothing");
    }

    #[test]
    fn several_parts_are_written_and_counted_exactly() {
        let body = b"abcdefghij";
        let (typed, untyped) = ([("content-type", "text/plain; charset=utf-8")], []);
        type Row<'a> = (&'static str, &'a [(&'static str, &'static str)], &'static str);
        let rows: [Row<'_>; 2] = [
            (
                "9110 14.6 with the type of the whole",
                &typed,
                "--B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 7-9/10\r\n\r\nhij\r\n\
                 --B\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-0/10\r\n\r\na\r\n--B--\r\n",
            ),
            (
                "9110 14.6 without a type",
                &untyped,
                "--B\r\nContent-Range: bytes 7-9/10\r\n\r\nhij\r\n--B\r\nContent-Range: bytes 0-0/10\r\n\r\na\r\n--B--\r\n",
            ),
        ];
        for (row, stored, expected) in rows {
            let mut stored = headers(stored);
            stored.insert(CONTENT_RANGE, HeaderValue::from_static("bytes 0-0/1"));
            let boundary = Boundary::of(11);
            let answer = multipart(&stored, &[range(7, 9), range(0, 0)], Some(10), &boundary);
            let mut written = Vec::new();
            for part in &answer.parts {
                written.extend_from_slice(&part.head);
                written.extend_from_slice(&body[part.range.first as usize..=part.range.last as usize]);
            }
            written.extend_from_slice(&answer.end);
            assert_eq!(String::from_utf8(written.clone()).unwrap(), expected.replace('B', &boundary.0), "{row}");
            let length = text(&answer.headers, "content-length");
            assert_eq!(length, Some(written.len().to_string()), "9110 8.6: {row}");
            let kind = format!("multipart/byteranges; boundary={}", boundary.0);
            assert_eq!(text(&answer.headers, "content-type"), Some(kind), "9110 14.6: {row}");
            assert_eq!(text(&answer.headers, "content-range"), None, "9110 15.3.7.2: {row}");
        }
    }

    #[test]
    fn a_boundary_is_within_the_limits() {
        for random in [0, 1, u128::MAX] {
            let Boundary(text) = Boundary::of(random);
            // RFC 2046 section 5.1.1: at most 70 characters.
            assert!(text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{text}");
        }
    }
}
