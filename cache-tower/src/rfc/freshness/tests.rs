use proptest::prelude::*;

use super::*;
use crate::rfc::fixtures::{NOON, any_headers, any_time, at, full, headers, secs};

const DAY: &str = "Date: Thu, 01 Jan 2026 12:00:00 GMT";

fn life(text: &str, rules: &Rules) -> Life {
    Life::new(StatusCode::OK, &headers(text), at(NOON), at(NOON), rules)
}

#[test]
fn lifetime_takes_the_strongest_statement() {
    use Basis::{Expires, MaxAge, Nothing, SMaxage};
    let hour = "Expires: Thu, 01 Jan 2026 13:00:00 GMT";
    let rows: &[(&str, String, Basis, u64)] = &[
        ("9111-4.2.1 nothing", String::new(), Nothing, 0),
        ("9111-4.2.1 max-age", "Cache-Control: max-age=5".into(), MaxAge, 5),
        ("9111-4.2.1 s-maxage over a longer max-age", "Cache-Control: max-age=9, s-maxage=5".into(), SMaxage, 5),
        ("9111-4.2.1 s-maxage over a shorter max-age", "Cache-Control: s-maxage=5, max-age=1".into(), SMaxage, 5),
        ("9111-4.2.1 on lines of their own", "Cache-Control: max-age=9 | Cache-Control: s-maxage=5".into(), SMaxage, 5),
        ("9111-4.2.1 Expires", format!("{hour} | {DAY}"), Expires, 3_600),
        ("9111-5.3 max-age over Expires", format!("{hour} | {DAY} | Cache-Control: max-age=5"), MaxAge, 5),
        (
            "9111-5.3 max-age over a past Expires",
            "Expires: Thu, 01 Jan 2026 11:00:00 GMT | Cache-Control: max-age=5".into(),
            MaxAge,
            5,
        ),
        ("9111-5.3 max-age over an invalid Expires", "Expires: 0 | Cache-Control: max-age=5".into(), MaxAge, 5),
        ("9111-5.3 max-age=0 over a future Expires", format!("{hour} | Cache-Control: max-age=0"), MaxAge, 0),
        ("9111-5.3 s-maxage over Expires", format!("{hour} | Cache-Control: s-maxage=5"), SMaxage, 5),
        (
            "9111-4.2.1 invalid max-age is stale, whatever Expires says",
            format!("{hour} | Cache-Control: max-age=x"),
            MaxAge,
            0,
        ),
        ("9111-5.3 past", format!("Expires: Thu, 01 Jan 2026 11:00:00 GMT | {DAY}"), Expires, 0),
        ("9111-5.3 present", format!("Expires: Thu, 01 Jan 2026 12:00:00 GMT | {DAY}"), Expires, 0),
        ("9111-5.3 zero has passed", format!("Expires: 0 | {DAY}"), Expires, 0),
        ("9111-5.3 UTC has passed", format!("Expires: Thu, 01 Jan 2026 13:00:00 UTC | {DAY}"), Expires, 0),
        ("9111-5.3 empty has passed", format!("Expires: | {DAY}"), Expires, 0),
        ("9111-4.2.1 twice has passed", format!("{hour} | {hour} | {DAY}"), Expires, 0),
        (
            "9111-5.3 before a Date that is fast",
            "Expires: Thu, 01 Jan 2026 12:05:00 GMT | Date: Thu, 01 Jan 2026 12:06:40 GMT".into(),
            Expires,
            0,
        ),
        ("9111-4.2.1 counted from Date", format!("{hour} | Date: Thu, 01 Jan 2026 11:00:00 GMT"), Expires, 7_200),
        ("9110-6.6.1 without Date, from when it came", hour.into(), Expires, 3_600),
        ("9110-6.6.1 with an invalid Date, from when it came", format!("{hour} | Date: foo"), Expires, 3_600),
        ("9110-5.6.7 in the format of RFC 850", "Expires: Thursday, 01-Jan-26 13:00:00 GMT".into(), Expires, 3_600),
        ("9110-5.6.7 in that of asctime", "Expires: Thu Jan  1 13:00:00 2026".into(), Expires, 3_600),
        ("9111-1.2.2 too far away", "Expires: Fri, 31 Dec 9999 23:59:59 GMT".into(), Expires, 1 << 31),
        ("9213-2.2 no Expires beside a targeted field", format!("{hour} | CDN-Cache-Control: foo"), Nothing, 0),
        ("9213-2.2 Expires beside one that is ignored", format!("{hour} | CDN-Cache-Control: &"), Expires, 3_600),
        ("9213-2.2 targeted", format!("{hour} | CDN-Cache-Control: max-age=5"), MaxAge, 5),
        ("edge-2 no Expires beside Surrogate-Control", format!("{hour} | Surrogate-Control: max-age=5"), MaxAge, 5),
    ];
    for (says, text, basis, length) in rows {
        let found = life(text, &full()).lifetime;
        assert_eq!(found, Lifetime { length: secs(*length), basis: *basis }, "{says}: {text}");
        assert_eq!(found.is_explicit(), *basis != Nothing, "{says}");
    }
}

#[test]
fn lifetime_is_a_guess_where_the_status_or_public_allows_it() {
    use Basis::{Default, Expires, Heuristic, Nothing};
    // An hour before, a day before and a month before noon.
    let hour = "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT";
    let month = "Last-Modified: Mon, 01 Dec 2025 12:00:00 GMT";
    let with = |heuristic, default_ttl| Rules { heuristic, default_ttl, ..Rules::default() };
    let (guess, ttl, both, none) =
        (with(true, None), with(false, Some(secs(7))), with(true, Some(secs(7))), with(false, None));
    let public = format!("{hour} | Cache-Control: public");
    let rows: &[(&str, u16, &str, &Rules, Basis, u64)] = &[
        ("9111-4.2.2 a tenth", 200, hour, &guess, Heuristic, 360),
        ("9111-4.2.2 with a cap", 200, month, &guess, Heuristic, 86_400),
        (
            "9111-4.2.2 from Date",
            200,
            "Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT | Date: Thu, 01 Jan 2026 11:10:00 GMT",
            &guess,
            Heuristic,
            60,
        ),
        (
            "9111-4.2.2 modified in the future",
            200,
            "Last-Modified: Thu, 01 Jan 2026 13:00:00 GMT",
            &guess,
            Heuristic,
            0,
        ),
        ("9111-4.2.2 an invalid one", 200, "Last-Modified: yesterday", &guess, Nothing, 0),
        ("9111-4.2.2 none", 200, "", &guess, Nothing, 0),
        ("9111-4.2.2 not asked for", 200, hour, &none, Nothing, 0),
        (
            "9111-4.2.2 never beside an explicit one",
            200,
            "Expires: 0 | Last-Modified: Thu, 01 Jan 2026 11:00:00 GMT",
            &both,
            Expires,
            0,
        ),
        ("9110-15.1 203", 203, hour, &guess, Heuristic, 360),
        ("9110-15.1 204", 204, hour, &guess, Heuristic, 360),
        ("9110-15.1 206", 206, hour, &guess, Heuristic, 360),
        ("9110-15.1 300", 300, hour, &guess, Heuristic, 360),
        ("9110-15.1 301", 301, hour, &guess, Heuristic, 360),
        ("9110-15.1 308", 308, hour, &guess, Heuristic, 360),
        ("9110-15.1 404", 404, hour, &guess, Heuristic, 360),
        ("9110-15.1 405", 405, hour, &guess, Heuristic, 360),
        ("9110-15.1 410", 410, hour, &guess, Heuristic, 360),
        ("9110-15.1 414", 414, hour, &guess, Heuristic, 360),
        ("9110-15.1 501", 501, hour, &guess, Heuristic, 360),
        ("9110-15.1 201 is none of them", 201, hour, &guess, Nothing, 0),
        ("9110-15.1 202 is none of them", 202, hour, &guess, Nothing, 0),
        ("9110-15.1 302 is none of them", 302, hour, &guess, Nothing, 0),
        ("9110-15.1 403 is none of them", 403, hour, &guess, Nothing, 0),
        ("9110-15.1 502 is none of them", 502, hour, &guess, Nothing, 0),
        ("9110-15.1 503 is none of them", 503, hour, &guess, Nothing, 0),
        ("9110-15.1 599 is none of them", 599, hour, &guess, Nothing, 0),
        ("9111-4.2.2 599 with public", 599, &public, &guess, Heuristic, 360),
        ("house the default", 200, "", &ttl, Default, 7),
        ("house the default, instead of a guess", 200, hour, &ttl, Default, 7),
        ("house the default, where no guess can be made", 200, "", &both, Default, 7),
        ("house the default, not for other statuses", 500, "", &ttl, Nothing, 0),
    ];
    for (says, status, text, rules, basis, length) in rows {
        let status = StatusCode::from_u16(*status).unwrap();
        let found = Life::new(status, &headers(text), at(NOON), at(NOON), rules).lifetime;
        assert_eq!(found, Lifetime { length: secs(*length), basis: *basis }, "{says}: {text}");
        assert_eq!(found.is_explicit(), *basis == Expires, "{says}");
    }
}

#[test]
fn initial_age_is_the_oldest_that_can_be_known() {
    let rows: &[(&str, &str, u64, u64)] = &[
        ("9111-4.2.3 nothing", "", 0, 0),
        ("9111-4.2.3 Age", "Age: 30", 0, 30),
        ("9111-4.2.3 Age and the delay", "Age: 30", 4, 34),
        ("9111-4.2.3 the delay alone", "", 4, 4),
        ("9111-4.2.3 Date that is slow", "Date: Thu, 01 Jan 2026 11:59:50 GMT", 0, 10),
        ("9111-4.2.3 Date and the delay are not added", "Date: Thu, 01 Jan 2026 11:59:50 GMT", 4, 10),
        ("9111-4.2.3 Age over a newer Date", "Date: Thu, 01 Jan 2026 11:59:50 GMT | Age: 25", 0, 25),
        ("9111-4.2.3 an older Date over Age", "Date: Thu, 01 Jan 2026 11:59:50 GMT | Age: 5", 0, 10),
        ("9111-4.2.3 Date in the future", "Date: Thu, 01 Jan 2026 13:00:00 GMT", 0, 0),
        ("9111-4.2.3 invalid Date", "Date: foo", 0, 0),
        ("9111-5.1 not a number", "Age: abc", 0, 0),
        ("9111-5.1 negative", "Age: -7200", 0, 0),
        ("9111-5.1 decimal", "Age: 7200.0", 0, 0),
        ("9111-5.1 the first member: old", "Age: 7200, 0", 0, 7_200),
        ("9111-5.1 the first member: new", "Age: 0, 7200", 0, 0),
        ("9111-5.1 spaces around it", "Age: 7200 , 0", 0, 7_200),
        ("9111-5.1 the first line: old", "Age: 7200 | Age: 0", 0, 7_200),
        ("9111-5.1 the first line: new", "Age: 0 | Age: 7200", 0, 0),
        ("9111-5.1 the first member is empty", "Age: , 7200", 0, 0),
        ("9111-5.1 the first member is no number", "Age: x, 7200", 0, 0),
        ("9111-1.2.2 too large", "Age: 99999999999999999999", 0, 1 << 31),
    ];
    for (says, text, delay, expected) in rows {
        let age = initial_age(&headers(text), at(NOON - delay), at(NOON));
        assert_eq!(age, secs(*expected), "{says}: {text}");
    }
}

#[test]
fn age_is_cut_to_seconds_only_once() {
    let part = |millis| Timestamp(Duration::from_millis(NOON * 1_000 + millis));
    let received = part(900);
    let of = |text: &str, requested| Life::new(StatusCode::OK, &headers(text), requested, received, &full());
    let fresh = of(&format!("{DAY} | Cache-Control: max-age=1"), received);
    assert_eq!(fresh.initial_age, Duration::ZERO, "the part of a second that Date has not is no age");
    assert!(fresh.remaining(part(1_800)).is_some() && fresh.remaining(part(1_900)).is_none());

    let slow = of(&format!("{DAY} | Age: 2"), part(300));
    assert_eq!(slow.initial_age, Duration::from_millis(2_600), "9111-4.2.3 the delay in full");
    assert_eq!(age_seconds(slow.age(part(900 + 400))), 3, "neither part is dropped before they are added");

    let plain = of(DAY, received);
    assert_eq!(age_seconds(plain.age(part(900 + 3_000))), 3, "after three seconds it is 3");
    assert_eq!(age_seconds(plain.age(part(0))), 0, "a clock that stepped back");
}

#[test]
fn a_life_ends_when_its_age_is_its_lifetime() {
    type Row = (&'static str, &'static str, u64, Option<u64>, u64, i64);
    let rows: &[Row] = &[
        ("9111-4.2 fresh", "Cache-Control: max-age=10", 3, Some(7), 0, 7),
        ("9111-4.2 the last second", "Cache-Control: max-age=10", 9, Some(1), 0, 1),
        ("9111-4.2 equal is stale", "Cache-Control: max-age=10", 10, None, 0, 0),
        ("9111-4.2 stale", "Cache-Control: max-age=10", 12, None, 2, -2),
        ("9111-4.2 max-age=0 at once", "Cache-Control: max-age=0", 0, None, 0, 0),
        ("9111-4.2 Age beyond it", "Cache-Control: max-age=3600 | Age: 7200", 0, None, 3_600, -3_600),
        ("9111-4.2 Age and resident time", "Cache-Control: max-age=10 | Age: 4", 5, Some(1), 0, 1),
        (
            "9111-4.2 Age beyond Expires − Date, Date slow",
            "Date: Thu, 01 Jan 2026 11:59:50 GMT | Expires: Thu, 01 Jan 2026 12:00:10 GMT | Age: 25",
            0,
            None,
            5,
            -5,
        ),
        (
            "9111-4.2 Age beyond Expires − Date, Date fast",
            "Date: Thu, 01 Jan 2026 12:00:10 GMT | Expires: Thu, 01 Jan 2026 12:00:20 GMT | Age: 15",
            0,
            None,
            5,
            -5,
        ),
        (
            "9111-1.2.2 the largest of both is stale",
            "Cache-Control: max-age=99999999999 | Age: 99999999999",
            0,
            None,
            0,
            0,
        ),
        ("9111-4.2 nothing said", "", 0, None, 0, 0),
    ];
    for (says, text, later, remaining, staleness, ttl) in rows {
        let (life, now) = (life(text, &full()), at(NOON + later));
        assert_eq!(life.remaining(now), remaining.map(secs), "{says}");
        assert_eq!((life.staleness(now), life.ttl(now)), (secs(*staleness), *ttl), "{says}");
    }
}

#[test]
fn windows_are_open_until_their_end_and_where_nothing_forbids_it() {
    let cdn = Rules { stale_beside_s_maxage: true, ..full() };
    // What stands beside `max-age=10`, seconds since, whether the windows of revalidation and of errors are open, the same
    // under the rules of a CDN.
    type Row = (&'static str, &'static str, u64, [bool; 2], [bool; 2]);
    let rows: &[Row] = &[
        ("5861-3 none", "max-age=10", 12, [false; 2], [false; 2]),
        ("5861-3 inside", "max-age=10, stale-while-revalidate=5", 14, [true, false], [true, false]),
        ("5861-3 at its end", "max-age=10, stale-while-revalidate=5", 15, [false; 2], [false; 2]),
        ("5861-3 of no length", "max-age=10, stale-while-revalidate=0", 10, [false; 2], [false; 2]),
        ("5861-3 no number", "max-age=10, stale-while-revalidate=x", 10, [false; 2], [false; 2]),
        ("5861-4 inside", "max-age=10, stale-if-error=5", 14, [false, true], [false, true]),
        ("5861-4 at its end", "max-age=10, stale-if-error=5", 15, [false; 2], [false; 2]),
        (
            "9111-5.2.2.2 must-revalidate",
            "max-age=10, stale-while-revalidate=5, stale-if-error=5, must-revalidate",
            12,
            [false; 2],
            [false; 2],
        ),
        (
            "9111-5.2.2.8 proxy-revalidate",
            "max-age=10, stale-while-revalidate=5, stale-if-error=5, proxy-revalidate",
            12,
            [false; 2],
            [false; 2],
        ),
        (
            "9111-5.2.2.4 no-cache",
            "max-age=10, stale-while-revalidate=5, stale-if-error=5, no-cache",
            12,
            [false; 2],
            [false; 2],
        ),
        (
            "9111-5.2.2.4 no-cache of a field",
            "max-age=10, stale-while-revalidate=5, stale-if-error=5, no-cache=a",
            12,
            [true; 2],
            [true; 2],
        ),
        (
            "9111-5.2.2.10 s-maxage",
            "s-maxage=10, stale-while-revalidate=5, stale-if-error=5",
            12,
            [false; 2],
            [true; 2],
        ),
    ];
    for (says, text, later, open, open_for_cdn) in rows {
        for (rules, open) in [(full(), open), (cdn.clone(), open_for_cdn)] {
            let (life, now) = (life(&format!("Cache-Control: {text}"), &rules), at(NOON + later));
            let found = [
                life.is_within_revalidation(now, &rules),
                life.is_within_error(&RequestDirectives::default(), now, &rules),
            ];
            assert_eq!(found, *open, "{says}");
        }
    }
}

#[test]
fn softly_purged_is_as_if_it_had_ended_to_be_fresh_then() {
    // `Cache-Control`, seconds until it was purged, and until it is asked for; its staleness, `ttl`, and whether the window of
    // revalidation is open.
    let rows: &[(&str, &str, u64, u64, u64, i64, bool)] = &[
        ("9111-4.2 at once", "max-age=60, stale-while-revalidate=5", 0, 0, 0, 0, true),
        ("9111-4.2 after a while", "max-age=60, stale-while-revalidate=5", 10, 14, 4, -4, true),
        ("5861-3 the window is over", "max-age=60, stale-while-revalidate=5", 10, 15, 5, -5, false),
        ("5861-3 that of its own end is no longer", "max-age=10, stale-while-revalidate=5", 14, 16, 6, -6, false),
        ("5861-3 nor was it opened again", "max-age=10, stale-while-revalidate=5", 30, 30, 20, -20, false),
        ("9111-4.2 a clock that stepped back", "max-age=60, stale-while-revalidate=5", 20, 10, 0, 10, true),
        ("9111-5.2.2.2 must-revalidate", "max-age=60, stale-while-revalidate=5, must-revalidate", 1, 2, 1, -1, false),
    ];
    for (says, text, purged, later, staleness, ttl, open) in rows {
        let life = life(&format!("Cache-Control: {text}"), &full()).purged(at(NOON + purged));
        let now = at(NOON + later);
        assert_eq!(life.remaining(now), None, "{says}");
        assert_eq!((life.staleness(now), life.ttl(now)), (secs(*staleness), *ttl), "{says}");
        assert_eq!(life.is_within_revalidation(now, &full()), *open, "{says}");
        assert_eq!(life.age(now), secs(*later), "{says}: its age is what it was");
    }
}

#[test]
fn a_request_may_open_the_window_of_errors() {
    let rows = [
        ("5861-4 inside", "max-age=10", 5, 14, true),
        ("5861-4 at its end", "max-age=10", 5, 15, false),
        ("5861-4 the longer of both", "max-age=10, stale-if-error=1", 5, 14, true),
        ("9111-4.2.4 not against must-revalidate", "max-age=10, must-revalidate", 5, 12, false),
        ("9111-4.2.4 not against s-maxage", "s-maxage=10", 5, 12, false),
    ];
    let rules = Rules { stale_beside_s_maxage: true, ..full() };
    for (says, text, window, later, open) in rows {
        let request = RequestDirectives { stale_if_error: Some(secs(window)), ..RequestDirectives::default() };
        let life = life(&format!("Cache-Control: {text}"), &rules);
        assert_eq!(life.is_within_error(&request, at(NOON + later), &rules), open, "{says}");
    }
}

proptest! {
    #[test]
    fn a_life_never_panics_and_its_age_never_sinks(
        map in any_headers(), status in 100_u16..1_000, times in [any_time(), any_time(), any_time(), any_time()],
    ) {
        let [requested, received, now, later] = times;
        let rules = Rules { default_ttl: Some(Duration::MAX), ..full() };
        let life = Life::new(StatusCode::from_u16(status).unwrap(), &map, requested, received, &rules);
        let (now, later) = (now.min(later), now.max(later));
        prop_assert!(life.age(now) <= life.age(later));
        prop_assert!(life.remaining(later) <= life.remaining(now));
        prop_assert!(life.lifetime.length <= SECONDS_MAX);
        prop_assert!(life.remaining(now).is_none() || life.staleness(now).is_zero());
        let _ = (life.ttl(now), life.is_within_revalidation(now, &rules));
        let _ = life.is_within_error(&RequestDirectives::default(), now, &rules);
    }
}
