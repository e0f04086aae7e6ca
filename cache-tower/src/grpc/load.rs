//! Asking the service on behalf of a call: what it answers goes to the client, and is stored if it turns out to be what is kept.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use tokio::sync::oneshot;
use tower_service::Service;

use super::{
    config::GrpcMethod,
    frame::{Frames, Held},
    layer::Shared,
    status::{self, OK},
    stored::StoredCall,
};
use crate::{
    body::CacheBody,
    clock,
    passes::Why,
    record::{Recorded, Recorder, UNREAD},
    slot::Slot,
};

/// How long it is remembered that the answer to a call is not stored, so that others do not wait for one another.
const PASS: Duration = Duration::from_secs(1);

/// What a client gets that has not waited for another's answer.
#[allow(clippy::large_enum_variant, reason = "it is moved once; an error is the rare case")]
pub(super) enum Head<R: Body, E> {
    /// The service's own answer, and why it is not stored, if that is known before its end.
    Answer(Response<CacheBody<R>>, Option<&'static str>),
    /// The service's own error.
    Failed(E),
}

/// Why a load stored nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unstored {
    /// Its answer has gone to its client.
    Passed,
    /// The service gave an error, and its client was told so.
    Failed,
}

/// What is known before the service is asked.
pub(super) struct Load {
    pub(super) shared: Arc<Shared>,
    pub(super) method: Arc<GrpcMethod>,
    /// That of the key.
    pub(super) hash: u128,
}

// === impl Unstored ===

impl Unstored {
    /// Whether the service has not failed.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "it is asked for by reference")]
    pub(super) fn passes(&self) -> bool {
        *self == Self::Passed
    }
}

// === impl Load ===

impl Load {
    /// Asks the service. What its client gets is told at once; what is stored, when all of it is there.
    pub(super) async fn run<S, B, R>(
        self,
        slot: Slot<(S, Request<B>)>,
        client: oneshot::Sender<Head<R, S::Error>>,
    ) -> Result<Arc<StoredCall>, Unstored>
    where
        S: Service<Request<B>, Response = Response<R>>,
        R: Body,
    {
        let Some((mut service, request)) = slot.take() else { return Err(Unstored::Passed) };
        let response = match service.call(request).await {
            Ok(response) => response,
            Err(error) => {
                // A client that is gone need not be told.
                let _gone = client.send(Head::Failed(error));
                return Err(Unstored::Failed);
            }
        };
        let config = &self.shared.config;
        let (status, headers) = (response.status(), response.headers().clone());
        let is_kept = |code| config.life(&self.method, code).is_some();
        let is_large = response.body().size_hint().lower() > config.max_answer as u64;
        let why = status::refusal(status, &headers, is_kept).or(is_large.then_some("body"));
        // A body that is at its end is sent so: to some clients an answer that has ended in its headers is not the same as one with
        // an empty body.
        if why.is_some() || response.body().is_end_stream() {
            let _gone = client.send(Head::Answer(response.map(CacheBody::passed), why));
            let kept = if why.is_none() { self.kept(&headers, Bytes::new(), None) } else { None };
            return self.stored(kept);
        }
        let (head, body) = response.into_parts();
        let (recorder, first) = Recorder::new(config.max_answer, config.collapse.max(UNREAD));
        let first = CacheBody::recorded(first, body.size_hint());
        let _gone = client.send(Head::Answer(Response::from_parts(head, first), None));
        let mut frames = Frames::default();
        let wanted = |chunk: &[u8]| {
            let is_one = frames.read(chunk) != Held::Other;
            // No need to hold what will be too large.
            is_one && frames.length().is_none_or(|length| length <= config.max_answer as u64)
        };
        let kept = match recorder.record_while(body, wanted, || {}).await {
            Recorded::Whole { chunks, trailers } => self.kept(&headers, join(chunks), trailers.as_ref()),
            Recorded::Oversized | Recorded::Failed => None,
        };
        self.stored(kept)
    }

    /// What is stored of an answer that is there to its end; nothing if it is none to store.
    fn kept(&self, headers: &HeaderMap, body: Bytes, trailers: Option<&HeaderMap>) -> Option<Arc<StoredCall>> {
        let code = status::code(headers, trailers)?;
        let life = self.shared.config.life(&self.method, code)?;
        let mut frames = Frames::default();
        match frames.read(&body) {
            Held::One => {}
            // A call that failed has none.
            Held::Nothing if code != OK => {}
            _ => return None,
        }
        Some(StoredCall::new(headers, body, trailers, clock::now(), life))
    }

    fn stored(&self, kept: Option<Arc<StoredCall>>) -> Result<Arc<StoredCall>, Unstored> {
        let passes = &self.shared.passes;
        match kept {
            Some(stored) => {
                passes.remove(self.hash);
                Ok(stored)
            }
            None => {
                passes.add(self.hash, Why::NotStored, PASS);
                Err(Unstored::Passed)
            }
        }
    }
}

fn join(chunks: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(chunks) {
        Ok([one]) => one,
        Err(chunks) => chunks.concat().into(),
    }
}
