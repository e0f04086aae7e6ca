//! Operations as commands, and answers as replies.

use std::time::Duration;

use redis::{Pipeline, Value, cmd};

use super::{
    connect::kind_of,
    journal::{self, JournalScripts},
    names::Names,
};
use crate::{
    entry::PUTS_LISTED,
    error::{Error, ErrorKind},
    tag::TagId,
    tier::{LeaseEnd, Leased, Op, Put, RAISE, Record, Reply},
    version::{REMEMBERED, Versions},
};

/// The life of a control record that a bump creates: nothing is stored under it, it only has to outlive loads under way.
const LIFE_OF_NEW_CONTROL: Duration = Duration::from_secs(60);
/// The life of a tag's record that a bump creates: entries under it are gone, the next one renews it.
const LIFE_OF_NEW_TAG: Duration = Duration::from_secs(3_600);
/// How long it is known that the namespace was healed after an incident.
const LIFE_OF_MARK: Duration = Duration::from_secs(3_600);
/// What is answered to a put that is to be made again.
const AHEAD: i64 = 3;
/// A record lives this many times what the longest entry under it needs.
const MARGIN: u32 = 2;

/// One Lua script: its text, and the hash by which the server knows it.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    /// The command that runs it on so many keys.
    pub(super) fn call(&self, keys: usize) -> redis::Cmd {
        evalsha(self, keys)
    }
}

/// The scripts, each on one slot.
pub(crate) struct Scripts {
    /// Who takes leases.
    node: String,
    acquire: Script,
    fill: Script,
    bump: Script,
    put_newer: Script,
    leave: Script,
    heal: Script,
    lease: Script,
    release: Script,
    journal: JournalScripts,
    probe: &'static str,
}

impl Scripts {
    /// The scripts of the node of this name.
    pub(crate) fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            acquire: Script::new(include_str!("scripts/acquire.lua")),
            fill: Script::new(include_str!("scripts/fill.lua")),
            bump: Script::new(include_str!("scripts/bump.lua")),
            put_newer: Script::new(include_str!("scripts/put_newer.lua")),
            leave: Script::new(include_str!("scripts/leave.lua")),
            heal: Script::new(include_str!("scripts/heal.lua")),
            lease: Script::new(include_str!("scripts/lease.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
            journal: JournalScripts::new(),
            probe: include_str!("scripts/probe.lua"),
        }
    }

    /// The commands that make the server know the scripts.
    pub(crate) fn load(&self) -> Pipeline {
        let mut pipeline = redis::pipe();
        let own = [&self.acquire, &self.fill, &self.bump, &self.put_newer, &self.leave, &self.heal];
        for script in own.into_iter().chain([&self.lease, &self.release]).chain(self.journal.all()) {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(script.text);
        }
        pipeline
    }

    /// Every command that a call may need, on two records that nobody looks at: a user without a right finds out now.
    pub(crate) fn rehearsal(&self, control: &str, payload: &str, now_micros: u64) -> Pipeline {
        const LIFE: u64 = 1_000;
        let mut pipeline = redis::pipe();
        pipeline.cmd("DEL").arg(control);
        pipeline.add_command(evalsha(&self.acquire, 1).arg(control).arg(now_micros).arg(LIFE).arg(LIFE).take());
        pipeline.add_command(evalsha(&self.acquire, 1).arg(control).arg(now_micros).arg(LIFE * 2).arg(LIFE).take());
        let mut fill = evalsha(&self.fill, 2);
        pipeline.add_command(fill.arg(control).arg(payload).arg(now_micros).arg("").arg(LIFE).take());
        let mut bump = evalsha(&self.bump, 2);
        bump.arg(control).arg(payload).arg(now_micros).arg(LIFE).arg(raise()).arg(now_micros).arg("").arg(LIFE);
        pipeline.add_command(bump);
        pipeline.cmd("MGET").arg(control);
        pipeline
    }

    /// Adds the write of a beat to `pipeline`. By its text: a beat that found its script flushed would go unheard.
    pub(crate) fn add_probe(&self, pipeline: &mut Pipeline, record: String, number: u64, life: Duration) {
        let mut call = cmd("EVAL");
        pipeline.add_command(call.arg(self.probe).arg(1).arg(record).arg(number).arg(whole_millis(life)).take());
    }

    /// Adds the command of `op` to `pipeline`; `now_micros` is what a new version is made of.
    pub(crate) fn add(&self, pipeline: &mut Pipeline, names: &Names, op: &Op, now_micros: u64) {
        match op {
            Op::Read { key, fingerprint } => {
                pipeline.add_command(cmd("MGET").arg(names.control(key)).arg(names.payload(key, *fingerprint)).take());
            }
            Op::Version { record } => {
                // MGET, because GET of a record that somebody made a list is an error.
                pipeline.add_command(cmd("MGET").arg(names.record(record)).take());
            }
            Op::Acquire { record, needs } => {
                pipeline.add_command(self.acquire_call(names, record, *needs, now_micros));
            }
            Op::Fill { key, fingerprint, version, payload, life, leased } => {
                let mut call = evalsha(&self.fill, if *leased { 3 } else { 2 });
                call.arg(names.control(key)).arg(names.payload(key, *fingerprint));
                if *leased {
                    call.arg(names.lease(key, *fingerprint));
                }
                call.arg(*version).arg(payload).arg(whole_millis(*life));
                if *leased {
                    call.arg(names.ends("")).arg(names.end(key, LeaseEnd::Filled));
                }
                pipeline.add_command(call);
            }
            Op::Bump { record, proposed, put } => {
                pipeline.add_command(self.bump_call(names, record, *proposed, put.as_ref()));
            }
            Op::Leave { record, proposed } => {
                let mut call = evalsha(&self.leave, 1);
                call.arg(names.record(record)).arg(*proposed).arg(life_of_new(record)).arg(raise());
                pipeline.add_command(call.arg(REMEMBERED).take());
            }
            Op::Lease { key, fingerprint, life } | Op::Renew { key, fingerprint, life } => {
                let renews = u8::from(matches!(op, Op::Renew { .. }));
                let mut call = evalsha(&self.lease, 2);
                call.arg(names.control(key)).arg(names.lease(key, *fingerprint));
                pipeline.add_command(call.arg(&self.node).arg(whole_millis(*life)).arg(renews).take());
            }
            Op::Release { key, fingerprint, hold, word } => {
                let hold = if hold.is_zero() { 0 } else { whole_millis(*hold) };
                let mut call = evalsha(&self.release, 1);
                call.arg(names.lease(key, *fingerprint)).arg(&self.node).arg(hold);
                pipeline.add_command(call.arg(names.ends("")).arg(names.end(key, *word)).take());
            }
            Op::Journal(op) => {
                pipeline.add_command(self.journal.command(names, op));
            }
            Op::Heal { incident, proposed } => {
                let mut call = evalsha(&self.heal, 2);
                call.arg(names.tag(&TagId::Namespace)).arg(names.mark(*incident));
                pipeline.add_command(call.arg(*proposed).arg(whole_millis(LIFE_OF_MARK)).arg(raise()).take());
            }
        }
    }

    fn bump_call(&self, names: &Names, record: &Record, proposed: u64, put: Option<&Put>) -> redis::Cmd {
        let put = put.and_then(|put| Some((put, put.sealed.as_ref()?)));
        let row = put.and_then(|(put, _)| put.row);
        let script = if row.is_some() { &self.put_newer } else { &self.bump };
        let mut call = evalsha(script, 1 + usize::from(put.is_some()) + usize::from(row.is_some()));
        call.arg(names.record(record));
        if let (Some((_, (fingerprint, _))), Record::Control(key)) = (put, record) {
            call.arg(names.payload(key, *fingerprint));
            if row.is_some() {
                call.arg(names.row(key));
            }
        }
        call.arg(proposed).arg(life_of_new(record)).arg(raise());
        if let Some((put, (_, payload))) = put {
            call.arg(put.captured).arg(payload).arg(whole_millis(put.life));
        }
        if let Some(row) = row {
            call.arg(row.version).arg(row.tags).arg(PUTS_LISTED);
        }
        call
    }

    /// Of a key, the marks of its partition too.
    fn acquire_call(&self, names: &Names, record: &Record, needs: Option<Duration>, now_micros: u64) -> redis::Cmd {
        let (needs, gives) =
            needs.map_or((0, 0), |needs| (whole_millis(needs), whole_millis(needs.saturating_mul(MARGIN))));
        let key = if let Record::Control(key) = record { Some(key) } else { None };
        let mut call = evalsha(&self.acquire, if key.is_some() { 2 } else { 1 });
        call.arg(names.record(record));
        if let Some(key) = key {
            call.arg(names.marks(key.partition(names.partitions())));
        }
        call.arg(now_micros).arg(needs).arg(gives);
        if let Some(key) = key {
            call.arg(key.wire());
        }
        call
    }
}

/// By how much a version is raised that is not above the one that is there.
pub(super) fn raise() -> u64 {
    fastrand::u64(1..=RAISE)
}

fn evalsha(script: &Script, keys: usize) -> redis::Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(&script.hash).arg(keys);
    command
}

fn life_of_new(record: &Record) -> u64 {
    match record {
        Record::Control(_) => whole_millis(LIFE_OF_NEW_CONTROL),
        Record::Tag(TagId::Tag(_)) => whole_millis(LIFE_OF_NEW_TAG),
        Record::Tag(TagId::Namespace | TagId::Scope(_)) | Record::Journal(_) => 0,
    }
}

/// Redis refuses a life of no milliseconds.
pub(crate) fn whole_millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 4)
}

/// Where a cluster says that a slot is instead.
pub(crate) struct Redirect {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// For this once: the slot is on its way.
    pub(crate) asking: bool,
}

/// Whether `value` sends us elsewhere: `MOVED 3999 127.0.0.1:6381`, or `ASK ..`.
pub(crate) fn redirect(value: &Value) -> Option<Redirect> {
    let Value::ServerError(error) = value else { return None };
    let asking = match error.code() {
        "MOVED" => false,
        "ASK" => true,
        _ => return None,
    };
    let (_, address) = error.details()?.split_once(' ')?;
    let (host, port) = address.trim().rsplit_once(':')?;
    Some(Redirect { host: host.to_owned(), port: port.parse().ok()?, asking })
}

/// Whether the server has forgotten a script.
pub(crate) fn lost_script(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// What `value` answers to `op`.
pub(crate) fn reply(op: &Op, value: Value) -> Reply {
    if let Value::ServerError(error) = value {
        let error = redis::RedisError::from(error);
        let detail = format!("the server refused a command ({})", error.code().unwrap_or("ERR"));
        return Reply::Failed(Error::caused(kind_of(&error), "command", detail, error));
    }
    match (op, value) {
        (Op::Read { .. }, Value::Array(mut values)) if values.len() == 2 => {
            let payload = values.pop().and_then(bytes);
            Reply::Read { versions: values.pop().and_then(versions), payload }
        }
        (Op::Version { .. }, Value::Array(mut values)) => Reply::Version(values.pop().and_then(versions)),
        (Op::Acquire { .. }, Value::Int(version)) => Reply::Version(u64::try_from(version).ok().map(Versions::at)),
        (Op::Acquire { .. }, record @ Value::BulkString(_)) => Reply::Version(versions(record)),
        (Op::Acquire { .. }, Value::Array(mut values)) if values.len() == 2 => {
            let mark = values.pop().as_ref().and_then(journal::mark);
            let versions = values.pop().and_then(|record| match record {
                Value::Int(version) => u64::try_from(version).ok().map(Versions::at),
                record => versions(record),
            });
            versions.zip(mark).map_or_else(unexpected, |(versions, mark)| Reply::Pending { versions, mark })
        }
        (Op::Journal(op), value) => journal::said(op, value),
        (Op::Lease { .. } | Op::Renew { .. }, Value::Int(left)) => {
            Reply::Lease(match (left, Duration::from_millis(left.unsigned_abs())) {
                (0, _) => Leased::Ours,
                (1.., left) => Leased::Theirs(left),
                (_, left) => Leased::HeldOff(left),
            })
        }
        (Op::Fill { .. } | Op::Release { .. }, Value::Int(stored)) => Reply::Yes(stored == 1),
        (Op::Bump { .. } | Op::Leave { .. } | Op::Heal { .. }, Value::Array(values)) => match values.as_slice() {
            [Value::Int(version), Value::Int(AHEAD)] if *version > 0 => Reply::Ahead(version.unsigned_abs()),
            [Value::Int(version), Value::Int(stored)] if *version > 0 => {
                Reply::Bumped { version: version.unsigned_abs(), stored: *stored == 1 }
            }
            _ => unexpected(),
        },
        _ => unexpected(),
    }
}

pub(super) fn unexpected() -> Reply {
    Reply::Failed(Error::new(
        ErrorKind::Remote,
        "command",
        "the server's answer has not the form that the command gives",
    ))
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

/// What a record says. What is none that a script writes says nothing, and equals nothing.
fn versions(value: Value) -> Option<Versions> {
    bytes(value).and_then(|text| Versions::parse(&text))
}
