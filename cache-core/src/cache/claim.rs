//! Who loads: the capture before a load, the lease that keeps other nodes from loading the same, and the wait for theirs.
//!
//! The lease only saves work. What keeps a value right is the version that was captured before its load; so a lease that is
//! lost, or never was to be had, costs at worst one load more.

use std::{any::TypeId, future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    Call, Inner,
    ask::{Believed, Captured},
    load::{Ticket, answer},
    pending::Pending,
    scopes::ScopeState,
};
use crate::{
    budget::Budget,
    entry::Entry,
    error::{Error, ErrorKind},
    key::Key,
    lease::{Wait, Word},
    schema::Fingerprint,
    stats::Count,
    tier::{LeaseEnd, Leased, Op, Reply},
    value::ValueOps,
};

/// The life of a lease where nobody knows yet how long a load takes.
const FIRST_LIFE: Duration = Duration::from_secs(1);
/// A lease outlives the usual load this many times; a load that takes longer renews it.
const MARGIN: u32 = 4;
const SHORTEST_LIFE: Duration = Duration::from_millis(250);
const LONGEST_LIFE: Duration = Duration::from_secs(5);
/// A lease is renewed when this part of its life is over.
const RENEWALS: u32 = 3;
/// Whoever waits asks by himself after this time, and then less and less often. He is told when the load is over: to ask is for
/// words that are lost, and a crowd that asked often would keep the server from answering anybody in time.
const FIRST_QUESTION: Duration = Duration::from_millis(100);
const LAST_QUESTION: Duration = Duration::from_millis(250);
/// The longest wait for other nodes' loads where there is no hard timeout.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What the background work for a lease may spend on Redis.
const BACKGROUND_BUDGET: Duration = Duration::from_secs(1);

/// The duty to end a lease. Dropped, it is given up: somebody else's turn.
pub(super) struct Lease {
    inner: Arc<Inner>,
    key: Key,
    slot: TypeId,
    fingerprint: Fingerprint,
    life: Duration,
    ended: bool,
}

/// A lease to be asked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    fingerprint: Fingerprint,
    life: Duration,
}

impl Wanted {
    pub(super) fn op(self, key: &Key) -> Op {
        Op::Lease { key: key.clone(), fingerprint: self.fingerprint, life: self.life }
    }
}

/// What one question came to.
#[expect(clippy::large_enum_variant, reason = "taken apart where it is returned")]
enum Asked {
    Found(Arc<Entry>),
    /// With the lease, if it is this node's.
    Nothing(Captured, Option<Leased>, Option<Lease>),
    /// The origin does not have yet what there is, and this call cannot be told it: what it loads is not stored.
    Hidden,
}

/// What was said to the questions beside a capture: whose the lease is, and what there is.
pub(super) fn told(replies: Vec<Reply>) -> (Option<Leased>, Option<Reply>) {
    let (mut leased, mut read) = (None, None);
    for reply in replies {
        match reply {
            Reply::Lease(whose) => leased = Some(whose),
            Reply::Read { .. } => read = Some(reply),
            _ => {}
        }
    }
    (leased, read)
}

/// Whether this call is to load.
#[expect(clippy::large_enum_variant, reason = "taken apart where it is returned")]
pub(super) enum Claim {
    /// It is. What it loads belongs to the capture; without one it is not stored.
    Load(Option<Captured>, Option<Lease>),
    /// Another node has loaded.
    Found(Arc<Entry>),
    /// Another node loads.
    Elsewhere(Duration),
    /// Nobody is to load for a while.
    HeldOff(Duration),
}

impl Inner {
    /// Captures what a load depends on, and takes its lease; where another node has that, waits for what it loads, if `waits`.
    /// Nothing is answered that is not fresh.
    pub(super) async fn claim<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: &mut Ticket<T, E>,
        waits: bool,
    ) -> Result<Claim, Error> {
        if ticket.watch.is_none() {
            return Ok(Claim::Load(None, None));
        }
        let policy = ticket.scope.policy.with(ticket.call.overrides);
        let wanted = self.wanted_lease(ticket);
        // From before the question: what is said right after it is not missed.
        let mut wait = wanted.map(|_| self.waiting.listen(&ticket.call.key));
        let (captured, leased, ours) = match self.ask_for(ticket, wanted).await? {
            Asked::Found(entry) => return Ok(Claim::Found(entry)),
            Asked::Hidden => return Ok(Claim::Load(None, None)),
            Asked::Nothing(captured, leased, ours) => (captured, leased, ours),
        };
        let (Some(wanted), Some(leased), Some(wait)) = (wanted, leased, &mut wait) else {
            return Ok(Claim::Load(Some(captured), None));
        };
        match leased {
            Leased::Ours => Ok(Claim::Load(Some(captured), ours)),
            Leased::Theirs(left) if waits => {
                self.counters.add(Count::LeasesAwaited);
                let longest = policy.hard.unwrap_or(LONGEST_WAIT);
                self.await_theirs(ticket, wanted, left, longest, wait).await
            }
            Leased::HeldOff(_) if ticket.old.is_none() && waits => Ok(Claim::Load(Some(captured), None)),
            Leased::Theirs(left) => Ok(Claim::Elsewhere(left)),
            Leased::HeldOff(left) => Ok(Claim::HeldOff(left)),
        }
    }

    /// The lease that a load wants: none where there is nobody to share with.
    pub(super) fn wanted_lease<T: 'static, E: 'static>(&self, ticket: &Ticket<T, E>) -> Option<Wanted> {
        if !self.remote.stores() || ticket.lead.is_none() {
            return None;
        }
        let fingerprint = (ticket.call.ops.fingerprint)(self.codec, ticket.call.rev).ok()?;
        let usual = ticket.scope.usual_load();
        let life = usual.map_or(FIRST_LIFE, |usual| (usual * MARGIN).clamp(SHORTEST_LIFE, LONGEST_LIFE));
        Some(Wanted { fingerprint, life })
    }

    pub(super) fn lease<T: 'static, E: 'static>(self: &Arc<Self>, call: &Call<T, E>, wanted: Wanted) -> Lease {
        let Wanted { fingerprint, life } = wanted;
        let (inner, slot) = (Arc::clone(self), ValueOps::<T>::slot());
        Lease { inner, key: call.key.clone(), slot, fingerprint, life, ended: false }
    }

    /// Waits until there is a value, or it is this node's turn.
    async fn await_theirs<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: &mut Ticket<T, E>,
        lease: Wanted,
        mut left: Duration,
        longest: Duration,
        wait: &mut Wait,
    ) -> Result<Claim, Error> {
        let until = self.clock.now().plus(longest);
        let (mut question, mut is_unanswered) = (FIRST_QUESTION, false);
        loop {
            let pause = question.min(left).mul_f64(0.75 + fastrand::f64() / 2.0);
            question = (question * 3 / 2).min(LAST_QUESTION);
            let word = tokio::select! {
                biased;
                word = wait.word() => Some(word),
                () = sleep(pause) => None,
            };
            // Each question has a budget of its own: the time between them is nobody's fault.
            ticket.budget.renew(self.budget);
            let watch = self.watch(&ticket.call.key, &ticket.scope, &ticket.call.tags);
            if let Some(lead) = &ticket.lead {
                lead.depart(watch.departure());
            }
            ticket.watch = Some(watch);
            // What was stored is read: who is to load if it is gone again is the dearer question.
            if matches!(word, Some(Word::Ended(LeaseEnd::Filled)))
                && let Some(found) = self.read_filled(ticket).await
            {
                return Ok(Claim::Found(found));
            }
            // Whoever has an old value asks like everybody: for a while, nobody is to load.
            let has_failed = matches!(word, Some(Word::Ended(LeaseEnd::Failed))) && ticket.old.is_none();
            let is_own_turn = has_failed || self.clock.now() >= until;
            let (captured, leased, ours) = match self.ask_for(ticket, Some(lease).filter(|_| !is_own_turn)).await {
                Ok(Asked::Found(entry)) => return Ok(Claim::Found(entry)),
                Ok(Asked::Hidden) => return Ok(Claim::Load(None, None)),
                Ok(Asked::Nothing(captured, leased, ours)) => (captured, leased, ours),
                // One late answer says nothing about the load that is waited for. Two in a row, and Redis is not waited for.
                Err(_) if !is_own_turn && !std::mem::replace(&mut is_unanswered, true) => {
                    question = FIRST_QUESTION;
                    continue;
                }
                Err(error) => return Err(error),
            };
            is_unanswered = false;
            match leased {
                None => return Ok(Claim::Load(Some(captured), None)),
                Some(Leased::Ours) => return Ok(Claim::Load(Some(captured), ours)),
                Some(Leased::HeldOff(left)) if ticket.old.is_some() => return Ok(Claim::HeldOff(left)),
                Some(Leased::HeldOff(_)) => return Ok(Claim::Load(Some(captured), None)),
                Some(Leased::Theirs(still)) => left = still,
            }
        }
    }

    /// What another node is said to have stored. Whatever it is that is not there, a question of its own finds out.
    async fn read_filled<T: 'static, E: 'static>(&self, ticket: &mut Ticket<T, E>) -> Option<Arc<Entry>> {
        let Ticket { call, scope, watch: Some(watch), budget, newer_than, .. } = ticket else { return None };
        let found = self.read(call, scope, watch, budget).await.ok()??;
        let is_answer = found.meta.created > *newer_than && self.is_fresh_to(call, &found);
        is_answer.then(|| {
            self.install(watch.spot, &found, watch.stamp);
            found
        })
    }

    /// Whether an entry that was read is simply an answer to this call.
    pub(super) fn is_fresh_to<T: 'static, E: 'static>(&self, call: &Call<T, E>, entry: &Entry) -> bool {
        entry.meta.deadlines.fresh_at(self.clock.remote_micros()) && answer(call, entry).is_some()
    }

    /// One trip: the capture, the lease, and then the value once more: whoever gets a lease that another had sees what that one
    /// stored.
    async fn ask_for<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: &mut Ticket<T, E>,
        wanted: Option<Wanted>,
    ) -> Result<Asked, Error> {
        let Ticket { call, scope, watch: Some(watch), budget, newer_than, .. } = ticket else {
            return Err(Error::new(ErrorKind::Untrusted, "capture", "nothing was looked at before"));
        };
        let mut ops = Vec::new();
        let life = scope.policy.with(call.overrides).longest_life();
        let question = self.capture_question(&call.key, watch, life, self.more_of(call, wanted), &mut ops);
        let mut replies = self.ask(budget, ops).await?.into_iter();
        let (mut captured, more) = question.captured(&mut replies)?;
        let (leased, read) = told(more);
        // Held from here on, so that it is given up whatever comes of the rest.
        let ours = wanted.filter(|_| leased == Some(Leased::Ours)).map(|wanted| self.lease(call, wanted));
        if let Some(mark) = self.mark_of(&call.key, &mut captured) {
            match self.pending(call, scope, watch, &captured, mark, budget).await? {
                Pending::Found(entry) => {
                    if let Some(ours) = ours {
                        ours.needless();
                    }
                    return Ok(Asked::Found(entry));
                }
                Pending::Hidden => return Ok(Asked::Hidden),
                Pending::Flushed => {}
            }
        }
        let mut believed = Believed::of(&captured);
        let found = self.judge(call, scope, watch, &mut believed, read, budget).await?;
        let found = found.filter(|found| found.meta.created > *newer_than && self.is_fresh_to(call, found));
        let Some(found) = found else { return Ok(Asked::Nothing(captured, leased, ours)) };
        if let Some(ours) = ours {
            ours.needless();
        }
        self.install(watch.spot, &found, watch.stamp);
        Ok(Asked::Found(found))
    }

    /// What is asked along with a capture.
    pub(super) fn more_of<T: 'static, E: 'static>(&self, call: &Call<T, E>, wanted: Option<Wanted>) -> Vec<Op> {
        let lease = wanted.map(|wanted| wanted.op(&call.key));
        lease.into_iter().chain(self.read_op(call)).collect()
    }

    /// Runs a load, renewing its leases for as long as it takes and waiting for its turn where the scope has a limit. Answers
    /// how long the load itself took.
    pub(super) async fn run_load<R>(
        &self,
        scope: &ScopeState,
        leases: Vec<&Lease>,
        load: impl Future<Output = R>,
    ) -> (R, Duration) {
        let limited = async {
            let _turn = match &scope.loads {
                // Never closed.
                Some(loads) => loads.acquire().await.ok(),
                None => None,
            };
            let begun = self.clock.now();
            let returned = load.await;
            (returned, self.clock.now().since(begun))
        };
        let Some(life) = leases.iter().map(|lease| lease.life).min() else { return limited.await };
        let mut limited = pin!(limited);
        loop {
            match timeout(life / RENEWALS, &mut limited).await {
                Ok(returned) => return returned,
                Err(_) => leases.iter().for_each(|lease| lease.renew()),
            }
        }
    }
}

// === impl Lease ===

impl Lease {
    /// Asks for more time. Whether it was still to be had makes no difference to the load.
    fn renew(&self) {
        let (inner, life) = (Arc::clone(&self.inner), self.life);
        let op = Op::Renew { key: self.key.clone(), fingerprint: self.fingerprint, life };
        self.inner.tasks.spawn(async move { inner.ask_behind(op).await });
    }

    /// The value is in Redis, and whoever waited was told.
    pub(super) fn filled(mut self) {
        self.ended = true;
    }

    /// There is a value already: whoever waits finds it.
    pub(super) fn needless(mut self) {
        self.end(Duration::ZERO, LeaseEnd::Filled);
    }

    /// Nothing came of the load that others could use; for a while, nobody is to try again.
    pub(super) fn failed(mut self, hold: Duration) {
        self.end(hold, LeaseEnd::Failed);
    }

    fn end(&mut self, hold: Duration, word: LeaseEnd) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (inner, key, slot) = (Arc::clone(&self.inner), self.key.clone(), self.slot);
        let op = Op::Release { key: self.key.clone(), fingerprint: self.fingerprint, hold, word };
        self.inner.tasks.spawn(async move {
            // Whoever takes over in this process has the lease already.
            if word != LeaseEnd::GivenUp || !inner.flights.is_under_way(&key, slot) {
                inner.ask_behind(op).await;
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.end(Duration::ZERO, LeaseEnd::GivenUp);
    }
}

impl Inner {
    /// A question of which nobody waits for the answer.
    async fn ask_behind(&self, op: Op) {
        let mut budget = Budget::new(BACKGROUND_BUDGET);
        if let Err(error) = self.ask(&mut budget, vec![op]).await {
            tracing::debug!(%error, "a lease ends by itself");
        }
    }
}
