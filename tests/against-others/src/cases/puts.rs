//! Two writers of one row on two nodes. The one that wrote first tells the cache last, and must not have the last word.

use tests::fixtures::RedisServer;

use super::{ID, background, settles};
use crate::{
    case::{Contender, Seen, Setup},
    source::Source,
};

/// One run.
pub(crate) async fn run(setup: Setup, contender: &dyn Contender) -> Seen {
    let redis = RedisServer::start().await;
    let url = redis.url();
    let (first, second) = (contender.node(setup, &url).await, contender.node(setup, &url).await);
    let source = Source::at(1);
    let (gated, gate) = source.gated();
    let slow = tokio::spawn({
        let node = first.clone();
        async move { node.save(ID, 2, &gated).await }
    });
    gate.reached(1).await?;
    second.save(ID, 3, &source).await?;
    // Whatever it tells the others, they have heard it before the first one goes on.
    background().await;
    gate.open();
    slow.await.map_err(|error| error.to_string())??;
    background().await;
    settles("the node that wrote first", &first, &source, 3).await?;
    settles("the node that wrote last", &second, &source, 3).await?;
    let fresh = contender.node(setup, &url).await;
    settles("a third node", &fresh, &source, 3).await?;
    Ok(None)
}
