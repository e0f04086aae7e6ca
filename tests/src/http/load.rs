//! Clients that ask for one page again and again, each on a connection of its own: the next request follows on the answer.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use super::{core::Core, server::Server};

/// What came of a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Requests answered in a second.
    pub(crate) rate: f64,
    /// Microseconds of the server's processor time for each.
    pub(crate) cost: f64,
}

/// The turns of those that are compared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns {
    pub(crate) rates: Vec<f64>,
    pub(crate) costs: Vec<f64>,
}

// === impl Turns ===

impl Turns {
    fn add(&mut self, turn: Turn) {
        self.rates.push(turn.rate);
        self.costs.push(turn.cost);
    }
}

/// Has the servers asked in turns. The first round warms up and does not count.
pub(crate) fn compare<const N: usize>(
    servers: [&Server; N],
    path: &str,
    clients: usize,
    turn: Duration,
    rounds: usize,
) -> [Turns; N] {
    let mut all = [const { Turns { rates: Vec::new(), costs: Vec::new() } }; N];
    for round in 0..=rounds {
        for (server, turns) in servers.iter().zip(&mut all) {
            let asked = ask(server, path, clients, turn);
            if round > 0 {
                turns.add(asked);
            }
        }
    }
    all
}

/// Asks a server for a while.
fn ask(server: &Server, path: &str, clients: usize, turn: Duration) -> Turn {
    let (address, before) = (server.address(), server.seconds());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: load\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"
    );
    let (answered, took) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let _pinned = Core::OfClients.pin();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(crowd(address, request.into_bytes().into(), clients, turn))
        });
        asking.join().expect("the clients are answered")
    });
    let cost = (server.seconds() - before) * 1e6 / answered as f64;
    Turn { rate: answered as f64 / took.as_secs_f64(), cost }
}

async fn crowd(address: SocketAddr, request: std::sync::Arc<[u8]>, clients: usize, turn: Duration) -> (u64, Duration) {
    let mut asking = JoinSet::new();
    let began = Instant::now();
    for _ in 0..clients {
        let request = std::sync::Arc::clone(&request);
        asking.spawn(async move { client(address, &request, began + turn).await });
    }
    let mut answered = 0;
    while let Some(client) = asking.join_next().await {
        answered += client.expect("a client is answered");
    }
    (answered, began.elapsed())
}

async fn client(address: SocketAddr, request: &[u8], until: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut read, mut answered) = (vec![0; 16 << 10], 0);
    while Instant::now() < until {
        stream.write_all(request).await.unwrap();
        let (mut filled, mut wanted) = (0, usize::MAX);
        while filled < wanted {
            let length = stream.read(&mut read[filled..]).await.unwrap();
            assert!(length > 0, "the server hung up");
            filled += length;
            if wanted == usize::MAX {
                wanted = length_of(&read[..filled]).unwrap_or(usize::MAX);
            }
        }
        assert_eq!(filled, wanted, "one answer to one request");
        answered += 1;
    }
    answered
}

/// How long the answer is of which this is the beginning; none if its head is not there yet.
fn length_of(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..head]));
    let length: Option<usize> = answer[..head].split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        let is_it = name.eq_ignore_ascii_case(b"content-length:");
        if is_it { std::str::from_utf8(value).ok()?.trim().parse().ok() } else { None }
    });
    Some(head + length.expect("what is asked for has a length"))
}
