//! An upstream that is away, or breaks off.

use crate::{
    node::{Node, start},
    upstream::Upstream,
};

#[tokio::test]
async fn upstream_that_cannot_be_reached_is_a_bad_gateway() {
    let (node, mut upstream) = start().await;
    upstream.stop().await;
    for method in ["GET", "HEAD", "POST", "WHATEVER"] {
        let mut client = node.connect().await;
        client.send(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(client.head().await.status(), 502, "{method}");
    }
}

#[tokio::test]
async fn upstream_that_breaks_off_before_its_answer_is_asked_once() {
    let (node, mut upstream) = start().await;
    for said in ["", "HTTP/1.1 200 OK\r\nContent-Le", "nonsense\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"] {
        let mut client = node.get("/", "").await;
        let mut asked = upstream.asked().await;
        asked.say(said).await;
        drop(asked);
        assert_eq!(client.head().await.status(), 502, "{said}");
        assert!(!upstream.was_asked());
    }
}

#[tokio::test]
async fn upstream_that_says_nothing_is_a_timeout() {
    let mut upstream = Upstream::start().await;
    let node = Node::start(&upstream, &["--timeout", "1"]).await;
    let mut client = node.get("/", "").await;
    let _asked = upstream.asked().await;
    assert_eq!(client.head().await.status(), 504);
}

#[tokio::test]
async fn answer_that_is_cut_is_cut_for_the_client_and_not_stored() {
    let (node, mut upstream) = start().await;
    for control in ["no-store", "max-age=60"] {
        for (framing, said) in [("Content-Length: 10", "first"), ("Transfer-Encoding: chunked", "5\r\nfirst\r\n")] {
            let mut client = node.get("/", "").await;
            let mut asked = upstream.asked().await;
            asked.say(&format!("HTTP/1.1 200 OK\r\nCache-Control: {control}\r\n{framing}\r\n\r\n{said}")).await;
            let head = client.head().await;
            assert_eq!(head.status(), 200);
            assert!(head.has(framing.split(':').next().unwrap()));
            // What comes with the end of a connection may be lost with it.
            assert_eq!(client.exactly(said.len()).await, said);
            drop(asked);
            // The connection ends, and no last chunk says that this was all.
            assert_eq!(client.until_the_end().await, "");
        }
    }
}

#[tokio::test]
async fn stored_answer_stands_in_while_the_upstream_is_away() {
    let (node, mut upstream) = start().await;
    let mut client = node.get("/", "").await;
    upstream.asked().await.answer("Cache-Control: max-age=60\r\nAge: 60\r\n", "old").await;
    let head = client.head().await;
    client.content(&head).await;
    // It is stale when it comes, so those who ask while it is on its way to the store are not given it.
    let any_age = "GET / HTTP/1.1\r\nHost: shop.example\r\nCache-Control: only-if-cached, max-stale\r\n\r\n";
    while node.stored(any_age).await.0.status() != 200 {}
    upstream.stop().await;
    let (head, content) = node.got("/").await;
    assert!(head.cache_status().starts_with("cache-proxy;fwd=stale"), "{head:?}");
    assert_eq!((head.status(), content.as_str()), (200, "old"));
}

#[tokio::test]
async fn stored_answer_that_must_be_validated_is_withheld() {
    let (node, mut upstream) = start().await;
    let mut client = node.get("/", "").await;
    let fields = "Cache-Control: max-age=60, must-revalidate\r\nAge: 57\r\nETag: \"a\"\r\n";
    upstream.asked().await.answer(fields, "old").await;
    let head = client.head().await;
    client.content(&head).await;
    upstream.stop().await;
    let withheld = loop {
        let (head, _) = node.got("/").await;
        if !head.is_hit() {
            break head;
        }
        // Time itself: it is a hit for three seconds.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(withheld.status(), 504);
}
