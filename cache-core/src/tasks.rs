//! Background work: every task of a cache is started here, so that `close()` can wait for all of them.

use std::future::Future;

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one cache.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    /// Work that ends by itself.
    work: TaskTracker,
    /// Services, which run until they are told to end.
    services: TaskTracker,
    /// The runtime that the cache was built on, for work that starts where there is none (a drop on a foreign thread).
    home: Option<Handle>,
    closed: CancellationToken,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            work: TaskTracker::new(),
            services: TaskTracker::new(),
            home: Handle::try_current().ok(),
            closed: CancellationToken::new(),
        }
    }

    /// Starts work that ends by itself. Without any runtime it is not done, and `false` says so.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        let Some(runtime) = Handle::try_current().ok().or_else(|| self.home.clone()) else { return false };
        self.work.spawn_on(work, &runtime);
        true
    }

    /// Starts a service, on the runtime of this task.
    pub(crate) fn serve(&self, service: impl Future<Output = ()> + Send + 'static) {
        self.services.spawn(service);
    }

    /// Whether `close` has been called.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Cancelled when `close` is called.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.closed.clone()
    }

    /// Nothing new is to be begun.
    pub(crate) fn close(&self) {
        self.closed.cancel();
        self.work.close();
        self.services.close();
    }

    /// Waits for the work under way. To be called after `close`.
    pub(crate) async fn finished(&self) {
        self.work.wait().await;
    }

    /// Waits for the services, which somebody has told to end. To be called after `close`.
    pub(crate) async fn services_ended(&self) {
        self.services.wait().await;
    }
}
