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

use crate::{
    answer,
    body::CacheBody,
    rfc::status::{Forward, Handled},
    shared::Shared,
};

/// A call that is under way, to be waited for.
pub(crate) type Boxed<R, E> = Pin<Box<dyn Future<Output = Result<Response<CacheBody<R>>, E>> + Send>>;

pin_project! {
    /// The future of a [`CacheService`](crate::CacheService).
    #[must_use = "futures do nothing unless they are polled"]
    pub struct ResponseFuture<F, R: Body, E> {
        #[pin]
        kind: Kind<F, R, E>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F, R: Body, E> {
        Passing { #[pin] call: F, shared: Arc<Shared>, passed: Passed },
        Ready { response: Option<Response<CacheBody<R>>> },
        Waiting { call: Boxed<R, E> },
    }
}

/// Why a call goes past the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) why: Forward,
    pub(crate) detail: Option<&'static str>,
}

// === impl ResponseFuture ===

impl<F, R: Body, E> ResponseFuture<F, R, E> {
    pub(crate) fn passing(call: F, shared: Arc<Shared>, passed: Passed) -> Self {
        Self { kind: Kind::Passing { call, shared, passed } }
    }

    pub(crate) fn ready(response: Response<CacheBody<R>>) -> Self {
        Self { kind: Kind::Ready { response: Some(response) } }
    }

    pub(crate) fn waiting(call: Boxed<R, E>) -> Self {
        Self { kind: Kind::Waiting { call } }
    }
}

impl<F, R: Body, E> fmt::Debug for ResponseFuture<F, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, R, E> Future for ResponseFuture<F, R, E>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<CacheBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Passing { call, shared, passed } => {
                let answered = ready!(call.poll(cx));
                Poll::Ready(answered.map(|response| passed.told(shared, response)))
            }
            KindProjection::Ready { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled again after it is ready")))
            }
            KindProjection::Waiting { call } => call.as_mut().poll(cx),
        }
    }
}

// === impl Passed ===

impl Passed {
    /// The service's own answer.
    pub(crate) fn told<R: Body>(self, shared: &Shared, response: Response<R>) -> Response<CacheBody<R>> {
        let mut response = response.map(CacheBody::passed);
        let handled = Handled::Forwarded { why: self.why, status: None, stored: false, collapsed: false };
        answer::tell(&shared.config, response.headers_mut(), handled, None, self.detail);
        response
    }
}
