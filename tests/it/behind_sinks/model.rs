//! Random histories of batches, with replays, paused owners and crashes between and within them, against a model.

use std::collections::BTreeMap;

use cache_core::behind::{Batch, Sink, SinkError, SqliteSink, Write, Written};
use proptest::prelude::*;
use serde::Serialize;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};

use super::database::{add, at, batch, delete, partition, product, put};

#[derive(Clone, Serialize)]
struct Product {
    name: String,
}

/// What happens to one key in one batch.
#[derive(Clone, Debug)]
enum Change {
    Put(u8),
    Delete,
    Add(Vec<i8>),
    PutAndAdd(u8, i8),
    DeleteAndAdd(i8),
}

/// A batch, and what goes wrong with it.
#[derive(Clone, Debug)]
struct Step {
    changes: Vec<(u64, Change)>,
    /// How often the write is dropped on the way, and after how many turns of the runtime.
    crashes: Vec<u8>,
    /// Whether the flusher before, who was paused, writes its last batch again first.
    zombie: bool,
    replays: u8,
    /// Whether the partition has another owner from here on.
    moves: bool,
}

/// A row by the model.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    name: Option<String>,
    views: i64,
    version: u64,
}

#[derive(Default)]
struct Model {
    rows: BTreeMap<u64, Row>,
    versions: u64,
    /// The last increment of each key, which may come again with the next.
    last: BTreeMap<u64, (u64, i64)>,
}

/// The name that no row may have.
const BAD: u8 = 9;

// === impl Model ===

impl Model {
    /// The writes of a batch, and what is to be answered.
    fn apply(&mut self, step: &Step) -> (Vec<Write<Product>>, Vec<&'static str>) {
        let (mut writes, mut answers) = (Vec::new(), Vec::new());
        let mut seen = Vec::new();
        for (id, change) in &step.changes {
            if seen.contains(id) {
                continue;
            }
            seen.push(*id);
            let is_bad = matches!(change, Change::Put(BAD) | Change::PutAndAdd(BAD, _));
            let (replaced, added) = match change {
                Change::Put(name) => (Some(Some(*name)), vec![]),
                Change::Delete => (Some(None), vec![]),
                Change::Add(by) => (None, by.clone()),
                Change::PutAndAdd(name, by) => (Some(Some(*name)), vec![*by]),
                Change::DeleteAndAdd(by) => (Some(None), vec![*by]),
            };
            if let Some(name) = replaced {
                self.versions += 1;
                writes.push(match name {
                    Some(name) => put(&product(*id), self.versions, Product { name: format!("n{name}") }),
                    None => delete(&product(*id), self.versions),
                });
                answers.push(if is_bad { "refused" } else { "applied" });
                if !is_bad {
                    self.replace(*id, name);
                }
            }
            if !added.is_empty() {
                // One that was added before may come along, as long as the row remembers.
                let mut increments: Vec<(u64, i64)> = self.last.get(id).copied().into_iter().collect();
                for by in added {
                    self.versions += 1;
                    increments.push((self.versions, i64::from(by)));
                    if !is_bad {
                        self.add(*id, i64::from(by));
                    }
                }
                writes.push(add(&product(*id), &increments));
                answers.push(if is_bad { "refused" } else { "applied" });
            }
        }
        (writes, answers)
    }

    fn replace(&mut self, id: u64, name: Option<u8>) {
        match name {
            None => {
                self.rows.remove(&id);
                self.last.remove(&id);
            }
            Some(name) => {
                let row = Row { name: Some(format!("n{name}")), views: 0, version: self.versions };
                self.rows.insert(id, row);
            }
        }
    }

    fn add(&mut self, id: u64, by: i64) {
        let row = self.rows.entry(id).or_insert(Row { name: None, views: 0, version: 0 });
        row.views += by;
        row.version = self.versions;
        self.last.insert(id, (self.versions, by));
    }
}

async fn rows(pool: &SqlitePool) -> BTreeMap<u64, Row> {
    let rows: Vec<(i64, Option<String>, i64, i64)> =
        sqlx::query_as("SELECT id, name, views, cache_version FROM product").fetch_all(pool).await.unwrap();
    let row = |(id, name, views, version)| {
        (i64::cast_unsigned(id), Row { name, views, version: i64::cast_unsigned(version) })
    };
    rows.into_iter().map(row).collect()
}

fn words(answers: &[Written]) -> Vec<&'static str> {
    let word = |answer: &Written| match answer {
        Written::Applied => "applied",
        Written::Newer(_) => "newer",
        Written::Refused(_) => "refused",
    };
    answers.iter().map(word).collect()
}

/// What may be answered to a batch that was perhaps written before: it changes nothing, and a delete finds nothing.
fn is_of_a_replay(wanted: &[&str], got: &[&str], writes: &[Write<Product>]) -> bool {
    let is_delete = |write: &Write<Product>| matches!(write.operation, cache_core::behind::Operation::Delete);
    wanted.iter().zip(got).zip(writes).all(|((wanted, got), write)| match (*wanted, *got) {
        ("refused", "refused") | ("applied", "newer") => true,
        ("applied", "applied") => is_delete(write),
        _ => false,
    })
}

async fn follow(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteConnectOptions::new().filename(folder.path().join("shop.db")).create_if_missing(true);
    let file = file.synchronous(SqliteSynchronous::Off);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(file).await.unwrap();
    let table = "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'n9'), views INTEGER NOT NULL DEFAULT 0, \
         cache_version INTEGER NOT NULL DEFAULT 0)";
    sqlx::raw_sql(table).execute(&pool).await.unwrap();
    let sink = SqliteSink::<Product>::new(pool.clone(), "product").keyed_by("product:{id}").counter_column("views");
    let (mut model, mut fence) = (Model::default(), 1);
    let mut before: Option<Batch<Product>> = None;
    for (number, step) in (1..).zip(&steps) {
        let (writes, wanted) = model.apply(step);
        if writes.is_empty() {
            continue;
        }
        if step.moves {
            fence += 1;
        }
        let mut now = batch(fence, number, writes);
        let mut dropped = false;
        for turns in &step.crashes {
            tokio::select! {
                biased;
                _ = sink.write(&now) => {}
                () = async { for _ in 0..*turns { tokio::task::yield_now().await } } => {}
            }
            dropped = true;
            fence += 1;
            now.fence = fence;
        }
        let got = words(&sink.write(&now).await.unwrap());
        let is_right = got == wanted || (dropped && is_of_a_replay(&wanted, &got, &now.writes));
        prop_assert!(is_right, "{got:?}, not {wanted:?}");
        for _ in 0..step.replays {
            let got = words(&sink.write(&now).await.unwrap());
            prop_assert!(is_of_a_replay(&wanted, &got, &now.writes), "again: {got:?}, not as {wanted:?}");
        }
        if let Some(before) = before.filter(|before| step.zombie && before.fence < fence) {
            let done = sink.write(&before).await;
            prop_assert!(matches!(done, Err(SinkError::Fenced(current)) if current == fence), "{done:?}");
        }
        prop_assert_eq!(sink.position(&partition(0)).await.unwrap(), Some(at(number)));
        prop_assert_eq!(&rows(&pool).await, &model.rows);
        before = Some(now);
    }
    Ok(())
}

fn change() -> impl Strategy<Value = Change> {
    let name = || prop_oneof![8 => 0..BAD, 1 => Just(BAD)];
    prop_oneof![
        name().prop_map(Change::Put),
        Just(Change::Delete),
        prop::collection::vec(any::<i8>(), 1..4).prop_map(Change::Add),
        (name(), any::<i8>()).prop_map(|(name, by)| Change::PutAndAdd(name, by)),
        any::<i8>().prop_map(Change::DeleteAndAdd),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let changes = prop::collection::vec((0..5_u64, change()), 1..8);
    let crashes = prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(any::<u8>(), 1..3)];
    (changes, crashes, any::<bool>(), 0..3_u8, any::<bool>())
        .prop_map(|(changes, crashes, zombie, replays, moves)| Step { changes, crashes, zombie, replays, moves })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn histories_end_as_the_model_does(steps in prop::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(steps))?;
    }
}
