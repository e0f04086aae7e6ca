//! What happens in the shop, and where it is written.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_core::{
    Cache,
    behind::{Lag, WriteBehind},
    key,
};
use serde::{Deserialize, Serialize};

use crate::{Problem, database::Database};

/// What is left of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stock {
    pub(crate) product: u64,
    pub(crate) pieces: i64,
}

/// The views of a page are counted; nothing is ever put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Views {
    pub(crate) page: u64,
}

pub(crate) struct Shop {
    stock: WriteBehind<Stock>,
    views: WriteBehind<Views>,
    accepted: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl Shop {
    pub(crate) async fn open(cache: &Cache, database: &Database) -> Result<Self, Problem> {
        let (stock, views) = database.journals(cache).await?;
        Ok(Self { stock, views, accepted: Arc::default(), refused: Arc::default() })
    }

    /// Customers who look and buy, so many at once, for ever.
    pub(crate) async fn customers(&self, count: usize, rows: u64) {
        let mut customers = tokio::task::JoinSet::new();
        for _ in 0..count.max(1) {
            let (stock, views) = (self.stock.clone(), self.views.clone());
            let (accepted, refused) = (Arc::clone(&self.accepted), Arc::clone(&self.refused));
            customers.spawn(async move {
                loop {
                    let id = popular(rows);
                    let changed = if fastrand::u8(..) < 200 {
                        views.increment(key!("views:{id}"), 1).await
                    } else {
                        let left = Stock { product: id, pieces: fastrand::i64(0..1_000) };
                        stock.put(key!("stock:{id}"), &left).await
                    };
                    match changed {
                        Ok(_) => accepted.fetch_add(1, Ordering::Relaxed),
                        Err(_) => refused.fetch_add(1, Ordering::Relaxed),
                    };
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        while customers.join_next().await.is_some() {}
    }

    /// One line: how far everything is.
    pub(crate) async fn progress(&self) -> Result<String, Problem> {
        let (stock, views) = (self.stock.lag().await?, self.views.lag().await?);
        let sum = |of: fn(&Lag) -> u64| of(&stock) + of(&views);
        let (flushed, writes) = (sum(|lag| lag.flushed), sum(|lag| lag.writes));
        Ok(format!(
            "accepted {} · journaled {} · oldest {:?} · flushed {flushed} · database writes {writes} ({} saved) · refused {} · dead {}",
            self.accepted.load(Ordering::Relaxed),
            sum(|lag| lag.changes),
            stock.oldest.max(views.oldest),
            flushed.saturating_sub(writes),
            self.refused.load(Ordering::Relaxed),
            sum(|lag| lag.dead),
        ))
    }

    /// What is in the database.
    pub(crate) async fn standing(&self, database: &Database) -> Result<String, Problem> {
        let (pages, views, products) = database.standing().await?;
        Ok(format!("in the database: {views} views of {pages} pages, {products} products"))
    }

    /// Takes no more, and writes what there is.
    pub(crate) async fn close(&self, within: Duration) -> Result<(), Problem> {
        let (stock, views) = tokio::join!(self.stock.close(within), self.views.close(within));
        stock?;
        views?;
        Ok(())
    }
}

/// Some are asked for more often than others.
fn popular(rows: u64) -> u64 {
    let one = fastrand::f64();
    ((one * one * one) * rows as f64) as u64
}
