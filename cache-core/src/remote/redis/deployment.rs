//! Where Redis is: what a person says of it, and what that comes to.

use std::{fmt, time::Duration};

#[cfg(feature = "tls")]
use super::connect;
use super::{Place, cluster::Cluster, connect::Target, sentinel::Sentinels};
use crate::error::Error;

/// Where Redis is, and how it is reached.
///
/// A URL has the form `redis://[user:password@]host[:port][/database]`, with `rediss` for TLS (feature `tls`), or
/// `unix:///path/to.sock[?user=..&pass=..&db=..]`; special characters of user and password are written as `%XX`.
///
/// ```
/// use cache_core::{Cache, Redis};
///
/// let _one = Cache::builder("shop").redis("redis://127.0.0.1/");
/// let _watched = Cache::builder("shop")
///     .redis(Redis::sentinel(["redis://10.0.0.1:26379", "redis://10.0.0.2:26379"], "mymaster").nodes("redis://:secret@any/0"));
/// let _spread = Cache::builder("shop").redis(Redis::cluster(["redis://10.0.0.1:7000", "redis://10.0.0.2:7000"]));
/// ```
#[derive(Clone)]
pub struct Redis {
    deployment: Deployment,
    replicas: u32,
    #[cfg(feature = "tls")]
    trust: super::tls::Trust,
    #[cfg(feature = "test-util")]
    dial: Option<super::dial::Dial>,
}

/// One primary, or several.
pub(crate) enum Topology {
    One(Place),
    Many(Cluster),
}

#[derive(Clone)]
enum Deployment {
    Server(String),
    Sentinel { sentinels: Vec<String>, service: String, nodes: Option<String> },
    Cluster(Vec<String>),
}

impl Redis {
    /// One server. It may have replicas: whoever is asked for them, the cache is not.
    pub fn server(url: impl Into<String>) -> Self {
        Self::of(Deployment::Server(url.into()))
    }

    /// The primary of a service that sentinels watch
    /// (<https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>), wherever it is at the time. Name every
    /// sentinel: the first that answers is believed.
    pub fn sentinel<S: Into<String>>(sentinels: impl IntoIterator<Item = S>, service: impl Into<String>) -> Self {
        let sentinels = sentinels.into_iter().map(Into::into).collect();
        Self::of(Deployment::Sentinel { sentinels, service: service.into(), nodes: None })
    }

    /// A cluster (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>), by the URLs of some of its
    /// nodes. The others are found by what these say, and reached in the same way but for their address.
    pub fn cluster<S: Into<String>>(nodes: impl IntoIterator<Item = S>) -> Self {
        Self::of(Deployment::Cluster(nodes.into_iter().map(Into::into).collect()))
    }

    fn of(deployment: Deployment) -> Self {
        Self {
            deployment,
            replicas: 0,
            #[cfg(feature = "tls")]
            trust: super::tls::Trust::default(),
            #[cfg(feature = "test-util")]
            dial: None,
        }
    }

    /// Of [`sentinel`](Self::sentinel): how the servers themselves are reached, a URL whose user, password, database and scheme
    /// count, and whose host does not. Default: as the first sentinel is.
    pub fn nodes(mut self, url: impl Into<String>) -> Self {
        if let Deployment::Sentinel { nodes, .. } = &mut self.deployment {
            *nodes = Some(url.into());
        }
        self
    }

    /// A beat counts only if this many replicas have it, so that a primary which the others have given up cannot keep the
    /// promise of the bound alive on its own (`WAIT`, <https://redis.io/docs/latest/commands/wait/>). A primary with fewer is
    /// there, but its entries are confirmed at each use. Default: 0.
    pub fn min_replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// The certificates (PEM) of those who may vouch for the servers, in place of those that this machine trusts.
    #[cfg(feature = "tls")]
    pub fn certificate_authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust.authority = Some(pem.into());
        self
    }

    /// The certificate and its chain (PEM) that this client shows to the servers, and its key (PEM).
    #[cfg(feature = "tls")]
    pub fn client_certificate(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.trust.client = Some((chain.into(), key.into()));
        self
    }

    /// Reaches servers by `dial`.
    #[cfg(feature = "test-util")]
    pub(crate) fn dialled(mut self, dial: super::dial::Dial) -> Self {
        self.dial = Some(dial);
        self
    }

    /// Whether several primaries own the partitions between them.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.deployment, Deployment::Cluster(_))
    }

    /// How many replicas a beat needs.
    pub(crate) fn replicas(&self) -> u32 {
        self.replicas
    }

    /// Reads the URLs, and the certificates if any of them needs one.
    pub(crate) fn topology(&self, patience: Duration) -> Result<Topology, Error> {
        let at_least_one = || Error::config("redis", "name at least one sentinel, or one node of the cluster");
        #[cfg(feature = "tls")]
        let tls = self.urls().any(connect::wants_tls).then(|| self.trust.connector()).transpose()?;
        let target = |url: &String| {
            let target = Target::parse(url, patience)?;
            #[cfg(feature = "tls")]
            let target = target.secured_by(tls.clone());
            #[cfg(feature = "test-util")]
            let target = target.by(self.dial.clone());
            Ok::<_, Error>(target)
        };
        let targets = |urls: &Vec<String>| urls.iter().map(target).collect::<Result<Vec<_>, _>>();
        match &self.deployment {
            Deployment::Server(url) => Ok(Topology::One(Place::Fixed(target(url)?))),
            Deployment::Sentinel { sentinels, service, nodes } => {
                let nodes = nodes.as_ref().or(sentinels.first()).ok_or_else(at_least_one)?;
                let sentinels = Sentinels::new(targets(sentinels)?, service.clone(), target(nodes)?);
                Ok(Topology::One(Place::Asked(sentinels)))
            }
            Deployment::Cluster(nodes) => {
                nodes.first().ok_or_else(at_least_one)?;
                let seeds = targets(nodes)?;
                let Some(seed) = seeds.iter().find(|seed| seed.database() != 0) else {
                    return Ok(Topology::Many(Cluster::new(seeds)));
                };
                let (address, database) = (seed.address(), seed.database());
                let detail = format!("a cluster has no database but 0, and the URL of {address} names {database}");
                Err(Error::config("redis url", detail))
            }
        }
    }

    #[cfg(feature = "tls")]
    fn urls(&self) -> impl Iterator<Item = &String> {
        let (urls, more) = match &self.deployment {
            Deployment::Server(url) => (std::slice::from_ref(url), None),
            Deployment::Sentinel { sentinels, nodes, .. } => (sentinels.as_slice(), nodes.as_ref()),
            Deployment::Cluster(nodes) => (nodes.as_slice(), None),
        };
        urls.iter().chain(more)
    }
}

impl From<&str> for Redis {
    fn from(url: &str) -> Self {
        Self::server(url)
    }
}

impl From<String> for Redis {
    fn from(url: String) -> Self {
        Self::server(url)
    }
}

impl From<&String> for Redis {
    fn from(url: &String) -> Self {
        Self::server(url)
    }
}

impl fmt::Debug for Redis {
    /// Without URLs and keys, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.deployment {
            Deployment::Server(_) => "server",
            Deployment::Sentinel { .. } => "sentinel",
            Deployment::Cluster(_) => "cluster",
        };
        f.debug_struct("Redis").field("deployment", &kind).finish_non_exhaustive()
    }
}
