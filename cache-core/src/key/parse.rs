//! From text back to words: how a notification finds its key.
//!
//! Only what a key prints is read: each text has one reading and each key one text, so reading and printing undo each
//! other. Nothing here panics, whatever the text. It is read whole before it is believed, and it is at most
//! [`MAX`] bytes, which bounds the recursion too.

use std::str;

use super::wire::{self, LONG_DIGITS, LONG_HEAD, MAX, Text};
use super::words::Kind;
use super::writer::KeyWriter;

/// Reads a key's text into words. `None` if no key prints it.
pub(super) fn read(text: &str, out: &mut KeyWriter) -> Option<()> {
    if text.len() > MAX {
        return None;
    }
    if let Some((head, digits)) = text.split_once('~') {
        is_long(head.as_bytes(), digits.as_bytes())?;
        out.wire_text(Kind::Long, text.as_bytes());
        return Some(());
    }
    text.split(':').try_for_each(|segment| read_segment(segment.as_bytes(), out))
}

/// Reads one segment's text.
pub(super) fn read_segment(text: &[u8], out: &mut KeyWriter) -> Option<()> {
    if let [b'(' | b'<' | b'.', ..] = text {
        let mut rest = text;
        skip_part(&mut rest)?;
        if !rest.is_empty() {
            return None;
        }
        out.wire_text(Kind::Compound, text);
        return Some(());
    }
    match text {
        b"-" => out.nothing(),
        b"true" => out.boolean(true),
        b"false" => out.boolean(false),
        _ => match wire::read_number(text) {
            Some((magnitude, false)) => out.number_u(magnitude),
            Some((magnitude, true)) => out.number_i(0_i128.wrapping_sub_unsigned(magnitude)),
            // No escape, no quote: nothing to undo, and nothing left to quote but these.
            None if !text.iter().any(|byte| wire::is_escaped(*byte)) => match text {
                [] | [b'@', ..] => return None,
                plain => out.text(str::from_utf8(plain).ok()?),
            },
            None => {
                let plain = read_text(text)?;
                out.text(str::from_utf8(&plain).ok()?);
            }
        },
    }
    Some(())
}

/// Text without its escapes and its quote, if they stand where they must and nowhere else.
fn read_text(text: &[u8]) -> Option<Text> {
    let (body, quoted) = match text {
        [b'\'', body @ ..] => (body, true),
        body => (body, false),
    };
    let plain = unescape(body)?;
    (wire::is_quoted(&plain) == quoted).then_some(plain)
}

fn unescape(mut text: &[u8]) -> Option<Text> {
    let mut plain = Text::new();
    while let [first, rest @ ..] = text {
        text = rest;
        if *first != b'%' {
            if wire::is_escaped(*first) {
                return None;
            }
            plain.push(*first);
            continue;
        }
        let [high, low, rest @ ..] = rest else { return None };
        text = rest;
        let byte = (digit(*high)? << 4) | digit(*low)?;
        if !wire::is_escaped(byte) {
            return None;
        }
        plain.push(byte);
    }
    str::from_utf8(&plain).is_ok().then_some(plain)
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'A'..=b'F' => Some(hex - b'A' + 10),
        _ => None,
    }
}

// === compounds: checked, not taken apart ===

/// Takes one part off the front of `text`.
fn skip_part(text: &mut &[u8]) -> Option<()> {
    match text {
        [b'(', rest @ ..] => {
            *text = rest;
            skip_list(text)
        }
        [b'<', rest @ ..] => {
            *text = rest;
            if skip_byte(text, b'>') { Some(()) } else { skip_parts(text, b'>').map(drop) }
        }
        [b'.', rest @ ..] => {
            *text = rest;
            unescape(take_plain(text))?;
            if skip_byte(text, b'(') { skip_parts(text, b')').map(drop) } else { Some(()) }
        }
        _ => match take_plain(text) {
            b"-" | b"true" | b"false" => Some(()),
            plain => wire::read_number(plain).map(drop).or_else(|| read_text(plain).map(drop)),
        },
    }
}

/// The rest of a list: `a,)`, `a,b)`, or a nothing in brackets, `-)`.
fn skip_list(text: &mut &[u8]) -> Option<()> {
    let start = *text;
    skip_part(text)?;
    let first = &start[..start.len() - text.len()];
    if skip_byte(text, b')') {
        return is_nothing(first).then_some(());
    }
    if !skip_byte(text, b',') {
        return None;
    }
    if skip_byte(text, b')') { Some(()) } else { skip_parts(text, b')').map(drop) }
}

/// `a,b` and the end, for one part or more.
fn skip_parts(text: &mut &[u8], end: u8) -> Option<()> {
    loop {
        skip_part(text)?;
        if skip_byte(text, end) {
            return Some(());
        }
        if !skip_byte(text, b',') {
            return None;
        }
    }
}

fn skip_byte(text: &mut &[u8], byte: u8) -> bool {
    let Some(rest) = text.strip_prefix(&[byte]) else { return false };
    *text = rest;
    true
}

/// Takes what stands before the next bracket or comma.
fn take_plain<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| b"()<>,".contains(byte)).unwrap_or(text.len());
    let (plain, rest) = text.split_at(end);
    *text = rest;
    plain
}

fn is_nothing(text: &[u8]) -> bool {
    match text {
        b"-" => true,
        [b'(', inner @ .., b')'] => is_nothing(inner),
        _ => false,
    }
}

/// Whether the two sides of `~` can be a long key's. Its head ends anywhere but inside an escape, so its last segment
/// is held only against the characters that keys are printed in.
fn is_long(head: &[u8], digits: &[u8]) -> Option<()> {
    let is_digits = digits.len() == LONG_DIGITS && digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_digits || !(LONG_HEAD - 2..=LONG_HEAD).contains(&head.len()) {
        return None;
    }
    let mut segments = head.split(|byte| *byte == b':');
    let mut rest = segments.next_back()?;
    let mut whole = KeyWriter::new();
    segments.try_for_each(|segment| read_segment(segment, &mut whole))?;
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) if wire::is_escaped((digit(*high)? << 4) | digit(*low)?) => after,
            (b'(' | b')' | b'<' | b'>' | b',' | b'\'', _) => after,
            (other, _) if !wire::is_escaped(*other) => after,
            _ => return None,
        };
    }
    Some(())
}
