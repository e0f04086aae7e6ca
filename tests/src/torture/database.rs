//! The database that all nodes share: the director has it, the nodes ask over a socket. A row is a version.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

use super::{
    report::{Report, told},
    shop::{LOTS, ROWS},
};

/// A version that a row was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) id: u64,
    pub(crate) version: u64,
    pub(crate) node: u64,
    pub(crate) lot: Option<u64>,
}

/// The rows, on the director's side.
#[derive(Clone, Default)]
pub(crate) struct Rows(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    versions: HashMap<u64, u64>,
    commits: Vec<Commit>,
    reads: u64,
    at_rest: bool,
}

impl Rows {
    pub(crate) fn commits(&self) -> Vec<Commit> {
        self.lock().commits.clone()
    }

    pub(crate) fn reads(&self) -> u64 {
        self.lock().reads
    }

    fn read(&self, id: u64) -> u64 {
        let mut inner = self.lock();
        inner.reads += 1;
        inner.versions.get(&id).copied().unwrap_or(0)
    }

    /// Changes these rows, or those of a lot. When all is at rest, nothing is answered: whoever asks is done.
    fn commit(&self, node: u64, ids: &[u64], lot: Option<u64>) -> Option<Vec<(u64, u64)>> {
        let mut inner = self.lock();
        if inner.at_rest {
            return None;
        }
        let version = |inner: &Inner, id: u64| inner.versions.get(&id).copied().unwrap_or(0);
        let of_lot = |id: &u64| lot.is_some_and(|lot| version(&inner, *id) % LOTS == lot);
        let ids: Vec<u64> = if lot.is_some() { (0..ROWS).filter(of_lot).collect() } else { ids.to_vec() };
        let mut rows = Vec::new();
        for id in ids {
            let version = version(&inner, id) + 1;
            inner.versions.insert(id, version);
            inner.commits.push(Commit { id, version, node, lot });
            rows.push((id, version));
        }
        Some(rows)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing is changed any more.
    pub(crate) fn rest(&self) {
        self.lock().at_rest = true;
    }

    /// Answers nodes, and hands on what they report, as long as the process lives.
    pub(crate) async fn serve(self, reports: impl Fn(u64, Report) + Clone + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(answer(self.clone(), stream, reports.clone()));
            }
        });
        address
    }
}

/// One connection: its first line says whose it is, then come questions and reports.
async fn answer(rows: Rows, stream: TcpStream, report: impl Fn(u64, Report)) {
    let _ = stream.set_nodelay(true);
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    let mut node = 0;
    while read.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        let number = |word: &&str| word.parse::<u64>().ok();
        let answer = match words.as_slice() {
            ["node", number] => {
                node = number.parse().unwrap();
                None
            }
            ["get", id] => Some(format!("{}\n", rows.read(id.parse().unwrap()))),
            ["commit", lot, ids @ ..] => {
                let ids: Vec<u64> = ids.iter().filter_map(number).collect();
                rows.commit(node, &ids, lot.parse().ok()).map(|rows| {
                    let rows: Vec<String> = rows.iter().map(|(id, version)| format!("{id}:{version}")).collect();
                    format!("{}\n", rows.join(" "))
                })
            }
            _ => {
                if let Some(told) = Report::parse(&line) {
                    report(node, told);
                }
                None
            }
        };
        if let Some(answer) = answer
            && write.write_all(answer.as_bytes()).await.is_err()
        {
            return;
        }
        line.clear();
    }
}

/// The rows, on a node's side: a few connections, each for one question at a time.
#[derive(Clone)]
pub(crate) struct Database {
    address: SocketAddr,
    node: u64,
    idle: Arc<Mutex<Vec<Connection>>>,
}

struct Connection {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Database {
    pub(crate) fn at(address: SocketAddr, node: u64) -> Self {
        Self { address, node, idle: Arc::default() }
    }

    pub(crate) async fn read(&self, id: u64) -> u64 {
        self.ask(&format!("get {id}\n")).await.trim().parse().unwrap()
    }

    /// Changes rows; answers their new versions.
    pub(crate) async fn commit(&self, ids: &[u64], lot: Option<u64>) -> Vec<(u64, u64)> {
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        let question = format!("commit {} {}\n", told(lot), ids.join(" "));
        let answer = self.ask(&question).await;
        let row = |word: &str| {
            let (id, version) = word.split_once(':')?;
            Some((id.parse().ok()?, version.parse().ok()?))
        };
        answer.split_whitespace().filter_map(row).collect()
    }

    /// The stream for reports.
    pub(crate) async fn reporting(&self) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(format!("node {}\n", self.node).as_bytes()).await?;
        Ok(stream)
    }

    /// Asks the director. Without it there is nothing to do here any more.
    async fn ask(&self, question: &str) -> String {
        self.try_ask(question).await.unwrap_or_else(|_gone| std::process::exit(0))
    }

    async fn try_ask(&self, question: &str) -> io::Result<String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let stream = self.reporting().await?;
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                Connection { read: BufReader::new(read), write }
            }
        };
        connection.write.write_all(question.as_bytes()).await?;
        let mut answer = String::new();
        if connection.read.read_line(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // One that was given up in the middle is not put back.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Ok(answer)
    }
}
