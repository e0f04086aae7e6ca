//! References to the same origin (RFC 3986 section 5, RFC 9110 section 4.3.1).

use http::{HeaderValue, Uri};

/// What a reference is made of (RFC 3986 section 5.2.2), without its fragment.
struct Reference<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

/// The URI that a field's value means, seen from `base`, if it has the same origin; written with the scheme and authority
/// of `base`, so that both give one key. Without these in `base` only a reference that has none either can be judged.
pub(crate) fn same_origin(base: &Uri, reference: &HeaderValue) -> Option<Uri> {
    let reference = Reference::of(reference.to_str().ok()?.trim_ascii())?;
    if !reference.is_of_origin(base) {
        return None;
    }
    let (path, query) = if reference.authority.is_some() {
        (without_dots(reference.path), reference.query)
    } else if reference.path.is_empty() {
        (base.path().to_owned(), reference.query.or(base.query()))
    } else if reference.path.starts_with('/') {
        (without_dots(reference.path), reference.query)
    } else {
        // Merging (section 5.2.3): everything up to the last `/` of the base stays.
        let kept = base.path().rfind('/').map_or("/", |slash| &base.path()[..=slash]);
        (without_dots(&format!("{kept}{}", reference.path)), reference.query)
    };
    let target = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));

    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Whether both are one resource: scheme and host in any case, with or without the port that goes without saying, and path and
/// query to the letter.
pub(crate) fn is_same(a: &Uri, b: &Uri) -> bool {
    let origin = |uri: &Uri| {
        let host = uri.host().map(str::to_ascii_lowercase);
        (uri.scheme().cloned(), host, port(uri.scheme_str(), uri.port_u16()))
    };
    origin(a) == origin(b) && a.path() == b.path() && a.query() == b.query()
}

fn port(scheme: Option<&str>, port: Option<u16>) -> Option<u16> {
    port.or(match scheme {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    })
}

/// RFC 3986 section 5.2.4, of a path that begins with `/`.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        // `/a/.` and `/a/b/..` are `/a/`.
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

// === impl Reference ===

impl<'a> Reference<'a> {
    /// As the expression of RFC 3986 appendix B has it. Nothing if a scheme has no authority: no such URI is one of HTTP.
    /// Characters that no URI has are refused when one is made of it.
    fn of(text: &'a str) -> Option<Self> {
        let text = text.split('#').next().unwrap_or_default();
        let (text, query) = text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
        let (scheme, text) = match text.split_once(':') {
            Some((scheme, rest)) if !scheme.contains('/') => (Some(scheme), rest),
            _ => (None, text),
        };
        let (authority, path) = match text.strip_prefix("//") {
            Some(text) => {
                let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
                (Some(authority), path)
            }
            None => (None, text),
        };
        (scheme.is_none() || authority.is_some()).then_some(Self { scheme, authority, path, query })
    }

    fn is_of_origin(&self, base: &Uri) -> bool {
        let Some(authority) = self.authority else { return true };
        let (Some(scheme), Some(host)) = (base.scheme_str(), base.host()) else { return false };
        let Ok(authority) = authority.parse::<http::uri::Authority>() else { return false };
        // `http` takes a port that is no number for none.
        let behind = authority.as_str().rsplit('@').next().and_then(|text| text.strip_prefix(authority.host()));
        if authority.port_u16().is_none() && !matches!(behind, Some("" | ":")) {
            return false;
        }
        self.scheme.is_none_or(|own| own.eq_ignore_ascii_case(scheme))
            && authority.host().eq_ignore_ascii_case(host)
            && port(Some(scheme), authority.port_u16()) == port(Some(scheme), base.port_u16())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rfc::fixtures::any_value;

    #[test]
    fn references_are_resolved_within_the_origin() {
        let base = "http://a/b/c/d;p?q";
        // The normal and abnormal examples of RFC 3986 section 5.4, those that stay at `http://a`, then origins.
        let rows: &[(&str, &str, &str, Option<&str>)] = &[
            ("3986-5.4.1", base, "g", Some("http://a/b/c/g")),
            ("3986-5.4.1", base, "./g", Some("http://a/b/c/g")),
            ("3986-5.4.1", base, "g/", Some("http://a/b/c/g/")),
            ("3986-5.4.1", base, "/g", Some("http://a/g")),
            ("3986-5.4.1", base, "?y", Some("http://a/b/c/d;p?y")),
            ("3986-5.4.1", base, "g?y", Some("http://a/b/c/g?y")),
            ("3986-5.4.1", base, "#s", Some("http://a/b/c/d;p?q")),
            ("3986-5.4.1", base, "g#s", Some("http://a/b/c/g")),
            ("3986-5.4.1", base, "g?y#s", Some("http://a/b/c/g?y")),
            ("3986-5.4.1", base, ";x", Some("http://a/b/c/;x")),
            ("3986-5.4.1", base, "", Some("http://a/b/c/d;p?q")),
            ("3986-5.4.1", base, ".", Some("http://a/b/c/")),
            ("3986-5.4.1", base, "./", Some("http://a/b/c/")),
            ("3986-5.4.1", base, "..", Some("http://a/b/")),
            ("3986-5.4.1", base, "../", Some("http://a/b/")),
            ("3986-5.4.1", base, "../g", Some("http://a/b/g")),
            ("3986-5.4.1", base, "../..", Some("http://a/")),
            ("3986-5.4.1", base, "../../g", Some("http://a/g")),
            ("3986-5.4.2", base, "../../../g", Some("http://a/g")),
            ("3986-5.4.2", base, "../../../../g", Some("http://a/g")),
            ("3986-5.4.2", base, "/./g", Some("http://a/g")),
            ("3986-5.4.2", base, "/../g", Some("http://a/g")),
            ("3986-5.4.2", base, "g.", Some("http://a/b/c/g.")),
            ("3986-5.4.2", base, "..g", Some("http://a/b/c/..g")),
            ("3986-5.4.2", base, "./g/.", Some("http://a/b/c/g/")),
            ("3986-5.4.2", base, "g/./h", Some("http://a/b/c/g/h")),
            ("3986-5.4.2", base, "g/../h", Some("http://a/b/c/h")),
            ("3986-5.4.2", base, "g?y/../x", Some("http://a/b/c/g?y/../x")),
            ("3986-5.4.1 a scheme of its own", base, "g:h", None),
            ("3986-5.4.1 another host", base, "//g", None),
            ("3986-5.2.2 the same host", base, "//a/x", Some("http://a/x")),
            ("3986-5.2.2 absolute", base, "http://a/x/../y?z", Some("http://a/y?z")),
            ("3986-5.2.2 absolute without a path", base, "http://a", Some("http://a/")),
            ("3986-5.2.2 absolute with a query alone", base, "http://a?z", Some("http://a/?z")),
            ("3986-3.1 a colon in the path", base, "/x:y", Some("http://a/x:y")),
            ("9110-5.5 whitespace around", base, " /x ", Some("http://a/x")),
            ("9110-4.3.1 in any case", base, "HTTP://A/X", Some("http://a/X")),
            ("9110-4.2.1 the port that goes without saying", base, "http://a:80/x", Some("http://a/x")),
            ("9110-4.2.2 that of https", "https://a:443/b", "https://a/x", Some("https://a:443/x")),
            ("9110-4.3.1 another port", base, "http://a:81/x", None),
            ("9110-4.3.1 another scheme", base, "https://a/x", None),
            ("9110-4.3.1 another host", base, "http://a.b/x", None),
            ("9110-4.2.4 user information is not of the origin", base, "http://u@a/x", Some("http://a/x")),
            ("9110-4.2.4 nor a way around it", base, "http://a@b/x", None),
            ("9111-4.4 no scheme, no authority", "/b/c?q", "d", Some("/b/d")),
            ("9111-4.4 an origin that is not known", "/b/c?q", "http://a/d", None),
            ("9111-4.4 nor its scheme", "/b/c?q", "//a/d", None),
            ("3986-2 a space", base, "/a b", None),
            ("3986-2 a tab", base, "/a\tb", None),
            ("3986-2 no authority", base, "http:///x", None),
            ("3986-3.2.3 a port that is none", base, "http://a:x/", None),
            ("3986-3.2.3 a port that is too large", base, "http://a:65616/", None),
            ("3986-3.2.3 an empty port", base, "http://a:/x", Some("http://a/x")),
            ("3986-3.2.2 an address", "http://[::1]/b", "http://[::1]:80/x", Some("http://[::1]/x")),
            (
                "3986-3.2.2 an address without its port",
                "http://[::1]:80/b",
                "http://[::1]/x",
                Some("http://[::1]:80/x"),
            ),
        ];
        for (says, base, reference, expected) in rows {
            let found = same_origin(&base.parse().unwrap(), &HeaderValue::from_str(reference).unwrap());
            assert_eq!(found.map(|uri| uri.to_string()).as_deref(), *expected, "{says}: {reference}");
        }
    }

    #[test]
    fn same_is_told_by_origin_path_and_query() {
        let rows = [
            ("9110-4.2.3 itself", "http://a/b?c", "http://a/b?c", true),
            ("9110-4.2.3 host in any case", "http://A/b", "http://a/b", true),
            ("9110-4.2.3 port", "http://a:80/b", "http://a/b", true),
            ("9110-4.2.3 another port", "http://a:81/b", "http://a/b", false),
            ("9110-4.2.3 path in its case", "http://a/B", "http://a/b", false),
            ("9110-4.2.3 query", "http://a/b?c", "http://a/b?C", false),
            ("9110-4.2.3 scheme", "https://a/b", "http://a/b", false),
        ];
        for (says, a, b, same) in rows {
            assert_eq!(is_same(&a.parse().unwrap(), &b.parse().unwrap()), same, "{says}");
        }
    }

    proptest! {
        #[test]
        fn resolving_never_panics_nor_leaves_the_origin(value in any_value()) {
            for base in ["http://a/b/c?q", "https://a:8443", "/b/c", "*", "a:80"] {
                let base: Uri = base.parse().unwrap();
                if let Some(found) = same_origin(&base, &value) {
                    prop_assert_eq!(found.authority(), base.authority());
                    prop_assert_eq!(found.scheme(), base.scheme());
                    prop_assert!(!found.path().split('/').any(|segment| segment == ".."));
                }
            }
        }
    }
}
