//! Which requests an answer is for (RFC 9110 section 12.5.5, RFC 9111 section 4.1).
//!
//! A [`Spec`] is what `Vary` names, a [`Selecting`] what a request says in the fields that it names. An answer serves those
//! requests whose [`Selecting`] equals that of the request it was made for.

mod normal;

use http::{HeaderMap, HeaderName, header::VARY};

/// More names than this make an answer not stored, and longer ones.
const MAX_NAMES: usize = 16;
const MAX_NAME_BYTES: usize = 128;
/// A request that says more than this in the fields that select is not answered from the store.
const MAX_VALUE_BYTES: usize = 8_192;

/// The fields that an answer depends on: lower-case, sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Spec {
    names: Vec<Name>,
}

/// A field name that sorts by its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Name(HeaderName);

/// Which fields an answer may depend on.
#[derive(Clone, Debug, Default)]
pub(crate) enum Allowed {
    #[default]
    Any,
    /// These alone: answers that name others are not stored, so that nobody fills the store with variants of his making.
    Only(Vec<HeaderName>),
}

/// Why no other request is served by an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmatchable {
    /// `*`: what it depends on is in no field.
    Star,
    /// A member that is no field name: what it means is not known.
    Malformed,
    TooMany,
    NotAllowed(HeaderName),
}

/// What a request says in the fields of a [`Spec`], normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Selecting {
    /// In the order of the spec; none for a field that is absent.
    values: Vec<(Name, Option<Vec<u8>>)>,
}

// === impl Spec ===

impl Spec {
    /// That of an answer, from all lines of `Vary`.
    pub(crate) fn of(answer: &HeaderMap, allowed: &Allowed) -> Result<Self, Unmatchable> {
        let members = || {
            let lines = answer.get_all(VARY).iter();
            let members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
            members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
        };
        // RFC 9111 section 4.1: a star matches nothing wherever it stands, so it counts before whatever else is wrong.
        if members().any(|member| member == b"*") {
            return Err(Unmatchable::Star);
        }
        let mut names: Vec<Name> = Vec::new();
        for member in members() {
            if member.len() > MAX_NAME_BYTES {
                return Err(Unmatchable::TooMany);
            }
            let name = HeaderName::from_bytes(member).map_err(|_| Unmatchable::Malformed)?;
            if !allowed.holds(&name) {
                return Err(Unmatchable::NotAllowed(name));
            }
            let name = Name(name);
            if let Err(place) = names.binary_search(&name) {
                names.insert(place, name);
            }
            if names.len() > MAX_NAMES {
                return Err(Unmatchable::TooMany);
            }
        }
        Ok(Self { names })
    }

    /// Whether the answer serves all requests alike.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

// === impl Name ===

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

// === impl Allowed ===

impl Allowed {
    fn holds(&self, name: &HeaderName) -> bool {
        match self {
            Self::Any => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

// === impl Unmatchable ===

impl Unmatchable {
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Star => "vary-star",
            Self::Malformed => "vary-malformed",
            Self::TooMany => "vary-too-many",
            Self::NotAllowed(_) => "vary-not-allowed",
        }
    }
}

// === impl Selecting ===

impl Selecting {
    /// What a request says; none if it says too much.
    pub(crate) fn of(spec: &Spec, request: &HeaderMap) -> Option<Self> {
        let mut left = MAX_VALUE_BYTES;
        let mut values = Vec::with_capacity(spec.names.len());
        for name in &spec.names {
            // Judged before anything is normalised, so that the work is bounded too.
            for line in request.get_all(&name.0) {
                left = left.checked_sub(line.len() + 1)?;
            }
            values.push((name.clone(), normal::value(&name.0, request)));
        }
        Some(Self { values })
    }

    /// Bytes that are equal in every process where the [`Selecting`] is, and otherwise never: a part of a stored key.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for (name, value) in &self.values {
            write(&mut bytes, name.0.as_str().as_bytes());
            match value {
                // RFC 9111 section 4.1: absent matches only absent.
                None => bytes.push(0),
                Some(value) => {
                    bytes.push(1);
                    write(&mut bytes, value);
                }
            }
        }
        bytes
    }
}

/// Raised whenever values are normalised in another way, so that what is stored is not found by mistake.
const FORM: u8 = 1;

fn write(bytes: &mut Vec<u8>, text: &[u8]) {
    // `MAX_VALUE_BYTES` lets no text be near the limit.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(text);
}

#[cfg(test)]
mod tests;
