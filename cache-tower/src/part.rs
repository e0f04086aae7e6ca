//! Bytes of an answer that came one part after another (RFC 9111 section 3.4).

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};

use crate::{
    rfc::{
        Timestamp, Validators,
        conditional::{self, Update},
        date,
        range::{self, ByteRange, Combined, Partial, Piece},
    },
    stored::{Seen, Stored},
};

/// What is there after a part has come.
pub(crate) struct Put {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What is there of it, if not all.
    pub(crate) partial: Option<Partial>,
}

/// Puts a part to those that are there; alone, if they are not known to be of the same thing.
pub(crate) fn put(
    old: Option<(&Stored, &Seen)>,
    piece: Piece,
    headers: &HeaderMap,
    bytes: Bytes,
    now: Timestamp,
) -> Put {
    let headers_of_whole = range::as_whole(headers, piece.total);
    let newer = Validators::of(headers, &|value: &HeaderValue| date::parse(value, now));
    if let Some((stored, seen)) = old
        && let Some(there) = &seen.partial
        && let Combined::Partial(combined) = range::combine(there, &seen.validators, piece, &newer)
    {
        let sources = [(there.clone(), stored.body.clone()), (Partial::of(piece), bytes)];
        return Put {
            headers: conditional::merge(&seen.headers, &headers_of_whole, Update::Part),
            body: joined(&combined, &sources),
            partial: Some(combined).filter(|combined| !combined.is_whole()),
        };
    }
    let alone = Partial::of(piece);
    Put { headers: headers_of_whole, body: bytes, partial: Some(alone).filter(|alone| !alone.is_whole()) }
}

/// The bytes of `combined`, which are all in one source or the other.
fn joined(combined: &Partial, sources: &[(Partial, Bytes)]) -> Bytes {
    let mut joined = BytesMut::with_capacity(combined.length() as usize);
    for range in combined.held() {
        let mut next = range.first();
        while let Some((bytes, end)) = from(sources, next, range.last()) {
            joined.extend_from_slice(&bytes);
            if end == range.last() {
                break;
            }
            next = end + 1;
        }
    }
    joined.freeze()
}

/// The bytes from `first` to `last`, or as many as one source has; and the last of them.
fn from(sources: &[(Partial, Bytes)], first: u64, last: u64) -> Option<(Bytes, u64)> {
    let one = ByteRange::new(first, first)?;
    sources.iter().find_map(|(partial, bytes)| {
        let place = partial.place_of(one)?;
        let held = partial.held().iter().find(|held| held.contains(one))?;
        let end = held.last().min(last);
        let length = end - first + 1;
        Some((bytes.slice(place as usize..(place + length) as usize), end))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;

    use super::*;
    use crate::{caching::Told, rfc::Rules, stored::Kept};

    const NOW: Timestamp = Timestamp(Duration::from_secs(1_000_000));

    fn headers(etag: &'static str) -> HeaderMap {
        let etag = (http::header::ETAG, HeaderValue::from_static(etag));
        let length = (http::header::CONTENT_LENGTH, HeaderValue::from_static("2"));
        [etag, length].into_iter().collect()
    }

    fn piece(first: u64, last: u64) -> Piece {
        Piece { range: ByteRange::new(first, last).unwrap(), total: Some(10) }
    }

    /// Puts parts of `0123456789` one after another, each with its tag.
    fn all(parts: &[(u64, u64, &'static str)]) -> Put {
        let mut put: Option<Put> = None;
        for (first, last, etag) in parts {
            let bytes = Bytes::from_static(&b"0123456789"[*first as usize..=*last as usize]);
            let old = put.map(|put| {
                let Put { headers, body, partial } = put;
                let (requested, received) = (NOW, NOW);
                let (selecting, life, tags) = (Bytes::new(), Duration::from_secs(60), Vec::new());
                let status = StatusCode::OK;
                let trailers = None;
                Stored::new(Kept {
                    status,
                    headers,
                    body,
                    trailers,
                    requested,
                    received,
                    selecting,
                    life,
                    tags,
                    told: Told::default(),
                    prefixes: 0,
                    partial,
                })
            });
            let rules = Rules::default();
            let old = old.as_deref().map(|old| (old, old.seen(&rules).unwrap()));
            put = Some(super::put(old, piece(*first, *last), &headers(etag), bytes, NOW));
        }
        put.unwrap()
    }

    #[test]
    fn parts_of_one_thing_become_the_whole() {
        let put = all(&[(2, 4, "\"a\""), (7, 9, "\"a\""), (3, 7, "\"a\""), (0, 2, "\"a\"")]);
        assert_eq!((put.body, put.partial), (Bytes::from_static(b"0123456789"), None));
        assert_eq!(put.headers["content-length"], "10");
    }

    #[test]
    fn parts_with_a_hole_stay_apart_in_their_order() {
        let put = all(&[(7, 9, "\"a\""), (2, 4, "\"a\"")]);
        assert_eq!(put.body, "234789");
        assert_eq!(put.partial.unwrap().held().len(), 2);
    }

    #[test]
    fn part_of_another_thing_takes_the_place_of_what_was_there() {
        for etag in ["\"b\"", "W/\"a\""] {
            let put = all(&[(2, 4, "\"a\""), (5, 9, etag)]);
            assert_eq!(put.body, "56789", "{etag}");
        }
    }
}
