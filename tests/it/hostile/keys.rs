//! Keys made of whatever users type, and the same keys in two processes.

use std::{collections::HashSet, convert::Infallible, process::Command};

use cache_core::{Cache, Key, KeyPart};
use tests::fixtures::{RedisServer, eventually};

use super::{Hand, SOON};
use crate::support::{Origin, node, node_at, product};

fn texts() -> Vec<String> {
    let signs = [
        ":", "{", "}", "{}", "*", "?", "[", "]", "[a-z]", "\\", "~", "'", "''", "%", "%3A", "@", "|", "\"", "`", "$(x)",
    ];
    let blanks =
        ["", " ", "\t", "\n", "\r\n", "\0", "a\0b", "a\0", "\u{7f}", "\u{feff}", "\u{202e}abc", "e\u{301}", "\u{e9}"];
    let looks = [
        "7",
        "-7",
        "007",
        "true",
        "none",
        "null",
        "()",
        "a:b",
        "a:'b",
        "product:7",
        "shop:c:{shop.1}:a",
        "*3\r\n$3\r\nSET",
    ];
    let emoji = ["\u{1F600}", "\u{1F469}\u{200D}\u{1F4BB}", "\u{1F600}\u{1F600}"];
    let long = ["a", ":", "{}*?[]\0", "\u{1F600}", "\u{1F600}\0:"].map(|unit| unit.repeat(10_240 / unit.len()));
    let nearly = [format!("{}b", "a".repeat(10_239)), format!("b{}", "a".repeat(10_239))];
    let short = signs.into_iter().chain(blanks).chain(looks).chain(emoji).map(str::to_owned);
    short.chain(long).chain(nearly).collect()
}

fn key(text: &str) -> Key {
    Key::new("text").arg(text)
}

async fn load(cache: &Cache, text: &str, revision: u64) -> (String, u64) {
    let value = (text.to_owned(), revision);
    let Ok(value) = cache.get_or_load(key(text), || async { Ok::<_, Infallible>(value) }).await;
    value
}

#[tokio::test]
async fn key_of_hostile_text_round_trips_and_is_evicted_from_the_other_node() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let texts = texts();
    let names: HashSet<String> = texts.iter().map(|text| a.redis_key(&key(text)).unwrap()).collect();
    assert_eq!(names.len(), texts.len(), "no two share a record");
    for name in &names {
        assert!(name.len() < 256 && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
    for text in &texts {
        load(&a, text, 1).await;
    }
    eventually(SOON, async || a.stats().fills == texts.len() as u64).await;
    for text in &texts {
        assert_eq!(load(&b, text, 0).await, (text.clone(), 1), "{text:?}");
    }
    let stats = b.stats();
    assert_eq!((stats.loads, stats.remote_hits), (0, texts.len() as u64), "all of them came from Redis");

    // One after the other, so that each is seen to reach its own key and no other.
    let keys: Vec<Key> = texts.iter().map(|text| key(text)).collect();
    for (evicted, text) in texts.iter().enumerate() {
        assert!(a.evict(&key(text)).await.is_applied());
        eventually(SOON, async || b.get::<(String, u64)>(&key(text)).await.is_none()).await;
        let left = b.get_many::<(String, u64)>(&keys).await.into_iter().flatten().count();
        assert_eq!(left, texts.len() - evicted - 1, "{text:?}");
    }
}

#[tokio::test]
async fn tag_of_hostile_text_is_evicted_on_the_other_node() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let tag = |text: &str| Key::new("text-tag").arg(text);
    let through = async |cache: &Cache, origin: &Origin, text: &str| {
        let read = origin.clone();
        let request = cache.entry(Key::new("tagged-text").arg(text)).tag(tag(text));
        request.or_load(move || read.read(1)).await.unwrap().into_value()
    };
    for text in texts() {
        let origin = Origin::default();
        origin.write(1);
        through(&b, &origin, &text).await;
        origin.write(2);
        assert!(a.evict_tag(tag(&text)).await.is_applied());
        eventually(SOON, async || through(&b, &origin, &text).await == product(1, 2)).await;
    }
}

#[derive(Clone, KeyPart)]
enum Shelf {
    Numbered { row: u32, place: u8 },
    Named(String),
    Lost,
}

/// Keys of every kind of argument.
fn keys() -> Vec<Key> {
    let base = || Key::new("process");
    let numbers = [0_i128, 7, -7, i128::from(u64::MAX), i128::MIN, i128::MAX].map(|number| base().arg(number));
    let shelves = [Shelf::Numbered { row: 1, place: 2 }, Shelf::Named("a:b".into()), Shelf::Lost];
    let others = [
        base().arg(true),
        base().arg('x'),
        base().arg(Option::<u8>::None),
        base().arg((1_u8, "a", Some(false))),
        base().arg([1_u64, 2, 3].as_slice()),
        base().arg(Vec::<String>::new()),
        base().arg("a").arg("b"),
        Key::new("process:stock").arg(7_u64),
    ];
    let texts = texts().into_iter().map(|text| base().arg(("text", text)));
    numbers.into_iter().chain(shelves.map(|shelf| base().arg(shelf))).chain(others).chain(texts).collect()
}

/// Tells the other process where the Redis of this one is.
const REDIS: &str = "CACHE_TESTS_REDIS";

/// A test by itself, and what the next one runs in a process of its own, which is this binary again: then the Redis is that
/// one's, and stays.
#[tokio::test]
async fn keys_of_every_kind_have_a_record_each() {
    let theirs = std::env::var(REDIS).ok();
    let ours = if theirs.is_none() { Some(RedisServer::start().await) } else { None };
    let url = theirs.or_else(|| ours.as_ref().map(RedisServer::url)).unwrap();
    let cache = node_at(url).await;
    for (number, key) in keys().into_iter().enumerate() {
        assert!(cache.put(key, number as u64).await.is_applied());
    }
    let all: Vec<u64> = cache.get_many::<u64>(&keys()).await.into_iter().flatten().collect();
    assert_eq!(all, (0..keys().len() as u64).collect::<Vec<_>>(), "each kept its own");
}

#[tokio::test]
async fn keys_in_another_process_are_the_same_records() {
    let redis = RedisServer::start().await;
    let this = std::env::current_exe().unwrap();
    let name = "hostile::keys::keys_of_every_kind_have_a_record_each";
    let other = Command::new(this).args(["--exact", name]).env(REDIS, redis.url()).output().unwrap();
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(other.status.success() && said.contains("1 passed"), "{said}");

    let cache = node(&redis).await;
    let mut hand = Hand::on(&redis).await;
    for (number, key) in keys().into_iter().enumerate() {
        assert_eq!(cache.get::<u64>(&key).await, Some(number as u64), "{number}");
        let control = cache.redis_key(&key).unwrap();
        assert_eq!(hand.run::<u64>(&["EXISTS", &control]).await, 1, "{control}");
    }
    let records: Vec<String> = hand.names("shop:c:*").await;
    assert_eq!(records.len(), keys().len(), "and no other");
    assert_eq!(cache.stats().loads, 0);
}
