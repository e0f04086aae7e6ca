//! MessagePack behind the guard: what JSON can hold, in fewer bytes.
//!
//! Structs are written as maps from names, never as arrays, so that a field may be left out (`skip_serializing_if`) or
//! gathered from elsewhere (`flatten`); and types that have a form for people (an address, a UUID) are written in it. Both
//! are what serde's own buffer of unknown values expects, through which `flatten` and untagged enums are read: a UUID of 16
//! bytes would be written and then not be read back.

use rmp_serde::{Deserializer, Serializer, decode, encode};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, DeserializeSeed},
};

use super::{
    Failure, Kind,
    guard::{Capped, Limits, Seeded, Shown},
};

pub(super) fn encode<T: Serialize + ?Sized>(value: &T, limits: &Limits, out: &mut Capped) -> Result<(), Failure> {
    let mut writer = Serializer::new(out).with_struct_map().with_human_readable();
    Shown::new(value, limits).serialize(&mut writer).map_err(|error| {
        let kind = match error {
            encode::Error::UnknownLength | encode::Error::InvalidDataModel(_) => Kind::Unsupported,
            encode::Error::DepthLimitExceeded => Kind::Depth,
            _ => Kind::Other,
        };
        Failure { kind, text: error.to_string() }
    })
}

/// The value, and whether every byte was consumed.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<(T, bool), Failure> {
    let mut reader = Deserializer::from_read_ref(bytes).with_human_readable();
    let value = Seeded::<T>::new(limits).deserialize(&mut reader).map_err(|error| failure(&error))?;
    // It does not say where it stands. Asked for one thing more, of a kind that holds no others, it reads exactly one marker:
    // that this fails is the end of the bytes.
    let ended = matches!(bool::deserialize(&mut reader), Err(decode::Error::InvalidMarkerRead(_)));
    Ok((value, ended))
}

fn failure(error: &decode::Error) -> Failure {
    match error {
        decode::Error::DepthLimitExceeded => Failure { kind: Kind::Depth, text: error.to_string() },
        // Its own words show the marker, in which small numbers stand.
        decode::Error::TypeMismatch(_) => {
            Failure { kind: Kind::Other, text: "another kind of value was expected".to_owned() }
        }
        _ => Failure { kind: Kind::Other, text: error.to_string() },
    }
}
