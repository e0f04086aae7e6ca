//! What a request that changes something makes untrue is evicted before its answer goes to the client; and where that answer is
//! what a GET would have, it is stored as such.

use std::{
    collections::HashSet,
    future::{Future, pending},
    sync::Arc,
};

use cache_core::{
    __private::{Change, Teller},
    Cache, Key,
};
use http::{HeaderMap, Method, Response, StatusCode, Uri, request};
use http_body::Body;
use tokio::sync::oneshot;

use crate::{
    answer,
    body::CacheBody,
    caching::{Caching, Told},
    clock,
    fetch::{Fetch, Head, How, Unstored},
    future::Passed,
    keep::{Asked, Keep, is_any_call},
    key::{self, Target},
    rfc::{
        Timestamp, invalidate,
        status::{Forward, Handled},
    },
    shared::Shared,
    slot::{Came, Slot},
};

const PASSED: Passed = Passed { why: Forward::Method, detail: None };

/// Waits for the answer, evicts, and gives it back. `target` is what it would be stored as, if it may be.
pub(crate) async fn after<R, E>(
    shared: Arc<Shared>,
    cache: Cache,
    target: Option<Target>,
    request: request::Parts,
    call: impl Future<Output = Result<Response<R>, E>>,
) -> Result<Response<CacheBody<R>>, E>
where
    R: Body + Send + 'static,
    R::Data: Send,
    R::Error: Send,
    E: Send + 'static,
{
    let uris = absolute(&request);
    let own: HashSet<Key> = uris.iter().flat_map(|uri| shared.url(uri)).collect();
    // A client that goes away does not undo what it asked for: dropped, this evicts.
    let change = Change::begin(&cache, own.iter().cloned().collect()).await;
    let requested = clock::now();
    let mut response = match call.await {
        Ok(response) => response,
        Err(error) => {
            // It may have been done, and its answer been lost.
            let _acknowledged = change.evict(Vec::new()).await;
            return Err(error);
        }
    };
    let received = clock::now();
    // A call is a POST whatever it does, and what is at its path is no page. Both have to say so: a client alone must not keep what
    // it changes from being evicted.
    if is_any_call(&request.headers) && is_any_call(response.headers()) {
        change.keep();
        return Ok(PASSED.told(&shared, response));
    }
    match untrue(&shared, &request.method, &uris, &response) {
        Some(mut tags) => {
            tags.retain(|tag| !own.contains(tag));
            // In force here at once, and elsewhere as soon as Redis has it.
            let _acknowledged = change.evict(tags.into_iter().collect()).await;
        }
        None => change.keep(),
    }
    let Some(target) = target else { return Ok(PASSED.told(&shared, response)) };
    let times = (requested, received);
    let by_answer = response.extensions_mut().remove::<Caching>();
    let told = Told::of(request.extensions.get::<Caching>(), by_answer.as_ref());
    let uri = uris.into_iter().next().unwrap_or_default();
    Ok(Posted { shared, cache, target, uri, headers: request.headers, told, times }.keep::<R, E>(response).await)
}

/// The tags of what an answer makes untrue; none if it changed nothing.
fn untrue<R>(shared: &Shared, method: &Method, uris: &[Uri], response: &Response<R>) -> Option<HashSet<Key>> {
    let (status, headers) = (response.status(), response.headers());
    let targets: Vec<Uri> = uris.iter().flat_map(|uri| invalidate::targets(method, uri, status, headers)).collect();
    if targets.is_empty() {
        return None;
    }
    let groups = invalidate::invalidated_groups(method, status, headers);
    let origins: Vec<String> = uris.iter().filter_map(|uri| key::origin(uri, &HeaderMap::new())).collect();
    let groups = groups.all.iter().flat_map(|group| origins.iter().map(|origin| shared.group(origin, group)));
    Some(targets.iter().flat_map(|target| shared.url(target)).chain(groups).collect())
}

/// The answer to a POST, which may be what a GET would have (RFC 9110 section 9.3.3).
struct Posted {
    shared: Arc<Shared>,
    cache: Cache,
    target: Target,
    uri: Uri,
    headers: HeaderMap,
    told: Told,
    times: (Timestamp, Timestamp),
}

impl Posted {
    async fn keep<R, E>(self, response: Response<R>) -> Response<CacheBody<R>>
    where
        R: Body + Send + 'static,
        R::Data: Send,
        R::Error: Send,
        E: Send + 'static,
    {
        let Self { shared, cache, target, uri, headers, told, times: (requested, received) } = self;
        let keep = Keep {
            shared: Arc::clone(&shared),
            key: target.key.clone(),
            pass_key: target.key.local_hash(),
            is_own: target.is_own,
        };
        let fetch = Fetch { keep, old: None, how: How::Anew, stores: true, teller: Teller::default() };
        let (head, body) = response.into_parts();
        let asked = Asked { method: &Method::POST, uri: &uri, headers: &headers, told: &told, requested, received };
        if fetch.keep.may_store(&asked, &head, &body).is_err() {
            return PASSED.told(&shared, Response::from_parts(head, body));
        }
        let slot = Slot::new((head, body));
        let (client, head) = oneshot::channel::<Head<R, E>>();
        let exchange = shared.exchange(&cache, target.key, &target.tags);
        let load = {
            let (slot, uri, headers) = (slot.clone(), uri.clone(), headers.clone());
            async move {
                let Some((head, body)) = slot.take() else { return Err(Unstored::Passed) };
                let asked =
                    Asked { method: &Method::POST, uri: &uri, headers: &headers, told: &told, requested, received };
                fetch.answered(&asked, None, client, head, body).await
            }
        };
        let loading = exchange.load(0, Unstored::passes, None, load);
        if let Came::Told(Head::Passed(mut response, _) | Head::Recorded(mut response)) =
            slot.wait(head, pending::<()>(), loading, shared.config.collapse).await
        {
            let handled = Handled::Forwarded { why: Forward::Method, status: None, stored: true, collapsed: false };
            answer::tell(&shared.config, response.headers_mut(), handled, None, None);
            return response;
        }
        match slot.take() {
            // Somebody else's load of the same was under way.
            Some((head, body)) => PASSED.told(&shared, Response::from_parts(head, body)),
            // Whoever takes an answer tells its client.
            None => answer::bare(StatusCode::BAD_GATEWAY, HeaderMap::new()),
        }
    }
}

/// The URIs that a request may be for, with the scheme and authority that a server's requests do not have.
fn absolute(request: &request::Parts) -> Vec<Uri> {
    let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
    let origins = key::origins_named(&request.uri, &request.headers);
    let whole: Vec<Uri> = origins.iter().filter_map(|origin| format!("{origin}{path}").parse().ok()).collect();
    if whole.is_empty() { vec![request.uri.clone()] } else { whole }
}
