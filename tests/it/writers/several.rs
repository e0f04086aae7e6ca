//! One put under several keys: by id and by slug.

use std::time::Duration;

use cache_core::{Ack, Cache, Outcome, cache_evict, cache_put, cacheable, observe};
use tests::fixtures::{RedisServer, eventually};

use crate::support::{Origin, Product, node, product};

const SOON: Duration = Duration::from_secs(20);

type Row = Result<Product, std::convert::Infallible>;

#[derive(Clone)]
struct Shop {
    cache: Cache,
    origin: Origin,
}

impl Shop {
    #[cacheable(key = "several:{id}", tags = ["several-category:{it.category}"])]
    async fn by_id(&self, id: u64) -> Row {
        self.origin.clone().read(id).await
    }

    #[cacheable(key = "several_by_slug:{slug}", tags = ["several-category:{it.category}"])]
    async fn by_slug(&self, slug: &str) -> Row {
        self.origin.clone().read(slug.len() as u64).await
    }

    #[cache_put(key = ["several:{id}", "several_by_slug:{slug}"], tags = ["several-category:{it.category}"])]
    async fn save(&self, id: u64, slug: &str, revision: u64) -> Row {
        assert_eq!(slug.len() as u64, id);
        self.origin.write(revision);
        Ok(product(id, revision))
    }

    #[cache_put(
        key = ["several:{id}", "several_by_slug:{slug}", "several_by_category:{it.category}"],
        tags = ["several-category:{it.category}"],
        version = it.revision
    )]
    async fn save_versioned(&self, id: u64, slug: &str, revision: u64) -> Row {
        assert_eq!(slug.len() as u64, id);
        Ok(product(id, revision))
    }

    #[cacheable(key = "several_by_category:{category}")]
    async fn by_category(&self, category: &str) -> Row {
        self.origin.clone().read(category.len() as u64).await
    }

    #[cache_evict(key = ["several:{id}", "several_by_slug:{slug}"])]
    async fn delete(&self, id: u64, slug: &str) -> usize {
        slug.len() + id as usize
    }

    /// Whether both are answered with this revision, and no load.
    async fn have(&self, revision: u64) -> Result<(), (u64, u64)> {
        let ((Ok(one), Ok(other)), seen) = observe(async { (self.by_id(4).await, self.by_slug("slug").await) }).await;
        let is_had =
            one.revision == revision && other.revision == revision && seen.iter().all(|it| it.outcome.is_hit());
        if is_had { Ok(()) } else { Err((one.revision, other.revision)) }
    }
}

/// Two nodes on a Redis, then one without; each with revision 1.
async fn clusters(redis: &RedisServer) -> [Vec<Shop>; 2] {
    let shop = |cache| Shop { cache, origin: Origin::default() };
    let [one, alone] = [shop(node(redis).await), shop(Cache::in_memory())];
    let clusters = [vec![one.clone(), Shop { cache: node(redis).await, ..one }], vec![alone]];
    for nodes in &clusters {
        nodes[0].origin.write(1);
        for shop in nodes {
            eventually(SOON, async || shop.have(1).await).await;
        }
    }
    clusters
}

#[tokio::test]
async fn one_put_is_read_under_every_key_without_a_load() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let loads = nodes[0].origin.loads();
        let (Ok(_), seen) = observe(nodes[0].save(4, "slug", 2)).await;
        assert!(matches!(seen[..], [ref one] if matches!(one.outcome, Outcome::Put(Ack::Applied(_)))), "{seen:?}");
        assert_eq!(nodes[0].have(2).await, Ok(()), "whoever writes sees it at once");
        for shop in &nodes {
            eventually(SOON, async || shop.have(2).await).await;
        }
        assert_eq!(nodes[0].origin.loads(), loads);
        let stats = nodes[0].cache.stats();
        assert_eq!(stats.puts, 1, "one call");
    }
}

#[tokio::test]
async fn one_eviction_reaches_every_key() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        nodes[0].origin.write(2);
        nodes[0].delete(4, "slug").await;
        for shop in &nodes {
            eventually(SOON, async || shop.have(2).await).await;
        }
    }
}

#[tokio::test]
async fn rows_with_versions_are_compared_under_each_key_and_keys_over_the_result_are_evicted() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let Ok(_) = nodes[0].by_category("books").await;
        let Ok(_) = nodes[0].save_versioned(4, "slug", 3).await;
        let Ok(_) = nodes.last().unwrap().save_versioned(4, "slug", 2).await;
        for shop in &nodes {
            eventually(SOON, async || shop.have(3).await).await;
        }
        nodes[0].origin.write(7);
        eventually(SOON, async || match nodes[0].by_category("books").await.unwrap().revision {
            7 => Ok(()),
            other => Err(other),
        })
        .await;
    }
}
