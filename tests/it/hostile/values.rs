//! Values that do not fit into Redis: they are returned, kept in this process, and counted.

use std::{collections::BTreeMap, convert::Infallible};

use cache_core::{Bypass, Cache, CacheValue, Codec, Key, Outcome, Policy, Tier, secs};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};

use super::{Hand, SOON};
use crate::support::{Origin, Product, built, bypassed, key, node, settings};

fn small_values() -> Policy {
    Policy::new().ttl(secs(600)).jitter(0.0).max_bytes(100)
}

fn bulky(id: u64, revision: u64) -> Product {
    Product { id, revision, category: "b".repeat(200) }
}

#[tokio::test]
async fn value_over_the_limit_is_returned_and_not_stored_in_redis() {
    let redis = RedisServer::start().await;
    let cache = built(settings(redis.url()).ensure_notifications().policy(small_values())).await;
    let other = node(&redis).await;
    let mut hand = Hand::on(&redis).await;
    let through = async |revision: u64| {
        let load = move || async move { Ok::<_, Infallible>(bulky(7, revision)) };
        cache.entry(key(7)).or_load(load).await.unwrap()
    };
    assert_eq!(through(1).await.into_value(), bulky(7, 1));
    eventually(SOON, async || bypassed(&cache, Bypass::Encode) == 1).await;
    let again = through(0).await;
    assert_eq!((again.value().revision, again.outcome()), (1, Outcome::Hit(Tier::Local)), "L1 has no such limit");
    assert_eq!(hand.names("shop:d:*").await, [""; 0]);

    assert!(other.evict(&key(7)).await.is_applied());
    eventually(SOON, async || through(2).await.value().revision == 2).await;
    eventually(SOON, async || bypassed(&cache, Bypass::Encode) == 2).await;
    assert_eq!(hand.names("shop:d:*").await, [""; 0]);
}

#[tokio::test]
async fn value_over_the_limit_put_evicts_what_was_there() {
    let redis = RedisServer::start().await;
    let small = settings(redis.url()).ensure_notifications().policy(small_values());
    let (cache, other) = (built(small).await, node(&redis).await);
    let (mut hand, origin) = (Hand::on(&redis).await, Origin::default());
    origin.write(1);
    super::stored(&other, &mut hand, &origin, 7).await;
    origin.write(2);
    assert!(cache.put(key(7), bulky(7, 2)).await.is_applied());
    assert_eq!(bypassed(&cache, Bypass::Encode), 1, "that it was not stored is counted, as of a load");
    assert_eq!(origin.through(&cache, 7).await, 2);
    crate::support::sees(&other, &origin, 7, 2).await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Box { edge: u64 },
    Ball { radius: u64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    id: u64,
}

async fn load<T: CacheValue>(cache: &Cache, name: &'static str, value: T) -> (T, Outcome) {
    let load = || async { Ok::<_, Infallible>(value) };
    let answer = cache.entry(Key::new("unreadable").arg(name)).or_load(load).await.unwrap();
    let outcome = answer.outcome();
    (answer.into_value(), outcome)
}

/// bincode cannot read it back: L1 alone serves it, and an eviction on another node reaches it.
async fn in_bincode<T: CacheValue + PartialEq + std::fmt::Debug>(
    nodes: [&Cache; 2],
    name: &'static str,
    [one, two]: [T; 2],
) {
    let [cache, other] = nodes;
    let before = bypassed(cache, Bypass::Encode);
    assert_eq!(load(cache, name, one.clone()).await, (one.clone(), Outcome::Loaded));
    eventually(SOON, async || bypassed(cache, Bypass::Encode) == before + 1).await;
    assert_eq!(load(cache, name, two.clone()).await, (one, Outcome::Hit(Tier::Local)), "{name}");
    let undecodable = other.stats().undecodable;
    assert_eq!(other.get::<T>(&Key::new("unreadable").arg(name)).await, None);
    assert_eq!(other.stats().undecodable, undecodable, "{name}: nothing was stored that cannot be read");
    assert!(other.evict(&Key::new("unreadable").arg(name)).await.is_applied());
    eventually(SOON, async || load(cache, name, two.clone()).await.0 == two).await;
}

async fn in_json<T: CacheValue + PartialEq + std::fmt::Debug>(
    nodes: [&Cache; 2],
    name: &'static str,
    [one, two]: [T; 2],
) {
    let [cache, other] = nodes;
    assert_eq!(load(cache, name, one.clone()).await, (one.clone(), Outcome::Loaded));
    eventually(SOON, async || other.get::<T>(&Key::new("unreadable").arg(name)).await.is_some()).await;
    assert_eq!(load(other, name, two).await, (one, Outcome::Hit(Tier::Local)), "{name}");
    assert_eq!(bypassed(cache, Bypass::Encode), 0, "{name}");
}

fn flat(id: u64) -> Flat {
    Flat { id, rest: BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), id)]) }
}

macro_rules! every_type {
    ($check:ident, $nodes:expr) => {
        $check($nodes, "flat", [flat(1), flat(2)]).await;
        $check($nodes, "untagged", [Untagged::Number(1), Untagged::Text("2".into())]).await;
        $check($nodes, "tagged", [Tagged::Box { edge: 1 }, Tagged::Ball { radius: 2 }]).await;
        $check($nodes, "skipping", [Skipping { note: None, id: 1 }, Skipping { note: None, id: 2 }]).await;
    };
}

#[tokio::test]
async fn type_that_bincode_cannot_read_back_is_served_from_l1_alone() {
    let redis = RedisServer::start().await;
    let (cache, other) = (node(&redis).await, node(&redis).await);
    every_type!(in_bincode, [&cache, &other]);
    assert_eq!(Hand::on(&redis).await.names("shop:d:*").await, [""; 0]);
}

#[tokio::test]
async fn type_that_bincode_cannot_read_back_is_stored_as_json() {
    let redis = RedisServer::start().await;
    let json = || settings(redis.url()).ensure_notifications().codec(Codec::Json);
    let (cache, other) = (built(json()).await, built(json()).await);
    every_type!(in_json, [&cache, &other]);
}
