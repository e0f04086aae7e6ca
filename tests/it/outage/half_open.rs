//! A link on which nothing comes through any more, in one direction or both, and nobody is told.

use std::{convert::Infallible, time::Duration};

use cache_core::{Ack, Cache, CoherenceState, Outcome, cache_put, millis, secs};
use tests::fixtures::{Direction, Proxy, RedisServer, eventually};
use tokio::time::{Instant, sleep};

use super::{SOON, in_order, local, state};
use crate::support::{Origin, Product, built, coherent, healed, key, node, product, sees, settings};

const BOUND: Duration = Duration::from_millis(500);

async fn behind(proxy: &Proxy) -> Cache {
    built(settings(proxy.url()).ensure_notifications().bound(BOUND).budget(millis(50)).connect_timeout(millis(500)))
        .await
}

async fn nothing_old_after_the_bound(directions: &[Direction]) {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let (far, near) = (behind(&proxy).await, node(&redis).await);
    let origin = Origin::default();
    for round in 0..3_u64 {
        let (old, new) = (2 * round + 1, 2 * round + 2);
        origin.write(old);
        eventually(SOON, async || near.evict(&key(7)).await.is_applied()).await;
        sees(&far, &origin, 7, old).await;
        local(&far, &origin, 7).await;

        for direction in directions {
            proxy.stall(*direction);
        }
        origin.write(new);
        assert!(near.evict(&key(7)).await.is_applied());
        let acknowledged = Instant::now();
        let mut judged = 0;
        while acknowledged.elapsed() < BOUND * 3 {
            let begun = Instant::now();
            let found = origin.through(&far, 7).await;
            if begun >= acknowledged + BOUND {
                assert_eq!(found, new, "{:?} after the acknowledgement", begun - acknowledged);
                judged += 1;
            }
            // Time itself: reads all along the bound and beyond, without using up the processor.
            sleep(millis(2)).await;
        }
        assert!(judged > 3, "{judged}");
        state(&far, CoherenceState::Fenced).await;
        proxy.pass();
        coherent(&far).await;
        in_order(&far, &near).await;
    }
}

#[tokio::test]
async fn nothing_from_the_server_is_noticed_within_the_bound() {
    nothing_old_after_the_bound(&[Direction::ToClient]).await;
}

#[tokio::test]
async fn nothing_to_the_server_is_noticed_within_the_bound() {
    nothing_old_after_the_bound(&[Direction::ToServer]).await;
}

#[tokio::test]
async fn nothing_either_way_is_noticed_within_the_bound() {
    nothing_old_after_the_bound(&[Direction::ToClient, Direction::ToServer]).await;
}

#[tokio::test]
async fn a_connection_for_commands_that_falls_silent_alone_is_noticed_within_the_bound() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let far = behind(&proxy).await;
    let (origin, fences) = (Origin::default(), far.coherence().fences);
    origin.write(1);
    local(&far, &origin, 7).await;
    // The first of a link is that for commands; beats and notifications go on on the second.
    proxy.stall_one(Direction::ToClient, 0);
    healed(&far, fences).await;
    eventually(SOON, async || far.evict(&key(7)).await.is_applied()).await;
    in_order(&far, &node(&redis).await).await;
}

/// A writer whose link stops while its row is already in the database.
#[cache_put(key = "late-write:{id}", cache = cache)]
async fn save(cache: &Cache, proxy: &Proxy, id: u64, revision: u64) -> Result<Product, Infallible> {
    proxy.stall(Direction::ToServer);
    Ok(product(id, revision))
}

#[tokio::test]
async fn put_that_arrives_long_after_it_was_given_up_is_not_served() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let (far, near) = (behind(&proxy).await, node(&redis).await);
    let late = || cache_core::Key::new("late-write").arg(7_u64);
    let origin = Origin::default();
    let through = async |cache: &Cache| {
        let read = origin.clone();
        let Ok(product) = cache.get_or_load(late(), move || read.read(7)).await;
        product.revision
    };
    origin.write(1);
    eventually(SOON, async || through(&far).await == 1 && far.stats().fills > 0).await;
    let queued = far.stats().queued;
    origin.write(2);
    let Ok(_) = save(&far, &proxy, 7, 2).await;
    assert_eq!(far.stats().queued, queued + 1, "the put is on the way and was given up");
    state(&far, CoherenceState::Fenced).await;
    // This one never leaves the node. Nothing that Redis holds from before may be served once it is settled.
    origin.write(3);
    assert_eq!(far.evict(&late()).await, Ack::Queued);
    proxy.pass();
    coherent(&far).await;
    eventually(SOON, async || far.coherence().remote_trusted).await;
    for cache in [&far, &near, &node(&redis).await] {
        eventually(SOON, async || through(cache).await == 3).await;
        assert_eq!(through(cache).await, 3);
    }
}

#[tokio::test]
async fn what_redis_took_before_a_body_is_not_missing_after_it() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    // A bound that does not pass: the link is kept.
    let patient = settings(proxy.url()).ensure_notifications().bound(secs(600)).budget(millis(200));
    let cache = built(patient).await;
    proxy.stall(Direction::ToClient);
    let body = || async {
        proxy.pass();
        Ok::<_, Infallible>(product(7, 1))
    };
    let Ok(written) = cache.entry(key(7)).write(body).await;
    assert!(matches!(written.outcome(), Outcome::Put(Ack::Applied(_))), "{}", written.outcome());
}

#[tokio::test]
async fn connections_cut_again_and_again_lose_no_eviction() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let (far, near) = (built(settings(proxy.url()).ensure_notifications()).await, node(&redis).await);
    let origin = Origin::default();
    for revision in 1..20 {
        if revision % 4 == 0 {
            proxy.refuse();
        } else {
            proxy.cut();
        }
        origin.write(revision);
        let (evicts, reads) = if revision % 2 == 0 { (&far, &near) } else { (&near, &far) };
        let ack = evicts.evict(&key(7)).await;
        assert_eq!(origin.through(evicts, 7).await, revision, "{ack:?}");
        proxy.pass();
        sees(reads, &origin, 7, revision).await;
    }
    in_order(&far, &near).await;
}
