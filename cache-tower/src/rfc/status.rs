//! The field `Cache-Status` (RFC 9211).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sfv::{Integer, ItemSerializer, RefBareItem, StringRef, TokenRef, key_ref};

use super::reuse::Validate;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Longer keys are left out, so that a long URI does not make a field that is refused.
const KEY_BYTES_MAX: usize = 1_024;

/// What this cache did for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheStatus<'a> {
    /// Who says it.
    pub(crate) cache: &'a str,
    pub(crate) handled: Handled,
    /// How long the answer is still fresh, in seconds; negative once it is stale.
    pub(crate) ttl: Option<i64>,
    pub(crate) key: Option<&'a str>,
    /// A word of ours, such as [`NotStored::as_str`](super::storable::NotStored::as_str).
    pub(crate) detail: Option<&'a str>,
}

/// Whether the request went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    /// It did not: what was stored is the answer.
    Hit,
    Forwarded {
        why: Forward,
        /// What came back, if that is not the status of the answer: a 304, or a failure that a stale answer stands for.
        status: Option<StatusCode>,
        /// Whether the answer is stored now.
        stored: bool,
        /// Whether it waited for another request that had gone on already.
        collapsed: bool,
    },
    /// It did not, and there is no answer either: `only-if-cached`.
    Refused,
}

/// Why a request went on (RFC 9211 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Forward {
    /// The cache stood aside.
    Bypass,
    /// The method is not one to answer from the store.
    Method,
    /// Nothing is stored for the URI.
    UriMiss,
    /// Something is, but not for these fields of the request.
    VaryMiss,
    /// Nothing is stored, and it is not told apart what was missing.
    Miss,
    /// A fresh answer is, but the request wants a better one.
    Request,
    /// A stale answer is.
    Stale,
    /// A part of what is asked for is.
    Partial,
}

// === impl CacheStatus ===

impl CacheStatus<'_> {
    /// Adds this cache's member behind those of the caches nearer to the origin.
    pub(crate) fn append_to(&self, headers: &mut HeaderMap) {
        // Visible ASCII alone comes from the serializer. If it did not, a field that nobody needs would be missing.
        if let Ok(value) = HeaderValue::try_from(self.to_field()) {
            headers.append(CACHE_STATUS, value);
        }
    }

    /// The member, its parameters in the order of RFC 9211 section 2.
    fn to_field(self) -> String {
        let (hit, forwarded) = match self.handled {
            Handled::Hit => (true, None),
            Handled::Forwarded { why, status, stored, collapsed } => (false, Some((why, status, stored, collapsed))),
            Handled::Refused => (false, None),
        };
        let name = readable(self.cache);
        let key = self.key.filter(|key| key.len() <= KEY_BYTES_MAX).map(readable);
        let detail = self.detail.map(readable);

        let flag = RefBareItem::from(true);
        let status = forwarded.and_then(|(_, status, ..)| status).map(|status| Integer::from(status.as_u16()));
        let ttl = self.ttl.and_then(|ttl| Integer::try_from(ttl).ok());
        let parameters = [
            ("hit", hit.then_some(flag)),
            ("fwd", forwarded.map(|(why, ..)| word(why.as_str()))),
            ("fwd-status", status.map(RefBareItem::from)),
            ("ttl", ttl.map(RefBareItem::from)),
            ("stored", forwarded.filter(|(.., stored, _)| *stored).map(|_| flag)),
            ("collapsed", forwarded.filter(|(.., collapsed)| *collapsed).map(|_| flag)),
            ("key", key.as_deref().map(string)),
            ("detail", detail.as_deref().map(word)),
        ];
        let there = parameters.into_iter().filter_map(|(name, value)| Some((key_ref(name), value?)));
        ItemSerializer::new().bare_item(word(&name)).parameters(there).finish()
    }
}

/// A token if the text is one, else a string.
fn word(text: &str) -> RefBareItem<'_> {
    TokenRef::from_str(text).map_or_else(|_| string(text), RefBareItem::from)
}

/// A string. What is not [readable] is an empty one.
fn string(text: &str) -> RefBareItem<'_> {
    StringRef::from_str(text).unwrap_or_default().into()
}

/// The text with `?` for whatever a string of structured fields cannot have (RFC 9651 section 3.3.3).
fn readable(text: &str) -> Cow<'_, str> {
    let can = |c: char| c == ' ' || c.is_ascii_graphic();
    if text.chars().all(can) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if can(c) { c } else { '?' }).collect::<String>().into()
}

// === impl Forward ===

impl Forward {
    /// As RFC 9211 section 2.2 spells it; the word of logs and metrics too.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Miss => "miss",
            Self::Request => "request",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }
}

/// An answer with `no-cache` goes as stale: it is not the request that keeps it from being used.
impl From<Validate> for Forward {
    fn from(why: Validate) -> Self {
        match why {
            Validate::Stale | Validate::Purged | Validate::NoCache => Self::Stale,
            Validate::RequestNoCache | Validate::RequestMaxAge | Validate::RequestMinFresh => Self::Request,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sfv::{List, Parser};

    use super::*;
    use crate::rfc::fixtures::headers;

    const HIT: CacheStatus<'_> =
        CacheStatus { cache: "shop", handled: Handled::Hit, ttl: None, key: None, detail: None };

    fn forwarded(why: Forward) -> CacheStatus<'static> {
        CacheStatus { handled: Handled::Forwarded { why, status: None, stored: false, collapsed: false }, ..HIT }
    }

    #[test]
    fn members_have_their_parameters_in_order() {
        let all = Handled::Forwarded {
            why: Forward::Stale,
            status: Some(StatusCode::NOT_MODIFIED),
            stored: true,
            collapsed: true,
        };
        let all = CacheStatus { handled: all, ttl: Some(5), key: Some("GET /"), detail: Some("set_cookie"), ..HIT };
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        let just = format!("shop;hit;key=\"{}\"", &long[1..]);
        let rows: Vec<(&str, CacheStatus<'_>, &str)> = vec![
            ("9211-2.1 hit", HIT, "shop;hit"),
            ("9211-2.4 ttl of a hit", CacheStatus { ttl: Some(376), ..HIT }, "shop;hit;ttl=376"),
            ("9211-2.4 negative", CacheStatus { ttl: Some(-412), ..HIT }, "shop;hit;ttl=-412"),
            ("9211-2.2 bypass", forwarded(Forward::Bypass), "shop;fwd=bypass"),
            ("9211-2.2 method", forwarded(Forward::Method), "shop;fwd=method"),
            ("9211-2.2 uri-miss", forwarded(Forward::UriMiss), "shop;fwd=uri-miss"),
            ("9211-2.2 vary-miss", forwarded(Forward::VaryMiss), "shop;fwd=vary-miss"),
            ("9211-2.2 miss", forwarded(Forward::Miss), "shop;fwd=miss"),
            ("9211-2.2 request", forwarded(Forward::Request), "shop;fwd=request"),
            ("9211-2.2 stale", forwarded(Forward::Stale), "shop;fwd=stale"),
            ("9211-2.2 partial", forwarded(Forward::Partial), "shop;fwd=partial"),
            ("9211-2 all", all, "shop;fwd=stale;fwd-status=304;ttl=5;stored;collapsed;key=\"GET /\";detail=set_cookie"),
            ("9211-2 neither", CacheStatus { handled: Handled::Refused, detail: Some("x"), ..HIT }, "shop;detail=x"),
            ("9211-2 a name that is no token", CacheStatus { cache: "my shop", ..HIT }, "\"my shop\";hit"),
            ("9211-2 an empty name", CacheStatus { cache: "", ..HIT }, "\"\";hit"),
            ("9211-2 a name that is no ASCII", CacheStatus { cache: "L\u{e4}den", ..HIT }, "\"L?den\";hit"),
            ("9211-2.7 quotes in a key", CacheStatus { key: Some("a\"b\\\n"), ..HIT }, "shop;hit;key=\"a\\\"b\\\\?\""),
            ("9211-2.7 a key that is a token", CacheStatus { key: Some("a"), ..HIT }, "shop;hit;key=\"a\""),
            ("house a key just as long as it may be", CacheStatus { key: Some(&long[1..]), ..HIT }, &just),
            ("house a long key", CacheStatus { key: Some(&long), ..HIT }, "shop;hit"),
            ("9211-2.8 a detail of two words", CacheStatus { detail: Some("a b"), ..HIT }, "shop;hit;detail=\"a b\""),
        ];
        for (says, status, expected) in rows {
            assert_eq!(status.to_field(), expected, "{says}");
        }
    }

    #[test]
    fn the_member_comes_behind_those_of_others() {
        let mut answer = headers("Cache-Status: origin;hit | Cache-Status: cdn;fwd=miss");
        HIT.append_to(&mut answer);
        let lines: Vec<_> = answer.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(lines, ["origin;hit", "cdn;fwd=miss", "shop;hit"], "9211-2");
    }

    #[test]
    fn reasons_to_validate_are_reasons_to_forward() {
        let rows = [
            (Validate::Stale, Forward::Stale),
            (Validate::Purged, Forward::Stale),
            (Validate::NoCache, Forward::Stale),
            (Validate::RequestNoCache, Forward::Request),
            (Validate::RequestMaxAge, Forward::Request),
            (Validate::RequestMinFresh, Forward::Request),
        ];
        for (why, forward) in rows {
            assert_eq!(Forward::from(why), forward, "9211-2.2 {}", why.as_str());
        }
    }

    proptest! {
        #[test]
        fn every_member_can_be_read(cache: String, key: String, detail: String, ttl: i64) {
            let (key, detail) = (Some(&*key), Some(&*detail));
            let mut answer = HeaderMap::new();
            CacheStatus { cache: &cache, ttl: Some(ttl), key, detail, ..HIT }.append_to(&mut answer);
            let line = answer.get(CACHE_STATUS).unwrap();
            prop_assert_eq!(Parser::new(line.as_bytes()).parse::<List>().unwrap().len(), 1);
        }
    }
}
