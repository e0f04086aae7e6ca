//! Writes of the database for each change, where a key changes again and again.

use std::time::{Duration, Instant};

use cache_core::behind::PostgresSink;
use futures_util::stream::{self, StreamExt};

use super::{CALLERS, cache, key, parcel, puts::drained};
use crate::{
    fixtures::{PostgresServer, RedisServer},
    stampede::{Figure, Row},
};

const KEYS: u64 = 1_000;
const UPDATES: u64 = 10;
const WANTED: f64 = 8.0;

pub(super) async fn row() -> Row {
    let redis = RedisServer::options().append_only("everysec").start();
    let (redis, postgres) = tokio::join!(redis, PostgresServer::options().durable().start());
    let pool = postgres.pool().await;
    let table = "CREATE TABLE parcel (id bigint PRIMARY KEY, pieces bigint NOT NULL, note text NOT NULL,
        cache_version bigint NOT NULL DEFAULT 0)";
    sqlx::raw_sql(table).execute(&pool).await.expect("a table can be made");
    let cache = cache(&redis).await;
    let sink = PostgresSink::new(pool.clone(), "parcel").keyed_by("parcel:{id}");
    let behind = cache.write_behind("parcel", sink).start().await.expect("a server that is there");
    let begun = Instant::now();
    // Key by key, and all of them again: as it comes where many change at once.
    let changes = (0..UPDATES).flat_map(|update| (0..KEYS).map(move |id| (id, update)));
    let behind_all = stream::iter(changes).for_each_concurrent(CALLERS, |(id, update)| {
        let behind = behind.clone();
        async move {
            behind.put(key(id), &parcel(update as i64)).await.expect("there is room");
        }
    });
    behind_all.await;
    let put_in = begun.elapsed();
    drained(&behind).await;
    let lag = behind.lag().await.expect("the server answers");
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM parcel").fetch_one(&pool).await.expect("it can be asked");
    let fewer = lag.flushed as f64 / lag.writes as f64;
    let figures = vec![
        Figure::count(format!("{fewer:.1} x fewer writes than changes"), format!(">= {WANTED} x"), fewer >= WANTED),
        Figure::told(format!("{} changes, {} writes, {} transactions", lag.flushed, lag.writes, lag.batches)),
        Figure::count(format!("{rows} rows"), KEYS.to_string(), rows.cast_unsigned() == KEYS),
        Figure::told(format!("put in {:.1} s, flushed in {:.1} s", secs(put_in), secs(begun.elapsed()))),
    ];
    let with = format!("{KEYS} keys changed {UPDATES} times, PostgreSQL, default options");
    Row { point: "database writes", with, figures }
}

fn secs(time: Duration) -> f64 {
    time.as_secs_f64()
}
