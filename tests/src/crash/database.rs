//! The database where writes end up, as the director has it: started, killed, asked what it holds.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{
    Connection, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tempfile::TempDir;

use super::{
    ledger::{Noted, Row},
    orders::Where,
};
use crate::fixtures::{PostgresServer, Proxy};

pub(crate) enum Database {
    /// The server, and what the processes reach it by.
    Postgres(Box<PostgresServer>, Proxy),
    Sqlite(TempDir),
}

/// The rows, and a note of every change of one. A row that an increment is about to be added to is made with the version 0.
const POSTGRES: &str = "
CREATE TABLE goods (id bigint PRIMARY KEY, op bigint NOT NULL DEFAULT -1, pieces bigint NOT NULL DEFAULT 0,
    cache_version bigint NOT NULL DEFAULT 0);
CREATE TABLE noted (place bigserial PRIMARY KEY, id bigint NOT NULL, version bigint NOT NULL);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO noted (id, version) VALUES (NEW.id, NEW.cache_version); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE ON goods FOR EACH ROW WHEN (NEW.cache_version > 0) EXECUTE FUNCTION note();";
const SQLITE: &str = "
CREATE TABLE goods (id INTEGER PRIMARY KEY, op INTEGER NOT NULL DEFAULT -1, pieces INTEGER NOT NULL DEFAULT 0,
    cache_version INTEGER NOT NULL DEFAULT 0);
CREATE TABLE noted (place INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE TRIGGER note_new AFTER INSERT ON goods WHEN NEW.cache_version > 0
    BEGIN INSERT INTO noted (id, version) VALUES (NEW.id, NEW.cache_version); END;
CREATE TRIGGER note_change AFTER UPDATE ON goods
    BEGIN INSERT INTO noted (id, version) VALUES (NEW.id, NEW.cache_version); END;";
const ROWS: &str = "SELECT id, op, pieces, cache_version FROM goods";
/// What was noted is told once.
const NOTED: &str = "DELETE FROM noted RETURNING place, id, version";

type Rows = Vec<(i64, i64, i64, i64)>;
type Notes = Vec<(i64, i64, i64)>;

// === impl Database ===

impl Database {
    /// One that keeps what it has committed when it is killed.
    pub(crate) async fn postgres() -> Self {
        let server = PostgresServer::options().durable().start().await;
        sqlx::raw_sql(POSTGRES).execute(&mut connect(&server).await).await.expect("the tables can be made");
        let proxy = Proxy::start(server.address()).await;
        Self::Postgres(Box::new(server), proxy)
    }

    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::Builder::new().prefix("cache-tests-").tempdir().expect("a directory can be made");
        let mut connection = open(&directory).await;
        sqlx::raw_sql(SQLITE).execute(&mut connection).await.expect("the tables can be made");
        Self::Sqlite(directory)
    }

    pub(crate) fn place(&self) -> Where {
        match self {
            Self::Postgres(server, proxy) => Where::Postgres(server.url_at(proxy.address())),
            Self::Sqlite(directory) => Where::Sqlite(file(directory)),
        }
    }

    /// `kill -9`, and a start so much later. A file has no process.
    pub(crate) async fn kill(&self, down: Duration) {
        let Self::Postgres(server, _) = self else { return };
        server.kill().await;
        // Time itself: how long it is away.
        tokio::time::sleep(down).await;
        server.restart().await;
    }

    /// The way to it, if there is one.
    pub(crate) fn line(&self) -> Option<&Proxy> {
        match self {
            Self::Postgres(_, proxy) => Some(proxy),
            Self::Sqlite(_) => None,
        }
    }

    /// What it holds, and what it noted since it was asked last.
    pub(crate) async fn look(&self) -> (BTreeMap<u32, Row>, Vec<Noted>) {
        let (rows, mut notes): (Rows, Notes) = match self {
            Self::Postgres(server, _) => {
                let mut connection = connect(server).await;
                let rows = sqlx::query_as(ROWS).fetch_all(&mut connection).await.expect("the rows can be read");
                (rows, sqlx::query_as(NOTED).fetch_all(&mut connection).await.expect("the notes can be read"))
            }
            Self::Sqlite(directory) => {
                let mut connection = open(directory).await;
                let rows = sqlx::query_as(ROWS).fetch_all(&mut connection).await.expect("the rows can be read");
                (rows, sqlx::query_as(NOTED).fetch_all(&mut connection).await.expect("the notes can be read"))
            }
        };
        let row = |(id, op, pieces, version): (i64, i64, i64, i64)| {
            (id as u32, Row { op, pieces, version: version.cast_unsigned() })
        };
        notes.sort_unstable();
        let notes = notes.into_iter().map(|(_, id, version)| Noted { id: id as u32, version: version.cast_unsigned() });
        (rows.into_iter().map(row).collect(), notes.collect())
    }
}

async fn connect(server: &PostgresServer) -> PgConnection {
    PgConnection::connect(&server.url()).await.expect("the database takes connections")
}

async fn open(directory: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file(directory)).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(10));
    SqliteConnection::connect_with(&options).await.expect("the file can be opened")
}

fn file(directory: &TempDir) -> String {
    directory.path().join("goods.db").to_string_lossy().into_owned()
}
