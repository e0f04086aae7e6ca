//! Ranges, of clients and of partial answers (RFC 9110 section 14, RFC 9111 section 3.4).

mod answer;
mod asked;
mod content_range;
mod partial;

pub(crate) use answer::{Boundary, multipart, not_satisfiable, part};
pub(crate) use asked::{Asked, Served, asked, serve};
pub(crate) use content_range::{NoPiece, Piece, as_whole, piece};
pub(crate) use partial::{Answer, Combined, Gap, Partial, combine, completing};

/// Bytes from `first` to `last`, both included. There is at least one, and their number fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ByteRange {
    first: u64,
    last: u64,
}

// === impl ByteRange ===

impl ByteRange {
    pub(crate) fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last && last < u64::MAX).then_some(Self { first, last })
    }

    /// All of `total` bytes; none of none.
    pub(crate) fn whole(total: u64) -> Option<Self> {
        Some(Self { first: 0, last: total.checked_sub(1)? })
    }

    pub(crate) fn first(self) -> u64 {
        self.first
    }

    pub(crate) fn last(self) -> u64 {
        self.last
    }

    /// How many bytes it is.
    pub(crate) fn len(self) -> u64 {
        self.last - self.first + 1
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

/// Sorts ranges, and makes one of those that begin no more than `reach` after the last byte of the one before: with 0 those that
/// overlap, with 1 those that touch too.
fn coalesce(ranges: &mut Vec<ByteRange>, reach: u64) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let is_near = next.first <= before.last.saturating_add(reach);
        if is_near {
            before.last = before.last.max(next.last);
        }
        is_near
    });
}

/// The number that digits say, and nothing but digits; none if it does not fit.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
