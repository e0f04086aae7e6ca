//! The cases. Each is one run on a Redis of its own; [`judge`] repeats it.

mod afresh;
mod during_load;
mod leader;
mod links;
mod names;
mod outage;
mod puts;
mod types;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

pub(crate) use self::names::QUOTA;
use crate::{
    case::{Broken, Case, Contender, Node, Seen, Setup, Verdict},
    source::Source,
};

/// The row that every case is about.
const ID: u64 = 7;

/// How long a node may go on with the old row: longer than the pause before a new connection that any of the crates has, which
/// is 5 s at most.
const LIMIT: Duration = Duration::from_secs(8);

/// How long a call may be awaited before it is given up as hanging.
const HANGS: Duration = Duration::from_secs(60);

/// Judges a case, without and, where that breaks, with the option that the contender has for it.
pub(crate) async fn judge(case: Case, contender: &dyn Contender, runs: usize) -> Verdict {
    if let Some(why) = contender.lacks(case) {
        return Verdict::NotOffered(why.to_owned());
    }
    let look = async |with_option| {
        let setup = Setup { case, with_option };
        Verdict::over(&join_all((0..runs).map(|_| run(setup, contender))).await)
    };
    let verdict = match (look(false).await, contender.option(case)) {
        (Verdict::Breaks(seen), Some(option)) => look(true).await.with(option, &seen),
        (verdict, _) => verdict,
    };
    match contender.disclaims(case) {
        Some(says) => verdict.disclaimed(says),
        None => verdict,
    }
}

/// One run. They all go at once, each on a Redis of its own.
async fn run(setup: Setup, contender: &dyn Contender) -> Seen {
    match setup.case {
        Case::SameNode | Case::OtherNode | Case::Group => during_load::run(setup, contender).await,
        Case::Cut | Case::HalfOpen => links::run(setup, contender).await,
        Case::TwoPuts => puts::run(setup, contender).await,
        Case::Killed | Case::Stopped => outage::run(setup, contender).await,
        Case::LeaderGone => leader::run(setup, contender).await,
        Case::Restarted | Case::Flushed => afresh::run(setup, contender).await,
        Case::Retyped => types::run(contender).await,
        Case::OneName => names::run(setup, contender).await,
    }
}

/// Waits until a node gives this revision, and says how long that took.
async fn settles(who: &str, node: &Arc<dyn Node>, source: &Source, revision: u64) -> Result<Duration, Broken> {
    let began = Instant::now();
    loop {
        let found = match tokio::time::timeout(HANGS, node.find(ID, source)).await {
            Ok(Ok(found)) if found == revision => return Ok(began.elapsed()),
            Ok(Ok(found)) => format!("{who} still gives revision {found} of {revision} after {} s", LIMIT.as_secs()),
            Ok(Err(error)) => format!("{who} still fails after {} s: {error}", LIMIT.as_secs()),
            Err(_) => format!("{who} does not answer"),
        };
        if began.elapsed() >= LIMIT {
            return Err(Broken::new(found));
        }
        // Time itself: the pause between two looks.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Lets what a call leaves behind in the background come to its end. Nothing tells when it has, in any of the crates alike.
async fn background() {
    // Time itself: a write to a Redis on this machine takes less than a thousandth of it.
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// A node that has the row, and has it in its own memory if it keeps anything there.
async fn warm(node: &Arc<dyn Node>, source: &Source) -> Result<(), Broken> {
    let wanted = node.find(ID, source).await?;
    background().await;
    for _ in 0..2 {
        let found = node.find(ID, source).await?;
        if found != wanted {
            return Err(Broken::new(format!("gave {found} after {wanted} with nothing changed")));
        }
    }
    Ok(())
}
