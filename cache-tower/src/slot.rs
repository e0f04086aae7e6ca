//! What a client waits with: its request, which somebody may have to take to the origin, and what it is told meanwhile.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep};

/// Something that is there until somebody takes it.
#[derive(Debug)]
pub(crate) struct Slot<T>(Arc<Mutex<Option<T>>>);

/// What came first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came<H, O, L> {
    /// Whoever took it has told its client something at once.
    Told(H),
    /// Something was heard of another's that will do.
    Overheard(O),
    /// The load came to this, and nothing was told.
    Loaded(L),
    /// It is there still, and has waited for long enough.
    Late,
}

impl<T> Slot<T> {
    pub(crate) fn new(what: T) -> Self {
        Self(Arc::new(Mutex::new(Some(what))))
    }

    /// What is in it, if nobody has taken it.
    pub(crate) fn take(&self) -> Option<T> {
        self.lock().take()
    }

    pub(crate) fn is_there(&self) -> bool {
        self.lock().is_some()
    }

    /// Waits for what the client is told, for what is `overheard` meanwhile, or for what `loading` comes to; if nobody takes what
    /// is here, no longer than that.
    pub(crate) async fn wait<H, O, L>(
        &self,
        mut head: oneshot::Receiver<H>,
        overheard: impl Future<Output = O>,
        loading: impl Future<Output = L>,
        longest: Duration,
    ) -> Came<H, O, L> {
        let (mut loading, mut overheard, mut late) = (pin!(loading), pin!(overheard), pin!(sleep(longest)));
        let (mut is_silent, mut is_late) = (false, false);
        let loaded = loop {
            tokio::select! {
                biased;
                head = &mut head, if !is_silent => match head {
                    Ok(head) => return Came::Told(head),
                    Err(_) => is_silent = true,
                },
                loaded = &mut loading => break loaded,
                overheard = &mut overheard => return Came::Overheard(overheard),
                () = &mut late, if !is_late => {
                    is_late = true;
                    if self.is_there() {
                        return Came::Late;
                    }
                }
            }
        };
        // It may have been told, and the load have ended, after it was looked for.
        match head.try_recv() {
            Ok(head) if !is_silent => Came::Told(head),
            _ => Came::Loaded(loaded),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn never() -> impl Future<Output = ()> {
        pending()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_overheard_counts_while_nothing_is_told_and_nothing_is_loaded() {
        let slot = Slot::new(());
        let (_told, head) = oneshot::channel::<()>();
        assert_eq!(slot.wait(head, ready("heard"), pending::<()>(), LONG).await, Came::Overheard("heard"));
        let (told, head) = oneshot::channel();
        told.send("told").unwrap();
        assert_eq!(slot.wait(head, ready("heard"), pending::<()>(), LONG).await, Came::Told("told"));
        let (_told, head) = oneshot::channel::<()>();
        assert_eq!(slot.wait(head, ready("heard"), ready("loaded"), LONG).await, Came::Loaded("loaded"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_is_not_lost_if_the_load_ends_at_the_same_moment() {
        let (told, head) = oneshot::channel();
        let loading = async {
            told.send("told").unwrap();
            "loaded"
        };
        assert_eq!(Slot::new(()).wait(head, never(), loading, LONG).await, Came::Told("told"));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_word_the_load_counts() {
        let (told, head) = oneshot::channel::<()>();
        drop(told);
        assert_eq!(Slot::new(()).wait(head, never(), ready("loaded"), LONG).await, Came::Loaded("loaded"));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_nobody_has_taken_is_late() {
        let slot = Slot::new(7);
        let (_told, head) = oneshot::channel::<()>();
        assert_eq!(slot.wait(head, never(), pending::<()>(), LONG).await, Came::Late);
        assert_eq!((slot.clone().take(), slot.take(), slot.is_there()), (Some(7), None, false));
        let (_told, head) = oneshot::channel::<()>();
        // Time itself, and it is paused: twice as long as what is there would wait.
        let loading = async { sleep(LONG * 2).await };
        assert_eq!(slot.wait(head, never(), loading, LONG).await, Came::Loaded(()));
    }
}
