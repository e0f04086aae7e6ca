//! What is asked of whom: the cases, the [`Contender`] that each crate's adapter is, and the verdict on one against the
//! other.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::source::Source;

/// The future of a method that has to be callable through `dyn`.
pub(crate) type Step<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The cases, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// An eviction while the same node loads.
    SameNode,
    /// An eviction while the other node loads.
    OtherNode,
    /// A group of entries evicted while one of them is loaded.
    Group,
    /// A node's connections cut while another evicts.
    Cut,
    /// A node's connections silent, but open, while another evicts.
    HalfOpen,
    /// Two writers of one row on two nodes.
    TwoPuts,
    /// Redis killed.
    Killed,
    /// Redis stopped: its connections stay open, and nothing answers.
    Stopped,
    /// The caller whose call loads goes away while others wait for it.
    LeaderGone,
    /// An eviction after Redis was restarted with nothing.
    Restarted,
    /// FLUSHALL as a way to invalidate everything.
    Flushed,
    /// A release changes the type of what is cached under a key.
    Retyped,
    /// Two functions of one name in two modules.
    OneName,
}

/// What a node is wanted for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// The case.
    pub(crate) case: Case,
    /// With what [`Contender::option`] names.
    pub(crate) with_option: bool,
}

/// One cache library, set up as its documentation recommends for the case at hand.
pub(crate) trait Contender: Sync {
    /// The heading of its column.
    fn name(&self) -> &'static str;

    /// The crates whose versions are shown.
    fn crates(&self) -> &'static [&'static str];

    /// Why there is nothing to run: it has no such operation, or no second tier.
    fn lacks(&self, case: Case) -> Option<&'static str>;

    /// What its documentation says that it does not do. The case is run; what is seen then is told, and is no break.
    fn disclaims(&self, _case: Case) -> Option<&'static str> {
        None
    }

    /// What its documentation has that is not in the set-up it shows first, and that this case is a reason to set. The case
    /// is run without it, and where it breaks once more with it.
    fn option(&self, _case: Case) -> Option<&'static str> {
        None
    }

    /// A new node, at the Redis of this URL if it knows one.
    fn node<'a>(&'a self, setup: Setup, url: &'a str) -> Step<'a, Arc<dyn Node>>;

    /// Case [`Case::Retyped`]: an account as a release of this version finds it, when its own function would give
    /// `(balance, limit)`.
    fn account<'a>(
        &'a self,
        _url: &'a str,
        _release: Release,
        _loads: (u64, u64),
    ) -> Step<'a, Result<(u64, u64), String>> {
        not_offered()
    }

    /// Case [`Case::OneName`]: calls `users::find(7)`, then `quotas::find(7)`, and says what the second one gave.
    fn quota<'a>(&'a self, _setup: Setup, _url: &'a str) -> Step<'a, Result<Quota, String>> {
        not_offered()
    }
}

/// A cache in one process of several.
pub(crate) trait Node: Send + Sync {
    /// The row's revision: cached, or read from `source` and cached.
    fn find<'a>(&'a self, id: u64, source: &'a Source) -> Step<'a, Result<u64, String>>;

    /// Says that the row has changed.
    fn evict(&self, _id: u64) -> Step<'_, Result<(), String>> {
        not_offered()
    }

    /// Says that the whole group has changed that the row belongs to.
    fn evict_group(&self) -> Step<'_, Result<(), String>> {
        not_offered()
    }

    /// Writes the row, and puts what was written into the cache.
    fn save<'a>(&'a self, _id: u64, _revision: u64, _source: &'a Source) -> Step<'a, Result<(), String>> {
        not_offered()
    }
}

/// The releases of a service whose account changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Release {
    /// `balance`, `limit`.
    First,
    /// The same two fields, the other way round.
    Reordered,
    /// A third field.
    Grown,
}

/// What `quotas::find` gives.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Quota {
    /// Units used.
    pub(crate) used: u64,
    /// Whether there is no limit.
    pub(crate) unlimited: bool,
}

/// How one run of a case ended well: what it took where time is the question.
pub(crate) type Seen = Result<Option<Duration>, Broken>;

/// What was seen instead.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    /// In words, the same for every run that ended so.
    pub(crate) what: String,
    /// How long that took, where time is the question.
    pub(crate) took: Option<Duration>,
}

/// What the table says.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// Every run ended well.
    Holds(String),
    /// Every run ended well with [`Contender::option`], and not without.
    HoldsWith(String),
    /// Some did not.
    Breaks(String),
    /// It does not do this, and says so or has no operation for it.
    NotOffered(String),
}

fn not_offered<'a, T: 'a>() -> Step<'a, Result<T, String>> {
    Box::pin(async { Err("not offered".to_owned()) })
}

// === impl Case ===

impl Case {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::SameNode,
        Self::OtherNode,
        Self::Group,
        Self::Cut,
        Self::HalfOpen,
        Self::TwoPuts,
        Self::Killed,
        Self::Stopped,
        Self::LeaderGone,
        Self::Restarted,
        Self::Flushed,
        Self::Retyped,
        Self::OneName,
    ];

    /// Its number in the table.
    pub(crate) fn number(self) -> usize {
        self as usize + 1
    }

    /// Its line in the table.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::SameNode => "evict during a load, same node",
            Self::OtherNode => "evict during a load, other node",
            Self::Group => "group evicted during a load",
            Self::Cut => "connections cut during an evict",
            Self::HalfOpen => "connections half-open during an evict",
            Self::TwoPuts => "put against put on two nodes",
            Self::Killed => "Redis killed",
            Self::Stopped => "Redis stopped (SIGSTOP)",
            Self::LeaderGone => "loading caller goes away",
            Self::Restarted => "evict after a restart of Redis, empty",
            Self::Flushed => "FLUSHALL",
            Self::Retyped => "type changed under one key",
            Self::OneName => "two functions of one name",
        }
    }

    /// Whether it takes a second tier, or a second node.
    pub(crate) fn is_shared(self) -> bool {
        !matches!(self, Self::SameNode | Self::Group | Self::LeaderGone)
    }
}

// === impl Broken ===

impl Broken {
    /// A break where time is not the question.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), took: None }
    }
}

impl From<String> for Broken {
    fn from(what: String) -> Self {
        Self::new(what)
    }
}

// === impl Verdict ===

impl Verdict {
    /// The verdict over all runs: every kind of break that was seen, and how often.
    pub(crate) fn over(runs: &[Seen]) -> Self {
        let broken: Vec<&Broken> = runs.iter().filter_map(|run| run.as_ref().err()).collect();
        if broken.is_empty() {
            let longest = runs.iter().filter_map(|run| run.as_ref().ok().copied().flatten()).max();
            return Self::Holds(longest.map_or(String::new(), |it| format!("at most {}", seconds(it))));
        }
        let mut kinds: Vec<&str> = broken.iter().map(|it| it.what.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let told = kinds.into_iter().map(|kind| {
            let alike: Vec<&&Broken> = broken.iter().filter(|it| it.what == kind).collect();
            let longest = alike.iter().filter_map(|it| it.took).max();
            let took = longest.map_or(String::new(), |it| format!(", up to {}", seconds(it)));
            format!("{kind}{took} ({} of {} runs)", alike.len(), runs.len())
        });
        Self::Breaks(told.collect::<Vec<_>>().join("; "))
    }

    /// With an option, given what was seen without.
    pub(crate) fn with(self, option: &str, without: &str) -> Self {
        match self {
            Self::Holds(detail) => {
                let comma = if detail.is_empty() { "" } else { ", " };
                Self::HoldsWith(format!("{detail}{comma}with {option}; without: {without}"))
            }
            Self::Breaks(seen) => Self::Breaks(format!("{without}; with {option}: {seen}")),
            Self::HoldsWith(_) | Self::NotOffered(_) => self,
        }
    }

    /// Of a case that the documentation disclaims.
    pub(crate) fn disclaimed(self, says: &str) -> Self {
        match self {
            Self::Breaks(seen) => Self::NotOffered(format!("{says}; seen: {seen}")),
            Self::Holds(_) | Self::HoldsWith(_) | Self::NotOffered(_) => self,
        }
    }

    /// The one word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Holds(_) => "holds",
            Self::HoldsWith(_) => "holds*",
            Self::Breaks(_) => "breaks",
            Self::NotOffered(_) => "not offered",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Holds(detail) | Self::HoldsWith(detail) | Self::Breaks(detail) | Self::NotOffered(detail)) = self;
        match detail.as_str() {
            "" => f.write_str(self.word()),
            detail => write!(f, "{}: {detail}", self.word()),
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
