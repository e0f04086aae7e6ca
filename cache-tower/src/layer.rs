//! The layer: how it is told what to do, and what all of its services share.

use std::{fmt, sync::Arc, time::Duration};

use cache_core::{Ack, AsCache};
use http::{HeaderMap, Uri, request};
use tower_layer::Layer;

use crate::{
    config::Config,
    key,
    prefix::{Prefixes, UnknownPrefix},
    purge::{How, PurgeService},
    query::Query,
    rfc::{conditional::Side, vary::Allowed},
    service::CacheService,
    shared::Shared,
};

/// Caches what a service answers, as a shared HTTP cache.
///
/// Put it around a router or a service. What it keeps is in the [`Cache`](cache_core::Cache) that it was given, so all nodes that share a Redis share
/// its answers, load each once, and forget it together.
///
/// [`new`](Self::new) is careful: it stores only what says how long it is fresh, never what sets cookies, and for requests with
/// `Authorization` or `Cookie` only what says that it is for everybody. [`proxy`](Self::proxy) makes use of all that the RFCs let a
/// shared cache do, as one that stands by itself in front of an origin.
///
/// The service's errors and the answers to other methods than GET and HEAD pass through untouched; a successful answer to an
/// unsafe method evicts what is stored of its URL (RFC 9111 section 4.4). A cache that is broken or slow costs no more than its
/// [budget](cache_core::Builder::budget), and then the service is asked.
#[derive(Clone)]
pub struct CacheLayer {
    shared: Arc<Shared>,
}

impl CacheLayer {
    /// A careful layer over `cache`: a [`Cache`](cache_core::Cache), or what leads to one; `None` passes everything through.
    pub fn new(cache: impl AsCache) -> Self {
        Self { shared: Arc::new(Shared::new(cache.as_cache().cloned(), Config::new("http"))) }
    }

    /// A layer that makes use of all that RFC 9111 lets a shared cache do, for a proxy in front of an origin: heuristic freshness,
    /// answers that set cookies if their freshness is explicit, stale answers while the origin cannot be reached, directives of
    /// requests, and `CDN-Cache-Control` (RFC 9213).
    pub fn proxy(cache: impl AsCache) -> Self {
        Self::new(cache).change(|config| {
            config.rules.heuristic = true;
            config.rules.stores_set_cookie = true;
            config.rules.stale_when_unreachable = true;
            config.rules.obeys_requests = true;
            config.rules.targets = vec![key::field("cdn-cache-control")];
            config.cookies_are_private = false;
            config.side = Side::Between;
        })
    }

    /// The scope of the answers, for [policies](cache_core::Builder::scope) and [`Cache::evict_scope`](cache_core::Cache::evict_scope); and what keeps apart the
    /// answers of several layers over one cache. Default: `http`.
    pub fn scope(self, name: &str) -> Self {
        let Config { scope, head, head_with_extras, url_head, .. } = Config::new(name);
        self.change(|config| {
            (config.scope, config.url_head) = (scope, url_head);
            (config.head, config.head_with_extras) = (head, head_with_extras);
        })
    }

    /// How long answers are fresh that say nothing of it. Default: they are not stored, if no heuristic is made.
    pub fn default_ttl(self, ttl: Duration) -> Self {
        self.change(|config| config.rules.default_ttl = Some(ttl))
    }

    /// Whether answers that name no freshness, but a `Last-Modified`, are fresh for a tenth of the time since then (RFC 9111
    /// section 4.2.2). Default: no; of [`proxy`](Self::proxy): yes.
    pub fn heuristic(self, makes: bool) -> Self {
        self.change(|config| config.rules.heuristic = makes)
    }

    /// Whether directives of requests are obeyed (`no-cache`, `max-age`, `only-if-cached`, ..), which are advice to a shared cache
    /// (RFC 9111 section 5.2.1): a client that is obeyed can have the service do work. Default: no; of [`proxy`](Self::proxy): yes.
    pub fn obey_requests(self, obeys: bool) -> Self {
        self.change(|config| config.rules.obeys_requests = obeys)
    }

    /// Whether a stale answer stands in while the service cannot be reached (its future is an `Err`), where nothing forbids it (RFC
    /// 9111 section 4.2.4). Default: no; of [`proxy`](Self::proxy): yes.
    pub fn stale_when_unreachable(self, stands_in: bool) -> Self {
        self.change(|config| config.rules.stale_when_unreachable = stands_in)
    }

    /// Whether `stale-while-revalidate` and `stale-if-error` count beside `s-maxage` too, as CDNs have it. By the letter they do not:
    /// `s-maxage` means `proxy-revalidate` as well (RFC 9111 section 5.2.2.10). Default: no.
    pub fn stale_beside_s_maxage(self, counts: bool) -> Self {
        self.change(|config| config.rules.stale_beside_s_maxage = counts)
    }

    /// Fields that count before `Cache-Control` (RFC 9213), the first that is there and valid. Default: none; of
    /// [`proxy`](Self::proxy): `CDN-Cache-Control`.
    ///
    /// # Panics
    ///
    /// If one is no name of a header field.
    #[track_caller]
    pub fn targeted<'a>(self, fields: impl IntoIterator<Item = &'a str>) -> Self {
        let targets = fields.into_iter().map(key::field).collect();
        self.change(|config| config.rules.targets = targets)
    }

    /// Whether `Surrogate-Control` counts before `Cache-Control`. Default: no.
    pub fn surrogate_control(self, counts: bool) -> Self {
        self.change(|config| config.rules.surrogate_control = counts)
    }

    /// The largest body that is stored, in bytes; larger ones go through. At most the cache's own
    /// [`max_bytes`](cache_core::Policy::max_bytes). Default: 4 MiB.
    pub fn max_body(self, bytes: usize) -> Self {
        self.change(|config| config.max_body = bytes)
    }

    /// Whether the host that a request names, and its scheme, say nothing: all are one site. Only for services that do not look at
    /// them, or else one who sends another `Host` has his answer given to everybody. Default: no.
    pub fn one_site(self, is_one: bool) -> Self {
        self.change(|config| config.is_one_site = is_one)
    }

    /// What of the query tells answers apart. Default: all of it.
    pub fn query(self, query: Query) -> Self {
        self.change(|config| config.query = query)
    }

    /// A field of requests that tells answers apart, whether they say so in `Vary` or not.
    ///
    /// # Panics
    ///
    /// If it is no name of a header field.
    #[track_caller]
    pub fn key_header(self, name: &str) -> Self {
        let name = key::field(name);
        self.change(|config| config.key_headers.push(name))
    }

    /// A cookie that tells answers apart.
    pub fn key_cookie(self, name: &str) -> Self {
        self.change(|config| config.key_cookies.push(name.to_owned()))
    }

    /// The fields that answers may vary by; an answer that names another in `Vary` is not stored. Default: any, 16 at most.
    ///
    /// # Panics
    ///
    /// If one is no name of a header field.
    #[track_caller]
    pub fn vary_by<'a>(self, fields: impl IntoIterator<Item = &'a str>) -> Self {
        let allowed = Allowed::Only(fields.into_iter().map(key::field).collect());
        self.change(|config| config.rules.vary = allowed)
    }

    /// Requests that go past the cache.
    pub fn bypass(self, judge: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.change(|config| config.bypass = Some(Arc::new(judge)))
    }

    /// Prefixes of paths that answers can be [purged](Self::purge_prefix) by: `/products` is the page at `/products` and all below it,
    /// `/shops/{shop}` as much of any one shop, `/` a host. Default: none.
    ///
    /// Each depth (`/products` is of one, `/shops/{shop}` of two) takes one of the 16 tags that an answer can have. The layer uses no
    /// answers that were stored under other prefixes, by an older version of the program for one: a purge would not reach them.
    ///
    /// # Panics
    ///
    /// If one is no prefix, or there are more than 64, of more than 4 depths, or one of more than 8 segments.
    #[track_caller]
    pub fn purge_prefixes<'a>(self, prefixes: impl IntoIterator<Item = &'a str>) -> Self {
        let prefixes = Prefixes::new(prefixes);
        self.change(|config| config.prefixes = prefixes)
    }

    /// Whether `PURGE` requests for a URL are obeyed, as those to [`purge_service`](Self::purge_service) are, and from whom.
    /// Default: they are as any other method that may change something, for the service to answer.
    pub fn obey_purges(self, authorize: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.change(|config| config.purge = Some(Arc::new(authorize)))
    }

    /// Who a request is from, by whatever is known of it for sure: a session that has been looked up, a token that has been verified
    /// (in an extension, by a layer outside of this one). Requests from somebody get answers of their own, under a key that names
    /// him: those that are `private` are stored too, and `Authorization` and `Cookie` are no hindrance. Requests from nobody are as
    /// ever. Two people whose names are equal are one.
    pub fn private_by(self, identity: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.change(|config| config.identity = Some(Arc::new(identity)))
    }

    /// Whether requests with `Cookie` are as private as those with `Authorization`: they are answered from the store, and their
    /// answers stored, only if these say that they are for everybody (`public`, `s-maxage`, `must-revalidate`). Default: yes; of
    /// [`proxy`](Self::proxy): no.
    pub fn cookies_are_private(self, are_private: bool) -> Self {
        self.change(|config| config.cookies_are_private = are_private)
    }

    /// How long answers are kept after they have ended to be fresh, to be validated, or to stand in. Default: a day.
    pub fn keep(self, keep: Duration) -> Self {
        self.change(|config| config.keep = keep)
    }

    /// How long a request waits for the answer to another before it goes on by itself. Default: 10 s.
    pub fn collapse(self, longest: Duration) -> Self {
        self.change(|config| config.collapse = longest)
    }

    /// How long it is remembered that answers of a URL are not stored, so that requests for it do not wait for one another. Default:
    /// 10 s.
    pub fn pass(self, lasts: Duration) -> Self {
        self.change(|config| config.pass = lasts)
    }

    /// The name of this cache in `Cache-Status` (RFC 9211); `None`: no such field. Default: `cache`.
    pub fn cache_status(self, name: Option<&str>) -> Self {
        let name = name.map(str::to_owned);
        self.change(|config| config.status_name = name)
    }

    /// Evicts all answers of a URL, on every node and of either scheme: `http://shop.example/products/7?page=2`, or, of a layer
    /// that is told of [one site](Self::one_site), `/products/7`. Tags are evicted by [`Cache::evict_tag`](cache_core::Cache::evict_tag),
    /// all answers by [`Cache::evict_scope`](cache_core::Cache::evict_scope).
    ///
    /// [`Ack::Failed`] too where the layer has no cache.
    pub async fn purge(&self, uri: &Uri) -> Ack {
        self.shared.purge(key::tags_of_url(&self.shared.config, uri, &HeaderMap::new()), How::ForGood).await
    }

    /// Makes all answers of a URL stale, on every node, as if they had ended to be fresh now: they are served while they are
    /// validated in the background, or when the service fails, as far as `stale-while-revalidate`, `stale-if-error` and
    /// [`stale_when_unreachable`](Self::stale_when_unreachable) have it, and otherwise not before the service has said that they
    /// still hold. What must not be seen again is [`purge`](Self::purge)d. Tags are evicted softly by
    /// [`Cache::soft_evict_tag`](cache_core::Cache::soft_evict_tag), all answers by
    /// [`Cache::soft_evict_scope`](cache_core::Cache::soft_evict_scope).
    ///
    /// What Redis does not confirm ([`Ack::Queued`]) is evicted for good. [`Ack::Failed`] too where the layer has no cache.
    pub async fn soft_purge(&self, uri: &Uri) -> Ack {
        self.shared.purge(key::tags_of_url(&self.shared.config, uri, &HeaderMap::new()), How::Softly).await
    }

    /// Evicts all answers under a prefix that [`purge_prefixes`](Self::purge_prefixes) declares, on every node and of either scheme:
    /// `http://shop.example/products`, or, of a layer that is told of [one site](Self::one_site), `/products`. What is evicted is
    /// one tag, whatever the number of the answers. A `/` at the end makes no difference, nor does a query.
    ///
    /// [`Ack::Failed`] where the layer has no cache.
    ///
    /// # Errors
    ///
    /// If the path is none of the declared prefixes. Nothing was evicted then.
    pub async fn purge_prefix(&self, uri: &Uri) -> Result<Ack, UnknownPrefix> {
        let tags = self.shared.under(uri, &HeaderMap::new(), uri.path())?;
        Ok(self.shared.purge(tags, How::ForGood).await)
    }

    /// Makes all answers under a prefix stale, as [`soft_purge`](Self::soft_purge) does those of one URL.
    ///
    /// [`Ack::Failed`] where the layer has no cache.
    ///
    /// # Errors
    ///
    /// As [`purge_prefix`](Self::purge_prefix).
    pub async fn soft_purge_prefix(&self, uri: &Uri) -> Result<Ack, UnknownPrefix> {
        let tags = self.shared.under(uri, &HeaderMap::new(), uri.path())?;
        Ok(self.shared.purge(tags, How::Softly).await)
    }

    /// A service that purges this layer for whoever `authorize` lets in, to be put behind an address or a path of its own: where
    /// it stands, the host and path of a request are what is purged. See `docs/http.md`.
    ///
    /// - `PURGE /products/7` evicts a URL, as [`purge`](Self::purge) does;
    /// - `PURGE /products/*` what is under a prefix, as [`purge_prefix`](Self::purge_prefix) does;
    /// - `PURGE` with `Surrogate-Key` or `Cache-Tag` what has one of these tags, 64 at most, whatever its URL;
    /// - `PURGE *` all that layers of this scope keep;
    /// - each of them with `Soft-Purge: 1` or `Fastly-Soft-Purge: 1` makes that stale, as [`soft_purge`](Self::soft_purge) does.
    ///
    /// The answer is a line of text: 200 `applied`, 202 `queued`, 503 `failed`, as the words of [`Ack`]; 400 with what was wrong; 403
    /// where `authorize` says no; 405 for other methods. [`bearer`](crate::bearer) is an `authorize`.
    pub fn purge_service(&self, authorize: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> PurgeService {
        PurgeService::new(Arc::clone(&self.shared), Arc::new(authorize))
    }

    fn change(self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.shared.config.clone();
        change(&mut config);
        Self { shared: Arc::new(Shared::new(self.shared.cache.clone(), config)) }
    }
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> CacheService<S> {
        CacheService::new(inner, Arc::clone(&self.shared))
    }
}
