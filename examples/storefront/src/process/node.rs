//! The service as a child process.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Problem;
use crate::serve::LISTENING;

/// How long a child may take to start: its database is there already.
const START_MAX: Duration = Duration::from_secs(15);
/// How long a child may take to leave once its stdin has ended.
const STOP_MAX: Duration = Duration::from_secs(8);

/// How to start a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeOptions<'a> {
    /// The folder of the database.
    pub(crate) data: &'a Path,
    /// What the keys begin with.
    pub(crate) namespace: &'a str,
    /// The Redis to share, if any.
    pub(crate) redis: Option<&'a str>,
    /// What a call to the cache may spend on Redis; the service's own figure where it is not said.
    pub(crate) budget: Option<Duration>,
}

/// A running service. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Node {
    name: &'static str,
    base: String,
    child: Child,
}

// === impl Node ===

impl Node {
    /// Starts this program again as a service on a free port, and waits until it listens.
    pub(crate) async fn start(name: &'static str, options: NodeOptions<'_>) -> Result<Self, Problem> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--child", "--listen", "127.0.0.1:0", "--namespace", options.namespace])
            .arg("--data")
            .arg(options.data);
        if let Some(url) = options.redis {
            command.args(["--redis", url]);
        }
        if let Some(budget) = options.budget {
            command.args(["--budget-ms", &budget.as_millis().to_string()]);
        }
        // The end of its stdin tells the child that this process has gone, even by a kill that runs no destructor.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C reaches the whole terminal group: this process alone decides when its children leave.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("the service has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_MAX, lines.next_line())
            .await
            .map_err(|_| format!("service {name} did not start within {START_MAX:?}"))??;
        let address = line
            .as_deref()
            .and_then(|line| line.strip_prefix(LISTENING))
            .ok_or_else(|| format!("service {name} did not start; its message stands above"))?;
        Ok(Self { name, base: format!("http://{address}"), child })
    }

    /// What the table calls it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// What its URLs begin with.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Lets it leave in order; kills it if it does not.
    pub(crate) async fn stop(mut self) -> Result<(), Problem> {
        drop(self.child.stdin.take());
        match tokio::time::timeout(STOP_MAX, self.child.wait()).await {
            Ok(status) if status.as_ref().is_ok_and(ExitStatus::success) => Ok(()),
            Ok(status) => Err(format!("service {} ended with {}", self.name, status?).into()),
            Err(_) => Err(format!("service {} did not leave within {STOP_MAX:?}, and was killed", self.name).into()),
        }
    }
}
