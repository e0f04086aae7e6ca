//! The schema fingerprint: a number for the shape of a type, so that bytes of another shape are a miss and not a misreading.
//!
//! Covers names, fields, types and variants, recursively, the codec, and `rev`, a number that the user raises when the
//! meaning changes and the shape does not. It is taken from serde itself, from what the type *asks for* when it is read,
//! so that any type works without a derive of ours, and it is the same in every process and build: old and new binaries
//! run side by side, each with its own entries.
//!
//! Give it the type inside `Result` and `Option`, so that what one function puts another one finds. The few types whose
//! shape cannot be found this way are handled as `SchemaError` says.

mod ask;
mod record;
mod samples;
#[cfg(test)]
mod tests;

use std::{
    any::{TypeId, type_name},
    collections::HashMap,
    error::Error,
    fmt,
    sync::{LazyLock, PoisonError, RwLock},
};

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use crate::codec::Codec;

/// Raised when the way of recording changes, as then every fingerprint does.
const RECORDING: u8 = 1;

/// Types remembered at once; a program has as many as it caches types, so this is only for what goes wrong.
const MAX_REMEMBERED: usize = 4096;

/// The shape of a type under one codec and `rev`; equal fingerprints read each other's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint(u64);

/// Why a type's values cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SchemaError {
    /// The type asks the format what comes next, and this codec's bytes do not say.
    NeedsJson {
        /// The type, in the compiler's words.
        type_name: &'static str,
    },
    /// The shape could not be found to the end, so a change of it could go unnoticed.
    Unknown {
        /// The type, in the compiler's words.
        type_name: &'static str,
    },
}

type Remembered = HashMap<(TypeId, Codec, u32), Result<Fingerprint, SchemaError>>;

static REMEMBERED: LazyLock<RwLock<Remembered>> = LazyLock::new(RwLock::default);

/// The fingerprint of `T`, found out once per process.
///
/// Where the shape of `T` cannot be found to the end, a self-describing codec (it notices most changes by itself) or a
/// `rev` other than 0 (a person looks after it) makes up for it; the compiler's name of the type then stands in for the
/// rest.
///
/// # Errors
/// `T` cannot be stored by this codec, or not without a `rev`.
pub(crate) fn fingerprint<T: DeserializeOwned + 'static>(codec: Codec, rev: u32) -> Result<Fingerprint, SchemaError> {
    let id = (TypeId::of::<T>(), codec, rev);
    if let Some(&known) = REMEMBERED.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return known;
    }
    let found = find::<T>(codec, rev);
    let mut remembered = REMEMBERED.write().unwrap_or_else(PoisonError::into_inner);
    if remembered.len() >= MAX_REMEMBERED {
        remembered.clear();
    }
    remembered.insert(id, found);
    found
}

fn find<T: DeserializeOwned>(codec: Codec, rev: u32) -> Result<Fingerprint, SchemaError> {
    let recording = record::record::<T>(codec.is_self_describing());
    let type_name = type_name::<T>();
    if recording.describing && !codec.is_self_describing() {
        return Err(SchemaError::NeedsJson { type_name });
    }
    if !recording.whole && !codec.is_self_describing() && rev == 0 {
        return Err(SchemaError::Unknown { type_name });
    }
    let mut hash = Xxh3::new();
    hash.update(&[RECORDING, codec.id(), u8::from(recording.whole)]);
    hash.update(&rev.to_le_bytes());
    hash.update(&recording.digest.to_le_bytes());
    if !recording.whole {
        hash.update(type_name.as_bytes());
    }
    Ok(Fingerprint(hash.digest()))
}

// === impl Fingerprint ===

impl Fingerprint {
    /// That of no type.
    pub(crate) const NONE: Self = Self(0);

    /// The number itself, as it stands in the envelope.
    #[must_use]
    pub(crate) const fn get(self) -> u64 {
        self.0
    }

    /// Any fingerprint, for tests of what only carries it.
    #[cfg(test)]
    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }
}

/// Sixteen lower-case hex digits, as in the name of a payload in Redis.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

// === impl SchemaError ===

impl SchemaError {
    /// One word, the same in logs, metrics and headers.
    #[must_use]
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::NeedsJson { .. } => "needs_json",
            Self::Unknown { .. } => "unknown_shape",
        }
    }
}

/// The word, then a sentence.
impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.as_str())?;
        match self {
            Self::NeedsJson { type_name } => write!(
                f,
                "`{type_name}` holds a flatten, an untagged or internally tagged enum, or a value of any type, which a \
                 format without names cannot read back: use Codec::Json for this type, or Codec::MessagePack"
            ),
            Self::Unknown { type_name } => write!(
                f,
                "the shape of `{type_name}` could not be found to the end, so a change of it could go unnoticed: give it a \
                 `rev` and raise it with every change, or use Codec::Json or Codec::MessagePack for this type"
            ),
        }
    }
}

impl Error for SchemaError {}
