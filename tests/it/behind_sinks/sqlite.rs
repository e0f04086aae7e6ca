//! What is SQLite's own.

use cache_core::Key;
use cache_core::behind::{Sink, SinkError, SqliteSink, Written};
use cache_core::millis;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use super::database::{Database, add, applied, at, batch, partition, product, put, refusals};

#[tokio::test]
async fn integers_that_would_be_rounded_are_refused() {
    let Database::Sqlite(_folder, pool) = Database::sqlite().await else { unreachable!() };
    sqlx::raw_sql(
        "CREATE TABLE product (id INTEGER PRIMARY KEY, n, t TEXT, views INTEGER NOT NULL DEFAULT 0, cache_version INTEGER); \
         CREATE TABLE named (id VARCHAR(40) PRIMARY KEY, cache_version INTEGER)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let sink = SqliteSink::new(pool.clone(), "product").keyed_by("product:{id}").counter_column("views");
    let n = |id: u64, n: u64| put(&product(id), 1, serde_json::json!({"n": n}));
    let texts = put(&product(3), 1, serde_json::json!({"n": "18446744073709551615", "t": "18446744073709551615"}));
    let writes = vec![n(1, i64::MAX as u64), n(2, u64::MAX), texts, n(u64::MAX, 1)];
    let answers = sink.write(&batch(1, 1, writes)).await.unwrap();
    let refused = refusals(&answers);
    assert!(refused[1].contains("field n") && refused[3].contains("argument for id"), "{answers:?}");
    assert_eq!((&answers[0], &answers[2]), (&Written::Applied, &Written::Applied));
    let stored: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, typeof(n) || n FROM product").fetch_all(&pool).await.unwrap();
    assert_eq!(stored, [(1, format!("integer{}", i64::MAX)), (3, "text18446744073709551615".to_owned())]);
    // A counter that overflows stays what it was.
    let answers =
        sink.write(&batch(1, 1, vec![add(&product(1), &[(2, i64::MAX)]), add(&product(3), &[(2, 1)])])).await.unwrap();
    assert_eq!(answers, applied(2));
    let answers =
        sink.write(&batch(1, 1, vec![add(&product(1), &[(3, 1)]), add(&product(3), &[(3, 1)])])).await.unwrap();
    assert_eq!(answers[1], Written::Applied);
    assert!(refusals(&answers)[0].contains("integer overflow"), "{answers:?}");
    // Text is no number.
    let named = SqliteSink::new(pool, "named").keyed_by("named:{id}");
    let written =
        named.write(&batch(1, 1, vec![put(&Key::new("named").arg(u64::MAX), 1, serde_json::json!({}))])).await;
    assert_eq!(written.unwrap(), [Written::Applied]);
}

#[tokio::test]
async fn database_that_is_busy_or_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteConnectOptions::new().filename(folder.path().join("not/there.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().connect_lazy_with(file.clone());
    let sink = SqliteSink::new(pool, "product").keyed_by("product:{id}");
    let whole = || batch(1, 1, vec![put(&product(1), 1, serde_json::json!({"name": "a"}))]);
    assert!(matches!(sink.write(&whole()).await, Err(SinkError::Unavailable(_))));
    std::fs::create_dir(folder.path().join("not")).unwrap();
    let pool = SqlitePoolOptions::new().connect_with(file.busy_timeout(millis(1))).await.unwrap();
    sqlx::raw_sql("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, cache_version INTEGER)")
        .execute(&pool)
        .await
        .unwrap();
    sink.check().await.unwrap();
    let sink = SqliteSink::new(pool.clone(), "product").keyed_by("product:{id}");
    sink.check().await.unwrap();

    let mut other = pool.acquire().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut *other).await.unwrap();
    let busy = sink.write(&whole()).await;
    assert!(matches!(busy, Err(SinkError::Unavailable(_))), "{busy:?}");
    sqlx::raw_sql("COMMIT").execute(&mut *other).await.unwrap();
    assert_eq!(sink.write(&whole()).await.unwrap(), [Written::Applied]);
    assert_eq!(sink.position(&partition(0)).await.unwrap(), Some(at(1)));
}

#[tokio::test]
async fn triggers_and_strict_tables_refuse_their_row() {
    let Database::Sqlite(_folder, pool) = Database::sqlite().await else { unreachable!() };
    sqlx::raw_sql(
        "CREATE TABLE product (a TEXT, b INTEGER, size INTEGER, cache_version INTEGER NOT NULL DEFAULT 0, UNIQUE (b, a)) STRICT; \
         CREATE TRIGGER stop BEFORE INSERT ON product WHEN NEW.size = 3 BEGIN SELECT RAISE(ABORT, 'not this one'); END; \
         CREATE TRIGGER pass BEFORE INSERT ON product WHEN NEW.size = 4 BEGIN SELECT RAISE(IGNORE); END",
    )
    .execute(&pool)
    .await
    .unwrap();
    let sink = SqliteSink::new(pool.clone(), "product").keyed_by("product:{a}:{b}");
    let size = |id: u64, size: serde_json::Value| {
        put(&Key::new("product").arg("x").arg(id), 1, serde_json::json!({"size": size}))
    };
    let writes =
        vec![size(1, 1.into()), size(2, "large".into()), size(3, 3.into()), size(4, 4.into()), size(5, 5.into())];
    let answers = sink.write(&batch(1, 1, writes)).await.unwrap();
    let refused = refusals(&answers);
    assert!(refused[1].contains("cannot store TEXT value"), "{answers:?}");
    assert!(refused[2].contains("not this one"), "{answers:?}");
    assert!(refused[3].contains("left the row as it was"), "{answers:?}");
    assert_eq!((&answers[0], &answers[4]), (&Written::Applied, &Written::Applied));
}
