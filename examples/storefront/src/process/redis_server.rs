//! A redis-server of the tour's own, on a free port, with a folder of its own.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::Problem;

/// How long the server may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(10);
/// Pause between two attempts to reach it.
const RETRY: Duration = Duration::from_millis(10);
/// How long one administrative command may take.
const COMMAND_MAX: Duration = Duration::from_secs(5);
/// Ports that are tried: another program may take a free one before the server does.
const PORTS_TRIED: usize = 5;

const MISSING: &str = "redis-server is not installed, and this tour starts one of its own. Install it (Debian, Ubuntu: `sudo apt-get install \
                       redis-server`; Fedora: `sudo dnf install redis`; macOS: `brew install redis`), or let ./tests/run do it.";

/// What the server finds when it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restore {
    /// Nothing.
    Empty,
    /// What it held when [`RedisServer::snapshot`] was called.
    Snapshot,
}

/// A running server. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub(crate) struct RedisServer {
    // Dropped first: the server goes before its folder.
    child: Child,
    port: u16,
    folder: TempDir,
}

// === impl RedisServer ===

impl RedisServer {
    /// Starts a server that keeps nothing on disk by itself.
    pub(crate) async fn start() -> Result<Self, Problem> {
        let mut last = Problem::from("no port was tried");
        for _ in 0..PORTS_TRIED {
            let folder = TempDir::with_prefix("storefront-redis-")?;
            let port = free_port()?;
            let mut server = Self { child: spawn(&folder, port)?, port, folder };
            match server.answers().await {
                Ok(()) => return Ok(server),
                Err(problem) => last = problem,
            }
        }
        Err(last)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Keeps what it holds now, for [`Restore::Snapshot`].
    pub(crate) async fn snapshot(&self) -> Result<(), Problem> {
        self.command("SAVE").await?;
        std::fs::copy(self.dump(), self.folder.path().join("kept.rdb"))?;
        std::fs::remove_file(self.dump())?;
        Ok(())
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) -> Result<(), Problem> {
        self.child.kill().await?;
        Ok(())
    }

    /// Starts it again on the same port.
    pub(crate) async fn restart(&mut self, restore: Restore) -> Result<(), Problem> {
        match restore {
            Restore::Empty if self.dump().exists() => std::fs::remove_file(self.dump())?,
            Restore::Empty => {}
            Restore::Snapshot => drop(std::fs::copy(self.folder.path().join("kept.rdb"), self.dump())?),
        }
        self.child = spawn(&self.folder, self.port)?;
        self.answers().await
    }

    /// Stops it without a word: its connections stay open.
    pub(crate) fn stall(&self) -> Result<(), Problem> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub(crate) fn wake(&self) -> Result<(), Problem> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Problem> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(rustix::process::kill_process(id.ok_or("redis-server has ended")?, signal)?)
    }

    fn dump(&self) -> PathBuf {
        self.folder.path().join("dump.rdb")
    }

    /// Waits until it answers, and fails if it has ended instead.
    async fn answers(&mut self) -> Result<(), Problem> {
        let deadline = tokio::time::sleep(START_MAX);
        let mut deadline = std::pin::pin!(deadline);
        loop {
            let failed = match self.command("PING").await {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            };
            tokio::select! {
                ended = self.child.wait() => return Err(format!("redis-server on port {} ended with {}", self.port, ended?).into()),
                () = &mut deadline => return Err(format!("redis-server on port {} does not answer: {failed}", self.port).into()),
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    async fn command(&self, name: &str) -> Result<(), Problem> {
        let client = redis::Client::open(self.url())?;
        let run = async {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd(name).query_async::<redis::Value>(&mut connection).await
        };
        tokio::time::timeout(COMMAND_MAX, run)
            .await
            .map_err(|_| format!("redis-server did not answer {name} within {COMMAND_MAX:?}"))??;
        Ok(())
    }
}

fn spawn(folder: &TempDir, port: u16) -> Result<Child, Problem> {
    let mut command = Command::new("redis-server");
    command.args([
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--daemonize",
        "no",
    ]);
    command.arg("--dir").arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => MISSING.into(),
        _ => format!("cannot start redis-server: {error}").into(),
    })
}

fn free_port() -> std::io::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
