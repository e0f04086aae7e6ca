//! What is kept of a key whose write was refused: what is still to be written, in its order.

use super::{Change, JournalEntry, Position};

/// Increments that one key may have waiting.
pub(crate) const MAX_INCREMENTS: usize = 4_096;
const LAYOUT: u8 = 1;

/// Changes of one key that the sink does not have yet, folded: at most one put or delete, and the increments after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parked {
    /// The last put or delete, with its version and place.
    pub(crate) replaced: Option<(u64, Position, Change)>,
    /// Versions and amounts.
    pub(crate) increments: Vec<(u64, i64)>,
    /// How often it was refused.
    pub(crate) attempts: u32,
    /// When it is to be tried again, in milliseconds of Redis time.
    pub(crate) retry_at: u64,
    /// What the sink said last.
    pub(crate) reason: String,
}

impl Parked {
    /// Adds a change that came later. What it replaces is gone: the row is what was put last.
    pub(crate) fn add(&mut self, entry: JournalEntry) {
        match entry.change {
            Change::Increment(by) => self.increments.push((entry.version, by)),
            change => {
                self.replaced = Some((entry.version, entry.position, change));
                self.increments.clear();
            }
        }
    }

    /// Whether a change of this version is to be written by it: as it is, or by what replaced it.
    pub(crate) fn stands_for(&self, version: u64) -> bool {
        self.replaced.as_ref().is_some_and(|(replaced, ..)| *replaced >= version)
            || self.increments.iter().any(|(increment, _)| *increment == version)
    }

    /// As it is kept in Redis. Little-endian: layout, attempts (4), retry at (8), reason (4 + text), whether something is replaced
    /// (1: letter, version (8), place (8 + 8), body (4 + bytes)), increments (4, then version (8), amount (8) each).
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![LAYOUT];
        out.extend_from_slice(&self.attempts.to_le_bytes());
        out.extend_from_slice(&self.retry_at.to_le_bytes());
        put_bytes(&mut out, self.reason.as_bytes());
        match &self.replaced {
            None => out.push(0),
            Some((version, position, change)) => {
                out.push(change.letter().as_bytes()[0]);
                for number in [*version, position.millis, position.number] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
                put_bytes(&mut out, &change.body());
            }
        }
        out.extend_from_slice(&(self.increments.len() as u32).to_le_bytes());
        for (version, by) in &self.increments {
            out.extend_from_slice(&version.to_le_bytes());
            out.extend_from_slice(&by.to_le_bytes());
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [LAYOUT] = take(&mut rest)? else { return None };
        let attempts = u32::from_le_bytes(take(&mut rest)?);
        let retry_at = u64::from_le_bytes(take(&mut rest)?);
        let reason = String::from_utf8(take_bytes(&mut rest)?.to_vec()).ok()?;
        let [letter] = take(&mut rest)?;
        let replaced = match letter {
            0 => None,
            letter => {
                let version = u64::from_le_bytes(take(&mut rest)?);
                let (millis, number) = (u64::from_le_bytes(take(&mut rest)?), u64::from_le_bytes(take(&mut rest)?));
                let change = Change::read(&[letter], take_bytes(&mut rest)?.to_vec())?;
                Some((version, Position { millis, number }, change))
            }
        };
        let count = u32::from_le_bytes(take(&mut rest)?) as usize;
        if rest.len() != count.checked_mul(16)? {
            return None;
        }
        let mut increments = Vec::with_capacity(count);
        for _ in 0..count {
            increments.push((u64::from_le_bytes(take(&mut rest)?), i64::from_le_bytes(take(&mut rest)?)));
        }
        Some(Self { replaced, increments, attempts, retry_at, reason })
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = u32::from_le_bytes(take(rest)?) as usize;
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Parked> {
        let position = Position { millis: 1_790_000_000_000, number: 3 };
        let put = Some((7, position, Change::Put(b"envelope".to_vec())));
        vec![
            Parked::default(),
            Parked { replaced: put.clone(), increments: vec![(8, -3), (9, i64::MAX)], ..Parked::default() },
            Parked { replaced: Some((9, position, Change::Delete)), attempts: 3, ..Parked::default() },
            Parked { increments: vec![(1, 1)], retry_at: 17, reason: "too long: ä".to_owned(), ..Parked::default() },
        ]
    }

    #[test]
    fn what_is_parked_reads_back() {
        for parked in samples() {
            assert_eq!(Parked::decode(&parked.encode()), Some(parked));
        }
    }

    #[test]
    fn what_is_cut_or_longer_is_nothing() {
        for parked in samples() {
            let bytes = parked.encode();
            for end in 0..bytes.len() {
                assert_eq!(Parked::decode(&bytes[..end]), None, "{end} of {}", bytes.len());
            }
            assert_eq!(Parked::decode(&[bytes.as_slice(), b"x"].concat()), None);
        }
    }
}
