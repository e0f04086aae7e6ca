//! The beat: a probe written several times in a bound. Its echo proves that everything said before it was heard; the answer
//! to it proves that the server is the one that it was.

use std::time::Duration;

use redis::{Pipeline, RedisError, Value};

use super::{
    Shard,
    commands::{self, whole_millis},
    connect::{Target, kind_of},
    ears::{PROBES, index_of},
    link::Link,
    server::Identity,
    view::View,
};
use crate::{
    error::{Error, ErrorKind},
    tag::TagId,
    tier::{Continuity, Op, Record, Reply},
};

/// A probe outlives a lost connection by as long as this, to be compared when it is back; and by so many bounds, since it has to
/// last until its turn comes again.
const LIFE: Duration = Duration::from_secs(3_600);
const LIFE_BOUNDS: u32 = 16;

/// A beat waits for its replicas for the bound divided by this: less than the time to the next one.
const WAITS: u32 = 8;

/// Looks at the namespace's generation, or makes it.
const ACQUIRE_NAMESPACE: Op = Op::Acquire { record: Record::Tag(TagId::Namespace), needs: None };

/// The beat of one primary, over all of its links.
#[derive(Clone, Default)]
pub(crate) struct Beat {
    /// The slot that its records are in, in a cluster: one that the primary owns.
    slot: Option<u16>,
    /// That slot went elsewhere, and what was taken with it.
    strayed: bool,
    /// The number of the last beat sent.
    number: u64,
    /// The last beat that the server is known to have taken, by the number of its record.
    taken: [u64; PROBES],
    /// The namespace's generation as the last beat saw it.
    namespace: Option<u64>,
    /// Who took the last beat, if the server says who it is.
    identity: Option<Identity>,
}

/// What became of a beat.
pub(crate) enum Sent {
    /// It was taken. Its echo comes by itself.
    Taken,
    /// Its slot is on its way, or elsewhere by now: it does not count.
    Astray,
    /// It was taken, and fewer replicas have it than have to: it does not count.
    Alone,
    /// It was taken, by a server that has lost earlier ones.
    RolledBack,
}

impl Beat {
    /// The number of the last beat sent.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The slot that the records of the beat are in.
    pub(crate) fn slot(&self) -> Option<u16> {
        self.slot
    }

    /// Sees to it that the records of the beat are in a slot of the primary whose view this is.
    pub(crate) fn settle_in(&mut self, view: &View, target: &Target) -> Result<(), Error> {
        let own = view.own().filter(|own| own.slot_to_stay().is_some());
        let Some(own) = own else {
            let detail = format!("{} is no primary with slots now", target.address());
            return Err(Error::new(ErrorKind::Unreachable, "cluster", detail));
        };
        if self.slot.is_none_or(|slot| !own.keeps(slot)) && self.slot != own.slot_to_stay() {
            self.strayed |= self.taken != [0; PROBES];
            self.taken = [0; PROBES];
            self.slot = own.slot_to_stay();
        }
        Ok(())
    }

    /// Writes the probe; learns the namespace's generation, the server's time, and what the server says of its cluster.
    pub(crate) async fn send(&mut self, shard: &Shard, link: &Link) -> Result<Sent, Error> {
        let fleet = &shard.fleet;
        self.number += 1;
        let (number, index) = (self.number, index_of(self.number));
        let asked = Asked::new(shard, self.slot, number);
        let sent = fleet.clock.now();
        link.hearing.sending(number, sent);
        let mut ears = link.ears.clone();
        let values = shard.trip(link, &mut ears, &asked.pipeline, asked.pipeline.len()).await?;
        let answer = asked.answer(values)?;
        if let Some((time, namespace)) = answer.namespace {
            if let Some(micros) = time_of(&time) {
                fleet.clock.learn_remote(sent, fleet.clock.now(), micros);
            }
            if commands::lost_script(&namespace) {
                // SCRIPT FLUSH: the next beat looks at the namespace again.
                let scripts = fleet.scripts.load();
                shard.trip(link, &mut ears, &scripts, scripts.len()).await?;
            } else if let Reply::Version(generation) = commands::reply(&ACQUIRE_NAMESPACE, namespace) {
                self.compare_namespace(shard, generation.map(|generation| generation.current()));
            }
        }
        if let Some((cluster, view)) = fleet.cluster.as_ref().zip(answer.view) {
            // What the primary says now counts before the beat does.
            let slot = self.slot;
            self.settle_in(&view, &shard.target())?;
            cluster.hear(fleet, shard.id, view);
            if slot != self.slot {
                // This beat went astray, the next one will not; the server is the same.
                self.strayed = false;
                return Ok(Sent::Astray);
            }
        }
        let before = match answer.probe {
            Value::ServerError(error) => {
                // A demoted primary, a user without rights: it cannot echo what it does not write.
                if matches!(error.code(), "MOVED" | "ASK" | "TRYAGAIN") {
                    return Ok(Sent::Astray);
                }
                let error = RedisError::from(error);
                let detail = format!("{} does not take the beat: {error}", shard.address());
                return Err(Error::caused(kind_of(&error), "beat", detail, error));
            }
            value => number_in(&value),
        };
        let continues = before >= self.taken[index] || (before == 0 && self.has_last(shard, link, index).await?);
        self.taken[index] = number;
        if !continues {
            return Ok(Sent::RolledBack);
        }
        if !answer.has_replicas {
            return Ok(Sent::Alone);
        }
        link.hearing.answered(number);
        Ok(Sent::Taken)
    }

    /// Whether the server has the last beat that it took. A record with a life may be reclaimed or expire: a server that has lost what
    /// came after an older beat has lost the last one with it.
    async fn has_last(&self, shard: &Shard, link: &Link, overwritten: usize) -> Result<bool, Error> {
        let last = self.taken.into_iter().max().unwrap_or(0);
        if index_of(last) == overwritten {
            return Ok(false);
        }
        let mut question = redis::pipe();
        question.cmd("MGET").arg(shard.fleet.names.probe(&shard.fleet.node, self.slot, index_of(last)));
        let mut ears = link.ears.clone();
        let found = match shard.trip(link, &mut ears, &question, 1).await?.pop() {
            Some(Value::Array(values)) => values.first().map_or(0, number_in),
            _ => 0,
        };
        Ok(found >= last)
    }

    /// FLUSHALL tells nobody. But the record of the namespace has no life to end: if it moved silently, or had to be made
    /// anew, then the records of everything else may be gone too.
    fn compare_namespace(&mut self, shard: &Shard, generation: Option<u64>) {
        if self.namespace.is_some() && self.namespace != generation {
            shard.fleet.listener.gap(shard.id, "the namespace's generation moved");
            shard.fleet.listener.tag_changed(&TagId::Namespace);
        }
        self.namespace = generation;
    }

    /// What the server at the other end of a new link has in common with the one that took the last beats.
    pub(crate) async fn compare(&mut self, shard: &Shard, link: &Link) -> Result<Continuity, Error> {
        let fleet = &shard.fleet;
        let is_same = self.identity.is_some() && self.identity == link.identity;
        let incident = link.identity.as_ref().map_or_else(|| fastrand::u64(..), Identity::incident);
        let names: Vec<String> = (0..PROBES).map(|index| fleet.names.probe(&fleet.node, self.slot, index)).collect();
        let mut pipeline = redis::pipe();
        pipeline.cmd("MGET").arg(names);
        let mut data = link.data.clone();
        let found = match shard.trip(link, &mut data, &pipeline, 1).await?.pop() {
            Some(Value::Array(values)) if values.len() == PROBES => values,
            Some(Value::ServerError(error)) => {
                let error = RedisError::from(error);
                let detail = format!("{} does not say what beats it has: {error}", shard.address());
                return Err(Error::caused(kind_of(&error), "compare", detail, error));
            }
            _ => return Err(Error::new(ErrorKind::Remote, "compare", "the server does not say what beats it has")),
        };
        let found: Vec<u64> = found.iter().map(number_in).collect();
        let was_ever_taken = self.taken != [0; PROBES];
        let last = self.taken.into_iter().max().unwrap_or(0);
        let has_last = found[index_of(last)] >= last;
        // One that was reclaimed is no older one.
        let has_all = found.iter().zip(self.taken).all(|(found, taken)| *found >= taken || (*found == 0 && has_last));
        // From here on the server is held to what it has. Not before it has answered: an attempt that comes to nothing must not
        // make a stranger known.
        self.identity.clone_from(&link.identity);
        self.taken.copy_from_slice(&found);
        let has_all = has_all && (is_same || !std::mem::take(&mut self.strayed));
        Ok(match (has_all, is_same) {
            (false, _) => Continuity::RolledBack { incident },
            // Nothing was ever taken, so nothing can be missing; of a cluster, somebody else may have taken it before.
            (true, _) if !was_ever_taken && fleet.cluster.is_none() => Continuity::Unbroken,
            (true, false) => Continuity::Replaced,
            (true, true) => Continuity::Unbroken,
        })
    }

    /// The server has lost earlier beats, and with them whatever was said when they were taken.
    pub(crate) fn rolled_back(&mut self, link: &Link) -> Continuity {
        let last = index_of(self.number);
        // What is gone is gone: only the beat that has just been taken is there.
        for (index, taken) in self.taken.iter_mut().enumerate() {
            if index != last {
                *taken = 0;
            }
        }
        self.namespace = None;
        let incident = link.identity.as_ref().map_or_else(|| fastrand::u64(..), Identity::incident);
        Continuity::RolledBack { incident: incident ^ self.number }
    }
}

/// What a beat asks, in one trip.
struct Asked {
    pipeline: Pipeline,
    /// Whether it asks for the time and the namespace's generation. Of several primaries, the one that has the namespace's
    /// record is the one whose clock counts.
    namespace: bool,
    /// Whether it asks what the server says of its cluster.
    view: bool,
    replicas: u32,
}

/// What a server answers to it.
struct Answer {
    probe: Value,
    /// The time and the generation.
    namespace: Option<(Value, Value)>,
    view: Option<View>,
    /// As many replicas have the beat as have to.
    has_replicas: bool,
}

impl Asked {
    fn new(shard: &Shard, slot: Option<u16>, number: u64) -> Self {
        let fleet = &shard.fleet;
        let mut asked = Self {
            pipeline: redis::pipe(),
            namespace: shard.has_namespace(),
            view: fleet.cluster.is_some(),
            replicas: fleet.config.redis.replicas(),
        };
        let pipeline = &mut asked.pipeline;
        let life = LIFE.max(fleet.config.bound.saturating_mul(LIFE_BOUNDS));
        fleet.scripts.add_probe(pipeline, fleet.names.probe(&fleet.node, slot, index_of(number)), number, life);
        if asked.namespace {
            pipeline.cmd("TIME");
            fleet.scripts.add(pipeline, &fleet.names, &ACQUIRE_NAMESPACE, fleet.clock.remote_micros());
        }
        if asked.view {
            pipeline.cmd("CLUSTER").arg("NODES");
        }
        if asked.replicas > 0 {
            pipeline.cmd("WAIT").arg(asked.replicas).arg(whole_millis(fleet.config.bound / WAITS));
        }
        asked
    }

    fn answer(&self, values: Vec<Value>) -> Result<Answer, Error> {
        let less = || Error::new(ErrorKind::Remote, "beat", "the server answered less than it was asked");
        let mut values = values.into_iter();
        let mut next = || values.next().ok_or_else(less);
        let probe = next()?;
        let namespace = if self.namespace { Some((next()?, next()?)) } else { None };
        let view = if self.view { Some(View::parse(&text_of(next()?).ok_or_else(less)?)) } else { None };
        let reached = if self.replicas > 0 { next()? } else { Value::Int(0) };
        let has_replicas = matches!(reached, Value::Int(reached) if reached >= i64::from(self.replicas));
        Ok(Answer { probe, namespace, view, has_replicas })
    }
}

fn text_of(value: Value) -> Option<String> {
    redis::from_redis_value(value).ok()
}

/// The beat that a probe's record holds; 0 for none.
fn number_in(value: &Value) -> u64 {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(0),
        _ => 0,
    }
}

/// The answer to `TIME`, in microseconds.
fn time_of(value: &Value) -> Option<u64> {
    let Value::Array(parts) = value else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    match parts.as_slice() {
        [secs, micros] => Some(number(secs)?.saturating_mul(1_000_000).saturating_add(number(micros)?)),
        _ => None,
    }
}
