//! An upstream that a test plays itself: it is handed each request, and writes what it likes.

use std::net::SocketAddr;

use tokio::{
    net::TcpListener,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

use crate::wire::{Head, Wire, soon};

/// A server on a free port.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    requests: mpsc::Receiver<Asked>,
    accepting: JoinHandle<()>,
}

/// A request, of which the head was read. Dropping it ends its connection.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) head: Head,
    pub(crate) wire: Wire,
    back: mpsc::Sender<Wire>,
}

// === impl Upstream ===

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ask, requests) = mpsc::channel(64);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(connection(Wire::new(stream), ask.clone()));
            }
        });
        Self { address, requests, accepting }
    }

    /// The next request.
    pub(crate) async fn asked(&mut self) -> Asked {
        soon(self.requests.recv()).await.expect("the upstream was stopped")
    }

    /// Whether a request is there that nobody has looked at.
    pub(crate) fn was_asked(&mut self) -> bool {
        self.requests.try_recv().is_ok()
    }

    /// Stops listening, and ends the connections that are idle.
    pub(crate) async fn stop(&mut self) {
        self.accepting.abort();
        let _aborted = (&mut self.accepting).await;
    }
}

async fn connection(mut wire: Wire, ask: mpsc::Sender<Asked>) {
    while let Some(head) = wire.next_head().await {
        let (back, mut returned) = mpsc::channel(1);
        if ask.send(Asked { head, wire, back }).await.is_err() {
            return;
        }
        match returned.recv().await {
            Some(it) => wire = it,
            None => return,
        }
    }
}

// === impl Asked ===

impl Asked {
    /// The content of the request.
    pub(crate) async fn content(&mut self) -> String {
        self.wire.content(&self.head).await
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.wire.send(text).await;
    }

    /// Says the last of the answer, and keeps the connection.
    pub(crate) async fn end(mut self, text: &str) {
        self.say(text).await;
        let _stopped = self.back.send(self.wire).await;
    }

    /// Answers with these fields and this content.
    pub(crate) async fn answer(self, fields: &str, content: &str) {
        let length = content.len();
        self.end(&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {length}\r\n\r\n{content}")).await;
    }
}
