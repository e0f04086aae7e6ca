//! Background work: every task of a cache is started here, so that `close()` can wait for all of them.

use std::future::Future;

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one cache.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    /// The runtime that the cache was built on, for work that starts where there is none (a drop on a foreign thread).
    home: Option<Handle>,
    closed: CancellationToken,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { tracker: TaskTracker::new(), home: Handle::try_current().ok(), closed: CancellationToken::new() }
    }

    /// Starts a task. Without any runtime the work is not done, and `false` says so.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let Some(runtime) = Handle::try_current().ok().or_else(|| self.home.clone()) else { return false };
        self.tracker.spawn_on(work, &runtime);
        true
    }

    /// Whether `close` has been called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Nothing new is to be begun.
    pub(crate) fn close(&self) {
        self.closed.cancel();
        self.tracker.close();
    }

    /// Waits for every task. To be called after `close`.
    pub(crate) async fn finished(&self) {
        self.tracker.wait().await;
    }
}
