//! What a request says in a field, in one form for all that is equivalent (RFC 9111 section 4.1).

use std::cmp::Reverse;

use http::{
    HeaderMap, HeaderName,
    header::{
        ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, DATE, FROM, HOST, IF_MODIFIED_SINCE, IF_RANGE,
        IF_UNMODIFIED_SINCE, PROXY_AUTHORIZATION, REFERER, USER_AGENT,
    },
};

/// The field's value in its one form; none if it is absent.
pub(super) fn value(name: &HeaderName, request: &HeaderMap) -> Option<Vec<u8>> {
    /// Fields that are no lists: whitespace at a comma is a part of what they say.
    const SINGLE: [HeaderName; 10] = [
        AUTHORIZATION,
        DATE,
        FROM,
        HOST,
        IF_MODIFIED_SINCE,
        IF_RANGE,
        IF_UNMODIFIED_SINCE,
        PROXY_AUTHORIZATION,
        REFERER,
        USER_AGENT,
    ];
    if !request.contains_key(name) {
        return None;
    }
    // RFC 9113 section 8.2.3: a cookie field comes in pieces, which semicolons join.
    if *name == COOKIE {
        return Some(joined(name, request, b"; ").trim_ascii().to_vec());
    }
    let whole = joined(name, request, b",");
    if SINGLE.contains(name) {
        return Some(whole);
    }
    if *name == ACCEPT_ENCODING {
        return Some(encodings(&whole).unwrap_or_else(|| tight(&whole, b",")));
    }
    if *name == ACCEPT_LANGUAGE {
        return Some(languages(&whole).unwrap_or_else(|| tight(&whole, b",")));
    }
    // RFC 9110 section 12.5.1: parameters may have whitespace at their semicolons.
    Some(tight(&whole, if *name == ACCEPT { b",;" } else { b"," }))
}

/// All lines, without the whitespace around them.
fn joined(name: &HeaderName, request: &HeaderMap, by: &[u8]) -> Vec<u8> {
    let lines: Vec<_> = request.get_all(name).iter().map(|line| line.as_bytes().trim_ascii()).collect();
    lines.join(by)
}

/// The value without the whitespace around its separators, but where they are quoted.
fn tight(value: &[u8], separators: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = Vec::with_capacity(value.len());
    let mut quote = Quote::Outside;
    // What comes before this in `text` is quoted and keeps its whitespace.
    let mut kept = 0;
    for &byte in value {
        let is_outside = quote == Quote::Outside;
        let is_space = byte == b' ' || byte == b'\t';
        if is_outside && separators.contains(&byte) {
            let end = text[kept..].iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
            text.truncate(kept + end);
        } else if is_outside && is_space && text.last().is_some_and(|last| separators.contains(last)) {
            continue;
        }
        text.push(byte);
        quote = quote.after(byte);
        if quote != Quote::Outside || !is_outside {
            kept = text.len();
        }
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    Outside,
    Inside,
    /// After a backslash.
    Escape,
}

// === impl Quote ===

impl Quote {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') => Self::Inside,
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escape,
            (Self::Escape, _) => Self::Inside,
            (quote, _) => quote,
        }
    }
}

/// A token in lower case, and its weight in thousandths.
type Member = (Vec<u8>, u16);

/// Without an order, which has no meaning there (RFC 9110 section 12.5.3). Only a member that stands twice with different weights
/// makes it count.
fn encodings(value: &[u8]) -> Option<Vec<u8>> {
    let mut members = weighted(value)?;
    members.sort_unstable();
    members.dedup();
    is_each_once(&members).then(|| written(&members))
}

/// By weight: of those that have the same many services take the first, as RFC 9110 section 12.5.4 has it for want of a better.
fn languages(value: &[u8]) -> Option<Vec<u8>> {
    let mut members = weighted(value)?;
    let mut sorted = members.clone();
    sorted.sort_unstable();
    members.sort_by_key(|(_, weight)| Reverse(*weight));
    is_each_once(&sorted).then(|| written(&members))
}

fn is_each_once(sorted: &[Member]) -> bool {
    sorted.windows(2).all(|pair| pair[0].0 != pair[1].0)
}

/// A list of tokens with weights; none if it is not such a list.
fn weighted(value: &[u8]) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    for member in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()) {
        let (token, weight) = match member.iter().position(|byte| *byte == b';') {
            Some(at) => (member[..at].trim_ascii_end(), weight(member[at + 1..].trim_ascii_start())?),
            None => (member, 1_000),
        };
        if token.is_empty() || !token.iter().all(|byte| is_token(*byte)) {
            return None;
        }
        members.push((token.to_ascii_lowercase(), weight));
    }
    Some(members)
}

/// Weights are left out where they are one.
fn written(members: &[Member]) -> Vec<u8> {
    let mut text = Vec::new();
    for (token, weight) in members {
        if !text.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(token);
        if *weight < 1_000 {
            text.extend_from_slice(format!(";q=0.{weight:03}").as_bytes());
        }
    }
    text
}

/// A weight in thousandths (RFC 9110 section 12.4.2).
fn weight(text: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', whole @ (b'0' | b'1'), fraction @ ..] = text else { return None };
    let digits = match fraction {
        [] => &[],
        [b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => digits,
        _ => return None,
    };
    let thousandths = [100, 10, 1].iter().zip(digits).map(|(unit, digit)| unit * u16::from(digit - b'0')).sum::<u16>();
    let weight = u16::from(whole - b'0') * 1_000 + thousandths;
    (weight <= 1_000).then_some(weight)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
