//! `stale`, `fail_safe`, `soft` and `hard` of an attribute do what those of a policy do.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use cache_core::{Cache, Entry, Outcome, TimedOut, cacheable, hours, millis};
use tests::fixtures::eventually;
use tokio::sync::Notify;

use crate::outage::SOON;

#[derive(Debug, Clone, PartialEq)]
enum Failure {
    Away,
    Late,
}

impl From<TimedOut> for Failure {
    fn from(_: TimedOut) -> Self {
        Self::Late
    }
}

#[derive(Clone, Default)]
struct Rows(Arc<State>);

#[derive(Default)]
struct State {
    loads: AtomicU64,
    is_away: AtomicBool,
    is_slow: AtomicBool,
    answers: Notify,
}

impl Rows {
    async fn row(&self) -> Result<u64, Failure> {
        let load = self.0.loads.fetch_add(1, Ordering::SeqCst) + 1;
        if self.0.is_slow.load(Ordering::SeqCst) {
            self.0.answers.notified().await;
        }
        if self.0.is_away.load(Ordering::SeqCst) { Err(Failure::Away) } else { Ok(load) }
    }

    fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Shop {
    cache: Cache,
    rows: Rows,
}

impl Shop {
    fn new() -> Self {
        Self { cache: Cache::in_memory(), rows: Rows::default() }
    }

    /// Of `&self`, and of an argument that is borrowed: both are owned for the load in the background.
    #[cacheable(key = "attr-stale:{name}", ttl = "50ms", stale = hours(1))]
    async fn stale(&self, name: &str) -> Result<Entry<u64>, Failure> {
        assert_eq!(name, "lamp");
        self.rows.row().await.map(Into::into)
    }

    #[cacheable(key = "attr-safe", ttl = millis(50), fail_safe = "1h")]
    async fn safe(&self) -> Result<Entry<u64>, Failure> {
        self.rows.row().await.map(Into::into)
    }

    #[cacheable(key = "attr-soft", ttl = "50ms", fail_safe = "1h", soft = "20ms")]
    async fn soft(&self) -> Result<Entry<u64>, Failure> {
        self.rows.row().await.map(Into::into)
    }

    #[cacheable(key = "attr-hard", hard = "20ms")]
    async fn hard(&self) -> Result<u64, Failure> {
        self.rows.row().await
    }
}

#[tokio::test]
async fn stale_loads_in_the_background_with_arguments_of_its_own() {
    let shop = Shop::new();
    assert_eq!(*shop.stale("lamp").await.unwrap().value(), 1);
    eventually(SOON, async || {
        let name = String::from("lamp");
        let entry = shop.stale(&name).await.unwrap();
        let is_stale = matches!(entry.outcome(), Outcome::Stale(_));
        assert!(is_stale || matches!(entry.outcome(), Outcome::Hit(_)), "nobody waits: {}", entry.outcome());
        *entry.value() >= 2
    })
    .await;
}

#[tokio::test]
async fn fail_safe_gives_the_old_value() {
    let shop = Shop::new();
    shop.rows.0.is_away.store(true, Ordering::SeqCst);
    assert_eq!(shop.safe().await.map(Entry::into_value), Err(Failure::Away), "there is none yet");
    shop.rows.0.is_away.store(false, Ordering::SeqCst);
    assert_eq!(*shop.safe().await.unwrap().value(), 2);
    shop.rows.0.is_away.store(true, Ordering::SeqCst);
    eventually(SOON, async || {
        let entry = shop.safe().await.unwrap();
        assert_eq!(*entry.value(), 2);
        matches!(entry.outcome(), Outcome::FailSafe(_))
    })
    .await;
}

#[tokio::test]
async fn soft_gives_the_old_value_and_the_load_goes_on() {
    let shop = Shop::new();
    shop.soft().await.unwrap();
    shop.rows.0.is_slow.store(true, Ordering::SeqCst);
    eventually(SOON, async || matches!(shop.soft().await.unwrap().outcome(), Outcome::FailSafe(_))).await;
    assert_eq!(shop.rows.loads(), 2);
    shop.rows.0.is_slow.store(false, Ordering::SeqCst);
    shop.rows.0.answers.notify_waiters();
    eventually(SOON, async || *shop.soft().await.unwrap().value() >= 2).await;
}

#[tokio::test]
async fn hard_is_an_error_of_the_function_and_the_load_goes_on() {
    let shop = Shop::new();
    shop.rows.0.is_slow.store(true, Ordering::SeqCst);
    assert_eq!(shop.hard().await, Err(Failure::Late));
    shop.rows.0.answers.notify_one();
    eventually(SOON, async || shop.hard().await == Ok(1)).await;
    assert_eq!(shop.rows.loads(), 1);
}
