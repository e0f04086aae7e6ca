//! postcard behind the guard: fields by position and numbers as short as they come, as in bincode, with a format that is
//! written down and kept.

use postcard::{Deserializer, Error, ser_flavors::Flavor, serialize_with_flavor};
use serde::{
    Serialize,
    de::{DeserializeOwned, DeserializeSeed},
};

use super::{
    Failure, Kind,
    guard::{Capped, Limits, Seeded, Shown},
};

/// Where postcard writes to.
struct Out<'c>(&'c mut Capped);

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, limits: &Limits, out: &mut Capped) -> Result<(), Failure> {
    serialize_with_flavor(&Shown::new(value, limits), Out(out)).map_err(|error| failure(&error))
}

/// The value, and whether every byte was consumed.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<(T, bool), Failure> {
    let mut reader = Deserializer::from_bytes(bytes);
    let value = Seeded::<T>::new(limits).deserialize(&mut reader).map_err(|error| failure(&error))?;
    let rest = reader.finalize().map_err(|error| failure(&error))?;
    Ok((value, rest.is_empty()))
}

/// postcard drops the words of serde's errors, so there is nothing in its own that could quote a value.
fn failure(error: &Error) -> Failure {
    let kind = match error {
        Error::WontImplement | Error::NotYetImplemented | Error::SerializeSeqLengthUnknown => Kind::Unsupported,
        _ => Kind::Other,
    };
    Failure { kind, text: error.to_string() }
}

impl Flavor for Out<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if self.0.push(bytes) { Ok(()) } else { Err(Error::SerializeBufferFull) }
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
