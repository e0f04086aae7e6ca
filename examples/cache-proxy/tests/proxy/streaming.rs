//! Content goes through as it comes, and so does what follows it.

use crate::{node::start, wire::Wire};

/// Each with a path of its own: that an answer is not to be stored is remembered for a while.
const CONTROLS: [(&str, &str); 2] = [("/a", "Cache-Control: no-store\r\n"), ("/b", "Cache-Control: max-age=60\r\n")];
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";

#[tokio::test]
async fn answer_is_handed_on_before_it_has_ended() {
    let (node, mut upstream) = start().await;
    for (path, control) in CONTROLS {
        let mut client = node.get(path, "").await;
        let mut asked = upstream.asked().await;
        asked.say(&format!("{CHUNKED}{control}\r\n5\r\nfirst\r\n")).await;
        assert_eq!(client.head().await.status(), 200);
        assert_eq!(client.chunk().await.as_deref(), Some("first"));
        asked.end("6\r\nsecond\r\n0\r\n\r\n").await;
        assert_eq!(client.chunk().await.as_deref(), Some("second"));
        assert_eq!(client.chunk().await, None);
    }
}

#[tokio::test]
async fn request_is_handed_on_before_it_has_ended() {
    let (node, mut upstream) = start().await;
    let mut client = node.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    let mut asked = upstream.asked().await;
    assert_eq!(asked.wire.chunk().await.as_deref(), Some("first"));
    client.send("6\r\nsecond\r\n0\r\n\r\n").await;
    assert_eq!(asked.wire.chunk().await.as_deref(), Some("second"));
    assert_eq!(asked.wire.chunk().await, None);
    assert!(asked.wire.trailers().await.is_empty());
    asked.answer("", "thanks").await;
    assert_eq!(client.head().await.status(), 200);
}

#[tokio::test]
async fn client_that_waits_for_a_word_gets_it() {
    let (node, mut upstream) = start().await;
    let mut client = node.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 100);
    client.send("hello").await;
    let mut asked = upstream.asked().await;
    assert_eq!(asked.content().await, "hello");
    asked.answer("", "").await;
    assert_eq!(client.head().await.status(), 200);
}

#[tokio::test]
async fn trailers_of_an_answer_are_handed_on() {
    let (node, mut upstream) = start().await;
    for (path, control) in CONTROLS {
        let mut client = node.get(path, "TE: trailers\r\n").await;
        let asked = upstream.asked().await;
        assert_eq!(asked.head.get("te").as_deref(), Some("trailers"));
        assert_eq!(asked.head.get("connection").as_deref(), Some("te"));
        asked.end(&format!("{CHUNKED}{control}{TRAILED}")).await;
        assert_trailed(&mut client).await;
    }
}

const TRAILED: &str = "Trailer: X-Sum\r\n\r\n4\r\ndata\r\n0\r\nX-Sum: 7\r\n\r\n";

async fn assert_trailed(client: &mut Wire) {
    assert_eq!(client.head().await.get("trailer").as_deref(), Some("X-Sum"));
    assert_eq!(client.chunk().await.as_deref(), Some("data"));
    assert_eq!(client.chunk().await, None);
    assert_eq!(client.trailers().await, ["x-sum: 7"]);
}

#[tokio::test]
async fn trailers_of_a_request_are_handed_on() {
    let (node, mut upstream) = start().await;
    let mut client = node.connect().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n").await;
    client.send("4\r\ndata\r\n0\r\nX-Sum: 7\r\n\r\n").await;
    let mut asked = upstream.asked().await;
    assert_eq!(asked.head.get("trailer").as_deref(), Some("X-Sum"));
    assert_eq!(asked.wire.chunk().await.as_deref(), Some("data"));
    assert_eq!(asked.wire.chunk().await, None);
    assert_eq!(asked.wire.trailers().await, ["x-sum: 7"]);
    asked.answer("", "").await;
    assert_eq!(client.head().await.status(), 200);
}

#[tokio::test]
async fn request_that_is_under_way_is_answered_before_the_proxy_leaves() {
    let (node, mut upstream) = start().await;
    let mut client = node.get("/", "").await;
    let mut asked = upstream.asked().await;
    asked.say(&format!("{CHUNKED}{}\r\n5\r\nfirst\r\n", CONTROLS[0].1)).await;
    assert_eq!(client.head().await.status(), 200);
    node.interrupt();
    asked.end("6\r\nsecond\r\n0\r\n\r\n").await;
    assert_eq!(client.until_the_end().await, "5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n");
    assert!(node.left().await);
}
