//! Rows that are put and counted, in a table.

use std::time::Duration;

use cache_core::behind::SqliteSink;
use sqlx::sqlite::SqlitePoolOptions;

use super::{durable, flushed, node};
use crate::support::{key, product};

const TABLE: &str = "CREATE TABLE product (id INTEGER PRIMARY KEY, revision INTEGER, category TEXT,
    views INTEGER NOT NULL DEFAULT 0, cache_version INTEGER NOT NULL DEFAULT 0)";

#[tokio::test]
async fn a_put_counts_anew_whether_it_is_flushed_with_what_was_added_before_or_after_it() {
    for is_flushed_between in [true, false] {
        let redis = durable().await;
        let cache = node(&redis).await;
        // One connection, or each would have a memory of its own.
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
        let sink = SqliteSink::new(pool.clone(), "product").keyed_by("product:{id}").counter_column("views");
        let gather = Duration::from_millis(if is_flushed_between { 20 } else { 300 });
        let behind = cache.write_behind("product", sink).gather(gather).start().await.unwrap();
        behind.increment(key(1), 5).await.unwrap();
        if is_flushed_between {
            flushed(&behind).await;
        }
        behind.put(key(1), &product(1, 1)).await.unwrap();
        behind.increment(key(1), 3).await.unwrap();
        flushed(&behind).await;
        let views: i64 = sqlx::query_scalar("SELECT views FROM product").fetch_one(&pool).await.unwrap();
        assert_eq!(views, 3, "flushed between: {is_flushed_between}");
    }
}
