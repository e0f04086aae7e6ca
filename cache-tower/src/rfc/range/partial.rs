//! An answer of which only some bytes are stored: what it can serve, what it lacks, and what it is combined with
//! (RFC 9111 sections 3.3 and 3.4).

use http::{
    HeaderMap, HeaderValue,
    header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE},
};

use super::{Asked, ByteRange, Piece, Served, asked::Spec, coalesce};
use crate::rfc::conditional::Validators;

/// An answer in more pieces than this is not made up of any more.
const MAX_PIECES: usize = 64;

/// Which bytes of an answer are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    /// How many there are, if that is known.
    total: Option<u64>,
    /// Sorted, and with something missing between any two. At least one.
    held: Vec<ByteRange>,
}

/// What a partial answer gives to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All of it is there.
    Whole,
    /// These ranges, as a 206.
    Ranges(Vec<ByteRange>),
    /// A 416: the length is known.
    NotSatisfiable,
    /// Nothing before the origin has been asked for these bytes, see [`completing`].
    Lacks(Gap),
    /// Nothing: the origin is asked what the client asked.
    Nothing,
}

/// Bytes that are missing: from `first` to `last`, or to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) first: u64,
    pub(crate) last: Option<u64>,
}

/// What comes of a stored answer and a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Combined {
    /// These bytes are stored now; the fields are [merged](crate::rfc::conditional::merge).
    Partial(Partial),
    /// They are not known to be of the same thing: one of them is stored, never both together.
    Apart,
}

// === impl Partial ===

impl Partial {
    /// Of a first piece.
    pub(crate) fn of(piece: Piece) -> Self {
        Self { total: piece.total, held: vec![piece.range] }
    }

    /// What was written by another process, if it is one.
    pub(crate) fn restored(total: Option<u64>, held: &[(u64, u64)]) -> Option<Self> {
        let held: Vec<ByteRange> =
            held.iter().map(|(first, last)| ByteRange::new(*first, *last)).collect::<Option<_>>()?;
        let is_sorted = held.windows(2).all(|pair| pair[0].last + 1 < pair[1].first);
        let fits = total.is_none_or(|total| held.iter().all(|range| range.last < total));
        (is_sorted && fits && !held.is_empty() && held.len() <= MAX_PIECES).then_some(Self { total, held })
    }

    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    /// The bytes that are there.
    pub(crate) fn held(&self) -> &[ByteRange] {
        &self.held
    }

    /// Whether nothing is missing.
    pub(crate) fn is_whole(&self) -> bool {
        self.total.and_then(ByteRange::whole).is_some_and(|whole| self.holds(whole))
    }

    /// How many bytes are there.
    pub(crate) fn length(&self) -> u64 {
        self.held.iter().fold(0, |sum, range| sum.saturating_add(range.len()))
    }

    /// Where in the bytes that are there, one piece after another, a range begins; none if some of it is missing.
    pub(crate) fn place_of(&self, range: ByteRange) -> Option<u64> {
        let index = self.held.iter().position(|held| held.contains(range))?;
        let before: u64 = self.held[..index].iter().map(|held| held.len()).sum();
        Some(before + (range.first - self.held[index].first))
    }

    fn holds(&self, range: ByteRange) -> bool {
        self.held.iter().any(|held| held.contains(range))
    }

    /// With another piece of the same; none if they contradict each other in length, or there would be too many.
    fn with(&self, piece: Piece) -> Option<Self> {
        let total = match (self.total, piece.total) {
            (Some(total), Some(other)) if total != other => return None,
            (total, other) => total.or(other),
        };
        let mut held = self.held.clone();
        held.push(piece.range);
        coalesce(&mut held, 1);
        let fits = total.is_none_or(|total| held.iter().all(|range| range.last < total));
        (fits && held.len() <= MAX_PIECES).then_some(Self { total, held })
    }

    /// What it gives to a request for ranges, or for the whole. What is incomplete never passes for the whole
    /// (RFC 9111 section 3.3).
    pub(crate) fn answer(&self, asked: Option<&Asked>) -> Answer {
        match (asked, self.total) {
            (None, Some(total)) => self.whole(total),
            (None, None) => self.lacks(Gap { first: 0, last: None }),
            (Some(asked), Some(total)) => match asked.of_total(total) {
                Served::Whole => self.whole(total),
                Served::NotSatisfiable => Answer::NotSatisfiable,
                Served::One(range) if !self.holds(range) => self.lacks(Gap::of(range, total)),
                Served::One(range) => Answer::Ranges(vec![range]),
                Served::Several(ranges) if ranges.iter().all(|range| self.holds(*range)) => Answer::Ranges(ranges),
                // What is missing may lie far apart, and an answer in several parts is not taken apart.
                Served::Several(_) => Answer::Nothing,
            },
            (Some(asked), None) => self.ranges_of_unknown(asked),
        }
    }

    fn whole(&self, total: u64) -> Answer {
        match ByteRange::whole(total) {
            Some(whole) if !self.holds(whole) => self.lacks(Gap::of(whole, total)),
            _ => Answer::Whole,
        }
    }

    /// Where the length is not known, what a range means may hang on it.
    fn ranges_of_unknown(&self, asked: &Asked) -> Answer {
        match asked.single() {
            Some(Spec::From { first, last: Some(last) }) => match ByteRange::new(first, last) {
                Some(range) if self.holds(range) => Answer::Ranges(vec![range]),
                _ => self.lacks(Gap { first, last: Some(last) }),
            },
            Some(Spec::From { first, last: None }) => self.lacks(Gap { first, last: None }),
            Some(Spec::Suffix(_)) | None => Answer::Nothing,
        }
    }

    /// That part of `wanted` is missing: without what is there at its start and its end.
    fn lacks(&self, wanted: Gap) -> Answer {
        let holding = |place: u64| self.held.iter().find(|held| held.first <= place && place <= held.last);
        let first = holding(wanted.first).map_or(wanted.first, |held| held.last + 1);
        // The end, if it is wanted, is not there where it is not known; else the last piece may be it.
        let end = wanted.last.or_else(|| self.total.and_then(|total| total.checked_sub(1)));
        let last = match end.and_then(holding) {
            Some(held) => held.first.checked_sub(1),
            None => wanted.last,
        };
        match last {
            // Of everything there is nothing to leave out.
            None if first == 0 => Answer::Nothing,
            last => Answer::Lacks(Gap { first, last }),
        }
    }
}

// === impl Gap ===

impl Gap {
    /// A range of so many bytes: one that reaches the end says so.
    fn of(range: ByteRange, total: u64) -> Self {
        Self { first: range.first, last: (range.last.checked_add(1) != Some(total)).then_some(range.last) }
    }
}

/// The fields of a request to the origin for what is missing, on behalf of a request with the fields `client`; none if there is no
/// strong validator to combine it by (RFC 9110 section 13.1.5). A 206 to it is [combined](combine), a 200 replaces what is stored,
/// a 416 means that what is stored is of no use.
pub(crate) fn completing(client: &HeaderMap, gap: Gap, stored: &Validators) -> Option<HeaderMap> {
    let validator = match stored.tag() {
        Some(tag) => stored.etag().filter(|_| tag.is_strong()),
        None => stored.last_modified().filter(|_| stored.strong_modified().is_some()),
    }?;
    let Gap { first, last } = gap;
    let range = last.map_or_else(|| format!("bytes={first}-"), |last| format!("bytes={first}-{last}"));
    let mut headers = client.clone();
    // The client's own conditions are judged by what comes of it.
    headers.remove(IF_NONE_MATCH);
    headers.remove(IF_MODIFIED_SINCE);
    headers.insert(RANGE, HeaderValue::from_str(&range).ok()?);
    headers.insert(IF_RANGE, validator.clone());
    Some(headers)
}

/// What comes of what is stored, with `validators`, and a newer piece. Only the same strong validator shows that they are of the same
/// thing (RFC 9110 section 15.3.7.3).
pub(crate) fn combine(stored: &Partial, validators: &Validators, piece: Piece, newer: &Validators) -> Combined {
    if !validators.shares_strong(newer) {
        return Combined::Apart;
    }
    stored.with(piece).map_or(Combined::Apart, Combined::Partial)
}

#[cfg(test)]
mod tests;
