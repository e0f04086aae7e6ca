//! Types and texts that the tests share.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::key::{Key, KeyPart, KeyWriter};

/// What `#[derive(KeyPart)]` writes for an enum.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Size {
    Small,
    Boxed(u32, u32),
    Named { tag: &'static str },
}

/// What it writes for a struct.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Page {
    pub(super) number: u32,
    pub(super) size: u32,
}

/// What it writes for a newtype.
pub(super) struct Id(pub(super) u64);

/// What it writes for a struct without fields.
pub(super) struct Unit;

impl KeyPart for Size {
    fn write(&self, out: &mut KeyWriter) {
        match self {
            Size::Small => out.variant("Small", |_| {}),
            Size::Boxed(width, height) => out.variant("Boxed", |out| {
                out.part(width);
                out.part(height);
            }),
            Size::Named { tag } => out.variant("Named", |out| out.part(tag)),
        }
    }
}

impl KeyPart for Page {
    fn write(&self, out: &mut KeyWriter) {
        out.list(|out| {
            out.part(&self.number);
            out.part(&self.size);
        });
    }
}

impl KeyPart for Id {
    fn write(&self, out: &mut KeyWriter) {
        out.part(&self.0);
    }
}

impl KeyPart for Unit {
    fn write(&self, out: &mut KeyWriter) {
        out.nothing();
    }
}

/// A type, made up: what a program could have as an argument.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Number,
    Bool,
    Text,
    Unit,
    Option(Box<Shape>),
    List(Vec<Shape>),
    Sequence(Box<Shape>),
    /// An enum, by the fields of its variants.
    Enum(Vec<Vec<Shape>>),
}

/// A value of such a type.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Number(i128),
    Bool(bool),
    Text(String),
    Unit,
    Option(Option<Box<Value>>),
    List(Vec<Value>),
    Sequence(Vec<Value>),
    Variant(usize, Vec<Value>),
}

const VARIANTS: [&str; 4] = ["A", "B", "Ab", "Größe"];

impl KeyPart for Value {
    fn write(&self, out: &mut KeyWriter) {
        let all = |parts: &[Value], out: &mut KeyWriter| parts.iter().for_each(|part| out.part(part));
        match self {
            Value::Number(number) => out.part(number),
            Value::Bool(yes) => out.part(yes),
            Value::Text(text) => out.part(text),
            Value::Unit => out.part(&()),
            Value::Option(value) => out.part(value),
            Value::List(fields) => out.list(|out| all(fields, out)),
            Value::Sequence(elements) => out.part(elements),
            Value::Variant(index, fields) => out.variant(VARIANTS[*index], |out| all(fields, out)),
        }
    }
}

/// Text made of what the grammar uses, so that a mistake in it meets itself.
pub(super) fn text() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        ":", "{", "}", "*", "\0", "😀", "\"", "'", "%", "~", "(", ")", "<", ">", ",", ".", "@", "-", "0", "1", "7",
        "%25", "%7E", "true", "false", "a", "Z", "é", " ", "\\", "?", "[", "]", "\n", "\u{7f}",
    ]);
    prop_oneof![
        8 => vec(token, 0..4).prop_map(|tokens| tokens.concat()),
        2 => any::<String>(),
        1 => (any::<String>(), 0..12_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

/// Text up to 10 kB.
pub(super) fn long_text() -> impl Strategy<Value = String> {
    (text(), 1..10_000_usize).prop_map(|(text, bytes)| {
        let text = if text.is_empty() { "x".to_owned() } else { text };
        text.repeat(bytes.div_ceil(text.len()))
    })
}

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    let leaf =
        prop_oneof![1 => Just(Shape::Number), 1 => Just(Shape::Bool), 4 => Just(Shape::Text), 1 => Just(Shape::Unit)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => inner.clone().prop_map(|inner| Shape::Option(Box::new(inner))),
            2 => vec(inner.clone(), 0..4).prop_map(Shape::List),
            2 => inner.clone().prop_map(|inner| Shape::Sequence(Box::new(inner))),
            1 => vec(vec(inner, 0..3), 1..4).prop_map(Shape::Enum),
        ]
    })
}

pub(super) fn value(shape: &Shape) -> BoxedStrategy<Value> {
    let each = |shapes: &[Shape]| shapes.iter().map(value).collect::<Vec<_>>();
    match shape {
        Shape::Number => {
            prop_oneof![-3..12_i128, any::<i64>().prop_map(i128::from), any::<i128>()].prop_map(Value::Number).boxed()
        }
        Shape::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Shape::Text => text().prop_map(Value::Text).boxed(),
        Shape::Unit => Just(Value::Unit).boxed(),
        Shape::Option(inner) => {
            prop::option::of(value(inner)).prop_map(|value| Value::Option(value.map(Box::new))).boxed()
        }
        Shape::List(fields) => each(fields).prop_map(Value::List).boxed(),
        Shape::Sequence(inner) => vec(value(inner), 0..3).prop_map(Value::Sequence).boxed(),
        Shape::Enum(variants) => {
            let one = variants.iter().enumerate();
            let one =
                one.map(|(index, fields)| each(fields).prop_map(move |fields| Value::Variant(index, fields)).boxed());
            prop::strategy::Union::new(one).boxed()
        }
    }
}

/// What must hold of any key: its text is read back to it.
pub(super) fn reads_back(key: &Key) -> Result<(), TestCaseError> {
    let wire = key.wire();
    prop_assert!(wire.len() <= 200 && wire.bytes().all(|byte| byte.is_ascii_graphic()), "{wire}");
    let Some(read) = Key::parse(&wire) else { return Err(TestCaseError::fail(format!("not read: {wire}"))) };
    prop_assert_eq!(&read, key);
    prop_assert_eq!(read.words(), key.words());
    prop_assert_eq!(read.local_hash(), key.local_hash());
    prop_assert_eq!(read.wire(), wire);
    prop_assert_eq!((read.partition(256), read.wire_hash()), (key.partition(256), key.wire_hash()));
    Ok(())
}

/// What must hold of the keys of two values of one type.
pub(super) fn alike_iff(equal: bool, one: &Key, other: &Key) -> Result<(), TestCaseError> {
    prop_assert_eq!(one == other, equal, "{} {}", one.wire(), other.wire());
    prop_assert_eq!(one.words() == other.words(), equal);
    prop_assert_eq!(one.wire() == other.wire(), equal, "{}", one.wire());
    prop_assert_eq!(one.local_hash() == other.local_hash(), equal);
    Ok(())
}

pub(super) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
