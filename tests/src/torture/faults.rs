//! What happens to a deployment and its nodes.

use std::time::Duration;

use super::{
    clock::Moment,
    deployment::{Deployment, Kind},
    director::Director,
    history::Loss,
};
use crate::fixtures::{Direction, Proxy, RedisServer};

/// For a failover, a start with much to load, and a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What a replica may lack when its primary is killed in the middle of things.
const LAG: Duration = Duration::from_secs(1);

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A node's connections are cut.
    Cut,
    /// They are cut, and refused for a while.
    Refuse,
    /// Nothing comes from the server to a node.
    StallToClient,
    /// Nothing comes from a node to the server.
    StallToServer,
    /// A line is slow.
    Delay,
    /// `SIGSTOP` and `SIGCONT` of Redis.
    StopRedis,
    /// `kill -9`; it comes back with everything, at once or after another took its place.
    KillRedis,
    /// It comes back with nothing.
    RestartEmpty,
    /// It comes back with an older state.
    RestartOlder,
    /// A replica takes over in good order.
    FailOver,
    /// A replica takes over that lacks what was acknowledged last.
    LoseSuffix,
    /// Slots move from one primary to another.
    MoveSlots,
    KillListeners,
    KillOthers,
    Flush,
    /// Somebody sets `notify-keyspace-events` to nothing.
    Deafen,
    /// Redis is short of memory and evicts.
    Reclaim,
    ForgetScripts,
    /// `SIGSTOP` and `SIGCONT` of a node.
    StopNode,
    /// `kill -9` of a node; another takes its place.
    KillNode,
}

impl Fault {
    /// What may happen to a deployment.
    pub fn of(kind: Kind) -> Vec<Self> {
        let on_a_line = [Self::Cut, Self::Refuse, Self::StallToClient, Self::StallToServer, Self::Delay];
        let always = [
            Self::StopRedis,
            Self::KillRedis,
            Self::KillListeners,
            Self::KillOthers,
            Self::Flush,
            Self::Deafen,
            Self::Reclaim,
            Self::ForgetScripts,
            Self::StopNode,
            Self::KillNode,
        ];
        let more: &[Self] = match kind {
            Kind::Single => &[Self::RestartEmpty, Self::RestartOlder],
            Kind::Sentinel => &[Self::FailOver, Self::LoseSuffix],
            Kind::Cluster => &[Self::FailOver, Self::LoseSuffix, Self::MoveSlots],
        };
        let lines: &[Self] = if kind == Kind::Single { &on_a_line } else { &[] };
        [lines, &always, more].concat()
    }

    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cut => "line cut",
            Self::Refuse => "line cut, refused for a while",
            Self::StallToClient => "half-open, nothing from Redis",
            Self::StallToServer => "half-open, nothing to Redis",
            Self::Delay => "line delayed",
            Self::StopRedis => "SIGSTOP of Redis",
            Self::KillRedis => "kill -9 of Redis",
            Self::RestartEmpty => "Redis restarted empty",
            Self::RestartOlder => "Redis restarted from a snapshot",
            Self::FailOver => "failover in good order",
            Self::LoseSuffix => "failover that loses a suffix",
            Self::MoveSlots => "slots moved",
            Self::KillListeners => "CLIENT KILL TYPE pubsub",
            Self::KillOthers => "CLIENT KILL TYPE normal",
            Self::Flush => "FLUSHALL",
            Self::Deafen => "notify-keyspace-events \"\"",
            Self::Reclaim => "maxmemory, records evicted",
            Self::ForgetScripts => "SCRIPT FLUSH",
            Self::StopNode => "SIGSTOP of a node",
            Self::KillNode => "kill -9 of a node",
        }
    }

    /// Makes it happen, and takes it back. Answers what was lost by it.
    pub(crate) async fn inject(self, director: &Director) -> Option<Loss> {
        let deployment = &*director.deployment;
        let lasts = director.bound.mul_f64(0.2 + 2.0 * fastrand::f64());
        match self {
            Self::Cut | Self::Refuse | Self::StallToClient | Self::StallToServer | Self::Delay => {
                if let Some(line) = director.a_line() {
                    self.on_the_line(&line, director.bound, lasts).await;
                }
                None
            }
            Self::StopNode => {
                director.stop_a_node(lasts).await;
                None
            }
            Self::KillNode => {
                director.replace_a_node().await;
                None
            }
            Self::RestartEmpty | Self::RestartOlder => self.restart(deployment, lasts).await,
            Self::KillRedis | Self::FailOver | Self::LoseSuffix | Self::MoveSlots => {
                self.of_a_primary(deployment, lasts).await
            }
            _ => {
                self.in_the_servers(deployment, director.bound, lasts).await;
                None
            }
        }
    }

    async fn on_the_line(self, line: &Proxy, bound: Duration, lasts: Duration) {
        match self {
            Self::Cut => line.cut(),
            Self::Refuse => {
                line.refuse();
                passes(lasts).await;
            }
            Self::Delay => {
                let side = if fastrand::bool() { Direction::ToClient } else { Direction::ToServer };
                line.delay(side, bound.mul_f64(fastrand::f64()));
                passes(lasts).await;
            }
            _ => {
                line.stall(if self == Self::StallToClient { Direction::ToClient } else { Direction::ToServer });
                passes(lasts).await;
                if fastrand::bool() {
                    line.cut();
                }
            }
        }
        line.pass();
    }

    /// The one server comes back with less than it had.
    async fn restart(self, deployment: &Deployment, lasts: Duration) -> Option<Loss> {
        let Deployment::Single(redis) = deployment else { return None };
        if self == Self::RestartEmpty {
            redis.kill().await;
            passes(lasts).await;
            redis.restart_empty().await;
            // Nothing that is gone can be stale.
            return None;
        }
        let from = Moment::now();
        let snapshot = redis.snapshot().await;
        passes(lasts).await;
        redis.kill().await;
        redis.restart_from(&snapshot).await;
        Some(Loss { from, at: Moment::now(), healed: None })
    }

    async fn of_a_primary(self, deployment: &Deployment, lasts: Duration) -> Option<Loss> {
        let primary = deployment.a_primary().await;
        let replica = deployment.replica_of(primary).await;
        match (self, deployment, replica) {
            (Self::KillRedis, _, None) => {
                primary.kill().await;
                passes(lasts).await;
                primary.restart().await;
                None
            }
            (Self::KillRedis | Self::LoseSuffix, _, Some(replica)) => {
                let lagging = Moment::now();
                if self == Self::LoseSuffix {
                    replica.pause().await;
                    // Less than what makes it look dead to those who choose.
                    passes(Duration::from_millis(200)).await;
                }
                let killed = Moment::now();
                primary.kill().await;
                if self == Self::LoseSuffix {
                    replica.resume();
                }
                deployment.promoted(replica).await;
                let at = Moment::now();
                deployment.rejoin(primary, replica).await;
                let before = Moment(killed.0.saturating_sub(u64::try_from(LAG.as_nanos()).unwrap_or(0)));
                Some(Loss { from: before.min(lagging), at, healed: None })
            }
            (Self::FailOver, Deployment::Sentinel(watched), _) => {
                let began = Moment::now();
                watched.fail_over().await;
                let at = Moment::now();
                deployment.well().await;
                // A sentinel does not stop the old primary first.
                Some(Loss { from: began, at, healed: None })
            }
            (Self::FailOver, Deployment::Cluster(cluster), Some(replica)) => {
                cluster.promote(replica).await;
                deployment.well().await;
                None
            }
            (Self::MoveSlots, Deployment::Cluster(cluster), _) => {
                let to = cluster.another_primary(primary).await;
                for slot in some_slots(primary).await {
                    cluster.begin_move(slot, primary, to).await;
                    passes(lasts / 8).await;
                    cluster.move_keys(slot, primary, to).await;
                    passes(lasts / 8).await;
                    cluster.finish_move(slot, to).await;
                }
                None
            }
            _ => None,
        }
    }

    async fn in_the_servers(self, deployment: &Deployment, bound: Duration, lasts: Duration) {
        match self {
            Self::StopRedis => {
                let primary = deployment.a_primary().await;
                primary.pause().await;
                // Shorter than what makes others take its place.
                passes(lasts.min(Duration::from_millis(400))).await;
                primary.resume();
            }
            Self::KillListeners => drop(deployment.on_all(&["CLIENT", "KILL", "TYPE", "pubsub"]).await),
            Self::KillOthers => drop(deployment.on_all(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await),
            Self::Flush => drop(deployment.a_primary().await.try_cli(&["FLUSHALL"]).await),
            Self::ForgetScripts => drop(deployment.on_all(&["SCRIPT", "FLUSH"]).await),
            Self::Deafen => {
                let set = |to| ["CONFIG", "SET", "notify-keyspace-events", to];
                deployment.on_all(&set("")).await;
                // Less than a beat nobody can notice; `docs/coherence.md` says so.
                passes(bound / 2 + lasts).await;
                deployment.on_all(&set("K$gxe")).await;
            }
            _ => {
                deployment.on_all(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]).await;
                deployment.on_all(&["CONFIG", "SET", "maxmemory", "1mb"]).await;
                passes(lasts).await;
                deployment.on_all(&["CONFIG", "SET", "maxmemory", "0"]).await;
                deployment.on_all(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
            }
        }
    }
}

/// A few slots of a primary that have something in them.
async fn some_slots(primary: &RedisServer) -> Vec<u16> {
    let mut slots = Vec::new();
    for _ in 0..200 {
        let Ok(Some(key)) = primary.try_cli(&["RANDOMKEY"]).await.map(|key| redis::from_redis_value(key).ok()) else {
            break;
        };
        let key: String = key;
        let slot = primary.try_cli(&["CLUSTER", "KEYSLOT", &key]).await.map(redis::from_redis_value::<u16>);
        if let Ok(Ok(slot)) = slot
            && !slots.contains(&slot)
        {
            slots.push(slot);
        }
        if slots.len() == 3 {
            break;
        }
    }
    slots
}

/// How long something lasts.
async fn passes(duration: Duration) {
    // Time itself.
    tokio::time::sleep(duration).await;
}
