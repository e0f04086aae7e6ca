//! The adapters of the local tier.

mod moka;

pub(crate) use self::moka::MokaTier;
