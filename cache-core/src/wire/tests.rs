#[cfg(any(feature = "zstd", feature = "aead"))]
mod packed;

use std::sync::LazyLock;

use proptest::prelude::*;
use smallvec::smallvec;

use super::*;

static KEY: LazyLock<Key> = LazyLock::new(|| Key::new("product").arg(7_u64));
static AS_IS: LazyLock<Packing> = LazyLock::new(Packing::default);

fn expect<'a>() -> Expect<'a> {
    Expect {
        codec: Codec::Bincode,
        fingerprint: Fingerprint::of(0x0123_4567_89ab_cdef),
        key: &KEY,
        // No key's own, and in the released bytes.
        key_hash: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
        packing: &AS_IS,
    }
}

fn borrowed<'a>(header: Header<'a>, payload: &'a [u8]) -> (Header<'a>, Cow<'a, [u8]>) {
    (header, Cow::Borrowed(payload))
}

fn sample<'a>() -> Header<'a> {
    Header {
        version: 1_700_000_000_000_001,
        created: 1_700_000_000_000_002,
        fresh_until: 1_700_000_300_000_002,
        stale_until: 1_700_000_600_000_002,
        fail_safe_until: 1_700_003_600_000_002,
        load_micros: 12_345,
        kind: PayloadKind::Value,
        tags: smallvec![("category:7", 41), ("brand:'12", u64::MAX)],
    }
}

fn write(header: &Header<'_>, payload: &[u8]) -> Vec<u8> {
    encode(header, expect(), payload).unwrap()
}

/// Puts the right checksum under bytes that were changed on purpose.
fn signed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - CHECKSUM_BYTES);
    bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
    bytes
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        text.extend(
            line.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)),
        );
        text.push('\n');
    }
    text
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

// === The released layout ===

#[test]
fn wire_version_1_decodes_for_ever() {
    let golden = unhex(include_str!("v1.hex"));
    assert_eq!(decode(&golden, expect()), Ok(borrowed(sample(), b"payload")));
}

#[test]
fn wire_version_1_is_what_is_written() {
    assert_eq!(hex(&write(&sample(), b"payload")), include_str!("v1.hex"));
}

// === Round trip ===

type Parts = ([u64; 5], u32, PayloadKind, Vec<(String, u64)>, Vec<u8>);

fn parts() -> impl Strategy<Value = Parts> {
    let kinds = prop_oneof![Just(PayloadKind::Value), Just(PayloadKind::Nothing), Just(PayloadKind::Failure)];
    let tags = prop::collection::vec((any::<String>(), any::<u64>()), 0..=MAX_TAGS);
    (any::<[u64; 5]>(), any::<u32>(), kinds, tags, prop::collection::vec(any::<u8>(), 0..300))
}

fn header((numbers, load_micros, kind, tags, _): &Parts) -> Header<'_> {
    let &[version, created, fresh_until, stale_until, fail_safe_until] = numbers;
    let tags = tags.iter().map(|(text, generation)| (text.as_str(), *generation)).collect();
    Header { version, created, fresh_until, stale_until, fail_safe_until, load_micros: *load_micros, kind: *kind, tags }
}

proptest! {
    #[test]
    fn envelope_written_reads_back_equal(parts in parts(), key_hash in any::<u128>()) {
        let payload = if parts.2 == PayloadKind::Nothing { &[] } else { &parts.4[..] };
        let expect = Expect { codec: Codec::Json, key_hash, ..expect() };
        let bytes = encode(&header(&parts), expect, payload).unwrap();
        prop_assert_eq!(decode(&bytes, expect), Ok(borrowed(header(&parts), payload)));
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode(&bytes, expect()).is_err());
    }

    /// Behind a valid checksum: what a hostile writer could place. Whatever is read stays within the bytes.
    #[test]
    fn signed_bytes_never_panic(at in 6usize..140, change in prop::collection::vec(any::<u8>(), 1..40)) {
        let mut bytes = write(&sample(), &[7; 40]);
        for (byte, new) in bytes.iter_mut().skip(at).zip(&change) {
            *byte = *new;
        }
        let _ = decode(&signed(bytes), expect());
    }
}

#[test]
fn empty_parts_read_back_equal() {
    fn empty<'a>() -> Header<'a> {
        Header { kind: PayloadKind::Nothing, tags: Tags::new(), ..sample() }
    }
    let bytes = write(&empty(), b"");
    assert_eq!(bytes.len(), HEADER_BYTES + CHECKSUM_BYTES);
    assert_eq!(decode(&bytes, expect()), Ok(borrowed(empty(), b"")));
}

// === Refusals ===

#[test]
fn every_truncation_is_refused() {
    let bytes = write(&sample(), b"payload");
    for end in 0..bytes.len() {
        let error = decode(&bytes[..end], expect()).unwrap_err();
        let short = end < HEADER_BYTES + CHECKSUM_BYTES;
        assert_eq!(error, if short { WireError::TooShort } else { WireError::Checksum }, "cut at {end}");
    }
    assert_eq!(decode(&[&bytes[..], b"x"].concat(), expect()), Err(WireError::Checksum));
}

#[test]
fn every_flipped_bit_is_refused() {
    let bytes = write(&sample(), b"payload");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = decode(&flipped, expect()).unwrap_err();
        let named = match bit / 8 {
            0..4 => WireError::Magic,
            4 => WireError::WireVersion,
            5 => WireError::Codec,
            6 if matches!(bit % 8, 0 | 1) => WireError::Checksum,
            #[cfg(feature = "zstd")]
            6 if bit % 8 == 2 => WireError::Checksum,
            #[cfg(feature = "aead")]
            6 if bit % 8 == 3 => WireError::Sealed,
            6 => WireError::Flags,
            56..64 => WireError::Fingerprint,
            64..80 => WireError::Key,
            _ => WireError::Checksum,
        };
        assert_eq!(error, named, "bit {bit}");
    }
}

#[test]
fn first_difference_from_outside_in_is_named() {
    let bytes = write(&sample(), b"payload");
    let mut all_wrong = bytes.clone();
    let layers = [
        (0, WireError::Magic),
        (4, WireError::WireVersion),
        (5, WireError::Codec),
        (6, WireError::Flags),
        (56, WireError::Fingerprint),
        (64, WireError::Key),
        (bytes.len() - 1, WireError::Checksum),
    ];
    for (at, _) in layers {
        all_wrong[at] ^= 0x80;
    }
    for (at, error) in layers {
        assert_eq!(decode(&all_wrong, expect()), Err(error));
        all_wrong[at] ^= 0x80;
    }
    assert_eq!(all_wrong, bytes);
}

#[test]
fn another_reader_is_refused_by_name() {
    let bytes = write(&sample(), b"payload");
    let refusal = |expect: Expect<'_>| decode(&bytes, expect).unwrap_err().as_str();
    assert_eq!(refusal(Expect { codec: Codec::Json, ..expect() }), "codec");
    assert_eq!(refusal(Expect { fingerprint: Fingerprint::of(1), ..expect() }), "fingerprint");
    assert_eq!(refusal(Expect { key_hash: 1, ..expect() }), "key");
}

#[test]
fn contradictions_behind_a_valid_checksum_are_malformed() {
    let bytes = write(&sample(), b"payload");
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        decode(&signed(bytes), expect()).map(drop)
    };
    assert_eq!(with(7, 32), Err(WireError::Malformed), "more tags than there are bytes");
    assert_eq!(with(7, 1), Err(WireError::Malformed), "a tag left in the payload");
    assert_eq!(with(52, 6), Err(WireError::Malformed), "payload longer than it says");
    assert_eq!(with(80, 255), Err(WireError::Malformed), "a tag over the end");
    assert_eq!(with(82, 0xff), Err(WireError::Malformed), "a tag that is no text");
    assert_eq!(with(6, 1), Err(WireError::Malformed), "nothing, with a payload");
    assert_eq!(with(6, 3), Err(WireError::Flags), "a kind that is not known");
    #[cfg(feature = "zstd")]
    assert_eq!(with(6, 4), Err(WireError::Compression), "not compressed at all");
    #[cfg(not(feature = "zstd"))]
    assert_eq!(with(6, 4), Err(WireError::Flags));
    #[cfg(feature = "aead")]
    assert_eq!(with(6, 8), Err(WireError::Sealed));
    #[cfg(not(feature = "aead"))]
    assert_eq!(with(6, 8), Err(WireError::Flags));
    assert_eq!(with(6, 16), Err(WireError::Flags));
    assert_eq!(with(6, 2), Ok(()), "a failure has a payload");

    let mut crowded = write(&Header { tags: smallvec![("a", 1); MAX_TAGS], ..sample() }, b"");
    assert!(decode(&crowded, expect()).is_ok());
    // One tag more, and all of it there: its text is empty.
    crowded.splice(HEADER_BYTES..HEADER_BYTES, [0; 10]);
    crowded[7] += 1;
    assert_eq!(decode(&signed(crowded), expect()), Err(WireError::Malformed), "too many tags");
}

#[test]
fn what_does_not_fit_is_not_written() {
    let refusal = |tags| {
        let header = Header { tags, ..sample() };
        encode(&header, expect(), b"").map(drop)
    };
    let long = "x".repeat(70_000);
    assert_eq!(refusal(smallvec![("a", 1); MAX_TAGS + 1]), Err(WireError::TooManyTags));
    assert_eq!(refusal(smallvec![("a", 1); 300]), Err(WireError::TooManyTags));
    assert_eq!(refusal(smallvec![(long.as_str(), 1)]), Err(WireError::TooLarge));
    assert_eq!(refusal(smallvec![(&long[..65_535], 1)]), Ok(()));
    assert_eq!(refusal(smallvec![("a", 1); 32]), Ok(()));
}
