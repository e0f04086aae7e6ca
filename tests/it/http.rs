//! Answers of HTTP services on several nodes: one load for all, and one eviction for all, with what functions keep.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use cache_core::{Cache, Key, key, mins};
use cache_tower::{CacheLayer, Caching};
use futures_util::stream::poll_fn;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tests::fixtures::{RedisServer, eventually};
use tokio::sync::{Notify, mpsc};
use tower::{Layer, Service, ServiceExt};

use crate::{
    outage::SOON,
    support::{built, coherent, node, product, settings},
};

/// A shop's pages, each call of which gives another.
#[derive(Clone, Default)]
struct Pages {
    calls: Arc<AtomicU64>,
    /// While there is one, an answer waits for it.
    gate: Option<Arc<Notify>>,
    /// What each answer says beside its fields.
    caching: Option<Caching>,
}

impl Pages {
    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// What a client of `node` gets of a page: its text and the cache's word.
    async fn get(&self, node: &Cache, path: &str) -> (String, String) {
        self.ask(node, "GET", path).await
    }

    async fn ask(&self, node: &Cache, method: &str, path: &str) -> (String, String) {
        let layer = CacheLayer::new(node).purge_prefixes(["/products", "/shops/{shop}"]).obey_purges(|_| true);
        let service = layer.layer(self.clone());
        let request = Request::builder().method(method).uri(path).header("host", "shop.example");
        let response = service.oneshot(request.body(Full::default()).unwrap()).await.unwrap();
        let word = response.headers().get("cache-status").map_or("", |word| word.to_str().unwrap()).to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), word)
    }

    /// Waits until a node gives a page without a call.
    async fn hit(&self, node: &Cache, path: &str) -> String {
        eventually(SOON, async || match self.get(node, path).await {
            (text, word) if word.contains(";hit") => Ok(text),
            other => Err(other),
        })
        .await
    }
}

impl Service<Request<Full<Bytes>>> for Pages {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let (this, path) = (self.clone(), request.uri().path().to_owned());
        Box::pin(async move {
            let call = this.calls.fetch_add(1, Ordering::SeqCst) + 1;
            if let Some(gate) = &this.gate {
                gate.notified().await;
            }
            let answer = Response::builder()
                .header("cache-control", "public, max-age=3600")
                .header("surrogate-key", "category:books")
                .body(Full::from(format!("{path} {call}")));
            let mut answer = answer.unwrap();
            if let Some(caching) = this.caching.clone() {
                answer.extensions_mut().insert(caching);
            }
            Ok(answer)
        })
    }
}

async fn two(redis: &RedisServer) -> (Cache, Cache) {
    let (a, b) = (node(redis).await, node(redis).await);
    coherent(&a).await;
    coherent(&b).await;
    (a, b)
}

#[tokio::test]
async fn page_is_made_once_for_all_nodes() {
    let redis = RedisServer::start().await;
    let ((a, b), pages) = (two(&redis).await, Pages::default());
    assert_eq!(pages.get(&a, "/products/7").await.0, "/products/7 1");
    assert_eq!(pages.hit(&a, "/products/7").await, "/products/7 1");
    assert_eq!(pages.hit(&b, "/products/7").await, "/products/7 1");
    assert_eq!(pages.calls(), 1);
}

#[tokio::test]
async fn page_is_gone_everywhere_with_its_url_its_tag_and_its_change() {
    let redis = RedisServer::start().await;
    let ((a, b), pages) = (two(&redis).await, Pages::default());
    let path = "/products/7";
    for way in ["purge", "tag", "scope", "post"] {
        let before = pages.get(&a, path).await.0;
        assert_eq!(pages.hit(&b, path).await, before, "{way}");
        match way {
            "purge" => {
                let acknowledged = CacheLayer::new(&a).purge(&"http://shop.example/products/7".parse().unwrap()).await;
                assert!(acknowledged.is_applied());
            }
            "tag" => assert!(a.evict_tag(Key::new("category").arg("books")).await.is_applied()),
            "scope" => assert!(a.evict_scope("http").await.is_applied()),
            _ => assert!(pages.ask(&a, "POST", path).await.0.starts_with(path)),
        }
        eventually(SOON, async || pages.get(&b, path).await.0 != before).await;
        assert_ne!(pages.get(&a, path).await.0, before, "{way}");
    }
}

#[tokio::test]
async fn pages_under_a_prefix_are_gone_everywhere_with_one_purge_and_others_stay() {
    let redis = RedisServer::start().await;
    let ((a, b), pages) = (two(&redis).await, Pages::default());
    let below = ["/products/7", "/products/8?page=2", "/%70roducts/9", "/x/../products/1", "/shops/7/shoes"];
    let beside = ["/products-old/7", "/shops/8/shoes"];
    let mut texts = Vec::new();
    for path in below.into_iter().chain(beside) {
        texts.push(pages.get(&a, path).await.0);
        assert_eq!(&pages.hit(&b, path).await, texts.last().unwrap());
    }
    for prefix in ["/products/*", "/shops/7/*"] {
        assert_eq!(pages.ask(&a, "PURGE", prefix).await.0, "applied\n");
    }
    for (path, before) in below.into_iter().zip(&texts) {
        eventually(SOON, async || pages.get(&b, path).await.0 != *before).await;
        assert_ne!(&pages.get(&a, path).await.0, before, "{path}");
    }
    for (path, before) in beside.into_iter().zip(&texts[below.len()..]) {
        assert_eq!((&pages.get(&a, path).await.0, &pages.get(&b, path).await.0), (before, before));
    }
}

#[tokio::test]
async fn purge_that_redis_does_not_confirm_is_said_to_be_queued() {
    let redis = RedisServer::start().await;
    let (cache, pages) = (built(settings(redis.url()).ensure_notifications()).await, Pages::default());
    let before = pages.get(&cache, "/products/7").await.0;
    redis.kill().await;
    assert_eq!(pages.ask(&cache, "PURGE", "/products/*").await.0, "queued\n");
    assert_ne!(pages.get(&cache, "/products/7").await.0, before, "in force here at once");
}

#[tokio::test]
async fn what_an_answer_says_beside_its_fields_holds_on_every_node() {
    let redis = RedisServer::start().await;
    let (a, b) = two(&redis).await;
    let caching = Caching::new().ttl(mins(5)).tags([key!("shelf:{7}")]);
    let pages = Pages { caching: Some(caching), ..Pages::default() };
    let page = pages.get(&a, "/products/7").await.0;
    assert_eq!(pages.hit(&b, "/products/7").await, page);
    let word = pages.get(&b, "/products/7").await.1;
    // Its fields say an hour.
    let ttl: u64 = word.strip_prefix("cache;hit;ttl=").unwrap().parse().unwrap();
    assert!((1..=300).contains(&ttl), "{word}");
    assert!(a.evict_tag(key!("shelf:{7}")).await.is_applied());
    eventually(SOON, async || pages.get(&b, "/products/7").await.0 != page).await;
}

#[tokio::test]
async fn one_eviction_reaches_pages_and_what_functions_keep() {
    let redis = RedisServer::start().await;
    let ((a, b), pages) = (two(&redis).await, Pages::default());
    let loads = AtomicU64::new(0);
    // A template of its own: those of other tests have no tags.
    let row = async |cache: &Cache| {
        let load = || async { Ok::<_, Infallible>(product(7, loads.fetch_add(1, Ordering::SeqCst))) };
        let tag = Key::new("category").arg("books");
        cache.entry(key!("book-on-page:{7}")).tag(tag).or_load_inline(load).await.unwrap().into_value().revision
    };
    let page = pages.get(&a, "/products/7").await.0;
    assert_eq!(pages.hit(&b, "/products/7").await, page);
    eventually(SOON, async || row(&b).await == row(&b).await).await;
    let revision = row(&b).await;
    assert!(a.evict_tag(Key::new("category").arg("books")).await.is_applied());
    eventually(SOON, async || pages.get(&b, "/products/7").await.0 != page && row(&b).await != revision).await;
}

#[tokio::test]
async fn slow_page_is_asked_for_once_by_all_nodes() {
    let redis = RedisServer::start().await;
    let (a, b) = two(&redis).await;
    let gate = Arc::new(Notify::new());
    let pages = Pages { gate: Some(Arc::clone(&gate)), ..Pages::default() };
    let requests = (0..20).map(|number| {
        let (pages, node) = (pages.clone(), if number % 2 == 0 { a.clone() } else { b.clone() });
        tokio::spawn(async move { pages.get(&node, "/slow").await.0 })
    });
    let requests: Vec<_> = requests.collect();
    eventually(SOON, async || pages.calls() == 1 && b.stats().leases_awaited + a.stats().leases_awaited == 1).await;
    // Some go away: the others are answered all the same.
    requests[0].abort();
    requests[1].abort();
    gate.notify_one();
    for request in requests.into_iter().skip(2) {
        assert_eq!(request.await.unwrap(), "/slow 1");
    }
    assert_eq!(pages.calls(), 1);
}

#[tokio::test]
async fn page_that_is_still_coming_is_read_along_on_its_node_and_awaited_on_the_other() {
    let redis = RedisServer::start().await;
    let (a, b) = two(&redis).await;
    let (calls, (pieces, receiver)) = (Arc::new(AtomicU64::new(0)), mpsc::channel::<Bytes>(4));
    let receiver = Arc::new(Mutex::new(Some(receiver)));
    let origin = {
        let calls = Arc::clone(&calls);
        tower::service_fn(move |_: Request<Full<Bytes>>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let mut pieces = receiver.lock().unwrap().take().expect("asked once");
            let pieces = poll_fn(move |cx| pieces.poll_recv(cx).map(|piece| piece.map(Ok::<_, Infallible>)));
            let answer =
                Response::builder().header("cache-control", "public, max-age=3600").header("content-length", "6");
            ready(Ok::<_, Infallible>(answer.body(axum::body::Body::from_stream(pieces)).unwrap()))
        })
    };
    let ask = |node: &Cache| {
        let request = Request::get("/slow").header("host", "shop.example").body(Full::default()).unwrap();
        CacheLayer::new(node).layer(origin.clone()).oneshot(request)
    };
    let mut first = ask(&a).await.unwrap().into_body();
    pieces.send(Bytes::from("abc")).await.unwrap();
    let mut second = ask(&a).await.unwrap().into_body();
    for body in [&mut first, &mut second] {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abc");
    }
    let other = tokio::spawn(ask(&b));
    eventually(SOON, async || b.stats().leases_awaited == 1).await;
    // Whoever was sent goes away.
    drop(first);
    assert!(!other.is_finished());
    pieces.send(Bytes::from("def")).await.unwrap();
    drop(pieces);
    assert_eq!(second.collect().await.unwrap().to_bytes(), "def");
    assert_eq!(other.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes(), "abcdef");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn cache_that_is_away_costs_a_page_nothing_but_its_budget() {
    let redis = RedisServer::start().await;
    let (cache, pages) = (built(settings(redis.url()).ensure_notifications()).await, Pages::default());
    pages.get(&cache, "/products/7").await;
    redis.kill().await;
    for _ in 0..5 {
        assert!(pages.get(&cache, "/products/8").await.0.starts_with("/products/8"));
        assert!(pages.ask(&cache, "POST", "/products/8").await.0.starts_with("/products/8"));
    }
}
