//! The language of the rows: what is asked, what the origin answers, what must come of it.
//!
//! ```text
//! > GET /a | Accept: text/html         a request; `Host: shop.example` goes with it unless it names one or says `no Host`
//! < 200 | ETag: "a" | "the body"       what the origin answers if it is asked; without a body it is `body 1`, `body 2`, ..
//! ? hit | 200 | Age >= 20 | "the body" what is expected
//! ! evict category books               between requests: evict a tag, `purge` a URL, `prefix` what is under one, or `scope http`;
//! ! soft purge http://shop.example/a   and each of them softly
//! ```
//!
//! Dates are relative to now: `{date-10}`, in the obsolete forms `{850-10}` and `{asctime-10}`. `{v}` stands for the value of a row
//! that has several.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue, Method, StatusCode};

/// A request and all that belongs to it, or what is done between two.
pub(crate) enum Step {
    Exchange(Exchange),
    Evict(What, How),
}

/// What is evicted between two.
pub(crate) enum What {
    Tag(String, String),
    Url(String),
    Prefix(String),
    Scope(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    ForGood,
    Softly,
}

#[derive(Default)]
pub(crate) struct Exchange {
    pub(crate) line: String,
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) answer: Option<Answer>,
    pub(crate) expected: Vec<Expected>,
}

#[derive(Clone)]
pub(crate) enum Answer {
    Fails,
    Says(Said),
}

#[derive(Clone, Default)]
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<String>,
    /// The body ends with an error.
    pub(crate) breaks: bool,
    pub(crate) trailers: Vec<(HeaderName, HeaderValue)>,
}

#[derive(Debug)]
pub(crate) enum Expected {
    /// The origin is asked once.
    Asked,
    /// It is not.
    Hit,
    /// It is asked once, but the answer comes from the store.
    Behind,
    /// Either.
    Any,
    /// The layer's call is an error.
    Error,
    /// The body ends with an error.
    Breaks,
    /// That, or the answer is an error.
    Unfinished,
    Status(StatusCode),
    Body(String),
    BodyHas(String),
    OtherBody(String),
    Header(Test),
    Trailer(Test),
    /// What the origin was asked with.
    Sent(Test),
    SentMethod(Method),
}

#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) name: HeaderName,
    pub(crate) is: Is,
}

#[derive(Debug)]
pub(crate) enum Is {
    Absent,
    Present,
    Equal(String),
    Containing(String),
    Without(String),
    AtLeast(i64),
    AtMost(i64),
}

/// The steps of a script; one that cannot be read is a mistake in the table.
pub(crate) fn read(script: &str) -> Vec<Step> {
    // One moment for all of it, so that equal dates are equal.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    let mut steps: Vec<Step> = Vec::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = with_dates(line, now);
        let (sigil, rest) = line.split_at(1);
        let items: Vec<&str> = rest.split(" | ").map(str::trim).collect();
        match (sigil, steps.last_mut()) {
            (">", _) => steps.push(Step::Exchange(request(&line, &items))),
            ("<", Some(Step::Exchange(step))) => step.answer = Some(answer(&items)),
            ("?", Some(Step::Exchange(step))) => step.expected.extend(items.iter().map(|item| expected(item))),
            ("!", _) => steps.push(action(items[0])),
            _ => panic!("cannot read the line `{line}`"),
        }
    }
    steps
}

fn request(line: &str, items: &[&str]) -> Exchange {
    let (method, target) = items[0].split_once(' ').expect("a method and a target");
    let mut headers = vec![(http::header::HOST, HeaderValue::from_static("shop.example"))];
    let rest = &items[1..];
    if rest.contains(&"no Host") || target.contains("://") || rest.iter().any(|item| item.starts_with("Host:")) {
        headers.clear();
    }
    headers.extend(rest.iter().filter(|item| **item != "no Host").map(|item| field(item)));
    let method = method.parse().expect("a method");
    Exchange { line: line.to_owned(), method, target: target.trim().to_owned(), headers, ..Exchange::default() }
}

fn answer(items: &[&str]) -> Answer {
    if items[0] == "fails" {
        return Answer::Fails;
    }
    let mut said = Said { status: items[0].parse().expect("a status"), ..Said::default() };
    for item in &items[1..] {
        if let Some(text) = quoted(item) {
            said.body = Some(text);
        } else if *item == "breaks" {
            said.breaks = true;
        } else if let Some(trailer) = item.strip_prefix("trailer ") {
            said.trailers.push(field(trailer));
        } else {
            said.headers.push(field(item));
        }
    }
    Answer::Says(said)
}

fn expected(item: &str) -> Expected {
    if let Some(text) = quoted(item) {
        return Expected::Body(text);
    }
    match item {
        "asked" => return Expected::Asked,
        "hit" => return Expected::Hit,
        "behind" => return Expected::Behind,
        "any" => return Expected::Any,
        "error" => return Expected::Error,
        "breaks" => return Expected::Breaks,
        "unfinished" => return Expected::Unfinished,
        _ => {}
    }
    if let Ok(status) = item.parse() {
        Expected::Status(status)
    } else if let Some(text) = item.strip_prefix("not ").and_then(quoted) {
        Expected::OtherBody(text)
    } else if let Some(text) = item.strip_prefix("has ").and_then(quoted) {
        Expected::BodyHas(text)
    } else if let Some(method) = item.strip_prefix("method ") {
        Expected::SentMethod(method.parse().expect("a method"))
    } else if let Some(trailer) = item.strip_prefix("trailer ") {
        Expected::Trailer(test(trailer))
    } else if let Some(sent) = item.strip_prefix("sent ") {
        Expected::Sent(test(sent))
    } else {
        Expected::Header(test(item))
    }
}

fn test(item: &str) -> Test {
    let name = |name: &str| name.trim().parse().unwrap_or_else(|_| panic!("`{name}` is no field name in `{item}`"));
    let number = |text: &str| text.trim().parse().expect("a number");
    if let Some(absent) = item.strip_prefix('!') {
        return Test { name: name(absent), is: Is::Absent };
    }
    let (end, is): (usize, fn(&str) -> Is) = match item.find(' ').map(|space| (space, &item[space + 1..])) {
        None => {
            return Test {
                name: name(item.trim_end_matches(':')),
                is: if item.ends_with(':') { Is::Equal(String::new()) } else { Is::Present },
            };
        }
        Some((space, rest)) if rest.starts_with("!~ ") => (space + 3, |text| Is::Without(text.to_owned())),
        Some((space, rest)) if rest.starts_with("~ ") => (space + 2, |text| Is::Containing(text.to_owned())),
        Some((space, rest)) if rest.starts_with(">= ") || rest.starts_with("<= ") => {
            let value = number(&rest[3..]);
            let is = if rest.starts_with('>') { Is::AtLeast(value) } else { Is::AtMost(value) };
            return Test { name: name(&item[..space]), is };
        }
        Some((space, _)) => (space, |text| Is::Equal(text.to_owned())),
    };
    let named = item.split([' ', ':']).next().expect("split gives at least one");
    Test { name: name(named), is: is(item[end..].trim()) }
}

fn action(item: &str) -> Step {
    let (how, words) = match item.strip_prefix("soft ") {
        Some(words) => (How::Softly, words),
        None => (How::ForGood, item),
    };
    let words: Vec<&str> = words.split(' ').collect();
    let what = match words[..] {
        ["evict", head, arg] => What::Tag(head.to_owned(), arg.to_owned()),
        ["purge", target] => What::Url(target.to_owned()),
        ["prefix", target] => What::Prefix(target.to_owned()),
        ["scope", name] => What::Scope(name.to_owned()),
        _ => panic!("cannot read the action `{item}`"),
    };
    Step::Evict(what, how)
}

/// `Name: value`; a value is sent as it is written, but for `\t`.
fn field(item: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = item.split_once(':').unwrap_or_else(|| panic!("`{item}` is no header field"));
    let name = name.parse().unwrap_or_else(|_| panic!("`{name}` is no field name in `{item}`"));
    (name, HeaderValue::from_bytes(value.trim_start().replace("\\t", "\t").as_bytes()).expect("a field value"))
}

fn quoted(item: &str) -> Option<String> {
    let text = item.strip_prefix('"')?.strip_suffix('"')?;
    Some(text.replace("\\r\\n", "\r\n"))
}

// === dates ===

fn with_dates(line: &str, now: i64) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(start) = rest.find('{') {
        let end = start + rest[start..].find('}').expect("a closing brace");
        out.push_str(&rest[..start]);
        out.push_str(&date(&rest[start + 1..end], now));
        rest = &rest[end + 1..];
    }
    out + rest
}

fn date(name: &str, now: i64) -> String {
    let at = name.find(['+', '-']).unwrap_or(name.len());
    let shift: i64 = if at == name.len() { 0 } else { name[at..].parse().expect("seconds") };
    let Date { weekday, day, month, year, time } = Date::of(now + shift);
    match &name[..at] {
        "date" => format!("{}, {day:02} {month} {year} {time} GMT", &weekday[..3]),
        "850" => format!("{weekday}, {day:02}-{month}-{:02} {time} GMT", year % 100),
        "asctime" => format!("{} {month} {day:>2} {time} {year}", &weekday[..3]),
        // Not dates, but near: each of them is one that some parser takes.
        "lower" => date(&format!("date{}", &name[at..]), now).to_ascii_lowercase(),
        "utc" => date(&format!("date{}", &name[at..]), now).replace("GMT", "UTC"),
        "zone" => date(&format!("date{}", &name[at..]), now).replace("GMT", "+0000"),
        "nozone" => date(&format!("date{}", &name[at..]), now).replace(" GMT", ""),
        "nocomma" => date(&format!("date{}", &name[at..]), now).replace(',', ""),
        "spaces" => date(&format!("date{}", &name[at..]), now).replace(' ', "  "),
        "dashes" => format!("{}, {day:02}-{month}-{year} {time} GMT", &weekday[..3]),
        "shortyear" => format!("{}, {day:02} {month} {:02} {time} GMT", &weekday[..3], year % 100),
        "noseconds" => format!("{}, {day:02} {month} {year} {} GMT", &weekday[..3], &time[..5]),
        "dots" => format!("{}, {day:02} {month} {year} {} GMT", &weekday[..3], time.replace(':', ".")),
        "epoch" => (now + shift).to_string(),
        "iso" => {
            format!("{year}-{:02}-{day:02}T{time}Z", 1 + MONTHS.iter().position(|name| *name == month).unwrap_or(0))
        }
        other => panic!("`{other}` is no form of a date"),
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

struct Date {
    weekday: &'static str,
    day: i64,
    month: &'static str,
    year: i64,
    time: String,
}

impl Date {
    fn of(seconds: i64) -> Self {
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let (mut year, mut day) = (1970, days);
        while day >= 365 + i64::from(is_leap(year)) {
            day -= 365 + i64::from(is_leap(year));
            year += 1;
        }
        let lengths = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut month = 0;
        while day >= lengths[month] {
            day -= lengths[month];
            month += 1;
        }
        Self {
            weekday: WEEKDAYS[days.rem_euclid(7) as usize],
            day: day + 1,
            month: MONTHS[month],
            year,
            time: format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60),
        }
    }
}
