//! Journals on several primaries: each partition with its slot, also while that moves.

use std::{cell::Cell, collections::HashSet, convert::Infallible, time::Duration};

use cache_core::{Cache, Redis};
use tests::fixtures::{RedisCluster, RedisServer, eventually};

use super::{counter, flushed, starting, table::Table};
use crate::support::{Product, built, key, product, settings};

const SOON: Duration = Duration::from_secs(30);

async fn cluster() -> RedisCluster {
    RedisCluster::start_with(3, 0, RedisServer::options().append_only("always")).await
}

async fn node(cluster: &RedisCluster) -> Cache {
    built(settings(Redis::cluster(cluster.urls())).ensure_notifications().partitions(16)).await
}

async fn read(cache: &Cache, table: &Table, id: u64) -> Option<Product> {
    let table = table.clone();
    let load = move || async move { Ok::<_, Infallible>(table.product(&key(id))) };
    cache.entry(key(id)).or_find(load).await.unwrap().into_value()
}

#[tokio::test]
async fn changes_of_every_primary_are_seen_before_they_are_flushed_and_end_up_in_the_sink() {
    let cluster = cluster().await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    let table = Table::shut();
    let behind = starting(&a, &table).start().await.unwrap();
    let mut primaries = HashSet::new();
    for id in 1..=40 {
        assert_eq!(read(&b, &table, id).await, None);
        behind.put(key(id), &product(id, 1)).await.unwrap();
        behind.put(key(id), &product(id, 2)).await.unwrap();
        behind.increment(counter(id), 3).await.unwrap();
        behind.increment(counter(id), 4).await.unwrap();
        eventually(SOON, async || read(&b, &table, id).await == Some(product(id, 2))).await;
        let slot = cluster.slot_of(&a.redis_key(&key(id)).unwrap()).await;
        primaries.insert(cluster.owner_of(slot).await.address());
    }
    assert_eq!(primaries.len(), 3, "keys of all primaries were among them");
    assert_eq!(table.product(&key(1)), None, "the table is shut");
    table.open();
    flushed(&behind).await;
    for id in 1..=40 {
        assert_eq!(table.product(&key(id)), Some(product(id, 2)));
        assert_eq!(table.row(&counter(id)).count, 7);
    }
}

#[tokio::test]
async fn a_journal_whose_slot_moves_loses_nothing_and_repeats_nothing() {
    let cluster = cluster().await;
    let cache = node(&cluster).await;
    // Of a slot that moves, a command takes keys that are all at one end: a journal that was flushed is without its marks, and
    // changes of it would wait for the end of the move.
    let table = Table::shut();
    let behind = starting(&cache, &table).start().await.unwrap();
    let slot = cluster.slot_of(&cache.redis_key(&key(7)).unwrap()).await;
    let from = cluster.owner_of(slot).await;
    let to = cluster.another_primary(from).await;
    let (revision, mut added) = (Cell::new(0), 0);
    let mut changed = async |what: &str| {
        for _ in 0..20 {
            revision.set(revision.get() + 1);
            // Whoever holds the slot may just then say that the other one does. A put that is made again is the same put.
            let put = || async { behind.put(key(7), &product(7, revision.get())).await.map(drop) };
            eventually(SOON, async || put().await.map_err(|error| format!("{what}: {error}"))).await;
        }
        // One that nobody can say of is not made again: it would count twice.
        if behind.increment(counter(7), 1).await.is_ok() {
            added += 1;
        }
    };
    changed("at first").await;
    cluster.begin_move(slot, from, to).await;
    changed("its keys still where they were").await;
    cluster.move_keys(slot, from, to).await;
    changed("its keys at the other end").await;
    // What is written now cannot be noted before the move has ended, and may be written again.
    table.open();
    eventually(SOON, async || table.product(&key(7)) == Some(product(7, revision.get()))).await;
    cluster.finish_move(slot, to).await;
    changed("moved").await;
    assert_eq!(cluster.owner_of(slot).await.address(), to.address());
    eventually(SOON, async || match behind.lag().await {
        Ok(lag) if lag.changes == 0 && lag.parked == 0 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(table.product(&key(7)), Some(product(7, revision.get())));
    let versions: Vec<u64> = table
        .with(|state| state.log.iter().filter(|(of, _)| *of == key(7).wire()).map(|(_, version)| *version).collect());
    assert!(versions.is_sorted_by(|before, after| before < after), "in order, each once: {versions:?}");
    let count = table.row(&counter(7)).count;
    // The four whose answer may have been lost are the only ones that may count without having been acknowledged.
    assert!((added..=4).contains(&count), "{added} of 4 acknowledged, {count} counted");
}
