//! Who loads: the capture before a load, the lease that keeps other nodes from loading the same, and the wait for theirs.
//!
//! The lease only saves work. What keeps a value right is the version that was captured before its load; so a lease that is
//! lost, or never was to be had, costs at worst one load more.

use std::{any::TypeId, future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    Call, Inner,
    ask::{Believed, Captured, Watch},
    load::{Ticket, answer},
    scopes::ScopeState,
};
use crate::{
    budget::Budget,
    entry::Entry,
    error::Error,
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
/// Whoever waits asks by himself after this time, and then less and less often.
const FIRST_QUESTION: Duration = Duration::from_millis(25);
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

/// Whether this call is to load.
pub(super) enum Claim {
    /// It is. What it loads belongs to the capture; without one it is not stored.
    Load(Option<Captured>, Option<Lease>),
    /// Another node has loaded.
    Found(Arc<Entry>),
    /// Another node loads, or nobody is to load for a while.
    Elsewhere(Duration),
}

/// What one trip found out.
struct Asked {
    captured: Captured,
    /// Nothing where no lease was wanted, or none is to be had.
    leased: Option<Leased>,
    ours: Option<Lease>,
    /// What another node has stored.
    stored: Option<Arc<Entry>>,
}

impl Inner {
    /// Captures what a load depends on, and takes its lease; where another node has that, waits for what it loads, if `waits`.
    /// Nothing is answered that is not fresh.
    pub(super) async fn claim<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: &mut Ticket<T, E>,
        waits: bool,
    ) -> Result<Claim, Error> {
        let Some(watch) = ticket.watch.take() else { return Ok(Claim::Load(None, None)) };
        let policy = ticket.scope.policy.with(ticket.call.overrides);
        let wanted = self.wanted_lease(ticket);
        // From before the question: what is said right after it is not missed.
        let mut wait = wanted.map(|_| self.waiting.listen(&ticket.call.key));
        let asked = self.ask_for_lease(ticket, &watch, wanted).await;
        ticket.watch = Some(watch);
        let Asked { captured, leased, ours, stored } = asked?;
        if let Some(stored) = stored {
            return Ok(Claim::Found(stored));
        }
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
            Leased::Theirs(left) | Leased::HeldOff(left) => Ok(Claim::Elsewhere(left)),
        }
    }

    /// The lease that a load wants: none where there is nobody to share with.
    fn wanted_lease<T: 'static, E: 'static>(&self, ticket: &Ticket<T, E>) -> Option<(Fingerprint, Duration)> {
        if !self.remote.stores() || ticket.lead.is_none() {
            return None;
        }
        let fingerprint = (ticket.call.ops.fingerprint)(self.codec, ticket.call.rev).ok()?;
        let usual = ticket.scope.usual_load();
        let life = usual.map_or(FIRST_LIFE, |usual| (usual * MARGIN).clamp(SHORTEST_LIFE, LONGEST_LIFE));
        Some((fingerprint, life))
    }

    fn lease<T: 'static, E: 'static>(
        self: &Arc<Self>,
        call: &Call<T, E>,
        (fingerprint, life): (Fingerprint, Duration),
    ) -> Lease {
        let (inner, slot) = (Arc::clone(self), ValueOps::<T>::slot());
        Lease { inner, key: call.key.clone(), slot, fingerprint, life, ended: false }
    }

    /// Waits until there is a value, or it is this node's turn.
    async fn await_theirs<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: &mut Ticket<T, E>,
        lease: (Fingerprint, Duration),
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
            // Whoever has an old value asks like everybody: for a while, nobody is to load.
            let has_failed = matches!(word, Some(Word::Ended(LeaseEnd::Failed))) && ticket.old.is_none();
            let is_own_turn = has_failed || self.clock.now() >= until;
            let asked = self.ask_for_lease(ticket, &watch, (!is_own_turn).then_some(lease)).await;
            ticket.watch = Some(watch);
            let asked = match asked {
                Ok(asked) => asked,
                // One late answer says nothing about the load that is waited for. Two in a row, and Redis is not waited for.
                Err(_) if !is_own_turn && !std::mem::replace(&mut is_unanswered, true) => {
                    question = FIRST_QUESTION;
                    continue;
                }
                Err(error) => return Err(error),
            };
            is_unanswered = false;
            if let Some(stored) = asked.stored {
                return Ok(Claim::Found(stored));
            }
            match asked.leased {
                None => return Ok(Claim::Load(Some(asked.captured), None)),
                Some(Leased::Ours) => return Ok(Claim::Load(Some(asked.captured), asked.ours)),
                Some(Leased::HeldOff(left)) if ticket.old.is_some() => return Ok(Claim::Elsewhere(left)),
                Some(Leased::HeldOff(_)) => return Ok(Claim::Load(Some(asked.captured), None)),
                Some(Leased::Theirs(still)) => left = still,
            }
        }
    }

    /// Whether an entry that was read is simply an answer to this call.
    pub(super) fn is_fresh_to<T: 'static, E: 'static>(&self, call: &Call<T, E>, entry: &Entry) -> bool {
        entry.meta.deadlines.fresh_at(self.clock.remote_micros()) && answer(call, entry).is_some()
    }

    /// One trip: the capture, the lease if one is wanted, and then what is stored. In this order: whoever gets a lease because
    /// another node's has just ended sees what that has stored.
    async fn ask_for_lease<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: &mut Ticket<T, E>,
        watch: &Watch,
        wanted: Option<(Fingerprint, Duration)>,
    ) -> Result<Asked, Error> {
        let Ticket { call, scope, budget, than, .. } = ticket;
        let whole = scope.policy.with(call.overrides).longest_life();
        let lease = wanted.map(|(fingerprint, life)| Op::Lease { key: call.key.clone(), fingerprint, life });
        let more = lease.into_iter().chain(self.read_op(call)).collect();
        let (captured, replies) = self.capture_and(&call.key, watch, whole, more, budget).await?;
        let mut replies = replies.into_iter().peekable();
        let leased = match replies.next_if(|reply| matches!(reply, Reply::Lease(_))) {
            Some(Reply::Lease(leased)) => Some(leased),
            _ => None,
        };
        // Held from here on, so that it is given up if nothing comes of it.
        let ours = wanted.filter(|_| leased == Some(Leased::Ours)).map(|lease| self.lease(call, lease));
        let mut believed = Believed::at_second_look();
        let stored = self.judge(call, scope, watch, &mut believed, replies.next(), budget).await?;
        let stored = stored.filter(|stored| stored.meta.created > *than && self.is_fresh_to(call, stored));
        if let Some(stored) = &stored {
            self.install(watch.spot, stored, watch.stamp);
        }
        Ok(Asked { captured, leased, ours, stored })
    }

    /// Runs a load, renewing its lease for as long as it takes and waiting for its turn where the scope has a limit. Answers
    /// how long the load itself took.
    pub(super) async fn run_load<R>(
        &self,
        scope: &ScopeState,
        lease: Option<&Lease>,
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
        let Some(lease) = lease else { return limited.await };
        let mut limited = pin!(limited);
        loop {
            match timeout(lease.life / RENEWALS, &mut limited).await {
                Ok(returned) => return returned,
                Err(_) => lease.renew(),
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
