//! A value as it stands in a journal: JSON, since a journal outlives the program that wrote it, in the envelope that values have
//! in Redis: compressed and encrypted as they are.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::Codec,
    error::{Error, ErrorKind},
    key::Key,
    schema::Fingerprint,
    value::ValueOps,
    wire::{self, Expect, Header, Packing, PayloadKind, Tags},
};

/// Whoever reads a journal knows by its name what is in it; readers of the cache compare what they have in mind.
const ANY_TYPE: Fingerprint = Fingerprint::NONE;

/// Puts a value into its envelope; the fingerprint of its type stands before it.
///
/// # Errors
///
/// A value that cannot be written as JSON, or is too large.
pub(crate) fn seal<T: Serialize + 'static>(
    ops: &'static ValueOps<T>,
    key: &Key,
    packing: &Packing,
    value: &T,
    max_bytes: usize,
) -> Result<Vec<u8>, Error> {
    let failed =
        |reason: String| Error::new(ErrorKind::Codec, "journal", format!("a value cannot be journaled: {reason}"));
    let fingerprint = (ops.fingerprint)(Codec::Json, 0).map_or(0, Fingerprint::get);
    let mut bytes = fingerprint.to_le_bytes().to_vec();
    serde_json::to_writer(&mut bytes, value).map_err(|error| failed(error.to_string()))?;
    if bytes.len() > max_bytes {
        return Err(failed(format!("it has {} bytes, and {max_bytes} are allowed (`Policy::max_bytes`)", bytes.len())));
    }
    let header = Header {
        version: 0,
        created: 0,
        fresh_until: 0,
        stale_until: 0,
        fail_safe_until: 0,
        load_micros: 0,
        kind: PayloadKind::Value,
        tags: Tags::new(),
    };
    let expect = Expect::of(Codec::Json, ANY_TYPE, key, packing);
    wire::encode(&header, expect, &bytes).map_err(|error| failed(error.as_str().to_owned()))
}

/// The value, for a reader who has this very type in mind.
pub(crate) fn open<T: 'static>(ops: &'static ValueOps<T>, key: &Key, packing: &Packing, envelope: &[u8]) -> Option<T> {
    let own = (ops.fingerprint)(Codec::Json, 0).ok()?;
    let (_, bytes) = wire::decode(envelope, Expect::of(Codec::Json, ANY_TYPE, key, packing)).ok()?;
    let (fingerprint, json) = bytes.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*fingerprint) != own.get() {
        return None;
    }
    (ops.decode)(json, Codec::Json, json.len()).ok()
}

/// The value, for the flusher of the journal: whatever serde can make of it.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn read<T: DeserializeOwned>(key: &Key, packing: &Packing, envelope: &[u8]) -> Result<T, String> {
    let (_, bytes) = wire::decode(envelope, Expect::of(Codec::Json, ANY_TYPE, key, packing))
        .map_err(|error| format!("the journal's envelope: {}", error.as_str()))?;
    let (_, json) = bytes.split_first_chunk::<8>().ok_or("the journal's envelope is empty")?;
    // Not the message of serde, which may quote what it found.
    let place = |error: &serde_json::Error| format!("line {}, column {}", error.line(), error.column());
    serde_json::from_slice(json).map_err(|error| format!("the value does not fit its type, at {}", place(&error)))
}
