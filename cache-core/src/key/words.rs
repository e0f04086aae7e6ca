//! The form of a key in memory: words, not text.
//!
//! A key is a row of segments. Each is a header word (kind and length in bytes) and its payload, padded with
//! zeros to whole words. The header says how many words follow, so a row of words can be read in one way only:
//! two keys are equal iff their words are. Arguments go in from their registers; no text is made.

use std::ops::Deref;

/// Words of a key; those of most keys (a name and an id, a name and a UUID) stand in the key itself.
///
/// Not a `SmallVec`: one is copied element by element and grows by a check of its own for each word, which together
/// cost more than hashing does. See `KeyBuilder`, which lets a key grow where it will stand.
pub(super) struct Words {
    here: [u64; INLINE],
    /// Words in `here`; what is behind them is left over. All of them, once there is a heap.
    len: usize,
    /// All words, once they are too many.
    heap: Option<Box<Heap>>,
}

/// Words that outgrew their key. Boxed, so that a key carries one pointer for it, not three words.
#[derive(Clone)]
struct Heap(Vec<u64>);

/// How many words a key holds without a heap allocation.
pub(super) const INLINE: usize = 8;

/// What a segment is. The numbers stay in this process; nothing stores them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// `None`, `()`, a struct without fields.
    Nothing = 1,
    False = 2,
    True = 3,
    /// A number from 0: one word, or two (low, high) when it does not fit.
    Number = 4,
    /// A number below 0, in two's complement: one word, or two.
    Negative = 5,
    /// The raw bytes of a string, *not* escaped.
    Text = 6,
    /// The wire text of a list, a sequence, a variant, or a nested nothing.
    Compound = 7,
    /// The wire text of a whole key that was too long: head, `~`, digest. Stands alone, or first.
    Long = 8,
}

/// One segment of a row of words.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) kind: Kind,
    pub(super) bytes: usize,
    payload: &'a [u64],
}

/// The segments of a row of words, in order.
pub(super) struct Segments<'a>(&'a [u64]);

#[inline]
pub(super) fn header(kind: Kind, bytes: usize) -> u64 {
    ((bytes as u64) << 8) | kind as u64
}

#[inline]
fn payload_words(header: u64) -> usize {
    ((header >> 8) as usize).div_ceil(8)
}

/// Adds a segment whose payload is `bytes`.
#[inline]
pub(super) fn push_bytes(out: &mut Words, kind: Kind, bytes: &[u8]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    out.push(header(kind, bytes.len()));
    for chunk in whole {
        out.push(u64::from_le_bytes(*chunk));
    }
    if !rest.is_empty() {
        out.push(tail(rest));
    }
}

/// One to seven bytes as a zero-padded word, by reads that overlap instead of a loop.
#[inline]
fn tail(rest: &[u8]) -> u64 {
    let len = rest.len();
    if let (Some(low), Some(high)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        let high = u64::from(u32::from_le_bytes(*high));
        return u64::from(u32::from_le_bytes(*low)) | (high << (8 * (len - 4)));
    }
    let at = |index: usize| u64::from(rest[index]) << (8 * index);
    at(0) | at(len / 2) | at(len - 1)
}

// === impl Words ===

impl Words {
    #[inline]
    pub(super) fn new() -> Words {
        Words { here: [0; INLINE], len: 0, heap: None }
    }

    #[inline]
    pub(super) fn push(&mut self, word: u64) {
        if let Some(slot) = self.here.get_mut(self.len) {
            *slot = word;
            self.len += 1;
        } else {
            self.push_on_heap(word);
        }
    }

    /// Adds a segment of one payload word.
    #[inline]
    pub(super) fn push_number(&mut self, kind: Kind, number: u64) {
        let (at, header) = (self.len, header(kind, 8));
        if let Some([first, second]) = self.here.get_mut(at..at + 2) {
            self.len = at + 2;
            *first = header;
            *second = number;
        } else {
            self.push_on_heap(header);
            self.push_on_heap(number);
        }
    }

    /// The words from `from` on, if all words stand here.
    #[inline]
    pub(super) fn here_from(&self, from: usize) -> Option<&[u64]> {
        if self.heap.is_none() { self.here.get(from..self.len) } else { None }
    }

    /// Forgets the words from `to` on.
    pub(super) fn truncate(&mut self, to: usize) {
        match &mut self.heap {
            None => self.len = self.len.min(to),
            Some(heap) if to > INLINE => heap.0.truncate(to),
            Some(heap) => {
                for (here, word) in self.here.iter_mut().zip(&heap.0[..to.min(heap.0.len())]) {
                    *here = *word;
                }
                self.len = to.min(heap.0.len());
                self.heap = None;
            }
        }
    }

    #[cold]
    fn push_on_heap(&mut self, word: u64) {
        let here = self.here.get(..self.len).unwrap_or_default();
        let heap = self.heap.get_or_insert_with(|| {
            let mut words = Vec::with_capacity(4 * INLINE);
            words.extend_from_slice(here);
            Box::new(Heap(words))
        });
        heap.0.push(word);
        // Full, so that the next word goes to the heap too.
        self.len = INLINE;
    }
}

#[cold]
#[expect(clippy::unnecessary_wraps, reason = "the caller needs no code for the box")]
fn copy(heap: &Heap) -> Option<Box<Heap>> {
    Some(Box::new(heap.clone()))
}

impl Clone for Words {
    #[inline]
    fn clone(&self) -> Words {
        let heap = match &self.heap {
            None => None,
            Some(heap) => copy(heap),
        };
        Words { here: self.here, len: self.len, heap }
    }
}

impl Deref for Words {
    type Target = [u64];

    #[inline]
    fn deref(&self) -> &[u64] {
        match &self.heap {
            None => self.here.get(..self.len).unwrap_or_default(),
            Some(heap) => &heap.0,
        }
    }
}

// === impl Kind ===

impl Kind {
    /// The kind that a header word names.
    fn of(header: u64) -> Kind {
        match header & 0xff {
            1 => Kind::Nothing,
            2 => Kind::False,
            3 => Kind::True,
            4 => Kind::Number,
            5 => Kind::Negative,
            6 => Kind::Text,
            7 => Kind::Compound,
            _ => Kind::Long,
        }
    }
}

// === impl Segment ===

impl Segment<'_> {
    /// Gives the payload's bytes, without the padding, one by one.
    pub(super) fn each_byte(self, mut take: impl FnMut(u8)) {
        let mut left = self.bytes;
        for word in self.payload {
            word.to_le_bytes().iter().take(left).for_each(|byte| take(*byte));
            left = left.saturating_sub(8);
        }
    }

    /// The first bytes of the payload, into `buffer`; gives what fits.
    pub(super) fn start_of(self, buffer: &mut [u8]) -> &[u8] {
        for (chunk, word) in buffer.chunks_mut(8).zip(self.payload) {
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        &buffer[..self.bytes.min(buffer.len())]
    }

    /// The magnitude of a number, and whether a minus stands before it.
    pub(super) fn number(self) -> (u128, bool) {
        let low = self.payload.first().copied().unwrap_or_default();
        let high = self.payload.get(1).copied();
        match (self.kind, high) {
            (Kind::Negative, None) => (u128::from(low.cast_signed().unsigned_abs()), true),
            (Kind::Negative, Some(high)) => (wide(low, high).cast_signed().unsigned_abs(), true),
            (_, None) => (u128::from(low), false),
            (_, Some(high)) => (wide(low, high), false),
        }
    }
}

fn wide(low: u64, high: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}

// === impl Segments ===

impl<'a> Segments<'a> {
    pub(super) fn new(words: &'a [u64]) -> Self {
        Segments(words)
    }

    /// How many words are still to be read.
    pub(super) fn words_left(&self) -> usize {
        self.0.len()
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        let (&header, rest) = self.0.split_first()?;
        let bytes = (header >> 8) as usize;
        let (payload, rest) = rest.split_at(payload_words(header).min(rest.len()));
        self.0 = rest;
        Some(Segment { kind: Kind::of(header), bytes, payload })
    }
}
