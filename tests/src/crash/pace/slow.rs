//! A sink that is too slow: how full the journal gets, who is told, and what it costs in memory.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use cache_core::{
    Error, ErrorKind,
    behind::{Journaled, WhenFull, WriteBehind},
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
/// Longer than any of them has to wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody waits so long who has room.
const HELD_UP: Duration = Duration::from_millis(100);
/// By how much memory may have grown between the first third, by when all rooms are full, and the end.
const FLAT: f64 = 1.2;

#[derive(Clone, Copy, Debug)]
struct Sample {
    changes: u64,
    oldest: Duration,
    process: u64,
    redis: u64,
}

/// What callers of a full journal get, and what came of it.
#[derive(Default)]
struct Told {
    taken: AtomicU64,
    /// Those that were held up before they were taken.
    held_up: AtomicU64,
    full: AtomicU64,
    /// Journaled, and not in the sink in time.
    late: AtomicU64,
    other: AtomicU64,
}

impl Told {
    fn count(&self, answer: &Result<Journaled, Error>, took: Duration) {
        let counts = match answer {
            Ok(_) if took >= HELD_UP => &self.held_up,
            Ok(_) => &self.taken,
            Err(error) if error.kind() == ErrorKind::Full => &self.full,
            Err(error) if error.kind() == ErrorKind::Timeout => &self.late,
            Err(_) => &self.other,
        };
        counts.fetch_add(1, Ordering::Relaxed);
    }

    /// What there has to be some of, and none of.
    fn figures(self, when_full: WhenFull) -> Vec<Figure> {
        let [taken, held_up, full, late, other] =
            [self.taken, self.held_up, self.full, self.late, self.other].map(AtomicU64::into_inner);
        let counted =
            format!("{taken} taken at once, {held_up} held up, {full} told that it is full, {late} late in the sink");
        let (wanted, holds) = match when_full {
            WhenFull::Fail => ("some told", full > 0 && late == 0),
            _ => ("some held up, none told", held_up > 0 && full + late == 0),
        };
        vec![Figure::count(counted, wanted, holds), Figure::count(format!("{other} other errors"), "0", other == 0)]
    }
}

pub(super) async fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for when_full in [WhenFull::Fail, WhenFull::Wait(PATIENCE), WhenFull::WriteThrough(PATIENCE)] {
        rows.push(row(when_full).await);
    }
    rows
}

async fn row(when_full: WhenFull) -> Row {
    let redis = RedisServer::options().append_only("everysec").start().await;
    let cache = cache(&redis).await;
    let starting = cache.write_behind("parcel", Nowhere(Duration::from_millis(200))).batch(20);
    let behind = starting.room(ROOM).when_full(when_full).start().await.expect("a server that is there");
    let (begun, number, told) = (Instant::now(), AtomicU64::new(0), Told::default());
    let caller = async || {
        while begun.elapsed() < LASTS {
            let id = number.fetch_add(1, Ordering::Relaxed);
            let asked = Instant::now();
            let answer = behind.put(key(id), &parcel(0)).await;
            told.count(&answer, asked.elapsed());
        }
    };
    let callers = join_all((0..CALLERS).map(|_| caller()));
    let (_, samples) = tokio::join!(callers, samples(&behind, &redis, begun));
    let (first, last) = (samples[samples.len() / 3], samples[samples.len() - 1]);
    let most = samples.iter().map(|sample| sample.changes).max().unwrap_or_default();
    let grown = |from: u64, to: u64| to as f64 / from as f64;
    let (process, server) = (grown(first.process, last.process), grown(first.redis, last.redis));
    let mega = |bytes: u64| bytes >> 20;
    let mut figures =
        vec![Figure::count(format!("{most} changes at most"), format!("<= {MOST}"), most <= MOST && most > MOST / 2)];
    figures.extend(told.figures(when_full));
    figures.push(Figure::told(format!("the oldest change is {:.1} s old at the end", last.oldest.as_secs_f64())));
    figures.push(flat("this process", process, (mega(first.process), mega(last.process))));
    figures.push(flat("Redis", server, (mega(first.redis), mega(last.redis))));
    let with =
        format!("200 ms a batch of 20, room for {ROOM} in each of 256 partitions, {CALLERS} callers, {when_full:?}");
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
