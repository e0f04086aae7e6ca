//! A sink that is too slow: how full the journal gets, who is told, and what it costs in memory.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use cache_core::{
    ErrorKind,
    behind::{WhenFull, WriteBehind},
};
use futures_util::future::join_all;

use super::{CALLERS, Nowhere, Parcel, cache, key, parcel};
use crate::{
    fixtures::RedisServer,
    stampede::{Figure, Row},
};

const LASTS: Duration = Duration::from_secs(9);
/// Of each partition of the 256.
const ROOM: u64 = 40;
const MOST: u64 = ROOM * 256;
/// By how much memory may have grown between the first third, by when all rooms are full, and the end.
const FLAT: f64 = 1.2;

#[derive(Clone, Copy, Debug)]
struct Sample {
    changes: u64,
    oldest: Duration,
    process: u64,
    redis: u64,
}

pub(super) async fn row() -> Row {
    let redis = RedisServer::options().append_only("everysec").start().await;
    let cache = cache(&redis).await;
    let starting = cache.write_behind("parcel", Nowhere(Duration::from_millis(200))).batch(20);
    let behind = starting.room(ROOM).when_full(WhenFull::Fail).start().await.expect("a server that is there");
    let (begun, number) = (Instant::now(), AtomicU64::new(0));
    let (taken, told, other) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let caller = async || {
        while begun.elapsed() < LASTS {
            let id = number.fetch_add(1, Ordering::Relaxed);
            match behind.put(key(id), &parcel(0)).await {
                Ok(_) => taken.fetch_add(1, Ordering::Relaxed),
                Err(error) if error.kind() == ErrorKind::Full => told.fetch_add(1, Ordering::Relaxed),
                Err(_) => other.fetch_add(1, Ordering::Relaxed),
            };
        }
    };
    let callers = join_all((0..CALLERS).map(|_| caller()));
    let (_, samples) = tokio::join!(callers, samples(&behind, &redis, begun));
    let (first, last) = (samples[samples.len() / 3], samples[samples.len() - 1]);
    let most = samples.iter().map(|sample| sample.changes).max().unwrap_or_default();
    let (taken, told, other) = (taken.into_inner(), told.into_inner(), other.into_inner());
    let grown = |from: u64, to: u64| to as f64 / from as f64;
    let (process, server) = (grown(first.process, last.process), grown(first.redis, last.redis));
    let mega = |bytes: u64| bytes >> 20;
    let figures = vec![
        Figure::count(format!("{most} changes at most"), format!("<= {MOST}"), most <= MOST && most > MOST / 2),
        Figure::count(format!("{taken} taken, {told} told that it is full"), "some told", told > 0),
        Figure::count(format!("{other} other errors"), "0", other == 0),
        Figure::told(format!("the oldest change is {:.1} s old at the end", last.oldest.as_secs_f64())),
        flat("this process", process, (mega(first.process), mega(last.process))),
        flat("Redis", server, (mega(first.redis), mega(last.redis))),
    ];
    let with = format!("200 ms a batch of 20, room for {ROOM} in each of 256 partitions, {CALLERS} callers");
    Row { point: "slow sink", with, figures }
}

fn flat(of: &str, grown: f64, (from, to): (u64, u64)) -> Figure {
    Figure::count(format!("memory of {of}: {from} MiB, then {to} MiB"), format!("<= {FLAT} x"), grown <= FLAT)
}

async fn samples(behind: &WriteBehind<Parcel>, redis: &RedisServer, begun: Instant) -> Vec<Sample> {
    let mut samples = Vec::new();
    while begun.elapsed() < LASTS {
        // Time itself: until the next sample.
        tokio::time::sleep(LASTS / 20).await;
        let lag = behind.lag().await.expect("the server answers");
        let redis = used_by(redis).await;
        samples.push(Sample { changes: lag.changes, oldest: lag.oldest, process: resident(), redis });
    }
    samples
}

/// What this process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    number_behind(&status, "VmRSS:") << 10
}

async fn used_by(redis: &RedisServer) -> u64 {
    let said: String = redis::from_redis_value(redis.cli(&["INFO", "memory"]).await).expect("INFO is text");
    number_behind(&said, "used_memory_dataset:")
}

fn number_behind(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
