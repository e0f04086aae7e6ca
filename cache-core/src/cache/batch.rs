//! Many keys in one call: one trip for what is cached, one load for what is not, and each key with a flight and a lease of its
//! own, so that batches which overlap share loads.
//!
//! A batch starts every load that it leads before it awaits another's: so two that wait for each other cannot stand still.

use std::{collections::HashMap, future::Future, hash::Hash, panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use super::{
    Call, Inner,
    ask::{Believed, Captured, generation_of, hear_all},
    claim::{Claim, Wanted, told},
    load::{Answer, Ticket, answer},
    old::Use,
    panic_message,
    pending::Pending,
    returned::{Returned, Why},
};
use crate::{
    budget::Budget,
    entry::Entry,
    flight::{Landing, Lead, Seat, Turn},
    outcome::{Bypass, Outcome, Tier},
    stats::Count,
    tier::{Leased, Reply},
    value::ValueOps,
};

/// Keys that one trip asks for; more make more trips.
const KEYS_PER_TRIP: usize = 256;
/// How often a batch sets out again for keys whose load by somebody else came to nothing. Then it loads them by itself.
const ROUNDS: usize = 3;

/// What a batch found, by key; nothing for a key of which the origin had nothing.
pub(super) type Found<Id, T> = HashMap<Id, (Option<T>, Outcome, Option<Arc<Entry>>)>;

/// One key of a batch that is to be loaded.
type Loading<Id, T, E> = (Id, Returned<T, E>);

/// One key of a batch that somebody else loads in this process.
struct Aboard<Id, T: 'static, E: 'static> {
    id: Id,
    call: Box<Call<T, E>>,
    seat: Seat,
    boarded_at: u64,
}

/// What came of waiting for a key.
#[expect(clippy::large_enum_variant, reason = "taken apart where it is returned")]
enum Waited<Id, T: 'static, E: 'static> {
    Answer(Id, Answer<T, E>),
    /// Nothing: it has to be asked for again.
    Open(Id, Box<Call<T, E>>),
    /// It is this batch's turn to load it.
    Load(Loading<Id, T, E>),
}

/// A batch on its way.
struct Batch<Id, T: 'static, E: 'static> {
    found: Found<Id, T>,
    leading: Vec<(Id, Box<Ticket<T, E>>)>,
    aboard: Vec<Aboard<Id, T, E>>,
    /// Other nodes load these.
    elsewhere: Vec<(Id, Box<Ticket<T, E>>)>,
    loading: Vec<Loading<Id, T, E>>,
}

impl Inner {
    /// Answers calls from the cache, and by `load` for those that are not there and that nobody else loads. An id that `load`
    /// leaves out is one of which the origin has nothing.
    ///
    /// # Errors
    ///
    /// That of a load, of this batch's or of one that it waited for, if there is a key that it leaves without an answer. What else
    /// was loaded is cached all the same.
    pub(super) async fn answer_many<Id, T, E, F>(
        self: &Arc<Self>,
        calls: Vec<(Id, Box<Call<T, E>>)>,
        load: impl Fn(Vec<Id>) -> F,
    ) -> Result<Found<Id, T>, E>
    where
        Id: Clone + Eq + Hash,
        T: 'static,
        E: 'static,
        F: Future<Output = Result<HashMap<Id, T>, E>>,
    {
        let mut batch = Batch {
            found: HashMap::with_capacity(calls.len()),
            leading: Vec::new(),
            aboard: Vec::new(),
            elsewhere: Vec::new(),
            loading: Vec::new(),
        };
        let mut open = calls;
        for round in 0.. {
            for (id, call) in std::mem::take(&mut open) {
                self.take_up(&mut batch, id, call, round < ROUNDS).await;
            }
            self.look_for_many(&mut batch).await;
            self.claim_many(&mut batch).await;
            self.load_many(&mut batch, &load).await?;
            open = self.wait_for_many(&mut batch, &load).await?;
            if open.is_empty() && batch.loading.is_empty() {
                break;
            }
        }
        Ok(batch.found)
    }

    /// L1, and the key's flight; or neither, where the call goes past the cache.
    async fn take_up<Id: Eq + Hash, T: 'static, E: 'static>(
        &self,
        batch: &mut Batch<Id, T, E>,
        id: Id,
        call: Box<Call<T, E>>,
        shares: bool,
    ) {
        let scope = self.scopes.state(call.key.scope(), &self.tags);
        let policy = scope.policy.with(call.overrides);
        let refusal = self.refusal(&call, &scope);
        let (key, slot, budget) = (call.key.clone(), ValueOps::<T>::slot(), Budget::new(self.budget));
        let mut ticket = Box::new(Ticket::new(call, scope, budget));
        if refusal.is_some() || !shares {
            ticket.bypass = refusal;
            batch.loading.push((id, Returned::unclaimed(ticket)));
            return;
        }
        let kept = self.kept::<T>(&key, &policy, self.clock.now());
        let boarded_at = self.tags.sequence();
        let seat = self.flights.board(&key, slot, 0, |departure| self.stands(departure));
        if let Some((entry, usage)) = kept {
            // Where somebody loads it already, a stale value does; nobody loads in the background for a batch.
            let does = match usage {
                Use::Hit | Use::Early => true,
                Use::Stale => !seat.leads(),
                Use::FailSafe => self.refreshes.is_held_off(&key, slot, self.clock.now()),
            };
            let outcome = usage.outcome(Tier::Local);
            if let Some(answer) =
                does.then(|| self.serve_old(&ticket.call, &entry, outcome, ticket.budget.spent())).flatten()
            {
                return batch.answered(id, answer);
            }
            ticket.old = Some((entry, Tier::Local));
        }
        if !seat.leads() {
            batch.aboard.push(Aboard { id, call: ticket.call, seat, boarded_at });
            return;
        }
        if let Turn::Lead(lead) = seat.turn().await {
            ticket.lead = Some(lead);
            batch.leading.push((id, ticket));
        }
    }

    /// L2, in one trip for each 256 keys. What is there lands.
    async fn look_for_many<Id: Eq + Hash, T: 'static, E: 'static>(&self, batch: &mut Batch<Id, T, E>) {
        let mut leading = std::mem::take(&mut batch.leading);
        for (_, ticket) in &mut leading {
            let watch = self.watch(&ticket.call.key, &ticket.scope, &ticket.call.tags);
            if let Some(lead) = &ticket.lead {
                lead.depart(watch.departure());
            }
            ticket.watch = Some(watch);
        }
        let mut rest = leading.into_iter();
        loop {
            let chunk: Vec<_> = rest.by_ref().take(KEYS_PER_TRIP).collect();
            if chunk.is_empty() {
                return;
            }
            self.look_for_some(batch, chunk).await;
        }
    }

    async fn look_for_some<Id: Eq + Hash, T: 'static, E: 'static>(
        &self,
        batch: &mut Batch<Id, T, E>,
        mut chunk: Vec<(Id, Box<Ticket<T, E>>)>,
    ) {
        let reads: Option<Vec<_>> = chunk.iter().map(|(_, ticket)| self.read_op(&ticket.call)).collect();
        let Some(mut ops) = reads else {
            // No payloads are kept anywhere else; one that was softly evicted is still here.
            for (_, ticket) in &mut chunk {
                self.keep_old_of_local(ticket).await;
            }
            return batch.leading.extend(chunk);
        };
        let mut believed = Believed::default();
        let cells = chunk.iter().filter_map(|(_, ticket)| ticket.watch.as_ref());
        let mut cells: Vec<_> = cells.flat_map(|watch| watch.cells.iter().map(|seen| &seen.cell)).collect();
        cells.sort_unstable_by_key(|cell| Arc::as_ptr(cell));
        cells.dedup_by_key(|cell| Arc::as_ptr(cell));
        let asked = self.unknown(cells.into_iter(), &believed);
        ops.extend(asked.iter().map(|seen| generation_of(&seen.cell)));
        let mut budget = Budget::new(self.budget);
        let Ok(replies) = self.ask(&mut budget, ops).await else {
            let unanswered = chunk.into_iter().map(|(id, mut ticket)| {
                self.unanswered(&mut ticket);
                (id, ticket)
            });
            return batch.leading.extend(unanswered);
        };
        let mut replies = replies.into_iter();
        let reads: Vec<_> = replies.by_ref().take(chunk.len()).collect();
        // What was not said is asked for once more, by those whom it concerns.
        let _all = hear_all(&mut believed, asked, replies);
        for ((id, mut ticket), read) in chunk.into_iter().zip(reads) {
            let Ticket { call, scope, .. } = &*ticket;
            let Some(watch) = &ticket.watch else { continue };
            let judged = self.judge(call, scope, watch, &mut believed, Some(read), &mut budget).await;
            let Ok(Some(entry)) = judged else {
                if judged.is_err() {
                    self.unanswered(&mut ticket);
                }
                batch.leading.push((id, ticket));
                continue;
            };
            self.install(watch.spot, &entry, watch.stamp);
            if self.is_fresh_to(call, &entry) {
                let answer = self.land_found(&mut ticket, entry, Outcome::Hit(Tier::Remote));
                batch.answered(id, answer);
            } else {
                ticket.old = Some((entry, Tier::Remote));
                batch.leading.push((id, ticket));
            }
        }
    }

    /// Redis did not say what it has for one of them.
    fn unanswered<T: 'static, E: 'static>(&self, ticket: &mut Ticket<T, E>) {
        ticket.old = ticket.old.take().or_else(|| self.unverified(&ticket.call, &ticket.scope));
        ticket.bypass = Some(Bypass::Remote);
    }

    /// The capture and the lease of each, in one trip for each 256 keys.
    async fn claim_many<Id: Clone + Eq + Hash, T: 'static, E: 'static>(self: &Arc<Self>, batch: &mut Batch<Id, T, E>) {
        let mut leading = std::mem::take(&mut batch.leading).into_iter();
        loop {
            let chunk: Vec<_> = leading.by_ref().take(KEYS_PER_TRIP).collect();
            if chunk.is_empty() {
                return;
            }
            for (id, mut ticket, claim) in self.claim_some(chunk).await {
                match claim {
                    Claim::Load(captured, lease) => {
                        batch.loading.push((id, Returned { ticket, captured, lease, why: Why::Miss }));
                    }
                    Claim::Found(entry) => {
                        let answer = self.land_found(&mut ticket, entry, Outcome::Joined);
                        batch.answered(id, answer);
                    }
                    Claim::Elsewhere(_) | Claim::HeldOff(_) => batch.elsewhere.push((id, ticket)),
                }
            }
        }
    }

    async fn claim_some<Id, T: 'static, E: 'static>(
        self: &Arc<Self>,
        chunk: Vec<(Id, Box<Ticket<T, E>>)>,
    ) -> Vec<(Id, Box<Ticket<T, E>>, Claim)> {
        let (mut ops, mut questions) = (Vec::new(), Vec::new());
        for (_, ticket) in &chunk {
            let Some(watch) = ticket.watch.as_ref().filter(|_| ticket.bypass.is_none()) else {
                questions.push(None);
                continue;
            };
            let life = ticket.scope.policy.with(ticket.call.overrides).longest_life();
            let wanted = self.wanted_lease(ticket);
            let more = self.more_of(&ticket.call, wanted);
            questions.push(Some((self.capture_question(&ticket.call.key, watch, life, more, &mut ops), wanted)));
        }
        let mut budget = Budget::new(self.budget);
        let answered = if ops.is_empty() { Ok(Vec::new()) } else { self.ask(&mut budget, ops).await };
        let is_answered = answered.is_ok();
        let mut replies = answered.unwrap_or_default().into_iter();
        let mut claims = Vec::with_capacity(chunk.len());
        for ((_, ticket), question) in chunk.iter().zip(questions) {
            let question = question.filter(|_| is_answered);
            let captured = question.map(|(question, wanted)| (question.captured(&mut replies), wanted));
            claims.push(match captured {
                Some((Ok((captured, more)), wanted)) => {
                    Ok(self.claim_one(ticket, captured, more, wanted, &mut budget).await)
                }
                _ => Err(ticket.bypass.or(Some(Bypass::Remote))),
            });
        }
        let claimed = chunk.into_iter().zip(claims).map(|((id, mut ticket), claim)| {
            let claim = claim.unwrap_or_else(|bypass| {
                ticket.bypass = bypass;
                Claim::Load(None, None)
            });
            (id, ticket, claim)
        });
        claimed.collect()
    }

    /// What was said about one of them.
    async fn claim_one<T: 'static, E: 'static>(
        self: &Arc<Self>,
        ticket: &Ticket<T, E>,
        mut captured: Captured,
        more: Vec<Reply>,
        wanted: Option<Wanted>,
        budget: &mut Budget,
    ) -> Claim {
        let Ticket { call, scope, watch: Some(watch), .. } = ticket else { return Claim::Load(Some(captured), None) };
        let (leased, read) = told(more);
        let lease = (leased == Some(Leased::Ours)).then_some(wanted).flatten().map(|wanted| self.lease(call, wanted));
        if let Some(mark) = self.mark_of(&call.key, &mut captured) {
            match self.pending(call, scope, watch, &captured, mark, budget).await {
                Ok(Pending::Found(entry)) => {
                    if let Some(lease) = lease {
                        lease.needless();
                    }
                    return Claim::Found(entry);
                }
                Ok(Pending::Hidden) | Err(_) => return Claim::Load(None, None),
                Ok(Pending::Flushed) => {}
            }
        }
        let found = self.judge(call, scope, watch, &mut Believed::of(&captured), read, budget).await;
        if let Some(found) = found.ok().flatten().filter(|found| self.is_fresh_to(call, found)) {
            if let Some(lease) = lease {
                lease.needless();
            }
            self.install(watch.spot, &found, watch.stamp);
            return Claim::Found(found);
        }
        match leased {
            Some(Leased::Theirs(left)) => Claim::Elsewhere(left),
            Some(Leased::HeldOff(left)) if ticket.old.is_some() => Claim::HeldOff(left),
            _ => Claim::Load(Some(captured), lease),
        }
    }

    /// One load for all that are to be loaded.
    ///
    /// # Errors
    ///
    /// Its own, if it leaves a key without an answer.
    async fn load_many<Id, T, E, F>(
        self: &Arc<Self>,
        batch: &mut Batch<Id, T, E>,
        load: &impl Fn(Vec<Id>) -> F,
    ) -> Result<(), E>
    where
        Id: Clone + Eq + Hash,
        T: 'static,
        E: 'static,
        F: Future<Output = Result<HashMap<Id, T>, E>>,
    {
        let mut loading = std::mem::take(&mut batch.loading);
        let Some(scope) = loading.first().map(|(_, first)| Arc::clone(&first.ticket.scope)) else { return Ok(()) };
        self.counters.add(Count::Loads);
        let ids: Vec<Id> = loading.iter().map(|(id, _)| id.clone()).collect();
        let leases = loading.iter().filter_map(|(_, returned)| returned.lease.as_ref()).collect();
        let (result, took) = self.run_load(&scope, leases, AssertUnwindSafe(load(ids)).catch_unwind()).await;
        match result {
            Ok(Ok(mut values)) => {
                scope.took(took);
                for (id, returned) in loading {
                    let answer = self.loaded(returned, values.remove(&id), took);
                    batch.answered(id, answer);
                }
                Ok(())
            }
            Ok(Err(error)) => {
                self.counters.add(Count::LoadFailures);
                let shared = loading.first().and_then(|(_, first)| first.ticket.call.rules.share(&error));
                let mut is_told = false;
                for (id, mut returned) in loading {
                    match self.stand_in(&mut returned) {
                        Some(answer) => batch.answered(id, answer),
                        None => {
                            self.land_failure(returned, shared.clone());
                            is_told = true;
                        }
                    }
                }
                if is_told { Err(error) } else { Ok(()) }
            }
            Err(panic) => {
                self.counters.add(Count::LoadPanics);
                let leads = loading.iter_mut().filter_map(|(_, returned)| returned.ticket.lead.take());
                let leads: Vec<Lead> = leads.collect();
                for lead in leads {
                    lead.panicked(panic_message(&*panic));
                }
                std::panic::resume_unwind(panic)
            }
        }
    }

    /// What others load, here or on other nodes. Answers what has to be asked for again.
    ///
    /// # Errors
    ///
    /// That of a load which somebody else led, at once: what else was waited for would change nothing.
    async fn wait_for_many<Id, T, E, F>(
        self: &Arc<Self>,
        batch: &mut Batch<Id, T, E>,
        load: &impl Fn(Vec<Id>) -> F,
    ) -> Result<Vec<(Id, Box<Call<T, E>>)>, E>
    where
        Id: Clone + Eq + Hash,
        T: 'static,
        E: 'static,
        F: Future<Output = Result<HashMap<Id, T>, E>>,
    {
        let aboard = std::mem::take(&mut batch.aboard).into_iter().map(|aboard| self.wait_aboard(aboard).left_future());
        let elsewhere = std::mem::take(&mut batch.elsewhere).into_iter();
        let elsewhere = elsewhere.map(|parked| self.wait_elsewhere(parked).right_future());
        let waits = aboard.chain(elsewhere).enumerate();
        let mut waits: FuturesUnordered<_> =
            waits.map(|(place, wait)| wait.map(move |waited| (place, waited))).collect();
        let mut open = Vec::new();
        while let Some((place, first)) = waits.next().await {
            let mut some = vec![(place, first?)];
            // What else has ended by now goes into the same load, in the order in which it was asked for.
            while let Some(Some((place, another))) = waits.next().now_or_never() {
                some.push((place, another?));
            }
            some.sort_by_key(|(place, _)| *place);
            for (_, waited) in some {
                batch.waited(waited, &mut open);
            }
            // What it leads by now it loads before it waits on: others wait for just that.
            self.load_many(batch, load).await?;
        }
        Ok(open)
    }

    async fn wait_aboard<Id, T: 'static, E: 'static>(&self, aboard: Aboard<Id, T, E>) -> Result<Waited<Id, T, E>, E> {
        let Aboard { id, call, seat, boarded_at } = aboard;
        let budget = Budget::new(self.budget);
        match seat.turn().await {
            Turn::Landed { landing: Landing::Value(landed), departed, .. }
                if self.stood_until(boarded_at, departed, &landed.result_tags) =>
            {
                let Some(result) = answer(&call, &landed.entry) else { return Ok(Waited::Open(id, call)) };
                let outcome = landed.outcome.unwrap_or(Outcome::Joined);
                Waited::answer(id, self.answer(&call, result, outcome, Some(landed.entry), &budget))
            }
            Turn::Landed { landing: Landing::Failed(shared), .. } => {
                if let Some(error) = call.rules.take(shared) {
                    return Waited::answer(id, self.answer(&call, Err(error), Outcome::Joined, None, &budget));
                }
                // Side by side with the others who waited, never one behind another.
                let scope = self.scopes.state(call.key.scope(), &self.tags);
                Ok(Waited::Load((id, Returned::unclaimed(Box::new(Ticket::new(call, scope, budget))))))
            }
            Turn::Landed { landing: Landing::Panicked(message), .. } => {
                std::panic::resume_unwind(Box::new(message.to_string()))
            }
            // Given up, or of before a change.
            Turn::Lead(_) | Turn::Landed { .. } | Turn::Overtaken { .. } => Ok(Waited::Open(id, call)),
        }
    }

    async fn wait_elsewhere<Id, T: 'static, E: 'static>(
        self: &Arc<Self>,
        (id, mut ticket): (Id, Box<Ticket<T, E>>),
    ) -> Result<Waited<Id, T, E>, E> {
        loop {
            match self.claim(&mut ticket, true).await {
                Ok(Claim::Found(entry)) => {
                    let answer = self.land_found(&mut ticket, entry, Outcome::Joined);
                    return Waited::answer(id, answer);
                }
                Ok(Claim::Load(captured, lease)) => {
                    return Ok(Waited::Load((id, Returned { ticket, captured, lease, why: Why::Miss })));
                }
                Ok(Claim::Elsewhere(left) | Claim::HeldOff(left)) => {
                    if let Some(answer) = self.held_off(&mut ticket, left) {
                        return Waited::answer(id, answer);
                    }
                }
                Err(_) => {
                    ticket.bypass = Some(Bypass::Remote);
                    return Ok(Waited::Load((id, Returned::unclaimed(ticket))));
                }
            }
        }
    }
}

impl<Id, T, E> Waited<Id, T, E> {
    /// An answer, or an error, which is that of the batch.
    fn answer(id: Id, answer: Answer<T, E>) -> Result<Self, E> {
        match answer {
            Answer { result: Err(error), .. } => Err(error),
            answer => Ok(Self::Answer(id, answer)),
        }
    }
}

impl<Id: Eq + Hash, T, E> Batch<Id, T, E> {
    fn waited(&mut self, waited: Waited<Id, T, E>, open: &mut Vec<(Id, Box<Call<T, E>>)>) {
        match waited {
            Waited::Answer(id, answer) => self.answered(id, answer),
            Waited::Open(id, call) => open.push((id, call)),
            Waited::Load(loading) => self.loading.push(loading),
        }
    }

    fn answered(&mut self, id: Id, answer: Answer<T, E>) {
        if let Answer { result: Ok(value), outcome, entry } = answer {
            self.found.insert(id, (value, outcome, entry));
        }
    }
}
