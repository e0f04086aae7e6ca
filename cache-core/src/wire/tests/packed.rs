//! Payloads that are compressed, encrypted, or both.

use super::*;

fn read<'b>(bytes: &'b [u8], packing: &Packing) -> Result<(Header<'b>, Cow<'b, [u8]>), WireError> {
    decode(bytes, Expect { packing, ..expect() })
}

fn write(packing: &Packing, header: &Header<'_>, payload: &[u8]) -> Vec<u8> {
    encode(header, Expect { packing, ..expect() }, payload).unwrap()
}

fn long() -> Vec<u8> {
    b"a payload that says the same thing again ".repeat(50)
}

#[cfg(feature = "zstd")]
fn squeezing() -> Packing {
    Packing { compression: Compression::above(100), ..Packing::default() }
}

#[cfg(feature = "aead")]
fn sealing() -> Packing {
    Packing { sealing: Sealing::with("shop", Encryption::new(1, [7; 32])), ..Packing::default() }
}

#[cfg(all(feature = "zstd", feature = "aead"))]
fn both() -> Packing {
    Packing { compression: squeezing().compression, sealing: sealing().sealing }
}

fn all() -> Vec<Packing> {
    vec![
        Packing::default(),
        #[cfg(feature = "zstd")]
        squeezing(),
        #[cfg(feature = "aead")]
        sealing(),
        #[cfg(all(feature = "zstd", feature = "aead"))]
        both(),
    ]
}

/// What is written differs from one zstd, and one nonce, to the next; what was written is read for ever.
#[test]
fn packed_payloads_of_wire_version_1_decode_for_ever() {
    let golden: &[(&str, Packing, Vec<u8>)] = &[
        #[cfg(feature = "zstd")]
        (include_str!("../v1_compressed.hex"), squeezing(), long()),
        #[cfg(feature = "aead")]
        (include_str!("../v1_sealed.hex"), sealing(), b"payload".to_vec()),
        #[cfg(all(feature = "zstd", feature = "aead"))]
        (include_str!("../v1_both.hex"), both(), long()),
    ];
    for (golden, packing, payload) in golden {
        let bytes = unhex(golden);
        assert_eq!(read(&bytes, packing), Ok((sample(), Cow::Borrowed(&payload[..]))), "{packing:?}");
    }
}

#[test]
fn packed_payload_reads_back_equal() {
    for packing in all() {
        for (kind, payload) in [
            (PayloadKind::Value, &b"payload"[..]),
            (PayloadKind::Value, &long()),
            (PayloadKind::Failure, &long()),
            (PayloadKind::Value, b""),
            (PayloadKind::Nothing, b""),
        ] {
            let header = || Header { kind, ..sample() };
            let bytes = write(&packing, &header(), payload);
            assert_eq!(read(&bytes, &packing), Ok((header(), Cow::Borrowed(payload))), "{packing:?}");
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_packed_payload_is_refused() {
    for packing in all() {
        let bytes = write(&packing, &sample(), &long());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped, &packing).is_err(), "{packing:?} bit {bit}");
            // And with a checksum that is right: what is read then is bytes for a codec to judge, and never a panic.
            if bit / 8 < bytes.len() - CHECKSUM_BYTES {
                let _ = read(&signed(flipped), &packing);
            }
        }
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end], &packing).is_err(), "{packing:?} cut at {end}");
        }
    }
}

#[cfg(feature = "zstd")]
mod compressed {
    use zstd::{bulk, zstd_safe};

    use super::*;
    use crate::codec::MAX_PAYLOAD_BYTES;

    fn says(frame: &[u8]) -> Option<u64> {
        zstd_safe::get_frame_content_size(frame).unwrap()
    }

    /// The envelope of a frame that nobody here would write.
    fn around(frame: &[u8]) -> Vec<u8> {
        let mut bytes = super::super::write(&sample(), frame);
        bytes[6] |= 4;
        signed(bytes)
    }

    #[test]
    fn only_what_is_long_enough_and_gets_smaller_is_compressed() {
        let flags = |payload: &[u8]| write(&squeezing(), &sample(), payload)[6];
        assert_eq!(flags(&long()[..99]), 0);
        assert_eq!(flags(&[b'x'; 100]), 4);
        // xorshift: bytes without an order.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let noise = (0..1000).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        assert_eq!(flags(&noise.collect::<Vec<_>>()), 0);
        assert!(write(&squeezing(), &sample(), &long()).len() < 250);
    }

    #[test]
    fn who_does_not_compress_reads_what_is() {
        let bytes = write(&squeezing(), &sample(), &long());
        assert_eq!(read(&bytes, &AS_IS), Ok((sample(), Cow::Owned(long()))));
    }

    #[test]
    fn bomb_is_refused_before_it_goes_off() {
        let largest = bulk::compress(&vec![0; MAX_PAYLOAD_BYTES], 3).unwrap();
        assert!(largest.len() < 10_000);
        assert_eq!(Compression::content_bytes(&largest), Some(MAX_PAYLOAD_BYTES));
        assert!(read(&around(&largest), &AS_IS).is_ok());
        for size in [MAX_PAYLOAD_BYTES + 1, 1 << 28] {
            let bomb = bulk::compress(&vec![0; size], 3).unwrap();
            assert_eq!(Compression::content_bytes(&bomb), None, "nothing is reserved");
            assert_eq!(read(&around(&bomb), &AS_IS), Err(WireError::Compression));
        }
    }

    #[test]
    fn frame_that_lies_about_its_size_is_refused() {
        let honest = bulk::compress(&vec![0; 60_000], 3).unwrap();
        assert_eq!(says(&honest), Some(60_000));
        // Two bytes of size, less 256, after magic and descriptor.
        let at = (4..8).find(|at| honest[*at..].starts_with(&(60_000_u16 - 256).to_le_bytes())).unwrap();
        for lie in [0_u16, 1, 59_999 - 256, 60_001 - 256, u16::MAX] {
            let mut frame = honest.clone();
            frame[at..at + 2].copy_from_slice(&lie.to_le_bytes());
            assert_eq!(read(&around(&frame), &AS_IS), Err(WireError::Compression), "{lie}");
        }
        // More than so few bytes could ever make: nothing is reserved.
        let mut claim = b"\x28\xb5\x2f\xfd\xa0".to_vec();
        claim.extend_from_slice(&(64_u32 << 20).to_le_bytes());
        claim.extend_from_slice(&[1, 0, 0]);
        assert_eq!(says(&claim), Some(64 << 20));
        assert_eq!(Compression::content_bytes(&claim), None);
        assert_eq!(read(&around(&claim), &AS_IS), Err(WireError::Compression));
    }

    #[test]
    fn what_is_no_single_frame_is_refused() {
        let frame = bulk::compress(&long(), 3).unwrap();
        let sizeless = zstd::encode_all(&long()[..], 3).unwrap();
        let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0skip".to_vec();
        for bytes in [
            Vec::new(),
            b"text".to_vec(),
            sizeless,
            skippable.clone(),
            [&frame[..], &frame].concat(),
            [&frame[..], b"\0"].concat(),
            [frame.clone(), skippable].concat(),
            frame[..frame.len() - 1].to_vec(),
        ] {
            assert_eq!(read(&around(&bytes), &AS_IS), Err(WireError::Compression), "{bytes:02x?}");
        }
        assert!(read(&around(&frame), &AS_IS).is_ok());
    }
}

#[cfg(feature = "aead")]
mod sealed {
    use super::*;

    fn with(encryption: Encryption) -> Packing {
        Packing { sealing: Sealing::with("shop", encryption), ..Packing::default() }
    }

    #[test]
    fn nothing_of_the_payload_can_be_read_and_no_two_are_alike() {
        let [one, two] = [0; 2].map(|_| write(&sealing(), &sample(), b"payload"));
        assert!(!one.windows(4).any(|bytes| bytes == b"payl"));
        assert_ne!(one, two);
        assert_eq!(one.len(), super::super::write(&sample(), b"payload").len() + 41);
    }

    /// Behind a checksum that is right, so that the seal alone can tell.
    #[test]
    fn every_bit_of_the_envelope_is_under_the_seal() {
        let bytes = write(&sealing(), &sample(), b"payload");
        for bit in 0..(bytes.len() - CHECKSUM_BYTES) * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&signed(flipped), &sealing()).is_err(), "bit {bit}");
        }
        // These are read without a complaint where nothing is sealed.
        for at in [8, 16, 24, 32, 40, 48, 82, 92] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(read(&signed(changed), &sealing()), Err(WireError::BrokenSeal), "at {at}");
            let mut plain = super::super::write(&sample(), b"payload");
            plain[at] ^= 1;
            assert!(read(&signed(plain), &AS_IS).is_ok(), "at {at}");
        }
    }

    #[test]
    fn payload_of_another_key_or_namespace_does_not_open() {
        let bytes = write(&sealing(), &sample(), b"payload");
        let other = Key::new("product").arg(8_u64);
        // The hash is the same, as that of a key might be that somebody looked for.
        let (packing, elsewhere) =
            (sealing(), Packing { sealing: Sealing::with("shop2", Encryption::new(1, [7; 32])), ..sealing() });
        let moved = Expect { key: &other, packing: &packing, ..expect() };
        assert_eq!(decode(&bytes, moved), Err(WireError::BrokenSeal));
        assert_eq!(read(&bytes, &elsewhere), Err(WireError::BrokenSeal));
        assert!(read(&bytes, &packing).is_ok());
    }

    #[test]
    fn sealed_and_plain_are_told_apart_by_name() {
        let plain = super::super::write(&sample(), b"payload");
        let sealed = write(&sealing(), &sample(), b"payload");
        assert_eq!(read(&plain, &sealing()), Err(WireError::Plain));
        assert_eq!(read(&sealed, &AS_IS), Err(WireError::Sealed));
        // The flag is not a way around the seal.
        let mut stripped = sealed;
        stripped[6] &= !8;
        assert_eq!(read(&signed(stripped), &sealing()), Err(WireError::Plain));
    }

    #[test]
    fn keys_are_changed_while_nodes_run() {
        let (old, new) = ([1; 32], [2; 32]);
        let before = with(Encryption::new(1, old));
        let both = with(Encryption::new(1, old).also(2, new));
        let turned = with(Encryption::new(2, new).also(1, old));
        let after = with(Encryption::new(2, new));
        let reads = |writer: &Packing, reader: &Packing| read(&write(writer, &sample(), b"payload"), reader).map(drop);
        for (writer, reader) in
            [(&before, &both), (&both, &before), (&both, &turned), (&turned, &both), (&turned, &after)]
        {
            assert_eq!(reads(writer, reader), Ok(()));
        }
        assert_eq!(reads(&turned, &before), Err(WireError::Sealed), "by a key that came later");
        assert_eq!(reads(&before, &after), Err(WireError::Sealed), "by a key that is gone");
        assert_eq!(
            reads(&before, &with(Encryption::new(1, new))),
            Err(WireError::BrokenSeal),
            "another key of this id"
        );
    }

    #[test]
    fn keys_are_told_apart_and_not_shown() {
        let encryption = Encryption::new(1, [0xab; 32]).also(2, [0xcd; 32]);
        assert_eq!(format!("{encryption:?}"), "Encryption { writes: 1, also: [2], .. }");
        let shown = format!("{:?}", with(encryption.clone()));
        assert!(!shown.contains("171") && !shown.contains("205") && !shown.contains("ab"), "{shown}");
        assert_eq!(with(encryption.clone()).sealing.fault(), None);
        let fault = with(encryption.also(1, [0; 32])).sealing.fault();
        assert!(fault.is_some_and(|words| words.contains("two keys have the id 1")));
    }

    #[test]
    fn payload_too_short_to_be_sealed_is_malformed() {
        for size in 0..41 {
            let mut bytes = super::super::write(&sample(), &vec![1; size]);
            bytes[6] |= 8;
            assert_eq!(read(&signed(bytes), &sealing()), Err(WireError::Malformed), "{size}");
        }
    }
}
