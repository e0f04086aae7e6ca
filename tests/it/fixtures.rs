//! The fixtures are held to what they promise, since every other test leans on them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use redis::Value;
use tests::{Direction, Proxy, RedisServer, eventually};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(10);

async fn get(redis: &RedisServer, key: &str) -> Option<String> {
    redis::from_redis_value(redis.cli(&["GET", key]).await).unwrap()
}

async fn is_reachable(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}

/// A connection through the proxy that gives up on a reply after 200 ms.
async fn impatient(proxy: &Proxy) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(Duration::from_millis(200)));
    redis::Client::open(proxy.url())?.get_multiplexed_async_connection_with_config(&config).await
}

async fn ping(connection: &mut redis::aio::MultiplexedConnection) -> redis::RedisResult<String> {
    redis::cmd("PING").query_async(connection).await
}

#[tokio::test]
async fn server_just_started_answers_and_is_empty() {
    let redis = RedisServer::start().await;
    assert_eq!(redis.cli(&["PING"]).await, Value::SimpleString("PONG".to_owned()));
    assert_eq!(redis.cli(&["DBSIZE"]).await, Value::Int(0));
}

#[tokio::test]
async fn servers_side_by_side_never_meet() {
    let servers = futures(20, RedisServer::start).await;
    for (number, redis) in servers.iter().enumerate() {
        redis.cli(&["SET", "who", &number.to_string()]).await;
    }
    for (number, redis) in servers.iter().enumerate() {
        assert_eq!(get(redis, "who").await, Some(number.to_string()));
    }
}

#[tokio::test]
async fn server_killed_is_unreachable_and_restarts_empty_on_its_port() {
    let redis = RedisServer::start().await;
    let (url, first) = (redis.url(), redis.id());
    redis.cli(&["SET", "k", "v"]).await;
    redis.kill().await;
    assert!(!is_reachable(redis.address().port()).await);
    redis.restart().await;
    assert_eq!(redis.url(), url);
    assert_ne!(redis.id(), first);
    assert_eq!(get(&redis, "k").await, None);
}

#[tokio::test]
async fn server_restarting_while_its_port_is_taken_waits_for_it() {
    let redis = RedisServer::start().await;
    redis.kill().await;
    let squatter = std::net::TcpListener::bind(redis.address()).unwrap();
    let refused = || redis.log().matches("Address already in use").count();
    tokio::join!(redis.restart(), async {
        eventually(SOON, async || refused() >= 2).await;
        drop(squatter);
    });
    assert_eq!(redis.cli(&["PING"]).await, Value::SimpleString("PONG".to_owned()));
}

#[tokio::test]
async fn server_with_append_only_file_killed_restarts_with_its_data() {
    let redis = RedisServer::options().append_only("everysec").start().await;
    redis.cli(&["SET", "k", "v"]).await;
    redis.kill().await;
    redis.restart().await;
    assert_eq!(get(&redis, "k").await.as_deref(), Some("v"));
    redis.restart_empty().await;
    assert_eq!(get(&redis, "k").await, None);
}

#[tokio::test]
async fn server_with_save_points_stopped_restarts_with_its_data() {
    let redis = RedisServer::options().save("3600 1").start().await;
    redis.cli(&["SET", "k", "v"]).await;
    redis.stop().await;
    assert!(!is_reachable(redis.address().port()).await);
    redis.restart().await;
    assert_eq!(get(&redis, "k").await.as_deref(), Some("v"));
}

#[tokio::test]
async fn server_restarted_from_snapshot_goes_back_in_time() {
    for options in [RedisServer::options(), RedisServer::options().append_only("always")] {
        let redis = options.start().await;
        redis.cli(&["SET", "k", "old"]).await;
        let older = redis.snapshot().await;
        redis.cli(&["SET", "k", "new"]).await;
        let newer = redis.snapshot().await;
        redis.restart_from(&older).await;
        assert_eq!(get(&redis, "k").await.as_deref(), Some("old"));
        redis.restart_from(&newer).await;
        assert_eq!(get(&redis, "k").await.as_deref(), Some("new"));
    }
}

#[tokio::test]
async fn server_paused_is_silent_and_resumed_answers() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let mut connection = impatient(&proxy).await.unwrap();
    redis.pause().await;
    assert!(ping(&mut connection).await.unwrap_err().is_timeout());
    redis.resume();
    eventually(SOON, async || ping(&mut connection).await).await;
}

#[tokio::test]
async fn server_paused_can_be_stopped_killed_and_dropped() {
    let redis = RedisServer::start().await;
    let port = redis.address().port();
    redis.pause().await;
    redis.stop().await;
    redis.restart().await;
    redis.pause().await;
    redis.kill().await;
    redis.restart().await;
    redis.pause().await;
    drop(redis);
    assert!(!is_reachable(port).await);
}

#[tokio::test]
async fn options_reach_the_server() {
    let redis = RedisServer::options().max_memory("8mb").notifications("K$gxe").line("hz 50").start().await;
    for (name, value) in [("maxmemory", "8388608"), ("hz", "50"), ("save", "")] {
        let got: Vec<String> = redis::from_redis_value(redis.cli(&["CONFIG", "GET", name]).await).unwrap();
        assert_eq!(got, [name, value]);
    }
    let flags: Vec<String> =
        redis::from_redis_value(redis.cli(&["CONFIG", "GET", "notify-keyspace-events"]).await).unwrap();
    assert!("K$gxe".chars().all(|flag| flags[1].contains(flag)), "{flags:?}");
}

#[tokio::test]
async fn command_taken_away_is_unknown() {
    let redis = RedisServer::options().without_command("CONFIG").start().await;
    let error = redis.try_cli(&["CONFIG", "GET", "hz"]).await.unwrap_err();
    assert!(error.to_string().contains("unknown command"), "{error}");
}

#[tokio::test]
async fn password_is_in_the_url_and_a_wrong_one_is_refused() {
    let redis = RedisServer::options().password("open-sesame").start().await;
    redis.cli(&["PING"]).await;
    let open = async |url: String| redis::Client::open(url).unwrap().get_multiplexed_async_connection().await;
    open(redis.url()).await.unwrap();
    assert!(open(redis.url_with("", "wrong", "")).await.is_err());
}

#[tokio::test]
async fn user_of_the_acl_has_its_rights_and_no_more() {
    let redis = RedisServer::options().user("shop on >pw ~shop:* +@all -config").user("default off").start().await;
    let url = redis.url_with("shop", "pw", "");
    let mut shop = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let set = async |shop: &mut redis::aio::MultiplexedConnection, key: &str| {
        redis::cmd("SET").arg(key).arg(1).query_async::<()>(shop).await
    };
    set(&mut shop, "shop:1").await.unwrap();
    assert!(set(&mut shop, "other:1").await.is_err());
    let nobody = redis::Client::open(redis.url()).unwrap().get_multiplexed_async_connection().await;
    assert!(ping(&mut nobody.unwrap()).await.is_err());
    assert_eq!(get(&redis, "shop:1").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn server_missing_is_a_sentence_with_the_way_out() {
    let error = RedisServer::options().binary("/nowhere/redis-server").try_start().await.unwrap_err().to_string();
    assert!(error.contains("/nowhere/redis-server") && error.contains("tests/run"), "{error}");
}

#[tokio::test]
async fn server_with_bad_configuration_says_what_redis_said() {
    let error = RedisServer::options().line("no-such-setting 1").try_start().await.unwrap_err().to_string();
    assert!(error.contains("no-such-setting"), "{error}");
}

#[tokio::test]
async fn server_dropped_is_gone_with_its_directory() {
    let redis = RedisServer::start().await;
    let (port, directory) = (redis.address().port(), redis.directory().to_owned());
    assert!(is_reachable(port).await && directory.exists());
    drop(redis);
    assert!(!is_reachable(port).await && !directory.exists());
}

#[tokio::test]
async fn owner_killed_takes_its_server_along() {
    for paused in [false, true] {
        let mut owner = Command::new(env!("CARGO_BIN_EXE_holder")).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(owner.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (id, port, directory) = owned(&line);
        assert!(is_reachable(port).await && directory.exists(), "{line}");
        if paused {
            assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
        }
        owner.kill().unwrap();
        owner.wait().unwrap();
        eventually(SOON, async || !is_reachable(port).await && !directory.exists() && !runs(&id)).await;
    }
}

fn owned(line: &str) -> (String, u16, PathBuf) {
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap().to_owned();
    (word(), word().parse().unwrap(), word().into())
}

/// A dead process that nobody has reaped does not run.
fn runs(id: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(id).join("stat")).unwrap_or_default();
    !status.is_empty() && !status.rsplit(')').next().unwrap().trim_start().starts_with('Z')
}

#[tokio::test]
async fn proxy_passes_counts_and_can_be_cut() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let mut connection = impatient(&proxy).await.unwrap();
    assert_eq!(ping(&mut connection).await.unwrap(), "PONG");
    let counts = proxy.counts();
    assert_eq!((counts.accepted, counts.open), (1, 1));
    assert!(counts.to_server >= 14 && counts.to_client >= 7, "{counts:?}");
    proxy.cut();
    eventually(SOON, async || proxy.counts().open == 0).await;
    assert!(ping(&mut connection).await.is_err());
    let mut next = impatient(&proxy).await.unwrap();
    assert_eq!(ping(&mut next).await.unwrap(), "PONG");
    assert_eq!(proxy.counts().accepted, 2);
}

#[tokio::test]
async fn proxy_that_refuses_takes_nobody_until_it_passes_again() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    proxy.refuse();
    assert!(impatient(&proxy).await.is_err());
    assert!(proxy.counts().refused >= 1);
    proxy.pass();
    assert_eq!(ping(&mut impatient(&proxy).await.unwrap()).await.unwrap(), "PONG");
}

#[tokio::test]
async fn proxy_delay_is_a_latency_and_not_a_throttle() {
    const DELAY: Duration = Duration::from_millis(60);
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let connection = impatient(&proxy).await.unwrap();
    proxy.delay(Direction::ToClient, DELAY);
    let began = Instant::now();
    let pings = futures(20, || {
        let mut connection = connection.clone();
        async move { ping(&mut connection).await }
    })
    .await;
    let took = began.elapsed();
    assert!(pings.iter().all(Result::is_ok), "{pings:?}");
    assert!(took >= DELAY && took < DELAY * 10, "{took:?}");
}

#[tokio::test]
async fn proxy_stalled_toward_the_client_carries_the_command_out_and_swallows_the_reply() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let mut connection = impatient(&proxy).await.unwrap();
    proxy.stall(Direction::ToClient);
    let reply: redis::RedisResult<()> = redis::cmd("SET").arg("k").arg("v").query_async(&mut connection).await;
    assert!(reply.unwrap_err().is_timeout());
    assert_eq!(get(&redis, "k").await.as_deref(), Some("v"));
    proxy.pass();
    eventually(SOON, async || ping(&mut connection).await).await;
}

#[tokio::test]
async fn proxy_stalled_toward_the_server_keeps_the_command_back_until_it_passes() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let mut connection = impatient(&proxy).await.unwrap();
    let before = proxy.counts();
    proxy.stall(Direction::ToServer);
    let reply: redis::RedisResult<()> = redis::cmd("SET").arg("k").arg("v").query_async(&mut connection).await;
    assert!(reply.unwrap_err().is_timeout());
    assert_eq!(get(&redis, "k").await, None);
    assert_eq!(proxy.counts().to_server, before.to_server);
    proxy.pass();
    eventually(SOON, async || get(&redis, "k").await.is_some()).await;
}

#[tokio::test]
#[should_panic(expected = "it/fixtures.rs")]
async fn eventually_past_its_deadline_names_the_callers_line() {
    eventually(Duration::from_millis(30), async || false).await;
}

#[tokio::test]
#[should_panic(expected = "the condition itself was still waiting")]
async fn eventually_with_a_condition_that_hangs_ends() {
    eventually(Duration::from_millis(30), async || std::future::pending::<bool>().await).await;
}

/// `count` of them at once.
async fn futures<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    make: impl Fn() -> F,
) -> Vec<T> {
    let mut set: tokio::task::JoinSet<T> = (0..count).map(|_| make()).collect();
    let mut all = Vec::new();
    while let Some(one) = set.join_next().await {
        all.push(one.unwrap());
    }
    all
}

#[test]
fn guards_stand_where_the_program_that_takes_them_out_looks_for_them() {
    let looked = Command::new(env!("CARGO_BIN_EXE_guards")).arg("--texts").output().unwrap();
    assert!(looked.status.success(), "{}", String::from_utf8_lossy(&looked.stdout));
}
