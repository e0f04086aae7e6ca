//! Keys: what an entry is found by, in this process and in Redis.
//!
//! You need it when you name an entry by hand; the attributes and `key!` write the same keys from a template.
//!
//! ```
//! use cache_core::key::Key;
//!
//! let key = Key::new("product").arg(42_u64);
//! assert_eq!(key.wire(), "product:42");
//! assert_eq!(key, Key::new("product").arg(42_u16)); // integers of one value are alike
//! assert_ne!(key, Key::new("product").arg("42"));   // a text is not a number: product:'42
//! ```
//!
//! A key may have several arguments and literals, and an argument may be a tuple, a slice, a type of your own:
//!
//! ```
//! use cache_core::key::Key;
//!
//! let key = Key::new("price:list").arg(("de", Some(7_u32))).arg("net");
//! assert_eq!(key.wire(), "price:list:(de,7):net");
//! ```
//!
//! What can go wrong: an argument that is left out. Two calls whose keys are equal share one entry, so everything that
//! the value depends on belongs in the key. The grammar, and which arguments are alike, stand in `docs/keys.md`.

mod hash;
mod head;
mod kept;
mod parse;
mod part;
mod scope;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod template;
mod wire;
mod words;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;

#[doc(hidden)]
pub use self::head::{KeyBuilder, KeyHead, Segments};
#[doc(hidden)]
pub use self::kept::KeptPart;
pub use self::part::KeyPart;
pub use self::scope::ScopeId;
pub use self::writer::KeyWriter;

pub(crate) use self::hash::{Hashing, hashing, partition};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) use self::template::{Argument, Template, Unread};

use self::hash::Local;
use self::wire::{Length, MAX, Text};
use self::words::{INLINE, Kind};

/// Names one entry: a literal head, the scope, and arguments.
///
/// Equal iff all arguments and literals are. Cheap to build from integers and strings: no text is made, and nothing is
/// allocated while it is short. `Debug` shows the scope and a hash, never an argument.
#[derive(Clone)]
pub struct Key {
    /// The words: one segment, the text that is printed, if the whole text is too long.
    written: KeyWriter,
    /// All segments of a long key, for arguments that are still to come: its digest is one over all of them.
    whole: Option<Box<KeyWriter>>,
    /// The local hash, low half first.
    hash: [u64; 2],
    shape: u64,
    /// `None` for a key that was read from text, which does not say where its literals end.
    scope: Option<ScopeId>,
}

/// Adds a segment of a template or a head: what its text reads as, if that is a literal; else it is taken as text.
#[inline]
fn literal(segment: &str, out: &mut KeyWriter) {
    // Nearly all start like a word: only two of those are not text, and one with other characters is text anyway.
    let is_word = matches!(segment.as_bytes(), [b'a'..=b'z' | b'_', ..]) && !matches!(segment, "true" | "false");
    if is_word || !scope::is_literal(segment) || parse::read_segment(segment.as_bytes(), out).is_none() {
        out.text(segment);
    }
}

/// Whether a key of more than [`INLINE`] words is too long to be printed.
fn is_long(words: &[u64]) -> bool {
    // Fewer need not be counted: eight bytes of text take three times as much at most, a header a quote and a colon.
    const { assert!(INLINE * 8 * 3 <= MAX) };
    let mut length = Length(0);
    wire::render(words, b':', &mut length);
    // A long key that was read from text and then extended is long even if its text is not.
    length.0 > MAX || words::Segments::new(words).next().is_some_and(|first| first.kind == Kind::Long)
}

// === impl Key ===

impl Key {
    /// A key of literal segments, `product` or `product:stock`, for arguments to come after.
    ///
    /// `head` is a constant of the program: it is the scope, and scopes are kept for ever. A segment that is not
    /// `[a-z0-9._-]{1,64}` is taken as text, like an argument, and ends the scope.
    #[must_use]
    pub fn new(head: &str) -> Key {
        let mut out = KeyWriter::new();
        head.split(':').for_each(|segment| literal(segment, &mut out));
        let shape = head.split(':').fold(0, head::shape);
        let mut key = Key::under_way(out, ScopeId::intern(head), shape);
        key.settle(Local::new(), 0);
        key
    }

    /// The key with one more argument.
    ///
    /// A long key that [`parse`](Key::parse) gave has lost what it was made of: with an argument it is another key
    /// than the one built from all of them.
    #[must_use]
    pub fn arg(mut self, part: impl KeyPart) -> Key {
        if let Some(whole) = self.whole.take() {
            self.written = *whole;
        }
        self.written.part(&part);
        if self.shape != 0 {
            self.shape = hash::shape(self.shape, "{}");
        }
        self.settle(Local::new(), 0);
        self
    }

    /// The key that prints `wire`, with the same words and the same [local hash](Key::local_hash). `None` if no key
    /// prints it. Never panics.
    ///
    /// Its [shape](Key::shape) is not known. Of a long key's head, the last and perhaps incomplete segment is checked
    /// for its characters only.
    #[must_use]
    pub fn parse(wire: &str) -> Option<Key> {
        let mut key = Key { written: KeyWriter::new(), whole: None, hash: [0; 2], shape: 0, scope: None };
        parse::read(wire, &mut key.written)?;
        key.hash = Local::new().feed(key.words()).finish();
        Some(key)
    }

    /// The key as text: what stands in Redis. At most 200 bytes of printable ASCII. It holds the arguments: do not
    /// log it.
    #[must_use]
    pub fn wire(&self) -> String {
        let mut wire = String::new();
        self.write_wire(&mut wire);
        wire
    }

    /// Appends the [text](Key::wire) to `out`.
    pub fn write_wire(&self, out: &mut String) {
        out.reserve(8 * self.words().len());
        wire::render(self.words(), b':', out);
    }

    /// The literal head. Of a key that was [parsed](Key::parse), the longest one in use that fits.
    #[must_use]
    #[inline]
    pub fn scope(&self) -> ScopeId {
        self.scope.unwrap_or_else(|| ScopeId::of_wire(&self.wire()))
    }

    /// A hash of the words for use in this process: its seed is drawn at the start.
    #[must_use]
    #[inline]
    pub fn local_hash(&self) -> u128 {
        u128::from(self.hash[0]) | (u128::from(self.hash[1]) << 64)
    }

    /// The words that the key is in memory. Equal iff the keys are.
    #[must_use]
    #[inline]
    pub fn words(&self) -> &[u64] {
        &self.written.words
    }

    /// A hash of the template, with `{}` for each argument; `product:{id}` and `product:{p.id}` have one. 0 if it is
    /// not known, after [`parse`](Key::parse).
    #[must_use]
    #[inline]
    pub fn shape(&self) -> u64 {
        self.shape
    }

    /// xxh3-128 of the [text](Key::wire): the same everywhere, for ever.
    #[must_use]
    pub fn wire_hash(&self) -> u128 {
        hash::envelope(&self.text())
    }

    /// The partition of `partitions` that the key is in, by xxh3-64 of the [text](Key::wire): the same everywhere, for
    /// ever. No partitions count as one.
    #[must_use]
    pub fn partition(&self, partitions: u16) -> u16 {
        if partitions <= 1 { 0 } else { partition(&self.text(), partitions) }
    }

    /// The text without a heap allocation.
    fn text(&self) -> Text {
        let mut text = Text::new();
        wire::render(self.words(), b':', &mut text);
        text
    }

    /// A key that has no hash yet: [`settle`](Key::settle) follows.
    #[inline]
    fn under_way(written: KeyWriter, scope: ScopeId, shape: u64) -> Key {
        Key { written, whole: None, hash: [0; 2], shape, scope: Some(scope) }
    }

    /// Makes the hash of all words, from that of the first `eaten`.
    #[inline]
    fn settle(&mut self, hash: Local, eaten: usize) {
        match self.written.words.here_from(eaten) {
            Some(fresh) => self.hash = hash.feed(fresh).finish(),
            None => self.settle_heap(),
        }
    }

    /// The same for many words, and shortens a key that is too long.
    #[cold]
    fn settle_heap(&mut self) {
        if is_long(self.words()) {
            let mut short = KeyWriter::new();
            short.wire_text(Kind::Long, &wire::shorten(&self.text()));
            self.whole = Some(Box::new(mem::replace(&mut self.written, short)));
        }
        self.hash = Local::new().feed(self.words()).finish();
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Key) -> bool {
        self.hash == other.hash && self.words() == other.words()
    }
}

impl Eq for Key {}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.local_hash());
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}#{:032x})", self.scope().name(), self.local_hash())
    }
}
