//! The model of the protocol in its short form: no stale answer with all guards in place, one without any of them.

#![allow(clippy::print_stdout, reason = "a counter-example is to be read")]

use std::thread;

use tests::model::{Event, Events, Guard, Guards, Scenario, search};

/// `cargo run --release -p tests --bin model` searches a hundred million.
const STATES_AT_LEAST: usize = 800_000;

#[test]
fn protocol_with_all_guards_gives_no_stale_answer() {
    let scenarios = Scenario::short();
    let half = scenarios.len() / 2;
    let (states, events) = thread::scope(|scope| {
        let halves = [&scenarios[..half], &scenarios[half..]].map(|half| scope.spawn(|| search_all(half)));
        let [one, other] = halves.map(|half| half.join().unwrap());
        let mut events = one.1;
        events.add(other.1);
        (one.0 + other.0, events)
    });
    println!("{states} states");
    assert!(states >= STATES_AT_LEAST, "{states} states: that is too little to prove anything");
    // Of all that can happen only this takes a guard away.
    let expected = Event::ALL.iter().filter(|event| **event != Event::GoesWithoutABeat);
    let missed: Vec<&str> = expected.filter(|event| !events.has(**event)).map(|event| event.as_str()).collect();
    assert!(missed.is_empty(), "this never happened: {missed:#?}");
}

/// Searches these whole; how many states, and what happened.
fn search_all(scenarios: &[Scenario]) -> (usize, Events) {
    let (mut states, mut events) = (0, Events::default());
    for scenario in scenarios {
        let found = search(scenario, Guards::ALL);
        println!("{:<34}{:<36}{:>9} states", scenario.name, scenario.bounds(), found.states);
        if let Some(counterexample) = found.counterexample {
            panic!("{}, {}:\n{counterexample}", scenario.name, scenario.bounds());
        }
        states += found.states;
        events.add(found.events);
    }
    (states, events)
}

#[test]
fn protocol_without_any_one_guard_gives_a_stale_answer() {
    let mut needless = Vec::new();
    // With all guards nothing goes wrong in these either.
    let mut whole = Scenario::short();
    for guard in Guard::ALL.iter().copied() {
        let scenario = Scenario::without(guard);
        if !whole.contains(&scenario) {
            search_all(&[scenario]);
            whole.push(scenario);
        }
        match search(&scenario, Guards::without(guard)).counterexample {
            Some(counterexample) => println!("without \"{}\":\n{counterexample}\n", guard.as_str()),
            None => needless.push(guard.as_str()),
        }
    }
    assert!(needless.is_empty(), "nothing goes wrong without: {needless:#?}");
}
