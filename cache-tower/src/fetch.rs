//! Asking the origin on behalf of a request: what comes back is stored, goes to the client as it is, or says that what is
//! stored still holds.

use std::{any::Any, sync::Arc, time::Duration};

use bytes::Bytes;
use cache_core::__private::{ShareOps, Teller};
use http::{HeaderMap, Method, Request, Response, StatusCode, request, response};
use http_body::Body;
use tokio::sync::oneshot;
use tower_service::Service;

use crate::{
    body::CacheBody,
    caching::{Caching, Told},
    clock,
    keep::{Asked, Keep, Lasts, Refusal, as_stored, is_complete, join},
    key,
    live::Live,
    part,
    passes::Why,
    record::{Recorded, Recorder, Recording, UNREAD},
    rfc::{
        Life, Rules, Timestamp,
        conditional::{self, HeadEffect, Update, Validation, Validators, Verdict, Wants, Whose},
        date,
        directives::RequestDirectives,
        hop,
        range::{self, Gap, NoPiece, Piece},
        reuse,
        storable::{Part, Storable},
    },
    slot::Slot,
    stored::{Seen, Stored},
};

/// What a client gets that has not waited for another's answer.
pub(crate) enum Head<R: Body, E> {
    /// The origin's own answer. It is not stored, for this reason.
    Passed(Response<CacheBody<R>>, &'static str),
    /// The origin's own answer, which is stored if its body ends well.
    Recorded(Response<CacheBody<R>>),
    /// What was stored holds, and is not kept any longer, for this reason.
    Held(Arc<Stored>, &'static str),
    /// The origin's own error.
    Failed(E),
}

/// Why a load stored nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unstored {
    /// Its answer has gone to its client.
    Passed,
    /// The origin failed, with this status or without an answer: what is stored stands in, for those who wait too if they bear it.
    StandIn(Option<StatusCode>),
    /// The origin could not be reached, and its client was told so.
    Failed,
    /// A 304 about nothing that is stored here.
    Mismatched,
}

/// How far what is stored helps with what the origin is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// It is validated.
    Validates,
    /// It is completed.
    Completes(Gap),
    /// Not at all, though a part may be combined with it.
    Anew,
}

impl How {
    /// What the origin said, if what was stored is the answer after all.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Completes(_) => StatusCode::PARTIAL_CONTENT,
            Self::Validates | Self::Anew => StatusCode::NOT_MODIFIED,
        }
    }
}

/// What is known before the origin is asked.
pub(crate) struct Fetch {
    pub(crate) keep: Keep,
    /// What is stored.
    pub(crate) old: Option<Arc<Stored>>,
    pub(crate) how: How,
    /// Whether what comes back is stored. If not, nobody waits for its body.
    pub(crate) stores: bool,
    /// By what those who wait hear of an answer whose body is still coming.
    pub(crate) teller: Teller,
}

/// How old what is stored is, if it may stand in.
type Instead = fn(&Life, &RequestDirectives, Timestamp, &Rules) -> Option<Duration>;

/// A stored answer, and what it says.
type Old<'a> = Option<(&'a Stored, &'a Seen)>;

impl Unstored {
    /// Only that something stands in is the same for all who wait.
    pub(crate) fn share() -> ShareOps<Self> {
        ShareOps {
            share: |unstored| Arc::new(*unstored) as Arc<dyn Any + Send + Sync>,
            take: |shared| shared.downcast_ref::<Self>().copied().filter(|it| matches!(it, Self::StandIn(_))),
        }
    }

    /// Whether the origin has not failed.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the form in which it is asked")]
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Passed | Self::Mismatched)
    }
}

impl Fetch {
    /// Asks the origin. What its client gets is told at once; what is stored, when all of it is there.
    pub(crate) async fn run<S, B, R>(
        self,
        slot: Slot<(S, Request<B>)>,
        client: oneshot::Sender<Head<R, S::Error>>,
    ) -> Result<Arc<Stored>, Unstored>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body + Send + 'static,
        R::Error: Send,
    {
        let Some((mut service, request)) = slot.take() else { return Err(Unstored::Passed) };
        let (mut parts, body) = request.into_parts();
        let asked = parts.headers.clone();
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let old = self.old.as_deref().and_then(|old| Some((old, old.seen(&self.keep.shared.config.rules)?)));
        let Validation { headers, whose } = self.question(&asked, old);
        parts.headers = headers;
        let requested = clock::now();
        let by_request = parts.extensions.get::<Caching>().cloned();
        let mut answered = service.call(Request::from_parts(parts, body)).await;
        let received = clock::now();
        let by_answer = answered.as_mut().ok().and_then(|response| response.extensions_mut().remove::<Caching>());
        let told = Told::of(by_request.as_ref(), by_answer.as_ref());
        let context = Asked { method: &method, uri: &uri, headers: &asked, told: &told, requested, received };
        let response = match answered {
            Ok(response) => response,
            Err(error) => return Err(self.unreachable(&context, old, client, error)),
        };
        let (head, body) = response.into_parts();
        if head.status == StatusCode::NOT_MODIFIED && whose != Whose::Nobody {
            let response = Response::from_parts(head, body);
            return self.not_modified(&context, whose, old, client, response).await;
        }
        if reuse::is_failure(head.status) && self.stands_in(&context, old, reuse::instead_of_failure) {
            return Err(Unstored::StandIn(Some(head.status)));
        }
        match old {
            Some((stored, seen)) if method == Method::HEAD => {
                self.head(&context, stored, seen, client, Response::from_parts(head, body)).await
            }
            _ => self.answered(&context, old, client, head, body).await,
        }
    }

    /// What the origin is asked.
    fn question(&self, asked: &HeaderMap, old: Old<'_>) -> Validation {
        match (self.how, old) {
            (How::Validates, Some((_, seen))) => {
                let is_whole = seen.partial.is_none() && !seen.validators.is_empty();
                let wants = if is_whole { Wants::Whole } else { Wants::AsAsked };
                conditional::validate(asked, Some(&seen.validators), wants)
            }
            (How::Completes(gap), Some((_, seen))) => range::completing(asked, gap, &seen.validators).map_or_else(
                || conditional::validate(asked, None, Wants::AsAsked),
                |headers| Validation { headers, whose: Whose::Nobody },
            ),
            _ => conditional::validate(asked, None, Wants::AsAsked),
        }
    }

    /// The answer to a HEAD, which says whether what is stored is still so (RFC 9111 section 4.3.5).
    async fn head<R: Body, E>(
        &self,
        asked: &Asked<'_>,
        stored: &Stored,
        seen: &Seen,
        client: oneshot::Sender<Head<R, E>>,
        response: Response<R>,
    ) -> Result<Arc<Stored>, Unstored> {
        let newer = Validators::of(response.headers(), &|value| date::parse(value, asked.received));
        let length = stored.body.len() as u64;
        let mut updated = None;
        if response.status() == seen.status {
            match conditional::head_effect(&seen.validators, length, &newer, response.headers()) {
                HeadEffect::Update => {
                    let (newer, storable) = self.updated(asked, stored, seen, response.headers());
                    updated = newer.filter(|_| storable.is_ok());
                }
                HeadEffect::Stale => self.evict().await,
                HeadEffect::Nothing => {}
            }
        }
        let _gone = client.send(Head::Passed(response.map(CacheBody::passed), "head"));
        updated.ok_or(Unstored::Passed)
    }

    /// The origin gave no answer.
    fn unreachable<R: Body, E>(
        &self,
        asked: &Asked<'_>,
        old: Old<'_>,
        client: oneshot::Sender<Head<R, E>>,
        error: E,
    ) -> Unstored {
        if self.stands_in(asked, old, reuse::instead_of_nothing) {
            return Unstored::StandIn(None);
        }
        // A client that is gone need not be told.
        let _gone = client.send(Head::Failed(error));
        Unstored::Failed
    }

    /// Whether what is stored is served instead of what the origin does not give. Not a part that was to be completed.
    fn stands_in(&self, asked: &Asked<'_>, old: Old<'_>, instead: Instead) -> bool {
        let rules = &self.keep.shared.config.rules;
        let directives = RequestDirectives::of(asked.headers, rules);
        let validates = matches!(self.how, How::Validates);
        old.is_some_and(|(_, seen)| validates && instead(&seen.life, &directives, asked.received, rules).is_some())
    }

    async fn not_modified<R: Body, E>(
        &self,
        asked: &Asked<'_>,
        whose: Whose,
        old: Old<'_>,
        client: oneshot::Sender<Head<R, E>>,
        response: Response<R>,
    ) -> Result<Arc<Stored>, Unstored> {
        let newer = Validators::of(response.headers(), &|value| date::parse(value, asked.received));
        let asked_about = old.filter(|_| matches!(self.how, How::Validates));
        let verdict = Verdict::of(whose, &newer, asked_about.map(|(_, seen)| &seen.validators));
        let (Some((stored, seen)), Verdict::Updated | Verdict::Holds) = (asked_about, verdict) else {
            let _gone = client.send(Head::Passed(response.map(CacheBody::passed), "client_condition"));
            return Err(Unstored::Passed);
        };
        let (held, refusal) = if verdict == Verdict::Holds {
            (None, Refusal::lasting("mismatched"))
        } else {
            match self.updated(asked, stored, seen, response.headers()) {
                (Some(updated), Ok(())) => return Ok(updated),
                (held, refusal) => (held, refusal.err().unwrap_or(Refusal::for_now("selecting"))),
            }
        };
        if refusal.lasts == Lasts::ForAll {
            // It holds, and is not to be kept any longer.
            self.evict().await;
        }
        // It was asked about because it answers the request.
        let held = held.unwrap_or_else(|| Arc::new(stored.clone()));
        let _gone = client.send(Head::Held(held, refusal.why));
        Err(Unstored::Passed)
    }

    /// What there is after the origin has said that it holds, with the fields that it said so with, and whether that may be stored.
    fn updated(
        &self,
        asked: &Asked<'_>,
        stored: &Stored,
        seen: &Seen,
        newer: &HeaderMap,
    ) -> (Option<Arc<Stored>>, Result<(), Refusal>) {
        let mut headers = conditional::merge(&seen.headers, newer, Update::Whole);
        // Of a GET: a HEAD that says so is about the answer to that.
        let told = stored.updated_by(asked.told);
        let asked = Asked { method: &Method::GET, told: &told, ..*asked };
        let storable = self.keep.judge(&asked, seen.status, &headers);
        hop::for_store(&mut headers, storable.as_ref().map_or(&[][..], |storable| &storable.omits));
        let (body, trailers) = (stored.body.clone(), seen.trailers.clone());
        let kept = self.keep.kept(&asked, seen.status, headers, body, trailers, seen.partial.clone());
        (kept, storable.map(|_| ()))
    }

    /// Whether bytes are asked for on behalf of what is stored.
    fn completes(&self) -> bool {
        matches!(self.how, How::Completes(_))
    }

    /// What is stored is no longer so. In force here at once, and elsewhere as soon as Redis has it.
    async fn evict(&self) {
        if let Some(cache) = &self.keep.shared.cache {
            let _acknowledged = cache.evict(&self.keep.key).await;
        }
    }

    /// A whole answer: recorded if it may be stored.
    pub(crate) async fn answered<R, E>(
        &self,
        asked: &Asked<'_>,
        old: Old<'_>,
        client: oneshot::Sender<Head<R, E>>,
        head: response::Parts,
        body: R,
    ) -> Result<Arc<Stored>, Unstored>
    where
        R: Body + Send + 'static,
        R::Error: Send,
    {
        let config = &self.keep.shared.config;
        let storable = match self.keep.may_store(asked, &head, &body) {
            Ok(storable) => storable,
            // The rest of what the client is to get: it gets it, whether that may be stored or not.
            Err(refusal) if self.completes() && head.status == StatusCode::PARTIAL_CONTENT => {
                return Box::pin(self.rest(asked, old, client, Err(refusal), head, body)).await;
            }
            // About bytes that it has not asked for.
            Err(_) if self.completes() && head.status == StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(Unstored::Mismatched);
            }
            Err(refusal) => {
                let is_of_all = old.is_none() || speaks_of_all(head.status);
                if refusal.lasts == Lasts::ForAll && old.is_some() && is_of_all {
                    self.evict().await;
                }
                // A failure says nothing of answers, and is not to be asked for side by side.
                if refusal.lasts != Lasts::NotAtAll && is_of_all && !head.status.is_server_error() {
                    self.keep.shared.passes.add(self.keep.pass_key, Why::NotStored, config.pass);
                }
                let response = Response::from_parts(head, CacheBody::passed(body));
                let _gone = client.send(Head::Passed(response, refusal.why));
                return Err(Unstored::Passed);
            }
        };
        self.keep.shared.passes.remove(self.keep.pass_key);
        if !self.stores {
            let _gone = client.send(Head::Passed(Response::from_parts(head, CacheBody::passed(body)), "alone"));
            return Err(Unstored::Passed);
        }
        if storable.part == Part::Range && self.completes() {
            return Box::pin(self.rest(asked, old, client, Ok(storable), head, body)).await;
        }
        if storable.part == Part::Range {
            return Box::pin(self.part(asked, old, client, storable, head, body)).await;
        }
        let (status, headers) = (head.status, as_stored(&head.headers, &storable.omits, asked.received));
        let (recorder, first) = Recorder::new(asked.max_body(config), self.unread());
        let recording = recorder.recording(conditional::content_length(&head.headers).or(body.size_hint().exact()));
        let first = CacheBody::recorded(first, body.size_hint());
        let _gone = client.send(Head::Recorded(Response::from_parts(head, first)));
        // Of a body that is there at once nobody need hear before all of it is stored.
        let slow = || self.tell(asked, status, &headers, recording);
        match recorder.record(body, slow).await {
            Recorded::Whole { chunks, trailers } if is_complete(&headers, &chunks) => {
                self.keep.kept(asked, status, headers, join(chunks), trailers, None).ok_or(Unstored::Passed)
            }
            Recorded::Oversized => {
                self.keep.shared.passes.add(self.keep.pass_key, Why::NotStored, config.pass);
                Err(Unstored::Passed)
            }
            Recorded::Whole { .. } | Recorded::Failed => Err(Unstored::Passed),
        }
    }

    /// Those who wait hear of an answer that may be stored, and whose body takes its time.
    fn tell<R>(&self, asked: &Asked<'_>, status: StatusCode, headers: &HeaderMap, recording: Option<Recording<R>>)
    where
        R: Body + Send + 'static,
        R::Error: Send,
    {
        let Some(body) = recording.filter(|_| self.teller.is_heard()) else { return };
        let Some(head) = self.keep.kept(asked, status, headers.clone(), Bytes::new(), None, None) else { return };
        let tags = head.keys_of_tags();
        self.teller.tell(Arc::new(Live { head, body }), &tags);
    }

    /// For how long a body is recorded that nobody reads: there may be who waits for its end.
    fn unread(&self) -> Duration {
        self.keep.shared.config.collapse.max(UNREAD)
    }

    /// The bytes that the client asked for: they go to it, and are put to those that are there.
    async fn part<R: Body, E>(
        &self,
        asked: &Asked<'_>,
        old: Old<'_>,
        client: oneshot::Sender<Head<R, E>>,
        storable: Storable,
        head: response::Parts,
        body: R,
    ) -> Result<Arc<Stored>, Unstored> {
        // A whole answer is not given up for a part.
        let is_of_use = old.is_none_or(|(_, seen)| seen.partial.is_some());
        let piece = range::piece(asked.method, head.status, &head.headers).map_err(NoPiece::as_str);
        let piece = match piece {
            Ok(piece) if is_of_use => piece,
            other => {
                let response = Response::from_parts(head, CacheBody::passed(body));
                let _gone = client.send(Head::Passed(response, other.err().unwrap_or("partial")));
                return Err(Unstored::Passed);
            }
        };
        let headers = as_stored(&head.headers, &storable.omits, asked.received);
        let (recorder, first) = Recorder::new(asked.max_body(&self.keep.shared.config), self.unread());
        let first = CacheBody::recorded(first, body.size_hint());
        let _gone = client.send(Head::Recorded(Response::from_parts(head, first)));
        let put = self.put(asked, old, piece, &headers, recorder.record(body, || {}).await);
        put.filter(|put| self.fits(asked, put)).ok_or(Unstored::Passed)
    }

    /// The bytes that were missing, on behalf of what is there. If they may not be stored they are put together for the client.
    async fn rest<R: Body, E>(
        &self,
        asked: &Asked<'_>,
        old: Old<'_>,
        client: oneshot::Sender<Head<R, E>>,
        storable: Result<Storable, Refusal>,
        head: response::Parts,
        body: R,
    ) -> Result<Arc<Stored>, Unstored> {
        let Ok(piece) = range::piece(asked.method, head.status, &head.headers) else {
            return Err(Unstored::Mismatched);
        };
        let omits = storable.as_ref().map_or(&[][..], |storable| &storable.omits);
        let headers = as_stored(&head.headers, omits, asked.received);
        // What was asked for fits what the layer keeps, though the answer may say that less is to be.
        let config = &self.keep.shared.config;
        let (recorder, _waits) = Recorder::new(asked.max_body(config).max(config.max_body), self.unread());
        let put = self.put(asked, old, piece, &headers, recorder.record(body, || {}).await).ok_or(Unstored::Passed)?;
        let refusal = match storable {
            Ok(_) if self.fits(asked, &put) => return Ok(put),
            Ok(_) => Refusal::lasting("body"),
            Err(refusal) => refusal,
        };
        if refusal.lasts == Lasts::ForAll {
            self.evict().await;
        }
        let _gone = client.send(Head::Held(put, refusal.why));
        Err(Unstored::Passed)
    }

    fn fits(&self, asked: &Asked<'_>, put: &Stored) -> bool {
        put.body.len() <= asked.max_body(&self.keep.shared.config)
    }

    /// What is there with some bytes more; nothing if these are not all that was said.
    fn put(
        &self,
        asked: &Asked<'_>,
        old: Old<'_>,
        piece: Piece,
        headers: &HeaderMap,
        recorded: Recorded,
    ) -> Option<Arc<Stored>> {
        let Recorded::Whole { chunks, .. } = recorded else { return None };
        let bytes = join(chunks);
        if bytes.len() as u64 != piece.range.len() {
            return None;
        }
        let put = part::put(old, piece, headers, bytes, asked.received);
        let told = old.map_or_else(|| asked.told.clone(), |(stored, _)| stored.updated_by(asked.told));
        let asked = Asked { told: &told, ..*asked };
        self.keep.kept(&asked, StatusCode::OK, put.headers, put.body, None, put.partial)
    }
}

/// Whether a status says what there is at a URL, and not what this client may have of it now.
fn speaks_of_all(status: StatusCode) -> bool {
    status.is_success() || matches!(status.as_u16(), 301 | 308 | 404 | 410)
}

/// The parts of a request, without what only its service may have; what is said to the layer stays.
pub(crate) fn outline(parts: &request::Parts) -> request::Parts {
    let (mut outline, ()) = Request::new(()).into_parts();
    outline.method = parts.method.clone();
    outline.uri = key::uri_of(parts).clone();
    outline.version = parts.version;
    outline.headers = parts.headers.clone();
    if let Some(caching) = parts.extensions.get::<Caching>() {
        outline.extensions.insert(caching.clone());
    }
    outline
}
