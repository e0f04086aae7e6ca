//! One run: the nodes, what they do, what happens to them, and the verdict.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use cache_core::{
    Cache, CoherenceState, millis, observe, secs,
    test_util::{Dial, repeatable},
};
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, timeout},
};

use super::{
    callers::{finish, finish_or},
    changes::{OF_ONE_ROW, change},
    elapse,
    faults::Fault,
    history::{Change, History, Loss, Read, Rule, Violation},
    server::Server,
    settings::Settings,
    shop::{self, Database, LOTS, ROWS, Row, RowId, SECLUDED, row_key},
};
use crate::fixtures::Line;

/// How long everything has, after the last fault, to be in order again.
const TO_HEAL: Duration = Duration::from_secs(60);
/// Faults that may be under way at once.
const AT_ONCE: usize = 2;
const READERS: usize = 3;
const WRITERS: usize = 2;

/// What came of one run.
#[derive(Debug)]
pub struct Run {
    pub settings: Settings,
    pub reads: usize,
    pub changes: usize,
    pub loads: u64,
    pub hits: usize,
    /// Reads that gave what had been softly evicted, and said so.
    pub old: usize,
    pub faults: BTreeMap<Fault, usize>,
    pub violations: Vec<Violation>,
    /// What happened, in words.
    pub log: Vec<String>,
    /// How long it took from each loss until every node was in order.
    pub healed_in: Vec<Duration>,
}

/// A node: a process with a cache, and its line to the server.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) cache: Cache,
    pub(crate) line: Arc<Line>,
    born: Instant,
}

/// Everything that a run consists of.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) settings: Arc<Settings>,
    pub(crate) server: Server,
    pub(crate) database: Database,
    /// One server dies one death at a time.
    pub(crate) one_death: Arc<tokio::sync::Mutex<()>>,
    nodes: Arc<Mutex<Vec<Node>>>,
    history: Arc<Mutex<History>>,
    stopped: Arc<AtomicBool>,
    next_node: Arc<AtomicUsize>,
}

/// The time of the runtime, for what is printed.
pub struct VirtualTime;

impl tracing_subscriber::fmt::time::FormatTime for VirtualTime {
    fn format_time(&self, out: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        STARTED
            .with(|started| write!(out, "{:>10.3?}", started.get().map_or(Duration::ZERO, |started| started.elapsed())))
    }
}

thread_local! {
    static STARTED: std::cell::Cell<Option<Instant>> = const { std::cell::Cell::new(None) };
}

/// Runs the seed's run, in a runtime of its own whose time is paused.
pub fn run(seed: u64) -> Run {
    repeatable();
    silence_simulated_panics();
    let settings = Settings::draw(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let run = runtime.block_on(simulate(settings));
    runtime.shutdown_background();
    run
}

async fn simulate(settings: Settings) -> Run {
    let pushes_first = fastrand::bool();
    let world = World {
        server: Server::new(pushes_first),
        database: Database::default(),
        one_death: Arc::default(),
        nodes: Arc::default(),
        history: Arc::default(),
        stopped: Arc::default(),
        next_node: Arc::default(),
        settings: Arc::new(settings),
    };
    STARTED.set(Some(Instant::now()));
    world.history().started = STARTED.get();
    for _ in 0..world.settings.nodes {
        let node = world.node().await;
        world.nodes().push(node);
    }
    let mut tasks = Vec::new();
    for place in 0..world.settings.nodes {
        tasks.extend((0..READERS).map(|_| tokio::spawn(read(world.clone(), place))));
        tasks.extend((0..WRITERS).map(|_| tokio::spawn(write(world.clone(), place))));
    }
    let snapshots = tokio::spawn(snapshots(world.clone()));
    let faults: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(faults(world.clone()))).collect();
    elapse(millis(500)).await;
    if world.settings.behind {
        world.server.step_clock(-3_600_000_000);
    }
    elapse(world.settings.lasts).await;
    world.stopped.store(true, Ordering::Relaxed);
    let mut injected = BTreeMap::new();
    for task in faults {
        for fault in task.await.unwrap() {
            *injected.entry(fault).or_insert(0) += 1;
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    snapshots.abort();
    world.last_writes().await;
    world.settle().await;
    world.verdict(injected)
}

// === impl World ===

impl World {
    pub(crate) fn any_node(&self) -> Node {
        let nodes = self.nodes();
        nodes[fastrand::usize(..nodes.len())].clone()
    }

    fn node_at(&self, place: usize) -> Node {
        self.nodes()[place].clone()
    }

    /// A new node.
    async fn node(&self) -> Node {
        let settings = &self.settings;
        let line = Arc::new(Line::with_latency(settings.latency, settings.jitter));
        let dial: Dial = {
            let (server, line) = (self.server.clone(), Arc::clone(&line));
            Arc::new(move |_| server.dial(&line))
        };
        let policy = settings.policy();
        let builder = Cache::builder("shop")
            .redis("redis://simulated/")
            .mechanisms(settings.mechanisms.clone())
            .policy(policy)
            .bound(settings.bound)
            .budget(settings.budget)
            .start_unreachable()
            .simulated(dial);
        let builder = if settings.ensure { builder.ensure_notifications() } else { builder };
        loop {
            // Notifications may be off just now, and then it is told so, as a person would be.
            match builder.clone().build().await {
                Ok(cache) => {
                    let number = self.next_node.fetch_add(1, Ordering::Relaxed);
                    return Node { number, cache, line, born: Instant::now() };
                }
                Err(_) => elapse(millis(100)).await,
            }
        }
    }

    /// Kills a node, `kill -9`: nothing that it still does gets out. Another takes its place.
    pub(crate) async fn replace(&self, node: &Node) {
        node.line.refuse();
        self.history().killed.push((node.number, Instant::now()));
        let fresh = self.node().await;
        if let Some(place) = self.nodes().iter_mut().find(|other| other.number == node.number) {
            *place = fresh;
        }
    }

    /// A node says that a row has changed, and dies; then the server loses it. Whoever is left has to notice.
    pub(crate) async fn orphan(&self, node: &Node) {
        self.evict(node, fastrand::u64(..ROWS)).await;
        elapse(self.settings.bound).await;
        self.replace(node).await;
    }

    /// The server loses the last changes of a row, and so few beats that it does not look as if it had lost anything. Whoever made
    /// them says so again. Either the row was read on another node before its change: what was read must not look valid again.
    /// Or it is read between two changes, whose versions were made without a clock: whoever says again what was lost must not be
    /// given the version that the read saw.
    pub(crate) async fn repeat(&self) {
        let (writer, reader) = (self.any_node(), self.any_node());
        if writer.number == reader.number {
            return;
        }
        self.evict(&writer, SECLUDED).await;
        let reads_between = fastrand::bool();
        if reads_between {
            self.server.step_clock(-60_000_000);
        } else {
            self.read_and_note(&reader, SECLUDED, Way::Inline).await;
        }
        elapse(self.settings.bound).await;
        self.server.snapshot();
        let before = Instant::now();
        elapse(millis(1)).await;
        self.evict(&writer, SECLUDED).await;
        if reads_between {
            self.read_and_note(&reader, SECLUDED, Way::Inline).await;
            self.evict(&writer, SECLUDED).await;
        }
        let from = self.server.fail_over(before.elapsed());
        self.lost(from, Instant::now()).await;
        elapse(self.settings.bound).await;
        self.read_and_note(&reader, SECLUDED, Way::Inline).await;
    }

    /// Changes a row on a node, and says so to its cache.
    async fn evict(&self, node: &Node, id: u64) {
        let version = self.database.on(node.number).commit(id, None);
        let applied = node.cache.evict(&row_key(id)).await.is_applied();
        let mut history = self.history();
        let ended = history.moment();
        let rows = vec![(id, version)];
        let change = Change { node: node.number, kind: "evict", rows, lot: None, softly: false, ended, applied };
        history.changes.push(change);
    }

    async fn read_and_note(&self, node: &Node, id: u64, way: Way) {
        if let Some(read) = self.read(node, id, way).await {
            self.history().reads.push(read);
        }
    }

    /// The server, which died at `died`, came back with what it had had at `from`; waits until every node is in order.
    pub(crate) async fn lost(&self, from: Instant, died: Instant) {
        let at = Instant::now();
        // Whoever had been in touch with it for some time.
        let remembers = |node: &&Node| node.born + self.settings.bound * 2 < died;
        let witnesses: Vec<usize> = self.nodes().iter().filter(remembers).map(|node| node.number).collect();
        let number = {
            let mut history = self.history();
            history.losses.push(Loss { from, at, healed: None });
            history.losses.len() - 1
        };
        // Until each has noticed, by whatever way it has to.
        elapse(self.settings.bound).await;
        // A node that was not there before cannot know that anything is missing.
        let is_witnessed = |nodes: &[Node]| nodes.iter().any(|node| witnesses.contains(&node.number));
        if self.in_order().await && is_witnessed(&self.nodes()) {
            let mut history = self.history();
            history.losses[number].healed = Some(Instant::now());
            history.note("every node is in order after a loss");
        }
    }

    /// Waits until every node is in order, if that does not take for ever.
    async fn in_order(&self) -> bool {
        let all_well = async {
            loop {
                let reports: Vec<_> = self.nodes().iter().map(|node| node.cache.coherence()).collect();
                let is_well = |report: &cache_core::CoherenceReport| {
                    report.state == CoherenceState::Coherent && report.remote_trusted && report.queued == 0
                };
                if reports.iter().all(is_well) {
                    return;
                }
                elapse(millis(10)).await;
            }
        };
        timeout(TO_HEAL, all_well).await.is_ok()
    }

    /// Each row is read once more, and changed by a writer that goes away: nothing that comes later clears away what it left.
    async fn last_writes(&self) {
        for id in 0..ROWS {
            let (reads, writes) = (self.any_node(), self.any_node());
            self.read_and_note(&reads, id, Way::Owned).await;
            let (cache, database) = (writes.cache.clone(), self.database.on(writes.number));
            let task = tokio::spawn(observe(async move { shop::touch_inline(&cache, &database, RowId(id)).await }));
            let _gone = finish_or(task, 1, 25_000).await;
        }
    }

    /// Ends all faults, lets everything come to rest, and reads all rows on every node, and on a new one.
    async fn settle(&self) {
        for node in self.nodes().iter() {
            node.line.pass();
        }
        self.server.resume();
        self.server.notify("K$gxe");
        self.database.misbehave(0, 0);
        if !self.in_order().await {
            let reports: Vec<_> = self.nodes().iter().map(|node| node.cache.coherence()).collect();
            self.history().violate(Rule::Healed, format!("after {TO_HEAL:?}: {reports:?}"));
        }
        elapse(self.settings.bound * 2 + secs(1)).await;
        let commits = self.database.commits();
        let fresh = self.node().await;
        let nodes: Vec<Node> = self.nodes().iter().cloned().chain([fresh]).collect();
        for node in nodes {
            for id in 0..=SECLUDED {
                let read = self.read(&node, id, Way::Owned).await;
                let Some(read) = read else { continue };
                let mut history = self.history();
                if let Some(missed) = history.missed(&commits, id, read.version.unwrap_or(0)) {
                    let told = history.told(&read);
                    history.violate(Rule::Settled, format!("{told}, and {missed} was committed"));
                }
                history.reads.push(read);
            }
        }
    }

    fn verdict(&self, faults: BTreeMap<Fault, usize>) -> Run {
        let last: BTreeMap<u64, u64> = (0..=SECLUDED).map(|id| (id, self.database.version(id))).collect();
        let mut history = self.history();
        history.check(self.settings.bound, &last);
        Run {
            settings: (*self.settings).clone(),
            reads: history.reads.len(),
            changes: history.changes.len(),
            loads: self.database.loads(),
            old: history.old,
            hits: history.reads.iter().filter(|read| read.outcome.starts_with("hit")).count(),
            faults,
            healed_in: history.losses.iter().filter_map(|loss| Some(loss.healed? - loss.at)).collect(),
            violations: std::mem::take(&mut history.violations),
            log: std::mem::take(&mut history.log),
        }
    }

    /// One read in a task of its own, which is perhaps given up; nothing then.
    async fn read(&self, node: &Node, id: u64, way: Way) -> Option<Read> {
        let (cache, database) = (node.cache.clone(), self.database.on(node.number));
        let begun = self.history().moment();
        let task = tokio::spawn(observe(async move {
            match way {
                Way::Owned => shop::find(&cache, database, RowId(id)).await.map(Some),
                Way::Inline => shop::find_inline(&cache, &database, RowId(id)).await.map(Some),
                Way::Peek => Ok(cache.get::<Row>(&row_key(id)).await),
                Way::Many => {
                    let keys = [row_key(id), row_key((id + 1) % ROWS)];
                    Ok(cache.get_many::<Row>(&keys).await.swap_remove(0))
                }
            }
        }));
        let (found, seen) = finish(task).await?;
        // An error is the load's own.
        let found: Option<Row> = found.unwrap_or_default();
        let outcome = seen.first().map(|seen| seen.outcome.to_string()).unwrap_or_default();
        let read = Read { node: node.number, id, begun, ended: Instant::now(), version: None, outcome };
        if let Some(row) = &found
            && (row.id != id || row.lot != row.version % LOTS)
        {
            let mut history = self.history();
            let told = history.told(&read);
            history.violate(Rule::Genuine, format!("{told}: {row:?}"));
        }
        Some(Read { version: found.map(|row| row.version), ..read })
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }
}

/// How a row is read.
#[derive(Clone, Copy, Debug)]
enum Way {
    Owned,
    Inline,
    Peek,
    Many,
}

async fn read(world: World, place: usize) {
    while world.goes_on() {
        elapse(Duration::from_micros(fastrand::u64(100..20_000))).await;
        let way = match fastrand::u8(..8) {
            0 => Way::Inline,
            1 => Way::Peek,
            2 => Way::Many,
            _ => Way::Owned,
        };
        let node = world.node_at(place);
        world.read_and_note(&node, fastrand::u64(..ROWS), way).await;
    }
}

async fn write(world: World, place: usize) {
    while world.goes_on() {
        elapse(Duration::from_micros(fastrand::u64(1_000..world.settings.pace.as_micros() as u64))).await;
        let node = world.node_at(place);
        let mut changes = JoinSet::new();
        if fastrand::u8(..4) == 0 {
            // Two at each row at one time, and then nothing for a while: what such a race leaves behind is not cleared away.
            let rival = world.any_node();
            for id in 0..ROWS {
                for node in [&node, &rival] {
                    let (world, node, kind) = (world.clone(), node.clone(), fastrand::u8(..OF_ONE_ROW));
                    changes.spawn(async move { change(&world, &node, id, kind).await });
                }
            }
        } else {
            let (world, id, kind) = (world.clone(), fastrand::u64(..ROWS), fastrand::u8(..15));
            changes.spawn(async move { change(&world, &node, id, kind).await });
        }
        while let Some(change) = changes.join_next().await {
            let Some(change) = change.unwrap() else { continue };
            // What was softly evicted is of use for as long as nobody has asked for it.
            let old = change.rows.first().filter(|_| change.softly).map(|(id, _)| *id);
            world.history().changes.push(change);
            let Some(id) = old else { continue };
            let nodes = world.nodes().clone();
            for node in nodes {
                world.read_and_note(&node, id, Way::Owned).await;
            }
        }
    }
}

async fn snapshots(world: World) {
    loop {
        world.server.snapshot();
        elapse(millis(100)).await;
    }
}

async fn faults(world: World) -> Vec<Fault> {
    let mut injected = Vec::new();
    while world.goes_on() {
        elapse(Duration::from_millis(fastrand::u64(20..1_500))).await;
        let fault = world.settings.faults[fastrand::usize(..world.settings.faults.len())];
        world.history().note(&format!("begins: {}", fault.as_str()));
        fault.inject(&world).await;
        world.history().note(&format!("is over: {}", fault.as_str()));
        injected.push(fault);
    }
    injected
}

/// Simulated panics would fill the screen.
fn silence_simulated_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let said = info.payload_as_str().unwrap_or_default();
            if !said.contains(shop::SIMULATED) {
                usual(info);
            }
        }));
    });
}
