//! What a call of the service returns: nothing is boxed of what passes through.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::layer::Shared;
use crate::{
    body::CacheBody,
    future::Boxed,
    rfc::status::{Forward, Handled},
};

pin_project! {
    /// The future of a [`GrpcCacheService`](super::GrpcCacheService).
    #[must_use = "futures do nothing unless they are polled"]
    pub struct GrpcFuture<F, R: Body, E> {
        #[pin]
        kind: Kind<F, R, E>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F, R: Body, E> {
        Passing { #[pin] call: F, told: Option<Told> },
        Waiting { call: Boxed<R, E> },
    }
}

/// Why a call of a method that is cached goes past the cache.
pub(super) struct Told {
    pub(super) shared: Arc<Shared>,
    pub(super) why: &'static str,
}

// === impl GrpcFuture ===

impl<F, R: Body, E> GrpcFuture<F, R, E> {
    pub(super) fn passing(call: F, told: Option<Told>) -> Self {
        Self { kind: Kind::Passing { call, told } }
    }

    pub(super) fn waiting(call: Boxed<R, E>) -> Self {
        Self { kind: Kind::Waiting { call } }
    }
}

impl<F, R: Body, E> fmt::Debug for GrpcFuture<F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcFuture").finish_non_exhaustive()
    }
}

impl<F, R, E> Future for GrpcFuture<F, R, E>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<CacheBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Passing { call, told } => {
                let answered = ready!(call.poll(cx));
                Poll::Ready(answered.map(|response| match told {
                    Some(told) => told.to(response),
                    None => response.map(CacheBody::passed),
                }))
            }
            KindProjection::Waiting { call } => call.as_mut().poll(cx),
        }
    }
}

// === impl Told ===

impl Told {
    /// The service's own answer.
    pub(super) fn to<R: Body>(&self, response: Response<R>) -> Response<CacheBody<R>> {
        let mut response = response.map(CacheBody::passed);
        let handled = Handled::Forwarded { why: Forward::Bypass, status: None, stored: false, collapsed: false };
        self.shared.tell(response.headers_mut(), handled, None, Some(self.why));
        response
    }
}
