//! What a hostile or careless hand leaves in Redis, and what people put into keys and values: a counted miss or a load, never
//! a panic, never a wrong value; and the next write mends it.

mod keys;
mod packed;
mod payloads;
mod records;
mod server;
mod values;

use std::time::Duration;

use cache_core::{Cache, Key};
use redis::{FromRedisValue, aio::MultiplexedConnection};
use tests::fixtures::{RedisServer, eventually};

use crate::support::{Origin, Product, key};

const SOON: Duration = Duration::from_secs(20);

/// Somebody with a connection and no manners.
pub(crate) struct Hand(MultiplexedConnection);

/// What is put where a record was: the command without the name, which comes second.
type Poison = [&'static str];

/// What is no string at all.
const OTHER_KINDS: [&Poison; 5] =
    [&["RPUSH", "1"], &["HSET", "f", "1"], &["SADD", "1"], &["ZADD", "1", "1"], &["XADD", "*", "f", "1"]];

// === impl Hand ===

impl Hand {
    pub(crate) async fn on(redis: &RedisServer) -> Self {
        Self(redis.connection().await)
    }

    async fn run<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut self.0).await.unwrap()
    }

    pub(crate) async fn get(&mut self, name: &str) -> Vec<u8> {
        self.run(&["GET", name]).await
    }

    async fn set(&mut self, name: &str, bytes: &[u8]) {
        let () = redis::cmd("SET").arg(name).arg(bytes).query_async(&mut self.0).await.unwrap();
    }

    /// Puts something else where `name` was.
    #[expect(clippy::print_stdout, reason = "a test that fails at one of many poisons says which")]
    async fn poison(&mut self, name: &str, poison: &Poison) {
        println!("{poison:?} instead of {name}");
        let mut write = redis::cmd(poison[0]);
        write.arg(name).arg(&poison[1..]);
        let () = redis::pipe().cmd("DEL").arg(name).add_command(write).ignore().query_async(&mut self.0).await.unwrap();
    }

    async fn names(&mut self, pattern: &str) -> Vec<String> {
        self.run(&["KEYS", pattern]).await
    }

    /// The names of the payloads of a key, one for each type.
    async fn payloads_of(&mut self, cache: &Cache, key: &Key) -> Vec<String> {
        let control = cache.redis_key(key).unwrap();
        self.names(&format!("{}@*", control.replacen(":c:", ":d:", 1))).await
    }

    /// The name of the one payload of a key, once it is there.
    pub(crate) async fn payload_of(&mut self, cache: &Cache, key: &Key) -> String {
        eventually(SOON, async || self.payloads_of(cache, key).await.pop()).await
    }
}

/// Loads the row into both tiers.
async fn stored(cache: &Cache, hand: &mut Hand, origin: &Origin, id: u64) {
    origin.through(cache, id).await;
    hand.payload_of(cache, &key(id)).await;
}

/// Waits until any node finds the row of this revision in Redis.
async fn found(fresh: &Cache, id: u64, revision: u64) {
    eventually(SOON, async || match fresh.get::<Product>(&key(id)).await {
        Some(product) if product.revision == revision => Ok(()),
        other => Err(other),
    })
    .await;
}
