//! The adapters, one a crate. Each says in its first lines which page of the crate's documentation its set-up follows.

mod cached;
mod cachet;
mod foyer;
mod hitbox;
mod moka;
mod multi_tier_cache;
mod ours;
mod quick_cache;
mod recipe;

use std::{fmt::Display, future::Future, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(crate) use self::cached::{Prefix, quota_in_this_process};
use crate::case::{Case, Contender, Release, Step};

/// How long anything is kept: longer than any case lasts.
const TTL: Duration = Duration::from_secs(600);

/// What a timeout is set to where a crate has one to set and the case is a reason to.
const IMPATIENT: Duration = Duration::from_millis(100);

const ONE_PROCESS: &str = "it caches in one process";
const NO_FUNCTIONS: &str = "its keys are written by hand";

/// All of them, ours first.
pub(crate) fn all() -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(ours::Ours),
        Box::new(recipe::Recipe),
        Box::new(cached::Cached),
        Box::new(hitbox::Hitbox),
        Box::new(multi_tier_cache::MultiTier),
        Box::new(moka::Moka),
        Box::new(quick_cache::Quick),
        Box::new(foyer::Foyer),
        Box::new(cachet::Cachet),
    ]
}

/// Connects, and does so again where a busy machine lets a crate's own timeout pass: how long a start takes is not the question.
async fn connected<T, E: Display, F: Future<Output = Result<T, E>> + Send>(connect: impl Fn() -> F) -> T {
    let mut last = String::new();
    for _ in 0..10 {
        match connect().await {
            Ok(connected) => return connected,
            Err(error) => last = error.to_string(),
        }
    }
    panic!("its Redis is up: {last}")
}

/// Between two looks at whether a node is ready.
async fn pause() {
    // Time itself: the pause.
    tokio::time::sleep(Duration::from_millis(5)).await;
}

fn is_outage(case: Case) -> bool {
    matches!(case, Case::Killed | Case::Stopped)
}

/// What a cache that lives in one process and knows no functions lacks.
fn lacks_in_process(case: Case) -> Option<&'static str> {
    match case {
        Case::OneName => Some(NO_FUNCTIONS),
        other => other.is_shared().then_some(ONE_PROCESS),
    }
}

/// An account, as one of the releases has it.
trait Account: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// From balance and limit.
    fn new(balance: u64, limit: u64) -> Self;

    /// Balance and limit.
    fn parts(&self) -> (u64, u64);
}

/// The account of [`Release::First`].
#[derive(Clone, Debug, Serialize, Deserialize)]
struct First {
    balance: u64,
    limit: u64,
}

/// The account of [`Release::Reordered`].
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reordered {
    limit: u64,
    balance: u64,
}

/// The account of [`Release::Grown`].
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Grown {
    balance: u64,
    limit: u64,
    currency: String,
}

/// A contender that can cache a value of any type, so that one generic call stands for the three releases.
trait Accounts: Sync {
    /// The account that is cached at this Redis under the key of all releases, or `loads`.
    fn through<'a, A: Account>(&'a self, url: &'a str, loads: A) -> Step<'a, Result<A, String>>;

    /// [`Contender::account`].
    fn by_release<'a>(
        &'a self,
        url: &'a str,
        release: Release,
        loads: (u64, u64),
    ) -> Step<'a, Result<(u64, u64), String>> {
        Box::pin(async move {
            Ok(match release {
                Release::First => self.through(url, First::new(loads.0, loads.1)).await?.parts(),
                Release::Reordered => self.through(url, Reordered::new(loads.0, loads.1)).await?.parts(),
                Release::Grown => self.through(url, Grown::new(loads.0, loads.1)).await?.parts(),
            })
        })
    }
}

// === impl Account ===

impl Account for First {
    fn new(balance: u64, limit: u64) -> Self {
        Self { balance, limit }
    }

    fn parts(&self) -> (u64, u64) {
        (self.balance, self.limit)
    }
}

impl Account for Reordered {
    fn new(balance: u64, limit: u64) -> Self {
        Self { limit, balance }
    }

    fn parts(&self) -> (u64, u64) {
        (self.balance, self.limit)
    }
}

impl Account for Grown {
    fn new(balance: u64, limit: u64) -> Self {
        Self { balance, limit, currency: "EUR".to_owned() }
    }

    fn parts(&self) -> (u64, u64) {
        (self.balance, self.limit)
    }
}
