//! The response headers that say what the cache did: written by the service, read by the tour.

use std::fmt;

use axum::http::HeaderName;

/// What the cache did, call by call: `product; hit; tier=local, product:stock; miss; load=own`.
pub(crate) const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
/// Time that the request waited for Redis, in microseconds.
pub(crate) const X_CACHE_REMOTE_US: HeaderName = HeaderName::from_static("x-cache-remote-us");
/// Whether the cache is in touch with Redis: `coherent`, `fenced; remote=untrusted`.
pub(crate) const X_CACHE_STATE: HeaderName = HeaderName::from_static("x-cache-state");
/// How often this process has read the database for want of a cached answer.
pub(crate) const X_LOADS: HeaderName = HeaderName::from_static("x-loads");

/// What the HTTP layer did with a page (RFC 9211): `storefront;hit;ttl=59`.
pub(crate) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// What the layer calls itself there.
pub(crate) const LAYER: &str = "storefront";
/// The scope of the pages that it keeps.
pub(crate) const PAGES: &str = "pages";

/// One entry of the [`X_CACHE`] header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// What was asked for: a key's scope, or a tag's name.
    pub(crate) scope: String,
    /// What the cache did: `hit; tier=local`.
    pub(crate) outcome: String,
}

// === impl Seen ===

impl Seen {
    /// An entry of these words.
    pub(crate) fn new(scope: impl Into<String>, outcome: impl Into<String>) -> Self {
        Self { scope: scope.into(), outcome: outcome.into() }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.scope, self.outcome)
    }
}

/// The header's text. Scopes and outcomes are plain words, so nothing needs quoting.
pub(crate) fn render(seen: &[Seen]) -> String {
    seen.iter().map(Seen::to_string).collect::<Vec<_>>().join(", ")
}

/// The entries of the header's text, or `None` if it is not such a text.
pub(crate) fn parse(text: &str) -> Option<Vec<Seen>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let entry = |entry: &str| {
        let (scope, outcome) = entry.split_once(';')?;
        let (scope, outcome) = (scope.trim(), outcome.trim());
        (!scope.is_empty() && !outcome.is_empty()).then(|| Seen::new(scope, outcome))
    };
    text.split(',').map(entry).collect()
}

/// The layer's own entry of [`CACHE_STATUS`], without what hangs on the moment: `storefront; hit`.
pub(crate) fn parse_status(text: &str) -> Option<Seen> {
    let mut words = text.split(';').map(str::trim);
    (words.next() == Some(LAYER)).then(|| {
        let words: Vec<&str> = words.filter(|word| !word.starts_with("ttl=")).collect();
        Seen::new(LAYER, words.join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_status_drops_what_hangs_on_the_moment() {
        assert_eq!(parse_status("storefront;hit;ttl=59"), Some(Seen::new("storefront", "hit")));
        assert_eq!(
            parse_status("storefront;fwd=uri-miss;stored"),
            Some(Seen::new("storefront", "fwd=uri-miss; stored"))
        );
        assert_eq!(parse_status("other;hit"), None);
    }

    #[test]
    fn parse_reads_what_render_wrote() {
        let seen = vec![Seen::new("product", "hit; tier=local"), Seen::new("product:stock", "miss; load=own")];
        let text = render(&seen);
        assert_eq!(text, "product; hit; tier=local, product:stock; miss; load=own");
        assert_eq!(parse(&text), Some(seen));
        assert_eq!(parse(&render(&[])), Some(Vec::new()));
    }

    #[test]
    fn parse_refuses_what_is_no_entry() {
        for text in ["product", "; hit", "product;", "product; hit,,", ","] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
