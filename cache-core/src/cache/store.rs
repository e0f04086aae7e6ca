//! What becomes of a loaded value: into L1 if nothing moved meanwhile, then, in the background, into L2.

use std::{sync::Arc, time::Duration};

use tokio::sync::OwnedSemaphorePermit;

use super::{
    Inner,
    ask::{Captured, Watch, versions_of},
    claim::Lease,
};
use crate::{
    budget::Budget,
    cell::{Seen, TagCell},
    codec::Codec,
    entry::{Entry, Held, Spot, Stamp},
    error::{Error, ErrorKind},
    flight::Lead,
    key::Key,
    outcome::Bypass,
    schema::Fingerprint,
    stats::Count,
    tag::TagId,
    tier::{Change, Op, Record, Reply},
    value::ValueOps,
    wire::{self, Expect, Header, PayloadKind},
};

/// Tags that an entry may have.
pub(super) const MAX_TAGS: usize = 16;
/// What the background work for one value may spend on Redis.
const BACKGROUND_BUDGET: Duration = Duration::from_secs(2);

/// Encodes the value of an entry, of whatever type.
type Encode = Box<dyn FnOnce(&Entry, Codec, usize) -> Result<(Fingerprint, Vec<u8>), String> + Send>;

/// A loaded value on its way into the tiers.
pub(super) struct Loaded {
    pub(super) key: Key,
    pub(super) entry: Arc<Entry>,
    pub(super) captured: Captured,
    pub(super) watch: Watch,
    pub(super) result_tags: Vec<Key>,
    pub(super) kind: PayloadKind,
    pub(super) encode: Encode,
    pub(super) max_bytes: usize,
    /// Kept until L1 has the value, so that nobody loads again meanwhile.
    pub(super) lead: Option<Lead>,
    /// Kept until the value is in Redis.
    pub(super) lease: Option<Lease>,
}

impl Inner {
    /// Puts an entry into L1, unless its key was hinted at, evicted or fenced since its stamp was read.
    pub(super) fn install(&self, spot: Spot, entry: &Arc<Entry>, stamp: Stamp) {
        self.local.compute(spot.hash, &mut |present| {
            if self.coherence.stamp(spot) == stamp {
                Change::Replace(Arc::clone(entry).beside(present))
            } else {
                Change::Keep
            }
        });
    }

    /// Puts an entry into L1 that was loaded while no server could be asked. It depends on nothing having been said since about
    /// its key and its tags, and lives for the outage's TTL, counted from before the load.
    pub(super) fn install_provisionally(&self, entry: &Arc<Entry>, watch: &Watch, result_tags: &[Key]) {
        let of_the_result: Vec<Seen> = self.cells_of(result_tags).iter().map(TagCell::seen).collect();
        // Seen first, then asked: what is said in between is not missed.
        if of_the_result.iter().all(|seen| self.tags.quiet_since(seen.cell.tag(), watch.sequence)) {
            entry.meta.hold_provisionally(watch.cells.iter().cloned().chain(of_the_result).collect());
            self.install(watch.spot, entry, watch.stamp);
        }
    }

    /// Stores what was loaded. The caller does not wait for anything that goes to Redis.
    pub(super) fn store(self: &Arc<Self>, mut loaded: Loaded) {
        let at_once = loaded.result_tags.is_empty() || !self.remote.settles_doubts();
        if at_once {
            let mut held = std::mem::take(&mut loaded.captured.held);
            if !self.hold_known(&loaded.result_tags, &loaded.watch, &mut held) {
                self.counters.add(Count::FillsRefused);
                return;
            }
            loaded.entry.meta.hold(held);
            self.install(loaded.watch.spot, &loaded.entry, loaded.watch.stamp);
            loaded.lead = None;
            if !self.remote.stores() {
                return;
            }
        }
        let Ok(permit) = Arc::clone(&self.fills).try_acquire_owned() else {
            self.counters.add(Count::FillsDropped);
            return;
        };
        let inner = Arc::clone(self);
        self.tasks.spawn(async move { inner.store_behind(loaded, at_once, permit).await });
    }

    /// Adds the generations of tags of the result, where no server has to be asked. Whether none of them moved since the load
    /// began.
    pub(super) fn hold_known(&self, result_tags: &[Key], watch: &Watch, held: &mut Vec<Held>) -> bool {
        for cell in self.cells_of(result_tags) {
            let Some(generation) = cell.known() else { return false };
            if !self.tags.quiet_since(cell.tag(), watch.sequence) {
                return false;
            }
            if !held.iter().any(|(other, _)| Arc::ptr_eq(other, &cell)) {
                held.push((cell, generation));
            }
        }
        true
    }

    /// The background part: tags that only the value could name, then L2.
    async fn store_behind(self: Arc<Self>, mut loaded: Loaded, held: bool, _permit: OwnedSemaphorePermit) {
        let mut budget = Budget::new(BACKGROUND_BUDGET);
        if !held {
            let mut all = std::mem::take(&mut loaded.captured.held);
            let life = loaded.entry.meta.deadlines.life_left(self.clock.remote_micros());
            match self.hold_asked(&loaded.result_tags, &loaded.watch, life, &mut all, &mut budget).await {
                Ok(true) => loaded.entry.meta.hold(all),
                Ok(false) => return self.counters.add(Count::FillsRefused),
                Err(_) => return self.counters.add(Count::FillsDropped),
            }
            self.install(loaded.watch.spot, &loaded.entry, loaded.watch.stamp);
            loaded.lead = None;
        }
        if let Err(error) = self.fill(loaded, &mut budget).await {
            self.counters.add(Count::FillsDropped);
            tracing::debug!(%error, "a value was not stored in Redis");
        }
    }

    /// Adds the generations of tags of the result. They are read after the load, so they may already be those of an eviction
    /// that happened during it: everything told before the answer is let in first, and then nothing may have been told about
    /// these tags since the load began.
    pub(super) async fn hold_asked(
        &self,
        result_tags: &[Key],
        watch: &Watch,
        life: Duration,
        held: &mut Vec<Held>,
        budget: &mut Budget,
    ) -> Result<bool, Error> {
        let mut cells = self.cells_of(result_tags);
        cells.retain(|cell| !held.iter().any(|(other, _)| Arc::ptr_eq(other, cell)));
        if cells.is_empty() {
            return Ok(true);
        }
        let needs = |tag: &TagId| matches!(tag, TagId::Tag(_)).then_some(life);
        let asked: Vec<Seen> = cells.iter().map(TagCell::seen).collect();
        let acquire = |tag: &TagId| Op::Acquire { record: Record::Tag(tag.clone()), needs: needs(tag) };
        let ops = cells.iter().map(|cell| acquire(cell.tag())).collect();
        let replies = self.ask(budget, ops).await?;
        for (seen, reply) in asked.iter().zip(replies) {
            let generation = versions_of(Some(reply))?;
            seen.learn(&generation);
            held.push((Arc::clone(&seen.cell), generation.current()));
        }
        let records = held.iter().map(|(cell, _)| Record::Tag(cell.tag().clone())).collect();
        budget.spend(&self.clock, self.remote.barrier(records)).await?;
        let quiet = held.iter().all(|(cell, _)| {
            let of_the_result = result_tags.iter().any(|tag| match cell.tag() {
                TagId::Tag(key) => key == tag,
                TagId::Scope(scope) => *scope == tag.scope(),
                TagId::Namespace => false,
            });
            !of_the_result || self.tags.quiet_since(cell.tag(), watch.sequence)
        });
        // A gap may have swallowed what would have been said: since the load began for what it knew, since the question for these.
        Ok(quiet && self.coherence.fences() == watch.fences)
    }

    /// Stores the value in Redis, iff its key is at the version captured before the load.
    async fn fill(&self, loaded: Loaded, budget: &mut Budget) -> Result<(), Error> {
        let meta = &loaded.entry.meta;
        let life = meta.deadlines.life_left(self.clock.remote_micros());
        if life.is_zero() {
            return Ok(());
        }
        let (fingerprint, payload) =
            self.seal(&loaded.key, &loaded.entry, meta.version, loaded.kind, loaded.encode, loaded.max_bytes)?;
        let (version, leased) = (meta.version, loaded.lease.is_some());
        let op = Op::Fill { key: loaded.key, fingerprint, version, payload, life, leased };
        match self.ask(budget, vec![op]).await?.pop() {
            Some(Reply::Yes(stored)) => {
                // If it was not stored, the lease is of a version that is over.
                if let Some(lease) = loaded.lease {
                    lease.filled();
                }
                self.counters.add(if stored { Count::Fills } else { Count::FillsRefused });
                Ok(())
            }
            Some(Reply::Failed(error)) => Err(error),
            _ => Err(Error::new(ErrorKind::Remote, "fill", "the server did not say whether it stored")),
        }
    }

    /// The envelope of an entry's value.
    pub(super) fn seal(
        &self,
        key: &Key,
        entry: &Entry,
        version: u64,
        kind: PayloadKind,
        encode: Encode,
        max_bytes: usize,
    ) -> Result<(Fingerprint, Vec<u8>), Error> {
        let scope = key.scope().name();
        let (fingerprint, payload) = encode(entry, self.codec, max_bytes).map_err(|detail| {
            self.counters.bypass(Bypass::Encode);
            tracing::warn!(scope, detail, "a value cannot be stored in Redis");
            Error::new(ErrorKind::Codec, "encode", format!("scope `{scope}`: {detail}"))
        })?;
        let meta = &entry.meta;
        let held = meta.held().unwrap_or_default();
        let names: Vec<String> = held.iter().map(|(cell, _)| cell.tag().wire()).collect();
        let header = Header {
            version,
            created: meta.created,
            fresh_until: meta.deadlines.fresh_until,
            stale_until: meta.deadlines.stale_until,
            fail_safe_until: meta.deadlines.fail_safe_until,
            load_micros: u32::try_from(meta.load_time.as_micros()).unwrap_or(u32::MAX),
            kind,
            tags: names.iter().map(String::as_str).zip(held.iter().map(|(_, generation)| *generation)).collect(),
        };
        let expect = Expect::of(self.codec, fingerprint, key, &self.packing);
        let sealed = wire::encode(&header, expect, &payload)
            .map_err(|error| Error::caused(ErrorKind::Codec, "envelope", format!("scope `{scope}`: {error}"), error))?;
        Ok((fingerprint, sealed))
    }
}

/// How the value of an entry is encoded.
pub(super) fn encode_value<T: 'static>(ops: &'static ValueOps<T>, rev: u32) -> Encode {
    Box::new(move |entry, codec, max_bytes| {
        let fingerprint = (ops.fingerprint)(codec, rev).map_err(|error| error.to_string())?;
        let payload = match ValueOps::<T>::view(entry) {
            Some(Some(value)) => (ops.encode)(value, codec, max_bytes).map_err(|error| error.to_string())?,
            _ => Vec::new(),
        };
        Ok((fingerprint, payload))
    })
}
