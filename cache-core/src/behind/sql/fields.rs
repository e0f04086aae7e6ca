//! The fields of a value, as serde gives them: a name, and JSON.
//!
//! What stands in a field stays the text that serde_json makes of it, not a tree: an integer of 128 bits or the shortest form of a
//! float gets to the database as it was.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible, SerializeStruct, Serializer};
use serde_json::value::RawValue;

/// A value on its way to a row.
#[derive(Debug)]
pub(super) enum Fields {
    /// A struct or a map, field by field.
    Named(BTreeMap<String, Box<RawValue>>),
    /// Anything else.
    Bare,
}

/// Takes a value apart. `skip_serializing_if` leaves a field out of an object; it is null here, or the row would keep what it had.
pub(super) fn fields(value: &impl Serialize) -> serde_json::Result<Fields> {
    let json = serde_json::to_string(value)?;
    if !json.starts_with('{') {
        return Ok(Fields::Bare);
    }
    let mut named: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&json)?;
    for name in value.serialize(Skipped).unwrap_or_default() {
        if !named.contains_key(name) {
            named.insert(name.to_owned(), RawValue::from_string("null".to_owned())?);
        }
    }
    Ok(Fields::Named(named))
}

/// Finds the fields of a struct that are skipped this time.
struct Skipped;

/// What is no struct has none.
#[derive(Debug)]
struct NoStruct;

struct Names(Vec<&'static str>);

// === impl Names ===

impl SerializeStruct for Names {
    type Ok = Vec<&'static str>;
    type Error = NoStruct;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, _: &T) -> Result<(), NoStruct> {
        Ok(())
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), NoStruct> {
        self.0.push(name);
        Ok(())
    }

    fn end(self) -> Result<Vec<&'static str>, NoStruct> {
        Ok(self.0)
    }
}

// === impl NoStruct ===

impl fmt::Display for NoStruct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a struct")
    }
}

impl std::error::Error for NoStruct {}

impl ser::Error for NoStruct {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

// === impl Skipped ===

/// Methods that take what is no struct.
macro_rules! no_struct {
    ($($method:ident($($of:ty),*) -> $ok:ty;)+) => {$(
        fn $method(self, $(_: $of),*) -> Result<$ok, NoStruct> {
            Err(NoStruct)
        }
    )+};
}

type Found = Vec<&'static str>;
type Never = Impossible<Found, NoStruct>;

impl Serializer for Skipped {
    type Ok = Found;
    type Error = NoStruct;
    type SerializeSeq = Never;
    type SerializeTuple = Never;
    type SerializeTupleStruct = Never;
    type SerializeTupleVariant = Never;
    type SerializeMap = Never;
    type SerializeStruct = Names;
    type SerializeStructVariant = Never;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Names, NoStruct> {
        Ok(Names(Vec::new()))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Found, NoStruct> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Found, NoStruct> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Found, NoStruct> {
        Err(NoStruct)
    }

    no_struct! {
        serialize_bool(bool) -> Found;
        serialize_i8(i8) -> Found;
        serialize_i16(i16) -> Found;
        serialize_i32(i32) -> Found;
        serialize_i64(i64) -> Found;
        serialize_u8(u8) -> Found;
        serialize_u16(u16) -> Found;
        serialize_u32(u32) -> Found;
        serialize_u64(u64) -> Found;
        serialize_f32(f32) -> Found;
        serialize_f64(f64) -> Found;
        serialize_char(char) -> Found;
        serialize_str(&str) -> Found;
        serialize_bytes(&[u8]) -> Found;
        serialize_none() -> Found;
        serialize_unit() -> Found;
        serialize_unit_struct(&'static str) -> Found;
        serialize_unit_variant(&'static str, u32, &'static str) -> Found;
        serialize_seq(Option<usize>) -> Never;
        serialize_tuple(usize) -> Never;
        serialize_tuple_struct(&'static str, usize) -> Never;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Never;
        serialize_map(Option<usize>) -> Never;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Never;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Serialize)]
    struct Inner {
        #[serde(skip_serializing_if = "Option::is_none")]
        gone: Option<u8>,
    }

    #[derive(Serialize)]
    struct Product {
        id: u128,
        #[serde(rename = "the name", skip_serializing_if = "Option::is_none")]
        name: Option<&'static str>,
        inner: Inner,
        price: f32,
        #[serde(skip)]
        _never: u8,
    }

    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Full(Inner),
        Named { a: Option<u8> },
    }

    #[derive(Serialize)]
    struct Wrapped(Product);

    fn shown(value: &impl Serialize) -> Option<String> {
        match fields(value).unwrap() {
            Fields::Bare => None,
            Fields::Named(named) => {
                Some(named.iter().map(|(name, json)| format!("{name}={json}")).collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn product(name: Option<&'static str>) -> Product {
        Product { id: u128::MAX, name, inner: Inner { gone: None }, price: 0.1, _never: 0 }
    }

    #[test]
    fn struct_gives_its_fields_and_null_for_those_skipped_this_time() {
        let wanted = "id=340282366920938463463374607431768211455 inner={} price=0.1 the name=null";
        assert_eq!(shown(&product(None)).as_deref(), Some(wanted));
        assert_eq!(shown(&Some(Arc::new(Wrapped(product(None))))).as_deref(), Some(wanted));
        assert_eq!(shown(&product(Some("ä\""))), Some(wanted.replace("null", r#""ä\"""#)));
    }

    #[test]
    fn maps_and_variants_give_what_json_makes_of_them() {
        assert_eq!(shown(&BTreeMap::from([(7, "a")])).as_deref(), Some(r#"7="a""#));
        assert_eq!(shown(&Tagged::Full(Inner { gone: None })).as_deref(), Some(r#"gone=null kind="Full""#));
        assert_eq!(shown(&Tagged::Named { a: Some(1) }).as_deref(), Some(r#"a=1 kind="Named""#));
        assert_eq!(shown(&Ok::<_, ()>(1)).as_deref(), Some("Ok=1"));
    }

    #[test]
    fn what_is_no_object_is_bare_and_what_is_no_json_an_error() {
        assert_eq!(shown(&7), None);
        assert_eq!(shown(&"{}"), None);
        assert_eq!(shown(&None::<Product>), None);
        assert_eq!(shown(&vec![product(None)]), None);
        assert!(fields(&BTreeMap::from([((1, 2), 3)])).is_err());
    }
}
