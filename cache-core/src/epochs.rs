//! Fences, by partition: a gap in what was heard from a primary makes everything older than now doubtful in the partitions
//! that it owns, and nowhere else.

use crate::{
    moves::Moves,
    sync::atomic::{AtomicU64, Ordering},
};

/// One epoch a partition, and the count of all moves of marks.
#[derive(Debug)]
pub(crate) struct Epochs {
    epochs: Box<[AtomicU64]>,
    /// Fences of any partitions.
    fences: AtomicU64,
    moves: Moves,
}

impl Epochs {
    /// Epochs of a namespace whose partitions may have different owners; one partition where they can't.
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            epochs: (0..partitions.max(1)).map(|_| AtomicU64::new(0)).collect(),
            fences: AtomicU64::new(0),
            moves: Moves::default(),
        }
    }

    /// How many there are.
    pub(crate) fn partitions(&self) -> u16 {
        u16::try_from(self.epochs.len()).expect("made from a u16")
    }

    /// Fences so far.
    #[inline]
    pub(crate) fn of(&self, partition: u16) -> u64 {
        self.epochs[usize::from(partition)].load(Ordering::Acquire)
    }

    /// Fences so far, of whatever partitions.
    pub(crate) fn fences(&self) -> u64 {
        self.fences.load(Ordering::Acquire)
    }

    /// Changes may have been missed in these partitions.
    pub(crate) fn fence(&self, partitions: impl IntoIterator<Item = u16>) {
        for partition in partitions {
            self.epochs[usize::from(partition)].fetch_add(1, Ordering::AcqRel);
        }
        self.fences.fetch_add(1, Ordering::AcqRel);
        self.moves.add();
    }

    /// What counts every move of a mark, for whoever moves one.
    #[inline]
    pub(crate) fn moves(&self) -> &Moves {
        &self.moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_reaches_its_partitions_and_no_other() {
        let epochs = Epochs::new(4);
        let moved = epochs.moves().count();
        epochs.fence([1, 3]);
        assert_eq!((0..4).map(|partition| epochs.of(partition)).collect::<Vec<_>>(), [0, 1, 0, 1]);
        assert_eq!(epochs.moves().count(), moved + 1, "entries are looked at again");
    }
}
