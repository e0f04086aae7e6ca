//! What differs between the databases.

use std::future::Future;

use sqlx::Transaction;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;

use super::layout::{Column, Found, Layout};
use super::options::Options;
use super::rows::Row;

/// A database that rows can be written to as JSON.
///
/// The statements are one text for all, with `$1` for the rows, which [`source`](Dialect::source) makes a relation `r` of, and `t` for
/// the table.
pub(super) trait Dialect: sqlx::Database {
    /// Begins a transaction in which each statement sees what is committed, or in which nobody else writes.
    const BEGIN: &'static str;
    /// Said first in a transaction that wants to hear of each row at once.
    const AT_ONCE: Option<&'static str>;
    /// Ends the statement that looks at rows: nobody else may change them until the commit.
    const LOCK: &'static str;
    /// Lets an `INSERT` fill a key that the database numbers by itself.
    const OVERRIDING: &'static str;

    /// The relation `r` with these columns, from the JSON in `$1`: a list of objects.
    fn source(columns: &[Column]) -> String;

    /// The counter in `t` with those of the increments in `r.d` that are above the version in `t`. Names are quoted.
    fn sum(counter: &str, version: &str) -> String;

    /// Why this JSON can't be stored in a column of this type without being garbled, if so.
    fn garbles(json: &str, column: &Column) -> Option<&'static str>;

    /// Whether an error is about a row.
    fn is_of_a_row(error: &dyn DatabaseError) -> bool;

    /// Whether an error would be said of every row.
    fn is_of_the_schema(error: &dyn DatabaseError) -> bool;

    /// Has the server give up a statement in time, within this transaction.
    fn bound<'c>(connection: &'c mut Self::Connection, options: &Options) -> Answer<'c, ()>;

    /// What becomes of a connection that did not answer in time.
    fn give_up(connection: &mut PoolConnection<Self>);

    /// The table and the journal table, as they are.
    fn inspect<'c>(connection: &'c mut Self::Connection, options: &Options) -> Answer<'c, Found>;

    /// Begins a transaction.
    fn begin(connection: &mut Self::Connection) -> Answer<'_, Transaction<'_, Self>>;

    /// A statement without rows.
    fn run<'c>(connection: &'c mut Self::Connection, sql: &str) -> Answer<'c, ()>;

    /// A statement with rows in `$1`: how many it changed.
    fn change<'c>(connection: &'c mut Self::Connection, sql: &str, rows: String) -> Answer<'c, u64>;

    /// Inserts rows with values in these columns, or updates those of lower versions: how many it changed.
    fn put<'c>(
        connection: &'c mut Self::Connection,
        layout: &Layout,
        columns: &[Column],
        rows: &[&Row],
    ) -> Answer<'c, u64>;

    /// A query with rows in `$1`: pairs of numbers.
    fn look<'c>(connection: &'c mut Self::Connection, sql: &str, rows: String) -> Answer<'c, Vec<(i64, i64)>>;

    /// A statement over the journal table, with a journal, a partition, a fence and a position: how many rows it changed.
    fn raise<'c>(connection: &'c mut Self::Connection, sql: &str, mark: Mark) -> Answer<'c, u64>;

    /// A query over the journal table, with a journal and a partition: a fence and a position.
    fn mark<'c>(
        connection: &'c mut Self::Connection,
        sql: &str,
        journal: &str,
        partition: u16,
    ) -> Answer<'c, Option<(i64, String)>>;
}

/// Boxed: a generic future over what borrows a connection is one that the compiler can't tell to be `Send`.
pub(super) type Answer<'c, T> = std::pin::Pin<Box<dyn Future<Output = sqlx::Result<T>> + Send + 'c>>;

/// A row of the journal table.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) journal: String,
    pub(super) partition: u16,
    pub(super) fence: i64,
    pub(super) position: String,
}

/// The methods that are one text for every database of sqlx, which no bound of sqlx's says.
macro_rules! statements {
    () => {
        fn begin(connection: &mut Self::Connection) -> Answer<'_, Transaction<'_, Self>> {
            Box::pin(sqlx::Connection::begin_with(connection, Self::BEGIN))
        }

        fn run<'c>(connection: &'c mut Self::Connection, sql: &str) -> Answer<'c, ()> {
            let query = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
            Box::pin(async move { query.execute(connection).await.map(drop) })
        }

        fn change<'c>(connection: &'c mut Self::Connection, sql: &str, rows: String) -> Answer<'c, u64> {
            let query = sqlx::query::<Self>(AssertSqlSafe(sql.to_owned())).bind(rows);
            Box::pin(async move { Ok(query.execute(connection).await?.rows_affected()) })
        }

        fn look<'c>(connection: &'c mut Self::Connection, sql: &str, rows: String) -> Answer<'c, Vec<(i64, i64)>> {
            let query = sqlx::query_as::<Self, (i64, i64)>(AssertSqlSafe(sql.to_owned())).bind(rows);
            Box::pin(async move { query.fetch_all(connection).await })
        }

        fn raise<'c>(connection: &'c mut Self::Connection, sql: &str, mark: Mark) -> Answer<'c, u64> {
            let query = sqlx::query::<Self>(AssertSqlSafe(sql.to_owned()))
                .bind(mark.journal)
                .bind(i32::from(mark.partition))
                .bind(mark.fence)
                .bind(mark.position);
            Box::pin(async move { Ok(query.execute(connection).await?.rows_affected()) })
        }

        fn mark<'c>(
            connection: &'c mut Self::Connection,
            sql: &str,
            journal: &str,
            partition: u16,
        ) -> Answer<'c, Option<(i64, String)>> {
            let query = sqlx::query_as::<Self, (i64, String)>(AssertSqlSafe(sql.to_owned()))
                .bind(journal.to_owned())
                .bind(i32::from(partition));
            Box::pin(async move { query.fetch_optional(connection).await })
        }
    };
}

pub(super) use statements;
