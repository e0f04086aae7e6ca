//! What was heard from the primaries: the one end of all of them, beats against each other, against an assignment, and
//! against the end.

use std::{sync::Arc, time::Duration};

use super::{by_chance, explore, join, once, some};
use crate::{
    clock::{Clock, Tick},
    coherence::Coherence,
    tier::{Assignment, PrimaryId},
};

const A: PrimaryId = PrimaryId::FIRST;
const BOUND: Duration = Duration::from_secs(1);

fn b() -> PrimaryId {
    PrimaryId::of_index(1).unwrap()
}

/// Two partitions, one of each primary.
fn each_its_own() -> Assignment {
    Assignment { guardians: vec![vec![A], vec![b()]], present: vec![A, b()] }
}

/// Two primaries, neither of which was heard.
fn coherence() -> Arc<Coherence> {
    let (monotonic, _hands) = quanta::Clock::mock();
    let coherence = Coherence::with_primaries(Clock::over(monotonic), BOUND, 2);
    coherence.assign(&each_its_own());
    Arc::new(coherence)
}

fn after(seconds: u64) -> Tick {
    Tick::ZERO.plus(Duration::from_secs(seconds))
}

#[test]
fn the_end_of_all_is_the_earliest_of_them_whoever_came_last() {
    explore(|| {
        let coherence = coherence();
        let beats = |primary, seconds: [u64; 2]| {
            let coherence = Arc::clone(&coherence);
            shuttle::thread::spawn(move || {
                for sent in seconds {
                    coherence.heard_up_to(primary, after(sent));
                }
            })
        };
        join([beats(A, [1, 5]), beats(A, [2, 4]), beats(b(), [3, 9])]);
        // The last of A is the one sent at 5, and a bound is a second.
        assert!(coherence.coherent_at(Tick::from_nanos(after(6).nanos() - 1)));
        assert!(!coherence.coherent_at(after(6)));
    });
}

#[test]
fn nothing_is_heard_after_the_end() {
    explore(|| {
        let coherence = coherence();
        let beats = |primary| {
            let coherence = Arc::clone(&coherence);
            some(2, move || coherence.heard_up_to(primary, after(1)))
        };
        let ends = {
            let coherence = Arc::clone(&coherence);
            once(move || coherence.end())
        };
        join([beats(A), beats(b()), ends]);
        assert!(!coherence.coherent_at(Tick::ZERO));
    });
}

#[test]
fn whoever_sees_the_epoch_of_a_new_owner_sees_no_end_of_the_old_one() {
    explore(|| {
        let coherence = coherence();
        coherence.assign(&Assignment { guardians: vec![vec![A], vec![A]], present: vec![A] });
        coherence.heard_up_to(A, after(1));
        let epochs = coherence.epochs();
        let before = epochs.of(1);
        let assigns = {
            let coherence = Arc::clone(&coherence);
            once(move || coherence.assign(&each_its_own()))
        };
        let beats = {
            let coherence = Arc::clone(&coherence);
            some(1, move || coherence.heard_up_to(A, after(2)))
        };
        let looks = {
            let coherence = Arc::clone(&coherence);
            some(2, move || {
                let moved = epochs.of(1) != before;
                let coherent =
                    if by_chance() { coherence.coherent_at(Tick::ZERO) } else { coherence.coherent_in([0, 1]) };
                assert!(!(moved && coherent), "nothing was heard of the new owner");
            })
        };
        join([assigns, beats, looks]);
        assert!(coherence.coherent_in([0]) && !coherence.coherent_in([1]));
    });
}
