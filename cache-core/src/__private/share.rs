//! Whether a failed load's error can be shared with those who waited, told by type.

use std::marker::PhantomData;

use super::kind::Kind;
use crate::cache::ShareOps;

/// An error type, to be asked.
pub struct Sharing<E>(PhantomData<fn() -> E>);

/// The upper rung: by `Clone`.
pub trait ViaClone<E> {
    /// How it is shared.
    fn __cache_share(&self) -> Option<ShareOps<E>>;
}

impl<E: Clone + Send + Sync + 'static> ViaClone<E> for &Sharing<E> {
    fn __cache_share(&self) -> Option<ShareOps<E>> {
        Some(ShareOps::by_clone())
    }
}

/// The lower rung: not at all; each waiter loads for itself.
pub trait ViaNothing<E> {
    /// How it is shared.
    fn __cache_share(&self) -> Option<ShareOps<E>>;
}

impl<E> ViaNothing<E> for Sharing<E> {
    fn __cache_share(&self) -> Option<ShareOps<E>> {
        None
    }
}

// === impl Sharing ===

impl<E> Sharing<E> {
    /// The error of a kind of result.
    pub fn of<K: Kind<Error = E>>(_: K) -> Self {
        Self(PhantomData)
    }
}
