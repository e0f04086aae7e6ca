//! The primitives by which the races of L1, the tags and the flights are decided: the standard library's. Only in the tests
//! of schedules (`--cfg shuttle`) are they those of a scheduler, so that the code in production is the code under it.

#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(all(test, shuttle)))]
pub(crate) use tokio::sync::Notify;

#[cfg(test)]
#[cfg(shuttle)]
mod tests;
#[cfg(all(test, shuttle))]
pub(crate) use self::tests::{Notify, is_turn};

/// How many there are of something that is made for each cache: fewer where a cache is made for each schedule, so that keys
/// share them there, too.
pub(crate) const fn scaled(count: usize) -> usize {
    if cfg!(all(test, shuttle)) { 4 } else { count }
}
