//! Payloads that are compressed or encrypted, damaged, forged, or moved; and ones that unfold to more than there is room for.

use cache_core::{Cache, Codec};
use tests::fixtures::{RedisServer, eventually};
use xxhash_rust::xxh3::xxh3_64;

use super::{Hand, SOON, found, stored};
use crate::{
    codecs::{CODECS, PACKINGS, Packing, node},
    support::{Origin, Product, key, product},
};

/// The right checksum under an envelope that was changed, as a forger would put there.
fn signed(mut envelope: Vec<u8>) -> Vec<u8> {
    envelope.truncate(envelope.len() - 8);
    let checksum = xxh3_64(&envelope);
    envelope.extend_from_slice(&checksum.to_le_bytes());
    envelope
}

/// The envelope with other flags and another payload in it. Its tags are the namespace and the scope: they stay.
fn around(envelope: &[u8], flags: u8, payload: &[u8]) -> Vec<u8> {
    let old = u32::from_le_bytes(envelope[52..56].try_into().unwrap()) as usize;
    let mut bytes = [&envelope[..envelope.len() - 8 - old], payload, &[0; 8]].concat();
    bytes[6] = flags;
    bytes[52..56].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    signed(bytes)
}

/// A key with a payload in Redis, and a node that has not read it.
struct Scene {
    writer: Cache,
    reader: Cache,
    hand: Hand,
    name: String,
    good: Vec<u8>,
    _redis: RedisServer,
}

// === impl Scene ===

impl Scene {
    async fn new(codec: Codec, packing: Packing) -> Self {
        let redis = RedisServer::start().await;
        Self::on(redis, codec, packing).await
    }

    async fn on(redis: RedisServer, codec: Codec, packing: Packing) -> Self {
        let (writer, reader) = (node(&redis, codec, packing).await, node(&redis, codec, packing).await);
        let mut hand = Hand::on(&redis).await;
        // A category that gets smaller.
        let value = Product { category: "books ".repeat(20), ..product(7, 0) };
        assert!(writer.put(key(7), value).await.is_applied());
        let name = hand.payload_of(&writer, &key(7)).await;
        let good = hand.get(&name).await;
        Self { writer, reader, hand, name, good, _redis: redis }
    }

    /// What the reader finds when this is there instead, and how often that was no payload.
    async fn reads(&mut self, bytes: &[u8]) -> (Option<Product>, u64) {
        self.hand.set(&self.name, bytes).await;
        let before = self.reader.stats().undecodable;
        let found = self.reader.get::<Product>(&key(7)).await;
        (found, self.reader.stats().undecodable - before)
    }

    /// A load mends it, for everybody.
    async fn is_mended(&mut self) {
        let origin = Origin::default();
        origin.write(5);
        assert_eq!(origin.through(&self.reader, 7).await, 5);
        found(&self.writer, 7, 5).await;
        eventually(SOON, async || self.hand.get(&self.name).await.starts_with(&self.good[..4])).await;
    }
}

#[tokio::test]
async fn bit_flipped_anywhere_is_a_counted_miss_by_every_codec_and_packing() {
    for codec in CODECS {
        for packing in PACKINGS {
            let mut scene = Scene::new(codec, packing).await;
            let good = scene.good.clone();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1 << (at % 8);
                assert_eq!(scene.reads(&bad).await, (None, 1), "{codec:?} {packing:?} at {at}");
            }
            assert!(scene.reads(&good).await.0.is_some(), "{codec:?} {packing:?}: nothing else was wrong");
        }
    }
}

#[tokio::test]
async fn forged_checksum_does_not_help_where_payloads_are_encrypted() {
    for packing in PACKINGS {
        let mut scene = Scene::new(Codec::Json, packing).await;
        let good = scene.good.clone();
        // The end of its life, which the checksum alone does not protect.
        let mut later = good.clone();
        later[30] ^= 1;
        let found = scene.reads(&signed(later)).await;
        assert_eq!((found.0.is_none(), found.1), (packing.encrypts(), u64::from(packing.encrypts())), "{packing:?}");
        if !packing.encrypts() {
            continue;
        }
        for bit in 0..(good.len() - 8) * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let (found, _) = scene.reads(&signed(bad)).await;
            assert_eq!(found, None, "{packing:?} bit {bit}");
        }
        assert!(scene.reads(&good).await.0.is_some());
    }
}

#[tokio::test]
async fn payload_moved_to_another_key_with_its_envelope_is_a_counted_miss() {
    for packing in PACKINGS {
        let mut scene = Scene::new(Codec::Postcard, packing).await;
        let Scene { writer, reader, hand, good, name, .. } = &mut scene;
        stored(writer, hand, &Origin::default(), 8).await;
        let to = hand.payload_of(writer, &key(8)).await;
        let own = hand.get(&to).await;
        // The versions agree as well, so that only the envelope can say whose it is.
        let [version_from, version_to] = [7, 8].map(|id| writer.redis_key(&key(id)).unwrap());
        let version = hand.get(&version_from).await;
        hand.set(&version_to, &version).await;
        hand.set(&to, good).await;
        assert_eq!((reader.get::<Product>(&key(8)).await, reader.stats().undecodable), (None, 1), "{packing:?}");
        // With the key's own hash and tags' place in front, signed anew: only a seal can tell now.
        let mut forged = good.clone();
        forged[64..80].copy_from_slice(&own[64..80]);
        hand.set(&to, &signed(forged)).await;
        let found = reader.get::<Product>(&key(8)).await;
        let told = (found.is_none(), reader.stats().undecodable);
        assert_eq!(told, if packing.encrypts() { (true, 2) } else { (false, 1) }, "{packing:?}");
        assert!(reader.get::<Product>(&key(7)).await.is_some(), "{name} stands");
    }
}

#[tokio::test]
async fn seal_cannot_be_taken_off() {
    let mut scene = Scene::new(Codec::Bincode, Packing::Encrypted).await;
    let mut plain = Scene::new(Codec::Bincode, Packing::AsIs).await;
    let good = scene.good.clone();
    assert_eq!(scene.reads(&around(&good, 0, &[7, 0, 1, b'x'])).await, (None, 1), "the flag is no way around it");
    assert_eq!(scene.reads(&around(&good, 8, &[7, 0, 1, b'x'])).await, (None, 1));
    assert_eq!(scene.reads(&around(&good, 1, b"")).await, (None, 1), "nor can a value be said to be nothing");
    assert_eq!(scene.reads(&around(&good, 9, b"")).await, (None, 1));
    let of_plain = plain.good.clone();
    let forged = plain.reads(&around(&of_plain, 0, &[7, 0, 1, b'x'])).await;
    assert_eq!(
        forged,
        (Some(Product { id: 7, revision: 0, category: "x".into() }), 0),
        "as it can where there is none"
    );
    scene.is_mended().await;
}

#[tokio::test]
async fn compressed_bomb_is_a_counted_miss() {
    const LIMIT: usize = 64 << 20;
    for codec in CODECS {
        let mut scene = Scene::new(codec, Packing::AsIs).await;
        let good = scene.good.clone();
        for size in [LIMIT + 1, 4 * LIMIT] {
            let bomb = zstd::bulk::compress(&vec![0; size], 3).unwrap();
            assert!(bomb.len() < 64 << 10);
            assert_eq!(scene.reads(&around(&good, 4, &bomb)).await, (None, 1), "{codec:?} {size}");
        }
        // One that there is room for, and that is no value.
        let large = zstd::bulk::compress(&vec![0x91; 1 << 20], 3).unwrap();
        assert_eq!(scene.reads(&around(&good, 4, &large)).await, (None, 1), "{codec:?}");
        // A length without an end, and levels without one, as each codec writes them.
        let lengths: [&[u8]; 4] = [
            &[0xfd, 0, 0, 0, 0, 0, 1, 0, 0],
            &[0xff; 9],
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0xdf, 0xff, 0xff, 0xff, 0xff],
        ];
        let levels = [b'[', 0x81, 0x91].map(|byte| vec![byte; 1_000_000]);
        for payload in lengths.into_iter().chain(levels.iter().map(Vec::as_slice)) {
            assert_eq!(scene.reads(&around(&good, 0, payload)).await, (None, 1), "{codec:?} {:02x?}", &payload[..5]);
        }
        scene.is_mended().await;
    }
}
