use proptest::prelude::*;

use super::*;
use crate::rfc::fixtures::{any_headers, any_value, full, headers, secs};

/// What a row expects, in short: `max_age=5 no_store private=[a,b]`.
fn short(all: &Directives) -> String {
    let number = |name: &str, value: Option<Duration>| value.map(|value| format!("{name}={}", value.as_secs()));
    let extent = |name: &str, value: &Extent| match value {
        Extent::Nothing => None,
        Extent::Fields(names) => {
            Some(format!("{name}=[{}]", names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(",")))
        }
        Extent::Whole => Some(name.to_owned()),
    };
    let flag = |name: &str, value: bool| value.then(|| name.to_owned());
    let words = [
        number("max_age", all.max_age),
        number("s_maxage", all.s_maxage),
        number("swr", all.stale_while_revalidate),
        number("sie", all.stale_if_error),
        extent("no_cache", &all.no_cache),
        extent("private", &all.private),
        flag("no_store", all.no_store),
        flag("public", all.public),
        flag("must_revalidate", all.must_revalidate),
        flag("proxy_revalidate", all.proxy_revalidate),
        flag("must_understand", all.must_understand),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// The section, the lines (` | ` between two), and what is read.
const ROWS: &[(&str, &str, &str)] = &[
    ("9111-5.2 nothing", "", ""),
    ("9111-5.2 one", "max-age=3600", "max_age=3600"),
    ("9111-5.2 names in any case", "MaX-aGe=3600, No-StOrE, PUBLIC", "max_age=3600 no_store public"),
    ("9111-5.2 field lines joined", "max-age=3600 | s-maxage=1", "max_age=3600 s_maxage=1"),
    (
        "9111-5.2 all of them",
        "max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4, no-cache, private, no-store, public, \
         must-revalidate, proxy-revalidate, must-understand",
        "max_age=1 s_maxage=2 swr=3 sie=4 no_cache private no_store public must_revalidate proxy_revalidate \
         must_understand",
    ),
    ("9111-5.2.3 unknown ones are ignored", "foobar, max-age=3600, x=\"y\"", "max_age=3600"),
    ("9111-5.2.3 a longer name is another", "no-storex, xno-store, max-ages=5", ""),
    ("9111-5.2.1 those of requests are ignored", "max-stale=5, min-fresh=5, only-if-cached", ""),
    ("9110-5.6.1 empty members", ", ,max-age=3600,, ,", "max_age=3600"),
    ("9110-5.6.1 no spaces, tabs", "max-age=1,public,\tno-store\t", "max_age=1 no_store public"),
    ("9111-5.2 quoted number", "max-age=\"3600\"", "max_age=3600"),
    ("9110-5.6.4 quoted pair", "max-age=\"3\\600\"", "max_age=3600"),
    ("9111-1.2.2 zero", "max-age=0", "max_age=0"),
    ("9111-1.2.2 leading zeros", "max-age=003600", "max_age=3600"),
    ("9111-1.2.2 2^31", "max-age=2147483648", "max_age=2147483648"),
    ("9111-1.2.2 more than that", "max-age=99999999999", "max_age=2147483648"),
    ("9111-1.2.2 20 digits", "max-age=99999999999999999999", "max_age=2147483648"),
    ("9111-4.2.1 negative is stale", "max-age=-3600", "max_age=0"),
    ("9111-4.2.1 sign is stale", "max-age=+3600", "max_age=0"),
    ("9111-4.2.1 single quotes are stale", "max-age='3600'", "max_age=0"),
    ("9111-4.2.1 letter before is stale", "max-age=a3600", "max_age=0"),
    ("9111-4.2.1 letter behind is stale", "max-age=3600a", "max_age=0"),
    ("9111-4.2.1 decimal is stale", "max-age=3600.0", "max_age=0"),
    ("9111-4.2.1 space before = is stale", "max-age =3600", "max_age=0"),
    ("9111-4.2.1 space after = is stale", "max-age= 3600", "max_age=0"),
    ("9111-4.2.1 quoted space is stale", "max-age=\" 3600\"", "max_age=0"),
    ("9111-4.2.1 no argument is stale", "max-age", "max_age=0"),
    ("9111-4.2.1 empty argument is stale", "max-age=", "max_age=0"),
    ("9111-4.2.1 empty quotes are stale", "max-age=\"\"", "max_age=0"),
    ("9111-4.2.1 open quote is stale", "max-age=\"3600", "max_age=0"),
    ("9111-4.2.1 junk behind quotes is stale", "max-age=\"3600\"0", "max_age=0"),
    ("9111-4.2.1 semicolon is stale", "max-age=3600;x", "max_age=0"),
    ("9111-4.2.1 s-maxage that is no number", "s-maxage=x, max-age=5", "max_age=5 s_maxage=0"),
    ("9111-4.2.1 two, the first smaller", "max-age=1, max-age=1800", "max_age=1"),
    ("9111-4.2.1 two, the second smaller", "max-age=1800, max-age=1", "max_age=1"),
    ("9111-4.2.1 two lines, the first smaller", "max-age=1 | max-age=1800", "max_age=1"),
    ("9111-4.2.1 two lines, the second smaller", "max-age=1800 | max-age=1", "max_age=1"),
    ("9111-4.2.1 two, one is no number", "max-age=1800, max-age=x", "max_age=0"),
    ("9111-5.2 inside another's quotes, before", "extension=\"max-age=3600\", max-age=1", "max_age=1"),
    ("9111-5.2 inside another's quotes, behind", "max-age=1, extension=\"max-age=3600\"", "max_age=1"),
    ("9111-5.2 inside quotes behind a comma", "ext=\"a, max-age=3600, no-store\", public", "public"),
    ("9111-5.2 inside quotes behind an escaped quote", "ext=\"a\\\", no-store, b\"", ""),
    ("9111-5.2 inside quotes that are no argument", "\"x, no-store\", x\"y, no-store\", public", "public"),
    ("9111-5.2 inside quotes behind a space", "ext =\"x, no-store\", public", "public"),
    ("9111-5.2 an open quote hides nothing", "ext=\"x, no-store, max-age=5", "max_age=5 no_store"),
    ("9111-5.2 an open quote with escapes hides nothing", "ext=\"\\\"\\\", no-store", "no_store"),
    ("9111-5.2 an open quote ends with its line", "ext=\" | no-store | b=\"", "no_store"),
    ("9111-5.2 junk hides nothing", "@@@, =, ==5, ;;, no-store", "no_store"),
    ("9111-5.2 other bytes hide nothing", "gr\u{fc}n, \u{fc}=5, no-store", "no_store"),
    ("9111-5.2.2.5 no-store with an argument", "no-store=x", "no_store"),
    ("9111-5.2.2.5 no-store with junk", "no-store;x", "no_store"),
    ("9111-5.2.2.9 public with an argument permits nothing", "public=x", ""),
    ("9111-5.2.2.9 public with junk permits nothing", "public x", ""),
    ("9111-5.2.2.3 must-understand with an argument permits nothing", "must-understand=\"200\"", ""),
    ("9111-5.2.2.4 no-cache of one field", "no-cache=\"a\"", "no_cache=[a]"),
    ("9111-5.2.2.4 of two, in any case", "no-cache=\"A, Set-Cookie\"", "no_cache=[a,set-cookie]"),
    ("9111-5.2.2.4 as a token", "no-cache=a", "no_cache=[a]"),
    ("9111-5.2.2.4 lists are joined", "no-cache=\"a\", no-cache=\"b\" | no-cache=c", "no_cache=[a,b,c]"),
    ("9111-5.2.2.4 one without a list, behind", "no-cache=\"a\", no-cache", "no_cache"),
    ("9111-5.2.2.4 one without a list, before", "no-cache, no-cache=\"a\"", "no_cache"),
    ("9111-5.2.2.4 empty list", "no-cache=\"\"", "no_cache"),
    ("9111-5.2.2.4 list of commas", "no-cache=\" , ,\"", "no_cache"),
    ("9111-5.2.2.4 empty list behind another", "no-cache=\"a\", no-cache=\"\"", "no_cache"),
    ("9111-5.2.2.4 a name that is none", "no-cache=\"a, b c\"", "no_cache"),
    ("9111-5.2.2.4 open quote", "no-cache=\"a, b", "no_cache"),
    ("9111-5.2.2.4 junk behind quotes", "no-cache=\"a\"b", "no_cache"),
    ("9111-5.2.2.4 no token", "no-cache=a;b", "no_cache"),
    ("9111-5.2.2.4 nothing behind =", "no-cache=", "no_cache"),
    ("9111-5.2.2.9 nothing behind =", "public=", ""),
    ("9111-5.2.2.7 private of one field", "private=\"set-cookie\"", "private=[set-cookie]"),
    ("9111-5.2.2.7 both", "private=\"a\", no-cache=\"b\"", "no_cache=[b] private=[a]"),
    ("9111-5.2.2.7 a field that the rest needs", "private=\"a, Vary\"", "private"),
    ("9111-5.2.2.7 private with junk", "private\"a\"", "private"),
    ("5861-3 stale-while-revalidate", "stale-while-revalidate=\"60\"", "swr=60"),
    ("5861-3 one that is no number is no window", "stale-while-revalidate=x", "swr=0"),
    ("5861-4 stale-if-error without a number", "stale-if-error", "sie=0"),
    ("5861-4 several, the smallest", "stale-if-error=9, stale-if-error=5", "sie=5"),
];

fn lines(text: &str) -> HeaderMap {
    let lines = text.split(" | ").filter(|line| !line.is_empty());
    let mut map = HeaderMap::new();
    for line in lines {
        map.append(CACHE_CONTROL, http::HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    map
}

#[test]
fn directives_of_answers() {
    for (says, text, expected) in ROWS {
        assert_eq!(short(&Directives::of(&lines(text))), *expected, "{says}: {text}");
    }
}

#[test]
fn a_list_of_very_many_fields_is_of_the_whole_answer() {
    for (count, whole) in [(LISTED_MAX, false), (LISTED_MAX + 1, true)] {
        let list: Vec<String> = (0..count).map(|n| format!("x{n}")).collect();
        let all = Directives::of(&lines(&format!("private=\"{}\"", list.join(","))));
        assert_eq!(all.private.is_whole(), whole, "{count} fields");
    }
}

#[test]
fn a_long_line_of_open_quotes_is_read_once() {
    // Each quote looks like the beginning of a string that is never closed. Looking for each one's end takes minutes.
    let line = "x=".to_owned() + &"\"\\".repeat(500_000) + ",no-store";
    assert!(Directives::of(&lines(&line)).no_store);
}

#[test]
fn directives_of_requests() {
    let any = Duration::MAX;
    type Expected = RequestDirectives;
    let none = Expected::default;
    let rows: &[(&str, &str, Expected)] = &[
        ("9111-5.2.1 nothing", "", none()),
        ("9111-5.2.1.1 max-age", "Cache-Control: max-age=5", Expected { max_age: Some(secs(5)), ..none() }),
        (
            "9111-5.2.1.1 the smallest",
            "Cache-Control: max-age=5, max-age=3",
            Expected { max_age: Some(secs(3)), ..none() },
        ),
        ("9111-5.2.1.1 no number", "Cache-Control: max-age=x", Expected { max_age: Some(secs(0)), ..none() }),
        (
            "9111-5.2.1.2 max-stale of any length",
            "Cache-Control: max-stale",
            Expected { max_stale: Some(any), ..none() },
        ),
        ("9111-5.2.1.2 max-stale", "Cache-Control: Max-Stale=\"5\"", Expected { max_stale: Some(secs(5)), ..none() }),
        ("9111-5.2.1.2 both", "Cache-Control: max-stale, max-stale=5", Expected { max_stale: Some(secs(5)), ..none() }),
        (
            "9111-5.2.1.2 no number permits nothing",
            "Cache-Control: max-stale=x",
            Expected { max_stale: Some(secs(0)), ..none() },
        ),
        (
            "9111-5.2.1.3 the largest min-fresh",
            "Cache-Control: min-fresh=5, min-fresh=7",
            Expected { min_fresh: Some(secs(7)), ..none() },
        ),
        ("9111-5.2.1.3 no number", "Cache-Control: min-fresh", Expected { min_fresh: Some(SECONDS_MAX), ..none() }),
        (
            "9111-5.2.1.3 empty is no number",
            "Cache-Control: min-fresh=\"\"",
            Expected { min_fresh: Some(SECONDS_MAX), ..none() },
        ),
        (
            "9111-5.2.1 flags",
            "Cache-Control: no-cache, No-Store | Cache-Control: only-if-cached",
            Expected { no_cache: true, no_store: true, only_if_cached: true, ..none() },
        ),
        (
            "5861-4 stale-if-error",
            "Cache-Control: stale-if-error=5",
            Expected { stale_if_error: Some(secs(5)), ..none() },
        ),
        ("9111-5.4 Pragma", "Pragma: x, No-Cache", Expected { no_cache: true, ..none() }),
        ("9111-5.4 Pragma that says something else", "Pragma: no-cache=x, y", none()),
        ("9111-5.4 Pragma beside Cache-Control", "Pragma: no-cache | Cache-Control: x", none()),
        ("9111-5.2.2 those of answers", "Cache-Control: private, s-maxage=5, must-revalidate", none()),
    ];
    for (says, text, expected) in rows {
        assert_eq!(RequestDirectives::of(&headers(text), &full()), *expected, "{says}: {text}");
        let advice = RequestDirectives::of(&headers(text), &Rules::default());
        assert_eq!(advice, none(), "9111-5.2.1 advice that is not taken: {text}");
    }
}

proptest! {
    #[test]
    fn directives_never_panic_and_know_no_order(map in any_headers()) {
        let _ = RequestDirectives::of(&map, &full());
        let all = Directives::of(&map);
        let mut reversed = HeaderMap::new();
        for line in map.get_all(CACHE_CONTROL).into_iter().rev() {
            reversed.append(CACHE_CONTROL, line.clone());
        }
        let reversed = Directives::of(&reversed);
        prop_assert_eq!((all.max_age, all.no_store, all.public), (reversed.max_age, reversed.no_store, reversed.public));
        prop_assert_eq!(all.private.is_whole(), reversed.private.is_whole());
    }

    #[test]
    fn no_line_hides_no_store_of_another_nor_before_it(value in any_value()) {
        let mut map = HeaderMap::new();
        map.append(CACHE_CONTROL, value.clone());
        map.append(CACHE_CONTROL, "no-store".parse().unwrap());
        prop_assert!(Directives::of(&map).no_store);
        let line = [b"no-store,", value.as_bytes()].concat();
        map.insert(CACHE_CONTROL, http::HeaderValue::from_bytes(&line).unwrap());
        prop_assert!(Directives::of(&map).no_store);
    }
}
