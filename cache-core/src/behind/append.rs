//! Journaling one change, and what its writer waits for where the journal has no room.

use std::time::Duration;

use tokio::time::sleep;

use super::{AckLevel, WhenFull, shared::Shared};
use crate::{
    cache::Cache,
    clock::Tick,
    error::{Error, ErrorKind},
    journal::{Appended, Ask, Change, Fate, Position, Said, Witness},
    key::Key,
};

/// How often a writer that waits looks: for room, or for its change in the sink.
const LOOK: Duration = Duration::from_millis(20);
/// For how much longer a witness is kept than anybody looks for it.
const WITNESS: Duration = Duration::from_secs(60);

/// A change that is journaled.
struct Entry {
    version: u64,
    position: Position,
    /// It found no room at first, and goes on to the sink.
    witness: Option<Witness>,
}

/// Journals a change. If it has to wait for room, and such are to be written through, waits for the sink too. Its version.
///
/// # Errors
///
/// Where it was not journaled, or nobody can say; and where it was, and the sink does not have it in time.
pub(super) async fn append(cache: &Cache, shared: &Shared, key: &Key, change: &Change) -> Result<u64, Error> {
    let began = shared.clock.now();
    let entry = journaled(cache, shared, key, change, began, true).await?;
    stored(shared, key, &entry, began).await?;
    Ok(entry.version)
}

/// Journals a change, and waits for room if that is wished, and for nothing else. Its version.
///
/// # Errors
///
/// Where it was not journaled, or nobody can say.
pub(super) async fn journal(cache: &Cache, shared: &Shared, key: &Key, change: &Change) -> Result<u64, Error> {
    let began = shared.clock.now();
    Ok(journaled(cache, shared, key, change, began, false).await?.version)
}

async fn journaled(
    cache: &Cache,
    shared: &Shared,
    key: &Key,
    change: &Change,
    began: Tick,
    goes_on: bool,
) -> Result<Entry, Error> {
    let mut witness = None;
    loop {
        if let Some(entry) = try_append(cache, shared, key, change, witness).await? {
            return Ok(entry);
        }
        let longest = match shared.tuning.when_full {
            WhenFull::Fail => return Err(full(shared)),
            WhenFull::Wait(longest) => longest,
            WhenFull::WriteThrough(longest) => {
                let fresh = || Witness { name: fastrand::u128(..), life: longest.saturating_add(WITNESS) };
                witness = witness.or_else(|| goes_on.then(fresh));
                longest
            }
        };
        if shared.clock.now().since(began) >= longest {
            return Err(full(shared));
        }
        // What was accepted is journaled before anything is closed; when the cache is, nobody makes room any more.
        if cache.0.is_closed() || (*shared.draining.borrow() && shared.tuning.ack != AckLevel::Accepted) {
            return Err(closed());
        }
        look().await;
    }
}

/// Journals a change if there is room.
async fn try_append(
    cache: &Cache,
    shared: &Shared,
    key: &Key,
    change: &Change,
    witness: Option<Witness>,
) -> Result<Option<Entry>, Error> {
    let partition = key.partition(shared.partitions);
    let (room, safety) = (shared.tuning.room, shared.safety);
    let ask = Ask::Append { key: key.clone(), change: change.clone(), room, safety, witness };
    let said = shared.ask(partition, ask).await;
    if change.replaces() && !matches!(said, Ok(Said::Appended(Appended::Full))) {
        // Whatever else was answered: this process must not show the old value after it.
        cache.0.journaled(key, said.is_ok());
    }
    match said? {
        Said::Appended(Appended::As { version, position }) => {
            shared.appended(partition);
            Ok(Some(Entry { version, position, witness }))
        }
        Said::Appended(Appended::Full) => Ok(None),
        _ => Err(another_question()),
    }
}

/// Waits until the sink has a change, if it goes on there.
async fn stored(shared: &Shared, key: &Key, entry: &Entry, began: Tick) -> Result<(), Error> {
    let (Some(witness), WhenFull::WriteThrough(longest)) = (entry.witness, shared.tuning.when_full) else {
        return Ok(());
    };
    let partition = key.partition(shared.partitions);
    let mut letters = None;
    loop {
        look().await;
        let ask = Ask::Known { key: key.clone(), at: entry.position, witness, letters };
        let why = match shared.ask(partition, ask).await {
            Ok(Said::Known(Some(known))) => {
                letters = Some(known.last_letter);
                match known.fate_of(entry.version) {
                    Fate::Stored => return Ok(()),
                    Fate::GivenUp => return Err(given_up()),
                    Fate::Refused => ": it was refused, and is tried again".to_owned(),
                    Fate::Waits => String::new(),
                }
            }
            Ok(Said::Known(None)) => return Err(lost()),
            Ok(_) => return Err(another_question()),
            Err(error) => format!(": {error}"),
        };
        let waited = shared.clock.now().since(began);
        if waited >= longest || *shared.ended.borrow() {
            return Err(unconfirmed(waited, &why));
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

fn unconfirmed(waited: Duration, why: &str) -> Error {
    let detail =
        format!("the change is journaled, and the sink does not have it after {waited:?}{why}; it is flushed later");
    Error::new(ErrorKind::Unconfirmed, "write-behind", detail)
}

fn given_up() -> Error {
    let detail = "the sink refused the change, or what replaced it, too often: a dead letter, which says why";
    Error::new(ErrorKind::Refused, "write-behind", detail)
}

fn lost() -> Error {
    let detail = "the server has lost what it knew of the change, for it came back from before it, or has no memory left: whether it is \
                  flushed nobody can say";
    Error::new(ErrorKind::Remote, "write-behind", detail)
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "write-behind", "it takes no more writes")
}

fn another_question() -> Error {
    Error::new(ErrorKind::Remote, "journal", "an answer to another question")
}
