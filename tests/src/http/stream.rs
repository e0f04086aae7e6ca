//! Point 4: a body that is larger than anything that is kept, through the layer and past it.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Row, Settings, core::Core, median, origin::GAP, ratio, server::Server};
use crate::stampede::Figure;

/// What a server's memory may grow by: the 4 MiB of a body that the layer looks at by default, and buffers of sockets.
const GROWTH_MAX: u64 = 16 << 20;
/// Of the throughput without the layer.
const THROUGHPUT: f64 = 0.9;
/// How much later the first byte may be than without the layer: as long as it takes to find that nothing is stored, and to wake a
/// task that reads ahead.
const FIRST_BYTE_MICROS: f64 = 1_000.0;
const ROUNDS: usize = 9;
const FIRST_BYTES: usize = 101;
/// How long a client does not read.
const PAUSE: Duration = Duration::from_secs(2);

/// What came of reading a body.
struct Read {
    bytes: u64,
    first: Duration,
    took: Duration,
}

/// One kind of body, and what it is about.
struct Kind {
    path: &'static str,
    with: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind { path: "kept", with: "could be stored, length unknown" },
    Kind { path: "kept-length", with: "could be stored, length known" },
    Kind { path: "new", with: "not to be stored" },
];

pub(super) async fn rows(settings: &Settings) -> Vec<Row> {
    let start = |kind| Server::own(&settings.program, Some(Core::OfServers), kind);
    let bare = start("bare");
    let mut rows = Vec::new();
    for kind in KINDS {
        // One that has seen nothing yet, so that there is no memory that was given back and is used again.
        let cached = start("cached");
        rows.push(whole(settings.megabytes, &kind, &bare, &cached));
    }
    let cached = start("cached");
    for (path, with) in [("/gap/kept", "could be stored"), ("/gap/new", "not to be stored")] {
        rows.push(first_byte(path, with, &bare, &cached));
    }
    rows.push(slow_client(settings.megabytes, &start("cached")).await);
    rows
}

fn whole(megabytes: u64, kind: &Kind, bare: &Server, cached: &Server) -> Row {
    let path = format!("/body/{}/{megabytes}", kind.path);
    let (mut of_bare, mut of_cached) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let (mut cut, mut grew) = (0, 0);
    for _ in 0..ROUNDS {
        for (server, [rates, costs]) in [(bare, &mut of_bare), (cached, &mut of_cached)] {
            let (before, seconds) = (server.memory(), server.seconds());
            server.forget_peak();
            let read = read(server.address(), &path);
            cut += u64::from(read.bytes < megabytes << 20);
            rates.push(megabytes as f64 / read.took.as_secs_f64());
            costs.push(server.seconds() - seconds);
            if std::ptr::eq(server, cached) {
                grew = grew.max(server.peak().saturating_sub(before));
            }
        }
    }
    let by_time = ratio(&of_bare[1], &of_cached[1]);
    let [rate, of_rate] = [&of_cached[0], &of_bare[0]].map(|rates| median(rates.clone()));
    Row {
        point: "4 a large body",
        with: format!("{megabytes} MiB, {}, {ROUNDS} turns", kind.with),
        figures: vec![
            Figure::count(format!("cut {cut}"), "0", cut == 0),
            Figure::count(
                format!("memory grew by {:.1} MiB", mib(grew)),
                format!("<= {} MiB", GROWTH_MAX >> 20),
                grew <= GROWTH_MAX,
            ),
            Figure::time(
                format!("a core sends {by_time:.2} x"),
                format!(">= {THROUGHPUT} x no layer"),
                by_time >= THROUGHPUT,
            ),
            Figure::told(format!(
                "{rate:.0} MiB/s, without the layer {of_rate:.0}: {:.2} x",
                ratio(&of_cached[0], &of_bare[0])
            )),
        ],
    }
}

/// The second chunk comes later: the first has to be there before.
fn first_byte(path: &'static str, with: &str, bare: &Server, cached: &Server) -> Row {
    let (mut of_bare, mut of_cached) = (Vec::new(), Vec::new());
    let mut late = 0;
    for at in 0..FIRST_BYTES {
        for (server, firsts) in [(bare, &mut of_bare), (cached, &mut of_cached)] {
            // A page of its own each, so that none is a hit.
            let read = read(server.address(), &format!("{path}?{at}"));
            late += usize::from(read.first >= GAP.min(read.took));
            firsts.push(read.first.as_secs_f64() * 1e6);
        }
    }
    let [first, of_first] = [&of_cached, &of_bare].map(|firsts| median(firsts.clone()));
    let (times, later) = (ratio(&of_cached, &of_bare), first - of_first);
    Row {
        point: "4 its first byte",
        with: format!("a miss, {with}; the second chunk comes after {GAP:?}; {FIRST_BYTES} turns"),
        figures: vec![
            Figure::time(format!("after the second chunk {late}"), "0", late == 0),
            Figure::time(
                format!("{later:.0} us later than without the layer"),
                format!("<= {FIRST_BYTE_MICROS:.0} us"),
                later <= FIRST_BYTE_MICROS,
            ),
            Figure::told(format!("{first:.0} us, without the layer {of_first:.0} us: {times:.2} x")),
        ],
    }
}

async fn slow_client(megabytes: u64, cached: &Server) -> Row {
    let before = cached.memory();
    cached.forget_peak();
    let mut stream = asked(cached.address(), &format!("/body/kept/{megabytes}?slow")).await;
    let mut some = vec![0; 64 << 10];
    stream.read_exact(&mut some).await.unwrap();
    // Time itself: what it does not read must not pile up meanwhile.
    tokio::time::sleep(PAUSE).await;
    let grew = cached.peak().saturating_sub(before);
    Row {
        point: "4 a client that does not read",
        with: format!("{megabytes} MiB, could be stored, for {PAUSE:?}"),
        figures: vec![Figure::count(
            format!("memory grew by {:.1} MiB", mib(grew)),
            format!("<= {} MiB", GROWTH_MAX >> 20),
            grew <= GROWTH_MAX,
        )],
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

async fn asked(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads a whole answer, on the clients' core: where who reads and who sends meet by chance, the rate is twice or half of another's.
fn read(address: SocketAddr, path: &str) -> Read {
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let _pinned = Core::OfClients.pin();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(read_here(address, path))
        });
        reading.join().expect("a client is answered")
    })
}

async fn read_here(address: SocketAddr, path: &str) -> Read {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n");
    let began = Instant::now();
    stream.write_all(request.as_bytes()).await.unwrap();
    let (mut part, mut bytes, mut first) = (vec![0; 256 << 10], 0, None);
    loop {
        let length = stream.read(&mut part).await.unwrap();
        if length == 0 {
            break;
        }
        if first.is_none() {
            assert!(part.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&part[..length]));
        }
        first.get_or_insert_with(|| began.elapsed());
        bytes += length as u64;
    }
    Read { bytes, first: first.expect("an answer has a first byte"), took: began.elapsed() }
}
