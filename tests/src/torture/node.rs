//! One node: a process that lives until it is killed, or until the director is gone.

use std::{net::SocketAddr, time::Duration};

use cache_core::{Cache, CoherenceState, Mechanism, Policy, Redis, millis, secs};
use tokio::{io::AsyncWriteExt, sync::mpsc};

use super::{
    clock::Moment,
    database::Database,
    report::{Report, STATUS_EVERY, Status},
    shop,
};

const READERS: usize = 4;
const WRITERS: usize = 2;
/// A reader reads again after up to this long.
const READS: Duration = Duration::from_millis(20);
/// A writer changes something after up to this long.
const WRITES: Duration = Duration::from_millis(400);

/// What a node is told at its start.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(crate) number: u64,
    pub(crate) database: SocketAddr,
    pub(crate) bound: Duration,
    pub(crate) redis: Where,
}

/// Where Redis is, as words.
#[derive(Clone, Debug)]
pub(crate) enum Where {
    Server(String),
    Sentinel { urls: Vec<String>, service: String },
    Cluster(Vec<String>),
}

impl Orders {
    /// As words of a command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let Self { number, database, bound, redis } = self;
        let mut words =
            vec!["node".to_owned(), number.to_string(), database.to_string(), bound.as_millis().to_string()];
        let (kind, urls) = match redis {
            Where::Server(url) => ("server".to_owned(), vec![url.clone()]),
            Where::Sentinel { urls, service } => (format!("sentinel:{service}"), urls.clone()),
            Where::Cluster(urls) => ("cluster".to_owned(), urls.clone()),
        };
        words.push(kind);
        words.extend(urls);
        words
    }

    fn parse(words: &[String]) -> Option<Self> {
        let [number, database, bound, kind, urls @ ..] = words else { return None };
        let redis = match kind.split_once(':') {
            Some(("sentinel", service)) => Where::Sentinel { urls: urls.to_vec(), service: service.to_owned() },
            _ if kind == "cluster" => Where::Cluster(urls.to_vec()),
            _ => Where::Server(urls.first()?.clone()),
        };
        let bound = Duration::from_millis(bound.parse().ok()?);
        Some(Self { number: number.parse().ok()?, database: database.parse().ok()?, bound, redis })
    }

    async fn cache(&self) -> Cache {
        let redis = match &self.redis {
            Where::Server(url) => Redis::server(url),
            Where::Sentinel { urls, service } => Redis::sentinel(urls, service),
            Where::Cluster(urls) => Redis::cluster(urls),
        };
        // Every other node prefers the other way.
        let mechanisms = if self.number.is_multiple_of(2) {
            [Mechanism::Keyspace, Mechanism::Tracking]
        } else {
            [Mechanism::Tracking, Mechanism::Keyspace]
        };
        let builder = Cache::builder("shop")
            .redis(redis)
            .mechanisms(mechanisms)
            .ensure_notifications()
            .policy(Policy::new().ttl(secs(10)).l1(secs(8)))
            .bound(self.bound)
            .start_unreachable();
        loop {
            match builder.clone().build().await {
                Ok(cache) => return cache,
                // Time itself: as whoever starts processes would wait.
                Err(_) => tokio::time::sleep(millis(100)).await,
            }
        }
    }
}

/// Lives as the node that these words describe.
///
/// # Panics
///
/// If the words are not those of a node, and when the director is gone.
pub async fn live(words: &[String]) {
    let orders = Orders::parse(words).expect("the words of a node");
    let database = Database::at(orders.database, orders.number);
    let (reports, mut told) = mpsc::channel::<Report>(1 << 12);
    let mut stream = database.reporting().await.expect("the director is there");
    let telling = tokio::spawn(async move {
        while let Some(report) = told.recv().await {
            if stream.write_all(report.line().as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let cache = orders.cache().await;
    for _ in 0..READERS {
        let (cache, database, reports) = (cache.clone(), database.clone(), reports.clone());
        tokio::spawn(async move {
            loop {
                shop::pause(READS).await;
                let _ = reports.send(shop::read(&cache, &database).await).await;
            }
        });
    }
    for _ in 0..WRITERS {
        let (cache, database, reports) = (cache.clone(), database.clone(), reports.clone());
        tokio::spawn(async move {
            loop {
                shop::pause(WRITES).await;
                let _ = reports.send(shop::change(&cache, &database).await).await;
            }
        });
    }
    tokio::spawn(tell_status(cache, reports));
    telling.await.expect("the telling ends by itself");
}

async fn tell_status(cache: Cache, reports: mpsc::Sender<Report>) {
    loop {
        let at = Moment::now();
        let report = cache.coherence();
        let is_well = report.state == CoherenceState::Coherent && report.remote_trusted && report.queued == 0;
        let trust = if report.remote_trusted { "trusted" } else { "distrusted" };
        let standing = format!("{},{trust},{}-queued", report.state.as_str(), report.queued);
        let _ = reports.send(Report::Status(Status { at, is_well, fences: report.fences, standing })).await;
        // Time itself: how often it is said.
        tokio::time::sleep(STATUS_EVERY).await;
    }
}
