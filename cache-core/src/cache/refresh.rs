//! Loading again in the background, for a value that is stale, or about to be.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::timeout;

use super::{
    Call, Context, Inner,
    claim::Claim,
    load::{Answer, Ticket, tags_unwatched},
    returned::{Returned, Why},
};
use crate::{
    budget::Budget,
    entry::Entry,
    flight::{Landed, Landing, Turn},
    outcome::Outcome,
    stats::Count,
    value::ValueOps,
};

/// What came of a refresh.
pub(super) enum Refreshed {
    /// There is a new value: loaded here, or by another node.
    New(Arc<Entry>),
    /// The load failed, or what it returned is not kept.
    Failed,
    /// Somebody else sees to it.
    Elsewhere(Duration),
    /// It failed elsewhere, and nobody is to try again for so long.
    HeldOff(Duration),
}

/// The shortest time for which somebody else's refresh is left alone.
const LEFT_ALONE: Duration = Duration::from_millis(20);

impl Inner {
    /// Loads a key again in a task of its own, for a value that was made later `than` this; not if that is under way, or was tried in vain a short while ago.
    pub(crate) fn refresh<T, E, F>(self: &Arc<Self>, call: Box<Call<T, E>>, than: u64, load: F)
    where
        T: Send + Sync + 'static,
        E: Send + 'static,
        F: Future<Output = Result<Option<T>, E>> + Send + 'static,
    {
        if self.tasks.is_closed() {
            return;
        }
        let Some(refresh) = self.refreshes.begin(&call.key, ValueOps::<T>::slot(), self.clock.now()) else { return };
        let scope = call.key.scope().name();
        let inner = Arc::clone(self);
        let throttle = self.scopes.state(call.key.scope(), &self.tags).policy.throttle;
        // From before the question: what is said right after it is not missed.
        let mut wait = self.waiting.listen(&call.key);
        let task = async move {
            let refreshed = AssertUnwindSafe(inner.load_again(call, than, load, throttle)).catch_unwind().await;
            let hold = match refreshed {
                Ok(Refreshed::New(_)) => return,
                Ok(Refreshed::Elsewhere(left)) => {
                    // Until it is stored, or long enough; whoever asks then finds it.
                    let waits = timeout(left.max(LEFT_ALONE), wait.word());
                    let _ended = inner.tasks.closing().run_until_cancelled(waits).await;
                    return;
                }
                Ok(Refreshed::HeldOff(left)) => left,
                Ok(Refreshed::Failed) | Err(_) => {
                    tracing::debug!(scope, "a value was to be loaded again, and was not");
                    inner.counters.add(Count::RefreshFailures);
                    throttle
                }
            };
            refresh.hold_off(inner.clock.now().plus(hold));
        };
        let span = tracing::Span::current();
        self.tasks.spawn(tracing::Instrument::instrument(Context::current().unobserved().run(task), span));
    }

    /// One attempt to get a value that was made later `than` this: what another node has stored, or a load, if this node gets
    /// the lease. If the load fails, nobody gets that for as long as `hold`.
    pub(super) async fn load_again<T, E, F>(
        self: &Arc<Self>,
        call: Box<Call<T, E>>,
        than: u64,
        load: F,
        hold: Duration,
    ) -> Refreshed
    where
        T: 'static,
        E: 'static,
        F: Future<Output = Result<Option<T>, E>>,
    {
        let scope = self.scopes.state(call.key.scope(), &self.tags);
        let slot = ValueOps::<T>::slot();
        let seat = self.flights.board(&call.key, slot, 0, |departure| self.stands(departure));
        if !seat.leads() {
            return Refreshed::Elsewhere(LEFT_ALONE);
        }
        let Turn::Lead(lead) = seat.turn().await else { return Refreshed::Elsewhere(LEFT_ALONE) };
        let watch = self.watch(&call.key, &scope, &call.tags);
        lead.depart(watch.departure());
        let mut ticket = Box::new(Ticket::new(call, scope, Budget::new(self.budget)));
        (ticket.watch, ticket.lead, ticket.newer_than) = (Some(watch), Some(lead), than);
        let (captured, lease) = match Box::pin(self.claim(&mut ticket, false)).await {
            Ok(Claim::Load(captured, lease)) => (captured, lease),
            Ok(Claim::Found(entry)) => {
                if let Some((lead, watch)) = ticket.lead.take().zip(ticket.watch.as_ref()) {
                    let (entry, result_tags) = (Arc::clone(&entry), tags_unwatched(&entry, watch));
                    lead.land(Landing::Value(Landed { entry, result_tags, outcome: None }));
                }
                return Refreshed::New(entry);
            }
            Ok(Claim::Elsewhere(left)) => return Refreshed::Elsewhere(left),
            Ok(Claim::HeldOff(left)) => return Refreshed::HeldOff(left),
            Err(_) => return Refreshed::Failed,
        };
        self.counters.add(Count::Refreshes);
        let why = Why::Refresh { hold };
        match self.load_now(Returned { ticket, captured, lease, why }, load).await {
            Answer { result: Ok(_), outcome: Outcome::Loaded, entry: Some(entry) } => Refreshed::New(entry),
            // What `unless` refuses is no failure, and no reason to ask again at once either.
            _ => Refreshed::Failed,
        }
    }
}
