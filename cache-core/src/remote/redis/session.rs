//! The session with one primary: keeps a link alive, beats on it, and compares what comes back after a lost one.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{
    Shard,
    beat::{Beat, Sent},
    link::Link,
    server,
};
use crate::{
    error::{Error, ErrorKind},
    tier::{Continuity, Mechanism, PrimaryId},
};

/// Beats per bound.
pub(crate) const BEATS: u32 = 4;
const BACKOFF_FIRST: Duration = Duration::from_millis(50);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// One primary's session: its beat, and the mechanism that is tried next.
pub(crate) struct Session {
    shard: Arc<Shard>,
    beat: Beat,
    /// Which of the mechanisms the last link was by.
    mechanism: usize,
    /// How long to wait before the next attempt. Not at first, nor after a link that has lived for a bound.
    backoff: Duration,
}

impl Session {
    /// A session; `beat` is that of a primary whose place this one has taken.
    pub(crate) fn new(shard: Arc<Shard>, beat: Option<Beat>) -> Self {
        Self { shard, beat: beat.unwrap_or_default(), mechanism: 0, backoff: Duration::ZERO }
    }

    /// Whom it is with.
    pub(crate) fn primary(&self) -> PrimaryId {
        self.shard.id
    }

    /// The first link of a cache: whatever a person has to put right is an error here.
    pub(crate) async fn first_link(&mut self) -> Result<Arc<Link>, Error> {
        let mechanisms = self.shard.fleet.config.mechanisms.clone();
        let mut refusals = Vec::new();
        for (index, mechanism) in mechanisms.iter().enumerate() {
            match self.prove(*mechanism).await {
                Ok(link) => {
                    self.mechanism = index;
                    self.publish(&link, Continuity::Unbroken);
                    return Ok(link);
                }
                // The next one may do.
                Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Denied) => {
                    refusals.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        // What stood in the way of the first choice is what a person will want to know first.
        Err(refusals.swap_remove(0))
    }

    /// A link on which a beat has been heard.
    async fn prove(&mut self, mechanism: Mechanism) -> Result<Arc<Link>, Error> {
        let shard = Arc::clone(&self.shard);
        let link = Arc::new(Link::establish(&shard, mechanism, &mut self.beat).await?);
        let proof = async {
            let _continuity = self.beat.compare(&shard, &link).await?;
            if let Sent::Alone = self.beat.send(&shard, &link).await? {
                let detail = format!("fewer replicas than `min_replicas` asks for follow {}", shard.address());
                return Err(Error::new(ErrorKind::Unreachable, "WAIT", detail));
            }
            link.hearing.counted_after(0).await;
            Ok::<(), Error>(())
        };
        match timeout(shard.fleet.config.patience, proof).await {
            Ok(proved) => proved.map(|()| link),
            Err(_) => {
                Err(Error::new(ErrorKind::Unsupported, mechanism.as_str(), server::deaf(&shard.target(), mechanism)))
            }
        }
    }

    /// Keeps the link until the tier is closed.
    pub(crate) async fn keep(mut self, first: Option<Arc<Link>>) {
        let shard = Arc::clone(&self.shard);
        let session = async {
            let mut link = first;
            loop {
                match link.take() {
                    Some(link) => {
                        let begun = shard.fleet.clock.now();
                        let end = self.live(&link).await;
                        self.lost(&link, end);
                        if shard.fleet.clock.now().since(begun) >= shard.fleet.config.bound {
                            self.backoff = Duration::ZERO;
                        }
                    }
                    None => link = Some(self.relink().await),
                }
            }
        };
        shard.closed.run_until_cancelled(session).await;
        shard.hang_up();
    }

    /// Whatever was under way on the link may be lost, and what comes back may be older.
    fn lost(&self, link: &Link, why: &'static str) {
        let shard = &self.shard;
        shard.distrust();
        shard.link.store(None);
        link.gone.cancel();
        shard.fleet.listener.reachable(shard.id, false);
        if let Some(cluster) = &shard.fleet.cluster {
            cluster.lost(shard.id);
        }
        tracing::warn!(server = shard.address(), why, "lost the connection to Redis");
    }

    /// From now on calls use the link.
    fn publish(&self, link: &Arc<Link>, continuity: Continuity) {
        let shard = &self.shard;
        shard.breaker.reset();
        // First: what was known before must not be held beside what the new server says. From here on everything is heard.
        shard.fleet.listener.gap(shard.id, "a new connection");
        shard.link.store(Some(Arc::clone(link)));
        // Told before anything that the server holds is used: what may be lost is not believed until it was evicted again.
        shard.fleet.listener.restored(continuity);
        shard.trust();
        shard.fleet.listener.reachable(shard.id, true);
    }

    /// A new link, compared with the one before.
    async fn relink(&mut self) -> Arc<Link> {
        let mut said = String::new();
        loop {
            sleep(self.backoff.mul_f64(0.5 + fastrand::f64())).await;
            self.backoff = (self.backoff * 2).clamp(BACKOFF_FIRST, BACKOFF_LAST);
            match self.attempt().await {
                Ok((link, continuity)) => {
                    tracing::info!(server = self.shard.address(), ?continuity, "connected to Redis again");
                    self.publish(&link, continuity);
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
                    self.mechanism += 1;
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<(Arc<Link>, Continuity), Error> {
        let attempt = self.try_to_link().await;
        if let (Err(_), Some(cluster)) = (&attempt, &self.shard.fleet.cluster) {
            // What it said on the way counts only as long as it can be asked again.
            cluster.lost(self.shard.id);
        }
        attempt
    }

    async fn try_to_link(&mut self) -> Result<(Arc<Link>, Continuity), Error> {
        let shard = Arc::clone(&self.shard);
        let mechanisms = &shard.fleet.config.mechanisms;
        let mechanism = mechanisms[self.mechanism % mechanisms.len()];
        let link = Arc::new(Link::establish(&shard, mechanism, &mut self.beat).await?);
        let compared = timeout(shard.fleet.config.patience, self.beat.compare(&shard, &link)).await;
        let unanswered = |_| Error::new(ErrorKind::Timeout, "compare", "the server does not answer");
        let continuity = compared.map_err(unanswered)??;
        Ok((link, continuity))
    }

    /// Beats on the link until it is lost; answers why.
    async fn live(&mut self, link: &Link) -> &'static str {
        let shard = Arc::clone(&self.shard);
        let bound = shard.fleet.config.bound;
        let mut due = interval(bound / BEATS);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = link.gone.cancelled() => return "the connection broke",
                _ = due.tick() => {}
                () = shard.wanted_beat() => {}
            }
            match timeout(bound, self.beat(link)).await {
                Ok(Ok(sent)) => {
                    shard.remember(&self.beat);
                    link.set_answers(true);
                    shard.fleet.listener.reachable(shard.id, true);
                    if let Sent::RolledBack = sent {
                        self.rolled_back(link);
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the beat failed");
                    return "it does not take the beat";
                }
                Err(_) => {
                    link.set_answers(false);
                    return "it does not answer";
                }
            }
            let silence = shard.fleet.clock.now().since(link.hearing.heard_up_to());
            if silence > bound && self.is_deaf(link).await {
                return "it does not tell about changes";
            }
            if shard.has_moved(self.beat.number()).await {
                return "another has taken its place";
            }
        }
    }

    /// Sends a beat; and once in a bound asks something on the connection for commands, which may be dead while the beat's is not.
    async fn beat(&mut self, link: &Link) -> Result<Sent, Error> {
        let shard = Arc::clone(&self.shard);
        let asks = self.beat.number().is_multiple_of(u64::from(BEATS));
        let answers = async { if asks { shard.ping(link, link.data.clone()).await } else { Ok(()) } };
        let (sent, ()) = try_join(self.beat.send(&shard, link), answers).await?;
        Ok(sent)
    }

    /// A server that is still there has lost what it had.
    fn rolled_back(&mut self, link: &Link) {
        let shard = &self.shard;
        shard.distrust();
        let continuity = self.beat.rolled_back(link);
        shard.fleet.listener.gap(shard.id, "the server has lost what it held");
        shard.fleet.listener.restored(continuity);
        shard.trust();
    }

    /// The server answers, but its echoes do not come. Whether another mechanism has to be tried; there may be none, and then
    /// each hit is confirmed until somebody puts the server right.
    async fn is_deaf(&mut self, link: &Link) -> bool {
        let config = &self.shard.fleet.config;
        if link.mechanism == Mechanism::Keyspace {
            let mut data = link.data.clone();
            let (target, fence) = (self.shard.target(), self.shard.fleet.names.fence(self.beat.slot()));
            let checked = server::check_notifications(&target, &mut data, fence, config).await;
            let Err(error) = checked else { return false };
            tracing::warn!(%error, "Redis no longer tells about changes");
        }
        let is_not_the_only_one = config.mechanisms.len() > 1;
        if is_not_the_only_one {
            self.mechanism += 1;
        }
        is_not_the_only_one
    }
}
