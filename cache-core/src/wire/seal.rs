//! Payloads encrypted with XChaCha20-Poly1305, bound to their envelope and to their place.
//!
//! With what is encrypted goes, unencrypted and not stored again, all of the envelope that comes before it (version,
//! deadlines, fingerprint, tags), the namespace and the full text of the key. So a payload that was moved under another key,
//! or into another envelope, does not open.

use std::{fmt, sync::Arc};

use chacha20poly1305::{
    AeadInPlace, KeyInit, Tag, XChaCha20Poly1305, XNonce,
    aead::{OsRng, rand_core::RngCore},
};

use super::{WireError, check};
use crate::key::Key;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const OVERHEAD_BYTES: usize = 1 + NONCE_BYTES + TAG_BYTES;

/// The keys that values are encrypted with before they go to Redis: the first one writes, all of them read.
///
/// A key is 32 random bytes, and has an id that stands in front of each value encrypted with it, so that keys can be changed
/// while nodes run. To put a new key in place of an old one: give every node both, the old one first; then every node both,
/// the new one first; and when the longest life of an entry has passed, the new one alone.
///
/// `Debug` shows the ids only. The keys are wiped from memory when the last clone is dropped.
///
/// ```
/// use cache_core::{Cache, Encryption};
///
/// # let (old, new) = ([1; 32], [2; 32]);
/// let builder = Cache::builder("shop").encrypt(Encryption::new(2, new).also(1, old));
/// ```
#[derive(Clone)]
pub struct Encryption {
    writes: SealKey,
    also: Vec<SealKey>,
}

#[derive(Clone)]
struct SealKey {
    id: u8,
    /// Holds the key, and wipes it. Behind an `Arc`, so that it is not copied about.
    cipher: Arc<XChaCha20Poly1305>,
}

/// Whether payloads are sealed, and with what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sealing(Option<Sealer>);

#[derive(Clone, Debug)]
struct Sealer {
    namespace: String,
    encryption: Encryption,
}

// === impl Encryption ===

impl Encryption {
    /// Writes with this key, and reads what was written with it.
    #[must_use]
    pub fn new(id: u8, key: [u8; 32]) -> Self {
        Self { writes: SealKey::new(id, key), also: Vec::new() }
    }

    /// Reads what was written with this key, too. An id that is already another key's is an error of
    /// [`build`](crate::Builder::build).
    #[must_use]
    pub fn also(mut self, id: u8, key: [u8; 32]) -> Self {
        self.also.push(SealKey::new(id, key));
        self
    }

    fn all(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.writes).chain(&self.also)
    }
}

impl fmt::Debug for Encryption {
    /// The ids; no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let also: Vec<u8> = self.also.iter().map(|key| key.id).collect();
        f.debug_struct("Encryption").field("writes", &self.writes.id).field("also", &also).finish_non_exhaustive()
    }
}

impl SealKey {
    fn new(id: u8, key: [u8; 32]) -> Self {
        Self { id, cipher: Arc::new(XChaCha20Poly1305::new(&key.into())) }
    }
}

// === impl Sealing ===

impl Sealing {
    pub(crate) fn with(namespace: &str, encryption: Encryption) -> Self {
        Self(Some(Sealer { namespace: namespace.to_owned(), encryption }))
    }

    /// What a person has to put right.
    pub(crate) fn fault(&self) -> Option<String> {
        let mut ids: Vec<u8> = self.0.iter().flat_map(|sealer| sealer.encryption.all()).map(|key| key.id).collect();
        ids.sort_unstable();
        let twice = ids.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(format!("two keys have the id {}: give each key an id of its own", twice[0]))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn overhead_bytes(&self) -> usize {
        if self.is_on() { OVERHEAD_BYTES } else { 0 }
    }

    /// Sealed payloads are read by who seals, and no others.
    pub(super) fn accept(&self, sealed: bool) -> Result<(), WireError> {
        check(self.is_on() || !sealed, WireError::Sealed)?;
        check(!self.is_on() || sealed, WireError::Plain)
    }

    /// Puts the payload, sealed if it is to be, behind the part of the envelope that is in `out`.
    pub(super) fn append(&self, payload: &[u8], out: &mut Vec<u8>, key: &Key) -> Result<(), WireError> {
        let Some(sealer) = &self.0 else {
            out.extend_from_slice(payload);
            return Ok(());
        };
        let SealKey { id, cipher } = &sealer.encryption.writes;
        let bound = sealer.bound_to(out, key);
        // Of 24 bytes by chance no two are ever the same, whatever other nodes draw.
        let mut nonce = XNonce::default();
        OsRng.try_fill_bytes(&mut nonce).map_err(|_| WireError::NoRandom)?;
        out.push(*id);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(payload);
        let tag = cipher.encrypt_in_place_detached(&nonce, &bound, &mut out[start..]);
        out.extend_from_slice(&tag.map_err(|_| WireError::TooLarge)?);
        Ok(())
    }

    /// What was sealed behind `before`.
    pub(super) fn open(&self, before: &[u8], stored: &[u8], key: &Key) -> Result<Vec<u8>, WireError> {
        let sealer = self.0.as_ref().ok_or(WireError::Sealed)?;
        let (id, rest) = stored.split_first().ok_or(WireError::Malformed)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(WireError::Malformed)?;
        let (sealed, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(WireError::Malformed)?;
        let with = sealer.encryption.all().find(|key| key.id == *id).ok_or(WireError::Sealed)?;
        let mut payload = sealed.to_vec();
        let bound = sealer.bound_to(before, key);
        let opened = with.cipher.decrypt_in_place_detached(
            XNonce::from_slice(nonce),
            &bound,
            &mut payload,
            Tag::from_slice(tag),
        );
        opened.map(|()| payload).map_err(|_| WireError::BrokenSeal)
    }
}

// === impl Sealer ===

impl Sealer {
    /// What a sealed payload belongs to. What stands before it says its own length, and no namespace has a `:`, so no two
    /// places read the same.
    fn bound_to(&self, before: &[u8], key: &Key) -> Vec<u8> {
        [before, self.namespace.as_bytes(), b":", key.wire().as_bytes()].concat()
    }
}
