//! What a journal has and the origin does not: a reader that misses is answered from there, not with the old row.

use std::{sync::Arc, time::Duration};

use super::{
    Call, Inner,
    ask::{Captured, Watch},
    scopes::ScopeState,
    store::{Loaded, MAX_TAGS, encode_value},
};
use crate::{
    budget::Budget,
    entry::{Deadlines, Entry},
    error::Error,
    journal::{Ask, Change, JournalOp, Mark, Said, envelope},
    key::Key,
    tier::{Op, Reply},
    wire::PayloadKind,
};

/// What there is to a mark.
pub(super) enum Pending {
    Found(Arc<Entry>),
    /// Something that this call cannot be told: another type, or *nothing*. What the origin has is older.
    Hidden,
    /// The sink has it by now.
    Flushed,
}

impl Inner {
    /// Where a change of the key is found that the origin does not have yet.
    pub(super) fn mark_of(&self, key: &Key, captured: &mut Captured) -> Option<Mark> {
        captured.pending.take().or_else(|| self.journals.mark(key))
    }

    /// What the journal has. It becomes an entry like one that was loaded.
    pub(super) async fn pending<T: 'static, E: 'static>(
        self: &Arc<Self>,
        call: &Call<T, E>,
        scope: &ScopeState,
        watch: &Watch,
        captured: &Captured,
        mark: Mark,
        budget: &mut Budget,
    ) -> Result<Pending, Error> {
        let Some(change) = self.pending_change(&call.key, mark, budget).await? else { return Ok(Pending::Flushed) };
        let value = match change {
            Change::Put(payload) => {
                let ops = call.ops;
                match envelope::open(ops, &call.key, &self.packing, &payload) {
                    Some(value) => Some(value),
                    None => return Ok(Pending::Hidden),
                }
            }
            Change::Delete => None,
            Change::Increment(_) => return Ok(Pending::Hidden),
        };
        if value.is_none() && !call.none {
            return Ok(Pending::Hidden);
        }
        Ok(Pending::Found(self.entry_of_pending(call, scope, watch, captured, value)))
    }

    async fn pending_change(&self, key: &Key, mark: Mark, budget: &mut Budget) -> Result<Option<Change>, Error> {
        let op = JournalOp {
            partition: key.partition(self.partitions),
            ask: Ask::Pending { key: key.clone(), at: mark.at },
            journal: mark.journal,
        };
        if let Some(said) = self.journals.ask(&op) {
            return Ok(if let Said::Pending(change) = said { change } else { None });
        }
        match self.ask(budget, vec![Op::Journal(op)]).await?.pop() {
            Some(Reply::Journal(Said::Pending(change))) => Ok(change),
            Some(Reply::Failed(error)) => Err(error),
            _ => Ok(None),
        }
    }

    fn entry_of_pending<T: 'static, E: 'static>(
        self: &Arc<Self>,
        call: &Call<T, E>,
        scope: &ScopeState,
        watch: &Watch,
        captured: &Captured,
        value: Option<T>,
    ) -> Arc<Entry> {
        let policy = scope.policy.with(call.overrides);
        let rules = &call.rules;
        let ttl = match &value {
            None => policy.negative,
            Some(value) => rules.ttl_with.as_ref().map_or(policy.ttl, |ttl_with| ttl_with(value).min(policy.ttl)),
        };
        let ttl = policy.jittered(ttl, fastrand::f64());
        let tags_of = |value: &T| rules.result_tags.as_ref().map_or_else(Vec::new, |tags_of| tags_of(value));
        let result_tags = value.as_ref().map_or_else(Vec::new, tags_of);
        let is_refused = rules.unless.as_ref().is_some_and(|unless| unless(value.as_ref()));
        let is_stored = !is_refused && !ttl.is_zero() && call.tags.len() + result_tags.len() <= MAX_TAGS;
        let kind = if value.is_some() { PayloadKind::Value } else { PayloadKind::Nothing };
        let created = self.clock.remote_micros();
        let deadlines = Deadlines::of(created, ttl, &policy, value.is_some());
        let times = self.times(created, Duration::ZERO, deadlines, &policy);
        let meta = self.meta_of_load::<T>(&call.key, Some(captured), Some(watch), times);
        let entry = call.ops.entry(value, meta);
        if is_stored {
            let captured = Captured { version: captured.version, held: captured.held.clone(), pending: None };
            self.store(Loaded {
                key: call.key.clone(),
                entry: Arc::clone(&entry),
                captured,
                watch: watch.clone(),
                result_tags,
                kind,
                encode: encode_value(call.ops, call.rev),
                max_bytes: policy.max_bytes,
                lead: None,
                lease: None,
            });
        }
        entry
    }
}
