//! Whether an answer may be stored, and what is stored of it.

use std::{borrow::Cow, sync::Arc};

use bytes::{Bytes, BytesMut};
use cache_core::Key;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE},
    response,
};
use http_body::Body;

use crate::{
    caching::Told,
    config::Config,
    rfc::{
        Life, Spec, Timestamp, conditional, date,
        directives::Extent,
        hop,
        range::Partial,
        storable::{self, NotStored, Serves, Storable},
        vary::Selecting,
    },
    shared::Shared,
    stored::{Kept, LONGEST_LIFE, Stored},
};

/// Where an answer is kept, if it is.
pub(crate) struct Keep {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: Key,
    /// What is remembered if it is not kept.
    pub(crate) pass_key: u128,
    /// The answer is for one client alone.
    pub(crate) is_own: bool,
}

impl Keep {
    pub(crate) fn may_store<R: Body>(
        &self,
        asked: &Asked<'_>,
        head: &response::Parts,
        body: &R,
    ) -> Result<Storable, Refusal> {
        let config = &self.shared.config;
        let storable = self.judge(asked, head.status, &head.headers)?;
        let length = body.size_hint().lower().max(conditional::content_length(&head.headers).unwrap_or(0));
        if length > asked.max_body(config) as u64 || is_endless(&head.headers) {
            return Err(Refusal::lasting("body"));
        }
        Ok(storable)
    }

    /// Whether an answer may be stored, and found again, by its status and its fields.
    pub(crate) fn judge(
        &self,
        asked: &Asked<'_>,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Storable, Refusal> {
        let config = &self.shared.config;
        if asked.told.no_store {
            return Err(Refusal::lasting("no_store"));
        }
        let life = Life::new(status, headers, asked.requested, asked.received, &config.rules);
        let mut life = life.with(asked.told.said(status), status);
        let mut request = Cow::Borrowed(asked.headers);
        if self.is_own {
            // It is a private cache to that client.
            request.to_mut().remove(AUTHORIZATION);
            life.control.directives.private = Extent::Nothing;
        }
        let exchange = storable::Exchange {
            method: asked.method,
            uri: asked.uri,
            request: &request,
            status,
            answer: headers,
            life: &life,
        };
        let storable = storable::may_store(&exchange, &config.rules).map_err(Refusal::of)?;
        if storable.serves != Serves::Get {
            return Err(Refusal::for_now("head"));
        }
        if !self.is_own && !config.may_share(asked.headers, &life.control.directives) {
            return Err(Refusal { why: "cookie", lasts: Lasts::ForSomebody });
        }
        let spec = Spec::of(headers, &config.rules.vary).map_err(|why| Refusal::lasting(why.as_str()))?;
        if Selecting::of(&spec, asked.headers).is_none() {
            return Err(Refusal::for_now("selecting"));
        }
        if self.shared.tags_of(asked.uri, asked.headers, headers, &asked.told.tags).is_none() {
            return Err(Refusal::lasting("tags"));
        }
        Ok(storable)
    }

    /// What is stored of an answer; nothing if it could not be found again.
    pub(crate) fn kept(
        &self,
        asked: &Asked<'_>,
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
        trailers: Option<HeaderMap>,
        partial: Option<Partial>,
    ) -> Option<Arc<Stored>> {
        let config = &self.shared.config;
        let spec = Spec::of(&headers, &config.rules.vary).ok()?;
        let selecting = Bytes::from(Selecting::of(&spec, asked.headers)?.to_bytes());
        let life = Life::new(status, &headers, asked.requested, asked.received, &config.rules);
        let life = life.with(asked.told.said(status), status);
        let fresh = life.remaining(asked.received).unwrap_or_default();
        let tags = self.shared.tags_of(asked.uri, asked.headers, &headers, &asked.told.tags)?;
        Some(Stored::new(Kept {
            status,
            headers,
            body,
            trailers,
            requested: asked.requested,
            received: asked.received,
            selecting,
            life: fresh.saturating_add(life.afterlife(config.keep)).min(LONGEST_LIFE),
            tags,
            told: asked.told.clone(),
            prefixes: config.prefixes.mark(),
            partial,
        }))
    }
}

/// A request to the origin, and when it was made and answered.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    /// The client's own fields.
    pub(crate) headers: &'a HeaderMap,
    /// What was said in code.
    pub(crate) told: &'a Told,
    pub(crate) requested: Timestamp,
    pub(crate) received: Timestamp,
}

impl Asked<'_> {
    /// The largest body that is stored.
    pub(crate) fn max_body(&self, config: &Config) -> usize {
        self.told.max_body.unwrap_or(config.max_body)
    }
}

/// Why an answer is not stored, and of which next ones that will be so.
pub(crate) struct Refusal {
    pub(crate) why: &'static str,
    pub(crate) lasts: Lasts,
}

/// Which requests for the same thing are not worth waiting for one another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasts {
    NotAtAll,
    /// Those that are of somebody.
    ForSomebody,
    ForAll,
}

impl Refusal {
    pub(crate) fn for_now(why: &'static str) -> Self {
        Self { why, lasts: Lasts::NotAtAll }
    }

    pub(crate) fn lasting(why: &'static str) -> Self {
        Self { why, lasts: Lasts::ForAll }
    }

    fn of(why: NotStored) -> Self {
        let lasts = match why {
            NotStored::Authorization => Lasts::ForSomebody,
            // What the request is the reason for says nothing of others'.
            NotStored::Method
            | NotStored::RequestNoStore
            | NotStored::Condition
            | NotStored::NotModified
            | NotStored::Interim => Lasts::NotAtAll,
            _ => Lasts::ForAll,
        };
        Self { why: why.as_str(), lasts }
    }
}

/// The fields that are stored: without what is of the connection or left out, and with a `Date`. Whoever sends it would add one
/// to each copy, and a hit would look new (RFC 9110 section 6.6.1).
pub(crate) fn as_stored(fields: &HeaderMap, omits: &[HeaderName], received: Timestamp) -> HeaderMap {
    let mut fields = fields.clone();
    hop::for_store(&mut fields, omits);
    if !fields.contains_key(DATE) {
        fields.insert(DATE, date::format(received));
    }
    fields
}

/// Whether all is there that was to come: a body that ends early without an error must not be stored (RFC 9111 section 3.3).
pub(crate) fn is_complete(headers: &HeaderMap, chunks: &[Bytes]) -> bool {
    let length: usize = chunks.iter().map(Bytes::len).sum();
    conditional::content_length(headers).is_none_or(|promised| promised == length as u64)
}

/// Whether an answer is a stream of events, which goes on as long as anybody listens.
fn is_endless(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [b"text/event-stream".as_slice(), b"multipart/x-mixed-replace", b"application/grpc"]
        .iter()
        .any(|endless| kind.get(..endless.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(endless)))
}

pub(crate) fn join(chunks: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(chunks) {
        Ok([one]) => one,
        Err(chunks) => {
            let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
            for chunk in &chunks {
                all.extend_from_slice(chunk);
            }
            all.freeze()
        }
    }
}

/// How the types of all calls begin.
pub(crate) const GRPC: &[u8] = b"application/grpc";

/// Whether this is of a gRPC call, `application/grpc-web` included.
pub(crate) fn is_any_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..GRPC.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(GRPC))
}
