//! Two modules have a function of one name, and both are cached in one Redis. Neither may be given what the other one
//! cached.

use tests::fixtures::RedisServer;

use crate::case::{Broken, Contender, Quota, Seen, Setup};

/// What `quotas::find(7)` gives when it is called.
pub(crate) const QUOTA: Quota = Quota { used: 3, unlimited: true };

/// One run.
pub(crate) async fn run(setup: Setup, contender: &dyn Contender) -> Seen {
    let redis = RedisServer::start().await;
    match contender.quota(setup, &redis.url()).await {
        Ok(found) if found == QUOTA => Ok(None),
        Ok(found) => Err(Broken::new(format!("the first function's value came back from the second, as {found:?}"))),
        Err(error) => Err(Broken::new(format!("the second function failed ({error})"))),
    }
}
