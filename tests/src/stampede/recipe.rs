//! The cache-aside recipe of tutorials, with its lock: `GET`; on a miss `SET .. NX PX` of a lock, and who has it loads, `SET`s
//! and unlocks; the others ask again every 100 ms. In plain redis-rs. It keeps values in Redis alone.

use std::{sync::LazyLock, time::Duration};

use redis::{AsyncCommands, ExistenceCheck, Script, SetExpiry, SetOptions, aio::MultiplexedConnection};
use tokio::time::{Instant, sleep};

use super::{
    orders::Row,
    origin::{Failed, Source},
};

/// How long a lock outlives its holder. Well above the load.
const LOCK: Duration = Duration::from_secs(5);
const POLLING: Duration = Duration::from_millis(100);
/// After this whoever polls loads for himself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Unlocks only what is still its own, as the documentation of Redis asks.
static UNLOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")
});

/// The recipe on one node: one connection, which its callers share.
#[derive(Clone)]
pub(crate) struct Recipe {
    redis: MultiplexedConnection,
    ttl: Duration,
}

impl Recipe {
    pub(crate) async fn new(url: &str, ttl: Duration) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self { redis: client.get_multiplexed_async_connection().await.unwrap(), ttl }
    }

    /// The value of an id.
    pub(crate) async fn get(&self, id: u64, source: &Source) -> Result<Row, Failed> {
        let (key, lock) = (format!("row:{id}"), format!("lock:{id}"));
        let gives_up = Instant::now() + PATIENCE;
        loop {
            if let Some(row) = self.read(&key).await {
                return Ok(row);
            }
            let token = fastrand::u64(..);
            if self.lock(&lock, token).await || Instant::now() >= gives_up {
                let loaded = source.load().await;
                if let Ok(row) = &loaded {
                    self.write(&key, row).await;
                }
                let _: Result<u64, _> = UNLOCK.key(&lock).arg(token).invoke_async(&mut self.redis.clone()).await;
                return loaded;
            }
            // Time itself: the recipe's.
            sleep(POLLING).await;
        }
    }

    async fn read(&self, key: &str) -> Option<Row> {
        let stored: Option<String> = self.redis.clone().get(key).await.ok()?;
        serde_json::from_str(&stored?).ok()
    }

    async fn write(&self, key: &str, row: &Row) {
        let stored = serde_json::to_string(row).expect("two numbers can be written");
        let _: Result<(), _> = self.redis.clone().pset_ex(key, stored, self.ttl.as_millis() as u64).await;
    }

    async fn lock(&self, lock: &str, token: u64) -> bool {
        let expiry = SetExpiry::PX(LOCK.as_millis() as u64);
        let options = SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(expiry);
        let taken: Result<Option<String>, _> = self.redis.clone().set_options(lock, token, options).await;
        matches!(taken, Ok(Some(_)))
    }
}
