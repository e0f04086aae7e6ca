//! Whoever makes things happen, round by round, and has the ledger judge what came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Mutex,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use super::{
    database::Database,
    deployment::{Fault, Kind, Planned},
    ledger::{Rule, Violation},
    orders::Behind,
    team::{Team, lock},
};
use crate::{
    fixtures::{Direction, Proxy, RedisServer},
    torture::Moment,
};

/// Processes of a row.
const WRITERS: usize = 3;
/// How long a process owns a partition here: rounds are short.
const OWNED: Duration = Duration::from_secs(1);
/// From when on it is over when the journal is not flushed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often answers are cut off.
const CUTS: u32 = 5;
/// A line is said after so many rounds.
const SAID: u64 = 10;

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Settings {
    pub kind: Kind,
    pub seed: u64,
    pub rounds: u64,
    /// This program: what it is called with after `node`, [`live`](super::live) has to be given.
    pub program: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub kind: Kind,
    pub rounds: u64,
    pub acknowledged: u64,
    /// Writes that ended with an error, or with their process.
    pub uncertain: u64,
    pub kills: BTreeMap<Fault, u64>,
    pub violations: Vec<Violation>,
    /// Errors of writers, by their texts.
    pub errors: BTreeMap<String, u64>,
    pub seconds: f64,
}

struct Director {
    kind: Kind,
    redis: RedisServer,
    /// What the processes reach it by.
    line: Proxy,
    database: Database,
    team: Team,
    kills: Mutex<BTreeMap<Fault, u64>>,
    /// What something is happening to: nothing else happens to it then.
    taken: Mutex<BTreeSet<Victim>>,
    dead: Mutex<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Process(usize),
    Redis,
    Database,
}

/// Runs one row of the table.
pub async fn run(settings: Settings) -> Outcome {
    let begun = Instant::now();
    let Settings { kind, seed, rounds, program } = settings;
    let (redis, database) = kind.start().await;
    let line = Proxy::before(&redis).await;
    let places = (line.url(), database.place());
    let team = Team::start(program, (seed, OWNED, kind.writers()), places, WRITERS).await;
    let (kills, taken, dead) = (Mutex::default(), Mutex::default(), Mutex::default());
    let director = Director { kind, redis, line, database, team, kills, taken, dead };
    let (mut chance, mut done) = (fastrand::Rng::with_seed(seed ^ kind as u64), 0);
    for round in 1..=rounds {
        let (lasts, plan) = draw(kind, &mut chance);
        done = round;
        if !director.round(lasts, &plan).await {
            break;
        }
        if round.is_multiple_of(SAID) || round == rounds {
            director.say(round, rounds, begun);
        }
    }
    let Director { team, kills, .. } = director;
    let mut ledger = lock(&team.ledger);
    Outcome {
        kind,
        rounds: done,
        acknowledged: ledger.acknowledged,
        uncertain: ledger.uncertain,
        kills: std::mem::take(&mut *lock(&kills)),
        violations: std::mem::take(&mut ledger.violations),
        errors: std::mem::take(&mut ledger.errors),
        seconds: begun.elapsed().as_secs_f64(),
    }
}

/// How long is written in a round, and what happens in it.
fn draw(kind: Kind, chance: &mut fastrand::Rng) -> (Duration, Vec<Planned>) {
    let lasts = Duration::from_millis(chance.u64(400..1_200));
    let faults = kind.faults();
    let plan = (0..chance.usize(1..=3)).map(|_| {
        let fault = faults[chance.usize(..faults.len())];
        let after = lasts.mul_f64(chance.f64());
        let lasts = match fault {
            Fault::Pause => OWNED + Duration::from_millis(chance.u64(100..1_000)),
            _ => Duration::from_millis(chance.u64(0..500)),
        };
        Planned { fault, after, lasts, which: chance.usize(..WRITERS) }
    });
    (lasts, plan.collect())
}

/// Holds up what comes back and cuts it off, again and again.
async fn lose_answers(line: &Proxy, lasts: Duration) {
    for _ in 0..CUTS {
        line.stall(Direction::ToClient);
        // Time itself: for what is asked meanwhile to be done.
        tokio::time::sleep(lasts / CUTS / 4).await;
        line.cut();
        line.pass();
        // Time itself: until all are connected again.
        tokio::time::sleep(lasts / CUTS).await;
    }
}

// === impl Director ===

impl Director {
    /// One round. Whether there is sense in another.
    async fn round(&self, lasts: Duration, plan: &[Planned]) -> bool {
        let until = Moment::now().plus(lasts);
        join_all((0..self.team.len()).map(|place| self.team.work(place, until))).await;
        join_all(plan.iter().map(|planned| self.suffer(planned, until))).await;
        let busy = self.team.rest().await;
        if !busy.is_empty() {
            lock(&self.team.ledger).violate(Rule::Stuck, format!("processes {busy:?} write and write, after {plan:?}"));
            return false;
        }
        let Err(behind) = self.drained().await else {
            let (rows, noted) = self.database.look().await;
            let mut ledger = lock(&self.team.ledger);
            let before = ledger.violations.len();
            ledger.judge(&rows, &noted);
            for violation in &mut ledger.violations[before..] {
                violation.detail = format!("{}, after {plan:?}", violation.detail);
            }
            return true;
        };
        lock(&self.team.ledger).violate(Rule::Stuck, format!("{behind:?} {PATIENCE:?} after {plan:?}"));
        false
    }

    async fn suffer(&self, planned: &Planned, until: Moment) {
        // Time itself: when it happens.
        tokio::time::sleep(planned.after).await;
        let Some(victim) = self.victim(planned).await else { return };
        *lock(&self.kills).entry(planned.fault).or_default() += 1;
        match (planned.fault, victim) {
            (Fault::Pause, Victim::Process(place)) => self.team.pause(place, planned.lasts).await,
            (_, Victim::Process(place)) => self.team.replace(place, until).await,
            (Fault::RedisAnswers, _) => lose_answers(&self.line, planned.lasts).await,
            (Fault::DatabaseAnswers, _) => {
                if let Some(line) = self.database.line() {
                    lose_answers(line, planned.lasts).await;
                }
            }
            (_, Victim::Redis) => {
                self.redis.kill().await;
                // Time itself: how long it is away.
                tokio::time::sleep(planned.lasts).await;
                self.redis.restart().await;
            }
            (_, Victim::Database) => self.database.kill(planned.lasts).await,
        }
        lock(&self.taken).remove(&victim);
    }

    /// To whom it happens, if nothing happens to them already.
    async fn victim(&self, planned: &Planned) -> Option<Victim> {
        let victim = match planned.fault {
            Fault::Redis | Fault::RedisAnswers => Victim::Redis,
            Fault::Database | Fault::DatabaseAnswers => Victim::Database,
            Fault::Writer => Victim::Process(planned.which),
            Fault::Owner | Fault::Pause => Victim::Process(self.owner().await.unwrap_or(planned.which)),
        };
        lock(&self.taken).insert(victim).then_some(victim)
    }

    /// The process that owns most, of those that answer.
    async fn owner(&self) -> Option<usize> {
        let asked = (0..self.team.len())
            .filter(|place| !lock(&self.taken).contains(&Victim::Process(*place)))
            .map(async |place| Some((self.team.lag(place).await?.owned, place)));
        let owners: BTreeSet<_> = join_all(asked).await.into_iter().flatten().collect();
        owners.last().filter(|(owned, _)| *owned > 0).map(|(_, place)| *place)
    }

    /// Waits until all is flushed; what is left when it is not.
    async fn drained(&self) -> Result<(), Option<Behind>> {
        let end = Instant::now() + PATIENCE;
        let mut last = None;
        for place in (0..self.team.len()).cycle() {
            last = self.team.lag(place).await.or(last);
            if let Some(Behind { changes: 0, parked: 0, dead, .. }) = last {
                let before = std::mem::replace(&mut *lock(&self.dead), dead);
                for _ in before..dead {
                    lock(&self.team.ledger).violate(Rule::Dead, "a dead letter".to_owned());
                }
                return Ok(());
            }
            if Instant::now() > end {
                break;
            }
            // Time itself: until it is asked again.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(last)
    }

    #[allow(clippy::print_stderr, reason = "how far it is, for whoever waits")]
    fn say(&self, round: u64, rounds: u64, begun: Instant) {
        let ledger = lock(&self.team.ledger);
        eprintln!(
            "{}: round {round} of {rounds}, {} writes acknowledged, {} violations, {:.0} s",
            self.kind.as_str(),
            ledger.acknowledged,
            ledger.violations.len(),
            begun.elapsed().as_secs_f64()
        );
    }
}
