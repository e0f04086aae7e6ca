//! Payloads in Redis that are damaged, forged, or somebody else's.

use std::{collections::BTreeMap, convert::Infallible, fmt::Debug};

use cache_core::{Cache, Codec, Key, Outcome};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser::SerializeTuple};
use tests::fixtures::{RedisServer, eventually};

use super::{Hand, OTHER_KINDS, SOON, found, stored};
use crate::support::{Origin, Product, built, key, node, product, settings};

/// A product's fields under another name: bincode would read one as the other without a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Price {
    id: u64,
    revision: u64,
    category: String,
}

fn price(id: u64, cents: u64) -> Price {
    Price { id, revision: cents, category: "EUR".into() }
}

/// Every way to damage `good` that is tried.
fn damaged(good: &[u8]) -> Vec<Vec<u8>> {
    let cut = (0..good.len()).map(|end| good[..end].to_vec());
    let longer = [[good, b"\0"].concat(), [good, good].concat(), [b"\0", good].concat()];
    let flipped = (0..good.len() * 8).map(|bit| {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    // xorshift: the same bytes in every run.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let random: Vec<Vec<u8>> = (0..200)
        .map(|size: usize| {
            let byte = |_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            };
            (0..size * 3).map(byte).collect()
        })
        .collect();
    // The right head before anything else; and a head that says another layout (its byte 4), with all else right.
    let headed: Vec<Vec<u8>> = random.iter().map(|tail| [&good[..80], tail].concat()).collect();
    let versions = (0..=u8::MAX).filter(|version| *version != good[4]).map(|version| {
        let mut bytes = good.to_vec();
        bytes[4] = version;
        bytes
    });
    let magic = [[b"\x1f\x8b\x08\0", &good[4..]].concat(), [b"null", &good[4..]].concat()];
    cut.chain(longer).chain(flipped).chain(random).chain(headed).chain(versions).chain(magic).collect()
}

#[tokio::test]
async fn payload_damaged_in_any_way_is_a_counted_miss() {
    let redis = RedisServer::start().await;
    let (writer, reader) = (node(&redis).await, node(&redis).await);
    let (mut hand, origin) = (Hand::on(&redis).await, Origin::default());
    stored(&writer, &mut hand, &origin, 7).await;
    let name = hand.payload_of(&writer, &key(7)).await;
    let good = hand.get(&name).await;
    let all = damaged(&good);
    assert!(all.len() > 1_000, "{}", all.len());
    for (count, bad) in (1..).zip(&all) {
        hand.set(&name, bad).await;
        assert_eq!(reader.get::<Product>(&key(7)).await, None, "{bad:02x?}");
        assert_eq!(reader.stats().undecodable, count, "{bad:02x?}");
    }
    hand.set(&name, &good).await;
    assert_eq!(reader.get::<Product>(&key(7)).await, Some(product(7, 0)), "nothing but the payload was wrong");
}

#[tokio::test]
async fn payload_damaged_is_loaded_and_written_over() {
    let redis = RedisServer::start().await;
    let (writer, reader, third) = (node(&redis).await, node(&redis).await, node(&redis).await);
    let mut hand = Hand::on(&redis).await;
    let texts: [&[&str]; 2] = [&["SET", ""], &["SET", "{\"id\":7}"]];
    for (id, poison) in (1..).zip(texts.into_iter().chain(OTHER_KINDS)) {
        let origin = Origin::default();
        origin.write(1);
        stored(&writer, &mut hand, &origin, id).await;
        let name = hand.payload_of(&writer, &key(id)).await;
        hand.poison(&name, poison).await;
        origin.write(2);
        let read = origin.clone();
        let answer = reader.entry(key(id)).or_load(move || read.read(id)).await.unwrap();
        assert_eq!((answer.value().revision, answer.outcome()), (2, Outcome::Loaded), "{poison:?}");
        found(&third, id, 2).await;
        assert_eq!(origin.loads(), 2, "{poison:?}");
    }
}

#[tokio::test]
async fn payload_of_another_key_copied_over_is_a_counted_miss() {
    let redis = RedisServer::start().await;
    let (writer, reader) = (node(&redis).await, node(&redis).await);
    let (mut hand, origin) = (Hand::on(&redis).await, Origin::default());
    for id in [7, 8] {
        stored(&writer, &mut hand, &origin, id).await;
    }
    let [from, to] = [hand.payload_of(&writer, &key(7)).await, hand.payload_of(&writer, &key(8)).await];
    let [version_from, version_to] = [7, 8].map(|id| writer.redis_key(&key(id)).unwrap());
    // The versions agree as well, so that only the envelope can say whose it is.
    for (from, to) in [(from, to), (version_from, version_to)] {
        let bytes = hand.get(&from).await;
        hand.set(&to, &bytes).await;
    }
    assert_eq!(reader.get::<Product>(&key(8)).await, None);
    assert_eq!(reader.stats().undecodable, 1);
    assert_eq!(reader.get::<Product>(&key(7)).await, Some(product(7, 0)));
}

#[tokio::test]
async fn payload_of_another_type_copied_over_is_a_counted_miss() {
    let redis = RedisServer::start().await;
    let (writer, reader) = (node(&redis).await, node(&redis).await);
    let (mut hand, origin) = (Hand::on(&redis).await, Origin::default());
    stored(&writer, &mut hand, &origin, 7).await;
    let of_product = hand.payload_of(&writer, &key(7)).await;
    writer.get_or_load(key(7), || async { Ok::<_, Infallible>(price(7, 99)) }).await.unwrap();
    let of_price = eventually(SOON, async || {
        hand.payloads_of(&writer, &key(7)).await.into_iter().find(|name| *name != of_product)
    })
    .await;
    let bytes = hand.get(&of_product).await;
    hand.set(&of_price, &bytes).await;
    assert_eq!(reader.get::<Price>(&key(7)).await, None);
    assert_eq!(reader.stats().undecodable, 1);
    assert_eq!(reader.get::<Product>(&key(7)).await, Some(product(7, 0)));
}

#[tokio::test]
async fn two_types_under_one_key_never_meet_and_one_evict_reaches_both() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let mut hand = Hand::on(&redis).await;
    let both = async |cache: &Cache, revision: u64| {
        let one = cache.get_or_load(key(7), move || async move { Ok::<_, Infallible>(product(7, revision)) });
        let other = cache.get_or_load(key(7), move || async move { Ok::<_, Infallible>(price(7, revision)) });
        (one.await.unwrap(), other.await.unwrap())
    };
    for _ in 0..2 {
        assert_eq!(both(&a, 1).await, (product(7, 1), price(7, 1)), "the second time from L1");
    }
    eventually(SOON, async || hand.payloads_of(&a, &key(7)).await.len() == 2).await;
    for _ in 0..2 {
        assert_eq!(both(&b, 0).await, (product(7, 1), price(7, 1)), "first from Redis, then from L1");
    }
    let (of_a, of_b) = (a.stats(), b.stats());
    assert_eq!((of_a.loads, of_a.local_hits, of_a.undecodable), (2, 2, 0));
    assert_eq!((of_b.loads, of_b.remote_hits, of_b.local_hits, of_b.undecodable), (0, 2, 2, 0));

    assert!(a.evict(&key(7)).await.is_applied());
    assert_eq!((a.get::<Product>(&key(7)).await, a.get::<Price>(&key(7)).await), (None, None));
    eventually(SOON, async || both(&b, 2).await == (product(7, 2), price(7, 2))).await;
}

/// A value that can be written as something else than what is read: the only way to a payload that is hostile under a
/// checksum that is right. The first one of a type has to be honest, since that one is read back.
#[derive(Clone, Debug, PartialEq)]
struct Bomb<T> {
    value: T,
    written: Written,
}

#[derive(Clone, Debug, PartialEq)]
enum Written {
    Honestly,
    /// A length, and nothing after it.
    Length(u64),
    /// So many bytes of 1: `Some(Some(Some(..` to bincode and postcard.
    Levels(usize),
}

impl<T: Serialize> Serialize for Bomb<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.written {
            Written::Honestly => self.value.serialize(serializer),
            Written::Length(length) => serializer.serialize_u64(length),
            Written::Levels(levels) => {
                let mut tuple = serializer.serialize_tuple(levels)?;
                (0..levels).try_for_each(|_| tuple.serialize_element(&1_u8))?;
                tuple.end()
            }
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bomb<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|value| Self { value, written: Written::Honestly })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Nest(Option<Box<Nest>>);

async fn goes_off<T>([writer, reader, third]: [&Cache; 3], name: &'static str, written: Written)
where
    T: Clone + Default + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    // A key of its own each time: what the reader still has of an earlier one could be a hit.
    let key = |what: &str| Key::new("bomb").arg((name, format!("{written:?}"), what));
    let honest = Bomb { value: T::default(), written: Written::Honestly };
    assert!(writer.put(key("honest"), honest.clone()).await.is_applied());
    assert_eq!(reader.get::<Bomb<T>>(&key("honest")).await, Some(honest.clone()), "{name}: the type can be stored");

    let before = reader.stats();
    let put = writer.put(key("bomb"), Bomb { written: written.clone(), ..honest.clone() }).await;
    assert!(put.is_applied());
    assert_eq!(reader.get::<Bomb<T>>(&key("bomb")).await, None, "{name} {written:?}");
    assert_eq!(reader.stats().undecodable, before.undecodable + 1, "{name} {written:?}");
    let loaded = honest.clone();
    let answer = reader.entry(key("bomb")).or_load(|| async { Ok::<_, Infallible>(loaded) }).await.unwrap();
    assert_eq!((answer.value(), answer.outcome()), (&honest, Outcome::Loaded), "{name} {written:?}");
    let mended = eventually(SOON, async || third.get::<Bomb<T>>(&key("bomb")).await).await;
    assert_eq!(mended, honest, "{name} {written:?}");
}

#[tokio::test]
async fn codec_bomb_under_a_right_checksum_is_a_counted_miss() {
    for codec in [Codec::Bincode, Codec::Postcard] {
        codec_bombs(codec).await;
    }
}

/// Both write a number where a length stands as they write a length.
async fn codec_bombs(codec: Codec) {
    let redis = RedisServer::start().await;
    let node = async || built(settings(redis.url()).codec(codec).ensure_notifications()).await;
    let (writer, reader, third) = (node().await, node().await, node().await);
    let nodes = [&writer, &reader, &third];
    for length in [1 << 20, 1 << 40, u64::MAX] {
        goes_off::<Vec<u8>>(nodes, "bytes", Written::Length(length)).await;
        goes_off::<Vec<()>>(nodes, "units", Written::Length(length)).await;
        goes_off::<Vec<Vec<String>>>(nodes, "lists", Written::Length(length)).await;
        goes_off::<String>(nodes, "text", Written::Length(length)).await;
        goes_off::<BTreeMap<u64, u64>>(nodes, "map", Written::Length(length)).await;
    }
    goes_off::<Nest>(nodes, "levels", Written::Levels(1_000_000)).await;
    let hit = reader.entry(Key::new("bomb").arg(("levels", "Levels(1000000)", "honest"))).get::<Bomb<Nest>>().await;
    // On a machine so busy that a beat is late, Redis is asked.
    assert!(matches!(hit.unwrap().outcome(), Outcome::Hit(_)), "the reader is still in order");
}
