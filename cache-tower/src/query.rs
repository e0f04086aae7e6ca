//! What of a query tells answers apart.

use std::borrow::Cow;

/// What of a query is part of the key.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Query {
    /// All of it, as it is.
    #[default]
    All,
    /// All of it, its parts in order: `b=1&a=2` is `a=2&b=1`. Parts of one name keep theirs.
    Sorted,
    /// The parts of these names, sorted, and those that a service might take for one of them, as `%69d` for `id`. The service gets
    /// all of the query: the others have to be names that it does not read.
    Only(Vec<String>),
    /// All but the parts of these names, sorted; as for those by which visits are counted (`utm_source`). Other spellings stay.
    Without(Vec<String>),
}

impl Query {
    /// What counts; borrowed if that is all of it, as it stands.
    pub(crate) fn of<'a>(&self, query: &'a str) -> Option<Cow<'a, str>> {
        // Some services end a part at a semicolon too: there may be another behind it.
        let without = |is_other: &dyn Fn(&str) -> bool| {
            let parts = query.split('&').filter(|part| part.contains(';') || !is_other(name_of(part)));
            sorted(parts).map(Cow::Owned)
        };
        match self {
            Self::All => Some(Cow::Borrowed(query)),
            Self::Sorted => sorted(query.split('&')).map(Cow::Owned),
            Self::Only(names) => {
                without(&|name| is_plain(name) && !names.iter().any(|kept| kept.eq_ignore_ascii_case(name)))
            }
            Self::Without(names) => without(&|name| names.iter().any(|left_out| left_out == name)),
        }
    }
}

fn name_of(part: &str) -> &str {
    part.split_once('=').map_or(part, |(name, _)| name)
}

/// Whether every service reads a name as it stands: nothing in it is encoded, a bracket, or what some take for an underscore.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn sorted<'a>(parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut parts: Vec<&str> = parts.collect();
    parts.sort_by_key(|part| name_of(part));
    (!parts.is_empty()).then(|| parts.join("&"))
}
