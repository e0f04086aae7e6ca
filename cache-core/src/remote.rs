//! The adapters of the remote tier.

pub(crate) mod redis;
