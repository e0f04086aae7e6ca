//! Which requests are for the same thing: the key of an answer, and the tag of its URL.
//!
//! Nothing is normalised that a service behind the layer might tell apart: a path is what it is, and two spellings of one are
//! two keys. What a service might read although it is not part of the URL is part of the key if the request has it.

use std::{borrow::Cow, fmt::Write};

use cache_core::Key;
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{COOKIE, HOST},
    request,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::{config::Config, prefix::Under, rfc::directives::is_token};

/// Fields that some frameworks take a URL from: a client that sets one may get another answer, which must be nobody else's.
const READ_BY_SERVICES: [&str; 19] = [
    "front-end-https",
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-host",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-path",
    "x-forwarded-protocol",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-http-host-override",
    "x-original-uri",
    "x-url-scheme",
];

/// Fields by which a request says that it is of another method than it has.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// What a request is for.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The answer, or the one of its variants that was stored last.
    pub(crate) key: Key,
    /// The tags of all answers of the URL, whatever else is in their keys: its own, and those of what it is under.
    pub(crate) tags: Vec<Key>,
    /// It is for one client alone, which the key names.
    pub(crate) is_own: bool,
}

/// As much of a [`Target`] as a hit needs.
#[derive(Debug)]
pub(crate) struct Aim {
    pub(crate) key: Key,
    pub(crate) is_own: bool,
}

/// Where something is, in one spelling.
struct Place<'a> {
    origin: String,
    /// The path with what of the query counts.
    url: Cow<'a, str>,
}

impl Aim {
    /// What a request is for; nothing if it does not say so clearly.
    pub(crate) fn of(config: &Config, request: &request::Parts) -> Option<Self> {
        let Place { origin, url } = Place::of(config, uri_of(request), &request.headers)?;
        let identity = config.identity.as_ref().and_then(|identity| identity(request));
        let mut extras = extras(config, &request.headers, identity.as_deref());
        // What a layer in between has made of the URI may tell apart what the client's does not.
        let (now, original) = (&request.uri, uri_of(request));
        if now.path() != original.path() {
            line(&mut extras, ":path", now.path().as_bytes());
        }
        if now.query() != original.query() {
            line(&mut extras, ":query", now.query().unwrap_or_default().as_bytes());
        }
        let key = if extras.is_empty() {
            config.head.start().arg(&*origin).arg(&*url).finish()
        } else {
            config.head_with_extras.start().arg(&*origin).arg(&*url).arg(&*extras).finish()
        };
        Some(Self { key, is_own: identity.is_some() })
    }

    /// All of it, for the request that it was made of.
    pub(crate) fn target(self, config: &Config, request: &request::Parts) -> Option<Target> {
        let place = Place::of(config, uri_of(request), &request.headers)?;
        let mut tags = vec![place.tag(config)];
        match config.prefixes.of(uri_of(request).path()) {
            Under::Unclear => tags.push(tag_of_unclear(config, &place.origin)),
            Under::Prefixes(prefixes) => {
                tags.extend(prefixes.iter().map(|prefix| tag_of_prefix(config, &place.origin, prefix)));
            }
        }
        Some(Target { key: self.key, tags, is_own: self.is_own })
    }
}

impl Target {
    /// The key of a variant. There are as many of one thing as there are numbers: whoever makes up variants pushes out others.
    pub(crate) fn variant(&self, number: u32) -> Key {
        self.key.clone().arg(number)
    }
}

/// The URI that the client asked for. A router that is nested in another sees only the rest of its path, which may be that of
/// another in another one.
pub(crate) fn uri_of(request: &request::Parts) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = request.extensions.get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    &request.uri
}

/// The tags of all answers of a URL, of either scheme; none if it is not clear which it is.
pub(crate) fn tags_of_url(config: &Config, uri: &Uri, headers: &HeaderMap) -> Vec<Key> {
    let url = url_of(config, uri);
    let origins = origins(config, uri, headers).into_iter();
    origins.map(|origin| Place { origin, url: Cow::Borrowed(&url) }.tag(config)).collect()
}

/// The tags of all answers under a prefix, of either scheme; none if it is not clear of which host.
pub(crate) fn tags_of_prefix(config: &Config, uri: &Uri, headers: &HeaderMap, prefix: &str) -> Vec<Key> {
    let both = |origin: String| [tag_of_prefix(config, &origin, prefix), tag_of_unclear(config, &origin)];
    origins(config, uri, headers).into_iter().flat_map(both).collect()
}

fn tag_of_prefix(config: &Config, origin: &str, prefix: &str) -> Key {
    config.url_head.clone().arg(origin).arg(Some("prefix")).arg(prefix)
}

/// The tag of the answers that may be under any prefix.
fn tag_of_unclear(config: &Config, origin: &str) -> Key {
    config.url_head.clone().arg(origin).arg(Some("prefix")).arg(None::<&str>)
}

impl<'a> Place<'a> {
    fn of(config: &Config, uri: &'a Uri, headers: &HeaderMap) -> Option<Self> {
        let origin = origin(uri, headers)?;
        Some(Self { origin: if config.is_one_site { String::new() } else { origin }, url: url_of(config, uri) })
    }

    fn tag(&self, config: &Config) -> Key {
        config.url_head.clone().arg(&*self.origin).arg(&*self.url)
    }
}

fn url_of<'a>(config: &Config, uri: &'a Uri) -> Cow<'a, str> {
    let (path, whole) = (uri.path(), uri.path_and_query().map_or("/", PathAndQuery::as_str));
    match uri.query().map(|query| config.query.of(query)) {
        None | Some(None) => Cow::Borrowed(path),
        // As it stands, if that has a path.
        Some(Some(Cow::Borrowed(_))) if whole.starts_with(path) => Cow::Borrowed(whole),
        Some(Some(query)) => Cow::Owned(format!("{path}?{query}")),
    }
}

/// The origins of a host, of either scheme; of one site, the one.
fn origins(config: &Config, uri: &Uri, headers: &HeaderMap) -> Vec<String> {
    if config.is_one_site {
        return vec![String::new()];
    }
    let Some(named) = origin(uri, headers) else { return Vec::new() };
    let Some((_, authority)) = named.split_once("://") else { return Vec::new() };
    [Scheme::HTTP, Scheme::HTTPS].iter().map(|scheme| written(scheme, authority)).collect()
}

/// Scheme and authority, in one spelling: `http://shop.example`. A request that names no scheme, as those that a server gets, has
/// that of the layer.
pub(crate) fn origin(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return None;
    }
    let authority = match uri.authority() {
        // RFC 9110 section 7.2: a request in absolute form means that, whatever `Host` says.
        Some(authority) => authority.as_str(),
        None => host.map_or(Some(""), |host| host.to_str().ok())?,
    };
    if authority.contains('@') {
        // With a user it is another target (RFC 9110 section 4.2.4), and no `Host` at all.
        return None;
    }
    Some(written(uri.scheme().unwrap_or(&Scheme::HTTP), authority))
}

/// A request in absolute form is for the host that it names, whatever `Host` says (RFC 9112 section 3.2.2): its service must see no
/// other than its key has.
pub(crate) fn name_one_host(request: &mut request::Parts) {
    let Some(authority) = uri_of(request).authority() else { return };
    let mut hosts = request.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return };
    if host != authority.as_str()
        && let Ok(authority) = HeaderValue::from_str(authority.as_str())
    {
        request.headers.insert(HOST, authority);
    }
}

/// All that a request may be for: of either scheme if it names none, and of each host if it names several.
pub(crate) fn origins_named(uri: &Uri, headers: &HeaderMap) -> Vec<String> {
    let hosts = headers.get_all(HOST).iter().filter_map(|host| host.to_str().ok());
    let hosts = uri.authority().map(Authority::as_str).into_iter().chain(hosts);
    let hosts = hosts.map(|host| host.rsplit('@').next().unwrap_or(host));
    let schemes = uri.scheme().map_or(vec![&Scheme::HTTP, &Scheme::HTTPS], |scheme| vec![scheme]);
    let mut origins: Vec<String> =
        hosts.flat_map(|host| schemes.iter().map(move |scheme| written(scheme, host))).collect();
    origins.sort_unstable();
    origins.dedup();
    origins
}

fn written(scheme: &Scheme, authority: &str) -> String {
    let default = if *scheme == Scheme::HTTPS { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default).or(authority.strip_suffix(':')).unwrap_or(authority);
    let mut origin = String::with_capacity(scheme.as_str().len() + 3 + authority.len());
    for part in [scheme.as_str(), "://", authority] {
        origin.push_str(part);
    }
    origin[scheme.as_str().len()..].make_ascii_lowercase();
    origin
}

/// What besides the URL tells requests apart.
fn extras(config: &Config, headers: &HeaderMap, identity: Option<&str>) -> String {
    let mut extras = String::new();
    if let Some(identity) = identity {
        line(&mut extras, ":identity", identity.as_bytes());
    }
    // One look at the names that are there, for the requests that have none of these.
    if headers.keys().any(is_read_by_services) {
        for name in READ_BY_SERVICES {
            push(&mut extras, name, headers.get_all(name).iter());
        }
    }
    for name in &config.key_headers {
        push(&mut extras, name.as_str(), headers.get_all(name).iter());
    }
    for name in &config.key_cookies {
        for pair in cookies(headers).filter(|pair| name_of(pair) == name.as_bytes()) {
            secret(&mut extras, "cookie", pair);
        }
    }
    // Some services read `l%61ng` and `lang ` as `lang`.
    let is_plain = |name: &[u8]| !name.is_empty() && name.iter().all(|byte| *byte != b'%' && is_token(*byte));
    for pair in cookies(headers).filter(|pair| !config.key_cookies.is_empty() && !is_plain(name_of(pair))) {
        secret(&mut extras, "cookie", pair);
    }
    extras
}

fn is_read_by_services(name: &HeaderName) -> bool {
    let name = name.as_str();
    (name.starts_with("x-") || name.starts_with('f')) && READ_BY_SERVICES.contains(&name)
}

/// Whether a request says that it is of another method than it has.
pub(crate) fn overrides_method(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("x-") && METHOD_OVERRIDES.contains(&name.as_str()))
}

pub(crate) fn push<'a>(extras: &mut String, name: &str, values: impl Iterator<Item = &'a HeaderValue>) {
    // Whoever may read the keys in Redis must not be able to log in by them.
    let write = if ["authorization", "cookie"].contains(&name) { secret } else { line };
    for value in values {
        write(extras, name, value.as_bytes());
    }
}

/// One line with a digest.
fn secret(extras: &mut String, name: &str, value: &[u8]) {
    line(extras, name, &blake3::hash(value).to_hex().as_bytes()[..32]);
}

/// One line; what is no plain text in it is written in hexadecimal, so that no two values are alike.
pub(crate) fn line(extras: &mut String, name: &str, value: &[u8]) {
    extras.push_str(name);
    extras.push('=');
    for byte in value {
        match byte {
            b'\\' => extras.push_str("\\\\"),
            0x20..=0x7e => extras.push(char::from(*byte)),
            // To a string it is always written.
            other => drop(write!(extras, "\\x{other:02x}")),
        }
    }
    extras.push('\n');
}

/// The pairs of all cookies (RFC 6265 section 4.2): which a service takes of several of one name is not known.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|byte| *byte == b'=').next().unwrap_or(pair)
}

/// A field's name from a text of the program.
#[track_caller]
pub(crate) fn field(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).unwrap_or_else(|_| panic!("`{name}` is no name of a header field"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_shows_a_secret() {
        let config = Config {
            key_headers: vec![http::header::AUTHORIZATION],
            key_cookies: vec!["session".to_owned()],
            ..Config::new("http")
        };
        let key = |name: &str, value: String| {
            let request = http::Request::get("http://shop.example/").header(name, value).body(()).unwrap();
            Aim::of(&config, &request.into_parts().0).unwrap().key.wire()
        };
        for (name, before) in [("authorization", "Bearer "), ("cookie", "session="), ("cookie", "%73ession=")] {
            let one = key(name, format!("{before}hunter2"));
            assert!(one.contains(name) && !one.contains("hunter2"), "{one}");
            assert_ne!(one, key(name, format!("{before}hunter3")));
        }
    }
}
