//! What `phase`, `on_error`, `unless` and `when` make of a writer.

use std::time::Duration;

use cache_core::{Bypass, Cache, Outcome, Tier, cache_evict, cache_put, cacheable, observe};
use tests::fixtures::{RedisServer, eventually};

use crate::support::{Origin, Product, node, product};

const SOON: Duration = Duration::from_secs(20);
const ID: u64 = 7;

#[derive(Debug, PartialEq, Eq)]
struct Refused;

#[derive(Clone)]
struct Shop {
    cache: Cache,
    origin: Origin,
}

impl Shop {
    #[cacheable(key = "options:{id}", tags = ["options-category:{it.category}"])]
    async fn find(&self, id: u64) -> Result<Option<Product>, Refused> {
        let Ok(row) = self.origin.clone().read(id).await;
        Ok(Some(row))
    }

    /// Commits, and says whether it went well.
    fn commit(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.origin.write(revision);
        if good { Ok(product(id, revision)) } else { Err(Refused) }
    }

    /// Writes while somebody reads the old row, and has it cached.
    async fn read_and_commit(&self, id: u64, revision: u64) -> Result<Product, Refused> {
        assert_eq!(self.outcome().await, Outcome::Loaded, "it was evicted before the body");
        while !self.outcome().await.is_hit() {
            tokio::task::yield_now().await;
        }
        self.commit(id, revision, true)
    }

    #[cache_evict(key = "options:{id}")]
    async fn evict(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_evict(key = "options:{id}", on_error = evict)]
    async fn evict_on_error_evict(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_evict(key = "options:{id}", on_error = keep)]
    async fn evict_on_error_keep(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    /// Without a result nobody knows which.
    #[cache_evict(key = "options:{it.id}")]
    async fn evict_of_the_result(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_evict(tags = ["options-category:{it.category}"], inline)]
    async fn evict_tag_of_the_result(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_put(key = "options:{id}", tags = ["options-category:{it.category}"])]
    async fn put(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_put(key = "options:{id}", tags = ["options-category:{it.category}"], on_error = keep)]
    async fn put_on_error_keep(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_put(key = "options:{it.id}", tags = ["options-category:{it.category}"])]
    async fn insert(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_put(key = "options:{id}", tags = ["options-category:{it.category}"], unless = it.revision == 2)]
    async fn put_unless(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_evict(key = "options:{id}", when = good)]
    async fn evict_when(&self, id: u64, revision: u64, good: bool) -> Result<Product, Refused> {
        self.commit(id, revision, good)
    }

    #[cache_evict(key = "options:{id}", phase = before)]
    async fn evict_before(&self, id: u64, revision: u64) -> Result<Product, Refused> {
        self.read_and_commit(id, revision).await
    }

    #[cache_evict(key = "options:{id}", phase = both)]
    async fn evict_both(&self, id: u64, revision: u64) -> Result<Product, Refused> {
        self.read_and_commit(id, revision).await
    }

    #[cache_evict(key = "options:{id}", phase = after)]
    async fn evict_after(&self, id: u64, revision: u64) -> Result<Product, Refused> {
        assert!(self.outcome().await.is_hit(), "nothing is evicted before the body");
        self.commit(id, revision, true)
    }

    #[cache_put(key = "options:{id}", tags = ["options-category:{it.category}"], phase = both)]
    async fn put_both(&self, id: u64, revision: u64) -> Result<Product, Refused> {
        self.read_and_commit(id, revision).await
    }

    async fn revision(&self) -> u64 {
        self.find(ID).await.unwrap().unwrap().revision
    }

    /// What a read comes to.
    async fn outcome(&self) -> Outcome {
        let (found, seen) = observe(self.find(ID)).await;
        found.unwrap().unwrap();
        seen.last().unwrap().outcome
    }

    async fn is_local(&self) -> bool {
        self.outcome().await == Outcome::Hit(Tier::Local)
    }
}

/// Two nodes on a Redis, then one without; each with revision 1 in its L1.
async fn clusters(redis: &RedisServer) -> [Vec<Shop>; 2] {
    let (one, two) = (Origin::default(), Origin::default());
    let shop = |cache, origin: &Origin| Shop { cache, origin: origin.clone() };
    let clusters =
        [vec![shop(node(redis).await, &one), shop(node(redis).await, &one)], vec![shop(Cache::in_memory(), &two)]];
    for nodes in &clusters {
        nodes[0].origin.write(1);
        for shop in nodes {
            assert_eq!(shop.revision().await, 1);
            eventually(SOON, || shop.is_local()).await;
        }
    }
    clusters
}

async fn all_read(nodes: &[Shop], revision: u64) {
    assert_eq!(nodes[0].revision().await, revision, "whoever writes sees it at once");
    for shop in nodes {
        eventually(SOON, || async { shop.revision().await == revision }).await;
    }
}

/// Every node still serves what it had, without asking anybody.
async fn all_kept(nodes: &[Shop], revision: u64) {
    for shop in nodes {
        let (found, seen) = observe(shop.find(ID)).await;
        assert_eq!((found.unwrap().unwrap().revision, seen[0].outcome), (revision, Outcome::Hit(Tier::Local)));
    }
}

/// What a writer did, by the last of what was observed.
async fn last<F: Future>(writer: F) -> (F::Output, Outcome) {
    let (output, seen) = observe(writer).await;
    (output, seen.last().unwrap().outcome)
}

#[tokio::test]
async fn body_that_fails_evicts_unless_told_to_keep() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let shop = &nodes[0];
        let (failed, outcome) = last(shop.evict(ID, 2, false)).await;
        assert!(failed == Err(Refused) && matches!(outcome, Outcome::Evict(ack) if ack.is_applied()), "{outcome}");
        all_read(&nodes, 2).await;
        shop.evict_on_error_evict(ID, 3, false).await.unwrap_err();
        all_read(&nodes, 3).await;
        shop.put(ID, 4, false).await.unwrap_err();
        all_read(&nodes, 4).await;
    }
}

#[tokio::test]
async fn body_that_fails_and_keeps_leaves_everything_where_it_is() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let shop = &nodes[0];
        let evictions = shop.cache.stats().evictions;
        shop.evict_on_error_keep(ID, 2, false).await.unwrap_err();
        all_kept(&nodes, 1).await;
        shop.put_on_error_keep(ID, 3, false).await.unwrap_err();
        all_kept(&nodes, 1).await;
        assert_eq!(shop.cache.stats().evictions, evictions);
        // And both do evict and put when the body does not fail.
        shop.evict_on_error_keep(ID, 4, true).await.unwrap();
        all_read(&nodes, 4).await;
        shop.put_on_error_keep(ID, 5, true).await.unwrap();
        all_read(&nodes, 5).await;
    }
}

/// What only the result could name is evicted with all that its template can name.
#[tokio::test]
async fn body_that_fails_without_a_result_evicts_the_whole_head() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let shop = &nodes[0];
        shop.evict_of_the_result(ID, 2, false).await.unwrap_err();
        all_read(&nodes, 2).await;
        shop.evict_tag_of_the_result(ID, 3, false).await.unwrap_err();
        all_read(&nodes, 3).await;
        shop.insert(ID, 4, false).await.unwrap_err();
        all_read(&nodes, 4).await;
    }
}

#[tokio::test]
async fn evict_of_the_result_evicts_what_the_result_names_and_no_more() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let shop = &nodes[0];
        shop.find(8).await.unwrap();
        eventually(SOON, || async { observe(shop.find(8)).await.1[0].outcome == Outcome::Hit(Tier::Local) }).await;
        shop.evict_of_the_result(ID, 2, true).await.unwrap();
        all_read(&nodes, 2).await;
        let (other, seen) = observe(shop.find(8)).await;
        assert_eq!((other.unwrap().unwrap().revision, seen[0].outcome), (1, Outcome::Hit(Tier::Local)));
        shop.evict_tag_of_the_result(ID, 3, true).await.unwrap();
        all_read(&nodes, 3).await;
        assert_eq!(shop.find(8).await.unwrap().unwrap().revision, 3, "the tag is that of both");
    }
}

#[tokio::test]
async fn insert_whose_key_only_the_row_knows_evicts() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let loads = nodes[0].origin.loads();
        nodes[0].insert(ID, 2, true).await.unwrap();
        all_read(&nodes, 2).await;
        assert!(nodes[0].origin.loads() > loads, "it stores nothing: the next reader loads");
    }
}

#[tokio::test]
async fn put_is_what_is_read_without_a_load() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let loads = nodes[0].origin.loads();
        let (_, outcome) = last(nodes[0].put(ID, 2, true)).await;
        assert!(matches!(outcome, Outcome::Put(ack) if ack.is_applied()), "{outcome}");
        all_read(&nodes, 2).await;
        assert_eq!(nodes[0].origin.loads(), loads);
    }
}

#[tokio::test]
async fn put_of_a_value_that_unless_refuses_evicts() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let loads = nodes[0].origin.loads();
        nodes[0].put_unless(ID, 2, true).await.unwrap();
        all_read(&nodes, 2).await;
        let loaded = nodes[0].origin.loads();
        assert!(loaded > loads, "it was not stored");
        nodes[0].put_unless(ID, 3, true).await.unwrap();
        all_read(&nodes, 3).await;
        assert_eq!(nodes[0].origin.loads(), loaded, "another is");
    }
}

#[tokio::test]
async fn writer_that_when_refuses_does_nothing_to_the_cache() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        let (failed, outcome) = last(nodes[0].evict_when(ID, 2, false)).await;
        assert_eq!((failed, outcome), (Err(Refused), Outcome::Bypass(Bypass::When)));
        all_kept(&nodes, 1).await;
        nodes[0].evict_when(ID, 3, true).await.unwrap();
        all_read(&nodes, 3).await;
    }
}

#[tokio::test]
async fn phase_before_evicts_before_the_body_and_not_after_it() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        nodes[0].evict_before(ID, 2).await.unwrap();
        assert!(nodes[0].outcome().await.is_hit());
        assert_eq!(nodes[0].revision().await, 1, "whoever read during the body keeps what it read");
    }
}

#[tokio::test]
async fn phase_both_evicts_before_the_body_and_after_it() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        nodes[0].evict_both(ID, 2).await.unwrap();
        all_read(&nodes, 2).await;
        nodes[0].put_both(ID, 3).await.unwrap();
        let loads = nodes[0].origin.loads();
        all_read(&nodes, 3).await;
        assert_eq!(nodes[0].origin.loads(), loads, "after the body, what was put is read");
    }
}

#[tokio::test]
async fn phase_after_evicts_after_the_body_and_not_before_it() {
    let redis = RedisServer::start().await;
    for nodes in clusters(&redis).await {
        nodes[0].evict_after(ID, 2).await.unwrap();
        all_read(&nodes, 2).await;
    }
}
