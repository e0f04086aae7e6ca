//! What the simulated application does: rows in a database, and functions over them that carry the attributes.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cache_core::{Cache, Key, KeyPart, cache_evict, cache_put, cacheable, key};
use serde::{Deserialize, Serialize};
use tokio::time::Duration;

use super::elapse;

/// Rows of the database that everybody reads and changes.
pub const ROWS: u64 = 6;
/// One more, which only a fault touches, so that nothing comes in between.
pub const SECLUDED: u64 = ROWS;
/// Shelves: which one a row is on never changes.
pub const SHELVES: u64 = 2;
/// Lots: which one a row is of changes with its version, so only the row itself can say.
pub const LOTS: u64 = 2;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub id: u64,
    pub version: u64,
    pub lot: u64,
}

impl Row {
    fn new(id: u64, version: u64) -> Self {
        Self { id, version, lot: version % LOTS }
    }
}

/// The database answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database said no")
    }
}

impl std::error::Error for Failure {}

/// The database, as one node has it. All clones are one.
#[derive(Clone, Default)]
pub struct Database {
    rows: Arc<Mutex<Rows>>,
    node: usize,
}

/// A version that a row was given.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    pub id: u64,
    pub version: u64,
    pub node: usize,
    /// What follows it evicts the entries of this lot alone.
    pub lot: Option<u64>,
}

#[derive(Default)]
struct Rows {
    versions: [u64; ROWS as usize + 1],
    commits: Vec<Commit>,
    loads: u64,
    /// One load in so many fails, or panics; 0 for none.
    failing: u32,
    panicking: u32,
}

// === impl Database ===

impl Database {
    /// The same database, as another node has it.
    pub fn on(&self, node: usize) -> Self {
        Self { rows: Arc::clone(&self.rows), node }
    }

    /// Every version that a row was given, and by which node.
    pub fn commits(&self) -> Vec<Commit> {
        self.rows().commits.clone()
    }

    /// The version that a row is at.
    pub fn version(&self, id: u64) -> u64 {
        self.rows().versions[id as usize]
    }

    /// How often a row was read.
    pub fn loads(&self) -> u64 {
        self.rows().loads
    }

    /// Lets one load in `failing` fail and one in `panicking` panic; 0 for none.
    pub fn misbehave(&self, failing: u32, panicking: u32) {
        let mut rows = self.rows();
        (rows.failing, rows.panicking) = (failing, panicking);
    }

    /// Changes a row; answers its new version.
    pub fn commit(&self, id: u64, lot: Option<u64>) -> u64 {
        let mut rows = self.rows();
        rows.versions[id as usize] += 1;
        let version = rows.versions[id as usize];
        rows.commits.push(Commit { id, version, node: self.node, lot });
        version
    }

    /// The rows of a lot.
    pub fn of_lot(&self, lot: u64) -> Vec<u64> {
        let rows = self.rows();
        (0..ROWS).filter(|id| rows.versions[*id as usize] % LOTS == lot).collect()
    }

    /// Reads a row, as a query does: some time passes before the row is looked at, and some before it arrives.
    pub async fn read(&self, id: u64) -> Result<Row, Failure> {
        pass(20).await;
        let (row, fails, panics) = {
            let mut rows = self.rows();
            rows.loads += 1;
            let one_in = |many: u32| many > 0 && fastrand::u32(..many) == 0;
            let (fails, panics) = (one_in(rows.failing), one_in(rows.panicking));
            (Row::new(id, rows.versions[id as usize]), fails, panics)
        };
        pass(20).await;
        assert!(!panics, "{SIMULATED}");
        if fails { Err(Failure) } else { Ok(row) }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a simulated panic says.
pub const SIMULATED: &str = "a simulated panic";

/// Lets up to `millis` pass, as a query does.
pub async fn pass(millis: u64) {
    elapse(Duration::from_micros(fastrand::u64(..millis * 1_000))).await;
}

/// The number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, KeyPart)]
pub struct RowId(pub u64);

impl RowId {
    /// The shelf that the row is on.
    pub fn shelf(self) -> u64 {
        self.0 % SHELVES
    }
}

/// The key that all of these functions share.
pub fn row_key(id: u64) -> Key {
    key!("row:{id}")
}

/// Reads a row in a task of its own.
#[cacheable(key = "row:{id}", skip(cache, database), tags = ["shelf:{id.shelf()}", "lot:{it.lot}"], cache = cache)]
pub async fn find(cache: &Cache, database: Database, id: RowId) -> Result<Row, Failure> {
    database.read(id.0).await
}

/// Reads a row in the caller.
#[cacheable(key = "row:{id}", skip(cache, database), tags = ["shelf:{id.shelf()}", "lot:{it.lot}"], cache = cache, inline)]
pub async fn find_inline(cache: &Cache, database: &Database, id: RowId) -> Result<Row, Failure> {
    database.read(id.0).await
}

/// Changes a row; the new one is the new entry.
#[cache_put(key = "row:{id}", tags = ["shelf:{id.shelf()}", "lot:{it.lot}"], cache = cache)]
pub async fn save(cache: &Cache, database: Database, id: RowId) -> Result<Row, Failure> {
    pass(10).await;
    let version = database.commit(id.0, None);
    pass(10).await;
    Ok(Row::new(id.0, version))
}

/// Changes a row, whose version says which of two that overlap is the newer one.
#[cache_put(key = "row:{id}", tags = ["shelf:{id.shelf()}", "lot:{it.lot}"], version = it.version, cache = cache)]
pub async fn save_newer(cache: &Cache, database: Database, id: RowId) -> Result<Row, Failure> {
    pass(10).await;
    let version = database.commit(id.0, None);
    pass(10).await;
    Ok(Row::new(id.0, version))
}

/// Changes a row, and evicts it.
#[cache_evict(key = "row:{id}", cache = cache)]
pub async fn touch(cache: &Cache, database: Database, id: RowId) -> Result<u64, Failure> {
    pass(10).await;
    let version = database.commit(id.0, None);
    pass(10).await;
    Ok(version)
}

/// Changes a row and evicts it, in the caller: one that goes away leaves it to a guard.
#[cache_evict(key = "row:{id}", cache = cache, inline)]
pub async fn touch_inline(cache: &Cache, database: &Database, id: RowId) -> Result<u64, Failure> {
    let version = database.commit(id.0, None);
    pass(20).await;
    Ok(version)
}

/// Changes a row and evicts it, before and after, in the caller.
#[cache_evict(key = "row:{id}", cache = cache, phase = both, inline)]
pub async fn touch_twice(cache: &Cache, database: &Database, id: RowId) -> Result<u64, Failure> {
    pass(10).await;
    let version = database.commit(id.0, None);
    pass(10).await;
    Ok(version)
}
