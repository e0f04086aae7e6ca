//! One deployment's run: the nodes, what happens to them, and the verdict.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{
    clock::Moment,
    database::Rows,
    deployment::{Deployment, Kind},
    faults::{Fault, PATIENCE},
    history::{History, Loss, Rule, Tally, Violation, Window},
    node::Orders,
};
use crate::fixtures::{NodeProcess, Proxy};

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Settings {
    pub kind: Kind,
    pub seed: u64,
    pub lasts: Duration,
    pub bound: Duration,
    pub nodes: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub kind: Kind,
    pub reads: usize,
    pub changes: usize,
    pub applied: usize,
    pub loads: u64,
    /// Reads that were held against the last versions, when all was quiet.
    pub settled: usize,
    /// By kind of fault; under no fault.
    pub tallies: BTreeMap<Option<Fault>, Tally>,
    pub violations: Vec<Violation>,
}

/// A node, as the director has it.
struct Node {
    number: u64,
    process: NodeProcess,
    line: Option<Arc<Proxy>>,
}

/// Whoever makes things happen.
pub(crate) struct Director {
    pub(crate) deployment: Arc<Deployment>,
    pub(crate) bound: Duration,
    program: PathBuf,
    database: std::net::SocketAddr,
    rows: Rows,
    history: Arc<Mutex<History>>,
    nodes: Mutex<Vec<Node>>,
    next: Mutex<u64>,
}

/// Runs one deployment for as long as it is told, and then until everything is quiet. `program` is this program: what it is
/// called with, [`live`](super::live) has to be given.
pub async fn run(settings: Settings, program: PathBuf) -> Outcome {
    fastrand::seed(settings.seed);
    let director = Director::start(&settings, program).await;
    for _ in 0..settings.nodes {
        director.add_a_node().await;
    }
    director.in_order(|_| true).await;
    let end = Instant::now() + settings.lasts;
    let mut round = Vec::new();
    while Instant::now() < end {
        if round.is_empty() {
            round = Fault::of(settings.kind);
            fastrand::shuffle(&mut round);
        }
        let Some(fault) = round.pop() else { break };
        director.suffer(fault).await;
    }
    director.come_to_rest().await
}

// === impl Director ===

impl Director {
    async fn start(settings: &Settings, program: PathBuf) -> Self {
        let deployment = Arc::new(settings.kind.start().await);
        let (rows, history) = (Rows::default(), Arc::<Mutex<History>>::default());
        let reports = Arc::clone(&history);
        let report = move |node, report| lock(&reports).take(node, report);
        let database = rows.clone().serve(report).await;
        let nodes = Mutex::default();
        Self { deployment, bound: settings.bound, program, database, rows, history, nodes, next: Mutex::new(1) }
    }

    async fn add_a_node(&self) {
        let number = {
            let mut next = lock(&self.next);
            *next += 1;
            *next - 1
        };
        let line = self.deployment.line().await.map(Arc::new);
        let redis = self.deployment.seen_by(line.as_deref());
        let orders = Orders { number, database: self.database, bound: self.bound, redis };
        let process = NodeProcess::start(&self.program, &orders.words());
        lock(&self.nodes).push(Node { number, process, line });
    }

    /// One fault, until every node is in order again.
    async fn suffer(&self, fault: Fault) {
        let begun = Moment::now();
        let before = self.fences();
        let loss = fault.inject(self).await;
        let over = Moment::now();
        // One that lost something has to be noticed; being in order before is no sign.
        let noticed = |node: u64| loss.is_none() || self.has_fenced_since(node, &before);
        let in_order = self.in_order(noticed).await;
        let ended = Moment::now();
        let mut history = lock(&self.history);
        if let Some(loss) = loss {
            history.losses.push(Loss { healed: in_order.then_some(ended), ..loss });
        }
        if !in_order {
            let standing: Vec<_> = self.numbers().into_iter().map(|node| (node, history.status(node))).collect();
            history.violate(Rule::Healed, format!("{PATIENCE:?} after `{}`: {standing:?}", fault.as_str()));
        }
        history.windows.push(Window { fault, begun, over, ended });
    }

    /// Waits until every node says that it is in order, and is so for a reason.
    async fn in_order(&self, noticed: impl Fn(u64) -> bool) -> bool {
        let (from, end) = (Moment::now(), Instant::now() + PATIENCE);
        while Instant::now() < end {
            let is_well = |node: u64| {
                let status = lock(&self.history).status(node);
                status.is_some_and(|status| status.at > from && status.is_well) && noticed(node)
            };
            if self.numbers().into_iter().all(is_well) {
                return true;
            }
            // Time itself: until the nodes say again how they stand.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Lets everything come to rest, has all rows read on every node and on a new one, and judges.
    async fn come_to_rest(self) -> Outcome {
        self.rows.rest();
        self.add_a_node().await;
        if !self.in_order(|_| true).await {
            lock(&self.history).violate(Rule::Healed, "at the end not every node is in order".to_owned());
        }
        // Time itself: what was acknowledged last is in force a bound later.
        tokio::time::sleep(self.bound * 2).await;
        let quiet = Moment::now();
        // Time itself: for some reads of each row on each node.
        tokio::time::sleep(Duration::from_secs(2)).await;
        lock(&self.nodes).clear();
        let mut history = lock(&self.history);
        let settled = history.settled(quiet, &self.rows.commits());
        let tallies = history.check(self.bound);
        let (changes, applied) = history.changes();
        Outcome {
            kind: self.deployment.kind(),
            reads: history.reads(),
            changes,
            applied,
            loads: self.rows.reads(),
            settled,
            tallies,
            violations: std::mem::take(&mut history.violations),
        }
    }

    /// The line of some node.
    pub(crate) fn a_line(&self) -> Option<Arc<Proxy>> {
        let nodes = lock(&self.nodes);
        nodes[fastrand::usize(..nodes.len())].line.clone()
    }

    /// Stops a node for a while.
    pub(crate) async fn stop_a_node(&self, lasts: Duration) {
        let place = fastrand::usize(..lock(&self.nodes).len());
        let from = Moment::now();
        lock(&self.nodes)[place].process.signal(Signal::STOP);
        // Time itself: how long it is stopped.
        tokio::time::sleep(lasts).await;
        let nodes = lock(&self.nodes);
        nodes[place].process.signal(Signal::CONT);
        lock(&self.history).stopped.push((nodes[place].number, from, Moment::now()));
    }

    /// Kills a node, `kill -9`, and starts another.
    pub(crate) async fn replace_a_node(&self) {
        let killed = {
            let mut nodes = lock(&self.nodes);
            let place = fastrand::usize(..nodes.len());
            nodes.swap_remove(place)
        };
        lock(&self.history).killed.push(killed.number);
        drop(killed);
        self.add_a_node().await;
    }

    fn numbers(&self) -> Vec<u64> {
        lock(&self.nodes).iter().map(|node| node.number).collect()
    }

    fn fences(&self) -> BTreeMap<u64, u64> {
        let history = lock(&self.history);
        let fences = |node: u64| history.status(node).map(|status| (node, status.fences));
        self.numbers().into_iter().filter_map(fences).collect()
    }

    fn has_fenced_since(&self, node: u64, before: &BTreeMap<u64, u64>) -> bool {
        let now = lock(&self.history).status(node).map_or(0, |status| status.fences);
        before.get(&node).is_none_or(|before| now > *before)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
