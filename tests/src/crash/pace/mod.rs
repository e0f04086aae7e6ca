//! How fast write-behind is, how much it spares the database, and what becomes of a sink that is too slow.

mod fewer;
mod puts;
mod slow;

use cache_core::{
    Cache, Key,
    behind::{Batch, Sink, SinkError, Written},
};
use serde::{Deserialize, Serialize};
use tokio::time::Duration;

use crate::{fixtures::RedisServer, stampede::Row};

/// Callers at once, all of one process.
const CALLERS: usize = 256;

/// What is written: about a hundred bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Parcel {
    pieces: i64,
    note: String,
}

/// A sink that writes nowhere, and takes its time.
#[derive(Clone, Copy)]
struct Nowhere(Duration);

/// The rows of the table.
pub async fn measure() -> Vec<Row> {
    let mut rows = vec![puts::row("always").await, puts::row("everysec").await, fewer::row().await];
    rows.extend(slow::rows().await);
    rows
}

fn parcel(pieces: i64) -> Parcel {
    Parcel { pieces, note: "seventy bytes of what people write on parcels, as long as it is not longer".to_owned() }
}

fn key(id: u64) -> Key {
    Key::new("parcel").arg(id)
}

async fn cache(redis: &RedisServer) -> Cache {
    Cache::builder("pace")
        .redis(redis.url())
        .ensure_notifications()
        .build()
        .await
        .expect("a cache of a server that is there")
}

impl Sink<Parcel> for Nowhere {
    async fn write(&self, batch: &Batch<Parcel>) -> Result<Vec<Written>, SinkError> {
        if !self.0.is_zero() {
            // Time itself: how slow it is.
            tokio::time::sleep(self.0).await;
        }
        Ok(vec![Written::Applied; batch.writes.len()])
    }
}
