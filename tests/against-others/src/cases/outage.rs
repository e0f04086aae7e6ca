//! Redis is gone, or does not answer. The database is well, so a call should give the row, and soon.

use std::time::{Duration, Instant};

use tests::fixtures::RedisServer;
use tokio::time::timeout;

use super::{HANGS, ID, warm};
use crate::{
    case::{Broken, Case, Contender, Seen, Setup},
    source::Source,
};

/// Our own measure: a call that waits longer for a cache than this is as bad as one that fails.
const SOON: Duration = Duration::from_secs(2);

/// One run: three calls, one after the other, for rows that nobody has asked for before.
pub(crate) async fn run(setup: Setup, contender: &dyn Contender) -> Seen {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let node = contender.node(setup, &url).await;
    let source = Source::at(1);
    warm(&node, &source).await?;
    if setup.case == Case::Killed {
        redis.kill().await;
    } else {
        redis.pause().await;
    }

    let mut longest = Duration::ZERO;
    for id in ID + 1..ID + 4 {
        let began = Instant::now();
        let found = timeout(HANGS, node.find(id, &source)).await;
        longest = longest.max(began.elapsed());
        let what = match found {
            Ok(Ok(1)) => continue,
            Ok(Ok(other)) => format!("a call gave revision {other}"),
            Ok(Err(error)) => format!("a call failed ({error})"),
            Err(_) => "a call did not return".to_owned(),
        };
        return Err(Broken { what, took: Some(longest) });
    }
    if longest > SOON {
        Err(Broken { what: "a call waited".to_owned(), took: Some(longest) })
    } else {
        Ok(Some(longest))
    }
}
