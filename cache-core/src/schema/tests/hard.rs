//! Types that refuse values, that need a format with names, that are written by hand, and that contain themselves.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsString,
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroU64,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};

use super::{base, find, is_whole, of, record};
use crate::codec::Codec;

// === Types that refuse most values ===

#[derive(Deserialize)]
#[serde(try_from = "u32")]
struct Percent(u32);

impl TryFrom<u32> for Percent {
    type Error = &'static str;
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        if (1..=100).contains(&number) { Ok(Self(number)) } else { Err("not a percentage") }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "(u16, u16)")]
struct Ordered(u16, u16);

impl TryFrom<(u16, u16)> for Ordered {
    type Error = &'static str;
    fn try_from((low, high): (u16, u16)) -> Result<Self, Self::Error> {
        if low < high { Ok(Self(low, high)) } else { Err("not in order") }
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Vec<String>")]
struct AtLeastTwo(Vec<String>);

impl TryFrom<Vec<String>> for AtLeastTwo {
    type Error = &'static str;
    fn try_from(list: Vec<String>) -> Result<Self, Self::Error> {
        if list.len() >= 2 { Ok(Self(list)) } else { Err("too few") }
    }
}

/// Panics where it should refuse.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Careless(u8);

impl From<String> for Careless {
    fn from(text: String) -> Self {
        Self(text.parse().expect("a number"))
    }
}

#[derive(Deserialize)]
struct Refusing {
    id: uuid::Uuid,
    at: chrono::DateTime<chrono::Utc>,
    day: chrono::NaiveDate,
    time: chrono::NaiveTime,
    link: url::Url,
    number: NonZeroU64,
    ip: IpAddr,
    socket: SocketAddr,
    took: Duration,
    when: SystemTime,
    path: PathBuf,
    percent: Percent,
    ordered: Ordered,
    pair: AtLeastTwo,
    /// Knows the variants of other systems by name alone.
    native: OsString,
    others: Vec<(uuid::Uuid, Option<url::Url>)>,
}

#[test]
fn refusing_types_are_recorded_whole() {
    for &codec in Codec::ALL {
        assert!(is_whole::<Refusing>(codec), "{codec:?}");
        assert!(is_whole::<HashMap<uuid::Uuid, Refusing>>(codec), "{codec:?}");
        assert!(is_whole::<Careless>(codec), "{codec:?}");
    }
}

#[test]
fn type_that_takes_no_sample_needs_a_rev() {
    #[derive(Deserialize)]
    #[serde(try_from = "String")]
    struct Licence(String);
    impl TryFrom<String> for Licence {
        type Error = &'static str;
        fn try_from(text: String) -> Result<Self, Self::Error> {
            if text.starts_with("B-") { Ok(Self(text)) } else { Err("no licence") }
        }
    }
    #[derive(Deserialize)]
    struct Car {
        doors: u8,
        licence: Licence,
    }
    #[derive(Deserialize)]
    struct Boat {
        sails: u16,
        licence: Licence,
    }
    let error = find::<Car>(Codec::Bincode, 0).unwrap_err();
    assert_eq!(error.as_str(), "unknown_shape");
    assert!(error.to_string().contains("Car") && error.to_string().contains("`rev`"), "{error}");
    assert!(find::<Vec<Car>>(Codec::Bincode, 0).is_err(), "an empty list would hide it");
    assert!(find::<Option<Car>>(Codec::Bincode, 0).is_err(), "so would None");
    let [car, raised] = [1, 2].map(|rev| find::<Car>(Codec::Bincode, rev).unwrap());
    assert_ne!(car, raised);
    assert_ne!(car, find::<Boat>(Codec::Bincode, 1).unwrap());
    assert!(find::<Car>(Codec::Json, 0).is_ok());
}

// === Types that need a format with names ===

#[derive(Deserialize)]
struct Flat {
    id: u64,
    name: String,
    #[serde(flatten)]
    more: BTreeMap<String, u32>,
}

#[derive(Deserialize)]
struct FlatNested {
    id: u64,
    #[serde(flatten)]
    part: base::Part,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    /// Every refusal would try this again, with the same input.
    Again(Box<Untagged>),
}

#[derive(Deserialize)]
#[serde(tag = "kind")]
pub(super) enum Tagged {
    A { x: u8 },
    B,
}

#[derive(Deserialize)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    A(u8),
    B(base::State),
}

/// Its unit variant asks for anything, to refuse it.
#[derive(Deserialize)]
#[serde(tag = "kind", content = "of")]
enum AdjacentUnit {
    A(u8),
    B,
}

fn needs_json<T: DeserializeOwned>() {
    for &codec in Codec::ALL {
        if codec.is_self_describing() {
            let [plain, raised] = [0, 1].map(|rev| find::<T>(codec, rev).unwrap());
            assert_ne!(plain, raised);
            continue;
        }
        for rev in [0, 1] {
            let error = find::<T>(codec, rev).unwrap_err();
            assert_eq!(error.as_str(), "needs_json");
            assert!(error.to_string().contains("use Codec::Json"), "{error}");
        }
    }
}

#[test]
fn self_describing_types_need_json() {
    needs_json::<Flat>();
    needs_json::<FlatNested>();
    needs_json::<Untagged>();
    needs_json::<Tagged>();
    needs_json::<Adjacent>();
    needs_json::<AdjacentUnit>();
    needs_json::<serde_json::Value>();
    needs_json::<Vec<Option<Flat>>>();
    needs_json::<(u8, BTreeMap<String, Untagged>)>();
}

#[test]
fn required_fields_beside_a_flatten_are_recorded() {
    fn digest<T: DeserializeOwned>() -> u64 {
        record::record::<T>(true).digest
    }
    #[derive(Deserialize)]
    struct FlatRetyped {
        id: u64,
        name: u32,
        #[serde(flatten)]
        more: BTreeMap<String, u32>,
    }
    assert_ne!(digest::<Flat>(), digest::<FlatRetyped>());
    let adjacent = record::record::<Adjacent>(true);
    assert!(adjacent.whole && adjacent.describing, "each tag in its turn");
}

// === Types written by hand ===

#[test]
fn struct_known_by_field_names_alone_is_recorded_for_json() {
    struct ByName(u64);
    impl<'de> Deserialize<'de> for ByName {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> de::Visitor<'de> for Visitor {
                type Value = ByName;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a struct")
                }
                fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ByName, A::Error> {
                    let mut id = None;
                    while let Some(key) = map.next_key::<String>()? {
                        assert_eq!(key, "id");
                        id = Some(map.next_value()?);
                    }
                    id.map(ByName).ok_or(de::Error::missing_field("id"))
                }
            }
            deserializer.deserialize_struct("ByName", &["id"], Visitor)
        }
    }
    assert!(is_whole::<ByName>(Codec::Json));
    assert_eq!(find::<ByName>(Codec::Bincode, 0).unwrap_err().as_str(), "unknown_shape");
}

#[test]
fn texts_that_a_type_names_are_recorded() {
    macro_rules! text_enum {
        ($name:ident, $texts:expr) => {
            struct $name;
            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    struct Visitor;
                    impl de::Visitor<'_> for Visitor {
                        type Value = $name;
                        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                            f.write_str("a text")
                        }
                        fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                            if $texts.contains(&text) { Ok($name) } else { Err(E::unknown_variant(text, $texts)) }
                        }
                    }
                    deserializer.deserialize_str(Visitor)
                }
            }
        };
    }
    text_enum!(Colour, &["red", "green"]);
    text_enum!(Other, &["red", "blue"]);
    assert_ne!(of::<Colour>(), of::<Other>());
    assert!(is_whole::<Vec<(Colour, Colour)>>(Codec::Bincode));
}

#[test]
fn endless_and_failing_types_end() {
    struct Endless;
    impl<'de> Deserialize<'de> for Endless {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            <(u8, Box<Self>)>::deserialize(deserializer).map(|_| Self)
        }
    }
    struct Loops;
    impl<'de> Deserialize<'de> for Loops {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> de::Visitor<'de> for Visitor {
                type Value = Loops;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a list")
                }
                fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Loops, A::Error> {
                    while seq.next_element::<Loops>().is_ok() {}
                    Ok(Loops)
                }
            }
            deserializer.deserialize_tuple(2, Visitor)
        }
    }
    struct Never;
    impl<'de> Deserialize<'de> for Never {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(de::Error::custom("never"))
        }
    }
    struct Panics;
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("always")
        }
    }
    #[derive(Deserialize)]
    enum NoEnd {
        A(Box<NoEnd>),
        B(Box<NoEnd>, Box<NoEnd>),
    }
    #[derive(Deserialize)]
    enum Void {}
    on_small_stack(|| {
        assert!(!is_whole::<Endless>(Codec::Bincode));
        assert!(!is_whole::<Loops>(Codec::Bincode));
        assert!(!is_whole::<Never>(Codec::Bincode));
        assert!(!is_whole::<Panics>(Codec::Bincode));
        assert!(!is_whole::<NoEnd>(Codec::Bincode));
        assert!(!is_whole::<Void>(Codec::Bincode));
    });
}

// === Recursion ===

fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(1 << 19).spawn(work).unwrap();
    thread.join().unwrap();
}

#[derive(Deserialize)]
struct Node {
    value: u32,
    children: Vec<Node>,
    next: Option<Box<Node>>,
    by_name: HashMap<String, Node>,
}

#[derive(Deserialize)]
pub(super) enum Expression {
    Add(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Call { name: String, arguments: Vec<Expression> },
    If(Box<Statement>),
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
pub(super) enum Statement {
    Block(Vec<Statement>),
    Let { name: String, value: Expression },
    Return(Option<Expression>),
    While(Box<(Expression, Statement)>),
    Nothing,
}

#[derive(Deserialize)]
#[serde(tag = "kind", content = "of")]
enum AdjacentTree {
    Pair(Box<AdjacentTree>, Box<AdjacentTree>),
    Leaf(u8),
}

#[derive(Deserialize)]
struct Wrapper<T> {
    inner: T,
}

#[test]
fn recursive_types_are_recorded_whole() {
    on_small_stack(|| {
        for &codec in Codec::ALL {
            assert!(is_whole::<Node>(codec));
            assert!(is_whole::<Expression>(codec));
            assert!(is_whole::<Statement>(codec));
            assert!(is_whole::<Wrapper<Wrapper<Node>>>(codec));
        }
        assert!(record::record::<AdjacentTree>(true).whole);
    });
    assert_ne!(of::<Wrapper<Wrapper<u32>>>(), of::<Wrapper<Wrapper<i64>>>(), "one generic inside itself");
    assert_ne!(of::<Option<Option<Wrapper<u8>>>>(), of::<Option<Option<Wrapper<u16>>>>());
}

#[derive(Deserialize)]
enum Inner<A, B, C, D, E> {
    Add(Box<Self>, Box<Self>),
    Not(Box<Self>, Option<A>),
    Call { name: B, arguments: Vec<Self> },
    Do(Box<Outer<A, B, C, D, E>>),
    Leaf(C),
}

#[derive(Deserialize)]
enum Outer<A, B, C, D, E> {
    Block(Vec<Self>, Option<Box<Self>>),
    Let { name: D, value: Inner<A, B, C, D, E> },
    Return { of: Option<Inner<A, B, C, D, E>>, more: Vec<Option<E>> },
    Nothing,
}

#[test]
fn every_leaf_of_a_recursive_type_counts() {
    macro_rules! all {
        ($of:ident) => {
            [
                of::<$of<u32, u32, u32, u32, u32>>(),
                of::<$of<i64, u32, u32, u32, u32>>(),
                of::<$of<u32, i64, u32, u32, u32>>(),
                of::<$of<u32, u32, i64, u32, u32>>(),
                of::<$of<u32, u32, u32, i64, u32>>(),
                of::<$of<u32, u32, u32, u32, i64>>(),
            ]
        };
    }
    on_small_stack(|| {
        let all = [all!(Inner), all!(Outer)].concat();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    });
}

/// Enums behind enums: each variant of the innermost is only seen when the outer ones lead there again.
#[test]
fn far_variants_are_recorded() {
    macro_rules! chain {
        ($module:ident, $last:ty) => {
            mod $module {
                use serde::Deserialize;
                #[derive(Deserialize)]
                pub(super) enum One {
                    End,
                    On(Two),
                    Back(Box<One>),
                }
                #[derive(Deserialize)]
                pub(super) enum Two {
                    On { three: Option<Vec<Three>> },
                    End,
                    Up(Box<One>),
                }
                #[derive(Deserialize)]
                pub(super) enum Three {
                    A,
                    B(u8),
                    C(Vec<u16>),
                    D { d: $last },
                    E(Box<Three>),
                }
            }
        };
    }
    chain!(one, String);
    chain!(other, Vec<u8>);
    assert!(is_whole::<one::One>(Codec::Bincode));
    assert_ne!(of::<one::One>(), of::<other::One>());
    assert_ne!(of::<(one::Two, one::One)>(), of::<(other::Two, one::One)>());
}

#[test]
fn wide_recursive_enum_is_recorded_soon() {
    macro_rules! wide {
        ($($name:ident)*) => {
            #[derive(Deserialize)]
            enum Wide { $($name(Box<Wide>, Vec<Wide>, Option<String>),)* Leaf(u8) }
        };
    }
    // More than the levels that a run may have.
    wide!(
        A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 C5 C6 C7 C8 C9 D0 D1 D2 D3
        D4 D5 D6 D7 D8 D9 E0 E1 E2 E3 E4 E5 E6 E7 E8 E9 F0 F1 F2 F3 F4 F5 F6 F7 F8 F9 G0 G1 G2 G3 G4 G5 G6 G7
        G8 G9 H0 H1 H2 H3 H4 H5 H6 H7 H8 H9 I0 I1 I2 I3 I4 I5 I6 I7 I8 I9 J0 J1 J2 J3 J4 J5 J6 J7 J8 J9 K0 K1
        K2 K3 K4 K5 K6 K7 K8 K9 L0 L1 L2 L3 L4 L5 L6 L7 L8 L9
    );
    on_small_stack(|| assert!(is_whole::<Wide>(Codec::Bincode)));
}
