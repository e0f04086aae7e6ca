//! Point 2: a hit through `cache-proxy`, beside one of nginx and a handler that answers from a constant.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Row, Settings,
    core::Core,
    load::{self, Turns},
    median,
    nginx::{self, Files},
    ratio,
    server::Server,
};
use crate::stampede::Figure;

/// Throughput of a hit, of that of nginx.
const WANTED: f64 = 1.5;

pub(super) fn rows(settings: &Settings) -> Vec<Row> {
    let point = "2 hit of a proxy";
    let not_run = |why: String| {
        vec![Row {
            point,
            with: "cache-proxy, nginx".to_owned(),
            figures: vec![Figure::told(format!("not run: {why}"))],
        }]
    };
    let proxy = match build(&settings.program) {
        Ok(proxy) => proxy,
        Err(why) => return not_run(why),
    };
    let Some(program) = nginx::program() else {
        return not_run("there is no nginx; Debian has it in the package `nginx`".to_owned());
    };
    let core = Some(Core::OfServers);
    let bare = Server::own(&settings.program, core, "bare");
    let upstream = bare.address();
    let proxy = Server::start(&proxy, core, |address| {
        ["--listen", &address.to_string(), "--upstream", &format!("http://{upstream}")].map(str::to_owned).to_vec()
    });
    let [plain, tuned] = [Files::OpenedForEach, Files::KeptOpen].map(|files| nginx::start(&program, upstream, files));
    let (clients, turn, rounds) = (settings.clients, settings.turn, settings.rounds);
    let servers = [&bare, &proxy, &plain.server, &tuned.server];
    let [constant, hit, plain, tuned] = load::compare(servers, "/page", clients, turn, rounds);
    let [of_constant, of_hit, of_plain, of_tuned] =
        [&constant, &hit, &plain, &tuned].map(|turns| median(turns.costs.clone()));
    let rates = [&hit, &plain, &tuned, &constant].map(|turns| format!("{:.0}", median(turns.rates.clone())));
    let over = |turns: &Turns, other: &Turns| ratio(&other.costs, &turns.costs);
    let (by_time, beside_tuned) = (over(&hit, &plain), over(&hit, &tuned));
    vec![Row {
        point,
        with: format!("{}, 1 KiB, {clients} clients, {rounds} turns of {turn:.0?}", nginx::version(&program)),
        figures: vec![
            Figure::time(
                format!("a core serves {by_time:.2} x (cache-proxy {of_hit:.1} us a request, nginx {of_plain:.1} us)"),
                format!(">= {WANTED} x nginx"),
                by_time >= WANTED,
            ),
            Figure::told(format!("with open_file_cache, nginx {of_tuned:.1} us: {beside_tuned:.2} x")),
            Figure::told(format!(
                "a constant in axum {of_constant:.1} us: {:.2} x nginx, with open_file_cache {:.2} x",
                over(&constant, &plain),
                over(&constant, &tuned),
            )),
            Figure::told(format!(
                "requests/s: cache-proxy, nginx, with open_file_cache, constant: {}",
                rates.join(", ")
            )),
        ],
    }]
}

/// The proxy, built as it is now if cargo runs us, and otherwise as it stands beside this program.
fn build(program: &Path) -> Result<PathBuf, String> {
    if let Some(cargo) = std::env::var_os("CARGO") {
        let built = Command::new(cargo).args(["build", "--quiet", "--release", "-p", "cache-proxy"]).status();
        if !built.is_ok_and(|status| status.success()) {
            return Err("cache-proxy does not build".to_owned());
        }
    }
    let beside = program.with_file_name("cache-proxy");
    if beside.exists() { Ok(beside) } else { Err("there is no cache-proxy beside this program".to_owned()) }
}
