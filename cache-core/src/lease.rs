//! Waiting for another node's load: who waits here for which key, and what they are told.
//!
//! A lease only saves work. So nothing hangs on a word that is lost: whoever waits asks again by himself after a while.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{key::Key, tier::LeaseEnd};

/// What is said about a key that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The lease has ended.
    Ended(LeaseEnd),
    /// The key was changed: whatever is being loaded for it is of no use any more.
    Changed,
}

/// Those of one cache who wait, by the hash of their key: a word about another key of the same hash is one question more.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    channels: Mutex<Channels>,
    /// While nobody waits, nobody takes the lock.
    count: AtomicUsize,
}

type Channels = HashMap<u128, (Arc<Channel>, usize)>;

/// What is said about one key: the last word, and the how manieth it is.
///
/// As a watch channel, but that those who wait go on in the order in which they came.
#[derive(Debug, Default)]
struct Channel {
    said: Mutex<(u64, Option<Word>)>,
    told: Notify,
}

/// Somebody waits, as long as this is kept.
pub(crate) struct Wait {
    waiting: Arc<Waiting>,
    hash: u128,
    channel: Arc<Channel>,
    heard: u64,
}

// === impl Waiting ===

impl Waiting {
    /// Listens to what is said about a key from now on.
    pub(crate) fn listen(self: &Arc<Self>, key: &Key) -> Wait {
        let hash = key.local_hash();
        let mut channels = self.lock();
        let (channel, waiters) = channels.entry(hash).or_default();
        *waiters += 1;
        let channel = Arc::clone(channel);
        let heard = channel.said().0;
        self.count.fetch_add(1, Ordering::AcqRel);
        drop(channels);
        Wait { waiting: Arc::clone(self), hash, channel, heard }
    }

    /// Tells those who wait for a key.
    pub(crate) fn tell(&self, key: &Key, word: Word) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        if let Some((channel, _)) = self.lock().get(&key.local_hash()) {
            channel.say(word);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        // Nothing can panic while it is held.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Channel ===

impl Channel {
    fn say(&self, word: Word) {
        let mut said = self.said();
        *said = (said.0 + 1, Some(word));
        drop(said);
        self.told.notify_waiters();
    }

    fn said(&self) -> MutexGuard<'_, (u64, Option<Word>)> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Wait ===

impl Wait {
    /// The next word, or the last one if there were several. Dropping the future loses none.
    pub(crate) async fn word(&mut self) -> Word {
        loop {
            let told = self.channel.told.notified();
            if let (number, Some(word)) = *self.channel.said()
                && number != self.heard
            {
                self.heard = number;
                return word;
            }
            told.await;
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut channels = self.waiting.lock();
        self.waiting.count.fetch_sub(1, Ordering::AcqRel);
        if let Some((_, waiters)) = channels.get_mut(&self.hash) {
            *waiters -= 1;
            if *waiters == 0 {
                channels.remove(&self.hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u64) -> Key {
        Key::new("product").arg(id)
    }

    #[tokio::test]
    async fn a_word_reaches_all_who_wait_for_its_key_and_nobody_else() {
        let waiting = Arc::new(Waiting::default());
        let (mut one, mut two, mut other) = (waiting.listen(&key(7)), waiting.listen(&key(7)), waiting.listen(&key(8)));
        waiting.tell(&key(7), Word::Ended(LeaseEnd::Failed));
        assert_eq!(one.word().await, Word::Ended(LeaseEnd::Failed));
        assert_eq!(two.word().await, Word::Ended(LeaseEnd::Failed));
        assert!(futures_util::poll!(Box::pin(other.word())).is_pending());
    }

    #[tokio::test]
    async fn what_was_said_before_somebody_listened_is_not_for_him() {
        let waiting = Arc::new(Waiting::default());
        let _keeps_the_channel = waiting.listen(&key(7));
        waiting.tell(&key(7), Word::Changed);
        let mut late = waiting.listen(&key(7));
        assert!(futures_util::poll!(Box::pin(late.word())).is_pending());
    }

    #[tokio::test]
    async fn a_word_that_comes_while_nobody_awaits_it_is_not_lost() {
        let waiting = Arc::new(Waiting::default());
        let mut wait = waiting.listen(&key(7));
        {
            let mut given_up = Box::pin(wait.word());
            assert!(futures_util::poll!(&mut given_up).is_pending());
            waiting.tell(&key(7), Word::Changed);
        }
        assert_eq!(wait.word().await, Word::Changed);
        assert!(futures_util::poll!(Box::pin(wait.word())).is_pending(), "once");
    }

    #[tokio::test]
    async fn those_who_wait_are_woken_in_the_order_of_coming() {
        let waiting = Arc::new(Waiting::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..32 {
            let (mut wait, order) = (waiting.listen(&key(7)), Arc::clone(&order));
            tasks.spawn(async move {
                wait.word().await;
                order.lock().unwrap().push(number);
            });
        }
        tokio::task::yield_now().await;
        waiting.tell(&key(7), Word::Changed);
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), (0..32).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_is_left_of_those_who_no_longer_wait() {
        let waiting = Arc::new(Waiting::default());
        drop([waiting.listen(&key(7)), waiting.listen(&key(7)), waiting.listen(&key(8))]);
        assert!(waiting.lock().is_empty() && waiting.count.load(Ordering::Acquire) == 0);
    }
}
