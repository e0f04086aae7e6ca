//! Entity tags, and the lists of them that conditions hold (RFC 9110 sections 8.8.3 and 13.1).

use http::{HeaderMap, HeaderName, HeaderValue};

/// An entity tag, as a field says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag<'a> {
    strength: Strength,
    /// What stands between the quotes.
    opaque: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    Strong,
    Weak,
    /// Without quotes, so that it is no entity tag by the grammar. Many servers send these, and know them again: such a tag
    /// equals only one that is written the same, and never strongly.
    Bare,
}

/// What `If-Match` or `If-None-Match` holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listed<'a> {
    /// `*`: whatever there is.
    Any,
    /// The entity tags of all lines. Members that are none are left out.
    Tags(&'a HeaderMap, &'static HeaderName),
}

/// The entity tags of one line.
struct Members<'a> {
    rest: &'a [u8],
}

// === impl EntityTag ===

impl<'a> EntityTag<'a> {
    /// The tag of a field that holds one.
    pub(crate) fn parse(value: &'a HeaderValue) -> Option<Self> {
        let (tag, after) = take(value.as_bytes().trim_ascii());
        tag.filter(|_| after.is_empty())
    }

    pub(crate) fn is_strong(self) -> bool {
        self.strength == Strength::Strong
    }

    /// Strong comparison (RFC 9110 section 8.8.3.2).
    pub(crate) fn matches_strongly(self, other: EntityTag<'_>) -> bool {
        self.is_strong() && other.is_strong() && self.opaque == other.opaque
    }

    /// Weak comparison (RFC 9110 section 8.8.3.2).
    pub(crate) fn matches_weakly(self, other: EntityTag<'_>) -> bool {
        (self.strength == Strength::Bare) == (other.strength == Strength::Bare) && self.opaque == other.opaque
    }

    /// Whether a field may hold it in quotes, as a tag by the grammar.
    pub(crate) fn is_quoted(self) -> bool {
        self.strength != Strength::Bare
    }
}

// === impl Listed ===

impl<'a> Listed<'a> {
    /// What the lines named `name` hold, if there are any.
    pub(crate) fn of(headers: &'a HeaderMap, name: &'static HeaderName) -> Option<Self> {
        let mut lines = headers.get_all(name).iter();
        let first = lines.next()?;
        // `*` stands alone; in a list it is no entity tag.
        let is_any = first.as_bytes().trim_ascii() == b"*" && lines.next().is_none();
        Some(if is_any { Self::Any } else { Self::Tags(headers, name) })
    }

    /// The tags, none for `*`.
    pub(crate) fn tags(self) -> impl Iterator<Item = EntityTag<'a>> {
        let lines = match self {
            Self::Any => None,
            Self::Tags(headers, name) => Some(headers.get_all(name).iter()),
        };
        lines.into_iter().flatten().flat_map(|line| Members { rest: line.as_bytes() })
    }

    /// Whether something with this tag, or without one, is in the list by strong comparison.
    pub(crate) fn holds_strongly(self, tag: Option<EntityTag<'_>>) -> bool {
        self.holds(tag, EntityTag::matches_strongly)
    }

    /// Whether something with this tag, or without one, is in the list by weak comparison.
    pub(crate) fn holds_weakly(self, tag: Option<EntityTag<'_>>) -> bool {
        self.holds(tag, EntityTag::matches_weakly)
    }

    fn holds<'t>(self, tag: Option<EntityTag<'t>>, matches: impl Fn(EntityTag<'a>, EntityTag<'t>) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(..) => tag.is_some_and(|tag| self.tags().any(|member| matches(member, tag))),
        }
    }
}

// === impl Members ===

impl<'a> Iterator for Members<'a> {
    type Item = EntityTag<'a>;

    fn next(&mut self) -> Option<EntityTag<'a>> {
        loop {
            let start = self.rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
            let (tag, rest) = take(&self.rest[start..]);
            self.rest = rest;
            if tag.is_some() {
                return tag;
            }
        }
    }
}

/// The tag that a list begins with, and what comes after its comma. A member that is no tag gives none.
fn take(list: &[u8]) -> (Option<EntityTag<'_>>, &[u8]) {
    let quoted = match list {
        [b'W', b'/', b'"', rest @ ..] => Some((Strength::Weak, rest)),
        [b'"', rest @ ..] => Some((Strength::Strong, rest)),
        _ => None,
    };
    let Some((strength, rest)) = quoted else {
        let (member, rest) = split_at_comma(list);
        let opaque = member.trim_ascii();
        let is_bare = !opaque.is_empty() && opaque != b"*" && is_opaque(opaque);
        return (is_bare.then_some(EntityTag { strength: Strength::Bare, opaque }), rest);
    };
    // A comma may stand in a tag.
    let Some(end) = rest.iter().position(|byte| *byte == b'"') else { return (None, &[]) };
    let opaque = &rest[..end];
    let (between, rest) = split_at_comma(&rest[end + 1..]);
    let is_tag = between.trim_ascii().is_empty() && is_opaque(opaque);
    (is_tag.then_some(EntityTag { strength, opaque }), rest)
}

fn split_at_comma(list: &[u8]) -> (&[u8], &[u8]) {
    match list.iter().position(|byte| *byte == b',') {
        Some(comma) => (&list[..comma], &list[comma + 1..]),
        None => (list, &[]),
    }
}

/// Whether all is `etagc`: visible characters but the quote, and anything that is not ASCII.
fn is_opaque(text: &[u8]) -> bool {
    text.iter().all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..))
}

#[cfg(test)]
mod tests {
    use http::header::IF_NONE_MATCH;
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> HeaderValue {
        HeaderValue::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn comparison_is_by_the_table() {
        // RFC, one, other, strongly, weakly.
        let rows = [
            ("9110 8.8.3.2 both weak, same", r#"W/"1""#, r#"W/"1""#, false, true),
            ("9110 8.8.3.2 both weak, others", r#"W/"1""#, r#"W/"2""#, false, false),
            ("9110 8.8.3.2 weak and strong", r#"W/"1""#, r#""1""#, false, true),
            ("9110 8.8.3.2 both strong, same", r#""1""#, r#""1""#, true, true),
            ("9110 8.8.3.2 both strong, others", r#""1""#, r#""2""#, false, false),
            ("9110 8.8.3 empty", r#""""#, r#""""#, true, true),
            ("9110 8.8.3 case counts", r#""a""#, r#""A""#, false, false),
            ("9110 8.8.3 obs-text", "\"\u{fc}\"", "\"\u{fc}\"", true, true),
            ("9110 8.8.3 a comma is part of it", r#""a,b""#, r#""a,b""#, true, true),
            ("9110 8.8.3 without quotes, only as itself", "abc", "abc", false, true),
            ("9110 8.8.3 without quotes is not quoted", "abc", r#""abc""#, false, false),
        ];
        for (row, one, other, strongly, weakly) in rows {
            let (one, other) = (value(one), value(other));
            let (one, other) = (EntityTag::parse(&one).expect(row), EntityTag::parse(&other).expect(row));
            assert_eq!(one.matches_strongly(other), strongly, "strongly: {row}");
            assert_eq!(other.matches_strongly(one), strongly, "strongly, swapped: {row}");
            assert_eq!(one.matches_weakly(other), weakly, "weakly: {row}");
            assert_eq!(other.matches_weakly(one), weakly, "weakly, swapped: {row}");
        }
    }

    #[test]
    fn what_is_no_tag_is_none() {
        let rows = [
            ("9110 8.8.3 W is case-sensitive", r#"w/"a""#),
            ("9110 8.8.3 no space after W/", r#"W/ "a""#),
            ("9110 8.8.3 not closed", r#""a"#),
            ("9110 8.8.3 a quote within", r#""a"b""#),
            ("9110 8.8.3 a space within", r#""a b""#),
            ("9110 8.8.3 two are not one", r#""a", "b""#),
            ("9110 8.8.3 a star is none", "*"),
            ("9110 8.8.3 empty", ""),
            ("9110 8.8.3 W/ alone with a quote", r#"W/""#),
        ];
        for (row, text) in rows {
            assert_eq!(EntityTag::parse(&value(text)), None, "{row}");
        }
    }

    #[test]
    fn lists_are_read_over_all_lines() {
        // RFC, lines, does the list hold "x" by weak comparison.
        let rows: &[(&str, &[&str], bool)] = &[
            ("9110 13.1.2 one", &[r#""x""#], true),
            ("9110 13.1.2 weak", &[r#"W/"x""#], true),
            ("9110 13.1.2 last of a list", &[r#""a", W/"b", "x""#], true),
            ("9110 5.3 on a second line", &[r#""a""#, r#""x""#], true),
            ("9110 5.6.1 empty members", &[r#", ,"x",,"#], true),
            ("9110 5.6.1 no whitespace", &[r#""a","x""#], true),
            ("9110 8.8.3 after one with a comma in it", &[r#""a,", "x""#], true),
            ("9110 8.8.3 inside of another's quotes", &[r#""a, x""#], false),
            ("9110 8.8.3 after what is no tag", &[r#"w/"x", "x""#], true),
            ("9110 8.8.3 only what is no tag", &[r#"w/"x""#], false),
            ("9110 8.8.3 not closed", &[r#""a, "x""#], false),
            ("9110 13.1.2 any", &["*"], true),
            ("9110 13.1.2 any, with whitespace", &[" * "], true),
            ("9110 13.1.2 a star in a list is no star", &[r#"*, "a""#], false),
            ("9110 13.1.2 a star on one of two lines", &["*", r#""a""#], false),
            ("9110 13.1.2 none", &[""], false),
            ("9110 13.1.2 others", &[r#""X", "xx", "xy""#], false),
        ];
        for (row, lines, expected) in rows {
            let mut headers = HeaderMap::new();
            for line in *lines {
                headers.append(IF_NONE_MATCH, value(line));
            }
            let stored = value(r#""x""#);
            let listed = Listed::of(&headers, &IF_NONE_MATCH).expect(row);
            assert_eq!(listed.holds_weakly(EntityTag::parse(&stored)), *expected, "{row}");
        }
        assert!(Listed::of(&HeaderMap::new(), &IF_NONE_MATCH).is_none());
    }

    proptest! {
        #[test]
        fn reading_never_panics(
            lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            odd in "[W/\"*, a]{0,20}",
        ) {
            let mut headers = HeaderMap::new();
            for line in lines.iter().map(Vec::as_slice).chain([odd.as_bytes()]) {
                if let Ok(line) = HeaderValue::from_bytes(line) {
                    headers.append(IF_NONE_MATCH, line);
                }
            }
            let Some(listed) = Listed::of(&headers, &IF_NONE_MATCH) else { return Ok(()) };
            for tag in listed.tags() {
                prop_assert!(listed.holds_weakly(Some(tag)));
            }
        }
    }
}
