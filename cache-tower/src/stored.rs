//! A stored answer: what is kept of it, and what is worked out of that when it is first looked at.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::{BufMut, Bytes, BytesMut};
use cache_core::{__private::Met, Key};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::{
    caching::Told,
    rfc::{Life, Rules, Spec, Timestamp, Validators, date, freshness::Said, range::Partial},
};

/// No answer is kept for longer.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// An answer that is there, with the moment that it was made.
pub(crate) type Found = Met<Arc<Stored>>;

/// What is kept: in this process as it is, in Redis by the cache's codec.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    status: u16,
    /// `name:value` in lines. No value holds the end of a line.
    head: Bytes,
    pub(crate) body: Bytes,
    trailers: Option<Bytes>,
    /// In microseconds since 1970.
    requested: u64,
    received: u64,
    /// What the request said in the fields of `Vary`.
    pub(crate) selecting: Bytes,
    /// How long it is of any use, in milliseconds.
    life: u64,
    /// The tags that it was stored under, as they are written.
    pub(crate) tags: Vec<String>,
    /// What a program said of it, and what of that was its answer's own.
    said: Words,
    said_by_answer: Words,
    /// The tags that a program gave it.
    given: Vec<String>,
    /// The prefixes that it can be purged by, if it is under one: those of the layer that stored it.
    pub(crate) prefixes: u64,
    /// Of an answer of which only some bytes are there: those that stand in `body`, one piece after another.
    part: Option<Part>,
    /// When it was softly purged, by the clock of this process.
    #[serde(skip)]
    purged: Option<Timestamp>,
    #[serde(skip)]
    seen: OnceLock<Option<Arc<Seen>>>,
}

/// How many bytes there are of something, if that is known, and from where to where those go that are here.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    total: Option<u64>,
    held: Vec<(u64, u64)>,
}

/// [`Said`], its times in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Words {
    public: bool,
    ttl: Option<u64>,
    default_ttl: Option<u64>,
}

/// What is worked out of a stored answer, once.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) spec: Spec,
    pub(crate) validators: Validators,
    pub(crate) life: Life,
    pub(crate) received: Timestamp,
    /// What of it is there, if not all.
    pub(crate) partial: Option<Partial>,
    /// The fields as they were served last, for the hits of one second.
    pub(crate) ready: ArcSwapOption<Ready>,
}

/// The fields of a hit, which are the same for as long as `Age` is.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) age: u64,
    /// Who says so in `Cache-Status`: several layers may be over one cache.
    pub(crate) cache: Option<String>,
    pub(crate) headers: HeaderMap,
}

/// What there is to keep of an answer.
pub(crate) struct Kept {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) requested: Timestamp,
    pub(crate) received: Timestamp,
    pub(crate) selecting: Bytes,
    pub(crate) life: Duration,
    pub(crate) tags: Vec<Key>,
    pub(crate) told: Told,
    pub(crate) prefixes: u64,
    pub(crate) partial: Option<Partial>,
}

// === impl Stored ===

impl Stored {
    pub(crate) fn new(kept: Kept) -> Arc<Self> {
        let Kept { status, headers, body, trailers, requested, received, selecting, life, tags, .. } = kept;
        let Kept { told, prefixes, partial, .. } = kept;
        let wires = |tags: &[Key]| tags.iter().map(Key::wire).collect();
        let part = partial.as_ref().map(|partial| Part {
            total: partial.total(),
            held: partial.held().iter().map(|range| (range.first(), range.last())).collect(),
        });
        Arc::new(Self {
            status: status.as_u16(),
            head: lines(&headers),
            body,
            trailers: trailers.as_ref().map(lines),
            requested: micros(requested),
            received: micros(received),
            selecting,
            life: millis(life),
            tags: wires(&tags),
            said: Words::of(told.said(status)),
            said_by_answer: Words::of(told.by_answer),
            given: wires(&told.tags),
            prefixes,
            part,
            purged: None,
            seen: OnceLock::new(),
        })
    }

    /// The same, softly purged at this moment.
    pub(crate) fn purged(&self, at: Timestamp) -> Arc<Self> {
        Arc::new(Self { purged: Some(at), seen: OnceLock::new(), ..self.clone() })
    }

    /// How long it is of any use.
    pub(crate) fn life(&self) -> Duration {
        Duration::from_millis(self.life)
    }

    /// The tags that it was stored under.
    pub(crate) fn keys_of_tags(&self) -> Vec<Key> {
        self.tags.iter().filter_map(|tag| Key::parse(tag)).collect()
    }

    /// What was said in code about an answer that brings this one up to date.
    pub(crate) fn updated_by(&self, told: &Told) -> Told {
        told.clone().over(self.said_by_answer.said(), self.given.iter().filter_map(|tag| Key::parse(tag)))
    }

    /// What it says; nothing if that cannot be read, as whoever may write to Redis may write anything.
    pub(crate) fn seen(&self, rules: &Rules) -> Option<&Seen> {
        self.seen.get_or_init(|| self.look(rules).map(Arc::new)).as_deref()
    }

    fn look(&self, rules: &Rules) -> Option<Seen> {
        let status = StatusCode::from_u16(self.status).ok()?;
        let headers = fields(&self.head)?;
        let trailers = match &self.trailers {
            Some(trailers) => Some(fields(trailers)?),
            None => None,
        };
        let (requested, received) = (timestamp(self.requested), timestamp(self.received));
        let partial = match &self.part {
            Some(Part { total, held }) => {
                Some(Partial::restored(*total, held).filter(|it| it.length() == self.length())?)
            }
            None => None,
        };
        let life = Life::new(status, &headers, requested, received, rules).with(self.said.said(), status);
        Some(Seen {
            spec: Spec::of(&headers, &rules.vary).ok()?,
            validators: Validators::of(&headers, &|value| date::parse(value, received)),
            life: self.purged.map_or(life.clone(), |at| life.purged(at)),
            status,
            headers,
            trailers,
            received,
            partial,
            ready: ArcSwapOption::empty(),
        })
    }

    fn length(&self) -> u64 {
        self.body.len() as u64
    }
}

impl Words {
    fn of(said: Said) -> Self {
        let Said { public, ttl, default_ttl } = said;
        Self { public, ttl: ttl.map(millis), default_ttl: default_ttl.map(millis) }
    }

    fn said(self) -> Said {
        let Self { public, ttl, default_ttl } = self;
        Said { public, ttl: ttl.map(Duration::from_millis), default_ttl: default_ttl.map(Duration::from_millis) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn micros(time: Timestamp) -> u64 {
    u64::try_from(time.0.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn timestamp(micros: u64) -> Timestamp {
    Timestamp(Duration::from_micros(micros))
}

pub(crate) fn lines(headers: &HeaderMap) -> Bytes {
    let length = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2).sum();
    let mut lines = BytesMut::with_capacity(length);
    for (name, value) in headers {
        lines.put_slice(name.as_str().as_bytes());
        lines.put_u8(b':');
        lines.put_slice(value.as_bytes());
        lines.put_u8(b'\n');
    }
    lines.freeze()
}

pub(crate) fn fields(lines: &Bytes) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_maybe_shared(lines.slice_ref(&line[colon + 1..])).ok()?;
        headers.try_append(name, value).ok()?;
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(fields: &[(&'static str, &'static str)]) -> Arc<Stored> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Stored::new(Kept {
            status: StatusCode::OK,
            trailers: Some(headers.clone()),
            headers,
            body: Bytes::from_static(b"body"),
            requested: Timestamp(Duration::from_secs(1)),
            received: Timestamp(Duration::from_secs(2)),
            selecting: Bytes::new(),
            life: Duration::from_secs(60),
            tags: vec![Key::new("a")],
            told: Told::default(),
            prefixes: 0,
            partial: None,
        })
    }

    #[test]
    fn what_is_kept_is_what_was_there() {
        let fields = [("x-a", "1"), ("x-b", ""), ("x-a", "a: b, \"c\"\t\u{e4}")];
        let stored = kept(&fields);
        let seen = stored.seen(&Rules::default()).unwrap();
        assert_eq!(seen.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "a: b, \"c\"\t\u{e4}"]);
        assert_eq!(seen.headers["x-b"], "");
        assert_eq!(seen.trailers.as_ref(), Some(&seen.headers));
        assert_eq!((seen.status, stored.life()), (StatusCode::OK, Duration::from_secs(60)));
    }

    #[test]
    fn what_cannot_be_read_is_nothing() {
        for (head, status) in [("x-a 1\n", 200), ("x a:1\n", 200), ("x-a:\r1\n", 200), ("x-a:\u{0}\n", 200), ("", 99)] {
            let mut stored = (*kept(&[])).clone();
            (stored.head, stored.status) = (Bytes::from_static(head.as_bytes()), status);
            assert!(stored.seen(&Rules::default()).is_none(), "{head:?}");
        }
    }
}
