//! Writes that are answered before they are journaled: lanes, in each of which changes are journaled one after the other, so that those
//! of one key keep their order.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};

use super::{AckLevel, append, shared::Shared};
use crate::{
    cache::Cache,
    error::{Error, ErrorKind},
    journal::Change,
    key::Key,
};

/// Writes of this process that are accepted and not journaled yet.
const ACCEPTED: u32 = 4_096;
/// Changes that are journaled at once.
const LANES: usize = 16;
/// Between two attempts to journal one, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// A change on its way to the journal.
struct Accepted {
    /// It is there for as long as there is something to journal.
    cache: Cache,
    key: Key,
    change: Change,
    /// Room for one, given back when it is journaled.
    _room: OwnedSemaphorePermit,
}

/// What takes changes.
#[derive(Debug)]
pub(super) struct Accepting {
    room: Arc<Semaphore>,
    lanes: Vec<mpsc::Sender<Accepted>>,
}

impl Accepting {
    pub(super) fn start(cache: &Cache, shared: &Arc<Shared>) -> Self {
        // Nothing is accepted where each write waits for the journal.
        let lanes = if shared.tuning.ack == AckLevel::Accepted { LANES } else { 0 };
        let lanes = (0..lanes).map(|_| {
            let (give, take) = mpsc::channel(ACCEPTED as usize);
            cache.0.spawn(journal(Arc::clone(shared), take, cache.0.serve_until_closed()));
            give
        });
        Self { room: Arc::new(Semaphore::new(ACCEPTED as usize)), lanes: lanes.collect() }
    }

    /// Takes a change, as soon as there is room for it. Whether it was taken.
    pub(super) async fn take(&self, cache: Cache, key: Key, change: Change) -> bool {
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else { return false };
        let lane = key.local_hash() as usize % LANES;
        self.lanes[lane].send(Accepted { cache, key, change, _room: room }).await.is_ok()
    }

    /// Waits until all that was taken is journaled, so long at most.
    pub(super) async fn emptied(&self, within: Duration) {
        let _emptied = timeout(within, self.room.acquire_many(ACCEPTED)).await;
    }
}

/// Journals what comes down a lane, in its order, and what is there when the cache is closed.
async fn journal(
    shared: Arc<Shared>,
    mut lane: mpsc::Receiver<Accepted>,
    closing: tokio_util::sync::CancellationToken,
) {
    loop {
        let next = tokio::select! {
            biased;
            next = lane.recv() => next,
            () = closing.cancelled(), if !lane.is_closed() => {
                lane.close();
                continue;
            }
        };
        let Some(Accepted { cache, key, change, _room }) = next else { return };
        let (scope, mut pause) = (key.scope().name(), FIRST_PAUSE);
        while let Err(error) = append::journal(&cache, &shared, &key, &change).await {
            if closing.is_cancelled() || !may_go_on(&change, &error) {
                tracing::error!(%error, scope, "an accepted write was not journaled");
                break;
            }
            tracing::warn!(%error, scope, "an accepted write is not journaled yet");
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

/// Whether a change is tried again. To put or delete again is harmless; to add again may add twice, unless there was no room.
fn may_go_on(change: &Change, error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Full => true,
        ErrorKind::Codec | ErrorKind::Config | ErrorKind::Closed => false,
        _ => change.replaces(),
    }
}
