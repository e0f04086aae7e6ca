//! What a layer is told of methods and calls.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use cache_core::Key;
use http::{HeaderMap, HeaderName, request};

use super::{frame::PREFIX, status::OK};
use crate::config::Identity;

type TagsOf = Arc<dyn Fn(&GrpcCall<'_>) -> Vec<Key> + Send + Sync>;

/// A method whose answers are cached.
#[derive(Clone)]
pub struct GrpcMethod {
    pub(super) path: String,
    ttl: Option<Duration>,
    tags: Option<TagsOf>,
}

/// A call with one message, as [`GrpcMethod::tags`] sees it.
#[derive(Clone, Copy)]
pub struct GrpcCall<'a> {
    pub(super) parts: &'a request::Parts,
    /// The message with its prefix.
    pub(super) frame: &'a [u8],
}

/// All that a layer is told, and nothing of one call.
#[derive(Clone)]
pub(super) struct Config {
    /// The head of the keys of answers, and that of the tags of methods.
    pub(super) head: Key,
    pub(super) tag_head: Key,
    pub(super) methods: HashMap<String, Arc<GrpcMethod>>,
    /// Of methods that say nothing of it.
    pub(super) ttl: Duration,
    /// Of calls that failed, by their codes.
    pub(super) failures: HashMap<u32, Duration>,
    pub(super) key_metadata: Vec<HeaderName>,
    pub(super) identity: Option<Identity>,
    /// Answers to those who show who they are are for all.
    pub(super) shares_authorized: bool,
    pub(super) max_request: usize,
    pub(super) max_answer: usize,
    /// How long a call waits for the answer to another.
    pub(super) collapse: Duration,
    /// The name in `Cache-Status`, if there is one.
    pub(super) status_name: Option<String>,
}

// === impl Config ===

impl Config {
    pub(super) fn new(scope: &str) -> Self {
        Self {
            head: Key::new(scope),
            tag_head: Key::new(&format!("{scope}-method")),
            methods: HashMap::new(),
            ttl: Duration::from_secs(60),
            failures: HashMap::new(),
            key_metadata: Vec::new(),
            identity: None,
            shares_authorized: false,
            max_request: 64 << 10,
            max_answer: 4 << 20,
            collapse: Duration::from_secs(10),
            status_name: Some("cache".to_owned()),
        }
    }

    /// How long an answer with this code is kept, if it is.
    pub(super) fn life(&self, method: &GrpcMethod, code: u32) -> Option<Duration> {
        let life = if code == OK { Some(method.ttl.unwrap_or(self.ttl)) } else { self.failures.get(&code).copied() };
        life.filter(|life| !life.is_zero())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut methods: Vec<&String> = self.methods.keys().collect();
        methods.sort_unstable();
        f.debug_struct("Config").field("methods", &methods).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

// === impl GrpcMethod ===

impl GrpcMethod {
    /// The method of a path, `/package.Service/Method`; its answers are kept for the layer's [`ttl`](super::GrpcCacheLayer::ttl).
    ///
    /// # Panics
    ///
    /// If it is no such path.
    #[track_caller]
    pub fn new(path: &str) -> Self {
        let mut parts = path.split('/');
        let is_path = parts.next() == Some("")
            && parts.next().is_some_and(|service| !service.is_empty())
            && parts.next().is_some_and(|method| !method.is_empty())
            && parts.next().is_none();
        assert!(is_path, "`{path}` is no path of a method, which is `/package.Service/Method`");
        Self { path: path.to_owned(), ttl: None, tags: None }
    }

    /// How long its answers are kept; zero: not at all. At most 30 days, and what the policy of the scope
    /// [allows](cache_core::Policy::max_ttl). Default: that of the layer.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// The tags of the answer to a call, by which [`Cache::evict_tag`](cache_core::Cache::evict_tag) reaches it together with what
    /// functions and pages keep under them. At most 15; with more the answer is not stored. Default: none.
    ///
    /// They are asked for in each call that is no hit of this process, before the service is.
    #[must_use]
    pub fn tags(self, tags: impl Fn(&GrpcCall<'_>) -> Vec<Key> + Send + Sync + 'static) -> Self {
        Self { tags: Some(Arc::new(tags)), ..self }
    }

    pub(super) fn tags_of(&self, call: &GrpcCall<'_>) -> Vec<Key> {
        self.tags.as_ref().map(|tags| tags(call)).unwrap_or_default()
    }
}

impl From<&str> for GrpcMethod {
    /// [`GrpcMethod::new`], which panics if it is no path.
    #[track_caller]
    fn from(path: &str) -> Self {
        Self::new(path)
    }
}

impl fmt::Debug for GrpcMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcMethod").field("path", &self.path).field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

// === impl GrpcCall ===

impl<'a> GrpcCall<'a> {
    /// The path of the method.
    pub fn path(&self) -> &'a str {
        self.parts.uri.path()
    }

    /// The metadata of the request: all of its header fields. Only what is part of the key is the same for all who get an answer.
    pub fn metadata(&self) -> &'a HeaderMap {
        &self.parts.headers
    }

    /// The bytes of the message, to be decoded; nothing if they are compressed.
    pub fn message(&self) -> Option<&'a [u8]> {
        let (prefix, message) = self.frame.split_at_checked(PREFIX)?;
        (prefix[0] == 0).then_some(message)
    }
}

impl fmt::Debug for GrpcCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcCall").field("path", &self.path()).finish_non_exhaustive()
    }
}
