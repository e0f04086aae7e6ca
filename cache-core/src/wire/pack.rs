//! What is done to an encoded value on its way into an envelope, and undone on its way out: compressed, then sealed.

use std::borrow::Cow;

#[cfg(feature = "zstd")]
use super::compress::Compression;
#[cfg(not(feature = "zstd"))]
use super::null::Compression;
#[cfg(not(feature = "aead"))]
use super::null::Sealing;
#[cfg(feature = "aead")]
use super::seal::Sealing;
use super::{WireError, check};
use crate::key::Key;

/// How payloads are stored, besides their codec. By default as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packing {
    pub(crate) compression: Compression,
    pub(crate) sealing: Sealing,
}

/// A payload on its way into an envelope.
pub(super) struct Packed<'a> {
    bytes: Cow<'a, [u8]>,
    is_compressed: bool,
    sealing: &'a Sealing,
}

/// The payload is compressed. A build that cannot read such refuses the flag.
const COMPRESSED: u8 = 0b0100;
/// The payload is encrypted. As above.
const SEALED: u8 = 0b1000;

const KNOWN: u8 =
    (if cfg!(feature = "zstd") { COMPRESSED } else { 0 }) | (if cfg!(feature = "aead") { SEALED } else { 0 });

// === impl Packing ===

impl Packing {
    pub(super) fn pack<'a>(&'a self, payload: &'a [u8]) -> Packed<'a> {
        let smaller = self.compression.smaller(payload);
        Packed {
            is_compressed: smaller.is_some(),
            bytes: smaller.map_or(Cow::Borrowed(payload), Cow::Owned),
            sealing: &self.sealing,
        }
    }

    /// Whether payloads with these flags are read at all.
    pub(super) fn accept(&self, flags: u8) -> Result<(), WireError> {
        check(flags & !KNOWN == 0, WireError::Flags)?;
        self.sealing.accept(flags & SEALED != 0)
    }

    /// The payload that was stored with these flags, after the bytes of the envelope that came before it.
    pub(super) fn unpack<'b>(
        &self,
        flags: u8,
        before: &[u8],
        stored: &'b [u8],
        key: &Key,
    ) -> Result<Cow<'b, [u8]>, WireError> {
        let opened = if flags & SEALED == 0 {
            Cow::Borrowed(stored)
        } else {
            Cow::Owned(self.sealing.open(before, stored, key)?)
        };
        if flags & COMPRESSED == 0 { Ok(opened) } else { Compression::expand(&opened).map(Cow::Owned) }
    }
}

// === impl Packed ===

impl Packed<'_> {
    pub(super) fn flags(&self) -> u8 {
        (if self.is_compressed { COMPRESSED } else { 0 }) | (if self.sealing.is_on() { SEALED } else { 0 })
    }

    pub(super) fn stored_bytes(&self) -> usize {
        self.bytes.len() + self.sealing.overhead_bytes()
    }

    /// Puts the payload behind what there is of its envelope.
    pub(super) fn append_to(self, out: &mut Vec<u8>, key: &Key) -> Result<(), WireError> {
        self.sealing.append(&self.bytes, out, key)
    }
}
