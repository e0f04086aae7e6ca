//! Point 2: whoever leads is gone in the middle of the load.

use std::time::Duration;

use cache_core::{millis, secs};
use redis::Value;

use super::{
    Settings, began, ms,
    orders::{Crowd, Keeps, Order},
    quantile,
    table::{Figure, Row},
    team::{Team, soon},
};
use crate::{fixtures::RedisServer, torture::Moment};

const LOAD: Duration = Duration::from_millis(500);
/// From the beginning of the load until its leader is gone.
const INTO: Duration = Duration::from_millis(100);
const SLACK: Duration = Duration::from_millis(100);

pub(super) async fn rows(settings: &Settings) -> Vec<Row> {
    vec![killed(settings).await, gone(settings).await]
}

fn crowd(settings: &Settings) -> Crowd {
    let Settings { callers, .. } = *settings;
    Crowd { at: soon().0, callers, keys: 1, first: 0, leaving: 0.0, leaving_within: 0, leader_leaves: false }
}

/// The process that leads is killed.
async fn killed(settings: &Settings) -> Row {
    let processes = settings.processes.max(2);
    let mut team = Team::start(settings, &Keeps::ttl(secs(600)), LOAD, Some(processes)).await;
    let crowd = crowd(settings);
    team.tell(|_| Order::Crowd(crowd)).await;
    let leader = team.origin.first_load().await;
    // Time itself: into the load.
    tokio::time::sleep(INTO).await;
    team.kill(leader.node);
    let (killed, left) = (Moment::now(), lease_left(team.redis.as_ref().expect("it was started with one")).await);
    let crowded = team.crowded().await;
    let loads = team.origin.loads();
    let began = began(&loads, Moment(crowd.at));
    let loads = loads.len();
    let mut waits: Vec<Duration> = crowded.waits.iter().copied().map(Duration::from_micros).collect();
    let last = Moment(crowd.at + quantile(&mut waits, 1.0).as_nanos() as u64);
    let (after, limit) = (last.since(killed), left + LOAD + SLACK);
    let expected = (processes - 1) * settings.callers;
    let of_lease = format!("last answer {} after the kill; lease {} then", ms(after), ms(left));
    Row {
        point: "2 leader killed -9",
        with: format!(
            "Redis, {processes} x {} callers, load {}, killed {} into it, lease of 1 s (the first)",
            settings.callers,
            ms(LOAD),
            ms(killed.since(leader.at))
        ),
        figures: vec![
            Figure::count(format!("loads {loads}"), "2 at most", loads <= 2),
            Figure::count(
                format!("answered {} of {expected}, failed {}", waits.len(), crowded.failed),
                "all",
                waits.len() == expected && crowded.failed == 0,
            ),
            Figure::told(format!("{began}; trips to Redis failed: {}", crowded.trips_failed)),
            Figure::time(of_lease, format!("lease + load + {}: {}", ms(SLACK), ms(limit)), after <= limit),
        ],
    }
}

/// How long the one lease still has.
async fn lease_left(redis: &RedisServer) -> Duration {
    let Value::Array(leases) = redis.cli(&["KEYS", "stampede:l:*"]).await else { return Duration::ZERO };
    let Some(Value::BulkString(lease)) = leases.first() else { return Duration::ZERO };
    match redis.cli(&["PTTL", &String::from_utf8_lossy(lease)]).await {
        Value::Int(left) => millis(left.max(0).unsigned_abs()),
        _ => Duration::ZERO,
    }
}

/// In one process there is nobody left to answer when that is killed; so the caller who leads goes away with its load.
async fn gone(settings: &Settings) -> Row {
    let mut team = Team::start(settings, &Keeps::ttl(secs(600)), LOAD, None).await;
    let mut crowd = crowd(settings);
    (crowd.leader_leaves, crowd.leaving_within) = (true, INTO.as_millis() as u64);
    let crowded = team.crowd(crowd).await;
    let loads = team.origin.loads();
    let mut waits: Vec<Duration> = crowded.waits.iter().copied().map(Duration::from_micros).collect();
    let last = Moment(crowd.at + quantile(&mut waits, 1.0).as_nanos() as u64);
    let (after, limit) = (last.since(loads[0].at), INTO + LOAD + SLACK);
    Row {
        point: "2 leading caller dropped",
        with: format!(
            "no Redis, 1 x {} callers, the load runs in its caller, load {}, dropped {} into it",
            settings.callers,
            ms(LOAD),
            ms(INTO)
        ),
        figures: vec![
            Figure::count(format!("loads {}", loads.len()), "2 at most", loads.len() <= 2),
            Figure::count(
                format!("answered {} of {}, failed {}", waits.len(), settings.callers - 1, crowded.failed),
                "all",
                waits.len() == settings.callers - 1 && crowded.failed == 0,
            ),
            Figure::time(
                format!("last answer {} after the first load began", ms(after)),
                format!("{} + load + {}: {}", ms(INTO), ms(SLACK), ms(limit)),
                after <= limit,
            ),
        ],
    }
}
