//! One call: what is there of it, who asks the service, and who waits for that.

use std::{convert::Infallible, future::pending, sync::Arc};

use cache_core::{
    __private::{Exchange, Met},
    Cache, Outcome,
};
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use tokio::sync::oneshot;
use tower_service::Service;

use super::{
    config::{GrpcCall, GrpcMethod},
    future::Told,
    key,
    layer::Shared,
    load::{Head, Load, Unstored},
    request::{GrpcBody, Read, read},
    stored::StoredCall,
};
use crate::{
    body::CacheBody,
    clock,
    passes::Why,
    rfc::status::{Forward, Handled},
    slot::{Came, Slot},
};

/// One call of a method that is cached.
pub(super) struct Flow {
    pub(super) shared: Arc<Shared>,
    pub(super) cache: Cache,
    pub(super) method: Arc<GrpcMethod>,
    pub(super) identity: Option<String>,
}

type Answered<R, E> = Result<Response<CacheBody<R>>, E>;

impl Flow {
    /// The answer to a request, for which `service` is ready.
    pub(super) async fn answer<S, B, R>(self, mut service: S, request: Request<B>) -> Answered<R, S::Error>
    where
        S: Service<Request<GrpcBody<B>>, Response = Response<R>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Send,
        R: Body + Send + 'static,
        R::Data: Send,
        R::Error: Send,
    {
        let (parts, body) = request.into_parts();
        let (frame, body) = match read(body, self.shared.config.max_request).await {
            Read::Message(frame, body) => (frame, body),
            Read::Other(body, why) => {
                let response = service.call(Request::from_parts(parts, body)).await?;
                return Ok(Told { shared: self.shared, why }.to(response));
            }
        };
        let call = GrpcCall { parts: &parts, frame: &frame };
        let key = key::key(&self.shared.config, &call, self.identity.as_deref());
        let hash = key.local_hash();
        let tags = self.method.tags_of(&call);
        let exchange = self.shared.exchange(&self.cache, key, tags, &self.method.path);
        let slot = Slot::new((service, Request::from_parts(parts, body)));
        self.through(&exchange, hash, slot).await
    }

    /// By what is stored, by the service, or by what it answers to another who asks for the same.
    async fn through<S, B, R>(
        &self,
        exchange: &Exchange<Arc<StoredCall>>,
        hash: u128,
        slot: Slot<(S, Request<B>)>,
    ) -> Answered<R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send + 'static,
        B: Send + 'static,
        R: Body + Send + 'static,
        R::Data: Send,
        R::Error: Send,
    {
        let passes = self.shared.passes.holds(hash);
        let found = if passes { exchange.find().await } else { exchange.hit() };
        // What is there and cannot be read is older than what is wanted.
        let than = found.as_ref().map_or(0, |found| found.made);
        if let Some(response) = found.and_then(|found| self.served(&found)) {
            return Ok(response);
        }
        if passes {
            return self.alone(&slot, None).await;
        }
        let (told, head) = oneshot::channel();
        let load = Load { shared: Arc::clone(&self.shared), method: Arc::clone(&self.method), hash };
        let loading = exchange.load(than, Unstored::passes, None, load.run(slot.clone(), told));
        let loaded = match slot.wait(head, pending::<Infallible>(), loading, self.shared.config.collapse).await {
            Came::Told(head) => return self.told(head),
            Came::Overheard(never) => match never {},
            Came::Late => {
                // Nor is it to hold up those who come while it hangs.
                self.shared.passes.add(hash, Why::Hangs, self.shared.config.collapse);
                return self.alone(&slot, Some("collapse")).await;
            }
            Came::Loaded(loaded) => loaded,
        };
        match loaded.ok().and_then(|met| self.served(&met)) {
            Some(response) => Ok(response),
            None => self.alone(&slot, None).await,
        }
    }

    /// The answer out of what is stored.
    fn served<R: Body>(&self, met: &Met<Arc<StoredCall>>) -> Option<Response<CacheBody<R>>> {
        let mut response = met.value.answer()?;
        let forwarded = |collapsed| Handled::Forwarded { why: Forward::Miss, status: None, stored: true, collapsed };
        let handled = match met.outcome {
            Outcome::Joined => forwarded(true),
            Outcome::Loaded => forwarded(false),
            Outcome::Bypass(_) => {
                Handled::Forwarded { why: Forward::Miss, status: None, stored: false, collapsed: true }
            }
            _ => Handled::Hit,
        };
        self.shared.tell(response.headers_mut(), handled, Some(met.value.ttl(clock::now())), None);
        Some(response)
    }

    /// The service's own answer. Whether it is stored will be clear at its end.
    fn told<R: Body, E>(&self, head: Head<R, E>) -> Answered<R, E> {
        match head {
            Head::Failed(error) => Err(error),
            Head::Answer(response, why) => Ok(self.forwarded(response, why)),
        }
    }

    fn forwarded<R: Body>(
        &self,
        mut response: Response<CacheBody<R>>,
        detail: Option<&'static str>,
    ) -> Response<CacheBody<R>> {
        let handled = Handled::Forwarded { why: Forward::Miss, status: None, stored: false, collapsed: false };
        self.shared.tell(response.headers_mut(), handled, None, detail);
        response
    }

    /// Goes to the service by itself, with nothing stored of it.
    async fn alone<S, B, R>(&self, slot: &Slot<(S, Request<B>)>, detail: Option<&'static str>) -> Answered<R, S::Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body,
    {
        match slot.take() {
            Some((mut service, request)) => {
                let response = service.call(request).await?;
                Ok(self.forwarded(response.map(CacheBody::passed), detail))
            }
            None => Ok(self.lost()),
        }
    }

    /// The answer where a call has gone to the service, and what it answered is nowhere: a task that was ended with its runtime.
    fn lost<R: Body>(&self) -> Response<CacheBody<R>> {
        let mut response = Response::new(CacheBody::empty());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        // UNAVAILABLE
        headers.insert("grpc-status", HeaderValue::from_static("14"));
        self.shared.tell(headers, Handled::Refused, None, Some("lost"));
        response
    }
}
