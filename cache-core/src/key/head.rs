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
#[must_use]
pub struct KeyBuilder<'a> {
    head: &'a KeyHead,
    key: Key,
}

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
        KeyBuilder { head: self, key: Key::under_way(self.written.clone(), self.scope, self.shape) }
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

impl KeyBuilder<'_> {
    /// Adds an argument.
    #[inline]
    pub fn arg(mut self, part: &(impl KeyPart + ?Sized)) -> Self {
        self.key.written.part(part);
        self
    }

    /// Adds a literal segment.
    #[inline]
    pub fn literal(mut self, segment: &str) -> Self {
        literal(segment, &mut self.key.written);
        self
    }

    /// The key.
    #[must_use]
    #[inline]
    pub fn finish(mut self) -> Key {
        self.key.settle(self.head.hash, self.head.eaten);
        self.key
    }
}
