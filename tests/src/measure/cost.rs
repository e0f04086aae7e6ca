//! What each operation costs the server, beside the plain command that it takes the place of.

use std::time::Duration;

use cache_core::{Cache, Key, Mechanism};
use redis::{Cmd, Pipeline, aio::MultiplexedConnection, cmd};
use tokio::time::Instant;

use super::node;
use crate::fixtures::{RedisServer, eventually};

const KEYS: usize = 4_096;
const VALUE: usize = 256;
/// Commands in one trip, as concurrent calls make them.
const PIPELINED: usize = 16;
/// Each measure is taken so often, in turn with the others; the median counts.
const ROUNDS: usize = 5;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Get,
    SetPx,
    Del,
    Read,
    Fill,
    Put,
    Evict,
}

/// Commands in a second, and the server's time for one.
#[derive(Clone, Copy, Debug)]
struct Figure {
    rate: f64,
    cpu: f64,
}

/// A server, and the records that everything is done to.
struct Bench {
    redis: RedisServer,
    connection: MultiplexedConnection,
    names: Vec<(String, String)>,
    fill: String,
    bump: String,
    version: u64,
}

impl Work {
    const OURS: [(Self, Self); 4] =
        [(Self::Read, Self::Get), (Self::Fill, Self::SetPx), (Self::Put, Self::SetPx), (Self::Evict, Self::Del)];
    const PLAIN: [Self; 3] = [Self::Get, Self::SetPx, Self::Del];

    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::SetPx => "SET PX",
            Self::Del => "DEL",
            Self::Read => "read",
            Self::Fill => "fill",
            Self::Put => "put",
            Self::Evict => "evict",
        }
    }
}

/// A table: each operation as a ratio to its plain command on the same server, which tells nobody then.
pub async fn cost(operations: usize) -> String {
    let mut table = "| operation | beside | told by | nodes that listen | throughput | server CPU |\n".to_owned();
    table.push_str("|---|---|---|---|---|---|\n");
    for mechanism in [Mechanism::Keyspace, Mechanism::Tracking] {
        for listeners in [0, 1, 4, 10] {
            let rows = Bench::start().await.rows(mechanism, listeners, operations).await;
            table.push_str(&rows);
        }
    }
    table
}

impl Bench {
    async fn start() -> Self {
        let redis = RedisServer::start().await;
        let probe = node(&redis, Mechanism::Tracking).await;
        let name = |id: usize| {
            let control = probe.redis_key(&Key::new("product").arg(id as u64)).unwrap();
            let payload = format!("{}@0123456789abcdef", control.replacen(":c:", ":d:", 1));
            (control, payload)
        };
        let names = (0..KEYS).map(name).collect();
        probe.close().await;
        let mut connection = redis.connection().await;
        let mut load = async |script: &str| -> String {
            cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut connection).await.unwrap()
        };
        let fill = load(include_str!("../../../cache-core/src/remote/redis/scripts/fill.lua")).await;
        let bump = load(include_str!("../../../cache-core/src/remote/redis/scripts/bump.lua")).await;
        let version = 1_790_000_000_000_000;
        Self { connection: redis.connection().await, redis, names, fill, bump, version }
    }

    async fn rows(mut self, mechanism: Mechanism, listeners: usize, operations: usize) -> String {
        self.notify("").await;
        let plain = self.figures(&Work::PLAIN, operations).await;
        // As with `ensure_notifications`; for trackers nothing has to be set.
        self.notify(if mechanism == Mechanism::Keyspace { "K$gxe" } else { "" }).await;
        let mut nodes: Vec<Cache> = Vec::new();
        for _ in 0..listeners {
            nodes.push(node(&self.redis, mechanism).await);
        }
        let ours = self.figures(&Work::OURS.map(|(ours, _)| ours), operations).await;
        let figure = |of: &[(Work, Figure)], work: Work| of.iter().find(|(other, _)| *other == work).unwrap().1;
        let row = |(work, beside): (Work, Work)| {
            let (ours, plain) = (figure(&ours, work), figure(&plain, beside));
            let (rate, cpu) = (ours.rate / plain.rate, ours.cpu / plain.cpu);
            let told = mechanism.as_str();
            format!("| {} | `{}` | {told} | {listeners} | {rate:.2} | {cpu:.2} |\n", work.as_str(), beside.as_str())
        };
        Work::OURS.map(row).concat()
    }

    async fn notify(&self, flags: &str) {
        self.redis.cli(&["CONFIG", "SET", "notify-keyspace-events", flags]).await;
    }

    /// The medians of some rounds, in each of which all of these take their turn.
    async fn figures(&mut self, works: &[Work], operations: usize) -> Vec<(Work, Figure)> {
        let mut samples: Vec<(Work, Vec<Figure>)> = works.iter().map(|work| (*work, Vec::new())).collect();
        for _ in 0..ROUNDS {
            for (work, samples) in &mut samples {
                let sample = self.sample(*work, operations).await;
                samples.push(sample);
            }
        }
        let median = |samples: &[Figure], field: fn(&Figure) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(field).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let figure = |samples: &[Figure]| Figure {
            rate: median(samples, |sample| sample.rate),
            cpu: median(samples, |sample| sample.cpu),
        };
        samples.iter().map(|(work, samples)| (*work, figure(samples))).collect()
    }

    async fn sample(&mut self, work: Work, operations: usize) -> Figure {
        self.prepare().await;
        let batches: Vec<Pipeline> = (0..operations / PIPELINED).map(|batch| self.batch(work, batch)).collect();
        let (before, start) = (self.cpu().await, Instant::now());
        for batch in &batches {
            let () = batch.exec_async(&mut self.connection).await.unwrap();
        }
        let took = start.elapsed();
        // What listeners are still being told is part of it.
        self.at_rest().await;
        let count = (batches.len() * PIPELINED) as f64;
        Figure { rate: count / took.as_secs_f64(), cpu: self.cpu().await.saturating_sub(before).as_secs_f64() / count }
    }

    /// All records are there, of one version.
    async fn prepare(&mut self) {
        self.version += 1_000_000;
        for names in self.names.chunks(256) {
            let mut pipeline = redis::pipe();
            for (control, payload) in names {
                pipeline.cmd("SET").arg(control).arg(self.version).arg("PX").arg(3_600_000);
                pipeline.cmd("SET").arg(payload).arg(vec![b'x'; VALUE]).arg("PX").arg(3_600_000);
            }
            let () = pipeline.exec_async(&mut self.connection).await.unwrap();
        }
        self.at_rest().await;
    }

    fn batch(&self, work: Work, batch: usize) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(PIPELINED);
        for step in 0..PIPELINED {
            let number = batch * PIPELINED + step;
            pipeline.add_command(self.command(work, number % KEYS, number / KEYS));
        }
        pipeline
    }

    fn command(&self, work: Work, key: usize, time: usize) -> Cmd {
        let (control, payload) = &self.names[key];
        let value = || vec![b'x'; VALUE];
        let (life, next) = (3_600_000, self.version + time as u64 + 1);
        match work {
            Work::Get => cmd("GET").arg(payload).take(),
            Work::SetPx => cmd("SET").arg(payload).arg(value()).arg("PX").arg(life).take(),
            Work::Del => cmd("DEL").arg(payload).take(),
            Work::Read => cmd("MGET").arg(control).arg(payload).take(),
            Work::Fill => {
                let mut call = cmd("EVALSHA");
                call.arg(&self.fill).arg(2).arg(control).arg(payload).arg(self.version).arg(value()).arg(life).take()
            }
            Work::Put => {
                let mut call = cmd("EVALSHA");
                call.arg(&self.bump).arg(2).arg(control).arg(payload).arg(next).arg(60_000).arg(1);
                call.arg(next - 1).arg(value()).arg(life).take()
            }
            Work::Evict => {
                let mut call = cmd("EVALSHA");
                call.arg(&self.bump).arg(1).arg(control).arg(next).arg(60_000).arg(1).take()
            }
        }
    }

    /// The time that the server's main thread has used.
    async fn cpu(&self) -> Duration {
        let info: String = redis::from_redis_value(self.redis.cli(&["INFO", "cpu"]).await).unwrap();
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or_default()
        };
        Duration::from_secs_f64(field("used_cpu_user_main_thread") + field("used_cpu_sys_main_thread"))
    }

    /// Waits until the server has nothing more to say to anybody.
    async fn at_rest(&self) {
        eventually(Duration::from_secs(20), async || {
            let clients: String = redis::from_redis_value(self.redis.cli(&["CLIENT", "LIST"]).await).unwrap();
            clients.lines().all(|client| client.contains(" omem=0 "))
        })
        .await;
    }
}
