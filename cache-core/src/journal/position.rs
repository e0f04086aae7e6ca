//! Places in a journal.

use std::fmt;

/// A place in a partition of a journal, as Redis Streams number them. Later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Milliseconds of Redis time.
    pub millis: u64,
    /// The number among those of one millisecond.
    pub number: u64,
}

// === impl Position ===

impl Position {
    /// Before everything.
    pub const START: Self = Self { millis: 0, number: 0 };

    /// The position that Redis writes as `1790000000000-0`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (millis, number) = text.split_once('-')?;
        Some(Self { millis: millis.parse().ok()?, number: number.parse().ok()? })
    }

    /// The next one that there could be.
    pub(crate) fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { number, ..self },
            None => Self { millis: self.millis.saturating_add(1), number: 0 },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}
