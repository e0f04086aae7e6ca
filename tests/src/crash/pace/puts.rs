//! Journaled puts beside plain `XADD` of the same payload, in turn, on one server.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use cache_core::behind::WriteBehind;
use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;

use super::{CALLERS, Nowhere, Parcel, cache, key, parcel};
use crate::{
    fixtures::RedisServer,
    stampede::{Figure, Row},
};

const LASTS: Duration = Duration::from_secs(2);
/// Each is measured so often, in turn with the other; the median counts.
const ROUNDS: usize = 3;
const KEYS: u64 = 10_000;

pub(super) async fn row(fsync: &str) -> Row {
    let redis = RedisServer::options().append_only(fsync).start().await;
    let cache = cache(&redis).await;
    let behind = cache.write_behind("parcel", Nowhere(Duration::ZERO)).start().await.expect("a server that is there");
    let connection = redis.connection().await;
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        plain.push(adds(&connection).await);
        redis.cli(&["DEL", "plain"]).await;
        ours.push(puts(&behind).await);
        drained(&behind).await;
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&plain).map(|(ours, plain)| ours / plain).collect();
    let (ratio, ours, plain) = (median(&mut ratios), median(&mut ours), median(&mut plain));
    let figures = vec![
        Figure::told(format!("{ours:.0} journaled puts/s, flushed meanwhile by the same process")),
        Figure::told(format!("{plain:.0} XADD/s of the same payload over one connection")),
        Figure::told(format!("{ratio:.2} of XADD")),
    ];
    Row { point: "journaled puts", with: format!("{CALLERS} callers of one process, appendfsync {fsync}"), figures }
}

async fn puts(behind: &WriteBehind<Parcel>) -> f64 {
    rate(async |number: u64| {
        let value = parcel(number as i64);
        behind.put(key(number % KEYS), &value).await.expect("there is room");
    })
    .await
}

async fn adds(connection: &MultiplexedConnection) -> f64 {
    rate(async |number: u64| {
        let payload = serde_json::to_vec(&parcel(number as i64)).expect("it can be written");
        let mut connection = connection.clone();
        let mut add = redis::cmd("XADD");
        add.arg("plain").arg("*").arg("k").arg(key(number % KEYS).wire()).arg("v").arg(1_790_000_000_000_000 + number);
        add.arg("o").arg("p").arg("b").arg(payload);
        add.exec_async(&mut connection).await.expect("the server answers");
    })
    .await
}

/// How often a second many callers do it, each again as soon as it is done.
async fn rate(work: impl AsyncFn(u64)) -> f64 {
    let (begun, number) = (Instant::now(), AtomicU64::new(0));
    let caller = async || {
        while begun.elapsed() < LASTS {
            work(number.fetch_add(1, Ordering::Relaxed)).await;
        }
    };
    join_all((0..CALLERS).map(|_| caller())).await;
    number.into_inner() as f64 / begun.elapsed().as_secs_f64()
}

pub(super) async fn drained<T: cache_core::CacheValue>(behind: &WriteBehind<T>) {
    crate::eventually(Duration::from_secs(120), async || {
        let lag = behind.lag().await.map_err(|error| error.to_string())?;
        if lag.changes == 0 && lag.parked == 0 { Ok(()) } else { Err(format!("{lag:?}")) }
    })
    .await;
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
