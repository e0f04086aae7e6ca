//! Payloads made smaller by zstd. What is made of them again has a limit that is known before the first byte is.

use zstd::{bulk, zstd_safe};

use super::{WireError, check};
use crate::codec::MAX_PAYLOAD_BYTES;

/// zstd's own default: a higher one costs more time on every store than it saves bytes.
const LEVEL: i32 = 3;

/// The most that one compressed byte stands for: the smallest block has four, and makes 128 KiB.
const MOST_PER_BYTE: usize = 32 << 10;

/// Which payloads are compressed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compression {
    /// So many encoded bytes and more; `None` is none.
    least_bytes: Option<usize>,
}

// === impl Compression ===

impl Compression {
    pub(crate) fn above(least_bytes: usize) -> Self {
        Self { least_bytes: Some(least_bytes) }
    }

    /// The payload as a frame, if it is to be compressed and that makes it smaller.
    pub(super) fn smaller(self, payload: &[u8]) -> Option<Vec<u8>> {
        // What is over the limit could not be read back.
        let is_meant = self.least_bytes.is_some_and(|least| (least..=MAX_PAYLOAD_BYTES).contains(&payload.len()));
        if !is_meant {
            return None;
        }
        bulk::compress(payload, LEVEL).ok().filter(|frame| frame.len() < payload.len())
    }

    /// What `frame` was made of.
    pub(super) fn expand(frame: &[u8]) -> Result<Vec<u8>, WireError> {
        let bytes = Self::content_bytes(frame).ok_or(WireError::Compression)?;
        // Else more frames could follow.
        check(zstd_safe::find_frame_compressed_size(frame) == Ok(frame.len()), WireError::Compression)?;
        bulk::decompress(frame, bytes).ok().filter(|payload| payload.len() == bytes).ok_or(WireError::Compression)
    }

    /// How much a frame says that it unfolds to, which is what will be reserved: no more than is allowed, nor than so many bytes
    /// can make. Nothing is never compressed, as it does not get smaller.
    pub(super) fn content_bytes(frame: &[u8]) -> Option<usize> {
        let says = zstd_safe::get_frame_content_size(frame).ok().flatten()?;
        let most = frame.len().saturating_mul(MOST_PER_BYTE).min(MAX_PAYLOAD_BYTES);
        usize::try_from(says).ok().filter(|bytes| (1..=most).contains(bytes))
    }
}
