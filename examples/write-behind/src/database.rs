//! The database: SQLite in a file, or PostgreSQL.

use cache_core::{
    Cache,
    behind::{PostgresSink, SqliteSink, WriteBehind},
};
use sqlx::{PgPool, SqlitePool, postgres::PgPoolOptions, sqlite::SqliteConnectOptions};

use crate::{
    Problem,
    shop::{Stock, Views},
};

pub(crate) enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

const STOCK: &str = "CREATE TABLE IF NOT EXISTS stock (product bigint PRIMARY KEY, pieces bigint NOT NULL, \
                     cache_version bigint NOT NULL DEFAULT 0)";
const VIEWS: &str = "CREATE TABLE IF NOT EXISTS views (page bigint PRIMARY KEY, count bigint NOT NULL DEFAULT 0, \
                     cache_version bigint NOT NULL DEFAULT 0)";
const STANDING: &str = "SELECT (SELECT count(*) FROM views), (SELECT CAST(coalesce(sum(count), 0) AS bigint) FROM views), \
                        (SELECT count(*) FROM stock)";

impl Database {
    pub(crate) async fn open(url: &str) -> Result<Self, Problem> {
        if url.starts_with("postgres") {
            let pool = PgPoolOptions::new().connect(url).await?;
            sqlx::raw_sql(STOCK).execute(&pool).await?;
            sqlx::raw_sql(VIEWS).execute(&pool).await?;
            return Ok(Self::Postgres(pool));
        }
        let options: SqliteConnectOptions = url.parse().map_err(|problem| {
            format!("`{url}` is no database: write sqlite://FILE or postgres://USER@HOST/DATABASE ({problem})")
        })?;
        let pool = SqlitePool::connect_with(options.create_if_missing(true)).await?;
        sqlx::raw_sql(STOCK).execute(&pool).await?;
        sqlx::raw_sql(VIEWS).execute(&pool).await?;
        Ok(Self::Sqlite(pool))
    }

    /// The journals of both tables.
    pub(crate) async fn journals(&self, cache: &Cache) -> Result<(WriteBehind<Stock>, WriteBehind<Views>), Problem> {
        Ok(match self {
            Self::Sqlite(pool) => {
                let stock = SqliteSink::new(pool.clone(), "stock").keyed_by("stock:{product}");
                let views = SqliteSink::new(pool.clone(), "views").keyed_by("views:{page}").counter_column("count");
                (cache.write_behind("stock", stock).start().await?, cache.write_behind("views", views).start().await?)
            }
            Self::Postgres(pool) => {
                let stock = PostgresSink::new(pool.clone(), "stock").keyed_by("stock:{product}");
                let views = PostgresSink::new(pool.clone(), "views").keyed_by("views:{page}").counter_column("count");
                (cache.write_behind("stock", stock).start().await?, cache.write_behind("views", views).start().await?)
            }
        })
    }

    /// Pages, views and products.
    pub(crate) async fn standing(&self) -> Result<(i64, i64, i64), Problem> {
        Ok(match self {
            Self::Sqlite(pool) => sqlx::query_as(STANDING).fetch_one(pool).await?,
            Self::Postgres(pool) => sqlx::query_as(STANDING).fetch_one(pool).await?,
        })
    }
}
