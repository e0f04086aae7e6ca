//! The tour of one process without a Redis.

use std::path::Path;

use serde_json::json;

use super::drive::Ask;
use super::expect::{EVICT, Expect, JOINED, LOADED, LOCAL, PUT, URLS};
use super::script::{Script, heading};
use super::table::{Column, Side, Table};
use super::{pages, summary};
use crate::Problem;
use crate::process::{Node, NodeOptions};

const TABLE: Table = Table(&[
    Column("#", 3, Side::Right),
    Column("request", 42, Side::Left),
    Column("x-cache", 41, Side::Left),
    Column("status", 6, Side::Right),
    Column("time", 10, Side::Right),
    Column("loads", 5, Side::Right),
    Column("", 7, Side::Left),
]);

/// Callers that miss the same key at once.
const CROWD: usize = 100;

/// Takes the tour, and gives what was not as expected.
pub(crate) async fn run(data: &Path, namespace: &str) -> Result<Vec<String>, Problem> {
    super::seed(data).await?;
    let node = Node::start("A", NodeOptions { data, namespace, redis: None, budget: None }).await?;
    println!("One process at {}, without Redis.\n", node.base());
    let mut script = Script::start(TABLE, None);
    match course(&mut script, &node).await {
        Ok(()) => node.stop().await?,
        Err(problem) => script.gave_up(&problem),
    }
    Ok(script.finish())
}

async fn course(script: &mut Script, node: &Node) -> Result<(), Problem> {
    reads(script, node).await?;
    nothing(script, node).await?;
    writes(script, node).await?;
    tags(script, node).await?;
    refusals(script, node).await?;
    pages::course(script, node).await?;
    crowd(script, node).await?;
    summary::measure(script, node, None).await?;
    policy(script, node).await
}

async fn reads(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading("Read twice: the first from SQLite, the second from memory.");
    let reads = [
        ("product", "/products/7"),
        ("product:stock", "/products/7/stock"),
        ("product:ratings", "/products/7/ratings"),
        ("listing", "/categories/lamps/products?page=1"),
        ("search", "/search?q=walnut+desk&max_cents=20000"),
        ("top", "/top?limit=5"),
    ];
    for (scope, path) in reads {
        script.step(node, Ask::get(path), Expect::loaded(scope)).await?;
        script.step(node, Ask::get(path), Expect::hit(scope, LOCAL)).await?;
    }
    // Another spelling of the same arguments is the same key; other arguments are another.
    script.step(node, Ask::get("/search?max_cents=20000&q=Walnut+Desk"), Expect::hit("search", LOCAL)).await?;
    script.step(node, Ask::get("/search?q=walnut+desk"), Expect::loaded("search")).await?;
    Ok(())
}

async fn nothing(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading("What is not there is remembered too, until it is.");
    let path = "/products/99999";
    script.step(node, Ask::get(path), Expect::status(404).then("product", LOADED).loads(1)).await?;
    script.step(node, Ask::get(path), Expect::status(404).then("product", LOCAL).loads(0)).await?;
    let lamp = json!({ "category": "lamps", "name": "Moon lamp", "price_cents": 12_900 });
    script.step(node, Ask::put(path, lamp), saved(201, 1)).await?;
    script.step(node, Ask::get(path), Expect::hit("product", LOCAL).field("revision", 1)).await?;
    Ok(())
}

async fn writes(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading("An update is written through; readers never load it. Other keys are left alone.");
    let carpet = json!({ "category": "carpets", "name": "Red carpet", "price_cents": 9_900 });
    script.step(node, Ask::put("/products/7", carpet), saved(200, 2)).await?;
    script.step(node, Ask::get("/products/7"), Expect::hit("product", LOCAL).field("revision", 2)).await?;
    script.step(node, Ask::get("/products/7/stock"), Expect::hit("product:stock", LOCAL)).await?;

    heading("Taking from the stock evicts that one key.");
    let taken = Expect::status(200).then("product:stock", EVICT).loads(0);
    let left = script.step(node, Ask::post("/products/7/stock", json!({ "change": -1 })), taken).await?;
    let left = left.number("quantity").ok_or("no quantity")?;
    script.step(node, Ask::get("/products/7/stock"), Expect::loaded("product:stock").field("quantity", left)).await?;
    script.step(node, Ask::get("/products/7"), Expect::hit("product", LOCAL)).await?;

    heading("Deleting evicts by a u32 what reading stored by a u64.");
    script.step(node, Ask::get("/products/8"), Expect::loaded("product")).await?;
    let deleted = Expect::status(204).then("product", EVICT).then(URLS, EVICT).loads(0);
    script.step(node, Ask::delete("/products/8"), deleted).await?;
    script.step(node, Ask::get("/products/8"), Expect::status(404).then("product", LOADED).loads(1)).await?;
    Ok(())
}

async fn tags(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading(
        "A review changes the ratings of its product and the listings of its category; not the products, nor other categories.",
    );
    let (lamps, desks) = ("/categories/lamps/products?page=1", "/categories/desks/products?page=1");
    script.step(node, Ask::get("/products/17"), Expect::loaded("product")).await?;
    script.step(node, Ask::get("/products/17/ratings"), Expect::loaded("product:ratings")).await?;
    script.step(node, Ask::get(lamps), Expect::loaded("listing")).await?;
    script.step(node, Ask::get(desks), Expect::loaded("listing")).await?;
    script
        .step(
            node,
            Ask::post("/products/17/reviews", json!({ "rating": 5 })),
            Expect::status(201).then("product:ratings", EVICT).loads(0),
        )
        .await?;
    script.step(node, Ask::get("/products/17/ratings"), Expect::loaded("product:ratings")).await?;
    script.step(node, Ask::get(lamps), Expect::loaded("listing")).await?;
    script.step(node, Ask::get(desks), Expect::hit("listing", LOCAL)).await?;
    script.step(node, Ask::get("/products/17"), Expect::hit("product", LOCAL)).await?;

    heading("A discount on a category is one evict, however many products it has.");
    let discounted = Expect::status(200).then("category", EVICT).loads(0).field("products", 2_001);
    script.step(node, Ask::post("/categories/lamps/discount", json!({ "percent": 10 })), discounted).await?;
    script.step(node, Ask::get("/products/17"), Expect::loaded("product").field("revision", 2)).await?;
    script.step(node, Ask::get("/products/99999"), Expect::loaded("product").field("price_cents", 11_610)).await?;
    script.step(node, Ask::get("/products/7"), Expect::hit("product", LOCAL)).await?;
    Ok(())
}

async fn refusals(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading("Bad input touches neither the cache nor the database.");
    let refused = |status| Expect::status(status).untouched().loads(0);
    script.step(node, Ask::get("/products/seven"), refused(400)).await?;
    script.step(node, Ask::get("/search?q=a"), refused(422)).await?;
    script
        .step(
            node,
            Ask::put("/products/7", json!({ "category": "no such", "name": "", "price_cents": 1 })),
            refused(422),
        )
        .await?;
    script.step(node, Ask::put("/products/7", json!({ "name": "a carpet" })), refused(422)).await?;
    script.step(node, Ask::get("/nowhere"), refused(404)).await?;
    Ok(())
}

/// One load for all who miss a key at once.
async fn crowd(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading("A crowd misses one key: one of them loads, the others wait for it.");
    let ask = Ask::get("/top?limit=50");
    let before = script.driver().ask(node, &Ask::get("/stats")).await?.loads;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        let (driver, base, ask) = (script.driver().clone(), node.base().to_owned(), ask.clone());
        crowd.spawn(async move { driver.ask_at(&base, &ask).await });
    }
    let (mut loaded, mut joined, mut hits) = (0, 0, 0);
    while let Some(answer) = crowd.join_next().await {
        let answer = answer??;
        let allowed = Expect::status(200).then_any("top", &[LOADED, JOINED, LOCAL]);
        for difference in allowed.differences(&answer, 0) {
            script.differs(format!("crowd, {ask}: {difference}"));
        }
        match answer.seen.first().map(|seen| seen.outcome.as_str()) {
            Some(LOADED) => loaded += 1,
            Some(JOINED) => joined += 1,
            _ => hits += 1,
        }
    }
    println!("     {CROWD} x {ask}: {loaded} loaded, {joined} joined that load, {hits} came after it");
    let after = script.step(node, ask, Expect::status(200).then("top", LOCAL)).await?.loads;
    if (loaded, after - before) != (1, 1) {
        script.differs(format!(
            "crowd: expected one load, found {loaded} by x-cache and {} by the count",
            after - before
        ));
    }
    Ok(())
}

/// Where each field of a scope's policy was said.
async fn policy(script: &Script, node: &Node) -> Result<(), Problem> {
    let answer = script.driver().ask(node, &Ask::get("/explain/product:stock")).await?;
    let explained = answer.body.as_str().unwrap_or_default();
    println!(
        "\nThe policy of a scope, and where each field was said (GET /explain/product:stock):\n{}",
        explained.trim_end()
    );
    Ok(())
}

/// Saving is three calls to the cache: one evicts the listings that may show the product, one puts the product, and the HTTP
/// layer evicts the page of its URL.
fn saved(status: u16, revision: u64) -> Expect {
    Expect::status(status)
        .then("listing", EVICT)
        .then("product", PUT)
        .then(URLS, EVICT)
        .loads(0)
        .field("revision", revision)
}
