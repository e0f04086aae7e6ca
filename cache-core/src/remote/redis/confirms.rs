//! Appends that are answered once their server has them on its disk, or its replicas have them.
//!
//! `WAIT` and `WAITAOF` (<https://redis.io/docs/latest/commands/waitaof/>) speak of the writes of their own connection, and nothing else is
//! done on it meanwhile. So these appends have a connection of their own, and what comes while it waits goes together next: one
//! question for all of them.

use std::time::Duration;

use redis::{Cmd, Pipeline, Value, aio::MultiplexedConnection, cmd};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Shard, commands, journal, link::Link};
use crate::{
    error::{Error, ErrorKind},
    journal::Safety,
};

/// Appends that go together, and as many may wait to be the next.
const BATCH: usize = 1_024;

/// How long a server, or its replicas, may take to have a batch.
const PATIENCE: Duration = Duration::from_secs(4);

/// The way to a link's connection for such appends.
#[derive(Clone, Debug)]
pub(crate) struct Confirms {
    asks: mpsc::Sender<Asked>,
}

/// An append, and who waits for it.
#[derive(Debug)]
struct Asked {
    command: Cmd,
    /// Another server said that the slot is on its way to here.
    asking: bool,
    safety: Safety,
    answer: oneshot::Sender<Result<Value, Error>>,
}

/// What keeps the connection busy.
struct Confirming {
    connection: MultiplexedConnection,
    address: String,
    /// Loads the scripts again.
    scripts: Pipeline,
}

/// What a server said to a batch: to each append, and to each question whether it is safe by now.
struct Said {
    appends: Vec<Value>,
    safe: Vec<(Safety, Result<(), Error>)>,
}

// === impl Confirms ===

impl Confirms {
    /// Opens the connection. It lives as long as its link.
    pub(super) async fn open(shard: &Shard, link: &Link) -> Result<Self, Error> {
        let target = shard.target();
        let gone = link.gone.clone();
        let lost = gone.clone();
        let connection = target
            .open(move |info| {
                if info.kind == redis::PushKind::Disconnection {
                    lost.cancel();
                }
            })
            .await?;
        let confirming = Confirming { connection, address: target.address(), scripts: shard.fleet.scripts.load() };
        let (asks, asked) = mpsc::channel(BATCH);
        #[allow(clippy::disallowed_methods, reason = "ends with its link, as the connections' own tasks do")]
        tokio::spawn(async move {
            if let Some(Err(error)) = gone.run_until_cancelled(confirming.run(asked)).await {
                tracing::debug!(%error, "the connection for confirmed appends failed");
                gone.cancel();
            }
        });
        Ok(Self { asks })
    }

    /// Appends, and waits until that is safe.
    ///
    /// # Errors
    ///
    /// Where it was not appended, or is not known to be safe: nobody can say then whether it will be.
    pub(super) async fn append(&self, command: Cmd, asking: bool, safety: Safety) -> Result<Value, Error> {
        let lost = || Error::new(ErrorKind::Unreachable, "journal", "the connection was lost meanwhile");
        let (answer, answered) = oneshot::channel();
        self.asks.send(Asked { command, asking, safety, answer }).await.map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }
}

// === impl Confirming ===

impl Confirming {
    async fn run(mut self, mut asked: mpsc::Receiver<Asked>) -> Result<(), Error> {
        let mut batch = Vec::new();
        while asked.recv_many(&mut batch, BATCH).await > 0 {
            // Who has given up meanwhile is not appended for.
            batch.retain(|asked| !asked.answer.is_closed());
            let forgotten = self.commit(std::mem::take(&mut batch)).await?;
            if !forgotten.is_empty() {
                // SCRIPT FLUSH.
                let loaded = self.connection.send_packed_commands(&self.scripts, 0, self.scripts.len()).await;
                loaded.map_err(|error| self.failed(error))?;
                for asked in self.commit(forgotten).await? {
                    let error =
                        Error::new(ErrorKind::Remote, "journal", "the server forgets scripts as soon as it has them");
                    let _gone = asked.answer.send(Err(error));
                }
            }
        }
        Ok(())
    }

    /// Answers a batch, but for those whose script the server does not know.
    async fn commit(&mut self, batch: Vec<Asked>) -> Result<Vec<Asked>, Error> {
        let mut forgotten = Vec::new();
        if batch.is_empty() {
            return Ok(forgotten);
        }
        let said = match self.trip(&batch).await {
            Ok(said) => said,
            Err(error) => {
                for asked in batch {
                    let _gone = asked.answer.send(Err(error.clone()));
                }
                return Err(error);
            }
        };
        for (asked, value) in batch.into_iter().zip(said.appends) {
            if commands::lost_script(&value) {
                forgotten.push(asked);
                continue;
            }
            let safe = said.safe.iter().find(|(safety, _)| *safety == asked.safety).map(|(_, safe)| safe.clone());
            let unsaid = || Error::new(ErrorKind::Remote, "journal", "the server does not say whether it is safe");
            let safe = safe.unwrap_or_else(|| Err(unsaid()));
            let answer = if journal::was_appended(&value) { safe.map(|()| value) } else { Ok(value) };
            let _gone = asked.answer.send(answer);
        }
        Ok(forgotten)
    }

    async fn trip(&mut self, batch: &[Asked]) -> Result<Said, Error> {
        let mut pipeline = Pipeline::with_capacity(batch.len() + 1);
        let mut wanted: Vec<Safety> = Vec::new();
        for Asked { command, asking, safety, .. } in batch {
            if *asking {
                pipeline.cmd("ASKING");
            }
            pipeline.add_command(command.clone());
            if !wanted.contains(safety) {
                wanted.push(*safety);
            }
        }
        for safety in &wanted {
            pipeline.add_command(question(*safety));
        }
        // Each question may take its time; and a connection that says nothing for longer is dead.
        let patience = PATIENCE * (2 + u32::try_from(wanted.len()).unwrap_or(0));
        let values = timeout(patience, self.connection.send_packed_commands(&pipeline, 0, pipeline.len())).await;
        let silent = |_| Error::new(ErrorKind::Timeout, "journal", format!("{} does not answer", self.address));
        let mut values = values.map_err(silent)?.map_err(|error| self.failed(error))?.into_iter();
        let mut appends = Vec::with_capacity(batch.len());
        for asked in batch {
            if asked.asking {
                values.next();
            }
            appends.extend(values.next());
        }
        let safe = wanted.into_iter().zip(values).map(|(safety, value)| (safety, self.judge(safety, value))).collect();
        Ok(Said { appends, safe })
    }

    /// What the answer to a question is worth.
    fn judge(&self, safety: Safety, value: Value) -> Result<(), Error> {
        let address = &self.address;
        let (had, wanted, what) = match (safety, value) {
            (_, Value::ServerError(error)) => return Err(self.failed(error.into())),
            (Safety::OnReplicas(wanted), Value::Int(had)) => (had, i64::from(wanted), "replicas"),
            (_, Value::Array(values)) => match values.as_slice() {
                [Value::Int(had), ..] => (*had, 1, "disks"),
                _ => (0, 1, "disks"),
            },
            _ => (0, 1, "places"),
        };
        if had >= wanted {
            return Ok(());
        }
        let detail = format!(
            "{address} has journaled it, and {had} of {wanted} {what} had it after {PATIENCE:?}: it is flushed unless the server is lost"
        );
        Err(Error::new(ErrorKind::Unconfirmed, "journal", detail))
    }

    fn failed(&self, error: redis::RedisError) -> Error {
        let kind = super::connect::kind_of(&error);
        Error::caused(kind, "journal", format!("{}: whether it is safe cannot be told", self.address), error)
    }
}

/// Whether all that this connection wrote is safe.
fn question(safety: Safety) -> Cmd {
    let patience = commands::whole_millis(PATIENCE);
    match safety {
        Safety::OnReplicas(replicas) => cmd("WAIT").arg(replicas).arg(patience).take(),
        Safety::OnDisk => cmd("WAITAOF").arg(1).arg(0).arg(patience).take(),
    }
}

/// The same question about nothing, which is answered at once: whether it can be asked at all.
pub(super) fn rehearsal(safety: Safety) -> Cmd {
    match safety {
        Safety::OnReplicas(_) => cmd("WAIT").arg(0).arg(1).take(),
        Safety::OnDisk => cmd("WAITAOF").arg(0).arg(0).arg(1).take(),
    }
}
