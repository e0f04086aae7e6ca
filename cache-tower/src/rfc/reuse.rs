//! Whether a stored answer may be used for a request (RFC 9111 section 4). Method and variant have been matched before.

use std::time::Duration;

use http::StatusCode;

use super::{
    Rules, Timestamp,
    directives::RequestDirectives,
    freshness::{Life, Permission, may_be_stale},
};

/// What becomes of a request for which an answer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// It is served.
    Fresh { age: Duration },
    /// It is served though it is stale.
    Stale { age: Duration, why: Stale },
    /// The origin is asked whether it still holds.
    Validate(Validate),
    /// The cache stands aside: nothing of this request or of its answer is kept, not even what a validation says
    /// (`no-store` of the request, RFC 9111 section 5.2.1.5).
    Bypass,
    /// The origin would have to be asked, and the request forbids it: 504 (RFC 9111 section 5.2.1.7).
    OnlyIfCached,
}

/// Why a stale answer is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stale {
    /// It is within `stale-while-revalidate`; it has to be validated in the background.
    WhileRevalidate,
    /// The request has `max-stale`.
    MaxStale,
}

/// Why the origin is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Validate {
    /// The answer is not fresh.
    Stale,
    /// It was softly purged.
    Purged,
    /// `no-cache` in the answer.
    NoCache,
    /// `no-cache`, `max-age=0` or `Pragma` in the request.
    RequestNoCache,
    /// It is older than the request wants it.
    RequestMaxAge,
    /// It is not fresh for as long as the request wants it.
    RequestMinFresh,
}

/// Whether the stored answer is used for the request, at `now`.
pub(crate) fn reuse(life: &Life, request: &RequestDirectives, now: Timestamp, rules: &Rules) -> Reuse {
    if request.no_store {
        return if request.only_if_cached { Reuse::OnlyIfCached } else { Reuse::Bypass };
    }
    let age = life.age(now);
    match judge(life, request, now, rules) {
        Ok(None) => Reuse::Fresh { age },
        Ok(Some(why)) => Reuse::Stale { age, why },
        Err(_) if request.only_if_cached => Reuse::OnlyIfCached,
        Err(why) => Reuse::Validate(why),
    }
}

/// Whether it is served, and by which permission if it is stale.
fn judge(life: &Life, request: &RequestDirectives, now: Timestamp, rules: &Rules) -> Result<Option<Stale>, Validate> {
    if life.control.directives.no_cache.is_whole() {
        return Err(Validate::NoCache);
    }
    let remaining = life.remaining(now);
    let stale = match remaining {
        Some(_) => None,
        None => {
            let why = if life.is_purged { Validate::Purged } else { Validate::Stale };
            Some(stale(life, request, now, rules).ok_or(why)?)
        }
    };
    if request.no_cache || request.max_age.is_some_and(|it| it.is_zero()) {
        return Err(Validate::RequestNoCache);
    }
    if request.max_age.is_some_and(|limit| life.age(now) > limit) {
        return Err(Validate::RequestMaxAge);
    }
    if request.min_fresh.is_some_and(|wanted| remaining.is_none_or(|remaining| remaining < wanted)) {
        return Err(Validate::RequestMinFresh);
    }
    Ok(stale)
}

/// By which permission it is served stale (RFC 9111 section 4.2.4). Validating in the background comes first, so that what is
/// stale does not stay so for the sake of the clients that bear it.
fn stale(life: &Life, request: &RequestDirectives, now: Timestamp, rules: &Rules) -> Option<Stale> {
    let directives = &life.control.directives;
    // A client that limits the age does not want it stale, unless it says so (section 5.2.1.1).
    let bears_it = request.max_age.is_none() || request.max_stale.is_some();
    if bears_it && life.is_within_revalidation(now, rules) {
        return Some(Stale::WhileRevalidate);
    }
    let within = request.max_stale.is_some_and(|limit| life.staleness(now) <= limit);
    (within && may_be_stale(directives, Permission::Other, rules)).then_some(Stale::MaxStale)
}

/// Whether the origin's answer is a failure that a stale answer may stand for (RFC 5861 section 4).
pub(crate) fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// The age of the stored answer, if it is served instead of a [failure](is_failure) of the origin. A client that insists on
/// the origin gets its failure.
pub(crate) fn instead_of_failure(
    life: &Life,
    request: &RequestDirectives,
    now: Timestamp,
    rules: &Rules,
) -> Option<Duration> {
    (!request.no_cache && life.is_within_error(request, now, rules)).then(|| life.age(now))
}

/// The age of the stored answer, if it is served because the origin cannot be reached: while it is fresh and the request alone
/// asked for more, within `stale-if-error`, or for any time if the rules have it and nothing forbids it (RFC 9111 section
/// 4.2.4). Else the client gets a 504, which `must-revalidate` demands (section 5.2.2.2).
pub(crate) fn instead_of_nothing(
    life: &Life,
    request: &RequestDirectives,
    now: Timestamp,
    rules: &Rules,
) -> Option<Duration> {
    if request.no_cache {
        return None;
    }
    let directives = &life.control.directives;
    let fresh = life.remaining(now).is_some() && !directives.no_cache.is_whole();
    let disconnected = rules.stale_when_unreachable && may_be_stale(directives, Permission::Other, rules);
    (fresh || disconnected || life.is_within_error(request, now, rules)).then(|| life.age(now))
}

// === impl Stale ===

impl Stale {
    /// One word for logs, metrics and `Cache-Status`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::WhileRevalidate => "stale_while_revalidate",
            Self::MaxStale => "max_stale",
        }
    }
}

// === impl Validate ===

impl Validate {
    /// One word for logs, metrics and `Cache-Status`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Purged => "soft_purge",
            Self::NoCache => "no_cache",
            Self::RequestNoCache => "request_no_cache",
            Self::RequestMaxAge => "request_max_age",
            Self::RequestMinFresh => "request_min_fresh",
        }
    }
}

#[cfg(test)]
mod tests;
