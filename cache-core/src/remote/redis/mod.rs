//! L2 on Redis: records and scripts on one connection to each primary, notifications and the beat on another.
//!
//! The two connections live and die together as a *link*. What comes back after a lost link is compared with what was there
//! before, and used only then: the server may have come back with an older snapshot, or another may have taken its place.

mod beat;
mod cluster;
mod commands;
mod confirms;
mod connect;
mod deployment;
#[cfg(feature = "test-util")]
pub(crate) mod dial;
mod ears;
mod journal;
mod link;
mod listen;
mod names;
mod sentinel;
mod server;
mod session;
mod slot;
#[cfg(feature = "tls")]
mod tls;
mod view;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use futures_util::future::{join_all, try_join_all};
use redis::{Pipeline, Value, aio::MultiplexedConnection};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub use self::deployment::Redis;
use self::{
    beat::Beat,
    cluster::{Cluster, Sessions},
    commands::Scripts,
    confirms::Confirms,
    connect::Target,
    deployment::Topology,
    link::Link,
    names::Names,
    sentinel::Sentinels,
    session::Session,
};
use crate::{
    breaker::Breaker,
    clock::Clock,
    error::{Error, ErrorKind},
    journal::Safety,
    tag::TagId,
    tier::{Assignment, BoxFuture, ChangeListener, Mechanism, Op, PrimaryId, Record, RemoteTier, Reply},
};

/// How long those who want a beat wait for others who do.
const COALESCED: Duration = Duration::from_millis(1);

/// How to reach Redis and what to expect of it.
#[derive(Clone)]
pub(crate) struct RedisConfig {
    pub(crate) redis: Redis,
    pub(crate) namespace: String,
    pub(crate) partitions: u16,
    /// How the server is to tell about changes: the first that it can.
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) ensure_notifications: bool,
    /// Have it say, too, what expired.
    pub(crate) expired_events: bool,
    /// Build the cache even if the server cannot be reached yet.
    pub(crate) start_unreachable: bool,
    pub(crate) bound: Duration,
    /// What a call may wait: half of it is long enough to blame the server.
    pub(crate) budget: Duration,
    /// The time that each step of connecting may take.
    pub(crate) patience: Duration,
}

/// What all sessions of a tier share.
pub(crate) struct Fleet {
    config: RedisConfig,
    names: Names,
    node: String,
    scripts: Scripts,
    clock: Clock,
    listener: Arc<dyn ChangeListener>,
    /// Where there is more than one primary.
    cluster: Option<Cluster>,
    router: ArcSwap<Router>,
    closed: CancellationToken,
}

/// Whom to ask.
#[derive(Default)]
pub(crate) struct Router {
    /// By partition; one for all where there is but one primary.
    owners: Vec<Option<Arc<Shard>>>,
    shards: HashMap<PrimaryId, Arc<Shard>>,
}

/// Where a primary is found.
pub(crate) enum Place {
    Fixed(Target),
    /// Wherever sentinels say.
    Asked(Sentinels),
}

/// One primary.
pub(crate) struct Shard {
    id: PrimaryId,
    fleet: Arc<Fleet>,
    place: Place,
    /// Where it was found last.
    target: ArcSwap<Target>,
    link: ArcSwapOption<Link>,
    /// What it holds may be used: it has been compared with what was there before.
    trusted: AtomicBool,
    breaker: Arc<Breaker>,
    /// Somebody waits for a beat.
    beat_now: Notify,
    /// Its beat, for whoever takes its place.
    remembered: Mutex<Beat>,
    closed: CancellationToken,
}

/// L2 on Redis.
pub(crate) struct RedisRemote {
    fleet: Arc<Fleet>,
}

/// The routes of a fleet, as long as somebody keeps its sessions. Shards know their fleet, and the fleet knows its shards:
/// whoever ends undoes it, and be it with the runtime.
struct Routes(Arc<Fleet>);

impl Drop for Routes {
    fn drop(&mut self) {
        self.0.router.store(Arc::default());
    }
}

/// The services of a tier, to be run until they end.
pub(crate) type Services = Pin<Box<dyn Future<Output = ()> + Send>>;

impl RedisRemote {
    /// Connects and checks what can be checked. Answers the tier and what keeps its links.
    ///
    /// # Errors
    ///
    /// Whatever would keep the cache from ever working: a bad URL, a refused password, missing notifications, another number
    /// of partitions; and an unreachable server, unless the configuration allows for it.
    pub(crate) async fn connect(
        config: RedisConfig,
        clock: Clock,
        listener: Arc<dyn ChangeListener>,
    ) -> Result<(Self, Services), Error> {
        let (place, cluster) = match config.redis.topology(config.patience)? {
            Topology::One(place) => (Some(place), None),
            Topology::Many(cluster) => (None, Some(cluster)),
        };
        let node = format!("{:016x}", fastrand::u64(..));
        let fleet = Arc::new(Fleet {
            names: Names::new(&config.namespace, config.partitions),
            scripts: Scripts::new(&node),
            node,
            config,
            clock,
            listener,
            cluster,
            router: ArcSwap::default(),
            closed: CancellationToken::new(),
        });
        let services: Services = match place {
            Some(place) => Self::one_primary(&fleet, place).await?,
            None => Self::all_primaries(&fleet).await?,
        };
        Ok((Self { fleet }, services))
    }

    async fn one_primary(fleet: &Arc<Fleet>, place: Place) -> Result<Services, Error> {
        let shard = Shard::new(PrimaryId::FIRST, Arc::clone(fleet), place);
        let shards = HashMap::from([(shard.id, Arc::clone(&shard))]);
        fleet.router.store(Arc::new(Router { owners: vec![Some(Arc::clone(&shard))], shards }));
        fleet.listener.assigned(&Assignment { guardians: vec![vec![shard.id]], present: vec![shard.id] });
        let mut session = Session::new(shard, None);
        let routes = Routes(Arc::clone(fleet));
        let first = fleet.allow_for_unreachable(session.first_link().await)?;
        Ok(Box::pin(async move {
            let _routes = routes;
            session.keep(first).await;
        }))
    }

    async fn all_primaries(fleet: &Arc<Fleet>) -> Result<Services, Error> {
        let mut sessions = Sessions::new(Arc::clone(fleet));
        let first = fleet.allow_for_unreachable(sessions.first_links().await)?;
        Ok(Box::pin(sessions.keep(first.unwrap_or_default())))
    }
}

// === impl Fleet ===

impl Fleet {
    fn allow_for_unreachable<T>(&self, first: Result<T, Error>) -> Result<Option<T>, Error> {
        match first {
            Ok(first) => Ok(Some(first)),
            Err(error) if self.config.start_unreachable && error.is_transient() => {
                tracing::warn!(%error, "starting without Redis");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The partition that decides who is asked.
    fn partition(&self, record: &Record) -> u16 {
        let partitions = if self.cluster.is_some() { self.names.partitions() } else { 1 };
        match record {
            Record::Control(key) => key.partition(partitions),
            Record::Tag(tag) => tag.partition(partitions),
            Record::Journal(partition) => (*partition).min(partitions - 1),
        }
    }

    /// Sends each operation to whom it concerns, and once more to whom that one names instead.
    async fn run(&self, ops: Vec<Op>) -> Result<Vec<Reply>, Error> {
        let router = self.router.load_full();
        if let (None, [Some(only)]) = (&self.cluster, router.owners.as_slice()) {
            let values = only.run(&ops, false).await?;
            return Ok(ops.iter().zip(values).map(|(op, value)| commands::reply(op, value)).collect());
        }
        let nobody = || Error::new(ErrorKind::Unreachable, "cluster", "the slot of a record has no primary now");
        let route = |op: &Op| router.owners.get(usize::from(self.partition(&op.record()))).cloned().flatten();
        let mut answers: Vec<Option<Result<Value, Error>>> = ops.iter().map(|_| None).collect();
        let mut ops: Vec<Option<Op>> = ops.into_iter().map(Some).collect();
        let mut groups = Groups::default();
        for (index, op) in ops.iter().enumerate() {
            match op.as_ref().and_then(route) {
                Some(shard) => groups.add(shard, false, index),
                None => answers[index] = Some(Err(nobody())),
            }
        }
        groups.ask(&mut ops, &mut answers).await;
        let mut again = Groups::default();
        for (index, answer) in answers.iter().enumerate() {
            let Some(Ok(value)) = answer else { continue };
            let Some(redirect) = commands::redirect(value) else { continue };
            let Some(cluster) = &self.cluster else { continue };
            if !redirect.asking {
                // What is known is old: the next beat, which asks anew, is now.
                router.shards.values().for_each(|shard| shard.beat_now.notify_one());
            }
            let shard = cluster.at(&redirect.host, redirect.port).and_then(|id| router.shards.get(&id));
            if let Some(shard) = shard {
                again.add(Arc::clone(shard), redirect.asking, index);
            }
        }
        again.ask(&mut ops, &mut answers).await;
        let reply = |(op, answer): (Option<Op>, Option<Result<Value, Error>>)| match (op, answer) {
            (Some(op), Some(Ok(value))) => commands::reply(&op, value),
            (_, Some(Err(error))) => Reply::Failed(error),
            _ => Reply::Failed(nobody()),
        };
        let replies: Vec<Reply> = ops.into_iter().zip(answers).map(reply).collect();
        // All of one primary, and it could not be asked: that is no answer at all.
        match replies.as_slice() {
            [Reply::Failed(error)] if error.is_transient() => Err(error.clone()),
            _ => Ok(replies),
        }
    }

    /// The primaries that records belong to, each once.
    fn shards_of(&self, records: impl IntoIterator<Item = Record>) -> Vec<Arc<Shard>> {
        let router = self.router.load();
        let mut shards: Vec<Arc<Shard>> = Vec::new();
        for record in records {
            let partition = usize::from(self.partition(&record));
            if let Some(shard) = router.owners.get(partition).cloned().flatten()
                && !shards.iter().any(|known| Arc::ptr_eq(known, &shard))
            {
                shards.push(shard);
            }
        }
        shards
    }
}

/// Operations by whom they go to.
#[derive(Default)]
struct Groups(Vec<(Arc<Shard>, bool, Vec<usize>)>);

impl Groups {
    fn add(&mut self, shard: Arc<Shard>, asking: bool, index: usize) {
        let same = |group: &&mut (Arc<Shard>, bool, Vec<usize>)| Arc::ptr_eq(&group.0, &shard) && group.1 == asking;
        match self.0.iter_mut().find(same) {
            Some((_, _, indices)) => indices.push(index),
            None => self.0.push((shard, asking, vec![index])),
        }
    }

    /// Asks all of them at once.
    async fn ask(self, ops: &mut [Option<Op>], answers: &mut [Option<Result<Value, Error>>]) {
        let mut trips = Vec::with_capacity(self.0.len());
        for (shard, asking, indices) in self.0 {
            let of_this: Vec<Op> = indices.iter().filter_map(|index| ops[*index].take()).collect();
            trips.push(async move {
                let answer = shard.run(&of_this, asking).await;
                (indices, of_this, answer)
            });
        }
        for (indices, of_this, answer) in join_all(trips).await {
            let values: Vec<Result<Value, Error>> = match answer {
                Ok(values) => values.into_iter().map(Ok).collect(),
                Err(error) => of_this.iter().map(|_| Err(error.clone())).collect(),
            };
            for ((index, op), value) in indices.into_iter().zip(of_this).zip(values) {
                ops[index] = Some(op);
                answers[index] = Some(value);
            }
        }
    }
}

// === impl Shard ===

impl Shard {
    fn new(id: PrimaryId, fleet: Arc<Fleet>, place: Place) -> Arc<Self> {
        let (Place::Fixed(target) | Place::Asked(Sentinels { nodes: target, .. })) = &place;
        Arc::new(Self {
            id,
            target: ArcSwap::from_pointee(target.clone()),
            place,
            link: ArcSwapOption::empty(),
            trusted: AtomicBool::new(false),
            breaker: Arc::new(Breaker::new(fleet.clock.clone(), fleet.config.budget / 2)),
            beat_now: Notify::new(),
            remembered: Mutex::default(),
            closed: fleet.closed.child_token(),
            fleet,
        })
    }

    /// Where it is now.
    async fn locate(&self) -> Result<Arc<Target>, Error> {
        if let Place::Asked(sentinels) = &self.place {
            self.target.store(Arc::new(sentinels.primary().await?));
        }
        Ok(self.target())
    }

    fn target(&self) -> Arc<Target> {
        self.target.load_full()
    }

    fn address(&self) -> String {
        self.target.load().address()
    }

    /// Whether sentinels know of another primary by now: the old one may still be there, and cut off from all but this node.
    /// Asked once in a bound.
    async fn has_moved(&self, beat: u64) -> bool {
        let Place::Asked(sentinels) = &self.place else { return false };
        if !beat.is_multiple_of(u64::from(session::BEATS)) {
            return false;
        }
        // Less than the time to the next beat.
        let answer = timeout(self.fleet.config.bound / (2 * session::BEATS), sentinels.primary()).await;
        matches!(answer, Ok(Ok(primary)) if primary.address() != self.address())
    }

    /// Whether the namespace's own record is here.
    fn has_namespace(&self) -> bool {
        let namespace = Record::Tag(TagId::Namespace);
        let owner = self.fleet.router.load().owners.get(usize::from(self.fleet.partition(&namespace))).cloned();
        owner.flatten().is_some_and(|owner| owner.id == self.id)
    }

    fn remember(&self, beat: &Beat) {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone_from(beat);
    }

    fn remembered(&self) -> Beat {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hang_up(&self) {
        if let Some(link) = self.link.swap(None) {
            link.gone.cancel();
        }
    }

    fn link(&self) -> Result<Arc<Link>, Error> {
        let link = self.link.load_full();
        link.filter(|link| link.answers())
            .ok_or_else(|| Error::new(ErrorKind::Unreachable, "redis", format!("no connection to {}", self.address())))
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

    /// Asks this primary; `asking`, where another one said that a slot is on its way to here.
    async fn run(&self, ops: &[Op], asking: bool) -> Result<Vec<Value>, Error> {
        let link = self.link()?;
        if let (Some(safety), [op]) = (journal::safety(ops), ops) {
            // Its time is the disk's or the replicas', and says nothing of who only asks the server.
            return Ok(vec![self.append(&link, op, asking, safety).await?]);
        }
        let Some(pass) = self.breaker.pass() else {
            let detail = format!("{} failed too often; it is left alone for a while", self.address());
            return Err(Error::new(ErrorKind::Unreachable, "redis", detail));
        };
        let answer = self.ask(&link, ops, asking).await;
        pass.ended(answer.is_err());
        answer
    }

    async fn ask(&self, link: &Link, ops: &[Op], asking: bool) -> Result<Vec<Value>, Error> {
        let fleet = &self.fleet;
        let mut pipeline = Pipeline::with_capacity(ops.len());
        let now = fleet.clock.remote_micros();
        for op in ops {
            if asking {
                pipeline.cmd("ASKING");
            }
            fleet.scripts.add(&mut pipeline, &fleet.names, op, now);
        }
        let mut data = link.data.clone();
        let mut values = self.trip(link, &mut data, &pipeline, pipeline.len()).await?;
        if values.iter().any(commands::lost_script) {
            // SCRIPT FLUSH. Whatever of the batch did run may run again: each operation is idempotent, but for what is appended to a
            // journal, and that travels alone.
            let scripts = fleet.scripts.load();
            self.trip(link, &mut data, &scripts, scripts.len()).await?;
            values = self.trip(link, &mut data, &pipeline, pipeline.len()).await?;
        }
        if asking {
            values = values.into_iter().skip(1).step_by(2).collect();
        }
        Ok(values)
    }

    /// Appends to a journal, and waits until that is safe.
    async fn append(&self, link: &Link, op: &Op, asking: bool, safety: Safety) -> Result<Value, Error> {
        let confirms = link.confirms.get_or_try_init(|| Confirms::open(self, link)).await?;
        let (fleet, mut pipeline) = (&self.fleet, Pipeline::new());
        fleet.scripts.add(&mut pipeline, &fleet.names, op, fleet.clock.remote_micros());
        let command = pipeline.cmd_iter().next().cloned();
        let command = command.ok_or_else(|| Error::new(ErrorKind::Remote, "journal", "an append is one command"))?;
        confirms.append(command, asking, safety).await
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
            Error::caused(kind, "redis", format!("{}: {error}", self.address()), error)
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
        self.ping(&link, link.ears.clone()).await
    }

    async fn ping(&self, link: &Link, mut connection: MultiplexedConnection) -> Result<(), Error> {
        let mut ping = redis::pipe();
        ping.cmd("PING");
        self.trip(link, &mut connection, &ping, 1).await.map(|_| ())
    }
}

impl RemoteTier for RedisRemote {
    fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>> {
        Box::pin(self.fleet.run(ops))
    }

    fn barrier(&self, records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let shards = self.fleet.shards_of(records);
            try_join_all(shards.iter().map(|shard| shard.barrier())).await.map(|_| ())
        })
    }

    fn catch_up(&self, records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let shards = self.fleet.shards_of(records);
            try_join_all(shards.iter().map(|shard| shard.catch_up())).await.map(|_| ())
        })
    }

    fn settles_doubts(&self) -> bool {
        true
    }

    fn record_name(&self, record: &Record) -> Option<String> {
        Some(self.fleet.names.record(record))
    }

    fn trusts(&self, ops: &[Op]) -> bool {
        self.trusts_all() || self.fleet.shards_of(ops.iter().map(Op::record)).iter().all(|shard| shard.is_trusted())
    }

    fn trusts_all(&self) -> bool {
        let router = self.fleet.router.load();
        !router.shards.is_empty() && router.shards.values().all(|shard| shard.is_trusted())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.fleet.closed.cancel();
        Box::pin(std::future::ready(()))
    }
}

impl Drop for RedisRemote {
    fn drop(&mut self) {
        self.fleet.closed.cancel();
    }
}
