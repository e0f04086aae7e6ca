//! Write-behind: what is journaled is seen by readers, and ends up in the sink, once and in order.

mod broken;
mod by_attribute;
mod cluster;
mod counted;
mod full;
mod owners;
mod plain;
mod safety;
mod start;
mod table;

use std::time::Duration;

use cache_core::{
    Cache, Key,
    behind::{Starting, WriteBehind},
};
use tests::fixtures::{RedisServer, eventually};

use self::table::Table;
use crate::support::{Product, built, settings};

/// A server that keeps what it acknowledged.
async fn durable() -> RedisServer {
    RedisServer::options().append_only("always").start().await
}

/// A node with few partitions.
async fn node(redis: &RedisServer) -> Cache {
    built(settings(redis.url()).ensure_notifications().partitions(4)).await
}

/// A journal of products that is flushed soon.
fn starting(cache: &Cache, table: &Table) -> Starting<Product, Table> {
    cache.write_behind("product", table.clone()).gather(Duration::from_millis(20))
}

async fn flushed(behind: &WriteBehind<Product>) {
    eventually(Duration::from_secs(20), async || {
        let lag = behind.lag().await.unwrap();
        if lag.changes == 0 && lag.parked == 0 { Ok(()) } else { Err(lag) }
    })
    .await;
}

fn counter(id: u64) -> Key {
    Key::new("product").arg("views").arg(id)
}
