//! The beat: a probe written several times in a bound. Its echo proves that everything said before it was heard; the answer
//! to it proves that the server is the one that it was.

use std::time::Duration;

use redis::{RedisError, Value};

use super::{
    Shard, commands,
    connect::kind_of,
    ears::{PROBES, index_of},
    link::Link,
    server::Identity,
};
use crate::{
    error::{Error, ErrorKind},
    tag::TagId,
    tier::{Continuity, Op, Record, Reply},
};

/// A probe outlives a lost connection by as long as this, to be compared when it is back.
const LIFE: Duration = Duration::from_secs(3_600);

/// The beat of one primary, over all of its links.
#[derive(Default)]
pub(crate) struct Beat {
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
    /// It was taken, by a server that has lost earlier ones.
    RolledBack,
}

impl Beat {
    /// The number of the last beat sent.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Writes the probe; learns the namespace's generation and the server's time.
    pub(crate) async fn send(&mut self, shard: &Shard, link: &Link) -> Result<Sent, Error> {
        let fleet = &shard.fleet;
        self.number += 1;
        let (number, index) = (self.number, index_of(self.number));
        let sent = fleet.clock.now();
        link.hearing.sending(number, sent);
        let mut pipeline = redis::pipe();
        fleet.scripts.add_probe(&mut pipeline, fleet.names.probe(&fleet.node, index), number, LIFE);
        pipeline.cmd("TIME");
        let acquire = Op::Acquire { record: Record::Tag(TagId::Namespace), needs: None };
        fleet.scripts.add(&mut pipeline, &fleet.names, &acquire, fleet.clock.remote_micros());
        let mut ears = link.ears.clone();
        let mut values = shard.trip(link, &mut ears, &pipeline, 3).await?.into_iter();
        let answered = fleet.clock.now();
        let (Some(probe), Some(time), Some(namespace)) = (values.next(), values.next(), values.next()) else {
            return Err(Error::new(ErrorKind::Remote, "beat", "the server answered less than it was asked"));
        };
        let before = match probe {
            Value::ServerError(error) => {
                // A demoted primary, a user without rights: it cannot echo what it does not write.
                let error = RedisError::from(error);
                let detail = format!("{} does not take the beat: {error}", shard.target.address());
                return Err(Error::caused(kind_of(&error), "beat", detail, error));
            }
            value => number_in(&value),
        };
        let continues = before >= self.taken[index];
        self.taken[index] = number;
        if let Some(micros) = time_of(&time) {
            fleet.clock.learn_remote(sent, answered, micros);
        }
        if commands::lost_script(&namespace) {
            // SCRIPT FLUSH: the next beat looks at the namespace again.
            let scripts = fleet.scripts.load();
            shard.trip(link, &mut ears, &scripts, scripts.len()).await?;
        } else if let Reply::Version(generation) = commands::reply(&acquire, namespace) {
            self.compare_namespace(shard, generation);
        }
        if !continues {
            return Ok(Sent::RolledBack);
        }
        link.hearing.answered(number);
        Ok(Sent::Taken)
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
        self.identity.clone_from(&link.identity);
        let incident = link.identity.as_ref().map_or_else(|| fastrand::u64(..), Identity::incident);
        let names: Vec<String> = (0..PROBES).map(|index| fleet.names.probe(&fleet.node, index)).collect();
        let mut pipeline = redis::pipe();
        pipeline.cmd("MGET").arg(names);
        let mut data = link.data.clone();
        let found = match shard.trip(link, &mut data, &pipeline, 1).await?.pop() {
            Some(Value::Array(values)) if values.len() == PROBES => values,
            _ => return Err(Error::new(ErrorKind::Remote, "compare", "the server does not say what beats it has")),
        };
        let found: Vec<u64> = found.iter().map(number_in).collect();
        let was_ever_taken = self.taken != [0; PROBES];
        let has_all = found.iter().zip(self.taken).all(|(found, taken)| *found >= taken);
        // From here on the server is held to what it has.
        self.taken.copy_from_slice(&found);
        Ok(match (has_all, is_same) {
            (false, _) => Continuity::RolledBack { incident },
            // Nothing was ever taken, so nothing can be missing.
            (true, _) if !was_ever_taken => Continuity::Unbroken,
            (true, false) => Continuity::Replaced { incident },
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
