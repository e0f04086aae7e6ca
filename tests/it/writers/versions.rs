//! `version = ..`: of two writers that overlap, the one with the newer row leaves it behind, whoever comes first. Whatever else was said
//! about the key in between, both evict, and the next reader loads.

use std::time::Duration;

use cache_core::{Ack, Cache, Outcome, Tier, cache_evict, cache_put, cacheable, observe};
use tests::fixtures::{RedisServer, eventually};
use tokio::sync::mpsc;

use crate::support::{Origin, Product, node, product};

const SOON: Duration = Duration::from_secs(20);
const ID: u64 = 7;

type Row = Result<Product, std::convert::Infallible>;

/// The body of a writer: it says that it has begun, and is let end with the row of this revision.
#[derive(Clone, Debug)]
struct Body {
    revision: u64,
    begun: mpsc::Sender<()>,
    end: std::sync::Arc<tokio::sync::Semaphore>,
}

#[derive(Clone)]
struct Shop {
    cache: Cache,
    origin: Origin,
}

impl Shop {
    #[cacheable(key = "versioned:{id}", tags = ["versioned-category:{it.category}"])]
    async fn find(&self, id: u64) -> Row {
        self.origin.clone().read(id).await
    }

    #[cache_put(key = "versioned:{id}", tags = ["versioned-category:{it.category}"], version = it.revision)]
    async fn save(&self, id: u64, body: Body) -> Row {
        body.begun.send(()).await.unwrap();
        let _end = body.end.acquire().await.unwrap();
        Ok(product(id, body.revision))
    }

    #[cache_put(key = "versioned:{id}", tags = ["versioned-category:{it.category}"])]
    async fn save_unversioned(&self, id: u64, revision: u64) -> Row {
        Ok(product(id, revision))
    }

    #[cache_evict(key = "versioned:{id}")]
    async fn delete(&self, id: u64) {
        let _ = id;
    }

    #[cache_put(key = "versioned:{id}", tags = ["versioned-category:{it.category}"], version = it.revision)]
    async fn save_now(&self, id: u64, revision: u64) -> Row {
        Ok(product(id, revision))
    }

    /// What a reader is given, and how.
    async fn read(&self) -> (u64, Outcome) {
        let (Ok(found), seen) = observe(self.find(ID)).await;
        (found.revision, seen[0].outcome)
    }

    /// Begins a writer whose row will have this revision.
    async fn begin(&self, revision: u64) -> Begun {
        let (begun, mut has_begun) = mpsc::channel(1);
        let end = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        let (shop, body) = (self.clone(), Body { revision, begun, end: std::sync::Arc::clone(&end) });
        let writer = tokio::spawn(async move { observe(shop.save(ID, body)).await.1[0].outcome });
        has_begun.recv().await.unwrap();
        Begun { writer, end }
    }
}

/// A writer whose body is under way: what the cache looks at before it, it has looked at.
struct Begun {
    writer: tokio::task::JoinHandle<Outcome>,
    end: std::sync::Arc<tokio::sync::Semaphore>,
}

impl Begun {
    async fn ends(self) {
        self.end.add_permits(1);
        let outcome = self.writer.await.unwrap();
        assert!(matches!(outcome, Outcome::Put(Ack::Applied(_))), "{outcome}");
    }
}

/// Two nodes on a Redis, then one without twice; each with revision 1 in its L1. What is loaded again is revision 99.
async fn clusters(redis: &RedisServer) -> [[Shop; 2]; 2] {
    let origin = Origin::default();
    let shop = |cache| Shop { cache, origin: origin.clone() };
    let alone = shop(Cache::in_memory());
    let clusters = [[shop(node(redis).await), shop(node(redis).await)], [alone.clone(), alone]];
    origin.write(1);
    for [shop, _] in &clusters {
        // Of the round before.
        shop.delete(ID).await;
    }
    for shop in clusters.iter().flatten() {
        eventually(SOON, async || shop.read().await == (1, Outcome::Hit(Tier::Local))).await;
    }
    origin.write(99);
    clusters
}

/// Every node serves this revision, which was put: nobody has loaded.
async fn all_keep(nodes: &[Shop], revision: u64) {
    for shop in nodes {
        eventually(SOON, async || {
            let (found, outcome) = shop.read().await;
            assert!(outcome.is_hit(), "{found} {outcome}");
            if found == revision { Ok(()) } else { Err(found) }
        })
        .await;
    }
}

/// Nothing is left: every node loads.
async fn all_load(nodes: &[Shop]) {
    for shop in nodes {
        eventually(SOON, async || match shop.read().await.0 {
            99 => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

#[tokio::test]
async fn newer_row_stays_whoever_ends_first() {
    let redis = RedisServer::start().await;
    for newer_is_first in [true, false] {
        for nodes in clusters(&redis).await {
            let (newer, older) = (nodes[0].begin(3).await, nodes[1].begin(2).await);
            if newer_is_first {
                newer.ends().await;
                older.ends().await;
            } else {
                older.ends().await;
                newer.ends().await;
            }
            assert_eq!(nodes[usize::from(newer_is_first)].read().await.0, 3, "whoever wrote sees it at once");
            all_keep(&nodes, 3).await;
        }
    }
}

#[tokio::test]
async fn writers_that_overlap_all_day_leave_the_newest_row() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let mut before = nodes[0].begin(2).await;
        for revision in 3..30 {
            let next = nodes[revision as usize % 2].begin(revision).await;
            before.ends().await;
            before = next;
        }
        before.ends().await;
        all_keep(&nodes, 29).await;
    }
}

/// Both writers have to draw a version above the record's by chance, and the second may draw one below the first's.
#[tokio::test]
async fn newer_row_stays_where_the_record_is_ahead_of_the_time() {
    let server = RedisServer::start().await;
    let [nodes, _] = clusters(&server).await;
    let mut hand = server.connection().await;
    let control = nodes[0].cache.redis_key(&cache_core::key!("versioned:{ID}")).unwrap();
    for revision in 1..16 {
        let ahead = redis::cmd("SET").arg(&control).arg("9000000000000000").arg("KEEPTTL").take();
        let _: () = ahead.query_async(&mut hand).await.unwrap();
        let (older, newer) = (nodes[0].begin(100 + revision).await, nodes[1].begin(200 + revision).await);
        let mut last = 9_000_000_000_000_000_u64;
        for writer in [older, newer] {
            writer.ends().await;
            let record: String = redis::cmd("GET").arg(&control).query_async(&mut hand).await.unwrap();
            let version = record.split(' ').next().unwrap().parse().unwrap();
            assert!(version > last, "a version that was given comes again: {version} after {last}");
            last = version;
        }
        for shop in &nodes {
            eventually(SOON, async || match shop.read().await {
                (found, outcome) if found == 200 + revision && outcome.is_hit() => Ok(()),
                other => Err(other),
            })
            .await;
        }
    }
}

#[tokio::test]
async fn writer_that_was_overtaken_more_often_than_is_remembered_evicts() {
    let redis = RedisServer::start().await;
    for (overtaken, stays) in [(8, true), (9, false)] {
        for nodes in clusters(&redis).await {
            let slow = nodes[0].begin(90).await;
            for revision in 2..2 + overtaken {
                let Ok(_) = nodes[1].save_now(ID, revision).await;
            }
            slow.ends().await;
            if stays { all_keep(&nodes, 90).await } else { all_load(&nodes).await }
        }
    }
}

#[tokio::test]
async fn evict_in_between_leaves_neither_row() {
    let redis = RedisServer::start().await;
    for (first, second) in [(3, 2), (2, 3)] {
        for nodes in clusters(&redis).await {
            let (one, other) = (nodes[0].begin(first).await, nodes[1].begin(second).await);
            one.ends().await;
            nodes[1].delete(ID).await;
            other.ends().await;
            all_load(&nodes).await;
        }
    }
}

/// The row that is there now was written after an eviction that the other writer does not know of: their versions say nothing.
#[tokio::test]
async fn row_put_after_an_evict_is_not_compared_with_one_from_before() {
    let redis = RedisServer::start().await;
    for (before, after) in [(3, 2), (2, 3)] {
        for nodes in clusters(&redis).await {
            let old = nodes[0].begin(before).await;
            nodes[1].delete(ID).await;
            nodes[1].begin(after).await.ends().await;
            old.ends().await;
            all_load(&nodes).await;
        }
    }
}

/// A table that was made anew, with versions that begin again: whoever says so by an eviction of whatever kind has rows believed again.
#[tokio::test]
async fn row_put_before_an_eviction_of_its_tags_is_not_taken_for_the_newer_one() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        for (what, is_loaded) in [("tag", true), ("scope", false), ("all", true), ("tag", false)] {
            let Ok(_) = nodes[0].save_now(ID, 50).await;
            all_keep(&nodes, 50).await;
            let ack = match what {
                "tag" => nodes[0].cache.evict_tag(cache_core::Key::new("versioned-category").arg("books")).await,
                "scope" => nodes[0].cache.evict_scope("versioned").await,
                _ => nodes[0].cache.clear().await,
            };
            assert!(ack.is_applied());
            if is_loaded {
                all_load(&nodes).await;
            }
            let Ok(_) = nodes[0].save_now(ID, 2).await;
            let left = nodes[0].cache.get::<Product>(&cache_core::key!("versioned:{ID}")).await;
            assert!(left.as_ref().is_none_or(|left| left.revision == 2), "{what}: {left:?}");
            let Ok(_) = nodes[0].save_now(ID, 3).await;
            all_keep(&nodes, 3).await;
            nodes[0].delete(ID).await;
        }
    }
}

#[tokio::test]
async fn row_without_a_version_is_not_compared() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let versioned = nodes[0].begin(9).await;
        let Ok(_) = nodes[1].save_unversioned(ID, 2).await;
        versioned.ends().await;
        all_load(&nodes).await;
    }
}

/// What was loaded meanwhile is not known to be of any version.
#[tokio::test]
async fn row_that_was_loaded_meanwhile_is_not_compared() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let versioned = nodes[0].begin(9).await;
        nodes[1].delete(ID).await;
        all_load(&nodes).await;
        versioned.ends().await;
        all_load(&nodes).await;
    }
}

#[tokio::test]
async fn equal_versions_of_writers_that_overlap_leave_neither() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let (one, other) = (nodes[0].begin(2).await, nodes[1].begin(2).await);
        one.ends().await;
        other.ends().await;
        all_load(&nodes).await;
    }
}

/// Whoever looked at the key after a newer row was put has no business with an older one.
#[tokio::test]
async fn older_row_does_not_replace_one_that_was_there_before_it_began() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let Ok(_) = nodes[0].save_now(ID, 5).await;
        let Ok(_) = nodes[1].save_now(ID, 4).await;
        all_keep(&nodes, 5).await;
        let Ok(_) = nodes[1].save_now(ID, 6).await;
        all_keep(&nodes, 6).await;
    }
}

#[tokio::test]
async fn by_hand_the_newer_row_stays_too() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let key = || cache_core::Key::new("by-hand").arg(ID);
        assert!(nodes[0].cache.entry(key()).row_version(5).put(product(ID, 5)).await.is_applied());
        assert!(nodes[1].cache.entry(key()).row_version(4).put(product(ID, 4)).await.is_applied());
        let older = async || Ok::<_, std::convert::Infallible>(product(ID, 3));
        let Ok(_) = nodes[1].cache.entry(key()).write_newest(older, |it| it.revision).await;
        assert_eq!(nodes[0].cache.get::<Product>(&key()).await, Some(product(ID, 5)));
        let newer = async || Ok::<_, std::convert::Infallible>(product(ID, 6));
        let Ok(_) = nodes[1].cache.entry(key()).write_newest(newer, |it| it.revision).await;
        eventually(SOON, async || nodes[0].cache.get::<Product>(&key()).await == Some(product(ID, 6))).await;
    }
}
