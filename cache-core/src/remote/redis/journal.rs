//! Questions to a journal as commands, and what is said as answers.

use std::time::Duration;

use redis::{Cmd, Value, cmd};

use super::{
    commands::{Script, raise, unexpected, whole_millis},
    confirms,
    names::Names,
};
use crate::{
    journal::{
        Advance, Appended, Ask, Change, JournalEntry, JournalOp, Known, Mark, Parked, Position, Safety, Said, Standing,
        Witness,
    },
    key::Key,
    tier::{Op, Reply},
};

/// The life of a control record that an append creates, as of one that a bump does.
const LIFE_OF_NEW_CONTROL: Duration = Duration::from_secs(60);

/// The most that a version of a journal is raised by where there are several in a microsecond, or the clock is behind. By the second that a
/// record is raised by, a busy partition would run ahead of the time: whatever it gave before a loss would be newer for the sink than
/// what it gives after it, and in the end there would be no more versions.
const RAISE: u64 = 8;

/// The scripts of journals.
pub(super) struct JournalScripts {
    append: Script,
    own: Script,
    disown: Script,
    standing: Script,
    present: Script,
    read: Script,
    advance: Script,
    pending: Script,
    fate: Script,
}

impl JournalScripts {
    pub(super) fn new() -> Self {
        Self {
            append: Script::new(include_str!("scripts/journal_append.lua")),
            own: Script::new(include_str!("scripts/journal_own.lua")),
            disown: Script::new(include_str!("scripts/journal_disown.lua")),
            standing: Script::new(include_str!("scripts/journal_standing.lua")),
            present: Script::new(include_str!("scripts/journal_present.lua")),
            read: Script::new(include_str!("scripts/journal_read.lua")),
            advance: Script::new(include_str!("scripts/journal_advance.lua")),
            pending: Script::new(include_str!("scripts/journal_pending.lua")),
            fate: Script::new(include_str!("scripts/journal_fate.lua")),
        }
    }

    pub(super) fn all(&self) -> [&Script; 9] {
        let Self { append, own, disown, standing, present, read, advance, pending, fate } = self;
        [append, own, disown, standing, present, read, advance, pending, fate]
    }

    /// The command that asks.
    pub(super) fn command(&self, names: &Names, op: &JournalOp) -> Cmd {
        let JournalOp { journal, partition, ask } = op;
        let named = |kind: char| names.journal(kind, *partition, journal);
        match ask {
            Ask::Append { key, change, room, witness, safety: _ } => {
                let mut call = self.append.call(if witness.is_some() { 6 } else { 4 });
                call.arg(named('j')).arg(named('s')).arg(names.marks(*partition)).arg(names.control(key));
                if let Some(witness) = witness {
                    call.arg(named_witness(&named('w'), witness)).arg(named('x'));
                }
                call.arg(*room).arg(fastrand::u64(1..=RAISE)).arg(raise());
                call.arg(whole_millis(LIFE_OF_NEW_CONTROL)).arg(key.wire());
                call.arg(change.letter()).arg(change.body()).arg(&**journal);
                if let Some(witness) = witness {
                    call.arg(whole_millis(witness.life));
                }
                call
            }
            Ask::Own { owner, millis, above } => {
                self.own.call(1).arg(named('s')).arg(owner.to_string()).arg(*millis).arg(*above).take()
            }
            Ask::Disown { owner, fence } => {
                self.disown.call(1).arg(named('s')).arg(owner.to_string()).arg(*fence).take()
            }
            Ask::Standing { owner } => self.standing.call(1).arg(named('s')).arg(owner.to_string()).take(),
            Ask::Present { owner, millis } => {
                self.present.call(1).arg(named('n')).arg(owner.to_string()).arg(*millis).take()
            }
            Ask::Absent { owner } => self.present.call(1).arg(named('n')).arg(owner.to_string()).arg(0).take(),
            Ask::Read { after, entries, bytes } => {
                let mut call = self.read.call(2);
                call.arg(named('j')).arg(named('s')).arg(after.to_string()).arg(*entries).arg(*bytes).take()
            }
            Ask::HasEntries => cmd("XLEN").arg(named('j')).take(),
            Ask::Parked => cmd("HGETALL").arg(named('k')).take(),
            Ask::Advance { owner, fence, advance } => {
                let mut call = self.advance.call(5);
                call.arg(named('s')).arg(named('j')).arg(names.marks(*partition)).arg(named('k')).arg(named('x'));
                call.arg(owner.to_string()).arg(*fence);
                add_advance(&mut call, journal, advance);
                call
            }
            Ask::Pending { key, at } => {
                let at = at.map_or_else(|| "*".to_owned(), |at| at.to_string());
                self.pending.call(2).arg(named('j')).arg(named('k')).arg(at).arg(key.wire()).take()
            }
            Ask::Known { key, at, witness, letters } => {
                let mut call = self.fate.call(4);
                call.arg(named('j')).arg(named('k')).arg(named('x'));
                call.arg(named_witness(&named('w'), witness));
                let letters = letters.map_or_else(String::new, |letters| letters.to_string());
                call.arg(at.to_string()).arg(key.wire()).arg(letters).take()
            }
            Ask::Lag => {
                let mut call = cmd("EVAL");
                call.arg(LAG).arg(3).arg(named('j')).arg(named('k')).arg(named('x')).take()
            }
            Ask::Dead { after, count } => {
                let mut call = cmd("XRANGE");
                call.arg(named('x')).arg(format!("({after}")).arg("+").arg("COUNT").arg(*count).take()
            }
            Ask::Bury { letter } => cmd("XDEL").arg(named('x')).arg(letter.to_string()).take(),
            Ask::Server => cmd("EVAL").arg(SERVER).arg(1).arg(named('s')).take(),
            // Not in a script: newer servers refuse it there.
            Ask::Fsync => cmd("CONFIG").arg("GET").arg("appendfsync").take(),
            Ask::CanSay(safety) => confirms::rehearsal(*safety),
        }
    }
}

fn named_witness(prefix: &str, witness: &Witness) -> String {
    format!("{prefix}:{:032x}", witness.name)
}

const LAG: &str = "local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
return {redis.call('XLEN', KEYS[1]), first[1] and first[1][1] or '', redis.call('HLEN', KEYS[2]), redis.call('XLEN', KEYS[3])}";

/// Of the server that has this key. What a user may not ask for is left out.
const SERVER: &str = "local function info(section)
  local said = redis.pcall('INFO', section)
  return type(said) == 'string' and said or ''
end
return info('memory') .. info('persistence') .. info('replication')";

fn add_advance(call: &mut Cmd, journal: &str, advance: &Advance) {
    let Advance { cursor, flushed, parked, unparked, dead } = advance;
    call.arg(cursor.to_string()).arg(cursor.next().to_string()).arg(journal);
    call.arg(flushed.len());
    for (key, position) in flushed {
        call.arg(key.wire()).arg(position.to_string());
    }
    call.arg(parked.len());
    for (key, parked) in parked {
        call.arg(key.wire()).arg(parked.encode());
    }
    call.arg(unparked.len());
    for key in unparked {
        call.arg(key.wire());
    }
    call.arg(dead.len());
    for (key, parked) in dead {
        call.arg(key.wire()).arg(parked.encode());
    }
}

/// Where a change has to be before its append is answered, if that takes more than the append. It travels alone.
pub(super) fn safety(ops: &[Op]) -> Option<Safety> {
    match ops {
        [Op::Journal(JournalOp { ask: Ask::Append { safety, .. }, .. })] => *safety,
        _ => None,
    }
}

/// Whether an append did append.
pub(super) fn was_appended(value: &Value) -> bool {
    matches!(value, Value::Array(values) if matches!(values.as_slice(), [Value::Int(1), ..]))
}

/// What `value` says to `op`.
pub(super) fn said(op: &JournalOp, value: Value) -> Reply {
    read(&op.ask, value).map_or_else(unexpected, Reply::Journal)
}

fn read(ask: &Ask, value: Value) -> Option<Said> {
    Some(match ask {
        Ask::Append { .. } => Said::Appended(appended(value)?),
        Ask::Own { .. } => Said::Owned(match value {
            Value::Nil => None,
            value => Some(owned(value)?),
        }),
        Ask::Standing { .. } => Said::Standing(standing(&value)?),
        Ask::Present { .. } | Ask::Absent { .. } => match value {
            Value::Int(nodes) => Said::Present(usize::try_from(nodes).ok()?),
            _ => return None,
        },
        Ask::Read { .. } => {
            let [last, entries, Value::Int(is_full)] = <[Value; 3]>::try_from(array(value)?).ok()? else { return None };
            let entries = array(entries)?.into_iter().map(entry).collect::<Option<_>>()?;
            Said::Entries { last: text(&last)?.parse().ok()?, entries, is_full: is_full == 1 }
        }
        Ask::HasEntries => match value {
            Value::Int(entries) => Said::Has(entries > 0),
            _ => return None,
        },
        Ask::Parked => {
            let mut all = Vec::new();
            for (key, parked) in pairs(value)? {
                all.push((Key::parse(text(&key)?)?, Parked::decode(&bytes(parked)?)?));
            }
            Said::Parked(all)
        }
        Ask::Pending { .. } => Said::Pending(match value {
            Value::Nil => None,
            Value::BulkString(parked) => Parked::decode(&parked)?.replaced.map(|(_, _, change)| change),
            value => Some(entry(value)?.change),
        }),
        Ask::Known { .. } => Said::Known(match value {
            Value::Nil => None,
            value => Some(known(value)?),
        }),
        Ask::Lag => match array(value)?.as_slice() {
            [Value::Int(entries), oldest, Value::Int(parked), Value::Int(dead)] => Said::Lag {
                entries: entries.unsigned_abs(),
                oldest: Position::parse(text(oldest)?),
                parked: parked.unsigned_abs(),
                dead: dead.unsigned_abs(),
            },
            _ => return None,
        },
        Ask::Dead { .. } => Said::Dead(array(value)?.into_iter().map(letter).collect::<Option<_>>()?),
        Ask::Disown { .. } | Ask::Advance { .. } | Ask::Bury { .. } => match value {
            Value::Int(done) => Said::Done(done == 1),
            _ => return None,
        },
        Ask::Fsync => {
            let said = pairs(value)?.into_iter().next().and_then(|(_, value)| Some(text(&value)?.to_owned()));
            Said::Server(said.unwrap_or_default())
        }
        Ask::CanSay(_) => Said::Done(true),
        Ask::Server => Said::Server(match value {
            Value::VerbatimString { text, .. } => text,
            value => String::from_utf8(bytes(value)?).ok()?,
        }),
    })
}

fn appended(value: Value) -> Option<Appended> {
    match array(value)?.as_slice() {
        [Value::Int(0)] => Some(Appended::Full),
        [Value::Int(1), version, position] => {
            Some(Appended::As { version: text(version)?.parse().ok()?, position: Position::parse(text(position)?)? })
        }
        _ => None,
    }
}

fn owned(value: Value) -> Option<(u64, Position)> {
    match array(value)?.as_slice() {
        [fence, cursor] => Some((text(fence)?.parse().ok()?, Position::parse(text(cursor)?)?)),
        _ => None,
    }
}

fn standing(value: &Value) -> Option<Standing> {
    match text(value)? {
        "free" => Some(Standing::Free),
        "ended" => Some(Standing::Ended),
        "own" => Some(Standing::Own),
        "foreign" => Some(Standing::Foreign),
        _ => None,
    }
}

fn known(value: Value) -> Option<Known> {
    let all = <[Value; 4]>::try_from(array(value)?).ok()?;
    let [Value::Int(entries), parked, last_letter, letters] = all else { return None };
    let parked = match bytes(parked)? {
        none if none.is_empty() => None,
        parked => Some(Parked::decode(&parked)?),
    };
    let letters = array(letters)?.into_iter().map(|letter| Parked::decode(&bytes(letter)?)).collect::<Option<_>>()?;
    let last_letter = Position::parse(text(&last_letter)?)?;
    Some(Known { has_entry: entries > 0, parked, letters, last_letter })
}

/// An entry of a stream: its place and its fields.
fn fields(value: Value) -> Option<(Position, Vec<(Value, Value)>)> {
    let mut parts = array(value)?;
    let fields = pairs(parts.pop()?)?;
    Some((Position::parse(text(&parts.pop()?)?)?, fields))
}

fn entry(value: Value) -> Option<JournalEntry> {
    let (position, fields) = fields(value)?;
    let (mut key, mut version, mut letter, mut body) = (None, None, None, None);
    for (name, value) in fields {
        match text(&name)? {
            "k" => key = Key::parse(text(&value)?),
            "v" => version = text(&value)?.parse().ok(),
            "o" => letter = bytes(value),
            "b" => body = bytes(value),
            // Of a later version of this.
            _ => {}
        }
    }
    Some(JournalEntry { position, key: key?, version: version?, change: Change::read(&letter?, body?)? })
}

fn letter(value: Value) -> Option<(Position, Key, Parked)> {
    let (position, fields) = fields(value)?;
    let (mut key, mut parked) = (None, None);
    for (name, value) in fields {
        match text(&name)? {
            "k" => key = Key::parse(text(&value)?),
            "b" => parked = Parked::decode(&bytes(value)?),
            _ => {}
        }
    }
    Some((position, key?, parked?))
}

/// The mark that came with a version, if one did.
pub(super) fn mark(value: &Value) -> Option<Mark> {
    Mark::parse(text(value)?)
}

fn array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

/// Names and values, as RESP2 gives them in a row and RESP3 as a map.
fn pairs(value: Value) -> Option<Vec<(Value, Value)>> {
    match value {
        Value::Map(pairs) => Some(pairs),
        value => {
            let mut values = array(value)?.into_iter();
            let mut pairs = Vec::new();
            while let Some(name) = values.next() {
                pairs.push((name, values.next()?));
            }
            Some(pairs)
        }
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
