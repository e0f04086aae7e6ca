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
    /// The parts of these names, sorted. The service gets all of them: only for names that it does not read.
    Only(Vec<String>),
    /// All but the parts of these names, sorted; as for those by which visits are counted (`utm_source`).
    Without(Vec<String>),
}

impl Query {
    /// What counts; borrowed if that is all of it, as it stands.
    pub(crate) fn of<'a>(&self, query: &'a str) -> Option<Cow<'a, str>> {
        let keep = |names: &[String], wanted: bool| {
            let parts = query.split('&').filter(|part| names.iter().any(|name| name == name_of(part)) == wanted);
            sorted(parts).map(Cow::Owned)
        };
        match self {
            Self::All => Some(Cow::Borrowed(query)),
            Self::Sorted => sorted(query.split('&')).map(Cow::Owned),
            Self::Only(names) => keep(names, true),
            Self::Without(names) => keep(names, false),
        }
    }
}

fn name_of(part: &str) -> &str {
    part.split_once('=').map_or(part, |(name, _)| name)
}

fn sorted<'a>(parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut parts: Vec<&str> = parts.collect();
    parts.sort_by_key(|part| name_of(part));
    (!parts.is_empty()).then(|| parts.join("&"))
}
