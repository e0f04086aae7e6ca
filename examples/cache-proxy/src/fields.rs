//! The fields that a proxy takes out, changes and adds (RFC 9110 section 7.6).

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{
        CONNECTION, COOKIE, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
        TRANSFER_ENCODING, UPGRADE, VIA,
    },
};

/// Of one connection, beside what `Connection` names. `Content-Length` and `Trailer` are not among them: they are of the message.
const OF_THE_CONNECTION: [HeaderName; 8] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Takes out what is of one connection (RFC 9110 section 7.6.1). Of `TE` stays that trailers are welcome: they are handed on.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let welcomes_trailers = headers.contains_key(TE) && members(headers, &TE).any(|it| is(it, b"trailers"));
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> =
            members(headers, &CONNECTION).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
        // A client that names `Host` would have its request be for another host than the one that it is stored under.
        for name in named.iter().filter(|name| **name != HOST) {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in &OF_THE_CONNECTION {
        headers.remove(name);
    }
    if welcomes_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}

fn is(text: &[u8], word: &[u8]) -> bool {
    text.eq_ignore_ascii_case(word)
}

/// Whether a message is about something that its sender has already.
pub(crate) fn is_conditional(headers: &HeaderMap) -> bool {
    headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE)
}

/// Says that a message came through here, and in which version it came.
pub(crate) fn add_via(headers: &mut HeaderMap, version: Version, via: &Via) {
    let value = match version {
        Version::HTTP_2 => &via.two,
        Version::HTTP_11 => &via.one_one,
        _ => &via.one_zero,
    };
    headers.append(VIA, value.clone());
}

/// The values of `Via` that there can be, made once.
#[derive(Debug)]
pub(crate) struct Via {
    one_zero: HeaderValue,
    one_one: HeaderValue,
    two: HeaderValue,
}

impl Via {
    pub(crate) fn new(name: &str) -> Result<Self, http::header::InvalidHeaderValue> {
        let value = |version| HeaderValue::try_from(format!("{version} {name}"));
        Ok(Self { one_zero: value("1.0")?, one_one: value("1.1")?, two: value("2")? })
    }
}

/// Says for whom a request is made: the peer is added to `X-Forwarded-For`; the host and the protocol are said where nobody
/// has said them yet.
pub(crate) fn add_forwarded(headers: &mut HeaderMap, peer: IpAddr, host: Option<&HeaderValue>, proto: &'static str) {
    let mut line = Vec::new();
    for value in headers.get_all(&FORWARDED_FOR) {
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(peer.to_canonical().to_string().as_bytes());
    if let Ok(value) = HeaderValue::try_from(line) {
        headers.insert(FORWARDED_FOR, value);
    }
    if let Some(host) = host
        && !headers.contains_key(&FORWARDED_HOST)
    {
        headers.insert(FORWARDED_HOST, host.clone());
    }
    if !headers.contains_key(&FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
    }
}

/// Puts the lines of `Cookie` together, which HTTP/2 may take apart (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::try_from(lines.join(b"; ".as_slice()))
    {
        headers.insert(COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_of_the_connection_is_taken_out() {
        let rows = [
            (
                headers(&[("connection", "close, X-A"), ("x-a", "1"), ("x-a", "2"), ("x-b", "3")]),
                headers(&[("x-b", "3")]),
            ),
            (headers(&[("connection", "a"), ("connection", ", b,"), ("a", "1"), ("b", "2")]), headers(&[])),
            (
                headers(&[("connection", "host, te"), ("host", "a"), ("te", "trailers")]),
                headers(&[("host", "a"), ("te", "trailers")]),
            ),
            (headers(&[("te", "gzip, Trailers")]), headers(&[("te", "trailers")])),
            (headers(&[("te", "gzip")]), headers(&[])),
            (
                headers(&[
                    ("keep-alive", "1"),
                    ("proxy-connection", "1"),
                    ("proxy-authenticate", "1"),
                    ("upgrade", "1"),
                ]),
                headers(&[]),
            ),
            (
                headers(&[("transfer-encoding", "chunked"), ("proxy-authorization", "1"), ("trailer", "x")]),
                headers(&[("trailer", "x")]),
            ),
        ];
        for (mut before, after) in rows {
            strip(&mut before);
            assert_eq!(before, after);
        }
    }

    #[test]
    fn peer_is_added_to_those_before_it() {
        let peer = IpAddr::from([192, 0, 2, 1]);
        let mut request =
            headers(&[("x-forwarded-for", "a"), ("x-forwarded-for", "b"), ("x-forwarded-proto", "https")]);
        add_forwarded(&mut request, peer, Some(&HeaderValue::from_static("shop")), "http");
        let after =
            [("x-forwarded-for", "a, b, 192.0.2.1"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "shop")];
        assert_eq!(request, headers(&after));
    }

    #[test]
    fn cookies_become_one_line() {
        let mut request = headers(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut request);
        assert_eq!(request, headers(&[("cookie", "a=1; b=2")]));
    }
}
