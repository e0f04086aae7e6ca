//! What an unsafe request makes untrue (RFC 9111 section 4.4, RFC 9875), and the tags that an answer is evicted by.

use http::{
    HeaderMap, HeaderName, Method, StatusCode, Uri,
    header::{CONTENT_LOCATION, LOCATION},
};
use sfv::{BareItem, Item, List, ListEntry, Parser};

use super::{targeted::joined, uri};

const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// How many groups or tags of one answer count. RFC 9875 section 2 wants at least 32.
pub(crate) const NAMES_MAX: usize = 64;

/// How long each may be, in bytes. RFC 9875 section 2 wants at least 32.
pub(crate) const NAME_BYTES_MAX: usize = 1_024;

/// The names of groups or tags, each once, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) all: Vec<String>,
    /// Some are not among them: there were too many, or one was too long or no text. An answer that was stored with these
    /// alone could not be evicted by the others.
    pub(crate) incomplete: bool,
}

/// The URIs whose stored answers the answer to this request makes untrue: that of the request, and those of `Location` and
/// `Content-Location`, if they have the same origin. None, if the method is safe or the request failed.
pub(crate) fn targets(method: &Method, uri: &Uri, status: StatusCode, answer: &HeaderMap) -> Vec<Uri> {
    if !is_invalidating(method, status) {
        return Vec::new();
    }
    let mut targets = vec![uri.clone()];
    // The first line of each is enough: neither may be there twice.
    for target in [LOCATION, CONTENT_LOCATION].iter().filter_map(|name| uri::same_origin(uri, answer.get(name)?)) {
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    targets
}

/// The groups of the same origin that the answer invalidates: `Cache-Group-Invalidation`, where the method is not safe
/// (RFC 9875 section 3) and the request did not fail.
pub(crate) fn invalidated_groups(method: &Method, status: StatusCode, answer: &HeaderMap) -> Names {
    if is_invalidating(method, status) { strings(answer, &CACHE_GROUP_INVALIDATION) } else { Names::default() }
}

/// The groups that the answer is of: `Cache-Groups` (RFC 9875 section 2). Those of another origin are others.
pub(crate) fn groups(answer: &HeaderMap) -> Names {
    strings(answer, &CACHE_GROUPS)
}

/// The tags of an answer: `Surrogate-Key`, with spaces between them, and `Cache-Tag`, with commas.
pub(crate) fn tags(answer: &HeaderMap) -> Names {
    let mut names = Names::default();
    let keys = answer.get_all(SURROGATE_KEY).iter().flat_map(|line| line.as_bytes().split(u8::is_ascii_whitespace));
    let tags = answer.get_all(CACHE_TAG).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    for name in keys.chain(tags.map(<[u8]>::trim_ascii)).filter(|name| !name.is_empty()) {
        names.add(str::from_utf8(name).ok());
    }
    names
}

fn is_invalidating(method: &Method, status: StatusCode) -> bool {
    !is_safe(method) && (status.is_success() || status.is_redirection())
}

/// Whether a method is known to change nothing: those of RFC 9110 section 9.2.1, and the registered ones that read. Any other
/// may change something. CONNECT has no URI whose answers could be stored.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(
        method.as_str(),
        "GET" | "HEAD" | "OPTIONS" | "TRACE" | "CONNECT" | "PROPFIND" | "QUERY" | "REPORT" | "SEARCH"
    )
}

/// The members of a list of strings. A list that cannot be read or has other members is ignored; parameters are too.
fn strings(headers: &HeaderMap, name: &HeaderName) -> Names {
    let Some(list) = joined(headers, name).and_then(|text| Parser::new(&text).parse::<List>().ok()) else {
        return Names::default();
    };
    let mut names = Names::default();
    for member in &list {
        let ListEntry::Item(Item { bare_item: BareItem::String(text), .. }) = member else {
            return Names::default();
        };
        names.add(Some(text.as_str()));
    }
    names
}

// === impl Names ===

impl Names {
    fn add(&mut self, name: Option<&str>) {
        match name {
            Some(name) if self.all.iter().any(|known| known == name) => {}
            Some(name) if self.all.len() < NAMES_MAX && name.len() <= NAME_BYTES_MAX => self.all.push(name.to_owned()),
            _ => self.incomplete = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rfc::fixtures::{any_headers, headers};

    #[test]
    fn unsafe_requests_that_succeed_invalidate_uris() {
        let both = "Location: /l | Content-Location: c";
        let rows: &[(&str, &str, u16, &str, &[&str])] = &[
            ("9111-4.4 POST", "POST", 200, "", &["http://a/b/"]),
            ("9111-4.4 PUT", "PUT", 204, "", &["http://a/b/"]),
            ("9111-4.4 DELETE", "DELETE", 200, "", &["http://a/b/"]),
            ("9111-4.4 PATCH", "PATCH", 200, "", &["http://a/b/"]),
            ("9111-4.4 unknown", "M-SEARCH", 200, "", &["http://a/b/"]),
            ("9110-9.1 a method has its case", "get", 200, "", &["http://a/b/"]),
            ("9111-4.4 redirected", "POST", 303, "", &["http://a/b/"]),
            ("9111-4.4 a client's error", "POST", 404, both, &[]),
            ("9111-4.4 a server's error", "POST", 500, both, &[]),
            ("9111-4.4 interim", "POST", 103, both, &[]),
            ("9110-9.2.1 GET", "GET", 200, both, &[]),
            ("9110-9.2.1 HEAD", "HEAD", 200, both, &[]),
            ("9110-9.2.1 OPTIONS", "OPTIONS", 200, both, &[]),
            ("9110-9.2.1 TRACE", "TRACE", 200, both, &[]),
            ("9110-9.3.6 CONNECT", "CONNECT", 200, both, &[]),
            ("3253-3.6 REPORT", "REPORT", 200, both, &[]),
            ("5323-2 SEARCH", "SEARCH", 200, both, &[]),
            ("iana-methods QUERY", "QUERY", 200, both, &[]),
            ("4918-9.1 PROPFIND", "PROPFIND", 207, both, &[]),
            ("9111-4.4 both others", "POST", 201, both, &["http://a/b/", "http://a/l", "http://a/b/c"]),
            ("9111-4.4 absolute", "PUT", 201, "Location: http://a/l?x", &["http://a/b/", "http://a/l?x"]),
            ("9111-4.4 once", "PUT", 201, "Location: /b/ | Content-Location: http://a:80/b/", &["http://a/b/"]),
            (
                "9111-4.4 another origin",
                "POST",
                201,
                "Location: http://b/l | Content-Location: //a:81/",
                &["http://a/b/"],
            ),
            ("9111-4.4 another scheme", "POST", 201, "Location: https://a/l", &["http://a/b/"]),
            (
                "9111-4.4 none that can be read",
                "POST",
                201,
                "Location: http:// | Content-Location: \u{fc}",
                &["http://a/b/"],
            ),
        ];
        let uri: Uri = "http://a/b/".parse().unwrap();
        for (says, method, status, answer, expected) in rows {
            let status = StatusCode::from_u16(*status).unwrap();
            let found = targets(&method.parse().unwrap(), &uri, status, &headers(answer));
            let found: Vec<String> = found.iter().map(Uri::to_string).collect();
            assert_eq!(found, *expected, "{says}");
        }
    }

    #[test]
    fn groups_are_lists_of_strings() {
        let rows: &[(&str, &str, &[&str])] = &[
            ("9875-2 none", "", &[]),
            ("9875-2 one", "X: \"a\"", &["a"]),
            ("9875-2 several, on lines", "X: \"a\", \"b c\" | X: \"d\"", &["a", "b c", "d"]),
            ("9875-2 once", "X: \"a\", \"a\"", &["a"]),
            ("9875-2 with case", "X: \"a\", \"A\"", &["a", "A"]),
            ("9875-2 parameters are ignored", "X: \"a\";x=1, \"b\"", &["a", "b"]),
            ("9875-2 a token is no string", "X: \"a\", b", &[]),
            ("9875-2 nor is a list", "X: (\"a\")", &[]),
            ("9651-4.2 no list", "X: \"a\", \"", &[]),
            ("9651-4.2 a comma at the end", "X: \"a\",", &[]),
        ];
        for (says, text, expected) in rows {
            let found = groups(&headers(&text.replace("X:", "Cache-Groups:")));
            assert_eq!(
                (found.all, found.incomplete),
                (expected.iter().map(ToString::to_string).collect(), false),
                "{says}"
            );
            let answer = headers(&text.replace("X:", "Cache-Group-Invalidation:"));
            assert_eq!(invalidated_groups(&Method::POST, StatusCode::OK, &answer).all, *expected, "{says}");
        }
    }

    #[test]
    fn groups_are_invalidated_by_unsafe_requests_that_succeed() {
        let rows = [
            ("9875-3 POST", "POST", 200, 1),
            ("9875-3 unknown", "X", 204, 1),
            ("9875-3 GET", "GET", 200, 0),
            ("9875-3 HEAD", "HEAD", 200, 0),
            ("9111-4.4 a client's error", "POST", 400, 0),
            ("9111-4.4 a server's error", "POST", 500, 0),
        ];
        let answer = headers("Cache-Group-Invalidation: \"a\" | Cache-Groups: \"b\"");
        for (says, method, status, count) in rows {
            let status = StatusCode::from_u16(status).unwrap();
            let found = invalidated_groups(&method.parse().unwrap(), status, &answer);
            assert_eq!(found.all.len(), count, "{says}");
        }
    }

    #[test]
    fn tags_are_read_from_both_fields() {
        let rows: &[(&str, &str, &[&str])] = &[
            ("house none", "", &[]),
            ("house Surrogate-Key", "Surrogate-Key: a  b,c\td", &["a", "b,c", "d"]),
            ("house Cache-Tag", "Cache-Tag: a b, c,,d", &["a b", "c", "d"]),
            (
                "house both, on lines, once",
                "Surrogate-Key: a b | Surrogate-Key: c | Cache-Tag: b | Cache-Tag: d",
                &["a", "b", "c", "d"],
            ),
        ];
        for (says, text, expected) in rows {
            let found = tags(&headers(text));
            assert_eq!(
                (found.all, found.incomplete),
                (expected.iter().map(ToString::to_string).collect(), false),
                "{says}"
            );
        }
        let mut answer = HeaderMap::new();
        answer.append(CACHE_TAG, http::HeaderValue::from_bytes(b"a,\xff,b").unwrap());
        assert_eq!(tags(&answer), Names { all: vec!["a".into(), "b".into()], incomplete: true }, "house no text");
    }

    #[test]
    fn names_are_bounded_and_what_is_dropped_is_said() {
        let of = |count: usize, bytes: usize| -> Names {
            let list: Vec<String> = (0..count).map(|n| format!("\"{n:0bytes$}\"")).collect();
            groups(&headers(&format!("Cache-Groups: {}", list.join(", "))))
        };
        let rows = [
            ("9875-2 at least 32 of 32", 32, 32, 32, false),
            ("house as many as there may be", NAMES_MAX, 3, NAMES_MAX, false),
            ("house one more", NAMES_MAX + 1, 3, NAMES_MAX, true),
            ("house as long as it may be", 1, NAME_BYTES_MAX, 1, false),
            ("house a byte more", 1, NAME_BYTES_MAX + 1, 0, true),
        ];
        for (says, count, bytes, kept, incomplete) in rows {
            let found = of(count, bytes);
            assert_eq!((found.all.len(), found.incomplete), (kept, incomplete), "{says}");
        }
    }

    proptest! {
        #[test]
        fn invalidating_never_panics(map in any_headers(), status in 100_u16..1_000) {
            let status = StatusCode::from_u16(status).unwrap();
            for uri in ["http://a/b", "/b", "*"] {
                prop_assert!(targets(&Method::POST, &uri.parse().unwrap(), status, &map).len() <= 3);
            }
            let _ = invalidated_groups(&Method::PUT, status, &map);
            prop_assert!(groups(&map).all.len() <= NAMES_MAX && tags(&map).all.len() <= NAMES_MAX);
        }
    }
}
