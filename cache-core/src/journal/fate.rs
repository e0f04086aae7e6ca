//! What became of a change since it was journaled.

use std::time::Duration;

use super::{Parked, Position};

/// What is journaled beside a change by somebody who waits for the sink: a server that has it has not lost the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Witness {
    pub(crate) name: u128,
    /// How long it is kept.
    pub(crate) life: Duration,
}

/// What a partition knows of a change.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Its entry is still there.
    pub(crate) has_entry: bool,
    /// What is kept of its key to be tried again.
    pub(crate) parked: Option<Parked>,
    /// The dead letters of its key that were not looked at before.
    pub(crate) letters: Vec<Parked>,
    /// The last dead letter of any key.
    pub(crate) last_letter: Position,
}

/// What became of a change. What came later for its key counts as it does: that is what the row is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The sink has it.
    Stored,
    /// It is still to be flushed.
    Waits,
    /// It was refused, and is tried again.
    Refused,
    /// It is a dead letter.
    GivenUp,
}

// === impl Known ===

impl Known {
    /// What became of the change of this version.
    pub(crate) fn fate_of(&self, version: u64) -> Fate {
        let stands = |parked: &Parked| parked.stands_for(version);
        if self.letters.iter().any(stands) {
            Fate::GivenUp
        } else if self.parked.as_ref().is_some_and(stands) {
            Fate::Refused
        } else if self.has_entry {
            Fate::Waits
        } else {
            Fate::Stored
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Change;

    fn put(version: u64) -> Parked {
        Parked { replaced: Some((version, Position::START, Change::Delete)), ..Parked::default() }
    }

    fn added(version: u64) -> Parked {
        Parked { increments: vec![(version, 1)], ..Parked::default() }
    }

    #[test]
    fn what_is_known_of_a_change_says_what_became_of_it() {
        let known = |has_entry, parked, letters| Known { has_entry, parked, letters, ..Known::default() };
        for (known, fate) in [
            (known(false, None, vec![]), Fate::Stored),
            (known(true, None, vec![]), Fate::Waits),
            (known(false, Some(put(7)), vec![]), Fate::Refused),
            // It was replaced, and what replaced it waits.
            (known(false, Some(put(8)), vec![]), Fate::Refused),
            (known(false, Some(added(7)), vec![]), Fate::Refused),
            // Other changes of its key.
            (known(false, Some(added(8)), vec![]), Fate::Stored),
            (known(false, None, vec![put(6), added(9)]), Fate::Stored),
            (known(false, None, vec![put(7)]), Fate::GivenUp),
            // Not the last one that died.
            (known(false, None, vec![added(7), added(9)]), Fate::GivenUp),
        ] {
            assert_eq!(known.fate_of(7), fate, "{known:?}");
        }
    }
}
