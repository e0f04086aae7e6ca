//! What a generation belongs to: a tag that people named, a scope, or everything.

use crate::key::{Key, ScopeId, partition};

/// A tag, as records, envelopes and cells know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TagId {
    /// Everything: what `clear` moves.
    Namespace,
    /// A scope and all below it: keys, and tags whose template has that head.
    Scope(ScopeId),
    /// A tag that people named.
    Tag(Key),
}

/// No tag of a person's begins with it: the first segment of a tag is literal, or quoted where it would.
const RESERVED: char = '@';

impl TagId {
    /// A scope and all below it. The one without a name is above all of them.
    pub(crate) fn of_scope(scope: ScopeId) -> Self {
        if scope == ScopeId::ROOT { Self::Namespace } else { Self::Scope(scope) }
    }

    /// The tag as text, in the envelope and in Redis keys.
    pub(crate) fn wire(&self) -> String {
        match self {
            Self::Namespace => RESERVED.to_string(),
            Self::Scope(scope) => format!("{RESERVED}{}", scope.name()),
            Self::Tag(key) => key.wire(),
        }
    }

    /// The tag that `wire` is the text of. A scope that nothing in this process has ever named is nobody's here: `None`.
    pub(crate) fn parse(wire: &str) -> Option<Self> {
        match wire.strip_prefix(RESERVED) {
            None => Key::parse(wire).map(Self::Tag),
            Some("") => Some(Self::Namespace),
            Some(scope) => ScopeId::get(scope).map(Self::Scope),
        }
    }

    /// The same of a tag in an envelope: its scope may be one that other processes alone have named so far.
    pub(crate) fn read(wire: &str) -> Option<Self> {
        match wire.strip_prefix(RESERVED) {
            Some(name) if ScopeId::is_valid(name) => {
                // Where no more are taken in, this is another one.
                Some(ScopeId::intern(name)).filter(|scope| scope.name() == name).map(Self::Scope)
            }
            _ => Self::parse(wire),
        }
    }

    /// The partition of `partitions` that the tag's record is in.
    pub(crate) fn partition(&self, partitions: u16) -> u16 {
        if partitions <= 1 { 0 } else { partition(self.wire().as_bytes(), partitions) }
    }

    /// The scope that stands for the tag where it is told about.
    pub(crate) fn scope(&self) -> ScopeId {
        match self {
            Self::Namespace => ScopeId::ROOT,
            Self::Scope(scope) => *scope,
            Self::Tag(key) => key.scope(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_that_nobody_has_named_here_is_one_in_an_envelope() {
        let name = "named-elsewhere:alone";
        assert_eq!(TagId::parse(&format!("@{name}")), None);
        let read = TagId::read(&format!("@{name}")).expect("a scope");
        assert_eq!((read.wire(), TagId::parse(&format!("@{name}"))), (format!("@{name}"), Some(read)));
        for odd in ["@Odd", "@odd:", "@:"] {
            assert_eq!(TagId::read(odd), None, "{odd}");
        }
        assert_eq!(TagId::read("@"), Some(TagId::Namespace));
    }

    #[test]
    fn reserved_tags_are_no_tags_of_people() {
        let scope = ScopeId::intern("product:stock");
        for tag in [TagId::Namespace, TagId::Scope(scope), TagId::Tag(Key::new("category").arg("books"))] {
            assert_eq!(TagId::parse(&tag.wire()), Some(tag));
        }
        let hostile = TagId::Tag(Key::new("@product"));
        assert!(!hostile.wire().starts_with(RESERVED), "{}", hostile.wire());
    }
}
