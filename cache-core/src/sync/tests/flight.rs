//! The flights: one leads and the others wait; leaders and waiters go away, loads panic, changes part flights.

use std::{
    any::TypeId,
    collections::{HashMap, HashSet},
    convert::Infallible,
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use shuttle::{
    future::block_on,
    rand::{Rng, thread_rng},
    thread,
};

use super::{Origin, by_chance, explore, join, node::Node, some};
use crate::{
    clock::Tick,
    entry::{Spot, Stamp},
    flight::{Departure, Flights, Landing, Lead, Seat, Turn},
    key::Key,
    sync::{Mutex, atomic as scheduled},
};

/// The flights of one key, and who leads them.
struct Airport {
    flights: Arc<Flights>,
    key: Key,
    leading: scheduled::AtomicU64,
    panics: AtomicU64,
    answered: AtomicU64,
}

impl Airport {
    fn new() -> Arc<Self> {
        let (flights, key) = (Arc::new(Flights::new()), Key::new("product").arg(7_u64));
        Arc::new(Self {
            flights,
            key,
            leading: scheduled::AtomicU64::default(),
            panics: AtomicU64::default(),
            answered: AtomicU64::default(),
        })
    }

    fn board(&self) -> Seat {
        self.flights.board(&self.key, TypeId::of::<u64>(), 0, |_| true)
    }

    /// What a caller does that nobody cancels.
    fn call(&self) {
        match block_on(self.board().turn()) {
            Turn::Lead(lead) => self.load(lead),
            Turn::Overtaken { .. } => unreachable!("no load says anything here"),
            Turn::Landed { landing, .. } => {
                let panics = self.panics.load(Ordering::Relaxed);
                assert!(
                    panics > 1 || !matches!(landing, Landing::Panicked(_)),
                    "a load that panics is tried once more"
                );
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A load, which ends in one of the ways in which loads end.
    fn load(&self, lead: Lead) {
        assert_eq!(self.leading.fetch_add(1, Ordering::SeqCst), 0, "two load at once");
        let how = thread_rng().gen_range(0..4);
        self.leading.fetch_sub(1, Ordering::SeqCst);
        match how {
            // The caller went away.
            0 => drop(lead),
            1 => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                lead.panicked("boom".into());
            }
            _ => lead.land(Landing::Failed(None)),
        }
    }

    /// What a caller does that is cancelled while it waits.
    fn give_up(&self) {
        let mut turn = pin!(self.board().turn());
        let polled = turn.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(Turn::Lead(lead)) = polled {
            self.load(lead);
        }
    }
}

#[test]
fn leaders_that_go_away_are_followed_and_nobody_waits_for_ever() {
    explore(|| {
        let airport = Airport::new();
        let caller = |times| {
            let airport = Arc::clone(&airport);
            some(times, move || airport.call())
        };
        let gives_up = {
            let airport = Arc::clone(&airport);
            some(2, move || airport.give_up())
        };
        join([caller(1), caller(1), caller(1), gives_up]);
        assert_eq!(airport.flights.len(), 0, "the last one out removes the flight");
    });
}

#[test]
fn waiter_that_was_woken_and_goes_away_passes_the_lead_on() {
    explore(|| {
        let airport = Airport::new();
        let Turn::Lead(lead) = block_on(airport.board().turn()) else { unreachable!("it is the first") };
        let waits = {
            let airport = Arc::clone(&airport);
            thread::spawn(move || airport.call())
        };
        let gives_up = {
            let airport = Arc::clone(&airport);
            thread::spawn(move || airport.give_up())
        };
        drop(lead);
        join([waits, gives_up]);
        assert_eq!(airport.flights.len(), 0);
    });
}

#[test]
fn what_panics_twice_panics_for_all_who_waited() {
    explore(|| {
        let airport = Airport::new();
        let Turn::Lead(lead) = block_on(airport.board().turn()) else { unreachable!("it is the first") };
        // Aboard before the first one panics, so none of them may have to lead a third time.
        let seats = Mutex::new((0..3).map(|_| airport.board()).collect::<Vec<_>>());
        let loads = Arc::new(AtomicU64::new(1));
        let callers = (0..3).map(|_| {
            let (seat, loads) = (seats.lock().unwrap().pop().unwrap(), Arc::clone(&loads));
            thread::spawn(move || match block_on(seat.turn()) {
                Turn::Lead(lead) => {
                    loads.fetch_add(1, Ordering::Relaxed);
                    lead.panicked("again".into());
                }
                Turn::Landed { landing, .. } => assert!(matches!(landing, Landing::Panicked(_))),
                Turn::Overtaken { .. } => unreachable!("no load says anything here"),
            })
        });
        let callers: Vec<_> = callers.collect();
        lead.panicked("boom".into());
        join(callers);
        assert_eq!(loads.load(Ordering::Relaxed), 2);
        assert_eq!(airport.flights.len(), 0);
    });
}

/// A key whose flights are parted by changes: what the cache makes of flights, without the cache.
struct Parted {
    flights: Arc<Flights>,
    key: Key,
    /// Whether leaders go away.
    abandons: bool,
    /// The stripes at which flights departed that are under way.
    under_way: Mutex<HashSet<u64>>,
    stripe: scheduled::AtomicU64,
    origin: Origin,
    /// What each departure has loaded.
    loaded: Mutex<HashMap<u64, u64>>,
    departures: AtomicU64,
}

impl Parted {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            flights: Arc::new(Flights::new()),
            key: Key::new("product").arg(7_u64),
            abandons: by_chance(),
            under_way: Mutex::default(),
            stripe: scheduled::AtomicU64::default(),
            origin: Origin::default(),
            loaded: Mutex::default(),
            departures: AtomicU64::default(),
        })
    }

    fn departure(&self) -> Departure {
        let stamp = Stamp { stripe: self.stripe.load(Ordering::SeqCst), epoch: 0 };
        let spot = Spot { hash: self.key.local_hash(), partition: 0 };
        let sequence = self.departures.fetch_add(1, Ordering::Relaxed);
        Departure { at: Tick::ZERO, spot, stamp, sequence, watched: Vec::new() }
    }

    fn read(&self) -> u64 {
        let stands = |departure: &Departure| departure.stamp == self.departure().stamp;
        let seat = self.flights.board(&self.key, TypeId::of::<u64>(), 0, stands);
        match block_on(seat.turn()) {
            Turn::Lead(lead) => self.load(&lead),
            Turn::Landed { departed, .. } => self.loaded.lock().unwrap()[&departed.unwrap()],
            Turn::Overtaken { .. } => unreachable!("no load says anything here"),
        }
    }

    fn load(&self, lead: &Lead) -> u64 {
        let departure = self.departure();
        lead.depart(departure.clone());
        let is_first = self.under_way.lock().unwrap().insert(departure.stamp.stripe);
        assert!(is_first || self.abandons, "one flight was to be boarded instead of another being led");
        let value = self.origin.load();
        self.loaded.lock().unwrap().insert(departure.sequence, value);
        self.under_way.lock().unwrap().remove(&departure.stamp.stripe);
        if !(self.abandons && by_chance()) {
            lead.land(Landing::Failed(None));
        }
        value
    }
}

#[test]
fn nobody_boards_a_flight_from_before_a_change() {
    explore(|| {
        let parted = Parted::new();
        let changes = {
            let parted = Arc::clone(&parted);
            some(2, move || {
                let changed = parted.origin.change();
                parted.stripe.fetch_add(1, Ordering::SeqCst);
                parted.origin.told(changed);
            })
        };
        let reader = |times| {
            let parted = Arc::clone(&parted);
            some(times, move || parted.origin.ask(|| parted.read()))
        };
        join([changes, reader(2), reader(2), reader(2)]);
        assert_eq!(parted.flights.len(), 0, "the last one out removes each");
    });
}

#[test]
fn all_who_miss_together_cause_one_load() {
    explore(|| {
        let (node, loads) = (Node::alone(), Arc::new(AtomicU64::new(0)));
        let caller = || {
            let (node, loads) = (Arc::clone(&node), Arc::clone(&loads));
            thread::spawn(move || {
                let load = async || Ok::<_, Infallible>(loads.fetch_add(1, Ordering::Relaxed));
                let request = node.cache.entry(Key::new("product").arg(7_u64));
                let Ok(entry) = block_on(request.or_load_inline(load));
                assert_eq!(entry.into_value(), 0);
            })
        };
        join([caller(), caller(), caller()]);
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    });
}
