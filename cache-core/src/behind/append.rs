//! Journaling one change.

use std::time::Duration;

use tokio::time::sleep;

use super::{WhenFull, shared::Shared};
use crate::{
    cache::Cache,
    error::{Error, ErrorKind},
    journal::{Appended, Ask, Change, Said},
    key::Key,
};

/// How often a writer that waits for room looks for it.
const LOOK: Duration = Duration::from_millis(20);

/// Journals a change, and waits for room if that is wished. Its version.
///
/// # Errors
///
/// Where it was not journaled, or nobody can say.
pub(super) async fn append(cache: &Cache, shared: &Shared, key: &Key, change: &Change) -> Result<u64, Error> {
    let partition = key.partition(shared.partitions);
    let is_told = change.replaces();
    let since = shared.clock.now();
    loop {
        let (key, change, proposed) = (key.clone(), change.clone(), cache.0.remote_micros());
        let (room, safety) = (shared.tuning.room, shared.safety);
        let ask = Ask::Append { key: key.clone(), change, proposed, room, safety };
        let said = shared.ask(partition, ask).await;
        if is_told {
            // Whatever was answered: this process must not show the old value after it.
            cache.0.journaled(&key, said.is_ok());
        }
        match said? {
            Said::Appended(Appended::As { version, .. }) => {
                shared.appended(partition);
                return Ok(version);
            }
            Said::Appended(Appended::Full) => {}
            _ => return Err(Error::new(ErrorKind::Remote, "journal", "an answer to another question")),
        }
        let room = shared.tuning.room;
        let full = || {
            let detail =
                format!("a partition of the journal has {room} changes that are not flushed: the sink is behind");
            Error::new(ErrorKind::Full, "write-behind", detail)
        };
        match shared.tuning.when_full {
            WhenFull::Fail => return Err(full()),
            WhenFull::Wait(longest) if shared.clock.now().since(since) >= longest => return Err(full()),
            WhenFull::Wait(_) => sleep(LOOK.mul_f64(0.5 + fastrand::f64())).await,
        }
    }
}
