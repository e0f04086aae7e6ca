//! The deserializer that has no input: it notes what a type asks for, and answers with samples.

use std::{cell::Cell, fmt};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
    value::{StrDeserializer, U32Deserializer},
};

use super::{
    record::Recorder,
    samples::{BYTES, CHARS, FLOATS, LENGTHS, NO_ELEMENTS, NUMBERS, TEXTS},
};

/// Answers one question of the type.
pub(super) struct Ask<'r> {
    recorder: &'r Recorder,
    /// This is the key of an entry; set when it is asked for as the name of a field.
    named: Option<&'r Cell<bool>>,
}

/// The type refused an answer, or a question has none.
#[derive(Debug)]
pub(super) enum Halt {
    Refused,
    /// A field that the type cannot do without.
    Missing(&'static str),
    /// The texts that the type takes.
    Names(&'static [&'static str]),
}

/// Elements of a list, or fields by position.
struct Elements<'r> {
    recorder: &'r Recorder,
    left: usize,
}

/// Entries of a map whose keys are values.
struct Entries<'r> {
    recorder: &'r Recorder,
    left: usize,
    /// The key is asked for as the name of a field.
    named: &'r Cell<bool>,
}

/// Fields by name.
struct Fields<'r> {
    recorder: &'r Recorder,
    names: Vec<&'static str>,
    next: usize,
}

/// The chosen variant.
struct Chosen<'r> {
    recorder: &'r Recorder,
    index: usize,
    name: &'static str,
    /// The type went on to ask for the variant's contents.
    asked: &'r Cell<bool>,
}

/// The name of the chosen variant.
struct VariantKey<'r> {
    recorder: &'r Recorder,
    index: usize,
    name: &'static str,
}

// === impl Halt ===

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sample was refused")
    }
}

impl std::error::Error for Halt {}

impl Error for Halt {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Refused
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Names(expected)
    }
}

// === impl Ask ===

impl<'r> Ask<'r> {
    pub(super) fn new(recorder: &'r Recorder) -> Self {
        Self { recorder, named: None }
    }

    /// Offers the samples one after the other.
    fn sample<V, T: Copy>(self, kind: u8, samples: &[T], offer: impl FnOnce(T) -> Result<V, Halt>) -> Result<V, Halt> {
        self.recorder.note(kind, &[], 0)?;
        let (_, sample) = self.recorder.choose_sample::<V>(samples.len());
        let value = offer(*samples.get(sample).ok_or(Halt::Refused)?)?;
        self.recorder.taken::<V>(sample);
        Ok(value)
    }

    fn number<'de, V: Visitor<'de>, T: Copy + TryFrom<i16>>(
        self,
        kind: u8,
        visit: impl FnOnce(T) -> Result<V::Value, Halt>,
    ) -> Result<V::Value, Halt> {
        let fitting: Vec<T> = NUMBERS.iter().filter_map(|&number| T::try_from(number).ok()).collect();
        self.sample(kind, &fitting, visit)
    }

    /// Texts; where the type says which ones it takes, one of those, and each in its turn if it is the `tag` of an enum.
    fn text<'de, V: Visitor<'de>>(self, visitor: V, tag: bool) -> Result<V::Value, Halt> {
        self.recorder.note(b't', &[], 0)?;
        let (place, sample) = self.recorder.choose_sample::<V::Value>(TEXTS.len());
        if let Some(names) = self.recorder.names(place) {
            self.recorder.note(b'k', &names, 0)?;
            if tag {
                // The contents come beside it: whoever reads the struct around both closes it.
                let variant = self.recorder.open::<V::Value>(&names)?;
                self.recorder.note(b'v', &[], variant)?;
                return visitor.visit_str(names.get(variant).copied().unwrap_or_default());
            }
            return visitor.visit_str(names.get(sample).copied().unwrap_or_default());
        }
        match visitor.visit_str(TEXTS.get(sample).copied().unwrap_or_default()) {
            Ok(value) => {
                self.recorder.taken::<V::Value>(sample);
                Ok(value)
            }
            Err(Halt::Names(names)) if !names.is_empty() => {
                self.recorder.again_with(place, names.to_vec(), names.len());
                Err(Halt::Refused)
            }
            Err(halt) => Err(halt),
        }
    }

    fn bytes<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.sample(b'y', BYTES, |bytes| visitor.visit_bytes(&vec![0; bytes]))
    }

    /// A length for a list or map, as one of the choices.
    fn length(&self) -> (usize, usize) {
        let (place, at) = self.recorder.choose_or_leave(LENGTHS.len(), NO_ELEMENTS);
        (place, LENGTHS.get(at).copied().unwrap_or_default())
    }

    fn fields<'de, V: Visitor<'de>>(self, visitor: V, fields: &[&'static str]) -> Result<V::Value, Halt> {
        let _level = self.recorder.enter()?;
        let open_variants = self.recorder.open_variants();
        // Types written by hand may know fields by name alone; only a format with names can read those.
        let ways = if self.recorder.self_describing { 2 } else { 1 };
        let result = if self.recorder.choose(ways).1 == 0 {
            visitor.visit_seq(Elements { recorder: self.recorder, left: fields.len() })
        } else {
            visitor.visit_map(Fields { recorder: self.recorder, names: fields.to_vec(), next: 0 })
        };
        self.recorder.close(open_variants, result.is_ok());
        result
    }

    /// A map that turned out to be a struct with `flatten`, or one read by hand: fields as the type calls for them.
    fn named_map<'de, V: Visitor<'de>>(
        self,
        visitor: V,
        place: usize,
        mut names: Vec<&'static str>,
    ) -> Result<V::Value, Halt> {
        self.recorder.needs_description();
        self.recorder.leave_partial();
        self.recorder.note(b'n', &names, 0)?;
        match visitor.visit_map(Fields { recorder: self.recorder, names: names.clone(), next: 0 }) {
            Err(Halt::Missing(name)) if !names.contains(&name) => {
                names.push(name);
                self.recorder.again_with(place, names, 1);
                Err(Halt::Refused)
            }
            result => result,
        }
    }
}

macro_rules! numbers {
    ($($method:ident $kind:literal $visit:ident $type:ty),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
            self.number::<V, $type>($kind, |number| visitor.$visit(number))
        }
    )*};
}

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = Halt;

    // The letters are part of every fingerprint.
    numbers! {
        deserialize_i8 b'1' visit_i8 i8, deserialize_i16 b'2' visit_i16 i16, deserialize_i32 b'3' visit_i32 i32,
        deserialize_i64 b'4' visit_i64 i64, deserialize_i128 b'5' visit_i128 i128,
        deserialize_u8 b'6' visit_u8 u8, deserialize_u16 b'7' visit_u16 u16, deserialize_u32 b'8' visit_u32 u32,
        deserialize_u64 b'9' visit_u64 u64, deserialize_u128 b'0' visit_u128 u128,
    }

    /// What would it be? A type that fits any answer has no shape, and one that tries several may do so for ever.
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'?', &[], 0)?;
        self.recorder.needs_description();
        Err(self.recorder.stop())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'_', &[], 0)?;
        self.recorder.needs_description();
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.needs_description();
        if let Some(named) = self.named {
            named.set(true);
            return Err(Halt::Refused);
        }
        self.text(visitor, true)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.sample(b'b', &[false, true], |value| visitor.visit_bool(value))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.sample(b'f', FLOATS, |number| visitor.visit_f32(number as f32))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.sample(b'd', FLOATS, |number| visitor.visit_f64(number))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.sample(b'c', CHARS, |value| visitor.visit_char(value))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.text(visitor, false)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.text(visitor, false)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.bytes(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'u', &[], 0)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'U', &[name], 0)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'N', &[name], 0)?;
        let _level = self.recorder.enter()?;
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'o', &[], 0)?;
        let Some(_level) = self.recorder.enter_optional::<V::Value>()? else {
            return visitor.visit_none();
        };
        match self.recorder.choose_or_leave(2, 1) {
            (_, 0) => visitor.visit_some(self),
            _ => visitor.visit_none(),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'[', &[], 0)?;
        let level = self.recorder.enter_optional::<V::Value>()?;
        let left = if level.is_some() { self.length().1 } else { 0 };
        visitor.visit_seq(Elements { recorder: self.recorder, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'(', &[], len)?;
        let _level = self.recorder.enter()?;
        visitor.visit_seq(Elements { recorder: self.recorder, left: len })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Halt> {
        self.recorder.note(b'T', &[name], len)?;
        let _level = self.recorder.enter()?;
        visitor.visit_seq(Elements { recorder: self.recorder, left: len })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.recorder.note(b'{', &[], 0)?;
        let Some(_level) = self.recorder.enter_optional::<V::Value>()? else {
            return visitor.visit_map(Fields { recorder: self.recorder, names: Vec::new(), next: 0 });
        };
        let (place, left) = self.length();
        if let Some(names) = self.recorder.names(place) {
            return self.named_map(visitor, place, names);
        }
        let named = Cell::new(false);
        let result = visitor.visit_map(Entries { recorder: self.recorder, left, named: &named });
        if named.get() {
            self.recorder.again_with(place, Vec::new(), 1);
            return Err(Halt::Refused);
        }
        result
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        self.recorder.note(b'S', &[name], 0)?;
        self.recorder.note(b'F', fields, 0)?;
        self.fields(visitor, fields)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Halt> {
        self.recorder.note(b'E', &[name], 0)?;
        self.recorder.note(b'V', variants, 0)?;
        let _level = self.recorder.enter()?;
        let open_variants = self.recorder.open_variants();
        let index = self.recorder.open::<V::Value>(variants)?;
        self.recorder.note(b'v', &[], index)?;
        let asked = Cell::new(false);
        let name = variants.get(index).copied().unwrap_or_default();
        let result = visitor.visit_enum(Chosen { recorder: self.recorder, index, name, asked: &asked });
        if result.is_err() && !asked.get() {
            self.recorder.unusable();
        }
        self.recorder.close(open_variants, result.is_ok());
        result
    }

    fn is_human_readable(&self) -> bool {
        self.recorder.self_describing
    }
}

// === impl Elements, Entries, Fields ===

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Halt;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Halt> {
        self.recorder.step()?;
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(Ask::new(self.recorder)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Halt;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Halt> {
        self.recorder.step()?;
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(Ask { recorder: self.recorder, named: Some(self.named) }).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Halt> {
        seed.deserialize(Ask::new(self.recorder))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Halt;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Halt> {
        self.recorder.step()?;
        let Some(name) = self.names.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Halt> {
        seed.deserialize(Ask::new(self.recorder))
    }
}

// === impl Chosen, VariantKey ===

impl<'r> Chosen<'r> {
    /// The type asks for the contents, so it knows the variant.
    fn contents(&self, kind: u8, names: &[&str], number: usize) -> Result<Ask<'r>, Halt> {
        self.asked.set(true);
        self.recorder.note(kind, names, number)?;
        Ok(Ask::new(self.recorder))
    }
}

impl<'de> EnumAccess<'de> for Chosen<'_> {
    type Error = Halt;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Halt> {
        let key = VariantKey { recorder: self.recorder, index: self.index, name: self.name };
        Ok((seed.deserialize(key)?, self))
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = Halt;

    fn unit_variant(self) -> Result<(), Halt> {
        self.contents(b'x', &[], 0).map(drop)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Halt> {
        seed.deserialize(self.contents(b'w', &[], 0)?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Halt> {
        self.contents(b')', &[], len)?;
        visitor.visit_seq(Elements { recorder: self.recorder, left: len })
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Halt> {
        self.contents(b's', fields, 0)?.fields(visitor, fields)
    }
}

impl<'de> Deserializer<'de> for VariantKey<'_> {
    type Error = Halt;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        visitor.visit_str(self.name)
    }

    /// By name, else by number: a derived type knows both, others know what their format writes.
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        if self.recorder.choose(2).1 == 0 {
            return visitor.visit_str(self.name);
        }
        self.deserialize_u32(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        U32Deserializer::new(u32::try_from(self.index).map_err(|_| Halt::Refused)?).deserialize_any(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Halt> {
        self.deserialize_u32(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum ignored_any
    }
}
