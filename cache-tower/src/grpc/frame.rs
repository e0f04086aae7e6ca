//! How messages lie in a body: before each, one byte that says whether it is compressed, and four that say how long it is.

/// The bytes before a message.
pub(super) const PREFIX: usize = 5;

/// What a body holds, as far as it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Nothing,
    /// The beginning of a message.
    Part,
    /// One message, whole.
    One,
    /// More than that, or no messages at all.
    Other,
}

/// Counts along while a body is read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frames {
    prefix: [u8; PREFIX],
    read: u64,
}

// === impl Frames ===

impl Frames {
    /// What there is with these bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Held {
        let at = self.read.min(PREFIX as u64) as usize;
        for (place, byte) in self.prefix[at..].iter_mut().zip(bytes) {
            *place = *byte;
        }
        self.read += bytes.len() as u64;
        self.held()
    }

    pub(super) fn held(&self) -> Held {
        let is_one = self.read == 0 || self.prefix[0] <= 1;
        match self.length() {
            _ if !is_one => Held::Other,
            None if self.read == 0 => Held::Nothing,
            None => Held::Part,
            Some(length) if self.read < length => Held::Part,
            Some(length) if self.read == length => Held::One,
            Some(_) => Held::Other,
        }
    }

    /// How long the first message is with its prefix, once that has been read.
    pub(super) fn length(&self) -> Option<u64> {
        let [_, length @ ..] = self.prefix;
        (self.read >= PREFIX as u64).then(|| PREFIX as u64 + u64::from(u32::from_be_bytes(length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &[u8] = &[];

    #[test]
    fn bytes_are_nothing_a_part_one_message_or_something_else() {
        let rows: Vec<(&str, &[u8], Held)> = vec![
            ("no bytes", NONE, Held::Nothing),
            ("a flag", &[0], Held::Part),
            ("four bytes of a prefix", &[0, 0, 0, 0], Held::Part),
            ("an empty message", &[0, 0, 0, 0, 0], Held::One),
            ("a message that has not come", &[0, 0, 0, 0, 1], Held::Part),
            ("a message", &[0, 0, 0, 0, 2, 7, 7], Held::One),
            ("a compressed one", &[1, 0, 0, 0, 2, 7, 7], Held::One),
            ("most of one", &[0, 0, 0, 0, 3, 7, 7], Held::Part),
            ("a long one's first byte", &[0, 0, 1, 0, 0, 7], Held::Part),
            ("the longest", &[0, 255, 255, 255, 255], Held::Part),
            ("one, and the flag of another", &[0, 0, 0, 0, 1, 7, 0], Held::Other),
            ("two empty ones", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Held::Other),
            ("a flag that is none", &[2], Held::Other),
            ("text", b"{\"id\":7}", Held::Other),
        ];
        for (says, bytes, held) in rows {
            assert_eq!(Frames::default().read(bytes), held, "{says}");
            // However it is cut.
            let mut one_by_one = Frames::default();
            for byte in bytes {
                one_by_one.read(&[*byte]);
            }
            assert_eq!(one_by_one.held(), held, "{says}, byte by byte");
            let (head, rest) = bytes.split_at(bytes.len() / 2);
            let mut halves = Frames::default();
            halves.read(head);
            halves.read(NONE);
            assert_eq!(halves.read(rest), held, "{says}, in halves");
        }
    }

    #[test]
    fn length_is_known_once_the_prefix_is_there() {
        let mut frames = Frames::default();
        frames.read(&[0, 0, 1, 0]);
        assert_eq!(frames.length(), None);
        frames.read(&[2, 9]);
        assert_eq!(frames.length(), Some(5 + 65_536 + 2));
    }
}
