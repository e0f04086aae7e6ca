//! bincode 2 behind the guard, with its limit on decoded bytes, without which one corrupt length aborts the process.

use bincode::{
    config::{self, Configuration, Limit, LittleEndian, Varint},
    enc::write::Writer,
    error::{DecodeError, EncodeError},
    serde as codec,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Failure, Kind, MAX_PAYLOAD_BYTES,
    guard::{Capped, Limits, Seeded, Shown},
};

/// bincode counts an integer by its width in memory, up to 16 bytes for one in the input.
const MAX_DECODED_BYTES: usize = 16 * MAX_PAYLOAD_BYTES;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_DECODED_BYTES>> =
    config::standard().with_limit::<MAX_DECODED_BYTES>();

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, limits: &Limits, out: &mut Capped) -> Result<(), Failure> {
    codec::encode_into_writer(Shown::new(value, limits), out, CONFIG).map_err(|error| match error {
        EncodeError::Serde(error) => Failure { kind: Kind::Unsupported, text: format!("{error:?}") },
        EncodeError::OtherString(text) => Failure { kind: Kind::Other, text },
        error => Failure { kind: Kind::Other, text: error.to_string() },
    })
}

/// The value, and whether every byte was consumed.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<(T, bool), Failure> {
    match codec::seed_decode_from_slice(Seeded::<T>::new(limits), bytes, CONFIG) {
        Ok((value, read)) => Ok((value, read == bytes.len())),
        Err(DecodeError::Serde(error)) => Err(Failure { kind: Kind::Unsupported, text: format!("{error:?}") }),
        Err(DecodeError::OtherString(text)) => Err(Failure { kind: Kind::Other, text }),
        Err(error) => Err(Failure { kind: Kind::Other, text: error.to_string() }),
    }
}

impl Writer for Capped {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.push(bytes) { Ok(()) } else { Err(EncodeError::Other("over the byte limit")) }
    }
}
