//! What a cached value must be able to do, and the witness that carries it.
//!
//! The load path is generic over the value, but asks nothing of it: it is handed a [`ValueOps`], a table of function
//! pointers that could only be made for a type that can be cached. So an attribute on a function with an uncacheable result
//! gives one error, at the result, and little code is made per type.

use std::{
    any::{Any, TypeId},
    collections::HashSet,
    fmt,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    codec::{Codec, CodecError},
    entry::{Entry, EntryMeta},
    schema::{self, Fingerprint, SchemaError},
};

/// A value that can be cached: cloned for each hit, encoded for Redis.
///
/// Implemented for every type that fits. Wrap a large value in an `Arc`: a hit then clones the `Arc`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be cached",
    label = "not a value that can be cached",
    note = "a cached value is `Clone + Serialize + DeserializeOwned + Send + Sync + 'static` (serde's traits, usually derived)",
    note = "of a `Result<Option<T>, E>`, a `Result<T, E>` or an `Option<T>`, only the `T` has to be"
)]
pub trait CacheValue: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> CacheValue for T {}

/// A cached error, kept apart from values of the same type.
struct Failure<E>(E);

/// What the cache can do with a value of type `T`: proof that `T` is a [`CacheValue`].
pub struct ValueOps<T: 'static> {
    pub(crate) clone: fn(&T) -> T,
    pub(crate) encode: fn(&T, Codec, usize) -> Result<Vec<u8>, CodecError>,
    pub(crate) decode: fn(&[u8], Codec, usize) -> Result<T, CodecError>,
    pub(crate) fingerprint: fn(Codec, u32) -> Result<Fingerprint, SchemaError>,
    erase: fn(Option<T>, EntryMeta) -> Arc<Entry>,
    erase_failure: fn(T, EntryMeta) -> Arc<Entry>,
}

impl<T: 'static> fmt::Debug for ValueOps<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueOps<{}>", std::any::type_name::<T>())
    }
}

impl<T: CacheValue> ValueOps<T> {
    const TABLE: Self = Self {
        clone: T::clone,
        encode: encode_readable::<T>,
        decode: |bytes, codec, max_bytes| codec.decode(bytes, max_bytes),
        fingerprint: schema::fingerprint::<T>,
        erase: |value, meta| {
            let meta = meta.negative(value.is_none());
            Arc::new(Entry { meta, value: Box::new(value) })
        },
        erase_failure: |error, meta| {
            let meta = meta.negative(true);
            Arc::new(Entry { meta, value: Box::new(Failure(error)) })
        },
    };

    /// The table for `T`.
    #[must_use]
    pub const fn of() -> &'static Self {
        &Self::TABLE
    }
}

/// The types that were found to read back what they write, by codec.
static READABLE: LazyLock<RwLock<HashSet<(TypeId, u8)>>> = LazyLock::new(RwLock::default);

/// Encodes a value, and the first one of each type decodes again: some types write what they cannot read (serde's `flatten`,
/// `untagged` and `skip_serializing_if` in codecs that do not name fields), and it is better said than missed for ever.
fn encode_readable<T: CacheValue>(value: &T, codec: Codec, max_bytes: usize) -> Result<Vec<u8>, CodecError> {
    let bytes = codec.encode(value, max_bytes)?;
    let checked = (TypeId::of::<T>(), codec.id());
    if !READABLE.read().unwrap_or_else(PoisonError::into_inner).contains(&checked) {
        codec.check_round_trip::<T>(&bytes, max_bytes)?;
        READABLE.write().unwrap_or_else(PoisonError::into_inner).insert(checked);
    }
    Ok(bytes)
}

impl<T: 'static> ValueOps<T> {
    /// Which of the entries of a key is the one for `T`.
    #[inline]
    pub(crate) fn slot() -> TypeId {
        TypeId::of::<T>()
    }

    /// An entry that holds a value, or *nothing*.
    pub(crate) fn entry(&self, value: Option<T>, meta: EntryMeta) -> Arc<Entry> {
        (self.erase)(value, meta)
    }

    /// An entry that holds an error; `self` is the table of the error's type, the slot in `meta` is the value's.
    pub(crate) fn failure_entry(&self, error: T, meta: EntryMeta) -> Arc<Entry> {
        (self.erase_failure)(error, meta)
    }

    /// The value in `entry`, or the *nothing*.
    #[inline]
    pub(crate) fn view(entry: &Entry) -> Option<&Option<T>>
    where
        Option<T>: Any,
    {
        entry.value.downcast_ref()
    }

    /// The error in `entry`; `Self` is the table of the error's type.
    pub(crate) fn view_failure(entry: &Entry) -> Option<&T> {
        entry.value.downcast_ref::<Failure<T>>().map(|failure| &failure.0)
    }
}
