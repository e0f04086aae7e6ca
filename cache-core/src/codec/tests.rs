mod formats;

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    error::Error as _,
    fmt,
    time::Duration,
};

use proptest::prelude::*;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned, SeqAccess},
    ser::SerializeSeq,
};

use super::{CodecError, guard::Capped, *};

const ROOM: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rich {
    id: u64,
    wide: u128,
    signed: i64,
    small: i8,
    ratio: f64,
    half: f32,
    letter: char,
    name: String,
    note: Option<String>,
    pair: (u8, bool),
    list: Vec<Shape>,
    map: BTreeMap<String, Vec<u16>>,
    unit: (),
    nested: Option<Box<Rich>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    One(u32),
    Two(i32, String),
    Named { x: f32, y: Option<bool> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chain(Option<Box<Chain>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tree(Vec<Tree>);

#[derive(Debug, Serialize, Deserialize)]
struct Unit;

fn round<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(codec: Codec, value: &T) {
    let bytes = codec.encode(value, ROOM).unwrap();
    assert_eq!(codec.decode::<T>(&bytes, ROOM).as_ref(), Ok(value), "{codec:?}");
    assert_eq!(codec.check_round_trip::<T>(&bytes, ROOM), Ok(()), "{codec:?}");
}

fn refusal<T: Serialize + ?Sized>(codec: Codec, value: &T) -> &'static str {
    codec.encode(value, ROOM).map_or_else(|error| error.as_str(), |_| "written")
}

fn reason<T: DeserializeOwned>(codec: Codec, bytes: &[u8]) -> &'static str {
    codec.decode::<T>(bytes, MAX_PAYLOAD_BYTES).map_or_else(|error| error.as_str(), |_| "read")
}

/// bincode's way to write a length of eight bytes.
fn length(length: u64) -> Vec<u8> {
    [&[253][..], &length.to_le_bytes()].concat()
}

fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    // Half of what a worker thread of tokio has; a debug build's frames are the largest.
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap();
    thread.join().unwrap();
}

// === Values come back ===

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Empty),
        any::<u32>().prop_map(Shape::One),
        (any::<i32>(), any::<String>()).prop_map(|(x, y)| Shape::Two(x, y)),
        (-1e30f32..1e30, any::<Option<bool>>()).prop_map(|(x, y)| Shape::Named { x, y }),
    ]
}

fn riches() -> impl Strategy<Value = Rich> {
    let numbers = (any::<u64>(), any::<u128>(), any::<i64>(), any::<i8>(), -1e300f64..1e300, -1e30f32..1e30);
    let texts = (any::<char>(), any::<String>(), any::<Option<String>>(), any::<(u8, bool)>());
    let lists = (
        prop::collection::vec(shapes(), 0..5),
        prop::collection::btree_map(any::<String>(), prop::collection::vec(any::<u16>(), 0..4), 0..4),
    );
    (numbers, texts, lists).prop_map(
        |((id, wide, signed, small, ratio, half), (letter, name, note, pair), (list, map))| {
            let flat = Rich {
                id,
                wide,
                signed,
                small,
                ratio,
                half,
                letter,
                name,
                note,
                pair,
                list,
                map,
                unit: (),
                nested: None,
            };
            Rich { nested: Some(Box::new(flat.clone())), ..flat }
        },
    )
}

proptest! {
    #[test]
    fn value_written_reads_back_equal(rich in riches()) {
        for &codec in Codec::ALL {
            round(codec, &rich);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for &codec in Codec::ALL {
            let _ = codec.decode::<Rich>(&bytes, ROOM);
            let _ = codec.decode::<Chain>(&bytes, ROOM);
            let _ = codec.decode::<Vec<Vec<()>>>(&bytes, ROOM);
            let _ = codec.decode::<HashMap<u8, Option<Shape>>>(&bytes, ROOM);
            let _ = codec.decode::<Vec<String>>(&bytes, ROOM);
            let _ = codec.decode::<serde_json::Value>(&bytes, ROOM);
        }
    }

    #[test]
    fn changed_bytes_never_panic(rich in riches(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        for &codec in Codec::ALL {
            let mut bytes = codec.encode(&rich, ROOM).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = codec.decode::<Rich>(&bytes, ROOM);
            let _ = codec.decode::<Rich>(&bytes[..at], ROOM);
        }
    }

    #[test]
    fn json_floats_are_exact(ratio in any::<f64>().prop_filter("finite", |ratio| ratio.is_finite())) {
        let bytes = Codec::Json.encode(&ratio, ROOM).unwrap();
        prop_assert_eq!(Codec::Json.decode::<f64>(&bytes, ROOM).unwrap().to_bits(), ratio.to_bits());
    }
}

#[test]
fn common_types_read_back_equal() {
    for &codec in Codec::ALL {
        round(codec, &Duration::from_nanos(1_500_000_001));
        round(codec, &uuid::Uuid::from_u128(7));
        round(codec, &url::Url::parse("https://a.example/x?y=z").unwrap());
        round(codec, &"::1".parse::<std::net::IpAddr>().unwrap());
        round(codec, &std::num::NonZeroU32::MIN);
        round(codec, &HashMap::from([(1u32, "a".to_owned()), (2, "b".to_owned())]));
        round(codec, &std::sync::Arc::<str>::from("shared"));
        round(codec, &chrono::DateTime::from_timestamp(1, 5).unwrap());
        round(codec, &vec![(); 60_000]);
    }
}

#[test]
fn integers_that_take_one_byte_each_may_fill_the_payload() {
    // bincode counts 16 bytes for each of these.
    let zeros = vec![0u128; MAX_PAYLOAD_BYTES / 16 + 1];
    let bytes = Codec::Bincode.encode(&zeros, MAX_PAYLOAD_BYTES).unwrap();
    assert!(bytes.len() < 6 << 20);
    assert_eq!(Codec::Bincode.decode::<Vec<u128>>(&bytes, MAX_PAYLOAD_BYTES).unwrap().len(), zeros.len());
}

// === Hostile lengths ===

#[test]
#[expect(clippy::zero_sized_map_values, reason = "a map of nothing is what a hostile length is tried on")]
fn units_by_the_trillion_are_refused_at_once() {
    assert_eq!(reason::<Vec<()>>(Codec::Bincode, &length(1 << 40)), "too_many");
    assert_eq!(reason::<Vec<Unit>>(Codec::Bincode, &length(u64::MAX)), "too_many");
    assert_eq!(reason::<BTreeMap<(), Unit>>(Codec::Bincode, &length(1 << 40)), "too_many");
    assert_eq!(reason::<Vec<[(); 32]>>(Codec::Bincode, &length(1 << 40)), "too_many");
    // Many lists that are each just within the budget.
    let lists = [length(1000), length(60_000).repeat(1000)].concat();
    assert_eq!(reason::<Vec<Vec<()>>>(Codec::Bincode, &lists), "too_many");
}

#[test]
fn units_by_the_trillion_are_not_written() {
    struct Units(Option<usize>);
    impl Serialize for Units {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(self.0)?;
            for _ in 0..1u64 << 40 {
                seq.serialize_element(&())?;
            }
            seq.end()
        }
    }
    assert_eq!(refusal(Codec::Bincode, &Units(Some(1 << 40))), "too_many");
    assert_eq!(refusal(Codec::Bincode, &Units(Some(1))), "too_many");
    assert_eq!(refusal(Codec::Json, &Units(Some(1 << 40))), "too_many");
    assert_eq!(refusal(Codec::Json, &Units(None)), "too_large");
    // Fits the limit that was asked for, but would not be read back from the few bytes it takes.
    assert_eq!(refusal(Codec::Bincode, &vec![(); 70_000]), "too_many");
}

#[test]
fn lengths_beyond_the_input_are_refused() {
    for huge in [1 << 20, 1 << 33, 1 << 40, u64::MAX] {
        assert_eq!(reason::<String>(Codec::Bincode, &length(huge)), "malformed");
        assert_eq!(reason::<Vec<u64>>(Codec::Bincode, &length(huge)), "too_many");
        assert_eq!(reason::<Vec<String>>(Codec::Bincode, &[length(2), length(huge)].concat()), "malformed");
    }
}

/// A codec may allocate the stated length of owned text before it looks whether the input has that much.
#[test]
fn owned_text_and_bytes_are_read_as_borrowed() {
    struct Borrowed;
    impl<'de> Deserialize<'de> for Borrowed {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> de::Visitor<'de> for Visitor {
                type Value = ();
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("something borrowed")
                }
                fn visit_borrowed_str<E>(self, _: &'de str) -> Result<(), E> {
                    Ok(())
                }
                fn visit_borrowed_bytes<E>(self, _: &'de [u8]) -> Result<(), E> {
                    Ok(())
                }
            }
            struct Bytes;
            impl<'de> Deserialize<'de> for Bytes {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_byte_buf(Visitor).map(|()| Self)
                }
            }
            struct Text;
            impl<'de> Deserialize<'de> for Text {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_string(Visitor).map(|()| Self)
                }
            }
            <(Text, Bytes)>::deserialize(deserializer).map(|_| Self)
        }
    }
    let bytes = Codec::Bincode.encode(&("text", "bytes"), ROOM).unwrap();
    assert!(Codec::Bincode.decode::<Borrowed>(&bytes, ROOM).is_ok());
}

#[test]
fn length_in_the_input_reserves_little() {
    thread_local! {
        static HINT: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    struct Hinted;
    impl<'de> Deserialize<'de> for Hinted {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> de::Visitor<'de> for Visitor {
                type Value = Hinted;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a list")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Hinted, A::Error> {
                    HINT.set(seq.size_hint().unwrap());
                    Ok(Hinted)
                }
            }
            deserializer.deserialize_seq(Visitor)
        }
    }
    let _ = Codec::Bincode.decode::<Hinted>(&length(60_000), ROOM);
    assert_eq!(HINT.get(), 9, "no more than the bytes there are");
    let _ = Codec::Bincode.decode::<Hinted>(&[length(60_000), vec![0; 100_000]].concat(), ROOM);
    assert_eq!(HINT.get(), 4096);
}

// === Depth ===

#[test]
fn million_levels_are_refused_without_a_stack() {
    on_small_stack(|| {
        assert_eq!(reason::<Chain>(Codec::Bincode, &vec![1; 1_000_000]), "too_deep");
        assert_eq!(reason::<Tree>(Codec::Bincode, &vec![1; 1_000_000]), "too_deep");
        assert_eq!(reason::<Tree>(Codec::Json, "[".repeat(1_000_000).as_bytes()), "too_deep");
        assert_eq!(reason::<serde_json::Value>(Codec::Json, "[".repeat(1_000_000).as_bytes()), "too_deep");
        assert_eq!(reason::<de::IgnoredAny>(Codec::Json, "[".repeat(1_000_000).as_bytes()), "malformed");
        // No nesting in the input at all: each Some and each newtype reads the same five.
        assert_eq!(reason::<Chain>(Codec::Json, b"5"), "too_deep");
    });
}

#[test]
fn endless_value_is_not_written() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_some(self)
        }
    }
    on_small_stack(|| {
        for &codec in Codec::ALL {
            assert_eq!(refusal(codec, &Endless), "too_deep");
        }
    });
}

#[test]
fn deepest_value_that_is_written_can_be_read() {
    fn tree(levels: usize) -> Tree {
        (1..levels).fold(Tree(Vec::new()), |inner, _| Tree(vec![inner]))
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Deep {
        End,
        New(Box<Deep>),
        Pair(u8, Box<Deep>),
        Named { inner: Box<Deep> },
    }
    fn deep(levels: usize) -> Deep {
        (0..levels).fold(Deep::End, |inner, level| match level % 3 {
            0 => Deep::New(Box::new(inner)),
            1 => Deep::Pair(1, Box::new(inner)),
            _ => Deep::Named { inner: Box::new(inner) },
        })
    }
    on_small_stack(|| {
        for &codec in Codec::ALL {
            // Each level is a newtype and a list: 126 of 127 levels.
            round(codec, &tree(63));
            assert_eq!(refusal(codec, &tree(64)), "too_deep");
            let deepest = (0..200).rev().find(|&levels| codec.encode(&deep(levels), ROOM).is_ok()).unwrap();
            assert!((70..80).contains(&deepest), "{deepest}");
            round(codec, &deep(deepest));
        }
    });
}

// === Bytes ===

#[test]
fn value_over_the_limit_is_not_built() {
    let text = "x".repeat(5000);
    for &codec in Codec::ALL {
        assert_eq!(codec.encode(&text, 5000), Err(CodecError::TooLarge { max_bytes: 5000 }));
        let bytes = codec.encode(&text, 5010).unwrap();
        assert_eq!(codec.decode::<String>(&bytes, 5000), Err(CodecError::TooLarge { max_bytes: 5000 }));
        assert_eq!(codec.decode::<String>(&bytes, 5010).as_ref(), Ok(&text));
        assert_eq!(codec.encode(&text, usize::MAX).as_ref(), Ok(&bytes));
    }
    struct Swallows;
    impl Serialize for Swallows {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(Some(2))?;
            let _ = seq.serialize_element(&"x".repeat(200));
            let _ = seq.serialize_element(&1u8);
            seq.end()
        }
    }
    for &codec in Codec::ALL {
        assert_eq!(codec.encode(&Swallows, 100), Err(CodecError::TooLarge { max_bytes: 100 }));
    }
    let mut capped = Capped::new(1000);
    while capped.push(&[0; 7]) {}
    assert!(capped.is_full());
    let bytes = capped.into_bytes();
    assert_eq!((bytes.len(), bytes.capacity()), (994, 1000));
}

#[test]
fn leftover_bytes_are_refused() {
    for &codec in Codec::ALL {
        let mut bytes = codec.encode(&7u32, ROOM).unwrap();
        bytes.push(b'1' - 1);
        bytes.push(b',');
        assert_eq!(reason::<u32>(codec, &bytes), "trailing");
    }
    assert_eq!(reason::<u32>(Codec::Json, b"7 8"), "trailing");
}

#[test]
fn missing_bytes_are_refused() {
    let value = ("text".to_owned(), 7u64, Some(vec![Shape::One(1)]));
    for &codec in Codec::ALL {
        let bytes = codec.encode(&value, ROOM).unwrap();
        for end in 0..bytes.len() {
            assert_eq!(reason::<(String, u64, Option<Vec<Shape>>)>(codec, &bytes[..end]), "malformed");
        }
    }
}

// === Types and values that a format cannot hold ===

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Skips {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    a: Option<u8>,
    b: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    more: BTreeMap<String, u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    A { x: u8 },
    B,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of")]
enum Adjacent {
    A(u8),
    B,
}

fn unsupported<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T) {
    for &codec in Codec::ALL {
        if codec.is_self_describing() {
            round(codec, value);
            continue;
        }
        let written = codec.encode(value, ROOM);
        let error = written.and_then(|bytes| codec.check_round_trip::<T>(&bytes, ROOM)).unwrap_err();
        assert!(matches!(error.as_str(), "unsupported" | "round_trip"), "{error:?}");
        let words = error.to_string();
        assert!(words.contains("use Codec::Json for this type") && words.contains(codec.as_str()), "{words}");
    }
}

#[test]
fn positional_codecs_refuse_what_needs_a_format_with_names() {
    unsupported(&Skips { a: None, b: 1 });
    unsupported(&Flat { id: 1, more: BTreeMap::from([("x".to_owned(), 2)]) });
    unsupported(&Untagged::Number(1));
    unsupported(&Tagged::A { x: 1 });
    unsupported(&Adjacent::A(1));
    unsupported(&serde_json::json!({ "a": [1, null] }));
    for &codec in Codec::ALL {
        round(codec, &Skips { a: Some(1), b: 1 });
    }
}

#[test]
fn skipped_field_is_refused_on_every_write() {
    // Read back, these bytes would be a value without an error: `a = Some(0)`, `b = 7`.
    let skipped = (Skips { a: None, b: 1 }, 0u8, 7u8);
    for &codec in Codec::ALL {
        let expected = if codec.is_self_describing() { "written" } else { "unsupported" };
        assert_eq!(refusal(codec, &skipped), expected, "{codec:?}");
    }
}

#[test]
fn field_written_but_not_read_is_found_by_the_round_trip() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct OneSided {
        #[serde(skip_deserializing)]
        a: u8,
        b: Option<u8>,
    }
    let bytes = Codec::Bincode.encode(&OneSided { a: 1, b: None }, ROOM).unwrap();
    assert_eq!(reason::<OneSided>(Codec::Bincode, &bytes), "read", "as something else");
    let error = Codec::Bincode.check_round_trip::<OneSided>(&bytes, ROOM).unwrap_err();
    assert_eq!(error.as_str(), "round_trip");
    assert_eq!(error.source().unwrap().to_string(), "2 bytes became 3 when written again");
}

#[test]
fn json_refuses_values_that_would_come_back_as_others() {
    assert_eq!(refusal(Codec::Json, &f64::NAN), "unsupported");
    assert_eq!(refusal(Codec::Json, &vec![Some(f32::INFINITY)]), "unsupported");
    assert_eq!(refusal(Codec::Json, &Some(None::<u8>)), "unsupported");
    assert_eq!(refusal(Codec::Json, &Some(())), "unsupported");
    assert_eq!(refusal(Codec::Json, &Some(Chain(None))), "unsupported");
    round(Codec::Json, &Some(vec![None::<u8>]));
    round(Codec::Json, &(None::<u8>, Some(Some(1u8)), ()));
    round(Codec::Bincode, &Some(None::<u8>));
    round(Codec::Bincode, &(f64::INFINITY, Some(Chain(None))));
}

#[test]
fn refusal_that_a_type_swallows_still_counts() {
    struct Swallows;
    impl Serialize for Swallows {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(Some(1))?;
            let _ = seq.serialize_element(&f64::NAN);
            seq.end()
        }
    }
    assert_eq!(refusal(Codec::Json, &Swallows), "unsupported");
}

// === Words ===

#[test]
fn errors_quote_no_data() {
    let all = |error: CodecError| {
        format!("{error} {error:?} {}", error.source().map(ToString::to_string).unwrap_or_default())
    };
    let text = Codec::Json.encode(&"secret, expected nothing", ROOM).unwrap();
    let of_numbers = [
        Codec::Json.decode::<u32>(&text, ROOM).unwrap_err(),
        Codec::Json.decode::<Shape>(&text, ROOM).map(drop).unwrap_err(),
        Codec::Json.decode::<bool>(b"73550", ROOM).map(drop).unwrap_err(),
        Codec::Json.decode::<u8>(b"73550", ROOM).map(drop).unwrap_err(),
        Codec::Json.decode::<Adjacent>(b"{\"kind\":\"secret\"}", ROOM).map(drop).unwrap_err(),
        Codec::Bincode.decode::<std::num::NonZeroU16>(&[0], ROOM).map(drop).unwrap_err(),
        Codec::Bincode.decode::<Shape>(&[77], ROOM).map(drop).unwrap_err(),
    ];
    for error in of_numbers {
        let words = all(error);
        assert!(!words.contains("secret") && !words.contains("73550") && !words.contains("77"), "{words}");
        assert!(words.contains("expected"), "still says what was wanted: {words}");
    }
    struct Long;
    impl Serialize for Long {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("é".repeat(1000)))
        }
    }
    let error = Codec::Bincode.encode(&Long, ROOM).unwrap_err();
    assert_eq!(error.as_str(), "refused");
    assert!(error.source().unwrap().to_string().len() < 250);
}

#[test]
fn ids_and_words_are_fixed() {
    let fixed = [(1, "bincode"), (2, "json"), (3, "postcard"), (4, "messagepack")];
    for &codec in Codec::ALL {
        assert!(fixed.contains(&(codec.id(), codec.as_str())), "{codec:?}");
        assert_eq!(Codec::from_id(codec.id()), Some(codec));
    }
    let known = (0..=u8::MAX).filter_map(Codec::from_id).collect::<Vec<_>>();
    assert_eq!((&known[..], Codec::default()), (Codec::ALL, Codec::Bincode), "and an id is one codec's");
}
