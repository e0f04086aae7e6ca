//! Writers and readers of one row, all at once: no reader is told of less than what a writer of its own node had acknowledged
//! when it asked; and when all is quiet, every node has the last row.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_core::{Cache, cache_evict, cache_put, cacheable};
use tests::fixtures::{RedisServer, eventually};
use tokio::task::yield_now;

use crate::support::{Product, node, product};

const SOON: Duration = Duration::from_secs(20);
const ROUNDS: u64 = 8;
const WRITES: u64 = 60;
const READS: u64 = 400;

type Row = Result<Product, std::convert::Infallible>;

/// A node.
#[derive(Clone)]
struct Shop {
    cache: Cache,
    row: Arc<AtomicU64>,
    /// The newest revision that a writer of this node has returned.
    acknowledged: Arc<AtomicU64>,
}

async fn pause(times: u64) {
    for _ in 0..times {
        yield_now().await;
    }
}

impl Shop {
    #[cacheable(key = "stream:{id}", tags = ["stream-category:{it.category}"], skip(wait))]
    async fn find(&self, id: u64, wait: u64) -> Row {
        self.load(id, wait).await
    }

    #[cacheable(key = "stream:{id}", tags = ["stream-category:{it.category}"], skip(wait), inline)]
    async fn find_inline(&self, id: u64, wait: u64) -> Row {
        self.load(id, wait).await
    }

    async fn load(&self, id: u64, wait: u64) -> Row {
        pause(wait % 3).await;
        let revision = self.row.load(Ordering::SeqCst);
        pause(wait % 4).await;
        Ok(product(id, revision))
    }

    async fn commit(&self, id: u64, wait: u64) -> Row {
        pause(wait % 4).await;
        let revision = self.row.fetch_add(1, Ordering::SeqCst) + 1;
        pause(wait % 3).await;
        Ok(product(id, revision))
    }

    #[cache_put(key = "stream:{id}", tags = ["stream-category:{it.category}"])]
    async fn put(&self, id: u64, wait: u64) -> Row {
        self.commit(id, wait).await
    }

    #[cache_put(key = "stream:{id}", tags = ["stream-category:{it.category}"], inline)]
    async fn put_inline(&self, id: u64, wait: u64) -> Row {
        self.commit(id, wait).await
    }

    #[cache_evict(key = "stream:{id}")]
    async fn evict(&self, id: u64, wait: u64) -> Row {
        self.commit(id, wait).await
    }

    #[cache_evict(tags = ["stream-category:{it.category}"])]
    async fn evict_tag(&self, id: u64, wait: u64) -> Row {
        self.commit(id, wait).await
    }

    #[cache_evict(scope = "stream")]
    async fn evict_scope(&self, id: u64, wait: u64) -> Row {
        self.commit(id, wait).await
    }

    async fn writes(self, id: u64, seed: u64) {
        for number in 0..WRITES {
            // Not at random, but no two writers go through them in step.
            let turn = number * 7 + seed * 13;
            let Ok(row) = match turn % 5 {
                0 => self.put(id, turn).await,
                1 => self.put_inline(id, turn).await,
                2 => self.evict(id, turn).await,
                3 => self.evict_tag(id, turn).await,
                _ => self.evict_scope(id, turn).await,
            };
            self.acknowledged.fetch_max(row.revision, Ordering::SeqCst);
            pause(turn % 17).await;
        }
    }

    async fn reads(self, id: u64, seed: u64) {
        for number in 0..READS {
            let acknowledged = self.acknowledged.load(Ordering::SeqCst);
            let wait = number + seed;
            let Ok(row) =
                if seed.is_multiple_of(2) { self.find(id, wait).await } else { self.find_inline(id, wait).await };
            assert!(row.revision >= acknowledged, "told of {} when {acknowledged} was acknowledged", row.revision);
            yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reader_is_never_told_of_less_than_its_node_has_acknowledged() {
    let redis = RedisServer::start().await;
    let row = Arc::new(AtomicU64::new(1));
    let shop = |cache| Shop { cache, row: Arc::clone(&row), acknowledged: Arc::default() };
    for nodes in [vec![shop(Cache::in_memory())], vec![shop(node(&redis).await), shop(node(&redis).await)]] {
        for id in 0..ROUNDS {
            let mut tasks = Vec::new();
            for (number, shop) in (0..).zip(&nodes) {
                tasks.extend((0..2).map(|seed| tokio::spawn(shop.clone().writes(id, seed * 2 + number))));
                tasks.extend((0..4).map(|seed| tokio::spawn(shop.clone().reads(id, seed))));
            }
            for task in tasks {
                task.await.unwrap();
            }
            let newest = row.load(Ordering::SeqCst);
            for shop in &nodes {
                eventually(SOON, || async { shop.find(id, 0).await.is_ok_and(|row| row.revision == newest) }).await;
            }
        }
        let stats = nodes[0].cache.stats();
        assert!(stats.hits() > stats.misses && stats.puts > 0 && stats.evictions > 0, "{stats}");
    }
}
