//! The envelope: what stands around a payload in Redis, so that nothing is ever misread.
//!
//! Little-endian, version 1:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic |
//! | 4 | 1 | wire version |
//! | 5 | 1 | codec |
//! | 6 | 1 | flags: the payload's kind (bits 0 and 1), compressed (bit 2), sealed (bit 3) |
//! | 7 | 1 | number of tags, at most 133 |
//! | 8 | 8 | version |
//! | 16 | 8 × 4 | created, fresh until, stale until, fail-safe until: µs of Redis time |
//! | 48 | 4 | load time, µs |
//! | 52 | 4 | payload length |
//! | 56 | 8 | schema fingerprint |
//! | 64 | 16 | key hash |
//! | 80 | | per tag: length (2), text, generation (8) |
//! | | | payload, as it is stored |
//! | end − 8 | 8 | xxh3-64 of everything before it |
//!
//! A payload that is sealed is stored as the id of the key (1), nonce (24), what was encrypted, and its tag (16). A payload
//! that is compressed is one zstd frame that says its content's size. One that is both was compressed first.
//!
//! Reading goes from cheap to dear and from outer to inner, so that each failure has one name; all of them are counted
//! misses. The offsets of a released version never change: `wire/v1*.hex` must decode for ever.

#[cfg(feature = "zstd")]
mod compress;
mod error;
#[cfg(any(not(feature = "zstd"), not(feature = "aead")))]
mod null;
mod pack;
#[cfg(feature = "aead")]
mod seal;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

#[cfg(feature = "zstd")]
pub(crate) use self::compress::Compression;
#[cfg(feature = "aead")]
pub use self::seal::Encryption;
#[cfg(feature = "aead")]
pub(crate) use self::seal::Sealing;
pub(crate) use self::{error::WireError, pack::Packing};
use crate::{codec::Codec, key::Key, schema::Fingerprint};

/// An envelope has at most this many tags: 16 that people name, the head of each, the namespace, and the levels of a scope, of which
/// 200 bytes can have 100.
pub(crate) const MAX_TAGS: usize = 16 + 16 + 1 + 100;

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

/// What both sides know of an entry: who writes it, and who asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expect<'a> {
    codec: Codec,
    fingerprint: Fingerprint,
    key: &'a Key,
    key_hash: u128,
    packing: &'a Packing,
}

/// The envelope of `payload`.
///
/// # Errors
/// [`WireError::TooManyTags`] or [`WireError::TooLarge`]: leaving a tag out instead would make the entry deaf to it. Where
/// payloads are encrypted, `NoRandom`.
pub(crate) fn encode(header: &Header<'_>, expect: Expect<'_>, payload: &[u8]) -> Result<Vec<u8>, WireError> {
    let tag_count = u8::try_from(header.tags.len()).ok().filter(|&count| usize::from(count) <= MAX_TAGS);
    let tag_count = tag_count.ok_or(WireError::TooManyTags)?;
    let packed = expect.packing.pack(payload);
    let payload_bytes = u32::try_from(packed.stored_bytes()).map_err(|_| WireError::TooLarge)?;
    let tag_bytes: usize = header.tags.iter().map(|(text, _)| 2 + text.len() + 8).sum();

    let mut out = Vec::with_capacity(HEADER_BYTES + tag_bytes + packed.stored_bytes() + CHECKSUM_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[WIRE_VERSION, expect.codec.id(), header.kind.bits() | packed.flags(), tag_count]);
    for number in [header.version, header.created, header.fresh_until, header.stale_until, header.fail_safe_until] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&header.load_micros.to_le_bytes());
    out.extend_from_slice(&payload_bytes.to_le_bytes());
    out.extend_from_slice(&expect.fingerprint.get().to_le_bytes());
    out.extend_from_slice(&expect.key_hash.to_le_bytes());
    for (text, generation) in &header.tags {
        let text_bytes = u16::try_from(text.len()).map_err(|_| WireError::TooLarge)?;
        out.extend_from_slice(&text_bytes.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(&generation.to_le_bytes());
    }
    packed.append_to(&mut out, expect.key)?;
    let checksum = xxh3_64(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    Ok(out)
}

/// The header and payload in `bytes`, if they are what the reader expects. Borrowed, but for a payload that was packed.
///
/// # Errors
/// The first check that fails, from outer to inner. All are misses.
pub(crate) fn decode<'b>(bytes: &'b [u8], expect: Expect<'_>) -> Result<(Header<'b>, Cow<'b, [u8]>), WireError> {
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
    let kind = PayloadKind::from_bits(flags & KIND_BITS).ok_or(WireError::Flags)?;
    expect.packing.accept(flags & !KIND_BITS)?;
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
    let stored = rest.0;
    check(u32::try_from(stored.len()) == Ok(payload_bytes), WireError::Malformed)?;
    let before = &body[..body.len() - stored.len()];
    let payload = expect.packing.unpack(flags & !KIND_BITS, before, stored, expect.key)?;
    check(kind != PayloadKind::Nothing || payload.is_empty(), WireError::Malformed)?;
    let header = Header { version, created, fresh_until, stale_until, fail_safe_until, load_micros, kind, tags };
    Ok((header, payload))
}

fn check(holds: bool, error: WireError) -> Result<(), WireError> {
    if holds { Ok(()) } else { Err(error) }
}

/// What has not been read yet.
struct Reader<'a>(&'a [u8]);

// === impl Expect ===

impl<'a> Expect<'a> {
    pub(crate) fn of(codec: Codec, fingerprint: Fingerprint, key: &'a Key, packing: &'a Packing) -> Self {
        Self { codec, fingerprint, key, key_hash: key.wire_hash(), packing }
    }
}

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
        match flags {
            0 => Some(Self::Value),
            1 => Some(Self::Nothing),
            2 => Some(Self::Failure),
            _ => None,
        }
    }
}
