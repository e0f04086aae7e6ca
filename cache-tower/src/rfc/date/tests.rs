use proptest::prelude::*;

use super::*;
use crate::rfc::fixtures::{NOON, NOON_DATE, any_time, any_value, at};

/// 6 November 1994, 08:49:37, the example of RFC 9110.
const EXAMPLE: u64 = 784_111_777;

#[test]
fn parse_takes_the_three_formats_and_nothing_else() {
    let rows: &[(&str, &str, Option<u64>)] = &[
        ("9110-5.6.7 IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE)),
        ("9110-5.6.7 RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", Some(EXAMPLE)),
        ("9110-5.6.7 asctime", "Sun Nov  6 08:49:37 1994", Some(EXAMPLE)),
        ("9110-5.6.7 asctime, day of two digits", "Wed Nov 16 08:49:37 1994", Some(EXAMPLE + 10 * DAY)),
        ("9110-5.6.7 weekday in capitals", "SUN, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE)),
        ("9110-5.6.7 month in capitals", "Sun, 06 NOV 1994 08:49:37 GMT", Some(EXAMPLE)),
        ("9110-5.6.7 zone in small letters", "Sun, 06 Nov 1994 08:49:37 gmt", Some(EXAMPLE)),
        ("9110-5.6.7 RFC 850 in any case", "sunDAY, 06-nOv-94 08:49:37 GmT", Some(EXAMPLE)),
        ("9110-5.6.7 asctime in any case", "sUN nOV  6 08:49:37 1994", Some(EXAMPLE)),
        ("9110-5.5 whitespace around", " \tSun, 06 Nov 1994 08:49:37 GMT ", Some(EXAMPLE)),
        ("9110-5.6.7 the weekday need not be right", "Mon, 06 Nov 1994 08:49:37 GMT", Some(EXAMPLE)),
        ("9110-5.6.7 leap second", "Sat, 31 Dec 2016 23:59:60 GMT", Some(1_483_228_800)),
        ("9110-5.6.7 leap day", "Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
        ("9110-5.6.7 leap day of a century", "Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
        ("9110-5.6.7 before 1970", "Fri, 06 Nov 1903 08:49:37 GMT", Some(0)),
        ("9110-5.6.7 year 0", "Sat, 01 Jan 0000 00:00:00 GMT", Some(0)),
        ("9110-5.6.7 the last one", "Fri, 31 Dec 9999 23:59:59 GMT", Some(LAST)),
        ("9110-5.6.7 UTC", "Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("9110-5.6.7 another zone", "Sun, 06 Nov 1994 08:49:37 EST", None),
        ("9110-5.6.7 offset", "Sun, 06 Nov 1994 08:49:37 +0000", None),
        ("9110-5.6.7 no zone", "Sun, 06 Nov 1994 08:49:37", None),
        ("9110-5.6.7 asctime with a zone", "Sun Nov  6 08:49:37 1994 GMT", None),
        ("9110-5.6.7 two-digit year in IMF-fixdate", "Sun, 06 Nov 94 08:49:37 GMT", None),
        ("9110-5.6.7 four-digit year in RFC 850", "Sunday, 06-Nov-1994 08:49:37 GMT", None),
        ("9110-5.6.7 RFC 850 with a short weekday", "Sun, 06-Nov-94 08:49:37 GMT", None),
        ("9110-5.6.7 IMF-fixdate with a long weekday", "Sunday, 06 Nov 1994 08:49:37 GMT", None),
        ("9110-5.6.7 dashes", "Sun, 06-Nov-1994 08:49:37 GMT", None),
        ("9110-5.6.7 missing comma", "Sun 06 Nov 1994 08:49:37 GMT", None),
        ("9110-5.6.7 no space after the comma", "Sun,06 Nov 1994 08:49:37 GMT", None),
        ("9110-5.6.7 two spaces", "Sun, 06  Nov  1994 08:49:37 GMT", None),
        ("9110-5.6.7 hour of one digit", "Sun, 06 Nov 1994 8:49:37 GMT", None),
        ("9110-5.6.7 day of one digit", "Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("9110-5.6.7 asctime, day of one digit without its space", "Sun Nov 6 08:49:37 1994", None),
        ("9110-5.6.7 periods in the time", "Sun, 06 Nov 1994 08.49.37 GMT", None),
        ("9110-5.6.7 no seconds", "Sun, 06 Nov 1994 08:49 GMT", None),
        ("9110-5.6.7 hour 24", "Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("9110-5.6.7 minute 60", "Sun, 06 Nov 1994 08:60:00 GMT", None),
        ("9110-5.6.7 second 61", "Sun, 06 Nov 1994 08:49:61 GMT", None),
        ("9110-5.6.7 day 0", "Sun, 00 Nov 1994 08:49:37 GMT", None),
        ("9110-5.6.7 31 April", "Sun, 31 Apr 1994 08:49:37 GMT", None),
        ("9110-5.6.7 29 February of no leap year", "Thu, 29 Feb 2023 00:00:00 GMT", None),
        ("9110-5.6.7 29 February 1900", "Thu, 29 Feb 1900 00:00:00 GMT", None),
        ("9110-5.6.7 a weekday that is none", "Xyz, 06 Nov 1994 08:49:37 GMT", None),
        ("9110-5.6.7 a month that is none", "Sun, 06 Xyz 1994 08:49:37 GMT", None),
        ("9110-5.6.7 a sign", "Sun, +6 Nov 1994 08:49:37 GMT", None),
        ("9110-5.6.7 something after it", "Sun, 06 Nov 1994 08:49:37 GMT x", None),
        ("9110-5.6.7 two of them", "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("9110-5.6.7 a number", "784111777", None),
        ("9111-5.3 zero", "0", None),
        ("9110-5.6.7 nothing", "", None),
    ];
    for (says, text, expected) in rows {
        let parsed = parse(&HeaderValue::from_str(text).unwrap(), at(NOON));
        assert_eq!(parsed, expected.map(at), "{says}: {text}");
    }
}

#[test]
fn parse_gives_two_digits_the_latest_year_not_50_years_ahead() {
    let rows = [
        ("9110-5.6.7 past", NOON_DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("9110-5.6.7 future", NOON_DATE, "Sunday, 06-Nov-50 08:49:37 GMT", "Sun, 06 Nov 2050 08:49:37 GMT"),
        ("9110-5.6.7 50 years", NOON_DATE, "Sunday, 01-Jan-76 12:00:00 GMT", "Wed, 01 Jan 2076 12:00:00 GMT"),
        ("9110-5.6.7 a second more", NOON_DATE, "Sunday, 01-Jan-76 12:00:01 GMT", "Thu, 01 Jan 1976 12:00:01 GMT"),
        (
            "9110-5.6.7 the next century",
            "Sun, 01 Jan 2090 00:00:00 GMT",
            "Sunday, 01-Jan-10 00:00:00 GMT",
            "Wed, 01 Jan 2110 00:00:00 GMT",
        ),
        (
            "9110-5.6.7 the century before",
            "Tue, 01 Jan 2002 00:00:00 GMT",
            "Sunday, 01-Jan-99 00:00:00 GMT",
            "Fri, 01 Jan 1999 00:00:00 GMT",
        ),
    ];
    for (says, now, text, expected) in rows {
        let date = |text| parse(&HeaderValue::from_static(text), at(NOON)).unwrap();
        assert_eq!(parse(&HeaderValue::from_static(text), date(now)), Some(date(expected)), "{says}");
    }
}

#[test]
fn format_writes_an_imf_fixdate() {
    let rows = [
        ("9110-5.6.7 the example", EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("9110-5.6.7 the epoch", 0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("9110-5.6.7 leap day", 1_709_164_799 + DAY, "Thu, 29 Feb 2024 23:59:59 GMT"),
        ("9110-5.6.7 leap day of 400 years", 951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        ("9110-5.6.7 the day before it", 951_696_000, "Mon, 28 Feb 2000 00:00:00 GMT"),
        ("9110-5.6.7 the day after it", 951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        ("9110-5.6.7 no leap day of a century", 4_107_456_000, "Sun, 28 Feb 2100 00:00:00 GMT"),
        ("9110-5.6.7 the day after it", 4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ("9110-5.6.7 the end of a year", 1_703_980_800, "Sun, 31 Dec 2023 00:00:00 GMT"),
        ("9110-5.6.7 noon", NOON, NOON_DATE),
        ("9110-5.6.7 after the last", u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ];
    for (says, seconds, expected) in rows {
        assert_eq!(format(at(seconds)), expected, "{says}");
    }
    assert_eq!(format(Timestamp(Duration::new(NOON, 999_999_999))), NOON_DATE, "whole seconds");
}

proptest! {
    #[test]
    fn parse_reads_what_format_writes(seconds in 0..=LAST) {
        prop_assert_eq!(parse(&format(at(seconds)), at(NOON)), Some(at(seconds)));
    }

    #[test]
    fn parse_never_panics(value in any_value(), now in any_time()) {
        let _ = parse(&value, now);
        let _ = format(now);
    }

    #[test]
    fn parse_of_a_changed_date_never_panics(index in 0_usize..29, byte in 32_u8..127, now in any_time()) {
        for date in [NOON_DATE, "Thursday, 01-Jan-26 12:00:00 GMT", "Thu Jan  1 12:00:00 2026"] {
            let mut text = date.as_bytes().to_vec();
            let index = index % text.len();
            text[index] = byte;
            let _ = parse(&HeaderValue::from_bytes(&text).unwrap(), now);
        }
    }
}
