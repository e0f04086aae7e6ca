//! The tour of two processes that share a Redis.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::drive::{Answer, Ask};
use super::expect::{EVICT, Expect, LOADED, LOCAL, REMOTE, URLS};
use super::script::{Script, heading};
use super::table::{Column, Side, Table, median, millis};
use super::{limited, summary, wait};
use crate::Problem;
use crate::process::{Node, NodeOptions, SharedRedis};

/// Columns of a table with two nodes.
const TABLE: Table = Table(&[
    Column("#", 3, Side::Right),
    Column("node", 4, Side::Left),
    Column("request", 52, Side::Left),
    Column("x-cache", 34, Side::Left),
    Column("status", 6, Side::Right),
    Column("time", 10, Side::Right),
    Column("redis", 9, Side::Right),
    Column("loads", 5, Side::Right),
    Column("", 7, Side::Left),
]);

/// Updates that are timed from one node to the other.
const UPDATES: u64 = 20;

/// What a call may spend on Redis here: no outcome of this tour hangs on how busy the machine is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes the tour, removes what it left in Redis, and gives what was not as expected.
pub(crate) async fn run(data: &Path, namespace: &str, url: &str) -> Result<Vec<String>, Problem> {
    let shared = SharedRedis::open(url).await?;
    let toured = limited(tour(data, namespace, url)).await;
    // Whatever ended the tour, even Ctrl-C: its processes are gone by now, and nothing of it stays.
    shared.clean(namespace).await?;
    toured
}

async fn tour(data: &Path, namespace: &str, url: &str) -> Result<Vec<String>, Problem> {
    super::seed(data).await?;
    let options = NodeOptions { data, namespace, redis: Some(url), budget: Some(PATIENCE) };
    let (a, b) = (Node::start("A", options).await?, Node::start("B", options).await?);
    println!("Two processes, A at {} and B at {}, and one Redis.\n", a.base(), b.base());
    let mut script = Script::start(TABLE, None);
    match course(&mut script, &a, &b).await {
        Ok(()) => {
            a.stop().await?;
            b.stop().await?;
        }
        Err(problem) => script.gave_up(&problem),
    }
    Ok(script.finish())
}

async fn course(script: &mut Script, a: &Node, b: &Node) -> Result<(), Problem> {
    reads(script, a, b).await?;
    updates(script, a, b).await?;
    tags(script, a, b).await?;
    heard(script, a, b).await?;
    summary::measure(script, a, Some(b)).await
}

async fn reads(script: &mut Script, a: &Node, b: &Node) -> Result<(), Problem> {
    heading("A loads, B finds it in Redis, then both have it.");
    let reads = [
        ("product", "/products/7"),
        ("listing", "/categories/lamps/products?page=1"),
        ("search", "/search?q=walnut+desk&max_cents=20000"),
        ("top", "/top?limit=5"),
    ];
    for (scope, path) in reads {
        script.step(a, Ask::get(path), Expect::loaded(scope)).await?;
        wait::filled(script.driver(), a).await?;
        script.step(b, Ask::get(path), Expect::hit(scope, REMOTE)).await?;
        script.step(a, Ask::get(path), Expect::hit(scope, LOCAL)).await?;
        script.step(b, Ask::get(path), Expect::hit(scope, LOCAL)).await?;
    }
    heading("That there is nothing is shared too.");
    let missing = |outcome, loads| Expect::status(404).then("product", outcome).loads(loads);
    script.step(a, Ask::get("/products/99999"), missing(LOADED, 1)).await?;
    wait::filled(script.driver(), a).await?;
    script.step(b, Ask::get("/products/99999"), missing(REMOTE, 0)).await?;
    Ok(())
}

async fn updates(script: &mut Script, a: &Node, b: &Node) -> Result<(), Problem> {
    heading("An update on A: B hears of it and takes the new value from Redis. Time: from A's answer to B's.");
    let path = "/products/7";
    script.step(a, Ask::put(path, carpet(1)), Expect::status(200).loads(0).field("revision", 2)).await?;
    let new = Expect::status(200).then("product", REMOTE).field("revision", 2);
    script.until(b, Ask::get(path), |answer| answer.number("revision") >= Some(2), new).await?;
    script.step(b, Ask::get(path), Expect::hit("product", LOCAL).field("revision", 2)).await?;
    script.step(a, Ask::get(path), Expect::hit("product", LOCAL).field("revision", 2)).await?;

    heading("The same from B to A, for a product that both remember as missing; then it is deleted on A.");
    let path = "/products/99999";
    script.step(b, Ask::put(path, carpet(2)), Expect::status(201).loads(0).field("revision", 1)).await?;
    let new = Expect::status(200).then("product", REMOTE).field("revision", 1);
    script.until(a, Ask::get(path), |answer| answer.status == 200, new).await?;
    script.step(a, Ask::delete(path), Expect::status(204).then("product", EVICT).then(URLS, EVICT).loads(0)).await?;
    script.until(b, Ask::get(path), |answer| answer.status == 404, Expect::status(404).then("product", LOADED)).await?;
    Ok(())
}

async fn tags(script: &mut Script, a: &Node, b: &Node) -> Result<(), Problem> {
    heading("A discount on A evicts a whole category by one tag: B loads anew, and A finds that in Redis.");
    let (lamp, lamps) = ("/products/17", "/categories/lamps/products?page=1");
    script.step(a, Ask::get(lamp), Expect::loaded("product")).await?;
    wait::filled(script.driver(), a).await?;
    script.step(b, Ask::get(lamp), Expect::hit("product", REMOTE)).await?;
    let discounted = Expect::status(200).then("category", EVICT).loads(0).field("products", 2_000);
    script.step(a, Ask::post("/categories/lamps/discount", json!({ "percent": 10 })), discounted).await?;
    let new = Expect::status(200).then("product", LOADED).field("revision", 2);
    script.until(b, Ask::get(lamp), |answer| answer.number("revision") >= Some(2), new).await?;
    let not_kept = |answer: &Answer| answer.seen.first().is_some_and(|seen| seen.outcome != LOCAL);
    script.until(b, Ask::get(lamps), not_kept, Expect::status(200).then("listing", LOADED)).await?;
    wait::filled(script.driver(), b).await?;
    script.step(a, Ask::get(lamp), Expect::hit("product", REMOTE).field("revision", 2)).await?;
    script.step(a, Ask::get(lamps), Expect::hit("listing", REMOTE)).await?;
    script.step(b, Ask::get("/products/7"), Expect::hit("product", LOCAL)).await?;
    Ok(())
}

/// How long an update takes to be seen by the other node.
async fn heard(script: &mut Script, a: &Node, b: &Node) -> Result<(), Problem> {
    let path = "/products/32";
    let mut times: Vec<Duration> = Vec::new();
    script.driver().ask(b, &Ask::get(path)).await?;
    for update in 1..=UPDATES {
        let saved = script.driver().ask(a, &Ask::put(path, carpet(update))).await?;
        let revision = saved.number("revision");
        let sighting = script.sight(b, &Ask::get(path), |answer| answer.number("revision") >= revision).await?;
        if !sighting.seen {
            script.differs(format!("B did not see update {update} of {path}"));
            break;
        }
        times.push(sighting.took);
    }
    let longest = times.iter().copied().max().unwrap_or_default();
    println!(
        "\n{UPDATES} more updates on A were seen by B after a median of {}, {} at most.",
        millis(median(&times)),
        millis(longest)
    );
    Ok(())
}

fn carpet(price: u64) -> serde_json::Value {
    json!({ "category": "carpets", "name": "Red carpet", "price_cents": 9_900 + price })
}
