//! The two ways in which a server tells about changes.

use redis::aio::MultiplexedConnection;

use super::{Fleet, connect::Target, ears::PROBES, names::Names, server};
use crate::{
    error::{Error, ErrorKind},
    tier::Mechanism,
};

/// Makes the server tell this connection about changes of our records, and of this node's own beat, which is in `slot`.
///
/// # Errors
///
/// [`Unsupported`](ErrorKind::Unsupported) or [`Denied`](ErrorKind::Denied) if this server does not do so in this way, with
/// what a person can do about it.
pub(crate) async fn listen(
    fleet: &Fleet,
    target: &Target,
    mechanism: Mechanism,
    slot: Option<u16>,
    data: &mut MultiplexedConnection,
    ears: &mut MultiplexedConnection,
) -> Result<(), Error> {
    match mechanism {
        Mechanism::Keyspace => keyspace(fleet, target, slot, data, ears).await,
        Mechanism::Tracking => tracking(fleet, target, ears).await,
    }?;
    ends_of_leases(fleet, target, ears).await
}

/// To be told when a lease that this node waits for has ended. A user who may not listen there finds out by asking, a little
/// later.
async fn ends_of_leases(fleet: &Fleet, target: &Target, ears: &mut MultiplexedConnection) -> Result<(), Error> {
    let channel = fleet.names.ends(&fleet.node);
    match target.step("SUBSCRIBE", ears.subscribe(&channel)).await {
        Err(error) if error.kind() == ErrorKind::Denied => {
            let pattern = fleet.names.ends("*");
            tracing::info!(
                pattern,
                "the user may not listen to the ends of leases: waiting nodes ask from time to time"
            );
            Ok(())
        }
        told => told,
    }
}

async fn keyspace(
    fleet: &Fleet,
    target: &Target,
    slot: Option<u16>,
    data: &mut MultiplexedConnection,
    ears: &mut MultiplexedConnection,
) -> Result<(), Error> {
    let fence = fleet.names.fence(slot);
    server::check_notifications(target, data, fence, &fleet.config).await?;
    let patterns = fleet.names.patterns(target.database());
    let subscribed = match target.step("PSUBSCRIBE", ears.psubscribe(&patterns[..])).await {
        Ok(()) if fleet.cluster.is_some() => {
            target.step("PSUBSCRIBE", ears.psubscribe(fleet.names.echoes_anywhere(&fleet.node))).await
        }
        Ok(()) => {
            let echoes = fleet.names.echoes(target.database(), &fleet.node, PROBES);
            target.step("SUBSCRIBE", ears.subscribe(&echoes[..])).await
        }
        refused => refused,
    };
    let subscribed = match subscribed {
        Ok(()) if fleet.config.expired_events => {
            target.step("SUBSCRIBE", ears.subscribe(Names::expired_events(target.database()))).await
        }
        subscribed => subscribed,
    };
    subscribed.map_err(|error| match error.kind() {
        ErrorKind::Denied => {
            let [keys, tags] = &patterns;
            let probes = fleet.names.probes(target.database());
            let detail = if fleet.cluster.is_some() || fleet.config.expired_events {
                // Names of chance among them, which no ACL can foresee.
                "the user may not listen to every channel that it has to; grant all in the ACL (`&*`)".to_owned()
            } else {
                format!(
                    "the user may not listen to `{keys}`, `{tags}` and `{probes}`; grant them in the ACL (`&{keys}`)"
                )
            };
            Error::caused(ErrorKind::Denied, "PSUBSCRIBE", detail, error)
        }
        _ => error,
    })
}

/// Server-assisted client-side caching in its broadcasting mode: by prefix, whoever writes, without the server remembering
/// which keys were read (<https://redis.io/docs/latest/develop/reference/client-side-caching/>).
async fn tracking(fleet: &Fleet, target: &Target, ears: &mut MultiplexedConnection) -> Result<(), Error> {
    let mut track = redis::cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST");
    for prefix in fleet.names.prefixes(&fleet.node) {
        track.arg("PREFIX").arg(prefix);
    }
    let tracked: Result<(), Error> = target.step("CLIENT TRACKING", track.exec_async(ears)).await;
    tracked.map_err(|error| match error.kind() {
        ErrorKind::Remote => {
            let detail = format!("{} does not offer CLIENT TRACKING in its broadcasting mode", target.address());
            Error::caused(ErrorKind::Unsupported, "CLIENT TRACKING", detail, error)
        }
        _ => error,
    })
}
