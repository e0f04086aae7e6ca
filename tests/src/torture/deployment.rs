//! The deployments of Redis, as the torture run has them.

use redis::Value;

use super::node::Where;
use crate::fixtures::{Proxy, RedisCluster, RedisSentinel, RedisServer};

/// A way to run Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// One server; each node has a line of its own to it.
    Single,
    /// A primary, a replica and three sentinels.
    Sentinel,
    /// Three primaries, each with a replica.
    Cluster,
}

/// The servers.
#[derive(Debug)]
pub(crate) enum Deployment {
    Single(Box<RedisServer>),
    Sentinel(RedisSentinel),
    Cluster(RedisCluster),
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Single, Self::Sentinel, Self::Cluster];

    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }

    pub(crate) async fn start(self) -> Deployment {
        // What is written outlives a kill; the disk is not waited for.
        let options = RedisServer::options().append_only("everysec");
        match self {
            Self::Single => Deployment::Single(Box::new(options.start().await)),
            Self::Sentinel => Deployment::Sentinel(RedisSentinel::start_with(1, options).await),
            Self::Cluster => Deployment::Cluster(RedisCluster::start_with(3, 1, options).await),
        }
    }
}

impl Deployment {
    /// A line for a new node, where each has its own.
    pub(crate) async fn line(&self) -> Option<Proxy> {
        match self {
            Self::Single(redis) => Some(Proxy::before(redis).await),
            Self::Sentinel(_) | Self::Cluster(_) => None,
        }
    }

    /// Where a node with this line finds Redis.
    pub(crate) fn seen_by(&self, line: Option<&Proxy>) -> Where {
        match self {
            Self::Single(redis) => Where::Server(line.map_or_else(|| redis.url(), Proxy::url)),
            Self::Sentinel(watched) => {
                Where::Sentinel { urls: watched.urls(), service: RedisSentinel::SERVICE.to_owned() }
            }
            Self::Cluster(cluster) => Where::Cluster(cluster.urls()),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Single(_) => Kind::Single,
            Self::Sentinel(_) => Kind::Sentinel,
            Self::Cluster(_) => Kind::Cluster,
        }
    }

    /// All servers with data.
    pub(crate) fn servers(&self) -> &[RedisServer] {
        match self {
            Self::Single(redis) => std::slice::from_ref(&**redis),
            Self::Sentinel(watched) => watched.servers(),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// One of the primaries.
    pub(crate) async fn a_primary(&self) -> &RedisServer {
        match self {
            Self::Single(redis) => redis,
            Self::Sentinel(watched) => watched.primary().await,
            Self::Cluster(cluster) => cluster.owner_of(fastrand::u16(..16_384)).await,
        }
    }

    /// The replica of a primary.
    pub(crate) async fn replica_of<'a>(&'a self, primary: &'a RedisServer) -> Option<&'a RedisServer> {
        match self {
            Self::Single(_) => None,
            Self::Sentinel(watched) => watched.servers().iter().find(|server| server.address() != primary.address()),
            Self::Cluster(cluster) => Some(cluster.replica_of(primary).await),
        }
    }

    /// Waits until everything is as it should be: one primary for all, every replica with what its primary has.
    pub(crate) async fn well(&self) {
        match self {
            Self::Single(_) => {}
            Self::Sentinel(watched) => watched.well().await,
            Self::Cluster(cluster) => {
                for node in cluster.nodes() {
                    cluster.well(node).await;
                }
            }
        }
    }

    /// Starts one that was killed, as whoever runs it would: as a replica of the one that took its place.
    pub(crate) async fn rejoin(&self, old: &RedisServer, new: &RedisServer) {
        old.restart().await;
        if let Self::Sentinel(_) = self {
            let port = new.address().port().to_string();
            old.cli(&["REPLICAOF", "127.0.0.1", &port]).await;
        }
        self.well().await;
    }

    /// Waits until a replica has taken its primary's place.
    pub(crate) async fn promoted(&self, replica: &RedisServer) {
        match self {
            Self::Single(_) => {}
            Self::Sentinel(watched) => {
                crate::fixtures::eventually(super::faults::PATIENCE, async || {
                    watched.primary().await.address() == replica.address()
                })
                .await;
            }
            Self::Cluster(cluster) => cluster.promoted(replica).await,
        }
    }

    /// Has every server do something; one that cannot just now does not.
    pub(crate) async fn on_all(&self, words: &[&str]) -> Vec<Value> {
        let mut answers = Vec::new();
        for server in self.servers() {
            answers.extend(server.try_cli(words).await);
        }
        answers
    }
}
