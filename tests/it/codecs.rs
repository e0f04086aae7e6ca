//! Every codec, and what is done to its bytes: compressed, encrypted, both. What one node stores, any other finds.

use std::{collections::BTreeMap, convert::Infallible};

use cache_core::{Builder, Cache, Codec, Encryption, ErrorKind, Key, Outcome, Tier};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};

use crate::{
    hostile::Hand,
    support::{Origin, Product, built, key, product, settings},
};

pub(crate) const CODECS: [Codec; 4] = [Codec::Bincode, Codec::Json, Codec::Postcard, Codec::MessagePack];
pub(crate) const PACKINGS: [Packing; 4] = [Packing::AsIs, Packing::Compressed, Packing::Encrypted, Packing::Both];
const SOON: std::time::Duration = std::time::Duration::from_secs(20);

/// What is done to the bytes of a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    AsIs,
    Compressed,
    Encrypted,
    Both,
}

/// A bit of everything, with enough in it that says the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Article {
    id: u64,
    title: String,
    body: Vec<Part>,
    prices: BTreeMap<String, f64>,
    parent: Option<Box<Article>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Part {
    Rule,
    Text(String),
    Picture { width: u32, alt: Option<String> },
}

// === impl Packing ===

impl Packing {
    fn compresses(self) -> bool {
        matches!(self, Self::Compressed | Self::Both)
    }

    pub(crate) fn encrypts(self) -> bool {
        matches!(self, Self::Encrypted | Self::Both)
    }

    fn on(self, mut builder: Builder) -> Builder {
        if self.compresses() {
            builder = builder.compress_above(16);
        }
        if self.encrypts() {
            builder = builder.encrypt(Encryption::new(1, [7; 32]));
        }
        builder
    }
}

pub(crate) async fn node(redis: &RedisServer, codec: Codec, packing: Packing) -> Cache {
    built(packing.on(settings(redis.url()).codec(codec).ensure_notifications())).await
}

async fn node_with(redis: &RedisServer, encryption: Encryption) -> Cache {
    built(settings(redis.url()).encrypt(encryption).ensure_notifications()).await
}

fn article(id: u64, title: &str) -> Article {
    let text = || Part::Text("the same thing again, and again the same thing".into());
    let inner = Article { id: 0, title: String::new(), body: Vec::new(), prices: BTreeMap::new(), parent: None };
    Article {
        id,
        title: title.into(),
        body: vec![Part::Rule, text(), Part::Picture { width: 300, alt: None }, text(), text()],
        prices: BTreeMap::from([("EUR".into(), 0.1 + 0.2), ("USD".into(), -1e300)]),
        parent: Some(Box::new(inner)),
    }
}

fn article_key(packing: Packing) -> Key {
    Key::new("article").arg(packing as u32)
}

#[tokio::test]
async fn what_one_node_stores_another_finds_by_every_codec_and_packing() {
    let redis = RedisServer::start().await;
    let mut hand = Hand::on(&redis).await;
    for (codec, packing) in CODECS.iter().flat_map(|codec| PACKINGS.map(|packing| (*codec, packing))) {
        let (a, b) = (node(&redis, codec, packing).await, node(&redis, codec, packing).await);
        // A key of its own for each: the records of one codec have one name.
        let key = Key::new("article").arg((codec.as_str(), packing as u32));
        let first = article(1, "first");
        let load = first.clone();
        let loaded = a.get_or_load(key.clone(), move || async move { Ok::<_, Infallible>(load) }).await;
        assert_eq!(loaded.as_ref(), Ok(&first), "{codec:?} {packing:?}");
        let stored = hand.payload_of(&a, &key).await;
        let found = b.entry(key.clone()).get::<Article>().await.unwrap();
        assert_eq!((found.value(), found.outcome()), (&first, Outcome::Hit(Tier::Remote)), "{codec:?} {packing:?}");

        let envelope = hand.get(&stored).await;
        let flags = (packing.compresses(), packing.encrypts());
        assert_eq!((envelope[6] & 4 != 0, envelope[6] & 8 != 0), flags, "{codec:?} {packing:?}");
        let is_legible = envelope.windows(10).filter(|bytes| bytes == b"same thing").count() == 6;
        assert_eq!(is_legible, packing == Packing::AsIs, "{codec:?} {packing:?}");

        let second = article(1, "second");
        assert!(b.put(key.clone(), second.clone()).await.is_applied());
        eventually(SOON, async || a.get::<Article>(&key).await.as_ref() == Some(&second)).await;
        assert!(a.evict(&key).await.is_applied());
        eventually(SOON, async || b.get::<Article>(&key).await.is_none()).await;
        assert_eq!((a.stats().undecodable, b.stats().undecodable), (0, 0), "{codec:?} {packing:?}");
    }
}

#[tokio::test]
async fn nothing_is_found_in_every_packing() {
    let redis = RedisServer::start().await;
    for packing in PACKINGS {
        let (a, b) = (node(&redis, Codec::MessagePack, packing).await, node(&redis, Codec::MessagePack, packing).await);
        let key = article_key(packing);
        let mut hand = Hand::on(&redis).await;
        let none = a.get_or_load(key.clone(), || async { Ok::<_, Infallible>(None::<Article>) }).await;
        assert_eq!(none, Ok(None));
        hand.payload_of(&a, &key).await;
        let again = b.get_or_load(key, || async { Ok::<_, Infallible>(Some(article(1, "never"))) }).await;
        assert_eq!(again, Ok(None), "{packing:?}");
        assert_eq!((b.stats().loads, b.stats().undecodable), (0, 0), "{packing:?}");
    }
}

/// Whether `reader` finds what `writer` stored; if not, that is a counted miss, and what it loads is stored over it.
async fn finds(writer: &Cache, reader: &Cache, id: u64) -> bool {
    assert!(writer.put(key(id), product(id, 1)).await.is_applied());
    let before = reader.stats();
    let found = reader.get::<Product>(&key(id)).await;
    let missed = reader.stats().undecodable - before.undecodable;
    assert_eq!((found.is_some(), missed), (found == Some(product(id, 1)), u64::from(found.is_none())));
    if found.is_none() {
        let origin = Origin::default();
        origin.write(2);
        assert_eq!(origin.through(reader, id).await, 2);
    }
    found.is_some()
}

#[tokio::test]
async fn who_encrypts_and_who_does_not_miss_each_others_values() {
    let redis = RedisServer::start().await;
    let plain = node(&redis, Codec::Bincode, Packing::AsIs).await;
    let compressing = node(&redis, Codec::Bincode, Packing::Compressed).await;
    let encrypting = node(&redis, Codec::Bincode, Packing::Encrypted).await;
    let both = node(&redis, Codec::Bincode, Packing::Both).await;
    assert!(finds(&compressing, &plain, 1).await, "compressed or not is the writer's affair");
    assert!(finds(&plain, &compressing, 2).await);
    assert!(finds(&both, &encrypting, 3).await);
    assert!(finds(&encrypting, &both, 4).await);
    assert!(!finds(&plain, &encrypting, 5).await);
    assert!(!finds(&encrypting, &plain, 6).await);
    assert!(!finds(&compressing, &both, 7).await);
    assert!(!finds(&both, &compressing, 8).await);
}

#[tokio::test]
async fn keys_change_while_nodes_run() {
    let redis = RedisServer::start().await;
    let (old, new) = ([1; 32], [2; 32]);
    let before = node_with(&redis, Encryption::new(1, old)).await;
    let told = node_with(&redis, Encryption::new(1, old).also(2, new)).await;
    let turned = node_with(&redis, Encryption::new(2, new).also(1, old)).await;
    let after = node_with(&redis, Encryption::new(2, new)).await;
    assert!(finds(&before, &told, 1).await);
    assert!(finds(&told, &before, 2).await);
    assert!(finds(&told, &turned, 3).await);
    assert!(finds(&turned, &told, 4).await);
    assert!(finds(&turned, &after, 5).await);
    assert!(finds(&after, &turned, 6).await);
    assert!(!finds(&turned, &before, 7).await, "a reader that has the old key only");
    assert!(!finds(&before, &after, 8).await, "a reader that has forgotten the old key");
    let imposter = node_with(&redis, Encryption::new(2, old)).await;
    assert!(!finds(&turned, &imposter, 9).await, "the id alone is no key");
    let other = Cache::builder("shop2").redis(redis.url()).ensure_notifications();
    let other = built(other.encrypt(Encryption::new(2, new))).await;
    assert_eq!(other.get::<Product>(&key(5)).await, None, "another namespace has other records");
}

#[tokio::test]
async fn two_keys_of_one_id_are_refused_at_the_start() {
    let encryption = Encryption::new(1, [1; 32]).also(2, [2; 32]).also(1, [3; 32]);
    let error = Cache::builder("shop").encrypt(encryption).build().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("two keys have the id 1"), "{error}");
}
