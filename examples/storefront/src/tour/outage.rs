//! The tour of an outage: two processes and a Redis of the tour's own, which is killed, comes back empty, comes back with an
//! older state, and hangs.
//!
//! The rules: no request fails; none spends more than 50 ms on Redis in all; a node that knows of no Redis answers from the
//! database; and once all is well again, nothing older than an update is served.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::drive::Ask;
use super::expect::{BYPASSED, EVICT, EVICT_QUEUED, Expect, JOINED, LOADED, LOCAL, PUT, PUT_QUEUED, REMOTE};
use super::ledger::Ledger;
use super::script::{Script, heading};
use super::table::{Column, Side, Table, millis};
use super::traffic::Traffic;
use super::wait::{self, Report};
use crate::Problem;
use crate::caching::BOUND;
use crate::process::{Node, NodeOptions, RedisServer, Restore};

/// The most that a request may spend on Redis.
const REMOTE_MAX: Duration = Duration::from_millis(50);

const TABLE: Table = Table(&[
    Column("#", 3, Side::Right),
    Column("node", 4, Side::Left),
    Column("request", 40, Side::Left),
    Column("x-cache", 34, Side::Left),
    Column("state", 30, Side::Left),
    Column("status", 6, Side::Right),
    Column("time", 10, Side::Right),
    Column("redis", 9, Side::Right),
    Column("", 7, Side::Left),
]);

/// What a read may be while Redis is away.
const UNCACHED: &[&str] = &[LOADED, JOINED, BYPASSED];
/// What a read may be when it is not yet clear whether Redis is there.
const ANY: &[&str] = &[LOCAL, REMOTE, LOADED, JOINED, BYPASSED];
/// What a read that did not load may be.
const CACHED: &[&str] = &[LOCAL, REMOTE];

const CARPET: &str = "/products/7";
const OTHER_CARPET: &str = "/products/57";
const CLOCK: &str = "/products/58";
const LAMP: &str = "/products/17";
const DISCOUNT: &str = "/categories/lamps/discount";
/// Carpets that the readers beside never stop reading.
const WATCHED: [u64; 4] = [107, 132, 157, 182];

/// The course of the outage.
struct Outage<'a> {
    script: Script,
    server: RedisServer,
    a: Node,
    b: Node,
    ledger: Arc<Ledger>,
    options: NodeOptions<'a>,
}

/// Takes the tour, and gives what was not as expected.
pub(crate) async fn run(data: &Path, namespace: &str) -> Result<Vec<String>, Problem> {
    let server = RedisServer::start().await?;
    super::seed(data).await?;
    let url = server.url();
    let options = NodeOptions { data, namespace, redis: Some(&url), budget: None };
    let (a, b) = (Node::start("A", options).await?, Node::start("B", options).await?);
    println!("Two processes, A at {} and B at {}, and a Redis of their own at {url}.\n", a.base(), b.base());
    let script = Script::start(TABLE, Some(REMOTE_MAX));
    let ledger = Arc::new(Ledger::new(WATCHED));
    let traffic = Traffic::start(script.driver(), [&a, &b], &ledger, REMOTE_MAX);
    let mut outage = Outage { script, server, a, b, ledger, options };
    outage.before().await?;
    outage.killed().await?;
    outage.back_empty().await?;
    outage.back_older().await?;
    outage.stalled().await?;
    let tally = traffic.stop().await?;
    println!("\n{tally}");
    let Outage { mut script, server, a, b, .. } = outage;
    a.stop().await?;
    b.stop().await?;
    drop(server);
    for finding in tally.findings() {
        script.differs(finding);
    }
    Ok(script.finish())
}

// === impl Outage ===

impl Outage<'_> {
    async fn before(&mut self) -> Result<(), Problem> {
        heading("Redis runs. Both nodes have read some products; then its state is copied aside, and products change.");
        for path in [CARPET, OTHER_CARPET, CLOCK, LAMP] {
            self.script.step(&self.a, Ask::get(path), read(LOADED, 1)).await?;
            wait::filled(self.script.driver(), &self.a).await?;
            self.script.step(&self.b, Ask::get(path), read(REMOTE, 1)).await?;
        }
        self.server.snapshot().await?;
        self.script.step(&self.a, Ask::put(CARPET, carpet()), saved(PUT, 2)).await?;
        self.script
            .until(&self.b, Ask::get(CARPET), |answer| answer.number("revision") >= Some(2), read(REMOTE, 2))
            .await?;
        self.script.step(&self.a, Ask::post(DISCOUNT, percent()), Expect::status(200).then("category", EVICT)).await?;
        self.script
            .until(&self.b, Ask::get(LAMP), |answer| answer.number("revision") >= Some(2), read(LOADED, 2))
            .await?;
        self.write_watched().await?;
        self.well_since(None).await
    }

    async fn killed(&mut self) -> Result<(), Problem> {
        heading("kill -9 of Redis, under an update. What a node writes it reads at once.");
        let saving = self.script.step(&self.a, Ask::put(OTHER_CARPET, carpet()), saved_any(2));
        let (killed, answer) = tokio::join!(self.server.kill(), saving);
        killed?;
        answer?;
        self.script.step(&self.a, Ask::get(OTHER_CARPET), read_any(ANY, 2)).await?;
        self.script.step(&self.b, Ask::get(CARPET), read_any(ANY, 2)).await?;

        heading("Both know of it by now: they read the database, so that each sees what the other wrote.");
        for node in [&self.a, &self.b] {
            wait::until(self.script.driver(), node, "disconnected", |report| report.coherence == "disconnected")
                .await?;
        }
        self.script.step(&self.b, Ask::get(OTHER_CARPET), read_any(UNCACHED, 2)).await?;
        self.script.step(&self.b, Ask::put(CARPET, carpet()), saved(PUT_QUEUED, 3)).await?;
        self.script.step(&self.a, Ask::get(CARPET), read_any(UNCACHED, 3)).await?;
        self.script.step(&self.a, Ask::delete(CLOCK), Expect::status(204)).await?;
        self.script.step(&self.b, Ask::get(CLOCK), Expect::status(404).then_any("product", UNCACHED)).await?;
        let queued = Expect::status(200).then("category", EVICT_QUEUED);
        self.script.step(&self.a, Ask::post(DISCOUNT, percent()), queued).await?;
        self.script.step(&self.b, Ask::get(LAMP), read_any(UNCACHED, 3)).await?;
        self.write_watched().await
    }

    async fn back_empty(&mut self) -> Result<(), Problem> {
        let known = self.reports().await?;
        self.server.restart(Restore::Empty).await?;
        self.well_since(Some(known)).await?;
        heading("Redis is back, empty. Nothing old is served, and what is loaded is shared again.");
        self.script.step(&self.a, Ask::get(CARPET), read(LOADED, 3)).await?;
        wait::filled(self.script.driver(), &self.a).await?;
        self.script.step(&self.b, Ask::get(CARPET), read(REMOTE, 3)).await?;
        self.script.step(&self.b, Ask::get(CARPET), read(LOCAL, 3)).await?;
        self.script.step(&self.b, Ask::get(OTHER_CARPET), read(LOADED, 2)).await?;
        self.script.step(&self.a, Ask::get(LAMP), read(LOADED, 3)).await?;
        self.script.step(&self.b, Ask::get(CLOCK), Expect::status(404).then("product", LOADED)).await?;
        self.script.step(&self.a, Ask::put(CARPET, carpet()), saved(PUT, 4)).await?;
        self.script
            .until(&self.b, Ask::get(CARPET), |answer| answer.number("revision") >= Some(4), read(REMOTE, 4))
            .await?;
        self.write_watched().await?;
        self.well_since(None).await
    }

    async fn back_older(&mut self) -> Result<(), Problem> {
        let known = self.reports().await?;
        self.server.kill().await?;
        self.server.restart(Restore::Snapshot).await?;
        self.well_since(Some(known)).await?;
        heading(
            "kill -9 again, and back with the copy from before the updates: it holds old values with old versions that agree.",
        );
        self.script.step(&self.a, Ask::get(CARPET), read(LOADED, 4)).await?;
        wait::filled(self.script.driver(), &self.a).await?;
        self.script.step(&self.b, Ask::get(CARPET), read(REMOTE, 4)).await?;
        self.script.step(&self.b, Ask::get(OTHER_CARPET), read(LOADED, 2)).await?;
        self.script.step(&self.b, Ask::get(LAMP), read(LOADED, 3)).await?;
        self.script.step(&self.a, Ask::get(CLOCK), Expect::status(404).then("product", LOADED)).await?;
        self.newcomer().await?;
        self.script.step(&self.b, Ask::put(CARPET, carpet()), saved(PUT, 5)).await?;
        self.script
            .until(&self.a, Ask::get(CARPET), |answer| answer.number("revision") >= Some(5), read(REMOTE, 5))
            .await?;
        Ok(())
    }

    /// A process that was not there for any of it, and has nothing but Redis to go by.
    async fn newcomer(&mut self) -> Result<(), Problem> {
        let c = Node::start("C", self.options).await?;
        self.script.step(&c, Ask::get(CARPET), read(REMOTE, 4)).await?;
        for (path, revision) in [(OTHER_CARPET, 2), (LAMP, 3)] {
            self.script.step(&c, Ask::get(path), read_any(&[LOADED, REMOTE], revision)).await?;
        }
        c.stop().await
    }

    async fn stalled(&mut self) -> Result<(), Problem> {
        let known = self.reports().await?;
        heading(
            "Redis hangs (SIGSTOP): its connections stand, and it says nothing. A request waits no longer than its budget.",
        );
        self.server.stall()?;
        self.script.step(&self.a, Ask::get(CARPET), read_any(ANY, 5)).await?;
        self.script.step(&self.a, Ask::put(OTHER_CARPET, carpet()), saved(PUT_QUEUED, 3)).await?;
        self.script.step(&self.a, Ask::get(OTHER_CARPET), read_any(ANY, 3)).await?;
        for node in [&self.a, &self.b] {
            wait::until(self.script.driver(), node, "aware of it", |report| report.coherence != "coherent").await?;
        }
        self.script.step(&self.b, Ask::get(OTHER_CARPET), read_any(UNCACHED, 3)).await?;
        self.script.step(&self.b, Ask::get(LAMP), read_any(UNCACHED, 3)).await?;
        self.write_watched().await?;
        self.server.wake()?;
        self.well_since(Some(known)).await?;
        heading("It goes on, and carries out late what it was told before.");
        self.script.step(&self.a, Ask::get(OTHER_CARPET), read_any(ANY, 3)).await?;
        wait::filled(self.script.driver(), &self.a).await?;
        self.script.step(&self.b, Ask::get(OTHER_CARPET), read_any(CACHED, 3)).await?;
        self.script.step(&self.b, Ask::put(CARPET, carpet()), saved(PUT, 6)).await?;
        self.script
            .until(&self.a, Ask::get(CARPET), |answer| answer.number("revision") >= Some(6), read(REMOTE, 6))
            .await?;
        Ok(())
    }

    /// Writes each product that the readers watch, on one node or the other.
    async fn write_watched(&mut self) -> Result<(), Problem> {
        let mut longest = Duration::ZERO;
        for (index, entry) in self.ledger.entries().iter().enumerate() {
            let place = index % 2;
            let (node, ask) = ([&self.a, &self.b][place], Ask::put(format!("/products/{}", entry.id), carpet()));
            let answer = self.script.driver().ask(node, &ask).await?;
            let revision = entry.newest() + 1;
            for difference in saved_any(revision).differences(&answer, 0) {
                self.script.differs(format!("{} {ask}: {difference}", node.name()));
            }
            entry.wrote(place, revision);
            longest = longest.max(answer.remote);
        }
        if longest > REMOTE_MAX {
            self.script.differs(format!("a write of a watched product spent {} on Redis", millis(longest)));
        }
        Ok(())
    }

    async fn reports(&self) -> Result<[Report; 2], Problem> {
        let driver = self.script.driver();
        Ok([wait::report(driver, &self.a).await?, wait::report(driver, &self.b).await?])
    }

    /// Waits until both nodes are well, having noticed what happened since `known`, and have heard all that was acknowledged.
    /// From then on nothing older than the last update may be served.
    async fn well_since(&mut self, known: Option<[Report; 2]>) -> Result<(), Problem> {
        let fences = known.map_or([None, None], |known| known.map(|report| Some(report.fences)));
        let nodes = [(&self.a, fences[0]), (&self.b, fences[1])];
        for (node, fences) in nodes {
            let is = |report: &Report| report.is_well() && fences.is_none_or(|fences| report.fences > fences);
            wait::until(self.script.driver(), node, "well again", is).await?;
        }
        // A node that is coherent a bound later has heard the echo of a beat that it sent after both were well, and with it
        // whatever was acknowledged before.
        tokio::time::sleep(BOUND).await;
        for (node, _) in nodes {
            wait::until(self.script.driver(), node, "well still", Report::is_well).await?;
        }
        self.ledger.settled();
        Ok(())
    }
}

fn read(outcome: &'static str, revision: u64) -> Expect {
    read_any(&[outcome], revision)
}

fn read_any(outcomes: &[&'static str], revision: u64) -> Expect {
    Expect::status(200).then_any("product", outcomes).field("revision", revision)
}

/// Saving is two calls to the cache: one evicts the pages that may show the product, one puts the product.
fn saved(outcome: &'static str, revision: u64) -> Expect {
    let evict = if outcome == PUT { EVICT } else { EVICT_QUEUED };
    Expect::status(200).then("listing", evict).then("product", outcome).field("revision", revision)
}

fn saved_any(revision: u64) -> Expect {
    let (evicts, puts) = ([EVICT, EVICT_QUEUED], [PUT, PUT_QUEUED]);
    Expect::status(200).then_any("listing", &evicts).then_any("product", &puts).field("revision", revision)
}

fn carpet() -> serde_json::Value {
    json!({ "category": "carpets", "name": "Red carpet", "price_cents": 9_900 })
}

fn percent() -> serde_json::Value {
    json!({ "percent": 1 })
}
