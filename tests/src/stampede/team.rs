//! The nodes of one row, as the parent has them: a Redis of their own, an origin, processes that obey.

use std::{path::Path, time::Duration};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

use super::{
    Settings,
    orders::{Call, Crowd, Crowded, Keeps, Order, Pace, Report, Setup},
    origin::{Line, Origin},
};
use crate::{
    fixtures::{NodeProcess, RedisServer},
    torture::Moment,
};

/// From an order until what it orders begins: time enough to tell all of them.
pub(crate) const NOTICE: Duration = Duration::from_millis(500);

const NICE: u8 = 10;

/// Nodes, their Redis if they have one, and where they load from.
pub(crate) struct Team {
    pub(crate) redis: Option<RedisServer>,
    pub(crate) origin: Origin,
    members: Vec<Member>,
}

/// A node, and the line to it.
struct Member {
    number: usize,
    line: Line,
    _process: NodeProcess,
}

impl Team {
    /// So many processes over a Redis that is empty; or one without.
    pub(crate) async fn start(settings: &Settings, keeps: &Keeps, load: Duration, processes: Option<usize>) -> Self {
        let redis = match processes {
            Some(_) => Some(RedisServer::start().await),
            None => None,
        };
        let mut origin = Origin::start(load).await;
        let mut started = Vec::new();
        for number in 0..processes.unwrap_or(1) {
            let setup = Setup {
                number,
                parent: origin.address(),
                redis: redis.as_ref().map(RedisServer::url),
                budget: settings.budget.as_millis() as u64,
                keeps: keeps.clone(),
            };
            let setup = serde_json::to_string(&setup).expect("a setup can be written");
            started.push(Some(start(&settings.program, setup)));
        }
        let mut members = Vec::new();
        while members.len() < started.len() {
            let (number, mut line) = origin.next_node().await;
            let process = started[number].take().expect("each node comes once");
            hear(&mut line).await;
            members.push(Member { number, line, _process: process });
        }
        members.sort_by_key(|member| member.number);
        Self { redis, origin, members }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// `kill -9`. Returns when it is gone.
    pub(crate) fn kill(&mut self, number: usize) {
        self.members.retain(|member| member.number != number);
    }

    /// Has a crowd come to every node.
    pub(crate) async fn crowd(&mut self, crowd: Crowd) -> Crowded {
        self.tell(|_| Order::Crowd(crowd)).await;
        self.crowded().await
    }

    /// What came of the crowd, of all nodes that are left.
    pub(crate) async fn crowded(&mut self) -> Crowded {
        let mut all = Crowded::default();
        for member in &mut self.members {
            let Report::Crowd(crowded) = hear(&mut member.line).await else { unreachable!("a crowd was ordered") };
            all.waits.extend(crowded.waits);
            all.left += crowded.left;
            all.failed += crowded.failed;
            all.trips_failed += crowded.trips_failed;
        }
        all
    }

    /// Has callers come one after another to all nodes in turn: `rate` a second over all of them. Answers when they begin.
    pub(crate) async fn pace(&mut self, rate: u64, lasts: Duration, ids: u64) -> Moment {
        let (at, nodes) = (soon(), self.members.len() as u64);
        let every = 1_000_000 * nodes / rate;
        // Each begins by its part of the pause after the one before it.
        let begins = |member: usize| at.0 + 1_000 * every * member as u64 / nodes;
        let pace = |at| Pace { at, every, lasts: lasts.as_millis() as u64, ids };
        self.tell(|member| Order::Pace(pace(begins(member)))).await;
        at
    }

    /// What came of the calls, by node.
    pub(crate) async fn paced(&mut self) -> Vec<Vec<Call>> {
        let mut all = Vec::new();
        for member in &mut self.members {
            let Report::Pace(calls) = hear(&mut member.line).await else { unreachable!("a pace was ordered") };
            all.push(calls);
        }
        all
    }

    /// Gives orders, and waits for nothing.
    pub(crate) async fn tell(&mut self, order: impl Fn(usize) -> Order) {
        for (at, member) in self.members.iter_mut().enumerate() {
            let order = serde_json::to_string(&order(at)).expect("an order can be written");
            member.line.write_all(format!("{order}\n").as_bytes()).await.expect("the node is there");
            member.line.flush().await.expect("the node is there");
        }
    }
}

/// One caller of one key on each node.
pub(crate) fn one_each() -> Crowd {
    Crowd { at: soon().0, callers: 1, keys: 1, first: 0, leaving: 0.0, leaving_within: 0, leader_leaves: false }
}

/// A moment that is far enough ahead for everybody to know of it.
pub(crate) fn soon() -> Moment {
    Moment::now().plus(NOTICE)
}

/// Starts a node, which leaves the processor to the parent and to Redis: where these are real, they have machines of their own.
fn start(program: &Path, setup: String) -> NodeProcess {
    let program = program.to_str().expect("a path that is text").to_owned();
    let words = ["-n".to_owned(), NICE.to_string(), program, "node".to_owned(), setup];
    NodeProcess::start(Path::new("nice"), &words)
}

async fn hear(line: &mut Line) -> Report {
    let mut told = String::new();
    line.read_line(&mut told).await.expect("the node is there");
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("a node said {told:?}: {error}"))
}
