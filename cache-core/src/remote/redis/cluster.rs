//! A cluster: which primaries there are, which partition is whose, and a session with each of them.
//!
//! There is no one who knows. Each primary says what it holds, with every beat, and what is known is put together from that: a
//! partition is the concern of every primary that anybody says may take a write to it, the owner and, while its slot moves,
//! both ends. So what a beat proves is never more than the primary that answered it can answer for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, future::join, stream::FuturesUnordered};
use redis::aio::MultiplexedConnection;
use tokio::{
    sync::Notify,
    time::{Duration, sleep},
};

use super::{
    Fleet, Place, Router, Shard, beat::Beat, connect::Target, link::Link, names::Names, session::Session, view::View,
};
use crate::{
    error::{Error, ErrorKind},
    tier::{Assignment, PrimaryId},
};

/// How long nobody may say anything before all are asked.
const SILENCE: Duration = Duration::from_millis(500);

/// What is known of the cluster.
pub(crate) struct Cluster {
    seeds: Vec<Target>,
    known: Mutex<Known>,
    /// Somebody says something new.
    changed: Notify,
}

#[derive(Default)]
struct Known {
    /// Every primary that was ever heard of, by its number.
    members: Vec<Member>,
    /// What each says, as long as it can be reached.
    views: HashMap<PrimaryId, View>,
    /// What somebody said who was asked once: it counts as long as no primary says anything.
    hearsay: Option<(PrimaryId, View)>,
}

/// A primary by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    ip: String,
    hostname: Option<String>,
    port: u16,
}

/// What the views come to.
struct Picture {
    assignment: Assignment,
    /// By partition; none where nobody owns its slot.
    owners: Vec<Option<PrimaryId>>,
    members: Vec<Member>,
}

// === impl Cluster ===

impl Cluster {
    /// A cluster that some of its nodes, at least one, are known of.
    pub(crate) fn new(seeds: Vec<Target>) -> Self {
        Self { seeds, known: Mutex::default(), changed: Notify::new() }
    }

    /// A primary says this. Whose the partitions are then is told before this returns: a beat that it came with counts after it.
    pub(crate) fn hear(&self, fleet: &Fleet, primary: PrimaryId, view: View) {
        if self.saw(primary, view) {
            fleet.listener.assigned(&self.picture(&fleet.names).assignment);
            self.changed.notify_one();
        }
    }

    /// Whether a primary says something new.
    fn saw(&self, primary: PrimaryId, view: View) -> bool {
        let mut known = self.lock();
        let is_new = known.views.get(&primary) != Some(&view);
        if is_new {
            known.views.insert(primary, view);
        }
        is_new
    }

    /// What a primary said counts no more: it cannot be reached.
    pub(crate) fn lost(&self, primary: PrimaryId) {
        let mut known = self.lock();
        if let Some(view) = known.views.remove(&primary) {
            // The last word of all is better than none.
            known.hearsay = Some((primary, view));
            self.changed.notify_one();
        }
    }

    /// Only these can be asked again: what others said, who are primaries no longer, counts no more.
    fn keep_views_of(&self, present: &[PrimaryId]) {
        let mut known = self.lock();
        let before = known.views.len();
        known.views.retain(|primary, _| present.contains(primary));
        if known.views.len() < before {
            self.changed.notify_one();
        }
    }

    fn is_silent(&self) -> bool {
        self.lock().views.is_empty()
    }

    /// The number of the primary at an address, if it is known.
    pub(crate) fn at(&self, host: &str, port: u16) -> Option<PrimaryId> {
        let known = self.lock();
        let index = known
            .members
            .iter()
            .position(|member| member.port == port && (member.ip == host || member.hostname.as_deref() == Some(host)));
        index.and_then(PrimaryId::of_index)
    }

    /// Puts together what is known.
    fn picture(&self, names: &Names) -> Picture {
        let mut known = self.lock();
        let Known { members, views, hearsay } = &mut *known;
        let said: Vec<(PrimaryId, &View)> = if views.is_empty() {
            hearsay.iter().map(|(said_by, view)| (*said_by, view)).collect()
        } else {
            views.iter().map(|(said_by, view)| (*said_by, view)).collect()
        };
        let mut number = |primary: &super::view::Primary, said_by: PrimaryId| {
            // One that does not know its own address is where it was asked.
            if primary.ip.is_empty() && primary.is_self {
                return Some(said_by);
            }
            let found = members.iter().position(|member| primary.is_at(&member.ip, member.port));
            if let Some(member) = found.map(|index| &mut members[index]) {
                member.hostname.clone_from(&primary.hostname);
            }
            let index = found.unwrap_or_else(|| {
                let (ip, hostname, port) = (primary.ip.clone(), primary.hostname.clone(), primary.port);
                members.push(Member { ip, hostname, port });
                members.len() - 1
            });
            PrimaryId::of_index(index)
        };
        let mut present: Vec<PrimaryId> = Vec::new();
        let mut owners = Vec::new();
        let mut guardians = Vec::new();
        for partition in 0..names.partitions() {
            let slot = names.slot_of(partition);
            let mut of_this = Vec::new();
            let mut owner: Option<(u64, PrimaryId)> = None;
            for (said_by, view) in &said {
                for primary in view.guardians(slot) {
                    let Some(id) = number(primary, *said_by) else { continue };
                    if !of_this.contains(&id) {
                        of_this.push(id);
                    }
                    if primary.owns(slot) && owner.is_none_or(|(epoch, _)| epoch < primary.epoch) {
                        owner = Some((primary.epoch, id));
                    }
                }
            }
            // In an order that does not depend on who was asked first.
            of_this.sort_unstable_by_key(|id| id.index());
            for id in &of_this {
                if !present.contains(id) {
                    present.push(*id);
                }
            }
            owners.push(owner.map(|(_, id)| id));
            guardians.push(of_this);
        }
        Picture { assignment: Assignment { guardians, present }, owners, members: members.clone() }
    }

    /// Whose a slot is.
    fn owner_of(&self, slot: u16) -> Option<PrimaryId> {
        let known = self.lock();
        let hearsay = known.hearsay.iter().map(|(_, view)| view).filter(|_| known.views.is_empty());
        let views = known.views.values().chain(hearsay);
        let owners = views.flat_map(|view| view.primaries.iter().filter(|primary| primary.owns(slot)));
        let owner = owners.max_by_key(|primary| primary.epoch)?;
        let index = known.members.iter().position(|member| owner.is_at(&member.ip, member.port));
        index.and_then(PrimaryId::of_index)
    }

    /// Asks the seeds, and everybody who was ever heard of, until somebody answers.
    async fn ask_around(&self, fleet: &Fleet) -> Result<(), Error> {
        let mut last = None;
        let members: Vec<Target> = {
            let known = self.lock();
            let seed = &self.seeds[0];
            known.members.iter().map(|member| member.target(seed)).collect()
        };
        for target in self.seeds.iter().chain(&members) {
            let asked = async { ask(target, &mut target.open(|_| {}).await?).await };
            match asked.await {
                Ok(view) => {
                    let mut known = self.lock();
                    let (ip, port) = target.host_and_port();
                    let number = known.members.iter().position(|member| member.ip == ip && member.port == port);
                    let number = number.unwrap_or_else(|| {
                        known.members.push(Member { ip, hostname: None, port });
                        known.members.len() - 1
                    });
                    let Some(id) = PrimaryId::of_index(number) else { continue };
                    known.hearsay = Some((id, view));
                    self.changed.notify_one();
                    return Ok(());
                }
                Err(error) => last = Some(error),
            }
        }
        let none = || Error::config("cluster", format!("no node was named for `{}`", fleet.config.namespace));
        Err(last.unwrap_or_else(none))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    /// How to reach it: as the seed is reached, but for the address. Certificates name hosts.
    fn target(&self, seed: &Target) -> Target {
        let by_name = self.hostname.as_deref().filter(|_| seed.is_tls());
        seed.at(by_name.unwrap_or(&self.ip), self.port)
    }
}

/// What one node says.
pub(crate) async fn ask(target: &Target, connection: &mut MultiplexedConnection) -> Result<View, Error> {
    let mut question = redis::cmd("CLUSTER");
    question.arg("NODES");
    let text: Result<String, Error> = target.step("CLUSTER NODES", question.query_async(connection)).await;
    let view = View::parse(&text.map_err(|error| match error.kind() {
        ErrorKind::Remote => {
            let detail = format!("{} is no node of a cluster: name one server with `Redis::server`", target.address());
            Error::caused(ErrorKind::Config, "cluster", detail, error)
        }
        _ => error,
    })?);
    if view.primaries.iter().any(|primary| primary.slot_to_stay().is_some()) {
        return Ok(view);
    }
    let detail = format!("the cluster of {} has no primary with slots yet", target.address());
    Err(Error::new(ErrorKind::Unreachable, "cluster", detail))
}

// === sessions ===

/// The sessions with all primaries.
pub(crate) struct Sessions {
    fleet: Arc<Fleet>,
    shards: HashMap<PrimaryId, Arc<Shard>>,
    /// Beats of primaries that are gone, for who takes their place.
    orphans: Vec<Beat>,
}

impl Sessions {
    pub(crate) fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet, shards: HashMap::new(), orphans: Vec::new() }
    }

    /// The first links: one with every primary.
    ///
    /// # Errors
    ///
    /// What a person has to put right, and a cluster of which no node answers.
    pub(crate) async fn first_links(&mut self) -> Result<Vec<(Session, Option<Arc<Link>>)>, Error> {
        let fleet = Arc::clone(&self.fleet);
        let Some(cluster) = &fleet.cluster else { return Ok(Vec::new()) };
        cluster.ask_around(&fleet).await?;
        let mut sessions = Vec::new();
        for mut session in self.follow() {
            match session.first_link().await {
                Ok(link) => sessions.push((session, Some(link))),
                // One of several may be down just now.
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "starting without a primary");
                    cluster.lost(session.primary());
                    sessions.push((session, None));
                }
                Err(error) => return Err(error),
            }
        }
        if sessions.iter().all(|(_, link)| link.is_none()) {
            self.leave_all();
            return Err(Error::new(ErrorKind::Unreachable, "cluster", "none of its primaries can be reached"));
        }
        Ok(sessions)
    }

    /// Ends with all of them, as if none had been found.
    fn leave_all(&mut self) {
        for (_, shard) in self.shards.drain() {
            shard.closed.cancel();
            shard.hang_up();
        }
        self.fleet.router.store(Arc::default());
    }

    /// Takes up what is known now: sessions with new primaries, which are answered, an end to those with old ones.
    fn follow(&mut self) -> Vec<Session> {
        let fleet = Arc::clone(&self.fleet);
        let Some(cluster) = &fleet.cluster else { return Vec::new() };
        let picture = cluster.picture(&fleet.names);
        // The marks before the routes: nothing is served of a primary that nobody listens to.
        fleet.listener.assigned(&picture.assignment);
        let present = &picture.assignment.present;
        // Whoever took over the slot of a beat has to have it. Those of the ones before are known, gone or not: some may still
        // take them for what they were.
        self.orphans.extend(self.shards.values().map(|shard| shard.remembered()));
        self.shards.retain(|id, shard| {
            let stays = present.contains(id);
            if !stays {
                tracing::info!(server = shard.address(), "no longer a primary of the cluster");
                shard.closed.cancel();
            }
            stays
        });
        let new: Vec<PrimaryId> = present.iter().filter(|id| !self.shards.contains_key(id)).copied().collect();
        let mut sessions = Vec::new();
        for id in new {
            let target = picture.members[id.index()].target(&cluster.seeds[0]);
            tracing::info!(server = target.address(), "a primary of the cluster");
            let shard = Shard::new(id, Arc::clone(&fleet), Place::Fixed(target));
            let is_heir = |beat: &Beat| beat.slot().is_some_and(|slot| cluster.owner_of(slot) == Some(id));
            let memory = self.orphans.iter().position(is_heir).map(|index| self.orphans.swap_remove(index));
            if let Some(memory) = &memory {
                // For the next heir, should this one not live to beat.
                shard.remember(memory);
            }
            sessions.push(Session::new(Arc::clone(&shard), memory));
            self.shards.insert(id, shard);
        }
        // A beat without an heir waits for one.
        self.orphans.retain(|beat| beat.slot().is_some_and(|slot| cluster.owner_of(slot).is_none()));
        cluster.keep_views_of(present);
        let route = |owner: &Option<PrimaryId>| owner.as_ref().and_then(|id| self.shards.get(id)).cloned();
        let owners = picture.owners.iter().map(route).collect();
        fleet.router.store(Arc::new(Router { owners, shards: self.shards.clone() }));
        sessions
    }

    /// Keeps the sessions, and follows the cluster.
    pub(crate) async fn keep(mut self, first: Vec<(Session, Option<Arc<Link>>)>) {
        let fleet = Arc::clone(&self.fleet);
        let Some(cluster) = &fleet.cluster else { return };
        let following = async {
            let mut kept: FuturesUnordered<_> = first.into_iter().map(|(session, link)| session.keep(link)).collect();
            loop {
                for session in self.follow() {
                    kept.push(session.keep(None));
                }
                // Somebody says something new; meanwhile the sessions go on.
                loop {
                    tokio::select! {
                        biased;
                        () = cluster.changed.notified() => break,
                        Some(()) = kept.next() => {}
                    }
                }
            }
        };
        // All may have moved elsewhere while nobody was reached.
        let asking = async {
            loop {
                sleep(SILENCE.mul_f64(0.5 + fastrand::f64())).await;
                if cluster.is_silent()
                    && let Err(error) = cluster.ask_around(&fleet).await
                {
                    tracing::debug!(%error, "no node of the cluster answers");
                }
            }
        };
        fleet.closed.run_until_cancelled(join(following, asking)).await;
    }
}

impl Drop for Sessions {
    /// However they end, and be it with the runtime.
    fn drop(&mut self) {
        self.leave_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: PrimaryId = PrimaryId::FIRST;

    /// A cluster that knows of one node, which is asked.
    fn cluster() -> Cluster {
        let cluster = Cluster::new(Vec::new());
        cluster.lock().members.push(Member { ip: "10.0.0.1".into(), hostname: None, port: 7000 });
        cluster
    }

    /// What a node says: who has all the slots, by the last number of its address.
    fn all_are_of(number: u8) -> View {
        View::parse(&format!("id{number} 10.0.0.{number}:7000@17000 master - 0 0 {number} connected 0-16383\n"))
    }

    fn owners(cluster: &Cluster) -> Vec<String> {
        let picture = cluster.picture(&Names::new("shop", 4));
        let mut owners: Vec<String> =
            picture.assignment.present.iter().map(|id| picture.members[id.index()].ip.clone()).collect();
        owners.sort();
        owners
    }

    fn second() -> PrimaryId {
        PrimaryId::of_index(1).unwrap()
    }

    #[test]
    fn hearsay_counts_until_a_primary_speaks() {
        let cluster = cluster();
        cluster.lock().hearsay = Some((FIRST, all_are_of(2)));
        assert_eq!(owners(&cluster), ["10.0.0.2"]);
        cluster.saw(second(), all_are_of(3));
        assert_eq!(owners(&cluster), ["10.0.0.3"], "whoever was asked once may have been wrong, or be by now");
    }

    #[test]
    fn what_one_said_that_is_lost_counts_only_if_nobody_else_speaks() {
        let cluster = cluster();
        cluster.saw(FIRST, all_are_of(1));
        cluster.lost(FIRST);
        assert_eq!(owners(&cluster), ["10.0.0.1"], "the last word of all is better than none");
        assert!(cluster.is_silent());
        cluster.saw(second(), all_are_of(2));
        assert_eq!(owners(&cluster), ["10.0.0.2"]);
    }

    #[test]
    fn guardians_are_whoever_anybody_takes_for_one_and_the_owner_is_the_latest() {
        let cluster = cluster();
        cluster.saw(FIRST, all_are_of(1));
        cluster.saw(second(), all_are_of(2));
        let picture = cluster.picture(&Names::new("shop", 4));
        assert!(picture.assignment.guardians.iter().all(|guardians| guardians.len() == 2));
        let owners = picture.owners.iter().flatten().map(|id| picture.members[id.index()].ip.as_str());
        assert!(owners.eq(["10.0.0.2"; 4]), "of two that claim a slot the one with the higher epoch has it");
    }
}
