//! A node cannot be reached while another one evicts. What it keeps in its own memory is old then, and nobody told it.

use tests::fixtures::{Direction, Proxy, RedisServer};

use super::{ID, settles, warm};
use crate::{
    case::{Case, Contender, Seen, Setup},
    source::Source,
};

/// One run. Cut, the link is whole again right after the eviction; half-open, it stays as it is.
pub(crate) async fn run(setup: Setup, contender: &dyn Contender) -> Seen {
    let case = setup.case;
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let (url, far_url) = (redis.url(), proxy.url());
    let near = contender.node(setup, &url).await;
    let far = contender.node(setup, &far_url).await;
    let source = Source::at(1);
    warm(&near, &source).await?;
    warm(&far, &source).await?;

    if case == Case::Cut {
        proxy.refuse();
    } else {
        proxy.stall(Direction::ToClient);
    }
    source.write(2);
    near.evict(ID).await?;
    settles("the node that evicted", &near, &source, 2).await?;
    if case == Case::Cut {
        proxy.pass();
    }
    Ok(Some(settles("the other node", &far, &source, 2).await?))
}
