//! How a value becomes bytes for the remote tier, and how it comes back: bincode by default, JSON, postcard or MessagePack by
//! choice.
//!
//! Every codec runs inside a guard (depth, elements, bytes), because no codec of ours survives hostile input by itself, and
//! a value that could not be read back is refused when it is written. Choose [`Codec::Json`] or `Codec::MessagePack` for types
//! that only a self-describing format can read: `flatten`, `untagged`, internally tagged enums, `skip_serializing_if`,
//! `serde_json::Value`.
//!
//! What can go wrong is a `CodecError`: on reading a counted miss, on writing a value that is served but not stored.

mod bincode;
mod error;
mod guard;
mod json;
#[cfg(feature = "messagepack")]
mod message_pack;
#[cfg(feature = "postcard")]
mod postcard;
#[cfg(test)]
mod tests;

use serde::{Serialize, de::DeserializeOwned};

pub(crate) use error::CodecError;
use error::CodecText;
use guard::{Capped, Limits, Rules, Trip};

/// No payload is larger than this, whatever the configuration says (64 MiB).
pub(crate) const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// The format of a stored value.
///
/// Part of the schema fingerprint, so a change of codec is a miss, never a misreading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// bincode 2: small and fast; not for types that need a self-describing format.
    #[default]
    Bincode,
    /// JSON: larger and slower; reads every serde type, and people can read it in `redis-cli`.
    Json,
    /// postcard 1: for the same types as bincode and about as small, in a format that has a specification. Feature `postcard`.
    #[cfg(feature = "postcard")]
    Postcard,
    /// MessagePack: for the same types as JSON, smaller; people cannot read it, programs in most languages can. Structs are
    /// maps from the names of their fields, enums from the name of their variant, and what has a form for people (a UUID, an
    /// address) is text. Holds numbers that are not finite. Feature `messagepack`.
    #[cfg(feature = "messagepack")]
    MessagePack,
}

/// What a codec reports when it fails and the guard did not.
struct Failure {
    kind: Kind,
    /// The codec's own words.
    text: String,
}

/// What a codec can say of its own failure.
enum Kind {
    /// It cannot represent the type at all.
    Unsupported,
    /// Its own limit on depth came first.
    Depth,
    Other,
}

// === impl Codec ===

impl Codec {
    /// Every codec of this build.
    #[cfg(test)]
    pub(crate) const ALL: &[Self] = &[
        Self::Bincode,
        Self::Json,
        #[cfg(feature = "postcard")]
        Self::Postcard,
        #[cfg(feature = "messagepack")]
        Self::MessagePack,
    ];

    /// The codec's number in the envelope; never used twice.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Bincode => 1,
            Self::Json => 2,
            #[cfg(feature = "postcard")]
            Self::Postcard => 3,
            #[cfg(feature = "messagepack")]
            Self::MessagePack => 4,
        }
    }

    /// The codec that an envelope names; `None` for one that this build does not have.
    #[must_use]
    pub const fn from_id(id: u8) -> Option<Self> {
        match id {
            1 => Some(Self::Bincode),
            2 => Some(Self::Json),
            #[cfg(feature = "postcard")]
            3 => Some(Self::Postcard),
            #[cfg(feature = "messagepack")]
            4 => Some(Self::MessagePack),
            _ => None,
        }
    }

    /// One lower-case word, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bincode => "bincode",
            Self::Json => "json",
            #[cfg(feature = "postcard")]
            Self::Postcard => "postcard",
            #[cfg(feature = "messagepack")]
            Self::MessagePack => "messagepack",
        }
    }

    /// Whether the bytes say what they hold, so that a type may ask for "anything" or leave fields out.
    pub(crate) const fn is_self_describing(self) -> bool {
        match self {
            Self::Json => true,
            #[cfg(feature = "messagepack")]
            Self::MessagePack => true,
            #[cfg(feature = "postcard")]
            Self::Postcard => false,
            Self::Bincode => false,
        }
    }

    const fn rules(self) -> Rules {
        match self {
            Self::Json => Rules::TEXT,
            #[cfg(feature = "messagepack")]
            Self::MessagePack => Rules::NAMED,
            #[cfg(feature = "postcard")]
            Self::Postcard => Rules::POSITIONAL,
            Self::Bincode => Rules::POSITIONAL,
        }
    }

    /// The bytes of `value`, at most `max_bytes` (and [`MAX_PAYLOAD_BYTES`]) of them.
    ///
    /// # Errors
    /// The value is too large, nests too deep, or cannot be written in this format so that it reads back the same.
    pub(crate) fn encode<T: Serialize + ?Sized>(self, value: &T, max_bytes: usize) -> Result<Vec<u8>, CodecError> {
        let max_bytes = max_bytes.min(MAX_PAYLOAD_BYTES);
        let limits = Limits::for_encode(max_bytes, self.rules());
        let mut out = Capped::new(max_bytes);
        let result = match self {
            Self::Bincode => bincode::encode(value, &limits, &mut out),
            Self::Json => json::encode(value, &limits, &mut out),
            #[cfg(feature = "postcard")]
            Self::Postcard => postcard::encode(value, &limits, &mut out),
            #[cfg(feature = "messagepack")]
            Self::MessagePack => message_pack::encode(value, &limits, &mut out),
        };
        // Asked first, and also when all seems well: a type may have swallowed the error.
        if out.is_full() {
            return Err(CodecError::TooLarge { max_bytes });
        }
        if let Some(trip) = limits.tripped() {
            return Err(self.stopped(trip));
        }
        result.map_err(|failure| self.explain(&failure, true))?;
        let bytes = out.into_bytes();
        // What counts as an element here counts as one on the way back, where the budget follows from the length.
        if limits.used() > Limits::for_decode(bytes.len()).left() {
            return Err(CodecError::TooMany);
        }
        Ok(bytes)
    }

    /// The value that `bytes` hold, of at most `max_bytes`; every byte is consumed.
    ///
    /// # Errors
    /// The bytes are no whole value of this type, or ask for more depth or elements than any stored value may have.
    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8], max_bytes: usize) -> Result<T, CodecError> {
        let max_bytes = max_bytes.min(MAX_PAYLOAD_BYTES);
        if bytes.len() > max_bytes {
            return Err(CodecError::TooLarge { max_bytes });
        }
        let limits = Limits::for_decode(bytes.len());
        let result = match self {
            Self::Bincode => bincode::decode(bytes, &limits),
            Self::Json => json::decode(bytes, &limits),
            #[cfg(feature = "postcard")]
            Self::Postcard => postcard::decode(bytes, &limits),
            #[cfg(feature = "messagepack")]
            Self::MessagePack => message_pack::decode(bytes, &limits),
        };
        match (result, limits.tripped()) {
            // An untagged enum may have tried a variant that was too deep and taken the next.
            (Ok((value, true)), _) => Ok(value),
            (Ok((_, false)), _) => Err(CodecError::Trailing { codec: self }),
            (Err(_), Some(trip)) => Err(self.stopped(trip)),
            (Err(failure), None) => Err(self.explain(&failure, false)),
        }
    }

    /// Whether `bytes`, just made from a `T`, read back as one: for the first value of a type, where a format without field
    /// names may turn out not to suit it (a field that is written but not read shifts all that follow).
    ///
    /// The second writing is compared by length alone, as maps come in any order.
    ///
    /// # Errors
    /// [`CodecError::Unsupported`], [`CodecError::RoundTrip`] or whatever else reading reports.
    pub(crate) fn check_round_trip<T>(self, bytes: &[u8], max_bytes: usize) -> Result<(), CodecError>
    where
        T: Serialize + DeserializeOwned,
    {
        let refused = |found: CodecError| match found {
            found @ CodecError::Unsupported { .. } => found,
            found => CodecError::RoundTrip { codec: self, source: CodecText::new(&found.to_string()) },
        };
        let back: T = self.decode(bytes, max_bytes).map_err(refused)?;
        let again = self.encode(&back, max_bytes).map_err(refused)?;
        if again.len() == bytes.len() {
            return Ok(());
        }
        let text = format!("{} bytes became {} when written again", bytes.len(), again.len());
        Err(CodecError::RoundTrip { codec: self, source: CodecText::new(&text) })
    }

    /// The guard's finding, which the codec only saw as some error.
    fn stopped(self, trip: Trip) -> CodecError {
        match trip {
            Trip::Depth => CodecError::TooDeep,
            Trip::Elements => CodecError::TooMany,
            Trip::SkippedField | Trip::NotFinite | Trip::NothingInSome => {
                CodecError::Unsupported { codec: self, source: CodecText::new(trip.as_text()) }
            }
        }
    }

    fn explain(self, failure: &Failure, writing: bool) -> CodecError {
        let source = CodecText::new(&failure.text);
        match failure.kind {
            Kind::Depth => CodecError::TooDeep,
            Kind::Unsupported => CodecError::Unsupported { codec: self, source },
            Kind::Other if writing => CodecError::Refused { codec: self, source },
            Kind::Other => CodecError::Malformed { codec: self, source },
        }
    }
}
