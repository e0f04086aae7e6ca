//! What a route or a request says to the layer, in code: over what the layer was told, and over the fields of an answer.

use std::time::Duration;

use cache_core::Key;
use http::StatusCode;

use crate::rfc::freshness::{Said, is_heuristically_cacheable};

/// What one request or one answer says to the layer: an extension of either.
///
/// Of an **answer**, a handler sets it, or whatever stands between that and the layer; in axum, `Extension(Caching::new()..)` is a
/// part of what a handler returns. The layer takes it out, and neither stores nor sends it. Of a **request**, something in front of
/// the layer has to set it: an axum `.layer(Extension(Caching::new()..))` that is added *after* the [`CacheLayer`](crate::CacheLayer),
/// and so stands outside of it. One that is set behind the layer never reaches it, a `route_layer` of a router within it for one:
/// there, answers are the place.
///
/// What an answer says goes before what its request says, that before what the layer was told, and all of it before the fields of the
/// answer; tags add up. But nothing here makes public what is not: `private`, `no-store`, `Set-Cookie`, `Vary` and requests with
/// `Authorization` or `Cookie` mean what they mean without it, [`public`](Self::public) lifting the last alone, as the directive
/// of that name does.
///
/// ```
/// use axum::{Extension, Router, response::IntoResponse, routing::get};
/// use cache_core::{Cache, key, mins, secs};
/// use cache_tower::{CacheLayer, Caching};
///
/// async fn shelf() -> impl IntoResponse {
///     let shelf = 7;
///     (Extension(Caching::new().ttl(mins(5)).tags([key!("shelf:{shelf}")])), "some books")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder("shop").build().await?;
/// let shelves = Router::new()
///     .route("/shelves/7", get(shelf))
///     .layer(CacheLayer::new(&cache))
///     .layer(Extension(Caching::new().default_ttl(secs(30)))); // for whatever of them says nothing
/// # use tower::ServiceExt;
/// # let shelves: Router = shelves;
/// # let ask = || axum::http::Request::get("/shelves/7").body(axum::body::Body::empty()).unwrap();
/// # let said = |answer: &axum::response::Response| answer.headers()["cache-status"].to_str().unwrap().to_owned();
/// # let first = shelves.clone().oneshot(ask()).await?;
/// # assert_eq!(said(&first), "cache;fwd=uri-miss;stored");
/// # axum::body::to_bytes(first.into_body(), 100).await?;
/// # let mut word = String::new();
/// # while !word.starts_with("cache;hit") { word = said(&shelves.clone().oneshot(ask()).await?); }
/// # assert!(word == "cache;hit;ttl=300" || word == "cache;hit;ttl=299", "{word}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it says something only as an extension of a request or an answer"]
pub struct Caching {
    pub(crate) no_store: bool,
    public: bool,
    ttl: Option<Duration>,
    default_ttl: Option<Duration>,
    tags: Vec<Key>,
    max_body: Option<usize>,
}

/// What was said in code about one answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// By the answer: it is not stored.
    pub(crate) no_store: bool,
    pub(crate) by_answer: Said,
    by_request: Said,
    pub(crate) tags: Vec<Key>,
    pub(crate) max_body: Option<usize>,
}

// === impl Caching ===

impl Caching {
    /// Says nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the answer is fresh from when it came, whatever `Cache-Control` (`no-cache` too) and `Expires` say of that. The fields
    /// stay as they are, for the caches behind this one. What a request says counts for statuses that are stored by
    /// default alone (RFC 9110 section 15.1: no 500), and what an answer says for its own.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// How long the answer is fresh if it says nothing of that, instead of [`CacheLayer::default_ttl`](crate::CacheLayer::default_ttl).
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = Some(ttl);
        self
    }

    /// Of an answer: it is not stored. Of a request: it goes past the cache, and what is stored stays as it is. A request that
    /// changes something evicts all the same.
    pub fn no_store(mut self) -> Self {
        self.no_store = true;
        self
    }

    /// The answer is for everybody, whoever asked for it: what `public` in `Cache-Control` says. Requests with `Authorization` or
    /// `Cookie` then share it. An answer that is `private`, or sets cookies, is stored no more than before.
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// Tags that the answer is evicted by, beside those of `Surrogate-Key` and `Cache-Tag`. The layer takes a tag for the URL, and one
    /// for each depth of its [`purge_prefixes`](crate::CacheLayer::purge_prefixes); an answer with more than what is left of 16 is
    /// not stored.
    pub fn tags(mut self, tags: impl IntoIterator<Item = Key>) -> Self {
        self.tags.extend(tags);
        self
    }

    /// The largest body that is stored, in bytes, instead of [`CacheLayer::max_body`](crate::CacheLayer::max_body).
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }
}

// === impl Told ===

impl Told {
    pub(crate) fn of(request: Option<&Caching>, answer: Option<&Caching>) -> Self {
        let said = |caching: Option<&Caching>| {
            caching.map_or_else(Said::default, |it| Said {
                public: it.public,
                ttl: it.ttl,
                default_ttl: it.default_ttl,
            })
        };
        let both = || [answer, request].into_iter().flatten();
        let mut told = Self {
            no_store: answer.is_some_and(|answer| answer.no_store),
            by_answer: said(answer),
            by_request: said(request),
            tags: Vec::new(),
            max_body: both().find_map(|it| it.max_body),
        };
        told.add(both().flat_map(|it| it.tags.iter().cloned()));
        told
    }

    /// The same over what was said when the answer came that this one brings up to date. It keeps its tags: what they stand for is
    /// in its body.
    pub(crate) fn over(mut self, earlier: Said, tags: impl IntoIterator<Item = Key>) -> Self {
        self.by_answer = self.by_answer.over(earlier);
        self.add(tags);
        self
    }

    /// What it means for the life of an answer with this status, of which the request knew nothing.
    pub(crate) fn said(&self, status: StatusCode) -> Said {
        let ttl = self.by_request.ttl.filter(|_| is_heuristically_cacheable(status));
        self.by_answer.over(Said { ttl, ..self.by_request })
    }

    fn add(&mut self, tags: impl IntoIterator<Item = Key>) {
        for tag in tags {
            if !self.tags.contains(&tag) {
                self.tags.push(tag);
            }
        }
    }
}
