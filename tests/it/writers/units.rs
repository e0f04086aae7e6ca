//! Evictions that belong to a transaction: made when they are named, and again when it is known how it ended.

use cache_core::{Outcome, Tier};
use tests::fixtures::RedisServer;

use crate::support::{Origin, key, node, sees};

/// Two nodes, and an origin whose row is old until the transaction is committed.
async fn scene() -> (RedisServer, cache_core::Cache, cache_core::Cache, Origin) {
    let redis = RedisServer::start().await;
    let (writer, reader) = (node(&redis).await, node(&redis).await);
    (redis, writer, reader, Origin::default())
}

#[tokio::test]
async fn what_was_loaded_before_the_commit_is_gone_after_it() {
    let (_redis, writer, reader, origin) = scene().await;
    let before = origin.through(&reader, 7).await;
    let mut unit = writer.unit();
    assert!(unit.evict(&key(7)).await.is_applied());
    // The transaction is not committed: others still read the old row, and store it.
    sees(&reader, &origin, 7, before).await;
    origin.write(before + 1);
    assert!(unit.committed().await.is_applied());
    sees(&reader, &origin, 7, before + 1).await;
    assert_eq!(origin.through(&writer, 7).await, before + 1);
}

#[tokio::test]
async fn a_unit_that_is_dropped_is_taken_for_committed() {
    let (_redis, writer, reader, origin) = scene().await;
    let before = origin.through(&reader, 7).await;
    let mut unit = writer.unit();
    assert!(unit.evict_scope("product").await.is_applied());
    sees(&reader, &origin, 7, before).await;
    origin.write(before + 1);
    drop(unit);
    sees(&reader, &origin, 7, before + 1).await;
}

#[tokio::test]
async fn a_unit_that_was_rolled_back_evicts_nothing_more() {
    let (_redis, writer, _reader, origin) = scene().await;
    let mut unit = writer.unit();
    assert!(unit.evict_tag(cache_core::Key::new("category").arg("books")).await.is_applied());
    let before = origin.through(&writer, 7).await;
    unit.rolled_back();
    let (found, seen) = cache_core::observe(origin.through(&writer, 7)).await;
    assert_eq!(found, before);
    assert_eq!(seen[0].outcome, Outcome::Hit(Tier::Local));
}
