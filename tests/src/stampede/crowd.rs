//! Many callers at the same moment, on a node; some of them go away.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use cache_core::key;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    node::{Keeper, Node},
    orders::{Crowd, Crowded, Row},
    origin::Failed,
};
use crate::torture::Moment;

/// How a caller fared.
enum Fared {
    Answered(Duration),
    Failed,
    Left,
}

/// Has the crowd come, and tells when the last of them is answered or gone.
pub(crate) async fn come(node: &Arc<Node>, crowd: Crowd) -> Crowded {
    let failed_before = node.trips_failed();
    let mut callers = JoinSet::new();
    for caller in 0..crowd.callers {
        callers.spawn(call(Arc::clone(node), crowd, caller));
    }
    let mut crowded = Crowded::default();
    while let Some(fared) = callers.join_next().await {
        match fared {
            Ok(Fared::Answered(waited)) => crowded.waits.push(waited.as_micros() as u64),
            Ok(Fared::Left) => crowded.left += 1,
            Ok(Fared::Failed) | Err(_) => crowded.failed += 1,
        }
    }
    crowded.trips_failed = node.trips_failed() - failed_before;
    crowded
}

async fn call(node: Arc<Node>, crowd: Crowd, caller: usize) -> Fared {
    let id = crowd.first + caller as u64 % crowd.keys;
    let leaves = (caller as f64) < crowd.leaving * crowd.callers as f64;
    let leaves_after = leaves.then(|| Duration::from_millis(crowd.leaving_within).mul_f64(fastrand::f64()));
    let at = Moment(crowd.at);
    // Time itself: all of them come at this moment.
    sleep(at.since(Moment::now())).await;
    // Boxed, as what a service does in a request is: thousands of them wait at once.
    let answer = async {
        if crowd.leader_leaves {
            return Box::pin(borrowing(&node, id, crowd.leaving_within)).await;
        }
        Some(Box::pin(node.ask(id)).await.map(|(row, _)| row))
    };
    match within(leaves_after, answer).await {
        Some(Ok(_)) => Fared::Answered(Moment::now().since(at)),
        Some(Err(_)) => Fared::Failed,
        None => Fared::Left,
    }
}

async fn within<T>(time: Option<Duration>, answer: impl Future<Output = Option<T>>) -> Option<T> {
    match time {
        Some(time) => timeout(time, answer).await.ok().flatten(),
        None => answer.await,
    }
}

/// A call whose load runs in itself; the one that leads first goes away in the middle of it.
async fn borrowing(node: &Node, id: u64, after: u64) -> Option<Result<Row, Failed>> {
    let Keeper::Cache(cache) = &node.keeper else { return None };
    let begun = tokio::sync::Notify::new();
    let request = cache.entry(key!("row:{id}"));
    let load = || async {
        if !node.has_led.swap(true, Ordering::Relaxed) {
            begun.notify_one();
        }
        node.source.load().await
    };
    let gone = async {
        begun.notified().await;
        // Time itself: the middle of the load.
        sleep(Duration::from_millis(after)).await;
    };
    tokio::select! {
        entry = request.or_load_inline(load) => Some(entry.map(|entry| *entry.value())),
        () = gone => None,
    }
}
