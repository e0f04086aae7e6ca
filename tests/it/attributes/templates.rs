//! Tags belong to a key's template, and scopes to its literal head.

use cache_core::{Bypass, Cache, Key, Outcome, Tier, cache_evict, cache_put, cacheable, key};
use tests::fixtures::{RedisServer, eventually};

use super::{Loads, SOON, hit, told};
use crate::support::{Product, bypassed, node, product};

#[derive(Clone)]
struct Shop {
    cache: Cache,
    loads: Loads,
}

impl Shop {
    fn over(cache: Cache) -> Self {
        Self { cache, loads: Loads::default() }
    }

    fn differs(&self) -> u64 {
        bypassed(&self.cache, Bypass::TagsDiffer)
    }
}

const DIFFERS: Outcome = Outcome::Bypass(Bypass::TagsDiffer);

// === other tags under one template ===

impl Shop {
    #[cacheable(key = "differ-read:{id}", tags = ["differ-category:{it.category}"])]
    async fn find(&self, id: u64) -> Product {
        product(id, self.loads.one())
    }

    #[cacheable(key = "differ-read:{id}")]
    async fn find_without(&self, id: u64) -> Product {
        product(id, self.loads.one())
    }

    #[cacheable(key = "differ-read:{id}", tags = ["differ-shelf:{it.category}"])]
    async fn find_with_another(&self, id: u64) -> Product {
        product(id, self.loads.one())
    }

    #[cacheable(key = "differ-read:{id}", tags = ["differ-category:{it.category}", "differ-shelf:{it.category}"])]
    async fn find_with_more(&self, id: u64) -> Product {
        product(id, self.loads.one())
    }

    #[cacheable(key = "differ-put:{id}", tags = ["differ-category:{it.category}"])]
    async fn find_put(&self, id: u64) -> Product {
        product(id, self.loads.one())
    }

    #[cache_put(key = "differ-put:{id}")]
    async fn put_without(&self, id: u64, revision: u64) -> Product {
        product(id, revision)
    }

    #[cacheable(key = "differ-order:{id}", tags = ["differ-one:{it.id}", "differ-two:{it.id}"])]
    async fn find_one_two(&self, id: u64) -> Product {
        product(id, self.loads.one())
    }

    #[cacheable(key = "differ-order:{id}", tags = ["differ-two:{id}", "differ-one:{id}"])]
    async fn find_two_one(&self, id: u64) -> Product {
        product(id, self.loads.one())
    }

    #[cache_put(key = "differ-order:{id}", tags = ["differ-two:{it.id}", "differ-one:{id}"])]
    async fn put_two_one(&self, id: u64, revision: u64) -> Product {
        product(id, revision)
    }
}

#[tokio::test]
async fn reader_with_other_tags_stores_nothing_and_is_counted() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let shop = Shop::over(cache);
        // The first site of the template.
        shop.find(1).await;
        for id in [7, 8] {
            assert_eq!(told(shop.find_without(id)).await.1, DIFFERS);
            assert_eq!(told(shop.find_without(id)).await.1, DIFFERS, "it stored nothing");
            assert_eq!(told(shop.find_with_another(id)).await.1, DIFFERS, "as many tags are not the same tags");
            assert_eq!(told(shop.find_with_more(id)).await.1, DIFFERS);
            assert_eq!(shop.cache.get::<Product>(&Key::new("differ-read").arg(id)).await, None);
        }
        assert_eq!((shop.differs(), shop.loads.count()), (8, 9));
        // The first one is not disturbed.
        assert_eq!(told(shop.find(7)).await.1, Outcome::Loaded);
        assert_eq!(hit(|| shop.find(7)).await.revision, 10);
        let _ack = shop.cache.evict_tag(Key::new("differ-category").arg("books")).await;
        assert_eq!(told(shop.find(7)).await.1, Outcome::Loaded, "and its tag reaches all there is");
    }
}

#[tokio::test]
async fn put_with_other_tags_evicts_and_is_counted() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    for nodes in [vec![a, b], vec![Cache::in_memory()]] {
        let nodes: Vec<_> = nodes.into_iter().map(Shop::over).collect();
        let shop = &nodes[0];
        for other in &nodes {
            other.find_put(7).await;
            eventually(SOON, || async { told(other.find_put(7)).await.1 == Outcome::Hit(Tier::Local) }).await;
        }
        shop.put_without(7, 1_000).await;
        assert_eq!(shop.differs(), 1);
        assert_eq!(shop.cache.get::<Product>(&Key::new("differ-put").arg(7_u64)).await, None, "not stored");
        assert_eq!(told(shop.find_put(7)).await.1, Outcome::Loaded, "evicted");

        // By hand it is the same: the template has a tag, and this gives none.
        for other in &nodes {
            eventually(SOON, || async { told(other.find_put(7)).await.1 == Outcome::Hit(Tier::Local) }).await;
        }
        let loads = nodes[nodes.len() - 1].loads.count();
        let ack = shop.cache.put(key!("differ-put:{7}"), product(7, 2_000)).await;
        assert!(ack.is_applied());
        assert_eq!(shop.differs(), 2);
        for other in &nodes {
            eventually(SOON, || async { told(other.find_put(7)).await.0.revision < 1_000 }).await;
        }
        assert!(shop.loads.count() > 0 && nodes[nodes.len() - 1].loads.count() >= loads);
    }
}

#[tokio::test]
async fn same_tags_in_another_order_and_from_another_source_agree() {
    let redis = RedisServer::start().await;
    for cache in [node(&redis).await, Cache::in_memory()] {
        let shop = Shop::over(cache);
        shop.find_one_two(7).await;
        assert_eq!(hit(|| shop.find_two_one(7)).await.revision, 1);
        shop.put_two_one(7, 500).await;
        assert_eq!(hit(|| shop.find_one_two(7)).await.revision, 500);
        // By hand too, by text and by words.
        let by_text = shop.cache.entry(key!("differ-order:{7}"));
        let put = by_text.tag(key!("differ-one:{7}")).tag(Key::new("differ-two").arg(7_u64)).put(product(7, 600));
        assert!(put.await.is_applied());
        assert_eq!(hit(|| shop.find_two_one(7)).await.revision, 600);
        let by_words = shop.cache.entry(Key::new("differ-order").arg(7_u64));
        let put = by_words.tag(Key::new("differ-two").arg(7_u64)).tag(key!("differ-one:{7}")).put(product(7, 700));
        assert!(put.await.is_applied());
        assert_eq!(hit(|| shop.find_one_two(7)).await.revision, 700);
        assert_eq!((shop.differs(), shop.loads.count()), (0, 1));
        for tag in ["differ-one", "differ-two"] {
            let before = shop.loads.count();
            let _ack = shop.cache.evict_tag(Key::new(tag).arg(7_u64)).await;
            assert_eq!(shop.find_two_one(7).await.revision, before + 1, "{tag} reaches it");
        }
    }
}

// === scopes ===

impl Shop {
    #[cacheable(key = "scoped:{id}")]
    async fn scoped(&self, id: u64) -> u64 {
        id + self.loads.one()
    }

    #[cacheable(key = "scoped:stock:{id}")]
    async fn stock(&self, id: u64) -> u64 {
        id + self.loads.one()
    }

    #[cacheable(key = "scoped:stock:cold:{id}")]
    async fn cold(&self, id: u64) -> u64 {
        id + self.loads.one()
    }

    /// Begins with the same letters, and is another scope.
    #[cacheable(key = "scopedness:{id}")]
    async fn scopedness(&self, id: u64) -> u64 {
        id + self.loads.one()
    }

    #[cache_evict(scope = "scoped")]
    async fn evict_all(&self) {}

    #[cache_evict(scope = "scoped:stock")]
    async fn evict_stock(&self) -> Result<(), ()> {
        Ok(())
    }

    /// The scope of the key, not the key.
    #[cache_evict(key = "scoped:stock:{id}", scope)]
    async fn evict_stock_of(&self, id: u64) {
        let _ = id;
    }

    /// Which of one of each kind are still there.
    async fn kept(&self) -> [bool; 4] {
        let mut kept = [false; 4];
        for (at, kept) in kept.iter_mut().enumerate() {
            *kept = self.one(at).await.is_hit();
        }
        kept
    }

    async fn one(&self, at: usize) -> Outcome {
        match at {
            0 => told(self.scoped(7)).await.1,
            1 => told(self.stock(7)).await.1,
            2 => told(self.cold(7)).await.1,
            _ => told(self.scopedness(7)).await.1,
        }
    }

    async fn warm(&self) {
        for at in 0..4 {
            eventually(SOON, || async { self.one(at).await == Outcome::Hit(Tier::Local) }).await;
        }
    }
}

#[tokio::test]
async fn evict_with_scope_reaches_what_is_in_it_and_below_and_nothing_else() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    for nodes in [vec![a, b], vec![Cache::in_memory()]] {
        let nodes: Vec<_> = nodes.into_iter().map(Shop::over).collect();
        let (writer, reader) = (&nodes[0], &nodes[nodes.len() - 1]);
        let expected = [
            ("scope = \"scoped\"", [false, false, false, true]),
            ("scope = \"scoped:stock\"", [true, false, false, true]),
            ("key = \"scoped:stock:{id}\", scope", [true, false, false, true]),
        ];
        for (what, expected) in expected {
            reader.warm().await;
            writer.warm().await;
            match what {
                "scope = \"scoped\"" => writer.evict_all().await,
                "scope = \"scoped:stock\"" => writer.evict_stock().await.unwrap(),
                _ => writer.evict_stock_of(8).await,
            }
            assert_eq!(writer.kept().await, expected, "{what}");
            // What the writer has loaded again the reader finds in Redis: it has not kept what it had itself.
            reader.warm().await;
            writer.warm().await;
            let values = |shop: &Shop| {
                let shop = shop.clone();
                async move { [shop.scoped(7).await, shop.stock(7).await, shop.cold(7).await, shop.scopedness(7).await] }
            };
            eventually(SOON, || async { values(reader).await == values(writer).await }).await;
        }
    }
}
