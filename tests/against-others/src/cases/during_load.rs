//! A load reads the row; before it returns, the row changes and is evicted. Nothing of what the load read may stay.

use tests::fixtures::RedisServer;

use super::{ID, background, settles};
use crate::{
    case::{Case, Contender, Seen, Setup},
    source::Source,
};

/// One run.
pub(crate) async fn run(setup: Setup, contender: &dyn Contender) -> Seen {
    let case = setup.case;
    let redis = RedisServer::start().await;
    let url = redis.url();
    let loads = contender.node(setup, &url).await;
    let evicts = match case {
        Case::OtherNode => contender.node(setup, &url).await,
        _ => loads.clone(),
    };
    let source = Source::at(1);
    let (gated, gate) = source.gated();
    let load = tokio::spawn({
        let node = loads.clone();
        async move { node.find(ID, &gated).await }
    });
    gate.reached(1).await?;
    source.write(2);
    if case == Case::Group {
        evicts.evict_group().await?;
    } else {
        evicts.evict(ID).await?;
    }
    // Whatever it tells the others, they have heard it before the load returns.
    background().await;
    gate.open();
    // Whoever asked before the eviction may have either row.
    let _ = load.await.map_err(|error| error.to_string())?;
    background().await;
    settles("the node that loaded", &loads, &source, 2).await?;
    if case == Case::OtherNode {
        settles("the node that evicted", &evicts, &source, 2).await?;
    }
    Ok(None)
}
