//! The cache in between.

use std::io::Write;

use crate::{
    node::{Node, start},
    upstream::Upstream,
};

const FRESH: &str = "Cache-Control: max-age=60\r\n";

#[tokio::test]
async fn second_request_is_a_hit() {
    let (node, mut upstream) = start().await;
    let mut client = node.get("/", "").await;
    upstream.asked().await.answer(FRESH, "content").await;
    let head = client.head().await;
    assert_eq!(head.get("cache-status").as_deref(), Some("cache-proxy;fwd=uri-miss;stored"));
    assert_eq!(client.content(&head).await, "content");
    let (head, content) = node.got("/").await;
    assert!(head.is_hit(), "{head:?}");
    assert!(head.has("age") && head.get("via").as_deref() == Some("1.1 cache-proxy"));
    assert_eq!(content, "content");
    assert!(!upstream.was_asked());
}

#[tokio::test]
async fn unsafe_method_evicts_what_is_stored() {
    let (node, mut upstream) = start().await;
    let mut client = node.get("/", "").await;
    upstream.asked().await.answer(FRESH, "old").await;
    let head = client.head().await;
    client.content(&head).await;
    assert!(node.got("/").await.0.is_hit());
    client.send("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n").await;
    upstream.asked().await.answer("", "").await;
    assert_eq!(client.head().await.status(), 200);
    let mut client = node.get("/", "").await;
    upstream.asked().await.answer(FRESH, "new").await;
    let head = client.head().await;
    assert!(!head.is_hit());
    assert_eq!(client.content(&head).await, "new");
}

#[tokio::test]
async fn purge_is_for_who_has_the_token_and_reaches_no_upstream() {
    let mut token = tempfile::NamedTempFile::new().unwrap();
    writeln!(token, "token-of-the-shop").unwrap();
    let mut upstream = Upstream::start().await;
    let node = Node::start(&upstream, &["--purge-token", token.path().to_str().unwrap()]).await;
    let mut client = node.get("/docs/a", "").await;
    upstream.asked().await.answer(FRESH, "old").await;
    let head = client.head().await;
    client.content(&head).await;
    for (target, token, status, is_gone) in [
        ("/docs/a", "another", 403, false),
        ("/docs/b", "token-of-the-shop", 200, false),
        ("/img/*", "token-of-the-shop", 200, false),
        ("/docs/a/*", "token-of-the-shop", 400, false),
        ("/docs/*", "token-of-the-shop", 200, true),
    ] {
        assert!(node.got("/docs/a").await.0.is_hit());
        client
            .send(&format!("PURGE {target} HTTP/1.1\r\nHost: shop.example\r\nAuthorization: Bearer {token}\r\n\r\n"))
            .await;
        let head = client.head().await;
        client.content(&head).await;
        assert_eq!(head.status(), status, "{target}");
        assert!(is_gone || node.got("/docs/a").await.0.is_hit(), "{target}");
    }
    assert!(!upstream.was_asked());
    let mut client = node.get("/docs/a", "").await;
    upstream.asked().await.answer(FRESH, "new").await;
    let head = client.head().await;
    assert_eq!(client.content(&head).await, "new");
}

#[tokio::test]
async fn clients_field_about_the_connection_chooses_no_variant() {
    let (node, mut upstream) = start().await;
    let mut client = node.get("/", "Connection: X-Kind\r\nX-Kind: a\r\n").await;
    let asked = upstream.asked().await;
    assert!(!asked.head.has("x-kind"));
    asked.answer(&format!("{FRESH}Vary: X-Kind\r\n"), "plain").await;
    let head = client.head().await;
    client.content(&head).await;
    // What was stored is the answer to a request without that field, for the upstream has seen none.
    assert!(node.got("/").await.0.is_hit());
    let mut client = node.get("/", "X-Kind: a\r\n").await;
    upstream.asked().await.answer(&format!("{FRESH}Vary: X-Kind\r\n"), "kind a").await;
    let head = client.head().await;
    assert_eq!(client.content(&head).await, "kind a");
}

#[tokio::test]
async fn forwarded_fields_of_a_client_reach_nobody_else() {
    let (node, mut upstream) = start().await;
    let mut client = node.get("/", "X-Forwarded-Host: evil.example\r\n").await;
    let asked = upstream.asked().await;
    assert_eq!(asked.head.get("x-forwarded-host").as_deref(), Some("evil.example"));
    asked.answer(FRESH, "evil").await;
    let head = client.head().await;
    client.content(&head).await;
    let mut client = node.get("/", "").await;
    let asked = upstream.asked().await;
    assert_eq!(asked.head.get("x-forwarded-host").as_deref(), Some("shop.example"));
    asked.answer(FRESH, "good").await;
    let head = client.head().await;
    assert_eq!(client.content(&head).await, "good");
}
