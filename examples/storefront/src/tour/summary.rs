//! What the same read costs by where its answer comes from.

use std::time::Duration;

use super::drive::Ask;
use super::expect::{Expect, LOADED, LOCAL, REMOTE};
use super::script::Script;
use super::table::{Column, Side, Table, median, millis};
use super::wait;
use crate::Problem;
use crate::process::Node;

/// Different keys that are read of each kind.
const SAMPLES: usize = 9;
/// Times that each of them is read once it is in the local tier.
const REPEATS: usize = 5;

const TABLE: Table = Table(&[
    Column("read", 26, Side::Left),
    Column("cold", 10, Side::Right),
    Column("L2", 10, Side::Right),
    Column("L1", 10, Side::Right),
    Column("speed-up", 9, Side::Right),
]);

/// One kind of read.
struct Kind {
    what: &'static str,
    scope: &'static str,
    path: fn(usize) -> String,
}

const CATEGORIES: [&str; SAMPLES] =
    ["armchairs", "backpacks", "bicycles", "blankets", "bookcases", "cameras", "clocks", "curtains", "tents"];
const TERMS: [&str; SAMPLES] =
    ["ceramic", "winter", "cork+details", "brass", "terrace", "narrow+hall", "marble", "slate", "heritage"];

const KINDS: [Kind; 4] = [
    Kind { what: "one product", scope: "product", path: |index| format!("/products/{}", 40_001 + index) },
    Kind {
        what: "a page of a category",
        scope: "listing",
        path: |index| format!("/categories/{}/products?page=2", CATEGORIES[index]),
    },
    Kind { what: "a search", scope: "search", path: |index| format!("/search?q={}", TERMS[index]) },
    Kind { what: "the best rated", scope: "top", path: |index| format!("/top?limit={}", 31 + index) },
];

/// Reads keys that nobody has read yet: cold on `first`, then from Redis on `second` if there is one, then from the local tier.
/// Judges each answer, and prints the medians.
pub(crate) async fn measure(script: &mut Script, first: &Node, second: Option<&Node>) -> Result<(), Problem> {
    println!("\nMedians of {SAMPLES} keys, HTTP included:\n{}", TABLE.head());
    for kind in KINDS {
        let (mut cold, mut remote, mut local) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..SAMPLES {
            let ask = Ask::get((kind.path)(index));
            cold.push(sample(script, first, &ask, Expect::status(200).then(kind.scope, LOADED)).await?);
            if let Some(second) = second {
                wait::filled(script.driver(), first).await?;
                remote.push(sample(script, second, &ask, Expect::status(200).then(kind.scope, REMOTE)).await?);
            }
            for _ in 0..REPEATS {
                local.push(sample(script, first, &ask, Expect::status(200).then(kind.scope, LOCAL)).await?);
            }
        }
        let (cold, local) = (median(&cold), median(&local));
        let remote = if second.is_some() { millis(median(&remote)) } else { "-".to_owned() };
        let factor = cold.as_secs_f64() / local.as_secs_f64().max(f64::EPSILON);
        println!("{}", TABLE.row(&[kind.what, &millis(cold), &remote, &millis(local), &format!("{factor:.1} x")]));
    }
    Ok(())
}

async fn sample(script: &mut Script, node: &Node, ask: &Ask, expect: Expect) -> Result<Duration, Problem> {
    let answer = script.driver().ask(node, ask).await?;
    script.judge(node, ask, &answer, &expect);
    Ok(answer.elapsed)
}
