//! What a node hears: keyspace notifications of the records, and the echo of its own beat.
//!
//! The connection's own task calls [`Ears::push`] for each message, in the order of the stream, so that whatever came before
//! an echo has been applied when the echo is.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::names::{Heard, Names};
use crate::{clock::Tick, tier::ChangeListener};

/// Beats that may be under way at once; the number of a probe's record is the beat's number modulo this.
pub(crate) const PROBES: usize = 8;

/// The listening end of one link.
pub(crate) struct Ears {
    names: Names,
    listener: Arc<dyn ChangeListener>,
    /// When the beats under way were sent, by the number of their record.
    sent: Mutex<[Option<(u64, Tick)>; PROBES]>,
    /// The number of the last beat whose echo came; 0 before the first.
    echoed: AtomicU64,
    echo: Notify,
    gone: CancellationToken,
}

impl Ears {
    pub(crate) fn new(names: Names, listener: Arc<dyn ChangeListener>, gone: CancellationToken) -> Self {
        let sent = Mutex::new([None; PROBES]);
        Self { names, listener, sent, echoed: AtomicU64::new(0), echo: Notify::new(), gone }
    }

    /// Beat `number` (from 1) is about to be sent. Answers the number of its record.
    pub(crate) fn sending(&self, number: u64, now: Tick) -> usize {
        let index = index_of(number);
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some((number, now));
        index
    }

    /// The number of the last beat whose echo came.
    pub(crate) fn echoed(&self) -> u64 {
        self.echoed.load(Ordering::Acquire)
    }

    /// Waits until the echo of beat `number`, or of a later one, has come.
    pub(crate) async fn echo_of(&self, number: u64) {
        loop {
            let heard = self.echo.notified();
            if self.echoed() >= number {
                return;
            }
            heard.await;
        }
    }

    pub(crate) fn push(&self, info: &PushInfo) {
        match &info.kind {
            // Pattern, channel, event; or channel, event.
            PushKind::PMessage => self.message(info.data.get(1..).unwrap_or_default()),
            PushKind::Message => self.message(&info.data),
            PushKind::Disconnection => self.gone.cancel(),
            _ => {}
        }
    }

    fn message(&self, data: &[Value]) {
        let [Value::BulkString(channel), Value::BulkString(event)] = data else { return };
        // A cold load creates its record by `incrby` and gives it a life: nothing changed that anybody could hold.
        if matches!(event.as_slice(), b"incrby" | b"expire") {
            return;
        }
        let Ok(channel) = std::str::from_utf8(channel) else { return };
        let Some((_, name)) = channel.split_once("__:") else { return };
        match self.names.heard(name) {
            Some(Heard::Control(key)) => self.listener.key_changed(&key),
            Some(Heard::Tag(tag)) => self.listener.tag_changed(&tag),
            Some(Heard::Probe(index)) if event.as_slice() == b"set" => self.echo_came(index),
            Some(Heard::Probe(_) | Heard::Nobodys) => {}
            // A record of ours whose name cannot be read back: nobody can say what it was about.
            None => self.listener.gap("a notification that cannot be read"),
        }
    }

    fn echo_came(&self, index: usize) {
        let slot = self.sent.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index).and_then(Option::take);
        let Some((number, sent)) = slot else { return };
        let last = self.echoed.swap(number, Ordering::AcqRel);
        if number != last + 1 {
            // The server was silent for a while: whatever happened then was not told.
            self.listener.gap("a beat went unheard");
        } else if last == 0 {
            self.listener.gap("a new subscription");
        }
        self.listener.heard_up_to(sent);
        self.echo.notify_waiters();
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a remainder of PROBES fits")]
fn index_of(number: u64) -> usize {
    (number % PROBES as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{key::Key, tag::TagId};

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl ChangeListener for Log {
        fn key_changed(&self, key: &Key) {
            self.0.lock().unwrap().push(format!("key {}", key.wire()));
        }
        fn tag_changed(&self, tag: &TagId) {
            self.0.lock().unwrap().push(format!("tag {}", tag.wire()));
        }
        fn gap(&self, why: &'static str) {
            self.0.lock().unwrap().push(format!("gap: {why}"));
        }
        fn heard_up_to(&self, sent: Tick) {
            self.0.lock().unwrap().push(format!("heard {}", sent.nanos()));
        }
        fn reachable(&self, _: bool) {}
    }

    fn ears() -> (Ears, Arc<Log>) {
        let log = Arc::new(Log::default());
        (Ears::new(Names::new("shop", 256), log.clone(), CancellationToken::new()), log)
    }

    fn hear(ears: &Ears, name: &str, event: &str) {
        let channel = format!("__keyspace@0__:{name}");
        let data = ["pattern", &channel, event].map(|text| Value::BulkString(text.as_bytes().to_vec()));
        ears.push(&PushInfo { kind: PushKind::PMessage, data: data.to_vec() });
    }

    #[test]
    fn events_become_hints_and_the_silent_ones_do_not() {
        let (ears, log) = ears();
        let name = Names::new("shop", 256).control(&Key::new("product").arg(7_u64));
        for event in ["set", "del", "incrby", "expire", "expired", "evicted", "rename_to"] {
            hear(&ears, &name, event);
        }
        assert_eq!(*log.0.lock().unwrap(), vec!["key product:7"; 5]);
    }

    #[test]
    fn a_beat_that_went_unheard_is_a_gap() {
        let (ears, log) = ears();
        for number in 1..=4 {
            let index = ears.sending(number, Tick::from_nanos(number));
            if number != 3 {
                hear(&ears, &format!("shop:p:n:{index}"), "set");
            }
        }
        let expected = ["gap: a new subscription", "heard 1", "heard 2", "gap: a beat went unheard", "heard 4"];
        assert_eq!(*log.0.lock().unwrap(), expected);
    }

    #[test]
    fn a_name_that_cannot_be_read_is_a_gap() {
        let (ears, log) = ears();
        hear(&ears, "shop:c:broken", "set");
        assert_eq!(*log.0.lock().unwrap(), ["gap: a notification that cannot be read"]);
    }
}
