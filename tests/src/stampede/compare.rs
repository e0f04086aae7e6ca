//! Point 5: what each way of keeping values costs the origin and the callers, side by side.

use std::time::Duration;

use cache_core::secs;

use super::{Settings, ms, orders::Keeps, quantile, team::Team};

const LOAD: Duration = Duration::from_millis(50);
const TTL: Duration = Duration::from_secs(5);
const STALE: u64 = 10_000;
const BETA: f64 = 1.0;
const NODES: usize = 4;
const RATE: u64 = 2_000;
const IDS: u64 = 10_000;

/// The second table: lines of markdown.
pub async fn compare(settings: &Settings) -> String {
    let lasts = (settings.lasts / 6).max(secs(2));
    let mut table = format!(
        "{NODES} nodes, {RATE} requests/s over all of them for {} s each, {IDS} ids by Zipf's law (1.0), load {}, ttl {} s \
         without jitter, the first {} s not counted\n\n\
         | kept by | origin calls/request | stale | p50 | p99 | callers late, p99 |\n|---|---|---|---|---|---|\n",
        lasts.as_secs(),
        ms(LOAD),
        TTL.as_secs(),
        TTL.as_secs()
    );
    let ttl = TTL.as_millis() as u64;
    let ours = |stale, beta, l1| Keeps::Cache { ttl, l1, stale, fail_safe: 0, throttle: 1_000, beta };
    for (name, keeps) in [
        ("recipe: `SET NX` lock, 100 ms polling, L2 only", Keeps::Recipe { ttl }),
        ("ttl, L2 only", ours(0, None, Some(0))),
        ("ttl", ours(0, None, None)),
        ("ttl + stale 10 s", ours(STALE, None, None)),
        ("ttl + XFetch(1.0)", ours(0, Some(BETA), None)),
        ("ttl + stale 10 s + XFetch(1.0)", ours(STALE, Some(BETA), None)),
    ] {
        let mut team = Team::start(settings, &keeps, LOAD, Some(NODES)).await;
        let counts_from = team.pace(RATE, TTL + lasts, IDS).await.plus(TTL);
        let mut calls: Vec<_> = team.paced().await.into_iter().flatten().collect();
        calls.retain(|call| call.at >= counts_from.0);
        let total = calls.len().max(1) as f64;
        let loads = team.origin.loads().iter().filter(|load| load.at >= counts_from).count();
        let per_request = loads as f64 / total;
        let stale = calls.iter().filter(|call| call.stale).count() as f64 / total;
        let micros = |of: fn(&super::orders::Call) -> u64| {
            calls.iter().map(|call| Duration::from_micros(of(call))).collect::<Vec<Duration>>()
        };
        let (mut waits, mut late) = (micros(|call| call.waited), micros(|call| call.late));
        let [p50, p99] = [0.5, 0.99].map(|share| ms(quantile(&mut waits, share)));
        let late = ms(quantile(&mut late, 0.99));
        let stale = stale * 100.0;
        let row = format!("| {name} | {per_request:.3} | {stale:.1} % | {p50} | {p99} | {late} |\n");
        table.push_str(&row);
    }
    table
}
