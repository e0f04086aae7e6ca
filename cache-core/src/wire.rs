//! The envelope: what stands around a payload in Redis, so that nothing is ever misread.
//!
//! Little-endian, version 1:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic |
//! | 4 | 1 | wire version |
//! | 5 | 1 | codec |
//! | 6 | 1 | flags: the payload's kind |
//! | 7 | 1 | number of tags, at most 32 |
//! | 8 | 8 | version |
//! | 16 | 8 × 4 | created, fresh until, stale until, fail-safe until: µs of Redis time |
//! | 48 | 4 | load time, µs |
//! | 52 | 4 | payload length |
//! | 56 | 8 | schema fingerprint |
//! | 64 | 16 | key hash |
//! | 80 | | per tag: length (2), text, generation (8) |
//! | | | payload |
//! | end − 8 | 8 | xxh3-64 of everything before it |
//!
//! Reading goes from cheap to dear and from outer to inner, so that each failure has one name; all of them are counted
//! misses. The offsets of a released version never change: `wire/v1.hex` must decode for ever.

#[cfg(test)]
mod tests;

use std::{error::Error, fmt};

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use crate::{codec::Codec, schema::Fingerprint};

/// An entry has at most this many tags.
pub(crate) const MAX_TAGS: usize = 32;

/// The layout that is written.
const WIRE_VERSION: u8 = 1;
/// Not text, and not the start of any common format.
const MAGIC: [u8; 4] = *b"\xc1tl\x1a";
const HEADER_BYTES: usize = 80;
const CHECKSUM_BYTES: usize = 8;
const KIND_BITS: u8 = 0b11;

/// What an envelope says of its payload. Times are µs of Redis time; `0` is the epoch, never "none".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    /// The control record's version that the payload was loaded or put under.
    pub(crate) version: u64,
    pub(crate) created: u64,
    pub(crate) fresh_until: u64,
    pub(crate) stale_until: u64,
    pub(crate) fail_safe_until: u64,
    /// How long the load took.
    pub(crate) load_micros: u32,
    pub(crate) kind: PayloadKind,
    /// Wire text and generation of each tag, in the order they were given.
    pub(crate) tags: Tags<'a>,
}

/// Wire text and generation of each tag; the text is borrowed from the bytes, or from whoever writes.
pub(crate) type Tags<'a> = SmallVec<[(&'a str, u64); 4]>;

/// What the payload stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadKind {
    /// A value.
    Value,
    /// The origin said that there is nothing; the payload is empty.
    Nothing,
    /// The origin's error, kept because the caller asked for it.
    Failure,
}

/// What a reader knows of the entry that it asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect {
    pub(crate) codec: Codec,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) key_hash: u128,
}

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
    /// Writing: more than 32 tags.
    TooManyTags,
    /// Writing: a tag over 64 KiB or a payload over 4 GiB.
    TooLarge,
}

/// The envelope of `payload`.
///
/// # Errors
/// [`WireError::TooManyTags`] or [`WireError::TooLarge`]: leaving a tag out instead would make the entry deaf to it.
pub(crate) fn encode(
    header: &Header<'_>,
    codec: Codec,
    fingerprint: Fingerprint,
    key_hash: u128,
    payload: &[u8],
) -> Result<Vec<u8>, WireError> {
    let tag_count = u8::try_from(header.tags.len()).ok().filter(|&count| usize::from(count) <= MAX_TAGS);
    let tag_count = tag_count.ok_or(WireError::TooManyTags)?;
    let payload_bytes = u32::try_from(payload.len()).map_err(|_| WireError::TooLarge)?;
    let tag_bytes: usize = header.tags.iter().map(|(text, _)| 2 + text.len() + 8).sum();

    let mut out = Vec::with_capacity(HEADER_BYTES + tag_bytes + payload.len() + CHECKSUM_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[WIRE_VERSION, codec.id(), header.kind.bits(), tag_count]);
    for number in [header.version, header.created, header.fresh_until, header.stale_until, header.fail_safe_until] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&header.load_micros.to_le_bytes());
    out.extend_from_slice(&payload_bytes.to_le_bytes());
    out.extend_from_slice(&fingerprint.get().to_le_bytes());
    out.extend_from_slice(&key_hash.to_le_bytes());
    for (text, generation) in &header.tags {
        let text_bytes = u16::try_from(text.len()).map_err(|_| WireError::TooLarge)?;
        out.extend_from_slice(&text_bytes.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(&generation.to_le_bytes());
    }
    out.extend_from_slice(payload);
    let checksum = xxh3_64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    Ok(out)
}

/// The header and payload in `bytes`, if they are what the reader expects. Tags and payload are borrowed.
///
/// # Errors
/// The first check that fails, from outer to inner. All are misses.
pub(crate) fn decode(bytes: &[u8], expect: Expect) -> Result<(Header<'_>, &[u8]), WireError> {
    let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(WireError::TooShort)?;
    if body.len() < HEADER_BYTES {
        return Err(WireError::TooShort);
    }
    let mut rest = Reader(body);
    let magic = rest.array::<4>()?;
    let [wire_version, codec, flags, tag_count] = rest.array()?;
    let [version, created, fresh_until, stale_until, fail_safe_until] =
        [rest.u64()?, rest.u64()?, rest.u64()?, rest.u64()?, rest.u64()?];
    let [load_micros, payload_bytes] = [u32::from_le_bytes(rest.array()?), u32::from_le_bytes(rest.array()?)];
    let fingerprint = rest.u64()?;
    let key_hash = u128::from_le_bytes(rest.array()?);

    check(magic == MAGIC, WireError::Magic)?;
    check(wire_version == WIRE_VERSION, WireError::WireVersion)?;
    check(codec == expect.codec.id(), WireError::Codec)?;
    let kind = PayloadKind::from_bits(flags).ok_or(WireError::Flags)?;
    check(fingerprint == expect.fingerprint.get(), WireError::Fingerprint)?;
    check(key_hash == expect.key_hash, WireError::Key)?;
    check(u64::from_le_bytes(*checksum) == xxh3_64(body), WireError::Checksum)?;

    check(usize::from(tag_count) <= MAX_TAGS, WireError::Malformed)?;
    let mut tags = Tags::new();
    for _ in 0..tag_count {
        let text_bytes = u16::from_le_bytes(rest.array()?);
        let text = rest.take(usize::from(text_bytes))?;
        let text = std::str::from_utf8(text).map_err(|_| WireError::Malformed)?;
        tags.push((text, rest.u64()?));
    }
    let payload = rest.0;
    check(u32::try_from(payload.len()) == Ok(payload_bytes), WireError::Malformed)?;
    check(kind != PayloadKind::Nothing || payload.is_empty(), WireError::Malformed)?;
    let header = Header { version, created, fresh_until, stale_until, fail_safe_until, load_micros, kind, tags };
    Ok((header, payload))
}

fn check(holds: bool, error: WireError) -> Result<(), WireError> {
    if holds { Ok(()) } else { Err(error) }
}

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(WireError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }
}

// === impl PayloadKind ===

impl PayloadKind {
    const fn bits(self) -> u8 {
        match self {
            Self::Value => 0,
            Self::Nothing => 1,
            Self::Failure => 2,
        }
    }

    const fn from_bits(flags: u8) -> Option<Self> {
        if flags & !KIND_BITS != 0 {
            return None;
        }
        match flags & KIND_BITS {
            0 => Some(Self::Value),
            1 => Some(Self::Nothing),
            2 => Some(Self::Failure),
            _ => None,
        }
    }
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
            Self::TooManyTags => "too_many_tags",
            Self::TooLarge => "too_large",
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
            Self::TooManyTags => "an entry has at most 32 tags",
            Self::TooLarge => "a tag or the payload is longer than an envelope can say",
        })
    }
}

impl Error for WireError {}
