//! Where a [`KeyPart`](super::KeyPart) puts itself.

use super::part::KeyPart;
use super::wire::{self, Text};
use super::words::{self, Kind, Segment, Segments, Words};

/// Takes the one part that a [`KeyPart`] is.
///
/// There are plain parts (a number, text, a yes or no, nothing) and parts made of parts: a *list* (a fixed number of
/// fields), a *sequence* (any number of elements), a *variant* (a name, and fields). Each method writes one part;
/// inside `list`, `sequence` and `variant` write one per field, best with [`part`](KeyWriter::part).
///
/// ```
/// use cache_core::key::{Key, KeyPart, KeyWriter};
///
/// struct Page { number: u32, size: u32 }
///
/// impl KeyPart for Page {
///     fn write(&self, out: &mut KeyWriter) {
///         out.list(|out| {
///             out.part(&self.number);
///             out.part(&self.size);
///         });
///     }
/// }
///
/// assert_eq!(Key::new("products").arg(Page { number: 2, size: 50 }).wire(), "products:(2,50)");
/// ```
///
/// What can go wrong: two values of one type that write the same part share one entry. Write every field that tells
/// them apart.
#[derive(Clone)]
pub struct KeyWriter {
    pub(super) words: Words,
    /// Segments in `words`, to see that each `KeyPart` wrote one.
    parts: usize,
}

/// How the parts of a compound are held together.
#[derive(Clone, Copy)]
enum Form<'a> {
    List,
    Sequence,
    Variant(&'a str),
}

// === impl KeyWriter ===

impl KeyWriter {
    #[inline]
    pub(super) fn new() -> KeyWriter {
        KeyWriter { words: Words::new(), parts: 0 }
    }

    /// Writes another value as one part: a field, an element. A newtype that is alike to what it wraps passes on
    /// its only field this way.
    ///
    /// A `KeyPart` that breaks its promise is put right: one that writes nothing counts as nothing, one that writes
    /// several parts as the list of them.
    #[inline]
    pub fn part(&mut self, part: &(impl KeyPart + ?Sized)) {
        self.one(|out| part.write(out));
    }

    /// The same for what writes a part.
    #[inline]
    pub(super) fn one(&mut self, write: impl FnOnce(&mut KeyWriter)) {
        let parts = self.parts;
        write(self);
        if self.parts != parts + 1 {
            self.put_right(parts);
        }
    }

    /// Writes a number from 0. Numbers of one value are alike, whatever the width of their types.
    #[inline]
    pub fn number_u(&mut self, number: u128) {
        self.parts += 1;
        if let Ok(small) = u64::try_from(number) {
            self.words.push_number(Kind::Number, small);
        } else {
            self.wide(Kind::Number, number);
        }
    }

    /// Writes a number that may be below 0. From 0 on it is alike to [`number_u`](KeyWriter::number_u).
    #[inline]
    pub fn number_i(&mut self, number: i128) {
        if let Ok(number) = u128::try_from(number) {
            return self.number_u(number);
        }
        self.parts += 1;
        if let Ok(small) = i64::try_from(number) {
            self.words.push_number(Kind::Negative, small.cast_unsigned());
        } else {
            self.wide(Kind::Negative, number.cast_unsigned());
        }
    }

    /// Writes a part that was written down before.
    pub(super) fn kept(&mut self, words: &[u64]) {
        self.parts += 1;
        for word in words {
            self.words.push(*word);
        }
    }

    /// Writes text. Any text will do; it is escaped where the key is printed, not here.
    #[inline]
    pub fn text(&mut self, text: &str) {
        self.parts += 1;
        words::push_bytes(&mut self.words, Kind::Text, text.as_bytes());
    }

    /// Writes a yes or no.
    #[inline]
    pub fn boolean(&mut self, yes: bool) {
        self.parts += 1;
        self.words.push(words::header(if yes { Kind::True } else { Kind::False }, 0));
    }

    /// Writes that there is nothing: `None`, `()`, a struct without fields.
    #[inline]
    pub fn nothing(&mut self) {
        self.parts += 1;
        self.words.push(words::header(Kind::Nothing, 0));
    }

    /// Writes the value of a `Some`: as itself, but for a nothing in it, which is nested. `Some(None)` is not `None`.
    #[inline]
    pub fn some(&mut self, value: &(impl KeyPart + ?Sized)) {
        let start = self.words.len();
        self.part(value);
        if Segments::new(&self.words[start..]).next().is_some_and(is_nothing) {
            self.nest(start);
        }
    }

    /// Writes a fixed number of fields, `(a,b)`: a struct, a tuple. One field is `(a,)`, none is nothing.
    ///
    /// `fields` writes each field with [`part`](KeyWriter::part).
    #[inline]
    pub fn list(&mut self, fields: impl FnOnce(&mut KeyWriter)) {
        self.compound(Form::List, fields);
    }

    /// Writes any number of elements, `<a,b>`: a slice, a set in a settled order. None is `<>`, which is not nothing.
    ///
    /// `elements` writes each element with [`part`](KeyWriter::part).
    #[inline]
    pub fn sequence(&mut self, elements: impl FnOnce(&mut KeyWriter)) {
        self.compound(Form::Sequence, elements);
    }

    /// Writes a variant of an enum by its name, `.Name` or `.Name(a,b)`.
    ///
    /// `fields` writes each field of the variant with [`part`](KeyWriter::part), or nothing at all.
    #[inline]
    pub fn variant(&mut self, name: &str, fields: impl FnOnce(&mut KeyWriter)) {
        self.compound(Form::Variant(name), fields);
    }

    #[inline]
    fn compound(&mut self, form: Form<'_>, fields: impl FnOnce(&mut KeyWriter)) {
        let (start, parts) = (self.words.len(), self.parts);
        fields(self);
        self.close(form, start);
        self.parts = parts + 1;
    }

    /// Turns the parts written since `start` into one compound part. Leaves the counting to the caller.
    #[inline(never)]
    fn close(&mut self, form: Form<'_>, start: usize) {
        let parts = Segments::new(&self.words[start..]).count();
        let mut text = Text::new();
        let end = match form {
            Form::List if parts == 0 => {
                self.words.truncate(start);
                self.words.push(words::header(Kind::Nothing, 0));
                return;
            }
            Form::List => {
                text.push(b'(');
                if parts == 1 { ",)" } else { ")" }
            }
            Form::Sequence => {
                text.push(b'<');
                ">"
            }
            Form::Variant(name) => {
                text.push(b'.');
                wire::render_name(name, &mut text);
                if parts == 0 {
                    ""
                } else {
                    text.push(b'(');
                    ")"
                }
            }
        };
        wire::render(&self.words[start..], b',', &mut text);
        text.extend_from_slice(end.as_bytes());
        self.words.truncate(start);
        words::push_bytes(&mut self.words, Kind::Compound, &text);
    }

    /// Writes a part, or a whole long key, whose wire text is known.
    pub(super) fn wire_text(&mut self, kind: Kind, text: &[u8]) {
        self.parts += 1;
        words::push_bytes(&mut self.words, kind, text);
    }

    fn wide(&mut self, kind: Kind, number: u128) {
        self.words.push(words::header(kind, 16));
        self.words.push(number as u64);
        self.words.push((number >> 64) as u64);
    }

    /// Turns what came after the first `parts` segments into one.
    #[cold]
    fn put_right(&mut self, parts: usize) {
        let mut segments = Segments::new(&self.words);
        segments.by_ref().take(parts).for_each(drop);
        let start = self.words.len() - segments.words_left();
        self.close(Form::List, start);
        self.parts = parts + 1;
    }

    #[cold]
    fn nest(&mut self, start: usize) {
        let mut text = Text::new();
        text.push(b'(');
        wire::render(&self.words[start..], b',', &mut text);
        text.push(b')');
        self.words.truncate(start);
        words::push_bytes(&mut self.words, Kind::Compound, &text);
    }
}

/// Whether a part is nothing, or nothing in brackets.
fn is_nothing(segment: Segment<'_>) -> bool {
    match segment.kind {
        Kind::Nothing => true,
        Kind::Compound => {
            // Any number of `(`, `-`, any number of `)`. A list has a comma, so its brackets are no others.
            let mut sound = Some(false);
            segment.each_byte(|byte| {
                sound = match (sound, byte) {
                    (Some(false), b'(') => Some(false),
                    (Some(false), b'-') | (Some(true), b')') => Some(true),
                    _ => None,
                }
            });
            sound == Some(true)
        }
        _ => false,
    }
}
