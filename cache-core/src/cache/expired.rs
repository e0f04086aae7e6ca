//! Redis's word that an entry expired, for applications that were built on it.

use std::{fmt, marker::PhantomData, sync::Arc};

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Cache;
use crate::{
    error::Error,
    key::Key,
    value::{CacheValue, ValueOps},
};

/// Keys whose value of type `T` Redis removed because its time was over. Made by [`Cache::expired`].
///
/// This is what Redis says, and no clock: it says so when it removes the record, because somebody asked for it or a sweep came
/// by, which may be minutes after its end
/// (<https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/#timing-of-expired-events>). It says nothing of what was
/// evicted, replaced or reclaimed, nor to whom it cannot reach at that moment, and it says so to every node. To have a value
/// loaded before it expires there is [`Policy::warm_up`](crate::Policy::warm_up), which goes by the value's own deadline.
pub struct Expired<T> {
    receiver: Receiver<(Key, Arc<str>)>,
    fingerprint: String,
    missed: u64,
    of: PhantomData<fn() -> T>,
}

impl Cache {
    /// The keys of `T` that expire from now on, as Redis says.
    ///
    /// # Errors
    ///
    /// Of a cache that was built without [`expired_events`](crate::Builder::expired_events), and of a type whose values
    /// cannot be stored.
    pub fn expired<T: CacheValue>(&self) -> Result<Expired<T>, Error> {
        let none = || Error::config("expired", "the cache was built without `expired_events`: nobody tells it");
        let receiver = self.0.expired.as_ref().ok_or_else(none)?.subscribe();
        let fingerprint = (ValueOps::<T>::of().fingerprint)(self.0.codec, 0);
        let fingerprint = fingerprint.map_err(|error| Error::config("expired", error.to_string()))?.to_string();
        Ok(Expired { receiver, fingerprint, missed: 0, of: PhantomData })
    }
}

impl<T> Expired<T> {
    /// The next key; `None` when the cache is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Key> {
        loop {
            match self.receiver.recv().await {
                Ok((key, fingerprint)) if *fingerprint == *self.fingerprint => return Some(key),
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => self.missed += missed,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// How many, of whatever type, were missed because they came faster than they were taken: more than 1,024 at once.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}

impl<T> fmt::Debug for Expired<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expired").field("missed", &self.missed).finish_non_exhaustive()
    }
}
