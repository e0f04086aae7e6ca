//! Keys from a template that is known when the program is compiled: the hot path.

use super::hash::{self, Local};
use super::part::KeyPart;
use super::scope;
use super::writer::KeyWriter;
use super::{Key, ScopeId, literal};

/// A template, `product:{}:stock`, prepared once: its literal head as words and already hashed, its scope, its shape.
pub struct KeyHead {
    written: KeyWriter,
    /// How many words that is: so many has `hash` eaten.
    eaten: usize,
    hash: Local,
    scope: ScopeId,
    shape: u64,
}

/// A key under way, from [`KeyHead::start`].
///
/// It only borrows the arguments. The key is built by [`finish`](KeyBuilder::finish), or by
/// `finish_in` in the place where it is wanted: moving a key along from call to call costs several
/// times what its hash does.
#[must_use]
pub struct KeyBuilder<'a, S = Start> {
    head: &'a KeyHead,
    segments: S,
}

/// The segments that a [`KeyBuilder`] has collected.
pub trait Segments {
    /// Writes them, in order.
    fn write(self, out: &mut KeyWriter);
}

/// No segments yet, but perhaps a salt.
pub struct Start(Option<u64>);

/// An argument after other segments, and how it is written. Were that a bound on `P`, an argument that is no `KeyPart` would
/// be reported once more for each method that follows.
pub struct Arg<'a, S, P: ?Sized>(S, &'a P, fn(&P, &mut KeyWriter));

/// A literal after other segments.
pub struct Literal<'a, S>(S, &'a str);

/// The shape after one more segment of a template. What is not written literally counts as an argument.
pub(super) fn shape(before: u64, segment: &str) -> u64 {
    hash::shape(before, if scope::is_literal(segment) { segment } else { "{}" })
}

// === impl KeyHead ===

impl KeyHead {
    /// Prepares a template; `{}` stands for an argument.
    #[must_use]
    pub fn new(template: &str) -> KeyHead {
        let end = template.find('{').unwrap_or(template.len());
        let head = template[..end].trim_end_matches(':');
        let mut out = KeyWriter::new();
        if !head.is_empty() {
            head.split(':').for_each(|segment| literal(segment, &mut out));
        }
        let hash = Local::new().feed(&out.words);
        let shape = template.split(':').fold(0, shape);
        KeyHead { eaten: out.words.len(), written: out, hash, scope: ScopeId::intern(head), shape }
    }

    /// Starts a key: its literal head stands. Then [`arg`](KeyBuilder::arg) and [`literal`](KeyBuilder::literal), one
    /// for each segment after the head.
    #[inline]
    pub fn start(&self) -> KeyBuilder<'_> {
        KeyBuilder { head: self, segments: Start(None) }
    }

    /// The scope that every key of this template has.
    #[must_use]
    #[inline]
    pub fn scope(&self) -> ScopeId {
        self.scope
    }

    /// The shape that every key of this template has.
    #[must_use]
    #[inline]
    pub fn shape(&self) -> u64 {
        self.shape
    }
}

// === impl KeyBuilder ===

impl<'a> KeyBuilder<'a> {
    /// Adds a number as the first argument. Unlike [`arg`](KeyBuilder::arg) it does not change the type, so that a caller
    /// can leave it out.
    #[inline]
    pub fn salt(self, number: u64) -> KeyBuilder<'a> {
        KeyBuilder { head: self.head, segments: Start(Some(number)) }
    }
}

impl<'a, S: Segments> KeyBuilder<'a, S> {
    /// Adds an argument.
    #[inline]
    pub fn arg<P: KeyPart + ?Sized>(self, part: &P) -> KeyBuilder<'a, Arg<'_, S, P>> {
        KeyBuilder { head: self.head, segments: Arg(self.segments, part, P::write) }
    }

    /// Adds a literal segment.
    #[inline]
    pub fn literal(self, segment: &str) -> KeyBuilder<'a, Literal<'_, S>> {
        KeyBuilder { head: self.head, segments: Literal(self.segments, segment) }
    }

    /// The key.
    #[must_use]
    #[inline]
    pub fn finish(self) -> Key {
        let mut key = self.begun();
        self.finish_in(&mut key);
        key
    }

    /// The head alone, for [`finish_in`](KeyBuilder::finish_in).
    #[inline]
    pub(crate) fn begun(&self) -> Key {
        Key::under_way(self.head.written.clone(), self.head.scope, self.head.shape)
    }

    /// Finishes a key where it stands.
    #[inline]
    pub(crate) fn finish_in(self, begun: &mut Key) {
        self.segments.write(&mut begun.written);
        begun.settle(self.head.hash, self.head.eaten);
    }
}

// === impl Segments ===

impl Segments for Start {
    #[inline]
    fn write(self, out: &mut KeyWriter) {
        if let Some(salt) = self.0 {
            out.part(&salt);
        }
    }
}

impl<S: Segments, P: ?Sized> Segments for Arg<'_, S, P> {
    #[inline]
    fn write(self, out: &mut KeyWriter) {
        let Arg(before, part, write) = self;
        before.write(out);
        out.one(|out| write(part, out));
    }
}

impl<S: Segments> Segments for Literal<'_, S> {
    #[inline]
    fn write(self, out: &mut KeyWriter) {
        let Literal(before, segment) = self;
        before.write(out);
        literal(segment, out);
    }
}
