//! What is written: the same for a seed, whoever writes it.

use cache_core::Key;
use serde::{Deserialize, Serialize};

/// Keys that one writer writes.
pub(crate) const KEYS: u32 = 12;

/// A row, as far as it is a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Goods {
    /// Which write of its key it is.
    pub(crate) op: i64,
    /// What is counted from then on.
    pub(crate) pieces: i64,
}

/// What one write does to its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// The row is that of this write, with so many pieces.
    Put(i64),
    Delete,
    Increment(i64),
}

/// A row as somebody may find it: which write put it (-1: none, an increment made it), and its pieces.
pub(crate) type Found = Option<(i64, i64)>;

/// The keys of one writer.
pub(crate) fn keys_of(writer: usize) -> std::ops::Range<u32> {
    let first = writer as u32 * KEYS;
    first..first + KEYS
}

pub(crate) fn key(id: u32) -> Key {
    Key::new("goods").arg(id)
}

/// The writes of a key, by their numbers. A third of the keys is put and deleted, a third is counted, a third is all of that.
pub(crate) fn doing(seed: u64, id: u32, op: u64) -> Doing {
    let mut chance = fastrand::Rng::with_seed(seed ^ (u64::from(id) << 40) ^ op.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let (draw, amount) = (chance.u32(0..100), chance.i64(1..=9));
    match id % 3 {
        0 if draw < 75 => Doing::Put(amount),
        0 => Doing::Delete,
        1 => Doing::Increment(amount),
        _ if draw < 35 => Doing::Put(amount),
        _ if draw < 50 => Doing::Delete,
        _ => Doing::Increment(amount),
    }
}

// === impl Doing ===

impl Doing {
    /// What is there after it.
    pub(crate) fn after(self, op: u64, before: Found) -> Found {
        match self {
            Self::Put(pieces) => Some((op as i64, pieces)),
            Self::Delete => None,
            Self::Increment(by) => before.map_or(Some((-1, by)), |(put, pieces)| Some((put, pieces + by))),
        }
    }
}
