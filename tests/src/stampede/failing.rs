//! Point 4: the origin fails, and old values stand in.

use std::time::Duration;

use cache_core::secs;

use super::{
    Settings, ms,
    orders::{Call, Keeps},
    table::{Figure, Row},
    team::{NOTICE, Team, one_each},
};
use crate::torture::Moment;

const LOAD: Duration = Duration::from_millis(20);
const TTL: Duration = Duration::from_secs(1);
const THROTTLE: Duration = Duration::from_secs(1);
/// Before the origin fails, and after it.
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(2);
const RATE: u64 = 1_000;
/// Loads beyond one for each throttle: the first of all, and one that was under way when the origin began to fail.
const FEW: u64 = 2;
const SLACK: Duration = Duration::from_millis(100);
/// The nodes' estimate of the server's clock.
const CLOCKS: Duration = Duration::from_millis(10);

pub(super) async fn rows(settings: &Settings) -> Vec<Row> {
    let lasts = settings.lasts;
    let mut rows = Vec::new();
    for processes in [Some(settings.processes), None] {
        rows.push(row(settings, processes, lasts, lasts + secs(60)).await);
    }
    // And what is too old is served no longer, whatever the origin does.
    let short = (lasts / 12).max(secs(1));
    rows.push(row(settings, Some(settings.processes), short * 2, short).await);
    rows
}

async fn row(settings: &Settings, processes: Option<usize>, fails_for: Duration, fail_safe: Duration) -> Row {
    let mut keeps = Keeps::ttl(TTL);
    if let Keeps::Cache { fail_safe: keeps_for, throttle, .. } = &mut keeps {
        (*keeps_for, *throttle) = (fail_safe.as_millis() as u64, THROTTLE.as_millis() as u64);
    }
    let mut team = Team::start(settings, &keeps, LOAD, processes).await;
    team.crowd(one_each()).await;
    team.pace(RATE, BEFORE + fails_for + AFTER, 1).await;
    // Time itself: how long the origin is well, how long it is not.
    tokio::time::sleep(NOTICE + BEFORE).await;
    let failing = Moment::now();
    team.origin.fails(true);
    // Time itself again.
    tokio::time::sleep(fails_for).await;
    team.origin.fails(false);
    let healed = Moment::now();
    let calls: Vec<Call> = team.paced().await.into_iter().flatten().collect();
    let meanwhile = team.origin.loads().iter().filter(|load| load.at >= failing && load.at < healed).count() as u64;

    let ages = calls.iter().filter_map(|call| call.at.checked_sub(call.loaded?));
    let (oldest, bound) = (Duration::from_nanos(ages.max().unwrap_or_default()), TTL + fail_safe + CLOCKS);
    let failed = calls.iter().filter(|call| call.loaded.is_none()).count();
    let of_before = |call: &&Call| call.at > healed.0 && call.loaded.is_none_or(|loaded| loaded < healed.0);
    let last_old = calls.iter().filter(of_before).map(|call| Moment(call.at)).max().unwrap_or(healed);
    let (heals, heals_within) = (last_old.since(healed), THROTTLE + LOAD + SLACK);
    let most = fails_for.as_secs() / THROTTLE.as_secs() + FEW;
    let where_ = if processes.is_some() { "Redis" } else { "no Redis" };
    let (nodes, total) = (team.len(), calls.len());
    let holds = fail_safe > fails_for;
    let mut figures = vec![Figure::count(
        format!("oldest {}", ms(oldest)),
        format!("ttl + fail_safe: {}", ms(bound)),
        oldest <= bound,
    )];
    if holds {
        figures.extend([
            Figure::count(format!("failed {failed} of {total}"), "0", failed == 0),
            Figure::count(
                format!("loads meanwhile {meanwhile}"),
                format!("one a throttle + {FEW}: {most}"),
                meanwhile <= most,
            ),
            Figure::time(
                format!("heals in {}", ms(heals)),
                format!("throttle + load + {}: {}", ms(SLACK), ms(heals_within)),
                heals <= heals_within,
            ),
        ]);
    } else {
        let too_soon = too_soon(&calls, healed, TTL + fail_safe);
        figures.push(Figure::count(
            format!("failed too soon {too_soon}, later {}", failed - too_soon),
            "0",
            too_soon == 0,
        ));
        figures.push(Figure::told(format!("loads meanwhile {meanwhile}, heals in {}", ms(heals))));
    }
    Row {
        point: "4 origin fails",
        with: format!(
            "{where_}, {nodes} x {}/s, fails {} s, load {}, ttl {} s, fail_safe {} s, throttle {} s",
            RATE / nodes as u64,
            fails_for.as_secs(),
            ms(LOAD),
            TTL.as_secs(),
            fail_safe.as_secs(),
            THROTTLE.as_secs()
        ),
        figures,
    }
}

/// Calls that failed while the last value that anybody saw, before the origin was well again, could have stood in.
fn too_soon(calls: &[Call], healed: Moment, kept: Duration) -> usize {
    let last = calls.iter().filter_map(|call| call.loaded).filter(|loaded| *loaded < healed.0).max();
    let stands_in = Moment(last.unwrap_or_default()).plus(kept.saturating_sub(CLOCKS));
    let answered = |call: &&Call| Moment(call.at).plus(Duration::from_micros(call.waited));
    calls.iter().filter(|call| call.loaded.is_none() && answered(call) < stands_in).count()
}
