//! Callers: some of them give up.

use tokio::time::{Duration, timeout};

use super::shop;

/// Waits for a task; gives some up.
pub(super) async fn finish<T>(task: tokio::task::JoinHandle<T>) -> Option<T> {
    finish_or(task, 6, 60_000).await
}

/// Waits for a task; gives one in so many up, after up to so many microseconds.
pub(super) async fn finish_or<T>(task: tokio::task::JoinHandle<T>, one_in: u8, patience: u64) -> Option<T> {
    if fastrand::u8(..one_in) == 0 {
        let abort = task.abort_handle();
        let patience = Duration::from_micros(fastrand::u64(..patience));
        let Ok(done) = timeout(patience, task).await else {
            abort.abort();
            return None;
        };
        return done.ok();
    }
    match task.await {
        Ok(output) => Some(output),
        Err(error) if error.is_panic() => {
            let panic = error.into_panic();
            let said = panic.downcast_ref::<&str>().copied().map(String::from);
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            assert!(said.contains(shop::SIMULATED), "a panic of its own: {said}");
            None
        }
        Err(_) => None,
    }
}
