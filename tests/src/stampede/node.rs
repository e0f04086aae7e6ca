//! One node: a process that does what it is told until it is killed, or until the parent is gone.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use cache_core::{Cache, CoherenceState, key};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

use super::{
    crowd,
    orders::{Keeps, Order, Report, Row, Setup},
    origin::{Failed, Line, Source},
    pace,
    recipe::Recipe,
};
use crate::fixtures::eventually;

/// Whatever it is that keeps values here.
#[derive(Clone)]
pub(crate) enum Keeper {
    Cache(Cache),
    Recipe(Recipe),
}

/// A node's means.
pub(crate) struct Node {
    pub(crate) keeper: Keeper,
    pub(crate) source: Source,
    /// Whether one of its callers has led already.
    pub(crate) has_led: AtomicBool,
}

/// Lives as the node that these words describe.
///
/// # Panics
///
/// If the words are not those of a node.
pub async fn live(words: &[String]) {
    let setup = words.first().expect("the words of a node");
    let setup: Setup = serde_json::from_str(setup).expect("the words of a node");
    let source = Source::at(setup.parent, setup.number);
    let node = Arc::new(Node { keeper: keeper(&setup).await, source, has_led: AtomicBool::new(false) });
    // An error says that the parent is gone.
    let _gone = obey(&node).await;
}

async fn obey(node: &Arc<Node>) -> io::Result<()> {
    let mut line = node.source.orders().await?;
    tell(&mut line, &Report::Ready).await?;
    loop {
        let mut order = String::new();
        if line.read_line(&mut order).await? == 0 {
            return Ok(());
        }
        let report = match serde_json::from_str(&order)? {
            Order::Crowd(order) => Report::Crowd(crowd::come(node, order).await),
            Order::Pace(order) => Report::Pace(pace::walk(node, order).await),
        };
        tell(&mut line, &report).await?;
    }
}

async fn tell(line: &mut Line, report: &Report) -> io::Result<()> {
    let told = serde_json::to_string(report)?;
    line.write_all(format!("{told}\n").as_bytes()).await?;
    line.flush().await
}

/// What keeps values, ready and in order.
async fn keeper(setup: &Setup) -> Keeper {
    let Some(policy) = setup.keeps.policy() else {
        let Keeps::Recipe { ttl } = setup.keeps else { unreachable!("what has no policy is the recipe") };
        let redis = setup.redis.as_deref().expect("the recipe is one for Redis");
        return Keeper::Recipe(Recipe::new(redis, Duration::from_millis(ttl)).await);
    };
    let builder = Cache::builder("stampede").policy(policy).budget(Duration::from_millis(setup.budget));
    let cache = match &setup.redis {
        Some(url) => builder.redis(url.as_str()).ensure_notifications().build().await.unwrap(),
        None => builder.build().await.unwrap(),
    };
    if setup.redis.is_some() {
        eventually(Duration::from_secs(30), async || cache.coherence().state == CoherenceState::Coherent).await;
    }
    Keeper::Cache(cache)
}

// === impl Node ===

impl Node {
    /// Trips to Redis that came to nothing, or took longer than the budget.
    pub(crate) fn trips_failed(&self) -> u64 {
        match &self.keeper {
            Keeper::Cache(cache) => cache.stats().remote_errors,
            Keeper::Recipe(_) => 0,
        }
    }

    /// What a caller of an id is given, and whether it was told that it is old.
    pub(crate) async fn ask(&self, id: u64) -> Result<(Row, bool), Failed> {
        let source = self.source.clone();
        match &self.keeper {
            Keeper::Cache(cache) => {
                let entry = cache.entry(key!("row:{id}")).or_load(|| async move { source.load().await }).await?;
                Ok((*entry.value(), entry.outcome().is_stale()))
            }
            Keeper::Recipe(recipe) => Ok((recipe.get(id, &source).await?, false)),
        }
    }
}
