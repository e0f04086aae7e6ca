//! RFC 9111 sections 4.2.3 and 5.1: age, in and out.

use crate::harness::{Row, may, must, run};

pub(crate) const AGE: &[Row] = &[
    must(
        "9111 5.1",
        "an answer from the store has an Age",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60
        > GET /
        ? hit | Age >= 0 | Age <= 30
        "#,
    ),
    must(
        "9111 4.2.3",
        "Age is at least what an answer arrived with",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Age: 20
        > GET /
        ? hit | Age >= 20 | Age <= 50
        "#,
    ),
    must(
        "9111 4.2.3",
        "Age is at least the time since Date",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Date: {date-100}
        > GET /
        ? hit | Age >= 100 | Age <= 130
        "#,
    ),
    must(
        "9111 4.2.3",
        "Age is the larger of both, not their sum",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | {v}
        > GET /
        ? hit | Age >= 100 | Age <= 130
        "#,
    )
    .each(&[
        "Date: {date-100} | Age: 20",
        "Date: {date-20} | Age: 100",
        "Date: {date+100} | Age: 100",
        "Date: {date-100} | Age: 100",
    ]),
    must(
        "9111 4.2.3",
        "a Date in the future is no negative age",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Date: {date+100}
        > GET /
        ? hit | Age >= 0 | Age <= 30
        "#,
    ),
    must(
        "9111 5.1",
        "one Age goes out, whatever came in",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Age: 20 | Age: 30
        > GET /
        ? hit | Age >= 20 | Age <= 50 | Age !~ ,
        "#,
    ),
    must(
        "9111 5.1",
        "of several members of Age the first counts",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | {v}
        > GET /
        < 200
        "#,
    )
    .each(&["Age: 100, 0", "Age: 100,0", "Age: 100 | Age: 0", "Age: 100, garbage"]),
    may(
        "9111 5.1",
        "an Age of which only a later member is old is young",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | {v}
        > GET /
        ? hit | Age <= 30
        "#,
    )
    .each(&["Age: 0, 100", "Age: 0 | Age: 100"]),
    may(
        "9111 5.1",
        "an Age that is no number is ignored",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Age: {v}
        > GET /
        ? hit | Age >= 0 | Age <= 30
        "#,
    )
    .each(&["-100", "abc", "a100", "100a", "100.5", "+100", "1 00", "\"100\"", "100;foo=bar", "0x64"]),
    must(
        "9111 1.2.2",
        "an Age too large for any integer is a great age",
        r#"
        > GET /
        < 200 | Cache-Control: max-age={v} | Age: {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "2147483648",
        "4294967296",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999",
    ]),
    must(
        "9111 1.2.2",
        "an Age too large makes stale",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=3600 | Age: {v}
        > GET /
        < 200
        "#,
    )
    .each(&[
        "2147483647",
        "2147483648",
        "4294967295",
        "4294967296",
        "9223372036854775808",
        "18446744073709551616",
        "7200",
    ]),
    must(
        "9111 4.2.3",
        "a Date long ago makes stale",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=3600 | Date: {v}
        > GET /
        < 200
        "#,
    )
    .each(&["Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "{date-7200}"]),
    must(
        "9111 5.1",
        "an answer just validated is young again",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Age: 100 | ETag: "a"
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "a" | Date: {date}
        ? 200 | "body 1"
        > GET /
        ? hit | Age <= 30 | "body 1"
        "#,
    ),
    must(
        "9111 5.1",
        "an Age in a 304 counts",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=60 | Age: 100 | ETag: "a"
        > GET /
        < 304 | Cache-Control: max-age=60 | ETag: "a" | Age: 100
        > GET /
        < 200
        ? "body 3"
        "#,
    ),
    must(
        "9110 6.6.1",
        "Date of a stored answer stays",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Date: {date-100}
        > GET /
        ? hit | Date: {date-100}
        "#,
    ),
    must(
        "9110 6.6.1",
        "an answer without a Date gets that of its arrival",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600
        > GET /
        ? hit | Date ~ GMT
        "#,
    ),
    must(
        "9111 4",
        "a stored error has an Age too",
        r#"
        > GET /
        < 404 | Cache-Control: max-age=600 | Age: 20
        > GET /
        ? hit | 404 | Age >= 20
        "#,
    ),
    must(
        "9111 4",
        "a 304 and a 206 out of the store have an Age too",
        r#"
        > GET /
        < 200 | Cache-Control: max-age=600 | Age: 20 | ETag: "a"
        > GET / | {v}
        ? hit | has "" | Age >= 20
        "#,
    )
    .each(&["If-None-Match: \"a\"", "Range: bytes=0-1"]),
];

#[tokio::test]
async fn age() {
    run(AGE).await;
}
