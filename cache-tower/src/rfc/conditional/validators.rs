//! What tells one state of a representation from another: its entity tag and its time of modification (RFC 9110 section 8.8).

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{DATE, ETAG, LAST_MODIFIED},
};

use super::EntityTag;
use crate::rfc::Timestamp;

/// How a date is read.
pub(crate) type Dates<'a> = &'a dyn Fn(&HeaderValue) -> Option<Timestamp>;

/// The validators of an answer, with the `Date` by which the strength of one is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<(HeaderValue, Timestamp)>,
    date: Option<Timestamp>,
}

// === impl Validators ===

impl Validators {
    /// Those of an answer. A field that cannot be read, or stands twice, is none.
    pub(crate) fn of(headers: &HeaderMap, dates: Dates<'_>) -> Self {
        let etag = only(headers, &ETAG).filter(|value| EntityTag::parse(value).is_some());
        let modified = only(headers, &LAST_MODIFIED).and_then(|value| Some((value.clone(), dates(value)?)));
        Self { etag: etag.cloned(), modified, date: only(headers, &DATE).and_then(dates) }
    }

    pub(crate) fn tag(&self) -> Option<EntityTag<'_>> {
        self.etag.as_ref().and_then(EntityTag::parse)
    }

    /// The field that holds the entity tag, to be sent as it came.
    pub(crate) fn etag(&self) -> Option<&HeaderValue> {
        self.etag.as_ref()
    }

    pub(crate) fn modified(&self) -> Option<Timestamp> {
        self.modified.as_ref().map(|(_, at)| *at)
    }

    /// `Last-Modified`, to be sent as it came.
    pub(crate) fn last_modified(&self) -> Option<&HeaderValue> {
        self.modified.as_ref().map(|(value, _)| value)
    }

    pub(crate) fn date(&self) -> Option<Timestamp> {
        self.date
    }

    /// Whether there is nothing to validate with.
    pub(crate) fn is_empty(&self) -> bool {
        self.etag.is_none() && self.modified.is_none()
    }

    pub(crate) fn strong_tag(&self) -> Option<EntityTag<'_>> {
        self.tag().filter(|tag| tag.is_strong())
    }

    /// The time of modification, if it is a strong validator: the answer was made at least a second after it, so that no other
    /// modification can have fallen into the same second (RFC 9110 section 8.8.2.2).
    pub(crate) fn strong_modified(&self) -> Option<Timestamp> {
        let (modified, date) = (self.modified()?, self.date?);
        (date.0.checked_sub(modified.0)? >= Duration::from_secs(1)).then_some(modified)
    }

    /// Whether an answer with these validators, that has been stored, has a strong one in common with a newer answer.
    ///
    /// Where both have an entity tag it has the last word: equal times do not make up for different tags.
    pub(crate) fn shares_strong(&self, newer: &Self) -> bool {
        if let (Some(tag), Some(other)) = (self.tag(), newer.tag()) {
            if tag.is_strong() || other.is_strong() {
                return tag.matches_strongly(other);
            }
            if !tag.matches_weakly(other) {
                return false;
            }
        }
        // Of a date it is the stored answer's own that makes it strong.
        self.strong_modified().is_some_and(|modified| newer.modified() == Some(modified))
    }

    /// Whether an answer with these validators, that has been stored, has any in common with a newer one.
    pub(crate) fn shares_weak(&self, newer: &Self) -> bool {
        match (self.tag(), newer.tag()) {
            (Some(tag), Some(other)) => tag.matches_weakly(other),
            _ => self.modified().is_some() && self.modified() == newer.modified(),
        }
    }
}

/// The line of a field that is none of a list; none where there are two.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut lines = headers.get_all(name).iter();
    lines.next().filter(|_| lines.next().is_none())
}

/// Headers and dates as tests write them: a date is `@` and seconds.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn dates(value: &HeaderValue) -> Option<Timestamp> {
        let secs = value.to_str().ok()?.strip_prefix('@')?.parse().ok()?;
        Some(Timestamp(Duration::from_secs(secs)))
    }

    pub(crate) fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    pub(crate) fn validators(fields: &[(&str, &str)]) -> Validators {
        Validators::of(&headers(fields), &dates)
    }

    /// The lines of a field, joined.
    pub(crate) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
        let lines: Vec<_> = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        (!lines.is_empty()).then(|| lines.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;

    type Fields = &'static [(&'static str, &'static str)];

    #[test]
    fn strength_of_a_date_hangs_on_the_date_of_the_answer() {
        let rows: &[(&str, Fields, bool)] = &[
            ("9110 8.8.2.2 a second before Date", &[("last-modified", "@99"), ("date", "@100")], true),
            ("9110 8.8.2.2 the same second", &[("last-modified", "@100"), ("date", "@100")], false),
            ("9110 8.8.2.2 after Date", &[("last-modified", "@101"), ("date", "@100")], false),
            ("9110 8.8.2.2 no Date", &[("last-modified", "@99")], false),
            ("9110 8.8.2.2 no Last-Modified", &[("date", "@100")], false),
            ("9110 8.8.2 not a date", &[("last-modified", "x"), ("date", "@100")], false),
            ("9110 8.8.2 on two lines", &[("last-modified", "@1"), ("last-modified", "@2"), ("date", "@100")], false),
        ];
        for (row, fields, expected) in rows {
            assert_eq!(validators(fields).strong_modified().is_some(), *expected, "{row}");
        }
    }

    #[test]
    fn a_strong_validator_is_shared_or_not() {
        const LM: (&str, &str) = ("last-modified", "@9");
        const DATE: (&str, &str) = ("date", "@100");
        let rows: &[(&str, Fields, Fields, bool)] = &[
            ("9110 15.3.7.3 same tag", &[("etag", "\"a\"")], &[("etag", "\"a\"")], true),
            ("9110 15.3.7.3 other tag", &[("etag", "\"a\"")], &[("etag", "\"b\"")], false),
            ("9110 15.3.7.3 weak tag", &[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")], false),
            ("9110 15.3.7.3 weak and strong", &[("etag", "W/\"a\"")], &[("etag", "\"a\"")], false),
            ("9110 8.8.2.2 same date", &[LM, DATE], &[LM], true),
            ("9110 8.8.2.2 other date", &[LM, DATE], &[("last-modified", "@8")], false),
            ("9110 8.8.2.2 same date, but weak", &[LM], &[LM, DATE], false),
            ("9110 8.8.1 other tag, same date", &[("etag", "\"a\""), LM, DATE], &[("etag", "\"b\""), LM], false),
            (
                "9110 8.8.1 other weak tag, same date",
                &[("etag", "W/\"a\""), LM, DATE],
                &[("etag", "W/\"b\""), LM],
                false,
            ),
            ("9110 8.8.2.2 weak tag, same date", &[("etag", "W/\"a\""), LM, DATE], &[("etag", "W/\"a\""), LM], true),
            ("9110 8.8.2.2 tag in one only, same date", &[LM, DATE], &[("etag", "\"b\""), LM], true),
            ("9110 8.8 nothing", &[], &[], false),
            (
                "9110 8.8.3 two ETag lines are none",
                &[("etag", "\"a\""), ("etag", "\"b\"")],
                &[("etag", "\"a\"")],
                false,
            ),
        ];
        for (row, stored, newer, expected) in rows {
            assert_eq!(validators(stored).shares_strong(&validators(newer)), *expected, "{row}");
        }
    }
}
