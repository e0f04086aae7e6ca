//! What a node hears from one primary: changes of the records, and the echo of its own beat.
//!
//! The connection's own task calls [`Ears::push`] for each message, in the order of the stream, so that whatever came before
//! an echo has been applied when the echo is. A beat counts when both are there: its echo, which proves what was heard, and
//! the server's answer, which proves who said it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::names::{Heard, Names};
use crate::{
    clock::Tick,
    tier::{ChangeListener, PrimaryId},
};

/// Beats that may be under way at once; the number of a probe's record is the beat's number modulo this.
pub(crate) const PROBES: usize = 8;

/// The listening end of one link.
pub(crate) struct Ears {
    primary: PrimaryId,
    names: Names,
    listener: Arc<dyn ChangeListener>,
    /// The beats under way, by the number of their record.
    beats: Mutex<[Option<Beat>; PROBES]>,
    /// The number of the last beat whose echo came; at first, that of the last beat of the link before.
    echoed: AtomicU64,
    /// When the beat was sent that was heard last; at first, when the link was made.
    heard: AtomicU64,
    /// A beat has come to count.
    counted: Notify,
    gone: CancellationToken,
}

/// A beat under way.
#[derive(Clone, Copy)]
struct Beat {
    number: u64,
    sent: Tick,
    echoed: bool,
    answered: bool,
}

impl Ears {
    /// Ears whose first beat will be the one after `last`.
    pub(crate) fn new(
        primary: PrimaryId,
        names: Names,
        listener: Arc<dyn ChangeListener>,
        last: u64,
        now: Tick,
        gone: CancellationToken,
    ) -> Self {
        Self {
            primary,
            names,
            listener,
            beats: Mutex::new([None; PROBES]),
            echoed: AtomicU64::new(last),
            heard: AtomicU64::new(now.nanos()),
            counted: Notify::new(),
            gone,
        }
    }

    /// Beat `number` is about to be sent.
    pub(crate) fn sending(&self, number: u64, now: Tick) {
        self.lock()[index_of(number)] = Some(Beat { number, sent: now, echoed: false, answered: false });
    }

    /// The server took beat `number`, and is who it has to be.
    pub(crate) fn answered(&self, number: u64) {
        let mut beats = self.lock();
        let beat = beats[index_of(number)].as_mut().filter(|beat| beat.number == number);
        let Some(beat) = beat else { return };
        beat.answered = true;
        self.count(*beat);
    }

    /// When the beat was sent that was heard last.
    pub(crate) fn heard_up_to(&self) -> Tick {
        Tick::from_nanos(self.heard.load(Ordering::Acquire))
    }

    /// The number of the last beat that was sent on this link; 0 before the first.
    pub(crate) fn last_sent(&self) -> u64 {
        self.lock().iter().flatten().map(|beat| beat.number).max().unwrap_or(0)
    }

    /// Waits until a beat after number `sent` counts: it was both echoed and answered.
    pub(crate) async fn counted_after(&self, sent: u64) {
        loop {
            let counted = self.counted.notified();
            if self.lock().iter().flatten().any(|beat| beat.number > sent && beat.echoed && beat.answered) {
                return;
            }
            counted.await;
        }
    }

    pub(crate) fn push(&self, info: &PushInfo) {
        match &info.kind {
            // Pattern, channel, event; or channel, event.
            PushKind::PMessage => self.message(info.data.get(1..).unwrap_or_default()),
            PushKind::Message => self.message(&info.data),
            PushKind::Invalidate => self.invalidate(&info.data),
            PushKind::Disconnection => self.gone.cancel(),
            _ => {}
        }
    }

    /// A keyspace notification.
    fn message(&self, data: &[Value]) {
        let [Value::BulkString(channel), Value::BulkString(event)] = data else { return };
        // A cold load creates its record by `incrby` and gives it a life: nothing changed that anybody could hold.
        if matches!(event.as_slice(), b"incrby" | b"expire") {
            return;
        }
        let Ok(channel) = std::str::from_utf8(channel) else { return };
        if channel.starts_with("__keyevent@") {
            // Here the event is the channel, and what came with it is the name.
            let payload = std::str::from_utf8(event).ok().and_then(|name| self.names.payload_of(name));
            if let Some((key, fingerprint)) = payload {
                self.listener.expired(&key, fingerprint);
            }
            return;
        }
        let Some((_, name)) = channel.split_once("__:") else {
            let ended = std::str::from_utf8(event).ok().and_then(|said| self.names.ended(channel, said));
            if let Some((key, end)) = ended {
                self.listener.lease_ended(&key, end);
            }
            return;
        };
        match self.names.heard(name) {
            // What becomes of these otherwise (an end, somebody's DEL) is no word of anybody's.
            Some(Heard::Probe(_) | Heard::Fence) if event.as_slice() != b"set" => {}
            heard => self.tell(heard),
        }
    }

    /// Names of records that changed, of which nobody says how; or that all did.
    fn invalidate(&self, data: &[Value]) {
        let Some(Value::Array(names)) = data.first() else {
            return self.listener.gap(self.primary, "the server was flushed");
        };
        for name in names {
            let name = if let Value::BulkString(name) = name { std::str::from_utf8(name).ok() } else { None };
            self.tell(name.and_then(|name| self.names.heard(name)));
        }
    }

    fn tell(&self, heard: Option<Heard>) {
        match heard {
            Some(Heard::Control(key)) => self.listener.key_changed(&key),
            Some(Heard::Tag(tag)) => self.listener.tag_changed(&tag),
            Some(Heard::Probe(index)) => self.echo_came(index),
            Some(Heard::Fence) => self.listener.gap(self.primary, "notifications had been off"),
            Some(Heard::Nobodys) => {}
            // A record of ours whose name cannot be read back: nobody can say what it was about.
            None => self.listener.gap(self.primary, "a notification that cannot be read"),
        }
    }

    fn echo_came(&self, index: usize) {
        let mut beats = self.lock();
        let Some(beat) = beats.get_mut(index).and_then(Option::as_mut).filter(|beat| !beat.echoed) else { return };
        beat.echoed = true;
        self.heard.fetch_max(beat.sent.nanos(), Ordering::AcqRel);
        let last = self.echoed.swap(beat.number, Ordering::AcqRel);
        if beat.number != last + 1 {
            // The server was silent for a while: whatever happened then was not told.
            self.listener.gap(self.primary, "a beat went unheard");
        }
        self.count(*beat);
    }

    fn count(&self, beat: Beat) {
        if beat.echoed && beat.answered {
            self.listener.heard_up_to(self.primary, beat.sent);
            self.counted.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Beat>; PROBES]> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a remainder of PROBES fits")]
pub(crate) fn index_of(number: u64) -> usize {
    (number % PROBES as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::Key,
        tag::TagId,
        tier::{Assignment, Continuity, LeaseEnd},
    };

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Log {
        fn note(&self, line: String) {
            self.0.lock().unwrap().push(line);
        }
    }

    impl ChangeListener for Log {
        fn key_changed(&self, key: &Key) {
            self.note(format!("key {}", key.wire()));
        }
        fn tag_changed(&self, tag: &TagId) {
            self.note(format!("tag {}", tag.wire()));
        }
        fn gap(&self, _: PrimaryId, why: &'static str) {
            self.note(format!("gap: {why}"));
        }
        fn heard_up_to(&self, _: PrimaryId, sent: Tick) {
            self.note(format!("heard {}", sent.nanos()));
        }
        fn reachable(&self, _: PrimaryId, _: bool) {}
        fn restored(&self, _: Continuity) {}
        fn assigned(&self, _: &Assignment) {}
        fn lease_ended(&self, key: &Key, end: LeaseEnd) {
            self.note(format!("{} {end:?}", key.wire()));
        }
        fn expired(&self, key: &Key, _: &str) {
            self.note(format!("expired {}", key.wire()));
        }
    }

    fn ears() -> (Ears, Arc<Log>) {
        let log = Arc::new(Log::default());
        let names = Names::new("shop", 256);
        (Ears::new(PrimaryId::FIRST, names, log.clone(), 0, Tick::ZERO, CancellationToken::new()), log)
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn hear(ears: &Ears, name: &str, event: &str) {
        let channel = format!("__keyspace@0__:{name}");
        ears.push(&PushInfo { kind: PushKind::PMessage, data: ["pattern", &channel, event].map(text).to_vec() });
    }

    fn invalidate(ears: &Ears, names: &[&str]) {
        let names = Value::Array(names.iter().map(|name| text(name)).collect());
        ears.push(&PushInfo { kind: PushKind::Invalidate, data: vec![names] });
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
    fn invalidations_become_hints_and_echoes_and_a_flush_is_a_gap() {
        let (ears, log) = ears();
        let name = Names::new("shop", 256).control(&Key::new("product").arg(7_u64));
        ears.sending(1, Tick::from_nanos(1));
        ears.answered(1);
        invalidate(&ears, &[&name, "shop:p:n:1"]);
        ears.push(&PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] });
        let expected = ["key product:7", "heard 1", "gap: the server was flushed"];
        assert_eq!(*log.0.lock().unwrap(), expected);
    }

    #[test]
    fn the_end_of_a_lease_is_told_to_whoever_waits() {
        let (ears, log) = ears();
        let (names, key) = (Names::new("shop", 256), Key::new("product").arg(7_u64));
        for (channel, said) in [
            (names.ends("n"), names.end(&key, LeaseEnd::Filled)),
            (names.ends("n"), names.end(&key, LeaseEnd::GivenUp)),
            (names.ends("n"), "?product:7".into()),
            ("other:w:n".into(), names.end(&key, LeaseEnd::Failed)),
        ] {
            ears.push(&PushInfo { kind: PushKind::Message, data: [channel, said].map(|said| text(&said)).to_vec() });
        }
        assert_eq!(*log.0.lock().unwrap(), ["product:7 Filled", "product:7 GivenUp"]);
    }

    #[test]
    fn a_beat_that_went_unheard_is_a_gap() {
        let (ears, log) = ears();
        for number in 1..=4 {
            ears.sending(number, Tick::from_nanos(number));
            ears.answered(number);
            if number != 3 {
                hear(&ears, &format!("shop:p:n:{number}"), "set");
            }
        }
        let expected = ["heard 1", "heard 2", "gap: a beat went unheard", "heard 4"];
        assert_eq!(*log.0.lock().unwrap(), expected);
    }

    #[test]
    fn a_first_beat_of_a_link_that_went_unheard_is_a_gap() {
        let (ears, log) = ears();
        for number in 1..=2 {
            ears.sending(number, Tick::from_nanos(number));
            ears.answered(number);
        }
        // What was filled since the link is there was told of no change before the second.
        hear(&ears, "shop:p:n:2", "set");
        assert_eq!(*log.0.lock().unwrap(), ["gap: a beat went unheard", "heard 2"]);
    }

    #[test]
    fn a_beat_counts_when_it_was_both_echoed_and_answered() {
        let (ears, log) = ears();
        ears.sending(1, Tick::from_nanos(1));
        hear(&ears, "shop:p:n:1", "set");
        assert!(log.0.lock().unwrap().is_empty(), "nobody knows yet who echoed");
        ears.answered(1);
        assert_eq!(*log.0.lock().unwrap(), ["heard 1"]);
    }

    #[test]
    fn a_name_that_cannot_be_read_is_a_gap() {
        let (ears, log) = ears();
        hear(&ears, "shop:c:broken", "set");
        assert_eq!(*log.0.lock().unwrap(), ["gap: a notification that cannot be read"]);
    }
}
