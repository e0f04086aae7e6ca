//! PostgreSQL.

use std::fmt;
use std::marker::PhantomData;

use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use super::dialect::{Answer, Dialect, Mark, statements};
use super::inner::Inner;
use super::layout::{Column, Found, Layout};
use super::options::Options;
use super::rows::{Parts, Row};
use super::settings::sink;
use super::statements;

sink! {
    /// Writes to a table in PostgreSQL 11 or newer. The [module](super) says how.
    ///
    /// ```no_run
    /// # async fn f(pool: sqlx::PgPool) -> Result<(), cache_core::behind::SinkError> {
    /// use cache_core::behind::PostgresSink;
    ///
    /// #[derive(serde::Serialize)]
    /// struct Product { id: i64, name: String, views: i64 }
    ///
    /// // CREATE TABLE product (id bigint PRIMARY KEY, name text NOT NULL, views bigint NOT NULL,
    /// //                       cache_version bigint NOT NULL DEFAULT 0)
    /// let sink = PostgresSink::<Product>::new(pool, "product").keyed_by("product:{id}");
    /// sink.check().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Values become what the column's type makes of JSON: a timestamp, a number or an enum from its text, an array from a list,
    /// `jsonb` and a composite type from an object. A list of numbers, which is how serde writes bytes, is refused for a `bytea`
    /// column: give it text of the form `\x01ab`.
    ///
    /// Each statement is also bound by the server, by `statement_timeout`. A connection that has not answered in time is closed.
    PostgresSink(PgPool, Postgres)
}

impl<T> PostgresSink<T> {
    /// The schema of the table and of the journal table. By default they are looked for along the `search_path`.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.inner.options.schema = Some(schema.into());
        self
    }
}

/// Classes of SQLSTATE that speak of a row: what it is (21, 22, 44, 54), what stands beside it (23), and what a trigger or a
/// function of the table's owner says (27, 38, 39, P0).
const OF_A_ROW: &[&str] = &["21", "22", "23", "27", "38", "39", "44", "54", "P0"];
/// Those that speak of the statement: no such table or column, no right to it, not supported.
const OF_THE_SCHEMA: &[&str] = &["0A", "3D", "3F", "42"];

const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a \
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
/// The journal forgets what is committed: where a commit does not wait for the disk, it does here.
const SAFE: &str =
    "CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END";
/// An index that `ON CONFLICT` can go by: whole, and checked at once.
const UNIQUES: &str = "SELECT ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid \
    AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) FROM pg_catalog.pg_index i \
    WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL";
const EXISTS: &str = "SELECT to_regclass($1) IS NOT NULL";

impl Dialect for Postgres {
    // Each statement sees what is committed: one that has waited for a row sees who wrote it.
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    const AT_ONCE: Option<&'static str> = Some("SET CONSTRAINTS ALL IMMEDIATE");
    const LOCK: &'static str = "FOR NO KEY UPDATE OF t";
    const OVERRIDING: &'static str = "OVERRIDING SYSTEM VALUE";

    fn source(columns: &[Column]) -> String {
        let columns: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.kind)).collect();
        format!("jsonb_to_recordset(CAST($1 AS text)::jsonb) AS r({})", columns.join(", "))
    }

    fn sum(counter: &str, version: &str) -> String {
        format!(
            "coalesce(t.{counter}, 0) + (SELECT coalesce(sum((d.x ->> 1)::bigint), 0) \
             FROM jsonb_array_elements(r.d) AS d(x) WHERE (d.x ->> 0)::bigint > {version})"
        )
    }

    fn garbles(json: &str, column: &Column) -> Option<&'static str> {
        (column.kind == "bytea" && json.starts_with('[')).then_some(
            "bytes came as a list of numbers, which a bytea column takes for text: write them as text, `\\x01ab`",
        )
    }

    fn is_of_a_row(error: &dyn DatabaseError) -> bool {
        is_among(error, OF_A_ROW)
    }

    fn is_of_the_schema(error: &dyn DatabaseError) -> bool {
        is_among(error, OF_THE_SCHEMA)
    }

    fn bound<'c>(connection: &'c mut PgConnection, options: &Options) -> Answer<'c, ()> {
        let millis = options.timeout.as_millis().clamp(1, i32::MAX as u128);
        let sql = format!("SELECT set_config('statement_timeout', '{millis}', true), {SAFE}");
        Box::pin(async move { Self::run(connection, &sql).await })
    }

    fn give_up(connection: &mut PoolConnection<Self>) {
        connection.close_on_drop();
    }

    fn inspect<'c>(connection: &'c mut PgConnection, options: &Options) -> Answer<'c, Found> {
        let (table, journal) = (options.quoted_table(), options.quoted_journal());
        Box::pin(async move {
            let columns =
                sqlx::query_as::<_, (String, String)>(COLUMNS).bind(&table).fetch_all(&mut *connection).await?;
            let uniques = sqlx::query_scalar(UNIQUES).bind(&table).fetch_all(&mut *connection).await?;
            let has_journal = sqlx::query_scalar(EXISTS).bind(&journal).fetch_one(&mut *connection).await?;
            let columns = columns.into_iter().map(|(name, kind)| Column::new(name, kind)).collect();
            Ok(Found { columns, uniques, has_journal, is_strict: true })
        })
    }

    fn put<'c>(
        connection: &'c mut PgConnection,
        layout: &Layout,
        columns: &[Column],
        rows: &[&Row],
    ) -> Answer<'c, u64> {
        let parts = Parts::Values(columns);
        let keys = (0..layout.keys.len()).map(|at| format!("r.k{at}"));
        let values = (0..columns.len()).map(|at| format!("r.c{at}"));
        let names: Vec<String> = keys.chain(values).chain(["r.v".to_owned()]).collect();
        let source = Self::source(&parts.columns(layout));
        let from = format!("SELECT {} FROM {source} ORDER BY r.i", names.join(", "));
        Self::change(connection, &statements::put::<Self>(layout, columns, &from), parts.json(rows.iter().copied()))
    }

    statements!();
}

fn is_among(error: &dyn DatabaseError, classes: &[&str]) -> bool {
    error.code().is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
}
