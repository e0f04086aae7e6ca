//! Point 1: a cold key, and a hundred of them, asked for by everybody at once, of whom half go away.

use std::time::Duration;

use cache_core::secs;

use super::{
    Settings, began, ms,
    orders::{Crowd, Keeps},
    quantile,
    table::{Figure, Row},
    team::{Team, soon},
};
use crate::torture::Moment;

const LOAD: Duration = Duration::from_millis(200);
/// The median of those who stayed, beside the load.
const RATIO: f64 = 1.25;
const LEAVING: f64 = 0.5;

pub(super) async fn rows(settings: &Settings) -> Vec<Row> {
    let mut rows = Vec::new();
    for keys in [1, 100] {
        for processes in [Some(settings.processes), None] {
            rows.push(row(settings, keys, processes).await);
        }
    }
    rows
}

async fn row(settings: &Settings, keys: u64, processes: Option<usize>) -> Row {
    let mut team = Team::start(settings, &Keeps::ttl(secs(600)), LOAD, processes).await;
    let callers = settings.callers;
    let mut crowd =
        Crowd { at: soon().0, callers, keys, first: 0, leaving: LEAVING, leaving_within: 0, leader_leaves: false };
    crowd.leaving_within = LOAD.as_millis() as u64;
    // The keys are cold, the processes are not: as many have been there before, for other keys.
    team.crowd(Crowd { first: keys, ..crowd }).await;
    let before = team.origin.loads().len();
    crowd.at = soon().0;
    let crowded = team.crowd(crowd).await;
    let loads = team.origin.loads().split_off(before);
    let began = began(&loads, Moment(crowd.at));
    let loads = loads.len();
    let mut waits: Vec<Duration> = crowded.waits.iter().copied().map(Duration::from_micros).collect();
    let [half, last] = [0.5, 1.0].map(|share| quantile(&mut waits, share));
    let ratio = half.as_secs_f64() / LOAD.as_secs_f64();
    let nodes = team.len();
    let where_ = if processes.is_some() { "Redis" } else { "no Redis" };
    let with = format!("{where_}, {nodes} x {callers} callers, load {}", ms(LOAD));
    let told = format!("p50 {}, {ratio:.2} x load", ms(half));
    Row {
        point: if keys == 1 { "1 one cold key" } else { "1 a hundred cold keys" },
        with,
        figures: vec![
            Figure::count(format!("loads {loads}"), keys.to_string(), loads as u64 == keys),
            Figure::count(format!("failed {}", crowded.failed), "0", crowded.failed == 0),
            Figure::time(told, format!("about the load: {RATIO} x at most"), ratio <= RATIO),
            Figure::told(format!("{} answered, {} gone, slowest {}", waits.len(), crowded.left, ms(last))),
            Figure::told(format!("{began}; trips to Redis failed: {}", crowded.trips_failed)),
        ],
    }
}
