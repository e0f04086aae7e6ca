//! Pages, which the HTTP layer keeps: they go together with the results of functions that they are made of.

use serde_json::json;

use super::drive::{Answer, Ask};
use super::expect::{EVICT, Expect, LOADED, LOCAL, PUT, URLS};
use super::script::{Script, heading};
use crate::Problem;
use crate::process::Node;

/// The layer had it, and asked nobody.
const HIT: &str = "hit";
/// The layer had nothing of the URL; now it has.
const STORED: &str = "fwd=uri-miss; stored";
/// The request changes something: the layer asked, and evicted what it had of the URL.
const CHANGES: &str = "fwd=method";
/// The layer was told to leave it alone.
const PAST: &str = "fwd=bypass; detail=configured";

/// All of it, in order.
pub(super) async fn course(script: &mut Script, node: &Node) -> Result<(), Problem> {
    reads(script, node).await?;
    urls(script, node).await?;
    tags(script, node).await
}

/// A page that the layer does not have, and keeps from now on.
fn made() -> Expect {
    Expect::status(200).page(STORED)
}

/// The same, made of what the functions have.
fn of_functions() -> Expect {
    made().then("product", LOCAL).then("product:ratings", LOCAL).loads(0)
}

/// A product that a request stored.
fn saved(status: u16) -> Expect {
    Expect::status(status).page(CHANGES).then("listing", EVICT).then("product", PUT).then(URLS, EVICT).loads(0)
}

/// Asks for a page until the layer has it: an answer is on its way before all of it is stored.
async fn kept(script: &mut Script, node: &Node, path: &str, status: u16) -> Result<(), Problem> {
    let is_hit = |answer: &Answer| answer.page.as_ref().is_some_and(|page| page.outcome == HIT);
    let kept = Expect::status(status).page(HIT).untouched().loads(0);
    script.until(node, Ask::page(path, None), is_hit, kept).await
}

async fn reads(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading("Browsers get pages, which the layer keeps. Whoever has one gets a 304. Data goes past the layer.");
    let path = "/products/7";
    let page = script.step(node, Ask::page(path, None), of_functions()).await?;
    kept(script, node, path, 200).await?;
    let unchanged = Expect::status(304).page(HIT).untouched().loads(0);
    script.step(node, Ask::page(path, page.etag.as_deref()), unchanged).await?;
    script.step(node, Ask::get(path), Expect::hit("product", LOCAL).page(PAST)).await?;

    heading("An update evicts the page of its product: whoever has the old one gets the new one.");
    let carpet = json!({ "category": "carpets", "name": "Blue carpet", "price_cents": 8_900 });
    script.step(node, Ask::put(path, carpet), saved(200)).await?;
    script.step(node, Ask::page(path, page.etag.as_deref()), of_functions()).await?;
    Ok(())
}

async fn urls(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading("No tag leads to a page that says there is nothing. A PUT on its URL evicts it (RFC 9111 section 4.4).");
    let path = "/products/99998";
    let nothing = Expect::status(404).page(STORED).then("product", LOADED).then("product:ratings", LOADED);
    script.step(node, Ask::page(path, None), nothing).await?;
    kept(script, node, path, 404).await?;
    let lamp = json!({ "category": "lamps", "name": "Sun lamp", "price_cents": 14_900 });
    script.step(node, Ask::put(path, lamp), saved(201)).await?;
    script.step(node, Ask::page(path, None), of_functions()).await?;
    Ok(())
}

async fn tags(script: &mut Script, node: &Node) -> Result<(), Problem> {
    heading("A discount is one evict of one tag: results of functions and pages go together. Other categories stay.");
    let (lamp, lamps, desks) = ("/products/17", "/categories/lamps/products", "/categories/desks/products");
    for path in [lamp, lamps, desks] {
        script.step(node, Ask::page(path, None), made()).await?;
        kept(script, node, path, 200).await?;
    }
    let discounted = Expect::status(200).then("category", EVICT).loads(0).field("products", 2_002);
    script.step(node, Ask::post("/categories/lamps/discount", json!({ "percent": 10 })), discounted).await?;
    script.step(node, Ask::get(lamp), Expect::loaded("product")).await?;
    script.step(node, Ask::page(lamp, None), of_functions()).await?;
    script.step(node, Ask::page(lamps, None), made().then("listing", LOADED).loads(1)).await?;
    script.step(node, Ask::get(lamps), Expect::hit("listing", LOCAL).page(PAST)).await?;
    kept(script, node, desks, 200).await
}
