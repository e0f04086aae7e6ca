//! The tour of an outage: two processes and a Redis of the tour's own, which is killed, comes back empty, comes back with an
//! older state, and hangs.
//!
//! The rules: no request fails; none spends more than 50 ms on Redis in all; a node that knows of no Redis answers from the
//! database; a node reads at once what it wrote; and once all is well again, nothing older than an update is served, by
//! anybody. Whether Redis answered within the budget of a call is the machine's business: where that may vary, each outcome
//! that follows from it is right, and what has to work again is tried until it does.

mod phases;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::drive::Ask;
use super::expect::{BYPASSED, EVICT, EVICT_QUEUED, Expect, JOINED, LOADED, LOCAL, PUT, PUT_QUEUED, REMOTE, URLS};
use super::ledger::{Entry, Ledger, NODES};
use super::script::Script;
use super::table::{Column, Side, Table};
use super::traffic::Traffic;
use super::wait::{self, Report};
use crate::Problem;
use crate::caching::BOUND;
use crate::process::{Node, NodeOptions, RedisServer};

/// The most that a request may spend on Redis.
const REMOTE_MAX: Duration = Duration::from_millis(50);
/// What one call may spend. A request makes three at most here, so this is far from the limit: what is measured is the time until the
/// request goes on, and on a busy machine it waits for the processor besides.
const BUDGET: Duration = Duration::from_millis(5);
/// How often something is tried that a busy machine may spoil.
const TRIES: usize = 100;

const TABLE: Table = Table(&[
    Column("#", 3, Side::Right),
    Column("node", 4, Side::Left),
    Column("request", 34, Side::Left),
    Column("x-cache", 30, Side::Left),
    Column("state", 30, Side::Left),
    Column("status", 6, Side::Right),
    Column("time", 10, Side::Right),
    Column("redis", 9, Side::Right),
    Column("", 7, Side::Left),
]);

/// What a read may be while Redis is away.
const UNCACHED: &[&str] = &[LOADED, JOINED, BYPASSED];
/// What a read may be when it hangs on the moment whether it is kept.
const ANY: &[&str] = &[LOCAL, REMOTE, LOADED, JOINED, BYPASSED];
/// How a write may end while it is not clear whether Redis is there.
const EITHER: &[(&str, &str)] = &[(EVICT, PUT), (EVICT_QUEUED, PUT_QUEUED), (EVICT, PUT_QUEUED), (EVICT_QUEUED, PUT)];
/// How it ends while Redis is away.
const QUEUED: &[(&str, &str)] = &[(EVICT_QUEUED, PUT_QUEUED)];

/// The nodes, as places in [`Outage::nodes`].
const A: usize = 0;
const B: usize = 1;

/// The products that the script reads and writes, as places in [`Outage::products`]: two carpets, and a lamp that only
/// discounts change.
const CARPET: usize = 0;
const OTHER: usize = 1;
const LAMP: usize = 2;
const PRODUCTS: [u64; 3] = [7, 57, 17];
/// A product that is deleted.
const CLOCK: &str = "/products/58";
/// Carpets that the readers beside never stop reading.
const WATCHED: [u64; 4] = [107, 132, 157, 182];
/// The first of many carpets that nobody reads or writes otherwise; another is found this many numbers on.
const FRESH: u64 = 20_007;
const CATEGORIES: u64 = 25;

/// The course of the outage.
struct Outage<'a> {
    script: Script,
    server: RedisServer,
    nodes: [Node; NODES],
    products: Ledger,
    watched: Arc<Ledger>,
    fresh: u64,
    options: NodeOptions<'a>,
}

/// Takes the tour, and gives what was not as expected.
pub(crate) async fn run(data: &Path, namespace: &str) -> Result<Vec<String>, Problem> {
    let server = RedisServer::start().await?;
    super::seed(data).await?;
    let url = server.url();
    let options = NodeOptions { data, namespace, redis: Some(&url), budget: Some(BUDGET) };
    let nodes = [Node::start("A", options).await?, Node::start("B", options).await?];
    let (a, b) = (nodes[A].base(), nodes[B].base());
    println!("Two processes, A at {a} and B at {b}, and a Redis of their own at {url}.\n");
    let script = Script::start(TABLE, Some(REMOTE_MAX));
    let watched = Arc::new(Ledger::new(WATCHED));
    let traffic = Traffic::start(script.driver(), &nodes, &watched, REMOTE_MAX);
    let mut outage = Outage { script, server, nodes, products: Ledger::new(PRODUCTS), watched, fresh: FRESH, options };
    if let Err(problem) = outage.take_course().await {
        outage.script.gave_up(&problem);
    }
    let tally = traffic.stop().await?;
    println!("\n{tally}");
    let Outage { mut script, server, nodes, .. } = outage;
    for node in nodes {
        node.stop().await?;
    }
    drop(server);
    for finding in tally.findings() {
        script.differs(finding);
    }
    Ok(script.finish())
}

// === impl Outage: steps ===

impl Outage<'_> {
    /// Reads a product, which has to be the newest.
    async fn read(&mut self, node: usize, product: usize, outcomes: &[&'static str]) -> Result<(), Problem> {
        let entry = &self.products.entries()[product];
        let expect = Expect::status(200).then_any("product", outcomes).field("revision", entry.newest());
        self.script.step(&self.nodes[node], Ask::get(path(entry)), expect).await?;
        Ok(())
    }

    /// Reads a product until it is the newest: the other node has written it, and was told that everybody knows.
    async fn read_until_new(&mut self, node: usize, product: usize) -> Result<(), Problem> {
        let entry = &self.products.entries()[product];
        let newest = entry.newest();
        let expect = Expect::status(200).then_any("product", ANY).field("revision", newest);
        let is_new = |answer: &super::drive::Answer| answer.number("revision") >= Some(newest);
        self.script.until(&self.nodes[node], Ask::get(path(entry)), is_new, expect).await
    }

    /// Reads the product that was deleted.
    async fn read_deleted(&mut self, node: usize, outcomes: &[&'static str]) -> Result<(), Problem> {
        let expect = Expect::status(404).then_any("product", outcomes);
        self.script.step(&self.nodes[node], Ask::get(CLOCK), expect).await?;
        Ok(())
    }

    /// Updates a product. Gives whether everybody knows.
    async fn save(
        &mut self,
        node: usize,
        product: usize,
        ends: &[(&'static str, &'static str)],
    ) -> Result<bool, Problem> {
        let entry = &self.products.entries()[product];
        let saved = self.script.step(&self.nodes[node], Ask::put(path(entry), carpet()), saved(entry, ends)).await?;
        entry.wrote(node, entry.newest() + 1);
        Ok(saved.seen.iter().all(|seen| [EVICT, PUT].contains(&seen.outcome.as_str())))
    }

    /// Takes something off every lamp.
    async fn discount(&mut self, node: usize, outcomes: &[&'static str]) -> Result<(), Problem> {
        let (ask, expect) = (Ask::post("/categories/lamps/discount", json!({ "percent": 1 })), Expect::status(200));
        self.script.step(&self.nodes[node], ask, expect.then_any("category", outcomes)).await?;
        let lamp = &self.products.entries()[LAMP];
        lamp.wrote(node, lamp.newest() + 1);
        Ok(())
    }

    /// Shows that what one node loads the other finds in Redis, and that an update is acknowledged and heard.
    async fn works(&mut self, writer: usize, reader: usize) -> Result<(), Problem> {
        for attempt in 1.. {
            let ask = Ask::get(format!("/products/{}", self.fresh));
            self.fresh += CATEGORIES;
            let read = |outcomes| Expect::status(200).then_any("product", outcomes).field("revision", 1);
            self.script.step(&self.nodes[writer], ask.clone(), read(UNCACHED)).await?;
            wait::filled(self.script.driver(), &self.nodes[writer]).await?;
            let found = self.script.step(&self.nodes[reader], ask, read(&[REMOTE, LOADED, BYPASSED])).await?;
            if found.seen.iter().all(|seen| seen.outcome == REMOTE) {
                break;
            }
            if attempt == TRIES {
                self.script.differs(format!("what one node loads is not shared: {TRIES} products tried"));
                break;
            }
        }
        for attempt in 1.. {
            if self.save(writer, CARPET, EITHER).await? {
                break;
            }
            if attempt == TRIES {
                self.script.differs(format!("no update is acknowledged: {TRIES} tried"));
                break;
            }
        }
        self.read_until_new(reader, CARPET).await
    }

    /// Writes each product that the readers watch, on one node or the other.
    async fn write_watched(&mut self) -> Result<(), Problem> {
        for (index, entry) in self.watched.entries().iter().enumerate() {
            let place = index % NODES;
            let (node, ask) = (&self.nodes[place], Ask::put(path(entry), carpet()));
            let answer = self.script.driver().ask(node, &ask).await?;
            self.script.judge(node, &ask, &answer, &saved(entry, EITHER));
            entry.wrote(place, entry.newest() + 1);
        }
        Ok(())
    }
}

// === impl Outage: waiting ===

impl Outage<'_> {
    async fn reports(&self) -> Result<[Report; NODES], Problem> {
        let driver = self.script.driver();
        Ok([wait::report(driver, &self.nodes[A]).await?, wait::report(driver, &self.nodes[B]).await?])
    }

    /// Waits until both nodes say so.
    async fn both(&self, what: &str, is: impl Fn(&Report) -> bool) -> Result<(), Problem> {
        for node in &self.nodes {
            wait::until(self.script.driver(), node, what, &is).await?;
        }
        Ok(())
    }

    /// Waits until both nodes are well, having noticed what happened since `known`, and have heard all that was acknowledged.
    /// From then on nothing older than the last update may be served.
    async fn well_since(&mut self, known: Option<[Report; NODES]>) -> Result<(), Problem> {
        for (index, node) in self.nodes.iter().enumerate() {
            let noticed = |report: &Report| known.as_ref().is_none_or(|known| report.fences > known[index].fences);
            wait::until(self.script.driver(), node, "well again", |report| report.is_well() && noticed(report)).await?;
        }
        // A node that is coherent a bound later has heard the echo of a beat that it sent after both were well, and with it
        // whatever was acknowledged before.
        tokio::time::sleep(BOUND).await;
        self.both("well still", Report::is_well).await?;
        self.watched.settled();
        Ok(())
    }
}

fn path(entry: &Entry) -> String {
    format!("/products/{}", entry.id)
}

/// Saving is three calls to the cache: one evicts the listings that may show the product, one puts the product, and the HTTP
/// layer evicts the page of its URL.
fn saved(entry: &Entry, ends: &[(&'static str, &'static str)]) -> Expect {
    let (evicts, puts): (Vec<_>, Vec<_>) = ends.iter().copied().unzip();
    let saved = Expect::status(200).then_any("listing", &evicts).then_any("product", &puts).then_any(URLS, &evicts);
    saved.field("revision", entry.newest() + 1)
}

fn carpet() -> serde_json::Value {
    json!({ "category": "carpets", "name": "Red carpet", "price_cents": 9_900 })
}
