//! How old an answer is, and how long it is fresh (RFC 9111 section 4.2).

use std::time::Duration;

use http::{
    HeaderMap, StatusCode,
    header::{AGE, DATE, EXPIRES, LAST_MODIFIED},
};

use super::{
    Rules, Timestamp, date,
    directives::{Directives, Extent, RequestDirectives, SECONDS_MAX, seconds},
    targeted::Control,
};

/// No heuristic makes an answer fresh for longer.
const HEURISTIC_MAX: Duration = Duration::from_secs(86_400);

/// What decides about the reuse of an answer, worked out once, when it comes from the origin or out of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) control: Control,
    pub(crate) lifetime: Lifetime,
    /// The corrected initial age.
    pub(crate) initial_age: Duration,
    /// When its head was there.
    pub(crate) received: Timestamp,
    /// It was softly purged, and is not fresh whatever the time is: clocks step back.
    pub(crate) is_purged: bool,
}

/// How long an answer is fresh, counted from its generation at the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// Not more than [`SECONDS_MAX`].
    pub(crate) length: Duration,
    pub(crate) basis: Basis,
}

/// What a lifetime comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    SMaxage,
    MaxAge,
    Expires,
    /// A tenth of the age of the content.
    Heuristic,
    /// [`Rules::default_ttl`].
    Default,
    /// [`Said::ttl`]. Whether the origin said something explicit too.
    Said {
        explicit: bool,
    },
    /// Nothing says anything: the answer is never fresh.
    Nothing,
}

/// What a program says of one answer's life, over its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// As `public` in `Cache-Control`.
    pub(crate) public: bool,
    /// How long it is fresh from when it came.
    pub(crate) ttl: Option<Duration>,
    /// How long it is, if its fields say nothing of it.
    pub(crate) default_ttl: Option<Duration>,
}

/// For whom an answer is used though it is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permission {
    /// A window of RFC 5861, that the origin gave.
    Origin,
    /// The client, or the rules of this cache.
    Other,
}

// === impl Life ===

impl Life {
    /// `requested` is when the request was sent to the origin, `received` when the head of its answer was there. After a
    /// validation both are of that, and `headers` are the updated ones, `Age` too: without it if the 304 had none.
    pub(crate) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        requested: Timestamp,
        received: Timestamp,
        rules: &Rules,
    ) -> Self {
        let control = Control::of(headers, rules);
        let lifetime = lifetime(&control, status, headers, received, rules);
        let initial_age = initial_age(headers, requested, received);
        Self { control, lifetime, initial_age, received, is_purged: false }
    }

    /// The same, softly purged at this moment: its lifetime ended then, if it had not before. The windows of what is stale are
    /// counted from there.
    pub(crate) fn purged(mut self, at: Timestamp) -> Self {
        self.lifetime.length = self.lifetime.length.min(self.age(at));
        self.is_purged = true;
        self
    }

    /// The same with what a program says of the answer with this status. `private` and `no-store` stay as they are.
    pub(crate) fn with(mut self, said: Said, status: StatusCode) -> Self {
        let directives = &mut self.control.directives;
        let by_default = is_heuristically_cacheable(status) || directives.public;
        directives.public |= said.public;
        if let Some(ttl) = said.ttl {
            if directives.no_cache.is_whole() {
                directives.no_cache = Extent::Nothing;
            }
            let (length, explicit) = (self.initial_age.saturating_add(ttl), self.lifetime.is_explicit());
            self.lifetime = Lifetime { length: length.min(SECONDS_MAX), basis: Basis::Said { explicit } };
        } else if let Some(length) = said.default_ttl
            && by_default
            && matches!(self.lifetime.basis, Basis::Default | Basis::Nothing)
        {
            self.lifetime = Lifetime { length: length.min(SECONDS_MAX), basis: Basis::Default };
        }
        self
    }

    /// The current age. A clock that stepped back since makes it no younger than it came.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        self.initial_age.saturating_add(now.0.saturating_sub(self.received.0))
    }

    /// How long it is still fresh, or nothing if it is stale. It is at the moment its age reaches its lifetime.
    pub(crate) fn remaining(&self, now: Timestamp) -> Option<Duration> {
        let remaining = self.lifetime.length.checked_sub(self.age(now));
        remaining.filter(|remaining| !remaining.is_zero() && !self.is_purged)
    }

    /// For how long it has been stale; nothing while it is fresh.
    pub(crate) fn staleness(&self, now: Timestamp) -> Duration {
        self.age(now).saturating_sub(self.lifetime.length)
    }

    /// Whether it may be served while it is validated in the background (RFC 5861 section 3).
    pub(crate) fn is_within_revalidation(&self, now: Timestamp, rules: &Rules) -> bool {
        let window = self.control.directives.stale_while_revalidate;
        window.is_some_and(|window| self.staleness(now) < window)
            && may_be_stale(&self.control.directives, Permission::Origin, rules)
    }

    /// Whether it may be served because the origin failed (RFC 5861 section 4): the answer says so, or the request does.
    pub(crate) fn is_within_error(&self, request: &RequestDirectives, now: Timestamp, rules: &Rules) -> bool {
        let directives = &self.control.directives;
        let within = |window: Option<Duration>| window.is_some_and(|window| self.staleness(now) < window);
        (within(directives.stale_if_error) && may_be_stale(directives, Permission::Origin, rules))
            || (within(request.stale_if_error) && may_be_stale(directives, Permission::Other, rules))
    }

    /// How long it is of use once it is stale: for the longest of its windows, and to be validated or to stand in for as long as `keep`.
    pub(crate) fn afterlife(&self, keep: Duration) -> Duration {
        let directives = &self.control.directives;
        let windows = [directives.stale_while_revalidate, directives.stale_if_error];
        windows.into_iter().flatten().max().unwrap_or_default().max(keep)
    }

    /// What `Cache-Status` has as `ttl`: seconds, negative once it is stale (RFC 9211 section 2.4).
    pub(crate) fn ttl(&self, now: Timestamp) -> i64 {
        age_seconds(self.lifetime.length).cast_signed() - age_seconds(self.age(now)).cast_signed()
    }
}

/// Whether the answer's own directives leave room for serving it stale (RFC 9111 section 4.2.4).
pub(crate) fn may_be_stale(directives: &Directives, permission: Permission, rules: &Rules) -> bool {
    let by_maxage = directives.s_maxage.is_some() && !(permission == Permission::Origin && rules.stale_beside_s_maxage);
    !(directives.must_revalidate || directives.proxy_revalidate || directives.no_cache.is_whole() || by_maxage)
}

/// What is written into `Age`. Cut once, here: no part of a second has been dropped before.
pub(crate) fn age_seconds(age: Duration) -> u64 {
    age.min(SECONDS_MAX).as_secs()
}

/// RFC 9111 section 4.2.3, corrected_initial_age.
pub(crate) fn initial_age(headers: &HeaderMap, requested: Timestamp, received: Timestamp) -> Duration {
    let delay = received.0.saturating_sub(requested.0);
    // `Date` has whole seconds, so the part of one in `received` is no age: with it, an answer of `max-age=1` would be stale
    // before it was stored, one time in two.
    let apparent = headers
        .get(DATE)
        .and_then(|value| date::parse(value, received))
        .map_or(Duration::ZERO, |date| Duration::from_secs(received.0.as_secs()).saturating_sub(date.0));
    age_of_field(headers).saturating_add(delay).max(apparent)
}

/// `Age`: the first member of the first line, and nothing but digits, else it is ignored (RFC 9111 section 5.1). A number that
/// is too large is the largest, at which nothing is fresh.
fn age_of_field(headers: &HeaderMap) -> Duration {
    let first = headers.get(AGE).and_then(|line| line.as_bytes().split(|byte| *byte == b',').next());
    first.and_then(|text| seconds(text.trim_ascii())).unwrap_or_default()
}

/// RFC 9111 section 4.2.1, and 4.2.2 where nothing explicit is there.
pub(crate) fn lifetime(
    control: &Control,
    status: StatusCode,
    headers: &HeaderMap,
    received: Timestamp,
    rules: &Rules,
) -> Lifetime {
    if let Some(length) = control.directives.s_maxage {
        return Lifetime { length, basis: Basis::SMaxage };
    }
    if let Some(length) = control.directives.max_age {
        return Lifetime { length, basis: Basis::MaxAge };
    }
    // Without a `Date` that can be read, the time at which the answer came stands for it (RFC 9110 section 6.6.1).
    let dated = headers.get(DATE).and_then(|value| date::parse(value, received)).unwrap_or(received);
    if control.has_expires() && headers.contains_key(EXPIRES) {
        return Lifetime { length: until_expires(headers, dated, received), basis: Basis::Expires };
    }
    let nothing = Lifetime { length: Duration::ZERO, basis: Basis::Nothing };
    if !is_heuristically_cacheable(status) && !control.directives.public {
        return nothing;
    }
    let modified = rules.heuristic.then(|| headers.get(LAST_MODIFIED)).flatten();
    if let Some(modified) = modified.and_then(|value| date::parse(value, received)) {
        let length = (dated.0.saturating_sub(modified.0) / 10).min(HEURISTIC_MAX);
        return Lifetime { length, basis: Basis::Heuristic };
    }
    rules.default_ttl.map_or(nothing, |length| Lifetime { length: length.min(SECONDS_MAX), basis: Basis::Default })
}

/// `Expires` − `Date`. One that cannot be read, or that is there twice, has passed (RFC 9111 sections 4.2.1 and 5.3).
fn until_expires(headers: &HeaderMap, dated: Timestamp, received: Timestamp) -> Duration {
    let mut lines = headers.get_all(EXPIRES).iter();
    let (Some(value), None) = (lines.next(), lines.next()) else { return Duration::ZERO };
    let expires = date::parse(value, received).unwrap_or_default();
    expires.0.saturating_sub(dated.0).min(SECONDS_MAX)
}

/// The statuses that may be stored and be fresh though nothing says so (RFC 9110 section 15.1).
pub(crate) fn is_heuristically_cacheable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

// === impl Said ===

impl Said {
    /// This, and where it says nothing, what was said before.
    pub(crate) fn over(self, before: Self) -> Self {
        Self {
            public: self.public || before.public,
            ttl: self.ttl.or(before.ttl),
            default_ttl: self.default_ttl.or(before.default_ttl),
        }
    }
}

// === impl Lifetime ===

impl Lifetime {
    /// Whether the origin said it (RFC 9111 section 4.2.1).
    pub(crate) fn is_explicit(self) -> bool {
        matches!(self.basis, Basis::SMaxage | Basis::MaxAge | Basis::Expires | Basis::Said { explicit: true })
    }

    /// Whether a program said it.
    pub(crate) fn is_said(self) -> bool {
        matches!(self.basis, Basis::Said { .. })
    }
}

#[cfg(test)]
mod tests;
