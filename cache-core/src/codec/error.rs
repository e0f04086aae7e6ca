//! Why a value could not be written or read.

use std::{error::Error, fmt, sync::Arc};

use super::{Codec, guard::MAX_DEPTH};

/// Why a value could not be written or read. Says nothing of what the value holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CodecError {
    /// More bytes than the limit.
    TooLarge {
        /// The limit that held, in bytes.
        max_bytes: usize,
    },
    /// Nests deeper than any stored value may.
    TooDeep,
    /// More elements than its bytes can account for.
    TooMany,
    /// Bytes are left over after the value.
    Trailing {
        /// The codec that read.
        codec: Codec,
    },
    /// The codec cannot hold this type, another one can.
    Unsupported {
        /// The codec that was asked.
        codec: Codec,
        /// The codec's words.
        source: CodecText,
    },
    /// The bytes are no value of this type.
    Malformed {
        /// The codec that read.
        codec: Codec,
        /// The codec's words.
        source: CodecText,
    },
    /// The value refused to be written.
    Refused {
        /// The codec that wrote.
        codec: Codec,
        /// The codec's words.
        source: CodecText,
    },
    /// The type does not read back what it writes.
    RoundTrip {
        /// The codec that was checked.
        codec: Codec,
        /// What differed.
        source: CodecText,
    },
}

/// A codec's own words, without the data that they quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodecText(Arc<str>);

// === impl CodecError ===

impl CodecError {
    /// One word, the same in logs, metrics and headers.
    #[must_use]
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooMany => "too_many",
            Self::Trailing { .. } => "trailing",
            Self::Unsupported { .. } => "unsupported",
            Self::Malformed { .. } => "malformed",
            Self::Refused { .. } => "refused",
            Self::RoundTrip { .. } => "round_trip",
        }
    }
}

/// The word, then a sentence.
impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.as_str())?;
        match self {
            Self::TooLarge { max_bytes } => write!(f, "the value takes more than {max_bytes} bytes"),
            Self::TooDeep => write!(f, "the value nests {MAX_DEPTH} levels deep or more"),
            Self::TooMany => f.write_str("the value has more elements than its bytes can hold"),
            Self::Trailing { codec } => write!(f, "bytes are left over after the {} value", codec.as_str()),
            Self::Unsupported { codec, .. } if codec.is_self_describing() => {
                write!(
                    f,
                    "{} cannot tell this value from another one: use Codec::Bincode for this type",
                    codec.as_str()
                )
            }
            Self::Unsupported { codec, .. } => write!(
                f,
                "{} cannot hold this type (flatten, untagged, an internal tag, a skipped field, or a value that asks for any \
                 type): use Codec::Json for this type, or Codec::MessagePack",
                codec.as_str()
            ),
            Self::Malformed { codec, .. } => write!(f, "the bytes are not {} of this type", codec.as_str()),
            Self::Refused { codec, .. } => write!(f, "the value could not be written as {}", codec.as_str()),
            Self::RoundTrip { codec, .. } if codec.is_self_describing() => {
                write!(f, "the type does not read back from {} what it wrote: try another Codec", codec.as_str())
            }
            Self::RoundTrip { codec, .. } => write!(
                f,
                "the type does not read back from {} what it wrote, as happens with fields skipped on one side only: use \
                 Codec::Json for this type, or Codec::MessagePack",
                codec.as_str()
            ),
        }
    }
}

impl Error for CodecError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unsupported { source, .. }
            | Self::Malformed { source, .. }
            | Self::Refused { source, .. }
            | Self::RoundTrip { source, .. } => Some(source),
            Self::TooLarge { .. } | Self::TooDeep | Self::TooMany | Self::Trailing { .. } => None,
        }
    }
}

// === impl CodecText ===

/// Words before a quotation of data in serde's own messages.
const QUOTING: [&str; 4] = ["invalid type: ", "invalid value: ", "unknown variant ", "unknown field "];

/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 240;

impl CodecText {
    /// Takes the codec's message, cuts out what it quotes, and cuts it short.
    pub(super) fn new(text: &str) -> Self {
        let mut kept = without_quotation(text);
        if kept.len() > MAX_TEXT {
            let end = (0..=MAX_TEXT).rev().find(|&at| kept.is_char_boundary(at)).unwrap_or(0);
            kept.truncate(end);
            kept.push('…');
        }
        Self(kept.into())
    }
}

impl fmt::Display for CodecText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for CodecText {}

/// `invalid type: string "secret", expected u32` without the secret.
fn without_quotation(text: &str) -> String {
    let Some(start) = QUOTING.iter().filter_map(|words| text.find(words).map(|at| at + words.len())).min() else {
        return text.to_owned();
    };
    let Some(open) = text[start..].find(['"', '`']).map(|at| start + at) else {
        return text.to_owned();
    };
    match text.rfind(", expected ") {
        Some(close) if close > open => format!("{}…{}", &text[..open], &text[close..]),
        _ => format!("{}…", &text[..open]),
    }
}
