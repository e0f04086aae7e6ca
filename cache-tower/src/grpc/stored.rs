//! A stored answer.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;
use serde::{Deserialize, Serialize};

use crate::{
    body::CacheBody,
    rfc::Timestamp,
    stored::{fields, lines, micros},
};

/// What is kept: in this process as it is, in Redis by the cache's codec.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredCall {
    /// `name:value` in lines.
    head: Bytes,
    /// One message with its prefix, or nothing.
    body: Bytes,
    trailers: Option<Bytes>,
    /// In microseconds since 1970.
    received: u64,
    /// In milliseconds.
    life: u64,
    #[serde(skip)]
    seen: OnceLock<Option<Box<Seen>>>,
}

/// What is worked out of it once.
#[derive(Clone, Debug)]
struct Seen {
    headers: HeaderMap,
    trailers: Option<HeaderMap>,
}

// === impl StoredCall ===

impl StoredCall {
    pub(super) fn new(
        headers: &HeaderMap,
        body: Bytes,
        trailers: Option<&HeaderMap>,
        received: Timestamp,
        life: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            head: lines(headers),
            body,
            trailers: trailers.map(lines),
            received: micros(received),
            life: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
            seen: OnceLock::new(),
        })
    }

    /// How long it is kept.
    pub(super) fn life(&self) -> Duration {
        Duration::from_millis(self.life)
    }

    /// How long it is still kept, in seconds; negative if it should be no longer.
    pub(super) fn ttl(&self, now: Timestamp) -> i64 {
        let ends = i128::from(self.received / 1_000) + i128::from(self.life);
        let left = ends - timestamp_millis(now);
        i64::try_from(left.div_euclid(1_000)).unwrap_or_default()
    }

    /// The answer, as it was; nothing if it cannot be read, as whoever may write to Redis may write anything.
    pub(super) fn answer<R: Body>(&self) -> Option<Response<CacheBody<R>>> {
        let seen = self.seen.get_or_init(|| self.look().map(Box::new)).as_deref()?;
        let mut response = Response::new(CacheBody::kept([self.body.clone()], seen.trailers.clone()));
        *response.headers_mut() = seen.headers.clone();
        Some(response)
    }

    fn look(&self) -> Option<Seen> {
        let trailers = match &self.trailers {
            Some(trailers) => Some(fields(trailers)?),
            None => None,
        };
        Some(Seen { headers: fields(&self.head)?, trailers })
    }
}

fn timestamp_millis(time: Timestamp) -> i128 {
    i128::try_from(time.0.as_millis()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::{BodyExt, Full};

    use super::*;
    use crate::stored::timestamp;

    fn map(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    fn stored(headers: &HeaderMap, body: &'static [u8], trailers: Option<&HeaderMap>) -> Arc<StoredCall> {
        let received = timestamp(1_000_000);
        StoredCall::new(headers, Bytes::from_static(body), trailers, received, Duration::from_secs(60))
    }

    #[tokio::test]
    async fn answer_is_what_was_there() {
        let headers = map(&[("content-type", "application/grpc"), ("x-a-bin", "AAEC"), ("x-b", "1"), ("x-b", "2")]);
        let trailers = map(&[("grpc-status", "0"), ("grpc-message", "f\u{fc}nf")]);
        let answer = stored(&headers, b"\0\0\0\0\x01a", Some(&trailers)).answer::<Full<Bytes>>().unwrap();
        assert_eq!(answer.headers(), &headers);
        let body = answer.into_body().collect().await.unwrap();
        assert_eq!(body.trailers(), Some(&trailers));
        assert_eq!(body.to_bytes(), b"\0\0\0\0\x01a".as_slice());
    }

    #[test]
    fn answer_without_a_body_is_at_its_end() {
        let failed = map(&[("grpc-status", "5")]);
        assert!(stored(&failed, b"", None).answer::<Full<Bytes>>().unwrap().body().is_end_stream());
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        let mut broken = (*stored(&HeaderMap::new(), b"", None)).clone();
        broken.head = Bytes::from_static(b"x a:1\n");
        assert!(broken.answer::<Full<Bytes>>().is_none());
        let mut broken = (*stored(&HeaderMap::new(), b"", Some(&HeaderMap::new()))).clone();
        broken.trailers = Some(Bytes::from_static(b"x:\x00\n"));
        assert!(broken.answer::<Full<Bytes>>().is_none());
    }

    #[test]
    fn what_is_left_is_told_in_seconds() {
        let stored = stored(&HeaderMap::new(), b"", None);
        for (now, left) in [(1_000, 60), (1_001, 59), (60_999, 0), (61_000, 0), (62_000, -1)] {
            assert_eq!(stored.ttl(Timestamp(Duration::from_millis(now))), left, "{now}");
        }
    }
}
