//! Point 3: a cold page that takes its time, and thousands of clients that all ask for it at once.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

use super::{Row, Settings, origin::SLOW, server::Server};
use crate::stampede::Figure;

/// One in so many goes away, the first of them too.
const LEAVES: usize = 10;
/// Connections that are made at once.
const CONNECTING: usize = 200;
/// Files that this process needs besides connections.
const FILES: u64 = 200;

/// How the clients fared.
#[derive(Debug, Default)]
struct Fared {
    answered: usize,
    left: usize,
    failed: usize,
    slowest: Duration,
}

pub(super) async fn rows(settings: &Settings) -> Vec<Row> {
    let most = files().saturating_sub(FILES) as usize;
    let clients = settings.crowd.min(most);
    let server = Server::own(&settings.program, None, "cached");
    let mut rows = Vec::new();
    let memory = server.memory();
    server.forget_peak();
    let fared = crowd(server.address(), "/slow/kept", clients, true).await;
    let grew = server.peak().saturating_sub(memory) >> 10;
    let (began, _) = calls(server.address()).await;
    let (stay, leave) = (clients - clients.div_ceil(LEAVES), clients.div_ceil(LEAVES));
    rows.push(Row {
        point: "3 a cold page",
        with: format!("{clients} connections, page takes {SLOW:?}, {leave} leave meanwhile, the first of them too"),
        figures: vec![
            Figure::count(format!("connections {clients}"), settings.crowd.to_string(), clients >= settings.crowd),
            Figure::count(format!("calls of the handler {began}"), "1", began == 1),
            Figure::count(format!("answered {}", fared.answered), stay.to_string(), fared.answered == stay),
            Figure::count(
                format!("gone {}, failed {}", fared.left, fared.failed),
                format!("{leave}, 0"),
                fared.left == leave && fared.failed == 0,
            ),
            Figure::told(format!(
                "slowest {:.2} x the page; memory grew by {} KiB a connection",
                share(fared.slowest),
                grew / clients as u64
            )),
        ],
    });
    for (point, times) in [("3 an uncacheable page, not yet known", 2), ("3 an uncacheable page, known", 1)] {
        let fared = crowd(server.address(), "/slow/new", clients, false).await;
        let (began, most) = calls(server.address()).await;
        let least = clients as u64 + 1 - times;
        rows.push(Row {
            point,
            with: format!("{clients} connections, page takes {SLOW:?}"),
            figures: vec![
                Figure::count(format!("answered {}", fared.answered), clients.to_string(), fared.answered == clients),
                Figure::count(format!("calls of the handler {began}"), clients.to_string(), began == clients as u64),
                Figure::time(format!("{most} of them at once"), format!(">= {least}"), most >= least),
                Figure::told(format!("slowest {:.2} x the page; {times} x is the floor", share(fared.slowest))),
            ],
        });
    }
    rows
}

fn share(time: Duration) -> f64 {
    time.as_secs_f64() / SLOW.as_secs_f64()
}

/// How many files a process may have open; as many as it may ask for.
pub(crate) fn files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, current } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    if raised.is_ok() { maximum.unwrap_or(u64::MAX) } else { current.unwrap_or(u64::MAX) }
}

/// Connects everybody, and then has all of them ask: the first, and when that has got to the handler, the others.
async fn crowd(address: SocketAddr, path: &str, clients: usize, some_leave: bool) -> Fared {
    let connecting = Arc::new(Semaphore::new(CONNECTING));
    let mut connections = JoinSet::new();
    for _ in 0..clients {
        let connecting = Arc::clone(&connecting);
        connections.spawn(async move {
            let _one = connecting.acquire().await;
            TcpStream::connect(address).await.unwrap()
        });
    }
    let mut streams = connections.join_all().await;
    let request: Arc<str> = format!("GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n").into();
    // The first of all is the one who leads; half of the page's time is enough for all others to have come by then.
    let mut first = streams.pop().expect("somebody comes");
    first.write_all(request.as_bytes()).await.unwrap();
    let began = Instant::now();
    let mut asking = JoinSet::new();
    asking.spawn(client(first, began, some_leave.then_some(SLOW / 2)));
    for (at, mut stream) in streams.into_iter().enumerate() {
        let leaves = some_leave && (at + 1) % LEAVES == 0;
        let leaves_after = leaves.then(|| SLOW.mul_f64(0.3 + 0.5 * fastrand::f64()));
        let request = Arc::clone(&request);
        asking.spawn(async move {
            if stream.write_all(request.as_bytes()).await.is_err() {
                return Err(());
            }
            client(stream, began, leaves_after).await
        });
    }
    let mut fared = Fared::default();
    while let Some(client) = asking.join_next().await {
        match client {
            Ok(Ok(Some(waited))) => {
                fared.answered += 1;
                fared.slowest = fared.slowest.max(waited);
            }
            Ok(Ok(None)) => fared.left += 1,
            Ok(Err(())) | Err(_) => fared.failed += 1,
        }
    }
    fared
}

/// How long it waited for a whole answer; nothing if it left.
async fn client(mut stream: TcpStream, began: Instant, leaves_after: Option<Duration>) -> Result<Option<Duration>, ()> {
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    match leaves_after {
        Some(after) => match tokio::time::timeout(after, reading).await {
            Ok(_) => return Err(()),
            Err(_) => return Ok(None),
        },
        None => reading.await.map_err(drop)?,
    };
    let is_whole = answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&[b'x'; 1_024]);
    if is_whole { Ok(Some(began.elapsed())) } else { Err(()) }
}

/// Calls of the slow pages since this was asked last, and how many were under way at once.
async fn calls(address: SocketAddr) -> (u64, u64) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /calls HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let (began, most) = body.split_once(' ').expect("two numbers");
    (began.parse().unwrap(), most.parse().unwrap())
}
