//! Control records and tag records that hold what no version is: reads are loads, writes succeed, and everything works after.

use cache_core::{Cache, Key};
use tests::fixtures::{RedisServer, eventually};

use super::{Hand, OTHER_KINDS, Poison, SOON, found, stored};
use crate::support::{Origin, Product, key, node, product, sees};

/// Text that is no version, or one that nobody gave. Versions end below 2^53.
const TEXTS: [&str; 19] = [
    "",
    "text",
    "0",
    "-5",
    "+5",
    "1e3",
    "007",
    " 7",
    "7\n",
    "0x10",
    "inf",
    "1790000000000000.0",
    "9007199254740992",
    "9007199254740993",
    "18446744073709551616",
    // These could be versions, but are not the one: the least, and the last two.
    "7",
    "9007199254740990",
    "9007199254740991",
    "\u{1F4A3}",
];

fn poisons() -> Vec<Vec<&'static str>> {
    let texts = TEXTS.iter().map(|text| vec!["SET", text]);
    texts.chain(OTHER_KINDS.iter().map(|poison| poison.to_vec())).collect()
}

/// Two nodes that hold revision 1 of a row, whose control record has just been poisoned; and somebody who has nothing.
struct Scene {
    a: Cache,
    b: Cache,
    third: Cache,
    hand: Hand,
    _redis: RedisServer,
}

// === impl Scene ===

impl Scene {
    async fn new() -> Self {
        let redis = RedisServer::start().await;
        let [a, b, third] = [node(&redis).await, node(&redis).await, node(&redis).await];
        Self { a, b, third, hand: Hand::on(&redis).await, _redis: redis }
    }

    /// Revision 1 in L1 of both, then the poison, then revision 2 of the row.
    async fn poisoned(&mut self, id: u64, poison: &Poison) -> Origin {
        let origin = Origin::default();
        origin.write(1);
        stored(&self.a, &mut self.hand, &origin, id).await;
        assert_eq!(origin.through(&self.b, id).await, 1);
        assert_eq!(origin.loads(), 1, "{poison:?}: not there for both");
        self.hand.poison(&self.a.redis_key(&key(id)).unwrap(), poison).await;
        origin.write(2);
        origin
    }

    /// Loads, evictions and puts of this key are as they should be again.
    async fn works(&mut self, id: u64, origin: &Origin) {
        let Self { a, b, third, .. } = self;
        origin.write(3);
        assert!(b.evict(&key(id)).await.is_applied());
        assert_eq!(origin.through(b, id).await, 3);
        sees(a, origin, id, 3).await;
        found(third, id, 3).await;
        origin.write(4);
        assert!(a.put(key(id), product(id, 4)).await.is_applied());
        assert_eq!(origin.through(a, id).await, 4);
        sees(b, origin, id, 4).await;
        found(third, id, 4).await;
    }
}

#[tokio::test]
async fn control_record_poisoned_is_a_load_for_readers() {
    let mut scene = Scene::new().await;
    for (id, poison) in (1..).zip(poisons()) {
        let origin = scene.poisoned(id, &poison).await;
        sees(&scene.a, &origin, id, 2).await;
        sees(&scene.b, &origin, id, 2).await;
        found(&scene.third, id, 2).await;
        scene.works(id, &origin).await;
    }
}

#[tokio::test]
async fn control_record_poisoned_is_evicted_all_the_same() {
    let mut scene = Scene::new().await;
    for (id, poison) in (1..).zip(poisons()) {
        let origin = scene.poisoned(id, &poison).await;
        assert!(scene.a.evict(&key(id)).await.is_applied(), "{poison:?}");
        assert_eq!(origin.through(&scene.a, id).await, 2, "{poison:?}");
        sees(&scene.b, &origin, id, 2).await;
        scene.works(id, &origin).await;
    }
}

#[tokio::test]
async fn control_record_poisoned_is_put_over_all_the_same() {
    let mut scene = Scene::new().await;
    for (id, poison) in (1..).zip(poisons()) {
        let origin = scene.poisoned(id, &poison).await;
        assert!(scene.a.put(key(id), product(id, 2)).await.is_applied(), "{poison:?}");
        assert_eq!(origin.through(&scene.a, id).await, 2, "{poison:?}");
        sees(&scene.b, &origin, id, 2).await;
        scene.works(id, &origin).await;
    }
}

#[tokio::test]
async fn control_record_poisoned_and_only_read_is_none() {
    let mut scene = Scene::new().await;
    for (id, poison) in (1..).zip(poisons()) {
        scene.poisoned(id, &poison).await;
        assert_eq!(scene.third.get::<Product>(&key(id)).await, None, "{poison:?}");
    }
    let stats = scene.third.stats();
    assert_eq!((stats.loads, stats.remote_errors), (0, 0), "a miss, and nothing that the server refused");
}

#[tokio::test]
async fn records_of_8_mb_are_a_miss_and_are_written_over() {
    let mut scene = Scene::new().await;
    let origin = scene.poisoned(7, &["SETRANGE", "8388608", "x"]).await;
    let payload = scene.hand.payload_of(&scene.a, &key(7)).await;
    scene.hand.poison(&payload, &["SETRANGE", "8388608", "x"]).await;
    assert_eq!(scene.third.get::<Product>(&key(7)).await, None);
    sees(&scene.b, &origin, 7, 2).await;
    found(&scene.third, 7, 2).await;
    assert!(scene.hand.run::<u64>(&["STRLEN", &payload]).await < 1_000);
    scene.works(7, &origin).await;
}

/// A key of a template of its own: its values have a tag.
fn tagged(id: u64) -> Key {
    Key::new("poisoned-tag").arg(id)
}

fn tag() -> Key {
    Key::new("poisoned-group").arg("books")
}

async fn through(cache: &Cache, origin: &Origin, id: u64) -> u64 {
    let read = origin.clone();
    let Ok(answer) = cache.entry(tagged(id)).tag(tag()).or_load(move || read.read(id)).await;
    answer.into_value().revision
}

async fn both_see(a: &Cache, b: &Cache, origin: &Origin, id: u64, revision: u64) {
    for cache in [a, b] {
        eventually(SOON, async || match through(cache, origin, id).await {
            found if found == revision => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

/// Poisons the record of a tag, a scope or the namespace, whose name ends like this, in each way; `evict` evicts it.
async fn tag_record_poisoned(ending: &str, evict: impl AsyncFn(&Cache) -> cache_core::Ack) {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let mut hand = Hand::on(&redis).await;
    for (id, poison) in (1..).zip(poisons()) {
        let origin = Origin::default();
        origin.write(1);
        both_see(&a, &b, &origin, id, 1).await;
        let [name] = &hand.names(&format!("shop:t:*}}:{ending}")).await[..] else { panic!("one record {ending}") };

        origin.write(2);
        hand.poison(name, &poison).await;
        both_see(&a, &b, &origin, id, 2).await;

        origin.write(3);
        hand.poison(name, &poison).await;
        assert!(evict(&a).await.is_applied(), "{poison:?}");
        assert_eq!(through(&a, &origin, id).await, 3, "{poison:?}");
        both_see(&a, &b, &origin, id, 3).await;

        origin.write(4);
        assert!(evict(&b).await.is_applied(), "{poison:?}");
        assert_eq!(through(&b, &origin, id).await, 4, "{poison:?}");
        both_see(&a, &b, &origin, id, 4).await;
    }
    // And it stays: what is stored now is found, not loaded again.
    let origin = Origin::default();
    through(&a, &origin, 1_000).await;
    eventually(SOON, async || !hand.payloads_of(&a, &tagged(1_000)).await.is_empty()).await;
    for cache in [&a, &b, &a, &b] {
        through(cache, &origin, 1_000).await;
    }
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn record_of_a_tag_poisoned_is_a_load_and_is_evicted_all_the_same() {
    tag_record_poisoned("poisoned-group:books", async |cache| cache.evict_tag(tag()).await).await;
}

#[tokio::test]
async fn record_of_a_scope_poisoned_is_a_load_and_is_evicted_all_the_same() {
    tag_record_poisoned("@poisoned-tag", async |cache| cache.evict_scope("poisoned-tag").await).await;
}

#[tokio::test]
async fn record_of_a_scope_of_tags_poisoned_is_a_load_and_is_evicted_all_the_same() {
    tag_record_poisoned("@poisoned-group", async |cache| cache.evict_scope("poisoned-group").await).await;
}

#[tokio::test]
async fn record_of_the_namespace_poisoned_is_a_load_and_is_evicted_all_the_same() {
    tag_record_poisoned("@", async |cache| cache.clear().await).await;
}

#[tokio::test]
async fn records_of_nobody_under_our_names_disturb_nobody() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let (mut hand, origin) = (Hand::on(&redis).await, Origin::default());
    origin.write(1);
    stored(&a, &mut hand, &origin, 7).await;
    assert_eq!(origin.through(&b, 7).await, 1);
    let control = a.redis_key(&key(7)).unwrap();
    let broken = control.replace("{shop.", "{shop");
    let long = format!("{control}{}", "9".repeat(20_000));
    let names = [
        "shop:c:",
        "shop:c:x",
        "shop:c:{shop.1}",
        "shop:c:{shop.1}:",
        "shop:c:{shop.1}:%",
        "shop:c:{shop.1}:a~b",
        &broken,
        &long,
        "shop:t:{shop.1}:@Nobody",
        "shop:t:{shop.1}:@",
        "shop:t:{shop.1}:",
        "shop:t:\u{1F4A3}",
        "shop:p:x:99999",
    ];
    for name in names {
        hand.set(name, b"text").await;
        hand.set(name, b"7").await;
        hand.run::<()>(&["DEL", name]).await;
    }
    hand.run::<()>(&["SET", "shop:c:\u{0}", "7"]).await;
    let () = redis::cmd("SET").arg(b"shop:c:\xff\xfe").arg("7").query_async(&mut hand.0).await.unwrap();
    let hints = b.stats().hints;
    origin.write(2);
    assert!(a.evict(&key(7)).await.is_applied());
    sees(&b, &origin, 7, 2).await;
    assert!(b.stats().hints > hints, "it still hears");
    assert_eq!(origin.loads(), 2);
}
