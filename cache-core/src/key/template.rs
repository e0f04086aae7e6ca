//! A template that is read while the program runs: what the arguments of a key are, by name.

use super::Key;
use super::literal;
use super::wire;
use super::words::{Kind, Segments};
use super::writer::KeyWriter;

/// A template as the attributes take them, `product:{id}:stock`. The names are the reader's; an attribute's may be others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    places: Vec<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// The text that it is printed as.
    Literal(String),
    Argument(String),
}

/// An argument of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument {
    /// `None`, `()`.
    Nothing,
    Boolean(bool),
    /// A number in digits, or text as it was given: nothing is escaped or quoted.
    Text(String),
    /// A tuple, a slice, a variant with fields.
    Compound,
}

/// Why a key's arguments are not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The key was too long, and holds a digest of them.
    Shortened,
    /// The template makes no such key.
    Stranger,
}

// === impl Template ===

impl Template {
    /// Reads a template, or says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut places = Vec::new();
        let mut rest = Some(text);
        while let Some(here) = rest {
            let (place, after) = Place::take(here).map_err(|why| format!("the key template `{text}`: {why}"))?;
            if let Place::Argument(name) = &place
                && places.contains(&place)
            {
                return Err(format!("the key template `{text}`: `{{{name}}}` stands in it twice"));
            }
            places.push(place);
            rest = after;
        }
        Ok(Self { text: text.to_owned(), places })
    }

    /// As it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The names of the arguments, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(|place| match place {
            Place::Literal(_) => None,
            Place::Argument(name) => Some(name.as_str()),
        })
    }

    /// The arguments of a key that was made from such a template, in order; whether it was built or read from text.
    pub(crate) fn read(&self, key: &Key) -> Result<Vec<Argument>, Unread> {
        if Segments::new(key.words()).any(|segment| segment.kind == Kind::Long) {
            return Err(Unread::Shortened);
        }
        let mut segments = Segments::new(key.words());
        let mut arguments = Vec::new();
        for place in &self.places {
            let segment = segments.next().ok_or(Unread::Stranger)?;
            match place {
                Place::Literal(wanted) => {
                    let mut text = String::new();
                    wire::render_segment(segment, &mut text);
                    if text != *wanted {
                        return Err(Unread::Stranger);
                    }
                }
                Place::Argument(_) => arguments.push(match segment.kind {
                    Kind::Nothing => Argument::Nothing,
                    Kind::False => Argument::Boolean(false),
                    Kind::True => Argument::Boolean(true),
                    Kind::Compound | Kind::Long => Argument::Compound,
                    Kind::Number | Kind::Negative => {
                        let (magnitude, minus) = segment.number();
                        Argument::Text(format!("{}{magnitude}", if minus { "-" } else { "" }))
                    }
                    Kind::Text => {
                        let mut bytes = Vec::with_capacity(segment.bytes);
                        segment.each_byte(|byte| bytes.push(byte));
                        Argument::Text(String::from_utf8(bytes).map_err(|_| Unread::Stranger)?)
                    }
                }),
            }
        }
        if segments.next().is_some() { Err(Unread::Stranger) } else { Ok(arguments) }
    }
}

// === impl Place ===

impl Place {
    /// The first segment of a template, and what follows its colon.
    fn take(text: &str) -> Result<(Self, Option<&str>), &'static str> {
        if let Some(inner) = text.strip_prefix('{') {
            let (name, after) = inner.split_once('}').ok_or("a `{` is not closed")?;
            let after = match after.strip_prefix(':') {
                None if after.is_empty() => None,
                None => return Err("an argument is a whole segment: a `:` or the end follows its `}`"),
                rest => rest,
            };
            return if name.is_empty() {
                Err("`{}` names nothing")
            } else {
                Ok((Self::Argument(name.to_owned()), after))
            };
        }
        let (segment, after) = text.split_once(':').map_or((text, None), |(segment, after)| (segment, Some(after)));
        if segment.contains(['{', '}']) {
            return Err("an argument is a whole segment: a `:` or the start stands before its `{`");
        }
        let mut words = KeyWriter::new();
        literal(segment, &mut words);
        let mut text = String::new();
        wire::render(&words.words, b':', &mut text);
        Ok((Self::Literal(text), after))
    }
}
