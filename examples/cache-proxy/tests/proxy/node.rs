//! The proxy as a process.

use std::{net::SocketAddr, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    upstream::Upstream,
    wire::{Head, Wire, soon},
};

/// A running proxy. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Node {
    pub(crate) async fn start(upstream: &Upstream, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cache-proxy"))
            .args(["--listen", "127.0.0.1:0", "--upstream", &format!("http://{}", upstream.address)])
            .args(options)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = soon(lines.next_line()).await.unwrap().expect("it did not start");
        let address = line.strip_prefix("listening on ").unwrap().split(',').next().unwrap();
        Self { address: address.parse().unwrap(), child }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// A connection on which `GET path` was sent, with these fields.
    pub(crate) async fn get(&self, path: &str, fields: &str) -> Wire {
        let mut client = self.connect().await;
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n{fields}\r\n")).await;
        client
    }

    /// The whole answer to `GET path` out of the store.
    pub(crate) async fn got(&self, path: &str) -> (Head, String) {
        self.stored(&format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n")).await
    }

    /// The whole answer to a request out of the store. What is on its way there is waited for: it is given to those who ask
    /// meanwhile.
    pub(crate) async fn stored(&self, request: &str) -> (Head, String) {
        loop {
            let mut client = self.connect().await;
            client.send(request).await;
            let head = client.head().await;
            let content = client.content(&head).await;
            if !head.cache_status().contains("collapsed") {
                return (head, content);
            }
        }
    }

    /// Asks it to leave, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        let process = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    }

    /// Waits until it has left.
    pub(crate) async fn left(mut self) -> bool {
        soon(self.child.wait()).await.unwrap().success()
    }
}

/// A proxy with the usual options, and its upstream.
pub(crate) async fn start() -> (Node, Upstream) {
    let upstream = Upstream::start().await;
    (Node::start(&upstream, &[]).await, upstream)
}
