//! Many callers of one key on several nodes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use cache_core::{Cache, Outcome, millis};
use tests::fixtures::RedisServer;
use tokio::{task::JoinHandle, time::sleep};

use crate::support::{Product, key, node, product};

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
