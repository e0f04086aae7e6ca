//! What a layer is told.

use std::{fmt, sync::Arc, time::Duration};

use cache_core::{Key, key::KeyHead};
use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE},
    request,
};

use crate::{
    prefix::Prefixes,
    query::Query,
    rfc::{Rules, conditional::Side, directives::Directives},
};

/// A judgement on a request.
pub(crate) type Judge = Arc<dyn Fn(&request::Parts) -> bool + Send + Sync>;

/// Who a request is from.
pub(crate) type Identity = Arc<dyn Fn(&request::Parts) -> Option<String> + Send + Sync>;

/// All that a layer is told, and nothing of one request.
#[derive(Clone)]
pub(crate) struct Config {
    /// The scope of the answers.
    pub(crate) scope: Arc<str>,
    /// The head of the keys of answers: of the plain ones, and of those that have more in them than a URL.
    pub(crate) head: Arc<KeyHead>,
    pub(crate) head_with_extras: Arc<KeyHead>,
    /// The head of the tags of URLs.
    pub(crate) url_head: Key,
    /// What of the paths answers can be purged by.
    pub(crate) prefixes: Prefixes,
    pub(crate) rules: Rules,
    /// Whatever host a request names, it is for the same.
    pub(crate) is_one_site: bool,
    pub(crate) query: Query,
    pub(crate) key_headers: Vec<HeaderName>,
    pub(crate) key_cookies: Vec<String>,
    pub(crate) bypass: Option<Judge>,
    pub(crate) identity: Option<Identity>,
    /// Whose PURGE requests are obeyed; without it they are the service's.
    pub(crate) purge: Option<Judge>,
    /// Whose place the layer takes where conditions are judged.
    pub(crate) side: Side,
    /// Requests with cookies are of somebody, as those with `Authorization` are.
    pub(crate) cookies_are_private: bool,
    pub(crate) max_body: usize,
    /// How long an answer is kept after it has ended to be fresh, to be validated or to stand in.
    pub(crate) keep: Duration,
    /// How long a request waits for the answer to another.
    pub(crate) collapse: Duration,
    /// How long it is remembered that answers of a key are not stored.
    pub(crate) pass: Duration,
    /// The name in `Cache-Status`, if there is one.
    pub(crate) status_name: Option<String>,
}

pub(crate) const DEFAULT_MAX_BODY: usize = 4 << 20;

impl Config {
    pub(crate) fn new(name: &str) -> Self {
        let head = |arguments: &str| Arc::new(KeyHead::new(&format!("{name}{arguments}")));
        Self {
            scope: name.into(),
            head: head(":{}:{}"),
            head_with_extras: head(":{}:{}:{}"),
            url_head: Key::new(&format!("{name}-url")),
            prefixes: Prefixes::default(),
            rules: Rules::default(),
            is_one_site: false,
            query: Query::All,
            key_headers: Vec::new(),
            key_cookies: Vec::new(),
            bypass: None,
            identity: None,
            purge: None,
            side: Side::Origin,
            cookies_are_private: true,
            max_body: DEFAULT_MAX_BODY,
            keep: Duration::from_secs(86_400),
            collapse: Duration::from_secs(10),
            pass: Duration::from_secs(10),
            status_name: Some("cache".to_owned()),
        }
    }
}

impl Config {
    /// Whether a request may be given an answer with these directives, and its own be given to others: not where it is of
    /// somebody, and the answer does not say that it is for everybody.
    pub(crate) fn may_share(&self, request: &HeaderMap, directives: &Directives) -> bool {
        let says_so = directives.public || directives.s_maxage.is_some() || directives.must_revalidate;
        !self.cookies_are_private || says_so || !is_of_somebody(request)
    }
}

/// Whether a request says who it is from.
pub(crate) fn is_of_somebody(request: &HeaderMap) -> bool {
    request.contains_key(COOKIE) || request.contains_key(AUTHORIZATION)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("rules", &self.rules).field("max_body", &self.max_body).finish_non_exhaustive()
    }
}
