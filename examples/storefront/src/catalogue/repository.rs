//! The functions that read and write the catalogue. The attributes are all that the cache asks of them.
//!
//! | scope | what | evicted by |
//! |---|---|---|
//! | `product` | one product, or that there is none | `save` (writes it through), `delete`, `discount` of its category |
//! | `product:stock` | its stock | `restock`, `delete` |
//! | `product:ratings` | what its reviews say | `add_review`, `delete` |
//! | `listing` | a page of a category | whatever changes a product or a rating of that category |
//! | `search`, `top`, `categories` | pages over the whole catalogue | whatever changes the catalogue |
//!
//! The tags reach what the HTTP layer keeps too: a listing for people has those of `by_category`, and the page of a product has
//! `category:..`, which `find` has, and `page:..`, which no function has.

use std::sync::Arc;

use cache_core::{Cache, cache_evict, cache_put, cacheable};
use sqlx::SqlitePool;

use super::Failure;
use super::model::{Category, Listed, PAGE_ROWS, Page, PriceRange, Product, Ratings, Review, Reviewed};
use super::queries;
use crate::loads::Loads;

/// The catalogue. A clone shares everything, so that a load can run on when its caller has gone.
#[derive(Clone)]
pub(crate) struct Repository {
    pool: SqlitePool,
    cache: Cache,
    loads: Arc<Loads>,
}

// === impl Repository: plain ===

impl Repository {
    /// A repository over the database, with `cache` in front.
    pub(crate) fn new(pool: SqlitePool, cache: Cache) -> Self {
        Self { pool, cache, loads: Arc::default() }
    }

    /// The cache that the attributes use: they find it as `self.cache`.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// How often the database was read for want of a cached answer.
    pub(crate) fn loads(&self) -> &Loads {
        &self.loads
    }

    /// Closes the database's connections.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

// === impl Repository: reads ===

impl Repository {
    /// One product. That there is none is remembered too, for the scope's `negative`.
    #[cacheable(key = "product:{id}", tags = ["category:{it.category}"])]
    pub(crate) async fn find(&self, id: u64) -> Result<Option<Product>, Failure> {
        self.loads.count();
        let row = sqlx::query(queries::FIND).bind(integer(id)).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(queries::product).transpose()?)
    }

    /// How many pieces of a product there are.
    #[cacheable(key = "product:stock:{id}", tags = ["item:{id}"])]
    pub(crate) async fn stock(&self, id: u64) -> Result<Option<u64>, Failure> {
        self.loads.count();
        Ok(sqlx::query_scalar(queries::STOCK).bind(integer(id)).fetch_optional(&self.pool).await?)
    }

    /// What the reviews of a product say together.
    #[cacheable(key = "product:ratings:{id}", tags = ["item:{id}"])]
    pub(crate) async fn ratings(&self, id: u64) -> Result<Option<Ratings>, Failure> {
        self.loads.count();
        let row = sqlx::query(queries::RATINGS).bind(integer(id)).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(queries::ratings).transpose()?)
    }

    /// A page of a category, best rated first. Slow: it works out the rating of every product in the category.
    #[cacheable(key = "listing:{category}:{page}", tags = ["category:{category}", "listing:{category}"])]
    pub(crate) async fn by_category(&self, category: &str, page: u32) -> Result<Page, Failure> {
        self.loads.count();
        let rows = sqlx::query(queries::BY_CATEGORY)
            .bind(category)
            .bind(PAGE_ROWS)
            .bind(offset(page))
            .fetch_all(&self.pool)
            .await?;
        Ok(Page { page, products: listed(&rows)? })
    }

    /// A page of the products that have `term` in their name or description, cheapest first. Slow: it reads every row.
    #[cacheable(key = "search:{term}:{price}:{page}", tags = ["catalogue"])]
    pub(crate) async fn search(&self, term: &str, price: PriceRange, page: u32) -> Result<Page, Failure> {
        self.loads.count();
        let query = sqlx::query(queries::SEARCH)
            .bind(queries::contains(term))
            .bind(integer(price.min_cents))
            .bind(integer(price.max_cents));
        let rows = query.bind(PAGE_ROWS).bind(offset(page)).fetch_all(&self.pool).await?;
        Ok(Page { page, products: listed(&rows)? })
    }

    /// The best rated products of all. Slow: it groups every review of the shop.
    #[cacheable(key = "top:{limit}", tags = ["catalogue"])]
    pub(crate) async fn top_rated(&self, limit: u32) -> Result<Page, Failure> {
        self.loads.count();
        let rows = sqlx::query(queries::TOP_RATED).bind(limit).fetch_all(&self.pool).await?;
        Ok(Page { page: 1, products: listed(&rows)? })
    }

    /// All categories.
    #[cacheable(key = "categories", tags = ["catalogue"])]
    pub(crate) async fn categories(&self) -> Result<Arc<[Category]>, Failure> {
        self.loads.count();
        let rows = sqlx::query(queries::CATEGORIES).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(queries::category).collect::<sqlx::Result<_>>()?)
    }
}

// === impl Repository: writes ===

impl Repository {
    /// Creates or updates a product. What it returns is what `find` gives from now on, on every node.
    ///
    /// # Errors
    /// A conflict if the product is in another category: products do not move.
    #[cache_evict(tags = ["listing:{p.category}", "page:{p.id}", "catalogue"])]
    #[cache_put(key = "product:{p.id}", tags = ["category:{it.category}"])]
    pub(crate) async fn save(&self, p: Product) -> Result<Product, Failure> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let query = sqlx::query(queries::SAVE).bind(integer(p.id)).bind(&p.category).bind(&p.name).bind(&p.description);
        let row = query.bind(integer(p.price_cents)).fetch_optional(&mut *transaction).await?;
        let row = row.ok_or(Failure::Conflict("a product does not change its category"))?;
        sqlx::query(queries::SAVE_STOCK).bind(integer(p.id)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(queries::product(&row)?)
    }

    /// Removes a product with its stock and reviews, and gives the category it was in. Its number is a `u32` here and a `u64` in
    /// `find`: one key all the same.
    #[cache_evict(key = "product:{id}", tags = ["item:{id}", "page:{id}", "listing:{it}", "catalogue"])]
    pub(crate) async fn delete(&self, id: u32) -> Result<Option<String>, Failure> {
        Ok(sqlx::query_scalar(queries::DELETE).bind(id).fetch_optional(&self.pool).await?)
    }

    /// Takes `percent` off every price of a category. However many products that is, it is one evict. Gives their number.
    #[cache_evict(tags = ["category:{category}", "catalogue"])]
    pub(crate) async fn discount(&self, category: &str, percent: u8) -> Result<u64, Failure> {
        let done = sqlx::query(queries::DISCOUNT).bind(category).bind(percent).execute(&self.pool).await?;
        Ok(done.rows_affected())
    }

    /// Adds to the stock, or takes from it, and gives what is left; nothing if that would be less than none, or there is no such
    /// product.
    #[cache_evict(key = "product:stock:{id}")]
    pub(crate) async fn restock(&self, id: u64, change: i64) -> Result<Option<u64>, Failure> {
        Ok(sqlx::query_scalar(queries::RESTOCK).bind(integer(id)).bind(change).fetch_optional(&self.pool).await?)
    }

    /// Stores a review. The ratings of its product change, and with them the listings of its category and the pages over all.
    #[cache_evict(key = "product:ratings:{id}", tags = ["page:{id}", "listing:{it.category}", "catalogue"])]
    pub(crate) async fn add_review(&self, id: u64, review: Review) -> Result<Reviewed, Failure> {
        let missing = Failure::NotFound("product");
        let product =
            sqlx::query(queries::FIND).bind(integer(id)).fetch_optional(&self.pool).await?.ok_or(missing.clone())?;
        let category = queries::product(&product)?.category;
        let query = sqlx::query_scalar(queries::ADD_REVIEW).bind(integer(id)).bind(review.rating).bind(review.text);
        let id = query.fetch_optional(&self.pool).await?.ok_or(missing)?;
        Ok(Reviewed { id, category })
    }
}

/// As SQLite's integer. What does not fit becomes its largest: no row has that, as numbers are checked when they are stored.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn offset(page: u32) -> i64 {
    i64::from(page.saturating_sub(1)) * i64::from(PAGE_ROWS)
}

fn listed(rows: &[sqlx::sqlite::SqliteRow]) -> Result<Arc<[Listed]>, Failure> {
    Ok(rows.iter().map(queries::listed).collect::<sqlx::Result<_>>()?)
}
