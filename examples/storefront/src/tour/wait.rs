//! Waits for what a node says of itself. Nothing is judged by how long it took.

use std::time::Duration;

use super::drive::{Ask, Driver};
use crate::Problem;
use crate::process::Node;

/// How long a state may take to come.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// What `/stats` said.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// `coherent`, `revalidating` or `fenced`.
    pub(crate) coherence: String,
    /// Whether what Redis holds is used.
    pub(crate) trusted: bool,
    /// How often changes may have been missed.
    pub(crate) fences: u64,
    /// Loads whose value is not yet in Redis.
    filling: u64,
}

// === impl Report ===

impl Report {
    /// Whether all is as it was before anything broke.
    pub(crate) fn is_well(&self) -> bool {
        self.coherence == "coherent" && self.trusted
    }
}

/// What the node says now.
pub(crate) async fn report(driver: &Driver, node: &Node) -> Result<Report, Problem> {
    let answer = driver.ask(node, &Ask::get("/stats")).await?;
    let number = |field| answer.number(field).ok_or_else(|| format!("/stats of {} has no `{field}`", node.name()));
    Ok(Report {
        coherence: answer.body["coherence"].as_str().unwrap_or_default().to_owned(),
        trusted: answer.body["remote_trusted"].as_bool().unwrap_or_default(),
        fences: number("fences")?,
        filling: number("filling")?,
    })
}

/// Waits until the node says so.
pub(crate) async fn until(
    driver: &Driver,
    node: &Node,
    what: &str,
    is: impl Fn(&Report) -> bool,
) -> Result<Report, Problem> {
    let looks = async {
        loop {
            let report = report(driver, node).await?;
            if is(&report) {
                return Ok(report);
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(WAIT_MAX, looks)
        .await
        .map_err(|_| format!("{} was not {what} within {WAIT_MAX:?}", node.name()))?
}

/// Waits until what the node has loaded is in Redis: a caller does not wait for that.
pub(crate) async fn filled(driver: &Driver, node: &Node) -> Result<(), Problem> {
    until(driver, node, "done with storing what it loaded", |report| report.filling == 0).await.map(drop)
}
