//! The origin that all loads of all nodes go to, in the parent process; the nodes get their orders at the same address.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufStream},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::orders::Row;
use crate::torture::Moment;

/// A load that began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) node: usize,
    pub(crate) at: Moment,
}

/// The origin, on the parent's side.
pub(crate) struct Origin {
    address: SocketAddr,
    ways: Arc<Mutex<Ways>>,
    loads: Arc<watch::Sender<Vec<Load>>>,
    nodes: mpsc::Receiver<(usize, Line)>,
}

/// How it does its work just now.
#[derive(Clone, Copy)]
struct Ways {
    takes: Duration,
    fails: bool,
}

/// A stream of lines, one question at a time.
pub(crate) type Line = BufStream<TcpStream>;

impl Origin {
    /// One whose loads take so long.
    pub(crate) async fn start(takes: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let ways = Arc::new(Mutex::new(Ways { takes, fails: false }));
        let loads = Arc::new(watch::Sender::new(Vec::new()));
        let (came, nodes) = mpsc::channel(1 << 8);
        let origin = Self { address, ways: Arc::clone(&ways), loads: Arc::clone(&loads), nodes };
        tokio::spawn(async move {
            let mut lines = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        // One that gave up meanwhile is no concern of the others.
                        let Ok((stream, _)) = accepted else { continue };
                        lines.spawn(serve(stream, Arc::clone(&ways), Arc::clone(&loads), came.clone()));
                    }
                    // Whoever holds the other end is gone: so are the lines.
                    () = came.closed() => return,
                }
                while lines.try_join_next().is_some() {}
            }
        });
        origin
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn fails(&self, fails: bool) {
        lock(&self.ways).fails = fails;
    }

    pub(crate) fn loads(&self) -> Vec<Load> {
        self.loads.borrow().clone()
    }

    /// Waits for the first load.
    pub(crate) async fn first_load(&self) -> Load {
        let mut loads = self.loads.subscribe();
        let begun = loads.wait_for(|loads| !loads.is_empty()).await;
        begun.expect("the sender is here")[0]
    }

    /// The next node that has come for its orders.
    pub(crate) async fn next_node(&mut self) -> (usize, Line) {
        self.nodes.recv().await.expect("the other end lives as long as this")
    }
}

fn lock(ways: &Mutex<Ways>) -> MutexGuard<'_, Ways> {
    ways.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One stream: its first line says whose it is and what for, every other asks for a load.
async fn serve(
    stream: TcpStream,
    ways: Arc<Mutex<Ways>>,
    loads: Arc<watch::Sender<Vec<Load>>>,
    came: mpsc::Sender<(usize, Line)>,
) {
    let _ = stream.set_nodelay(true);
    let mut stream = BufStream::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let Some((what, node)) = line.trim().split_once(' ') else { return };
    let Ok(node) = node.parse() else { return };
    if what == "orders" {
        let _ = came.send((node, stream)).await;
        return;
    }
    line.clear();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        line.clear();
        let Ways { takes, fails } = *lock(&ways);
        loads.send_modify(|loads| loads.push(Load { node, at: Moment::now() }));
        // Time itself: how long a load takes.
        tokio::time::sleep(takes).await;
        let answer = if fails { "failed\n" } else { "loaded\n" };
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

/// The origin, on a node's side: a few connections, each for one load at a time.
#[derive(Clone)]
pub(crate) struct Source {
    address: SocketAddr,
    node: usize,
    idle: Arc<Mutex<Vec<BufReader<TcpStream>>>>,
}

/// The origin says that it cannot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed;

impl Source {
    pub(crate) fn at(address: SocketAddr, node: usize) -> Self {
        Self { address, node, idle: Arc::default() }
    }

    /// The stream that orders come by.
    pub(crate) async fn orders(&self) -> io::Result<Line> {
        self.connect("orders").await.map(BufStream::new)
    }

    /// A load. Without the parent it fails, and nobody is there to see it.
    pub(crate) async fn load(&self) -> Result<Row, Failed> {
        match self.try_load().await {
            Ok(answer) if answer == "loaded\n" => Ok(Row { loaded: Moment::now().0 }),
            _ => Err(Failed),
        }
    }

    async fn try_load(&self) -> io::Result<String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut stream = match idle {
            Some(stream) => stream,
            None => BufReader::new(self.connect("loads").await?),
        };
        stream.get_mut().write_all(b"load\n").await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        // One that was given up in the middle is not put back.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        Ok(answer)
    }

    async fn connect(&self, what: &str) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(format!("{what} {}\n", self.node).as_bytes()).await?;
        Ok(stream)
    }
}
