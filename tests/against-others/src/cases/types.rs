//! A release changes the type of what is cached: the new one meets what the old one stored. It must give what its own
//! function gives or what the old one meant, never another field's number, and must not fail.

use tests::fixtures::RedisServer;

use super::background;
use crate::case::{Broken, Contender, Release, Seen};

const BALANCE: u64 = 100;
const LIMIT: u64 = 9_000;

/// One run: both changes, each on a Redis of its own.
pub(crate) async fn run(contender: &dyn Contender) -> Seen {
    for (release, change) in [(Release::Reordered, "fields reordered"), (Release::Grown, "a field more")] {
        let redis = RedisServer::start().await;
        let url = redis.url();
        contender.account(&url, Release::First, (BALANCE, LIMIT)).await?;
        background().await;
        match contender.account(&url, release, (BALANCE, LIMIT)).await {
            Ok((BALANCE, LIMIT)) => {}
            Ok((balance, limit)) => {
                let what = format!("{change}: balance {BALANCE}, limit {LIMIT} came back as {balance} and {limit}");
                return Err(Broken::new(what));
            }
            Err(error) => return Err(Broken::new(format!("{change}: the call fails ({error})"))),
        }
    }
    Ok(None)
}
