//! One process: it writes what it is told to, and flushes what anybody wrote, until it is killed or the director is gone.

use std::{future::Future, sync::Arc, time::Duration};

use cache_core::{
    Cache,
    behind::{AckLevel, PostgresSink, Sink, SqliteSink, WhenFull, WriteBehind},
};
use sqlx::{
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::Mutex,
    task::JoinSet,
};

use super::{
    orders::{Behind, Order, Report, Setup, Where, Writers},
    work::{Doing, Goods, doing, key},
};
use crate::torture::Moment;

/// Partitions of the journal.
const PARTITIONS: u16 = 4;
/// What each of them has room for where it is written through, and how long that may take.
const ROOM: u64 = 6;
const PATIENCE: Duration = Duration::from_secs(5);
/// A key is written again after up to this long; after an error later.
const PAUSE: Duration = Duration::from_millis(12);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);
/// How long the sink waits for a connection, and for a batch.
const CONNECTED: Duration = Duration::from_secs(1);
const WRITTEN: Duration = Duration::from_secs(10);

struct Node {
    seed: u64,
    behind: WriteBehind<Goods>,
    reports: Mutex<OwnedWriteHalf>,
}

/// Lives as the process that these words describe.
///
/// # Panics
///
/// If the words are not those of a process.
pub async fn live(words: &[String]) {
    let setup = words.first().expect("the words of a process");
    let setup: Setup = serde_json::from_str(setup).expect("the words of a process");
    let behind = match &setup.database {
        Where::Postgres(url) => {
            let pool = PgPoolOptions::new().max_connections(4).acquire_timeout(CONNECTED);
            let pool = pool.connect_lazy(url).expect("the URL is one");
            let sink = || PostgresSink::new(pool.clone(), "goods").keyed_by("goods:{id}").counter_column("pieces");
            started(&setup, || sink().timeout(WRITTEN)).await
        }
        Where::Sqlite(file) => {
            let options = SqliteConnectOptions::new().filename(file).busy_timeout(WRITTEN);
            let options = options.journal_mode(SqliteJournalMode::Wal);
            let pool = SqlitePoolOptions::new().max_connections(2).connect_lazy_with(options);
            let sink = || SqliteSink::new(pool.clone(), "goods").keyed_by("goods:{id}").counter_column("pieces");
            started(&setup, || sink().timeout(WRITTEN)).await
        }
    };
    // An error says that the director is gone.
    let Ok(stream) = TcpStream::connect(setup.director).await else { return };
    let _ = stream.set_nodelay(true);
    let (orders, mut reports) = stream.into_split();
    if reports.write_all(format!("{}\n", setup.number).as_bytes()).await.is_err() {
        return;
    }
    let node = Arc::new(Node { seed: setup.seed, behind, reports: Mutex::new(reports) });
    let mut orders = BufReader::new(orders).lines();
    while let Ok(Some(order)) = orders.next_line().await {
        let node = Arc::clone(&node);
        match serde_json::from_str(&order).expect("orders can be read") {
            Order::Work { until, next } => drop(tokio::spawn(async move { node.work(until, next).await })),
            Order::Lag => drop(tokio::spawn(async move { node.tell(&Report::Lag(node.lag().await)).await })),
        }
    }
}

/// A write-behind that runs; Redis may be away for a while.
async fn started<S: Sink<Goods>>(setup: &Setup, sink: impl Fn() -> S) -> WriteBehind<Goods> {
    let cache = Cache::builder("crash").redis(setup.redis.as_str()).ensure_notifications().partitions(PARTITIONS);
    let cache = again(async || cache.clone().build().await).await;
    again(async || {
        let starting = cache.write_behind("goods", sink()).gather(Duration::from_millis(20));
        let starting = match setup.writers {
            Writers::Journaled => starting,
            Writers::Fsynced => starting.ack(AckLevel::Fsynced),
            Writers::Through => starting.room(ROOM).when_full(WhenFull::WriteThrough(PATIENCE)),
        };
        starting.owned_for(Duration::from_millis(setup.owned)).start().await
    })
    .await
}

/// As whoever starts processes would do it.
async fn again<T, E, F: Future<Output = Result<T, E>>>(attempt: impl Fn() -> F) -> T {
    loop {
        match attempt().await {
            Ok(made) => return made,
            // Time itself: until the next attempt.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

// === impl Node ===

impl Node {
    async fn work(self: Arc<Self>, until: u64, next: Vec<(u32, u64)>) {
        let mut keys: JoinSet<()> =
            next.into_iter().map(|(id, op)| Arc::clone(&self).write(id, op, Moment(until))).collect();
        while keys.join_next().await.is_some() {}
        self.tell(&Report::Rested).await;
    }

    /// Writes one key, one write after another.
    async fn write(self: Arc<Self>, id: u32, mut op: u64, until: Moment) {
        while Moment::now() < until {
            let said = match doing(self.seed, id, op) {
                Doing::Put(pieces) => self.behind.put(key(id), &Goods { op: op as i64, pieces }).await,
                Doing::Delete => self.behind.delete(key(id)).await,
                Doing::Increment(by) => self.behind.increment(key(id), by).await,
            };
            let said = said.map_err(|error| error.to_string());
            let said = said.and_then(|journaled| journaled.version.ok_or_else(|| "no version".to_owned()));
            let pause = if said.is_ok() { PAUSE.mul_f64(fastrand::f64()) } else { PAUSE_AFTER_ERROR };
            // Told before the next one begins: of those that are not told, one at most was begun.
            self.tell(&Report::Did { key: id, op, said }).await;
            op += 1;
            // Time itself: the pause between two writes.
            tokio::time::sleep(pause).await;
        }
    }

    async fn lag(&self) -> Result<Behind, String> {
        let lag = self.behind.lag().await.map_err(|error| error.to_string())?;
        Ok(Behind { changes: lag.changes, parked: lag.parked, dead: lag.dead, owned: lag.owned })
    }

    async fn tell(&self, report: &Report) {
        let mut line = serde_json::to_string(report).expect("a report can be written");
        line.push('\n');
        // Without a director there is nobody to be told.
        let _gone = self.reports.lock().await.write_all(line.as_bytes()).await;
    }
}
