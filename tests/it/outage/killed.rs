//! Redis killed, and connections killed.

use cache_core::{Ack, CoherenceState, millis};
use tests::fixtures::{RedisServer, eventually};

use super::{SOON, in_order, local, state, timed};
use crate::support::{Origin, Product, built, coherent, healed, key, node, product, sees, settings};

#[tokio::test]
async fn redis_killed_fails_no_call_and_nothing_old_is_served_after_the_bound() {
    let redis = RedisServer::start().await;
    // Nothing is kept of what is loaded meanwhile: the row changes below, and nobody says so.
    let impatient =
        || settings(redis.url()).ensure_notifications().budget(millis(50)).bound(millis(400)).outage_ttl(millis(0));
    let (a, b) = (built(impatient()).await, built(impatient()).await);
    let origin = Origin::default();
    origin.write(1);
    local(&a, &origin, 7).await;
    redis.kill().await;

    let calls: Vec<_> = (0..200)
        .map(|id| {
            let (cache, origin) = (a.clone(), origin.clone());
            tokio::spawn(async move { timed(origin.through(&cache, id % 50)).await })
        })
        .collect();
    for call in calls {
        let (found, _, took) = call.await.unwrap();
        assert_eq!(found, 1);
        assert!(took.as_secs() < 2, "{took:?}");
    }
    state(&a, CoherenceState::Fenced).await;
    for revision in 2..20 {
        origin.write(revision);
        assert_eq!(origin.through(&a, 7).await, revision, "L1 is not believed any more");
    }
    assert_eq!(a.get::<Product>(&key(7)).await, None);
    assert_eq!(a.put(key(7), product(7, 20)).await, Ack::Queued);
    assert_eq!(a.evict(&key(7)).await, Ack::Queued);
    assert_eq!(a.evict_scope("product").await, Ack::Queued);
    assert_eq!(a.clear().await, Ack::Queued);

    redis.restart().await;
    coherent(&a).await;
    coherent(&b).await;
    in_order(&a, &b).await;
    local(&a, &origin, 7).await;
}

/// Kills connections and changes the row in one breath, so that nobody can have heard of it.
async fn change_unheard(kill: &[[&str; 4]]) {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    for cache in [&a, &b] {
        local(cache, &origin, 7).await;
    }
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    origin.write(2);
    let control = a.redis_key(&key(7)).unwrap();
    let mut connection = redis.connection().await;
    let mut breath = redis::pipe();
    for words in kill {
        breath.cmd(words[0]).arg(&words[1..]);
    }
    breath.cmd("SET").arg(&control).arg("1790000000000001").arg("KEEPTTL").ignore();
    let killed: Vec<i64> = breath.query_async(&mut connection).await.unwrap();
    assert_eq!(killed, vec![2; kill.len()], "one of each kind of each node");

    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
        assert!(cache.coherence().why.is_some());
        sees(cache, &origin, 7, 2).await;
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn subscriptions_killed_are_fenced_and_healed() {
    change_unheard(&[["CLIENT", "KILL", "TYPE", "pubsub"]]).await;
}

#[tokio::test]
async fn data_connections_killed_are_fenced_and_healed() {
    change_unheard(&[["CLIENT", "KILL", "TYPE", "normal"]]).await;
}

#[tokio::test]
async fn all_connections_killed_are_fenced_and_healed() {
    change_unheard(&[["CLIENT", "KILL", "TYPE", "pubsub"], ["CLIENT", "KILL", "TYPE", "normal"]]).await;
}

#[tokio::test]
async fn connections_killed_again_and_again_lose_no_eviction() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    for revision in 1..20 {
        let kind = if revision % 2 == 0 { "pubsub" } else { "normal" };
        redis.cli(&["CLIENT", "KILL", "TYPE", kind]).await;
        origin.write(revision);
        let (evicts, reads) = if revision % 3 == 0 { (&b, &a) } else { (&a, &b) };
        let ack = evicts.evict(&key(7)).await;
        assert_eq!(origin.through(evicts, 7).await, revision, "{ack:?}");
        sees(reads, &origin, 7, revision).await;
    }
    for cache in [&a, &b] {
        eventually(SOON, async || cache.coherence().remote_trusted).await;
    }
    in_order(&a, &b).await;
}

#[tokio::test]
async fn password_changed_while_running_fails_no_call_and_heals_when_it_is_put_right() {
    let redis = RedisServer::options().password("one").start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    let origin = Origin::default();
    origin.write(1);
    local(&a, &origin, 7).await;
    let fences = [&a, &b].map(|cache| cache.coherence().fences);
    let mut connection = redis.connection().await;
    let mut change = redis::pipe();
    change.cmd("CONFIG").arg("SET").arg("requirepass").arg("two").ignore();
    for kind in ["normal", "pubsub"] {
        change.cmd("CLIENT").arg("KILL").arg("TYPE").arg(kind).ignore();
    }
    let () = change.query_async(&mut connection).await.unwrap();
    for cache in [&a, &b] {
        state(cache, CoherenceState::Fenced).await;
    }
    for revision in 2..20 {
        origin.write(revision);
        assert_eq!(origin.through(&a, 7).await, revision);
        assert_eq!(a.evict(&key(7)).await, Ack::Queued);
    }
    let mut back = redis::cmd("CONFIG");
    let () = back.arg("SET").arg("requirepass").arg("one").query_async(&mut connection).await.unwrap();
    for (cache, fences) in [&a, &b].into_iter().zip(fences) {
        healed(cache, fences).await;
    }
    in_order(&a, &b).await;
}
