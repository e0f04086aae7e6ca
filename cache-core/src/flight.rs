//! Single flight: of the callers that miss one key at once, one leads and the others wait for what it lands.
//!
//! A flight belongs to nobody for ever. A leader that goes away leaves the seat to the next waiter; the last one out removes
//! the flight. Whoever arrives after something was evicted does not board a flight that departed before: the flight carries
//! the marks that were read then, and boarding compares them.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Arc, PoisonError},
};

use crate::{
    cell::Seen,
    clock::Tick,
    entry::{Entry, Spot, Stamp},
    key::Key,
    outcome::Outcome,
    sync::{Mutex, MutexGuard, Notify},
    tag::TagId,
};

const SHARDS: usize = 64;
/// What the waiters are told whose leader panicked over what its load had returned.
const UNWOUND: &str = "what was loaded could not be used: a tag, `unless`, `ttl_with` or `Clone` of it panicked in the caller that loaded";

/// What a load depends on, as it was before its first command.
#[derive(Clone, Debug)]
pub(crate) struct Departure {
    pub(crate) at: Tick,
    pub(crate) spot: Spot,
    pub(crate) stamp: Stamp,
    /// Hints on any tag so far.
    pub(crate) sequence: u64,
    /// The cells of the tags known then.
    pub(crate) watched: Vec<Seen>,
}

/// An error on its way to those who waited for its load.
pub(crate) type SharedError = Arc<dyn Any + Send + Sync>;

/// What a load says before it lands, to those aboard.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) what: Arc<dyn Any + Send + Sync>,
    /// The tags that only the value could name, as far as they are known.
    pub(crate) result_tags: Arc<[TagId]>,
}

/// How a flight ended.
#[derive(Clone)]
pub(crate) enum Landing {
    /// With a value, or an error that is cached like one.
    Value(Landed),
    /// With an error; shared if it can be.
    Failed(Option<SharedError>),
    /// The load panicked twice; the last time with this message.
    Panicked(Arc<str>),
}

/// What a flight landed with.
#[derive(Clone)]
pub(crate) struct Landed {
    pub(crate) entry: Arc<Entry>,
    /// The tags that only the value could name.
    pub(crate) result_tags: Arc<[TagId]>,
    /// What those aboard are told; `None` if it had to be loaded.
    pub(crate) outcome: Option<Outcome>,
}

enum State {
    /// Somebody leads.
    Led,
    /// The leader went away; the next waiter takes over.
    Vacant,
    Landed(Landing),
}

struct Flight {
    state: Mutex<Status>,
    changed: Notify,
    /// How many flights went before that this one's passengers could not use.
    generation: u32,
}

struct Status {
    state: State,
    departure: Option<Departure>,
    /// What whoever leads has said, until it lands.
    told: Option<Told>,
    aboard: usize,
    /// Whether a load panicked already: it is tried once more.
    panicked: bool,
}

impl Flight {
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, PartialEq, Eq)]
struct FlightKey {
    key: Key,
    slot: TypeId,
}

impl Hash for FlightKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.key.local_hash());
    }
}

type Table = HashMap<FlightKey, Arc<Flight>>;

/// The flights of one cache.
pub(crate) struct Flights {
    shards: Box<[Mutex<Table>]>,
}

/// A place in a flight.
pub(crate) struct Seat {
    flights: Arc<Flights>,
    key: FlightKey,
    flight: Arc<Flight>,
    leads: bool,
}

/// What a seat turned out to be.
pub(crate) enum Turn {
    /// This caller leads.
    Lead(Lead),
    /// Somebody else landed; `departed` is the sequence of tag hints that the load began at.
    Landed {
        landing: Landing,
        generation: u32,
        departed: Option<u64>,
        /// Whether the flight had landed before this caller boarded.
        at_once: bool,
    },
    /// What the load said shows that whatever it lands is not for this caller.
    Overtaken { generation: u32 },
}

/// The duty to land a flight. Dropped before landing, it goes to the next waiter.
pub(crate) struct Lead(Seat);

/// How the load of a flight speaks to those aboard.
pub(crate) struct Voice(Arc<Flight>);

// === impl Flights ===

impl Flights {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Takes a seat in the key's flight, or starts one. A flight whose departure no longer `stands`, or that is of an earlier
    /// `generation`, is left to those aboard.
    pub(crate) fn board(
        self: &Arc<Self>,
        key: &Key,
        slot: TypeId,
        generation: u32,
        stands: impl Fn(&Departure) -> bool,
    ) -> Seat {
        let key = FlightKey { key: key.clone(), slot };
        let mut table = self.table(&key);
        if let Some(flight) = table.get(&key) {
            let mut status = flight.lock();
            if flight.generation >= generation && status.departure.as_ref().is_none_or(stands) {
                status.aboard += 1;
                drop(status);
                let flight = Arc::clone(flight);
                return Seat { flights: Arc::clone(self), key, flight, leads: false };
            }
        }
        let status = Status { state: State::Led, departure: None, told: None, aboard: 1, panicked: false };
        let flight = Arc::new(Flight { state: Mutex::new(status), changed: Notify::new(), generation });
        table.insert(key.clone(), Arc::clone(&flight));
        drop(table);
        Seat { flights: Arc::clone(self), key, flight, leads: true }
    }

    /// Whether anybody is aboard a flight of the key.
    pub(crate) fn is_under_way(&self, key: &Key, slot: TypeId) -> bool {
        let key = FlightKey { key: key.clone(), slot };
        self.table(&key).contains_key(&key)
    }

    fn table(&self, key: &FlightKey) -> MutexGuard<'_, Table> {
        #[allow(clippy::cast_possible_truncation, reason = "a remainder fits")]
        let index = (key.key.local_hash() >> 32) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a flight, unless another has taken its place.
    fn retire(&self, key: &FlightKey, flight: &Arc<Flight>) {
        let mut table = self.table(key);
        if table.get(key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            table.remove(key);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

// === impl Seat ===

impl Seat {
    /// Whether this caller is the first aboard, and leads.
    pub(crate) fn leads(&self) -> bool {
        self.leads
    }

    /// Waits until the flight has landed, or this caller is to lead it.
    ///
    /// Dropping the future gives the seat back.
    pub(crate) async fn turn(self) -> Turn {
        self.turn_hearing(|_, _| true).await
    }

    /// The same; `hear` is called once with what the load says meanwhile, and with the sequence of tag hints that it began at. It
    /// answers whether this caller waits on.
    pub(crate) async fn turn_hearing(mut self, hear: impl Fn(Told, Option<u64>) -> bool) -> Turn {
        if self.leads {
            return Turn::Lead(Lead(self));
        }
        let (mut at_once, mut has_heard) = (true, false);
        loop {
            let flight = Arc::clone(&self.flight);
            let changed = flight.changed.notified();
            let told = {
                let mut status = flight.lock();
                let departed = status.departure.as_ref().map(|departure| departure.sequence);
                match &status.state {
                    State::Landed(landing) => {
                        let (landing, generation) = (landing.clone(), flight.generation);
                        return Turn::Landed { landing, generation, departed, at_once };
                    }
                    State::Vacant => {
                        status.state = State::Led;
                        (status.departure, status.told) = (None, None);
                        drop(status);
                        self.leads = true;
                        return Turn::Lead(Lead(self));
                    }
                    State::Led => status.told.clone().filter(|_| !has_heard).map(|told| (told, departed)),
                }
            };
            if let Some((told, departed)) = told {
                has_heard = true;
                if !hear(told, departed) {
                    return Turn::Overtaken { generation: flight.generation };
                }
            }
            // Created before the look at the state, so a change since then is not missed.
            changed.await;
            at_once = false;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut status = self.flight.lock();
        status.aboard -= 1;
        let empty = status.aboard == 0;
        let leaves = self.leads && matches!(status.state, State::Led);
        if leaves {
            // What unwinds is somebody's code on what the load returned. As with a load that panics it is tried once more, and then no
            // more.
            let is_over = std::thread::panicking() && std::mem::replace(&mut status.panicked, true);
            status.state = if is_over { State::Landed(Landing::Panicked(UNWOUND.into())) } else { State::Vacant };
        }
        let vacant = matches!(status.state, State::Vacant);
        drop(status);
        if (vacant || leaves) && !empty {
            // All of them, though one takes over: any of them may be kept by somebody who no longer polls it.
            self.flight.changed.notify_waiters();
        }
        if empty || (self.leads && !vacant) {
            self.retire_if_done();
        }
    }
}

impl Seat {
    fn retire_if_done(&self) {
        let mut table = self.flights.table(&self.key);
        // Under the table's lock nobody boards, so "empty" is the truth.
        let status = self.flight.lock();
        let done = status.aboard == 0 || matches!(status.state, State::Landed(_));
        drop(status);
        if done && table.get(&self.key).is_some_and(|current| Arc::ptr_eq(current, &self.flight)) {
            table.remove(&self.key);
        }
    }
}

// === impl Lead ===

impl Lead {
    /// Notes what the load depends on, for those who want to board from now on.
    pub(crate) fn depart(&self, departure: Departure) {
        self.0.flight.lock().departure = Some(departure);
    }

    /// How the load speaks to those aboard, now and later.
    pub(crate) fn voice(&self) -> Voice {
        Voice(Arc::clone(&self.0.flight))
    }

    /// Whether nobody else is aboard.
    pub(crate) fn alone(&self) -> bool {
        self.0.flight.lock().aboard == 1
    }

    /// The load panicked. The first time, the next waiter tries once more, for all who wait; the second time they all get the
    /// panic.
    pub(crate) fn panicked(mut self, message: Arc<str>) {
        let mut status = self.0.flight.lock();
        // Even if nobody else is aboard: somebody may board before the flight is gone.
        if status.panicked {
            drop(status);
            return self.land(Landing::Panicked(message));
        }
        status.panicked = true;
        status.state = State::Vacant;
        drop(status);
        // No longer the leader: dropping the seat must not take the lead from whoever has it now.
        self.0.leads = false;
    }

    /// Lands. A value can be boarded until the lead is dropped, so that nobody loads again while it is being stored.
    pub(crate) fn land(&self, landing: Landing) {
        let keep = matches!(landing, Landing::Value(..));
        {
            let mut status = self.0.flight.lock();
            (status.state, status.told) = (State::Landed(landing), None);
        }
        self.0.flight.changed.notify_waiters();
        if !keep {
            self.0.flights.retire(&self.0.key, &self.0.flight);
        }
    }
}

// === impl Voice ===

impl Voice {
    /// Says something to those aboard, and to who boards from now on.
    pub(crate) fn tell(&self, told: Told) {
        let mut status = self.0.lock();
        if matches!(status.state, State::Led) {
            status.told = Some(told);
            drop(status);
            self.0.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::Future, pin::pin, task::Poll};

    use super::*;

    struct Value;

    fn seat(flights: &Arc<Flights>) -> Seat {
        flights.board(&Key::new("product").arg(7_u64), TypeId::of::<Value>(), 0, |_| true)
    }

    async fn leads(seat: Seat) -> Lead {
        match seat.turn().await {
            Turn::Lead(lead) => lead,
            Turn::Landed { .. } | Turn::Overtaken { .. } => panic!("landed"),
        }
    }

    #[tokio::test]
    async fn waiters_get_what_the_leader_lands() {
        let flights = Arc::new(Flights::new());
        let lead = leads(seat(&flights)).await;
        let mut waiters: Vec<_> = (0..100).map(|_| Box::pin(seat(&flights).turn())).collect();
        for waiter in &mut waiters {
            assert!(futures_util::poll!(waiter).is_pending());
        }
        lead.land(Landing::Failed(None));
        for waiter in waiters {
            assert!(matches!(waiter.await, Turn::Landed { landing: Landing::Failed(None), .. }));
        }
        drop(lead);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_dropped_leader_is_followed_by_one_waiter() {
        let flights = Arc::new(Flights::new());
        let lead = leads(seat(&flights)).await;
        let mut first = pin!(seat(&flights).turn());
        let mut second = pin!(seat(&flights).turn());
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(lead);
        let Poll::Ready(Turn::Lead(next)) = futures_util::poll!(&mut first) else { panic!("nobody took over") };
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(next);
        assert!(matches!(second.await, Turn::Lead(_)));
        assert_eq!(flights.len(), 0, "the last one out removes the flight");
    }

    #[tokio::test]
    async fn a_waiter_dropped_with_the_word_in_hand_passes_it_on() {
        let flights = Arc::new(Flights::new());
        let lead = leads(seat(&flights)).await;
        let mut first = Box::pin(seat(&flights).turn());
        let mut second = pin!(seat(&flights).turn());
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(lead);
        drop(first);
        assert!(matches!(futures_util::poll!(&mut second), Poll::Ready(Turn::Lead(_))));
    }

    #[tokio::test]
    async fn a_load_that_panics_is_tried_once_more_for_all() {
        let flights = Arc::new(Flights::new());
        let lead = leads(seat(&flights)).await;
        let mut first = pin!(seat(&flights).turn());
        let mut second = pin!(seat(&flights).turn());
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        lead.panicked("boom".into());
        let Poll::Ready(Turn::Lead(again)) = futures_util::poll!(&mut first) else { panic!("nobody tried again") };
        assert!(futures_util::poll!(&mut second).is_pending());
        again.panicked("boom".into());
        assert!(matches!(second.await, Turn::Landed { landing: Landing::Panicked(_), .. }));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn what_a_load_says_is_heard_once_by_all_aboard_and_by_nobody_of_the_next_leader() {
        let flights = Arc::new(Flights::new());
        let lead = leads(seat(&flights)).await;
        let heard = RefCell::new(Vec::new());
        let hear = |told: Told, _| {
            heard.borrow_mut().push(*told.what.downcast::<u64>().unwrap());
            true
        };
        let told = |number: u64| Told { what: Arc::new(number), result_tags: Arc::default() };
        let mut first = Box::pin(seat(&flights).turn_hearing(hear));
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(heard.borrow().is_empty());
        let voice = lead.voice();
        voice.tell(told(7));
        let mut second = Box::pin(seat(&flights).turn_hearing(hear));
        for _ in 0..2 {
            assert!(futures_util::poll!(&mut first).is_pending());
            assert!(futures_util::poll!(&mut second).is_pending());
            voice.tell(told(7));
        }
        assert_eq!(*heard.borrow(), [7, 7]);
        let turn = seat(&flights).turn_hearing(|_, _| false).await;
        assert!(matches!(turn, Turn::Overtaken { generation: 0 }), "for whom it is not");
        drop(lead);
        let Poll::Ready(Turn::Lead(next)) = futures_util::poll!(&mut first) else { panic!("nobody took over") };
        let mut third = Box::pin(seat(&flights).turn_hearing(hear));
        assert!(futures_util::poll!(&mut third).is_pending());
        assert_eq!(heard.borrow().len(), 2, "the load that said it is gone");
        next.land(Landing::Failed(None));
        voice.tell(told(8));
        assert!(matches!(third.await, Turn::Landed { .. }));
        assert_eq!(heard.borrow().len(), 2, "it has landed");
    }

    #[tokio::test]
    async fn nobody_boards_a_flight_that_departed_before_a_change() {
        let flights = Arc::new(Flights::new());
        let lead = leads(seat(&flights)).await;
        let key = Key::new("product").arg(7_u64);
        let spot = Spot { hash: key.local_hash(), partition: 0 };
        lead.depart(Departure {
            at: Tick::ZERO,
            spot,
            stamp: Stamp { stripe: 1, epoch: 0 },
            sequence: 0,
            watched: Vec::new(),
        });
        let later = flights.board(&key, TypeId::of::<Value>(), 0, |departure| departure.stamp.stripe == 2);
        let other = leads(later).await;
        drop(lead);
        assert_eq!(flights.len(), 1, "the older flight does not remove the newer one");
        drop(other);
        assert_eq!(flights.len(), 0);
    }

    fn _is_send(seat: Seat) -> impl Future<Output = Turn> + Send {
        seat.turn()
    }
}
