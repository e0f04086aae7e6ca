//! Transactions and the cache, over a real PostgreSQL: rolled back, committed, and killed between the commit and `committed()`; and an
//! outbox, which survives that.
//!
//! Whoever is killed is a process of its own: this binary again, with a test that plays its part and then waits.

use std::process::{Child, Command, Stdio};

use cache_core::{Cache, Outcome, Unit, key, observe};
use sqlx::{
    PgConnection, PgPool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tests::{PostgresServer, RedisServer, eventually};

use crate::support::{PATIENT, Product, coherent, node_at, product};

const SOON: std::time::Duration = std::time::Duration::from_secs(30);
/// Tells the process that is to be killed where everything is, and what it does.
const REDIS: &str = "CACHE_TESTS_OUTBOX_REDIS";
const POSTGRES: &str = "CACHE_TESTS_OUTBOX_POSTGRES";
const PART: &str = "CACHE_TESTS_OUTBOX_PART";

const TABLES: &str = "
    CREATE TABLE product (id bigint PRIMARY KEY, revision bigint NOT NULL);
    CREATE TABLE cache_outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, intent text NOT NULL);
    CREATE TABLE said (word text NOT NULL);
    INSERT INTO product VALUES (7, 1);";

struct Scene {
    redis: RedisServer,
    postgres: PostgresServer,
    pool: PgPool,
    reader: Cache,
}

impl Scene {
    /// A reader that has the old row cached.
    async fn new() -> Self {
        let (redis, postgres) = tokio::join!(RedisServer::start(), PostgresServer::start());
        let pool = postgres.pool().await;
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        let reader = node_at(redis.url()).await;
        let scene = Self { redis, postgres, pool, reader };
        scene.caches(1).await;
        scene
    }

    async fn read(&self) -> (u64, Outcome) {
        let pool = self.pool.clone();
        let load = move || async move {
            let revision: i64 =
                sqlx::query_scalar("SELECT revision FROM product WHERE id = 7").fetch_one(&pool).await?;
            Ok::<_, sqlx::Error>(product(7, revision.unsigned_abs()))
        };
        let (found, seen) = observe(self.reader.get_or_load::<Product, _, _, _>(key!("product:{7}"), load)).await;
        (found.unwrap().revision, seen[0].outcome)
    }

    /// Waits until the reader serves this revision, without a load.
    async fn caches(&self, revision: u64) {
        eventually(SOON, async || {
            let (found, outcome) = self.read().await;
            if found == revision && outcome.is_hit() { Ok(()) } else { Err((found, outcome)) }
        })
        .await;
    }

    /// Waits until the reader has heard of an eviction since it had made so many loads, and has loaded and cached this revision again.
    async fn caches_again(&self, loads: u64, revision: u64) {
        eventually(SOON, async || {
            let _ = self.read().await;
            self.reader.stats().loads > loads
        })
        .await;
        self.caches(revision).await;
    }

    fn loads(&self) -> u64 {
        self.reader.stats().loads
    }

    /// A process that plays a part.
    fn process(&self, part: &str) -> Killed {
        let this = std::env::current_exe().unwrap();
        let mut command = Command::new(this);
        command.args(["--exact", "outbox::part_of_a_process_that_is_killed"]).stdout(Stdio::null());
        command.env(REDIS, self.redis.url()).env(POSTGRES, self.postgres.url()).env(PART, part);
        Killed(command.spawn().unwrap())
    }

    async fn left(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM cache_outbox").fetch_one(&self.pool).await.unwrap()
    }
}

/// A process that ends by `kill -9`, at the end of a test at the latest.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn say(pool: &PgPool, word: &str) {
    sqlx::query("INSERT INTO said VALUES ($1)").bind(word).execute(pool).await.unwrap();
}

async fn heard(pool: &PgPool, word: &str) {
    let count = || sqlx::query_scalar("SELECT count(*) FROM said WHERE word = $1").bind(word).fetch_one(pool);
    eventually(SOON, async || {
        let count: i64 = count().await.unwrap();
        count > 0
    })
    .await;
}

async fn update(transaction: &mut PgConnection, revision: i64) {
    let sql = "UPDATE product SET revision = $1 WHERE id = 7";
    sqlx::query(sql).bind(revision).execute(transaction).await.unwrap();
}

/// What has to be evicted, in the transaction that makes it so.
async fn write_intents(transaction: &mut PgConnection, unit: &Unit) {
    for intent in unit.intents() {
        let sql = "INSERT INTO cache_outbox (intent) VALUES ($1)";
        sqlx::query(sql).bind(intent).execute(&mut *transaction).await.unwrap();
    }
}

/// Evicts what stands in the outbox, and deletes it. How much that was. `evicted` is called in between.
async fn relay(pool: &PgPool, cache: &Cache, evicted: impl AsyncFnOnce()) -> usize {
    let mut transaction = pool.begin().await.unwrap();
    let sql = "SELECT id, intent FROM cache_outbox ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED";
    let rows: Vec<(i64, String)> = sqlx::query_as(sql).fetch_all(&mut *transaction).await.unwrap();
    if rows.is_empty() {
        return 0;
    }
    let ack = cache.evict_intents(rows.iter().map(|(_, intent)| intent)).await;
    evicted().await;
    if ack.is_applied() {
        let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
        sqlx::query("DELETE FROM cache_outbox WHERE id = ANY($1)").bind(ids).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }
    rows.len()
}

/// Plays a part where one is named, and waits for its end; a test of nothing by itself.
#[tokio::test]
async fn part_of_a_process_that_is_killed() {
    let Ok(part) = std::env::var(PART) else { return };
    let pool = PgPool::connect(&std::env::var(POSTGRES).unwrap()).await.unwrap();
    let cache = Cache::builder("shop").redis(std::env::var(REDIS).unwrap()).budget(PATIENT).ensure_notifications();
    let cache = cache.build().await.unwrap();
    coherent(&cache).await;
    if part == "relay" {
        relay(&pool, &cache, async || {
            say(&pool, "evicted").await;
            std::future::pending::<()>().await;
        })
        .await;
    }
    let mut unit = cache.unit();
    let mut transaction = pool.begin().await.unwrap();
    update(&mut transaction, 2).await;
    assert!(unit.evict(&key!("product:{7}")).await.is_applied());
    if part == "writer with an outbox" {
        write_intents(&mut transaction, &unit).await;
    }
    say(&pool, "named").await;
    heard(&pool, "go on").await;
    transaction.commit().await.unwrap();
    say(&pool, "committed").await;
    std::future::pending::<()>().await;
}

/// A writer is killed between its commit and `committed()`. The reader has the old row again, from before the commit.
async fn writer_is_killed(scene: &Scene, part: &str) {
    let loads = scene.loads();
    let writer = scene.process(part);
    heard(&scene.pool, "named").await;
    scene.caches_again(loads, 1).await;
    say(&scene.pool, "go on").await;
    heard(&scene.pool, "committed").await;
    drop(writer);
}

#[tokio::test]
async fn rolled_back_changes_nothing() {
    let scene = Scene::new().await;
    let writer = node_at(scene.redis.url()).await;
    let mut unit = writer.unit();
    let mut transaction = scene.pool.begin().await.unwrap();
    update(&mut transaction, 2).await;
    let loads = scene.loads();
    assert!(unit.evict(&key!("product:{7}")).await.is_applied());
    scene.caches_again(loads, 1).await;
    transaction.rollback().await.unwrap();
    unit.rolled_back();
    let (found, outcome) = scene.read().await;
    assert!(found == 1 && outcome.is_hit(), "{found} {outcome}");
}

#[tokio::test]
async fn committed_is_seen_by_every_reader() {
    let scene = Scene::new().await;
    let writer = node_at(scene.redis.url()).await;
    let mut unit = writer.unit();
    let mut transaction = scene.pool.begin().await.unwrap();
    update(&mut transaction, 2).await;
    let loads = scene.loads();
    assert!(unit.evict(&key!("product:{7}")).await.is_applied());
    scene.caches_again(loads, 1).await;
    transaction.commit().await.unwrap();
    assert!(unit.committed().await.is_applied());
    scene.caches(2).await;
}

#[tokio::test]
async fn killed_after_the_commit_leaves_the_old_value_until_somebody_says_so() {
    let scene = Scene::new().await;
    writer_is_killed(&scene, "writer").await;
    let (found, outcome) = scene.read().await;
    assert!(found == 1 && outcome.is_hit(), "the docs promise no more: {found} {outcome}");
    assert!(scene.reader.evict(&key!("product:{7}")).await.is_applied());
    scene.caches(2).await;
}

#[tokio::test]
async fn outbox_evicts_what_a_killed_writer_has_committed() {
    let scene = Scene::new().await;
    writer_is_killed(&scene, "writer with an outbox").await;
    assert_eq!((scene.read().await.0, scene.left().await), (1, 1));
    let relays = node_at(scene.redis.url()).await;
    assert_eq!(relay(&scene.pool, &relays, async || {}).await, 1);
    scene.caches(2).await;
    assert_eq!(scene.left().await, 0);
    assert_eq!(relay(&scene.pool, &relays, async || {}).await, 0);
}

#[tokio::test]
async fn outbox_of_a_rollback_is_empty() {
    let scene = Scene::new().await;
    let mut unit = scene.reader.unit();
    let mut transaction = scene.pool.begin().await.unwrap();
    assert!(unit.evict(&key!("product:{7}")).await.is_applied());
    write_intents(&mut transaction, &unit).await;
    transaction.rollback().await.unwrap();
    unit.rolled_back();
    assert_eq!(scene.left().await, 0);
}

#[tokio::test]
async fn relay_that_is_killed_before_it_deletes_is_repeated() {
    let scene = Scene::new().await;
    writer_is_killed(&scene, "writer with an outbox").await;
    let first = scene.process("relay");
    heard(&scene.pool, "evicted").await;
    scene.caches(2).await;
    assert_eq!(scene.left().await, 1);
    drop(first);
    let relays = node_at(scene.redis.url()).await;
    // Until the server has noticed, the first one has the row.
    eventually(SOON, async || relay(&scene.pool, &relays, async || {}).await == 1).await;
    assert_eq!(scene.left().await, 0);
    scene.caches(2).await;
}

// === SQLite ===

/// The same over SQLite. What a killed process leaves is what one leaves that forgets its unit: a row, and no eviction.
#[tokio::test]
async fn sqlite_has_it_rolled_back_committed_and_evicted_by_an_outbox() {
    let (redis, folder) = (RedisServer::start().await, tempfile::tempdir().unwrap());
    let options = SqliteConnectOptions::new().filename(folder.path().join("shop.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options.busy_timeout(SOON)).await.unwrap();
    let tables = "
        CREATE TABLE product (id integer PRIMARY KEY, revision integer NOT NULL);
        CREATE TABLE cache_outbox (id integer PRIMARY KEY, intent text NOT NULL);
        INSERT INTO product VALUES (7, 1);";
    sqlx::raw_sql(tables).execute(&pool).await.unwrap();
    let (writer, reader) = (node_at(redis.url()).await, node_at(redis.url()).await);
    let caches = async |loads: u64, revision: u64| {
        let pool = pool.clone();
        let load = || {
            let pool = pool.clone();
            async move {
                let sql = "SELECT revision FROM product WHERE id = 7";
                let revision: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await?;
                Ok::<_, sqlx::Error>(product(7, revision.unsigned_abs()))
            }
        };
        eventually(SOON, async || {
            let (found, seen) = observe(reader.get_or_load::<Product, _, _, _>(key!("product:{7}"), load)).await;
            let (found, outcome) = (found.unwrap().revision, seen[0].outcome);
            let is_well = found == revision && outcome.is_hit() && reader.stats().loads >= loads;
            if is_well { Ok(()) } else { Err((found, outcome)) }
        })
        .await;
    };
    for (revision, end) in [(2, "rolled back"), (3, "committed"), (4, "forgotten")] {
        let before = if revision == 4 { 3 } else { 1 };
        caches(1, before).await;
        let loads = reader.stats().loads;
        let mut unit = writer.unit();
        let mut transaction = pool.begin().await.unwrap();
        let sql = "UPDATE product SET revision = $1 WHERE id = 7";
        sqlx::query(sql).bind(revision).execute(&mut *transaction).await.unwrap();
        assert!(unit.evict(&key!("product:{7}")).await.is_applied());
        for intent in unit.intents() {
            let sql = "INSERT INTO cache_outbox (intent) VALUES ($1)";
            sqlx::query(sql).bind(intent).execute(&mut *transaction).await.unwrap();
        }
        // Loaded again since it was evicted.
        caches(loads + 1, before).await;
        match end {
            "rolled back" => {
                transaction.rollback().await.unwrap();
                unit.rolled_back();
                caches(1, 1).await;
            }
            "committed" => {
                transaction.commit().await.unwrap();
                assert!(unit.committed().await.is_applied());
                caches(1, 3).await;
            }
            _ => {
                transaction.commit().await.unwrap();
                let _never_dropped = std::mem::ManuallyDrop::new(unit);
                caches(1, 3).await;
            }
        }
    }
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, intent FROM cache_outbox").fetch_all(&pool).await.unwrap();
    assert_eq!(rows.len(), 2, "those of the transactions that were committed");
    assert!(writer.evict_intents(rows.iter().map(|(_, intent)| intent)).await.is_applied());
    sqlx::query("DELETE FROM cache_outbox WHERE id <= $1").bind(rows[1].0).execute(&pool).await.unwrap();
    caches(1, 4).await;
}
