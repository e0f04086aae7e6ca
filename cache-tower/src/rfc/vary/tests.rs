use http::HeaderValue;
use proptest::prelude::*;

use super::*;

fn of_lines(name: &str, lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    headers
}

fn spec(lines: &[&str]) -> Result<Spec, Unmatchable> {
    Spec::of(&of_lines("vary", lines), &Allowed::Any)
}

#[test]
fn spec_is_one_form_of_all_lines() {
    let many: Vec<_> = (0..=MAX_NAMES).map(|number| format!("x{number}")).collect();
    let (many, long) = (many.join(","), "x".repeat(MAX_NAME_BYTES + 1));
    let many_and_star = format!("{many}, *");
    let enough = many.rsplit_once(',').unwrap().0;
    let rows: &[(&str, &[&str], Result<&str, Unmatchable>)] = &[
        ("9110 12.5.5 none", &[], Ok("")),
        ("9110 12.5.5 one", &["Foo"], Ok("foo")),
        ("9110 12.5.5 case, order, twice", &["Foo, bar,FOO"], Ok("bar,foo")),
        ("9110 5.3 several lines", &["b", "a, c"], Ok("a,b,c")),
        ("9110 5.6.1 empty members", &[", ,a,,"], Ok("a")),
        ("9110 5.6.1 nothing in it", &[""], Ok("")),
        ("9111 4.1 star", &["*"], Err(Unmatchable::Star)),
        ("9111 4.1 star at the start", &["*, a"], Err(Unmatchable::Star)),
        ("9111 4.1 star in the middle", &["a, *, b"], Err(Unmatchable::Star)),
        ("9111 4.1 star at the end", &["a,*"], Err(Unmatchable::Star)),
        ("9111 4.1 star on the second line", &["a", "*"], Err(Unmatchable::Star)),
        ("9111 4.1 star on the first line", &["*", "a"], Err(Unmatchable::Star)),
        ("9111 4.1 star, padded", &["a,\t* ,b"], Err(Unmatchable::Star)),
        ("9111 4.1 star after what is no name", &["a b, *"], Err(Unmatchable::Star)),
        ("9111 4.1 star after too many", &[&many_and_star], Err(Unmatchable::Star)),
        ("9110 12.5.5 not a name", &["a b"], Err(Unmatchable::Malformed)),
        ("9110 12.5.5 not a name, quoted", &["\"a\""], Err(Unmatchable::Malformed)),
        ("9110 12.5.5 not a name, beyond ASCII", &["\u{e4}"], Err(Unmatchable::Malformed)),
        ("bound: names", &[&many], Err(Unmatchable::TooMany)),
        (
            "bound: as many as may be",
            &[enough, "x0", "X1"],
            Ok("x0,x1,x10,x11,x12,x13,x14,x15,x2,x3,x4,x5,x6,x7,x8,x9"),
        ),
        ("bound: a name's length", &[&long], Err(Unmatchable::TooMany)),
    ];
    for (row, lines, expected) in rows {
        assert_eq!(spec(lines).map(|spec| text(&spec)), expected.clone().map(str::to_owned), "{row}");
    }
}

#[test]
fn spec_is_held_against_the_allow_list() {
    let allowed = Allowed::Only(vec![http::header::ACCEPT_ENCODING, http::header::ACCEPT_LANGUAGE]);
    let rows = [
        ("none", "", Ok(())),
        ("one of them, in any case", "accept-ENCODING", Ok(())),
        ("both", "accept-language, accept-encoding", Ok(())),
        ("another", "accept-encoding, cookie", Err(Unmatchable::NotAllowed(http::header::COOKIE))),
        ("a star", "cookie, *", Err(Unmatchable::Star)),
    ];
    for (row, line, expected) in rows {
        assert_eq!(Spec::of(&of_lines("vary", &[line]), &allowed).map(|_| ()), expected, "{row}");
    }
}

/// Name of the field, lines of one request, lines of another, whether they are the same.
type Pair = (&'static str, &'static str, &'static [&'static str], &'static [&'static str], bool);

const PAIRS: &[Pair] = &[
    ("9111 4.1 same", "foo", &["1"], &["1"], true),
    ("9111 4.1 other", "foo", &["1"], &["2"], false),
    ("9111 4.1 absent twice", "foo", &[], &[], true),
    ("9111 4.1 absent and there", "foo", &[], &["1"], false),
    ("9111 4.1 absent and empty", "foo", &[], &[""], false),
    ("9110 12.5.3 absent and empty, which means identity", "accept-encoding", &[], &[""], false),
    ("9111 4.1 whitespace around", "foo", &["1"], &[" 1\t"], true),
    ("9111 4.1 whitespace at commas", "foo", &["1,2"], &["1 ,\t 2"], true),
    ("9111 4.1 whitespace around and at commas", "foo", &["1, 2"], &[" 1,2 "], true),
    ("9111 4.1 whitespace elsewhere", "foo", &["1 2"], &["1  2"], false),
    ("9111 4.1 whitespace or none", "foo", &["1 2"], &["12"], false),
    ("9111 4.1 whitespace in quotes", "foo", &["\"1,2\""], &["\"1, 2\""], false),
    ("9111 4.1 whitespace in quotes, after an escape", "foo", &["\"\\\"1,2\""], &["\"\\\"1, 2\""], false),
    ("9111 4.1 whitespace before a comma in quotes", "foo", &["\"1,2\""], &["\"1 ,2\""], false),
    ("9111 4.1 whitespace after quotes", "foo", &["\"1\",2"], &["\"1\" , 2"], true),
    ("9111 4.1 whitespace at the end of quotes", "foo", &["\"1 \",2"], &["\"1\",2"], false),
    ("9111 4.1 whitespace before quotes after a comma", "foo", &["1,\"2\""], &["1, \"2\""], true),
    ("9111 4.1 whitespace after a quoted comma", "foo", &["\"a,\" b"], &["\"a,\"b"], false),
    ("9110 5.3 lines joined", "foo", &["1", "2"], &["1, 2"], true),
    ("9110 5.3 order of lines", "foo", &["1", "2"], &["2", "1"], false),
    ("9111 4.1 order in a field that is not known", "foo", &["1, 2"], &["2, 1"], false),
    ("9111 4.1 case in a field that is not known", "foo", &["a"], &["A"], false),
    ("9111 4.1 empty members in a field that is not known", "foo", &["1,2"], &["1,,2"], false),
    ("9110 10.1.5 a comment's whitespace counts", "user-agent", &["x (a, b)"], &["x (a,b)"], false),
    ("9113 8.2.3 pieces of a cookie", "cookie", &["a=1", "b=2"], &["a=1; b=2"], true),
    ("9113 8.2.3 pieces are not joined by commas", "cookie", &["a=1", "b=2"], &["a=1,b=2"], false),
    ("6265 4.2 another cookie", "cookie", &["a=1"], &["a=2"], false),
    ("9110 12.5.1 whitespace at semicolons", "accept", &["a/b;q=1, c/d"], &["a/b ; q=1,c/d"], true),
    ("9110 12.5.1 order is kept", "accept", &["a/b, c/d"], &["c/d, a/b"], false),
    ("9110 12.5.1 semicolons in quotes", "accept", &["a/b;c=\"; d\""], &["a/b;c=\";d\""], false),
    ("9111 4.1 semicolons elsewhere", "foo", &["a;b"], &["a; b"], false),
    ("9110 12.5.3 case", "accept-encoding", &["gzip"], &["GZip"], true),
    ("9110 12.5.3 order", "accept-encoding", &["gzip, br"], &["br,gzip"], true),
    ("9110 12.5.3 order over lines", "accept-encoding", &["gzip", "br"], &["br, gzip"], true),
    ("9110 12.5.3 one more", "accept-encoding", &["gzip"], &["gzip, br"], false),
    ("9110 12.5.3 any is not one", "accept-encoding", &["*"], &["gzip"], false),
    ("9110 12.4.2 weight one", "accept-encoding", &["gzip"], &["gzip;q=1", "gzip ; Q=1.000"], true),
    ("9110 12.4.2 weight in other digits", "accept-encoding", &["gzip;q=0.5"], &["gzip;q=0.500"], true),
    ("9110 12.4.2 other weight", "accept-encoding", &["gzip;q=0.5"], &["gzip;q=0.05"], false),
    ("9110 12.4.2 weight nothing is no absence", "accept-encoding", &["gzip, br;q=0"], &["gzip"], false),
    ("9110 12.4.2 weight nothing", "accept-encoding", &["br;q=0"], &["br;q=0.0"], true),
    ("9110 12.4.2 no weight", "accept-encoding", &["gzip;q=2"], &["gzip"], false),
    ("9110 12.4.2 above one", "accept-encoding", &["gzip;q=1.5"], &["gzip"], false),
    ("9110 12.4.2 too many digits", "accept-encoding", &["gzip;q=0.5000"], &["gzip;q=0.5"], false),
    ("9110 12.4.2 another parameter", "accept-encoding", &["gzip;p=1"], &["gzip"], false),
    ("9110 12.4.2 a weight of nothing", "accept-encoding", &[";q=0.5"], &[";q=0.50"], false),
    ("9110 12.4.2 weights of others", "accept-encoding", &["a;q=0.1,b"], &["a,b;q=0.1"], false),
    ("9110 12.5.3 twice, differently: order counts", "accept-encoding", &["a;q=0.1,a"], &["a,a;q=0.1"], false),
    ("9110 12.5.3 twice, alike", "accept-encoding", &["a,a"], &["a"], true),
    ("9110 12.5.3 malformed: whitespace only", "accept-encoding", &["a b,c"], &["a b , c"], true),
    ("9110 12.5.3 malformed: order counts", "accept-encoding", &["a b,c"], &["c,a b"], false),
    ("9110 12.5.4 case", "accept-language", &["en-GB"], &["EN-gb"], true),
    ("9110 12.5.4 order of equal weights", "accept-language", &["en, de"], &["de,en"], false),
    ("9110 12.5.4 case and spaces", "accept-language", &["en, de"], &["EN,de"], true),
    ("9110 12.5.4 order with weights", "accept-language", &["en;q=0.8, de"], &["de, en;q=0.8"], true),
    ("9110 12.5.4 weights swapped", "accept-language", &["en;q=0.8, de"], &["en, de;q=0.8"], false),
    ("9110 12.5.4 a range is not its prefix", "accept-language", &["en"], &["en-GB"], false),
    ("9110 12.5.4 another", "accept-language", &["en"], &["de"], false),
    ("9111 4.1 value of another field", "foo", &["1"], &[], false),
];

#[test]
fn requests_are_the_same_or_not() {
    for (row, name, one, other, expected) in PAIRS {
        let spec = spec(&[name]).unwrap();
        let one = Selecting::of(&spec, &of_lines(name, one)).unwrap();
        let other = Selecting::of(&spec, &of_lines(name, other)).unwrap();
        assert_eq!(one == other, *expected, "{row}: {one:?}, {other:?}");
        assert_eq!(one.to_bytes() == other.to_bytes(), *expected, "bytes: {row}");
    }
}

#[test]
fn fields_that_are_not_named_do_not_select() {
    let (mut one, other) = (of_lines("foo", &["1"]), of_lines("foo", &["1"]));
    one.insert("bar", HeaderValue::from_static("2"));
    let selecting = |lines, request| Selecting::of(&spec(lines).unwrap(), request).unwrap();
    assert_eq!(selecting(&["foo"], &one), selecting(&["foo"], &other));
    assert_ne!(selecting(&["foo, bar"], &one), selecting(&["foo, bar"], &other));
    assert_eq!(selecting(&["foo, bar"], &one), selecting(&["BAR", "foo"], &one));
}

#[test]
fn the_stored_form_is_for_ever() {
    let request = of_lines("accept-language", &["de, EN;q=0.5"]);
    let selecting = Selecting::of(&spec(&["foo, Accept-Language"]).unwrap(), &request).unwrap();
    let expected = b"\x01\x00\x00\x00\x0faccept-language\x01\x00\x00\x00\x0dde,en;q=0.500\x00\x00\x00\x03foo\x00";
    assert_eq!(selecting.to_bytes(), expected);
}

fn text(spec: &Spec) -> String {
    spec.names.iter().map(|name| name.0.as_str()).collect::<Vec<_>>().join(",")
}

#[test]
fn a_request_that_says_too_much_is_not_answered_from_the_store() {
    let spec = spec(&["foo, bar"]).unwrap();
    let half = "x".repeat(MAX_VALUE_BYTES / 2 - 1);
    let (mut request, rest) = (of_lines("foo", &[&half]), HeaderValue::from_str(&half).unwrap());
    request.insert("bar", rest.clone());
    assert!(Selecting::of(&spec, &request).is_some());
    request.append("bar", HeaderValue::from_static(""));
    assert!(Selecting::of(&spec, &request).is_none());
    request.remove("bar");
    request.append("other", rest);
    assert!(Selecting::of(&spec, &request).is_some());
}

proptest! {
    #[test]
    fn any_bytes_are_taken(
        vary in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..4),
        lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6),
    ) {
        let mut headers = HeaderMap::new();
        for line in vary.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
            headers.append(VARY, line);
        }
        let _ = Spec::of(&headers, &Allowed::Any);
        for name in ["accept", "accept-encoding", "accept-language", "cookie", "foo"] {
            let mut request = HeaderMap::new();
            for line in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
                request.append(HeaderName::from_static(name), line);
            }
            let selecting = Selecting::of(&spec(&[name]).unwrap(), &request).unwrap();
            // The one form of what is in the one form is itself.
            if let Some(value) = &selecting.values[0].1 {
                let mut again = HeaderMap::new();
                again.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
                prop_assert_eq!(Selecting::of(&spec(&[name]).unwrap(), &again).unwrap(), selecting);
            }
        }
    }

    /// Whitespace that may be anywhere outside of quotes changes nothing, and what is left tells everything else apart.
    #[test]
    fn whitespace_at_commas_never_selects(members in proptest::collection::vec("[a-z]{0,3}(\"[a-z, \\\\\\\\]{0,4}\")?", 1..6)) {
        let spec = spec(&["foo"]).unwrap();
        let (tight, loose) = (members.join(","), members.join(" ,\t"));
        let one = Selecting::of(&spec, &of_lines("foo", &[&tight])).unwrap();
        let other = Selecting::of(&spec, &of_lines("foo", &[&loose])).unwrap();
        let escapes = tight.contains('\\');
        prop_assert!(escapes || one == other);
    }
}
