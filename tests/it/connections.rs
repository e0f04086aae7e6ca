//! The ways to a server: TLS and who vouches for whom, a socket in the file system, a user, a database.

use cache_core::{Cache, ErrorKind, Mechanism, Redis};
use tests::fixtures::{RedisServer, TlsAuthority};

use crate::{
    outage::in_order,
    support::{built, node_at, settings},
};

const ANYBODY: [&str; 2] = ["localhost", "127.0.0.1"];

async fn refused(redis: Redis) -> (ErrorKind, String) {
    let error = settings(redis).ensure_notifications().build().await.unwrap_err();
    (error.kind(), error.to_string())
}

async fn two(redis: &Redis) -> (Cache, Cache) {
    (node_at(redis.clone()).await, node_at(redis.clone()).await)
}

#[tokio::test]
async fn tls_by_an_authority_of_ones_own_for_a_name_and_for_an_address() {
    let authority = TlsAuthority::new();
    let server = RedisServer::options().tls(&authority, &ANYBODY, false).start().await;
    for host in ANYBODY {
        let redis = Redis::server(server.tls_url(host)).certificate_authority(authority.pem());
        let (a, b) = two(&redis).await;
        in_order(&a, &b).await;
    }
}

#[tokio::test]
async fn tls_by_both_mechanisms_survives_a_restart() {
    let authority = TlsAuthority::new();
    let server = RedisServer::options().tls(&authority, &ANYBODY, false).start().await;
    let redis = Redis::server(server.tls_url("localhost")).certificate_authority(authority.pem());
    for mechanism in [Mechanism::Keyspace, Mechanism::Tracking] {
        let node = || built(settings(redis.clone()).ensure_notifications().mechanisms([mechanism]));
        let (a, b) = (node().await, node().await);
        let fences = [&a, &b].map(|cache| cache.coherence().fences);
        server.restart_empty().await;
        for (cache, fences) in [&a, &b].into_iter().zip(fences) {
            crate::support::healed(cache, fences).await;
        }
        in_order(&a, &b).await;
    }
}

#[tokio::test]
async fn tls_to_somebody_whom_nobody_trusts_is_an_error_at_once() {
    let (authority, other) = (TlsAuthority::new(), TlsAuthority::new());
    let server = RedisServer::options().tls(&authority, &ANYBODY, false).start().await;
    let url = server.tls_url("localhost");
    let (kind, said) = refused(Redis::server(url.clone()).certificate_authority(other.pem())).await;
    assert!(kind == ErrorKind::Config && said.contains("handshake") && said.contains("UnknownIssuer"), "{said}");

    let named = RedisServer::options().tls(&authority, &["shop.example"], false).start().await;
    let redis = Redis::server(named.tls_url("localhost")).certificate_authority(authority.pem());
    let (kind, said) = refused(redis).await;
    assert!(kind == ErrorKind::Config && said.contains("not valid for name"), "{said}");

    for pem in ["", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"] {
        let (kind, said) = refused(Redis::server(url.clone()).certificate_authority(pem)).await;
        assert!(kind == ErrorKind::Config && said.contains("`certificate_authority`"), "{said}");
    }
}

#[tokio::test]
async fn tls_with_a_certificate_of_the_client() {
    let authority = TlsAuthority::new();
    let server = RedisServer::options().tls(&authority, &ANYBODY, true).start().await;
    let redis = Redis::server(server.tls_url("localhost")).certificate_authority(authority.pem());
    let client = authority.issue(&["node-7.example"]);
    let (a, b) = two(&redis.clone().client_certificate(client.certificate.clone(), client.key.clone())).await;
    in_order(&a, &b).await;

    let stranger = TlsAuthority::new().issue(&["node-7.example"]);
    let strange = redis.clone().client_certificate(stranger.certificate, stranger.key.clone());
    for refused_by_the_server in [redis.clone(), strange] {
        let (kind, said) = refused(refused_by_the_server).await;
        assert!(kind == ErrorKind::Config && said.contains("handshake") && said.contains("alert"), "{said}");
    }
    let (kind, said) = refused(redis.clone().client_certificate(client.certificate, stranger.key)).await;
    assert!(kind == ErrorKind::Config && said.contains("does not go with"), "{said}");
    let (kind, said) = refused(redis.client_certificate("", "")).await;
    assert!(kind == ErrorKind::Config && said.contains("`client_certificate`"), "{said}");
}

#[tokio::test]
async fn tls_to_a_server_that_does_not_speak_it_is_an_error() {
    let server = RedisServer::start().await;
    let url = server.url().replacen("redis://", "rediss://", 1);
    let (kind, said) = refused(Redis::server(url).certificate_authority(TlsAuthority::new().pem())).await;
    assert!(kind == ErrorKind::Timeout && said.contains("does not speak TLS"), "{said}");
}

#[tokio::test]
async fn a_socket_of_the_file_system_with_a_user_and_a_database() {
    let server = RedisServer::options().user("shop on >s%cret ~shop:* &* +@all").start().await;
    let (a, b) = two(&Redis::server(server.socket_url("db=3&user=shop&pass=s%25cret"))).await;
    in_order(&a, &b).await;
    // The same records, by the other way.
    let (c, d) = two(&Redis::server(server.url_with("shop", "s%25cret", "3"))).await;
    in_order(&a, &c).await;
    in_order(&d, &b).await;
    let (kind, _) = refused(Redis::server(server.socket_url("db=3&user=shop&pass=wrong"))).await;
    assert_eq!(kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_database_is_a_world_of_its_own() {
    let server = RedisServer::start().await;
    let (three, four) = (server.url_with("", "", "3"), server.url_with("", "", "4"));
    let (a, b) = two(&Redis::server(three)).await;
    let (c, d) = two(&Redis::server(four)).await;
    in_order(&a, &b).await;
    let hints = [&c, &d].map(|cache| cache.stats().hints);
    in_order(&a, &b).await;
    assert_eq!([&c, &d].map(|cache| cache.stats().hints), hints, "nobody there hears of it");
    in_order(&c, &d).await;
}
