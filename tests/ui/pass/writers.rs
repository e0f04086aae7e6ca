//! Writers in transactions, with versions, under several keys, and behind: with every shape of argument and result that they allow.

#![deny(warnings)]

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::{
    Cache, Entry, Error, Unit,
    behind::{Batch, Sink, SinkError, WriteBehind, Written},
    cache_evict, cache_put,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u64,
    slug: String,
    version: u64,
}

struct Transaction<'t> {
    unit: &'t mut Unit,
    statements: usize,
}

struct Nowhere;

impl Sink<Product> for Nowhere {
    async fn write(&self, batch: &Batch<Product>) -> Result<Vec<Written>, SinkError> {
        Ok(vec![Written::Applied; batch.writes.len()])
    }
}

type Answer<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[async_trait]
trait Store {
    async fn save(&self, product: Product, transaction: &mut Transaction<'_>) -> Answer<Product>;
    async fn journal(&self, product: Product) -> Answer<Product>;
}

#[derive(Clone)]
struct Products {
    cache: Cache,
    journal: Arc<WriteBehind<Product>>,
}

#[async_trait]
impl Store for Products {
    #[cache_put(key = "product:{product.id}", tags = ["products"], version = it.version, unit = transaction.unit)]
    #[cache_evict(key = "listing:{it.id}", unit = transaction.unit)]
    async fn save(&self, product: Product, transaction: &mut Transaction<'_>) -> Answer<Product> {
        transaction.statements += 1;
        Ok(product)
    }

    #[cache_put(key = "product:{it.id}", behind = self.journal)]
    async fn journal(&self, product: Product) -> Answer<Product> {
        Ok(product)
    }
}

#[cache_put(
    key = ["product:{product.id}", "product_by_slug:{product.slug}", "product_by_version:{it.version}"],
    tags = ["products"],
    version = it.version,
    cache = cache
)]
async fn save(cache: &Cache, product: Product) -> Answer<Option<Product>> {
    let _ = cache;
    Ok(Some(product))
}

#[cache_put(key = "number:{number}", version = *it, cache = cache, unit = unit)]
async fn number(cache: &Cache, number: u64, unit: Option<&Unit>) -> u64 {
    let _ = (cache, unit);
    number
}

#[cache_put(key = "product:{it.id}", behind = journal)]
async fn told(journal: &WriteBehind<Product>, product: &Product) -> Result<Entry<Product>, Error> {
    let _ = journal;
    Ok(product.clone().into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let cache = Cache::in_memory();
    let journal = Arc::new(cache.write_behind("product", Nowhere).start_volatile().await.unwrap());
    let products = Products { cache: cache.clone(), journal: Arc::clone(&journal) };
    let product = Product { id: 7, slug: "seven".to_owned(), version: 3 };
    let mut unit = cache.unit();
    let mut transaction = Transaction { unit: &mut unit, statements: 0 };
    assert_eq!(products.save(product.clone(), &mut transaction).await.unwrap(), product);
    assert_eq!(transaction.statements, 1);
    assert_eq!(unit.intents(), ["key product:7", "key listing:7"]);
    assert!(unit.committed().await.is_applied());
    assert_eq!(save(&cache, product.clone()).await.unwrap(), Some(product.clone()));
    assert_eq!(number(&cache, 3, None).await, 3);
    assert_eq!(number(&cache, 3, Some(&cache.unit())).await, 3);
    assert_eq!(products.journal(product.clone()).await.unwrap(), product);
    assert_eq!(told(&journal, &product).await.unwrap().into_value(), product);
}
