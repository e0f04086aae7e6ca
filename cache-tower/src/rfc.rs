//! The rules of HTTP caching as pure functions over headers and a given time: nothing here waits, stores or reads a clock.

pub(crate) mod conditional;
pub(crate) mod date;
pub(crate) mod directives;
#[cfg(test)]
mod fixtures;
pub(crate) mod freshness;
pub(crate) mod hop;
pub(crate) mod invalidate;
pub(crate) mod range;
pub(crate) mod reuse;
pub(crate) mod status;
pub(crate) mod storable;
pub(crate) mod targeted;
pub(crate) mod uri;
pub(crate) mod vary;

use std::time::Duration;

use http::HeaderName;

/// What of the RFCs' options is made use of. The careful choice is [`Rules::default`].
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub(crate) struct Rules {
    /// Answers without explicit freshness get a tenth of their age since `Last-Modified` (RFC 9111 section 4.2.2).
    pub(crate) heuristic: bool,
    /// Answers that set cookies are stored if their freshness is explicit.
    pub(crate) stores_set_cookie: bool,
    /// Targeted fields, the first that is there and valid counts (RFC 9213 section 2.2).
    pub(crate) targets: Vec<HeaderName>,
    /// `Surrogate-Control` counts before `Cache-Control`, after the targeted fields.
    pub(crate) surrogate_control: bool,
    /// Stale answers are used when the origin cannot be reached at all, if nothing forbids it (RFC 9111 section 4.2.4).
    pub(crate) stale_when_unreachable: bool,
    /// The windows of RFC 5861 count beside `s-maxage` too, as CDNs have it. By the letter they do not: `s-maxage` has the
    /// meaning of `proxy-revalidate` (RFC 9111 section 5.2.2.10).
    pub(crate) stale_beside_s_maxage: bool,
    /// Directives of requests are obeyed; they are advice to a shared cache (RFC 9111 section 5.2.1).
    pub(crate) obeys_requests: bool,
    /// How long answers are fresh that say nothing of it, and for which no heuristic is made.
    pub(crate) default_ttl: Option<Duration>,
    /// The fields that answers may vary by.
    pub(crate) vary: vary::Allowed,
}

pub(crate) use self::{conditional::Validators, freshness::Life, vary::Spec};

/// A time, since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) Duration);
