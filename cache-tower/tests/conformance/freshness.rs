//! RFC 9111 section 4.2: how long an answer is fresh.

use crate::harness::{Row, may, must, run};

pub(crate) const PRECEDENCE: &[Row] = &[
    must(
        "9111 4.2.1",
        "s-maxage counts before max-age and Expires: stale by it is stale",
        r#"
        > GET /
        < 200 | Cache-Control: {v} | Expires: {date+600} | Date: {date-20} | Age: 20
        > GET /
        < 200
        "#,
    )
    .each(&[
        "s-maxage=10, max-age=600",
        "max-age=600, s-maxage=10",
        "public, max-age=600, S-MaxAge=10",
        "s-maxage=0, max-age=60",
    ]),
    may(
        "9111 4.2.1",
        "s-maxage counts before max-age and Expires: fresh by it is fresh",
        r#"
        > GET /
        < 200 | Cache-Control: {v} | Expires: {date-600} | Date: {date}
        > GET /
        ? hit
        "#,
    )
    .each(&["s-maxage=60, max-age=0", "max-age=0, s-maxage=60", "S-MAXAGE=60, max-age=1"]),
    must(
        "9111 4.2.1",
        "max-age counts before Expires: stale by it is stale",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=10 | Expires: {date+600} | Date: {date-20} | Age: 20
        > GET /
        < 200
        "#,
    ),
    may(
        "9111 4.2.1",
        "max-age counts before Expires: fresh by it is fresh",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Expires: {v} | Date: {date}
        > GET /
        ? hit
        "#,
    )
    .each(&["{date-600}", "0", "garbage", "{date}"]),
    may(
        "9111 4.2.1",
        "Expires counts from Date",
        r#"
        > GET /
        < 200 | Date: {date-3600} | Expires: {date-3540}
        > GET /
        < 200
        "#,
    ),
    must(
        "9111 4.2.1",
        "a lifetime is used up by the age that an answer arrives with",
        r#"
        > GET /
        < 200 | {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "Cache-Control: max-age=10 | Age: 20",
        "Cache-Control: max-age=10 | Age: 10",
        "Cache-Control: s-maxage=10 | Age: 20",
        "Cache-Control: max-age=10 | Date: {date-20}",
        "Date: {date-3600} | Expires: {date-3000}",
        "Date: {date} | Expires: {date+10} | Age: 20",
        "Cache-Control: max-age=60 | Age: 30 | Date: {date-90}",
        "Cache-Control: max-age=0",
        "Cache-Control: s-maxage=0",
        "Date: {date} | Expires: {date}",
        "Date: {date} | Expires: {date-10}",
        "Date: {date+100} | Expires: {date+50}",
        "Expires: {date-10}",
    ]),
    may(
        "9111 4.2.1",
        "what is left of a lifetime is fresh",
        r#"
        > GET /
        < 200 | {v}
        > GET /
        ? hit
        "#,
    )
    .each(&[
        "Cache-Control: max-age=60 | Age: 30",
        "Cache-Control: max-age=60 | Date: {date-30}",
        "Date: {date-30} | Expires: {date+60}",
        "Expires: {date+60}",
        "Cache-Control: max-age=60 | Date: {date+30}",
        "Cache-Control: MAX-AGE=60",
        "Cache-Control: Max-Age=60",
        "Cache-Control: max-age=60,foo",
        "Cache-Control: ,max-age=60,,",
        "Cache-Control:  \\tmax-age=60\\t ",
        "Cache-Control: foo | Cache-Control: max-age=60",
    ]),
    must(
        "9111 4.2.1",
        "a clock that is ahead gives no longer life",
        r#"
        > GET /
        < 200 | Date: {date+3600} | Expires: {date+3600}
        > GET /
        < 200
        "#,
    ),
];

pub(crate) const MALFORMED: &[Row] = &[
    must(
        "9111 1.2.2",
        "a value that is no number of seconds makes nothing fresh",
        r#"
        > GET /
        < 200 | Cache-Control: {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "max-age=-60",
        "max-age=-1",
        "max-age='60'",
        "max-age=a60",
        "max-age=60a",
        "max-age=6.0",
        "max-age=60.0",
        "max-age=0x3c",
        "max-age=6e1",
        "max-age=+60",
        "max-age=",
        "max-age",
        "max-age=\"\"",
        "max-age= ",
        "max-age=60s",
        "max-age=6 0",
        "max-age:60",
        "max-ageing=60",
        "xmax-age=60",
        "s-maxage=-60",
        "s-maxage=abc",
        "s-maxage='60'",
        "=60",
    ]),
    may(
        "9111 4.2.1",
        "a bad s-maxage makes stale, or leaves it to max-age, but is not read as another number",
        r#"
        > GET /
        < 200 | Cache-Control: s-maxage={v}, max-age=10 | Age: 20
        > GET /
        < 200
        "#,
    )
    .each(&["abc", "-60", "60a", ""]),
    may(
        "9111 1.2.2",
        "a number too large is a very long time",
        r#"
        > GET /
        < 200 | Cache-Control: max-age={v} | Age: 1000
        > GET /
        ? hit
        "#,
    )
    .each(&[
        "2147483647",
        "2147483648",
        "4294967295",
        "4294967296",
        "9223372036854775808",
        "99999999999999999999",
        "340282366920938463463374607431768211456",
    ]),
    may(
        "9111 1.2.2",
        "leading zeros are digits",
        r#"
        > GET /
        < 200 | Cache-Control: max-age={v}
        > GET /
        ? hit
        "#,
    )
    .each(&["060", "00000000000000000000000000000060"]),
    may(
        "9111 5.2",
        "an argument may be a quoted string where a token is usual",
        r#"
        > GET /
        < 200 | Cache-Control: {v}
        > GET /
        ? hit
        "#,
    )
    .each(&["max-age=\"60\"", "s-maxage=\"60\""]),
    must(
        "9111 4.2.1",
        "of duplicates the first counts, or the answer is stale: never the last, longer one",
        r#"
        > GET /
        < 200 | {v} | Age: 30
        > GET /
        < 200
        "#,
    )
    .each(&[
        "Cache-Control: max-age=10, max-age=600",
        "Cache-Control: max-age=10 | Cache-Control: max-age=600",
        "Cache-Control: s-maxage=10, s-maxage=600",
        "Cache-Control: max-age=10, foo, MAX-AGE=600",
    ]),
    must(
        "9111 5.3",
        "an Expires that is no date is in the past",
        r#"
        > GET /
        < 200 | Date: {date} | Last-Modified: {date-1000000} | Expires: {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "0",
        "-1",
        "60",
        "{epoch+600}",
        "{iso+600}",
        "{utc+600}",
        "{zone+600}",
        "{nozone+600}",
        "{nocomma+600}",
        "{spaces+600}",
        "{dashes+600}",
        "{shortyear+600}",
        "{noseconds+600}",
        "{dots+600}",
        "Thu, 99 Foo 2099 00:00:00 GMT",
        "Thu, 01 Jan 2099 25:00:00 GMT",
        "Thu, 01 Jan 2099 0:00:00 GMT",
        "Thu, 31 Feb 2099 00:00:00 GMT",
        "Thu, 1 Jan 2099 00:00:00 GMT",
        "Thu, 01 Jan 2099 00:00:00",
        "\"Thu, 01 Jan 2099 00:00:00 GMT\"",
        "Thu, 01 Jan 2099 00:00:00 GMT; foo",
        "tomorrow",
    ]),
    must(
        "9111 5.3",
        "an Expires that is empty is in the past",
        r#"
        > GET /
        < 200 | Date: {date} | Last-Modified: {date-1000000} | Expires:
        > GET /
        < 200
        "#,
    ),
    must(
        "9111 5.3",
        "several Expires: none makes an answer fresh that another makes stale",
        r#"
        > GET /
        < 200 | Date: {date} | Expires: {date-60} | Expires: {date+600}
        > GET /
        < 200
        "#,
    ),
    may(
        "9110 5.6.7",
        "a date is read in all three forms, names in any case",
        r#"
        > GET /
        < 200 | Date: {date} | Expires: {v}
        > GET /
        ? hit
        "#,
    )
    .each(&["{date+600}", "{850+600}", "{asctime+600}", "{lower+600}"]),
    must(
        "9110 5.6.7",
        "a date in the past is one in all three forms",
        r#"
        > GET /
        < 200 | Date: {date} | Expires: {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "{date-600}",
        "{850-600}",
        "{asctime-600}",
        "{lower-600}",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
    ]),
    may(
        "9110 5.6.7",
        "dates far away are dates",
        r#"
        > GET /
        < 200 | Date: {date} | Expires: {v}
        > GET /
        ? hit
        "#,
    )
    .each(&["Tue, 19 Jan 2038 14:14:08 GMT", "Thu, 01 Jan 2099 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"]),
    may(
        "9110 6.6.1",
        "an answer whose Date is no date counts from its arrival",
        r#"
        > GET /
        < 200 | Date: {v} | Cache-Control: max-age=60
        > GET /
        ? hit
        "#,
    )
    .each(&["0", "garbage", "{iso}"]),
    may(
        "9110 6.6.1",
        "Date is read in all three forms",
        r#"
        > GET /
        < 200 | Date: {v} | Cache-Control: max-age=60
        > GET /
        < 200
        "#,
    )
    .each(&["{date-100}", "{850-100}", "{asctime-100}"]),
];

pub(crate) const HEURISTIC: &[Row] = &[
    may(
        "9111 4.2.2",
        "a heuristically cacheable status is fresh for a tenth of its time since Last-Modified",
        r#"
        > GET /
        < {v} | Date: {date} | Last-Modified: {date-1000000}
        > GET /
        ? hit | {v}
        "#,
    )
    .each(&["200", "203", "204", "300", "301", "308", "404", "405", "410", "414", "501"]),
    may(
        "9111 4.2.2",
        "public makes a heuristic possible for any status",
        r#"
        > GET /
        < {v} | Date: {date} | Last-Modified: {date-1000000} | Cache-Control: public
        > GET /
        ? hit | {v}
        "#,
    )
    .each(&["201", "302", "403", "429", "502", "503", "599"]),
    must(
        "9111 4.2.2",
        "a heuristic is not made where the freshness is explicit",
        r#"
        > GET /
        < 200 | Date: {date} | Last-Modified: {date-1000000} | {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "Cache-Control: max-age=0",
        "Cache-Control: s-maxage=0",
        "Expires: 0",
        "Expires: {date-1}",
        "Cache-Control: max-age=10 | Age: 20",
    ]),
    must(
        "9111 4.2.2",
        "a heuristic needs a Last-Modified in the past",
        r#"
        > GET /
        < 200 | Date: {date} | {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "X-A: b",
        "Last-Modified: {date+1000000}",
        "Last-Modified: garbage",
        "Last-Modified: {date}",
        "ETag: \"a\"",
    ]),
    may(
        "9111 4.2.2",
        "a heuristic lifetime is used up by age as well",
        r#"
        > GET /
        < 200 | Date: {date-20000} | Last-Modified: {date-30000}
        > GET /
        < 200
        "#,
    ),
    may(
        "9111 4.2.2",
        "Last-Modified is read in all forms",
        r#"
        > GET /
        < 200 | Date: {date} | Last-Modified: {v}
        > GET /
        ? hit
        "#,
    )
    .each(&["{date-1000000}", "{850-1000000}", "{asctime-1000000}"]),
    must(
        "9111 4.2.2",
        "no heuristic for what must not be reused",
        r#"
        > GET /
        < 200 | Date: {date} | Last-Modified: {date-1000000} | Cache-Control: {v}
        > GET /
        < 200
        "#,
    )
    .each(&["no-cache", "no-store", "private"]),
];

#[tokio::test]
async fn freshness_precedence() {
    run(PRECEDENCE).await;
}

#[tokio::test]
async fn freshness_of_malformed_values() {
    run(MALFORMED).await;
}

#[tokio::test]
async fn freshness_by_heuristic() {
    run(HEURISTIC).await;
}
