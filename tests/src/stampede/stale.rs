//! Point 3: a value that may be served while a new one loads. After the first load nobody waits.

use std::time::Duration;

use cache_core::{millis, secs};

use super::{
    Settings, ms,
    orders::Keeps,
    quantile,
    table::{Figure, Row},
    team::{Team, one_each},
};

const LOAD: Duration = Duration::from_millis(200);
const TTL: Duration = Duration::from_secs(1);
const STALE: Duration = Duration::from_secs(10);
/// Requests a second over all nodes.
const RATE: u64 = 1_000;
const WAIT: Duration = Duration::from_millis(5);

pub(super) async fn rows(settings: &Settings) -> Vec<Row> {
    vec![row(settings, Some(settings.processes)).await, row(settings, None).await]
}

async fn row(settings: &Settings, processes: Option<usize>) -> Row {
    let lasts = (settings.lasts / 2).max(secs(1));
    let mut keeps = Keeps::ttl(TTL);
    if let Keeps::Cache { stale, .. } = &mut keeps {
        *stale = STALE.as_millis() as u64;
    }
    let mut team = Team::start(settings, &keeps, LOAD, processes).await;
    team.crowd(one_each()).await;
    let first = team.origin.loads().len();
    team.pace(RATE, lasts, 1).await;
    let calls: Vec<_> = team.paced().await.into_iter().flatten().collect();
    let loads = team.origin.loads();
    let took = loads.last().map_or(lasts, |last| last.at.since(loads[0].at).max(lasts));
    let most = took.as_secs() / TTL.as_secs() + 1;
    let micros = |of: fn(&super::orders::Call) -> u64| {
        calls.iter().map(|call| Duration::from_micros(of(call))).collect::<Vec<Duration>>()
    };
    let (mut waits, mut late) = (micros(|call| call.waited), micros(|call| call.late));
    let [p99, longest] = [0.99, 1.0].map(|share| quantile(&mut waits, share));
    let [p99_late, latest] = [0.99, 1.0].map(|share| quantile(&mut late, share));
    let over = waits.iter().filter(|wait| **wait > WAIT).count();
    let for_something = calls.iter().filter(|call| !call.at_once).count();
    let for_a_load = calls.iter().filter(|call| !call.at_once && call.waited > LOAD.as_micros() as u64 * 3 / 4).count();
    let failed = calls.iter().filter(|call| call.loaded.is_none()).count();
    let ages = calls.iter().filter_map(|call| call.at.checked_sub(call.loaded?));
    let oldest = Duration::from_nanos(ages.max().unwrap_or_default());
    let stale = calls.iter().filter(|call| call.stale).count() as f64 / calls.len().max(1) as f64;
    let (nodes, total) = (team.len(), calls.len());
    let where_ = if processes.is_some() { "Redis" } else { "no Redis" };
    let bound = TTL + STALE + millis(10);
    Row {
        point: "3 stale while it loads",
        with: format!(
            "{where_}, {nodes} x {}/s for {} s, load {}, ttl {} s, stale {} s",
            RATE / nodes as u64,
            lasts.as_secs(),
            ms(LOAD),
            TTL.as_secs(),
            STALE.as_secs()
        ),
        figures: vec![
            Figure::count(
                format!("loads {}, of these {first} first", loads.len()),
                most.to_string(),
                loads.len() as u64 <= most,
            ),
            Figure::count(format!("failed {failed} of {total}"), "0", failed == 0),
            Figure::time(format!("waited for a load: {for_a_load}"), "0", for_a_load == 0),
            Figure::count(format!("oldest {}", ms(oldest)), format!("ttl + stale: {}", ms(bound)), oldest <= bound),
            Figure::time(
                format!("longest wait {}, {over} over {}", ms(longest), ms(WAIT)),
                format!("{} at most", ms(WAIT)),
                longest <= WAIT,
            ),
            Figure::told(format!(
                "p99 {}; {for_something} waited for anything at all; {:.0} % stale",
                ms(p99),
                stale * 100.0
            )),
            Figure::told(format!("the callers themselves late: p99 {}, at most {}", ms(p99_late), ms(latest))),
        ],
    }
}
