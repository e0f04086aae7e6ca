//! Two versions of a program on one Redis at once, as while it is deployed: a field more, variants in another order, a number
//! of another width. Neither reads the other's values, neither pushes them out, and one eviction reaches both.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cache_core::{Cache, CacheValue, Codec};
use tests::fixtures::{RedisServer, eventually};

use crate::{
    outage::SOON,
    support::{built, key, settings},
};

/// The types as the program had them.
mod old {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Product {
        pub(super) id: u64,
        pub(super) stock: u32,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) enum State {
        Ordered(u8),
        Paid(u8),
    }
}

/// And as it has them now.
mod new {
    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Product {
        pub(super) id: u64,
        pub(super) stock: u32,
        pub(super) name: Option<String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) enum State {
        Paid(u8),
        Ordered(u8),
    }
}

/// A program that reads one key as one type, and counts its loads.
struct Program<T> {
    cache: Cache,
    value: T,
    loads: Arc<AtomicU64>,
}

impl<T: CacheValue + PartialEq + std::fmt::Debug> Program<T> {
    async fn start(redis: &RedisServer, codec: Codec, value: T) -> Self {
        let cache = built(settings(redis.url()).codec(codec).ensure_notifications()).await;
        Self { cache, value, loads: Arc::default() }
    }

    async fn read(&self) {
        let (value, loads) = (self.value.clone(), Arc::clone(&self.loads));
        let load = || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::convert::Infallible>(value)
        };
        assert_eq!(self.cache.get_or_load(key(7), load).await.as_ref(), Ok(&self.value));
    }

    fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }
}

/// Runs both versions, each on two nodes.
async fn side_by_side<A, B>(codec: Codec, before: A, after: B)
where
    A: CacheValue + PartialEq + std::fmt::Debug,
    B: CacheValue + PartialEq + std::fmt::Debug,
{
    let redis = RedisServer::start().await;
    let (old, new) =
        (Program::start(&redis, codec, before.clone()).await, Program::start(&redis, codec, after.clone()).await);
    let (other_old, other_new) =
        (Program::start(&redis, codec, before).await, Program::start(&redis, codec, after).await);
    for round in 1..4 {
        for _ in 0..10 {
            old.read().await;
            new.read().await;
        }
        let fills = async || old.cache.stats().fills == round && new.cache.stats().fills == round;
        eventually(SOON, fills).await;
        for _ in 0..10 {
            other_old.read().await;
            other_new.read().await;
        }
        assert_eq!((old.loads(), new.loads()), (round, round), "each version loads once, whatever the other does");
        assert_eq!((other_old.loads(), other_new.loads()), (0, 0), "the other nodes of each take what it stored");
        let undecodable = |program: &Program<A>| program.cache.stats().undecodable;
        assert_eq!((undecodable(&old), new.cache.stats().undecodable), (0, 0), "nobody trips over the other's values");
        // One eviction, by whichever version, reaches both on all nodes.
        let evicts = if round % 2 == 0 { &new.cache } else { &old.cache };
        assert!(evicts.evict(&key(7)).await.is_applied());
        for cache in [&old.cache, &other_old.cache] {
            eventually(SOON, async || cache.get::<A>(&key(7)).await.is_none()).await;
        }
        for cache in [&new.cache, &other_new.cache] {
            eventually(SOON, async || cache.get::<B>(&key(7)).await.is_none()).await;
        }
    }
}

const CODECS: [Codec; 4] = [Codec::Bincode, Codec::Json, Codec::Postcard, Codec::MessagePack];

#[tokio::test]
async fn a_field_more() {
    for codec in CODECS {
        let name = Some("a lamp".into());
        side_by_side(codec, old::Product { id: 7, stock: 3 }, new::Product { id: 7, stock: 3, name }).await;
    }
}

#[tokio::test]
async fn variants_in_another_order() {
    for codec in CODECS {
        side_by_side(codec, old::State::Paid(7), new::State::Paid(7)).await;
        side_by_side(codec, old::State::Ordered(7), new::State::Ordered(7)).await;
    }
}

#[tokio::test]
async fn a_number_of_another_width() {
    for codec in CODECS {
        side_by_side(codec, 4_000_000_000_u32, -1_i64).await;
    }
}
