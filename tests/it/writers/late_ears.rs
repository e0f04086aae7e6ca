//! A node that hears late: answers to its commands arrive, notifications are still on their way. A tag that only the result
//! can name is asked for after the load, so an eviction during the load would look like the state of the tag: what was said
//! before the answer has to be let in first.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use cache_core::{Cache, Key, cache_evict, cache_put, cacheable, secs};
use tests::fixtures::{RedisServer, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
};

use crate::support::{Origin, Product, built, node, product, settings};

const SOON: Duration = Duration::from_secs(20);

// === between a node and its Redis ===

/// Passes everything on, but for what the server says on connections that have subscribed, while that is held.
struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    held: watch::Sender<bool>,
    /// Beats on connections that have subscribed.
    beats: AtomicU64,
}

impl Relay {
    async fn before(redis: &RedisServer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { held: watch::Sender::new(false), beats: AtomicU64::new(0) });
        tokio::spawn(accept(listener, redis.address(), Arc::clone(&shared)));
        Self { address, shared }
    }

    fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    fn hold(&self, held: bool) {
        self.shared.held.send_replace(held);
    }

    fn beats(&self) -> u64 {
        self.shared.beats.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(upstream).await.unwrap();
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let subscribed = Arc::new(AtomicBool::new(false));
        tokio::spawn(commands(from_client, to_server, Arc::clone(&shared), Arc::clone(&subscribed)));
        tokio::spawn(answers(from_server, to_client, Arc::clone(&shared), subscribed));
    }
}

async fn commands(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: Arc<Shared>, subscribed: Arc<AtomicBool>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let said = String::from_utf8_lossy(&buffer[..count]);
        if said.contains("PSUBSCRIBE") {
            subscribed.store(true, Ordering::SeqCst);
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        if subscribed.load(Ordering::SeqCst) && said.contains("EVAL") {
            shared.beats.fetch_add(1, Ordering::SeqCst);
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: Arc<Shared>, subscribed: Arc<AtomicBool>) {
    let mut held = shared.held.subscribe();
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if subscribed.load(Ordering::SeqCst) {
            held.wait_for(|held| !held).await.unwrap();
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

// === the shop ===

#[derive(Clone)]
struct Shop {
    cache: Cache,
    origin: Origin,
    reached: Arc<Notify>,
    open: Arc<Notify>,
}

impl Shop {
    fn on(cache: Cache, origin: &Origin) -> Self {
        Self { cache, origin: origin.clone(), reached: Arc::default(), open: Arc::default() }
    }

    #[cacheable(key = "late:{id}", tags = ["late-category:{it.category}"], skip(wait))]
    async fn find(&self, id: u64, wait: bool) -> Result<Product, std::convert::Infallible> {
        let row = self.origin.clone().read(id).await;
        if wait {
            self.wait().await;
        }
        row
    }

    #[cache_put(key = "late:{id}", tags = ["late-category:{it.category}"])]
    async fn save(&self, id: u64, revision: u64) -> Product {
        self.origin.write(revision);
        self.wait().await;
        product(id, revision)
    }

    #[cache_evict(tags = ["late-category:{category}"])]
    async fn discount(&self, category: &str, revision: u64) {
        assert_eq!(category, product(0, 0).category);
        self.origin.write(revision);
    }

    async fn wait(&self) {
        self.reached.notify_one();
        self.open.notified().await;
    }

    async fn cached(&self, id: u64) -> Option<u64> {
        self.cache.get::<Product>(&Key::new("late").arg(id)).await.map(|row| row.revision)
    }

    async fn read(&self, id: u64) -> u64 {
        let Ok(row) = self.find(id, false).await;
        row.revision
    }
}

/// `first` gets hold of the old row on a node that hears late; the tag is evicted elsewhere; then `first` goes on.
async fn overtaken<F>(id: u64, relay: &Relay, late: &Shop, others: &[Shop], first: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let first = tokio::spawn(first);
    late.reached.notified().await;
    relay.hold(true);
    others[0].discount("books", 2).await;
    let (beats, stored) = (relay.beats(), late.cache.stats().fills);
    late.open.notify_one();
    // Now it waits for what it may have missed; or it has stored already, which is what must not be.
    let returned = eventually(SOON, || async {
        relay.beats() > beats
            || late.cache.stats().fills > stored
            || first.is_finished() && late.cached(id).await.is_some()
    });
    returned.await;
    relay.hold(false);
    first.await.unwrap();
    for shop in others.iter().chain([late]) {
        eventually(SOON, || async {
            let stats = late.cache.stats();
            stats.fills + stats.fills_refused + stats.fills_dropped + stats.bypassed() >= stats.loads
        })
        .await;
        let left = shop.cached(id).await;
        assert!(left.is_none_or(|revision| revision == 2), "{left:?} was left behind");
        assert_eq!(shop.read(id).await, 2);
    }
}

async fn shops(redis: &RedisServer, relay: &Relay) -> (Shop, Vec<Shop>) {
    let origin = Origin::default();
    origin.write(1);
    // Its beats are far apart, so that one in between is one that it waits for.
    let late = Shop::on(built(settings(relay.url()).ensure_notifications().bound(secs(120))).await, &origin);
    // A third one that has heard of nothing so far reads what is in Redis.
    let others = vec![Shop::on(node(redis).await, &origin), Shop::on(node(redis).await, &origin)];
    (late, others)
}

#[tokio::test]
async fn load_on_a_node_that_hears_late_stores_nothing_that_a_tag_evicted() {
    let redis = RedisServer::start().await;
    let relay = Relay::before(&redis).await;
    let (late, others) = shops(&redis, &relay).await;
    let load = {
        let late = late.clone();
        async move { assert_eq!(late.find(7, true).await.unwrap().revision, 1) }
    };
    overtaken(7, &relay, &late, &others, load).await;
}

#[tokio::test]
async fn put_on_a_node_that_hears_late_stores_nothing_that_a_tag_evicted() {
    let redis = RedisServer::start().await;
    let relay = Relay::before(&redis).await;
    let (late, others) = shops(&redis, &relay).await;
    let put = {
        let late = late.clone();
        async move { assert_eq!(late.save(7, 1).await.revision, 1) }
    };
    overtaken(7, &relay, &late, &others, put).await;
}
