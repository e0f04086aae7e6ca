//! A link: the pair of connections to a server, from the moment both work to the moment either is lost.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use redis::aio::MultiplexedConnection;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    Shard,
    beat::Beat,
    cluster,
    confirms::Confirms,
    ears::{Ears, PROBES},
    listen::listen,
    server::{self, Identity},
    slot,
};
use crate::{error::Error, tier::Mechanism};

/// Both connections to the server.
pub(crate) struct Link {
    /// Commands.
    pub(crate) data: MultiplexedConnection,
    /// Notifications, the beat and the barrier.
    pub(crate) ears: MultiplexedConnection,
    pub(crate) hearing: Arc<Ears>,
    /// How the server tells about changes on this link.
    pub(crate) mechanism: Mechanism,
    /// Who is at the other end, if it says so.
    pub(crate) identity: Option<Identity>,
    /// Appends that are answered when they are safe, once there are any.
    pub(crate) confirms: OnceCell<Confirms>,
    /// Cancelled when either connection is lost.
    pub(crate) gone: CancellationToken,
    /// Whether the last beat was answered in time: a stopped server says nothing, and nobody should wait for it twice.
    answers: AtomicBool,
}

impl Link {
    /// Finds the server, connects both ends, checks it, and has it tell about changes by `mechanism`. Nothing is heard for
    /// certain before the echo of the next beat.
    pub(crate) async fn establish(shard: &Shard, mechanism: Mechanism, beat: &mut Beat) -> Result<Self, Error> {
        let target = &*shard.locate().await?;
        let fleet = &shard.fleet;
        let gone = CancellationToken::new();
        let listener = Arc::clone(&fleet.listener);
        let (names, now) = (fleet.names.clone(), fleet.clock.now());
        let hearing = Arc::new(Ears::new(shard.id, names, listener, beat.number(), now, gone.clone()));
        let lost = gone.clone();
        let mut data = target
            .open(move |info| {
                if info.kind == redis::PushKind::Disconnection {
                    lost.cancel();
                }
            })
            .await?;
        let () = target.step("PING", redis::cmd("PING").exec_async(&mut data)).await?;
        let identity = server::identity(target, &mut data, fleet.cluster.is_some()).await?;
        let mut has_meta = true;
        if let Some(cluster) = &fleet.cluster {
            let view = cluster::ask(target, &mut data).await?;
            beat.settle_in(&view, target)?;
            has_meta = view.own().is_some_and(|own| own.owns(slot::of(&fleet.names.meta())));
            cluster.hear(fleet, shard.id, view);
        }
        if has_meta {
            server::agree_on_partitions(target, &mut data, &fleet.names).await?;
        }
        let scripts = fleet.scripts.load();
        target.batch("SCRIPT LOAD", &mut data, &scripts).await?;

        let [control, payload] = [0, 1].map(|beyond| fleet.names.probe(&fleet.node, beat.slot(), PROBES + beyond));
        let rehearsal = fleet.scripts.rehearsal(&control, &payload, fleet.clock.remote_micros());
        target.rehearse(&mut data, &rehearsal).await?;

        let pushes = Arc::clone(&hearing);
        let mut ears = target.open(move |info| pushes.push(&info)).await?;
        listen(fleet, target, mechanism, beat.slot(), &mut data, &mut ears).await?;
        Ok(Self {
            data,
            ears,
            hearing,
            mechanism,
            identity,
            confirms: OnceCell::new(),
            gone,
            answers: AtomicBool::new(true),
        })
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
