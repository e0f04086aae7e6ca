//! A server that is not there, not yet, or something else.

use std::time::Duration;

use cache_core::{Ack, Bypass, CoherenceState, ErrorKind, Outcome, Tier, millis, observe};
use redis::Value;
use tests::fixtures::{Direction, Proxy, RedisServer, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use super::{HANGS, hear_each_other, refused};
use crate::support::{Origin, built, coherent, key, node, settings};

/// A busy machine needs some time of its own.
const MARGIN: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn server_that_is_not_there_is_an_error_at_once() {
    let redis = RedisServer::start().await;
    redis.kill().await;
    let start = Instant::now();
    let (error, said) = refused(settings(redis.url()).connect_timeout(millis(500))).await;
    assert!(start.elapsed() < millis(500) + MARGIN, "{:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{said}");
    assert!(error.is_transient() && error.to_string().contains(&redis.address().to_string()), "{said}");
}

#[tokio::test]
async fn server_that_says_nothing_is_an_error_within_the_timeout() {
    let redis = RedisServer::start().await;
    let proxy = Proxy::before(&redis).await;
    let silent = |redis: &RedisServer| settings(redis.url()).connect_timeout(millis(500));
    redis.pause().await;
    let start = Instant::now();
    let (error, said) = refused(silent(&redis)).await;
    assert!(start.elapsed() >= millis(400) && start.elapsed() < millis(500) + MARGIN, "{:?}", start.elapsed());
    assert!(error.is_timeout() && error.is_transient() && said.contains("500ms"), "{said}");

    redis.resume();
    for direction in [Direction::ToServer, Direction::ToClient] {
        proxy.stall(direction);
        let start = Instant::now();
        let (error, said) = refused(settings(proxy.url()).connect_timeout(millis(500))).await;
        assert!(start.elapsed() < millis(500) + MARGIN, "{direction:?} {:?}", start.elapsed());
        assert!(error.is_timeout(), "{said}");
        proxy.pass();
    }
}

#[tokio::test]
async fn something_that_is_no_redis_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let web = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
        }
    });
    let (error, said) = refused(settings(format!("redis://{address}/")).connect_timeout(millis(500))).await;
    assert!(error.to_string().contains(&address.to_string()), "{said}");
    web.abort();
}

#[tokio::test]
async fn replica_is_an_error() {
    let redis = RedisServer::start().await;
    let replica = RedisServer::options()
        .notifications("K$gxe")
        .line(format!("replicaof {} {}", redis.address().ip(), redis.address().port()))
        .start()
        .await;
    let (error, said) = refused(settings(replica.url())).await;
    assert!(error.to_string().to_lowercase().contains("replica"), "{said}");
}

#[tokio::test]
async fn cache_started_without_its_server_serves_loads_and_joins_it_later() {
    let redis = RedisServer::start().await;
    redis.kill().await;
    let settings = || settings(redis.url()).ensure_notifications().bound(millis(200)).outage_ttl(millis(0));
    let cache = settings().start_unreachable().build().await.unwrap();
    assert_eq!(cache.coherence().state, CoherenceState::Fenced);
    let origin = Origin::default();
    for revision in 1..20 {
        origin.write(revision);
        let (found, seen) = observe(origin.through(&cache, 7)).await;
        assert_eq!(found, revision, "nothing is kept that nobody could take back");
        assert_eq!(seen[0].outcome, Outcome::Bypass(Bypass::Remote));
    }
    assert_eq!(cache.evict(&key(7)).await, Ack::Queued);
    assert_eq!(cache.put(key(8), crate::support::product(8, 1)).await, Ack::Queued);

    redis.restart().await;
    coherent(&cache).await;
    eventually(HANGS, async || cache.evict(&key(7)).await.is_applied()).await;
    origin.through(&cache, 7).await;
    eventually(HANGS, async || cache.stats().fills > 0).await;
    eventually(HANGS, async || observe(origin.through(&cache, 7)).await.1[0].outcome == Outcome::Hit(Tier::Local))
        .await;
    hear_each_other(&cache, &built(settings()).await).await;
}

/// A server that has much to read before it can answer.
async fn loading() -> (RedisServer, std::path::PathBuf) {
    // 1 ms for each of 4,000 records, and an ear for connections meanwhile.
    let slowly = RedisServer::options().line("key-load-delay 1000").line("loading-process-events-interval-bytes 1024");
    let redis = slowly.notifications("K$gxe").start().await;
    let mut connection = redis.connection().await;
    let mut pipeline = redis::pipe();
    (0..4_000).for_each(|number| {
        pipeline.cmd("SET").arg(number).arg("x".repeat(100)).ignore();
    });
    let () = pipeline.query_async(&mut connection).await.unwrap();
    let snapshot = redis.snapshot().await;
    redis.kill().await;
    (redis, snapshot)
}

#[tokio::test]
async fn server_that_is_still_loading_is_waited_for_if_asked() {
    let (redis, snapshot) = loading().await;
    let is_loading = async || redis.try_cli(&["GET", "x"]).await.is_err_and(|error| error.code() == Some("LOADING"));
    let starts = async {
        eventually(HANGS, is_loading).await;
        let (error, said) = refused(settings(redis.url())).await;
        let cache = settings(redis.url()).start_unreachable().build().await;
        assert!(is_loading().await, "too late to tell");
        assert!(error.is_transient(), "it passes by itself: {said}");
        assert!(said.contains("LOADING") || said.contains("loading"), "{said}");
        cache.unwrap()
    };
    let ((), cache) = tokio::join!(redis.restart_from(&snapshot), starts);
    coherent(&cache).await;
    assert!(matches!(redis.cli(&["DBSIZE"]).await, Value::Int(records) if records >= 4_000));
    hear_each_other(&cache, &node(&redis).await).await;
}
