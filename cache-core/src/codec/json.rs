//! JSON behind the guard; its floats are read exactly (the `float_roundtrip` feature of `serde_json`).

use std::io;

use serde::{
    Serialize,
    de::{DeserializeOwned, DeserializeSeed},
};

use super::{
    Failure, Kind,
    guard::{Capped, Limits, Seeded, Shown},
};

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, limits: &Limits, out: &mut Capped) -> Result<(), Failure> {
    serde_json::to_writer(out, &Shown::new(value, limits)).map_err(failure)
}

/// The value, and whether every byte was consumed.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<(T, bool), Failure> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Seeded::<T>::new(limits).deserialize(&mut reader).map_err(failure)?;
    Ok((value, reader.end().is_ok()))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failure(error: serde_json::Error) -> Failure {
    let text = error.to_string();
    // No other way to tell: it is a syntax error like any other.
    let kind = if text.starts_with("recursion limit exceeded") { Kind::Depth } else { Kind::Other };
    Failure { kind, text }
}

impl io::Write for Capped {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.push(bytes) { Ok(bytes.len()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
