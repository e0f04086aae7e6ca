//! The adapters of the local tier.

mod front;
mod moka;

pub(crate) use self::moka::MokaTier;
