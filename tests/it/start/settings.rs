//! Names, numbers and URLs that cannot be meant, and a namespace that was built otherwise.

use std::{convert::Infallible, time::Duration};

use cache_core::{Builder, Cache, ErrorKind, Policy, hours, millis, secs};
use tests::fixtures::RedisServer;

use super::{hear_each_other, refused};
use crate::support::{Origin, Product, built, key, product, settings};

fn shop() -> Builder {
    Cache::builder("shop")
}

/// What is wrong, the word under which it is reported, and what the report has to name.
fn contradictions() -> Vec<(Builder, &'static str, &'static str)> {
    let long = "a".repeat(65);
    let policy = |policy: Policy| shop().policy(policy);
    vec![
        (Cache::builder(""), "namespace", "``"),
        (Cache::builder("Shop"), "namespace", "`Shop`"),
        (Cache::builder("a:b"), "namespace", "`a:b`"),
        (Cache::builder("shop*"), "namespace", "`shop*`"),
        (Cache::builder("{shop}"), "namespace", "`{shop}`"),
        (Cache::builder("a b"), "namespace", "`a b`"),
        (Cache::builder("sh\u{f6}p"), "namespace", "`sh\u{f6}p`"),
        (Cache::builder(long.clone()), "namespace", "1 to 64"),
        (shop().scope("", Policy::new()), "scope", "``"),
        (shop().scope("Product", Policy::new()), "scope", "`Product`"),
        (shop().scope("product:", Policy::new()), "scope", "`product:`"),
        (shop().scope(":product", Policy::new()), "scope", "`:product`"),
        (shop().scope("product::stock", Policy::new()), "scope", "`product::stock`"),
        (shop().scope("product:{id}", Policy::new()), "scope", "`product:{id}`"),
        (shop().scope("product:*", Policy::new()), "scope", "`product:*`"),
        (shop().scope(long, Policy::new()), "scope", "1 to 64"),
        (policy(Policy::new().jitter(0.9)), "policy", "0.9"),
        (policy(Policy::new().jitter(-0.1)), "policy", "-0.1"),
        (policy(Policy::new().jitter(f64::NAN)), "policy", "NaN"),
        (policy(Policy::new().ttl(Duration::ZERO)), "policy", "ttl of zero"),
        (policy(Policy::new().ttl(hours(2)).max_ttl(hours(1))), "policy", "max_ttl 1h"),
        (policy(Policy::new().max_bytes(0)), "policy", "max_bytes is 0"),
        (shop().scope("product:stock", Policy::new().jitter(2.0)), "policy", "`product:stock`"),
        (shop().budget(Duration::ZERO), "budget", "zero"),
        (shop().bound(Duration::ZERO), "bound", "20ms"),
        (shop().bound(millis(19)), "bound", "19ms"),
        (shop().partitions(0), "partitions", "256"),
    ]
}

#[tokio::test]
async fn setting_that_cannot_be_meant_is_an_error_that_names_it() {
    for (builder, op, words) in contradictions() {
        println!("{op}: {words}");
        // With a server to be, none that is there, and without.
        for builder in [builder.clone().redis("redis://127.0.0.1:1/").start_unreachable(), builder] {
            let (error, said) = refused(builder).await;
            assert_eq!((error.kind(), error.op()), (ErrorKind::Config, op), "{said}");
            assert!(error.to_string().contains(words), "{said}");
        }
    }
}

#[tokio::test]
async fn setting_at_its_limit_is_taken() {
    let policy = Policy::new().jitter(0.5).ttl(hours(1)).max_ttl(hours(1)).max_bytes(1);
    for builder in [
        Cache::builder("a".repeat(64)),
        Cache::builder("a-z.0_9"),
        shop().bound(millis(20)),
        shop().budget(Duration::from_nanos(1)),
        shop().partitions(1),
        shop().partitions(u16::MAX),
        shop().local_entries(0),
        shop().policy(policy).scope("a.b:c_d:e-f", Policy::new().ttl(secs(1))),
    ] {
        builder.build().await.unwrap();
    }
}

/// Numbers that people write when they mean "for ever" or "not at all".
fn extremes() -> Vec<(&'static str, Builder)> {
    let never = Duration::MAX;
    let least = Duration::from_nanos(1);
    let policy = |policy: Policy| shop().policy(policy);
    vec![
        ("ttl", policy(Policy::new().ttl(never))),
        ("ttl, max_ttl", policy(Policy::new().ttl(never).max_ttl(never))),
        ("ttl, max_ttl, jitter 0", policy(Policy::new().ttl(never).max_ttl(never).jitter(0.0))),
        ("negative", policy(Policy::new().negative(never).max_ttl(never).jitter(0.0))),
        ("l1", policy(Policy::new().l1(never).jitter(0.0))),
        ("least ttl", policy(Policy::new().ttl(least))),
        ("least l1", policy(Policy::new().l1(least))),
        ("bound", shop().bound(never)),
        ("budget", shop().budget(never)),
        ("connect_timeout", shop().connect_timeout(never)),
        ("max_bytes", policy(Policy::new().max_bytes(usize::MAX))),
        ("local_entries", shop().local_entries(u64::MAX)),
        ("no local_entries", shop().local_entries(0)),
    ]
}

#[tokio::test]
async fn setting_without_end_is_refused_or_works() {
    for (what, builder) in extremes() {
        let redis = RedisServer::start().await;
        for builder in [builder.clone(), builder.redis(redis.url()).ensure_notifications()] {
            println!("{what}");
            let cache = match builder.build().await {
                Ok(cache) => cache,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Config, "{what}: {error}");
                    continue;
                }
            };
            let origin = Origin::default();
            for revision in 1..4 {
                origin.write(revision);
                let _ack = cache.evict(&key(7)).await;
                assert_eq!(origin.through(&cache, 7).await, revision, "{what}");
                assert_eq!(origin.through(&cache, 7).await, revision, "{what}");
                let nothing = || async { Ok::<_, Infallible>(None::<Product>) };
                assert_eq!(cache.entry(key(8)).or_find(nothing).await.unwrap().into_value(), None, "{what}");
                let _ack = cache.put(key(9), product(9, revision)).await;
                assert_eq!(origin.through(&cache, 9).await, revision, "{what}");
                let _ack = cache.clear().await;
            }
        }
    }
}

#[tokio::test]
async fn url_that_cannot_be_read_is_an_error_without_the_password() {
    for url in [
        "",
        "nonsense",
        "redis://",
        "127.0.0.1:6379",
        "http://127.0.0.1/",
        "rediss://shop:hunter2@127.0.0.1:notaport/",
        "redis://shop:hunter2@127.0.0.1:notaport/",
        "redis://shop:hunter2@127.0.0.1:99999/",
        "redis://shop:hunter2@127.0.0.1/notanumber",
        "redis://shop:hunter2@/",
    ] {
        for builder in [shop().redis(url), shop().redis(url).start_unreachable()] {
            let (error, said) = refused(builder).await;
            assert_eq!(error.kind(), ErrorKind::Config, "{url}: {said}");
            assert!(!said.contains("hunter2"), "{url}: {said}");
        }
    }
}

#[tokio::test]
async fn other_number_of_partitions_is_refused_naming_both() {
    let redis = RedisServer::start().await;
    let settings = || settings(redis.url()).ensure_notifications();
    let first = built(settings().partitions(32)).await;
    for builder in [settings().partitions(48), settings().partitions(48).start_unreachable()] {
        let (error, said) = refused(builder).await;
        assert_eq!((error.kind(), error.op()), (ErrorKind::Config, "partitions"), "{said}");
        let text = error.to_string();
        assert!(text.contains("32") && text.contains("48") && text.contains("shop:meta"), "{said}");
    }
    let second = built(settings().partitions(32)).await;
    hear_each_other(&first, &second).await;
}

#[tokio::test]
async fn namespace_whose_facts_are_no_facts_is_an_error() {
    let redis = RedisServer::start().await;
    let settings = || settings(redis.url()).ensure_notifications();
    redis.cli(&["SET", "shop:meta", "text"]).await;
    let (_, said) = refused(settings()).await;
    assert!(said.contains("shop:meta") || said.contains("WRONGTYPE"), "{said}");
    redis.cli(&["DEL", "shop:meta"]).await;
    for recorded in ["", "many", "-1", "256 ", "99999999999999999999"] {
        redis.cli(&["HSET", "shop:meta", "partitions", recorded]).await;
        let (error, said) = refused(settings()).await;
        assert_eq!((error.kind(), error.op()), (ErrorKind::Config, "partitions"), "{recorded:?}: {said}");
    }
}

#[tokio::test]
async fn database_of_the_url_is_the_one_that_is_heard() {
    let redis = RedisServer::start().await;
    let settings = |database: &str| settings(redis.url_with("", "", database)).ensure_notifications();
    let (a, b, elsewhere) = (built(settings("3")).await, built(settings("3")).await, built(settings("")).await);
    hear_each_other(&a, &b).await;
    assert_eq!(elsewhere.stats().hints, 0, "another database is another world");
    let (_, said) = refused(settings("4711")).await;
    assert!(said.contains("4711") || said.contains("DB index"), "{said}");
}
