//! One end of a connection, on which HTTP/1.1 is written and read as it is.

use std::{future::Future, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, ToSocketAddrs},
    time::timeout,
};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, and what was read of it and not looked at yet.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// The first line of a message, and its fields.
#[derive(Clone, Debug)]
pub(crate) struct Head(String);

/// Waits for something that has to happen.
#[track_caller]
pub(crate) fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move { timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{place}: nothing within {PATIENCE:?}")) }
}

// === impl Wire ===

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn connect(address: impl ToSocketAddrs) -> Self {
        Self::new(soon(TcpStream::connect(address)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        soon(self.stream.write_all(text.as_bytes())).await.unwrap();
    }

    /// The next head; nothing if the connection ends instead.
    pub(crate) async fn next_head(&mut self) -> Option<Head> {
        loop {
            if let Some(end) = self.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = self.unread.drain(..end + 4).collect();
                return Some(Head(String::from_utf8(head).unwrap()));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    pub(crate) async fn head(&mut self) -> Head {
        soon(self.next_head()).await.expect("the connection ended")
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> String {
        while self.unread.len() < length {
            assert!(soon(self.more()).await, "the connection ended");
        }
        String::from_utf8(self.unread.drain(..length).collect()).unwrap()
    }

    pub(crate) async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|bytes| bytes == b"\r\n") {
                let mut line = self.exactly(end + 2).await;
                line.truncate(end);
                return line;
            }
            assert!(soon(self.more()).await, "the connection ended");
        }
    }

    /// The next piece of a chunked body, and at its end nothing.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&self.line().await, 16).unwrap();
        if length == 0 {
            return None;
        }
        let mut chunk = self.exactly(length + 2).await;
        chunk.truncate(length);
        Some(chunk)
    }

    /// What follows the last piece: lines of fields.
    pub(crate) async fn trailers(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line().await {
                line if line.is_empty() => return lines,
                line => lines.push(line),
            }
        }
    }

    /// The content that a message with this head has, without trailers.
    pub(crate) async fn content(&mut self, head: &Head) -> String {
        if head.has("transfer-encoding") {
            let mut all = String::new();
            while let Some(chunk) = self.chunk().await {
                all.push_str(&chunk);
            }
            self.trailers().await;
            return all;
        }
        let length = head.get("content-length").map_or(0, |length| length.parse().unwrap());
        self.exactly(length).await
    }

    /// All that comes until the other side ends the connection, in whatever way.
    pub(crate) async fn until_the_end(&mut self) -> String {
        while soon(self.more()).await {}
        String::from_utf8(std::mem::take(&mut self.unread)).unwrap()
    }

    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.unread).await, Ok(1..))
    }
}

// === impl Head ===

impl Head {
    /// `GET / HTTP/1.1`, `HTTP/1.1 200 OK`
    pub(crate) fn first(&self) -> &str {
        self.0.lines().next().unwrap()
    }

    pub(crate) fn status(&self) -> u16 {
        self.first().split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The values of a field, joined.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let lines = self.0.lines().skip(1).filter_map(|line| line.split_once(':'));
        let values: Vec<&str> =
            lines.filter(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// What the cache says that it did.
    pub(crate) fn cache_status(&self) -> String {
        self.get("cache-status").unwrap_or_default()
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.cache_status().starts_with("cache-proxy;hit")
    }
}
