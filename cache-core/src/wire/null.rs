//! Stands in for what this build was made without: nothing is compressed or encrypted, and what is cannot be read.

#[cfg(not(feature = "zstd"))]
pub(crate) use compression::Compression;
#[cfg(not(feature = "aead"))]
pub(crate) use sealing::Sealing;

#[cfg(not(feature = "zstd"))]
mod compression {
    use crate::wire::WireError;

    #[derive(Clone, Copy, Debug, Default)]
    pub(crate) struct Compression;

    impl Compression {
        pub(in crate::wire) fn smaller(self, _: &[u8]) -> Option<Vec<u8>> {
            None
        }

        pub(in crate::wire) fn expand(_: &[u8]) -> Result<Vec<u8>, WireError> {
            Err(WireError::Flags)
        }
    }
}

#[cfg(not(feature = "aead"))]
mod sealing {
    use crate::{key::Key, wire::WireError};

    #[derive(Clone, Copy, Debug, Default)]
    pub(crate) struct Sealing;

    impl Sealing {
        pub(crate) fn fault(self) -> Option<String> {
            None
        }

        pub(in crate::wire) fn is_on(self) -> bool {
            false
        }

        pub(in crate::wire) fn overhead_bytes(self) -> usize {
            0
        }

        pub(in crate::wire) fn accept(self, sealed: bool) -> Result<(), WireError> {
            if sealed { Err(WireError::Flags) } else { Ok(()) }
        }

        #[expect(clippy::unnecessary_wraps, reason = "the shape of the one that seals")]
        pub(in crate::wire) fn append(self, payload: &[u8], out: &mut Vec<u8>, _: &Key) -> Result<(), WireError> {
            out.extend_from_slice(payload);
            Ok(())
        }

        pub(in crate::wire) fn open(self, _: &[u8], _: &[u8], _: &Key) -> Result<Vec<u8>, WireError> {
            Err(WireError::Flags)
        }
    }
}
