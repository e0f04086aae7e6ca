//! What a control record takes, and what asking for a million ids that do not exist takes.

use cache_core::{Key, Mechanism};
use redis::cmd;
use tokio::time::Instant;

use super::node;
use crate::fixtures::RedisServer;

const BATCH: usize = 256;

/// What a million ids cost.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    pub ids: usize,
    /// By `MEMORY USAGE`, of a record as a miss makes it.
    pub bytes_of_one: u64,
    /// By which the server's memory grew, in all.
    pub grown: u64,
    pub seconds: f64,
}

/// Acquires a record for each of so many ids, as misses do.
pub async fn records(ids: usize) -> Records {
    let redis = RedisServer::start().await;
    let cache = node(&redis, Mechanism::Tracking).await;
    let mut connection = redis.connection().await;
    let script = include_str!("../../../cache-core/src/remote/redis/scripts/acquire.lua");
    let acquire: String = cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut connection).await.unwrap();
    let name = |id: usize| cache.redis_key(&Key::new("product").arg(id as u64)).unwrap();
    let before = memory(&redis).await;
    let start = Instant::now();
    let all: Vec<usize> = (0..ids).map(|id| 1_000_000_000 + id).collect();
    for ids in all.chunks(BATCH) {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline
                .cmd("EVALSHA")
                .arg(&acquire)
                .arg(1)
                .arg(name(*id))
                .arg(1_790_000_000_000_000_u64)
                .arg(1)
                .arg(600_000);
        }
        let () = pipeline.exec_async(&mut connection).await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    let one = redis.cli(&["MEMORY", "USAGE", &name(all[0])]).await;
    let bytes_of_one = redis::from_redis_value(one).unwrap();
    Records { ids, bytes_of_one, grown: memory(&redis).await - before, seconds }
}

async fn memory(redis: &RedisServer) -> u64 {
    let info: String = redis::from_redis_value(redis.cli(&["INFO", "memory"]).await).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok()).unwrap_or_default()
}
