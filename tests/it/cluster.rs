//! Several primaries: each is heard, a batch goes to all whom it concerns, slots move and primaries change under load.

use std::collections::HashSet;

use cache_core::{Ack, Cache, CoherenceState, Key, Mechanism, Redis, millis};
use tests::fixtures::{RedisCluster, RedisServer, eventually};

use crate::{
    outage::{SOON, in_order, local, state},
    support::{Origin, Product, built, coherent, key, product, sees, settings},
};

async fn node(cluster: &RedisCluster) -> Cache {
    node_by(cluster, Mechanism::Keyspace).await
}

async fn node_by(cluster: &RedisCluster, mechanism: Mechanism) -> Cache {
    let redis = Redis::cluster(cluster.urls());
    built(settings(redis).ensure_notifications().mechanisms([mechanism]).bound(millis(1_000))).await
}

async fn slot_of(cluster: &RedisCluster, cache: &Cache, key: &Key) -> u16 {
    cluster.slot_of(&cache.redis_key(key).unwrap()).await
}

async fn owner<'a>(cluster: &'a RedisCluster, cache: &Cache, key: &Key) -> &'a RedisServer {
    cluster.owner_of(slot_of(cluster, cache, key).await).await
}

/// Waits until all that a cache knows may be used.
async fn well(cache: &Cache) {
    eventually(SOON, async || {
        let report = cache.coherence();
        let well = report.state == CoherenceState::Coherent && report.remote_trusted;
        if well { Ok(()) } else { Err(report) }
    })
    .await;
}

#[tokio::test]
async fn evictions_through_every_primary_are_heard_by_both_mechanisms() {
    let cluster = RedisCluster::start(3, 0).await;
    for mechanism in [Mechanism::Keyspace, Mechanism::Tracking] {
        let (a, b) = (node_by(&cluster, mechanism).await, node_by(&cluster, mechanism).await);
        let origin = Origin::default();
        let mut primaries = HashSet::new();
        for id in 0..24 {
            origin.write(1);
            assert!(a.evict(&key(id)).await.is_applied());
            sees(&b, &origin, id, 1).await;
            local(&b, &origin, id).await;
            origin.write(2);
            let hints = b.stats().hints;
            assert!(a.evict(&key(id)).await.is_applied());
            sees(&b, &origin, id, 2).await;
            eventually(SOON, async || b.stats().hints > hints).await;
            primaries.insert(owner(&cluster, &a, &key(id)).await.address());
        }
        assert_eq!(primaries.len(), 3, "keys of all primaries were among them");
    }
}

#[tokio::test]
async fn scopes_and_tags_reach_entries_of_every_primary() {
    let cluster = RedisCluster::start(3, 0).await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    let tag = || Key::new("category").arg("books");
    for round in 1..=3_u64 {
        for cache in [&a, &b] {
            for id in 0..24 {
                let request = cache.entry(key(id)).tag(tag());
                request.or_load(move || async move { Ok::<_, std::io::Error>(product(id, round)) }).await.unwrap();
            }
        }
        let ack = match round {
            1 => a.evict_tag(tag()).await,
            2 => a.evict_scope("product").await,
            _ => a.clear().await,
        };
        assert!(ack.is_applied());
        let keys: Vec<Key> = (0..24).map(key).collect();
        for cache in [&a, &b] {
            eventually(SOON, async || cache.get_many::<Product>(&keys).await.iter().all(Option::is_none)).await;
        }
    }
}

#[tokio::test]
async fn a_batch_goes_to_all_whom_it_concerns() {
    let cluster = RedisCluster::start(3, 0).await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    let keys: Vec<Key> = (0..60).map(key).collect();
    for (id, key) in (0..).zip(&keys) {
        assert!(a.put(key.clone(), product(id, 5)).await.is_applied());
    }
    let found = b.get_many::<Product>(&keys).await;
    assert_eq!(found, (0..60).map(|id| Some(product(id, 5))).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_and_no_eviction_is_missed() {
    let cluster = RedisCluster::start(3, 0).await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    let origin = Origin::default();
    let slot = slot_of(&cluster, &a, &key(7)).await;
    let mut revision = 0;
    let mut changed = async |cluster: &RedisCluster, what: &str| {
        for (evicts, reads) in [(&a, &b), (&b, &a)] {
            revision += 1;
            origin.write(revision);
            // Whoever holds the slot may just then say that the other one does.
            eventually(SOON, async || evicts.evict(&key(7)).await.is_applied()).await;
            assert_eq!(origin.through(evicts, 7).await, revision, "{what}");
            sees(reads, &origin, 7, revision).await;
            local(reads, &origin, 7).await;
        }
        assert_eq!(cluster.nodes().len(), 3);
    };
    changed(&cluster, "at first").await;
    let from = cluster.owner_of(slot).await;
    let to = cluster.another_primary(from).await;
    cluster.begin_move(slot, from, to).await;
    changed(&cluster, "its keys still where they were").await;
    cluster.move_keys(slot, from, to).await;
    changed(&cluster, "its keys at the other end").await;
    cluster.finish_move(slot, to).await;
    changed(&cluster, "moved").await;
    assert_eq!(cluster.owner_of(slot).await.address(), to.address());
    for cache in [&a, &b] {
        well(cache).await;
    }
    changed(&cluster, "and settled").await;
}

#[tokio::test]
async fn a_primary_that_gives_all_of_our_slots_away_is_followed_and_has_no_say_any_more() {
    let cluster = RedisCluster::start(3, 1).await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    let first = &cluster.nodes()[0];
    let mut slots = HashSet::new();
    for id in 0..200 {
        slots.insert(slot_of(&cluster, &a, &key(id)).await);
    }
    let to = &cluster.nodes()[1];
    for slot in slots {
        if cluster.owner_of(slot).await.address() == first.address() {
            cluster.begin_move(slot, first, to).await;
            cluster.move_keys(slot, first, to).await;
            cluster.finish_move(slot, to).await;
        }
    }
    let origin = Origin::default();
    for (revision, id) in (1..).zip(0..40) {
        origin.write(revision);
        eventually(SOON, async || a.evict(&key(id)).await.is_applied()).await;
        sees(&b, &origin, id, revision).await;
    }
    in_order(&a, &b).await;
    // What it said of the others is old by now.
    cluster.promote(cluster.replica_of(to).await).await;
    for cache in [&a, &b] {
        well(cache).await;
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn a_slot_that_stays_half_moved_does_no_harm_even_if_the_beat_was_in_it() {
    let cluster = RedisCluster::start(3, 0).await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    // The last slot of each is where its beat is.
    for (index, slot) in [(0, 5_460), (1, 10_921), (2, 16_383)] {
        let from = cluster.owner_of(slot).await;
        assert_eq!(from.address(), cluster.nodes()[index].address());
        cluster.begin_move(slot, from, &cluster.nodes()[(index + 1) % 3]).await;
    }
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    // Time itself: some bounds, in which the beats go elsewhere.
    tokio::time::sleep(millis(3_000)).await;
    for cache in [&a, &b] {
        well(cache).await;
    }
    in_order(&a, &b).await;
    let fresh = node(&cluster).await;
    in_order(&a, &fresh).await;
    for (cache, before) in [&a, &b].into_iter().zip(fences) {
        let fences = cache.coherence().fences - before;
        assert!(fences <= 3, "a beat to each of the three went astray, and no more: {fences}");
    }
}

#[tokio::test]
async fn a_replica_that_takes_over_in_good_order_is_followed() {
    let cluster = RedisCluster::start(3, 1).await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    let origin = Origin::default();
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    let before = owner(&cluster, &a, &key(7)).await;
    cluster.promote(cluster.replica_of(before).await).await;
    origin.write(2);
    eventually(SOON, async || a.evict(&key(7)).await.is_applied()).await;
    assert_eq!(origin.through(&a, 7).await, 2);
    sees(&b, &origin, 7, 2).await;
    assert_ne!(owner(&cluster, &a, &key(7)).await.address(), before.address());
    for cache in [&a, &b] {
        well(cache).await;
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn a_primary_that_dies_takes_nothing_with_it_that_was_acknowledged() {
    let cluster = RedisCluster::start(3, 1).await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    let origin = Origin::default();
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    let primary = owner(&cluster, &a, &key(7)).await;
    let replica = cluster.replica_of(primary).await;
    // The replica has what came before, and not what comes now.
    replica.pause().await;
    origin.write(2);
    assert!(a.evict(&key(7)).await.is_applied());
    primary.kill().await;
    replica.resume();
    // Others are as they were, whatever becomes of this one.
    let other = (0..).map(key);
    let mut served = 0;
    for id in other.take(30) {
        let home = owner_while_down(&cluster, &a, &id, primary).await;
        if home {
            assert!(a.evict(&id).await.is_applied(), "{id:?} has a primary that is well");
            served += 1;
        }
    }
    assert!(served > 5, "{served} of 30 keys are of others");
    cluster.promoted(replica).await;
    for cache in [&a, &b] {
        well(cache).await;
        sees(cache, &origin, 7, 2).await;
    }
    // Whoever comes new has only what Redis holds.
    assert_eq!(origin.through(&node(&cluster).await, 7).await, 2);
    in_order(&a, &b).await;
}

/// Whether the owner of a key, by the slots that everybody agreed on at the start, is another one than `dead`.
async fn owner_while_down(cluster: &RedisCluster, cache: &Cache, key: &Key, dead: &RedisServer) -> bool {
    let name = cache.redis_key(key).unwrap();
    let alive = cluster.nodes().iter().find(|node| node.id().is_some()).unwrap();
    let slot: u16 = redis::from_redis_value(alive.cli(&["CLUSTER", "KEYSLOT", &name]).await).unwrap();
    let nodes = cluster.nodes();
    let first = usize::from(slot) * 3 / 16_384;
    nodes[first].address() != dead.address()
}

#[tokio::test]
async fn a_primary_without_a_replica_that_dies_costs_only_its_own_keys() {
    let options = RedisServer::options().line("cluster-require-full-coverage no").append_only("always");
    let cluster = RedisCluster::start_with(3, 0, options).await;
    let (a, b) = (node(&cluster).await, node(&cluster).await);
    let origin = Origin::default();
    let primary = owner(&cluster, &a, &key(7)).await;
    let other = (0..).map(key);
    let mut others = Vec::new();
    for key in other.take(30) {
        if owner(&cluster, &a, &key).await.address() != primary.address() {
            others.push(key);
        }
    }
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    primary.kill().await;
    origin.write(2);
    assert_eq!(a.evict(&key(7)).await, Ack::Queued);
    assert_eq!(origin.through(&a, 7).await, 2, "here it is in force at once");
    for key in &others {
        assert!(a.evict(key).await.is_applied());
    }
    state(&a, CoherenceState::Fenced).await;
    primary.restart().await;
    for cache in [&a, &b] {
        coherent(cache).await;
        sees(cache, &origin, 7, 2).await;
    }
    eventually(SOON, async || a.coherence().queued == 0).await;
    assert_eq!(origin.through(&node(&cluster).await, 7).await, 2);
    in_order(&a, &b).await;
}

#[tokio::test]
async fn a_start_names_what_is_no_cluster() {
    let redis = RedisServer::start().await;
    let error = settings(Redis::cluster([redis.url()])).build().await.unwrap_err();
    assert!(error.to_string().contains("is no node of a cluster"), "{error}");
    let cluster = RedisCluster::start(3, 0).await;
    let error = settings(Redis::cluster([cluster.nodes()[0].url_with("", "", "3")])).build().await.unwrap_err();
    assert!(error.to_string().contains("names 3"), "{error}");
    let error = settings(cluster.nodes()[0].url()).build().await.unwrap_err();
    assert!(error.to_string().contains("Redis::cluster"), "{error}");
}

#[tokio::test]
async fn one_node_that_is_there_is_enough_to_find_the_others() {
    let cluster = RedisCluster::start(3, 0).await;
    let nowhere = "redis://127.0.0.1:1/".to_owned();
    let cache = built(settings(Redis::cluster([nowhere, cluster.nodes()[2].url()])).ensure_notifications()).await;
    in_order(&cache, &node(&cluster).await).await;
}

#[tokio::test]
async fn a_start_before_any_primary_can_be_reached_is_made_good() {
    let cluster = RedisCluster::start(1, 1).await;
    let [primary, replica] = cluster.nodes() else { panic!("there are two") };
    // The replica says whose the slots are; its primary takes connections, and answers nobody.
    primary.pause().await;
    let redis = Redis::cluster([replica.url()]);
    let early = || settings(redis.clone()).ensure_notifications().bound(millis(1_000)).connect_timeout(millis(500));
    let error = early().build().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let cache = early().start_unreachable().build().await.unwrap();
    assert_eq!(cache.coherence().state, CoherenceState::Fenced);
    primary.resume();
    well(&cache).await;
    in_order(&cache, &node(&cluster).await).await;
}
