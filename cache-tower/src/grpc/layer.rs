//! The layer: how it is told what to do, and what all of its services share.

use std::{fmt, sync::Arc, time::Duration};

use cache_core::{
    __private::{Exchange, Says},
    Ack, AsCache, Cache, Key,
};
use http::{HeaderMap, Method, request};
use tower_layer::Layer;

use super::{
    config::{Config, GrpcMethod},
    key,
    service::GrpcCacheService,
    status::{self, OK},
    stored::StoredCall,
};
use crate::{
    key::field,
    passes::Passes,
    rfc::status::{CacheStatus, Handled},
    stored::LONGEST_LIFE,
};

/// Caches what unary methods answer, of those that are named.
///
/// Put it around a tonic server (`Server::builder().layer(..)`) or around one service of it (`named_layer`). The module has
/// [examples](crate::grpc). What it keeps is in the [`Cache`] that it was given, so all nodes that share a Redis share its answers,
/// load each once, and forget it together.
///
/// An answer is stored if the call succeeded (`grpc-status: 0`, in the trailers) and has one message; headers, message and
/// trailers are kept byte by byte. The service's errors pass through untouched. A cache that is broken or slow costs no more than
/// its [budget](cache_core::Builder::budget), and then the service is asked. A client that goes away, or whose `grpc-timeout` ends,
/// does nothing to those who wait for the same: the call that it began goes on.
#[derive(Clone)]
pub struct GrpcCacheLayer {
    shared: Arc<Shared>,
}

/// What the services of one layer share.
pub(super) struct Shared {
    cache: Option<Cache>,
    pub(super) config: Config,
    pub(super) passes: Passes,
}

impl GrpcCacheLayer {
    /// A layer over `cache`: a [`Cache`], or what leads to one; `None` passes everything through. No method is cached yet.
    pub fn new(cache: impl AsCache) -> Self {
        let cache = cache.as_cache().cloned();
        Self { shared: Arc::new(Shared { cache, config: Config::new("grpc"), passes: Passes::default() }) }
    }

    /// A method whose answers are cached: a path, `/package.Service/Method`, or a [`GrpcMethod`]. The last of one path counts.
    ///
    /// It has to be unary. Of one that streams, what it answers with more than one message is not stored, but the first call of
    /// several at once is waited for until that is clear; and a request that waits for an answer before it ends is held up for a
    /// second.
    ///
    /// # Panics
    ///
    /// If it is no such path.
    #[track_caller]
    #[must_use]
    pub fn method(self, method: impl Into<GrpcMethod>) -> Self {
        let method = method.into();
        self.change(|config| {
            config.methods.insert(method.path.clone(), Arc::new(method));
        })
    }

    /// How long answers are kept of methods that do not say it. At most 30 days. Default: 60 s.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        self.change(|config| config.ttl = ttl)
    }

    /// Keeps the answers to calls that failed with this code too, for so long: 5 is `NOT_FOUND`. Default: none.
    ///
    /// # Panics
    ///
    /// If it is 0, which is no failure: a method's `ttl` says how long those are kept.
    #[track_caller]
    #[must_use]
    pub fn store_status(self, code: u32, ttl: Duration) -> Self {
        assert_ne!(code, OK, "0 is no failure; a method's `ttl` says how long its answers are kept");
        self.change(|config| {
            config.failures.insert(code, ttl);
        })
    }

    /// Metadata that answers depend on, such as `x-tenant`: it is part of the key. With `authorization` or `cookie`, whoever sends
    /// the same gets the same.
    ///
    /// # Panics
    ///
    /// If it is no name of a field.
    #[track_caller]
    #[must_use]
    pub fn key_metadata(self, name: &str) -> Self {
        let name = field(name);
        self.change(|config| config.key_metadata.push(name))
    }

    /// Who a call is from, by whatever is known of it for sure: a token that has been verified (in an extension, by a layer outside
    /// of this one). Calls from somebody get answers of their own, under a key that names him, and `authorization` and `cookie` are
    /// no hindrance. Calls from nobody are as ever. Two people whose names are equal are one.
    #[must_use]
    pub fn private_by(self, identity: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.change(|config| config.identity = Some(Arc::new(identity)))
    }

    /// Whether callers who show who they are (`authorization`, `cookie`) get what others were answered, because the methods answer
    /// the same to all who are let in. They have to be let in before this layer: what is stored is given to whoever comes. Default:
    /// no, they are answered by the service.
    #[must_use]
    pub fn share_authorized(self, shares: bool) -> Self {
        self.change(|config| config.shares_authorized = shares)
    }

    /// The scope of the answers, for [policies](cache_core::Builder::scope) and [`Cache::evict_scope`]; and what keeps apart the
    /// answers of several layers over one cache. Default: `grpc`.
    #[must_use]
    pub fn scope(self, name: &str) -> Self {
        let fresh = Config::new(name);
        self.change(|config| (config.head, config.tag_head) = (fresh.head, fresh.tag_head))
    }

    /// The largest request that is looked for, in bytes, with the 5 bytes before its message; larger ones go through. Default:
    /// 64 KiB.
    #[must_use]
    pub fn max_request(self, bytes: usize) -> Self {
        self.change(|config| config.max_request = bytes)
    }

    /// The largest answer that is stored, in bytes, with the 5 bytes before its message; larger ones go through. At most the
    /// cache's own [`max_bytes`](cache_core::Policy::max_bytes). Default: 4 MiB.
    #[must_use]
    pub fn max_answer(self, bytes: usize) -> Self {
        self.change(|config| config.max_answer = bytes)
    }

    /// How long a call waits for the answer to another before it goes on by itself. Default: 10 s.
    #[must_use]
    pub fn collapse(self, longest: Duration) -> Self {
        self.change(|config| config.collapse = longest)
    }

    /// The name of this cache in `cache-status` (RFC 9211), which is added to the metadata of the answers of methods that are
    /// cached; `None`: no such field. Default: `cache`.
    #[must_use]
    pub fn cache_status(self, name: Option<&str>) -> Self {
        let name = name.map(str::to_owned);
        self.change(|config| config.status_name = name)
    }

    /// Evicts all answers of a method, on every node. Tags are evicted by [`Cache::evict_tag`], the answers of all methods by
    /// [`Cache::evict_scope`]. [`Ack::Failed`] where the layer has no cache.
    pub async fn purge(&self, path: &str) -> Ack {
        let Some(cache) = &self.shared.cache else { return Ack::Failed };
        cache.evict_tag(key::tag_of_method(&self.shared.config, path)).await
    }

    fn change(self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.shared.config.clone();
        change(&mut config);
        Self { shared: Arc::new(Shared { cache: self.shared.cache.clone(), config, passes: Passes::default() }) }
    }
}

impl fmt::Debug for GrpcCacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcCacheLayer").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for GrpcCacheLayer {
    type Service = GrpcCacheService<S>;

    fn layer(&self, inner: S) -> GrpcCacheService<S> {
        GrpcCacheService::new(inner, Arc::clone(&self.shared))
    }
}

// === impl Shared ===

impl Shared {
    /// The method of a request, if its answers are cached.
    pub(super) fn method(&self, parts: &request::Parts) -> Option<&Arc<GrpcMethod>> {
        let method = self.config.methods.get(parts.uri.path())?;
        let is_call = parts.method == Method::POST && parts.uri.query().is_none() && status::is_call(&parts.headers);
        is_call.then_some(method)
    }

    /// The cache for a call; or why it is answered by the service alone.
    pub(super) fn cache(&self, metadata: &HeaderMap, is_own: bool) -> Result<&Cache, &'static str> {
        let cache = self.cache.as_ref().ok_or("disabled")?;
        key::refusal(&self.config, metadata, is_own).map_or(Ok(cache), Err)
    }

    /// What is asked of the cache about a call.
    pub(super) fn exchange(
        &self,
        cache: &Cache,
        key: Key,
        mut tags: Vec<Key>,
        path: &str,
    ) -> Exchange<Arc<StoredCall>> {
        tags.push(key::tag_of_method(&self.config, path));
        let says = Says { life: |stored: &Arc<StoredCall>| stored.life(), tags: |_| Vec::new() };
        Exchange::new(cache.clone(), key, tags, LONGEST_LIFE, says)
    }

    /// Says in `cache-status` what was done.
    pub(super) fn tell(&self, headers: &mut HeaderMap, handled: Handled, ttl: Option<i64>, detail: Option<&str>) {
        if let Some(cache) = &self.config.status_name {
            CacheStatus { cache, handled, ttl, key: None, detail }.append_to(headers);
        }
    }
}
