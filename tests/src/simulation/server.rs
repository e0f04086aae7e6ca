//! A simulated Redis: one store, connections over streams in memory, keyspace notifications and tracking, and the faults that
//! a server can have.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cache_core::test_util::{BoxWire, Dialled};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, duplex, split},
    sync::mpsc,
    time::{Duration, Instant},
};

use super::{
    resp::{Said, take_command},
    store::{Event, Life, Script, Store},
};
use crate::fixtures::{Line, Signal};

const SETTING: &str = "notify-keyspace-events";
/// Bytes that may be on the way in one direction of a connection.
const WINDOW: usize = 1 << 16;
/// Answers and messages that a client may leave unread.
const OUTPUT: usize = 4_096;
/// How long ago a snapshot may be that the server comes back with, and how often one is taken.
const SNAPSHOTS: usize = 40;

/// A server that lives as long as somebody holds it.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Whether it processes commands; and which life it is in, which ends all connections when it changes.
    running: Signal<Running>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Running {
    life: u64,
    up: bool,
    paused: bool,
}

struct State {
    store: Store,
    snapshots: VecDeque<(Instant, Store)>,
    scripts: BTreeMap<String, Script>,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    flags: String,
    run_id: u64,
    history: u64,
    /// Server time in microseconds at `epoch`; steps move it.
    time: u64,
    epoch: Instant,
    /// Pushes to the client that caused them come before the reply, as in Redis 7.0, or after it, as in 7.2.
    pushes_first: bool,
    /// Each notification comes twice.
    doubles: bool,
    /// Nothing is written, as when the disk is full.
    refuses_writes: bool,
}

struct Client {
    out: mpsc::Sender<Vec<u8>>,
    patterns: BTreeSet<String>,
    channels: BTreeSet<String>,
    prefixes: Vec<String>,
    /// The commands of a transaction that has begun.
    transaction: Option<Vec<Vec<Vec<u8>>>>,
}

// === impl Server ===

impl Server {
    /// A server that tells about changes, with nothing in it.
    pub fn new(pushes_first: bool) -> Self {
        let state = State {
            store: Store::default(),
            snapshots: VecDeque::new(),
            scripts: BTreeMap::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            flags: "K$gxe".into(),
            run_id: fastrand::u64(..),
            history: fastrand::u64(..),
            time: 1_800_000_000_000_000,
            epoch: Instant::now(),
            pushes_first,
            doubles: false,
            refuses_writes: false,
        };
        let running = Signal::new(Running { life: 0, up: true, paused: false });
        Self(Arc::new(Shared { state: Mutex::new(state), running }))
    }

    /// A stream to the server over `line`.
    pub fn dial(&self, line: &Arc<Line>) -> Dialled {
        let running = self.0.running.get();
        if !running.up || line.refuses() {
            return Box::pin(std::future::ready(Err(io::Error::from(io::ErrorKind::ConnectionRefused))));
        }
        let (near, far) = duplex(WINDOW);
        let (uplink, end) = duplex(WINDOW);
        let (line, taken) = (Arc::clone(line), line.take());
        tokio::spawn(async move { line.carry(taken, far, uplink).await });
        tokio::spawn(self.clone().serve(end, running.life));
        Box::pin(std::future::ready(Ok(Box::new(near) as BoxWire)))
    }

    /// Stops processing: connections stay open, and nothing is answered.
    pub fn pause(&self) {
        self.0.running.change(|running| running.paused = true);
    }

    /// Goes on: what was sent meanwhile is answered now.
    pub fn resume(&self) {
        self.0.running.change(|running| running.paused = false);
    }

    /// Ends all connections, and takes no new ones.
    pub fn kill(&self) {
        self.state().clients.clear();
        self.0.running.change(|running| *running = Running { life: running.life + 1, up: false, paused: false });
    }

    /// Comes back as another process, with what it had, with what it had `ago`, or with nothing. Answers from when that is.
    pub fn restart(&self, back_to: BackTo) -> Instant {
        let now = Instant::now();
        let mut state = self.state();
        let from = match back_to {
            BackTo::All => now,
            BackTo::Nothing => {
                state.store.flush();
                state.epoch
            }
            BackTo::Older(ago) => {
                let wanted = now - ago;
                let snapshot = state.snapshots.iter().rev().find(|(taken, _)| *taken <= wanted).cloned();
                let (taken, store) = snapshot.unwrap_or((state.epoch, Store::default()));
                state.store = store;
                taken
            }
        };
        state.snapshots.retain(|(taken, _)| *taken <= from);
        state.run_id = fastrand::u64(..);
        state.scripts.clear();
        drop(state);
        self.0.running.change(|running| running.up = true);
        from
    }

    /// A replica takes over that lacks what was written in the last `lag`. Answers from when its data is.
    pub fn fail_over(&self, lag: Duration) -> Instant {
        self.kill();
        self.state().history = fastrand::u64(..);
        self.restart(BackTo::Older(lag))
    }

    /// `FLUSHALL`.
    pub fn flush(&self) {
        let mut state = self.state();
        state.store.flush();
        state.tell_flushed();
    }

    /// `CONFIG SET notify-keyspace-events`, by somebody else.
    pub fn notify(&self, flags: &str) {
        self.state().flags = flags.into();
    }

    /// `SCRIPT FLUSH`.
    pub fn forget_scripts(&self) {
        self.state().scripts.clear();
    }

    /// Steps the server's clock.
    pub fn step_clock(&self, micros: i64) {
        let mut state = self.state();
        state.time = state.time.saturating_add_signed(micros);
    }

    /// Each notification comes twice, from now on or no longer.
    pub fn double(&self, doubles: bool) {
        self.state().doubles = doubles;
    }

    /// Whatever would write is refused, from now on or no longer; reads go on.
    pub fn refuse_writes(&self, refuses: bool) {
        self.state().refuses_writes = refuses;
    }

    /// Ends the connections that listen, or those that don't.
    pub fn kill_clients(&self, listening: bool) {
        self.state().clients.retain(|_, client| client.listens() != listening);
    }

    /// Gives one record up for room, whichever `draw` picks.
    pub fn reclaim(&self, draw: usize) {
        let mut state = self.state();
        let names = state.store.names();
        if !names.is_empty() {
            state.store.reclaim(&names[draw % names.len()]);
            state.tell(None);
        }
    }

    /// Takes a snapshot for a restart to come back with.
    pub fn snapshot(&self) {
        let mut state = self.state();
        let snapshot = (Instant::now(), state.store.clone());
        state.snapshots.push_back(snapshot);
        if state.snapshots.len() > SNAPSHOTS {
            state.snapshots.pop_front();
        }
    }

    async fn serve(self, stream: tokio::io::DuplexStream, life: u64) {
        let (from, mut to) = split(stream);
        let (out, mut replies) = mpsc::channel::<Vec<u8>>(OUTPUT);
        let id = self.state().admit(out);
        let over = self.0.running.wait_for(|running| running.life != life);
        let writing = async {
            // Ends when the client is thrown out: its sender is dropped then.
            while let Some(bytes) = replies.recv().await {
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = over => {}
            () = writing => {}
            () = self.obey(from, id) => {}
        }
        self.state().clients.remove(&id);
    }

    async fn obey(&self, mut from: impl AsyncRead + Unpin, id: u64) {
        let (mut buffer, mut chunk) = (Vec::new(), vec![0; 1 << 12]);
        while let Ok(count @ 1..) = from.read(&mut chunk).await {
            buffer.extend_from_slice(&chunk[..count]);
            self.0.running.wait_for(|running| !running.paused).await;
            while let Some(words) = take_command(&mut buffer) {
                self.state().execute(id, &words);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a server comes back with.
#[derive(Clone, Copy, Debug)]
pub enum BackTo {
    All,
    Nothing,
    Older(Duration),
}

// === impl State ===

impl State {
    fn admit(&mut self, out: mpsc::Sender<Vec<u8>>) -> u64 {
        self.next_client += 1;
        let client = Client {
            out,
            patterns: BTreeSet::new(),
            channels: BTreeSet::new(),
            prefixes: Vec::new(),
            transaction: None,
        };
        self.clients.insert(self.next_client, client);
        self.next_client
    }

    fn execute(&mut self, id: u64, words: &[Vec<u8>]) {
        let replies = self.in_turn(id, words);
        if self.pushes_first {
            self.tell(None);
            self.send(id, &replies);
        } else {
            // Others hear at once; the one who did it, after its reply.
            let own = self.tell(Some(id));
            self.send(id, &replies);
            self.send(id, &own);
        }
    }

    /// A command at once, or when its transaction is executed.
    fn in_turn(&mut self, id: u64, words: &[Vec<u8>]) -> Vec<Said> {
        let begins = words[0].eq_ignore_ascii_case(b"MULTI");
        let ends = words[0].eq_ignore_ascii_case(b"EXEC");
        if begins {
            self.client(id, |client| client.transaction = Some(Vec::new()));
            return vec![Said::Ok];
        }
        if ends {
            let commands = self.client(id, |client| client.transaction.take()).unwrap_or_default();
            return vec![Said::Array(commands.iter().flat_map(|words| self.replies(id, words)).collect())];
        }
        let waits = self
            .client(id, |client| client.transaction.as_mut().map(|commands| commands.push(words.to_vec())).is_some());
        if waits { vec![Said::Queued] } else { self.replies(id, words) }
    }

    fn replies(&mut self, id: u64, words: &[Vec<u8>]) -> Vec<Said> {
        let text: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let upper: Vec<String> = text.iter().map(|word| word.to_ascii_uppercase()).collect();
        let args: Vec<&str> = upper.iter().map(String::as_str).collect();
        let one = |said: Said| vec![said];
        match args.as_slice() {
            // Scripts that do not declare themselves `no-writes` are refused as a whole.
            ["EVALSHA" | "EVAL" | "SET" | "HSETNX" | "DEL", ..] if self.refuses_writes => {
                one(Said::Error("MISCONF Errors writing to the AOF file".into()))
            }
            ["HELLO", ..] => one(Said::Map(vec![Said::text("proto"), Said::Int(3)])),
            ["PING", ..] => one(Said::Pong),
            ["CLIENT", "SETINFO", ..] | ["SELECT", ..] => one(Said::Ok),
            ["CLIENT", "TRACKING", "ON", "BCAST", ..] => {
                let prefixes = text.windows(2).filter(|pair| pair[0].eq_ignore_ascii_case("PREFIX"));
                let prefixes = prefixes.map(|pair| pair[1].clone()).collect();
                self.client(id, |client| client.prefixes = prefixes);
                one(Said::Ok)
            }
            ["CONFIG", "GET", ..] => one(Said::Map(vec![Said::text(SETTING), Said::text(self.flags.clone())])),
            ["CONFIG", "SET", ..] => {
                self.flags.clone_from(&text[3]);
                one(Said::Ok)
            }
            ["INFO", ..] => one(Said::text(format!(
                "run_id:{:016x}\r\nrole:master\r\nmaster_replid:{:016x}\r\n",
                self.run_id, self.history
            ))),
            ["TIME"] => {
                let micros = self.time + self.epoch.elapsed().as_micros() as u64;
                let parts = [micros / 1_000_000, micros % 1_000_000].map(|part| Said::text(part.to_string()));
                one(Said::Array(parts.to_vec()))
            }
            ["PSUBSCRIBE" | "SUBSCRIBE", ..] => self.subscribe(id, &args, &text),
            ["SCRIPT", "LOAD", ..] => {
                let hash = redis::Script::new(&text[2]).get_hash().to_owned();
                if let Some(script) = Script::of(&text[2]) {
                    self.scripts.insert(hash.clone(), script);
                }
                one(Said::text(hash))
            }
            ["EVALSHA" | "EVAL", _, keys, ..] => {
                let script = if args[0] == "EVAL" { Script::of(&text[1]) } else { self.scripts.get(&text[1]).copied() };
                let Some(script) = script else { return one(Said::Error("NOSCRIPT No matching script".into())) };
                let keys: usize = keys.parse().unwrap();
                one(self.store.run(script, &text[3..3 + keys], &words[3 + keys..]))
            }
            ["MGET", ..] => {
                let values = text[1..].iter().map(|name| self.store.get(name).map_or(Said::Null, Said::Bulk));
                one(Said::Array(values.collect()))
            }
            ["SET", _, _] => {
                self.store.set(&text[1], &words[2], Life::Ever);
                one(Said::Ok)
            }
            ["HSETNX", ..] => {
                let name = format!("{}#{}", text[1], text[2]);
                let is_new = self.store.get(&name).is_none();
                if is_new {
                    self.store.set(&name, &words[3], Life::Ever);
                }
                one(Said::Int(i64::from(is_new)))
            }
            ["HGET", ..] => one(self.store.get(&format!("{}#{}", text[1], text[2])).map_or(Said::Null, Said::Bulk)),
            ["DEL", ..] => {
                let count = text[1..].iter().filter(|name| self.store.delete(name)).count();
                one(Said::Int(count as i64))
            }
            _ => panic!("the simulated server does not know {text:?}"),
        }
    }

    fn subscribe(&mut self, id: u64, args: &[&str], text: &[String]) -> Vec<Said> {
        let is_pattern = args[0] == "PSUBSCRIBE";
        let mut replies = Vec::new();
        for name in &text[1..] {
            let count = self.client(id, |client| {
                if is_pattern {
                    client.patterns.insert(name.clone())
                } else {
                    client.channels.insert(name.clone())
                };
                client.patterns.len() + client.channels.len()
            });
            let kind = args[0].to_ascii_lowercase();
            replies.push(Said::Push(vec![Said::text(kind), Said::text(name), Said::Int(count as i64)]));
        }
        replies
    }

    fn client<T: Default>(&mut self, id: u64, change: impl FnOnce(&mut Client) -> T) -> T {
        self.clients.get_mut(&id).map(change).unwrap_or_default()
    }

    /// Tells everybody what has happened, but for one, to whom it is to be told later.
    fn tell(&mut self, except: Option<u64>) -> Vec<Said> {
        let (events, messages) = (self.store.events(), self.store.messages());
        let mut later = Vec::new();
        let ids: Vec<u64> = self.clients.keys().copied().collect();
        for id in ids {
            let mut said = self.clients[&id].pushes(&events, &self.flags);
            said.extend(self.clients[&id].messages(&messages));
            let said = if self.doubles { [said.clone(), said].concat() } else { said };
            if except == Some(id) {
                later = said;
            } else {
                self.send(id, &said);
            }
        }
        later
    }

    fn tell_flushed(&mut self) {
        let tracking = self.clients.iter().filter(|(_, client)| !client.prefixes.is_empty());
        let tracking: Vec<u64> = tracking.map(|(id, _)| *id).collect();
        for id in tracking {
            self.send(id, &[Said::Push(vec![Said::text("invalidate"), Said::Null])]);
        }
    }

    fn send(&mut self, id: u64, said: &[Said]) {
        let Some(client) = self.clients.get(&id) else { return };
        let mut bytes = Vec::new();
        for said in said {
            said.write(&mut bytes);
        }
        // One that does not read what it is told is thrown out, as Redis does with its listeners.
        if !bytes.is_empty() && client.out.try_send(bytes).is_err() {
            self.clients.remove(&id);
        }
    }
}

impl Client {
    fn listens(&self) -> bool {
        !self.patterns.is_empty() || !self.prefixes.is_empty()
    }

    /// What this client is told of what was published.
    fn messages(&self, messages: &[(String, String)]) -> Vec<Said> {
        let heard = messages.iter().filter(|(channel, _)| self.channels.contains(channel));
        heard.map(|(channel, said)| Said::Push(["message", channel, said].map(Said::text).to_vec())).collect()
    }

    /// What this client is told of `events`.
    fn pushes(&self, events: &[Event], flags: &str) -> Vec<Said> {
        let mut said = Vec::new();
        for Event { name, what } in events {
            let class = match *what {
                "set" | "incrby" => '$',
                "evicted" => 'e',
                _ => 'g',
            };
            if !flags.contains('K') || !flags.contains(class) {
                continue;
            }
            let channel = format!("__keyspace@0__:{name}");
            let pattern = self.patterns.iter().find(|pattern| channel.starts_with(pattern.trim_end_matches('*')));
            if let Some(pattern) = pattern {
                said.push(Said::Push(["pmessage", pattern, &channel, what].map(Said::text).to_vec()));
            }
            if self.channels.contains(&channel) {
                said.push(Said::Push(["message", &channel, what].map(Said::text).to_vec()));
            }
        }
        // Tracking: one message for each prefix, with every name once.
        for prefix in &self.prefixes {
            let names: BTreeSet<&String> =
                events.iter().map(|event| &event.name).filter(|name| name.starts_with(prefix)).collect();
            if !names.is_empty() {
                let names = names.into_iter().map(Said::text).collect();
                said.push(Said::Push(vec![Said::text("invalidate"), Said::Array(names)]));
            }
        }
        said
    }
}
