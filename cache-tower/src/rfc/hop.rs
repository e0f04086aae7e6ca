//! Fields that are of one connection and are never stored.

use http::{
    HeaderMap, HeaderName,
    header::{CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE},
};

use super::directives::NEEDED;

/// Beside what `Connection` names (RFC 9110 section 7.6.1, and sections 11.7.1 to 11.7.3 for those of a proxy). Not `Trailer`:
/// trailers are kept, so what announces them is too.
const OF_THE_CONNECTION: [HeaderName; 9] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes out what must not be stored (RFC 9111 section 3.1): what is of the connection, and the fields that `no-cache` or
/// `private` name.
pub(crate) fn for_store<'a>(answer: &mut HeaderMap, omitted: impl IntoIterator<Item = &'a HeaderName>) {
    strip(answer);
    for name in omitted {
        answer.remove(name);
    }
}

/// Fields that are for everyone stay though `Connection` names them, which it never may (RFC 9110 section 7.6.1): a stored
/// answer without its `Vary` or `Cache-Control` would be served to anyone, at any time.
fn strip(message: &mut HeaderMap) {
    let lines = message.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let named: Vec<HeaderName> =
        lines.map(<[u8]>::trim_ascii).filter_map(|name| HeaderName::from_bytes(name).ok()).collect();
    for name in named.iter().filter(|name| !NEEDED.contains(name)).chain(&OF_THE_CONNECTION) {
        message.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rfc::fixtures::{any_headers, headers};

    /// The section, the lines, what is left of them in the store, and what is handed on if that is something else.
    const ROWS: &[(&str, &str, &str)] = &[
        (
            "9110-7.6.1 others stay",
            "A: 1 | Content-Length: 5 | Set-Cookie: a=b",
            "A: 1 | Content-Length: 5 | Set-Cookie: a=b",
        ),
        ("9110-7.6.1 Connection", "Connection: close | A: 1", "A: 1"),
        ("9110-7.6.1 what it names", "Connection: a, B | A: 1 | B: 2 | C: 3", "C: 3"),
        ("9110-7.6.1 on every line", "Connection: a | Connection: b,,c | A: 1 | B: 2 | C: 3 | D: 4", "D: 4"),
        ("9110-7.6.1 every line of what it names", "Connection: a | A: 1 | A: 2 | B: 3", "B: 3"),
        ("9110-7.6.1 names that are none", "Connection: \u{fc}, a b, (, a | A: 1 | B: 2", "B: 2"),
        (
            "9110-7.6.1 fields that are for everyone",
            "Connection: vary, Cache-Control, a | Vary: a | Cache-Control: private | A: 1",
            "Vary: a | Cache-Control: private",
        ),
        ("9110-7.6.1 Keep-Alive", "Keep-Alive: timeout=5 | A: 1", "A: 1"),
        ("9110-7.6.1 Proxy-Connection", "Proxy-Connection: close | A: 1", "A: 1"),
        ("9110-7.6.1 Transfer-Encoding", "Transfer-Encoding: chunked | A: 1", "A: 1"),
        ("9110-7.6.1 Upgrade", "Upgrade: websocket | A: 1", "A: 1"),
        ("9110-7.6.1 TE", "TE: gzip | A: 1", "A: 1"),
        ("9110-10.1.4 TE: trailers", "TE: gzip;q=0.5, Trailers | Connection: TE | A: 1", "A: 1"),
        ("9110-11.7.1 Proxy-Authenticate", "Proxy-Authenticate: Basic | A: 1", "A: 1"),
        ("9110-11.7.2 Proxy-Authorization", "Proxy-Authorization: Basic x | A: 1", "A: 1"),
        ("9110-11.7.3 Proxy-Authentication-Info", "Proxy-Authentication-Info: x | A: 1", "A: 1"),
        ("9110-11.6.1 WWW-Authenticate is of the origin", "WWW-Authenticate: Basic", "WWW-Authenticate: Basic"),
        ("9110-6.6.2 Trailer stays", "Trailer: x | A: 1", "Trailer: x | A: 1"),
    ];

    #[test]
    fn what_is_of_the_connection_is_taken_out() {
        for (says, before, stored) in ROWS {
            let mut message = headers(before);
            for_store(&mut message, []);
            assert_eq!(message, headers(stored), "{says}: stored");
        }
    }

    #[test]
    fn omitted_fields_are_not_stored() {
        let mut message = headers("A: 1 | B: 2 | B: 3 | C: 4");
        for_store(&mut message, &[HeaderName::from_static("b")]);
        assert_eq!(message, headers("A: 1 | C: 4"), "9111-5.2.2.4");
    }

    proptest! {
        #[test]
        fn stripping_never_panics_and_is_done_at_once(map in any_headers()) {
            let mut once = map;
            for_store(&mut once, []);
            let mut twice = once.clone();
            for_store(&mut twice, []);
            prop_assert_eq!(once, twice);
        }
    }
}
