//! What a record says: the version that it is at, and those that it left softly, under which what was stored is old and not gone.
//!
//! In Redis it is text: `1790000000000003`, or `1790000000000003 1790000000000002 1790000000000001`, newest first. Each number
//! was given by a script, so each is compared by equality alone: nothing is judged by order, which steps of a clock and lost
//! records upset.

use smallvec::SmallVec;

/// Versions stay below this, so that Lua's numbers hold them exactly.
const LIMIT: u64 = 1 << 53;

/// Soft evictions in a row that a record remembers. What is older than all of them is gone.
pub(crate) const REMEMBERED: usize = 8;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    current: u64,
    left: Left,
}

/// The versions that were left softly, newest first, each with the moment at which it was.
pub(crate) type Left = SmallVec<[(u64, u64); 0]>;

/// What a value is whose version, or whose tag's generation, is held against a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It belongs to the current one.
    Current,
    /// It was softly evicted, about when Redis time was this many microseconds.
    Left(u64),
    /// It was evicted, or the record that knew it is lost.
    Gone,
}

impl Versions {
    /// A record that left none softly.
    pub(crate) fn at(current: u64) -> Self {
        Self { current, left: Left::new() }
    }

    /// What the text of a record says; nothing if it is none that a script writes, which then equals nothing.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let head = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
        let (head, rest) = text.split_at(head);
        let current = number(head)?;
        if !rest.iter().all(|byte| *byte == b' ' || byte.is_ascii_digit()) {
            return None;
        }
        let mut left = Left::new();
        // A new version is made of the time: so each was left at about the next one.
        let mut next = current;
        for version in rest.split(|byte| *byte == b' ').filter_map(number).take(REMEMBERED) {
            left.push((version, next));
            next = version;
        }
        Some(Self { current, left })
    }

    pub(crate) fn current(&self) -> u64 {
        self.current
    }

    pub(crate) fn left(&self) -> &Left {
        &self.left
    }

    /// What a value of this version is.
    pub(crate) fn verdict(&self, version: u64) -> Verdict {
        if version == self.current {
            return Verdict::Current;
        }
        verdict_of(&self.left, version)
    }
}

/// What a value of this version is where it is not the current one.
pub(crate) fn verdict_of(left: &[(u64, u64)], version: u64) -> Verdict {
    let found = left.iter().find(|(left, _)| *left == version);
    found.map_or(Verdict::Gone, |(_, at)| Verdict::Left(*at))
}

impl Verdict {
    /// That of two records: the worse, and of two soft evictions the earlier.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Gone, _) | (_, Self::Gone) => Self::Gone,
            (Self::Current, other) | (other, Self::Current) => other,
            (Self::Left(one), Self::Left(two)) => Self::Left(one.min(two)),
        }
    }
}

/// A plain decimal number within range. Anything else is no version.
fn number(text: &[u8]) -> Option<u64> {
    let is_plain =
        text.first().is_some_and(|first| (b'1'..=b'9').contains(first)) && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| is_plain)?.parse().ok()?;
    (number < LIMIT).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_numbers_in_range_are_a_record() {
        let cases: [(&[u8], Option<u64>); 14] = [
            (b"1790000000000000", Some(1_790_000_000_000_000)),
            (b"1790000000000000 1780000000000000", Some(1_790_000_000_000_000)),
            (b"1790000000000000 ", Some(1_790_000_000_000_000)),
            (b"", None),
            (b" 5", None),
            (b"text", None),
            (b"-5", None),
            (b"1e3", None),
            (b"007", None),
            (b"5 text", None),
            (b"5\n4", None),
            (b"9007199254740992", None),
            (b"99999999999999999999", None),
            (b"+7", None),
        ];
        for (raw, expected) in cases {
            let parsed = Versions::parse(raw).map(|versions| versions.current());
            assert_eq!(parsed, expected, "{}", String::from_utf8_lossy(raw));
        }
    }

    #[test]
    fn a_version_is_judged_by_equality_and_never_by_order() {
        let versions = Versions::parse(b"90 50 70").unwrap();
        let verdicts = [90, 50, 70, 60, 80, 89, 40, 100].map(|version| versions.verdict(version));
        let [current, newer, older, rest @ ..] = verdicts;
        assert_eq!((current, newer, older), (Verdict::Current, Verdict::Left(90), Verdict::Left(50)));
        assert_eq!(rest, [Verdict::Gone; 5]);
    }

    #[test]
    fn a_record_remembers_so_many_and_no_more() {
        let text: Vec<String> = (1..=20).rev().map(|version: u64| version.to_string()).collect();
        let versions = Versions::parse(text.join(" ").as_bytes()).unwrap();
        let known = (1..20).filter(|version| versions.verdict(*version) != Verdict::Gone).count();
        assert_eq!(known, REMEMBERED);
    }

    #[test]
    fn of_two_verdicts_the_worse_counts_and_of_two_moments_the_earlier() {
        use Verdict::{Current, Gone, Left};
        for (one, other, both) in [
            (Current, Current, Current),
            (Current, Left(5), Left(5)),
            (Left(5), Left(3), Left(3)),
            (Left(5), Gone, Gone),
            (Current, Gone, Gone),
        ] {
            assert_eq!((one.and(other), other.and(one)), (both, both));
        }
    }
}
