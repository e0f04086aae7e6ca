//! SQLite.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::dialect::{Answer, Dialect, Mark, statements};
use super::inner::Inner;
use super::layout::{Column, Found, Layout};
use super::options::Options;
use super::rows::{Change, Row};
use super::settings::sink;
use super::statements;

sink! {
    /// Writes to a table in SQLite. The [module](super) says how, with an example.
    ///
    /// Objects and lists are stored as JSON text, `true` as 1. Integers past 64 bits are refused, as SQLite would round them. A key column
    /// needs a type (`INTEGER`, `TEXT`): arguments arrive as text, and without a type they stay text.
    ///
    /// The transaction is `BEGIN IMMEDIATE`: one flusher at a time writes to a database file, and how long the others wait is the
    /// `busy_timeout` of the pool's connections. Constraints that wait for the commit (`DEFERRABLE INITIALLY DEFERRED`) cannot be told
    /// apart by rows, and hold up the whole batch.
    SqliteSink(SqlitePool, Sqlite)
}

const COLUMNS: &str = "SELECT name, type FROM pragma_table_xinfo($1) WHERE hidden <> 1";
const PRIMARY: &str = "SELECT 0, name FROM pragma_table_info($1) WHERE pk > 0";
/// An index with an expression in it has a part without a name.
const UNIQUES: &str = "SELECT l.seq, coalesce(i.name, '') FROM pragma_index_list($1) AS l, pragma_index_info(l.name) AS i \
    WHERE l.\"unique\" AND NOT l.partial ORDER BY l.seq";
const EXISTS: &str = "SELECT count(*) > 0 FROM sqlite_schema WHERE name = $1";

impl Dialect for Sqlite {
    // Nobody else writes until the commit.
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    const AT_ONCE: Option<&'static str> = None;
    const LOCK: &'static str = "";
    const OVERRIDING: &'static str = "";

    fn source(columns: &[Column]) -> String {
        let columns: Vec<String> =
            columns.iter().map(|Column { name, .. }| format!("value ->> '{name}' AS {name}")).collect();
        format!("(SELECT {} FROM json_each($1)) AS r", columns.join(", "))
    }

    // `+` makes a float of an integer that overflows; `sum` fails.
    fn sum(counter: &str, version: &str) -> String {
        format!(
            "(SELECT sum(x) FROM (SELECT coalesce(t.{counter}, 0) AS x \
             UNION ALL SELECT d.value ->> 1 FROM json_each(r.d) AS d WHERE d.value ->> 0 > {version}))"
        )
    }

    fn garbles(json: &str, column: &Column) -> Option<&'static str> {
        let is_number = |text: &str| text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
        let is_past = |text: &str| is_number(text) && text.parse::<i64>().is_err();
        let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let garbled = match text {
            Some(text) => !text.is_empty() && text != "-" && is_past(text) && is_numeric(&column.kind),
            None => is_past(json),
        };
        garbled.then_some("SQLite would round an integer past 64 bits")
    }

    fn is_of_a_row(error: &dyn DatabaseError) -> bool {
        match code(error) & 0xff {
            // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
            18..=20 => true,
            // SQLITE_ERROR is everything else; this is `sum`'s.
            1 => error.message().contains("integer overflow"),
            _ => false,
        }
    }

    fn is_of_the_schema(error: &dyn DatabaseError) -> bool {
        code(error) & 0xff == 1
    }

    fn bound<'c>(_: &'c mut SqliteConnection, _: &Options) -> Answer<'c, ()> {
        Box::pin(async { Ok(()) })
    }

    // A statement of SQLite's ends by itself, and a database in memory would go with its connection.
    fn give_up(_: &mut PoolConnection<Self>) {}

    fn inspect<'c>(connection: &'c mut SqliteConnection, options: &Options) -> Answer<'c, Found> {
        let (table, journal) = (options.table.clone(), options.journal.clone());
        Box::pin(async move {
            let columns =
                sqlx::query_as::<_, (String, String)>(COLUMNS).bind(&table).fetch_all(&mut *connection).await?;
            let mut uniques = Vec::new();
            for sql in [PRIMARY, UNIQUES] {
                let parts: Vec<(i64, String)> = sqlx::query_as(sql).bind(&table).fetch_all(&mut *connection).await?;
                let indexes = parts.chunk_by(|(one, _), (other, _)| one == other);
                uniques.extend(indexes.map(|parts| parts.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>()));
            }
            let has_journal = sqlx::query_scalar(EXISTS).bind(&journal).fetch_one(&mut *connection).await?;
            let columns = columns.into_iter().map(|(name, kind)| Column::new(name, kind)).collect();
            Ok(Found { columns, uniques, has_journal, is_strict: false })
        })
    }

    // Row by row: there is no way to a server to be saved, and SQLite's JSON reads one float in six a bit off.
    fn put<'c>(
        connection: &'c mut SqliteConnection,
        layout: &Layout,
        columns: &[Column],
        rows: &[&Row],
    ) -> Answer<'c, u64> {
        let places: Vec<String> = (1..=layout.keys.len() + columns.len() + 1).map(|at| format!("${at}")).collect();
        let from = format!("VALUES ({})", places.join(", "));
        let sql: Arc<str> = statements::put::<Self>(layout, columns, &from).into();
        let queries: Vec<_> = rows.iter().map(|row| bind(sqlx::query(AssertSqlSafe(sql.clone())), row)).collect();
        Box::pin(async move {
            let mut changed = 0;
            for query in queries {
                changed += query.execute(&mut *connection).await?.rows_affected();
            }
            Ok(changed)
        })
    }

    statements!();
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// Binds the key, the values and the version of a put.
fn bind(mut query: Query, row: &Row) -> Query {
    let values: &[String] = if let Change::Put(_, values) = &row.change { values } else { &[] };
    for json in row.arguments.iter().chain(values) {
        // What is no plain value stays the JSON that it is.
        query = match serde_json::from_str(json) {
            Ok(Value::Null) => query.bind(None::<String>),
            Ok(Value::Bool(yes)) => query.bind(yes),
            Ok(Value::String(text)) => query.bind(text),
            Ok(Value::Number(number)) => match number.as_i64() {
                Some(integer) => query.bind(integer),
                None => query.bind(number.as_f64()),
            },
            Ok(Value::Array(_) | Value::Object(_)) | Err(_) => query.bind(json.clone()),
        };
    }
    query.bind(row.version)
}

/// Whether a column of this type turns text into a number, by the rules of <https://www.sqlite.org/datatype3.html> (3.1).
fn is_numeric(kind: &str) -> bool {
    let kind = kind.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    has(&["INT"]) || !(kind.is_empty() || has(&["CHAR", "CLOB", "TEXT", "BLOB"]))
}

fn code(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or_default()
}
