//! The directives of `Cache-Control`, of answers and of requests.

use std::{borrow::Cow, time::Duration};

use http::{
    HeaderMap, HeaderName,
    header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, DATE, EXPIRES, PRAGMA, VARY},
};

use super::Rules;

/// The largest number of seconds; whatever is more becomes it (RFC 9111 section 1.2.2).
pub(crate) const SECONDS_MAX: Duration = Duration::from_secs(1 << 31);

/// How many fields a list may name. With more, the directive is taken as if it had no list.
const LISTED_MAX: usize = 32;

/// Without these the rest would be used for the wrong requests, for too long, or read wrongly: a list that names one of them
/// is taken for the whole answer.
pub(super) const NEEDED: [HeaderName; 8] =
    [AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, DATE, EXPIRES, VARY];

/// What an answer says of its storing and reuse.
///
/// Where a line is not by the grammar, what restricts counts and what permits does not: `no-store` and `private` count with any
/// argument, `public` and `must-understand` only without one, and a number that cannot be read is 0, so that the answer is
/// stale (RFC 9111 section 4.2.1). Of several numbers the smallest counts: at each moment that is either the first of them, or
/// stale, as that section wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a directive that is there or not")]
pub(crate) struct Directives {
    pub(crate) max_age: Option<Duration>,
    pub(crate) s_maxage: Option<Duration>,
    pub(crate) stale_while_revalidate: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) no_cache: Extent,
    pub(crate) private: Extent,
    pub(crate) no_store: bool,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
}

/// What a request asks of a cache. Advice to a shared one (RFC 9111 section 5.2.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestDirectives {
    pub(crate) max_age: Option<Duration>,
    pub(crate) min_fresh: Option<Duration>,
    /// [`Duration::MAX`] if it has no number.
    pub(crate) max_stale: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
    pub(crate) no_cache: bool,
    pub(crate) no_store: bool,
    pub(crate) only_if_cached: bool,
}

/// Of how much of an answer `no-cache` or `private` speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extent {
    #[default]
    Nothing,
    /// Of these fields.
    Fields(Vec<HeaderName>),
    Whole,
}

/// What stands behind a directive's `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Argument<'a> {
    /// There is no `=`.
    None,
    /// A token, or whatever else stands there without being a quoted string: what it is read as will refuse it.
    Token(&'a [u8]),
    /// Without its quotes and escapes.
    Quoted(Cow<'a, [u8]>),
    /// From a structured field.
    Integer(i64),
    /// Neither: something else behind the name, or a type that no directive has.
    Malformed,
}

/// The directives that this cache knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    MaxAge,
    MaxStale,
    MinFresh,
    MustRevalidate,
    MustUnderstand,
    NoCache,
    NoStore,
    OnlyIfCached,
    Private,
    ProxyRevalidate,
    Public,
    SMaxage,
    StaleIfError,
    StaleWhileRevalidate,
}

/// The members of one field line: names with their arguments, whatever stands between them. The name of what is no directive
/// may be empty.
pub(crate) struct Members<'a> {
    rest: &'a [u8],
    /// Whether quotes still count: the first one that is not closed makes the rest of its line unquoted, so that it hides
    /// nothing, and is looked for its end only once.
    quotes: bool,
}

// === impl Directives ===

impl Directives {
    /// Those of all lines of `Cache-Control`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut all = Self::default();
        known(headers).for_each(|(name, argument)| all.add(name, &argument));
        all
    }

    pub(crate) fn add(&mut self, name: Name, argument: &Argument<'_>) {
        let seconds = argument.seconds().unwrap_or_default();
        match name {
            Name::MaxAge => smallest(&mut self.max_age, seconds),
            Name::SMaxage => smallest(&mut self.s_maxage, seconds),
            Name::StaleWhileRevalidate => smallest(&mut self.stale_while_revalidate, seconds),
            Name::StaleIfError => smallest(&mut self.stale_if_error, seconds),
            Name::NoCache => self.no_cache.add(argument),
            Name::Private => self.private.add(argument),
            Name::NoStore => self.no_store = true,
            Name::MustRevalidate => self.must_revalidate = true,
            Name::ProxyRevalidate => self.proxy_revalidate = true,
            Name::Public => self.public |= *argument == Argument::None,
            Name::MustUnderstand => self.must_understand |= *argument == Argument::None,
            Name::MaxStale | Name::MinFresh | Name::OnlyIfCached => {}
        }
    }
}

// === impl RequestDirectives ===

impl RequestDirectives {
    /// Those that are obeyed: none, if the rules say so. `Pragma: no-cache` counts where there is no `Cache-Control`
    /// (RFC 9111 section 5.4).
    pub(crate) fn of(headers: &HeaderMap, rules: &Rules) -> Self {
        let mut all = Self::default();
        if !rules.obeys_requests {
            return all;
        }
        known(headers).for_each(|(name, argument)| all.add(name, &argument));
        if !headers.contains_key(CACHE_CONTROL) {
            let mut pragmas = headers.get_all(PRAGMA).iter().flat_map(|line| Members::new(line.as_bytes()));
            all.no_cache =
                pragmas.any(|(name, argument)| Name::of(name) == Some(Name::NoCache) && argument == Argument::None);
        }
        all
    }

    /// A number that cannot be read asks for the most work where it restricts, and for nothing where it permits.
    fn add(&mut self, name: Name, argument: &Argument<'_>) {
        let seconds = argument.seconds();
        match name {
            Name::MaxAge => smallest(&mut self.max_age, seconds.unwrap_or_default()),
            Name::MinFresh => self.min_fresh = self.min_fresh.max(Some(seconds.unwrap_or(SECONDS_MAX))),
            Name::MaxStale if *argument == Argument::None => smallest(&mut self.max_stale, Duration::MAX),
            Name::MaxStale => smallest(&mut self.max_stale, seconds.unwrap_or_default()),
            Name::StaleIfError => smallest(&mut self.stale_if_error, seconds.unwrap_or_default()),
            Name::NoCache => self.no_cache = true,
            Name::NoStore => self.no_store = true,
            Name::OnlyIfCached => self.only_if_cached = true,
            _ => {}
        }
    }
}

/// The directives of all lines of `Cache-Control`, in their order.
fn known(headers: &HeaderMap) -> impl Iterator<Item = (Name, Argument<'_>)> {
    let members = headers.get_all(CACHE_CONTROL).iter().flat_map(|line| Members::new(line.as_bytes()));
    members.filter_map(|(name, argument)| Some((Name::of(name)?, argument)))
}

fn smallest(kept: &mut Option<Duration>, seconds: Duration) {
    *kept = Some(kept.map_or(seconds, |kept| kept.min(seconds)));
}

// === impl Extent ===

impl Extent {
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    pub(crate) fn fields(&self) -> &[HeaderName] {
        if let Self::Fields(names) = self { names } else { &[] }
    }

    /// Several lists are one; one without a list is of the whole answer, and so is a list that cannot be read or is empty.
    fn add(&mut self, argument: &Argument<'_>) {
        let list = match argument {
            Argument::Token(list) => list,
            Argument::Quoted(list) => &**list,
            Argument::None | Argument::Integer(_) | Argument::Malformed => &[],
        };
        let mut names = match std::mem::replace(self, Self::Whole) {
            Self::Nothing => Vec::new(),
            Self::Fields(names) => names,
            Self::Whole => return,
        };
        let before = names.len();
        for name in list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty()) {
            match HeaderName::from_bytes(name) {
                Ok(name) if names.len() < LISTED_MAX && !NEEDED.contains(&name) => names.push(name),
                _ => return,
            }
        }
        if names.len() > before {
            *self = Self::Fields(names);
        }
    }
}

// === impl Argument ===

impl Argument<'_> {
    /// Seconds, in either form (RFC 9111 section 5.2); nothing if it is no number.
    pub(crate) fn seconds(&self) -> Option<Duration> {
        match self {
            Self::Token(text) => seconds(text),
            Self::Quoted(text) => seconds(text),
            Self::Integer(number) => u64::try_from(*number).ok().map(|n| Duration::from_secs(n).min(SECONDS_MAX)),
            Self::None | Self::Malformed => None,
        }
    }
}

/// Digits and nothing else, up to [`SECONDS_MAX`].
pub(crate) fn seconds(text: &[u8]) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let number = text.iter().try_fold(0_u64, |number, byte| {
        byte.is_ascii_digit().then(|| number.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
    })?;
    Some(Duration::from_secs(number).min(SECONDS_MAX))
}

// === impl Name ===

impl Name {
    const ALL: [(&'static str, Self); 14] = [
        ("max-age", Self::MaxAge),
        ("max-stale", Self::MaxStale),
        ("min-fresh", Self::MinFresh),
        ("must-revalidate", Self::MustRevalidate),
        ("must-understand", Self::MustUnderstand),
        ("no-cache", Self::NoCache),
        ("no-store", Self::NoStore),
        ("only-if-cached", Self::OnlyIfCached),
        ("private", Self::Private),
        ("proxy-revalidate", Self::ProxyRevalidate),
        ("public", Self::Public),
        ("s-maxage", Self::SMaxage),
        ("stale-if-error", Self::StaleIfError),
        ("stale-while-revalidate", Self::StaleWhileRevalidate),
    ];

    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let found = Self::ALL.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text));
        found.map(|(_, name)| *name)
    }
}

// === impl Members ===

impl<'a> Members<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Self {
        Self { rest: line, quotes: true }
    }

    /// Takes what is before the next comma that is not quoted off the rest.
    fn take(&mut self) -> &'a [u8] {
        let mut end = 0;
        while let Some(byte) = self.rest.get(end) {
            match byte {
                b',' => {
                    let (member, rest) = self.rest.split_at(end);
                    self.rest = &rest[1..];
                    return member;
                }
                b'"' if self.quotes => match quoted_length(&self.rest[end..]) {
                    Some(length) => end += length,
                    None => self.quotes = false,
                },
                _ => end += 1,
            }
        }
        std::mem::take(&mut self.rest)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], Argument<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let member = self.take().trim_ascii();
        let (name, behind) = member.split_at(member.iter().take_while(|byte| is_token(**byte)).count());
        Some((name, argument(behind)))
    }
}

/// What is behind a directive's name.
fn argument(behind: &[u8]) -> Argument<'_> {
    match behind {
        [] => Argument::None,
        [b'=', text @ ..] if text.first() == Some(&b'"') && quoted_length(text) == Some(text.len()) => {
            Argument::Quoted(unescaped(&text[1..text.len() - 1]))
        }
        [b'=', text @ ..] => Argument::Token(text),
        _ => Argument::Malformed,
    }
}

/// How long the quoted string at the front is, with both of its quotes (RFC 9110 section 5.6.4).
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut index = 1;
    loop {
        match text.get(index)? {
            b'"' => return Some(index + 1),
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
}

fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut bytes = text.iter();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
    }
    Cow::Owned(plain)
}

/// RFC 9110 section 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
