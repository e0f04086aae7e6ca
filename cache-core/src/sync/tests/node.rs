//! A cache to be raced for: the real one, on the real moka, with a server that is a table.

use std::{convert::Infallible, future::ready, sync::Arc, time::Duration};

use shuttle::future::block_on;

use super::{Origin, by_chance, pause};
use crate::{
    cache::{Cache, Parts},
    clock::Clock,
    codec::Codec,
    coherence::Coherence,
    entry::Entry,
    error::{Error, ErrorKind},
    hearing::Hearing,
    key::Key,
    local::MokaTier,
    outcome::OnL2Error,
    policy::PolicyTree,
    recovery::Recovery,
    sync::{Mutex, MutexGuard},
    tags::Tags,
    tasks::Tasks,
    tier::{BoxFuture, Change, ChangeListener, LocalTier, NullRemote, Op, PrimaryId, Record, RemoteTier, Reply},
    version,
    wire::Packing,
};

const BOUND: Duration = Duration::from_secs(1);

/// Moka, whose exclusion by key the scheduler does not see: so whoever would wait in it waits here instead.
struct Exclusive {
    moka: MokaTier,
    locks: [Mutex<()>; 4],
}

impl LocalTier for Exclusive {
    fn peek(&self, hash: u128, look: &mut dyn FnMut(&Arc<Entry>) -> bool) -> bool {
        self.moka.peek(hash, look)
    }

    fn get(&self, hash: u128) -> Option<Arc<Entry>> {
        self.moka.get(hash)
    }

    fn compute(&self, hash: u128, change: &mut dyn FnMut(Option<&Arc<Entry>>) -> Change) {
        let _alone = self.locks[hash as usize % self.locks.len()].lock().unwrap();
        self.moka.compute(hash, &mut |present| {
            let change = change(present);
            // Whoever takes no lock may still come before what was decided is done.
            pause();
            change
        });
    }

    fn len(&self) -> u64 {
        self.moka.len()
    }
}

/// A server that keeps versions and tells nobody: the tests tell.
#[derive(Default)]
pub(super) struct Server(Mutex<Versions>);

#[derive(Default)]
struct Versions {
    records: Vec<(Record, u64)>,
    last: u64,
}

impl Versions {
    fn of(&self, record: &Record) -> Option<u64> {
        self.records.iter().find(|(other, _)| other == record).map(|(_, version)| *version)
    }

    fn move_on(&mut self, record: Record) -> u64 {
        self.last += 1;
        self.records.retain(|(other, _)| *other != record);
        self.records.push((record, self.last));
        self.last
    }
}

impl Server {
    /// Somebody changed the record.
    pub(super) fn bump(&self, record: Record) -> u64 {
        self.lock().move_on(record)
    }

    fn answer(&self, op: Op) -> Reply {
        let mut versions = self.lock();
        match op {
            Op::Version { record } => Reply::Version(versions.of(&record).map(version::Versions::at)),
            Op::Acquire { record, .. } => {
                let present = versions.of(&record);
                Reply::Version(Some(version::Versions::at(present.unwrap_or_else(|| versions.move_on(record)))))
            }
            Op::Bump { record, put, .. } => {
                let stored = put.is_some_and(|put| Some(put.captured) == versions.of(&record));
                Reply::Bumped { version: versions.move_on(record), stored }
            }
            Op::Read { .. }
            | Op::Leave { .. }
            | Op::Fill { .. }
            | Op::Lease { .. }
            | Op::Renew { .. }
            | Op::Release { .. }
            | Op::Journal(_)
            | Op::Heal { .. } => {
                unreachable!("it keeps no payloads")
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Versions> {
        self.0.lock().unwrap()
    }
}

impl RemoteTier for Server {
    fn run(&self, ops: Vec<Op>) -> BoxFuture<'_, Result<Vec<Reply>, Error>> {
        Box::pin(async { Ok(ops.into_iter().map(|op| self.answer(op)).collect()) })
    }

    fn barrier(&self, _records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(ready(Err(Error::new(ErrorKind::Remote, "barrier", "it does not tell"))))
    }

    fn catch_up(&self, _records: Vec<Record>) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }

    fn settles_doubts(&self) -> bool {
        true
    }

    fn stores(&self) -> bool {
        false
    }

    fn record_name(&self, _record: &Record) -> Option<String> {
        None
    }

    fn trusts(&self, _ops: &[Op]) -> bool {
        true
    }

    fn trusts_all(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

/// A cache, what can be told to it, and the database behind it.
pub(super) struct Node {
    pub(super) cache: Cache,
    pub(super) origin: Origin,
    pub(super) server: Arc<Server>,
    pub(super) hearing: Hearing,
    pub(super) coherence: Arc<Coherence>,
    clock: Clock,
    hands: Arc<quanta::Mock>,
}

impl Node {
    /// One without a server.
    pub(super) fn alone() -> Arc<Self> {
        Self::new(false)
    }

    /// One that has heard its server.
    pub(super) fn with_server() -> Arc<Self> {
        let node = Self::new(true);
        node.coherence.heard_up_to(PrimaryId::FIRST, node.clock.now());
        node
    }

    fn new(with_server: bool) -> Arc<Self> {
        let (monotonic, hands) = quanta::Clock::mock();
        let clock = Clock::over(monotonic);
        let server = Arc::new(Server::default());
        let (remote, coherence): (Arc<dyn RemoteTier>, _) = if with_server {
            (Arc::clone(&server) as _, Coherence::with_primaries(clock.clone(), BOUND, 1))
        } else {
            (Arc::new(NullRemote::new(clock.clone())), Coherence::alone(clock.clone()))
        };
        let epochs = coherence.epochs();
        let tags = Arc::new(if with_server { Tags::remote(epochs) } else { Tags::alone(epochs) });
        let (coherence, recovery) = (Arc::new(coherence), Arc::new(Recovery::new()));
        let hearing = Hearing::new(
            Arc::clone(&coherence),
            Arc::clone(&tags),
            Arc::clone(&recovery),
            Arc::default(),
            Arc::default(),
            clock.clone(),
        );
        let locks = [const { Mutex::new(()) }; 4];
        let cache = Cache::assemble(Parts {
            clock: clock.clone(),
            local: Arc::new(Exclusive { moka: MokaTier::new(8), locks }),
            remote,
            coherence: Arc::clone(&coherence),
            tags,
            recovery,
            waiting: Arc::default(),
            counters: Arc::default(),
            tasks: Tasks::new(),
            policies: PolicyTree::default(),
            codec: Codec::default(),
            packing: Packing::default(),
            budget: BOUND,
            on_l2_error: OnL2Error::Queue,
            outage_ttl: Duration::ZERO,
            expired: None,
            gate: None,
            namespace: "test".into(),
            partitions: 1,
        });
        Arc::new(Self { cache, origin: Origin::default(), server, hearing, coherence, clock, hands })
    }

    /// A change that the server does not tell of, a gap, and what is heard after it. Once the bound has passed since the change,
    /// nobody may be served what was there before it.
    pub(super) fn miss(&self, record: Record) {
        let beat = || self.hearing.heard_up_to(PrimaryId::FIRST, self.clock.now());
        let changed = self.origin.change();
        self.server.bump(record);
        if by_chance() {
            // The line was cut a while ago.
            self.hands.increment(BOUND);
            self.origin.told(changed);
            self.hearing.gap(PrimaryId::FIRST, "test");
            beat();
        } else {
            // It was cut just now, and the bound never runs out.
            self.hearing.gap(PrimaryId::FIRST, "test");
            self.hands.increment(BOUND / 2);
            beat();
            self.hands.increment(BOUND / 2);
            self.origin.told(changed);
        }
    }

    /// What a hit would be served.
    pub(super) fn glance(&self, key: &Key) -> Option<u64> {
        self.cache.0.hit(key, |_, value: &Option<u64>| *value)
    }

    /// A call that loads from the database what the cache does not have; held against what everybody has to know.
    pub(super) fn read(&self, key: &Key, tag: Option<&Key>) {
        self.origin.ask(|| {
            let mut request = self.cache.entry(key.clone());
            if let Some(tag) = tag {
                request = request.tag(tag.clone());
            }
            let load = async || Ok::<_, Infallible>(self.origin.load());
            let Ok(entry) = block_on(request.or_load_inline(load));
            entry.into_value()
        });
    }
}
