//! What a simulated server holds, and what each command and script makes of it.
//!
//! The scripts are written again here in Rust; `tests/it/simulation.rs` holds both against a real Redis.

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant};

use super::resp::Said;

/// Versions stay below this.
const VERSION_LIMIT: u64 = 1 << 53;

/// One record.
#[derive(Clone, Debug)]
struct Record {
    value: Vec<u8>,
    until: Option<Instant>,
}

/// What happened to a record, in the words of keyspace notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The record.
    pub name: String,
    /// `set`, `del`, `incrby`, `expire` or `evicted`.
    pub what: &'static str,
}

/// Records by name. Cloned as a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Store {
    records: BTreeMap<String, Record>,
    events: Vec<Event>,
    messages: Vec<(String, String)>,
}

/// Which of the cache's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Acquire,
    Fill,
    Bump,
    PutNewer,
    Leave,
    Heal,
    Lease,
    Release,
    Probe,
}

impl Script {
    /// The script of this text.
    pub fn of(text: &str) -> Option<Self> {
        // By a sentence at the head of each.
        let heads = [
            ("The version of a record, created if there is none", Self::Acquire),
            ("Stores what a load returned", Self::Fill),
            ("Moves a record to a new version", Self::Bump),
            ("Puts a row that has a version", Self::PutNewer),
            ("Evicts softly", Self::Leave),
            ("Moves the generation of the namespace, once", Self::Heal),
            ("Takes the lease of a load", Self::Lease),
            ("Ends the lease of a load that stored nothing", Self::Release),
            ("The beat's write", Self::Probe),
        ];
        heads.into_iter().find(|(head, _)| text.contains(head)).map(|(_, script)| script)
    }
}

/// What a lease says.
struct Held {
    version: String,
    owner: String,
    waiting: Vec<String>,
}

impl Held {
    fn text(&self) -> String {
        [&[self.version.clone(), self.owner.clone()][..], &self.waiting].concat().join(" ")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

// === impl Store ===

impl Store {
    /// What happened since it was last asked.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What was published since it was last asked: channel and message.
    pub fn messages(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.messages)
    }

    /// The names of all records, in order.
    pub fn names(&self) -> Vec<String> {
        self.records.keys().cloned().collect()
    }

    /// Everything is gone, and nobody is told.
    pub fn flush(&mut self) {
        self.records.clear();
    }

    /// Gives a record up for room.
    pub fn reclaim(&mut self, name: &str) {
        if self.records.remove(name).is_some() {
            self.tell(name, "evicted");
        }
    }

    /// The value of a record, as long as it lives.
    pub fn get(&mut self, name: &str) -> Option<Vec<u8>> {
        // Redis deletes what has ended when somebody looks; that it tells of it is of no use to anybody.
        if self.records.get(name)?.until.is_some_and(|until| until <= Instant::now()) {
            self.records.remove(name);
        }
        self.records.get(name).map(|record| record.value.clone())
    }

    /// How long a record still lives, as PTTL says it.
    pub fn life(&mut self, name: &str) -> i64 {
        if self.get(name).is_none() {
            return -2;
        }
        let until = self.records[name].until;
        until.map_or(-1, |until| (until - Instant::now()).as_millis() as i64)
    }

    /// `SET`, with a life in milliseconds, with the one that it has, or for ever.
    pub fn set(&mut self, name: &str, value: &[u8], life: Life) {
        let until = match life {
            Life::Keep => self.records.get(name).and_then(|record| record.until),
            Life::Ever => None,
            Life::Millis(millis) => Some(Instant::now() + Duration::from_millis(millis)),
        };
        self.records.insert(name.to_owned(), Record { value: value.to_vec(), until });
        self.tell(name, "set");
        if let Life::Millis(_) = life {
            self.tell(name, "expire");
        }
    }

    /// `DEL`.
    pub fn delete(&mut self, name: &str) -> bool {
        let was_there = self.get(name).is_some() && self.records.remove(name).is_some();
        if was_there {
            self.tell(name, "del");
        }
        was_there
    }

    fn expire(&mut self, name: &str, millis: u64) {
        if let Some(record) = self.records.get_mut(name) {
            record.until = Some(Instant::now() + Duration::from_millis(millis));
            self.tell(name, "expire");
        }
    }

    fn tell(&mut self, name: &str, what: &'static str) {
        self.events.push(Event { name: name.to_owned(), what });
    }

    /// Runs a script on `keys` with `arguments`.
    pub fn run(&mut self, script: Script, keys: &[String], arguments: &[Vec<u8>]) -> Said {
        match script {
            Script::Acquire => self.acquire(&keys[0], arguments),
            Script::Fill => self.fill(keys, arguments),
            Script::Lease => self.lease(&keys[0], &keys[1], arguments),
            Script::Release => self.release(&keys[0], arguments),
            Script::Bump => self.bump(&keys[0], keys.get(1), arguments),
            Script::PutNewer => self.put_newer(keys, arguments),
            Script::Leave => self.leave(&keys[0], arguments),
            Script::Heal => self.heal(&keys[0], &keys[1], arguments),
            Script::Probe => {
                let before = self.get(&keys[0]).map_or(Said::Null, Said::Bulk);
                self.set(&keys[0], &arguments[0], Life::Millis(millis(&arguments[1])));
                before
            }
        }
    }

    fn acquire(&mut self, record: &str, arguments: &[Vec<u8>]) -> Said {
        let (needs, gives) = (millis(&arguments[1]), millis(&arguments[2]));
        let held = self.get(record);
        if let Some(version) = held.as_deref().and_then(|value| version(value, VERSION_LIMIT)) {
            let life = self.life(record);
            if needs > 0 && life >= 0 && (life as u64) < needs {
                self.expire(record, gives);
            }
            return match held {
                Some(record) if record.contains(&b' ') => Said::Bulk(record),
                _ => Said::Int(version as i64),
            };
        }
        if held.is_some() {
            self.delete(record);
        }
        self.records.insert(record.to_owned(), Record { value: arguments[0].clone(), until: None });
        self.tell(record, "incrby");
        if needs > 0 {
            self.expire(record, gives);
        }
        Said::Int(millis(&arguments[0]) as i64)
    }

    fn fill(&mut self, keys: &[String], arguments: &[Vec<u8>]) -> Said {
        if self.get(&keys[0]).as_deref().map(head) != Some(&arguments[0]) {
            return Said::Int(0);
        }
        self.set(&keys[1], &arguments[1], Life::Millis(millis(&arguments[2])));
        if let Some(held) = keys.get(2).and_then(|lease| self.held(lease)) {
            self.delete(&keys[2]);
            self.publish(&held.waiting, &arguments[3..]);
        }
        Said::Int(1)
    }

    fn lease(&mut self, control: &str, lease: &str, arguments: &[Vec<u8>]) -> Said {
        let Some(version) = self.get(control).as_deref().map(head).map(text) else { return Said::Int(0) };
        let (node, renews) = (text(&arguments[0]), arguments[2] == b"1");
        if let Some(mut held) = self.held(lease).filter(|held| held.version == version) {
            if held.owner == node {
                self.expire(lease, millis(&arguments[1]));
                return Said::Int(0);
            }
            let left = self.life(lease).max(1);
            if held.owner == "-" {
                return Said::Int(-left);
            }
            if !renews && !held.waiting.contains(&node) {
                held.waiting.push(node);
                self.set(lease, held.text().as_bytes(), Life::Keep);
            }
            return Said::Int(left);
        }
        if !renews {
            self.set(lease, format!("{version} {node}").as_bytes(), Life::Millis(millis(&arguments[1])));
        }
        Said::Int(0)
    }

    fn release(&mut self, lease: &str, arguments: &[Vec<u8>]) -> Said {
        let held = self.held(lease).filter(|held| held.owner.as_bytes() == arguments[0]);
        let Some(held) = held else { return Said::Int(0) };
        match millis(&arguments[1]) {
            0 => {
                self.delete(lease);
            }
            hold => self.set(lease, format!("{} -", held.version).as_bytes(), Life::Millis(hold)),
        }
        self.publish(&held.waiting, &arguments[2..]);
        Said::Int(1)
    }

    fn held(&mut self, lease: &str) -> Option<Held> {
        let held = text(&self.get(lease)?);
        let mut words = held.split(' ').map(str::to_owned);
        if !held.starts_with(|c: char| c.is_ascii_digit()) || !words.clone().next()?.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        Some(Held { version: words.next()?, owner: words.next()?, waiting: words.collect() })
    }

    fn publish(&mut self, nodes: &[String], arguments: &[Vec<u8>]) {
        for node in nodes {
            self.messages.push((text(&arguments[0]) + node, text(&arguments[1])));
        }
    }

    fn bump(&mut self, record: &str, payload: Option<&String>, arguments: &[Vec<u8>]) -> Said {
        let old = self.get(record);
        self.set(record, &arguments[0], Life::Keep);
        let mut moved = millis(&arguments[0]);
        let stored = payload.filter(|_| old.as_deref().map(head) == arguments.get(3).map(Vec::as_slice));
        if let Some(payload) = stored {
            self.set(payload, &arguments[4], Life::Millis(millis(&arguments[5])));
            return Said::Array(vec![Said::Int(moved as i64), Said::Int(1)]);
        }
        let life = millis(&arguments[1]);
        match old.as_deref() {
            None if life > 0 => self.expire(record, life),
            None => {}
            Some(value) => {
                if let Some(old) = version(value, VERSION_LIMIT - 1).filter(|old| *old >= moved) {
                    moved = (old + millis(&arguments[2])).min(VERSION_LIMIT - 1);
                    self.set(record, moved.to_string().as_bytes(), Life::Keep);
                }
            }
        }
        Said::Array(vec![Said::Int(moved as i64), Said::Int(0)])
    }

    fn put_newer(&mut self, keys: &[String], arguments: &[Vec<u8>]) -> Said {
        let [proposed, life, raise, captured, payload, payload_life, row, tags, most] = arguments else {
            return Said::Error("ERR wrong number of arguments".into());
        };
        let said = |version: u64, outcome| Said::Array(vec![Said::Int(version as i64), Said::Int(outcome)]);
        let (proposed, row) = (millis(proposed), millis(row));
        let old = self.get(&keys[0]);
        let current = old.as_deref().and_then(|value| version(value, VERSION_LIMIT - 1));
        let captured = version(captured, VERSION_LIMIT);
        let is_captured = current.is_some() && current == captured;
        let (mut stores, mut before) = (is_captured, Vec::new());
        let put = self.get(&keys[2]).and_then(|put| Put::read(&put));
        if let (Some(put), Some(current)) = (put, current)
            && put.at == current
        {
            let follows = is_captured || captured.is_some_and(|captured| put.listed.contains(&captured));
            if follows && put.tags.as_bytes() == tags.as_slice() {
                if put.row > row {
                    return said(current, 2);
                }
                stores = is_captured || row > put.row;
                before = put.listed;
            } else if is_captured {
                stores = put.row <= row;
            }
        }
        if let (true, Some(current)) = (stores, current) {
            if proposed <= current {
                return said(current, 3);
            }
            self.set(&keys[0], proposed.to_string().as_bytes(), Life::Keep);
            self.set(&keys[1], payload, Life::Millis(millis(payload_life)));
            let listed = [current].into_iter().chain(before).take((millis(most) as usize).max(1));
            let listed: Vec<String> = listed.map(|version| version.to_string()).collect();
            let put = format!("{proposed} {row} {} {}", text(tags), listed.join(" "));
            self.set(&keys[2], put.as_bytes(), Life::Millis(millis(payload_life)));
            return said(proposed, 1);
        }
        let moved = match current {
            Some(current) if proposed <= current => (current + millis(raise)).min(VERSION_LIMIT - 1),
            _ => proposed,
        };
        let life = if old.is_some() { Life::Keep } else { Life::Millis(millis(life)) };
        self.set(&keys[0], moved.to_string().as_bytes(), life);
        said(moved, 0)
    }

    fn leave(&mut self, record: &str, arguments: &[Vec<u8>]) -> Said {
        let (proposed, life) = (millis(&arguments[0]), millis(&arguments[1]));
        let old = self.get(record);
        let Some(current) = old.as_deref().and_then(|value| version(value, VERSION_LIMIT - 1)) else {
            self.set(record, &arguments[0], Life::Keep);
            if old.is_none() && life > 0 {
                self.expire(record, life);
            }
            return Said::Array(vec![Said::Int(proposed as i64), Said::Int(0)]);
        };
        let moved =
            if current >= proposed { (current + millis(&arguments[2])).min(VERSION_LIMIT - 1) } else { proposed };
        let old = old.as_deref().map(text).unwrap_or_default();
        let left = old.split(' ').filter(|one| !one.is_empty()).take(millis(&arguments[3]) as usize);
        let listed: Vec<String> = [moved.to_string()].into_iter().chain(left.map(str::to_owned)).collect();
        self.set(record, listed.join(" ").as_bytes(), Life::Keep);
        Said::Array(vec![Said::Int(moved as i64), Said::Int(0)])
    }

    fn heal(&mut self, record: &str, mark: &str, arguments: &[Vec<u8>]) -> Said {
        let is_fresh = self.get(mark).is_none();
        if is_fresh {
            self.set(mark, b"1", Life::Millis(millis(&arguments[1])));
        }
        let held = self.get(record);
        let known = held.as_deref().and_then(|value| version(value, VERSION_LIMIT - 1));
        if let (Some(known), false) = (known, is_fresh) {
            return Said::Array(vec![Said::Int(known as i64), Said::Int(0)]);
        }
        if known.is_none() {
            self.delete(record);
        }
        let proposed = millis(&arguments[0]);
        let raised = known.filter(|known| *known >= proposed).map(|known| known + millis(&arguments[2]));
        let moved = raised.map_or(proposed, |raised| raised.min(VERSION_LIMIT - 1));
        self.set(record, moved.to_string().as_bytes(), Life::Ever);
        Said::Array(vec![Said::Int(moved as i64), Said::Int(0)])
    }
}

/// What stands beside the payload of a row that has a version.
struct Put {
    /// The version of the record at which it was put.
    at: u64,
    row: u64,
    tags: String,
    /// Versions before it that only such puts came after.
    listed: Vec<u64>,
}

impl Put {
    fn read(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let mut words = value.split(' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (at, row) = (number()?, number()?);
        let tags = words.next()?.to_owned();
        let listed = words.filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Self { at, row, tags, listed })
    }
}

/// What becomes of a record's end when it is set.
#[derive(Clone, Copy, Debug)]
pub enum Life {
    Keep,
    Ever,
    Millis(u64),
}

/// A number that the cache sent.
fn millis(text: &[u8]) -> u64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What a record says that it is at: all of it, but for what it left softly, which is listed behind.
fn head(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (head, left) = value.split_at(end);
    let is_list = head.first().is_some_and(u8::is_ascii_digit) && head.iter().all(u8::is_ascii_digit);
    let is_list = is_list && left.iter().all(|byte| *byte == b' ' || byte.is_ascii_digit());
    if is_list { head } else { value }
}

/// A version as records hold it: a plain decimal number below `limit`.
fn version(value: &[u8], limit: u64) -> Option<u64> {
    let value = head(value);
    let is_plain = matches!(value, [b'1'..=b'9', rest @ ..] if rest.len() < 16 && rest.iter().all(u8::is_ascii_digit));
    let number = std::str::from_utf8(value).ok().filter(|_| is_plain)?.parse().ok()?;
    (number < limit).then_some(number)
}
