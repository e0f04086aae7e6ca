//! The reading side: wraps the codec's deserializer, and every visitor, access and seed that passes through it.

use std::fmt;

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use super::{Limits, Seeded, Trip};

/// A codec's deserializer, or access, or a type's seed, with the limits beside it.
struct Guarded<'l, D> {
    inner: D,
    limits: &'l Limits,
}

/// A type's visitor. Only what has a length of its own is counted: the fields of a struct are not input.
struct Watched<'l, V> {
    inner: V,
    limits: &'l Limits,
    counted: bool,
}

/// The elements or entries on their way to the visitor.
struct Counted<'l, A> {
    inner: A,
    limits: &'l Limits,
    counted: bool,
}

fn refuse<E: Error>(trip: Trip) -> E {
    E::custom(trip.as_text())
}

// === impl Seeded, Guarded as a seed ===

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Seeded<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        T::deserialize(Guarded { inner, limits: self.limits })
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Guarded<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Guarded { inner, limits: self.limits })
    }
}

// === impl Guarded as a deserializer ===

impl<'l, D> Guarded<'l, D> {
    fn watch<V>(visitor: V, limits: &'l Limits) -> Watched<'l, V> {
        Watched { inner: visitor, limits, counted: true }
    }

    fn watch_fields<V>(visitor: V, limits: &'l Limits) -> Watched<'l, V> {
        Watched { inner: visitor, limits, counted: false }
    }
}

macro_rules! forward {
    ($($method:ident => $to:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$to(Self::watch(visitor, self.limits))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guarded<'_, D> {
    type Error = D::Error;

    // Owned text and bytes are asked for as borrowed: a codec may allocate the stated length of an owned one before it
    // looks whether the input has that much.
    forward! {
        deserialize_any => deserialize_any, deserialize_bool => deserialize_bool,
        deserialize_i8 => deserialize_i8, deserialize_i16 => deserialize_i16, deserialize_i32 => deserialize_i32,
        deserialize_i64 => deserialize_i64, deserialize_i128 => deserialize_i128,
        deserialize_u8 => deserialize_u8, deserialize_u16 => deserialize_u16, deserialize_u32 => deserialize_u32,
        deserialize_u64 => deserialize_u64, deserialize_u128 => deserialize_u128,
        deserialize_f32 => deserialize_f32, deserialize_f64 => deserialize_f64, deserialize_char => deserialize_char,
        deserialize_str => deserialize_str, deserialize_string => deserialize_str,
        deserialize_bytes => deserialize_bytes, deserialize_byte_buf => deserialize_bytes,
        deserialize_option => deserialize_option, deserialize_unit => deserialize_unit,
        deserialize_seq => deserialize_seq, deserialize_map => deserialize_map,
        deserialize_identifier => deserialize_identifier, deserialize_ignored_any => deserialize_ignored_any,
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, Self::watch(visitor, self.limits))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_newtype_struct(name, Self::watch(visitor, self.limits))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple(len, Self::watch_fields(visitor, self.limits))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_tuple_struct(name, len, Self::watch_fields(visitor, self.limits))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, Self::watch_fields(visitor, self.limits))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, Self::watch(visitor, self.limits))
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

// === impl Watched ===

macro_rules! pass {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    pass! {
        visit_bool(bool), visit_i8(i8), visit_i16(i16), visit_i32(i32), visit_i64(i64), visit_i128(i128),
        visit_u8(u8), visit_u16(u16), visit_u32(u32), visit_u64(u64), visit_u128(u128), visit_f32(f32), visit_f64(f64),
        visit_char(char), visit_str(&str), visit_borrowed_str(&'de str), visit_string(String),
        visit_bytes(&[u8]), visit_borrowed_bytes(&'de [u8]), visit_byte_buf(Vec<u8>),
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let _level = self.limits.enter().map_err(refuse)?;
        self.inner.visit_some(Guarded { inner, limits: self.limits })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        let _level = self.limits.enter().map_err(refuse)?;
        self.inner.visit_newtype_struct(Guarded { inner, limits: self.limits })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let _level = self.limits.enter().map_err(refuse)?;
        if self.counted {
            self.limits.announce(inner.size_hint()).map_err(refuse)?;
        }
        self.inner.visit_seq(Counted { inner, limits: self.limits, counted: self.counted })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let _level = self.limits.enter().map_err(refuse)?;
        if self.counted {
            self.limits.announce(inner.size_hint()).map_err(refuse)?;
        }
        self.inner.visit_map(Counted { inner, limits: self.limits, counted: self.counted })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let _level = self.limits.enter().map_err(refuse)?;
        self.inner.visit_enum(Guarded { inner, limits: self.limits })
    }
}

// === impl Counted ===

impl<A> Counted<'_, A> {
    fn count<E: Error>(&self) -> Result<(), E> {
        if self.counted { self.limits.count().map_err(refuse) } else { Ok(()) }
    }

    fn hint(&self, hint: Option<usize>) -> Option<usize> {
        hint.map(|hint| hint.min(self.limits.max_hint))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let element = self.inner.next_element_seed(Guarded { inner: seed, limits: self.limits })?;
        if element.is_some() {
            self.count()?;
        }
        Ok(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint(self.inner.size_hint())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Counted<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let key = self.inner.next_key_seed(Guarded { inner: seed, limits: self.limits })?;
        if key.is_some() {
            self.count()?;
        }
        Ok(key)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Guarded { inner: seed, limits: self.limits })
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint(self.inner.size_hint())
    }
}

// === impl Guarded as an enum's access ===

impl<'l, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Guarded<'l, A> {
    type Error = A::Error;
    type Variant = Guarded<'l, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, inner) = self.inner.variant_seed(Guarded { inner: seed, limits: self.limits })?;
        Ok((value, Guarded { inner, limits: self.limits }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Guarded { inner: seed, limits: self.limits })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Self::watch_fields(visitor, self.limits))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Self::watch_fields(visitor, self.limits))
    }
}
