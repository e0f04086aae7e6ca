//! From a stored answer to the one that a client gets.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{AGE, CONTENT_LENGTH, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE},
    request,
};
use http_body::Body;

use crate::{
    body::CacheBody,
    config::Config,
    rfc::{
        Timestamp,
        conditional::{self, Chosen, Dates},
        date,
        freshness::age_seconds,
        range::{self, Answer, Boundary, ByteRange, Gap, Partial, Served},
        status::{CacheStatus, Handled},
    },
    stored::{Ready, Seen, Stored},
};

/// Why what is stored is no answer to a request that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    /// It has a condition that only the origin may judge.
    Condition,
    /// These bytes are missing.
    Gap(Gap),
    /// What is there does not help.
    Nothing,
}

/// The answer to a request out of what is stored.
pub(crate) fn of_stored<B: Body>(
    config: &Config,
    request: &request::Parts,
    stored: &Stored,
    seen: &Seen,
    now: Timestamp,
    handled: Handled,
    detail: Option<&'static str>,
) -> Result<Response<CacheBody<B>>, Short> {
    let dates = |value: &HeaderValue| date::parse(value, now);
    let chosen = Chosen { status: seen.status, validators: &seen.validators, received: seen.received };
    let age = age_seconds(seen.life.age(now));
    let aged = |mut headers: HeaderMap| {
        headers.insert(AGE, HeaderValue::from(age));
        headers
    };
    let mut response = match conditional::evaluate(config.side, &request.method, &request.headers, chosen, &dates) {
        conditional::Outcome::Forward => return Err(Short::Condition),
        conditional::Outcome::NotModified => {
            bare(StatusCode::NOT_MODIFIED, aged(conditional::not_modified(&seen.headers)))
        }
        conditional::Outcome::PreconditionFailed => bare(StatusCode::PRECONDITION_FAILED, HeaderMap::new()),
        conditional::Outcome::Serve if is_plain(request, seen, handled, detail) => {
            if let Some(ready) =
                seen.ready.load().as_deref().filter(|it| it.age == age && it.cache == config.status_name)
            {
                return Ok(content(&request.method, stored, seen, ready.headers.clone()));
            }
            let mut response = whole(&request.method, stored, seen, aged(seen.headers.clone()));
            tell(config, response.headers_mut(), handled, Some(seen.life.ttl(now)), detail);
            let (cache, headers) = (config.status_name.clone(), response.headers().clone());
            seen.ready.store(Some(Arc::new(Ready { age, cache, headers })));
            return Ok(response);
        }
        conditional::Outcome::Serve => served(request, stored, seen, aged(seen.headers.clone()), &dates)?,
    };
    tell(config, response.headers_mut(), handled, Some(seen.life.ttl(now)), detail);
    Ok(response)
}

/// Whether a request is for all of an answer, whatever it is.
pub(crate) fn is_for_a_whole(request: &request::Parts) -> bool {
    let conditions = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];
    request.method == Method::GET && !conditions.iter().any(|name| request.headers.contains_key(name))
}

/// The answer to a request for a whole, out of one whose body is still coming.
pub(crate) fn of_live<B: Body>(
    config: &Config,
    seen: &Seen,
    body: CacheBody<B>,
    now: Timestamp,
    handled: Handled,
    detail: Option<&'static str>,
) -> Response<CacheBody<B>> {
    let mut response = with(seen.status, seen.headers.clone(), body);
    response.headers_mut().insert(AGE, HeaderValue::from(age_seconds(seen.life.age(now))));
    tell(config, response.headers_mut(), handled, Some(seen.life.ttl(now)), detail);
    response
}

/// Whether it is a hit of all that is stored, whose fields say what those of the one before it said.
fn is_plain(request: &request::Parts, seen: &Seen, handled: Handled, detail: Option<&'static str>) -> bool {
    let is_whole = seen.partial.is_none() && !request.headers.contains_key(RANGE);
    is_whole && handled == Handled::Hit && detail.is_none()
}

/// As much of it as the request asks for.
fn served<B: Body>(
    request: &request::Parts,
    stored: &Stored,
    seen: &Seen,
    headers: HeaderMap,
    dates: Dates<'_>,
) -> Result<Response<CacheBody<B>>, Short> {
    let Seen { status, validators, partial, .. } = seen;
    let Some(partial) = partial else {
        let total = stored.body.len() as u64;
        let served = range::serve(&request.method, &request.headers, *status, validators, total, dates);
        return Ok(match served {
            Served::Whole => whole(&request.method, stored, seen, headers),
            Served::One(range) => ranges(stored, None, &headers, &[range], Some(total)),
            Served::Several(several) => ranges(stored, None, &headers, &several, Some(total)),
            Served::NotSatisfiable => bare(StatusCode::RANGE_NOT_SATISFIABLE, range::not_satisfiable(total)),
        });
    };
    let asked = range::asked(&request.method, &request.headers, validators, dates);
    match partial.answer(asked.as_ref()) {
        // A HEAD has the fields of the whole, and no bytes to be missing.
        _ if request.method == Method::HEAD => Ok(with(*status, headers, CacheBody::empty())),
        Answer::Whole => Ok(whole(&request.method, stored, seen, headers)),
        Answer::Ranges(several) => Ok(ranges(stored, Some(partial), &headers, &several, partial.total())),
        Answer::NotSatisfiable => {
            let total = partial.total().unwrap_or_default();
            Ok(bare(StatusCode::RANGE_NOT_SATISFIABLE, range::not_satisfiable(total)))
        }
        Answer::Lacks(gap) => Err(Short::Gap(gap)),
        Answer::Nothing => Err(Short::Nothing),
    }
}

/// Says in `Cache-Status` what was done.
pub(crate) fn tell(
    config: &Config,
    headers: &mut HeaderMap,
    handled: Handled,
    ttl: Option<i64>,
    detail: Option<&'static str>,
) {
    if let Some(cache) = &config.status_name {
        CacheStatus { cache, handled, ttl, key: None, detail }.append_to(headers);
    }
}

/// An answer without content.
pub(crate) fn bare<B: Body>(status: StatusCode, headers: HeaderMap) -> Response<CacheBody<B>> {
    with(status, headers, CacheBody::empty())
}

fn with<B: Body>(status: StatusCode, headers: HeaderMap, body: CacheBody<B>) -> Response<CacheBody<B>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn whole<B: Body>(method: &Method, stored: &Stored, seen: &Seen, mut headers: HeaderMap) -> Response<CacheBody<B>> {
    // A length beside trailers would keep them from being sent in HTTP/1.
    if seen.trailers.is_none() && has_content(seen.status) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(stored.body.len()));
    }
    content(method, stored, seen, headers)
}

/// The body behind fields that are complete; none for a HEAD.
fn content<B: Body>(method: &Method, stored: &Stored, seen: &Seen, headers: HeaderMap) -> Response<CacheBody<B>> {
    if *method == Method::HEAD {
        return with(seen.status, headers, CacheBody::empty());
    }
    with(seen.status, headers, CacheBody::kept([stored.body.clone()], seen.trailers.clone()))
}

fn has_content(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// A 206 with these ranges, of which at least one byte each is there.
fn ranges<B: Body>(
    stored: &Stored,
    partial: Option<&Partial>,
    headers: &HeaderMap,
    ranges: &[ByteRange],
    total: Option<u64>,
) -> Response<CacheBody<B>> {
    let slice = |range: ByteRange| {
        // What is not there is not asked for: the ranges were made of the same numbers.
        let first = partial.map_or(Some(range.first()), |partial| partial.place_of(range)).unwrap_or_default();
        let end = first.saturating_add(range.len()).min(stored.body.len() as u64);
        stored.body.slice(first.min(end) as usize..end as usize)
    };
    if let [one] = ranges {
        let body = CacheBody::kept([slice(*one)], None);
        return with(StatusCode::PARTIAL_CONTENT, range::part(headers, *one, total), body);
    }
    let multipart = range::multipart(headers, ranges, total, &Boundary::of(fastrand::u128(..)));
    let parts = multipart.parts.into_iter();
    let mut chunks: Vec<Bytes> = parts.flat_map(|part| [Bytes::from(part.head), slice(part.range)]).collect();
    chunks.push(Bytes::from(multipart.end));
    with(StatusCode::PARTIAL_CONTENT, multipart.headers, CacheBody::kept(chunks, None))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;
    use http_body_util::{BodyExt, Empty};

    use super::*;
    use crate::{caching::Told, rfc::Rules, stored::Kept};

    fn at(second: u64) -> Timestamp {
        Timestamp(Duration::from_secs(second))
    }

    fn named(name: Option<&str>) -> Config {
        Config { status_name: name.map(str::to_owned), ..Config::new("http") }
    }

    fn stored() -> Arc<Stored> {
        let fields = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
        let fields = fields.map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        Stored::new(Kept {
            status: StatusCode::OK,
            headers: fields.into_iter().collect(),
            body: Bytes::from_static(b"body"),
            trailers: None,
            requested: at(1_000),
            received: at(1_000),
            selecting: Bytes::new(),
            life: Duration::from_secs(60),
            tags: Vec::new(),
            told: Told::default(),
            prefixes: 0,
            partial: None,
        })
    }

    #[tokio::test]
    async fn hits_of_one_second_say_what_each_would_say_alone() {
        let stored = stored();
        let seen = stored.seen(&Rules::default()).unwrap();
        // The layer's name, the second, a field of the request; `Age`, `Cache-Status`, `Content-Length`, the body.
        type Row =
            (Option<&'static str>, u64, Option<(&'static str, &'static str)>, [Option<&'static str>; 3], &'static str);
        let rows: &[Row] = &[
            (Some("a"), 1_005, None, [Some("5"), Some("a;hit;ttl=55"), Some("4")], "body"),
            (Some("a"), 1_005, None, [Some("5"), Some("a;hit;ttl=55"), Some("4")], "body"),
            (Some("b"), 1_005, None, [Some("5"), Some("b;hit;ttl=55"), Some("4")], "body"),
            (None, 1_005, None, [Some("5"), None, Some("4")], "body"),
            (Some("a"), 1_005, Some(("range", "bytes=1-2")), [Some("5"), Some("a;hit;ttl=55"), Some("2")], "od"),
            (Some("a"), 1_005, Some(("if-none-match", "\"a\"")), [Some("5"), Some("a;hit;ttl=55"), None], ""),
            (Some("a"), 1_006, None, [Some("6"), Some("a;hit;ttl=54"), Some("4")], "body"),
            (Some("a"), 1_005, None, [Some("5"), Some("a;hit;ttl=55"), Some("4")], "body"),
        ];
        for (at_row, (name, second, field, fields, body)) in rows.iter().enumerate() {
            let mut request = Request::get("/");
            if let Some((name, value)) = field {
                request = request.header(*name, *value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            let answered: Result<Response<CacheBody<Empty<Bytes>>>, _> =
                of_stored(&named(*name), &parts, &stored, seen, at(*second), Handled::Hit, None);
            let (head, read) = answered.unwrap().into_parts();
            let said = ["age", "cache-status", "content-length"];
            let said = said.map(|name| head.headers.get(name).map(|value| value.to_str().unwrap()));
            assert_eq!(said, *fields, "row {at_row}");
            assert_eq!(read.collect().await.unwrap().to_bytes(), *body, "row {at_row}");
        }
    }
}
