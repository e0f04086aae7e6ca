//! What is each format's own: its bytes, which never change, its hostile lengths, and the values that it refuses.

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Values that are stored outlive a deploy: an update of a codec's crate that wrote them otherwise would misread them.
#[test]
fn bytes_of_each_codec_are_fixed() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Fixed {
        id: u64,
        delta: i32,
        ratio: f64,
        name: String,
        note: Option<bool>,
        shapes: Vec<Shape>,
        ip: std::net::IpAddr,
    }
    let value = Fixed {
        id: 300,
        delta: -3,
        ratio: 0.5,
        name: "é".into(),
        note: None,
        shapes: vec![
            Shape::Empty,
            Shape::One(70_000),
            Shape::Two(-1, "b".into()),
            Shape::Named { x: 1.5, y: Some(true) },
        ],
        ip: [10, 0, 0, 1].into(),
    };
    let written: Vec<(Codec, String)> =
        Codec::ALL.iter().map(|codec| (*codec, hex(&codec.encode(&value, ROOM).unwrap()))).collect();
    let golden: Vec<(Codec, String)> = GOLDEN.iter().map(|(codec, hex)| (*codec, hex.concat())).collect();
    assert_eq!(written, golden);
}

const GOLDEN: &[(Codec, &[&str])] = &[
    (Codec::Bincode, &["fb2c0105000000000000e03f02c3a900040001fc7011010002010162030000c03f0101000a000001"]),
    (
        Codec::Json,
        &[
            "7b226964223a3330302c2264656c7461223a2d332c22726174696f223a302e352c226e616d65223a22c3a9222c226e6f7465",
            "223a6e756c6c2c22736861706573223a5b22456d707479222c7b224f6e65223a37303030307d2c7b2254776f223a5b2d312c",
            "2262225d7d2c7b224e616d6564223a7b2278223a312e352c2279223a747275657d7d5d2c226970223a2231302e302e302e31",
            "227d",
        ],
    ),
    #[cfg(feature = "postcard")]
    (Codec::Postcard, &["ac0205000000000000e03f02c3a900040001f0a20402010162030000c03f0101000a000001"]),
    #[cfg(feature = "messagepack")]
    (
        Codec::MessagePack,
        &[
            "87a26964cd012ca564656c7461fda5726174696fcb3fe0000000000000a46e616d65a2c3a9a46e6f7465c0a6736861706573",
            "94a5456d70747981a34f6e65ce0001117081a354776f92ffa16281a54e616d656482a178ca3fc00000a179c3a26970a83130",
            "2e302e302e31",
        ],
    ),
];

#[test]
fn types_with_a_form_for_people_read_back_through_flatten() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        id: uuid::Uuid,
        ip: std::net::IpAddr,
        at: chrono::DateTime<chrono::Utc>,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer {
        name: String,
        #[serde(flatten)]
        inner: Inner,
    }
    let at = chrono::DateTime::from_timestamp(1, 5).unwrap();
    let inner = Inner { id: uuid::Uuid::from_u128(7), ip: [10, 0, 0, 1].into(), at };
    unsupported(&Outer { name: "a".into(), inner });
}

#[cfg(feature = "postcard")]
mod postcard {
    use super::*;

    const CODEC: Codec = Codec::Postcard;

    /// A number of any size, seven bits a byte.
    fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    #[test]
    #[expect(clippy::zero_sized_map_values, reason = "a map of nothing is what a hostile length is tried on")]
    fn hostile_lengths_are_refused() {
        for huge in [1 << 20, 1 << 33, 1 << 40, u64::MAX] {
            assert_eq!(reason::<Vec<()>>(CODEC, &varint(huge)), "too_many");
            assert_eq!(reason::<Vec<Unit>>(CODEC, &varint(huge)), "too_many");
            assert_eq!(reason::<BTreeMap<(), Unit>>(CODEC, &varint(huge)), "too_many");
            assert_eq!(reason::<Vec<[(); 32]>>(CODEC, &varint(huge)), "too_many");
            assert_eq!(reason::<String>(CODEC, &varint(huge)), "malformed");
            assert_eq!(reason::<Vec<String>>(CODEC, &[varint(2), varint(huge)].concat()), "malformed");
        }
        let lists = [varint(1000), varint(60_000).repeat(1000)].concat();
        assert_eq!(reason::<Vec<Vec<()>>>(CODEC, &lists), "too_many");
        assert_eq!(refusal(CODEC, &vec![(); 70_000]), "too_many");
        on_small_stack(|| {
            assert_eq!(reason::<Chain>(CODEC, &vec![1; 1_000_000]), "too_deep");
            assert_eq!(reason::<Tree>(CODEC, &vec![1; 1_000_000]), "too_deep");
        });
    }

    #[test]
    fn what_bincode_can_tell_apart_it_can_too() {
        round(CODEC, &Some(None::<u8>));
        round(CODEC, &(f64::INFINITY, Some(Chain(None))));
        // Neither says how many elements come before they have come.
        struct Unsure;
        impl Serialize for Unsure {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_seq(None)?.end()
            }
        }
        assert_eq!(refusal(CODEC, &Unsure), "unsupported");
        assert_eq!(refusal(Codec::Bincode, &Unsure), "unsupported");
    }
}

#[cfg(feature = "messagepack")]
mod message_pack {
    use super::*;

    const CODEC: Codec = Codec::MessagePack;

    /// A marker with a length of four bytes: 0xdd a list, 0xdf a map, 0xdb text, 0xc6 bytes.
    fn long(marker: u8, length: u32) -> Vec<u8> {
        [&[marker][..], &length.to_be_bytes()].concat()
    }

    #[test]
    #[expect(clippy::zero_sized_map_values, reason = "a map of nothing is what a hostile length is tried on")]
    fn hostile_lengths_are_refused() {
        for huge in [1 << 20, 1 << 31, u32::MAX] {
            assert_eq!(reason::<Vec<()>>(CODEC, &long(0xdd, huge)), "too_many");
            assert_eq!(reason::<serde_json::Value>(CODEC, &long(0xdd, huge)), "too_many");
            assert_eq!(reason::<de::IgnoredAny>(CODEC, &long(0xdd, huge)), "too_many");
            assert_eq!(reason::<BTreeMap<(), Unit>>(CODEC, &long(0xdf, huge)), "too_many");
            assert_eq!(reason::<serde_json::Value>(CODEC, &long(0xdf, huge)), "too_many");
            assert_eq!(reason::<String>(CODEC, &long(0xdb, huge)), "malformed");
            assert_eq!(reason::<Vec<u8>>(CODEC, &long(0xc6, huge)), "malformed");
        }
        assert_eq!(refusal(CODEC, &vec![(); ROOM + 1]), "too_large");
    }

    #[test]
    fn million_levels_are_refused_without_a_stack() {
        on_small_stack(|| {
            assert_eq!(reason::<Tree>(CODEC, &vec![0x91; 1_000_000]), "too_deep");
            assert_eq!(reason::<serde_json::Value>(CODEC, &vec![0x91; 1_000_000]), "too_deep");
            assert_eq!(reason::<de::IgnoredAny>(CODEC, &vec![0x81; 1_000_000]), "too_deep");
            // No nesting in the input at all: each Some and each newtype reads the same five.
            assert_eq!(reason::<Chain>(CODEC, &[5]), "too_deep");
        });
    }

    /// What follows is looked at, whatever it begins as.
    #[test]
    fn any_byte_left_over_is_refused() {
        for byte in 0..=u8::MAX {
            assert_eq!(reason::<u32>(CODEC, &[7, byte]), "trailing", "{byte:02x}");
            assert_eq!(reason::<Option<Shape>>(CODEC, &[0xc0, byte]), "trailing", "{byte:02x}");
        }
    }

    #[test]
    fn values_that_would_come_back_as_others_are_refused() {
        assert_eq!(refusal(CODEC, &Some(None::<u8>)), "unsupported");
        assert_eq!(refusal(CODEC, &Some(())), "unsupported");
        assert_eq!(refusal(CODEC, &Some(Chain(None))), "unsupported");
        round(CODEC, &Some(vec![None::<u8>]));
        round(CODEC, &(None::<u8>, Some(Some(1u8)), ()));
        round(CODEC, &(f64::INFINITY, f32::MIN));
        let nan = CODEC.encode(&f64::NAN, ROOM).unwrap();
        assert!(CODEC.decode::<f64>(&nan, ROOM).unwrap().is_nan());
    }

    #[test]
    fn keys_of_a_map_may_be_anything() {
        round(CODEC, &BTreeMap::from([((1u8, "a".to_owned()), 2u8), ((3, "b".to_owned()), 4)]));
        assert_eq!(refusal(Codec::Json, &BTreeMap::from([((1u8, 2u8), 3u8)])), "refused");
    }

    #[test]
    fn errors_quote_no_data() {
        let errors = [
            CODEC.decode::<String>(&[73], ROOM).map(drop).unwrap_err(),
            CODEC.decode::<u8>(&[0xa6, b's', b'e', b'c', b'r', b'e', b't'], ROOM).map(drop).unwrap_err(),
            CODEC.decode::<Shape>(&[0xa6, b's', b'e', b'c', b'r', b'e', b't'], ROOM).map(drop).unwrap_err(),
            CODEC.decode::<Shape>(&[0x81, 0xa5, b'E', b'm', b'p', b't', b'y', 73], ROOM).map(drop).unwrap_err(),
            CODEC.decode::<std::net::IpAddr>(&[73], ROOM).map(drop).unwrap_err(),
        ];
        for error in errors {
            let words = format!("{error} {error:?}");
            assert!(!words.contains("secret") && !words.contains("73"), "{words}");
            assert!(words.contains("expected"), "still says what was wanted: {words}");
        }
    }
}
