//! What is PostgreSQL's own.

use std::time::{Duration, Instant};

use cache_core::behind::{PostgresSink, Sink, SinkError, Written};
use cache_core::{Key, millis};
use serde::Serialize;
use sqlx::postgres::PgPoolOptions;
use tests::{Direction, PostgresServer, Proxy, eventually};

use super::database::{Database, add, applied, at, batch, partition, product, put, refusals};

#[derive(Clone, Serialize)]
struct Product {
    name: String,
}

fn named(name: &str) -> Product {
    Product { name: name.to_owned() }
}

const TABLE: &str =
    "CREATE TABLE product (id bigint PRIMARY KEY, name text UNIQUE, cache_version bigint NOT NULL DEFAULT 0)";

fn is_unavailable(done: &Result<Vec<Written>, SinkError>) -> bool {
    matches!(done, Err(SinkError::Unavailable(_)))
}

#[tokio::test]
async fn server_away_is_unavailable_and_what_was_committed_is_there_after_a_kill() {
    let server = PostgresServer::options().durable().start().await;
    let pool = PgPoolOptions::new().acquire_timeout(millis(500)).connect(&server.url()).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
    let sink = PostgresSink::new(pool.clone(), "product").keyed_by("product:{id}");
    for round in 1..=3 {
        let writes =
            |version| (0..100).map(|id| put(&product(id), version, named(&format!("{version}-{id}")))).collect();
        assert_eq!(sink.write(&batch(1, round, writes(round))).await.unwrap(), vec![Written::Applied; 100]);
        server.kill().await;
        let done = sink.write(&batch(1, round + 1, writes(round + 1))).await;
        assert!(is_unavailable(&done), "{done:?}");
        assert!(sink.position(&partition(0)).await.is_err());
        server.restart().await;
        let versions: Vec<i64> = sqlx::query_scalar("SELECT DISTINCT cache_version FROM product")
            .fetch_all(&server.pool().await)
            .await
            .unwrap();
        assert_eq!(versions, [round as i64]);
        assert_eq!(sink.position(&partition(0)).await.unwrap(), Some(at(round)));
    }
}

#[tokio::test]
async fn database_that_does_not_answer_is_given_up_in_time() {
    let server = PostgresServer::start().await;
    let proxy = Proxy::start(server.address()).await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.url_at(proxy.address())).await.unwrap();
    sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
    let sink = PostgresSink::new(pool.clone(), "product").keyed_by("product:{id}").timeout(millis(400));
    sink.check().await.unwrap();

    // A row that somebody else holds. What waits for it is ended on the server too.
    let direct = server.pool().await;
    let mut other = direct.begin().await.unwrap();
    sqlx::raw_sql("INSERT INTO product VALUES (1, 'held', 1)").execute(&mut *other).await.unwrap();
    let began = Instant::now();
    let done = sink.write(&batch(1, 1, vec![put(&product(1), 5, named("a"))])).await;
    assert!(is_unavailable(&done), "{done:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    eventually(Duration::from_secs(10), async || {
        let left: i64 = sqlx::query_scalar(waiting).fetch_one(&direct).await.unwrap();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    other.commit().await.unwrap();
    assert_eq!(sink.write(&batch(1, 1, vec![put(&product(1), 5, named("a"))])).await.unwrap(), [Written::Applied]);

    // A network that is silent. The connection is not used again.
    proxy.stall(Direction::ToClient);
    let done = sink.write(&batch(1, 2, vec![put(&product(1), 6, named("b"))])).await;
    assert!(is_unavailable(&done), "{done:?}");
    proxy.pass();
    let waiting = PostgresSink::new(pool, "product").keyed_by("product:{id}");
    let again = waiting.write(&batch(1, 2, vec![put(&product(1), 6, named("b"))])).await.unwrap();
    assert!(matches!(again[..], [Written::Applied | Written::Newer(6)]), "{again:?}");
}

#[tokio::test]
async fn refusal_says_why_and_nothing_of_the_row() {
    let Database::Postgres(_server, pool) = Database::postgres().await else { unreachable!() };
    sqlx::raw_sql(
        "CREATE TABLE product (id bigint PRIMARY KEY, name varchar(9) UNIQUE, size int, kind text CHECK (kind <> 'secret'), raw bytea, \
         cache_version bigint NOT NULL DEFAULT 0); \
         CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF NEW.name = 'raise' THEN RAISE EXCEPTION 'not this one'; END IF; \
           IF NEW.name = 'swallow' THEN RETURN NULL; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER stop BEFORE INSERT OR UPDATE ON product FOR EACH ROW EXECUTE FUNCTION stop()",
    )
    .execute(&pool)
    .await
    .unwrap();
    let sink = PostgresSink::new(pool.clone(), "product").keyed_by("product:{id}");
    let value = |json: serde_json::Value| json;
    let cases = [
        (serde_json::json!({"name": "first"}), ""),
        (serde_json::json!({"name": "first"}), "product_name_key\" (23505)"),
        (serde_json::json!({"name": "much too long"}), "too long for type character varying(9) (22001)"),
        (serde_json::json!({"size": 3_000_000_000_u64}), "(22003)"),
        (serde_json::json!({"size": "many"}), "(22P02)"),
        (serde_json::json!({"kind": "secret"}), "product_kind_check\" (23514)"),
        (serde_json::json!({"name": "a\0b"}), "(22P05)"),
        (serde_json::json!({"raw": [1, 2]}), "`\\x01ab`"),
        (serde_json::json!({"raw": "\\x01ab"}), ""),
        (serde_json::json!({"name": "raise"}), "not this one (P0001)"),
        (serde_json::json!({"name": "swallow"}), "left the row as it was"),
    ];
    let writes =
        cases.iter().enumerate().map(|(id, (json, _))| put(&product(id as u64), 1, value(json.clone()))).collect();
    let answers = sink.write(&batch(1, 1, writes)).await.unwrap();
    for ((_, says), refusal) in cases.iter().zip(refusals(&answers)) {
        assert!(refusal.contains(says) && says.is_empty() == refusal.is_empty(), "{says}: {refusal}");
        assert!(["first", "secret", "many", "3000000000"].iter().all(|value| !refusal.contains(value)), "{refusal}");
    }
    // A key that is no number.
    let answers =
        sink.write(&batch(1, 1, vec![put(&Key::new("product").arg("x"), 1, cases[0].0.clone())])).await.unwrap();
    assert!(refusals(&answers)[0].contains("(22P02)"), "{answers:?}");
}

#[tokio::test]
async fn column_that_takes_more_by_now_does_so_without_a_restart() {
    let Database::Postgres(_server, pool) = Database::postgres().await else { unreachable!() };
    let run = async |sql: &'static str| sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    run("CREATE TABLE product (id bigint PRIMARY KEY, name varchar(3), cache_version bigint)").await;
    let sink = PostgresSink::new(pool.clone(), "product").keyed_by("product:{id}");
    let write = async || sink.write(&batch(1, 1, vec![put(&product(1), 1, serde_json::json!({"name": "long"}))])).await;
    assert!(refusals(&write().await.unwrap())[0].contains("(22001)"));
    run("ALTER TABLE product ALTER COLUMN name TYPE varchar(9)").await;
    assert_eq!(write().await.unwrap(), [Written::Applied]);
}

#[tokio::test]
async fn columns_of_many_types_take_their_text() {
    #[derive(Serialize)]
    struct Rich {
        at: &'static str,
        price: u128,
        tags: Vec<&'static str>,
        state: &'static str,
        place: serde_json::Value,
        document: serde_json::Value,
        code: &'static str,
    }
    let Database::Postgres(_server, pool) = Database::postgres().await else { unreachable!() };
    sqlx::raw_sql(
        "CREATE SCHEMA shop; CREATE TYPE shop.state AS ENUM ('new', 'sold'); CREATE TYPE shop.place AS (aisle int, shelf text); \
         CREATE DOMAIN shop.code AS text NOT NULL CHECK (length(VALUE) = 3); \
         CREATE TABLE shop.product (id uuid, at timestamptz, price numeric(40), tags text[], state shop.state, place shop.place, \
           document jsonb, code shop.code, number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, cache_version numeric, UNIQUE (id))",
    )
    .execute(&pool)
    .await
    .unwrap();
    let sink = PostgresSink::new(pool.clone(), "product").schema("shop").keyed_by("product:{id}");
    let id = "2f0cd7a4-9f5e-4c0e-8b59-0f8f0e7a1c11";
    let rich = Rich {
        at: "2026-01-02T03:04:05Z",
        price: u128::MAX,
        tags: vec!["a b", "{c}"],
        state: "sold",
        place: serde_json::json!({"aisle": 4, "shelf": "x"}),
        document: serde_json::json!({"a": [1.5, null]}),
        code: "abc",
    };
    let key = Key::new("product").arg(id);
    assert_eq!(sink.write(&batch(1, 1, vec![put(&key, 1, rich)])).await.unwrap(), [Written::Applied]);
    let row: String = sqlx::query_scalar(
        "SELECT concat_ws('|', id, at AT TIME ZONE 'UTC', price, tags, state, place, document, code) FROM shop.product",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    let wanted =
        format!("{id}|2026-01-02 03:04:05|{}|{{\"a b\",\"{{c}}\"}}|sold|(4,x)|{{\"a\": [1.5, null]}}|abc", u128::MAX);
    assert_eq!(row, wanted);
    let journal: i64 = sqlx::query_scalar("SELECT count(*) FROM shop.cache_journal").fetch_one(&pool).await.unwrap();
    assert_eq!(journal, 1);

    // A key that the database would number by itself.
    let numbered = PostgresSink::new(pool.clone(), "product").schema("shop").keyed_by("product:{number}");
    let value = serde_json::json!({"code": "def"});
    let written = numbered.write(&batch(1, 1, vec![put(&product(70), 1, value)])).await.unwrap();
    assert_eq!(written, [Written::Applied]);
}

#[tokio::test]
async fn constraint_that_waits_for_the_commit_refuses_its_row() {
    let Database::Postgres(_server, pool) = Database::postgres().await else { unreachable!() };
    sqlx::raw_sql(
        "CREATE TABLE product (id bigint PRIMARY KEY, parent bigint REFERENCES product DEFERRABLE INITIALLY DEFERRED, \
         cache_version bigint NOT NULL DEFAULT 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let sink = PostgresSink::new(pool.clone(), "product").keyed_by("product:{id}");
    let child = |id, parent: Option<u64>| put(&product(id), 1, serde_json::json!({"parent": parent}));
    let answers = sink.write(&batch(1, 1, vec![child(1, Some(2)), child(2, None)])).await.unwrap();
    assert_eq!(answers, applied(2), "a parent that comes later");
    let answers = sink.write(&batch(1, 1, vec![child(3, None), child(4, Some(99)), child(5, Some(3))])).await.unwrap();
    assert_eq!((&answers[0], &answers[2]), (&Written::Applied, &Written::Applied));
    assert!(refusals(&answers)[1].contains("foreign key"), "{answers:?}");
}

#[tokio::test]
async fn rights_and_settings_refuse_no_row() {
    let Database::Postgres(server, pool) = Database::postgres().await else { unreachable!() };
    sqlx::raw_sql(TABLE).execute(&pool).await.unwrap();
    sqlx::raw_sql("CREATE ROLE reader LOGIN; GRANT SELECT ON product TO reader").execute(&pool).await.unwrap();
    let url = server.url().replace("postgres@", "reader@");
    let reader = PgPoolOptions::new().connect(&url).await.unwrap();
    let sink = PostgresSink::new(reader, "product").keyed_by("product:{id}");
    let write = || batch(1, 1, vec![put(&product(1), 1, named("a"))]);
    for (says, way_out) in [
        ("permission denied for schema public (42501)", "GRANT CREATE ON SCHEMA public TO reader"),
        ("permission denied for table product (42501)", "GRANT ALL ON product TO reader"),
    ] {
        let done = sink.write(&write()).await;
        assert!(matches!(&done, Err(SinkError::Unavailable(error)) if error.to_string().contains(says)), "{done:?}");
        sqlx::raw_sql(way_out).execute(&pool).await.unwrap();
    }
    assert_eq!(sink.write(&write()).await.unwrap(), [Written::Applied]);
    let counter = PostgresSink::<Product>::new(pool.clone(), "product").keyed_by("product:{id}").counter_column("name");
    let done = counter.write(&batch(1, 1, vec![add(&product(1), &[(9, 1)])])).await;
    assert!(is_unavailable(&done), "a counter that is text: {done:?}");
    let version: i64 = sqlx::query_scalar("SELECT cache_version FROM product").fetch_one(&pool).await.unwrap();
    assert_eq!(version, 1);
}

#[tokio::test]
async fn write_that_is_dropped_is_written_whole_or_not() {
    let Database::Postgres(_server, pool) = Database::postgres().await else { unreachable!() };
    sqlx::raw_sql("CREATE TABLE product (id bigint PRIMARY KEY, views bigint NOT NULL, cache_version bigint NOT NULL)")
        .execute(&pool)
        .await
        .unwrap();
    let sink = PostgresSink::<Product>::new(pool.clone(), "product").keyed_by("product:{id}").counter_column("views");
    for round in 1..=60_u64 {
        let writes = (0..5).map(|id| add(&product(id), &[(round, 1)])).collect();
        let whole = batch(round, round, writes);
        // Time itself: the write is dropped at another moment each time.
        let _ = tokio::time::timeout(Duration::from_micros(round * 100), sink.write(&whole)).await;
        let again = sink.write(&whole).await.unwrap();
        assert!(again == applied(5) || again == vec![Written::Newer(round); 5], "{again:?}");
    }
    let sums: Vec<i64> = sqlx::query_scalar("SELECT views FROM product").fetch_all(&pool).await.unwrap();
    assert_eq!(sums, [60; 5]);
}
