//! Tables that do not fit, and those that do in spite of their names.

use cache_core::Key;
use cache_core::behind::Written;
use serde::Serialize;

use super::database::{Database, add, applied, at, batch, delete, on_both, partition, product, put, refusals};

#[derive(Clone, Serialize)]
struct Product {
    name: String,
}

fn named(name: &str) -> Product {
    Product { name: name.to_owned() }
}

on_both! {
    async fn table_that_does_not_fit_refuses_no_row_and_is_written_to_once_it_does(database: &Database) {
        let sink = database.sink("product", "product:{id}").counter_column("views");
        for (says, way_out) in [
            ("there is no table \"product\"", "CREATE TABLE product (key bigint)"),
            (
                "ALTER TABLE \"product\" ADD COLUMN \"cache_version\" bigint NOT NULL DEFAULT 0; it has \"key\"",
                "ALTER TABLE product ADD COLUMN cache_version bigint NOT NULL DEFAULT 0",
            ),
            ("no column \"id\", which the key names", "ALTER TABLE product ADD COLUMN id bigint"),
            ("CREATE UNIQUE INDEX \"product_key\" ON \"product\" (\"id\")", "CREATE UNIQUE INDEX some_of_it ON product (id) WHERE id > 0"),
            ("CREATE UNIQUE INDEX \"product_key\" ON \"product\" (\"id\")", "CREATE UNIQUE INDEX other ON product (id, key)"),
            ("CREATE UNIQUE INDEX \"product_key\" ON \"product\" (\"id\")", "CREATE UNIQUE INDEX all_of_it ON product (id)"),
            ("no column \"views\", the counter", "ALTER TABLE product ADD COLUMN views bigint NOT NULL DEFAULT 0"),
            ("no column for the value's field \"name\"", "ALTER TABLE product ADD COLUMN name text"),
        ] {
            let error = sink.unavailable(vec![put(&product(1), 1, named("a"))]).await;
            assert!(error.contains(says), "{error}");
            database.run(way_out).await;
        }
        // A batch that does not fit says so at once, and is taken the next time.
        assert_eq!(sink.answers(vec![put(&product(1), 1, named("a"))]).await, [Written::Applied]);
        sink.check().await.unwrap();
        // The table changes under a sink that knows it.
        database.run("ALTER TABLE product RENAME COLUMN name TO title").await;
        let error = sink.unavailable(vec![put(&product(1), 2, named("b"))]).await;
        assert!(error.contains("name"), "{error}");
        // The query has a connection to SQLite hear of what another has done, which `ALTER` alone does not.
        database.run("SELECT title FROM product; ALTER TABLE product RENAME COLUMN title TO name").await;
        assert_eq!(sink.answers(vec![put(&product(1), 2, named("b"))]).await, [Written::Applied]);
        assert_eq!(database.text("SELECT name FROM product").await, "b");
    }

    async fn sink_that_was_told_too_little_says_what(database: &Database) {
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, name text, cache_version bigint)").await;
        for (key, says) in [("product:{id", "not closed"), ("product", "names no column"), ("product:{id}:{id}", "twice")] {
            let error = database.sink("product", key).unavailable(vec![put(&product(1), 1, named("a"))]).await;
            assert!(error.contains(says), "{error}");
        }
        let sink = database.sink("product", "product:{id}");
        let error = sink.unavailable(vec![add::<Product>(&product(1), &[(1, 1)])]).await;
        assert!(error.contains(".counter_column("), "{error}");
        let error = database.sink("product", "product:{id}").unavailable(vec![put(&product(1), 1, 7)]).await;
        assert!(error.contains(".value_column("), "{error}");
        for (option, says) in [("name", "name"), ("nothing", "\"nothing\", the value")] {
            let sink = database.sink("product", "product:{id}").value_column(option);
            let done = sink.write(&batch(1, 1, vec![put(&product(1), 1, "a")])).await;
            assert!(done.is_ok() || done.unwrap_err().to_string().contains(says));
        }
        let sink = database.sink("product", "product:{id}").columns(&["title"]);
        let error = sink.unavailable(vec![put(&product(1), 1, named("a"))]).await;
        assert!(error.contains("\"title\", which `columns` names"), "{error}");
    }

    async fn names_may_be_any(database: &Database) {
        #[derive(Serialize)]
        struct Odd {
            #[serde(rename = "select")]
            select: u8,
            #[serde(rename = "a \"name\"; DROP TABLE x --")]
            name: &'static str,
            #[serde(rename = "größe $1 'ü'")]
            size: f64,
            #[serde(rename = "c0")]
            c0: bool,
            r: i32,
        }

        database.run(
            "CREATE TABLE \"odd \"\"table\"\" ü\" (\"the id\" bigint, \"i\" text, \"select\" int, \"a \"\"name\"\"; DROP TABLE x --\" text, \
             \"größe $1 'ü'\" double precision, c0 text, r int, \"t\" int NOT NULL DEFAULT 0, \"v \"\"1\" bigint, \
             PRIMARY KEY (\"the id\", \"i\"))",
        ).await;
        let sink = database
            .sink("odd \"table\" ü", "odd:{the id}:stock:{i}")
            .version_column("v \"1")
            .counter_column("t")
            .journal_table("the \"journal\"");
        let key = Key::new("odd").arg(1).arg("stock").arg("x");
        let odd = Odd { select: 7, name: "n", size: 0.5, c0: true, r: -1 };
        let writes = vec![put(&key, 3, odd), add(&key, &[(4, 2)]), delete(&Key::new("odd").arg(2).arg("stock").arg("x"), 3)];
        assert_eq!(sink.answers(writes).await, applied(3));
        assert_eq!(sink.position(&partition(0)).await, Some(at(1)));
        let row = "SELECT CAST(\"the id\" AS text) || i || CAST(\"select\" AS text) || \"a \"\"name\"\"; DROP TABLE x --\" || \
             CAST(\"größe $1 'ü'\" AS text) || CAST(r AS text) || CAST(\"t\" AS text) || CAST(\"v \"\"1\" AS text) FROM \"odd \"\"table\"\" ü\"";
        assert_eq!(database.text(row).await, "1x7n0.5-124");
        assert_eq!(database.text("SELECT position FROM \"the \"\"journal\"\"\"").await, "1-0");
    }

    async fn key_of_several_arguments_finds_its_row(database: &Database) {
        database.run(
            "CREATE TABLE price (country text, product bigint, is_net bool, amount bigint NOT NULL DEFAULT 0, \
             cache_version bigint NOT NULL DEFAULT 0, PRIMARY KEY (product, country, is_net))",
        ).await;
        #[derive(Clone, Serialize)]
        struct Price {
            product: i64,
            amount: i64,
        }
        let sink = database.sink("price", "price:{product}:{country}:{is_net}").counter_column("amount");
        let key = |product: i64, country: &str, net: bool| Key::new("price").arg(product).arg(country).arg(net);
        let write = |key, amount| put(key, 1, Price { product: 99, amount });
        let (de, fr, net) = (key(-7, "de:'%", false), key(-7, "", false), key(-7, "de:'%", true));
        assert_eq!(sink.answers(vec![write(&de, 1), write(&fr, 2), write(&net, 3)]).await, applied(3));
        // As it comes out of a journal.
        let read = |key: &Key| Key::parse(&key.wire()).unwrap();
        let writes = vec![write(&read(&de), 9), add(&read(&fr), &[(2, 40)]), delete(&read(&net), 2)];
        assert_eq!(sink.answers(writes).await, [Written::Newer(1), Written::Applied, Written::Applied]);
        let rows = "SELECT CAST(product AS text) || '/' || country || '/' || CAST(amount AS text) FROM price ORDER BY amount";
        assert_eq!(database.text(rows).await, "-7/de:'%/1 -7//42");
    }

    async fn key_without_a_row_is_refused_alone(database: &Database) {
        database.run("CREATE TABLE product (id text PRIMARY KEY, name text, views int, cache_version bigint)").await;
        let sink = database.sink("product", "product:{id}").counter_column("views");
        let head = || Key::new("product");
        let keys = [
            (head().arg("long".repeat(100)), "too long"),
            (head().arg(None::<u8>), "nothing"),
            (head().arg((1, 2)), "has parts"),
            (head().arg(1).arg(2), "none that `product:{id}` makes"),
            (Key::new("order").arg(1), "none that `product:{id}` makes"),
            (head().arg("fine"), ""),
        ];
        let writes = keys.iter().map(|(key, _)| put(key, 1, named("secret"))).collect();
        let answers = sink.answers(writes).await;
        for ((_, says), refusal) in keys.iter().zip(refusals(&answers)) {
            assert!(refusal.contains(says) && says.is_empty() == refusal.is_empty(), "{says}: {refusal}");
            assert!(!refusal.contains("secret") && !refusal.contains("longlong"), "{refusal}");
        }
        // What follows such a write in its batch is not written either.
        let answers = sink.answers(vec![put(&keys[2].0, 2, named("a")), add(&keys[2].0, &[(3, 1)])]).await;
        assert!(refusals(&answers)[1].contains("before it"), "{answers:?}");
        // All of a batch.
        assert_eq!(sink.position(&partition(0)).await, Some(at(1)));
        let answers = sink.write(&batch(1, 9, vec![put(&keys[0].0, 2, named("a"))])).await.unwrap();
        assert!(matches!(answers[..], [Written::Refused(_)]));
        assert_eq!(sink.position(&partition(0)).await, Some(at(9)));
        assert_eq!(database.text("SELECT id FROM product").await, "fine");
    }
}
