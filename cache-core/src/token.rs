//! What a writer hands to those who are to see what it wrote, wherever they are.

use std::{fmt, str::FromStr, sync::PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use crate::{error::Error, key::Key, outcome::Ack, sync::Mutex, tag::TagId};

/// A moment in the life of one key or tag, to be passed from service to service: whoever reads with
/// [`Request::at_least`](crate::Request::at_least) sees what was put or evicted then, on whatever node, before that node would
/// have heard of it.
///
/// Its text has no secrets: a hash of the key, and a version.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use cache_core::{Cache, Key, Token};
///
/// let cache = Cache::in_memory();
/// let key = Key::new("product").arg(7_u64);
/// let token = Token::of_key(&key, cache.put(key.clone(), 42_u64).await).expect("it is in force");
/// let header = token.to_string();
///
/// let token: Token = header.parse().unwrap();
/// let entry = cache.entry(key).at_least(token).get::<u64>().await;
/// assert_eq!(entry.map(|entry| *entry.value()), Some(42));
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    record: u64,
    version: u64,
}

/// Records of which is known what was asked for. Of two in one place the later one is.
const HEEDED: usize = 1_024;

/// The highest version that tokens have asked for, of the records asked for last: what was doubted for one token was read again, and
/// need not be doubted for the next.
pub(crate) struct Heeded(Mutex<Box<[Token]>>);

impl Heeded {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(vec![Token { record: 0, version: 0 }; HEEDED].into()))
    }

    /// Calls `doubt`, unless that was done for this version of the record or a later one. Nobody goes on before it is done.
    pub(crate) fn heed(&self, token: Token, doubt: impl FnOnce()) {
        #[allow(clippy::cast_possible_truncation, reason = "a remainder fits")]
        let place = token.record as usize % HEEDED;
        let mut heeded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = &mut heeded[place];
        if before.record != token.record || before.version < token.version {
            doubt();
            *before = token;
        }
    }
}

impl Token {
    /// The moment at which a put or an eviction of `key` came into force; none if it is not in force everywhere yet.
    #[must_use]
    pub fn of_key(key: &Key, ack: Ack) -> Option<Self> {
        Self::new(record_of_key(key), ack)
    }

    /// The moment at which an eviction of a tag came into force; none if it is not in force everywhere yet.
    #[must_use]
    pub fn of_tag(tag: &Key, ack: Ack) -> Option<Self> {
        Self::new(record_of_tag(&TagId::Tag(tag.clone())), ack)
    }

    fn new(record: u64, ack: Ack) -> Option<Self> {
        match ack {
            Ack::Applied(version) => Some(Self { record, version }),
            Ack::Queued | Ack::Failed => None,
        }
    }

    /// The version that is to be seen of a key, if the token is of that key.
    pub(crate) fn version_of_key(self, key: &Key) -> Option<u64> {
        (self.record == record_of_key(key)).then_some(self.version)
    }

    /// The generation that is to be seen of a tag, if the token is of that tag.
    pub(crate) fn generation_of(self, tag: &TagId) -> Option<u64> {
        (self.record == record_of_tag(tag)).then_some(self.version)
    }
}

fn record_of_key(key: &Key) -> u64 {
    xxh3_64(format!("c:{}", key.wire()).as_bytes())
}

fn record_of_tag(tag: &TagId) -> u64 {
    xxh3_64(format!("t:{}", tag.wire()).as_bytes())
}

/// As what a header may hold: `0123456789abcdef.1790000000000000`.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.record, self.version)
    }
}

impl FromStr for Token {
    type Err = Error;

    /// # Errors
    ///
    /// When the text is no token's.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once('.').filter(|(record, _)| record.len() == 16);
        let parsed = parts.and_then(|(record, version)| {
            Some(Self { record: u64::from_str_radix(record, 16).ok()?, version: version.parse().ok()? })
        });
        parsed.ok_or_else(|| Error::config("token", "this is no token: sixteen digits of a hash, a dot, and a version"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_its_own_record_and_reads_back() {
        let (key, tag) = (Key::new("product").arg(7_u64), Key::new("category").arg("books"));
        let token = Token::of_key(&key, Ack::Applied(5)).unwrap();
        assert_eq!(token.to_string().parse::<Token>().unwrap(), token);
        assert_eq!((token.version_of_key(&key), token.version_of_key(&tag)), (Some(5), None));
        assert_eq!(token.generation_of(&TagId::Tag(key.clone())), None, "a tag of the same name is another record");
        let of_tag = Token::of_tag(&tag, Ack::Applied(6)).unwrap();
        assert_eq!(of_tag.generation_of(&TagId::Tag(tag)), Some(6));
        assert_eq!(Token::of_key(&key, Ack::Queued), None);
    }

    #[test]
    fn version_is_heeded_once_and_a_higher_one_again() {
        let heeded = Heeded::new();
        let heeds = |record: u64, version: u64| {
            let mut is_heeded = false;
            heeded.heed(Token { record, version }, || is_heeded = true);
            is_heeded
        };
        assert!(heeds(7, 5) && !heeds(7, 5) && !heeds(7, 4) && heeds(7, 6));
        assert!(heeds(8, 5) && !heeds(7, 6), "each record by itself");
        assert!(heeds(7 + HEEDED as u64, 1) && heeds(7, 6), "what was forgotten is heeded once more");
    }

    #[test]
    fn what_is_no_token_is_told_so() {
        for text in
            ["", ".", "12.5", "0123456789abcdeg.5", "0123456789abcdef.", "0123456789abcdef.-1", "+123456789abcdef5"]
        {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
