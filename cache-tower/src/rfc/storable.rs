//! Whether an answer may be stored (RFC 9111 section 3).

use http::{
    HeaderMap, HeaderName, Method, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_LOCATION, ETAG, LAST_MODIFIED, SET_COOKIE, VARY},
};

use super::{
    Rules, date,
    directives::RequestDirectives,
    freshness::{Basis, Life, Permission, is_heuristically_cacheable, may_be_stale},
    uri,
};

/// A request and the head of its answer, as the origin saw and sent them: no field of the connection is taken out yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a Method,
    /// The target URI, with scheme and authority.
    pub(crate) uri: &'a Uri,
    pub(crate) request: &'a HeaderMap,
    pub(crate) status: StatusCode,
    pub(crate) answer: &'a HeaderMap,
    pub(crate) life: &'a Life,
}

/// How an answer is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Storable {
    pub(crate) serves: Serves,
    pub(crate) part: Part,
    /// Fields that must not be stored with it.
    pub(crate) omits: Vec<HeaderName>,
}

/// Which requests a stored answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// GET, and HEAD too.
    Get,
    /// HEAD alone: there is no content.
    Head,
}

/// How much of the representation an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// A 206: whether and how it is stored is for the rules of ranges to say.
    Range,
}

/// Why an answer is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub(crate) enum NotStored {
    /// Not the method of a request whose answers can be stored.
    Method,
    /// Not a final answer.
    Interim,
    /// A 304: it updates what is stored.
    NotModified,
    /// It is about the request's own range or preconditions (412, 416), and would be wrong for other requests.
    Condition,
    /// `no-store` in the answer.
    NoStore,
    /// `no-store` in the request.
    RequestNoStore,
    Private,
    /// `must-understand`, and a status that this cache does not.
    MustUnderstand,
    /// The request was authenticated, and the answer does not say that it is for others too.
    Authorization,
    SetCookie,
    /// `Vary: *`
    VaryStar,
    /// A POST without explicit freshness and a `Content-Location` of its own URI.
    Post,
    /// Nothing explicit, and a status that is not stored by default.
    Status,
    /// It is not fresh, cannot be validated, and may not be served stale.
    Worthless,
}

/// RFC 9111 section 3, in the order in which the reasons tell most.
pub(crate) fn may_store(exchange: &Exchange<'_>, rules: &Rules) -> Result<Storable, NotStored> {
    let Exchange { method, request, status, answer, life, .. } = *exchange;
    let directives = &life.control.directives;
    let part = part(status)?;
    let serves = serves(exchange)?;
    if directives.must_understand && !is_understood(status) {
        return Err(NotStored::MustUnderstand);
    }
    // With `must-understand` and a status that is understood, `no-store` is for caches that know neither (section 5.2.2.3).
    if directives.no_store && !directives.must_understand {
        return Err(NotStored::NoStore);
    }
    if RequestDirectives::of(request, rules).no_store {
        return Err(NotStored::RequestNoStore);
    }
    if directives.private.is_whole() {
        return Err(NotStored::Private);
    }
    // Section 3.5.
    let for_others = directives.public || directives.s_maxage.is_some() || directives.must_revalidate;
    if request.contains_key(AUTHORIZATION) && !for_others {
        return Err(NotStored::Authorization);
    }
    let omits = [directives.private.fields(), directives.no_cache.fields()].concat();
    let sets_cookie = answer.contains_key(SET_COOKIE) && !omits.contains(&SET_COOKIE);
    if sets_cookie && !(rules.stores_set_cookie && life.lifetime.is_explicit()) {
        return Err(NotStored::SetCookie);
    }
    if varies_by_anything(answer) {
        return Err(NotStored::VaryStar);
    }
    if *method == Method::POST && !life.lifetime.is_explicit() {
        return Err(NotStored::Post);
    }
    let is_meant = life.lifetime.is_explicit() || life.lifetime.is_said();
    if !(is_meant || directives.public || is_heuristically_cacheable(status)) {
        return Err(NotStored::Status);
    }
    if !is_worth_it(exchange, rules) {
        return Err(NotStored::Worthless);
    }
    Ok(Storable { serves, part, omits })
}

fn part(status: StatusCode) -> Result<Part, NotStored> {
    match status {
        _ if status.is_informational() => Err(NotStored::Interim),
        StatusCode::NOT_MODIFIED => Err(NotStored::NotModified),
        StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => Err(NotStored::Condition),
        StatusCode::PARTIAL_CONTENT => Ok(Part::Range),
        _ => Ok(Part::Whole),
    }
}

/// GET, HEAD, and a POST that succeeded with what a GET of its URI would give (RFC 9110 section 9.3.3).
fn serves(exchange: &Exchange<'_>) -> Result<Serves, NotStored> {
    match *exchange.method {
        Method::GET => Ok(Serves::Get),
        Method::HEAD => Ok(Serves::Head),
        Method::POST => {
            let mut lines = exchange.answer.get_all(CONTENT_LOCATION).iter();
            let (Some(line), None) = (lines.next(), lines.next()) else { return Err(NotStored::Post) };
            let location = uri::same_origin(exchange.uri, line).ok_or(NotStored::Post)?;
            let is_of_get = exchange.status.is_success() && exchange.status != StatusCode::PARTIAL_CONTENT;
            if is_of_get && uri::is_same(&location, exchange.uri) { Ok(Serves::Get) } else { Err(NotStored::Post) }
        }
        _ => Err(NotStored::Method),
    }
}

/// In any position on any line (RFC 9111 section 4.1).
fn varies_by_anything(answer: &HeaderMap) -> bool {
    let mut members = answer.get_all(VARY).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members.any(|member| member.trim_ascii() == b"*")
}

/// Whether the answer can ever be of use: fresh when it came, possible to validate, or possible to serve stale.
fn is_worth_it(exchange: &Exchange<'_>, rules: &Rules) -> bool {
    let life = exchange.life;
    let directives = &life.control.directives;
    if has_validator(exchange.answer, life) {
        return true;
    }
    if directives.no_cache.is_whole() {
        return false;
    }
    let window = directives.stale_while_revalidate.max(directives.stale_if_error).is_some_and(|it| !it.is_zero());
    // Who said that it is stale may have meant it for the case that nothing better can be had; who said nothing did not.
    let otherwise = (rules.stale_when_unreachable || rules.obeys_requests) && life.lifetime.basis != Basis::Nothing;
    life.remaining(life.received).is_some()
        || (window && may_be_stale(directives, Permission::Origin, rules))
        || (otherwise && may_be_stale(directives, Permission::Other, rules))
}

/// Whether the answer has something to ask the origin by (RFC 9111 section 4.3.1).
pub(crate) fn has_validator(answer: &HeaderMap, life: &Life) -> bool {
    let modified = answer.get(LAST_MODIFIED).and_then(|value| date::parse(value, life.received));
    answer.contains_key(ETAG) || modified.is_some()
}

/// The statuses whose rules of caching are known: those of RFC 9110 section 15, and of RFC 6585.
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(),
        200..=206 | 300..=305 | 307..=308 | 400..=417 | 421..=422 | 426 | 428..=429 | 431 | 500..=505 | 511)
}

// === impl NotStored ===

impl NotStored {
    /// One word for logs, metrics and `Cache-Status`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Interim => "interim",
            Self::NotModified => "not_modified",
            Self::Condition => "condition",
            Self::NoStore => "no_store",
            Self::RequestNoStore => "request_no_store",
            Self::Private => "private",
            Self::MustUnderstand => "must_understand",
            Self::Authorization => "authorization",
            Self::SetCookie => "set_cookie",
            Self::VaryStar => "vary_star",
            Self::Post => "post",
            Self::Status => "status",
            Self::Worthless => "worthless",
        }
    }
}

#[cfg(test)]
mod tests;
