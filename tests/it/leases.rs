//! One load for all nodes: who has the lease loads, the others wait for what it stores, and nobody waits for nothing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use cache_core::{Cache, Outcome, Policy, Request, Tier, millis, secs};
use futures_util::StreamExt;
use tests::fixtures::{Direction, Proxy, RedisServer, eventually};
use tokio::{sync::Notify, task::JoinHandle, time::sleep};

use crate::{
    outage::SOON,
    support::{Gate, Origin, PATIENT, Product, built, counted, key, node, product, settings},
};

/// The leases on the server.
async fn leases(redis: &RedisServer) -> Vec<String> {
    redis::from_redis_value(redis.cli(&["KEYS", "shop:l:*"]).await).unwrap()
}

/// Loads the row on a node, in a task of its own, by a load that waits to be let.
fn loading(cache: &Cache, origin: &Origin, gate: &Gate) -> tokio::task::JoinHandle<(u64, Outcome)> {
    let (cache, origin, gate) = (cache.clone(), origin.clone(), gate.clone());
    tokio::spawn(async move {
        let entry = cache.entry(key(7)).or_load(move || gate.read(origin, 7)).await.unwrap();
        (entry.value().revision, entry.outcome())
    })
}

/// Waits until so many misses of a node have waited for another node's load.
async fn waits(cache: &Cache, count: u64) {
    eventually(SOON, async || cache.stats().leases_awaited >= count).await;
}

#[tokio::test]
async fn one_node_loads_and_the_others_take_what_it_stored() {
    let redis = RedisServer::start().await;
    let nodes = [node(&redis).await, node(&redis).await, node(&redis).await];
    let (origin, gate) = (Origin::default(), Gate::default());
    origin.write(5);
    let leader = loading(&nodes[0], &origin, &gate);
    gate.reached().await;
    let others: Vec<_> = (0..100).map(|number| loading(&nodes[1 + number % 2], &origin, &gate)).collect();
    waits(&nodes[1], 1).await;
    waits(&nodes[2], 1).await;
    gate.open();
    assert_eq!(leader.await.unwrap(), (5, Outcome::Loaded));
    for other in others {
        assert_eq!(other.await.unwrap(), (5, Outcome::Joined));
    }
    assert_eq!(origin.loads(), 1);
    assert_eq!(leases(&redis).await, [""; 0], "a load that is done has no lease");
}

#[tokio::test]
async fn whoever_waits_is_told_and_nobody_else() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let mut ends = redis::Client::open(redis.url()).unwrap().get_async_pubsub().await.unwrap();
    ends.psubscribe("shop:w:*").await.unwrap();
    let (origin, gate) = (Origin::default(), Gate::default());
    origin.through(&a, 1).await;
    let leader = loading(&a, &origin, &gate);
    gate.reached().await;
    let waiting = loading(&b, &origin, &gate);
    waits(&b, 1).await;
    gate.open();
    leader.await.unwrap();
    waiting.await.unwrap();
    let said: String = ends.on_message().next().await.unwrap().get_payload().unwrap();
    assert_eq!(said, "+product:7", "of the first load, for which nobody waited, nothing was said");
}

#[tokio::test]
async fn a_leader_that_falls_silent_is_replaced() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let (far, near) = (built(settings(proxy.url()).ensure_notifications()).await, node(&redis).await);
    let (origin, gate, other) = (Origin::default(), Gate::default(), Gate::default());
    let leader = loading(&far, &origin, &gate);
    gate.reached().await;
    let waiting = loading(&near, &origin, &other);
    waits(&near, 1).await;
    proxy.stall(Direction::ToServer);
    other.reached().await;
    other.open();
    assert_eq!(waiting.await.unwrap().1, Outcome::Loaded, "its own turn, when the lease had ended");
    gate.open();
    leader.await.unwrap();
    assert_eq!(origin.loads(), 2);
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_its_load() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let (origin, gate) = (Origin::default(), Gate::default());
    let leader = loading(&a, &origin, &gate);
    gate.reached().await;
    let waiting = loading(&b, &origin, &gate);
    // Time itself: longer than a lease that nobody renews.
    tokio::time::sleep(millis(2_500)).await;
    assert_eq!(origin.loads(), 1);
    gate.open();
    leader.await.unwrap();
    assert_eq!(waiting.await.unwrap().1, Outcome::Joined);
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn a_lease_lasts_while_its_load_waits_for_its_turn() {
    let redis = RedisServer::start().await;
    let one_at_once = settings(redis.url()).ensure_notifications().scope("product", Policy::new().max_loads(1));
    let (a, b) = (built(one_at_once).await, node(&redis).await);
    let (origin, gate, before) = (Origin::default(), Gate::default(), Gate::default());
    let first = {
        let (a, origin, before) = (a.clone(), origin.clone(), before.clone());
        tokio::spawn(async move { a.get_or_load(key(1), move || before.read(origin, 1)).await.map(drop) })
    };
    before.reached().await;
    let leader = loading(&a, &origin, &gate);
    eventually(SOON, async || leases(&redis).await.len() == 2).await;
    let waiting = loading(&b, &origin, &gate);
    waits(&b, 1).await;
    // Time itself: longer than a lease that nobody renews.
    tokio::time::sleep(millis(2_500)).await;
    assert_eq!(origin.loads(), 1, "the one that has its turn");
    before.open();
    first.await.unwrap().unwrap();
    gate.reached().await;
    gate.open();
    assert_eq!(leader.await.unwrap().1, Outcome::Loaded);
    assert_eq!(waiting.await.unwrap().1, Outcome::Joined);
    assert_eq!(origin.loads(), 2);
}

/// A load that says that it runs, and fails when it is let.
async fn failing(runs: Arc<AtomicUsize>, fail: Arc<Notify>) -> Result<Product, io::Error> {
    runs.fetch_add(1, Ordering::SeqCst);
    fail.notified().await;
    Err(io::Error::other("the database is away"))
}

#[tokio::test]
async fn after_a_load_that_failed_those_who_waited_load_side_by_side() {
    let redis = RedisServer::start().await;
    let nodes = [node(&redis).await, node(&redis).await, node(&redis).await];
    let (runs, fail) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let load = |cache: &Cache| {
        let (cache, runs, fail) = (cache.clone(), Arc::clone(&runs), Arc::clone(&fail));
        tokio::spawn(async move { cache.get_or_load(key(7), move || failing(runs, fail)).await })
    };
    let leader = load(&nodes[0]);
    eventually(SOON, async || runs.load(Ordering::SeqCst) == 1).await;
    let others = [load(&nodes[1]), load(&nodes[2])];
    waits(&nodes[1], 1).await;
    waits(&nodes[2], 1).await;
    fail.notify_one();
    assert!(leader.await.unwrap().is_err());
    eventually(SOON, async || runs.load(Ordering::SeqCst) == 3).await;
    fail.notify_waiters();
    for other in others {
        assert!(other.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn nobody_waits_for_a_load_that_began_before_an_eviction() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let (origin, gate) = (Origin::default(), Gate::default());
    origin.write(1);
    let leader = loading(&a, &origin, &gate);
    gate.reached().await;
    let open = Gate::default();
    open.open();
    let before = loading(&b, &origin, &open);
    waits(&b, 1).await;
    origin.write(2);
    assert!(a.evict(&key(7)).await.is_applied());
    let asks = Origin { revision: Arc::clone(&origin.revision), loads: Arc::default() };
    let late = node(&redis).await;
    assert_eq!(asks.through(&late, 7).await, 2, "while the older load is still under way");
    assert_eq!(late.stats().leases_awaited, 0, "whoever asks after the eviction waits for nobody");
    assert_eq!(before.await.unwrap().0, 2, "who waited for it does so no longer");
    gate.open();
    assert_eq!(leader.await.unwrap().0, 1, "who asked before the eviction may be told so");
}

#[tokio::test]
async fn a_caller_that_goes_away_with_its_load_gives_the_lease_up() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let (origin, gate) = (Origin::default(), Gate::default());
    let gone = {
        let (a, origin, gate) = (a.clone(), origin.clone(), gate.clone());
        tokio::spawn(async move {
            let request: Request<'_> = a.entry(key(7));
            request.or_load_inline(|| gate.read(origin, 7)).await.map(drop)
        })
    };
    gate.reached().await;
    assert_eq!(leases(&redis).await.len(), 1);
    let waiting = loading(&b, &origin, &gate);
    waits(&b, 1).await;
    gone.abort();
    gate.reached().await;
    gate.open();
    assert_eq!(waiting.await.unwrap().1, Outcome::Loaded);
    assert_eq!(leases(&redis).await, [""; 0]);
}

#[tokio::test]
async fn readers_of_different_types_do_not_wait_for_each_other() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let (origin, gate) = (Origin::default(), Gate::default());
    let leader = loading(&a, &origin, &gate);
    gate.reached().await;
    let number = b.get_or_load(key(7), || async { Ok::<_, io::Error>(7_u64) }).await.unwrap();
    assert_eq!((number, b.stats().leases_awaited), (7, 0));
    gate.open();
    leader.await.unwrap();
}

#[tokio::test]
async fn a_user_who_may_not_hear_of_leases_finds_out_by_asking() {
    let channels = "&__keyspace@0__:shop:c:* &__keyspace@0__:shop:t:* &__keyspace@0__:shop:p:*";
    let rule = format!("shop on >secret ~shop:* {channels} +@all");
    let redis = RedisServer::options().notifications("K$gxe").user(rule).start().await;
    let as_shop = async || built(settings(redis.url_with("shop", "secret", ""))).await;
    let (a, b) = (as_shop().await, as_shop().await);
    let (origin, gate) = (Origin::default(), Gate::default());
    let leader = loading(&a, &origin, &gate);
    gate.reached().await;
    let waiting = loading(&b, &origin, &gate);
    waits(&b, 1).await;
    gate.open();
    leader.await.unwrap();
    assert_eq!(waiting.await.unwrap().1, Outcome::Joined);
    assert_eq!(origin.loads(), 1);
}

#[tokio::test]
async fn a_redis_that_dies_while_somebody_waits_is_no_reason_to_wait_on() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let (a, b) = (node(&redis).await, built(settings(proxy.url()).ensure_notifications().budget(millis(200))).await);
    let (origin, gate) = (Origin::default(), Gate::default());
    let leader = loading(&a, &origin, &gate);
    gate.reached().await;
    let open = Gate::default();
    open.open();
    let waiting = loading(&b, &origin, &open);
    waits(&b, 1).await;
    proxy.stall(Direction::ToClient);
    let (revision, _) = tokio::time::timeout(SOON, waiting).await.expect("it loads for itself").unwrap();
    assert_eq!((revision, origin.loads()), (0, 2));
    gate.open();
    leader.await.unwrap();
}

#[tokio::test]
async fn a_load_that_gives_nothing_to_keep_holds_nobody_up() {
    let redis = RedisServer::start().await;
    let small = cache_core::Policy::new().ttl(secs(600)).max_bytes(4);
    let build = || settings(redis.url()).ensure_notifications().policy(small.clone());
    let (a, b) = (built(build()).await, built(build()).await);
    let (origin, gate) = (Origin::default(), Gate::default());
    let leader = loading(&a, &origin, &gate);
    gate.reached().await;
    let waiting = loading(&b, &origin, &gate);
    waits(&b, 1).await;
    gate.open();
    assert_eq!(leader.await.unwrap().1, Outcome::Loaded);
    gate.reached().await;
    gate.open();
    assert_eq!(waiting.await.unwrap().1, Outcome::Loaded, "the value was too large for the server");
    assert_eq!(product(7, 0).id, 7);
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

/// Between its look at what is there, and its question for the lease, another node loads, stores, and ends its lease.
#[tokio::test]
async fn whoever_gets_a_lease_that_has_just_ended_finds_what_it_stored() {
    let redis = RedisServer::start().await;
    let line = Proxy::before(&redis).await;
    let (a, c) = (node(&redis).await, node(&redis).await);
    let patient = settings(line.url()).ensure_notifications().bound(secs(30)).budget(secs(20));
    let b = built(patient).await;
    let before = counted(&redis, "mget", "calls").await;
    line.stall(Direction::ToClient);
    let late = calling(&b, 7, async { product(7, 2) });
    // There was nothing, and it has not heard of that yet.
    eventually(SOON, async || counted(&redis, "mget", "calls").await > before).await;
    assert_eq!(calling(&a, 7, async { product(7, 1) }).await.unwrap(), Outcome::Loaded);
    eventually(SOON, async || c.get::<Product>(&key(7)).await.is_some()).await;
    line.pass();
    assert_eq!(late.await.unwrap(), Outcome::Joined);
    assert_eq!(b.get::<Product>(&key(7)).await, Some(product(7, 1)));
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
