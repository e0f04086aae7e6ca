//! Sinks that write to tables: [`PostgresSink`] (feature `postgres`) and [`SqliteSink`] (feature `sqlite`).
//!
//! A row is found by the key's arguments, and its other columns are the fields of the value, as serde gives them. A batch is one
//! transaction. PostgreSQL is given all its rows as JSON, in one statement for each kind of change, and makes of them what its columns
//! are.
//!
//! ```
//! # #[cfg(feature = "sqlite")] {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use cache_core::behind::{Batch, Operation, Partition, Position, Sink, SqliteSink, Write, Written};
//! use cache_core::key;
//!
//! #[derive(serde::Serialize)]
//! struct Product { id: u64, name: String, tags: Vec<String> }
//!
//! // One connection, or each would have a memory of its own.
//! let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
//! sqlx::raw_sql("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, tags TEXT NOT NULL,
//!     cache_version INTEGER NOT NULL DEFAULT 0)").execute(&pool).await?;
//!
//! let sink = SqliteSink::<Product>::new(pool.clone(), "product").keyed_by("product:{id}");
//! sink.check().await?;
//!
//! // What a flusher does:
//! let (id, name) = (7, "Lamp".to_owned());
//! let write = Write {
//!     key: key!("product:{id}"),
//!     version: 3,
//!     operation: Operation::Put(Product { id, name, tags: vec!["new".to_owned()] }),
//! };
//! let batch = Batch {
//!     partition: Partition { journal: "shop:product".into(), number: 0 },
//!     fence: 1,
//!     position: Position { millis: 1_790_000_000_000, number: 0 },
//!     writes: vec![write],
//! };
//! assert_eq!(sink.write(&batch).await?, [Written::Applied]);
//! assert_eq!(sink.write(&batch).await?, [Written::Newer(3)]); // once more, after a lost answer
//!
//! let row: (String, String) = sqlx::query_as("SELECT name, tags FROM product WHERE id = 7").fetch_one(&pool).await?;
//! assert_eq!(row, ("Lamp".to_owned(), r#"["new"]"#.to_owned()));
//! # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
//! # }
//! ```
//!
//! # The journal table
//!
//! ```sql
//! CREATE TABLE cache_journal (journal text, partition integer, fence bigint, position text, PRIMARY KEY (journal, partition))
//! ```
//!
//! It has a row for each partition of each journal that is flushed to this database. A batch's transaction changes it first, which lets
//! one flusher at a time through, and none whose fence is below. It is created where it is missing, if the user may; it may serve
//! several sinks.
//!
//! # What can go wrong
//!
//! - **A row cannot be written**: a constraint, a value that does not fit. The batch is written again without it, in halves under
//!   savepoints, and exactly that row is [`Refused`](super::Written::Refused), with the database's words. An increment behind it in the
//!   same batch is refused too.
//! - **A table does not fit**: no such table, no column for a field, no right to it. That would be so of every row, so it refuses none:
//!   the batch is [`Unavailable`](super::SinkError::Unavailable), with what to do, until the table fits.
//! - **The database is away, slow, or busy**: `Unavailable`. Whether an answer was lost or never there is not known; the versions make a
//!   second try harmless.
//! - **Others write to the table too**: what they write has to raise the version, or a flush will overwrite it. A row without a version
//!   is older than any.
//! - **Floats that are no numbers**: JSON has no NaN and no infinity, so serde writes null.

mod dialect;
mod error;
mod fields;
mod flush;
mod inner;
mod layout;
mod options;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod settings;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;

#[cfg(feature = "postgres")]
pub use self::postgres::PostgresSink;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteSink;
