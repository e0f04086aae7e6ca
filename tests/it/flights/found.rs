//! Flights that land what they found: whoever boarded one after an eviction of a tag, of which only the value knows that it
//! has it, is not given what was evicted.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use cache_core::{Cache, Key, cache_evict, cacheable};
use tests::fixtures::RedisServer;

use super::within;
use crate::support::{Origin, Product, node, product};

#[derive(Clone)]
struct Shop {
    cache: Cache,
    origin: Origin,
}

impl Shop {
    #[cacheable(key = "found:{id}", tags = ["found-category:{it.category}"], inline)]
    async fn find(&self, id: u64) -> Option<Product> {
        Some(product(id, self.origin.revision.load(std::sync::atomic::Ordering::SeqCst)))
    }

    #[cache_evict(tags = ["found-category:{category}"])]
    async fn change(&self, category: &str, revision: u64) {
        self.origin.write(revision);
    }
}

/// Polls once; whoever is polled then waits for Redis, or for a flight.
async fn begin<F: Future>(mut future: Pin<&mut F>) {
    let is_pending = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await;
    assert!(is_pending, "it did not have to wait");
}

/// Lets everything arrive that Redis was asked before: the answer to this comes after theirs.
async fn answered(cache: &Cache) {
    assert!(cache.evict(&Key::new("another").arg(1_u64)).await.is_applied());
}

#[tokio::test]
async fn flight_boarded_after_an_eviction_of_a_found_values_tag_gives_the_new_value() {
    let redis = RedisServer::start().await;
    let origin = Origin::default();
    let [one, two] = [node(&redis).await, node(&redis).await].map(|cache| Shop { cache, origin: origin.clone() });
    origin.write(1);
    one.find(7).await;
    within(one.cache.close()).await;

    let mut leader = pin!(two.find(7));
    begin(leader.as_mut()).await; // It asks for the payload,
    answered(&two.cache).await;
    begin(leader.as_mut()).await; // and for the generation of its tag.
    two.change("books", 2).await;
    let mut passenger = pin!(two.find(7));
    begin(passenger.as_mut()).await;

    let found = within(leader).await.unwrap();
    assert_eq!(found.revision, 1, "it was asked for before the change, and has to be answered from L2 for this test");
    let found = within(passenger).await.unwrap();
    assert_eq!(found.revision, 2, "the change had returned on this node before this call began");
}
