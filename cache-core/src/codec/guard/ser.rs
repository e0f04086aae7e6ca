//! The writing side: wraps the codec's serializer, and every value that passes through it.

use std::fmt;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{Level, Limits, Shown, Trip};

/// A codec's serializer with the limits beside it.
struct Guarded<'l, S> {
    inner: S,
    limits: &'l Limits,
}

/// The codec's writer of elements, entries or fields; deeper by a level or two while it lives.
struct Parts<'l, C> {
    inner: C,
    limits: &'l Limits,
    counted: bool,
    _level: Level<'l>,
}

fn refuse<E: Error>(trip: Trip) -> E {
    E::custom(trip.as_text())
}

// === impl Shown ===

impl<T: Serialize + ?Sized> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Guarded { inner, limits: self.limits })
    }
}

// === impl Guarded ===

impl<'l, S: Serializer> Guarded<'l, S> {
    /// The value is something: whatever `Some` it stands in can be told from `None`.
    fn something(self) -> S {
        self.limits.in_some.set(false);
        self.inner
    }

    fn nothing(self) -> Result<S, S::Error> {
        let in_some = self.limits.in_some.replace(false);
        if in_some && self.limits.rules.one_null {
            return Err(refuse(self.limits.trip(Trip::NothingInSome)));
        }
        Ok(self.inner)
    }

    fn finite(self, is_finite: bool) -> Result<S, S::Error> {
        if !is_finite && self.limits.rules.finite_only {
            return Err(refuse(self.limits.trip(Trip::NotFinite)));
        }
        Ok(self.something())
    }

    fn parts<C>(
        self,
        levels: u32,
        len: Option<usize>,
        counted: bool,
        open: impl FnOnce(S) -> Result<C, S::Error>,
    ) -> Result<Parts<'l, C>, S::Error> {
        let limits = self.limits;
        let level = limits.enter_by(levels).map_err(refuse)?;
        if counted {
            limits.announce(len).map_err(refuse)?;
        }
        Ok(Parts { inner: open(self.something())?, limits, counted, _level: level })
    }
}

macro_rules! forward {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<S::Ok, S::Error> {
            self.something().$method(value)
        }
    )*};
}

impl<'l, S: Serializer> Serializer for Guarded<'l, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'l, S::SerializeSeq>;
    type SerializeTuple = Parts<'l, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<'l, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'l, S::SerializeTupleVariant>;
    type SerializeMap = Parts<'l, S::SerializeMap>;
    type SerializeStruct = Parts<'l, S::SerializeStruct>;
    type SerializeStructVariant = Parts<'l, S::SerializeStructVariant>;

    forward! {
        serialize_bool(bool), serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_i128(i128), serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
        serialize_u128(u128), serialize_char(char), serialize_str(&str), serialize_bytes(&[u8]),
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.finite(value.is_finite())?.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.finite(value.is_finite())?.serialize_f64(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.nothing()?.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let _level = self.limits.enter().map_err(refuse)?;
        self.limits.in_some.set(true);
        self.inner.serialize_some(&Shown::new(value, self.limits))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.nothing()?.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.nothing()?.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.something().serialize_unit_variant(name, index, variant)
    }

    /// Transparent, also for a `Some` around it.
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        let _level = self.limits.enter().map_err(refuse)?;
        self.inner.serialize_newtype_struct(name, &Shown::new(value, self.limits))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let limits = self.limits;
        let _level = limits.enter().map_err(refuse)?;
        self.something().serialize_newtype_variant(name, index, variant, &Shown::new(value, limits))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.parts(1, len, true, |inner| inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.parts(1, None, false, |inner| inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.parts(1, None, false, |inner| inner.serialize_tuple_struct(name, len))
    }

    /// Two levels, as on the way back: the variant, then its fields.
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.parts(2, None, false, |inner| inner.serialize_tuple_variant(name, index, variant, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.parts(1, len, true, |inner| inner.serialize_map(len))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.parts(1, None, false, |inner| inner.serialize_struct(name, len))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.parts(2, None, false, |inner| inner.serialize_struct_variant(name, index, variant, len))
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.something().collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

// === impl Parts ===

impl<C> Parts<'_, C> {
    fn count<E: Error>(&self) -> Result<(), E> {
        if self.counted { self.limits.count().map_err(refuse) } else { Ok(()) }
    }

    /// A format that finds fields by position would read the next field in place of the one left out.
    fn skip<E: Error>(&self) -> Result<(), E> {
        if self.limits.rules.fixed_fields {
            return Err(refuse(self.limits.trip(Trip::SkippedField)));
        }
        Ok(())
    }
}

macro_rules! elements {
    ($($port:ident::$method:ident),* $(,)?) => {$(
        impl<C: $port> $port for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                self.count()?;
                self.inner.$method(&Shown::new(value, self.limits))
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element, SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! fields {
    ($($port:ident),* $(,)?) => {$(
        impl<C: $port> $port for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), C::Error> {
                self.inner.serialize_field(name, &Shown::new(value, self.limits))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.skip()?;
                self.inner.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl<C: SerializeMap> SerializeMap for Parts<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        self.count()?;
        self.inner.serialize_key(&Shown::new(key, self.limits))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        self.inner.serialize_value(&Shown::new(value, self.limits))
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}
