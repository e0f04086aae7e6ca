//! What reaches the upstream, and what comes back.

use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use crate::{
    node::{Node, start},
    upstream::Upstream,
};

const NO_STORE: &str = "Cache-Control: no-store\r\n";

#[tokio::test]
async fn request_of_any_method_is_forwarded_with_its_content() {
    let (node, mut upstream) = start().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "WHATEVER"] {
        for (framing, content) in [
            ("", ""),
            ("Content-Length: 5\r\n", "hello"),
            ("Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
        ] {
            let mut client = node.connect().await;
            let head = format!(
                "{method} /a/%2e/b;c?d=1&d=2 HTTP/1.1\r\nHost: shop.example\r\nX-A: 1\r\nX-A: 2\r\n{framing}\r\n"
            );
            client.send(&head).await;
            client.send(content).await;
            let mut asked = upstream.asked().await;
            assert_eq!(asked.head.first(), format!("{method} /a/%2e/b;c?d=1&d=2 HTTP/1.1"));
            assert_eq!(asked.head.get("x-a").as_deref(), Some("1, 2"));
            assert_eq!(asked.content().await, if content.is_empty() { "" } else { "hello" });
            asked.answer(NO_STORE, method).await;
            let head = client.head().await;
            assert_eq!((head.status(), client.content(&head).await.as_str()), (200, method));
        }
    }
}

#[tokio::test]
async fn request_fields_of_the_connection_stay_here() {
    let (node, mut upstream) = start().await;
    let fields = "Connection: keep-alive, X-Here\r\nX-Here: 1\r\nX-There: 1\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\n\
        Proxy-Authorization: Basic YTpi\r\nProxy-Connection: close\r\nUpgrade: websocket\r\n";
    let mut client = node.get("/", fields).await;
    let asked = upstream.asked().await;
    assert!(asked.head.has("x-there"));
    for name in ["connection", "x-here", "keep-alive", "te", "proxy-authorization", "proxy-connection", "upgrade"] {
        assert!(!asked.head.has(name), "{name}: {:?}", asked.head);
    }
    asked.answer(NO_STORE, "").await;
    assert_eq!(client.head().await.status(), 200);
}

#[tokio::test]
async fn answer_fields_of_the_connection_stay_here() {
    let (node, mut upstream) = start().await;
    let fields = "Connection: keep-alive, X-Here\r\nX-Here: 1\r\nX-There: 1\r\nKeep-Alive: timeout=5\r\n\
        Proxy-Authenticate: Basic\r\nProxy-Authentication-Info: a\r\nUpgrade: h2c\r\n";
    for (path, control) in [("/a", NO_STORE), ("/b", "Cache-Control: max-age=60\r\n")] {
        let mut client = node.get(path, "").await;
        upstream.asked().await.answer(&format!("{fields}{control}"), "content").await;
        let fresh = client.head().await;
        let stored = if control == NO_STORE { fresh.clone() } else { node.got(path).await.0 };
        for head in [fresh, stored] {
            assert!(head.has("x-there"));
            for name in ["x-here", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "upgrade"] {
                assert!(!head.has(name), "{name}: {head:?}");
            }
        }
    }
}

#[tokio::test]
async fn cache_control_that_connection_names_is_obeyed_all_the_same() {
    let (node, mut upstream) = start().await;
    for _ in 0..2 {
        let mut client = node.get("/", "").await;
        let fields =
            "Connection: Cache-Control\r\nCache-Control: no-store\r\nExpires: Fri, 01 Jan 2999 00:00:00 GMT\r\n";
        upstream.asked().await.answer(fields, "").await;
        assert_eq!(client.head().await.status(), 200);
    }
}

#[tokio::test]
async fn via_is_added_both_ways() {
    let (node, mut upstream) = start().await;
    for (version, received) in [("1.1", "1.1 cache-proxy"), ("1.0", "1.0 cache-proxy")] {
        let mut client = node.connect().await;
        client.send(&format!("GET / HTTP/{version}\r\nHost: a\r\nVia: 1.0 before\r\n\r\n")).await;
        let asked = upstream.asked().await;
        assert_eq!(asked.head.first(), "GET / HTTP/1.1");
        assert_eq!(asked.head.get("via"), Some(format!("1.0 before, {received}")));
        asked.answer(&format!("Via: 1.1 behind\r\n{NO_STORE}"), "").await;
        assert_eq!(client.head().await.get("via").as_deref(), Some("1.1 behind, 1.1 cache-proxy"));
    }
}

#[tokio::test]
async fn host_is_the_clients_unless_the_upstreams_is_wanted() {
    let (node, mut upstream) = start().await;
    let other = Node::start(&upstream, &["--host", "upstream", "--name", "edge"]).await;
    let own = upstream.address.to_string();
    for (node, host) in [(&node, "shop.example"), (&other, own.as_str())] {
        let mut client = node.get("/", "").await;
        let asked = upstream.asked().await;
        assert_eq!(asked.head.get("host").as_deref(), Some(host));
        assert_eq!(asked.head.get("x-forwarded-host").as_deref(), Some("shop.example"));
        asked.answer(NO_STORE, "").await;
        assert_eq!(client.head().await.status(), 200);
    }
}

#[tokio::test]
async fn absolute_target_says_the_host() {
    let (node, mut upstream) = start().await;
    let mut client = node.connect().await;
    client.send("GET http://real.example:81/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n").await;
    let asked = upstream.asked().await;
    assert_eq!(asked.head.first(), "GET /a?b HTTP/1.1");
    assert_eq!(asked.head.get("host").as_deref(), Some("real.example:81"));
    asked.answer("Cache-Control: max-age=60\r\n", "real").await;
    assert_eq!(client.head().await.status(), 200);
    assert!(node.stored("GET /a?b HTTP/1.1\r\nHost: real.example:81\r\n\r\n").await.0.is_hit());
    let mut client = node.connect().await;
    client.send("GET /a?b HTTP/1.1\r\nHost: other.example\r\n\r\n").await;
    upstream.asked().await.answer(NO_STORE, "other").await;
    assert!(!client.head().await.is_hit());
}

#[tokio::test]
async fn forwarded_fields_say_for_whom_a_request_is_made() {
    let (node, mut upstream) = start().await;
    for (fields, whom, proto) in [
        ("", "127.0.0.1", "http"),
        ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1, 127.0.0.1", "https"),
    ] {
        let mut client = node.get("/", fields).await;
        let asked = upstream.asked().await;
        assert_eq!(asked.head.get("x-forwarded-for").as_deref(), Some(whom));
        assert_eq!(asked.head.get("x-forwarded-host").as_deref(), Some("shop.example"));
        assert_eq!(asked.head.get("x-forwarded-proto").as_deref(), Some(proto));
        asked.answer(NO_STORE, "").await;
        assert_eq!(client.head().await.status(), 200);
    }
}

#[tokio::test]
async fn head_has_the_fields_and_no_content() {
    let (node, mut upstream) = start().await;
    let mut client = node.connect().await;
    for framing in ["Content-Length: 1234\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let asked = upstream.asked().await;
        assert_eq!(asked.head.first(), "HEAD / HTTP/1.1");
        asked.end(&format!("HTTP/1.1 200 OK\r\n{framing}ETag: \"a\"\r\n{NO_STORE}\r\n")).await;
        // The next answer on this connection is read as one: nothing follows this head.
        let head = client.head().await;
        assert_eq!(head.get("content-length").as_deref(), framing.strip_prefix("Content-Length: ").map(str::trim));
        assert_eq!(head.get("etag").as_deref(), Some("\"a\""));
    }
}

#[tokio::test]
async fn answer_that_has_no_content_gets_none() {
    let (node, mut upstream) = start().await;
    let mut client = node.connect().await;
    for (first, framing) in
        [("304 Not Modified", "Content-Length: 1234\r\n"), ("304 Not Modified", ""), ("204 No Content", "")]
    {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\n\r\n").await;
        let asked = upstream.asked().await;
        assert_eq!(asked.head.get("if-none-match").as_deref(), Some("\"a\""));
        asked.end(&format!("HTTP/1.1 {first}\r\nETag: \"a\"\r\n{framing}{NO_STORE}\r\n")).await;
        let head = client.head().await;
        assert_eq!(head.first(), format!("HTTP/1.1 {first}"));
        assert!(!head.has("transfer-encoding") && head.get("content-length").is_none_or(|length| length == "1234"));
    }
}

#[tokio::test]
async fn request_that_is_none_is_refused() {
    let (node, mut upstream) = start().await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
        ("OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", 204),
        ("TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", 501),
    ] {
        let mut client = node.connect().await;
        client.send(request).await;
        assert_eq!(client.head().await.status(), status, "{request}");
    }
    assert!(!upstream.was_asked());
}

#[tokio::test]
async fn options_of_the_whole_server_and_hops_are_forwarded() {
    let (node, mut upstream) = start().await;
    let mut client = node.connect().await;
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n").await;
    let asked = upstream.asked().await;
    assert_eq!(asked.head.first(), "OPTIONS * HTTP/1.1");
    assert_eq!(asked.head.get("max-forwards").as_deref(), Some("6"));
    asked.answer("", "").await;
    assert_eq!(client.head().await.status(), 200);
}

#[tokio::test]
async fn http2_is_answered_from_the_same_store() {
    let mut upstream = Upstream::start().await;
    let node = Node::start(&upstream, &[]).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Empty<bytes::Bytes>>();
    let uri: hyper::Uri = format!("http://{}/two", node.address).parse().unwrap();
    let request = hyper::Request::builder().uri(uri).header("cookie", "a=1").header("cookie", "b=2");
    let call = tokio::spawn(client.request(request.body(Empty::new()).unwrap()));
    let asked = upstream.asked().await;
    assert_eq!(asked.head.first(), "GET /two HTTP/1.1");
    assert_eq!(asked.head.get("host"), Some(node.address.to_string()));
    assert_eq!(asked.head.get("cookie").as_deref(), Some("a=1; b=2"));
    assert_eq!(asked.head.get("via").as_deref(), Some("2 cache-proxy"));
    asked.answer("Cache-Control: max-age=60\r\nConnection: keep-alive\r\n", "content").await;
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.version(), hyper::Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "content");
    assert!(node.stored(&format!("GET /two HTTP/1.1\r\nHost: {}\r\n\r\n", node.address)).await.0.is_hit());
}
