//! A link: the pair of connections to a server, from the moment both work to the moment either is lost.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use redis::aio::MultiplexedConnection;
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    ears::{Ears, PROBES},
    server,
};
use crate::error::{Error, ErrorKind};

/// Both connections to the server.
pub(crate) struct Link {
    /// Commands.
    pub(crate) data: MultiplexedConnection,
    /// Notifications, the beat and the barrier.
    pub(crate) ears: MultiplexedConnection,
    pub(crate) hearing: Arc<Ears>,
    /// Cancelled when either connection is lost.
    pub(crate) gone: CancellationToken,
    /// Whether the last beat was answered in time: a stopped server says nothing, and nobody should wait for it twice.
    answers: AtomicBool,
}

impl Link {
    /// Connects both ends, checks the server, and subscribes. Nothing is heard for certain before the first echo.
    pub(crate) async fn establish(shared: &Shared) -> Result<Self, Error> {
        let target = &shared.target;
        let gone = CancellationToken::new();
        let hearing = Arc::new(Ears::new(shared.names.clone(), Arc::clone(&shared.listener), gone.clone()));
        let lost = gone.clone();
        let mut data = target
            .open(move |info| {
                if info.kind == redis::PushKind::Disconnection {
                    lost.cancel();
                }
            })
            .await?;
        let () = target.step("PING", redis::cmd("PING").exec_async(&mut data)).await?;
        server::check_notifications(target, &mut data, shared.config.ensure_notifications).await?;
        server::agree_on_partitions(target, &mut data, &shared.names).await?;
        let scripts = shared.scripts.load();
        target.batch("SCRIPT LOAD", &mut data, &scripts).await?;

        let [control, payload] = [0, 1].map(|beyond| shared.names.probe(&shared.node, PROBES + beyond));
        let rehearsal = shared.scripts.rehearsal(&control, &payload, shared.clock.remote_micros());
        target.batch("rehearsal", &mut data, &rehearsal).await?;

        let pushes = Arc::clone(&hearing);
        let mut ears = target.open(move |info| pushes.push(&info)).await?;
        let patterns = shared.names.patterns(target.database());
        let echoes = shared.names.echoes(target.database(), &shared.node, PROBES);
        let subscribed = match target.step("PSUBSCRIBE", ears.psubscribe(&patterns[..])).await {
            Ok(()) => target.step("SUBSCRIBE", ears.subscribe(&echoes[..])).await,
            refused => refused,
        };
        subscribed.map_err(|error| match error.kind() {
            ErrorKind::Denied => {
                let [keys, tags] = &patterns;
                let probes = shared.names.probes(target.database());
                let detail = format!(
                    "the user may not listen to `{keys}`, `{tags}` and `{probes}`; grant them in the ACL (`&{keys}`)"
                );
                Error::caused(ErrorKind::Denied, "PSUBSCRIBE", detail, error)
            }
            _ => error,
        })?;
        Ok(Self { data, ears, hearing, gone, answers: AtomicBool::new(true) })
    }

    /// Whether it is worth asking.
    pub(crate) fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed) && !self.gone.is_cancelled()
    }

    pub(crate) fn set_answers(&self, answers: bool) {
        self.answers.store(answers, Ordering::Relaxed);
    }

    /// One of the connections failed.
    pub(crate) fn broken(&self) {
        self.gone.cancel();
    }
}
