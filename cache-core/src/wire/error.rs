//! Why bytes are not the envelope asked for, or why one cannot be written.

use std::{error::Error, fmt};

/// Why bytes are not the envelope asked for, or why one cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WireError {
    /// Fewer bytes than any envelope has.
    TooShort,
    /// Something else is stored under this name.
    Magic,
    /// Written by a version of this crate with another layout.
    WireVersion,
    /// Written by another codec.
    Codec,
    /// A flag that this version does not know.
    Flags,
    /// A value of another type, or of another version of it.
    Fingerprint,
    /// The value of another key.
    Key,
    /// Bytes were changed or lost.
    Checksum,
    /// The checksum holds and the contents still make no sense.
    Malformed,
    /// The payload is encrypted, and this cache has not the key.
    #[cfg(feature = "aead")]
    Sealed,
    /// The payload is not encrypted, and this cache reads only what is.
    #[cfg(feature = "aead")]
    Plain,
    /// The payload does not open with its key: it, its header, its tags or its place are not what was sealed.
    #[cfg(feature = "aead")]
    BrokenSeal,
    /// The compressed payload is damaged, or larger than any value may be.
    #[cfg(feature = "zstd")]
    Compression,
    /// Writing: more than 133 tags.
    TooManyTags,
    /// Writing: a tag over 64 KiB or a payload over 4 GiB.
    TooLarge,
    /// Writing: the system gave no random bytes to encrypt with.
    #[cfg(feature = "aead")]
    NoRandom,
}

// === impl WireError ===

impl WireError {
    /// One word, the same in logs, metrics and headers.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::Magic => "magic",
            Self::WireVersion => "wire_version",
            Self::Codec => "codec",
            Self::Flags => "flags",
            Self::Fingerprint => "fingerprint",
            Self::Key => "key",
            Self::Checksum => "checksum",
            Self::Malformed => "malformed",
            #[cfg(feature = "aead")]
            Self::Sealed => "sealed",
            #[cfg(feature = "aead")]
            Self::Plain => "plain",
            #[cfg(feature = "aead")]
            Self::BrokenSeal => "broken_seal",
            #[cfg(feature = "zstd")]
            Self::Compression => "compression",
            Self::TooManyTags => "too_many_tags",
            Self::TooLarge => "too_large",
            #[cfg(feature = "aead")]
            Self::NoRandom => "no_random",
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "fewer bytes than any envelope has",
            Self::Magic => "the bytes are not an envelope of this cache",
            Self::WireVersion => "the envelope has another layout than this version reads",
            Self::Codec => "the payload was written by another codec",
            Self::Flags => "the envelope carries a flag that this version does not know",
            Self::Fingerprint => "the payload is of another type, or of another version of it",
            Self::Key => "the payload belongs to another key",
            Self::Checksum => "the checksum does not match: bytes were changed or lost",
            Self::Malformed => "the envelope contradicts itself",
            #[cfg(feature = "aead")]
            Self::Sealed => "the payload is encrypted, and this cache has not the key",
            #[cfg(feature = "aead")]
            Self::Plain => "the payload is not encrypted, and this cache reads only what is",
            #[cfg(feature = "aead")]
            Self::BrokenSeal => "the payload, its header, its tags or its place are not what was encrypted",
            #[cfg(feature = "zstd")]
            Self::Compression => "the compressed payload is damaged, or larger than any value may be",
            Self::TooManyTags => "an envelope has at most 133 tags",
            Self::TooLarge => "a tag or the payload is longer than an envelope can say",
            #[cfg(feature = "aead")]
            Self::NoRandom => "the system gave no random bytes to encrypt with",
        })
    }
}

impl Error for WireError {}
