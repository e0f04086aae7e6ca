//! The hashes of a key.
//!
//! | hash | over | seed | for |
//! |---|---|---|---|
//! | local | the words | per process | the local tier's map, stripes |
//! | partition | the wire text | none, the same for ever | the hash slot of all of a key's records |
//! | envelope | the wire text | none | comparing on a read |
//! | long key | the whole text | none | the digest in a long key's text |
//! | shape | the template | none | "the same template?" |
//!
//! The local one is a folded multiply (foldhash, wyhash) per word, twice with independent seeds. It is written out
//! here because the hasher of a crate keeps a buffer of unknown fill between words, which costs more than the hash.
//! Nothing hangs on it: the key stands in the entry and is compared.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

use crate::chance;

/// A local hash under way. A call site keeps the one that has already eaten its head.
#[derive(Clone, Copy)]
pub(super) struct Local {
    low: u64,
    high: u64,
    by_low: u64,
    by_high: u64,
}

static SEED: LazyLock<Local> = LazyLock::new(|| {
    if chance::is_repeatable() {
        let by_low = 0x9e37_79b9_7f4a_7c15;
        return Local { low: 1, high: 2, by_low, by_high: by_low.rotate_left(17) | 1 };
    }
    let random = RandomState::new();
    Local {
        low: random.hash_one(0_u8),
        high: random.hash_one(1_u8),
        // Odd, and thus never the zero that would swallow every word.
        by_low: random.hash_one(2_u8) | 1,
        by_high: random.hash_one(3_u8) | 1,
    }
});

/// How maps hash what users may have typed.
pub(crate) type Hashing = foldhash::quality::SeedableRandomState;

/// Hashing under a seed of its own.
pub(crate) fn hashing() -> Hashing {
    if chance::is_repeatable() {
        return Hashing::with_seed(0, SharedSeed::global_fixed());
    }
    Hashing::with_seed(RandomState::new().hash_one(0_u8), SharedSeed::global_random())
}

/// Both halves of the 128-bit product: each bit of the input reaches each bit of the output.
#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ ((product >> 64) as u64)
}

/// xxh3-64 of the wire text, reduced to `0..partitions`; no partitions count as one.
pub(crate) fn partition(wire: &[u8], partitions: u16) -> u16 {
    let bucket = xxh3_64(wire) % u64::from(partitions.max(1));
    u16::try_from(bucket).expect("the remainder of a division by a u16 fits a u16")
}

/// xxh3-128 of the wire text.
pub(super) fn envelope(wire: &[u8]) -> u128 {
    xxh3_128(wire)
}

/// The shape of a template after one more segment: a literal's text, or `{}`. Never 0, which means "not known".
pub(super) fn shape(before: u64, segment: &str) -> u64 {
    xxh3_64_with_seed(segment.as_bytes(), before).max(1)
}

// === impl Local ===

impl Local {
    /// The hash of no words, under this process's seed.
    pub(super) fn new() -> Local {
        *SEED
    }

    #[inline]
    pub(super) fn feed(mut self, words: &[u64]) -> Local {
        for &word in words {
            self.low = fold(self.low ^ word, self.by_low);
            self.high = fold(self.high ^ word, self.by_high);
        }
        self
    }

    #[inline]
    pub(super) fn finish(self) -> [u64; 2] {
        [fold(self.low, self.by_high), fold(self.high, self.by_low)]
    }
}
