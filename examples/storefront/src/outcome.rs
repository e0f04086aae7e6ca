//! Middleware that says in the response what the cache did for the request.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cache_core::observe;

use crate::catalogue::Repository;
use crate::header::{self, PAGES, Seen, X_CACHE, X_CACHE_REMOTE_US, X_CACHE_STATE, X_LOADS};
use crate::routes::Refusal;

/// A request that takes longer is answered with an error. What it loads runs on, for the next one.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Runs the request, and adds the headers of [`crate::header`].
pub(crate) async fn report(State(repository): State<Repository>, request: Request, next: Next) -> Response {
    let answer = async {
        let answer = tokio::time::timeout(REQUEST_MAX, next.run(request)).await;
        answer.unwrap_or_else(|_| Refusal::Timeout.into_response())
    };
    let (mut response, observations) = observe(answer).await;
    let remote: Duration = observations.iter().map(|observation| observation.remote_time).sum();
    // What the layer does with a page it says itself, in its own header: an answer goes out before it is stored.
    let calls = observations.iter().filter(|seen| seen.scope.as_str() != PAGES);
    let seen: Vec<Seen> = calls.map(|seen| Seen::new(seen.scope.as_str(), seen.outcome.to_string())).collect();
    let mut add = |name: HeaderName, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().insert(name, value);
        }
    };
    add(X_CACHE, header::render(&seen));
    add(X_CACHE_REMOTE_US, remote.as_micros().to_string());
    let coherence = repository.cache().coherence();
    let trust = if coherence.remote_trusted { "" } else { "; remote=untrusted" };
    add(X_CACHE_STATE, format!("{}{trust}", coherence.state.as_str()));
    add(X_LOADS, repository.loads().total().to_string());
    response
}
