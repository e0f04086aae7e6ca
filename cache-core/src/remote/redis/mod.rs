//! L2 on one Redis server: records and scripts on one connection, notifications and the beat on another.
//!
//! The two connections live and die together as a *link*. After a lost link nothing that Redis holds is used until the
//! namespace's generation has been moved once: the server may have come back with an older snapshot, and evictions may have
//! been lost on the way.

mod commands;
mod connect;
mod ears;
mod link;
mod names;
mod server;
mod session;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use redis::{Pipeline, Value, aio::MultiplexedConnection};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::{commands::Scripts, connect::Target, link::Link, names::Names};
use crate::{
    clock::Clock,
    error::{Error, ErrorKind},
    tier::{BoxFuture, ChangeListener, Op, Record, RemoteTier, Reply},
};

/// How to reach the server and what to expect of it.
#[derive(Clone, Debug)]
pub(crate) struct RedisConfig {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) partitions: u16,
    pub(crate) ensure_notifications: bool,
    /// Build the cache even if the server cannot be reached yet.
    pub(crate) start_unreachable: bool,
    pub(crate) bound: Duration,
    /// The time that each step of connecting may take.
    pub(crate) patience: Duration,
}

/// What the tier and its session share.
pub(crate) struct Shared {
    config: RedisConfig,
    target: Target,
    names: Names,
    node: String,
    scripts: Scripts,
    clock: Clock,
    listener: Arc<dyn ChangeListener>,
    link: ArcSwapOption<Link>,
    /// Evictions that were not confirmed, ever; what Redis holds is trusted while `settled` has caught up.
    doubts: AtomicU64,
    settled: AtomicU64,
    /// A doubt was raised: the session has something to do.
    doubted: Notify,
    closed: CancellationToken,
}

/// L2 on Redis.
pub(crate) struct RedisRemote {
    shared: Arc<Shared>,
}

impl RedisRemote {
    /// Connects and checks what can be checked. Answers the tier and the session that keeps its link, to be run until it
    /// ends.
    ///
    /// # Errors
    ///
    /// Whatever would keep the cache from ever working: a bad URL, a refused password, missing notifications, another number
    /// of partitions; and an unreachable server, unless the configuration allows for it.
    pub(crate) async fn connect(
        config: RedisConfig,
        clock: Clock,
        listener: Arc<dyn ChangeListener>,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), Error> {
        let target = Target::parse(&config.url, config.patience)?;
        let shared = Arc::new(Shared {
            names: Names::new(&config.namespace, config.partitions),
            node: format!("{:016x}", fastrand::u64(..)),
            scripts: Scripts::new(),
            target,
            config,
            clock,
            listener,
            link: ArcSwapOption::empty(),
            doubts: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            doubted: Notify::new(),
            closed: CancellationToken::new(),
        });
        let first = match session::first_link(&shared).await {
            Ok(link) => Some(link),
            Err(error) if shared.config.start_unreachable && error.is_transient() => {
                tracing::warn!(%error, "starting without Redis");
                None
            }
            Err(error) => return Err(error),
        };
        let session = session::keep(Arc::clone(&shared), first);
        Ok((Self { shared }, session))
    }
}

impl Shared {
    fn link(&self) -> Result<Arc<Link>, Error> {
        let link = self.link.load_full();
        link.filter(|link| link.answers()).ok_or_else(|| {
            Error::new(ErrorKind::Unreachable, "redis", format!("no connection to {}", self.target.address()))
        })
    }

    fn is_trusted(&self) -> bool {
        self.settled.load(Ordering::Acquire) == self.doubts.load(Ordering::Acquire)
    }

    fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::AcqRel);
        self.doubted.notify_one();
    }

    async fn run(&self, ops: &[Op]) -> Result<Vec<Reply>, Error> {
        let link = self.link()?;
        let mut pipeline = Pipeline::with_capacity(ops.len());
        let now = self.clock.remote_micros();
        for op in ops {
            self.scripts.add(&mut pipeline, &self.names, op, now);
        }
        let mut data = link.data.clone();
        let mut values = self.trip(&link, &mut data, &pipeline, ops.len()).await?;
        if values.iter().any(commands::lost_script) {
            // SCRIPT FLUSH. Whatever of the batch did run may run again: each operation is idempotent.
            let scripts = self.scripts.load();
            self.trip(&link, &mut data, &scripts, scripts.len()).await?;
            values = self.trip(&link, &mut data, &pipeline, ops.len()).await?;
        }
        Ok(ops.iter().zip(values).map(|(op, value)| commands::reply(op, value)).collect())
    }

    async fn trip(
        &self,
        link: &Link,
        connection: &mut MultiplexedConnection,
        pipeline: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, Error> {
        connection.send_packed_commands(pipeline, 0, count).await.map_err(|error| {
            let kind = connect::kind_of(&error);
            if kind == ErrorKind::Unreachable || error.is_unrecoverable_error() {
                link.broken();
            }
            Error::caused(kind, "redis", format!("{}: {error}", self.target.address()), error)
        })
    }
}

impl RemoteTier for RedisRemote {
    fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>> {
        Box::pin(async move { self.shared.run(&ops).await })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async {
            // The answer comes down the same stream as the notifications: those sent before it have been applied.
            let link = self.shared.link()?;
            let mut ears = link.ears.clone();
            let mut ping = redis::pipe();
            ping.cmd("PING");
            self.shared.trip(&link, &mut ears, &ping, 1).await.map(|_| ())
        })
    }

    fn settles_doubts(&self) -> bool {
        true
    }

    fn record_name(&self, record: &Record) -> Option<String> {
        Some(self.shared.names.record(record))
    }

    fn distrust(&self) {
        self.shared.doubt();
    }

    fn trusted(&self) -> bool {
        self.shared.is_trusted()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.shared.closed.cancel();
        Box::pin(std::future::ready(()))
    }
}

impl Drop for RedisRemote {
    fn drop(&mut self) {
        self.shared.closed.cancel();
    }
}
