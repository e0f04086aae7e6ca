//! A database of either kind, and a sink into it.

use std::time::Duration;

use cache_core::Key;
use cache_core::behind::{
    Batch, Increment, Operation, Partition, Position, PostgresSink, Sink, SinkError, SqliteSink, Write, Written,
};
use serde::Serialize;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, PgPool, SqlitePool};
use tempfile::TempDir;
use tests::PostgresServer;

pub(super) enum Database {
    Postgres(PostgresServer, PgPool),
    Sqlite(TempDir, SqlitePool),
}

pub(super) enum AnySink<T> {
    Postgres(PostgresSink<T>),
    Sqlite(SqliteSink<T>),
}

/// A test that is run with each database.
macro_rules! on_both {
    ($(async fn $name:ident($database:ident: &Database) $body:block)+) => {$(
        mod $name {
            #[allow(clippy::wildcard_imports, reason = "the file's own")]
            use super::*;

            async fn scenario($database: &Database) $body

            #[tokio::test]
            async fn postgres() {
                scenario(&Database::postgres().await).await;
            }

            #[tokio::test]
            async fn sqlite() {
                scenario(&Database::sqlite().await).await;
            }
        }
    )+};
}

pub(super) use on_both;

// === impl Database ===

impl Database {
    pub(super) async fn postgres() -> Self {
        let server = PostgresServer::start().await;
        let pool = server.pool().await;
        Self::Postgres(server, pool)
    }

    pub(super) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("shop.db"))
            .create_if_missing(true)
            .busy_timeout(Duration::from_secs(60));
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.unwrap();
        Self::Sqlite(folder, pool)
    }

    /// Statements that both databases take.
    pub(super) async fn run(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(_, pool) => drop(sql.execute(pool).await.unwrap()),
            Self::Sqlite(_, pool) => drop(sql.execute(pool).await.unwrap()),
        }
    }

    /// The one column of text of a query.
    pub(super) async fn texts(&self, sql: &str) -> Vec<Option<String>> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Postgres(_, pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
            Self::Sqlite(_, pool) => sqlx::query_scalar(sql).fetch_all(pool).await.unwrap(),
        }
    }

    /// The same, with spaces between the rows and `-` for null.
    pub(super) async fn text(&self, sql: &str) -> String {
        let texts = self.texts(sql).await;
        texts.into_iter().map(|text| text.unwrap_or("-".to_owned())).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn sink<T>(&self, table: &str, key: &str) -> AnySink<T> {
        match self {
            Self::Postgres(_, pool) => AnySink::Postgres(PostgresSink::new(pool.clone(), table).keyed_by(key)),
            Self::Sqlite(_, pool) => AnySink::Sqlite(SqliteSink::new(pool.clone(), table).keyed_by(key)),
        }
    }
}

// === impl AnySink ===

macro_rules! options {
    ($($name:ident($of:ty)),+) => {$(
        pub(super) fn $name(self, value: $of) -> Self {
            match self {
                Self::Postgres(sink) => Self::Postgres(sink.$name(value)),
                Self::Sqlite(sink) => Self::Sqlite(sink.$name(value)),
            }
        }
    )+};
}

impl<T: Serialize + Send + Sync + 'static> AnySink<T> {
    options!(version_column(&str), counter_column(&str), value_column(&str), journal_table(&str));

    pub(super) fn columns(self, names: &[&str]) -> Self {
        match self {
            Self::Postgres(sink) => Self::Postgres(sink.columns(names.iter().copied())),
            Self::Sqlite(sink) => Self::Sqlite(sink.columns(names.iter().copied())),
        }
    }

    pub(super) async fn check(&self) -> Result<(), SinkError> {
        match self {
            Self::Postgres(sink) => sink.check().await,
            Self::Sqlite(sink) => sink.check().await,
        }
    }

    pub(super) async fn write(&self, batch: &Batch<T>) -> Result<Vec<Written>, SinkError> {
        match self {
            Self::Postgres(sink) => sink.write(batch).await,
            Self::Sqlite(sink) => sink.write(batch).await,
        }
    }

    pub(super) async fn claim(&self, partition: &Partition, fence: u64) -> Result<Option<Position>, SinkError> {
        match self {
            Self::Postgres(sink) => sink.claim(partition, fence).await,
            Self::Sqlite(sink) => sink.claim(partition, fence).await,
        }
    }

    pub(super) async fn position(&self, partition: &Partition) -> Option<Position> {
        match self {
            Self::Postgres(sink) => sink.position(partition).await.unwrap(),
            Self::Sqlite(sink) => sink.position(partition).await.unwrap(),
        }
    }

    /// The answers to writes under the fence 1.
    pub(super) async fn answers(&self, writes: Vec<Write<T>>) -> Vec<Written> {
        self.write(&batch(1, 1, writes)).await.unwrap()
    }

    /// The text of the error of a batch that could not be written.
    pub(super) async fn unavailable(&self, writes: Vec<Write<T>>) -> String {
        match self.write(&batch(1, 1, writes)).await {
            Err(error @ SinkError::Unavailable(_)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn partition(number: u16) -> Partition {
    Partition { journal: "shop:product".into(), number }
}

pub(super) fn at(millis: u64) -> Position {
    Position { millis, number: 0 }
}

/// A batch of partition 0.
pub(super) fn batch<T>(fence: u64, millis: u64, writes: Vec<Write<T>>) -> Batch<T> {
    Batch { partition: partition(0), fence, position: at(millis), writes }
}

pub(super) fn product(id: u64) -> Key {
    Key::new("product").arg(id)
}

pub(super) fn put<T>(key: &Key, version: u64, value: T) -> Write<T> {
    Write { key: key.clone(), version, operation: Operation::Put(value) }
}

pub(super) fn delete<T>(key: &Key, version: u64) -> Write<T> {
    Write { key: key.clone(), version, operation: Operation::Delete }
}

/// Increments, each a version and what to add.
pub(super) fn add<T>(key: &Key, increments: &[(u64, i64)]) -> Write<T> {
    let version = increments.iter().map(|(version, _)| *version).max().unwrap();
    let increments = increments.iter().map(|(version, by)| Increment { version: *version, by: *by }).collect();
    Write { key: key.clone(), version, operation: Operation::Increment(increments) }
}

/// Why each write was refused, and nothing for the others.
pub(super) fn refusals(answers: &[Written]) -> Vec<&str> {
    answers.iter().map(|answer| if let Written::Refused(reason) = answer { reason.as_str() } else { "" }).collect()
}

/// So many answers that all is well.
pub(super) fn applied(count: usize) -> Vec<Written> {
    vec![Written::Applied; count]
}
