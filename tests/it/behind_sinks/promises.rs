//! What the port asks of every sink.

use std::sync::Arc;
use std::time::Duration;

use cache_core::behind::{SinkError, Written};
use serde::Serialize;

use super::database::{Database, add, at, batch, delete, on_both, partition, product, put, refusals};

#[derive(Clone, Serialize)]
struct Product {
    name: String,
}

fn named(name: &str) -> Product {
    Product { name: name.to_owned() }
}

const TABLE: &str = "CREATE TABLE product (id bigint PRIMARY KEY, name text NOT NULL UNIQUE CHECK (name <> 'bad'), \
     views bigint NOT NULL DEFAULT 0, cache_version bigint NOT NULL DEFAULT 0)";
const ROWS: &str = "SELECT CAST(id AS text) || '/' || name || '/' || CAST(views AS text) || '/' || CAST(cache_version AS text) \
     FROM product ORDER BY id";

#[expect(clippy::print_stdout, reason = "a figure for people, which nobody judges")]
fn print(what: &str, took: Duration) {
    println!("10,000 writes, {what}: {took:?}");
}

on_both! {
    async fn batch_of_an_older_fence_changes_nothing(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}");
        assert_eq!(sink.position(&partition(0)).await, None);
        assert_eq!(sink.write(&batch(5, 10, vec![put(&product(1), 1, named("a"))])).await.unwrap(), [Written::Applied]);
        assert_eq!(sink.position(&partition(0)).await, Some(at(10)));

        let late = sink.write(&batch(4, 11, vec![put(&product(1), 9, named("late")), put(&product(2), 9, named("b"))])).await;
        assert!(matches!(late, Err(SinkError::Fenced(5))), "{late:?}");
        assert_eq!(database.text(ROWS).await, "1/a/0/1");
        assert_eq!(sink.position(&partition(0)).await, Some(at(10)));

        // The same owner goes on, and the next one; another partition and another journal have fences of their own.
        assert_eq!(sink.write(&batch(5, 12, vec![put(&product(1), 2, named("b"))])).await.unwrap(), [Written::Applied]);
        assert_eq!(sink.write(&batch(6, 13, vec![put(&product(1), 3, named("c"))])).await.unwrap(), [Written::Applied]);
        let mut other = batch(1, 3, vec![put(&product(2), 1, named("d"))]);
        other.partition.number = 1;
        assert_eq!(sink.write(&other).await.unwrap(), [Written::Applied]);
        other.partition.journal = "other:product".into();
        assert_eq!(sink.write(&other).await.unwrap(), [Written::Newer(1)]);
        assert_eq!(database.text(ROWS).await, "1/c/0/3 2/d/0/1");
        assert_eq!((sink.position(&partition(0)).await, sink.position(&partition(1)).await), (Some(at(13)), Some(at(3))));
    }

    async fn claim_ends_who_was_before_and_leaves_the_position(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}");
        assert_eq!(sink.claim(&partition(0), 2).await.unwrap(), None, "nothing is committed yet");
        assert_eq!(sink.write(&batch(2, 10, vec![put(&product(1), 1, named("a"))])).await.unwrap(), [Written::Applied]);
        assert_eq!(sink.claim(&partition(0), 3).await.unwrap(), Some(at(10)));
        let late = sink.write(&batch(2, 11, vec![put(&product(1), 9, named("late"))])).await;
        assert!(matches!(late, Err(SinkError::Fenced(3))), "{late:?}");
        assert!(matches!(sink.claim(&partition(0), 2).await, Err(SinkError::Fenced(3))));
        assert_eq!(sink.claim(&partition(0), 3).await.unwrap(), Some(at(10)), "once more");
        assert_eq!(sink.write(&batch(3, 11, vec![put(&product(1), 2, named("b"))])).await.unwrap(), [Written::Applied]);
        assert_eq!(database.text(ROWS).await, "1/b/0/2");
    }

    async fn put_of_a_lower_version_is_newer_in_either_order(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}");
        let (old, new) = (put(&product(1), 3, named("old")), put(&product(1), 8, named("new")));
        assert_eq!(sink.answers(vec![old.clone()]).await, [Written::Applied]);
        assert_eq!(sink.answers(vec![new.clone()]).await, [Written::Applied]);
        assert_eq!(sink.answers(vec![old.clone()]).await, [Written::Newer(8)]);
        assert_eq!(sink.answers(vec![new]).await, [Written::Newer(8)], "once more");
        assert_eq!(database.text(ROWS).await, "1/new/0/8");
        // One among others.
        let writes = vec![put(&product(2), 1, named("b")), old, put(&product(3), 1, named("c"))];
        assert_eq!(sink.answers(writes).await, [Written::Applied, Written::Newer(8), Written::Applied]);
    }

    async fn row_without_a_version_is_older_than_any(database: &Database) {
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, name text, views bigint, cache_version bigint)").await;
        database.run("INSERT INTO product (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')").await;
        let sink = database.sink("product", "product:{id}").counter_column("views");
        let writes = vec![put(&product(1), 1, named("x")), delete(&product(2), 1), add(&product(3), &[(1, 5)])];
        assert_eq!(sink.answers(writes).await, [Written::Applied, Written::Applied, Written::Applied]);
        assert_eq!(database.text("SELECT name || coalesce(CAST(views AS text), '') FROM product ORDER BY id").await, "x0 c5");
    }

    async fn delete_is_guarded_and_a_late_put_of_an_older_owner_fenced(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}");
        sink.answers(vec![put(&product(1), 3, named("a")), put(&product(2), 9, named("b"))]).await;
        let writes = vec![delete(&product(1), 5), delete(&product(2), 5), delete(&product(3), 5)];
        let deleted = batch(2, 2, writes);
        assert_eq!(sink.write(&deleted).await.unwrap(), [Written::Applied, Written::Newer(9), Written::Applied]);
        assert_eq!(database.text(ROWS).await, "2/b/0/9");
        assert_eq!(sink.write(&deleted).await.unwrap(), [Written::Applied, Written::Newer(9), Written::Applied], "again");
        // Of the paused owner. The row has no version that would refuse it.
        let late = sink.write(&batch(1, 1, vec![put(&product(1), 4, named("risen"))])).await;
        assert!(matches!(late, Err(SinkError::Fenced(2))), "{late:?}");
        assert_eq!(database.text(ROWS).await, "2/b/0/9");
    }

    async fn increments_are_added_once(database: &Database) {
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, views int NOT NULL, cache_version bigint NOT NULL)").await;
        let sink = database.sink::<Product>("product", "product:{id}").counter_column("views");
        let rows = "SELECT CAST(views AS text) || '/' || CAST(cache_version AS text) FROM product ORDER BY id";
        let first = add(&product(1), &[(1, 5), (2, 10)]);
        assert_eq!(sink.answers(vec![first.clone()]).await, [Written::Applied]);
        assert_eq!(sink.answers(vec![first]).await, [Written::Newer(2)]);
        assert_eq!(database.text(rows).await, "15/2");
        // With some that were added already, out of order, and below zero.
        assert_eq!(sink.answers(vec![add(&product(1), &[(4, -100), (2, 10), (3, 1)])]).await, [Written::Applied]);
        assert_eq!(database.text(rows).await, "-84/4");
        assert_eq!(sink.answers(vec![add(&product(1), &[(3, 1)])]).await, [Written::Newer(4)]);
        // Some rows there, some not.
        let writes = vec![add(&product(2), &[(5, 1)]), add(&product(1), &[(6, 1)]), add(&product(3), &[(7, i64::from(i32::MAX))])];
        assert_eq!(sink.answers(writes).await, [Written::Applied, Written::Applied, Written::Applied]);
        assert_eq!(database.text(rows).await, "-83/6 1/5 2147483647/7");
    }

    async fn increment_behind_a_put_or_a_delete_of_one_batch_counts_from_it(database: &Database) {
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, name text, views bigint NOT NULL DEFAULT 0, cache_version bigint)").await;
        let sink = database.sink("product", "product:{id}").counter_column("views");
        sink.answers(vec![put(&product(1), 1, named("a")), put(&product(2), 2, named("b"))]).await;
        sink.answers(vec![add(&product(1), &[(3, 7)]), add(&product(2), &[(4, 7)])]).await;
        let writes = vec![
            put(&product(1), 5, named("x")),
            add(&product(1), &[(3, 7), (6, 1)]),
            delete(&product(2), 7),
            add(&product(2), &[(8, 2)]),
            put(&product(3), 9, named("c")),
            add(&product(3), &[(10, 3)]),
        ];
        let rows = "SELECT CAST(id AS text) || coalesce(name, '?') || CAST(views AS text) || '/' || CAST(cache_version AS text) \
             FROM product ORDER BY id";
        let whole = batch(1, 1, writes);
        assert_eq!(sink.write(&whole).await.unwrap(), vec![Written::Applied; 6]);
        assert_eq!(database.text(rows).await, "1x1/6 2?2/8 3c3/10");
        let again = sink.write(&whole).await.unwrap();
        let newer = |version| [Written::Newer(version), Written::Newer(version)];
        assert_eq!(again, [newer(6), newer(8), newer(10)].concat());
        assert_eq!(database.text(rows).await, "1x1/6 2?2/8 3c3/10");
    }

    async fn increment_of_a_row_needs_none_of_its_other_columns(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}").counter_column("views");
        sink.answers(vec![put(&product(1), 1, named("a"))]).await;
        // `name` may not be null, so that a row cannot be created from nothing.
        let answers = sink.answers(vec![add(&product(1), &[(2, 1)]), add(&product(2), &[(3, 1)])]).await;
        assert_eq!(answers[0], Written::Applied);
        assert!(refusals(&answers)[1].contains("name"), "{answers:?}");
        assert_eq!(database.text(ROWS).await, "1/a/1/2");
    }

    async fn row_that_cannot_be_written_is_refused_alone(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}").counter_column("views");
        sink.answers(vec![put(&product(50), 1, named("kept")), put(&product(51), 1, named("gone"))]).await;
        let mut writes: Vec<_> = (0..40).map(|id| put(&product(id), 2, named(&format!("n{id}")))).collect();
        writes[7] = put(&product(7), 2, named("bad"));
        writes[23] = put(&product(23), 2, named("n22"));
        writes.extend([
            add(&product(7), &[(3, 1)]),
            add(&product(8), &[(3, 1)]),
            put(&product(50), 1, named("late")),
            delete(&product(51), 2),
        ]);
        let answers = sink.write(&batch(1, 77, writes)).await.unwrap();
        for (place, (answer, refusal)) in answers.iter().zip(refusals(&answers)).enumerate() {
            match place {
                7 => assert!(refusal.to_lowercase().contains("check"), "{refusal}"),
                23 => assert!(refusal.to_lowercase().contains("unique"), "{refusal}"),
                40 => assert!(refusal.contains("before it was refused"), "{refusal}"),
                42 => assert_eq!(*answer, Written::Newer(1)),
                _ => assert_eq!(*answer, Written::Applied, "{place}"),
            }
        }
        assert_eq!(sink.position(&partition(0)).await, Some(at(77)), "with the rows");
        assert_eq!(database.text("SELECT CAST(count(*) AS text) FROM product").await, "39");
        assert_eq!(database.text("SELECT name || CAST(views AS text) FROM product WHERE id IN (7, 8, 23, 50) ORDER BY id").await, "n81 kept0");
    }

    async fn what_a_delete_makes_room_for_can_be_put_with_it(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}");
        sink.answers(vec![put(&product(1), 1, named("a"))]).await;
        let answers = sink.answers(vec![put(&product(2), 2, named("a")), delete(&product(1), 2)]).await;
        assert_eq!(answers, [Written::Applied, Written::Applied]);
        assert_eq!(database.text(ROWS).await, "2/a/0/2");
    }

    async fn flushers_at_once_write_one_after_the_other(database: &Database) {
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, views bigint NOT NULL, cache_version bigint NOT NULL)").await;
        let sink = Arc::new(database.sink::<Product>("product", "product:{id}").counter_column("views"));
        sink.check().await.unwrap();
        // All with the same increments, and each as a later owner: one of them adds, the others find it done or are fenced.
        let tasks: Vec<_> = (1..=16_u64)
            .map(|fence| {
                let sink = sink.clone();
                tokio::spawn(async move {
                    let writes = (0..20).map(|id| add(&product(id), &[(1, 1), (2, 1)])).collect();
                    sink.write(&batch(fence, fence, writes)).await
                })
            })
            .collect();
        let mut applied = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(answers) if answers == vec![Written::Applied; 20] => applied += 1,
                Ok(answers) => assert_eq!(answers, vec![Written::Newer(2); 20]),
                Err(SinkError::Fenced(fence)) => assert!(fence <= 16),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(applied, 1);
        assert_eq!(sink.position(&partition(0)).await, Some(at(16)));
        assert_eq!(database.text("SELECT CAST(sum(views) AS text) FROM product").await, "40");
    }

    async fn journals_that_share_a_table_meet_in_its_versions(database: &Database) {
        database.run("CREATE TABLE product (id bigint PRIMARY KEY, name text, cache_version bigint NOT NULL)").await;
        let sink = Arc::new(database.sink("product", "product:{id}"));
        sink.check().await.unwrap();
        // No fence keeps these apart, and rows that are not there yet cannot be locked.
        let writer = |journal: &'static str, higher: u64| {
            let sink = sink.clone();
            tokio::spawn(async move {
                for round in 0..40 {
                    let writes = (0..10).map(|id| put(&product(round * 10 + id), 1 + (id + higher) % 2, named(journal))).collect();
                    let mut batch = batch(1, round, writes);
                    batch.partition.journal = journal.into();
                    let answers = sink.write(&batch).await.unwrap();
                    for (id, answer) in (0..).zip(&answers) {
                        let is_higher = (id + higher) % 2 == 1;
                        assert!(*answer == Written::Applied || (!is_higher && *answer == Written::Newer(2)), "{answer:?}");
                    }
                }
            })
        };
        let (even, odd) = (writer("even", 1), writer("odd", 0));
        even.await.unwrap();
        odd.await.unwrap();
        let wrong = "SELECT CAST(count(*) AS text) FROM product WHERE cache_version <> 2 OR name <> CASE id % 2 WHEN 0 THEN 'even' ELSE 'odd' END";
        assert_eq!(database.text(wrong).await, "0");
    }

    async fn batch_of_ten_thousand_is_one_transaction(database: &Database) {
        database.run(TABLE).await;
        let sink = database.sink("product", "product:{id}").counter_column("views");
        sink.check().await.unwrap();
        let puts = |version| (0..10_000).map(|id| put(&product(id), version, named(&format!("the name of product {id}")))).collect();
        let adds = (0..10_000).map(|id| add(&product(id), &[(3, 1), (4, 1)])).collect();
        let mut one_bad: Vec<_> = (0..10_000).map(|id| put(&product(id), 6, named(&format!("another name of product {id}")))).collect();
        one_bad[6_789] = put(&product(6_789), 6, named("bad"));
        let deletes = (0..10_000).map(|id| delete(&product(id), 9)).collect();
        for (what, writes, refused) in
            [("insert", puts(1), 0), ("update", puts(2), 0), ("add", adds, 0), ("put, one refused", one_bad, 1), ("delete", deletes, 0)]
        {
            let began = std::time::Instant::now();
            let answers = sink.answers(writes).await;
            print(what, began.elapsed());
            assert_eq!(answers.iter().filter(|answer| **answer == Written::Applied).count(), 10_000 - refused, "{what}");
        }
        assert_eq!(database.text("SELECT CAST(count(*) AS text) FROM product").await, "0");
    }
}
