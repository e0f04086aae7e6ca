//! Which of an answer's fields count for this cache: a targeted one (RFC 9213), `Surrogate-Control`, or `Cache-Control`.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Dictionary, InnerList, Item, ListEntry, Parser};

use super::{
    Rules,
    directives::{Argument, Directives, Members, Name, seconds},
};

const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// What an answer says to this cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) directives: Directives,
    pub(crate) source: Source,
}

/// Where the directives come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// `Cache-Control`, and `Expires` beside it.
    #[default]
    CacheControl,
    /// A targeted field. `Cache-Control` and `Expires` do not count.
    Targeted,
    /// `Surrogate-Control`. The others do not count.
    Surrogate,
}

// === impl Control ===

impl Control {
    /// The first targeted field of the rules that is there and valid, else `Surrogate-Control` if it counts and says
    /// something, else `Cache-Control` (RFC 9213 section 2.2).
    pub(crate) fn of(headers: &HeaderMap, rules: &Rules) -> Self {
        if let Some(directives) = rules.targets.iter().find_map(|name| targeted(headers, name)) {
            return Self { directives, source: Source::Targeted };
        }
        if let Some(directives) = rules.surrogate_control.then(|| surrogate(headers)).flatten() {
            return Self { directives, source: Source::Surrogate };
        }
        Self { directives: Directives::of(headers), source: Source::CacheControl }
    }

    /// Whether `Expires` counts: the other fields stand for it too (RFC 9213 section 2.2).
    pub(crate) fn has_expires(&self) -> bool {
        self.source == Source::CacheControl
    }
}

/// The directives of a targeted field, or nothing if it is not there, empty, no dictionary, or has a value of the wrong type
/// where a number has to be: such a field is ignored (RFC 9213 section 2.1).
fn targeted(headers: &HeaderMap, name: &HeaderName) -> Option<Directives> {
    let dictionary: Dictionary = Parser::new(&joined(headers, name)?).parse().ok()?;
    if dictionary.is_empty() {
        return None;
    }
    let mut all = Directives::default();
    for (name, entry) in &dictionary {
        let Some(name) = Name::of(name.as_str().as_bytes()) else { continue };
        // Parameters are ignored.
        let argument = match entry {
            ListEntry::Item(Item { bare_item: BareItem::Boolean(false), .. }) => continue,
            ListEntry::Item(Item { bare_item: BareItem::Boolean(true), .. }) => Argument::None,
            ListEntry::Item(Item { bare_item: BareItem::Integer(number), .. }) => Argument::Integer((*number).into()),
            ListEntry::Item(Item { bare_item: BareItem::String(text), .. }) => {
                Argument::Quoted(Cow::Borrowed(text.as_str().as_bytes()))
            }
            ListEntry::Item(Item { bare_item: BareItem::Token(text), .. }) => Argument::Token(text.as_str().as_bytes()),
            ListEntry::Item(_) | ListEntry::InnerList(InnerList { .. }) => Argument::Malformed,
        };
        let counts = matches!(name, Name::MaxAge | Name::SMaxage | Name::StaleWhileRevalidate | Name::StaleIfError);
        if counts && !matches!(argument, Argument::Integer(_)) {
            return None;
        }
        all.add(name, &argument);
    }
    Some(all)
}

/// All lines of a structured field as one (RFC 9651 section 4.2).
pub(super) fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?.as_bytes();
    let mut all = Cow::Borrowed(first);
    for line in lines {
        let all = all.to_mut();
        all.extend_from_slice(b", ");
        all.extend_from_slice(line.as_bytes());
    }
    Some(all)
}

/// What `Surrogate-Control` says (Edge Architecture 1.0, section 2): `no-store` and `max-age=3600+600`, where the second
/// number is how long the answer may be used stale. Members for another surrogate (`max-age=5;name`) and numbers that cannot
/// be read are ignored; if nothing is left, the field does not count.
fn surrogate(headers: &HeaderMap) -> Option<Directives> {
    let mut all = Directives::default();
    for (name, argument) in headers.get_all(SURROGATE_CONTROL).iter().flat_map(|line| Members::new(line.as_bytes())) {
        match (Name::of(name), argument) {
            (Some(Name::NoStore), Argument::None) => all.no_store = true,
            (Some(Name::MaxAge), Argument::Token(text)) => {
                let (fresh, stale) = match text.iter().position(|byte| *byte == b'+') {
                    Some(plus) => (&text[..plus], &text[plus + 1..]),
                    None => (text, &b"0"[..]),
                };
                if let (Some(_), Some(_)) = (seconds(fresh), seconds(stale)) {
                    all.add(Name::MaxAge, &Argument::Token(fresh));
                    all.add(Name::StaleWhileRevalidate, &Argument::Token(stale));
                    all.add(Name::StaleIfError, &Argument::Token(stale));
                }
            }
            _ => {}
        }
    }
    (all != Directives::default()).then_some(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rfc::fixtures::{any_headers, full, headers, secs};

    /// The section, the lines, where the directives come from, and what `max-age` and `no-store` are.
    type Row = (&'static str, &'static str, Source, Option<u64>, bool);

    const CC: Source = Source::CacheControl;
    const CDN: Source = Source::Targeted;
    const SUR: Source = Source::Surrogate;

    const ROWS: &[Row] = &[
        ("9213-2.2 there is none", "Cache-Control: max-age=1", CC, Some(1), false),
        ("9213-2.2 alone", "CDN-Cache-Control: max-age=5", CDN, Some(5), false),
        (
            "9213-2.2 instead of a shorter one",
            "CDN-Cache-Control: max-age=5 | Cache-Control: max-age=1",
            CDN,
            Some(5),
            false,
        ),
        (
            "9213-2.2 instead of a longer one",
            "CDN-Cache-Control: max-age=5 | Cache-Control: max-age=9",
            CDN,
            Some(5),
            false,
        ),
        (
            "9213-2.2 replaces it whole",
            "CDN-Cache-Control: public | Cache-Control: max-age=9, no-store",
            CDN,
            None,
            false,
        ),
        (
            "9213-2.2 no-store instead of freshness",
            "CDN-Cache-Control: no-store | Cache-Control: max-age=9",
            CDN,
            None,
            true,
        ),
        (
            "9213-2.2 freshness instead of no-store",
            "CDN-Cache-Control: max-age=5 | Cache-Control: no-store",
            CDN,
            Some(5),
            false,
        ),
        ("9213-2.1 unknown directives are ignored", "CDN-Cache-Control: foobar, max-age=5", CDN, Some(5), false),
        ("9213-2.1 only unknown ones", "CDN-Cache-Control: foobar | Cache-Control: no-store", CDN, None, false),
        ("9213-2.1 parameters are ignored", "CDN-Cache-Control: max-age=5;x=1;y", CDN, Some(5), false),
        ("9213-2.1 lines are joined", "CDN-Cache-Control: max-age=5 | CDN-Cache-Control: no-store", CDN, Some(5), true),
        ("9651-3.2 the last of two counts", "CDN-Cache-Control: max-age=5, max-age=7", CDN, Some(7), false),
        ("9111-1.2.2 2^31", "CDN-Cache-Control: max-age=2147483648", CDN, Some(1 << 31), false),
        ("9111-1.2.2 more than that", "CDN-Cache-Control: max-age=99999999999", CDN, Some(1 << 31), false),
        (
            "9111-4.2.1 negative is stale",
            "CDN-Cache-Control: max-age=-5 | Cache-Control: max-age=9",
            CDN,
            Some(0),
            false,
        ),
        ("9651-3.3.6 false is as if not there", "CDN-Cache-Control: no-store=?0, max-age=5", CDN, Some(5), false),
        ("9213-2.1 restricts with any argument", "CDN-Cache-Control: no-store=(a b)", CDN, None, true),
        ("9213-2.1 empty is ignored", "CDN-Cache-Control: | Cache-Control: max-age=9", CC, Some(9), false),
        ("9213-2.1 no dictionary", "CDN-Cache-Control: max-age=5, &&& | Cache-Control: no-store", CC, None, true),
        ("9213-2.1 wrong type: string", "CDN-Cache-Control: max-age=\"5\" | Cache-Control: no-store", CC, None, true),
        ("9213-2.1 wrong type: decimal", "CDN-Cache-Control: max-age=5.0 | Cache-Control: no-store", CC, None, true),
        ("9213-2.1 wrong type: token", "CDN-Cache-Control: max-age=x | Cache-Control: no-store", CC, None, true),
        ("9213-2.1 wrong type: none", "CDN-Cache-Control: max-age | Cache-Control: no-store", CC, None, true),
        ("9213-2.1 wrong type: list", "CDN-Cache-Control: s-maxage=(5) | Cache-Control: no-store", CC, None, true),
        ("9651-3.2 capitals in a key", "CDN-Cache-Control: MaX-aGe=5 | Cache-Control: no-store", CC, None, true),
        ("9651-3.2 space before =", "CDN-Cache-Control: max-age =5 | Cache-Control: max-age=1", CC, Some(1), false),
        ("9651-3.2 space after =", "CDN-Cache-Control: max-age= 5 | Cache-Control: max-age=1", CC, Some(1), false),
        (
            "9651-4.2 one bad line spoils all",
            "CDN-Cache-Control: max-age=5 | CDN-Cache-Control: = | Cache-Control: public",
            CC,
            None,
            false,
        ),
        (
            "9651-4.2.4 16 digits",
            "CDN-Cache-Control: max-age=1000000000000000 | Cache-Control: public",
            CC,
            None,
            false,
        ),
        ("edge-2 Surrogate-Control alone", "Surrogate-Control: max-age=5", SUR, Some(5), false),
        (
            "edge-2 instead of Cache-Control",
            "Surrogate-Control: max-age=5 | Cache-Control: max-age=9",
            SUR,
            Some(5),
            false,
        ),
        ("edge-2 no-store", "Surrogate-Control: no-store | Cache-Control: max-age=9", SUR, None, true),
        (
            "edge-2 in any case, among others",
            "Surrogate-Control: x, MaX-aGe=5, content=\"ESI/1.0\"",
            SUR,
            Some(5),
            false,
        ),
        (
            "edge-2 content alone",
            "Surrogate-Control: content=\"ESI/1.0\" | Cache-Control: max-age=9",
            CC,
            Some(9),
            false,
        ),
        ("edge-2 space before =", "Surrogate-Control: max-age =5 | Cache-Control: max-age=1", CC, Some(1), false),
        ("edge-2 space after =", "Surrogate-Control: max-age= 5 | Cache-Control: max-age=1", CC, Some(1), false),
        ("edge-2 no number", "Surrogate-Control: max-age=5+x | Cache-Control: max-age=1", CC, Some(1), false),
        ("edge-2 no first number", "Surrogate-Control: max-age=+5 | Cache-Control: max-age=1", CC, Some(1), false),
        (
            "edge-2 for another surrogate",
            "Surrogate-Control: max-age=5;abc, no-store;abc | Cache-Control: max-age=1",
            CC,
            Some(1),
            false,
        ),
        (
            "9213-2.2 a targeted field before it",
            "Surrogate-Control: max-age=5 | CDN-Cache-Control: max-age=7",
            CDN,
            Some(7),
            false,
        ),
    ];

    #[test]
    fn control_is_what_counts_for_this_cache() {
        for (says, text, source, max_age, no_store) in ROWS {
            let control = Control::of(&headers(text), &full());
            let found = (control.source, control.directives.max_age, control.directives.no_store);
            assert_eq!(found, (*source, max_age.map(secs), *no_store), "{says}: {text}");
            assert_eq!(control.has_expires(), *source == CC, "9213-2.2 Expires goes with Cache-Control: {says}");

            let control = Control::of(&headers(text), &Rules::default());
            assert_eq!(control.source, CC, "9213-2 no field counts that the rules do not name: {says}");
        }
    }

    #[test]
    fn control_takes_the_first_target_that_is_valid() {
        let targets = ["acme-cache-control", "cdn-cache-control"].map(HeaderName::from_static).to_vec();
        let rules = Rules { targets, ..Rules::default() };
        let rows = [
            ("9213-2.2 in the order of the rules", "CDN-Cache-Control: max-age=5 | Acme-Cache-Control: max-age=7", 7),
            ("9213-2.2 one is not there", "CDN-Cache-Control: max-age=5", 5),
            ("9213-2.2 one is invalid", "CDN-Cache-Control: max-age=5 | Acme-Cache-Control: &", 5),
            ("9213-2.2 one is empty", "CDN-Cache-Control: max-age=5 | Acme-Cache-Control:", 5),
        ];
        for (says, text, max_age) in rows {
            assert_eq!(Control::of(&headers(text), &rules).directives.max_age, Some(secs(max_age)), "{says}");
        }
    }

    #[test]
    fn control_reads_the_lists_of_a_targeted_field() {
        let rows = [
            ("9213-2.1 string", "private=\"a, B\"", false, 2),
            ("9213-2.1 token", "private=a", false, 1),
            ("9213-2.1 none", "private", true, 0),
            ("9213-2.1 a list is not by the grammar", "private=(a)", true, 0),
            ("9213-2.1 nor is a number", "private=5", true, 0),
        ];
        for (says, text, whole, fields) in rows {
            let control = Control::of(&headers(&format!("CDN-Cache-Control: {text}")), &full());
            assert_eq!(
                (control.directives.private.is_whole(), control.directives.private.fields().len()),
                (whole, fields),
                "{says}"
            );
        }
    }

    #[test]
    fn control_reads_the_flags_of_a_targeted_field() {
        let rows = [
            ("9213-2.1 true", "public", true),
            ("9213-2.1 true in full", "public=?1", true),
            ("9213-2.1 false", "public=?0", false),
            ("9213-2.1 permits nothing with an argument", "public=x", false),
        ];
        for (says, text, public) in rows {
            let control = Control::of(&headers(&format!("CDN-Cache-Control: {text}")), &full());
            assert_eq!((control.source, control.directives.public), (CDN, public), "{says}");
        }
    }

    #[test]
    fn control_gives_the_second_number_of_a_surrogate_to_both_windows() {
        let directives = Control::of(&headers("Surrogate-Control: max-age=3600+600"), &full()).directives;
        let windows = (directives.max_age, directives.stale_while_revalidate, directives.stale_if_error);
        assert_eq!(windows, (Some(secs(3_600)), Some(secs(600)), Some(secs(600))));
    }

    proptest! {
        #[test]
        fn control_never_panics(map in any_headers()) {
            let _ = Control::of(&map, &full());
        }
    }
}
