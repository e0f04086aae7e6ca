//! Ten callers wait for the one that loads, and that one goes away. They must neither hang nor all load.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tests::fixtures::RedisServer;
use tokio::{task::JoinHandle, time::timeout};

use super::background;
use crate::{
    case::{Broken, Contender, Node, Seen, Setup},
    source::Source,
};

const WAITERS: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(5);

type Call = JoinHandle<Result<u64, String>>;

/// One run.
pub(crate) async fn run(setup: Setup, contender: &dyn Contender) -> Seen {
    let redis = RedisServer::start().await;
    let node = contender.node(setup, &redis.url()).await;
    let source = Source::at(1);
    let (first, first_gate) = source.gated();
    let (rest, rest_gate) = source.gated();
    // Some contenders keep one cache a process: no two runs may share a key.
    let id = u64::from(redis.address().port());
    let leader = call(&node, id, &first);
    first_gate.reached(1).await?;
    let waiters: Vec<Call> = (0..WAITERS).map(|_| call(&node, id, &rest)).collect();
    background().await;
    if source.reads() != 1 {
        return Err(Broken::new("concurrent callers load side by side"));
    }
    leader.abort();
    // A load that outlives its caller ends now; those that take its place begin, and are counted before any of them ends.
    first_gate.open();
    background().await;
    rest_gate.open();
    let answers = timeout(PATIENCE, join_all(waiters))
        .await
        .map_err(|_| Broken::new(format!("the callers behind it still wait after {} s", PATIENCE.as_secs())))?;
    for answer in answers {
        answer.map_err(|error| error.to_string())??;
    }
    match source.reads() {
        1 | 2 => Ok(None),
        loads => Err(Broken::new(format!("the {WAITERS} callers behind it made {} loads", loads - 1))),
    }
}

fn call(node: &Arc<dyn Node>, id: u64, source: &Source) -> Call {
    let (node, source) = (Arc::clone(node), source.clone());
    tokio::spawn(async move { node.find(id, &source).await })
}
