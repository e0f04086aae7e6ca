//! The processes of a row, as the director has them.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    ledger::Ledger,
    orders::{Behind, Order, Report, Setup, Where, Writers},
    work::keys_of,
};
use crate::{fixtures::NodeProcess, torture::Moment};

/// For a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process may take to say how far behind it is, before another one is asked.
const ANSWER: Duration = Duration::from_secs(2);

type Stream = (BufReader<OwnedReadHalf>, OwnedWriteHalf);
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Stream>>>>;

/// Where processes are started, each in its place.
pub(crate) struct Team {
    program: PathBuf,
    seed: u64,
    address: SocketAddr,
    redis: String,
    database: Where,
    owned: Duration,
    writers: Writers,
    started: AtomicU64,
    waiting: Waiting,
    places: Vec<Mutex<Option<Node>>>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
}

/// A process, and the line to it.
struct Node {
    process: NodeProcess,
    orders: Arc<tokio::sync::Mutex<OwnedWriteHalf>>,
    state: Arc<watch::Sender<Said>>,
}

/// What a process said last.
#[derive(Clone, Debug, Default)]
struct Said {
    is_resting: bool,
    has_ended: bool,
    /// How many times it said how far behind it is, and what.
    lags: u64,
    lag: Option<Behind>,
}

impl Team {
    pub(crate) async fn start(
        program: PathBuf,
        (seed, owned, writers): (u64, Duration, Writers),
        (redis, database): (String, Where),
        count: usize,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = Waiting::default();
        tokio::spawn(greet(listener, Arc::downgrade(&waiting)));
        let ledger = Ledger::new(seed, keys_of(count - 1).end);
        let places = (0..count).map(|_| Mutex::default()).collect();
        let (started, ledger) = (AtomicU64::new(0), Arc::new(Mutex::new(ledger)));
        let team = Self { program, seed, address, redis, database, owned, writers, started, waiting, places, ledger };
        let all = (0..count).map(|place| team.fill(place));
        futures_util::future::join_all(all).await;
        team
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Starts a process in a place that has none.
    async fn fill(&self, place: usize) {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let setup = Setup {
            number,
            seed: self.seed,
            director: self.address,
            redis: self.redis.clone(),
            database: self.database.clone(),
            owned: self.owned.as_millis() as u64,
            writers: self.writers,
        };
        let (came, stream) = oneshot::channel();
        lock(&self.waiting).insert(number, came);
        let setup = serde_json::to_string(&setup).expect("a setup can be written");
        let process = NodeProcess::start(&self.program, &["node".to_owned(), setup]);
        let stream = timeout(PATIENCE, stream).await.expect("a process starts in time");
        let (reports, orders) = stream.expect("whoever greets does so as long as this lives");
        let state = Arc::new(watch::Sender::new(Said { is_resting: true, ..Said::default() }));
        tokio::spawn(hear(reports, Arc::clone(&state), Arc::clone(&self.ledger)));
        *lock(&self.places[place]) = Some(Node { process, orders: Arc::new(tokio::sync::Mutex::new(orders)), state });
    }

    /// Has the process of a place write its keys up to a moment.
    pub(crate) async fn work(&self, place: usize, until: Moment) {
        let next = lock(&self.ledger).next(keys_of(place));
        self.order(place, &Order::Work { until: until.0, next }).await;
    }

    /// `kill -9`, and another process that goes on, up to a moment.
    pub(crate) async fn replace(&self, place: usize, until: Moment) {
        let Some(node) = lock(&self.places[place]).take() else { return };
        let mut said = node.state.subscribe();
        drop(node);
        // All that it had said is heard.
        let _ended = said.wait_for(|said| said.has_ended).await.map(drop);
        lock(&self.ledger).cut(keys_of(place));
        self.fill(place).await;
        self.work(place, until).await;
    }

    pub(crate) async fn pause(&self, place: usize, lasts: Duration) {
        self.signal(place, Signal::STOP);
        // Time itself: how long it is stopped.
        tokio::time::sleep(lasts).await;
        self.signal(place, Signal::CONT);
    }

    fn signal(&self, place: usize, signal: Signal) {
        if let Some(node) = &*lock(&self.places[place]) {
            node.process.signal(signal);
        }
    }

    /// Waits until nobody writes. Those who do not say so in time.
    pub(crate) async fn rest(&self) -> Vec<usize> {
        let mut busy = Vec::new();
        for place in 0..self.len() {
            let Some(state) = self.state(place) else { continue };
            let mut said = state.subscribe();
            let rests = timeout(PATIENCE, said.wait_for(|said| said.is_resting)).await;
            if rests.is_err() {
                busy.push(place);
            }
        }
        busy
    }

    /// How far behind the sink is, as the process of a place sees it.
    pub(crate) async fn lag(&self, place: usize) -> Option<Behind> {
        let state = self.state(place)?;
        let mut said = state.subscribe();
        let before = said.borrow().lags;
        self.order(place, &Order::Lag).await;
        timeout(ANSWER, said.wait_for(|said| said.lags > before)).await.ok()?.ok()?.lag
    }

    fn state(&self, place: usize) -> Option<Arc<watch::Sender<Said>>> {
        lock(&self.places[place]).as_ref().map(|node| Arc::clone(&node.state))
    }

    async fn order(&self, place: usize, order: &Order) {
        let orders = {
            let node = lock(&self.places[place]);
            let Some(node) = &*node else { return };
            if matches!(order, Order::Work { .. }) {
                node.state.send_modify(|said| said.is_resting = false);
            }
            Arc::clone(&node.orders)
        };
        let line = serde_json::to_string(order).expect("an order can be written");
        // One that is gone is replaced by whoever killed it.
        let _gone = orders.lock().await.write_all(format!("{line}\n").as_bytes()).await;
    }
}

/// Takes connections, and hands each to whoever waits for the process of that number.
async fn greet(listener: TcpListener, waiting: std::sync::Weak<Mutex<HashMap<u64, oneshot::Sender<Stream>>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (reports, orders) = stream.into_split();
        let mut reports = BufReader::new(reports);
        let mut number = String::new();
        let Some(waiting) = waiting.upgrade() else { return };
        if reports.read_line(&mut number).await.is_err() {
            continue;
        }
        let came = number.trim().parse().ok().and_then(|number: u64| lock(&waiting).remove(&number));
        if let Some(came) = came {
            let _gone = came.send((reports, orders));
        }
    }
}

/// Hears what a process says, to the end.
async fn hear(reports: BufReader<OwnedReadHalf>, state: Arc<watch::Sender<Said>>, ledger: Arc<Mutex<Ledger>>) {
    let mut lines = reports.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // The last line of one that was killed may be half a line: it was not told.
        match serde_json::from_str(&line) {
            Ok(Report::Did { key, op, said }) => lock(&ledger).did(key, op, said),
            Ok(Report::Rested) => state.send_modify(|said| said.is_resting = true),
            Ok(Report::Lag(lag)) => state.send_modify(|said| {
                said.lags += 1;
                said.lag = lag.ok();
            }),
            Err(_) => break,
        }
    }
    state.send_modify(|said| said.has_ended = true);
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
