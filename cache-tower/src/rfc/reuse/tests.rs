use proptest::prelude::*;

use super::*;
use crate::rfc::fixtures::{NOON, any_headers, any_time, at, full, headers};

fn life(answer: &str, rules: &Rules) -> Life {
    Life::new(StatusCode::OK, &headers(answer), at(NOON), at(NOON), rules)
}

fn request(text: &str, rules: &Rules) -> RequestDirectives {
    RequestDirectives::of(&headers(text), rules)
}

/// `fresh 3`, `stale_while_revalidate 12`, or why the origin is asked.
fn said(reuse: Reuse) -> String {
    match reuse {
        Reuse::Fresh { age } => format!("fresh {}", age.as_secs()),
        Reuse::Stale { age, why } => format!("{} {}", why.as_str(), age.as_secs()),
        Reuse::Validate(why) => why.as_str().to_owned(),
        Reuse::Bypass => "bypass".to_owned(),
        Reuse::OnlyIfCached => "504".to_owned(),
    }
}

/// The section, the answer's `Cache-Control`, seconds since it came, the request, what becomes of it, and the same where the
/// advice of requests is not taken.
const ROWS: &[(&str, &str, u64, &str, &str, &str)] = &[
    ("9111-4.2 fresh", TEN, 3, "", "fresh 3", "fresh 3"),
    ("9111-4.2 stale", TEN, 10, "", "stale", "stale"),
    ("9111-4.2 max-age=0", "max-age=0", 0, "", "stale", "stale"),
    ("9111-4.2 nothing said", "", 0, "", "stale", "stale"),
    ("9111-5.2.2.4 no-cache", "max-age=10, no-cache", 3, "", "no_cache", "no_cache"),
    ("9111-5.2.2.4 no-cache of a field", "max-age=10, no-cache=\"a\"", 3, "", "fresh 3", "fresh 3"),
    (
        "9111-5.2.2.4 no-cache against max-stale",
        "max-age=10, no-cache",
        12,
        "Cache-Control: max-stale",
        "no_cache",
        "no_cache",
    ),
    ("9111-5.2.2.2 must-revalidate while fresh", "max-age=10, must-revalidate", 3, "", "fresh 3", "fresh 3"),
    ("9111-5.2.2.2 must-revalidate once stale", "max-age=10, must-revalidate", 12, "", "stale", "stale"),
    // Requests.
    ("9111-5.2.1.4 no-cache", TEN, 3, "Cache-Control: no-cache", "request_no_cache", "fresh 3"),
    ("9111-5.2.1.4 no-cache, stale anyway", TEN, 12, "Cache-Control: no-cache", "stale", "stale"),
    (
        "9111-5.2.1.4 no-cache against a window",
        "max-age=10, stale-while-revalidate=9",
        12,
        "Cache-Control: no-cache",
        "request_no_cache",
        "stale_while_revalidate 12",
    ),
    ("9111-5.4 Pragma", TEN, 3, "Pragma: no-cache", "request_no_cache", "fresh 3"),
    ("9111-5.4 Pragma beside Cache-Control", TEN, 3, "Pragma: no-cache | Cache-Control: x", "fresh 3", "fresh 3"),
    ("9111-5.4 another Pragma", TEN, 3, "Pragma: x", "fresh 3", "fresh 3"),
    ("9111-5.2.1.1 max-age=0", TEN, 0, "Cache-Control: max-age=0", "request_no_cache", "fresh 0"),
    ("9111-5.2.1.1 max-age, younger", TEN, 3, "Cache-Control: max-age=4", "fresh 3", "fresh 3"),
    ("9111-5.2.1.1 max-age, just as old", TEN, 3, "Cache-Control: max-age=3", "fresh 3", "fresh 3"),
    ("9111-5.2.1.1 max-age, older", TEN, 3, "Cache-Control: max-age=2", "request_max_age", "fresh 3"),
    ("9111-5.2.1.1 max-age that is no number", TEN, 3, "Cache-Control: max-age=x", "request_no_cache", "fresh 3"),
    ("9111-5.2.1.1 no number over a year", TEN, 3, "Cache-Control: max-age=99999999999", "fresh 3", "fresh 3"),
    ("9111-5.2.1.3 min-fresh, longer", TEN, 3, "Cache-Control: min-fresh=6", "fresh 3", "fresh 3"),
    ("9111-5.2.1.3 min-fresh, just as long", TEN, 3, "Cache-Control: min-fresh=7", "fresh 3", "fresh 3"),
    ("9111-5.2.1.3 min-fresh, shorter", TEN, 3, "Cache-Control: min-fresh=8", "request_min_fresh", "fresh 3"),
    (
        "9111-5.2.1.3 min-fresh against a window",
        "max-age=10, stale-while-revalidate=9",
        12,
        "Cache-Control: min-fresh=1",
        "request_min_fresh",
        "stale_while_revalidate 12",
    ),
    ("9111-5.2.1.2 max-stale", TEN, 5_000, "Cache-Control: max-stale", "max_stale 5000", "stale"),
    ("9111-5.2.1.2 max-stale, within", TEN, 15, "Cache-Control: max-stale=5", "max_stale 15", "stale"),
    ("9111-5.2.1.2 max-stale, beyond", TEN, 16, "Cache-Control: max-stale=5", "stale", "stale"),
    ("9111-5.2.1.2 max-stale that is no number", TEN, 12, "Cache-Control: max-stale=x", "stale", "stale"),
    ("9111-5.2.1.2 max-stale of a fresh one", TEN, 3, "Cache-Control: max-stale=5", "fresh 3", "fresh 3"),
    (
        "9111-5.2.2.2 must-revalidate over max-stale",
        "max-age=10, must-revalidate",
        12,
        "Cache-Control: max-stale",
        "stale",
        "stale",
    ),
    (
        "9111-5.2.2.8 proxy-revalidate over max-stale",
        "max-age=10, proxy-revalidate",
        12,
        "Cache-Control: max-stale",
        "stale",
        "stale",
    ),
    ("9111-5.2.2.10 s-maxage over max-stale", "s-maxage=10", 12, "Cache-Control: max-stale", "stale", "stale"),
    ("9111-5.2.1.1 max-age and max-stale", TEN, 12, "Cache-Control: max-age=20, max-stale=5", "max_stale 12", "stale"),
    (
        "9111-5.2.1.1 max-age limits it still",
        TEN,
        12,
        "Cache-Control: max-age=11, max-stale=5",
        "request_max_age",
        "stale",
    ),
    ("9111-5.2.1.5 no-store", TEN, 3, "Cache-Control: no-store", "bypass", "fresh 3"),
    ("9111-5.2.1.5 no-store of a stale one", TEN, 12, "Cache-Control: no-store", "bypass", "stale"),
    ("9111-5.2.1.7 only-if-cached, fresh", TEN, 3, "Cache-Control: only-if-cached", "fresh 3", "fresh 3"),
    ("9111-5.2.1.7 only-if-cached, stale", TEN, 12, "Cache-Control: only-if-cached", "504", "stale"),
    (
        "9111-5.2.1.7 only-if-cached and max-stale",
        TEN,
        12,
        "Cache-Control: only-if-cached, max-stale",
        "max_stale 12",
        "stale",
    ),
    ("9111-5.2.1.7 only-if-cached and no-cache", TEN, 3, "Cache-Control: only-if-cached, no-cache", "504", "fresh 3"),
    (
        "9111-5.2.1.7 only-if-cached, no-cache in the answer",
        "max-age=10, no-cache",
        3,
        "Cache-Control: only-if-cached",
        "504",
        "no_cache",
    ),
    // Windows.
    (
        "5861-3 within",
        "max-age=10, stale-while-revalidate=5",
        14,
        "",
        "stale_while_revalidate 14",
        "stale_while_revalidate 14",
    ),
    (
        "5861-3 from the start",
        "max-age=0, stale-while-revalidate=5",
        0,
        "",
        "stale_while_revalidate 0",
        "stale_while_revalidate 0",
    ),
    ("5861-3 beyond", "max-age=10, stale-while-revalidate=5", 15, "", "stale", "stale"),
    (
        "5861-3 before max-stale",
        "max-age=10, stale-while-revalidate=5",
        14,
        "Cache-Control: max-stale",
        "stale_while_revalidate 14",
        "stale_while_revalidate 14",
    ),
    (
        "5861-3 beyond, with max-stale",
        "max-age=10, stale-while-revalidate=5",
        15,
        "Cache-Control: max-stale",
        "max_stale 15",
        "stale",
    ),
    (
        "9111-5.2.1.1 max-age bears nothing stale",
        "max-age=10, stale-while-revalidate=5",
        14,
        "Cache-Control: max-age=20",
        "stale",
        "stale_while_revalidate 14",
    ),
    (
        "9111-4.2.4 must-revalidate over the window",
        "max-age=10, stale-while-revalidate=5, must-revalidate",
        14,
        "",
        "stale",
        "stale",
    ),
    ("5861-4 stale-if-error is for errors", "max-age=10, stale-if-error=5", 14, "", "stale", "stale"),
];

const TEN: &str = "max-age=10";

#[test]
fn reuse_is_what_answer_and_request_allow() {
    for (says, answer, later, wishes, expected, without_advice) in ROWS {
        for (rules, expected) in [(full(), expected), (Rules::default(), without_advice)] {
            let life = life(&format!("Cache-Control: {answer}"), &rules);
            let found = reuse(&life, &request(wishes, &rules), at(NOON + later), &rules);
            assert_eq!(said(found), *expected, "{says}: {wishes}, obeyed: {}", rules.obeys_requests);
        }
    }
}

#[test]
fn failures_and_silence_of_the_origin_are_stood_in_for() {
    // The section, the answer, seconds since it came, the request; whether it is served instead of a failure, instead of
    // nothing, and instead of nothing where the rules do not have it.
    let rows: &[(&str, &str, u64, &str, [bool; 3])] = &[
        ("9111-4.2.4 nothing said", "max-age=10", 12, "", [false, true, false]),
        ("9111-4.2.4 a day later", "max-age=10", 86_400, "", [false, true, false]),
        ("5861-4 within", "max-age=10, stale-if-error=5", 14, "", [true, true, true]),
        ("5861-4 beyond", "max-age=10, stale-if-error=5", 15, "", [false, true, false]),
        (
            "5861-4 fresh, asked for by the request",
            "max-age=10, stale-if-error=5",
            3,
            "Cache-Control: max-age=0",
            [true, true, true],
        ),
        ("5861-4 in the request", "max-age=10", 14, "Cache-Control: stale-if-error=5", [true, true, false]),
        ("5861-4 in the request, beyond", "max-age=10", 15, "Cache-Control: stale-if-error=5", [false, true, false]),
        (
            "5861-3 the other window is for no failure",
            "max-age=10, stale-while-revalidate=5",
            12,
            "",
            [false, true, false],
        ),
        (
            "9111-5.2.1.4 a client that insists",
            "max-age=10, stale-if-error=5",
            12,
            "Cache-Control: no-cache",
            [false, false, true],
        ),
        ("9111-5.2.1.1 still fresh", "max-age=10, must-revalidate", 3, "Cache-Control: max-age=0", [false, true, true]),
        ("9111-5.2.2.4 still fresh, no-cache", "max-age=10, no-cache", 3, "", [false; 3]),
        ("9111-5.2.1.4 still fresh, a client that insists", "s-maxage=10", 3, "Pragma: no-cache", [false, false, true]),
        ("9111-5.2.2.2 must-revalidate", "max-age=10, stale-if-error=5, must-revalidate", 12, "", [false; 3]),
        ("9111-5.2.2.8 proxy-revalidate", "max-age=10, stale-if-error=5, proxy-revalidate", 12, "", [false; 3]),
        ("9111-5.2.2.4 no-cache", "max-age=10, stale-if-error=5, no-cache", 12, "", [false; 3]),
        ("9111-5.2.2.4 no-cache of a field", "max-age=10, no-cache=a", 12, "", [false, true, false]),
        ("9111-5.2.2.10 s-maxage", "s-maxage=10, stale-if-error=5", 12, "", [false; 3]),
    ];
    for (says, answer, later, wishes, expected) in rows {
        let (rules, now) = (full(), at(NOON + later));
        let life = life(&format!("Cache-Control: {answer}"), &rules);
        let wishes = &request(wishes, &rules);
        let careful = Rules::default();
        let found = [
            instead_of_failure(&life, wishes, now, &rules),
            instead_of_nothing(&life, wishes, now, &rules),
            instead_of_nothing(&life, &RequestDirectives::default(), now, &careful),
        ];
        let age = Duration::from_secs(*later);
        assert_eq!(found, expected.map(|served| served.then_some(age)), "{says}");
    }
}

#[test]
fn failures_are_four_statuses() {
    let rows =
        [(500, true), (501, false), (502, true), (503, true), (504, true), (505, false), (404, false), (200, false)];
    for (status, failure) in rows {
        assert_eq!(is_failure(StatusCode::from_u16(status).unwrap()), failure, "5861-4 {status}");
    }
}

proptest! {
    #[test]
    fn reuse_never_panics_and_serves_no_stale_answer_that_must_be_revalidated(
        wishes in any_headers(), answer in any_headers(), received in any_time(), now in any_time(),
    ) {
        let rules = full();
        let life = Life::new(StatusCode::OK, &answer, received, received, &rules);
        let wishes = RequestDirectives::of(&wishes, &rules);
        let reuse = reuse(&life, &wishes, now, &rules);
        let directives = &life.control.directives;
        let forbidden = directives.must_revalidate || directives.no_cache.is_whole() || directives.s_maxage.is_some();
        if forbidden {
            let is_stale = matches!(reuse, Reuse::Stale { .. });
            prop_assert!(!is_stale);
            let fresh = life.remaining(now).is_some();
            prop_assert!(fresh || instead_of_nothing(&life, &wishes, now, &rules).is_none());
        }
        let is_fresh = matches!(reuse, Reuse::Fresh { .. });
        prop_assert!(!is_fresh || life.age(now) < life.lifetime.length);
    }
}
