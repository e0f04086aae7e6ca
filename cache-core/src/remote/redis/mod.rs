//! L2 on Redis: records and scripts on one connection to each primary, notifications and the beat on another.
//!
//! The two connections live and die together as a *link*. What comes back after a lost link is compared with what was there
//! before, and used only then: the server may have come back with an older snapshot, or another may have taken its place.

mod beat;
mod commands;
mod connect;
#[cfg(feature = "test-util")]
pub(crate) mod dial;
mod ears;
mod link;
mod listen;
mod names;
mod server;
mod session;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use redis::{Pipeline, Value, aio::MultiplexedConnection};
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

use self::{commands::Scripts, connect::Target, link::Link, names::Names, session::Session};
use crate::{
    breaker::Breaker,
    clock::Clock,
    error::{Error, ErrorKind},
    tier::{BoxFuture, ChangeListener, Mechanism, Op, PrimaryId, Record, RemoteTier, Reply},
};

/// How long those who want a beat wait for others who do.
const COALESCED: Duration = Duration::from_millis(1);

/// How to reach the server and what to expect of it.
#[derive(Clone)]
pub(crate) struct RedisConfig {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) partitions: u16,
    /// How the server is to tell about changes: the first that it can.
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) ensure_notifications: bool,
    /// Build the cache even if the server cannot be reached yet.
    pub(crate) start_unreachable: bool,
    pub(crate) bound: Duration,
    /// What a call may wait: half of it is long enough to blame the server.
    pub(crate) budget: Duration,
    /// The time that each step of connecting may take.
    pub(crate) patience: Duration,
    #[cfg(feature = "test-util")]
    pub(crate) dial: Option<self::dial::Dial>,
}

/// What all sessions of a tier share.
pub(crate) struct Fleet {
    config: RedisConfig,
    names: Names,
    node: String,
    scripts: Scripts,
    clock: Clock,
    listener: Arc<dyn ChangeListener>,
}

/// One primary.
pub(crate) struct Shard {
    id: PrimaryId,
    fleet: Arc<Fleet>,
    target: Target,
    link: ArcSwapOption<Link>,
    /// What it holds may be used: it has been compared with what was there before.
    trusted: AtomicBool,
    breaker: Arc<Breaker>,
    /// Somebody waits for a beat.
    beat_now: Notify,
    closed: CancellationToken,
}

/// L2 on Redis.
pub(crate) struct RedisRemote {
    fleet: Arc<Fleet>,
    shard: Arc<Shard>,
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
        #[cfg(feature = "test-util")]
        let target = target.by(config.dial.clone());
        let breaker = Arc::new(Breaker::new(clock.clone(), config.budget / 2));
        let fleet = Arc::new(Fleet {
            names: Names::new(&config.namespace, config.partitions),
            node: format!("{:016x}", fastrand::u64(..)),
            scripts: Scripts::new(),
            config,
            clock,
            listener,
        });
        let shard = Arc::new(Shard {
            id: PrimaryId::FIRST,
            fleet: Arc::clone(&fleet),
            target,
            link: ArcSwapOption::empty(),
            trusted: AtomicBool::new(false),
            breaker,
            beat_now: Notify::new(),
            closed: CancellationToken::new(),
        });
        fleet.listener.assigned(&[shard.id], &[shard.id]);
        let mut session = Session::new(Arc::clone(&shard));
        let first = match session.first_link().await {
            Ok(link) => Some(link),
            Err(error) if fleet.config.start_unreachable && error.is_transient() => {
                tracing::warn!(%error, "starting without Redis");
                None
            }
            Err(error) => return Err(error),
        };
        Ok((Self { fleet, shard }, session.keep(first)))
    }
}

// === impl Shard ===

impl Shard {
    fn link(&self) -> Result<Arc<Link>, Error> {
        let link = self.link.load_full();
        link.filter(|link| link.answers()).ok_or_else(|| {
            Error::new(ErrorKind::Unreachable, "redis", format!("no connection to {}", self.target.address()))
        })
    }

    fn distrust(&self) {
        self.trusted.store(false, Ordering::Release);
    }

    fn trust(&self) {
        self.trusted.store(true, Ordering::Release);
    }

    fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    async fn run(&self, ops: &[Op]) -> Result<Vec<Reply>, Error> {
        let link = self.link()?;
        let Some(pass) = self.breaker.pass() else {
            let detail = format!("{} failed too often; it is left alone for a while", self.target.address());
            return Err(Error::new(ErrorKind::Unreachable, "redis", detail));
        };
        let answer = self.ask(&link, ops).await;
        pass.ended(answer.is_err());
        answer
    }

    async fn ask(&self, link: &Link, ops: &[Op]) -> Result<Vec<Reply>, Error> {
        let fleet = &self.fleet;
        let mut pipeline = Pipeline::with_capacity(ops.len());
        let now = fleet.clock.remote_micros();
        for op in ops {
            fleet.scripts.add(&mut pipeline, &fleet.names, op, now);
        }
        let mut data = link.data.clone();
        let mut values = self.trip(link, &mut data, &pipeline, ops.len()).await?;
        if values.iter().any(commands::lost_script) {
            // SCRIPT FLUSH. Whatever of the batch did run may run again: each operation is idempotent.
            let scripts = fleet.scripts.load();
            self.trip(link, &mut data, &scripts, scripts.len()).await?;
            values = self.trip(link, &mut data, &pipeline, ops.len()).await?;
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

    /// Waits for a beat that is sent from now on to count.
    async fn barrier(&self) -> Result<(), Error> {
        let link = self.link()?;
        let sent = link.hearing.last_sent();
        self.beat_now.notify_one();
        let counted = link.gone.run_until_cancelled(link.hearing.counted_after(sent)).await;
        counted.ok_or_else(|| Error::new(ErrorKind::Unreachable, "barrier", "the connection was lost meanwhile"))
    }

    /// Waits until somebody waits for a beat, and a moment more, so that one will do for many.
    async fn wanted_beat(&self) {
        self.beat_now.notified().await;
        sleep(COALESCED).await;
    }

    async fn catch_up(&self) -> Result<(), Error> {
        // The answer comes down the same stream as the notifications: those sent before it have been applied.
        let link = self.link()?;
        let mut ears = link.ears.clone();
        let mut ping = redis::pipe();
        ping.cmd("PING");
        self.trip(&link, &mut ears, &ping, 1).await.map(|_| ())
    }
}

impl RemoteTier for RedisRemote {
    fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>> {
        Box::pin(async move { self.shard.run(&ops).await })
    }

    fn barrier(&self, _records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.shard.barrier())
    }

    fn catch_up(&self, _records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.shard.catch_up())
    }

    fn settles_doubts(&self) -> bool {
        true
    }

    fn record_name(&self, record: &Record) -> Option<String> {
        Some(self.fleet.names.record(record))
    }

    fn trusts(&self, _ops: &[Op]) -> bool {
        self.shard.is_trusted()
    }

    fn trusts_all(&self) -> bool {
        self.shard.is_trusted()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.shard.closed.cancel();
        Box::pin(std::future::ready(()))
    }
}

impl Drop for RedisRemote {
    fn drop(&mut self) {
        self.shard.closed.cancel();
    }
}
