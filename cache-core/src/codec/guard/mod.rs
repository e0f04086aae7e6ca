//! A serde adapter around any codec: depth, elements and bytes are limited whatever the input or the value says.
//!
//! No codec of ours survives `Vec<()>` of 2⁴⁰ or a million levels by itself, so the guard sits between the codec and the
//! type in both directions. Reading, it counts what comes; writing, it counts the same things, so that what could not be
//! read back is never stored.

mod de;
mod ser;

use std::{cell::Cell, marker::PhantomData};

/// The level that is refused; the one below it is the deepest. As in `serde_json`, which counts fewer things as levels.
pub(super) const MAX_DEPTH: u32 = 128;

/// Elements that may take no bytes at all, in one value.
const FREE_ELEMENTS: u64 = 1 << 16;

/// The most that a length in the input may make a type reserve before the elements come.
const MAX_HINT: usize = 4096;

/// What is left of each limit while one value is written or read.
pub(super) struct Limits {
    depth_left: Cell<u32>,
    elements: u64,
    elements_left: Cell<u64>,
    max_hint: usize,
    tripped: Cell<Option<Trip>>,
    rules: Rules,
    /// The value being written stands directly in a `Some`, where it must not look like `None`.
    in_some: Cell<bool>,
}

/// What a format cannot hold, to be refused when writing.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Fields are found by position: none may be left out.
    fixed_fields: bool,
    /// `None` and units all become one `null`.
    one_null: bool,
    /// So do numbers that are not finite.
    finite_only: bool,
}

/// Which limit or rule stopped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trip {
    Depth,
    Elements,
    SkippedField,
    NotFinite,
    NothingInSome,
}

/// Deeper by some levels, until dropped.
pub(super) struct Level<'l> {
    limits: &'l Limits,
    levels: u32,
}

/// A value as the codec gets to see it when writing.
pub(super) struct Shown<'l, T: ?Sized> {
    value: &'l T,
    limits: &'l Limits,
}

/// What reads a `T` through the guard.
pub(super) struct Seeded<'l, T> {
    limits: &'l Limits,
    of: PhantomData<T>,
}

/// Bytes being written, never more than a limit.
pub(super) struct Capped {
    bytes: Vec<u8>,
    max_bytes: usize,
    full: bool,
}

// === impl Limits ===

impl Limits {
    pub(super) fn for_decode(bytes: usize) -> Self {
        Self::new(bytes, Rules::NONE)
    }

    pub(super) fn for_encode(max_bytes: usize, rules: Rules) -> Self {
        Self::new(max_bytes, rules)
    }

    fn new(bytes: usize, rules: Rules) -> Self {
        let elements = FREE_ELEMENTS.saturating_add(bytes as u64);
        Self {
            depth_left: Cell::new(MAX_DEPTH),
            elements,
            elements_left: Cell::new(elements),
            max_hint: bytes.min(MAX_HINT),
            tripped: Cell::new(None),
            rules,
            in_some: Cell::new(false),
        }
    }

    pub(super) fn tripped(&self) -> Option<Trip> {
        self.tripped.get()
    }

    pub(super) fn left(&self) -> u64 {
        self.elements_left.get()
    }

    pub(super) fn used(&self) -> u64 {
        self.elements - self.elements_left.get()
    }

    #[inline]
    fn trip(&self, trip: Trip) -> Trip {
        self.tripped.set(Some(trip));
        trip
    }

    #[inline]
    fn enter(&self) -> Result<Level<'_>, Trip> {
        self.enter_by(1)
    }

    #[inline]
    fn enter_by(&self, levels: u32) -> Result<Level<'_>, Trip> {
        let left = self.depth_left.get();
        if left <= levels {
            return Err(self.trip(Trip::Depth));
        }
        self.depth_left.set(left - levels);
        Ok(Level { limits: self, levels })
    }

    #[inline]
    fn count(&self) -> Result<(), Trip> {
        match self.elements_left.get().checked_sub(1) {
            Some(left) => {
                self.elements_left.set(left);
                Ok(())
            }
            None => Err(self.trip(Trip::Elements)),
        }
    }

    /// Refuses a length that is out of reach before the first element, so that 2⁴⁰ of nothing costs nothing.
    #[inline]
    fn announce(&self, elements: Option<usize>) -> Result<(), Trip> {
        match elements {
            Some(elements) if elements as u64 > self.elements_left.get() => Err(self.trip(Trip::Elements)),
            _ => Ok(()),
        }
    }
}

impl Drop for Level<'_> {
    #[inline]
    fn drop(&mut self) {
        self.limits.depth_left.set(self.limits.depth_left.get() + self.levels);
    }
}

// === impl Rules, Trip ===

impl Rules {
    /// Nothing is refused: for reading.
    const NONE: Self = Self { fixed_fields: false, one_null: false, finite_only: false };
    /// A format that finds fields by position, and has a byte for everything.
    pub(super) const POSITIONAL: Self = Self { fixed_fields: true, ..Self::NONE };
    /// MessagePack.
    #[cfg(feature = "messagepack")]
    pub(super) const NAMED: Self = Self { one_null: true, ..Self::NONE };
    /// JSON.
    pub(super) const TEXT: Self = Self { one_null: true, finite_only: true, ..Self::NONE };
}

impl Trip {
    pub(super) const fn as_text(self) -> &'static str {
        match self {
            Self::Depth => "nests too deep",
            Self::Elements => "too many elements",
            Self::SkippedField => "a field was left out (skip_serializing_if)",
            Self::NotFinite => "a number that is not finite",
            Self::NothingInSome => "a Some that holds None or a unit",
        }
    }
}

// === impl Shown, Seeded ===

impl<'l, T: ?Sized> Shown<'l, T> {
    pub(super) fn new(value: &'l T, limits: &'l Limits) -> Self {
        Self { value, limits }
    }
}

impl<'l, T> Seeded<'l, T> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self { limits, of: PhantomData }
    }
}

// === impl Capped ===

impl Capped {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { bytes: Vec::new(), max_bytes, full: false }
    }

    /// Appends, or says that there is no room.
    #[inline]
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.bytes.capacity() - self.bytes.len() && !self.grow(bytes.len()) {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Room for so many more, without ever reserving more than the limit.
    #[cold]
    fn grow(&mut self, bytes: usize) -> bool {
        let needed = self.bytes.len().saturating_add(bytes);
        if needed > self.max_bytes {
            self.full = true;
            return false;
        }
        let room = needed.max(self.bytes.capacity() * 2).max(64).min(self.max_bytes);
        self.bytes.reserve_exact(room - self.bytes.len());
        true
    }

    /// Something did not fit: the bytes are no value.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
