//! What a node does: functions over rows that carry the attributes, and changes told by hand.

use std::{convert::Infallible, time::Duration};

use cache_core::{
    Ack, Cache, Key, KeyPart, Observation, Outcome, Tier, cache_evict, cache_put, cacheable, key, observe,
};
use serde::{Deserialize, Serialize};

use super::{
    clock::Moment,
    database::Database,
    report::{Change, Read, Report},
};

/// Rows of the database.
pub(crate) const ROWS: u64 = 16;
const SHELVES: u64 = 4;
/// Which lot a row is of changes with its version, so only the row itself can say.
pub(crate) const LOTS: u64 = 2;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    id: u64,
    version: u64,
    lot: u64,
}

/// The number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
pub(crate) struct RowId(u64);

impl RowId {
    fn shelf(self) -> u64 {
        self.0 % SHELVES
    }
}

impl Row {
    fn new(id: u64, version: u64) -> Self {
        Self { id, version, lot: version % LOTS }
    }
}

#[cacheable(key = "row:{id}", skip(cache, database), tags = ["shelf:{id.shelf()}", "lot:{it.lot}"], cache = cache)]
async fn find(cache: &Cache, database: Database, id: RowId) -> Result<Row, Infallible> {
    Ok(Row::new(id.0, database.read(id.0).await))
}

#[cache_put(key = "row:{id}", tags = ["shelf:{id.shelf()}", "lot:{it.lot}"], cache = cache)]
async fn save(cache: &Cache, database: Database, id: RowId) -> Result<Row, Infallible> {
    let rows = database.commit(&[id.0], None).await;
    Ok(Row::new(id.0, rows[0].1))
}

#[cache_evict(key = "row:{id}", cache = cache)]
async fn touch(cache: &Cache, database: Database, id: RowId) -> Result<u64, Infallible> {
    let rows = database.commit(&[id.0], None).await;
    Ok(rows[0].1)
}

/// Reads a row, by whichever way.
pub(crate) async fn read(cache: &Cache, database: &Database) -> Report {
    let id = fastrand::u64(..ROWS);
    let begun = Moment::now();
    let (row, seen) = observe(async {
        match fastrand::u8(..8) {
            0 => cache.get::<Row>(&row_key(id)).await,
            1 => cache.get_many::<Row>(&[row_key(id), row_key((id + 1) % ROWS)]).await.swap_remove(0),
            _ => {
                let Ok(row) = find(cache, database.clone(), RowId(id)).await;
                Some(row)
            }
        }
    })
    .await;
    let ended = Moment::now();
    let local = seen.first().is_some_and(|seen| matches!(seen.outcome, Outcome::Hit(Tier::Local)));
    match row {
        Some(row) if row.id != id || row.lot != row.version % LOTS => {
            Report::Wrong(format!("row {id} was read, and {row:?} was given"))
        }
        row => Report::Read(Read { id, begun, ended, version: row.map(|row| row.version), local }),
    }
}

fn row_key(id: u64) -> Key {
    key!("row:{id}")
}

/// Changes rows, and tells the cache in one of the ways that there are.
pub(crate) async fn change(cache: &Cache, database: &Database) -> Report {
    let id = fastrand::u64(..ROWS);
    let (told, lot) = match fastrand::u8(..12) {
        0..=2 => {
            let (row, seen) = observe(save(cache, database.clone(), RowId(id))).await;
            let Ok(row) = row;
            ((vec![(id, row.version)], ack_of(&seen)), None)
        }
        3..=6 => {
            let (version, seen) = observe(touch(cache, database.clone(), RowId(id))).await;
            let Ok(version) = version;
            ((vec![(id, version)], ack_of(&seen)), None)
        }
        7..=8 => {
            let number = fastrand::u64(..SHELVES);
            let ids: Vec<u64> = (0..ROWS).filter(|id| RowId(*id).shelf() == number).collect();
            let rows = database.commit(&ids, None).await;
            ((rows, cache.evict_tag(key!("shelf:{number}")).await), None)
        }
        9 => {
            let lot = fastrand::u64(..LOTS);
            let rows = database.commit(&[], Some(lot)).await;
            ((rows, cache.evict_tag(key!("lot:{lot}")).await), Some(lot))
        }
        10 => {
            let rows = database.commit(&(0..ROWS).collect::<Vec<_>>(), None).await;
            ((rows, cache.evict_scope(["row", "lot", "shelf"][fastrand::usize(..3)]).await), None)
        }
        _ => {
            let rows = database.commit(&(0..ROWS).collect::<Vec<_>>(), None).await;
            ((rows, cache.clear().await), None)
        }
    };
    let (rows, ack) = told;
    Report::Change(Change { ended: Moment::now(), applied: ack.is_applied(), lot, rows })
}

fn ack_of(seen: &[Observation]) -> Ack {
    let ack = seen.iter().rev().find_map(|seen| match seen.outcome {
        Outcome::Put(ack) | Outcome::Evict(ack) => Some(ack),
        _ => None,
    });
    ack.unwrap_or(Ack::Queued)
}

/// A pause of up to `longest`.
pub(crate) async fn pause(longest: Duration) {
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    // Time itself: a service is not asked all the time.
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..micros.max(1)))).await;
}
