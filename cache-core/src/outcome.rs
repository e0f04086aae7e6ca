//! What the cache did for a call, in words that logs, metrics and headers share.

use std::{fmt, time::Duration};

/// Where a hit came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// This process (L1).
    Local,
    /// Redis (L2).
    Remote,
}

impl Tier {
    /// `local` or `remote`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
        }
    }
}

/// Why a call went past the cache, or why what it loaded was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bypass {
    /// No cache is installed in this process, and none was named.
    NotInstalled,
    /// The cache is [`Cache::disabled`](crate::Cache::disabled), or the expression gave `None`.
    Disabled,
    /// `when` said no.
    When,
    /// `unless` said yes to the result.
    Unless,
    /// Redis could not be reached, did not answer within the budget, or cannot be trusted yet.
    Remote,
    /// Another place stores under the same template with different tags.
    TagsDiffer,
    /// More tags than an entry may have, or none could be made.
    Tags,
    /// The value cannot be encoded, or is larger than a value may be.
    Encode,
    /// The policy gives the value no time to live.
    NoTtl,
    /// The cache has been closed.
    Closed,
}

impl Bypass {
    /// Every reason, in the order of [`index`](Self::index).
    pub(crate) const ALL: [Self; 10] = [
        Self::NotInstalled,
        Self::Disabled,
        Self::When,
        Self::Unless,
        Self::Remote,
        Self::TagsDiffer,
        Self::Tags,
        Self::Encode,
        Self::NoTtl,
        Self::Closed,
    ];

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// One word for logs, metrics and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotInstalled => "not_installed",
            Self::Disabled => "disabled",
            Self::When => "when",
            Self::Unless => "unless",
            Self::Remote => "remote",
            Self::TagsDiffer => "tags_differ",
            Self::Tags => "tags",
            Self::Encode => "encode",
            Self::NoTtl => "no_ttl",
            Self::Closed => "closed",
        }
    }
}

/// How safe an eviction or a put is when the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "only `Applied` is in force on every node"]
pub enum Ack {
    /// Redis has it: every node sees it, at the latest when the bound has passed. The number is the key's new version; 0 where there
    /// was nothing to evict, as with [`Cache::disabled`](crate::Cache::disabled), which keeps nothing. Of a put it may be that the
    /// old value was only evicted: where somebody else wrote meanwhile, and where the new one cannot be stored.
    Applied(u64),
    /// Redis did not confirm it within the budget. It is in force on this node at once, and everywhere as soon as Redis
    /// answers again: until then, what Redis holds of it is not used here.
    Queued,
    /// Redis did not confirm it, and the cache was told to [fail](OnL2Error::Fail) then. It is in force in this process's L1
    /// alone; whoever called has to try again, or to take back what was changed. Also where nothing is done at all: by a cache
    /// that has been [closed](crate::Cache::close), and for a scope that is none.
    Failed,
}

/// What becomes of an eviction or a put that Redis does not confirm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnL2Error {
    /// It waits in this process, and is put in force as soon as Redis answers: [`Ack::Queued`].
    #[default]
    Queue,
    /// It is given back to the caller: [`Ack::Failed`]. Where there is nobody to give it to (a writer whose body failed, or that was
    /// dropped; a [`Unit`](crate::Unit) that was dropped), it waits as with [`Queue`](Self::Queue).
    Fail,
}

impl Ack {
    /// Whether every node sees it.
    #[must_use]
    pub const fn is_applied(self) -> bool {
        matches!(self, Self::Applied(_))
    }

    /// `applied`, `queued` or `failed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied(_) => "applied",
            Self::Queued => "queued",
            Self::Failed => "failed",
        }
    }
}

/// What the cache did for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The value was there.
    Hit(Tier),
    /// A value was there that has ended to be fresh; it was served while a new one is loaded
    /// ([`Policy::stale`](crate::Policy::stale)).
    Stale(Tier),
    /// A value was there that has ended to be fresh; it was served because a load failed or was late
    /// ([`Policy::fail_safe`](crate::Policy::fail_safe)).
    FailSafe(Tier),
    /// The value was not there; a load that was already under way gave it.
    Joined,
    /// The value was not there; this call loaded it.
    Loaded,
    /// The value was not there, and the call is one that does not load.
    Absent,
    /// The value was not there, and its load took longer than the call waits for one.
    TimedOut,
    /// The value was not there; a load failed a short while ago, and the call was given that error
    /// ([`Policy::backoff`](crate::Policy::backoff)).
    HeldOff,
    /// The cache stood aside, and the call ran as if it were not there.
    Bypass(Bypass),
    /// A value was put.
    Put(Ack),
    /// Something was evicted.
    Evict(Ack),
}

impl Outcome {
    /// `hit`, `stale`, `fail_safe`, `miss`, `bypass`, `put` or `evict`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit(_) => "hit",
            Self::Stale(_) => "stale",
            Self::FailSafe(_) => "fail_safe",
            Self::Joined | Self::Loaded | Self::Absent | Self::TimedOut | Self::HeldOff => "miss",
            Self::Bypass(_) => "bypass",
            Self::Put(_) => "put",
            Self::Evict(_) => "evict",
        }
    }

    /// Whether the caller waited for no load.
    #[must_use]
    pub const fn is_hit(self) -> bool {
        matches!(self, Self::Hit(_) | Self::Stale(_))
    }

    /// Where the value was found, if it was.
    #[must_use]
    pub const fn tier(self) -> Option<Tier> {
        match self {
            Self::Hit(tier) | Self::Stale(tier) | Self::FailSafe(tier) => Some(tier),
            _ => None,
        }
    }

    /// Whether the value had ended to be fresh.
    #[must_use]
    pub const fn is_stale(self) -> bool {
        matches!(self, Self::Stale(_) | Self::FailSafe(_))
    }
}

/// `hit; tier=local`, `stale; tier=remote`, `miss; load=joined`, `bypass; reason=when`, `evict; ack=queued`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.as_str();
        match self {
            Self::Hit(tier) | Self::Stale(tier) | Self::FailSafe(tier) => write!(f, "{word}; tier={}", tier.as_str()),
            Self::Joined => write!(f, "{word}; load=joined"),
            Self::Loaded => write!(f, "{word}; load=own"),
            Self::Absent => write!(f, "{word}; load=none"),
            Self::TimedOut => write!(f, "{word}; load=late"),
            Self::HeldOff => write!(f, "{word}; load=held_off"),
            Self::Bypass(reason) => write!(f, "{word}; reason={}", reason.as_str()),
            Self::Put(ack) | Self::Evict(ack) => write!(f, "{word}; ack={}", ack.as_str()),
        }
    }
}

/// One thing that a cache did inside an observed future.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observation {
    /// The scope of the key, or the tag's or scope's own name.
    pub scope: String,
    /// What the cache did.
    pub outcome: Outcome,
    /// How long the call waited for Redis, in all of its trips.
    pub remote_time: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bypass_index_is_the_place_in_all() {
        for (index, reason) in Bypass::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index, "{}", reason.as_str());
        }
    }

    #[test]
    fn display_says_the_word_and_why() {
        assert_eq!(Outcome::Hit(Tier::Remote).to_string(), "hit; tier=remote");
        assert_eq!(Outcome::FailSafe(Tier::Local).to_string(), "fail_safe; tier=local");
        assert_eq!(Outcome::Bypass(Bypass::When).to_string(), "bypass; reason=when");
        assert_eq!(Outcome::Evict(Ack::Queued).to_string(), "evict; ack=queued");
    }
}
