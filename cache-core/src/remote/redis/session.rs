//! The session: keeps a link alive, beats on it, and settles doubts about what Redis holds.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::{RedisError, Value};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{Shared, commands, connect::kind_of, link::Link, server};
use crate::{
    error::{Error, ErrorKind},
    tag::TagId,
    tier::{Op, Record, Reply},
};

/// Beats per bound.
const BEATS: u32 = 4;
/// A probe outlives this many bounds.
const LIVES: u32 = 8;
/// Unheard beats after which the server's settings are looked at again.
const DEAF_AFTER: u64 = 4;
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// The first link of a cache: whatever a person has to put right is an error here.
pub(crate) async fn first_link(shared: &Shared) -> Result<Arc<Link>, Error> {
    let link = Arc::new(Link::establish(shared).await?);
    let mut beat = Beat::default();
    let proof = async {
        beat.send(shared, &link).await?;
        link.hearing.echo_of(1).await;
        Ok::<(), Error>(())
    };
    match timeout(shared.config.patience, proof).await {
        Ok(proved) => proved?,
        Err(_) => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "keyspace notifications",
                server::advice(&shared.target, None),
            ));
        }
    }
    // A new process has nothing to distrust: what is recorded counts.
    shared.listener.reachable(true);
    shared.link.store(Some(Arc::clone(&link)));
    Ok(link)
}

/// Keeps the link until the tier is closed.
pub(crate) async fn keep(shared: Arc<Shared>, first: Option<Arc<Link>>) {
    let closed = shared.closed.clone();
    let session = async {
        let mut link = first;
        loop {
            match link.take() {
                Some(link) => {
                    live(&shared, &link).await;
                    shared.link.store(None);
                    link.gone.cancel();
                    // Whatever was under way on it may be lost, and what comes back may be older.
                    shared.doubt();
                    shared.listener.reachable(false);
                    tracing::warn!(server = shared.target.address(), "lost the connection to Redis");
                }
                None => link = Some(relink(&shared).await),
            }
        }
    };
    closed.run_until_cancelled_owned(session).await;
    if let Some(link) = shared.link.swap(None) {
        link.gone.cancel();
    }
}

/// A new link; after a lost one, and after unconfirmed evictions, published only when the namespace's generation has been moved.
async fn relink(shared: &Shared) -> Arc<Link> {
    let mut backoff = BACKOFF_FIRST;
    let mut said = String::new();
    loop {
        let attempt = async {
            let link = Arc::new(Link::establish(shared).await?);
            if !shared.is_trusted() {
                settle(shared, &link).await?;
            }
            Ok::<_, Error>(link)
        };
        match attempt.await {
            Ok(link) => {
                shared.link.store(Some(Arc::clone(&link)));
                shared.listener.reachable(true);
                tracing::info!(server = shared.target.address(), "connected to Redis again");
                return link;
            }
            Err(error) if error.is_transient() => tracing::debug!(%error, "Redis is not back yet"),
            Err(error) => {
                // A person has to put it right: said once, not at every attempt.
                let words = error.to_string();
                if said != words {
                    tracing::warn!(%error, "Redis is there, but cannot be used");
                    said = words;
                }
            }
        }
        sleep(backoff.mul_f64(0.5 + fastrand::f64())).await;
        backoff = (backoff * 2).min(BACKOFF_LAST);
    }
}

/// Moves the namespace's generation, so that nothing stored before now is used again, and ends the doubts raised so far.
async fn settle(shared: &Shared, link: &Link) -> Result<(), Error> {
    let doubts = shared.doubts.load(Ordering::Acquire);
    let record = Record::Tag(TagId::Namespace);
    let op = Op::Bump { record, proposed: shared.clock.remote_micros(), put: None };
    let mut pipeline = redis::pipe();
    shared.scripts.add(&mut pipeline, &shared.names, &op, 0);
    let mut data = link.data.clone();
    let values = timeout(shared.config.patience, shared.trip(link, &mut data, &pipeline, 1))
        .await
        .map_err(|_| Error::new(ErrorKind::Timeout, "settle", "the server does not answer"))??;
    match values.into_iter().next().map(|value| commands::reply(&op, value)) {
        Some(Reply::Bumped { .. }) => {
            // This node's own idea of the generation is older now; the echo will say so too, but later.
            shared.listener.tag_changed(&TagId::Namespace);
            shared.settled.fetch_max(doubts, Ordering::AcqRel);
            Ok(())
        }
        Some(Reply::Failed(error)) => Err(error),
        _ => Err(Error::new(ErrorKind::Remote, "settle", "the server did not confirm the new generation")),
    }
}

/// Beats on the link and settles doubts until the link is lost.
async fn live(shared: &Shared, link: &Link) {
    let mut beat = Beat { number: link.hearing.echoed(), ..Beat::default() };
    let mut due = interval(shared.config.bound / BEATS);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = link.gone.cancelled() => return,
            _ = due.tick() => {}
            () = shared.doubted.notified() => {
                if !shared.is_trusted() && settle(shared, link).await.is_err() {
                    return;
                }
                continue;
            }
        }
        match timeout(shared.config.bound, beat.send(shared, link)).await {
            Ok(Ok(())) => {
                link.set_answers(true);
                shared.listener.reachable(true);
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the beat failed");
                return;
            }
            Err(_) => {
                link.set_answers(false);
                tracing::warn!(server = shared.target.address(), "Redis does not answer");
                return;
            }
        }
        if beat.number >= link.hearing.echoed() + DEAF_AFTER {
            let mut data = link.data.clone();
            let ensure = shared.config.ensure_notifications;
            if let Err(error) = server::check_notifications(&shared.target, &mut data, ensure).await {
                tracing::warn!(%error, "Redis no longer tells about changes: every local hit asks it first");
            }
        }
    }
}

/// The beat of one link.
#[derive(Default)]
struct Beat {
    /// The number of the last beat sent.
    number: u64,
    /// The namespace's generation as the last beat saw it.
    namespace: Option<u64>,
}

impl Beat {
    /// Writes the probe and learns the namespace's generation and the server's time. Its echo comes by itself.
    async fn send(&mut self, shared: &Shared, link: &Link) -> Result<(), Error> {
        self.number += 1;
        let sent = shared.clock.now();
        let index = link.hearing.sending(self.number, sent);
        let mut pipeline = redis::pipe();
        let probe = shared.names.probe(&shared.node, index);
        shared.scripts.add_probe(&mut pipeline, probe, self.number, shared.config.bound.saturating_mul(LIVES));
        pipeline.cmd("TIME");
        let acquire = Op::Acquire { record: Record::Tag(TagId::Namespace), needs: None };
        shared.scripts.add(&mut pipeline, &shared.names, &acquire, shared.clock.remote_micros());
        let mut ears = link.ears.clone();
        let mut values = shared.trip(link, &mut ears, &pipeline, 3).await?.into_iter();
        let answered = shared.clock.now();
        let (Some(probe), Some(time), Some(namespace)) = (values.next(), values.next(), values.next()) else {
            return Err(Error::new(ErrorKind::Remote, "beat", "the server answered less than it was asked"));
        };
        if let Value::ServerError(error) = probe {
            // A demoted primary, a user without rights: it cannot echo what it does not write.
            let error = RedisError::from(error);
            let detail = format!("{} does not take the beat: {error}", shared.target.address());
            return Err(Error::caused(kind_of(&error), "beat", detail, error));
        }
        if let Some(micros) = time_of(&time) {
            shared.clock.learn_remote(sent, answered, micros);
        }
        if commands::lost_script(&namespace) {
            // SCRIPT FLUSH: the next beat looks at the namespace again.
            let scripts = shared.scripts.load();
            return shared.trip(link, &mut ears, &scripts, scripts.len()).await.map(|_| ());
        }
        if let Reply::Version(generation) = commands::reply(&acquire, namespace) {
            self.compare_namespace(shared, generation);
        }
        Ok(())
    }

    /// FLUSHALL tells nobody. But the record of the namespace has no life to end: if it moved silently, or had to be made
    /// anew, then the records of everything else may be gone too.
    fn compare_namespace(&mut self, shared: &Shared, generation: Option<u64>) {
        if self.namespace.is_some() && self.namespace != generation {
            shared.listener.gap("the namespace's generation moved");
            shared.listener.tag_changed(&TagId::Namespace);
        }
        self.namespace = generation;
    }
}

/// The answer to `TIME`, in microseconds.
fn time_of(value: &Value) -> Option<u64> {
    let Value::Array(parts) = value else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    match parts.as_slice() {
        [secs, micros] => Some(number(secs)?.saturating_mul(1_000_000).saturating_add(number(micros)?)),
        _ => None,
    }
}
