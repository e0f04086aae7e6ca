//! What became of a change since it was journaled.

use super::{Parked, Position};

/// What a partition knows of a change.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Its entry is still there.
    pub(crate) has_entry: bool,
    /// Up to where all is flushed.
    pub(crate) cursor: Position,
    /// What is kept of its key to be tried again.
    pub(crate) parked: Option<Parked>,
    /// The last dead letter of its key.
    pub(crate) letter: Option<Parked>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The sink has it, or what it was replaced by.
    Stored,
    /// It is still to be flushed, or tried again because of this.
    Waits(Option<String>),
    /// It is a dead letter because of this.
    GivenUp(String),
}

// === impl Known ===

impl Known {
    /// What became of the change of this version, which was journaled there.
    pub(crate) fn fate_of(self, version: u64, at: Position) -> Fate {
        if let Some(letter) = self.letter.filter(|letter| letter.stands_for(version)) {
            return Fate::GivenUp(letter.reason);
        }
        if let Some(parked) = self.parked.filter(|parked| parked.stands_for(version)) {
            return Fate::Waits(Some(parked.reason).filter(|reason| !reason.is_empty()));
        }
        // An entry that is not there and was never flushed is one that the server has lost.
        if self.has_entry || self.cursor < at { Fate::Waits(None) } else { Fate::Stored }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Change;

    const AT: Position = Position { millis: 5, number: 0 };

    fn put(version: u64) -> Parked {
        let replaced = Some((version, AT, Change::Delete));
        Parked { replaced, reason: "a constraint".to_owned(), ..Parked::default() }
    }

    fn added(version: u64) -> Parked {
        Parked { increments: vec![(version, 1)], ..Parked::default() }
    }

    #[test]
    fn what_is_known_of_a_change_says_what_became_of_it() {
        let refused = || "a constraint".to_owned();
        let flushed = Known { cursor: AT, ..Known::default() };
        assert_eq!(flushed.fate_of(7, AT), Fate::Stored);
        let known = |has_entry, parked, letter| Known { has_entry, cursor: AT, parked, letter };
        for (known, fate) in [
            (known(true, None, None), Fate::Waits(None)),
            (known(false, Some(put(7)), None), Fate::Waits(Some(refused()))),
            // It was replaced, and what replaced it waits.
            (known(false, Some(put(8)), None), Fate::Waits(Some(refused()))),
            // Another change of its key.
            (known(false, Some(added(8)), None), Fate::Stored),
            (known(false, Some(added(7)), None), Fate::Waits(None)),
            (known(false, None, Some(put(7))), Fate::GivenUp(refused())),
            (known(false, None, Some(put(6))), Fate::Stored),
            (known(false, None, Some(added(7))), Fate::GivenUp(String::new())),
        ] {
            let told = format!("{known:?}");
            assert_eq!(known.fate_of(7, AT), fate, "{told}");
        }
    }

    #[test]
    fn what_the_server_has_lost_is_not_stored() {
        let before = Position { millis: 4, number: 9 };
        for cursor in [Position::START, before] {
            assert_eq!(Known { cursor, ..Known::default() }.fate_of(7, AT), Fate::Waits(None));
        }
    }
}
