//! From words to text: what stands in Redis and what a person reads there.
//!
//! `docs/keys.md` has the grammar. Everything printed is ASCII without space, and at most [`MAX`] bytes.

use smallvec::SmallVec;

use super::words::{Kind, Segment, Segments};

/// Bytes of wire text up to which a key is printed whole.
pub(super) const MAX: usize = 200;
/// Bytes of a long key's text that stay readable, before `~`.
pub(super) const LONG_HEAD: usize = 120;
/// Hexadecimal digits after `~`: 128 bits of BLAKE3.
pub(super) const LONG_DIGITS: usize = 32;
/// The longest number: a sign and 39 digits.
const NUMBER: usize = 40;

/// Bytes of text that are printed as `%XX`, by their value.
const ESCAPED: [bool; 256] = {
    let mut escaped = [true; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        escaped[byte as usize] = matches!(
            byte,
            b'%' | b':'
                | b'{'
                | b'}'
                | b'*'
                | b'?'
                | b'['
                | b']'
                | b'\\'
                | b'~'
                | b'\''
                | b'('
                | b')'
                | b'<'
                | b'>'
                | b','
        );
        byte += 1;
    }
    escaped
};

/// Text under way. A key's whole text fits without a heap allocation.
pub(super) type Text = SmallVec<[u8; 208]>;

/// Where text goes: a buffer, a `String`, or just its length.
pub(super) trait Out {
    /// Takes one byte of ASCII.
    fn put(&mut self, byte: u8);
}

/// Counts the bytes of a text that is not wanted yet.
pub(super) struct Length(pub(super) usize);

/// Writes the segments of `words`, with `between` between them.
pub(super) fn render(words: &[u64], between: u8, out: &mut impl Out) {
    for (index, segment) in Segments::new(words).enumerate() {
        if index > 0 {
            out.put(between);
        }
        render_segment(segment, out);
    }
}

/// Text as it stands after a variant's dot: escaped, never quoted.
pub(super) fn render_name(name: &str, out: &mut impl Out) {
    for byte in name.bytes() {
        escape(byte, out);
    }
}

/// The text of a key whose whole text is longer than [`MAX`]: a readable head, `~`, the digest of all of it.
pub(super) fn shorten(whole: &[u8]) -> Text {
    let mut cut = whole.len().min(LONG_HEAD);
    // No escape is split: `%` in one of the last two bytes is one whose digits are cut off.
    if let Some(back) = whole[..cut].iter().rev().take(2).position(|byte| *byte == b'%') {
        cut -= back + 1;
    }
    // A long key that was parsed and then extended has a `~` already, and a text has one at most.
    if let Some(mark) = whole[..cut].iter().position(|byte| *byte == b'~') {
        cut = mark;
    }
    let mut text = Text::from_slice(&whole[..cut]);
    text.push(b'~');
    for byte in blake3::hash(whole).as_bytes().iter().take(LONG_DIGITS / 2) {
        text.push(hex(byte >> 4).to_ascii_lowercase());
        text.push(hex(byte & 15).to_ascii_lowercase());
    }
    text
}

/// Whether a byte of text is printed as `%XX`.
#[inline]
pub(super) fn is_escaped(byte: u8) -> bool {
    ESCAPED[usize::from(byte)]
}

/// Whether text would read as another kind, and therefore starts with a quote.
pub(super) fn is_quoted(text: &[u8]) -> bool {
    match text {
        [] | [b'.' | b'@', ..] | b"-" | b"true" | b"false" => true,
        _ => read_number(text).is_some(),
    }
}

/// The magnitude and sign of a number in the one way of writing it: no zeros in front, no `-0`, no plus, and in the
/// range of `u128` or `i128`.
pub(super) fn read_number(text: &[u8]) -> Option<(u128, bool)> {
    let (digits, minus) = match text {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    let canonical = match digits {
        [] => false,
        [b'0', rest @ ..] => rest.is_empty() && !minus,
        _ => digits.len() < NUMBER && digits.iter().all(u8::is_ascii_digit),
    };
    if !canonical {
        return None;
    }
    let magnitude: u128 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let fits = !minus || magnitude <= i128::MIN.unsigned_abs();
    fits.then_some((magnitude, minus))
}

/// Writes one segment.
pub(super) fn render_segment(segment: Segment<'_>, out: &mut impl Out) {
    match segment.kind {
        Kind::Nothing => out.put(b'-'),
        Kind::False => put_all(b"false", out),
        Kind::True => put_all(b"true", out),
        Kind::Number | Kind::Negative => render_number(segment.number(), out),
        Kind::Compound | Kind::Long => segment.each_byte(|byte| out.put(byte)),
        Kind::Text => {
            // One byte more than the longest number, so that what is cut off can't read as one.
            if is_quoted(segment.start_of(&mut [0; NUMBER + 1])) {
                out.put(b'\'');
            }
            segment.each_byte(|byte| escape(byte, out));
        }
    }
}

fn render_number((mut magnitude, minus): (u128, bool), out: &mut impl Out) {
    let mut digits = [0; NUMBER];
    let mut start = NUMBER;
    loop {
        start -= 1;
        let digit = if let Ok(small) = u64::try_from(magnitude) {
            // The hardware divides 64 bits, a routine 128.
            magnitude = u128::from(small / 10);
            small % 10
        } else {
            let last = magnitude % 10;
            magnitude /= 10;
            u64::try_from(last).expect("a remainder of ten fits")
        };
        digits[start] = b"0123456789"[usize::try_from(digit).expect("a digit fits")];
        if magnitude == 0 {
            break;
        }
    }
    if minus {
        out.put(b'-');
    }
    put_all(&digits[start..], out);
}

fn put_all(bytes: &[u8], out: &mut impl Out) {
    for byte in bytes {
        out.put(*byte);
    }
}

#[inline]
fn escape(byte: u8, out: &mut impl Out) {
    if is_escaped(byte) {
        out.put(b'%');
        out.put(hex(byte >> 4));
        out.put(hex(byte & 15));
    } else {
        out.put(byte);
    }
}

fn hex(half: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(half & 15)]
}

// === impl Out ===

impl Out for Text {
    fn put(&mut self, byte: u8) {
        self.push(byte);
    }
}

impl Out for String {
    fn put(&mut self, byte: u8) {
        self.push(char::from(byte));
    }
}

impl Out for Length {
    fn put(&mut self, _: u8) {
        self.0 += 1;
    }
}
