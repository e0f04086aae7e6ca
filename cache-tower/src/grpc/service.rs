//! The service: which calls go through the cache.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    flow::Flow,
    future::{GrpcFuture, Told},
    layer::Shared,
    request::GrpcBody,
};
use crate::body::CacheBody;

/// A service with a cache of its unary calls in front of it. Made by a [`GrpcCacheLayer`](super::GrpcCacheLayer).
#[derive(Clone)]
pub struct GrpcCacheService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> GrpcCacheService<S> {
    pub(super) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S: fmt::Debug> fmt::Debug for GrpcCacheService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcCacheService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for GrpcCacheService<S>
where
    S: Service<Request<GrpcBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Send,
{
    type Response = Response<CacheBody<R>>;
    type Error = S::Error;
    type Future = GrpcFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled is ready; its clone need not be.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let (parts, body) = request.into_parts();
        let Some(method) = self.shared.method(&parts) else {
            return GrpcFuture::passing(inner.call(Request::from_parts(parts, GrpcBody::passed(body))), None);
        };
        let shared = Arc::clone(&self.shared);
        let identity = shared.config.identity.as_ref().and_then(|identity| identity(&parts));
        match shared.cache(&parts.headers, identity.is_some()) {
            Err(why) => {
                let call = inner.call(Request::from_parts(parts, GrpcBody::passed(body)));
                GrpcFuture::passing(call, Some(Told { shared, why }))
            }
            Ok(cache) => {
                let (method, cache) = (Arc::clone(method), cache.clone());
                let flow = Flow { shared, cache, method, identity };
                GrpcFuture::waiting(Box::pin(flow.answer(inner, Request::from_parts(parts, body))))
            }
        }
    }
}
