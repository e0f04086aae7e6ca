//! What becomes of values.

use std::collections::BTreeMap;

use cache_core::behind::Written;
use serde::Serialize;

use super::database::{Database, add, applied, on_both, product, put, refusals};

#[derive(Clone, Serialize)]
struct Everything {
    small: i8,
    lowest: i64,
    highest: u64,
    ratio: f64,
    third: f32,
    yes: bool,
    name: String,
    absent: Option<String>,
    something: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
    nested: Nested,
    list: Vec<Nested>,
    kind: Kind,
    letter: char,
}

#[derive(Clone, Serialize)]
struct Nested {
    a: u8,
    b: Option<String>,
}

#[derive(Clone, Serialize)]
enum Kind {
    Lamp,
    Other(u8),
}

const TABLE: &str = "CREATE TABLE product (id bigint PRIMARY KEY, small int, lowest bigint, highest numeric, ratio double precision, \
     third real, yes boolean, name text, absent text, something int, skipped text, nested JSON, list JSON, kind text, letter text, \
     extra text DEFAULT 'own', cache_version bigint NOT NULL DEFAULT 0)";

fn everything() -> Everything {
    Everything {
        small: -128,
        lowest: i64::MIN,
        highest: i64::MAX as u64,
        ratio: 0.1 + 0.2,
        third: 0.1,
        yes: true,
        name: "naïve \"quotes\" \\ 日本語 🦀 '; DROP TABLE product; -- \u{1} \n".to_owned(),
        absent: None,
        something: Some(u32::from(u16::MAX)),
        skipped: Some("here".to_owned()),
        nested: Nested { a: 1, b: Some("ü".to_owned()) },
        list: vec![Nested { a: 2, b: None }],
        kind: Kind::Lamp,
        letter: 'ß',
    }
}

on_both! {
    async fn fields_become_what_the_columns_are(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}");
        let value = everything();
        let mut other = value.clone();
        (other.kind, other.skipped, other.something) = (Kind::Other(7), None, None);
        assert_eq!(sink.answers(vec![put(&product(1), 1, value.clone()), put(&product(2), 1, other.clone())]).await, applied(2));
        let one = async |what: &str| database.text(&format!("SELECT {what} FROM product WHERE id = 1")).await;
        for column in ["small", "lowest", "highest", "something"] {
            let wanted = serde_json::to_value(&value).unwrap()[column].to_string();
            assert_eq!(one(&format!("CAST({column} AS text)")).await, wanted);
        }
        assert_eq!(one("name").await, value.name);
        assert_eq!((one("absent").await, one("skipped").await, one("extra").await), ("-".into(), "here".into(), "own".into()));
        assert_eq!((one("kind").await, one("letter").await), ("Lamp".into(), "ß".into()));
        let nested: serde_json::Value = serde_json::from_str(&one("CAST(nested AS text)").await).unwrap();
        assert_eq!(nested, serde_json::to_value(&value.nested).unwrap());
        let list: serde_json::Value = serde_json::from_str(&one("CAST(list AS text)").await).unwrap();
        assert_eq!(list, serde_json::to_value(&value.list).unwrap());
        assert_eq!(one("CASE WHEN yes AND ratio > 0.3 AND third < 0.2 THEN 'as it was' END").await, "as it was");

        let kind = database.text("SELECT kind FROM product WHERE id = 2").await;
        assert_eq!(serde_json::from_str::<serde_json::Value>(&kind).unwrap(), serde_json::json!({"Other": 7}));
        // A field that is skipped now is null, not what it was.
        assert_eq!(sink.answers(vec![put(&product(1), 2, other)]).await, [Written::Applied]);
        assert_eq!((one("skipped").await, one("CAST(something AS text)").await, one("extra").await), ("-".into(), "-".into(), "own".into()));
    }

    async fn floats_are_stored_to_the_last_bit(database: &Database) {
        #[derive(Serialize)]
        struct Float {
            x: f64,
        }
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, x double precision, cache_version bigint)").await;
        let sink = database.sink("product", "product:{id}");
        let mut floats = vec![0.1, f64::MAX, f64::MIN_POSITIVE, 5e-324, -1.0 / 3.0, 1e23, 9_007_199_254_740_993.0, 1e300, 123_456_789_012_345_680.0];
        let mut random = fastrand::Rng::with_seed(7);
        while floats.len() < 3_000 {
            let float = f64::from_bits(random.u64(..));
            if float.is_finite() {
                floats.push(float);
            }
        }
        let writes = floats.iter().enumerate().map(|(id, x)| put(&product(id as u64), 1, Float { x: *x })).collect();
        assert!(sink.answers(writes).await.iter().all(|answer| *answer == Written::Applied));
        let stored: Vec<f64> = match database {
            Database::Postgres(_, pool) => sqlx::query_scalar("SELECT x FROM product ORDER BY id").fetch_all(pool).await.unwrap(),
            Database::Sqlite(_, pool) => sqlx::query_scalar("SELECT x FROM product ORDER BY id").fetch_all(pool).await.unwrap(),
        };
        let wrong: Vec<_> = floats.iter().zip(&stored).filter(|(wanted, got)| wanted.to_bits() != got.to_bits()).collect();
        assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), floats.len(), &wrong[..wrong.len().min(5)]);
    }

    async fn value_may_stand_in_one_column(database: &Database) {
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, value JSON, cache_version bigint)").await;
        let sink = database.sink("product", "product:{id}").value_column("value");
        let writes = vec![put(&product(1), 1, serde_json::json!({"id": 5, "a": [1, null]})), put(&product(2), 1, serde_json::json!([1, "x"]))];
        assert_eq!(sink.answers(writes).await, applied(2));
        let stored: Vec<serde_json::Value> = database
            .texts("SELECT CAST(value AS text) FROM product ORDER BY id")
            .await
            .iter()
            .map(|text| serde_json::from_str(text.as_ref().unwrap()).unwrap())
            .collect();
        assert_eq!(stored, [serde_json::json!({"id": 5, "a": [1, null]}), serde_json::json!([1, "x"])]);
    }

    async fn maps_write_the_columns_they_name(database: &Database) {
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, a text, b text, c text DEFAULT 'c', cache_version bigint)").await;
        let map = |names: &[&str]| -> BTreeMap<String, String> { names.iter().map(|name| ((*name).to_owned(), format!("{name}!"))).collect() };
        let writes = || vec![put(&product(1), 1, map(&["a", "b"])), put(&product(2), 2, map(&["b"])), put(&product(3), 3, map(&[]))];
        let rows = "SELECT coalesce(a, '-') || coalesce(b, '-') || coalesce(c, '-') FROM product ORDER BY id";
        let sink = database.sink("product", "product:{id}");
        assert_eq!(sink.answers(writes()).await, applied(3));
        assert_eq!(database.text(rows).await, "a!b!c -b!c --c");
        assert_eq!(sink.answers(vec![put(&product(1), 9, map(&["a"]))]).await, [Written::Applied]);
        assert_eq!(database.text(rows).await, "a!b!c -b!c --c", "others keep what they have");
        let sink = database.sink("product", "product:{id}").columns(&["a", "b", "c"]);
        assert_eq!(sink.answers(vec![put(&product(1), 10, map(&["a"])), put(&product(2), 10, map(&["c"]))]).await, applied(2));
        assert_eq!(database.text(rows).await, "a!-- --c! --c", "named columns are null");
        let sink = database.sink("product", "product:{id}").columns(&["a"]);
        let error = sink.unavailable(vec![put(&product(1), 11, map(&["b"]))]).await;
        assert!(error.contains("lacks the value's field \"b\""), "{error}");
        // Among others it is that value, and they are written.
        let writes = vec![put(&product(1), 11, map(&["b"])), put(&product(2), 11, map(&["a"])), add(&product(3), &[(11, 1)])];
        let answers = sink.answers(writes).await;
        assert!(matches!(&answers[..], [Written::Refused(_), Written::Applied, Written::Refused(_)]), "{answers:?}");
        assert!(refusals(&answers)[2].contains(".counter_column("), "{answers:?}");
    }
}
