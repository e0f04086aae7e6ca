//! A server in a process of its own, and what the system knows of it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use super::core::Core;
use crate::fixtures::{NodeProcess, Port};

/// Ticks of `/proc/PID/stat` in a second, on every Linux there is.
const TICKS: f64 = 100.0;
const START_MAX: Duration = Duration::from_secs(20);

/// A server that is gone when this is dropped.
pub(crate) struct Server {
    process: NodeProcess,
    port: Port,
}

// === impl Server ===

impl Server {
    /// Starts a program on a free port, which `words` get, and waits until it listens; on one core, if one is named.
    pub(crate) fn start(program: &Path, core: Option<Core>, words: impl FnOnce(SocketAddr) -> Vec<String>) -> Self {
        let port = Port::take();
        let process = {
            let _pinned = core.map(Core::pin);
            NodeProcess::start(program, &words(port.address()))
        };
        let began = Instant::now();
        while TcpStream::connect(port.address()).is_err() {
            assert!(began.elapsed() < START_MAX, "{} does not listen", program.display());
            std::thread::yield_now();
        }
        Self { process, port }
    }

    /// This program as a server, see [`serve`](super::serve).
    pub(crate) fn own(program: &Path, core: Option<Core>, kind: &str) -> Self {
        Self::start(program, core, |address| vec!["serve".to_owned(), kind.to_owned(), address.port().to_string()])
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port.number()).into()
    }

    /// The processor time that it took so far, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        // The name, in brackets, may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN);
        (ticks(11) + ticks(12)) / TICKS
    }

    /// Its memory now, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that it had since [`forget_peak`](Self::forget_peak), in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5").unwrap();
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or_default() << 10
    }
}
