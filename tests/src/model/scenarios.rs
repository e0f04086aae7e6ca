//! Who does what in a search, and how much may go wrong in it.

use super::{
    guards::Guard,
    state::{
        Faults, State,
        Tagging::{self, ByResult, Known},
    },
    worker::Job::{self, Call, Evict, EvictTag, Put},
};

/// What a search begins with, and with it all that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    pub name: &'static str,
    pub tagging: Tagging,
    pub start: State,
}

/// Workers by node, what they do, and how their values get their tag.
#[derive(Clone, Copy)]
struct Cast {
    name: &'static str,
    tagging: Tagging,
    workers: &'static [(usize, Job)],
}

/// What is there at the beginning.
#[derive(Clone, Copy)]
enum Start {
    Cold,
    /// What node 1 has loaded, node 0 has not asked for.
    HalfWarm,
    Warm,
}

const NOTHING: Faults = Faults { losses: 0, reclaims: 0, failures: 0, rollbacks: 0 };
const LOSS: Faults = Faults { losses: 1, ..NOTHING };
const RECLAIM: Faults = Faults { reclaims: 1, ..NOTHING };
const FAILURE: Faults = Faults { failures: 1, ..NOTHING };
const ROLLBACK: Faults = Faults { rollbacks: 1, ..NOTHING };
const LOSS_AND_RECLAIM: Faults = Faults { losses: 1, reclaims: 1, ..NOTHING };
const LOSS_AND_FAILURE: Faults = Faults { losses: 1, failures: 1, ..NOTHING };

const FEW: Cast = Cast { name: "a call, an eviction elsewhere", tagging: Known, workers: &[(0, Call), (1, Evict)] };
const FEW_OF_THE_TAG: Cast =
    Cast { name: "a call, the tag evicted", tagging: Known, workers: &[(0, Call), (1, EvictTag)] };
const PUT: Cast = Cast { name: "a call, a put elsewhere", tagging: Known, workers: &[(0, Call), (1, Put)] };
const RESULT: Cast =
    Cast { name: "tag of the result, evicted", tagging: ByResult, workers: &[(0, Call), (1, EvictTag)] };
const READERS: Cast =
    Cast { name: "calls on both nodes, an eviction", tagging: Known, workers: &[(0, Call), (1, Call), (1, Evict)] };
const AFAR: Cast =
    Cast { name: "a call, evictions elsewhere", tagging: Known, workers: &[(0, Call), (1, Evict), (1, EvictTag)] };
const HERE: Cast =
    Cast { name: "a call, evictions on its node", tagging: Known, workers: &[(0, Call), (0, Evict), (0, EvictTag)] };
const PAIR: Cast =
    Cast { name: "two calls, the tag evicted", tagging: Known, workers: &[(0, Call), (0, Call), (1, EvictTag)] };
const PUTS: Cast =
    Cast { name: "a call, puts on both nodes", tagging: Known, workers: &[(0, Put), (1, Put), (0, Call)] };
const PUT_AND_EVICTION: Cast =
    Cast { name: "a call, a put and an eviction", tagging: Known, workers: &[(0, Call), (0, Put), (0, Evict)] };
const PUT_AND_TAG: Cast =
    Cast { name: "a call, a put, the tag evicted", tagging: Known, workers: &[(0, Call), (1, Put), (1, EvictTag)] };
const RESULT_PAIR: Cast =
    Cast { name: "tag of the result, two calls", tagging: ByResult, workers: &[(0, Call), (1, EvictTag), (0, Call)] };
const RESULT_HERE: Cast =
    Cast { name: "tag of the result, evictions", tagging: ByResult, workers: &[(0, Call), (0, EvictTag), (1, Evict)] };
const RESULT_PUT: Cast =
    Cast { name: "tag of the result, a put", tagging: ByResult, workers: &[(0, Call), (0, Put), (1, EvictTag)] };

const ALL: [Cast; 10] =
    [READERS, AFAR, HERE, PAIR, PUTS, PUT_AND_EVICTION, PUT_AND_TAG, RESULT_PAIR, RESULT_HERE, RESULT_PUT];

// === impl Cast ===

impl Cast {
    fn scenario(self, start: Start, faults: Faults) -> Scenario {
        let cold = State::cold(self.workers, faults);
        let start = match start {
            Start::Cold => cold,
            Start::HalfWarm => cold.warm().forgotten(0),
            Start::Warm => cold.warm(),
        };
        Scenario { name: self.name, tagging: self.tagging, start }
    }
}

// === impl Scenario ===

impl Scenario {
    /// Those that a test has the time for: between them, every part of the protocol.
    #[must_use]
    pub fn short() -> Vec<Self> {
        use Start::{Cold, HalfWarm, Warm};
        vec![
            READERS.scenario(Cold, LOSS),
            AFAR.scenario(Warm, LOSS),
            AFAR.scenario(Warm, RECLAIM),
            HERE.scenario(HalfWarm, LOSS),
            PAIR.scenario(Cold, RECLAIM),
            PUTS.scenario(Warm, LOSS),
            PUTS.scenario(Cold, NOTHING),
            PUT_AND_TAG.scenario(Cold, NOTHING),
            HERE.scenario(Warm, FAILURE),
            FEW.scenario(Warm, ROLLBACK),
            PUT_AND_EVICTION.scenario(Warm, FAILURE),
            RESULT.scenario(Cold, LOSS),
            RESULT_PAIR.scenario(Cold, NOTHING),
            RESULT_HERE.scenario(Warm, RECLAIM),
            RESULT_PUT.scenario(Cold, NOTHING),
        ]
    }

    /// All of them with more that goes wrong: a hundred million states.
    #[must_use]
    pub fn long() -> Vec<Self> {
        let starts = [Start::Cold, Start::HalfWarm, Start::Warm];
        let each = |casts: &[Cast], faults| -> Vec<Self> {
            casts.iter().flat_map(|cast| starts.map(|start| cast.scenario(start, faults))).collect()
        };
        // What comes back older is healed by a tag that every value has from before its load: the namespace's.
        let rolled_back = each(&[READERS, AFAR, HERE, PAIR, PUT], ROLLBACK);
        [each(&ALL, LOSS_AND_RECLAIM), each(&ALL, LOSS_AND_FAILURE), rolled_back].concat()
    }

    /// A small one in which a stale answer can be reached without the guard.
    #[must_use]
    pub fn without(guard: Guard) -> Self {
        use Start::{Cold, HalfWarm, Warm};
        match guard {
            Guard::FillByVersion | Guard::MarksBeforeTheFirstCommand => READERS.scenario(Cold, NOTHING),
            Guard::HintMovesTheStripe | Guard::HintMakesTheCellUnknown | Guard::ConfirmationReadsCells => {
                AFAR.scenario(Warm, NOTHING)
            }
            Guard::MarksBeforeTheConfirmation
            | Guard::FenceOnReconnect
            | Guard::FenceAfterTheSubscription
            | Guard::FenceReachesCells
            | Guard::CellLearnsIfUnhinted
            | Guard::CellKeepsTheEpochOfTheQuestion => AFAR.scenario(Warm, LOSS),
            Guard::MissingIsAMiss | Guard::MissingIsMadeAnew => AFAR.scenario(Warm, RECLAIM),
            Guard::PutCompares | Guard::PutIsConfirmedIfDisturbed => PUTS.scenario(Cold, NOTHING),
            Guard::GenerationCapturedBeforeTheLoad => PAIR.scenario(Cold, NOTHING),
            Guard::OwnMarksMoveAfterTheAnswer | Guard::BoardsOnlyWhatStands => HERE.scenario(HalfWarm, NOTHING),
            Guard::BarrierForTagsOfTheResult | Guard::QuietSinceTheLoadBegan => RESULT_PAIR.scenario(Cold, NOTHING),
            Guard::NoFenceSinceTheLoadBegan => RESULT.scenario(Cold, LOSS),
            Guard::WaitingIsNotBelieved => HERE.scenario(HalfWarm, FAILURE),
            Guard::HealsWhatComesBack => FEW.scenario(Warm, ROLLBACK),
            Guard::NothingIsGivenTwice => FEW_OF_THE_TAG.scenario(Warm, ROLLBACK).twice(1),
            Guard::ProvisionalIsHeldToHints => PAIR.scenario(Cold, FAILURE),
            Guard::LandsWithItsTags => RESULT_HERE.scenario(HalfWarm, NOTHING),
        }
    }

    /// With a worker that does what it does twice, one after the other.
    fn twice(mut self, worker: usize) -> Self {
        self.start.workers[worker].runs = 2;
        self
    }

    /// Where it begins and what may go wrong, in a few words.
    #[must_use]
    pub fn bounds(&self) -> String {
        let State { redis, nodes, left: Faults { losses, reclaims, failures, rollbacks }, .. } = self.start;
        let start = match (redis.payload, nodes[0].held) {
            (None, _) => "cold",
            (Some(_), None) => "half warm",
            (Some(_), Some(_)) => "warm",
        };
        let faults = [(losses, "lost"), (reclaims, "reclaimed"), (failures, "unanswered"), (rollbacks, "rolled back")];
        let faults = faults.iter().filter(|(times, _)| *times > 0).map(|(times, what)| format!(", {times} {what}"));
        start.to_owned() + &faults.collect::<String>()
    }
}
