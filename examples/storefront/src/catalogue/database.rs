//! Opens the SQLite file, and fills it the first time.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{queries, seed};

/// What this code reads and writes; zero is a new file.
const SCHEMA_VERSION: i64 = 1;
/// Connections. SQLite writes one at a time anyhow; readers run beside the writer.
const CONNECTIONS: u32 = 8;
/// How long a connection waits for another's write, a first start's seeding included.
const BUSY_MAX: Duration = Duration::from_secs(30);
/// How long a request waits for a connection.
const ACQUIRE_MAX: Duration = Duration::from_secs(5);

/// Why there is no database.
pub(crate) type OpenError = Box<dyn std::error::Error + Send + Sync>;

/// Opens `catalogue.sqlite` in `folder`, and creates and seeds it if it is not there.
///
/// Any number of processes may do so at once: one of them seeds, the others wait for it.
pub(crate) async fn open(folder: &Path) -> Result<SqlitePool, OpenError> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot create {}: {error}; name another folder with --data", folder.display()))?;
    let file = folder.join("catalogue.sqlite");
    let options = SqliteConnectOptions::new()
        .filename(&file)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // The catalogue can be seeded again, so a power cut may cost its last writes.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_MAX);
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_MAX)
        .connect_with(options)
        .await
        .map_err(|error| format!("cannot open {}: {error}; name another folder with --data", file.display()))?;
    match version(&pool).await? {
        0 => create(&pool).await?,
        SCHEMA_VERSION => {}
        other => {
            return Err(format!(
                "{} has schema {other}, not {SCHEMA_VERSION}: remove it, or name another folder with --data",
                file.display()
            )
            .into());
        }
    }
    Ok(pool)
}

/// Tables and rows in one transaction: a start that is cut short leaves nothing behind.
async fn create(pool: &SqlitePool) -> Result<(), OpenError> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    // Another process may have seeded while this one waited for the lock.
    if version(&mut *transaction).await? == 0 {
        sqlx::raw_sql(queries::SCHEMA).execute(&mut *transaction).await?;
        seed::fill(&mut transaction).await?;
        sqlx::raw_sql("PRAGMA user_version = 1").execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn version<'c>(executor: impl sqlx::Executor<'c, Database = sqlx::Sqlite>) -> sqlx::Result<i64> {
    sqlx::query_scalar("PRAGMA user_version").fetch_one(executor).await
}
