//! Dead letters: writes that were given up, kept with the reason until somebody decides.

use std::fmt;

use super::{
    append,
    handle::WriteBehind,
    sink::{Increment, Operation},
};
use crate::{
    error::Error,
    journal::{Ask, Change, Parked, Position, Said, envelope},
    key::Key,
    value::CacheValue,
};

/// A write that a row refused too often, or that is older than what the row has from elsewhere.
#[derive(Clone, Debug)]
pub struct DeadLetter<T> {
    partition: u16,
    place: Position,
    /// Whose it is.
    pub key: Key,
    /// What was to be done, in order; nothing where the value cannot be read.
    pub operations: Vec<Operation<T>>,
    /// How often it was tried.
    pub attempts: u32,
    /// What the sink said last.
    pub reason: String,
    parked: Parked,
}

impl<T> fmt::Display for DeadLetter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "given up after {} attempts: {}", self.attempts, self.reason)
    }
}

impl<T: CacheValue> WriteBehind<T> {
    /// Dead letters, the oldest of each partition first, `count` at most.
    ///
    /// # Errors
    ///
    /// Where the journal does not answer.
    pub async fn dead_letters(&self, count: usize) -> Result<Vec<DeadLetter<T>>, Error> {
        let asks =
            (0..self.shared.partitions).map(|partition| (partition, Ask::Dead { after: Position::START, count }));
        let mut letters = Vec::new();
        for (partition, said) in self.shared.ask_all(asks.collect()).await?.into_iter().enumerate() {
            let Said::Dead(dead) = said? else { continue };
            letters
                .extend(dead.into_iter().map(|(place, key, parked)| self.letter(partition as u16, place, key, parked)));
        }
        letters.truncate(count);
        Ok(letters)
    }

    /// Journals a dead letter once more, as a change of now, and takes it away. What was put or deleted since is replaced by it: look
    /// before you say so.
    ///
    /// # Errors
    ///
    /// Where it cannot be journaled; it stays then. It may be journaled twice if the process dies in between, or if two replay it at once:
    /// a put or delete is the same twice, an increment is added twice.
    pub async fn replay(&self, letter: &DeadLetter<T>) -> Result<(), Error> {
        let changes = letter.parked.replaced.iter().map(|(_, _, change)| change.clone());
        let sums = sums(letter.parked.increments.iter().map(|(_, by)| *by));
        for change in changes.chain(sums.into_iter().map(Change::Increment)) {
            append::journal(&self.cache, &self.shared, &letter.key, &change).await?;
        }
        self.discard(letter).await.map(|_| ())
    }

    /// Takes a dead letter away. Whether it was still there.
    ///
    /// # Errors
    ///
    /// Where the journal does not answer.
    pub async fn discard(&self, letter: &DeadLetter<T>) -> Result<bool, Error> {
        let said = self.shared.ask(letter.partition, Ask::Bury { letter: letter.place }).await?;
        Ok(matches!(said, Said::Done(true)))
    }

    fn letter(&self, partition: u16, place: Position, key: Key, parked: Parked) -> DeadLetter<T> {
        let packing = self.cache.0.packing();
        let replaced = parked.replaced.as_ref().and_then(|(_, _, change)| match change {
            Change::Put(sealed) => envelope::read(&key, packing, sealed).ok().map(Operation::Put),
            _ => Some(Operation::Delete),
        });
        let increments: Vec<Increment> =
            parked.increments.iter().map(|&(version, by)| Increment { version, by }).collect();
        let increments = (!increments.is_empty()).then_some(Operation::Increment(increments));
        let operations = replaced.into_iter().chain(increments).collect();
        let (attempts, reason) = (parked.attempts, parked.reason.clone());
        DeadLetter { partition, place, key, operations, attempts, reason, parked }
    }
}

/// What increments come to: one number, or several where one cannot hold it.
fn sums(increments: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut sums: Vec<i64> = Vec::new();
    for by in increments {
        match sums.last_mut().and_then(|sum| Some((sum.checked_add(by)?, sum))) {
            Some((more, sum)) => *sum = more,
            None => sums.push(by),
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increments_come_to_one_number_as_long_as_one_holds_them() {
        let rows: [(&[i64], &[i64]); 4] =
            [(&[], &[]), (&[1, 2, -5], &[-2]), (&[i64::MAX, 1, 1], &[i64::MAX, 2]), (&[i64::MIN, -1], &[i64::MIN, -1])];
        for (increments, expected) in rows {
            assert_eq!(sums(increments.iter().copied()), expected, "{increments:?}");
        }
    }
}
