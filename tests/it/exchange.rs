//! What a layer over whole services is promised: values with lives and tags of their own, loads for what is newer than what it
//! has, and answers that are not to be stored hold nobody up.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_core::{
    __private::{Exchange, Met, Says, Talk, Teller},
    Cache, Key, Policy, hours, key, millis,
};
use futures_util::{future::join_all, poll};
use serde::{Deserialize, Serialize};
use tests::fixtures::{RedisServer, eventually};
use tokio::{
    sync::{Barrier, Notify},
    time::Instant,
};

use crate::{
    outage::SOON,
    support::{built, coherent, node, settings},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    number: u64,
    millis: u64,
    tags: Vec<u64>,
}

const SAYS: Says<Page> = Says {
    life: |page| Duration::from_millis(page.millis),
    tags: |page| page.tags.iter().map(|tag| Key::new("page-tag").arg(*tag)).collect(),
};

fn exchange(cache: &Cache) -> Exchange<Page> {
    Exchange::new(cache.clone(), key!("page:{1}"), vec![key!("url:{1}")], hours(1), SAYS)
}

/// The page after the last.
#[derive(Clone, Default)]
struct Pages(Arc<AtomicU64>);

impl Pages {
    async fn next(self) -> Result<Page, u64> {
        let number = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Ok(Page { number, millis: 3_600_000, tags: vec![number] })
    }

    async fn through(&self, cache: &Cache, than: u64) -> Met<Page> {
        exchange(cache).load(than, |_| false, None, self.clone().next()).await.unwrap()
    }
}

#[tokio::test]
async fn load_for_something_newer_is_one_for_all_nodes() {
    let redis = RedisServer::start().await;
    let (a, b) = (node(&redis).await, node(&redis).await);
    coherent(&b).await;
    let pages = Pages::default();
    let first = pages.through(&a, 0).await;
    eventually(SOON, async || exchange(&b).find().await.is_some()).await;
    assert_eq!(pages.through(&b, 0).await.value.number, 1);
    let second = pages.through(&a, first.made).await;
    assert_eq!(second.value.number, 2);
    eventually(SOON, async || pages.through(&b, first.made).await.value.number == 2).await;
    assert!(exchange(&b).hit().is_some_and(|met| met.value.number == 2));
    let loads = pages.0.load(Ordering::SeqCst);
    assert_eq!(pages.through(&b, first.made).await.value.number, loads, "it is there already");
    assert_eq!(pages.0.load(Ordering::SeqCst), loads);
}

#[tokio::test]
async fn value_says_how_long_it_lives_and_what_it_depends_on() {
    let (cache, pages) = (Cache::in_memory(), Pages::default());
    let short = async { Ok::<_, u64>(Page { number: 0, millis: 30, tags: Vec::new() }) };
    exchange(&cache).load(0, |_| false, None, short).await.unwrap();
    eventually(SOON, async || exchange(&cache).hit().is_none()).await;
    for tag in [key!("page-tag:{1}"), key!("url:{1}")] {
        let number = pages.through(&cache, 0).await.value.number;
        assert_eq!(exchange(&cache).hit().unwrap().value.number, number);
        let _applied = cache.evict_tag(tag).await;
        assert!(exchange(&cache).hit().is_none());
    }
}

#[tokio::test]
async fn softly_evicted_is_found_on_every_node_with_how_long_ago_that_was_and_answers_no_load() {
    let redis = RedisServer::start().await;
    let policy = Policy::new().stale(hours(1));
    let on_redis = || built(settings(redis.url()).ensure_notifications().policy(policy.clone()));
    let alone = Cache::builder("shop").policy(policy.clone()).build().await.unwrap();
    let nodes = [alone, on_redis().await, on_redis().await];
    for (writer, readers) in [(&nodes[0], &nodes[..1]), (&nodes[1], &nodes[1..])] {
        let pages = Pages::default();
        let judging = |cache: &Cache| exchange(cache).judging_what_is_old();
        let first = pages.through(writer, 0).await;
        for reader in readers {
            eventually(SOON, async || judging(reader).find().await.is_some_and(|met| met.left.is_none())).await;
        }
        let before = Instant::now();
        assert!(writer.soft_evict_tag(key!("url:{1}")).await.is_applied());
        for reader in readers {
            eventually(SOON, async || judging(reader).find().await.is_some_and(|met| met.left.is_some())).await;
            let met = judging(reader).find().await.unwrap();
            // By the clock of Redis, of which a node knows about what it says.
            assert!(met.left.unwrap() <= before.elapsed() + millis(500), "{:?}", met.left);
            assert_eq!((met.value.number, met.made), (1, first.made));
            assert!(judging(reader).hit().is_none(), "it is no hit");
            assert!(exchange(reader).find().await.is_none(), "nor is it there for who does not judge it");
        }
        let again = judging(writer).load(0, |_| false, None, pages.clone().next()).await.unwrap();
        assert_eq!((again.value.number, again.left), (2, None));
        assert!(writer.evict_tag(key!("url:{1}")).await.is_applied());
        for reader in readers {
            eventually(SOON, async || judging(reader).find().await.is_none()).await;
        }
    }
}

#[tokio::test]
async fn what_a_load_says_is_heard_by_who_waits_for_it_and_not_once_a_tag_of_it_was_evicted() {
    let (cache, pages) = (Cache::in_memory(), Pages::default());
    let (gate, teller) = (Arc::new(Notify::new()), Teller::default());
    let load = {
        let (pages, gate, teller) = (pages.clone(), Arc::clone(&gate), teller.clone());
        async move {
            teller.tell(Arc::new("soon"), &[key!("page-tag:{1}")]);
            gate.notified().await;
            pages.next().await
        }
    };
    let heard = Arc::new(AtomicU64::new(0));
    let talk = |teller: Teller| {
        let heard = Arc::clone(&heard);
        let hears = move |what: Arc<dyn Any + Send + Sync>| {
            assert_eq!(*what.downcast::<&str>().unwrap(), "soon");
            heard.fetch_add(1, Ordering::SeqCst);
        };
        Talk { teller, hears: Box::new(hears) }
    };
    let exchange = exchange(&cache);
    let by = |teller| exchange.load_talking(0, |_: &u64| false, None, talk(teller), pages.clone().next());
    assert!(!teller.is_heard());
    let mut first = Box::pin(exchange.load_talking(0, |_: &u64| false, None, talk(teller.clone()), load));
    let mut waiter = Box::pin(by(Teller::default()));
    assert!(poll!(&mut first).is_pending());
    eventually(SOON, async || teller.is_heard()).await;
    while heard.load(Ordering::SeqCst) == 0 {
        assert!(poll!(&mut waiter).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(cache.evict_tag(key!("page-tag:{1}")).await.is_applied());
    // Not the value that he would not be given in the end: he does not wait for that either.
    assert_eq!(by(Teller::default()).await.unwrap().value.number, 1);
    gate.notify_one();
    assert_eq!((first.await.unwrap().value.number, waiter.await.unwrap().value.number), (2, 2));
    assert_eq!(heard.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn answers_that_are_not_to_be_stored_are_got_side_by_side() {
    let cache = Cache::in_memory();
    // All of them are under way at once, or this never ends.
    let (first, others) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(4)));
    let leader = async {
        let first = Arc::clone(&first);
        let load = async move {
            first.wait().await;
            Err::<Page, _>(0)
        };
        exchange(&cache).load(0, |_| true, None, load).await
    };
    let waiter = async || {
        let others = Arc::clone(&others);
        let load = async move {
            others.wait().await;
            Err::<Page, _>(1)
        };
        exchange(&cache).load(0, |_| true, None, load).await
    };
    let end = async {
        eventually(SOON, async || cache.stats().loads == 1).await;
        first.wait().await;
    };
    let (lead, rest, ()) = tokio::join!(leader, join_all((0..4).map(|_| waiter())), end);
    assert_eq!(lead.unwrap_err(), 0);
    assert!(rest.into_iter().all(|answer| answer.unwrap_err() == 1));
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (5, 0));
}

#[tokio::test]
async fn refresh_is_made_once_however_many_ask_for_it() {
    let (cache, pages) = (Cache::in_memory(), Pages::default());
    let first = pages.through(&cache, 0).await;
    for _ in 0..20 {
        exchange(&cache).refresh(first.made, |_| false, Teller::default(), pages.clone().next());
    }
    eventually(SOON, async || exchange(&cache).hit().is_some_and(|met| met.value.number == 2)).await;
    tokio::time::sleep(millis(20)).await; // time itself: a second refresh would be under way by now
    assert_eq!(pages.0.load(Ordering::SeqCst), 2);
}
