//! What `#[cache_put(behind = ..)]` expands to: the body builds the value, and it is answered when the journal has it.

use std::{future::Future, pin::Pin};

use super::kind::{Fallible, Holds, Kind, One, OneEntry};
use crate::{
    behind::{Journaled, WriteBehind},
    cache::Entry,
    error::Error,
    key::Key,
    outcome::{Ack, Outcome},
    value::CacheValue,
};

/// Journals a value. Erased where the type is known to be one that can be cached, so that the rest asks nothing of it.
type Journals<T> = fn(&WriteBehind<T>, Key, &T) -> Journaling;

type Journaling = Pin<Box<dyn Future<Output = Result<Journaled, Error>> + Send>>;

/// A key over a value.
type KeyOf<T> = Box<dyn FnOnce(&T) -> Vec<Key> + Send>;

/// A write that a journal is about to take.
pub struct Behind<K: Kind> {
    handle: WriteBehind<K::Value>,
    journals: Journals<K::Value>,
    says: fn(Error) -> K::Error,
    key: Option<KeyOf<K::Value>>,
}

/// An error that can say what the journal said.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that a write was not journaled",
    label = "a write that is not journaled ends with an error of this type",
    note = "implement `From<cache_core::Error>` for `{Self}`, or put by hand: `handle.put(key, &value)`"
)]
pub trait SaysNotJournaled {
    /// The error.
    fn not_journaled(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> SaysNotJournaled for E {
    fn not_journaled(error: Error) -> Self {
        error.into()
    }
}

/// What always holds a value where the body did not fail.
#[diagnostic::on_unimplemented(
    message = "what this function builds cannot be journaled: it may be nothing",
    label = "this needs a `Result` of a value, not of an `Option`",
    note = "return `Result<T, E>`, and decide in the body what to do about nothing; for rows that are to go there is `WriteBehind::delete`"
)]
pub trait HoldsOne: Holds {}

impl<T> HoldsOne for One<T> {}

impl<T> HoldsOne for OneEntry<T> {}

/// A kind whose value a journal can take, and with an error that can say that it did not.
#[diagnostic::on_unimplemented(
    message = "what a function that returns `{R}` builds cannot be journaled",
    label = "this needs a `Result` of a value",
    note = "return `Result<T, E>`, where `E` is `From<cache_core::Error>`: a write that is not journaled ends with an error, and of \
            nothing there is nothing to write"
)]
pub trait IsJournaled<R>: Kind {
    /// How its error is made.
    const NOT_JOURNALED: fn(Error) -> Self::Error;
}

impl<H: HoldsOne, E: SaysNotJournaled> IsJournaled<Result<H::Held, E>> for Fallible<H, E> {
    const NOT_JOURNALED: fn(Error) -> E = E::not_journaled;
}

/// How the error of a kind is made.
#[inline]
pub fn says_not_journaled<K>(_: K) -> fn(Error) -> K::Error
where
    K: Kind + IsJournaled<<K as Kind>::Returned>,
{
    K::NOT_JOURNALED
}

/// How the value of a kind is journaled.
#[inline]
pub fn journals<K: Kind>(_: K) -> Journals<K::Value>
where
    K::Value: CacheValue,
{
    |handle, key, value| Box::pin(handle.clone().into_put(key, value))
}

// === impl Behind ===

impl<K: Kind> Behind<K> {
    /// A write into the journal of `handle`.
    pub fn new(
        _: K,
        journals: Journals<K::Value>,
        says: fn(Error) -> K::Error,
        handle: &WriteBehind<K::Value>,
    ) -> Self {
        Self { handle: handle.clone(), journals, says, key: None }
    }

    /// Its key.
    pub fn key(self, key: Key) -> Self {
        self.key_later(move |_| Vec::from([key]))
    }

    /// Its key, which only the value can name.
    pub fn key_later(mut self, key: impl FnOnce(&K::Value) -> Vec<Key> + Send + 'static) -> Self {
        self.key = Some(Box::new(key));
        self
    }

    async fn around(self, body: impl Future<Output = K::Returned>) -> K::Returned {
        let Self { handle, journals, says, key } = self;
        let returned = body.await;
        // Nothing of the result is borrowed while Redis is waited for: it need not be `Sync`.
        let journaling = match K::view(&returned) {
            Some(Some(value)) => key.and_then(|key| key(value).pop()).map(|key| journals(&handle, key, value)),
            _ => None,
        };
        let Some(journaling) = journaling else { return returned };
        match journaling.await {
            Ok(Journaled { version }) => K::tell(returned, Outcome::Put(version.map_or(Ack::Queued, Ack::Applied))),
            Err(error) => K::join(Err(says(error)), || Entry::from(())),
        }
    }
}

/// The body runs in the caller. One that goes away before the body has returned has written nothing.
pub(super) async fn behind_inline<K, F>(plan: Behind<K>, body: F) -> K::Returned
where
    K: Kind,
    F: Future<Output = K::Returned>,
{
    plan.around(body).await
}

/// The body runs in a task with the journaling: a caller that goes away does nothing to it.
pub(super) async fn behind_owned<K, F>(plan: Behind<K>, body: F) -> K::Returned
where
    K: Kind + 'static,
    K::Returned: Send + 'static,
    F: Future<Output = K::Returned> + Send + 'static,
{
    let cache = plan.handle.cache().clone();
    cache.run_owned(plan.around(body)).await
}
