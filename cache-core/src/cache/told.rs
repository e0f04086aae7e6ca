//! Answers with what the cache knows of them, for functions that return it beside the value.
//!
//! What is known is put together only for those who ask: of the others nobody reads the clock.

use std::{future::Future, sync::Arc};

use super::{Cache, Call, Entry, by_hand::with_entry, load::Answer};
use crate::{
    entry,
    outcome::{Outcome, Tier},
};

impl Cache {
    /// Answers a call from the cache or by `load`, which runs in the caller and may borrow. If the caller goes away, the next
    /// waiter loads.
    pub(crate) async fn load_inline<T, E, F>(
        &self,
        call: Box<Call<T, E>>,
        load: F,
    ) -> (Result<Option<T>, E>, impl FnOnce() -> Entry<()>)
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let Answer { result, outcome, entry } = self.answer_inline(call, load).await;
        (result, move || with_entry(self, (), outcome, entry.as_ref()))
    }

    /// Answers a call from the cache or by `load`, which runs in a task of its own: a caller that goes away does nothing
    /// to it.
    pub(crate) async fn load_owned<T, E, F>(
        &self,
        call: Box<Call<T, E>>,
        load: F,
    ) -> (Result<Option<T>, E>, impl FnOnce() -> Entry<()>)
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        let Answer { result, outcome, entry } = self.answer_owned(call, load).await;
        (result, move || with_entry(self, (), outcome, entry.as_ref()))
    }

    /// The same, by a load that can be repeated: the key is kept warm from then on.
    pub(crate) async fn load_warm<T, E, F, L>(
        &self,
        call: Box<Call<T, E>>,
        load: L,
    ) -> (Result<Option<T>, E>, impl FnOnce() -> Entry<()>)
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
        L: Fn() -> F + Send + Sync + 'static,
    {
        let Answer { result, outcome, entry } = self.answer_warm(call, load).await;
        (result, move || with_entry(self, (), outcome, entry.as_ref()))
    }

    /// What is known of a hit in this process.
    #[inline]
    pub(crate) fn told_of_hit(&self, entry: &Arc<entry::Entry>) -> Entry<()> {
        with_entry(self, (), Outcome::Hit(Tier::Local), Some(entry))
    }
}
