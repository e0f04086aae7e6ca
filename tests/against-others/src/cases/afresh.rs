//! Redis begins anew: restarted with nothing, or flushed.

use std::time::Instant;

use tests::fixtures::RedisServer;

use super::{ID, LIMIT, settles, warm};
use crate::{
    case::{Case, Contender, Seen, Setup},
    source::Source,
};

/// One run. FLUSHALL is itself the eviction; after a restart one is asked for, once everybody has had the time to be back.
pub(crate) async fn run(setup: Setup, contender: &dyn Contender) -> Seen {
    let case = setup.case;
    let redis = RedisServer::start().await;
    let url = redis.url();
    let (near, far) = (contender.node(setup, &url).await, contender.node(setup, &url).await);
    let source = Source::at(1);
    warm(&near, &source).await?;
    warm(&far, &source).await?;
    if case == Case::Flushed {
        source.write(2);
        redis.cli(&["FLUSHALL"]).await;
        settles("a node", &near, &source, 2).await?;
        return Ok(Some(settles("a node", &far, &source, 2).await?));
    }

    redis.restart_empty().await;
    // Time itself: the contenders' pauses before they connect again.
    tokio::time::sleep(LIMIT).await;
    warm(&far, &source).await?;
    source.write(2);
    let began = Instant::now();
    while let Err(error) = near.evict(ID).await {
        if began.elapsed() > LIMIT {
            return Err(format!("the eviction still fails: {error}").into());
        }
    }
    settles("the node that evicted", &near, &source, 2).await?;
    Ok(Some(settles("the other node", &far, &source, 2).await?))
}
