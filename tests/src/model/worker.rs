//! Those who do something: what, how far they are, and what they remember.

use super::state::{Stamp, Value};

/// What a worker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Job {
    #[default]
    Nothing,
    Call,
    Evict,
    EvictTag,
    Put,
}

/// What a worker does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    #[default]
    Idle,
    /// Has read its marks; the first command comes.
    Watched,
    ConfirmAnswered,
    Reading,
    ReadAnswered,
    AskingTag,
    TagAnswered,
    Capturing,
    CaptureAnswered,
    /// The body of the load, or of the writer.
    Body,
    Holding,
    HoldAnswered,
    /// For the echo of a beat.
    Waiting,
    Installing,
    Filling,
    Bumping,
    Bumped,
}

/// Somebody who does one thing after another, in steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    pub node: u8,
    pub job: Job,
    /// How often it will still begin.
    pub runs: u8,
    pub stage: Stage,
    /// What was read before the first command.
    pub watch: Seen,
    /// What was read before a question about the tag, while that is under way.
    pub asked: Option<Seen>,
    /// What it found, captured, loaded or wrote.
    pub value: Value,
    /// What Redis said of the tag.
    pub said: u8,
    /// What Redis said of the version, or that it stored.
    pub yes: bool,
    /// An eviction went unconfirmed on its node since it asked.
    pub overtaken: bool,
    /// Hints that have to arrive before the beat does.
    pub barrier: u8,
    /// The oldest row that the caller may be answered with.
    pub owed: u8,
    /// The same of whoever boarded later.
    pub boarded: u8,
}

/// Marks that somebody read: whether they are still where they were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub stamp: Stamp,
    /// No hint on the tag has come since.
    pub unhinted: bool,
}

// === impl Stage ===

impl Stage {
    /// Whether an answer is on its way.
    pub const fn hears(self) -> bool {
        matches!(
            self,
            Self::ConfirmAnswered | Self::ReadAnswered | Self::TagAnswered | Self::CaptureAnswered | Self::HoldAnswered
        )
    }
}

// === impl Worker ===

impl Worker {
    /// Done: nothing of the run is remembered.
    pub fn end(&mut self) {
        *self = Self { node: self.node, job: self.job, runs: self.runs, ..Self::default() };
    }
}

// === impl Seen ===

impl Seen {
    /// Read just now.
    pub(super) const NOW: Self = Self { stamp: Stamp::CURRENT, unhinted: true };
}
