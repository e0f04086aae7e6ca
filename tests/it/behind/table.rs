//! A table in memory that is a sink as a sink has to be, and can be made to fail.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use cache_core::{
    Key,
    behind::{Batch, Operation, Partition, Position, Sink, SinkError, Written},
};
use tokio::sync::Semaphore;

use crate::support::Product;

/// A row, and what it counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) version: u64,
    pub(crate) product: Option<Product>,
    pub(crate) count: i64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<String, Row>,
    fences: HashMap<Partition, (u64, Position)>,
    /// The fences of the batches that were written.
    pub(crate) written_under: HashSet<u64>,
    /// Keys that are refused.
    pub(crate) refused: HashSet<String>,
    /// Whether nothing can be written at all.
    pub(crate) is_down: bool,
    /// Every write that changed a row, in order: key, version.
    pub(crate) log: Vec<(String, u64)>,
    pub(crate) batches: Vec<Vec<String>>,
    /// Answers that are lost, though the batch was written.
    pub(crate) lost_answers: usize,
    pub(crate) keeps_positions: bool,
    /// Batches at which it panics.
    pub(crate) panics: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    state: Arc<Mutex<State>>,
    /// A batch takes a permit to be written.
    gate: Arc<Semaphore>,
    /// Batches that wait, or waited, for it.
    came: Arc<AtomicUsize>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)), came: Arc::default() }
    }

    /// One whose batches wait for [`open`](Self::open).
    pub(crate) fn shut() -> Self {
        Self { state: Arc::default(), gate: Arc::new(Semaphore::new(0)), came: Arc::default() }
    }

    /// Whether a batch has come.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.batches_that_came() > 0
    }

    pub(crate) fn batches_that_came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(1 << 20);
    }

    /// Opens it for one batch.
    pub(crate) fn open_for_one(&self) {
        self.gate.add_permits(1);
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The highest fence of any partition.
    pub(crate) fn fence(&self) -> u64 {
        self.with(|state| state.fences.values().map(|(fence, _)| *fence).max().unwrap_or(0))
    }

    pub(crate) fn raise_fences(&self, by: u64) {
        self.with(|state| state.fences.values_mut().for_each(|(fence, _)| *fence += by));
    }

    pub(crate) fn row(&self, key: &Key) -> Row {
        self.with(|state| state.rows.get(&key.wire()).cloned().unwrap_or_default())
    }

    pub(crate) fn product(&self, key: &Key) -> Option<Product> {
        self.row(key).product
    }
}

impl Sink<Product> for Table {
    async fn write(&self, batch: &Batch<Product>) -> Result<Vec<Written>, SinkError> {
        self.came.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.with(|state| {
            if state.is_down {
                return Err(SinkError::unavailable("the table is down"));
            }
            if state.panics > 0 {
                state.panics -= 1;
                std::panic::resume_unwind(Box::new("the table panics"));
            }
            let known = state.fences.get(&batch.partition).map_or(0, |(fence, _)| *fence);
            if batch.fence < known {
                return Err(SinkError::Fenced(known));
            }
            state.fences.insert(batch.partition.clone(), (batch.fence, batch.position));
            state.written_under.insert(batch.fence);
            state.batches.push(batch.writes.iter().map(|write| write.key.wire()).collect());
            let written = batch.writes.iter().map(|write| state.write(write)).collect();
            if state.lost_answers > 0 {
                state.lost_answers -= 1;
                return Err(SinkError::unavailable("the answer was lost"));
            }
            Ok(written)
        })
    }

    async fn claim(&self, partition: &Partition, fence: u64) -> Result<Option<Position>, SinkError> {
        self.with(|state| {
            let held = state.fences.entry(partition.clone()).or_default();
            if fence < held.0 {
                return Err(SinkError::Fenced(held.0));
            }
            held.0 = fence;
            Ok(Some(held.1).filter(|_| state.keeps_positions))
        })
    }

    async fn position(&self, partition: &Partition) -> Result<Option<Position>, SinkError> {
        Ok(self.with(|state| {
            let position = state.fences.get(partition).map(|(_, position)| *position);
            position.filter(|_| state.keeps_positions)
        }))
    }
}

impl State {
    fn write(&mut self, write: &cache_core::behind::Write<Product>) -> Written {
        let wire = write.key.wire();
        if self.refused.contains(&wire) {
            return Written::Refused("a row that nothing fits".to_owned());
        }
        let version = self.rows.get(&wire).map_or(0, |row| row.version);
        if write.version <= version {
            return Written::Newer(version);
        }
        match &write.operation {
            Operation::Put(product) => {
                let row = self.rows.entry(wire.clone()).or_default();
                (row.product, row.version, row.count) = (Some(product.clone()), write.version, 0);
            }
            Operation::Delete => {
                self.rows.remove(&wire);
            }
            Operation::Increment(increments) => {
                let row = self.rows.entry(wire.clone()).or_default();
                row.count += increments.iter().filter(|one| one.version > version).map(|one| one.by).sum::<i64>();
                row.version = write.version;
            }
        }
        self.log.push((wire, write.version));
        Written::Applied
    }
}
