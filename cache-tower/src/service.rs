//! The service: which way a request goes, and the hit.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use cache_core::{__private::Exchange, Cache, Key};
use http::{
    HeaderMap, Method, Request, Response,
    header::{CONTENT_LENGTH, IF_MATCH, IF_UNMODIFIED_SINCE, TRANSFER_ENCODING, UPGRADE},
    request,
};
use http_body::Body;
use tower_service::Service;

use crate::{
    answer,
    body::CacheBody,
    caching::Caching,
    clock, fetch,
    flow::Flow,
    future::{Passed, ResponseFuture},
    invalidate,
    key::{self, Aim, Target, overrides_method, uri_of},
    prefix::hash,
    purge::{Order, is_purge},
    rfc::{
        conditional::Side,
        directives::RequestDirectives,
        invalidate::is_safe,
        reuse::{Reuse, reuse},
        status::{Forward, Handled},
        vary::Selecting,
    },
    shared::Shared,
    slot::Slot,
    stored::{Seen, Stored},
};

/// A service with a cache in front of it. Made by a [`CacheLayer`](crate::CacheLayer).
#[derive(Clone)]
pub struct CacheService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> CacheService<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for CacheService<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Which way a request goes.
enum Way<R: Body> {
    /// To the answer that this process has.
    Hit(Response<CacheBody<R>>),
    /// To the service and back.
    Past(Passed),
    /// Nowhere: what it names is evicted.
    Purge(Order),
    /// To the service; what its answer makes untrue is evicted.
    Changes(Cache, Option<Target>),
    /// Through the cache.
    Through(Cache, Target),
}

impl<S, B, R> Service<Request<B>> for CacheService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Send,
{
    type Response = Response<CacheBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled is ready; its clone need not be. A hit gives up what it was ready with, which others may want.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (mut parts, body) = request.into_parts();
        key::name_one_host(&mut parts);
        let way = self.shared.way(&parts, body.is_end_stream());
        let shared = || Arc::clone(&self.shared);
        let outline = || fetch::outline(&parts);
        match way {
            Way::Hit(response) => ResponseFuture::ready(response),
            Way::Past(passed) => {
                ResponseFuture::passing(inner.call(Request::from_parts(parts, body)), shared(), passed)
            }
            Way::Purge(order) => {
                ResponseFuture::waiting(Box::pin(async move { Ok(order.carry_out().await.map(CacheBody::text)) }))
            }
            Way::Changes(cache, target) => {
                let outline = outline();
                let call = inner.call(Request::from_parts(parts, body));
                ResponseFuture::waiting(Box::pin(invalidate::after(shared(), cache, target, outline, call)))
            }
            Way::Through(cache, target) => {
                let outline = outline();
                let slot = Slot::new((inner, Request::from_parts(parts, body)));
                ResponseFuture::waiting(Box::pin(Flow::new(shared(), cache, target, outline).answer(slot)))
            }
        }
    }
}

impl Shared {
    fn way<R: Body>(self: &Arc<Self>, parts: &request::Parts, is_empty: bool) -> Way<R> {
        let past = |why, detail| Way::Past(Passed { why, detail });
        if let Some(authorize) = self.config.purge.as_ref().filter(|_| is_purge(&parts.method)) {
            return Way::Purge(Order::of(self, authorize, parts, uri_of(parts)));
        }
        let Some(cache) = &self.cache else { return past(Forward::Bypass, Some("disabled")) };
        let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
        if !is_read {
            if is_safe(&parts.method) {
                return past(Forward::Method, None);
            }
            // A POST may answer what a GET would.
            let may_store = parts.method == Method::POST && !is_told_no_store(parts);
            let aim = may_store.then(|| Aim::of(&self.config, parts)).flatten();
            return Way::Changes(cache.clone(), aim.and_then(|aim| aim.target(&self.config, parts)));
        }
        if !is_empty || says_content(&parts.headers) {
            // A service may read it, although it has no meaning (RFC 9110 section 9.3.1).
            return past(Forward::Bypass, Some("content"));
        }
        if let Some(why) = self.refusal(parts) {
            return past(Forward::Bypass, Some(why));
        }
        let Some(aim) = Aim::of(&self.config, parts) else { return past(Forward::Bypass, Some("host")) };
        if let Some(response) = self.hit(cache, &aim, parts) {
            return Way::Hit(response);
        }
        match aim.target(&self.config, parts) {
            Some(target) => Way::Through(cache.clone(), target),
            None => past(Forward::Bypass, Some("host")),
        }
    }

    /// Why a request to read goes past the cache.
    fn refusal(&self, parts: &request::Parts) -> Option<&'static str> {
        if overrides_method(&parts.headers) {
            return Some("method_override");
        }
        if parts.headers.contains_key(UPGRADE) {
            return Some("upgrade");
        }
        if is_told_no_store(parts) {
            return Some("no_store");
        }
        // Conditions that only the origin may judge (RFC 9111 section 4.3.2).
        let guards = parts.headers.contains_key(IF_MATCH) || parts.headers.contains_key(IF_UNMODIFIED_SINCE);
        if self.config.side == Side::Between && guards {
            return Some("condition");
        }
        self.config.bypass.as_ref().filter(|judge| judge(parts)).map(|_| "configured")
    }

    /// The answer that this process has, if it may be served as it is.
    fn hit<R: Body>(&self, cache: &Cache, aim: &Aim, parts: &request::Parts) -> Option<Response<CacheBody<R>>> {
        let met = Exchange::<Arc<Stored>>::hit_of(cache, &aim.key)?;
        let seen = self.serving(&met.value, &parts.headers, aim.is_own)?;
        let directives = RequestDirectives::of(&parts.headers, &self.config.rules);
        let now = clock::now();
        match reuse(&seen.life, &directives, now, &self.config.rules) {
            Reuse::Fresh { .. } => {
                answer::of_stored(&self.config, parts, &met.value, seen, now, Handled::Hit, None).ok()
            }
            _ => None,
        }
    }

    /// What a stored answer says, if it is one to a request with these fields.
    pub(crate) fn serving<'a>(&self, stored: &'a Stored, headers: &HeaderMap, is_own: bool) -> Option<&'a Seen> {
        let seen = stored.seen(&self.config.rules)?;
        // A layer that could be told to purge by more would not reach it.
        let can_be_purged = stored.prefixes == self.config.prefixes.mark();
        let is_variant = || Some(Selecting::of(&seen.spec, headers)?.to_bytes() == *stored.selecting);
        let is_selected = seen.spec.is_empty() || is_variant().unwrap_or(false);
        let may_see = is_own || self.config.may_share(headers, &seen.life.control.directives);
        (can_be_purged && is_selected && may_see).then_some(seen)
    }

    /// The key of the variant for a request, where the answer of the URL that was stored last is another's.
    pub(crate) fn variant(&self, target: &Target, last: &Seen, headers: &HeaderMap) -> Option<Key> {
        let bytes = Selecting::of(&last.spec, headers)?.to_bytes();
        Some(target.variant(bucket(&bytes)))
    }
}

/// Whether something in front of the layer wants a request to go past the cache.
fn is_told_no_store(parts: &request::Parts) -> bool {
    parts.extensions.get::<Caching>().is_some_and(|caching| caching.no_store)
}

/// Whether a request says that it has content.
fn says_content(headers: &HeaderMap) -> bool {
    let has_length = headers.get_all(CONTENT_LENGTH).iter().any(|length| length.as_bytes() != b"0");
    has_length || headers.contains_key(TRANSFER_ENCODING)
}

/// How many variants of one URL are kept, besides the last.
const VARIANTS: u32 = 1 << 10;

/// The same in every process, for ever.
fn bucket(bytes: &[u8]) -> u32 {
    let hash = hash(bytes);
    ((hash >> 32) as u32 ^ hash as u32) % VARIANTS
}
