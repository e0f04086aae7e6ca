//! Purges that come as requests: `PURGE` on a URL, as Varnish, Fastly and others have it.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use cache_core::{__private::Change, Ack, Key};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE},
    request,
};
use subtle::ConstantTimeEq;
use tower_service::Service;

use crate::{
    config::Judge,
    key,
    prefix::UnknownPrefix,
    rfc::invalidate::{NAME_BYTES_MAX, NAMES_MAX, tags},
    shared::{Shared, tag_of},
};

/// What requests to purge are made with.
const PURGE: &str = "PURGE";

/// What a request names that is for no path (RFC 9110 section 7.1).
const EVERYTHING: &str = "*";

/// What asks for a purge that leaves stale answers: `Fastly-Soft-Purge: 1`, and the same by its plain name.
const SOFT: [HeaderName; 2] = [HeaderName::from_static("fastly-soft-purge"), HeaderName::from_static("soft-purge")];

/// A service that purges a [`CacheLayer`](crate::CacheLayer) for whoever is let in, made by
/// [`CacheLayer::purge_service`](crate::CacheLayer::purge_service).
#[derive(Clone)]
pub struct PurgeService {
    shared: Arc<Shared>,
    authorize: Judge,
}

/// What becomes of what is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It is gone.
    ForGood,
    /// It is stale.
    Softly,
}

/// What is to be purged.
enum Named {
    /// What has one of these tags.
    Tags(Vec<Key>),
    /// All that the layer keeps.
    All,
}

/// A purge that was asked for, judged by then.
pub(crate) struct Order {
    shared: Arc<Shared>,
    named: Result<Named, Refused>,
    how: How,
}

/// Why a purge that was asked for is not made.
struct Refused {
    status: StatusCode,
    says: String,
}

// === impl Shared ===

impl Shared {
    /// Evicts what has one of these tags, on every node: what nearly all purges come to.
    pub(crate) async fn purge(&self, tags: Vec<Key>, how: How) -> Ack {
        let Some(cache) = self.cache.as_ref().filter(|_| !tags.is_empty()) else { return Ack::Failed };
        let change = Change::begin(cache, tags).await;
        let change = match how {
            How::ForGood => change,
            How::Softly => change.softly(),
        };
        change.evict(Vec::new()).await
    }

    /// Evicts all that layers of this scope keep, on every node.
    async fn purge_all(&self, how: How) -> Ack {
        match (&self.cache, how) {
            (Some(cache), How::ForGood) => cache.evict_scope(&self.config.scope).await,
            (Some(cache), How::Softly) => cache.soft_evict_scope(&self.config.scope).await,
            (None, _) => Ack::Failed,
        }
    }

    /// The tags of the answers under a prefix.
    pub(crate) fn under(&self, uri: &Uri, headers: &HeaderMap, path: &str) -> Result<Vec<Key>, UnknownPrefix> {
        let prefix = self.config.prefixes.named(path)?;
        Ok(key::tags_of_prefix(&self.config, uri, headers, &prefix))
    }
}

// === impl Order ===

impl Order {
    /// What a request asks for, if it may.
    pub(crate) fn of(shared: &Arc<Shared>, authorize: &Judge, request: &request::Parts, uri: &Uri) -> Self {
        let named = if authorize(request) {
            named(shared, uri, &request.headers)
        } else {
            Err(Refused { status: StatusCode::FORBIDDEN, says: "this request may not purge".to_owned() })
        };
        let is_soft = SOFT.iter().flat_map(|name| request.headers.get_all(name)).any(|value| value != "0");
        let how = if is_soft { How::Softly } else { How::ForGood };
        Self { shared: Arc::clone(shared), named, how }
    }

    pub(crate) async fn carry_out(self) -> Response<String> {
        let ack = match self.named {
            Ok(Named::Tags(tags)) => self.shared.purge(tags, self.how).await,
            Ok(Named::All) => self.shared.purge_all(self.how).await,
            Err(Refused { status, says }) => return answer(status, &says),
        };
        let status = match ack {
            Ack::Applied(_) => StatusCode::OK,
            Ack::Queued => StatusCode::ACCEPTED,
            Ack::Failed => StatusCode::SERVICE_UNAVAILABLE,
        };
        answer(status, ack.as_str())
    }
}

/// Whether a request is one to purge.
pub(crate) fn is_purge(method: &Method) -> bool {
    method.as_str() == PURGE
}

fn named(shared: &Shared, uri: &Uri, headers: &HeaderMap) -> Result<Named, Refused> {
    let bad = |says: String| Refused { status: StatusCode::BAD_REQUEST, says };
    let names = tags(headers);
    if names.incomplete {
        let says =
            format!("a request may name {NAMES_MAX} tags, of {NAME_BYTES_MAX} bytes of UTF-8 each: nothing was purged");
        return Err(bad(says));
    }
    if !names.all.is_empty() {
        return Ok(Named::Tags(names.all.iter().map(|name| tag_of(name)).collect()));
    }
    if uri.path() == EVERYTHING {
        return Ok(Named::All);
    }
    let tags = match uri.path().strip_suffix('*') {
        Some(_) if uri.query().is_some() => {
            return Err(bad("a prefix has no query: leave out what is behind `?`".to_owned()));
        }
        Some(prefix) if !prefix.ends_with('/') => {
            return Err(bad("a prefix is made of whole segments, as `/products/*` is".to_owned()));
        }
        Some(prefix) => shared.under(uri, headers, prefix).map_err(|unknown| bad(unknown.to_string()))?,
        None => key::tags_of_url(&shared.config, uri, headers),
    };
    if tags.is_empty() {
        return Err(bad("it is not clear which host is meant: a purge names one, in `Host` or in its URL".to_owned()));
    }
    Ok(Named::Tags(tags))
}

fn answer(status: StatusCode, says: &str) -> Response<String> {
    let mut response = Response::new(format!("{says}\n"));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

// === impl PurgeService ===

impl PurgeService {
    pub(crate) fn new(shared: Arc<Shared>, authorize: Judge) -> Self {
        Self { shared, authorize }
    }
}

impl fmt::Debug for PurgeService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PurgeService").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for PurgeService {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Its content means nothing.
        let (parts, _) = request.into_parts();
        if !is_purge(&parts.method) {
            let mut response = answer(StatusCode::METHOD_NOT_ALLOWED, "purges are made with the method `PURGE`");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(PURGE));
            return Box::pin(std::future::ready(Ok(response)));
        }
        let order = Order::of(&self.shared, &self.authorize, &parts, &parts.uri);
        Box::pin(async move { Ok(order.carry_out().await) })
    }
}

/// Lets in requests with `Authorization: Bearer` and this token, for [`CacheLayer::purge_service`](crate::CacheLayer::purge_service). How
/// long the comparison takes tells nothing of the token but its length.
///
/// # Panics
///
/// If the token is empty, or has characters that no field can have: a setting that is not there must not open the door.
#[track_caller]
pub fn bearer(token: &str) -> impl Fn(&request::Parts) -> bool + Clone + Send + Sync + use<> + 'static {
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    // Not the token itself: whoever reads the message need not be who may purge.
    assert!(is_token, "a bearer token is visible ASCII, and not empty");
    let token: Arc<[u8]> = token.as_bytes().into();
    move |request| {
        let mut lines = request.headers.get_all(AUTHORIZATION).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return false };
        let Some((scheme, given)) = line.as_bytes().split_at_checked("Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(given.trim_ascii().ct_eq(&token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_lets_in_its_token_and_nothing_else() {
        let authorize = bearer("secret-of-16-byt");
        let rows: &[(&[&str], bool)] = &[
            (&["Bearer secret-of-16-byt"], true),
            (&["bearer  secret-of-16-byt"], true),
            (&[], false),
            (&["secret-of-16-byt"], false),
            (&["Basic secret-of-16-byt"], false),
            (&["Bearer secret-of-16-byT"], false),
            (&["Bearer secret-of-16-by"], false),
            (&["Bearer secret-of-16-bytes"], false),
            (&["Bearer secret-of-16-byt, Bearer secret-of-16-byt"], false),
            (&["Bearer secret-of-16-byt", "Bearer secret-of-16-byt"], false),
            (&["Bearer"], false),
            (&["Bearer "], false),
        ];
        for (lines, expected) in rows {
            let mut request = Request::new(());
            for line in *lines {
                request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static(line));
            }
            assert_eq!(authorize(&request.into_parts().0), *expected, "{lines:?}");
        }
    }

    #[test]
    fn token_that_opens_for_anybody_is_refused() {
        for token in ["", " ", "a b", "a\n", "\u{e4}"] {
            assert!(std::panic::catch_unwind(|| drop(bearer(token))).is_err(), "{token:?}");
        }
    }
}
