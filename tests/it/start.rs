//! The start: what a person has to put right is an error that says so, in time; what will pass by itself can be waited for.

mod notifications;
mod rights;
mod settings;
mod unreachable;

use std::time::Duration;

use cache_core::{Builder, Cache, Error};
use tests::fixtures::RedisServer;
use tokio::time::timeout;

use crate::support::{Origin, sees};

/// After this, a start hangs.
const HANGS: Duration = Duration::from_secs(30);

/// The error of a start that must not succeed, for everything that a log would show of it.
async fn refused(builder: Builder) -> (Error, String) {
    let error = timeout(HANGS, builder.build()).await.expect("a start ends").unwrap_err();
    let said = format!("{error} {error:?}");
    (error, said)
}

/// The setting of a server, as another application sees it.
async fn setting(redis: &RedisServer) -> String {
    let pairs: Vec<String> =
        redis::from_redis_value(redis.cli(&["CONFIG", "GET", "notify-keyspace-events"]).await).unwrap();
    pairs[1].clone()
}

/// What one evicts, the other hears of; and it came from Redis.
async fn hear_each_other(a: &Cache, b: &Cache) {
    let origin = Origin::default();
    for revision in 1..4 {
        origin.write(revision);
        assert!(a.evict(&crate::support::key(7)).await.is_applied());
        sees(b, &origin, 7, revision).await;
        let hints = a.stats().hints;
        assert!(b.evict(&crate::support::key(7)).await.is_applied());
        sees(a, &origin, 7, revision).await;
        tests::eventually(HANGS, async || a.stats().hints > hints).await;
    }
}
