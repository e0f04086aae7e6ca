//! Journaling one change, and what its writer waits for where the journal has no room.

use std::time::Duration;

use tokio::time::sleep;

use super::{WhenFull, shared::Shared};
use crate::{
    cache::Cache,
    clock::Tick,
    error::{Error, ErrorKind},
    journal::{Appended, Ask, Change, Fate, Position, Said},
    key::Key,
};

/// How often a writer that waits looks: for room, or for its change in the sink.
const LOOK: Duration = Duration::from_millis(20);
/// By how much the clocks of two servers, and of a server and this process, may disagree about when a letter was written.
const CLOCKS: Duration = Duration::from_secs(10);

/// Journals a change, and waits for room if that is wished, and for the sink if it is to be written through then. Its version.
///
/// # Errors
///
/// Where it was not journaled, or nobody can say; and where it was, and the sink does not have it in time.
pub(super) async fn append(cache: &Cache, shared: &Shared, key: &Key, change: &Change) -> Result<u64, Error> {
    let began = shared.clock.now();
    if let Some((version, _)) = try_append(cache, shared, key, change).await? {
        return Ok(version);
    }
    let (WhenFull::Wait(longest) | WhenFull::WriteThrough(longest)) = shared.tuning.when_full else {
        return Err(full(shared));
    };
    let (version, position) = loop {
        if shared.clock.now().since(began) >= longest {
            return Err(full(shared));
        }
        shared.press(key.partition(shared.partitions));
        look().await;
        if let Some(appended) = try_append(cache, shared, key, change).await? {
            break appended;
        }
    };
    if matches!(shared.tuning.when_full, WhenFull::WriteThrough(_)) {
        stored(shared, key, version, position, began, longest).await?;
    }
    Ok(version)
}

/// Journals a change if there is room. Its version and its place.
async fn try_append(
    cache: &Cache,
    shared: &Shared,
    key: &Key,
    change: &Change,
) -> Result<Option<(u64, Position)>, Error> {
    let partition = key.partition(shared.partitions);
    let (room, safety) = (shared.tuning.room, shared.safety);
    let proposed = cache.0.remote_micros();
    let ask = Ask::Append { key: key.clone(), change: change.clone(), proposed, room, safety };
    let said = shared.ask(partition, ask).await;
    if change.replaces() {
        // Whatever was answered: this process must not show the old value after it.
        cache.0.journaled(key, said.is_ok());
    }
    match said? {
        Said::Appended(Appended::As { version, position }) => {
            shared.appended(partition);
            Ok(Some((version, position)))
        }
        Said::Appended(Appended::Full) => Ok(None),
        _ => Err(another_question()),
    }
}

/// Waits until the sink has a change.
async fn stored(
    shared: &Shared,
    key: &Key,
    version: u64,
    at: Position,
    began: Tick,
    longest: Duration,
) -> Result<(), Error> {
    let partition = key.partition(shared.partitions);
    loop {
        shared.press(partition);
        look().await;
        let waited = shared.clock.now().since(began);
        let since = Duration::from_micros(shared.clock.remote_micros()).saturating_sub(waited + CLOCKS);
        let ask = Ask::Known { key: key.clone(), at, letters_from: since.as_millis() as u64 };
        let why = match shared.ask(partition, ask).await {
            Ok(Said::Known(known)) => match known.fate_of(version, at) {
                Fate::Stored => return Ok(()),
                Fate::GivenUp(reason) => {
                    let detail = format!("the sink gave the write up, it is a dead letter: {reason}");
                    return Err(Error::new(ErrorKind::Refused, "write-behind", detail));
                }
                Fate::Waits(reason) => reason.map_or_else(String::new, |reason| format!(" (refused: {reason})")),
            },
            Ok(_) => return Err(another_question()),
            Err(error) => format!(" ({error})"),
        };
        if waited >= longest {
            let detail = format!(
                "the write is journaled, and the sink does not have it after {waited:?}{why}: it is flushed later"
            );
            return Err(Error::new(ErrorKind::Timeout, "write-behind", detail));
        }
    }
}

async fn look() {
    sleep(LOOK.mul_f64(0.5 + fastrand::f64())).await;
}

fn full(shared: &Shared) -> Error {
    let room = shared.tuning.room;
    let detail = format!("a partition of the journal has {room} changes that are not flushed: the sink is behind");
    Error::new(ErrorKind::Full, "write-behind", detail)
}

fn another_question() -> Error {
    Error::new(ErrorKind::Remote, "journal", "an answer to another question")
}
