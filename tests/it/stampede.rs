//! Many callers of one key on several nodes: the run of `--bin stampede` in its short form, and what it found when it was new.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cache_core::{Cache, Outcome, Policy, Tier, millis, secs};
use tests::fixtures::{Direction, Proxy, RedisServer, eventually};
use tokio::{sync::Notify, task::JoinHandle, time::sleep};

use crate::support::{Gate, Origin, PATIENT, Product, built, key, node, product, settings};

#[test]
fn counts_hold_with_a_few_processes_for_a_few_seconds() {
    // What a call may wait for Redis is wide: how busy this machine is decides nothing.
    let words = ["--counts", "--processes", "3", "--callers", "100", "--seconds", "2", "--budget", "10000"];
    let run = Command::new(env!("CARGO_BIN_EXE_stampede")).args(words).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("missed: 0") && said.matches("| ok |").count() > 20, "too little was judged: {said}");
    for loaded in ["| loads 1 | 1 | ok |", "| loads 100 | 100 | ok |", "failed 0 of"] {
        assert!(said.matches(loaded).count() >= 2, "with Redis and without it: {loaded}: {said}");
    }
}

/// A call that is answered by whoever loads first, in a task of its own.
fn calling(cache: &Cache, id: u64, load: impl Future<Output = Product> + Send + 'static) -> JoinHandle<Outcome> {
    let cache = cache.clone();
    tokio::spawn(async move {
        let loaded = async move { Ok::<_, std::convert::Infallible>(load.await) };
        let Ok(entry) = cache.entry(key(id)).or_load(|| loaded).await;
        entry.outcome()
    })
}

#[tokio::test]
async fn whoever_gets_a_lease_that_has_just_ended_finds_what_it_stored() {
    const KEYS: u64 = 400;
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let loads = Arc::new(AtomicUsize::new(0));
    let load = |id: u64| {
        let loads = Arc::clone(&loads);
        async move {
            loads.fetch_add(1, Ordering::SeqCst);
            // Time itself: how long a load takes. Its lease outlives it by far.
            sleep(millis(300)).await;
            product(id, 1)
        }
    };
    let mut callers = Vec::new();
    for id in 0..KEYS {
        callers.push(calling(&a, id, load(id)));
        let (b, late) = (b.clone(), load(id));
        callers.push(tokio::spawn(async move {
            // Time itself: somewhere about the moment when the first load is stored.
            sleep(millis(295) + fastrand::u32(..20_000) * std::time::Duration::from_micros(1)).await;
            calling(&b, id, late).await.unwrap()
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(loads.load(Ordering::SeqCst) as u64, KEYS);
}

#[tokio::test]
async fn after_a_load_that_failed_no_node_with_an_old_value_loads() {
    let redis = RedisServer::start().await;
    let policy = Policy::new().ttl(millis(200)).fail_safe(secs(600)).throttle(secs(600)).jitter(0.0);
    let settings = || settings(redis.url()).policy(policy.clone()).ensure_notifications();
    let nodes = [built(settings()).await, built(settings()).await, built(settings()).await];
    let origin = Origin::default();
    for node in &nodes {
        origin.through(node, 7).await;
    }
    // Time itself: the TTL.
    sleep(millis(250)).await;
    let (runs, fail) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let call = |cache: &Cache| {
        let (cache, runs, fail) = (cache.clone(), Arc::clone(&runs), Arc::clone(&fail));
        let load = async move {
            runs.fetch_add(1, Ordering::SeqCst);
            fail.notified().await;
            Err::<Product, _>(std::io::Error::other("the database is away"))
        };
        tokio::spawn(async move { cache.entry(key(7)).or_load(|| load).await.unwrap().outcome() })
    };
    let leader = call(&nodes[0]);
    eventually(PATIENT, async || runs.load(Ordering::SeqCst) == 1).await;
    let others = [call(&nodes[1]), call(&nodes[2])];
    eventually(PATIENT, async || nodes[1..].iter().all(|node| node.stats().leases_awaited >= 1)).await;
    fail.notify_one();
    for caller in [leader].into_iter().chain(others) {
        let outcome = tokio::time::timeout(PATIENT, caller).await.expect("it loads, and nobody lets it").unwrap();
        assert!(matches!(outcome, Outcome::FailSafe(Tier::Local | Tier::Remote)), "{outcome:?}");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn one_late_answer_of_redis_ends_no_wait_for_another_nodes_load() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let near = node(&redis).await;
    let far = built(settings(proxy.url()).ensure_notifications().budget(secs(1)).bound(secs(60))).await;
    let (origin, gate) = (Origin::default(), Gate::default());
    let leads = {
        let (origin, gate) = (origin.clone(), gate.clone());
        calling(&near, 7, async move { gate.read(origin, 7).await.unwrap_or_else(|never| match never {}) })
    };
    gate.reached().await;
    let waits = {
        let origin = origin.clone();
        calling(&far, 7, async move { origin.read(7).await.unwrap_or_else(|never| match never {}) })
    };
    eventually(PATIENT, async || far.stats().leases_awaited == 1).await;
    proxy.stall(Direction::ToClient);
    eventually(PATIENT, async || far.stats().remote_errors == 1).await;
    proxy.pass();
    // Time itself: as long as it takes to ask again.
    sleep(millis(200)).await;
    assert_eq!((origin.loads(), far.stats().remote_errors), (1, 1));
    gate.open();
    assert_eq!(leads.await.unwrap(), Outcome::Loaded);
    assert_eq!(waits.await.unwrap(), Outcome::Joined);
    assert_eq!(origin.loads(), 1);
}
