//! What writers change, and how they tell the cache.

use std::future::Future;

use cache_core::{Ack, Observation, Outcome, key, observe};

use super::{
    callers::{finish, finish_or},
    history::Change,
    shop::{self, Database, LOTS, ROWS, RowId, SHELVES, row_key},
    world::{Node, World},
};

/// Kinds of change below this are of a single row.
pub(super) const OF_ONE_ROW: u8 = 7;

/// One change of rows, of this one if it is of one, told to the cache in one of the ways that there are; nothing if the caller
/// gave up.
pub(super) async fn change(world: &World, node: &Node, id: u64, kind: u8) -> Option<Change> {
    let (cache, database) = (node.cache.clone(), world.database.on(node.number));
    let told = |kind: &'static str, rows, lot, seen: Vec<Observation>| {
        let ack = seen.iter().rev().find_map(|seen| match seen.outcome {
            Outcome::Put(ack) | Outcome::Evict(ack) => Some(ack),
            _ => None,
        });
        let applied = ack.is_some_and(Ack::is_applied);
        let softly = kind.starts_with("soft");
        Change { node: node.number, kind, rows, lot, softly, ended: world.history().moment(), applied }
    };
    match kind {
        0..=1 => {
            let task = tokio::spawn(observe(async move { shop::save_newer(&cache, database, RowId(id)).await }));
            let (row, seen) = finish(task).await?;
            Some(told("put of a version", vec![(id, row.ok()?.version)], None, seen))
        }
        2 => {
            let task = tokio::spawn(observe(async move { shop::save(&cache, database, RowId(id)).await }));
            let (row, seen) = finish(task).await?;
            Some(told("put", vec![(id, row.ok()?.version)], None, seen))
        }
        3..=4 => {
            let task = tokio::spawn(observe(async move { shop::touch(&cache, database, RowId(id)).await }));
            let (version, seen) = finish(task).await?;
            Some(told("evict", vec![(id, version.ok()?)], None, seen))
        }
        5 => {
            let task = tokio::spawn(observe(async move { shop::touch_twice(&cache, &database, RowId(id)).await }));
            let (version, seen) = finish(task).await?;
            Some(told("evict, both phases", vec![(id, version.ok()?)], None, seen))
        }
        6 => {
            let task = tokio::spawn(observe(async move { shop::touch_inline(&cache, &database, RowId(id)).await }));
            let (version, seen) = finish_or(task, 2, 25_000).await?;
            Some(told("evict in the caller", vec![(id, version.ok()?)], None, seen))
        }
        7..=8 | 12 => {
            let number = fastrand::u64(..SHELVES);
            let ids: Vec<u64> = (0..ROWS).filter(|id| RowId(*id).shelf() == number).collect();
            let (tag, word) =
                (key!("shelf:{number}"), ["evict of a tag", "soft evict of a tag"][usize::from(kind == 12)]);
            let evict =
                async move { if kind == 12 { cache.soft_evict_tag(tag).await } else { cache.evict_tag(tag).await } };
            by_hand(word, database, ids, None, evict, told).await
        }
        9 => {
            let lot = fastrand::u64(..LOTS);
            let ids = database.of_lot(lot);
            let evict = async move { cache.evict_tag(key!("lot:{lot}")).await };
            by_hand("evict of a tag of the result", database, ids, Some(lot), evict, told).await
        }
        10 | 13 => {
            // The heads of the tags reach whatever has such a tag.
            let scope = ["row", "lot", "shelf"][fastrand::usize(..3)];
            let word = ["evict of a scope", "soft evict of a scope"][usize::from(kind == 13)];
            let evict = async move {
                if kind == 13 { cache.soft_evict_scope(scope).await } else { cache.evict_scope(scope).await }
            };
            by_hand(word, database, (0..ROWS).collect(), None, evict, told).await
        }
        11 => {
            let evict = async move { cache.soft_evict(&row_key(id)).await };
            by_hand("soft evict", database, vec![id], None, evict, told).await
        }
        _ => {
            let evict = async move { cache.clear().await };
            by_hand("clear", database, (0..ROWS).collect(), None, evict, told).await
        }
    }
}

/// Changes rows and then says so by hand, in one task.
async fn by_hand(
    kind: &'static str,
    database: Database,
    ids: Vec<u64>,
    lot: Option<u64>,
    evict: impl Future<Output = Ack> + Send + 'static,
    told: impl FnOnce(&'static str, Vec<(u64, u64)>, Option<u64>, Vec<Observation>) -> Change,
) -> Option<Change> {
    let task = tokio::spawn(observe(async move {
        let rows: Vec<_> = ids.iter().map(|id| (*id, database.commit(*id, lot))).collect();
        let _told_by_its_outcome = evict.await;
        rows
    }));
    let (rows, seen) = finish(task).await?;
    Some(told(kind, rows, lot, seen))
}
