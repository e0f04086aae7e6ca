//! Pages that were softly purged: stale on every node, and fresh again on all of them by one question to their service.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use cache_core::{AsCache, Cache, Key, cache_evict, cacheable};
use cache_tower::CacheLayer;
use http::{Request, Response, StatusCode, header::IF_NONE_MATCH};
use http_body_util::{BodyExt, Full};
use tests::fixtures::{RedisServer, eventually};
use tower::{Layer, Service, ServiceExt};

use crate::{
    outage::SOON,
    support::{built, coherent, node, settings},
};

const PATH: &str = "/products/7";

/// A page that says when nothing of it has changed.
#[derive(Clone)]
struct Page {
    /// What its `Cache-Control` has besides an hour.
    window: &'static str,
    revision: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
    bodies: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
}

impl Page {
    fn new(window: &'static str) -> Self {
        let (revision, calls, bodies) = (Arc::default(), Arc::default(), Arc::default());
        Self { window, revision, calls, bodies, fails: Arc::default() }
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Its text by a node, and the cache's word; nothing if it failed.
    async fn get(&self, node: &Cache) -> Option<(String, String)> {
        let (status, text, word) = self.ask(node, "GET", PATH).await;
        (status == StatusCode::OK).then_some((text, word))
    }

    async fn ask(&self, node: &Cache, method: &str, path: &str) -> (StatusCode, String, String) {
        let service = layer(node).obey_purges(|_| true).layer(self.clone());
        let mut request = Request::builder().method(method).uri(path).header("host", "shop.example");
        if method == "PURGE" {
            request = request.header("soft-purge", "1");
        }
        let response = service.oneshot(request.body(Full::default()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let word = head.headers.get("cache-status").map_or("", |word| word.to_str().unwrap()).to_owned();
        let text = body.collect().await.unwrap().to_bytes();
        (head.status, String::from_utf8(text.to_vec()).unwrap(), word)
    }

    /// Waits until a node gives this text, and its word says this.
    async fn says(&self, node: &Cache, text: &str, word: &str) {
        eventually(SOON, async || match self.get(node).await {
            Some((found, said)) if found == text && said.contains(word) => Ok(()),
            other => Err(other),
        })
        .await;
    }

    async fn is_hit(&self, node: &Cache, text: &str) {
        eventually(SOON, async || match self.get(node).await {
            Some((found, said)) if found == text && is_fresh(&said) => Ok(()),
            other => Err(other),
        })
        .await;
    }
}

impl Service<Request<Full<Bytes>>> for Page {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            this.calls.fetch_add(1, Ordering::SeqCst);
            let etag = format!("\"{}\"", this.revision.load(Ordering::SeqCst));
            let holds = request.headers().get(IF_NONE_MATCH).is_some_and(|known| *known == *etag);
            let (status, body) = if this.fails.load(Ordering::SeqCst) {
                (StatusCode::SERVICE_UNAVAILABLE, Full::default())
            } else if holds {
                (StatusCode::NOT_MODIFIED, Full::default())
            } else {
                this.bodies.fetch_add(1, Ordering::SeqCst);
                (StatusCode::OK, Full::from(format!("page {etag}")))
            };
            let answer = Response::builder()
                .status(status)
                .header("cache-control", format!("public, max-age=3600{}", this.window))
                .header("surrogate-key", "category:books")
                .header("etag", etag);
            Ok(answer.body(body).unwrap())
        })
    }
}

fn layer(node: &Cache) -> CacheLayer {
    CacheLayer::new(node).purge_prefixes(["/products"])
}

fn is_fresh(word: &str) -> bool {
    word.starts_with("cache;hit;ttl=") && !word.contains("stale")
}

/// Each way to purge the page softly.
const WAYS: [&str; 7] = ["url", "prefix", "tag", "scope", "namespace", "request", "function"];

async fn softly(way: &str, page: &Page, node: &Cache) {
    let url = "http://shop.example/products/7".parse().unwrap();
    let prefix = "http://shop.example/products".parse().unwrap();
    let acknowledged = match way {
        "url" => layer(node).soft_purge(&url).await,
        "prefix" => layer(node).soft_purge_prefix(&prefix).await.unwrap(),
        "tag" => node.soft_evict_tag(Key::new("category").arg("books")).await,
        "scope" => node.soft_evict_scope("http").await,
        "namespace" => node.soft_clear().await,
        "request" => return assert_eq!(page.ask(node, "PURGE", "/products/*").await.1, "applied\n"),
        _ => return Books { cache: node.clone() }.restocked("books").await,
    };
    assert!(acknowledged.is_applied(), "{way}");
}

/// Whether that is what both nodes may cost the page. What is loaded while a node hears that the namespace has moved is not stored.
fn is_one_call(way: &str, calls: u64) -> bool {
    calls == 1 || (way == "namespace" && (1..=3).contains(&calls))
}

/// Functions that have the page's tag.
struct Books {
    cache: Cache,
}

impl AsCache for Books {
    fn as_cache(&self) -> Option<&Cache> {
        Some(&self.cache)
    }
}

impl Books {
    #[cacheable(key = "http-soft-count:{category}", tags = ["category:{category}"])]
    async fn count(&self, category: &str) -> u64 {
        u64::try_from(category.len()).unwrap()
    }

    #[cache_evict(tags = ["category:{category}"], soft)]
    async fn restocked(&self, category: &str) {
        assert_eq!(self.count(category).await, 5);
    }
}

async fn two(redis: &RedisServer) -> (Cache, Cache) {
    let (a, b) = (node(redis).await, node(redis).await);
    coherent(&a).await;
    coherent(&b).await;
    (a, b)
}

#[tokio::test]
async fn page_softly_purged_is_validated_once_for_all_nodes() {
    let redis = RedisServer::start().await;
    let (a, b) = two(&redis).await;
    let page = Page::new("");
    for way in WAYS {
        page.is_hit(&a, "page \"0\"").await;
        page.is_hit(&b, "page \"0\"").await;
        let before = page.calls();
        softly(way, &page, &a).await;
        let (text, word) = page.get(&a).await.unwrap();
        assert!(text == "page \"0\"" && word.contains("fwd=stale"), "{way}: {word}");
        // What one node has validated the other takes.
        page.is_hit(&a, "page \"0\"").await;
        page.is_hit(&b, "page \"0\"").await;
        assert!(is_one_call(way, page.calls() - before), "{way}: {}", page.calls() - before);
    }
    assert_eq!(page.bodies.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn page_softly_purged_on_one_node_is_fresh_on_none() {
    let redis = RedisServer::start().await;
    let (a, b) = two(&redis).await;
    let page = Page::new(", stale-if-error=600");
    page.is_hit(&a, "page \"0\"").await;
    page.is_hit(&b, "page \"0\"").await;
    for way in WAYS {
        softly(way, &page, &a).await;
        page.fails.store(true, Ordering::SeqCst);
        // It stands in for the failure, and no node takes it for fresh again.
        for node in [&a, &b] {
            page.says(node, "page \"0\"", "stale_if_error").await;
            for _ in 0..10 {
                let (text, word) = page.get(node).await.unwrap();
                assert!(text == "page \"0\"" && !is_fresh(&word), "{way}: {word}");
            }
        }
        // A node that comes later, and has only what Redis has.
        let late = node(&redis).await;
        coherent(&late).await;
        page.says(&late, "page \"0\"", "stale_if_error").await;
        page.fails.store(false, Ordering::SeqCst);
        page.is_hit(&a, "page \"0\"").await;
        page.is_hit(&b, "page \"0\"").await;
    }
    assert_eq!(page.bodies.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn page_softly_purged_is_served_stale_while_one_node_makes_it_anew() {
    let redis = RedisServer::start().await;
    let (a, b) = two(&redis).await;
    let page = Page::new(", stale-while-revalidate=600");
    for (revision, way) in (1..).zip(WAYS) {
        let (before, after) = (format!("page \"{}\"", revision - 1), format!("page \"{revision}\""));
        page.is_hit(&a, &before).await;
        page.is_hit(&b, &before).await;
        let calls = page.calls();
        page.revision.store(revision, Ordering::SeqCst);
        softly(way, &page, &a).await;
        let (text, word) = page.get(&a).await.unwrap();
        assert_eq!(text, before, "{way}: {word}");
        assert!(word.starts_with("cache;hit;ttl=") && word.contains("stale_while_revalidate"), "{way}: {word}");
        page.is_hit(&a, &after).await;
        page.is_hit(&b, &after).await;
        assert!(is_one_call(way, page.calls() - calls), "{way}: {}", page.calls() - calls);
    }
}

#[tokio::test]
async fn page_softly_purged_is_stale_where_redis_no_longer_has_it() {
    let redis = RedisServer::start().await;
    let (a, b) = two(&redis).await;
    let page = Page::new(", stale-if-error=600");
    page.is_hit(&a, "page \"0\"").await;
    page.is_hit(&b, "page \"0\"").await;
    let payloads: Vec<String> = redis::from_redis_value(redis.cli(&["KEYS", "shop:d:*"]).await).unwrap();
    for payload in payloads {
        redis.cli(&["DEL", &payload]).await;
    }
    softly("url", &page, &a).await;
    page.fails.store(true, Ordering::SeqCst);
    page.says(&a, "page \"0\"", "stale_if_error").await;
    page.says(&b, "page \"0\"", "stale_if_error").await;
    // For good, it stands in for nothing.
    assert!(layer(&a).purge(&"http://shop.example/products/7".parse().unwrap()).await.is_applied());
    for node in [&a, &b] {
        eventually(SOON, async || page.get(node).await.map_or(Ok(()), Err)).await;
    }
}

#[tokio::test]
async fn soft_purge_that_redis_does_not_confirm_is_one_for_good() {
    let redis = RedisServer::start().await;
    let cache = built(settings(redis.url()).ensure_notifications()).await;
    let page = Page::new(", stale-if-error=600, stale-while-revalidate=600");
    page.is_hit(&cache, "page \"0\"").await;
    redis.kill().await;
    assert_eq!(page.ask(&cache, "PURGE", PATH).await.1, "queued\n");
    page.fails.store(true, Ordering::SeqCst);
    assert_eq!(page.get(&cache).await, None);
}
