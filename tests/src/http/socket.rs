//! Point 1: a hit over a socket, beside a handler that answers the same bytes from a constant.

use super::{Row, Settings, core::Core, load, median, ratio, server::Server};
use crate::stampede::Figure;

/// Throughput of a hit, of that of a constant.
const WANTED: f64 = 0.9;

pub(super) fn rows(settings: &Settings) -> Vec<Row> {
    let [bare, cached] = ["bare", "cached"].map(|kind| Server::own(&settings.program, Some(Core::OfServers), kind));
    let (clients, turn, rounds) = (settings.clients, settings.turn, settings.rounds);
    let [constant, hit] = load::compare([&bare, &cached], "/page", clients, turn, rounds);
    let [cost, of_constant] = [&hit, &constant].map(|turns| median(turns.costs.clone()));
    let by_time = ratio(&constant.costs, &hit.costs);
    let told = format!("a core serves {by_time:.2} x (hit {cost:.1} us a request, constant {of_constant:.1} us)");
    let [rate, of_rate] = [&hit, &constant].map(|turns| median(turns.rates.clone()));
    let in_a_second = ratio(&hit.rates, &constant.rates);
    vec![Row {
        point: "1 hit over a socket",
        with: format!("axum, 1 KiB, {clients} clients, {rounds} turns of {turn:.0?}"),
        figures: vec![
            Figure::time(told, format!(">= {WANTED} x constant"), by_time >= WANTED),
            Figure::told(format!("{rate:.0} requests/s, constant {of_rate:.0}: {in_a_second:.2} x")),
        ],
    }]
}
