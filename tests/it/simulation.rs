//! The simulation in a short form, and whether its server does what a real one does.

use std::collections::BTreeMap;

use redis::{Value, aio::MultiplexedConnection};
use tests::{
    fixtures::RedisServer,
    simulation::{
        resp::Said,
        run,
        store::{Life, Script, Store},
    },
};
use tokio::sync::mpsc;

/// `cargo run --release -p tests --bin sim -- --seeds 10000` is the long form.
const SEEDS: u64 = 40;

#[test]
fn a_few_runs_break_no_rule() {
    let (mut reads, mut faults, mut old) = (0, 0, 0);
    for seed in 0..SEEDS {
        let run = run(seed);
        reads += run.reads;
        old += run.old;
        faults += run.faults.values().sum::<usize>();
        assert!(run.violations.is_empty(), "sim --seed {seed}: {:#?}", run.violations);
    }
    assert!(
        reads > 50_000 && faults > 200 && old > 100,
        "{reads} reads, {faults} faults, {old} of what was softly evicted: that is too little to prove anything"
    );
}

/// So that the seed of a violation is worth something. Many wait for one thing in this one, and who goes on first decides the rest.
#[test]
fn a_seed_is_one_run() {
    let [one, other] = [run(26), run(26)].map(|run| (run.reads, run.changes, run.loads, run.hits, run.old, run.log));
    assert!(one.0 > 1_000, "{} reads", one.0);
    assert!(one == other, "{one:#?} is not {other:#?}");
}

const TEXTS: [(Script, &str); 9] = [
    (Script::Acquire, include_str!("../../cache-core/src/remote/redis/scripts/acquire.lua")),
    (Script::Fill, include_str!("../../cache-core/src/remote/redis/scripts/fill.lua")),
    (Script::Bump, include_str!("../../cache-core/src/remote/redis/scripts/bump.lua")),
    (Script::PutNewer, include_str!("../../cache-core/src/remote/redis/scripts/put_newer.lua")),
    (Script::Leave, include_str!("../../cache-core/src/remote/redis/scripts/leave.lua")),
    (Script::Heal, include_str!("../../cache-core/src/remote/redis/scripts/heal.lua")),
    (Script::Lease, include_str!("../../cache-core/src/remote/redis/scripts/lease.lua")),
    (Script::Release, include_str!("../../cache-core/src/remote/redis/scripts/release.lua")),
    (Script::Probe, include_str!("../../cache-core/src/remote/redis/scripts/probe.lua")),
];

/// Where `put_newer` stands.
const PUT_NEWER: usize = 3;

/// A version, a number that is none, or no number.
fn some_value() -> String {
    let version = || (1_790_000_000_000_000 + fastrand::u64(..6)).to_string();
    match fastrand::u8(..16) {
        0 => "text".into(),
        1 => "007".into(),
        2 => "-5".into(),
        3 => "1e3".into(),
        4 => "9007199254740991".into(),
        5 => "9007199254740990".into(),
        6 => "9007199254740992".into(),
        7 => "99999999999999999999".into(),
        8 => format!("{} {}", version(), version()),
        9 => format!("{} 5 {}", version(), version()),
        10 => format!("{} text", version()),
        11 => format!("{} ", version()),
        _ => version(),
    }
}

/// A script, its records and its arguments.
fn some_call(store: &mut Store) -> (Script, &'static str, Vec<String>, Vec<String>) {
    // The one with the most rules most often.
    let (script, text) = TEXTS[if fastrand::bool() { PUT_NEWER } else { fastrand::usize(..TEXTS.len()) }];
    let record = |kind: &str| format!("{kind}{}", fastrand::u8(..3));
    let version = || (1_790_000_000_000_000 + fastrand::u64(..6)).to_string();
    let life = || ["500000", "1000000", "2000000"][fastrand::usize(..3)].to_owned();
    // Never what a record may have left, to the millisecond.
    let need = || ["400000", "900000", "1900000"][fastrand::usize(..3)].to_owned();
    let raise = || fastrand::u64(1..4).to_string();
    let node = || ["n1", "n2", "n3"][fastrand::usize(..3)].to_owned();
    let (keys, arguments) = match script {
        Script::Acquire => {
            let (needs, gives) = if fastrand::bool() { (need(), life()) } else { ("0".into(), "0".into()) };
            (vec![record("c")], vec![version(), needs, gives])
        }
        Script::Fill => {
            let mut call = (vec![record("c"), record("d")], vec![some_value(), "payload".into(), life()]);
            if fastrand::bool() {
                call.0.push(record("l"));
                call.1.extend(["w:".into(), "+key".into()]);
            }
            call
        }
        Script::Lease => {
            (vec![record("c"), record("l")], vec![node(), life(), u8::from(fastrand::u8(..4) == 0).to_string()])
        }
        Script::Release => {
            let hold = if fastrand::bool() { life() } else { "0".into() };
            (vec![record("l")], vec![node(), hold, "w:".into(), "!key".into()])
        }
        Script::Bump => {
            let life_of_new = if fastrand::bool() { life() } else { "0".into() };
            let mut call = (vec![record("c")], vec![version(), life_of_new, raise()]);
            if fastrand::bool() {
                call.0.push(record("d"));
                call.1.extend([some_value(), "put".into(), life()]);
            }
            call
        }
        Script::PutNewer => {
            let row = (1_000 + fastrand::u64(..4)).to_string();
            let tags = u8::from(fastrand::u8(..8) == 0).to_string();
            let most = fastrand::u64(1..4).to_string();
            let number = fastrand::u8(..3);
            let keys = ["c", "d", "r"].map(|kind| format!("{kind}{number}"));
            // What the record was at, now or at a put.
            let seen: Vec<u8> = [&keys[0], &keys[2]]
                .into_iter()
                .filter_map(|name| store.get(name))
                .flat_map(|value| [value, b" ".to_vec()].concat())
                .collect();
            let seen = String::from_utf8(seen).unwrap_or_default();
            let seen: Vec<&str> = seen.split(' ').filter(|word| word.len() == 16).collect();
            let captured = fastrand::choice(seen).map_or_else(version, str::to_owned);
            let proposed = (1_790_000_000_000_000 + fastrand::u64(..60)).to_string();
            (keys.into(), vec![proposed, life(), raise(), captured, "put".into(), life(), row, tags, most])
        }
        Script::Leave => {
            let life_of_new = if fastrand::bool() { life() } else { "0".into() };
            (vec![record("c")], vec![version(), life_of_new, raise(), "3".into()])
        }
        Script::Heal => (vec![record("c"), record("h")], vec![version(), life(), raise()]),
        Script::Probe => (vec![record("p")], vec![fastrand::u64(1..100).to_string(), life()]),
    };
    (script, text, keys, arguments)
}

fn said(value: Value) -> Said {
    match value {
        Value::Nil => Said::Null,
        Value::Int(number) => Said::Int(number),
        Value::BulkString(bytes) => Said::Bulk(bytes),
        Value::Array(items) => Said::Array(items.into_iter().map(said).collect()),
        other => panic!("{other:?}"),
    }
}

/// A connection that hears all notifications, and them.
async fn listening(redis: &RedisServer) -> (MultiplexedConnection, mpsc::UnboundedReceiver<redis::PushInfo>) {
    #[allow(
        clippy::disallowed_methods,
        reason = "the only kind that the client takes; each call is followed by its events"
    )]
    let (pushes, heard) = mpsc::unbounded_channel();
    let config = redis::AsyncConnectionConfig::new().set_push_sender(pushes);
    let client = redis::Client::open(redis.url_with("", "", "?protocol=resp3")).unwrap();
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    connection.psubscribe(&["__keyspace@0__:*", "w:*"][..]).await.unwrap();
    (connection, heard)
}

/// Every event since the last time, as `name event`. A message of our own marks the end of them.
async fn events(
    connection: &mut MultiplexedConnection,
    heard: &mut mpsc::UnboundedReceiver<redis::PushInfo>,
) -> Vec<String> {
    let () = redis::cmd("SET").arg("end").arg(1).query_async(connection).await.unwrap();
    let mut events = Vec::new();
    loop {
        let push = heard.recv().await.unwrap();
        let text: Vec<String> = push.data.into_iter().filter_map(|part| redis::from_redis_value(part).ok()).collect();
        let [_, channel, event] = text.as_slice() else { continue };
        let name = channel.trim_start_matches("__keyspace@0__:");
        if name == "end" {
            return events;
        }
        events.push(format!("{name} {event}"));
    }
}

#[tokio::test]
async fn scripts_of_the_simulated_server_do_what_those_of_a_real_one_do() {
    fastrand::seed(1);
    let redis = RedisServer::options().notifications("KA").start().await;
    let (mut real, mut heard) = listening(&redis).await;
    let mut simulated = Store::default();
    let mut outcomes = BTreeMap::<i64, usize>::new();
    for number in 0..3_000 {
        if fastrand::u8(..10) == 0 {
            // Somebody's own idea of a record.
            let (name, value) = (format!("c{}", fastrand::u8(..3)), some_value());
            let () = redis::cmd("SET").arg(&name).arg(&value).query_async(&mut real).await.unwrap();
            simulated.set(&name, value.as_bytes(), Life::Ever);
        } else if fastrand::u8(..20) == 0 {
            let name = format!("{}{}", ["c", "d", "h", "l", "p"][fastrand::usize(..5)], fastrand::u8(..3));
            let () = redis::cmd("DEL").arg(&name).query_async(&mut real).await.unwrap();
            simulated.delete(&name);
        }
        let (script, text, keys, arguments) = some_call(&mut simulated);
        let mut call = redis::cmd("EVAL");
        call.arg(text).arg(keys.len()).arg(&keys).arg(&arguments);
        let answer: Value = call.query_async(&mut real).await.unwrap();
        let bytes: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.clone().into_bytes()).collect();
        let expected = simulated.run(script, &keys, &bytes);
        let what = format!("call {number}: {script:?} {keys:?} {arguments:?}");
        let answer = said(answer);
        if let (Script::PutNewer, Said::Array(said)) = (script, &answer)
            && let [_, Said::Int(outcome)] = said.as_slice()
        {
            *outcomes.entry(*outcome).or_default() += 1;
        }
        let is_alike = match (&answer, &expected) {
            // What a lease has left.
            (Said::Int(some), Said::Int(other)) if script == Script::Lease => {
                some.signum() == other.signum() && (some - other).abs() < 60_000
            }
            (some, other) => some == other,
        };
        assert!(is_alike, "{what}: {answer:?}, not {expected:?}");

        let events_told = simulated.events().into_iter().map(|event| format!("{} {}", event.name, event.what));
        let messages = simulated.messages().into_iter().map(|(channel, said)| format!("{channel} {said}"));
        let told: Vec<String> = events_told.chain(messages).collect();
        assert_eq!(events(&mut real, &mut heard).await, told, "{what}");
        for name in keys {
            let value: Option<Vec<u8>> = redis::cmd("GET").arg(&name).query_async(&mut real).await.unwrap();
            assert_eq!(value, simulated.get(&name), "{what}: {name}");
            let life: i64 = redis::cmd("PTTL").arg(&name).query_async(&mut real).await.unwrap();
            let expected = simulated.life(&name);
            let is_alike = life == expected || (life > 0 && expected > 0 && (life - expected).abs() < 60_000);
            assert!(is_alike, "{what}: {name} lives for {life}, not {expected}");
        }
    }
    // What is decided by what was put before comes about.
    assert!((0..4).all(|outcome| outcomes.get(&outcome).is_some_and(|times| *times >= 10)), "{outcomes:?}");
}
